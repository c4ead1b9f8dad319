//! The audit of all books: what must hold in the end, whatever happened on the way.

use std::collections::{BTreeMap, BTreeSet};

use gopay_core::doubt::{Doubt, Standing};
use gopay_core::ids::TxId;
use gopay_core::payment::{Payment, PaymentState};
use gopay_core::refund::{Refund, RefundState};
use gopay_simulator::{Status, TransactionView};
use gopay_store::{Delivery, DeliveryState, Search as _};

use crate::psp::{Answer, Sighting, decode, field};
use crate::purchase::Purchase;
use crate::world::World;

/// Both sides of everything.
struct Books {
    payments: BTreeMap<String, Payment>,
    refunds: BTreeMap<String, Vec<Refund>>,
    /// Midtrans' transactions by order.
    held: BTreeMap<String, Vec<TransactionView>>,
}

impl Books {
    fn open(world: &World) -> Self {
        let payments = world.durable.payments();
        let payments = payments.into_iter().map(|one| (one.tx_id.to_string(), one)).collect();
        let mut refunds: BTreeMap<String, Vec<Refund>> = BTreeMap::new();
        for refund in world.durable.refunds() {
            refunds.entry(refund.tx_id.to_string()).or_default().push(refund);
        }
        let mut held: BTreeMap<String, Vec<TransactionView>> = BTreeMap::new();
        for one in world.engine(|engine, _| engine.transactions(0, usize::MAX)) {
            held.entry(one.order_id.clone()).or_default().push(one);
        }
        Self { payments, refunds, held }
    }

    fn held(&self, txid: &str) -> &[TransactionView] {
        self.held.get(txid).map_or(&[], Vec::as_slice)
    }
}

/// Nobody owes anybody anything, and both sides agree about what was paid.
pub(crate) async fn is_quiet(world: &World) -> bool {
    let queue = world.engine(|engine, now| {
        engine.tick(now);
        engine.notification_queue()
    });
    if queue.queued + queue.in_flight > 0 || !world.is_staffed() {
        return false;
    }
    let Ok(totals) = world.durable.totals().await else { return false };
    let of = |counts: &BTreeMap<String, u64>, word: &str| counts.get(word).copied().unwrap_or(0);
    let books = Books::open(world);
    let waits = books.payments.values().filter(|payment| {
        // Nobody has decided; what goes back is still to be done.
        payment.is_in_doubt() && payment.to_return().is_none() && !payment.state.is_final()
    });
    let waits = u64::try_from(waits.count()).unwrap_or(u64::MAX);
    let returning = books.payments.values().any(|payment| payment.to_return().is_some());
    let open = (of(&totals.payments, "initialized") + of(&totals.payments, "pending"))
        .saturating_sub(waits)
        + of(&totals.refunds, "unresolved")
        + of(&totals.deliveries, "waiting");
    let agreed = books.payments.iter().all(|(txid, payment)| {
        let paid = books.held(txid).iter().any(|one| one.status.is_paid());
        paid == (payment.state == PaymentState::Succeeded) || (paid && payment.doubt.is_some())
    });
    let payable = books.held.values().flatten().any(|one| one.status == Status::Pending);
    open == 0 && agreed && !payable && !returning
}

/// Finds all that is wrong and reports it to the world.
pub(crate) async fn audit(world: &World, purchases: &[Purchase]) {
    let books = Books::open(world);
    for (txid, payment) in &books.payments {
        audit_payment(world, &books, txid, payment);
        audit_refunds(world, &books, txid, payment);
        audit_notifications(world, txid, payment).await;
        audit_doubt(world, txid, payment).await;
    }
    for txid in books.held.keys().filter(|txid| !books.payments.contains_key(*txid)) {
        audit_lost_order(world, txid).await;
    }
    for txid in
        world.notified_transactions().iter().filter(|txid| !books.payments.contains_key(*txid))
    {
        world.problem(format!("{txid} was notified of, and the store knows nothing of it"));
    }
    for purchase in purchases {
        audit_purchase(world, &books, purchase);
    }
    audit_contracts(world, &books);
}

fn audit_payment(world: &World, books: &Books, txid: &str, payment: &Payment) {
    let held = books.held(txid);
    let paid: Vec<&TransactionView> = held.iter().filter(|one| one.status.is_paid()).collect();
    let expect = |holds: bool, what: &str| {
        if !holds {
            world.problem(format!("{txid} ({}): {what}", payment.state.as_str()));
        }
    };
    expect(payment.state.is_final() || payment.is_in_doubt(), "has no final state");
    let succeeded = payment.state == PaymentState::Succeeded;
    expect(
        succeeded != paid.is_empty() || (!paid.is_empty() && payment.doubt.is_some()),
        "GoPay has money that we neither call SUCCEEDED nor have in the list",
    );
    let returned = payment.doubt.as_ref().is_some_and(|doubt| doubt.standing == Standing::Returned);
    let gone = paid.iter().all(|one| one.refunded == one.gross_amount);
    expect(!returned || gone, "was said to have gone back, and has not");
    expect(!returned || !succeeded, "was given back and is said to have succeeded");
    expect(held.len() <= 1, "was charged more than once");
    expect(paid.len() <= 1, "was paid more than once");
    let amount = payment.amount.map(|amount| amount.sen().get());
    expect(
        held.iter().all(|one| Some(one.gross_amount * 100) == amount),
        "was charged with another amount",
    );
    expect(held.iter().all(|one| one.status != Status::Pending), "can still be paid");
}

fn audit_refunds(world: &World, books: &Books, txid: &str, payment: &Payment) {
    let none = Vec::new();
    let refunds = books.refunds.get(txid).unwrap_or(&none);
    let mut ours: BTreeMap<String, u64> = BTreeMap::new();
    let returned = payment.doubt.as_ref().is_some_and(Doubt::goes_back);
    for refund in refunds {
        let sen = refund.amount.map_or(0, |amount| amount.sen().get());
        match &refund.state {
            RefundState::Succeeded => {
                let key = refund.made_elsewhere.as_ref().and_then(|made| made.key.clone());
                ours.insert(key.unwrap_or_else(|| refund.refund_id.to_string()), sen);
            }
            RefundState::Failed(_) => {}
            RefundState::Unresolved => {
                world.problem(format!("refund {} of {txid} is not resolved", refund.refund_id));
            }
        }
    }
    let mut theirs: BTreeMap<String, u64> = BTreeMap::new();
    for refund in books.held(txid).iter().flat_map(|one| &one.refunds) {
        if theirs.insert(refund.refund_key.clone(), refund.amount * 100).is_some() {
            world.problem(format!("refund {} of {txid} was made twice", refund.refund_key));
        }
    }
    let all = theirs.clone();
    // Nobody may have told us of what was made in the dashboard; what a person sent back is no REFUND.
    theirs.retain(|key, _| ours.contains_key(key) || key.parse::<u64>().is_ok() && !returned);
    if ours != theirs {
        world.problem(format!("refunds of {txid} differ: ours {ours:?}, theirs {theirs:?}"));
    }
    let (sum, amount) = (all.values().sum::<u64>(), payment.amount.map(|one| one.sen().get()));
    if sum > amount.unwrap_or(0) {
        world.problem(format!("{sum} sen went back of {txid}, which was {amount:?}"));
    }
    let reserved = payment.refund_reserved.get();
    if reserved != ours.values().sum::<u64>() {
        world.problem(format!("{reserved} sen of {txid} are reserved for refunds {ours:?}"));
    }
}

/// Money that is in doubt is not told as unpaid, until a clear word of Midtrans or of a person.
async fn audit_doubt(world: &World, txid: &str, payment: &Payment) {
    let trail = world.durable.payment_trail(payment.tx_id).await.unwrap_or_default();
    let mut in_doubt = false;
    for line in trail.iter().filter(|line| line.kind == "state") {
        let word = |name: &str| line.detail.get(name).and_then(|value| value.as_str());
        let event = word("event").unwrap_or_default();
        let clear = event.starts_with("closed_")
            || event.starts_with("judged_")
            || ["paid", "still_open", "returned"].contains(&event);
        if in_doubt && word("to") == Some("failed") && word("verdict") == Some("moved") && !clear {
            world.problem(format!(
                "{txid} was told as unpaid by {event} while its money was in doubt"
            ));
        }
        in_doubt = event == "doubted" || (in_doubt && !clear);
    }
}

/// Money of which we were told, and that we took note of, is kept.
async fn audit_lost_order(world: &World, txid: &str) {
    let lost = txid.parse().ok().filter(|id: &TxId| id.shard() == 77);
    let Some(tx_id) = lost else {
        return world.problem(format!("{txid} was charged, and the store knows nothing of it"));
    };
    let kept = world.durable.order_get(tx_id).await.ok().flatten();
    if world.answered().contains(txid) && kept.is_none() {
        world.problem(format!("{txid} was notified of, and its money is forgotten"));
    }
}

async fn audit_notifications(world: &World, txid: &str, payment: &Payment) {
    let trail = world.durable.payment_trail(payment.tx_id).await.unwrap_or_default();
    // The answer to the call tells of its own failure; everything else is notified.
    let owed = trail.iter().filter(|line| {
        let word = |name: &str| line.detail.get(name).and_then(|value| value.as_str());
        line.kind == "state"
            && word("verdict") == Some("moved")
            && matches!(word("to"), Some("succeeded" | "failed"))
            && !matches!(word("event"), Some("charge_refused" | "charge_unclear"))
    });
    let owed = owed.count();
    let deliveries = world.durable.deliveries_of(payment.tx_id).await.unwrap_or_default();
    if deliveries.len() != owed {
        let count = deliveries.len();
        world.problem(format!("{txid} reached {owed} states to notify; {count} deliveries"));
    }
    let receipts = world.receipts(txid);
    let taken = |delivery: &Delivery| {
        let stamp = delivery.final_at.utc_seconds();
        receipts.iter().filter(move |one| same_time(&one.finaltimestamp, &stamp))
    };
    for delivery in &deliveries {
        if delivery.state != DeliveryState::Delivered {
            world.problem(format!("{txid} has a delivery that is {}", delivery.state.as_str()));
        }
        if !taken(delivery).any(|one| one.accepted) {
            world.problem(format!("{txid}: nobody took the notification of {}", delivery.final_at));
        }
    }
    for (earlier, later) in deliveries.iter().zip(deliveries.iter().skip(1)) {
        if earlier.final_at.utc_seconds() == later.final_at.utc_seconds() {
            continue;
        }
        let accepted = taken(earlier).filter(|one| one.accepted).map(|one| one.arrived).min();
        let arrived = taken(later).map(|one| one.arrived).min();
        if accepted.is_none() || arrived < accepted {
            world.problem(format!("{txid} was notified in the wrong order: {receipts:?}"));
        }
    }
}

/// To the second: the wire form may have more.
fn same_time(one: &str, other: &str) -> bool {
    one.get(..19) == other.get(..19)
}

fn audit_purchase(world: &World, books: &Books, purchase: &Purchase) {
    let reference = purchase.reference();
    let ours: Vec<&Payment> = books
        .payments
        .values()
        .filter(|one| one.merchant_tx_id.as_deref() == Some(&reference))
        .collect();
    let most = if purchase.nonce.is_some() { 1 } else { purchase.calls };
    if u64::try_from(ours.len()).is_ok_and(|count| count > most) {
        world.problem(format!(
            "{reference} was called {} times: {} payments",
            purchase.calls,
            ours.len()
        ));
    }
    let distinct: BTreeSet<&Vec<u8>> = purchase.answers.iter().collect();
    if distinct.len() > 1 {
        let shown: Vec<Answer> = distinct.iter().map(|text| decode(text)).collect();
        world.problem(format!("{reference} got different answers: {shown:?}"));
    }
    if let (Some(answer), Some(txid)) = (&purchase.opened, purchase.txid()) {
        audit_answer(world, books, purchase, answer, txid);
    }
    audit_refund_answers(world, books, purchase);
    if has_reversal(&purchase.sightings) {
        world.problem(format!("{reference}: a state was taken back: {:?}", purchase.sightings));
    }
}

fn audit_answer(world: &World, books: &Books, purchase: &Purchase, answer: &Answer, txid: &str) {
    let Some(payment) = books.payments.get(txid) else {
        return world.problem(format!("{txid} was answered, and the store knows nothing of it"));
    };
    if payment.contract != purchase.merchant.contract {
        world.problem(format!("{txid} is booked for {}", payment.contract));
    }
    let amount = payment.amount.map(|amount| amount.sen().get());
    if amount != Some(purchase.sen) {
        world.problem(format!("{txid} is booked with {amount:?} sen instead of {}", purchase.sen));
    }
    if field(answer, "STATUS") == "PENDING" && books.held(txid).is_empty() {
        world.problem(format!("{txid} was answered as pending, and was never charged"));
    }
    let last = purchase.sightings.last().map_or("", |last| last.status.as_str());
    let word = match payment.state {
        PaymentState::Succeeded => "SUCCEEDED",
        PaymentState::Failed(_) => "FAILED",
        PaymentState::Initialized | PaymentState::Pending => "PENDING",
    };
    if last != word {
        world.problem(format!("{txid} is {word}; GETTXSTATUS says {last}"));
    }
}

/// A clear word about a refund is never taken back, in either direction.
fn audit_refund_answers(world: &World, books: &Books, purchase: &Purchase) {
    let Some(txid) = purchase.txid() else { return };
    let theirs: BTreeSet<&str> = books
        .held(txid)
        .iter()
        .flat_map(|one| one.refunds.iter().map(|refund| refund.refund_key.as_str()))
        .collect();
    for one in &purchase.refunds {
        let Some(answer) = &one.answer else { continue };
        let id = field(answer, "REFUNDID");
        let booked = books.refunds.get(txid).into_iter().flatten();
        if booked
            .filter(|refund| refund.refund_id.to_string() == id)
            .any(|refund| refund.amount.is_some_and(|amount| amount.sen().get() != one.sen))
        {
            world.problem(format!("refund {id} of {txid} is booked with another amount"));
        }
        let open = field(answer, "ERRMSG").starts_with("Outcome not known yet");
        let made = theirs.contains(id);
        match field(answer, "STATUS") {
            "SUCCEEDED" if !made => {
                world.problem(format!("refund {id} of {txid} succeeded, and was not made"));
            }
            "FAILED" if made && !open => {
                world.problem(format!("refund {id} of {txid} failed, and was made: {answer:?}"));
            }
            _ => {}
        }
    }
}

/// SUCCEEDED is the end; FAILED may only become SUCCEEDED.
fn has_reversal(sightings: &[Sighting]) -> bool {
    let rank = |status: &str| match status {
        "PENDING" => 0,
        "FAILED" => 1,
        _ => 2,
    };
    sightings.iter().any(|later| {
        sightings.iter().any(|earlier| {
            earlier.answered < later.asked && rank(&earlier.status) > rank(&later.status)
        })
    })
}

/// What went back without our knowledge, and what came in that is not called SUCCEEDED, since a
/// person decides or has decided about it; in sen.
fn not_ours(books: &Books, txid: &str, payment: &Payment) -> (u64, u64) {
    let none = Vec::new();
    let known: BTreeSet<String> = books
        .refunds
        .get(txid)
        .unwrap_or(&none)
        .iter()
        .flat_map(|refund| {
            let key = refund.made_elsewhere.as_ref().and_then(|made| made.key.clone());
            [Some(refund.refund_id.to_string()), key].into_iter().flatten()
        })
        .collect();
    let held = books.held(txid);
    let unknown = held.iter().flat_map(|one| &one.refunds);
    let unknown = unknown.filter(|refund| !known.contains(&refund.refund_key));
    let doubtful = payment.doubt.is_some() && payment.state != PaymentState::Succeeded;
    let kept = held.iter().filter(|one| doubtful && one.status.is_paid());
    (unknown.map(|refund| refund.amount * 100).sum(), kept.map(|one| one.gross_amount * 100).sum())
}

/// For each contract, what came in and what went back is the same on both sides.
fn audit_contracts(world: &World, books: &Books) {
    let mut sums: BTreeMap<&str, [u64; 4]> = BTreeMap::new();
    for (txid, payment) in &books.payments {
        let [ours, theirs, ours_back, theirs_back] =
            sums.entry(payment.contract.as_str()).or_default();
        if payment.state == PaymentState::Succeeded {
            *ours += payment.amount.map_or(0, |amount| amount.sen().get());
        }
        for one in books.held(txid) {
            if one.status.is_paid() {
                *theirs += one.gross_amount * 100;
            }
            *theirs_back += one.refunded * 100;
        }
        let (unknown, kept) = not_ours(books, txid, payment);
        *theirs_back = theirs_back.saturating_sub(unknown);
        *theirs = theirs.saturating_sub(kept);
        for refund in books.refunds.get(txid).into_iter().flatten() {
            if refund.state == RefundState::Succeeded {
                *ours_back += refund.amount.map_or(0, |amount| amount.sen().get());
            }
        }
    }
    for (contract, [ours, theirs, ours_back, theirs_back]) in sums {
        if ours != theirs || ours_back != theirs_back {
            world.problem(format!(
                "{contract} does not balance: paid {ours} and {theirs} sen, back {ours_back} and {theirs_back}"
            ));
        }
    }
}
