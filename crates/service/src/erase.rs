//! Erasing what is kept of the persons of one payment. What money, books and disputes need stays:
//! ids, references, amounts, states, times.
//!
//! The same for the process that serves and for the command beside it, so the store is an argument.

use std::time::Duration;

use gopay_core::doubt::Doubt;
use gopay_core::ids::TxId;
use gopay_core::payment::{Payment, PaymentState};
use gopay_core::ppro::field::Field;
use gopay_core::refund::RefundState;
use gopay_core::time::Timestamp;
use gopay_store::engine::{KIND_REFUND, KIND_STATE};
use gopay_store::sealing::{erased_detail, unguessable};
use gopay_store::{
    Database, DeliveryState, Erasure, EventRecord, KeyChange, Personal, PersonalRecord, StoreError,
};
use serde_json::Value;

use crate::attention::{Decision, is_shown};

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// A text is not one.
    #[error("{field}: must be printable text of 1 to {chars_max} characters")]
    Text {
        /// Which.
        field: &'static str,
        /// The longest.
        chars_max: usize,
    },
    /// The store has no such payment.
    #[error("the store has no payment {0}")]
    Unknown(TxId),
    /// It was done before.
    #[error("erased before, on {} by {}", .0.at, .0.by)]
    Already(Box<Erasure>),
    /// Its data is needed.
    #[error("{tx_id} is not erased: {needed}")]
    Needed {
        /// The payment.
        tx_id: TxId,
        /// What for.
        needed: Needed,
    },
    /// Its call and trail left the store in plain text.
    #[error(
        "{tx_id} is not erased: its call and trail are in archive {archive} in plain text; give the \
         archive back first, or delete its files"
    )]
    Archived {
        /// The payment.
        tx_id: TxId,
        /// The number of the archive.
        archive: i64,
    },
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What personal data of a payment is still needed for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Needed {
    /// It can still be paid.
    #[error("it is {0}; its session ends at {1}")]
    Open(&'static str, Timestamp),
    /// A person must decide about its money.
    #[error("money that does not fit it is not decided about; see `attention`")]
    Doubt,
    /// Money may still come.
    #[error("Midtrans is still asked whether money came late, next at {0}")]
    LateMoney(Timestamp),
    /// It can still be refunded.
    #[error("it can be refunded until {0}")]
    Refundable(Timestamp),
    /// A refund is open.
    #[error("the outcome of its refund {0} is open")]
    Refund(String),
    /// The PSP is still to be told.
    #[error("its PSP has not confirmed a notification")]
    Delivery,
}

/// Erases the personal data of a payment, and records by whom and why; `window` is how long after its
/// success a payment can be refunded.
///
/// # Errors
/// [`EraseError`]; nothing has changed then.
pub async fn erase(
    store: &dyn Database,
    erasure: &Erasure,
    window: Duration,
) -> Result<(), EraseError> {
    /// A late record of the trail may come between reading and writing.
    const TRIES: usize = 3;
    for (field, text, chars_max) in [
        ("reason", &erasure.reason, Decision::REASON_CHARS_MAX),
        ("by", &erasure.by, Decision::NAME_CHARS_MAX),
    ] {
        if !is_shown(text, chars_max) {
            return Err(EraseError::Text { field, chars_max });
        }
    }
    let tx_id = erasure.tx_id;
    if let Some(before) = store.erasure_get(tx_id).await? {
        return Err(EraseError::Already(Box::new(before)));
    }
    let payment = store.payment_get(tx_id).await?.ok_or(EraseError::Unknown(tx_id))?;
    if let Some(needed) = needed(store, &payment, window, erasure.at).await? {
        return Err(EraseError::Needed { tx_id, needed });
    }
    if let Some(archive) = store.archive_of(tx_id).await?
        && store.data_key(tx_id).await?.is_none()
    {
        return Err(EraseError::Archived { tx_id, archive });
    }
    for _ in 0..TRIES {
        let trail = store.payment_trail(tx_id).await?;
        let call = store.payment_request(tx_id).await?;
        let call = if payment.refused_at_once() { Value::Null } else { kept_call(&call) };
        let from = store.personal_get(tx_id).await?.ok_or(EraseError::Unknown(tx_id))?;
        let to = emptied(&from, &trail, &call)?;
        let change = KeyChange::Erase(erasure.clone());
        if store.personal_replace(tx_id, (&from, &to), &change).await? {
            return Ok(());
        }
    }
    Err(StoreError::Busy.into())
}

async fn needed(
    store: &dyn Database,
    payment: &Payment,
    window: Duration,
    now: Timestamp,
) -> Result<Option<Needed>, StoreError> {
    if payment.doubt.as_ref().is_some_and(Doubt::is_open) {
        return Ok(Some(Needed::Doubt));
    }
    let (PaymentState::Succeeded | PaymentState::Failed(_), Some(final_at)) =
        (&payment.state, payment.final_at)
    else {
        return Ok(Some(Needed::Open(payment.state.as_str(), payment.deadline_at)));
    };
    if let Some(next) = payment.next_check_at {
        return Ok(Some(Needed::LateMoney(next)));
    }
    let refundable = final_at.whole_seconds().after(window);
    if payment.state == PaymentState::Succeeded && now <= refundable {
        return Ok(Some(Needed::Refundable(refundable)));
    }
    let refunds = store.refunds_of(payment.tx_id).await?;
    if let Some(open) = refunds.iter().find(|refund| refund.state == RefundState::Unresolved) {
        return Ok(Some(Needed::Refund(open.refund_id.to_string())));
    }
    let deliveries = store.deliveries_of(payment.tx_id).await?;
    let waits = deliveries.iter().any(|delivery| delivery.state == DeliveryState::Waiting);
    Ok(waits.then_some(Needed::Delivery))
}

/// What is in the files of finance, and says nothing of a person.
const KEPT: [Field; 8] = [
    Field::Txtype,
    Field::Channel,
    Field::Tag,
    Field::Countrycode,
    Field::Currency,
    Field::Amount,
    Field::Sellingpoint,
    Field::Soldservice,
];

/// What stays of a call that was accepted. In one that was refused any parameter may hold anything.
#[must_use]
pub fn kept_call(call: &str) -> Value {
    let mut call: Value = serde_json::from_str(call).unwrap_or_default();
    if let Some(members) = call.as_object_mut() {
        let kept = |name: &str| {
            Field::from_name(name.as_bytes()).is_some_and(|field| KEPT.contains(&field))
        };
        members.retain(|name, _| kept(name));
    }
    call
}

/// What stays of the personal data of a payment, whose trail is read as it was written.
fn emptied(from: &Personal, trail: &[EventRecord], call: &Value) -> Result<Personal, StoreError> {
    let readable = |record: &PersonalRecord, place: usize| {
        trail.get(place).filter(|read| read.kind == record.kind).map(|read| &read.detail)
    };
    let emptied = |(place, record): (usize, &PersonalRecord)| {
        let detail = kept_detail(&record.kind, readable(record, place)).to_string();
        PersonalRecord { detail, ..record.clone() }
    };
    // A secret stays in its place, so that no link with an empty one opens a page.
    let secret = unguessable().map_err(|error| StoreError::Down(Box::new(error)))?;
    Ok(Personal {
        redirect_secret: secret,
        merchant_redirect_url: None,
        deeplink: None,
        answer: None,
        fingerprint: [0; 32],
        request: if call.is_object() { call.to_string() } else { "{}".to_owned() },
        records: from.records.iter().enumerate().map(emptied).collect(),
        descriptors: from.descriptors.iter().map(|(id, _)| (*id, None)).collect(),
    })
}

/// What the books rest on stays: changes of state, refunds, and what people decided and did, without
/// why.
fn kept_detail(kind: &str, detail: Option<&Value>) -> Value {
    match (kind, detail) {
        (KIND_STATE | KIND_REFUND, Some(detail)) => detail.clone(),
        ("resolved" | "operator", Some(detail)) => {
            let mut detail = detail.clone();
            if let Some(reason) = detail.get_mut("reason") {
                *reason = "(erased)".into();
            }
            detail
        }
        (_, _) => erased_detail(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_books_rest_on_stays_and_nothing_else() {
        let call = json!({
            "txtype": "TRANSACTION", "amount": "100", "countrycode": "ID", "sellingpoint": "Web",
            "accountholdername": "Siti", "merchantredirecturl": "https://shop.example/?user=siti",
            "specin.email": "siti@shopper.example", "unheard": "Siti",
        });
        let kept = json!({
            "txtype": "TRANSACTION", "amount": "100", "countrycode": "ID", "sellingpoint": "Web",
        });
        assert_eq!(kept_call(&call.to_string()), kept);
        assert_eq!(kept_call("no JSON"), Value::Null);
        let (erased, state) = (json!({"erased": true}), json!({"from": "pending", "to": "failed"}));
        let decided = json!({"verdict": "paid", "reason": "Siti called", "by": "Sri"});
        let done = json!({"what": "cancel", "reason": "(erased)", "by": "Sri"});
        for (kind, detail, kept) in [
            ("state", Some(&state), &state),
            ("refund", Some(&state), &state),
            ("state", None, &erased),
            ("asked", Some(&state), &erased),
            ("notification", Some(&state), &erased),
            (
                "resolved",
                Some(&decided),
                &json!({"verdict": "paid", "reason": "(erased)", "by": "Sri"}),
            ),
            ("operator", Some(&json!({"what": "cancel", "reason": "Siti", "by": "Sri"})), &done),
        ] {
            assert_eq!(kept_detail(kind, detail), *kept, "{kind}");
        }
    }
}
