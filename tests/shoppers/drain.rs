//! Time passes until nothing is owed to anybody any more.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::life::World;

/// The adapter's sums.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Totals {
    pub(crate) payments: BTreeMap<String, u64>,
    pub(crate) succeeded_sen: u64,
    pub(crate) refunded_sen: u64,
    pub(crate) refunds: BTreeMap<String, u64>,
    pub(crate) deliveries: BTreeMap<String, u64>,
}

/// The simulator's sums, in rupiah.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct AtMidtrans {
    pub(crate) transactions: u64,
    pub(crate) charged: u64,
    pub(crate) refunded: u64,
    pub(crate) refunds: u64,
    pub(crate) statuses: BTreeMap<String, u64>,
}

/// The simulator's notifications to the adapter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Queue {
    pub(crate) queued: u64,
    pub(crate) in_flight: u64,
    pub(crate) totals: BTreeMap<String, u64>,
}

/// Both sides at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) adapter: Totals,
    pub(crate) upstream: AtMidtrans,
    pub(crate) queue: Queue,
}

impl Books {
    pub(crate) async fn read(world: &World) -> Self {
        let demo = &world.demo;
        let adapter = serde_json::from_value(demo.totals().await).expect("totals");
        let upstream = demo.simulate("GET", "totals", Value::Null).await;
        let mut queue = demo.simulate("GET", "notifications?limit=0", Value::Null).await;
        Self {
            adapter,
            upstream: serde_json::from_value(upstream).expect("the simulator's totals"),
            queue: serde_json::from_value(queue["queue"].take()).expect("the queue"),
        }
    }

    fn waiting(&self) -> u64 {
        self.adapter.deliveries.get("waiting").copied().unwrap_or(0)
    }

    /// What is still under way, in words; empty if nothing is.
    pub(crate) fn unrest(&self) -> Vec<String> {
        let mut unrest = Vec::new();
        let mut note = |what: &str, count: u64| {
            if count > 0 {
                unrest.push(format!("{what}: {count}"));
            }
        };
        let of =
            |counts: &BTreeMap<String, u64>, word: &str| counts.get(word).copied().unwrap_or(0);
        note("payments initialized", of(&self.adapter.payments, "initialized"));
        note("payments pending", of(&self.adapter.payments, "pending"));
        note("refunds unresolved", of(&self.adapter.refunds, "unresolved"));
        note("deliveries waiting", self.waiting());
        note("charges open at the simulator", of(&self.upstream.statuses, "pending"));
        note("simulator's notifications queued", self.queue.queued);
        note("simulator's notifications in flight", self.queue.in_flight);
        let both = |ours: u64, theirs: u64| ours.abs_diff(theirs * 100);
        note("sen of difference, charges", both(self.adapter.succeeded_sen, self.upstream.charged));
        note("sen of difference, refunds", both(self.adapter.refunded_sen, self.upstream.refunded));
        unrest
    }
}

/// Waits until the books stand still for so many looks, or all is quiet.
pub(crate) async fn until_still(world: &World, still_wanted: u32) -> Books {
    let mut last = Books::read(world).await;
    let mut still = 0;
    for _ in 0..4_000 {
        if last.unrest().is_empty() {
            return last;
        }
        world.demo.run_due().await;
        // The simulator's own notifications come by its clock.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let now = Books::read(world).await;
        still = if now == last { still + 1 } else { 0 };
        last = now;
        if still >= still_wanted {
            break;
        }
    }
    last
}

/// In looks: longer than the simulator sleeps between two of its own.
const STILL: u32 = 3;

/// Moves the clock on, in steps in which retries, polls and the watch for late money come due,
/// until all is quiet. Less than six days in all, so that no key at Midtrans is forgotten.
pub(crate) async fn drain(world: &World) -> Books {
    let mut books = until_still(world, STILL).await;
    let steps = [("16m", 5), ("4h", 3), ("61m", 4), ("12h", 2), ("25h", 2)];
    let steps = steps.into_iter().flat_map(|(span, times)| std::iter::repeat_n(span, times));
    for (round, span) in steps.enumerate() {
        if books.unrest().is_empty() {
            return books;
        }
        world.demo.advance(span).await;
        world.count("clock: rounds of the drain");
        books = until_still(world, STILL).await;
        if world.dead_receivers && round == 4 {
            books = outlast_dead_receivers(world, books).await;
        }
    }
    books
}

/// Every retry takes a step of its own: 193 tries before a notification is given up, and the next
/// one of its payment begins only then.
async fn outlast_dead_receivers(world: &World, mut books: Books) -> Books {
    for _ in 0..430 {
        if books.waiting() == 0 {
            break;
        }
        world.demo.move_clock("16m").await;
        world.demo.run_due().await;
        world.count("clock: rounds for dead receivers");
        books = Books::read(world).await;
    }
    books
}

/// Lets adapter and simulator go a little faster than the wall clock until dropped.
pub(crate) struct Ticking(tokio::task::JoinHandle<()>);

impl Ticking {
    pub(crate) fn start(world: &World) -> Self {
        let (http, url) =
            (world.demo.http.clone(), format!("{}/simulator/v1/clock", world.demo.simulator));
        Self(tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(250)).await;
                // A missed tick is no fault.
                let _ = http.post(&url).json(&json!({"advance_ms": 500})).send().await;
            }
        }))
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.abort();
    }
}
