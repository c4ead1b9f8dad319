//! SIGKILL at random moments under load.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::books::{Totals, audit};
use crate::life::{Life, live};
use crate::program::binary;
use crate::setting;
use crate::time::have;
use crate::world::World;
use gopay_testkit::Dice;

/// Payments under way at once.
pub(crate) const LANES: u64 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_a_file_survives_kills_at_random_moments() {
    if !have("faketime") {
        return;
    }
    survive(World::new("").await).await;
}

/// Kills the program `GOPAY_CRASHES` times while many payments are under way.
pub(crate) async fn survive(world: Arc<World>) {
    let kills = setting("GOPAY_CRASHES", 15);
    let seed = setting("GOPAY_SEED", 20_260_101);
    let next = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    world.programs().for_each(|program| program.start(&world.time));
    let lanes: Vec<_> = (0..LANES)
        .map(|_| tokio::spawn(lane(Arc::clone(&world), seed, Arc::clone(&next), Arc::clone(&over))))
        .collect();
    let ticking = tokio::spawn(tick(Arc::clone(&world)));
    let mut dice = Dice::new(seed);
    for _ in 0..kills {
        crash(&world, &mut dice).await;
    }
    over.store(true, Ordering::SeqCst);
    let mut lives = Vec::new();
    for lane in lanes {
        lives.extend(lane.await.expect("a lane ends well"));
    }
    ticking.abort();
    let problems = audit(&world, &mut lives).await;
    report(&world, kills, &lives).await;
    tell(&world, seed, &problems);
}

pub(crate) async fn lane(
    world: Arc<World>,
    seed: u64,
    next: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
) -> Vec<Life> {
    let mut lives = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        lives.push(live(&world, Life::draw(seed, number)).await);
    }
    lives
}

/// Time goes about ten times as fast as on the wall.
pub(crate) async fn tick(world: Arc<World>) {
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.time.advance(Duration::from_secs(1));
    }
}

async fn crash(world: &World, dice: &mut Dice) {
    let programs: Vec<_> = world.programs().collect();
    let program = dice.pick(&programs);
    if dice.chance(250) {
        // In the middle of its start.
        tokio::time::sleep(Duration::from_micros(dice.below(40_000))).await;
    } else {
        assert!(program.until_listening().await, "it ended: {}", program.log());
        tokio::time::sleep(Duration::from_micros(dice.between(1_000, 700_000))).await;
    }
    assert!(program.ended().is_none(), "it ended by itself: {}", program.log());
    program.kill();
    // How long nobody notices.
    let down = dice.weighted(&[(4, 0), (3, 5), (3, 61)]);
    world.time.advance(Duration::from_secs(down));
    program.start(&world.time);
}

/// One line for the table of `docs/RELIABILITY.md`.
async fn report(world: &World, kills: u64, lives: &[Life]) {
    let totals = Totals::read(world).await.unwrap_or_default();
    let upstream = world.simulator.with_engine(|engine| engine.totals());
    let receipts = world.receivers.receipts();
    let told: usize = receipts.values().map(Vec::len).sum();
    let engine = world.settings.engine.name();
    let instances = world.programs().count();
    println!(
        "{engine}, {instances} instances: {kills} kills; {} payments; here {:?}, {} sen, refunds {:?}, {} sen, \
         notifications {:?}; there {:?}, {} rupiah, {} refunds, {} rupiah; \
         {told} notifications came; {:?}",
        lives.len(),
        totals.payments,
        totals.succeeded_sen,
        totals.refunds,
        totals.refunded_sen,
        totals.deliveries,
        upstream.statuses,
        upstream.charged,
        upstream.refunds,
        upstream.refunded,
        world.counts(),
    );
}

/// Fails with the stories of the transactions that something is wrong with.
pub(crate) fn tell(world: &World, seed: u64, problems: &[String]) {
    if problems.is_empty() {
        return;
    }
    let mut text = format!("{} problems; GOPAY_SEED={seed}\n", problems.len());
    for problem in problems.iter().take(5) {
        let txid = problem.split(':').next().unwrap_or_default();
        let story = Command::new(binary())
            .args(["--log", "off", "explain", txid, "--config"])
            .arg(world.program.config())
            .output()
            .expect("explain runs");
        text += &format!("{problem}\n{}\n", String::from_utf8_lossy(&story.stdout));
    }
    let log = world.program.log();
    let from = log.len().saturating_sub(6_000);
    let tail = log.get(log.ceil_char_boundary(from)..).unwrap_or_default();
    panic!("{text}\nthe end of the log:\n{tail}");
}
