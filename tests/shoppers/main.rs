//! Many shoppers at once, of every kind, while Midtrans, the network and the PSPs' receivers fail
//! in every way: in the end both sides agree to the last sen, and everybody was told.
//!
//! `GOPAY_SHOPPERS` says how many (300), `GOPAY_SEED` which (fixed). With `GOPAY_DEAD_RECEIVERS=1`
//! some receivers never answer, and the run lasts until their notifications are given up.

#![allow(clippy::indexing_slicing, reason = "a missing key fails the test, as it should")]

#[path = "../support/mod.rs"]
mod support;

mod audit;
mod drain;
mod encoding;
mod faults;
mod life;
mod people;
mod psp;

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use tokio::task::JoinSet;

use audit::{Evidence, Problems};
use drain::{Books, Ticking, drain, until_still};
use life::{Life, World};
use psp::{Moments, Psp};
use support::Demo;

/// Shoppers with a call open at once.
const CONCURRENCY: usize = 32;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_shoppers_pay_and_every_sen_is_accounted_for() {
    let began = Instant::now();
    let count = setting("GOPAY_SHOPPERS", 300);
    let seed = setting("GOPAY_SEED", 20_250_621);
    let dead = setting("GOPAY_DEAD_RECEIVERS", 0) > 0;
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().to_str().expect("text").to_owned();
    let demo = Demo::start_with(&["--data", &folder, "--seed", &seed.to_string()]).await;
    let moments = Moments::default();
    let psp = Psp::start(&demo.adapter, &demo.http, &moments).await;
    let world = Arc::new(World::new(demo, psp, moments, seed, dead));
    for fault in faults::everywhere() {
        world.demo.fault(fault).await;
    }

    let mut lives = Vec::new();
    let wave = (count / 4).max(150);
    let mut number = 0;
    while number < count {
        let last = (number + wave).min(count);
        let new = (number..last).map(|number| Life::draw(seed, number, &world)).collect();
        number = last;
        lives.append(&mut run_wave(&world, new).await);
    }
    let shopping = began.elapsed();

    drain(&world).await;
    let fired = faults_fired(&world).await;
    world.demo.simulate("DELETE", "faults", Value::Null).await;
    // Late money can be refunded like any other.
    lives = every(&world, lives, life::give_back).await;
    let books = drain(&world).await;
    lives = every(&world, lives, life::final_status).await;
    let (evidence, mut problems) = Evidence::gather(&world, &lives).await;
    problems.extend(audit::judge_books(&books, &lives, &evidence));
    for life in &lives {
        problems.extend(audit::judge(life, &evidence));
    }
    let summary = summary(&world, &lives, &books, &evidence, &fired);
    println!("{summary}\nshopping {shopping:?}, in all {:?}", began.elapsed());
    report(&world, &folder, &lives, &evidence, &problems);
    was_worth_it(&lives, &books, &fired);
}

/// Opens payments, gives some back, lets an hour pass, lets money come late.
async fn run_wave(world: &Arc<World>, mut lives: Vec<Life>) -> Vec<Life> {
    let ticking = Ticking::start(world);
    lives = every(world, lives, life::open).await;
    drop(ticking);
    // The clock leaps only while no call is under way: a call lasts 30 s at most.
    world.demo.advance("90s").await;
    until_still(world, 3).await;
    let ticking = Ticking::start(world);
    lives = every(world, lives, life::give_back).await;
    drop(ticking);
    world.demo.advance("61m").await;
    let ticking = Ticking::start(world);
    lives = every(world, lives, life::arrive_late).await;
    lives = every(world, lives, life::give_back).await;
    drop(ticking);
    lives
}

/// Runs a part of each life, a bounded number at once.
async fn every<F: Future<Output = Life> + Send + 'static>(
    world: &Arc<World>,
    lives: Vec<Life>,
    part: fn(Arc<World>, Life) -> F,
) -> Vec<Life> {
    let mut running = JoinSet::new();
    let mut done = Vec::with_capacity(lives.len());
    for life in lives {
        if running.len() >= CONCURRENCY {
            done.push(running.join_next().await.expect("one runs").expect("no panic"));
        }
        running.spawn(part(Arc::clone(world), life));
    }
    while let Some(ended) = running.join_next().await {
        done.push(ended.expect("no panic"));
    }
    done
}

/// How often each kind of fault struck.
async fn faults_fired(world: &World) -> BTreeMap<String, u64> {
    let list = world.demo.simulate("GET", "faults", Value::Null).await;
    let mut fired = BTreeMap::new();
    for fault in list["faults"].as_array().expect("faults") {
        let on = fault["on"].as_str().unwrap_or_default();
        let action = fault["action"].as_object().expect("an action");
        for (name, detail) in action {
            let detail = match name.as_str() {
                "http" | "http_after" => format!(" {}", detail["status"]),
                "provider_error" => format!(" {} {}", detail["code"], detail["shape"]),
                "refund_refused" => format!(" {}", detail["status_code"]),
                _ => String::new(),
            };
            *fired.entry(format!("{on}: {name}{detail}")).or_default() +=
                fault["fired"].as_u64().unwrap_or(0);
        }
    }
    fired
}

fn summary(
    world: &World,
    lives: &[Life],
    books: &Books,
    evidence: &Evidence,
    fired: &BTreeMap<String, u64>,
) -> String {
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let (mut items, mut late) = (0, 0);
    for life in lives {
        let opened = life.opened.get("STATUS").map_or("", String::as_str);
        let last = audit::final_of(life);
        *outcomes.entry(format!("{:?}: {opened} -> {last}", life.fate)).or_default() += 1;
        if let Some(reason) = life.opened.get("FAILREASON") {
            *reasons.entry(format!("{reason}: {}", life.opened["ERRMSG"])).or_default() += 1;
        }
        items += life.order.items;
        late += u64::from(failed_first(life));
    }
    let receipts = || evidence.receipts.values().flatten();
    let repeated = evidence
        .receipts
        .values()
        .filter(|all| all.iter().filter(|one| one.accepted).count() > 1)
        .count();
    let strikes: u64 = fired.values().sum();
    format!(
        "seed {}, {} shoppers, {items} items\ncalls {:#?}\noutcomes {outcomes:#?}\nanswered FAILED {reasons:#?}\nfaults {strikes} {fired:#?}\nFAILED, then SUCCEEDED: {late}\nnotifications: {} tries, {} taken, {repeated} transactions told more than once\nbooks {books:#?}",
        world.seed,
        lives.len(),
        world.counts(),
        receipts().count(),
        receipts().filter(|one| one.accepted).count(),
    )
}

fn failed_first(life: &Life) -> bool {
    life.was_pending()
        && life.sightings.iter().any(|sighting| sighting.status == "FAILED")
        && audit::final_of(life) == "SUCCEEDED"
}

/// Fails with the facts about the first few payments that something is wrong with.
fn report(world: &World, folder: &str, lives: &[Life], evidence: &Evidence, problems: &Problems) {
    if problems.is_empty() {
        return;
    }
    let mut text = format!(
        "seed {}: {} problems; again with GOPAY_SEED={} GOPAY_SHOPPERS={}\n",
        world.seed,
        problems.len(),
        world.seed,
        lives.len()
    );
    for (txid, problem) in problems.iter().take(30) {
        text.push_str(&format!("* {txid}: {}\n", problem.chars().take(500).collect::<String>()));
    }
    let mut told: Vec<&str> = Vec::new();
    for (txid, _) in problems {
        let Some(life) = lives.iter().find(|life| life.txid == *txid && txid != "0") else {
            continue;
        };
        if told.len() < 4 && !told.contains(&txid.as_str()) {
            told.push(txid);
            let story = explain(folder, txid);
            text.push_str(&audit::facts(world, life, evidence, &story));
            text.push('\n');
        }
    }
    panic!("{text}");
}

/// What `gopay-adapter explain` says about a payment of the running demo.
fn explain(folder: &str, txid: &str) -> String {
    let config = format!("{folder}/explain.toml");
    let store = format!("[store]\nurl = \"sqlite:{folder}/gopay.db\"\n");
    if let Err(error) = std::fs::write(&config, store) {
        return error.to_string();
    }
    let said = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["--log", "off", "explain", "--config", &config, txid])
        .output();
    match said {
        Ok(said) => format!(
            "{}{}",
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        ),
        Err(error) => error.to_string(),
    }
}

/// A run in which hardly anything happens proves nothing.
fn was_worth_it(lives: &[Life], books: &Books, fired: &BTreeMap<String, u64>) {
    let count = lives.len();
    let pending = lives.iter().filter(|life| life.was_pending()).count();
    assert!(pending * 10 >= count * 7, "only {pending} of {count} payments were opened");
    if count < 300 {
        return;
    }
    let of = |counts: &BTreeMap<String, u64>, word: &str| counts.get(word).copied().unwrap_or(0);
    assert!(of(&books.adapter.payments, "succeeded") * 10 >= 4 * books.upstream.transactions);
    assert!(of(&books.adapter.payments, "failed") > 0);
    assert!(of(&books.adapter.refunds, "succeeded") > 0);
    assert!(of(&books.adapter.refunds, "failed") > 0);
    assert!(lives.iter().any(failed_first), "no payment failed first and succeeded late");
    for on in ["charge", "status", "cancel", "refund", "notification"] {
        let strikes =
            |(name, count): (&String, &u64)| if name.starts_with(on) { *count } else { 0 };
        assert!(fired.iter().map(strikes).sum::<u64>() > 0, "no fault struck at {on}");
    }
}
