//! What every engine does the same way: the steps between reading a row and writing it back.
//!
//! Pure, like the rules that they call. An engine reads, asks here, and writes what it is told.

use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::{self, Entry};
use gopay_core::money::Rupiah;
use gopay_core::payment::{Effect, Event, Payment, PaymentState};
use gopay_core::refund::{Refund, RefundOutcome, RefundState, SeenBack};
use gopay_core::time::Timestamp;
use serde_json::{Value, json};

use crate::{Applied, AttemptOutcome, Delivery, DeliveryState, Lookup, StoreError};

/// The kind of the record of a payment's change of state.
pub const KIND_STATE: &str = "state";
/// The kind of the record of a refund's change of state, in the trail of its payment.
pub const KIND_REFUND: &str = "refund";
/// The kind of the record of one try of a delivery.
pub const KIND_ATTEMPT: &str = "delivery_attempt";

/// How long a due row that does not parse is put off: it is claimed again after a person had the
/// time to mend it, and the log says it once an hour until then.
pub const CORRUPT_PUT_OFF: Duration = Duration::from_secs(3600);

/// No call is under way for longer: the worker looks after a minute, and this is more.
pub const UNDER_WAY_MAX: Duration = Duration::from_secs(120);

/// What a look-up of at most two rows found.
#[must_use]
pub fn found<T>(mut rows: Vec<T>) -> Lookup<T> {
    match (rows.pop(), rows.pop()) {
        (None, _) => Lookup::None,
        (Some(one), None) => Lookup::One(one),
        (Some(_), Some(_)) => Lookup::Many,
    }
}

/// The form in which a PSP's references are compared: lower case, without regard to context.
///
/// Sigma has two small forms, of which [`str::to_lowercase`] picks one by position; here both are
/// one, so that a reference and its upper-case form always meet.
///
/// ```
/// use gopay_store::engine::case_key;
/// assert_eq!(case_key("ORDER-ÄΣ"), case_key("order-äς"));
/// ```
#[must_use]
pub fn case_key(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).map(|c| if c == 'ς' { 'σ' } else { c }).collect()
}

/// What [`crate::Store::payment_apply`] has to write.
#[derive(Clone, Debug)]
pub struct Application {
    /// What to return, and the payment to write if `record` is there.
    pub applied: Applied,
    /// The detail of the [`KIND_STATE`] record; none if the event changed nothing.
    pub record: Option<Value>,
    /// The delivery to add, if one is owed.
    pub delivery: Option<OwedDelivery>,
    /// What to add to the journal.
    pub entry: Option<Entry>,
}

/// A delivery to be added, due at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedDelivery {
    /// The payment.
    pub tx_id: TxId,
    /// The login of the PSP.
    pub psp: String,
    /// Where to.
    pub url: String,
    /// When the final state was reached.
    pub final_at: Timestamp,
}

/// Applies an event to a payment as it is stored.
#[must_use]
pub fn payment_apply(
    stored: Payment,
    event: &Event,
    answer: Option<&[u8]>,
    now: Timestamp,
) -> Application {
    let before = stored.state.clone();
    let step = stored.on(event, now);
    let effect = step.effect;
    if matches!(effect, Effect::Same | Effect::Refused) {
        let applied = Applied { payment: stored, before, effect, delivery_owed: false };
        return Application { applied, record: None, delivery: None, entry: None };
    }
    let mut payment = step.payment;
    if let (Effect::Moved, Some(answer)) = (effect, answer) {
        payment.store_answer_once(answer);
    }
    let owed = step.delivery_owed.then(|| payment.notification_url.clone()).flatten();
    let delivery = owed.map(|url| OwedDelivery {
        tx_id: payment.tx_id,
        psp: payment.psp.clone(),
        url,
        final_at: payment.final_at.unwrap_or(now),
    });
    let record = Some(state_detail(&before, event, effect, &payment));
    let entry = journal::payment_moved(&before, &payment, now);
    let delivery_owed = delivery.is_some();
    let applied = Applied { payment, before, effect, delivery_owed };
    Application { applied, record, delivery, entry }
}

fn state_detail(before: &PaymentState, event: &Event, effect: Effect, after: &Payment) -> Value {
    let mut detail = json!({
        "from": before.as_str(),
        "to": after.state.as_str(),
        "event": event.word(),
        "verdict": effect_word(effect),
    });
    if let (Some(failure), Some(members)) = (after.state.failure(), detail.as_object_mut()) {
        members.insert("reason".to_owned(), json!(failure.reason.as_str()));
    }
    detail
}

const fn effect_word(effect: Effect) -> &'static str {
    match effect {
        Effect::Moved => "moved",
        Effect::Noted => "noted",
        Effect::Same => "same",
        Effect::Refused => "refused",
    }
}

/// The detail of the [`KIND_REFUND`] record of a refund that has just come to its state.
#[must_use]
pub fn refund_detail(refund: &Refund) -> Value {
    let mut detail =
        json!({ "refund_id": refund.refund_id.to_string(), "to": refund.state.as_str() });
    if let Some(members) = detail.as_object_mut() {
        if let Some(amount) = refund.amount {
            members.insert("amount_sen".to_owned(), json!(amount.sen()));
        }
        if let Some(made) = &refund.made_elsewhere {
            members.insert("made_elsewhere".to_owned(), json!(made.how));
        }
        if let RefundState::Failed(failure) = &refund.state {
            members.insert("reason".to_owned(), json!(failure.reason.as_str()));
        }
    }
    detail
}

/// What [`crate::Store::refund_record_elsewhere`] has to write; nothing if `refunds` is empty.
#[derive(Clone, Debug)]
pub struct FoundElsewhere {
    /// The payment, which counts them.
    pub payment: Payment,
    /// Those that are new.
    pub refunds: Vec<Refund>,
    /// The details of their [`KIND_REFUND`] records.
    pub records: Vec<Value>,
    /// What to add to the journal.
    pub entries: Vec<Entry>,
}

/// Finds what went back without us in what Midtrans says.
#[must_use]
pub fn refunds_elsewhere(
    stored: &Payment,
    known: &[Refund],
    seen: &SeenBack,
    ids: &[RefundId],
    now: Timestamp,
) -> FoundElsewhere {
    let (payment, refunds) = stored.refunded_elsewhere(known, seen, ids, now);
    let records = refunds.iter().map(refund_detail).collect();
    let entries = refunds.iter().filter_map(|refund| journal::refund_found(refund, now)).collect();
    FoundElsewhere { payment, refunds, records, entries }
}

/// What [`crate::Store::refund_record_refused`] stores of a refund.
///
/// # Errors
/// [`StoreError::Invalid`] if the refund has not failed: nothing would be reserved for it.
pub fn refund_refused_early(refund: &Refund, now: Timestamp) -> Result<Refund, StoreError> {
    if !matches!(refund.state, RefundState::Failed(_)) {
        let why = "only a failed refund can be stored without a reservation";
        return Err(StoreError::Invalid { table: "refunds", column: "state", why });
    }
    let resolved_at = Some(refund.resolved_at.unwrap_or(now));
    Ok(Refund { resolved_at, next_check_at: None, ..refund.clone() })
}

/// What [`crate::Store::refund_resolve`] has to write.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// What to return, and to write if `changed`.
    pub refund: Refund,
    /// Whether anything about it changed.
    pub changed: bool,
    /// The detail of the [`KIND_REFUND`] record; none if its state is the same.
    pub record: Option<Value>,
    /// What its payment gets back of its reservation.
    pub given_back: Option<Rupiah>,
    /// What to add to the journal.
    pub entries: Vec<Entry>,
}

/// Applies an outcome to a refund as it is stored.
///
/// # Errors
/// [`StoreError::Corrupt`] if it fails and has no amount to give back, which only a call that was
/// refused early may.
pub fn refund_resolve(
    stored: Refund,
    outcome: RefundOutcome,
    now: Timestamp,
) -> Result<Resolution, StoreError> {
    let Some(refund) = stored.resolve(outcome, now) else {
        let entries = Vec::new();
        let (record, given_back) = (None, None);
        return Ok(Resolution { refund: stored, changed: false, record, given_back, entries });
    };
    let entries = journal::refund_moved(&stored, &refund, now);
    let moved = refund.state != stored.state;
    let failed = matches!(refund.state, RefundState::Failed(_));
    let amount = refund.amount.ok_or_else(|| StoreError::Corrupt {
        table: "refunds",
        column: "amount_sen",
        row: refund.refund_id.to_string(),
    });
    let given_back = (moved && failed).then_some(amount).transpose()?;
    let record = moved.then(|| refund_detail(&refund));
    Ok(Resolution { refund, changed: true, record, given_back, entries })
}

impl DeliveryState {
    /// The value of a stable word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Delivered, Self::GivenUp]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

impl Delivery {
    /// This stored delivery after a try of it, which began with the claim `claimed`, ended.
    ///
    /// A worker may report after its lease was over, when another worker or an operator has set
    /// another time: then its try counts, but only a confirmation still moves the delivery. A
    /// confirmed delivery is never tried again because a slower try of it failed.
    #[must_use]
    pub fn after(&self, claimed: &Self, outcome: &AttemptOutcome) -> Self {
        let mut next = self.clone();
        let lease_holds =
            self.state == DeliveryState::Waiting && self.next_attempt_at == claimed.next_attempt_at;
        match outcome {
            AttemptOutcome::Delivered => next.state = DeliveryState::Delivered,
            AttemptOutcome::Retry(at) | AttemptOutcome::Postpone(at) if lease_holds => {
                next.next_attempt_at = *at;
            }
            AttemptOutcome::GiveUp if lease_holds => next.state = DeliveryState::GivenUp,
            AttemptOutcome::Retry(_) | AttemptOutcome::Postpone(_) | AttemptOutcome::GiveUp => {}
        }
        if outcome.counts() {
            next.attempts = self.attempts.saturating_add(1);
        }
        next
    }
}

impl AttemptOutcome {
    /// Whether there was a try at all, to be counted and recorded.
    #[must_use]
    pub const fn counts(&self) -> bool {
        match self {
            Self::Delivered | Self::Retry(_) | Self::GiveUp => true,
            Self::Postpone(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_meet_whatever_their_case() {
        for (one, other, same) in [
            ("order-1", "ORDER-1", true),
            ("order-1", "order-2", false),
            ("Ünïcode-É", "ÜNÏCODE-é", true),
            ("ΟΔΟΣ", "οδος", true),
            ("ΟΔΟΣ", "οδοσ", true),
            ("é", "e", false),
            ("", "", true),
        ] {
            assert_eq!(case_key(one) == case_key(other), same, "{one:?} and {other:?}");
        }
    }

    #[test]
    fn a_try_that_outlived_its_lease_only_confirms() {
        use AttemptOutcome as O;
        use DeliveryState as S;
        let time = Timestamp::from_micros;
        let claimed = Delivery {
            delivery_id: 1,
            tx_id: TxId::new(1).unwrap(),
            psp: "psp".into(),
            url: "https://psp.example/n".into(),
            final_at: time(0),
            attempts: 4,
            next_attempt_at: time(10),
            state: S::Waiting,
        };
        let retaken = Delivery { next_attempt_at: time(20), ..claimed.clone() };
        let done = Delivery { state: S::Delivered, ..claimed.clone() };
        let given_up = Delivery { state: S::GivenUp, ..claimed.clone() };
        for (stored, outcome, state, at, attempts) in [
            (&claimed, O::Delivered, S::Delivered, 10, 5),
            (&claimed, O::Retry(time(99)), S::Waiting, 99, 5),
            (&claimed, O::GiveUp, S::GivenUp, 10, 5),
            (&claimed, O::Postpone(time(99)), S::Waiting, 99, 4),
            (&retaken, O::Delivered, S::Delivered, 20, 5),
            (&retaken, O::Retry(time(99)), S::Waiting, 20, 5),
            (&retaken, O::GiveUp, S::Waiting, 20, 5),
            (&retaken, O::Postpone(time(99)), S::Waiting, 20, 4),
            (&done, O::Retry(time(99)), S::Delivered, 10, 5),
            (&done, O::GiveUp, S::Delivered, 10, 5),
            (&given_up, O::Delivered, S::Delivered, 10, 5),
            (&given_up, O::Postpone(time(99)), S::GivenUp, 10, 4),
        ] {
            let after = stored.after(&claimed, &outcome);
            let case = format!("{outcome:?} on {stored:?}");
            assert_eq!(after.state, state, "{case}");
            assert_eq!(after.next_attempt_at, time(at), "{case}");
            assert_eq!(after.attempts, attempts, "{case}");
        }
    }
}
