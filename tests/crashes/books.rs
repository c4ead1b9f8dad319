//! What must hold in the end, seen from outside: both sides' books, and each payment by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopay_simulator::TransactionView;
use gopay_testkit::wait::look_again;
use serde::Deserialize;

use crate::life::{AMOUNT_SEN, Life, about, look, repeat};
use crate::receivers::Receipt;
use crate::support::{Answer, decode};
use crate::world::World;

/// The adapter's sums.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Totals {
    pub(crate) payments: BTreeMap<String, u64>,
    pub(crate) succeeded_sen: u64,
    pub(crate) refunded_sen: u64,
    pub(crate) refunds: BTreeMap<String, u64>,
    pub(crate) deliveries: BTreeMap<String, u64>,
}

impl Totals {
    pub(crate) async fn read(world: &World) -> Option<Self> {
        let (status, text) = world.admin("/admin/v1/totals").await;
        (status == 200).then(|| serde_json::from_str(&text).expect("totals"))
    }

    fn unrest(&self) -> u64 {
        let of = |counts: &BTreeMap<String, u64>, word| counts.get(word).copied().unwrap_or(0);
        of(&self.payments, "initialized")
            + of(&self.payments, "pending")
            + of(&self.refunds, "unresolved")
            + of(&self.deliveries, "waiting")
    }
}

/// Spans after which everything that was begun has come due: leases and initialized payments
/// first, then sessions, then refunds and charges that are looked for ever more seldom.
const STEPS: [u64; 12] = [61, 31 * 60, 61, 61, 300, 900, 900, 3_600, 3_600, 7_200, 7_200, 7_200];

/// Longer than the workers sleep between two looks.
const STILL: Duration = Duration::from_millis(1_400);

/// Moves the clock on until nothing is owed to anybody; without help from anybody.
pub(crate) async fn drain(world: &World) -> Totals {
    let mut last = Totals::default();
    for step in STEPS {
        let mut since = Instant::now();
        while since.elapsed() < STILL {
            look_again().await;
            let Some(now) = Totals::read(world).await else { continue };
            if now.unrest() + open_charges(world) == 0 {
                return now;
            }
            if now != last {
                since = Instant::now();
            }
            last = now;
        }
        world.time.advance(Duration::from_secs(step));
    }
    last
}

/// Charges that somebody could still pay.
fn open_charges(world: &World) -> u64 {
    world.simulator.with_engine(|engine| {
        engine.tick(world.now());
        engine.totals().statuses.get("pending").copied().unwrap_or(0)
    })
}

/// Everything that is wrong, with the transaction that it is about.
pub(crate) async fn audit(world: &Arc<World>, lives: &mut [Life]) -> Vec<String> {
    let totals = drain(world).await;
    let held = world.simulator.with_engine(|engine| engine.transactions(0, usize::MAX));
    let mut problems = judge_books(&totals, lives, &held);
    let receipts = world.receivers.receipts();
    let mut by_order: BTreeMap<&str, Vec<&TransactionView>> = BTreeMap::new();
    for one in &held {
        by_order.entry(&one.order_id).or_default().push(one);
    }
    for life in lives {
        let seen = look(world, life).await;
        repeat(world, life).await;
        let none = Vec::new();
        let theirs = by_order.get(life.txid.as_str()).unwrap_or(&none);
        let told = receipts.get(&life.txid).map_or(&[][..], Vec::as_slice);
        let mut wrong = life.problems.clone();
        wrong.extend(judge_payment(life, &seen, theirs));
        wrong.extend(judge_refunds(world, life, theirs).await);
        wrong.extend(judge_notifications(life, told));
        problems.extend(wrong.into_iter().map(|text| format!("{}: {text}", life.txid)));
    }
    problems
}

fn judge_books(totals: &Totals, lives: &[Life], held: &[TransactionView]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut equal = |what: &str, ours: u64, theirs: u64| {
        if ours != theirs {
            problems.push(format!("{what}: {ours} here, {theirs} there; {totals:?}"));
        }
    };
    equal("things under way", totals.unrest(), 0);
    let open = held.iter().filter(|one| format!("{:?}", one.status) == "Pending").count();
    equal("charges left open", count(open), 0);
    equal("payments stored", totals.payments.values().sum(), count(lives.len()));
    let paid: u64 = held.iter().filter(|one| is_paid(one)).map(|one| one.gross_amount * 100).sum();
    equal("sen paid", totals.succeeded_sen, paid);
    let back: u64 = held.iter().map(|one| one.refunded * 100).sum();
    equal("sen refunded", totals.refunded_sen, back);
    let refunds = held.iter().map(|one| one.refunds.len()).sum();
    equal("refunds", totals.refunds.get("succeeded").copied().unwrap_or(0), count(refunds));
    equal("notifications given up", totals.deliveries.get("given_up").copied().unwrap_or(0), 0);
    let known = |one: &&TransactionView| lives.iter().any(|life| life.txid == one.order_id);
    equal(
        "charges of unknown payments",
        count(held.len()),
        count(held.iter().filter(known).count()),
    );
    problems
}

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("fits")
}

fn is_paid(held: &TransactionView) -> bool {
    held.settlement_time.is_some()
}

fn judge_payment(life: &Life, seen: &Answer, held: &[&TransactionView]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expect = |holds: bool, text: &str| {
        if !holds {
            problems.push(format!("{text}; {life:?}; {seen:?}; {held:?}"));
        }
    };
    let paid = held.iter().filter(|one| is_paid(one)).count();
    let status = seen["STATUS"].as_str();
    expect(matches!(status, "SUCCEEDED" | "FAILED"), "no final state");
    expect((status == "SUCCEEDED") == (paid == 1), "paid there and succeeded here differ");
    expect(held.len() <= 1, "charged more than once");
    expect(held.iter().all(|one| one.charges_of_order == 1), "the order was charged again");
    expect(held.iter().all(|one| one.gross_amount * 100 == AMOUNT_SEN), "another amount");
    expect(!life.was_pending() || held.len() == 1, "PENDING without a charge");
    let rank =
        |status: &String| ["PENDING", "FAILED", "SUCCEEDED"].iter().position(|s| s == status);
    expect(life.sightings.is_sorted_by_key(rank), "a state was taken back");
    problems
}

async fn judge_refunds(world: &World, life: &Life, held: &[&TransactionView]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ours: BTreeMap<String, u64> = BTreeMap::new();
    for one in &life.refunds {
        let last = about(world, &one.reference).await;
        let status = last["STATUS"].as_str();
        let found = last["REQUESTSTATUS"] == "SUCCEEDED";
        if found && status == "SUCCEEDED" {
            ours.insert(last["REFUNDID"].clone(), one.sen);
        }
        if let Some(word) = one.word()
            && (!found || word != status)
        {
            problems.push(format!("a word about a refund was taken back: {one:?}, {last:?}"));
        }
        let clear = found || last["REQUESTFAILREASON"] == "REFUND_NOT_FOUND";
        if !clear {
            problems.push(format!("a refund stays open: {one:?}, {last:?}"));
        }
    }
    let theirs: BTreeMap<String, u64> = held
        .iter()
        .flat_map(|one| &one.refunds)
        .map(|refund| (refund.refund_key.clone(), refund.amount * 100))
        .collect();
    let made = held.iter().map(|one| one.refunds.len()).sum::<usize>();
    if ours != theirs || made != theirs.len() {
        problems.push(format!("refunds differ: {ours:?} here, {theirs:?} there"));
    }
    if theirs.values().sum::<u64>() > AMOUNT_SEN {
        problems.push(format!("more went back than was paid: {theirs:?}"));
    }
    problems
}

fn judge_notifications(life: &Life, told: &[Receipt]) -> Vec<String> {
    let mut problems = Vec::new();
    if told.iter().any(|receipt| !receipt.genuine) {
        problems.push(format!("a notification without a genuine hash: {told:?}"));
    }
    let accepted: Vec<&str> = told
        .iter()
        .filter(|receipt| receipt.accepted)
        .map(|receipt| receipt.finaltimestamp.as_str())
        .collect();
    // A FAILED that was the answer itself is not told again.
    let answered = decode(&life.answer)["STATUS"] == "FAILED";
    let changes = life.sightings.iter().filter(|status| *status != "PENDING").count();
    let least = changes - usize::from(answered && changes > 0);
    let mut states = accepted.clone();
    states.dedup();
    if states.len() < least {
        problems.push(format!("{least} changes, but told {told:?}; {life:?}"));
    }
    if !states.is_sorted() {
        problems.push(format!("told in the wrong order: {told:?}"));
    }
    problems
}
