//! What cases are made of.

use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::money::Sen;
use gopay_core::payment::{Closure, Event, FailReason, Failure, Nonce, Payment, PaymentRecord};
use gopay_core::refund::{
    MidtransRefund, REFUND_WINDOW_MAX, Refund, RefundOutcome, RefundRequest, RefundState,
    RefundTerms,
};
use gopay_core::time::Timestamp;
use gopay_testkit::sample;
use serde_json::json;

use super::UnderTest;
use crate::{Applied, Created, Delivery, EventRecord, Note, Reserved, StoreError};

pub(super) const CONTRACT: &str = sample::CONTRACT;
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);
pub(super) const TERMS: RefundTerms = RefundTerms { allowed: true, window: REFUND_WINDOW_MAX };

/// 2026-01-01T00:00:00.000007Z: when the payments of the suite come.
pub(super) fn start() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_007)
}

pub(super) fn tx(number: i64) -> TxId {
    TxId::new(number).unwrap()
}

pub(super) fn rf(number: i64) -> RefundId {
    RefundId::new(number).unwrap()
}

pub(super) fn restored(record: PaymentRecord) -> Payment {
    Payment::restore(record).expect("a record that the rules could have made")
}

/// Another fingerprint for each nonce.
pub(super) fn nonce(value: &str) -> Nonce {
    let mut fingerprint = [7; 32];
    fingerprint.iter_mut().zip(value.bytes()).for_each(|(to, from)| *to = from);
    Nonce { value: value.to_owned(), fingerprint }
}

pub(super) fn payment(number: i64) -> Payment {
    sample::payment(number, start())
}

pub(super) fn note(kind: &'static str) -> Note {
    Note { kind, detail: json!({ "note": kind, "list": [1, null, "ü"] }) }
}

pub(super) fn line(at: Timestamp, note: &Note) -> EventRecord {
    EventRecord { at, kind: note.kind.to_owned(), detail: note.detail.clone() }
}

pub(super) fn charge_created() -> Event {
    Event::ChargeCreated { midtrans_tx_id: "m-1".into(), deeplink: "gojek://gopay?x=1".into() }
}

pub(super) fn paid() -> Event {
    Event::Paid {
        midtrans_tx_id: "m-1".into(),
        paid_at: Some(start().after(SECOND)),
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    }
}

pub(super) fn expired() -> Event {
    Event::Closed(Closure::Expired)
}

pub(super) fn failure(message: &str) -> Failure {
    Failure::new(FailReason::RemoteDecline, message)
}

/// A refund that was made, of which Midtrans said no more.
pub(super) fn made() -> RefundOutcome {
    RefundOutcome::Made(MidtransRefund::default())
}

pub(super) fn refused(message: &str, checks: u32) -> RefundOutcome {
    RefundOutcome::Refused { failure: failure(message), checks }
}

/// The call of a payment, as far as a store cares.
pub(super) const REQUEST: &str = r#"{"txtype":"TRANSACTION"}"#;

pub(super) async fn create(store: &UnderTest, payment: &Payment) {
    assert_eq!(store.payment_create(payment, REQUEST, &[]).await.unwrap(), Created::New);
}

pub(super) async fn apply(store: &UnderTest, tx_id: TxId, event: &Event, at: Timestamp) -> Applied {
    store.payment_apply(tx_id, event, None, &[], at).await.unwrap()
}

/// Creates a payment and pays it one second later.
pub(super) async fn create_paid(store: &UnderTest, payment: &Payment) -> Payment {
    create(store, payment).await;
    apply(store, payment.tx_id, &paid(), start().after(SECOND)).await.payment
}

pub(super) async fn stored(store: &UnderTest, tx_id: TxId) -> Payment {
    store.payment_get(tx_id).await.unwrap().expect("the payment is there")
}

pub(super) async fn trail(store: &UnderTest, tx_id: TxId) -> Vec<EventRecord> {
    store.payment_trail(tx_id).await.unwrap()
}

pub(super) async fn kinds(store: &UnderTest, tx_id: TxId) -> Vec<String> {
    trail(store, tx_id).await.into_iter().map(|line| line.kind).collect()
}

pub(super) async fn only_delivery(store: &UnderTest, tx_id: TxId) -> Delivery {
    let mut deliveries = store.deliveries_of(tx_id).await.unwrap();
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    deliveries.remove(0)
}

pub(super) async fn claim_deliveries(
    store: &UnderTest,
    now: Timestamp,
    lease: Duration,
    limit: usize,
) -> Vec<Delivery> {
    store.delivery_claim_due(now, now.after(lease), limit, &[]).await.unwrap()
}

pub(super) fn refund_request(number: i64, tx_id: TxId, sen: u64) -> RefundRequest {
    RefundRequest {
        refund_id: rf(number),
        tx_id,
        psp: "testclient".into(),
        contract: CONTRACT.into(),
        merchant_refund_id: None,
        currency: "IDR".into(),
        amount: Sen::new(sen),
        descriptor: Some("sorry".into()),
        terms: TERMS,
    }
}

pub(super) async fn admitted(store: &UnderTest, request: &RefundRequest, now: Timestamp) -> Refund {
    match store.refund_reserve(request, now).await.unwrap() {
        Reserved::Admitted(refund, _) => *refund,
        other @ (Reserved::Refused(_) | Reserved::NoPayment) => panic!("{other:?}"),
    }
}

pub(super) fn failed_refund(number: i64, tx_id: TxId, contract: &str) -> Refund {
    Refund {
        contract: contract.into(),
        merchant_refund_id: Some("Back-ß-1".into()),
        amount: None,
        state: RefundState::Failed(failure("amount: not a number")),
        resolved_at: Some(start()),
        next_check_at: None,
        ..sample::refund(number, tx_id, start())
    }
}

pub(super) fn is_missing<T: std::fmt::Debug>(result: Result<T, StoreError>, table: &str) -> bool {
    matches!(result, Err(StoreError::Missing { table: missing }) if missing == table)
}

pub(super) fn is_conflict<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}
