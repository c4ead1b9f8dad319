//! A small store with everything in it that a store can hold, made step by step: what the stores
//! of earlier versions, kept as fixtures, are compared with after their upgrade.
#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "for tests: every failure is a panic"
)]

use std::time::Duration;

use gopay_core::ids::{IdGenerator, RefundId, TxId};
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{
    Channel, Closure, Event, FailReason, Failure, NewPayment, Nonce, Payment,
};
use gopay_core::refund::{
    MidtransRefund, REFUND_WINDOW_MAX, Refund, RefundOutcome, RefundRequest, RefundState,
    RefundTerms,
};
use gopay_core::time::Timestamp;
use serde_json::json;

use crate::{AttemptOutcome, Cursor, Database, JOURNAL_PAGE_MAX, Note};

/// The instances whose payments are in the store: two, so that what belongs to one is told apart.
pub const INSTANCES: [u16; 2] = [3, 700];

/// So many seconds after the first call, 2026-01-01T00:00:00.000007Z.
fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_007).after(Duration::from_secs(seconds))
}

/// The ids of the payments, in the order of their calls.
#[must_use]
pub fn payments() -> Vec<TxId> {
    let [mut one, mut other] = INSTANCES.map(IdGenerator::new);
    (0..8)
        .map(|number| {
            let ids = if number < 6 { &mut one } else { &mut other };
            ids.next_tx(at(number))
        })
        .collect()
}

/// The ids of the refunds of the fourth payment, as they were drawn when the first fixture was made.
#[must_use]
pub fn refunds() -> Vec<RefundId> {
    let [mut ids, _] = INSTANCES.map(IdGenerator::new);
    (0..5).map(|number| RefundId::new(ids.next(at(1_000 + number))).unwrap()).collect()
}

fn new(number: usize) -> NewPayment {
    let nonce = Nonce { value: format!("nonce-{number}"), fingerprint: [7; 32] };
    NewPayment {
        tx_id: *payments().get(number).unwrap(),
        psp: "testclient".into(),
        contract: "TESTCONTRACT".into(),
        channel: Some(Channel::Test),
        account: None,
        merchant_tx_id: Some(format!("Order-Ä-{number}")),
        redirect_secret: "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy".into(),
        merchant_redirect_url: Some("https://shop.example/back".into()),
        notification_url: Some("https://psp.example/notify".into()),
        nonce: number.is_multiple_of(3).then_some(nonce),
        created_at: at(number.try_into().unwrap()),
        session: Duration::from_secs(3_600),
    }
}

fn note(kind: &'static str) -> [Note; 1] {
    [Note { kind, detail: json!({ "said": "ß" }) }]
}

fn no(message: &str) -> Failure {
    Failure::new(FailReason::RemoteDecline, message)
}

async fn create(store: &dyn Database, payment: &Payment) {
    let request = format!(r#"{{"txtype":"TRANSACTION","n":"{}"}}"#, payment.tx_id);
    store.payment_create(payment, &request, &note("charge_sent")).await.unwrap();
}

async fn apply(store: &dyn Database, number: usize, event: Event, seconds: u64) {
    let tx_id = *payments().get(number).unwrap();
    let answer = b"STATUS=PENDING".as_slice();
    store.payment_apply(tx_id, &event, Some(answer), &note("told"), at(seconds)).await.unwrap();
}

/// Fills an empty store.
pub async fn fill(store: &dyn Database) {
    let amount = Rupiah::new(10_000).unwrap();
    let opened = |number: usize| Event::ChargeCreated {
        midtrans_tx_id: format!("m-{number}"),
        deeplink: "https://gopay.example/1".into(),
    };
    let refused = Failure::new(FailReason::InputData, "amount: not a number");
    create(store, &Payment::refused(new(0), refused)).await;
    for number in 1..8 {
        create(store, &Payment::open(new(number), amount)).await;
    }
    for number in 2..=4 {
        apply(store, number, opened(number), 10).await;
    }
    apply(store, 3, paid(3, Some(at(20))), 30).await;
    apply(store, 4, Event::Closed(Closure::Expired), 3_700).await;
    apply(store, 4, paid(4, None), 7_200).await;
    apply(store, 5, Event::ChargeRefused(no("GoPay said no")), 11).await;
    apply(store, 6, opened(6), 12).await;
    apply(store, 6, Event::CancelRequested, 13).await;
    apply(store, 6, Event::Closed(Closure::Cancelled), 14).await;
    apply(store, 7, paid(7, Some(at(15))), 16).await;
    deliver(store).await;
    refund(store).await;
}

async fn deliver(store: &dyn Database) {
    let now = at(8_000);
    let lease = now.after(Duration::from_secs(60));
    // Of the two that are due first, one after the other: they may be in different shards.
    for (due, outcome) in [(15, AttemptOutcome::Delivered), (17, AttemptOutcome::GiveUp)] {
        let claimed = store.delivery_claim_due(at(due), lease, 9, &[]).await.unwrap();
        let [delivery] = claimed.try_into().unwrap();
        let detail = json!({ "status": 200 });
        store.delivery_record(&delivery, &outcome, detail, now).await.unwrap();
    }
}

async fn refund(store: &dyn Database) {
    let tx_id = *payments().get(3).unwrap();
    let [made, failed, open, too_much, malformed] = refunds().try_into().unwrap();
    for (refund_id, sen) in
        [(made, 200_000), (failed, 300_000), (open, 100_000), (too_much, 1_000_000)]
    {
        let request = RefundRequest {
            refund_id,
            tx_id,
            psp: "testclient".into(),
            contract: "TESTCONTRACT".into(),
            merchant_refund_id: Some(format!("Back-ß-{sen}")),
            currency: "IDR".into(),
            amount: Sen::new(sen),
            descriptor: Some("sorry".into()),
            terms: RefundTerms { allowed: true, window: REFUND_WINDOW_MAX },
        };
        store.refund_reserve(&request, at(1_000)).await.unwrap();
    }
    let done = note("refund_sent");
    store.refund_resolve(made, made_outcome(), &done, at(1_010)).await.unwrap();
    let outcome = RefundOutcome::Refused { failure: no("too late"), checks: 0 };
    store.refund_resolve(failed, outcome, &done, at(1_020)).await.unwrap();
    let refused = Refund {
        refund_id: malformed,
        tx_id,
        psp: "testclient".into(),
        contract: "TESTCONTRACT".into(),
        merchant_refund_id: None,
        amount: None,
        descriptor: None,
        state: RefundState::Failed(no("amount: not a number")),
        created_at: at(1_004),
        resolved_at: Some(at(1_004)),
        next_check_at: None,
        checks: 0,
        midtrans: MidtransRefund::default(),
        made_elsewhere: None,
    };
    store.refund_record_refused(&refused, at(1_004)).await.unwrap();
}

fn paid(number: usize, paid_at: Option<Timestamp>) -> Event {
    Event::Paid {
        midtrans_tx_id: format!("m-{number}"),
        paid_at,
        payment_type: None,
        payment_option: None,
    }
}

fn made_outcome() -> RefundOutcome {
    RefundOutcome::Made(MidtransRefund::default())
}

/// Everything that a store tells about what [`fill`] put into it, as text.
pub async fn told(store: &dyn Database) -> Vec<String> {
    let mut told = Vec::new();
    for tx_id in payments() {
        let payment = store.payment_get(tx_id).await.unwrap().unwrap();
        let found = store.payment_find(&payment.contract, "ORDER-ä-3").await.unwrap();
        told.push(format!("{payment:?} {found:?}"));
        told.push(store.payment_request(tx_id).await.unwrap());
        told.push(format!("{:?}", store.payment_trail(tx_id).await.unwrap()));
        told.push(format!("{:?}", store.refunds_of(tx_id).await.unwrap()));
        told.push(format!("{:?}", store.deliveries_of(tx_id).await.unwrap()));
    }
    for refund_id in refunds() {
        told.push(format!("{:?}", store.refund_get(refund_id).await.unwrap()));
    }
    told.push(format!("{:?}", store.totals().await.unwrap()));
    told
}

/// Everything that the journal tells of it, but for the numbers of entries: an upgrade enters the
/// old ones in the order of their times, as text in no order.
pub async fn told_by_the_journal(store: &dyn Database) -> Vec<String> {
    let page = store.journal_read(&Cursor::default(), JOURNAL_PAGE_MAX).await.unwrap();
    let records = page.records.iter();
    let mut told: Vec<_> =
        records.map(|record| format!("{:?} {:?}", record.entry, record.about)).collect();
    told.sort_unstable();
    told
}
