//! The database goes away, stands still, changes its place or goes back, under load, with two
//! instances: nobody is told what is not so, and no money is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopay_store_postgres::cluster::{Cluster, Durability, Manner};
use serde_json::{Value, json};

use crate::support::instances::Shared;
use crate::support::wire::expect;
use crate::support::{Answer, Demo, eventually};

/// A cluster of its own with its database, and two instances.
struct World {
    shared: Shared,
    primary: Cluster,
    url: String,
}

impl World {
    /// None if this machine has no PostgreSQL.
    async fn start() -> Option<Self> {
        let mut shared = Shared::start().await?;
        let start = || Cluster::start(Durability::On).expect("PostgreSQL starts");
        let primary = tokio::task::spawn_blocking(start).await.expect("no panic")?;
        let url = primary.migrated().await.expect("a database");
        shared.url.clone_from(&url);
        Some(Self { shared, primary, url })
    }

    /// The URL with the standby as a second host.
    fn with(&self, standby: &Cluster) -> String {
        let second = standby.url("x");
        let second = second.split("host=").nth(1).expect("a host");
        format!("{}&host={second}", self.url)
    }
}

/// One call: when it was begun, how long it took, and its answer.
struct Called {
    began: Instant,
    took: Duration,
    nonce: String,
    answer: Answer,
}

/// Calls at a steady rate to several instances in turn, each with a nonce.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<Vec<Called>>,
}

impl Load {
    fn start(instances: &[Arc<Demo>], a_second: u32) -> Self {
        static RUN: AtomicU32 = AtomicU32::new(0);
        let run = RUN.fetch_add(1, Ordering::Relaxed);
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let (instances, stopped, count) =
            (instances.to_vec(), Arc::clone(&stop), Arc::clone(&answered));
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_secs(1) / a_second);
            let mut calls = tokio::task::JoinSet::new();
            let mut turn = instances.iter().cycle();
            for number in 0.. {
                pace.tick().await;
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let instance = Arc::clone(turn.next().expect("an instance"));
                let nonce = format!("load-{run}-{number}");
                let count = Arc::clone(&count);
                calls.spawn(async move {
                    let called = call(&instance, nonce).await;
                    count.fetch_add(1, Ordering::Relaxed);
                    called
                });
            }
            calls.join_all().await
        });
        Self { stop, answered, task }
    }

    /// Waits until so many calls more were answered.
    async fn go_on(&self, calls: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + calls;
        let answered = async || self.answered.load(Ordering::Relaxed) >= wanted;
        eventually(&format!("{calls} calls more"), answered).await;
    }

    async fn end(self) -> Vec<Called> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("no panic")
    }
}

async fn call(instance: &Demo, nonce: String) -> Called {
    let began = Instant::now();
    let answer = instance.transaction(&[("nonce", &nonce)]).await;
    Called { began, took: began.elapsed(), nonce, answer }
}

fn slowest(calls: &[Called]) -> Duration {
    calls.iter().map(|call| call.took).max().unwrap_or_default()
}

fn is_pending(call: &Called) -> bool {
    call.answer["STATUS"] == "PENDING"
}

/// How many calls had each answer.
fn answers(calls: &[Called]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for Called { answer, .. } in calls {
        let word = answer.get("FAILREASON").unwrap_or(&answer["STATUS"]);
        *counts.entry(word.clone()).or_default() += 1;
    }
    counts
}

/// What was paid there is what succeeded here, and each nonce has one charge at most.
async fn assert_books_are_equal(demo: &Demo, calls: &[Called]) {
    let paid: Vec<_> = calls.iter().filter(|call| is_pending(call)).collect();
    for call in paid.iter().step_by(2) {
        demo.wallet(&call.answer["TXID"], "pay", json!({})).await;
    }
    let sum = async || {
        let all = demo.all_upstream().await;
        let settled = all.iter().filter(|one| one["status"] == "settlement");
        u64::try_from(settled.count()).expect("few") * 1_000_000
    };
    let wanted = sum().await;
    eventually("the books are equal", async || demo.totals().await["succeeded_sen"] == wanted)
        .await;
    let txids: BTreeSet<_> = paid.iter().map(|call| &call.answer["TXID"]).collect();
    assert_eq!(txids.len(), paid.len(), "no TXID twice");
    for txid in txids {
        assert_ne!(demo.status(txid).await["STATUS"], "FAILED", "{txid} was answered PENDING");
    }
}

/// So many seconds, and what a busy machine may add. `tests/ha.sh` measures.
const fn within(seconds: u64) -> Duration {
    Duration::from_secs(seconds + 3)
}

#[tokio::test]
async fn a_planned_switchover_refuses_no_call() {
    let Some(world) = World::start().await else { return };
    let standby = world.primary.standby().await.expect("a standby");
    let url = world.with(&standby);
    let one = Arc::new(world.shared.serve_on(&url, 1).await);
    let two = Arc::new(world.shared.serve_on(&url, 2).await);
    let load = Load::start(&[Arc::clone(&one), Arc::clone(&two)], 50);
    load.go_on(90).await;
    let began = Instant::now();
    world.primary.stop(Manner::Orderly).expect("it stops");
    standby.promote().await.expect("it is promoted");
    let away = began.elapsed();
    load.go_on(150).await;
    let calls = load.end().await;
    assert!(calls.len() > 200, "{}", calls.len());
    assert!(calls.iter().all(is_pending), "away for {away:?}: {:?}", answers(&calls));
    assert!(slowest(&calls) < within(4), "away for {away:?}: {:?}", slowest(&calls));
    assert_books_are_equal(&one, &calls).await;
    assert_eq!(one.all_upstream().await.len(), calls.len(), "each was charged once");
}

#[tokio::test]
async fn a_frozen_primary_is_left_within_seconds_of_the_promotion() {
    let Some(world) = World::start().await else { return };
    let standby = world.primary.standby().await.expect("a standby");
    let url = world.with(&standby);
    let one = Arc::new(world.shared.serve_on(&url, 1).await);
    let two = Arc::new(world.shared.serve_on(&url, 2).await);
    let load = Load::start(&[Arc::clone(&one), Arc::clone(&two)], 20);
    load.go_on(40).await;
    world.primary.freeze().expect("it stands still");
    // As long as an orchestrator takes.
    tokio::time::sleep(Duration::from_secs(8)).await;
    standby.promote().await.expect("it is promoted");
    let promoted = Instant::now();
    for instance in [&one, &two] {
        let at_once = || call(instance, format!("after-{:?}", promoted.elapsed()));
        while !is_pending(&at_once().await) {
            assert!(promoted.elapsed() < within(5), "no PENDING after the promotion");
        }
    }
    assert!(promoted.elapsed() < within(5), "{:?}", promoted.elapsed());
    load.go_on(20).await;
    // It would take writes again.
    world.primary.thaw().expect("it goes on");
    load.go_on(20).await;
    let calls = load.end().await;
    assert!(slowest(&calls) < within(5), "{:?}", slowest(&calls));
    // Each that was not told PENDING is repeated at the other instance.
    let mut all = Vec::new();
    for (number, first) in calls.into_iter().enumerate() {
        let instance = if number % 2 == 0 { &two } else { &one };
        all.push(if is_pending(&first) { first } else { call(instance, first.nonce).await });
    }
    assert!(all.iter().all(|call| call.took < within(5)), "{:?}", slowest(&all));
    assert_books_are_equal(&one, &all).await;
}

/// The commit is under way when the server stands still: nobody knows whether it was done.
#[tokio::test]
async fn the_repeat_of_a_call_whose_commit_is_unknown_has_its_answer_when_the_database_is_back() {
    let Some(world) = World::start().await else { return };
    let one = Arc::new(world.shared.serve_on(&world.url, 1).await);
    let two = world.shared.serve_on(&world.url, 2).await;
    let load = Load::start(&[Arc::clone(&one)], 50);
    load.go_on(50).await;
    world.primary.freeze().expect("it stands still");
    let frozen = Instant::now();
    // So long that calls are answered before it goes on.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let calls = load.end().await;
    world.primary.thaw().expect("it goes on");
    let back = Instant::now();
    let mut unknown = 0;
    for first in calls.iter().filter(|call| !is_pending(call)) {
        let repeated = call(&two, first.nonce.clone()).await;
        assert!(is_pending(&repeated), "{:?} after {:?}", repeated.answer, first.answer);
        unknown += usize::from(
            first.answer["TXID"] != "0" && first.began < frozen + Duration::from_secs(1),
        );
        if first.answer["TXID"] != "0" {
            assert!(
                back.elapsed() < Duration::from_secs(3) || repeated.took < Duration::from_secs(1)
            );
        }
    }
    assert!(unknown > 0, "no commit was under way: {:?}", answers(&calls));
}

#[tokio::test]
async fn a_store_that_went_back_is_told_and_its_money_is_found() {
    let Some(world) = World::start().await else { return };
    let one = world.shared.serve_on(&world.url, 1).await;
    let kept = one.paid().await;
    world.primary.stop(Manner::Orderly).expect("it stops");
    world.primary.copy_aside().expect("a copy");
    world.primary.start_again().expect("it starts");
    let one = Arc::new(one);
    one.eventually("ready again", async || ready(&one).await.0 == 200).await;
    let load = Load::start(&[Arc::clone(&one)], 50);
    load.go_on(90).await;
    let calls = load.end().await;
    assert!(calls.len() >= 90 && calls.iter().all(is_pending), "{:?}", answers(&calls));
    let txids: Vec<&String> = calls.iter().map(|call| &call.answer["TXID"]).collect();
    // Some are paid and known to be; one of them was refunded.
    let (before, after) = (&txids[..10], &txids[10..30]);
    for txid in before {
        one.wallet(txid, "pay", json!({})).await;
        one.until_status(txid, "SUCCEEDED").await;
    }
    let load = Load::start(&[Arc::clone(&one)], 20);
    load.go_on(10).await;
    world.primary.stop(Manner::Crash).expect("it stops");
    world.primary.put_back().expect("the copy is put back");
    world.primary.start_again().expect("it starts");
    one.eventually("not ready", async || ready(&one).await.1.contains("has gone back")).await;
    let during = load.end().await;
    let list = lost(&one).await;
    for txid in &txids {
        assert!(list.contains(*txid), "{txid} is missing, and nobody says so");
    }
    let answered = during.iter().filter(|call| is_pending(call));
    assert!(
        answered.clone().all(|call| list.contains(&call.answer["TXID"])),
        "none was made since"
    );
    // Nothing is taken, and nobody is told "not found".
    let refused = one.transaction(&[("nonce", "again")]).await;
    expect(&refused, &[("STATUS", "FAILED"), ("FAILREASON", "LOCAL_ERROR"), ("TXID", "0")]);
    expect(&one.status(txids[0]).await, &[("REQUESTFAILREASON", "SYSTEM_ERROR")]);
    expect(&one.status(&kept).await, &[("STATUS", "SUCCEEDED")]);
    let refund = one.refund(&kept, 100_000).await;
    expect(&refund, &[("STATUS", "FAILED"), ("FAILREASON", "LOCAL_ERROR")]);
    let metrics = one.get(&format!("{}/metrics", one.admin)).await.1;
    let counted = format!("gopay_store_lost_payments_unacknowledged {}", list.len());
    assert!(metrics.contains(&counted), "{counted}: {metrics}");

    // The console says so on every page, and gives nothing back either.
    let page = async |path: &str| one.get(&format!("{}/console{path}", one.admin)).await.1;
    assert!(page("/transactions").await.contains("are missing from the store"));
    let attention = page("/attention").await;
    assert!(list.first().is_some_and(|txid| attention.contains(txid)), "{attention}");
    let order = json!({"amount_sen": 100_000, "reason": "a cup", "by": "Sri"});
    let url = format!("{}/admin/v1/transactions/{kept}/refund", one.admin);
    let refused = one.http.post(url).json(&order).send().await.expect("an answer");
    assert_eq!(refused.status().as_u16(), 409);
    let (_, key) = attention.split_once("name=\"key\" value=\"").expect("a form");
    let form = [("key", &key[..64]), ("reason", "a restore"), ("by", "Sri")];
    let acknowledge = async || {
        let request = one.http.post(format!("{}/console/lost", one.admin));
        let form = serde_urlencoded::to_string(form).expect("a form");
        let kind = "application/x-www-form-urlencoded";
        let request = request.header("content-type", kind).body(form);
        request.send().await.expect("an answer").status().as_u16()
    };

    // Once somebody has said so, it goes on.
    let by =
        ["acknowledge-lost", "--admin-url", &one.admin, "--reason", "a restore", "--by", "Sri"];
    let done = world.shared.run(&by, 1);
    assert!(done.status.success(), "{done:?}");
    assert_eq!(ready(&one).await.0, 200);
    assert_eq!(world.shared.run(&by, 1).status.code(), Some(1), "there is nothing more");
    assert_eq!(acknowledge().await, 404, "nor by the console");
    expect(&one.transaction(&[("nonce", "again")]).await, &[("STATUS", "PENDING")]);
    expect(&one.refund(&kept, 100_000).await, &[("STATUS", "SUCCEEDED")]);

    // What was paid before is found by asking, what is paid now by its notification.
    for txid in after {
        one.wallet(txid, "pay", json!({})).await;
    }
    let settled = u64::try_from(before.len() + after.len()).expect("few");
    one.eventually("all money is listed", async || {
        one.totals().await["attention"]["orders"] == settled
    })
    .await;
    let sums = one.totals().await;
    let upstream = one.all_upstream().await;
    let there = upstream.iter().filter(|one| one["status"] == "settlement").count();
    let there = u64::try_from(there).expect("few");
    // The first payment was refunded in part, and is another word there.
    assert_eq!(sums["succeeded_sen"], 1_000_000, "{sums}");
    assert_eq!(sums["attention"]["at_risk_sen"], there * 1_000_000, "{sums}");
}

async fn ready(demo: &Demo) -> (u16, String) {
    demo.get(&format!("{}/health/ready", demo.admin)).await
}

async fn lost(demo: &Demo) -> BTreeSet<String> {
    let (status, text) = demo.get(&format!("{}/admin/v1/lost", demo.admin)).await;
    assert_eq!(status, 200, "{text}");
    let list: Value = serde_json::from_str(&text).expect("JSON");
    crate::schemas::assert_valid("admin-lost", &list);
    let txids = list["txids"].as_array().expect("a list").iter();
    txids.map(|txid| txid.as_str().expect("text").to_owned()).collect()
}
