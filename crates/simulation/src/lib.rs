//! The whole system in one process, under a virtual clock and by one seed: several adapters on one
//! store, Midtrans, PSPs, shoppers and receivers act at the same time while everything goes wrong
//! that can, and in the end the books of all parties are compared.
//!
//! Real are the use cases and workers of [`gopay_service`], the wire formats, the rules of the
//! store, and the Midtrans of [`gopay_simulator`]. Not real are sockets, disks and waiting: the
//! clock leaps to the next thing that happens. What a disk or a database does to a crash is not
//! tried here but on the built program.
//!
//! A run is a function of its seed: [`run`] with the same seed does the same, to the byte.
//!
//! Reading order: [`run`], `plan` (what goes wrong how often), `world`, `process` (an adapter),
//! `crash` (it dies at any step), `faulty_store`, `exchange` and `wire` (what it is connected to),
//! `launch` (putting it together), `midtrans`, `receiver`, `psp`, `purchase` (who does what),
//! `fault_injection`, `audit` (what must hold).
#![allow(clippy::expect_used, reason = "what fails here is a bug of the simulation")]

mod audit;
mod chance;
mod crash;
mod exchange;
pub mod exhaustive;
mod fault_injection;
mod faulty_store;
mod launch;
mod leases;
mod midtrans;
mod parties;
mod people;
mod plan;
mod process;
mod psp;
mod purchase;
mod receiver;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use gopay_core::refund::RefundState;
use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::plan::Plan;
use crate::purchase::{Purchase, STEP};
use crate::world::World;

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// Of everything that happened, in order: equal for equal runs.
    pub digest: u64,
    /// What must not have happened.
    pub problems: Vec<String>,
    /// Everything that happened, if asked for.
    pub trace: Vec<String>,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// How much time passed in it.
    pub simulated: Duration,
}

/// Runs one seed; `traced` keeps a line for everything that happens.
///
/// # Panics
/// If the simulation itself is broken.
#[must_use]
pub fn run(seed: u64, traced: bool) -> Report {
    verify_passwords();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (world, simulated) = runtime.block_on(async {
        let mut chance = Chance::new(seed);
        let plan = Plan::draw(&mut chance);
        let engine = midtrans::engine(&plan, seed);
        let world = World::new(plan, chance, engine, launch::launch, traced);
        simulate(&world).await;
        let simulated = world.simulated();
        (world, simulated)
    });
    // Ends all tasks, those of dead processes too; a process and its world hold each other.
    drop(runtime);
    world.vacate();
    let (digest, trace, problems, counts) = world.take_log();
    Report { seed, digest, problems, trace, counts, simulated }
}

async fn simulate(world: &Arc<World>) {
    world.trace(format_args!("{:?}", world.plan));
    for slot in 0..world.plan.instances {
        // Clocks of different machines differ from the start.
        fault_injection::jump_clock(world, slot);
        launch::launch(world, slot);
    }
    tokio::spawn(midtrans::pump(Arc::clone(world)));
    tokio::spawn(fault_injection::run(Arc::clone(world)));
    tokio::spawn(people::lost_orders(Arc::clone(world)));
    let purchases = (0..world.plan.purchases).map(|number| Purchase::draw(world, number));
    let mut purchases = every(world, purchases.collect(), purchase::live).await;
    let leaps = world.chance(|chance| chance.between(1, 4));
    for _ in 0..leaps {
        let span = world.chance(|chance| chance.millis(600_000, 6 * 3_600_000));
        world.leap(span);
        tokio::time::sleep(STEP).await;
        purchases = every(world, purchases, purchase::come_again).await;
    }
    world.stop_faults();
    people::keep_doubtful(world);
    wait_until_quiet(world).await;
    people::decide(world).await;
    wait_until_quiet(world).await;
    let purchases = every(world, purchases, purchase::look_last).await;
    audit::audit(world, &purchases).await;
}

/// Lets time pass until nothing is open: a few days at most.
async fn wait_until_quiet(world: &Arc<World>) {
    const LEAP: Duration = Duration::from_secs(900);
    const LOOKED_INTO: Duration = Duration::from_secs(150);
    for _ in 0..400 {
        tokio::time::sleep(STEP).await;
        if audit::is_quiet(world).await {
            return;
        }
        // A refusal after an unclear try is looked into for two minutes, in which no other worker may
        // take the refund over: clocks that leap all the time would never let it end.
        if world.durable.refunds().iter().any(|refund| refund.state == RefundState::Unresolved) {
            tokio::time::sleep(LOOKED_INTO).await;
        }
        world.leap(LEAP);
    }
    world.problem("days after the last fault, something is still open".to_owned());
}

/// A part of each purchase, all at the same time.
async fn every<F: Future<Output = Purchase> + Send + 'static>(
    world: &Arc<World>,
    purchases: Vec<Purchase>,
    part: fn(Arc<World>, Purchase) -> F,
) -> Vec<Purchase> {
    let mut running = JoinSet::new();
    for purchase in purchases {
        running.spawn(part(Arc::clone(world), purchase));
    }
    let mut done = running.join_all().await;
    done.sort_by_key(|purchase| purchase.number);
    done
}

/// Passwords are verified once, in a runtime of its own: it is slow on purpose, and by a thread
/// whose timing no seed decides.
fn verify_passwords() {
    static DONE: std::sync::Once = std::sync::Once::new();
    DONE.call_once(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(async {
            let mut chance = Chance::new(0);
            let plan = Plan::peaceful(&mut chance);
            let engine = midtrans::engine(&plan, 0);
            let world = World::new(plan, chance, engine, launch::launch, false);
            launch::launch(&world, 0);
            for merchant in parties::MERCHANTS {
                let pairs = [("txid", "1")];
                let answer = psp::call(&world, &merchant, "GETTXSTATUS", &pairs).await;
                let answer = answer.expect("an answer in peace");
                assert_eq!(psp::field(&answer, "REQUESTFAILREASON"), "TX_NOT_FOUND", "{answer:?}");
            }
        });
    });
}
