//! Several instances share one PostgreSQL: any of them serves any call, their workers share the
//! queues, and what one leaves undone when it is killed another finishes.
use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::instances::Shared;
use crate::support::receiver::{Receiver, Reply};
use crate::support::wire::expect;
use futures::future::join_all;
use gopay_testkit::wait::within;
use rustix::process::Signal;
use serde_json::json;

#[tokio::test]
async fn any_instance_serves_any_call_and_everything_happens_once() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let (one, two) = (shared.serve(1).await, shared.serve(2).await);
    let receiver = Receiver::start().await;
    let (one, two, receiver) = (&one, &two, &receiver);
    let payments = join_all((0..60).map(|number| async move {
        let (here, there) = if number % 2 == 0 { (one, two) } else { (two, one) };
        let txid = here.pending_for(&receiver.url()).await;
        expect(&there.status(&txid).await, &[("STATUS", "PENDING")]);
        here.wallet(&txid, "pay", json!({})).await;
        there.until_status(&txid, "SUCCEEDED").await;
        // Both refund at once; together they ask for more than there is.
        let (first, second) =
            futures::join!(one.refund(&txid, 600_000), two.refund(&txid, 600_000));
        let good = [&first, &second].map(|answer| answer["STATUS"] == "SUCCEEDED");
        assert!(good[0] != good[1], "{first:?} {second:?}");
        txid
    }))
    .await;
    let distinct: BTreeSet<&String> = payments.iter().collect();
    assert_eq!(distinct.len(), 60, "no id twice");
    one.until_outbox_empty().await;
    for txid in &payments {
        assert_eq!(receiver.seen_of(txid).len(), 1, "{txid} is told once");
        assert_eq!(one.upstream(txid).await["refunds"].as_array().map(Vec::len), Some(1));
    }
    assert_eq!(one.totals().await, two.totals().await);
    assert_eq!(one.totals().await["succeeded_sen"], 60 * 1_000_000);
    assert_eq!(one.totals().await["refunded_sen"], 60 * 600_000);
    assert_eq!(one.all_upstream().await.len(), 60, "each was charged once");
}

#[tokio::test]
async fn a_nonce_counts_for_all_instances() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let (one, two) = (shared.serve(1).await, shared.serve(2).await);
    let calls = (0..20).map(|number| {
        let instance = if number % 2 == 0 { &one } else { &two };
        instance.transaction(&[("nonce", "n-1")])
    });
    let answers: BTreeSet<_> = join_all(calls).await.into_iter().collect();
    assert_eq!(answers.len(), 1, "the same answer everywhere: {answers:?}");
    assert_eq!(one.all_upstream().await.len(), 1);
}

#[tokio::test]
async fn notifications_of_a_payment_keep_their_order_over_two_workers() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let (one, two) = (shared.serve(1).await, shared.serve(2).await);
    let receiver = Receiver::start().await;
    let (one, two, receiver) = (&one, &two, &receiver);
    receiver.then((0..30).map(|_| Reply::Status(500)));
    let payments = join_all((0..12).map(|_| async {
        let txid = one.pending_for(&receiver.url()).await;
        two.call("CANCELTX", &[("txid", &txid)]).await;
        one.until_status(&txid, "FAILED").await;
        // The time of a final state is told in whole seconds, and the order shall be visible.
        let failed = seconds();
        one.eventually("the next second", async || seconds() > failed).await;
        one.wallet(&txid, "settle-late", json!({})).await;
        two.until_status(&txid, "SUCCEEDED").await;
        txid
    }))
    .await;
    two.until_outbox_empty().await;
    let mut tries = 0;
    for txid in payments {
        let seen = receiver.seen_of(&txid);
        let times: Vec<&str> = seen.iter().map(|one| one.field("finaltimestamp")).collect();
        let told: BTreeSet<&str> = times.iter().copied().collect();
        assert_eq!(told.len(), 2, "both final states: {times:?}");
        assert!(times.is_sorted(), "in their order: {times:?}");
        tries += times.len();
    }
    assert_eq!(tries, 24 + 30, "each once, and once more for each failure");
}

/// Since 1970.
fn seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.expect("after 1970").as_secs()
}

/// The notification is under way at an instance when it is killed: another one that was running sends it
/// within twenty seconds.
#[tokio::test]
async fn a_delivery_of_a_killed_instance_goes_on_elsewhere_within_twenty_seconds() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let (one, two) = (shared.serve(1).await, shared.serve(2).await);
    let receiver = Receiver::start().await;
    // Whichever instance has it, the other is killed too late to be the one that waits.
    receiver.then([Reply::Hang]);
    let txid = one.pending_for(&receiver.url()).await;
    one.wallet(&txid, "pay", json!({})).await;
    two.eventually("the try has begun", async || receiver.seen_of(&txid).len() == 1).await;
    let claimed = shared.ask("SELECT leased_by FROM deliveries").await;
    let (dead, lives) = if claimed == "1" { (one, two) } else { (two, one) };
    drop(dead);
    let taken_over = async || receiver.seen_of(&txid).len() >= 2;
    within(Duration::from_secs(20), "somebody takes it over", taken_over).await;
    lives.until_outbox_empty().await;
    assert_eq!(receiver.seen_of(&txid).len(), 2);
}

/// Its machine stands still for longer than its lease lasts.
#[tokio::test]
async fn an_instance_that_stood_still_too_long_sends_nothing_more_and_ends() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let (mut one, two) = (shared.serve(1).await, shared.serve(2).await);
    let receiver = Receiver::start().await;
    let txid = one.pending_for(&receiver.url()).await;
    one.signal(Signal::STOP);
    let buried = "SELECT count(*) FROM shards WHERE shard = 1 AND holder IS NULL";
    let seen = async || shared.ask(buried).await == "1";
    within(Duration::from_secs(20), "somebody sees it", seen).await;
    two.wallet(&txid, "pay", json!({})).await;
    two.until_status(&txid, "SUCCEEDED").await;
    two.until_outbox_empty().await;
    one.signal(Signal::CONT);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(20), one.exit_code()).await;
    assert_eq!(ended.expect("it ends"), Some(3));
    assert_eq!(receiver.seen_of(&txid).len(), 1, "told once");
    let again = shared.serve(1).await;
    expect(&again.status(&txid).await, &[("STATUS", "SUCCEEDED")]);
}

/// The notification is under way at an instance when it is killed: another one that is started then sends
/// it when it is seen to be dead, and nothing before it.
#[tokio::test]
async fn a_delivery_of_a_killed_instance_is_taken_over() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let one = shared.serve(1).await;
    let receiver = Receiver::start().await;
    receiver.then([Reply::Hang]);
    let txid = one.pending_for(&receiver.url()).await;
    one.wallet(&txid, "pay", json!({})).await;
    one.eventually("the try has begun", async || receiver.seen_of(&txid).len() == 1).await;
    drop(one);
    let two = shared.serve(2).await;
    expect(&two.status(&txid).await, &[("STATUS", "SUCCEEDED")]);
    two.until_outbox_empty().await;
    let seen = receiver.seen_of(&txid);
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].fields, seen[1].fields);
}

/// Whoever holds the number knows that the holder before is dead: its lease of half a minute is void.
#[tokio::test]
async fn what_a_killed_instance_was_sending_is_sent_as_soon_as_its_number_is_back() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let one = shared.serve(1).await;
    let receiver = Receiver::start().await;
    receiver.then([Reply::Hang]);
    let txid = one.pending_for(&receiver.url()).await;
    one.wallet(&txid, "pay", json!({})).await;
    one.eventually("the try has begun", async || receiver.seen_of(&txid).len() == 1).await;
    drop(one);
    let again = shared.serve(1).await;
    let ready = std::time::Instant::now();
    again.eventually("it is sent", async || receiver.seen_of(&txid).len() == 2).await;
    let took = ready.elapsed();
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
    again.until_outbox_empty().await;
}

/// The charge exists at Midtrans and its answer never came to anybody.
#[tokio::test]
async fn a_call_of_a_killed_instance_is_finished_by_another() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let (one, two) = (shared.serve(1).await, shared.serve(2).await);
    two.fault(json!({"on": "charge", "action": {"delay": {"ms": 60_000, "when": "after"}}})).await;
    let call = crate::support::body(
        "TRANSACTION",
        &crate::support::example(&[])
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect::<Vec<_>>(),
    );
    let cut = one.http.post(&one.adapter).body(call).send();
    let cut = tokio::spawn(cut);
    two.eventually("the charge exists", async || two.all_upstream().await.len() == 1).await;
    drop(one);
    assert!(cut.await.expect("no panic").is_err(), "nobody answered");
    let txid = two.all_upstream().await[0]["order_id"].as_str().expect("an id").to_owned();
    // The minute that a call may take is over.
    shared.sql("UPDATE payments SET next_check_at = created_at").await;
    two.until_status(&txid, "FAILED").await;
    shared.sql("UPDATE payments SET next_check_at = created_at").await;
    two.eventually("the charge is closed", async || {
        two.upstream(&txid).await["status"] == "cancel"
    })
    .await;
    assert_eq!(two.all_upstream().await.len(), 1, "and there is no other");
}

#[tokio::test]
async fn a_number_belongs_to_one_instance_at_a_time() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let one = shared.serve(1).await;
    let second = shared.run(&["serve"], 1);
    let said = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains("another instance with number 1 is running"), "{said}");
    // Said before it waits, and for whom.
    let waits = said.lines().find(|line| line.contains("the number is taken; waiting"));
    assert!(waits.is_some_and(|line| line.contains("process ")), "{said}");
    let txid = one.pending().await;
    drop(one);
    let again = shared.serve(1).await;
    expect(&again.status(&txid).await, &[("STATUS", "PENDING")]);
    assert_ne!(again.pending().await, txid);
}

#[tokio::test]
async fn migrations_run_once_and_serve_wants_them_done() {
    let Some(shared) = Shared::start().await else { return };
    let known = gopay_store_postgres::PgStore::schema_version_known();
    let early = shared.run(&["serve"], 1);
    let said = String::from_utf8_lossy(&early.stderr);
    assert_eq!(early.status.code(), Some(3), "{said}");
    assert!(said.contains("the schema is version 0, this program knows version"), "{said}");
    assert!(said.contains("migrate"), "{said}");
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..4).map(|_| scope.spawn(|| shared.run(&["migrate"], 1))).collect();
        for one in all {
            let ended = one.join().expect("no panic");
            let said = String::from_utf8_lossy(&ended.stdout);
            assert!(ended.status.success(), "{ended:?}");
            assert!(said.ends_with(&format!("schema version {known}\n")), "{said}");
        }
    });
    // A later program was here.
    let one = shared.serve(1).await;
    let later = known + 1;
    shared.sql(&format!("INSERT INTO gopay_schema (version, at) VALUES ({later}, now())")).await;
    one.pending().await;
    for command in ["serve", "migrate"] {
        let late = shared.run(&[command], 2);
        let said = String::from_utf8_lossy(&late.stderr);
        assert_eq!(late.status.code(), Some(3), "{said}");
        let versions = format!("version {later}, this program knows version {known}");
        assert!(said.contains(&versions), "{said}");
    }
}

#[tokio::test]
async fn backup_names_the_tools_of_postgresql() {
    let Some(shared) = Shared::start().await else { return };
    let ended = shared.run(&["backup", "--out", "/nonexistent/copy"], 1);
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(said.contains("pg_dump") && said.contains("pg_basebackup"), "{said}");
}

/// A store grows on SQLite, moves to PostgreSQL, is used there, and moves back.
#[tokio::test]
async fn a_store_moves_between_the_engines_and_goes_on() {
    let Some(shared) = Shared::start().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let (first, back) = (file("first.db"), file("back.db"));
    let receiver = Receiver::start().await;

    let one = shared.serve_on(&first, 1).await;
    let paid = one.pending_for(&receiver.url()).await;
    let copy = |from: &str, to: &str| shared.run_plain(&["copy-store", "--from", from, "--to", to]);
    let busy = copy(&first, &shared.url);
    assert_eq!(busy.status.code(), Some(3), "{busy:?}");
    assert!(String::from_utf8_lossy(&busy.stderr).contains("is in use by process"), "{busy:?}");
    one.wallet(&paid, "pay", json!({})).await;
    one.until_status(&paid, "SUCCEEDED").await;
    expect(&one.refund(&paid, 300_000).await, &[("STATUS", "SUCCEEDED")]);
    let nonce = one.transaction(&[("nonce", "n-1"), ("notificationurl", &receiver.url())]).await;
    one.until_outbox_empty().await;
    let totals = one.totals().await;
    drop(one);

    let moved = copy(&first, &shared.url);
    let said = String::from_utf8_lossy(&moved.stdout);
    assert_eq!(moved.status.code(), Some(0), "{moved:?}");
    assert_eq!(said.matches(": same\n").count(), gopay_store::copy::TABLES.len(), "{said}");
    let again = copy(&first, &shared.url);
    assert_eq!(again.status.code(), Some(3), "{again:?}");
    assert!(
        String::from_utf8_lossy(&again.stderr).contains("the target is not empty"),
        "{again:?}"
    );

    let two = shared.serve(1).await;
    assert_eq!(two.totals().await, totals);
    let repeat = two.transaction(&[("nonce", "n-1"), ("notificationurl", &receiver.url())]).await;
    assert_eq!(repeat, nonce, "the stored answer came along");
    expect(&two.refund(&paid, 700_000).await, &[("STATUS", "SUCCEEDED")]);
    expect(&two.refund(&paid, 100).await, &[("STATUS", "FAILED")]);
    let txid = &nonce["TXID"];
    two.wallet(txid, "pay", json!({})).await;
    two.until_status(txid, "SUCCEEDED").await;
    two.until_outbox_empty().await;
    assert_eq!(receiver.seen_of(txid).len(), 1);
    let totals = two.totals().await;
    let busy = copy(&shared.url, &back);
    assert!(String::from_utf8_lossy(&busy.stderr).contains("stop every instance"), "{busy:?}");
    drop(two);

    shared.until_quiet().await;
    let returned = copy(&shared.url, &back);
    assert_eq!(returned.status.code(), Some(0), "{returned:?}");
    let three = shared.serve_on(&back, 1).await;
    assert_eq!(three.totals().await, totals);
    expect(&three.status(&paid).await, &[("STATUS", "SUCCEEDED")]);
}
