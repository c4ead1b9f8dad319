//! What was under way when the process died is under way again as soon as it is back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopay_testkit::wait::look_again;
use tokio::net::TcpListener;

use crate::books::audit;
use crate::gate::Way;
use crate::kills::{tell, tick};
use crate::life::{Fate, GiveBack, RefundTry, live};
use crate::support::{body, decode};
use crate::time::have;
use crate::unavailable::life;
use crate::world::World;

/// Fewer than the tries that one receiver may have at once wait for nothing but their lease.
const TOLD: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_under_way_at_a_kill_is_done_within_two_seconds_of_the_next_start() {
    if !have("faketime") {
        return;
    }
    let world = World::new("").await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    // A receiver that takes notifications and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = silent.local_addr().expect("bound");
    let mut lives = Vec::new();
    for number in 0..TOLD {
        let mut one = life(number, Fate::Pays, GiveBack::Nothing);
        let port = address.port();
        one.call += &format!("&notificationurl=http%3A%2F%2F127.0.0.1%3A{port}%2Fnotify");
        lives.push(live(&world, one).await);
    }
    let taken = async || {
        let mut connections = Vec::new();
        for _ in 0..TOLD {
            connections.push(silent.accept().await.expect("a connection").0);
        }
        connections
    };
    let taken = tokio::time::timeout(Duration::from_secs(20), taken()).await.expect("all are told");
    // A refund whose answer never comes, too.
    world.gate.turn(Way::Hanging);
    let refund = body(
        "REFUND",
        &[
            ("txid", &lives[0].txid),
            ("currency", "IDR"),
            ("amount", "100000"),
            ("merchantrefundid", "R-cut"),
        ],
    );
    let calling = Arc::clone(&world);
    let cut = tokio::spawn(async move { calling.send(&refund).await });
    let unresolved = async || {
        let (_, totals) = world.admin("/admin/v1/totals").await;
        totals.contains("\"unresolved\":1")
    };
    world.eventually("the refund is under way", unresolved).await;
    world.program.kill();
    assert_eq!(cut.await.expect("it ends"), None);
    lives[0].refunds.push(RefundTry { reference: "R-cut".into(), sen: 100_000, answer: None });
    world.gate.turn(Way::Open);
    drop((taken, silent));
    let listener = TcpListener::bind(address).await.expect("the same address");
    world.receivers.receive_at(listener);

    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let ready = Instant::now();
    let refunded = || world.simulator.with_engine(|engine| engine.totals().refunds);
    while world.receivers.receipts().len() < lives.len() || refunded() == 0 {
        let told = world.receivers.receipts().len();
        assert!(ready.elapsed() < Duration::from_secs(2), "{told} told, {} refunded", refunded());
        look_again().await;
    }
    let ticking = tokio::spawn(tick(Arc::clone(&world)));
    let problems = audit(&world, &mut lives).await;
    ticking.abort();
    tell(&world, 0, &problems);
    let about =
        decode(&world.send(&body("GETTXSTATUS", &[("txid", &lives[0].txid)])).await.unwrap());
    assert_eq!(about["STATUS"], "SUCCEEDED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_was_under_way_at_a_kill_after_the_session_is_made_again_at_once() {
    /// The check is claimed within a second; so long it is under way at least.
    const UNDER_WAY: Duration = Duration::from_secs(3);
    if !have("faketime") {
        return;
    }
    let world = World::new("").await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let mut lives = Vec::new();
    for number in 0..3 {
        lives.push(live(&world, life(number, Fate::Abandons, GiveBack::Nothing)).await);
    }
    world.gate.turn(Way::Hanging);
    // The session of half an hour is over.
    world.time.advance(Duration::from_secs(30 * 60 + 10));
    tokio::time::sleep(UNDER_WAY).await;
    world.program.kill();
    world.gate.turn(Way::Open);

    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let ready = Instant::now();
    for life in &lives {
        loop {
            let about = world.send(&body("GETTXSTATUS", &[("txid", &life.txid)])).await;
            if about.is_some_and(|about| decode(&about)["STATUS"] == "FAILED") {
                break;
            }
            assert!(ready.elapsed() < Duration::from_secs(2), "{}", world.program.log());
            look_again().await;
        }
    }
    let log = world.program.log();
    assert!(log.contains("what was under way at the last end is due at once"), "{log}");
    let ticking = tokio::spawn(tick(Arc::clone(&world)));
    let problems = audit(&world, &mut lives).await;
    ticking.abort();
    tell(&world, 0, &problems);
}
