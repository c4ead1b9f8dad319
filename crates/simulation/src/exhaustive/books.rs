//! What must hold: at every moment, and when all has come to its end. See `docs/RELIABILITY.md`.

use futures::FutureExt as _;
use gopay_core::payment::{Payment, PaymentState};
use gopay_core::refund::RefundState;
use gopay_simulator::{RefundSource, Status, TransactionView};
use gopay_store::{DeliveryState, Search as _};

use super::cast::Call;
use super::stage::Stage;
use crate::psp;

/// What a PSP was answered.
pub(super) fn hear(stage: &Stage, call: Call, body: Vec<u8>) {
    let answer = psp::decode(&body);
    let said = psp::field(&answer, "STATUS").to_owned();
    let txid = psp::field(&answer, "TXID").to_owned();
    let refund = psp::field(&answer, "REFUNDID").to_owned();
    let payment = stage.payments().into_iter().find(|row| row.tx_id.to_string() == txid);
    let mut inner = stage.inner();
    match call {
        Call::Transaction { nonce } => {
            let fault = psp::field(&answer, "FAILREASON") == "LOCAL_ERROR";
            let opening = said == "PENDING" && !answer.contains_key("REDIRECTURL");
            // Those two say that the call may be repeated; all others are the answer.
            if !fault && !opening {
                inner.heard.answers.entry(nonce).or_default().insert(body);
            }
            if said == "PENDING" && payment.is_none() {
                inner.problem(format!("{txid} is answered as pending, and the store has none"));
            }
        }
        Call::Cancel => {}
        Call::Refund { .. } => {
            let charges = inner.charges();
            let mut made = charges.iter().flat_map(|charge| &charge.refunds);
            if said == "SUCCEEDED" && !made.any(|back| back.refund_key == refund) {
                inner.problem(format!("refund {refund} is said to have succeeded, and has not"));
            }
        }
    }
    for (nonce, answers) in inner.heard.answers.clone() {
        if answers.len() > 1 {
            inner.problem(format!("one call, different answers: nonce {nonce}"));
        }
    }
}

/// What must hold at every moment.
pub(super) fn look(stage: &Stage) {
    let payments = stage.payments();
    let refunds = stage.durable.refunds();
    let mut inner = stage.inner();
    let charges = inner.charges();
    for charge in &charges {
        let order = &charge.order_id;
        if !payments.iter().any(|row| row.tx_id.to_string() == *order) {
            inner.problem(format!("{order} is charged, and the store knows nothing of it"));
        }
        if charge.charges_of_order > 1 {
            inner.problem(format!("{order} is charged twice"));
        }
    }
    let nonces: Vec<_> =
        payments.iter().filter_map(|row| row.nonce.as_ref().map(|nonce| &nonce.value)).collect();
    if nonces.iter().any(|nonce| nonces.iter().filter(|other| other == &nonce).count() > 1) {
        inner.problem("one nonce, two payments".to_owned());
    }
    for payment in &payments {
        let charge = charge_of(&charges, payment);
        let seen = inner.heard.states.entry(payment.tx_id).or_default();
        let (before, now) = (seen.last().copied(), payment.state.as_str());
        if before != Some(now) {
            seen.push(now);
        }
        let judged = inner.heard.judged.contains_key(&payment.tx_id) || payment.doubt.is_some();
        let paid = charge.is_some_and(|charge| charge.status.is_paid());
        if payment.state == PaymentState::Succeeded && !paid && !judged {
            inner.problem("SUCCEEDED without money".to_owned());
        }
        let legal = matches!(
            (before, now),
            (None, "initialized" | "failed")
                | (Some("initialized"), "pending" | "failed" | "succeeded")
                | (Some("pending"), "failed" | "succeeded")
                | (Some("failed"), "succeeded")
        );
        if before != Some(now) && !legal {
            inner.problem(format!("a state taken back: {before:?} to {now}"));
        }
        let own = refunds.iter().filter(|row| row.tx_id == payment.tx_id);
        let taken: u64 = own
            .filter(|row| !matches!(row.state, RefundState::Failed(_)))
            .filter_map(|row| row.amount)
            .map(|amount| amount.sen().get())
            .sum();
        if taken != payment.refund_reserved.get() {
            inner.problem("reservations and refunds differ".to_owned());
        }
        // Midtrans refuses what is too much; what goes past us may make ours too much later.
        let past_us = charge.is_some_and(|charge| {
            charge.refunds.iter().any(|back| back.source == RefundSource::Dashboard)
        });
        if !past_us && payment.amount.is_some_and(|amount| taken > amount.sen().get()) {
            inner.problem("more is refunded than was paid".to_owned());
        }
    }
}

fn charge_of<'a>(charges: &'a [TransactionView], payment: &Payment) -> Option<&'a TransactionView> {
    charges.iter().find(|charge| charge.order_id == payment.tx_id.to_string())
}

/// What must hold when nothing is under way, open or planned any more.
pub(super) fn compare(stage: &Stage) {
    let (payments, refunds, deliveries) =
        (stage.payments(), stage.durable.refunds(), stage.deliveries());
    let mut inner = stage.inner();
    let charges = inner.charges();
    for payment in &payments {
        let charge = charge_of(&charges, payment);
        let paid = charge.is_some_and(|charge| charge.status.is_paid());
        let judged = inner.heard.judged.contains_key(&payment.tx_id);
        let succeeded = payment.state == PaymentState::Succeeded;
        if !payment.state.is_final() {
            inner.problem("something stays open: a payment".to_owned());
        }
        if paid != succeeded && !judged {
            inner.problem("something stays open: money without success".to_owned());
        }
        if charge.is_some_and(|charge| charge.status == Status::Pending) {
            inner.problem("something stays open: a charge that can be paid".to_owned());
        }
        let heard = inner.heard.taken.get(&payment.tx_id.to_string()).cloned().unwrap_or_default();
        let owed = owed(stage, payment);
        let own = deliveries.iter().filter(|row| row.tx_id == payment.tx_id);
        if own.count() != owed.iter().filter(|owed| **owed).count() {
            inner.problem("more states than deliveries".to_owned());
        }
        let last = payment.final_at.map(|at| at.utc_seconds());
        if owed.last() == Some(&true) && heard.last().cloned() != last {
            inner.problem(format!("the PSP was not told of the last state: {last:?} of {heard:?}"));
        }
    }
    if deliveries.iter().any(|row| row.state != DeliveryState::Delivered) {
        inner.problem("a delivery is not delivered".to_owned());
    }
    for refund in &refunds {
        if refund.state == RefundState::Unresolved {
            inner.problem("something stays open: a refund".to_owned());
        }
    }
    let ours = |view: &TransactionView| {
        let made = view.refunds.iter().filter(|back| back.source == RefundSource::Api);
        made.map(|back| (back.refund_key.clone(), back.amount * 100)).collect::<Vec<_>>()
    };
    let mut there: Vec<_> = charges.iter().flat_map(ours).collect();
    // What a person sent back has the number of its payment.
    there.retain(|(key, _)| !payments.iter().any(|row| row.tx_id.to_string() == *key));
    let mut here: Vec<_> = refunds
        .iter()
        .filter(|row| row.state == RefundState::Succeeded && row.made_elsewhere.is_none())
        .filter_map(|row| Some((row.refund_id.to_string(), row.amount?.sen().get())))
        .collect();
    there.sort();
    here.sort();
    if there != here {
        inner.problem(format!("refunds differ: {there:?} at Midtrans, {here:?} here"));
    }
}

/// Of each final state that a payment entered, whether the PSP must be notified; it reads the others
/// in the answer to its call.
fn owed(stage: &Stage, payment: &Payment) -> Vec<bool> {
    let trail = stage.durable.payment_trail(payment.tx_id).now_or_never();
    let trail = trail.and_then(Result::ok).unwrap_or_default();
    let word = |line: &gopay_store::EventRecord, name: &str| {
        line.detail.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let moves = trail.iter().filter(|line| line.kind == "state");
    let ends = moves.filter(|line| {
        word(line, "from") != word(line, "to")
            && ["failed", "succeeded"].contains(&word(line, "to").as_str())
    });
    ends.map(|line| !["charge_refused", "charge_unclear"].contains(&word(line, "event").as_str()))
        .collect()
}
