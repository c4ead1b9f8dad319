//! What must hold in the end, for all payments together and for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use serde::Deserialize;
use serde_json::Value;

use crate::drain::Books;
use crate::life::{Life, World, shown_call};
use crate::psp::{Behaviour, Receipt, Sighting};

/// A transaction in the simulator's books; amounts in rupiah.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Held {
    pub(crate) order_id: String,
    pub(crate) gross_amount: u64,
    pub(crate) status: String,
    pub(crate) refunded: u64,
    pub(crate) refunds: Vec<HeldRefund>,
    pub(crate) charges_of_order: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct HeldRefund {
    pub(crate) refund_key: String,
    pub(crate) amount: u64,
}

impl Held {
    fn is_paid(&self) -> bool {
        matches!(self.status.as_str(), "settlement" | "partial_refund" | "refund")
    }
}

/// A notification at the demo's own receiver.
#[derive(Clone, Debug, Deserialize)]
struct Shown {
    txid: String,
    finaltimestamp: String,
    genuine: bool,
    status: String,
}

/// What is wrong, with the transaction that it is about.
pub(crate) type Problems = Vec<(String, String)>;

/// All evidence.
pub(crate) struct Evidence {
    pub(crate) held: BTreeMap<String, Vec<Held>>,
    pub(crate) receipts: BTreeMap<String, Vec<Receipt>>,
    /// The demo's receiver forgets the oldest beyond a number.
    pub(crate) demo_complete: bool,
    /// The last word about each refund.
    pub(crate) refunds: BTreeMap<String, String>,
}

/// As many as the demo's receiver keeps.
const SHOWN_MAX: usize = 10_000;

impl Evidence {
    pub(crate) async fn gather(world: &Arc<World>, lives: &[Life]) -> (Self, Problems) {
        let mut problems = Problems::new();
        let mut all = world.demo.simulate("GET", "transactions?limit=100000", Value::Null).await;
        let all: Vec<Held> =
            serde_json::from_value(all["transactions"].take()).expect("transactions");
        let mut held: BTreeMap<String, Vec<Held>> = BTreeMap::new();
        for one in all {
            held.entry(one.order_id.clone()).or_default().push(one);
        }
        let mut receipts = world.psp.receipts();
        let url = format!("{}/psp/notifications.json", world.demo.simulator);
        let shown: Vec<Shown> =
            serde_json::from_str(&world.demo.get(&url).await.1).expect("notifications");
        let demo_complete = shown.len() < SHOWN_MAX;
        for (at, one) in (1..).zip(shown) {
            let status = one.status.clone();
            receipts.entry(one.txid).or_default().push(Receipt {
                finaltimestamp: one.finaltimestamp,
                genuine: one.genuine,
                accepted: one.genuine,
                arrived: at,
                answered: at,
                sighting: Some(Sighting { asked: at, answered: at, status }),
            });
        }
        let ids = lives.iter().flat_map(|life| {
            life.refunds.iter().map(|one| (life.txid.clone(), one.id().to_owned()))
        });
        let ids: Vec<(String, String)> = ids.filter(|(_, id)| id != "0").collect();
        let answers = stream::iter(ids).map(|(txid, id)| async move {
            let answer = world.call("GETREFUNDSTATUS", &[("refundid", &id)]).await;
            (txid, id, answer)
        });
        let mut refunds = BTreeMap::new();
        for (txid, id, answer) in answers.buffer_unordered(16).collect::<Vec<_>>().await {
            if answer["REQUESTSTATUS"] != "SUCCEEDED" || answer["REFUNDID"] != id {
                problems.push((txid, format!("refund {id} is not clear: {answer:?}")));
            }
            refunds.insert(id, answer["STATUS"].clone());
        }
        (Self { held, receipts, demo_complete, refunds }, problems)
    }
}

/// Both sides as a whole.
pub(crate) fn judge_books(books: &Books, lives: &[Life], evidence: &Evidence) -> Problems {
    let mut problems = Problems::new();
    let mut expect = |holds: bool, text: String| {
        if !holds {
            problems.push(("0".to_owned(), text));
        }
    };
    let unrest = books.unrest();
    expect(unrest.is_empty(), format!("not quiet: {unrest:?}"));
    let known: usize = lives.iter().map(|life| 1 + life.refused.len()).sum();
    let stored: u64 = books.adapter.payments.values().sum();
    expect(u64::try_from(known) == Ok(stored), format!("{known} calls, {stored} payments stored"));
    let succeeded: u64 =
        lives.iter().filter(|life| final_of(life) == "SUCCEEDED").map(|life| life.order.sen).sum();
    expect(
        succeeded == books.adapter.succeeded_sen,
        format!(
            "succeeded by status calls: {succeeded} sen, in the sums: {} sen",
            books.adapter.succeeded_sen
        ),
    );
    let refunded: u64 = lives
        .iter()
        .flat_map(|life| &life.refunds)
        .filter(|one| evidence.refunds.get(one.id()).is_some_and(|status| status == "SUCCEEDED"))
        .map(|one| one.sen)
        .sum();
    expect(
        refunded == books.adapter.refunded_sen,
        format!(
            "refunded by status calls: {refunded} sen, in the sums: {} sen",
            books.adapter.refunded_sen
        ),
    );
    let accepted = books.adapter.refunds.get("succeeded").copied().unwrap_or(0);
    expect(
        accepted == books.upstream.refunds,
        format!("{accepted} refunds here, {} there", books.upstream.refunds),
    );
    let given_up = books.adapter.deliveries.get("given_up").copied().unwrap_or(0);
    let hopeless = lives.iter().any(|life| life.behaviour == Some(Behaviour::Dead));
    expect(given_up == 0 || hopeless, format!("{given_up} notifications given up"));
    problems
}

/// The last status that was seen.
pub(crate) fn final_of(life: &Life) -> &str {
    let last = life.sightings.iter().max_by_key(|sighting| sighting.asked);
    last.map_or("", |sighting| sighting.status.as_str())
}

/// One payment.
pub(crate) fn judge(life: &Life, evidence: &Evidence) -> Problems {
    let mut problems: Vec<String> = life.problems.clone();
    let none = Vec::new();
    let held = evidence.held.get(&life.txid).unwrap_or(&none);
    let status = final_of(life);
    let mut expect = |holds: bool, text: &str| {
        if !holds {
            problems.push(text.to_owned());
        }
    };
    expect(matches!(status, "SUCCEEDED" | "FAILED"), "no final state");
    let paid: Vec<&Held> = held.iter().filter(|one| one.is_paid()).collect();
    expect(
        (status == "SUCCEEDED") != paid.is_empty(),
        "SUCCEEDED here and settled there are not the same",
    );
    expect(paid.len() <= 1, "paid twice");
    expect(held.len() <= 1, "charged more than once");
    expect(held.iter().all(|one| one.charges_of_order == 1), "the order was charged again");
    expect(
        held.iter().all(|one| one.gross_amount * 100 == life.order.sen),
        "another amount was charged",
    );
    if life.was_pending() {
        expect(held.len() == 1, "PENDING without a charge");
    }
    if life.late_since.is_some() {
        expect(status == "SUCCEEDED", "late money was not found");
    }
    problems.extend(judge_refunds(life, held, evidence));
    problems.extend(judge_sightings(life, evidence));
    problems.extend(judge_notifications(life, evidence));
    problems.into_iter().map(|text| (life.txid.clone(), text)).collect()
}

fn judge_refunds(life: &Life, held: &[Held], evidence: &Evidence) -> Vec<String> {
    let mut problems = Vec::new();
    let mut ours: BTreeMap<&str, u64> = BTreeMap::new();
    for one in &life.refunds {
        let last = evidence.refunds.get(one.id()).map_or("", String::as_str);
        if last == "SUCCEEDED" {
            ours.insert(one.id(), one.sen);
        }
        if !one.is_open() && one.answer["STATUS"] != last {
            problems.push(format!("a final word about a refund was taken back: {:?}", one.answer));
        }
    }
    let mut theirs: BTreeMap<&str, u64> = BTreeMap::new();
    for refund in held.iter().flat_map(|one| &one.refunds) {
        if theirs.insert(&refund.refund_key, refund.amount * 100).is_some() {
            problems.push(format!("refund {} was made twice", refund.refund_key));
        }
    }
    if ours != theirs {
        problems.push(format!("refunds differ: here {ours:?}, there {theirs:?}"));
    }
    let back: u64 = held.iter().map(|one| one.refunded * 100).sum();
    if back > life.order.sen || back != theirs.values().sum::<u64>() {
        problems.push(format!("{back} sen went back of {}", life.order.sen));
    }
    problems
}

/// What was seen at different moments must fit one life: SUCCEEDED is the end.
fn judge_sightings(life: &Life, evidence: &Evidence) -> Vec<String> {
    let mut problems = reversals(&life.sightings);
    // Moments of the two kinds of receivers are counted apart.
    let told: Vec<Sighting> = evidence
        .receipts
        .get(&life.txid)
        .into_iter()
        .flatten()
        .filter_map(|receipt| receipt.sighting.clone())
        .collect();
    if life.behaviour.is_some() {
        let both: Vec<Sighting> = life.sightings.iter().chain(&told).cloned().collect();
        problems.extend(reversals(&both));
    } else {
        problems.extend(reversals(&told));
    }
    if told.iter().any(|sighting| !matches!(sighting.status.as_str(), "SUCCEEDED" | "FAILED")) {
        problems.push("a notification came before the state that it is about".to_owned());
    }
    problems
}

fn reversals(sightings: &[Sighting]) -> Vec<String> {
    let rank = |status: &str| match status {
        "PENDING" => 0,
        "FAILED" => 1,
        _ => 2,
    };
    let back = sightings.iter().any(|later| {
        sightings.iter().any(|earlier| {
            earlier.answered < later.asked && rank(&earlier.status) > rank(&later.status)
        })
    });
    if back { vec![format!("a state was taken back: {sightings:?}")] } else { Vec::new() }
}

fn judge_notifications(life: &Life, evidence: &Evidence) -> Vec<String> {
    let mut problems = Vec::new();
    let none = Vec::new();
    let receipts = evidence.receipts.get(&life.txid).unwrap_or(&none);
    if receipts.iter().any(|receipt| !receipt.genuine) {
        problems.push(format!("a notification without a genuine hash: {receipts:?}"));
    }
    if !evidence.demo_complete && life.behaviour.is_none() {
        return problems;
    }
    let accepted: Vec<&Receipt> = receipts.iter().filter(|receipt| receipt.accepted).collect();
    let seen_failed = life.sightings.iter().any(|sighting| sighting.status == "FAILED");
    let status = final_of(life);
    // The answer to the call tells its own FAILED; everything after it is told.
    let least = match (life.was_pending(), status) {
        (true, "SUCCEEDED") if seen_failed => 2,
        (false, "FAILED") => 0,
        _ => 1,
    };
    let heard =
        if life.behaviour == Some(Behaviour::Dead) { receipts.len() } else { accepted.len() };
    if heard < least {
        problems.push(format!("told {heard} times, at least {least} expected: {receipts:?}"));
    }
    if life.behaviour == Some(Behaviour::Dead) && !receipts.is_empty() && heard % 193 != 0 {
        problems.push(format!("{heard} tries at a receiver that never answers well"));
    }
    // Oldest first: a later state is told only after the earlier one was taken.
    let mut states: Vec<&str> = receipts.iter().map(|one| one.finaltimestamp.as_str()).collect();
    states.sort_unstable();
    states.dedup();
    if states.len() > 2 {
        problems.push(format!("more states were told than there can be: {states:?}"));
    }
    for (earlier, later) in states.iter().zip(states.iter().skip(1)) {
        let first_of_later = receipts
            .iter()
            .filter(|one| one.finaltimestamp == **later)
            .map(|one| one.arrived)
            .min();
        let taken = accepted
            .iter()
            .filter(|one| one.finaltimestamp == **earlier)
            .map(|one| one.answered)
            .min();
        let in_order = life.behaviour == Some(Behaviour::Dead)
            || taken.is_some_and(|taken| first_of_later.is_some_and(|first| taken < first));
        if !in_order {
            problems.push(format!("told in the wrong order: {receipts:?}"));
        }
    }
    if let Some(since) = &life.late_since {
        let since = since.get(..19).unwrap_or_default();
        if states.last().is_none_or(|last| last.get(..19).unwrap_or_default() < since) {
            problems.push(format!("late money since {since} was not told: {states:?}"));
        }
    }
    problems
}

/// All that is known about a payment, for whoever has to find out why.
pub(crate) fn facts(world: &World, life: &Life, evidence: &Evidence, story: &str) -> String {
    format!(
        "--- TXID {}, shopper {} of seed {}, {:?}, {:?}, receiver {:?}\ncall: {}\nanswer: {:?}\nseen: {:?}\nrefunds: {:?}\nheld by the simulator: {:?}\nnotifications: {:?}\nstory:\n{story}",
        life.txid,
        life.number,
        world.seed,
        life.fate,
        life.give_back,
        life.behaviour,
        shown_call(life),
        life.opened,
        life.sightings,
        life.refunds,
        evidence.held.get(&life.txid),
        evidence.receipts.get(&life.txid),
    )
}
