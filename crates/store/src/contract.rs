//! The contract suite: what every engine must do, case by case.
//!
//! Each case takes an empty store. [`contract_tests!`](crate::contract_tests) makes one test of
//! each; [`run_all`] runs them one after the other. [`Model`] is a store in memory that passes
//! them, and with which [`random_steps_agree_with_the_model`] compares an engine.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a suite of tests: every failure is a panic"
)]

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{
    Channel, Closure, Event, FailReason, Failure, Payment, PaymentState, Upstream, Verdict,
};
use gopay_core::refund::{
    REFUND_WINDOW_MAX, Refund, RefundOutcome, RefundRejection, RefundState, RefundTerms,
};
use gopay_core::time::Timestamp;
use serde_json::json;

use crate::{
    Applied, AttemptOutcome, Created, Delivery, DeliveryState, EventRecord, Found, NewRefund, Note,
    Reserved, Store, StoreError, Totals,
};

mod model;
mod random;

pub use model::Model;
pub use random::random_steps_agree_with_the_model;

/// A store under test.
pub type UnderTest = Arc<dyn Store>;

/// Names every case once, for [`run_all`], for the macro and for the test that none is left out.
macro_rules! cases {
    ($dollar:tt $($case:ident,)+) => {
        /// The names of all cases.
        pub const CASES: &[&str] = &[$(stringify!($case)),+];

        /// Runs every case, each on a store of its own.
        pub async fn run_all<F, Fut>(open: F)
        where
            F: Fn() -> Fut,
            Fut: Future<Output = UnderTest>,
        {
            $($case(open().await).await;)+
        }

        /// Makes a `#[tokio::test]` of every case. The argument is an async function that makes an
        /// empty store and something to keep until the test is over: `async fn() -> (Arc<dyn
        /// Store>, T)`.
        #[macro_export]
        macro_rules! contract_tests {
            ($dollar open:path) => {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let (store, kept) = $dollar open().await;
                        $dollar crate::contract::$case(store).await;
                        drop(kept);
                    }
                )+
            };
        }
    };
}

cases! { $
    a_payment_is_stored_whole,
    extreme_values_are_stored,
    a_taken_id_is_a_conflict_and_changes_nothing,
    a_nonce_is_used_once_per_contract,
    nonces_that_race_make_one_payment,
    references_are_found_without_case_within_a_contract,
    events_move_a_payment_and_leave_records,
    an_answer_is_kept_only_with_a_nonce_and_a_move,
    an_answer_that_missed_the_move_is_kept_once,
    news_that_changes_nothing_leaves_only_notes,
    what_is_noted_is_stored_without_a_delivery,
    the_trail_keeps_the_order_of_steps,
    rows_that_are_not_there_are_missing,
    due_payments_are_claimed_oldest_first,
    claims_that_race_share_no_row,
    a_check_is_only_ever_moved_forward,
    paid_news_that_race_move_once,
    final_states_owe_deliveries,
    deliveries_of_a_payment_go_in_order,
    deliveries_are_claimed_oldest_first_under_a_lease,
    tries_of_a_delivery_end_as_told,
    a_try_that_outlived_its_lease_only_confirms,
    a_delivery_can_be_sent_again,
    refunds_are_admitted_or_recorded_as_refused,
    a_refund_of_a_foreign_payment_leaves_no_trace,
    a_refund_is_resolved_once,
    a_refund_that_was_taken_over_is_not_refused_by_another,
    refunds_that_race_never_exceed_the_payment,
    refunds_are_found_without_case_within_a_contract,
    due_refunds_are_claimed_oldest_first,
    calls_refused_early_are_recorded_as_failed_refunds,
    totals_count_every_row,
    a_ping_can_be_repeated,
    a_caller_that_goes_away_leaves_whole_steps,
    random_steps_agree_with_the_model,
}

// What cases are made of.

const CONTRACT: &str = "TESTCONTRACT";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);
const TERMS: RefundTerms = RefundTerms { allowed: true, window: REFUND_WINDOW_MAX };

/// 2026-01-01T00:00:00.000007Z: when the payments of the suite come.
fn start() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_007)
}

fn tx(number: i64) -> TxId {
    TxId::new(number).unwrap()
}

fn rf(number: i64) -> RefundId {
    RefundId::new(number).unwrap()
}

fn payment(number: i64) -> Payment {
    let start = start();
    Payment {
        tx_id: tx(number),
        client: "testclient".into(),
        contract: CONTRACT.into(),
        channel: Some(Channel::Test),
        merchant_tx_id: Some(format!("order-{number}")),
        amount: Some(Rupiah::new(10_000).unwrap()),
        state: PaymentState::Initialized,
        failure: None,
        upstream: Upstream::Unclear,
        midtrans_tx_id: None,
        deeplink: None,
        redirect_secret: "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy".into(),
        merchant_redirect_url: Some("https://shop.example/back?a=b".into()),
        notification_url: Some("https://psp.example/notify".into()),
        nonce: None,
        fingerprint: [7; 32],
        answer: None,
        created_at: start,
        deadline_at: start.after(Duration::from_secs(3600)),
        final_at: None,
        paid_at: None,
        cancel_requested: false,
        refund_reserved: Sen::ZERO,
        next_check_at: Some(start.after(MINUTE)),
        checks: 0,
    }
}

fn note(kind: &'static str) -> Note {
    Note { kind, detail: json!({ "note": kind, "list": [1, null, "ü"] }) }
}

fn line(at: Timestamp, note: &Note) -> EventRecord {
    EventRecord { at, kind: note.kind.to_owned(), detail: note.detail.clone() }
}

fn charge_created() -> Event {
    Event::ChargeCreated { midtrans_tx_id: "m-1".into(), deeplink: "gojek://gopay?x=1".into() }
}

fn paid() -> Event {
    Event::Paid { midtrans_tx_id: "m-1".into(), paid_at: Some(start().after(SECOND)) }
}

fn expired() -> Event {
    Event::Closed(Closure::Expired)
}

fn failure(message: &str) -> Failure {
    Failure::new(FailReason::RemoteDecline, message)
}

fn refused(message: &str, checks: u32) -> RefundOutcome {
    RefundOutcome::Refused { failure: failure(message), checks }
}

/// The call of a payment, as far as a store cares.
const REQUEST: &str = r#"{"txtype":"TRANSACTION"}"#;

async fn create(store: &UnderTest, payment: &Payment) {
    assert_eq!(store.payment_create(payment, REQUEST, &[]).await.unwrap(), Created::New);
}

async fn apply(store: &UnderTest, tx_id: TxId, event: &Event, at: Timestamp) -> Applied {
    store.payment_apply(tx_id, event, None, &[], at).await.unwrap()
}

/// Creates a payment and pays it one second later.
async fn create_paid(store: &UnderTest, payment: &Payment) -> Payment {
    create(store, payment).await;
    apply(store, payment.tx_id, &paid(), start().after(SECOND)).await.payment
}

async fn stored(store: &UnderTest, tx_id: TxId) -> Payment {
    store.payment_get(tx_id).await.unwrap().expect("the payment is there")
}

async fn trail(store: &UnderTest, tx_id: TxId) -> Vec<EventRecord> {
    store.payment_trail(tx_id).await.unwrap()
}

async fn kinds(store: &UnderTest, tx_id: TxId) -> Vec<String> {
    trail(store, tx_id).await.into_iter().map(|line| line.kind).collect()
}

async fn only_delivery(store: &UnderTest, tx_id: TxId) -> Delivery {
    let mut deliveries = store.deliveries_of(tx_id).await.unwrap();
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    deliveries.remove(0)
}

async fn claim_deliveries(
    store: &UnderTest,
    now: Timestamp,
    lease: Duration,
    limit: usize,
) -> Vec<Delivery> {
    store.delivery_claim_due(now, now.after(lease), limit, &[]).await.unwrap()
}

const fn new_refund(number: i64, tx_id: TxId, sen: u64) -> NewRefund<'static> {
    let Ok(refund_id) = RefundId::new(number) else { panic!("ids are positive") };
    NewRefund {
        refund_id,
        tx_id,
        client: "testclient",
        contract: CONTRACT,
        merchant_refund_id: None,
        currency: "IDR",
        amount: Sen::new(sen),
        descriptor: Some("sorry"),
        terms: TERMS,
    }
}

async fn admitted(store: &UnderTest, refund: &NewRefund<'_>, now: Timestamp) -> Refund {
    match store.refund_reserve(refund, now).await.unwrap() {
        Reserved::Admitted(refund, _) => *refund,
        other @ (Reserved::Refused(_) | Reserved::NoPayment) => panic!("{other:?}"),
    }
}

fn failed_refund(number: i64, tx_id: TxId, contract: &str) -> Refund {
    Refund {
        refund_id: rf(number),
        tx_id,
        client: "testclient".into(),
        contract: contract.into(),
        merchant_refund_id: Some("Back-ß-1".into()),
        amount: None,
        descriptor: None,
        state: RefundState::Failed(failure("amount: not a number")),
        created_at: start(),
        resolved_at: Some(start()),
        next_check_at: None,
        checks: 0,
    }
}

fn is_missing<T: std::fmt::Debug>(result: Result<T, StoreError>, table: &str) -> bool {
    matches!(result, Err(StoreError::Missing { table: missing }) if missing == table)
}

fn is_conflict<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict))
}

// Payments.

/// Every field comes back as it went in.
pub async fn a_payment_is_stored_whole(store: UnderTest) {
    let plain = payment(1);
    let full = Payment {
        state: PaymentState::Failed,
        failure: Some(failure("GoPay said no: ß")),
        upstream: Upstream::Closed,
        midtrans_tx_id: Some("1a9c1a6d-0000-4000-8000-c0ffee000000".into()),
        deeplink: Some("gojek://gopay/merchanttransfer?tref=1".into()),
        channel: Some(Channel::Live),
        nonce: Some("n-1".into()),
        answer: Some(vec![0, 255, 10, 0]),
        final_at: Some(start().after(SECOND)),
        paid_at: Some(start().before(SECOND)),
        cancel_requested: true,
        refund_reserved: Sen::new(100),
        next_check_at: Some(start().after(DAY)),
        checks: 3,
        ..payment(2)
    };
    let bare = Payment {
        channel: None,
        merchant_tx_id: None,
        amount: None,
        state: PaymentState::Failed,
        failure: Some(failure("")),
        upstream: Upstream::Absent,
        merchant_redirect_url: None,
        notification_url: None,
        next_check_at: None,
        ..payment(3)
    };
    for payment in [plain, full, bare] {
        let notes = [note("received"), note("charge_sent")];
        let request = format!(r#"{{"contractid":"{}"}}"#, payment.tx_id);
        let created = store.payment_create(&payment, &request, &notes).await.unwrap();
        assert_eq!(created, Created::New);
        assert_eq!(stored(&store, payment.tx_id).await, payment);
        assert_eq!(store.payment_request(payment.tx_id).await.unwrap(), request);
        let lines: Vec<_> = notes.iter().map(|note| line(start(), note)).collect();
        assert_eq!(trail(&store, payment.tx_id).await, lines);
        assert_eq!(store.deliveries_of(payment.tx_id).await.unwrap(), []);
    }
}

/// The ends of every range, and texts in every script.
pub async fn extreme_values_are_stored(store: UnderTest) {
    let long = "Ünïcødé 🙂 漢字 \u{202e} \"quoted\" \\ % _ ' ; -- \r\n\t".repeat(4000);
    let last = Payment {
        amount: Some(Rupiah::new(Rupiah::MAX).unwrap()),
        refund_reserved: Rupiah::new(Rupiah::MAX).unwrap().sen(),
        created_at: Timestamp::from_micros(i64::MAX),
        deadline_at: Timestamp::from_micros(i64::MIN),
        paid_at: Some(Timestamp::from_micros(-1)),
        final_at: Some(Timestamp::from_micros(0)),
        next_check_at: Some(Timestamp::from_micros(i64::MAX)),
        checks: u32::MAX,
        deeplink: Some(long.clone()),
        answer: Some(vec![0; 300_000]),
        merchant_tx_id: Some(String::new()),
        fingerprint: std::array::from_fn(|at| u8::try_from(at).unwrap() * 8),
        ..payment(i64::MAX)
    };
    let first = Payment {
        amount: Some(Rupiah::new(1).unwrap()),
        created_at: Timestamp::from_micros(i64::MIN),
        ..payment(1)
    };
    for payment in [last, first] {
        let notes = [Note { kind: "long", detail: json!({ "text": long, "max": u64::MAX }) }];
        assert_eq!(store.payment_create(&payment, &long, &notes).await.unwrap(), Created::New);
        assert_eq!(stored(&store, payment.tx_id).await, payment);
        assert_eq!(store.payment_request(payment.tx_id).await.unwrap(), long);
        let lines = [line(payment.created_at, &notes[0])];
        assert_eq!(trail(&store, payment.tx_id).await, lines);
    }
    let Found::One(empty) = store.payment_find(CONTRACT, "").await.unwrap() else {
        panic!("an empty reference is one too")
    };
    assert_eq!(empty.tx_id, tx(i64::MAX));
}

/// The first payment under an id stays as it was.
pub async fn a_taken_id_is_a_conflict_and_changes_nothing(store: UnderTest) {
    let first = payment(1);
    store.payment_create(&first, REQUEST, &[note("first")]).await.unwrap();
    let second = Payment { contract: "OTHER".into(), nonce: Some("n".into()), ..payment(1) };
    assert!(is_conflict(&store.payment_create(&second, "{}", &[note("second")]).await));
    assert_eq!(stored(&store, tx(1)).await, first);
    assert_eq!(store.payment_request(tx(1)).await.unwrap(), REQUEST);
    assert_eq!(trail(&store, tx(1)).await, [line(start(), &note("first"))]);
    assert_eq!(store.payment_find_nonce("OTHER", "n").await.unwrap(), None);
    create(&store, &payment(2)).await;
}

/// A second call under a nonce gets the first payment, also if its id is taken.
pub async fn a_nonce_is_used_once_per_contract(store: UnderTest) {
    let with = |number, contract: &str, nonce: Option<&str>| Payment {
        contract: contract.into(),
        nonce: nonce.map(str::to_owned),
        ..payment(number)
    };
    let first = with(1, CONTRACT, Some("N-1"));
    create(&store, &first).await;
    for again in [with(2, CONTRACT, Some("N-1")), first.clone()] {
        let created = store.payment_create(&again, "{}", &[note("again")]).await.unwrap();
        assert_eq!(created, Created::NonceTaken(Box::new(first.clone())));
    }
    assert_eq!(store.payment_request(tx(1)).await.unwrap(), REQUEST);
    assert_eq!(store.payment_get(tx(2)).await.unwrap(), None);
    assert_eq!(trail(&store, tx(1)).await, []);
    // The earlier payment is returned as it is by now.
    let moved = apply(&store, tx(1), &charge_created(), start().after(SECOND)).await.payment;
    let created =
        store.payment_create(&with(2, CONTRACT, Some("N-1")), REQUEST, &[]).await.unwrap();
    assert_eq!(created, Created::NonceTaken(Box::new(moved.clone())));

    for free in [
        with(3, "OTHER", Some("N-1")),
        with(4, CONTRACT, Some("n-1")),
        with(5, CONTRACT, None),
        with(6, CONTRACT, None),
    ] {
        create(&store, &free).await;
    }
    for (contract, nonce, found) in [
        (CONTRACT, "N-1", Some(tx(1))),
        ("OTHER", "N-1", Some(tx(3))),
        (CONTRACT, "n-1", Some(tx(4))),
        ("OTHER", "n-1", None),
        (CONTRACT, "", None),
    ] {
        let payment = store.payment_find_nonce(contract, nonce).await.unwrap();
        assert_eq!(payment.map(|payment| payment.tx_id), found, "{contract} {nonce:?}");
    }
}

/// Of calls at the same time, one makes the payment and the others are given it.
pub async fn nonces_that_race_make_one_payment(store: UnderTest) {
    let calls = (1..=16).map(|number| {
        let store = Arc::clone(&store);
        let payment = Payment { nonce: Some("n".into()), ..payment(number) };
        tokio::spawn(async move {
            (number, store.payment_create(&payment, REQUEST, &[]).await.unwrap())
        })
    });
    let calls: Vec<_> = calls.collect();
    let (mut made, mut given) = (Vec::new(), BTreeSet::new());
    for call in calls {
        match call.await.unwrap() {
            (number, Created::New) => made.push(number),
            (_, Created::NonceTaken(earlier)) => {
                given.insert(earlier.tx_id.get());
            }
        }
    }
    assert_eq!(made.len(), 1);
    assert_eq!(given.into_iter().collect::<Vec<_>>(), made);
}

/// Look-ups by the PSP's reference ignore case, and see one contract.
pub async fn references_are_found_without_case_within_a_contract(store: UnderTest) {
    for (number, contract, reference) in [
        (1, CONTRACT, Some("Order-1")),
        (2, CONTRACT, Some("Bestellung-ÄÖÜ-É")),
        (3, CONTRACT, Some("twice")),
        (4, CONTRACT, Some("TWICE")),
        (5, "OTHER", Some("order-1")),
        (6, "OTHER", Some("Twice")),
        (7, CONTRACT, None),
        (8, CONTRACT, Some("ΟΔΟΣ")),
        (9, CONTRACT, Some("%")),
    ] {
        let merchant_tx_id = reference.map(str::to_owned);
        create(&store, &Payment { contract: contract.into(), merchant_tx_id, ..payment(number) })
            .await;
    }
    for (contract, reference, expected) in [
        (CONTRACT, "order-1", Found::One(1)),
        (CONTRACT, "ORDER-1", Found::One(1)),
        (CONTRACT, "bestellung-äöü-é", Found::One(2)),
        (CONTRACT, "BESTELLUNG-ÄÖÜ-É", Found::One(2)),
        (CONTRACT, "bestellung-aou-e", Found::None),
        (CONTRACT, "Twice", Found::Many),
        ("OTHER", "twice", Found::One(6)),
        ("OTHER", "ORDER-1", Found::One(5)),
        ("other", "order-1", Found::None),
        (CONTRACT, "οδος", Found::One(8)),
        (CONTRACT, "order-", Found::None),
        (CONTRACT, "order-_", Found::None),
        (CONTRACT, "%", Found::One(9)),
        (CONTRACT, "", Found::None),
        ("NOBODY", "order-1", Found::None),
    ] {
        let found = match store.payment_find(contract, reference).await.unwrap() {
            Found::None => Found::None,
            Found::One(payment) => Found::One(payment.tx_id.get()),
            Found::Many => Found::Many,
        };
        assert_eq!(found, expected, "{contract} {reference:?}");
    }
}

/// The result of the rules is stored, with a record of what moved and the notes after it.
pub async fn events_move_a_payment_and_leave_records(store: UnderTest) {
    let begun = payment(1);
    store.payment_create(&begun, REQUEST, &[note("charge_sent")]).await.unwrap();
    let opened_at = start().after(SECOND);
    let notes = [note("charge_answer"), note("second")];
    let applied =
        store.payment_apply(tx(1), &charge_created(), None, &notes, opened_at).await.unwrap();
    let opened = begun.on(&charge_created(), opened_at).payment;
    assert_eq!(
        applied,
        Applied {
            payment: opened.clone(),
            before: PaymentState::Initialized,
            verdict: Verdict::Moved
        }
    );
    assert_eq!(stored(&store, tx(1)).await, opened);

    let closed_at = opened_at.after(MINUTE);
    let applied = apply(&store, tx(1), &expired(), closed_at).await;
    assert_eq!(applied.payment, opened.on(&expired(), closed_at).payment);
    assert_eq!(applied.before, PaymentState::Pending);
    assert_eq!(stored(&store, tx(1)).await, applied.payment);

    let paid_at = closed_at.after(MINUTE);
    let revived = apply(&store, tx(1), &paid(), paid_at).await;
    assert_eq!(revived.payment.state, PaymentState::Succeeded);
    assert_eq!(revived.payment.failure, None);
    assert_eq!(stored(&store, tx(1)).await, revived.payment);

    let state = |at, detail| EventRecord { at, kind: "state".into(), detail };
    let expected = [
        line(start(), &note("charge_sent")),
        state(
            opened_at,
            json!({ "from": "initialized", "to": "pending", "event": "charge_created",
                "verdict": "moved" }),
        ),
        line(opened_at, &notes[0]),
        line(opened_at, &notes[1]),
        state(
            closed_at,
            json!({ "from": "pending", "to": "failed", "event": "closed_expired",
                "verdict": "moved", "reason": "TIMEOUT" }),
        ),
        state(
            paid_at,
            json!({ "from": "failed", "to": "succeeded", "event": "paid", "verdict": "moved" }),
        ),
    ];
    assert_eq!(trail(&store, tx(1)).await, expected);
}

/// The stored answer is for repeats, which only a nonce makes possible.
pub async fn an_answer_is_kept_only_with_a_nonce_and_a_move(store: UnderTest) {
    create(&store, &Payment { nonce: Some("n".into()), ..payment(1) }).await;
    create(&store, &payment(2)).await;
    let at = start().after(SECOND);
    for (number, kept) in [(1, Some(b"one".to_vec())), (2, None)] {
        let applied = store
            .payment_apply(tx(number), &charge_created(), Some(b"one"), &[], at)
            .await
            .unwrap();
        assert_eq!(applied.payment.answer, kept, "payment {number}");
        for event in [Event::CancelRequested, Event::NoNews, charge_created()] {
            let applied =
                store.payment_apply(tx(number), &event, Some(b"two"), &[], at).await.unwrap();
            assert_eq!(applied.payment.answer, kept, "{event:?}");
        }
        // A later move without an answer does not take it away.
        apply(&store, tx(number), &paid(), at).await;
        assert_eq!(stored(&store, tx(number)).await.answer, kept, "payment {number}");
    }
    // Nor does a later one with an answer replace what may have been given.
    create(&store, &Payment { nonce: Some("n-3".into()), ..payment(3) }).await;
    for (event, answer) in [(charge_created(), b"first"), (paid(), b"other")] {
        store.payment_apply(tx(3), &event, Some(answer), &[], at).await.unwrap();
        assert_eq!(stored(&store, tx(3)).await.answer, Some(b"first".to_vec()));
    }
}

/// News may move a payment before its call ends: its answer comes by itself then, and once.
pub async fn an_answer_that_missed_the_move_is_kept_once(store: UnderTest) {
    create(&store, &Payment { nonce: Some("n".into()), ..payment(1) }).await;
    let moved = apply(&store, tx(1), &paid(), start().after(SECOND)).await.payment;
    let lines = trail(&store, tx(1)).await;
    let kept = Payment { answer: Some(b"one".to_vec()), ..moved };
    for answer in [b"one", b"two"] {
        assert_eq!(store.payment_answer(tx(1), answer).await.unwrap(), kept);
    }
    assert_eq!(stored(&store, tx(1)).await, kept);
    assert_eq!(trail(&store, tx(1)).await, lines);

    create(&store, &payment(2)).await;
    assert_eq!(store.payment_answer(tx(2), b"one").await.unwrap(), stored(&store, tx(2)).await);
    assert_eq!(stored(&store, tx(2)).await.answer, None);
}

/// Told twice, or stale: the payment stays, byte for byte.
pub async fn news_that_changes_nothing_leaves_only_notes(store: UnderTest) {
    let before = create_paid(&store, &payment(1)).await;
    let lines = trail(&store, tx(1)).await;
    let later = start().after(DAY);
    for (event, verdict) in [
        (paid(), Verdict::Same),
        (expired(), Verdict::Refused),
        (charge_created(), Verdict::Refused),
        (Event::CancelRequested, Verdict::Refused),
    ] {
        let applied = apply(&store, tx(1), &event, later).await;
        let expected =
            Applied { payment: before.clone(), before: PaymentState::Succeeded, verdict };
        assert_eq!(applied, expected, "{event:?}");
    }
    assert_eq!(trail(&store, tx(1)).await, lines);
    store.payment_apply(tx(1), &paid(), None, &[note("again")], later).await.unwrap();
    assert_eq!(trail(&store, tx(1)).await.last(), Some(&line(later, &note("again"))));
    assert_eq!(stored(&store, tx(1)).await, before);
    assert_eq!(store.deliveries_of(tx(1)).await.unwrap().len(), 1);

    // No news of an open payment does not move its next check either: that is for the claim.
    create(&store, &payment(2)).await;
    let open = apply(&store, tx(2), &charge_created(), start().after(SECOND)).await.payment;
    let applied = apply(&store, tx(2), &Event::NoNews, start().after(MINUTE)).await;
    assert_eq!((applied.payment, applied.verdict), (open.clone(), Verdict::Same));
    assert_eq!(stored(&store, tx(2)).await, open);
}

/// A payment can change without changing its state.
pub async fn what_is_noted_is_stored_without_a_delivery(store: UnderTest) {
    create(&store, &payment(1)).await;
    apply(&store, tx(1), &charge_created(), start().after(SECOND)).await;
    let at = start().after(MINUTE);
    let applied = apply(&store, tx(1), &Event::CancelRequested, at).await;
    assert_eq!((applied.verdict, applied.before), (Verdict::Noted, PaymentState::Pending));
    assert!(applied.payment.cancel_requested);
    assert_eq!(stored(&store, tx(1)).await, applied.payment);
    let record = trail(&store, tx(1)).await.pop().unwrap();
    assert_eq!(record.kind, "state");
    assert_eq!(
        record.detail,
        json!({ "from": "pending", "to": "pending", "event": "cancel_requested",
            "verdict": "noted" })
    );
    assert_eq!(store.deliveries_of(tx(1)).await.unwrap(), []);
}

/// By order of the steps, not by their times, and each payment by itself.
pub async fn the_trail_keeps_the_order_of_steps(store: UnderTest) {
    for number in [1, 2] {
        create(&store, &payment(number)).await;
    }
    let mut expected = Vec::new();
    for step in 0..30_u64 {
        let at = start().before(Duration::from_secs(step));
        let notes = [note("a"), note("b")];
        store.payment_note(tx(1), &notes, at).await.unwrap();
        store.payment_note(tx(2), &[note("other")], at).await.unwrap();
        expected.extend(notes.iter().map(|note| line(at, note)));
    }
    store.payment_note(tx(1), &[], start()).await.unwrap();
    assert_eq!(trail(&store, tx(1)).await, expected);
    assert_eq!(trail(&store, tx(2)).await.len(), 30);
}

/// Reads find nothing; steps that need a row say which table has none.
pub async fn rows_that_are_not_there_are_missing(store: UnderTest) {
    let (id, now) = (tx(404), start());
    assert_eq!(store.payment_get(id).await.unwrap(), None);
    assert_eq!(store.payment_trail(id).await.unwrap(), []);
    assert_eq!(store.refund_get(rf(404)).await.unwrap(), None);
    assert_eq!(store.refunds_of(id).await.unwrap(), []);
    assert_eq!(store.deliveries_of(id).await.unwrap(), []);
    assert_eq!(store.payment_claim_due(now, 10).await.unwrap(), []);
    assert_eq!(store.refund_claim_due(now, 10).await.unwrap(), []);
    assert_eq!(store.delivery_claim_due(now, now, 10, &[]).await.unwrap(), []);
    assert!(!store.delivery_again(id, now).await.unwrap());
    assert_eq!(store.totals().await.unwrap(), Totals::default());

    assert!(is_missing(store.payment_apply(id, &paid(), None, &[], now).await, "payments"));
    assert!(is_missing(store.payment_request(id).await, "payment_requests"));
    assert!(is_missing(store.payment_answer(id, b"x").await, "payments"));
    assert!(is_missing(store.payment_note(id, &[note("x")], now).await, "payments"));
    assert!(is_missing(store.payment_check_at(id, now).await, "payments"));
    assert!(is_missing(
        store.refund_resolve(rf(404), RefundOutcome::Made, &[], now).await,
        "refunds"
    ));
    assert_eq!(
        store.refund_reserve(&new_refund(404, id, 100), now).await.unwrap(),
        Reserved::NoPayment
    );
    create_paid(&store, &payment(1)).await;
    let delivery = Delivery { delivery_id: i64::MAX, ..only_delivery(&store, tx(1)).await };
    let record = store.delivery_record(&delivery, &AttemptOutcome::Delivered, json!({}), now).await;
    assert!(is_missing(record, "deliveries"));
    assert_eq!(store.payment_trail(id).await.unwrap(), []);
}

/// A claim sets the next check, so the same payment is not claimed again until then.
pub async fn due_payments_are_claimed_oldest_first(store: UnderTest) {
    let due_after = [(1, Some(30)), (2, Some(10)), (3, Some(20)), (4, None), (5, Some(41))];
    for (number, seconds) in due_after {
        let next_check_at = seconds.map(|seconds| start().after(Duration::from_secs(seconds)));
        create(&store, &Payment { next_check_at, ..payment(number) }).await;
    }
    let claim = async |seconds: u64, limit: usize| {
        let now = start().after(Duration::from_secs(seconds));
        let claimed = store.payment_claim_due(now, limit).await.unwrap();
        for payment in &claimed {
            assert_eq!(stored(&store, payment.tx_id).await, *payment);
            assert!(payment.next_check_at > Some(now), "{payment:?}");
        }
        claimed.iter().map(|payment| payment.tx_id.get()).collect::<Vec<_>>()
    };
    assert_eq!(claim(9, 10).await, [0; 0]);
    assert_eq!(claim(40, 0).await, [0; 0]);
    assert_eq!(claim(40, 2).await, [2, 3]);
    assert_eq!(claim(40, 10).await, [1]);
    assert_eq!(claim(40, 10).await, [0; 0]);
    assert_eq!(claim(41, usize::MAX).await, [5]);
    let first = Payment { next_check_at: Some(start().after(10 * SECOND)), ..payment(2) };
    assert_eq!(stored(&store, tx(2)).await, first.checked(start().after(40 * SECOND)));
    // The next round comes by the plan of the rules: equal times are taken by id.
    assert_eq!(claim(41 + 24 * 3600, 10).await, [1, 2, 3, 5]);
    assert_eq!(stored(&store, tx(4)).await.checks, 0);
}

/// Workers at the same time never hold the same row.
pub async fn claims_that_race_share_no_row(store: UnderTest) {
    for number in 1..=60 {
        create(&store, &payment(number)).await;
        if number % 2 == 0 {
            apply(&store, tx(number), &paid(), start().after(SECOND)).await;
        }
    }
    let now = start().after(MINUTE);
    let workers = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut held = Vec::new();
            for _ in 0..2 {
                let payments = store.payment_claim_due(now, 3).await.unwrap();
                let deliveries = claim_deliveries(&store, now, MINUTE, 3).await;
                held.extend(payments.iter().map(|payment| payment.tx_id));
                held.extend(deliveries.iter().map(|delivery| delivery.tx_id));
            }
            held
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut held = Vec::new();
    for worker in workers {
        held.extend(worker.await.unwrap());
    }
    // 16 claims of up to 3 of 30 each: all are held, none twice.
    assert_eq!(held.len(), 60);
    assert_eq!(held.into_iter().collect::<BTreeSet<_>>().len(), 60);
}

/// Somebody may ask for an earlier look, never put one off or plan one for what is over.
pub async fn a_check_is_only_ever_moved_forward(store: UnderTest) {
    let planned = start().after(MINUTE);
    create(&store, &Payment { next_check_at: Some(planned), ..payment(1) }).await;
    create(&store, &Payment { next_check_at: None, ..payment(2) }).await;
    for (number, at, expected) in [
        (1, planned.after(SECOND), Some(planned)),
        (1, planned, Some(planned)),
        (1, planned.before(SECOND), Some(planned.before(SECOND))),
        (1, planned, Some(planned.before(SECOND))),
        (2, planned, None),
    ] {
        store.payment_check_at(tx(number), at).await.unwrap();
        let payment = stored(&store, tx(number)).await;
        assert_eq!(payment.next_check_at, expected, "payment {number} at {at}");
        assert_eq!(payment.checks, 0);
    }
    let claimed = store.payment_claim_due(planned.before(SECOND), 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
}

/// The same news from everywhere at once: one move, one record, one delivery.
pub async fn paid_news_that_race_move_once(store: UnderTest) {
    create(&store, &payment(1)).await;
    let news = (0..16).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { apply(&store, tx(1), &paid(), start().after(SECOND)).await })
    });
    let news: Vec<_> = news.collect();
    let mut moved = 0;
    for told in news {
        let applied = told.await.unwrap();
        assert_eq!(applied.payment.state, PaymentState::Succeeded);
        assert!(matches!(applied.verdict, Verdict::Moved | Verdict::Same), "{applied:?}");
        moved += usize::from(applied.verdict == Verdict::Moved);
    }
    assert_eq!(moved, 1);
    assert_eq!(kinds(&store, tx(1)).await, ["state"]);
    assert_eq!(only_delivery(&store, tx(1)).await.state, DeliveryState::Waiting);
}

// Deliveries.

/// The PSP hears of every final state, except in an answer, or if it gave no address.
pub async fn final_states_owe_deliveries(store: UnderTest) {
    let refused = Event::ChargeRefused(failure("no"));
    let at = start().after(SECOND);
    for (number, url, event, owed) in [
        (1, true, paid(), true),
        (2, true, expired(), true),
        (3, true, refused, false),
        (4, true, charge_created(), false),
        (5, false, paid(), false),
    ] {
        let url = url.then(|| "https://psp.example/notify".to_owned());
        create(&store, &Payment { notification_url: url, ..payment(number) }).await;
        apply(&store, tx(number), &event, at).await;
        let count = store.deliveries_of(tx(number)).await.unwrap().len();
        assert_eq!(count, usize::from(owed), "payment {number}");
    }
    let delivery = only_delivery(&store, tx(1)).await;
    let expected = Delivery {
        delivery_id: delivery.delivery_id,
        tx_id: tx(1),
        client: "testclient".into(),
        url: "https://psp.example/notify".into(),
        final_at: at,
        attempts: 0,
        next_attempt_at: at,
        state: DeliveryState::Waiting,
    };
    assert_eq!(delivery, expected);

    let revived_at = at.after(DAY);
    apply(&store, tx(2), &paid(), revived_at).await;
    let both = store.deliveries_of(tx(2)).await.unwrap();
    assert_eq!(both.len(), 2);
    assert!(both[0].delivery_id < both[1].delivery_id);
    assert_eq!((both[0].final_at, both[1].final_at), (at, revived_at));
}

/// The second waits until the first was delivered or given up, however long that takes.
pub async fn deliveries_of_a_payment_go_in_order(store: UnderTest) {
    for (number, outcome) in [(1, AttemptOutcome::Delivered), (2, AttemptOutcome::GiveUp)] {
        let at = start().after(SECOND);
        create(&store, &payment(number)).await;
        apply(&store, tx(number), &expired(), at).await;
        apply(&store, tx(number), &paid(), at.after(SECOND)).await;
        let ids: Vec<i64> =
            store.deliveries_of(tx(number)).await.unwrap().iter().map(|d| d.delivery_id).collect();

        let now = at.after(MINUTE);
        let first = claim_deliveries(&store, now, MINUTE, 10).await;
        assert_eq!(first.iter().map(|d| d.delivery_id).collect::<Vec<_>>(), ids[..1]);
        assert_eq!(claim_deliveries(&store, now, MINUTE, 10).await, []);
        let later = now.after(MINUTE);
        let retry = AttemptOutcome::Retry(later.after(MINUTE));
        store.delivery_record(&first[0], &retry, json!({}), later).await.unwrap();
        assert_eq!(claim_deliveries(&store, later, MINUTE, 10).await, []);

        let later = later.after(MINUTE);
        let first = claim_deliveries(&store, later, MINUTE, 10).await;
        assert_eq!(first.iter().map(|d| d.delivery_id).collect::<Vec<_>>(), ids[..1]);
        store.delivery_record(&first[0], &outcome, json!({}), later).await.unwrap();
        let second = claim_deliveries(&store, later, MINUTE, 10).await;
        assert_eq!(second.iter().map(|d| d.delivery_id).collect::<Vec<_>>(), ids[1..]);
        store
            .delivery_record(&second[0], &AttemptOutcome::Delivered, json!({}), later)
            .await
            .unwrap();
        assert_eq!(claim_deliveries(&store, later.after(DAY), MINUTE, 10).await, []);
    }
}

/// A worker that dies leaves its deliveries to the next, when the lease is over.
pub async fn deliveries_are_claimed_oldest_first_under_a_lease(store: UnderTest) {
    for (number, seconds) in [(1, 30), (2, 10), (3, 20), (4, 41)] {
        create(&store, &payment(number)).await;
        apply(&store, tx(number), &paid(), start().after(Duration::from_secs(seconds))).await;
    }
    let claim = async |seconds: u64, limit: usize| {
        let now = start().after(Duration::from_secs(seconds));
        let claimed = claim_deliveries(&store, now, MINUTE, limit).await;
        for delivery in &claimed {
            assert_eq!(delivery.next_attempt_at, now.after(MINUTE));
            assert_eq!(only_delivery(&store, delivery.tx_id).await, *delivery);
        }
        claimed.iter().map(|delivery| delivery.tx_id.get()).collect::<Vec<_>>()
    };
    assert_eq!(claim(9, 10).await, [0; 0]);
    assert_eq!(claim(40, 0).await, [0; 0]);
    assert_eq!(claim(40, 2).await, [2, 3]);
    assert_eq!(claim(40, 10).await, [1]);
    assert_eq!(claim(41, 10).await, [4]);
    assert_eq!(claim(99, 10).await, [0; 0]);
    assert_eq!(claim(100, usize::MAX).await, [1, 2, 3]);
    assert_eq!(only_delivery(&store, tx(1)).await.attempts, 0);
}

/// Every outcome, what it counts and what it leaves in the trail.
pub async fn tries_of_a_delivery_end_as_told(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let mut now = start().after(MINUTE);
    let mut lines = trail(&store, tx(1)).await;
    let rows = [
        (AttemptOutcome::Postpone(now.after(MINUTE)), DeliveryState::Waiting, 0, false),
        (AttemptOutcome::Retry(now.after(2 * MINUTE)), DeliveryState::Waiting, 1, true),
        (AttemptOutcome::Postpone(now.after(3 * MINUTE)), DeliveryState::Waiting, 1, false),
        (AttemptOutcome::GiveUp, DeliveryState::GivenUp, 2, true),
    ];
    for (outcome, state, attempts, recorded) in rows {
        let claimed = claim_deliveries(&store, now, 10 * MINUTE, 10).await;
        assert_eq!(claimed.len(), 1, "before {outcome:?}");
        let detail = json!({ "status": 500, "n": attempts });
        store.delivery_record(&claimed[0], &outcome, detail.clone(), now).await.unwrap();
        if recorded {
            lines.push(EventRecord { at: now, kind: "delivery_attempt".into(), detail });
        }
        assert_eq!(trail(&store, tx(1)).await, lines, "{outcome:?}");
        let delivery = only_delivery(&store, tx(1)).await;
        assert_eq!((delivery.state, delivery.attempts), (state, attempts), "{outcome:?}");
        if state == DeliveryState::Waiting {
            let next = delivery.next_attempt_at;
            assert!(
                matches!(&outcome, AttemptOutcome::Retry(at) | AttemptOutcome::Postpone(at) if *at == next)
            );
            assert_eq!(claim_deliveries(&store, next.before(SECOND), MINUTE, 10).await, []);
            now = next;
        }
    }
    assert_eq!(claim_deliveries(&store, now.after(DAY), MINUTE, 10).await, []);
}

/// A slow worker does not undo what another did meanwhile.
pub async fn a_try_that_outlived_its_lease_only_confirms(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    let slow = claim_deliveries(&store, now, MINUTE, 1).await.remove(0);
    let quick = claim_deliveries(&store, now.after(MINUTE), MINUTE, 1).await.remove(0);
    let retry = AttemptOutcome::Retry(now.after(DAY));
    store.delivery_record(&slow, &retry, json!({ "slow": true }), now).await.unwrap();
    let expected = Delivery { attempts: 1, ..quick.clone() };
    assert_eq!(only_delivery(&store, tx(1)).await, expected);
    store.delivery_record(&quick, &AttemptOutcome::Delivered, json!({}), now).await.unwrap();
    store.delivery_record(&slow, &AttemptOutcome::GiveUp, json!({}), now).await.unwrap();
    let delivery = only_delivery(&store, tx(1)).await;
    assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 3));
    let attempts =
        kinds(&store, tx(1)).await.iter().filter(|kind| *kind == "delivery_attempt").count();
    assert_eq!(attempts, 3);
}

/// An operator sends the last delivery again, whatever became of it.
pub async fn a_delivery_can_be_sent_again(store: UnderTest) {
    for (number, outcome) in [
        (1, Some(AttemptOutcome::Delivered)),
        (2, Some(AttemptOutcome::GiveUp)),
        (3, Some(AttemptOutcome::Retry(start().after(DAY)))),
        (4, None),
    ] {
        create_paid(&store, &payment(number)).await;
        let now = start().after(MINUTE);
        let claimed = claim_deliveries(&store, now, MINUTE, 10).await;
        assert_eq!(claimed.len(), 1);
        if let Some(outcome) = &outcome {
            store.delivery_record(&claimed[0], outcome, json!({}), now).await.unwrap();
        }
        let before = only_delivery(&store, tx(number)).await;
        assert!(store.delivery_again(tx(number), now).await.unwrap());
        let again = only_delivery(&store, tx(number)).await;
        let expected = Delivery { state: DeliveryState::Waiting, next_attempt_at: now, ..before };
        assert_eq!(again, expected, "{outcome:?}");
        let claimed = claim_deliveries(&store, now, MINUTE, 10).await;
        assert_eq!(claimed.len(), 1, "{outcome:?}");
        store
            .delivery_record(&claimed[0], &AttemptOutcome::Delivered, json!({}), now)
            .await
            .unwrap();
    }
    // Of several, the last; and only a payment's own.
    create(&store, &payment(5)).await;
    assert!(!store.delivery_again(tx(5), start()).await.unwrap());
    apply(&store, tx(5), &expired(), start().after(SECOND)).await;
    apply(&store, tx(5), &paid(), start().after(MINUTE)).await;
    for _ in 0..2 {
        let claimed = claim_deliveries(&store, start().after(DAY), MINUTE, 10).await;
        store
            .delivery_record(&claimed[0], &AttemptOutcome::Delivered, json!({}), start())
            .await
            .unwrap();
    }
    assert!(store.delivery_again(tx(5), start()).await.unwrap());
    let states: Vec<_> =
        store.deliveries_of(tx(5)).await.unwrap().iter().map(|delivery| delivery.state).collect();
    assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Waiting]);
}

// Refunds.

/// Every rejection in its order, and an admission; all are stored and on the trail.
pub async fn refunds_are_admitted_or_recorded_as_refused(store: UnderTest) {
    use RefundRejection as R;
    let before = create_paid(&store, &payment(1)).await;
    create(&store, &payment(2)).await;
    let now = start().after(MINUTE);
    let late = start().after(31 * DAY);
    let none = RefundTerms { allowed: false, ..TERMS };
    let left = Sen::new(1_000_000);
    #[rustfmt::skip]
    let rows = [
        (NewRefund { terms: none, ..new_refund(1, tx(2), 100) }, now, R::NotAllowed),
        (NewRefund { currency: "USD", ..new_refund(2, tx(2), 0) }, now, R::NotSucceeded),
        (NewRefund { currency: "USD", ..new_refund(3, tx(1), 0) }, late, R::WrongCurrency),
        (new_refund(4, tx(1), u64::MAX), late, R::NotWhole),
        (new_refund(5, tx(1), 1_000_100), late, R::TooMuch(left)),
        (new_refund(6, tx(1), 1_000_000), late, R::TooLate),
    ];
    for (order, at, rejection) in rows {
        let reserved = store.refund_reserve(&order, at).await.unwrap();
        assert_eq!(reserved, Reserved::Refused(rejection), "{order:?}");
        let refund = store.refund_get(order.refund_id).await.unwrap().unwrap();
        assert_eq!(refund, order.refused(rejection, at));
        let record = trail(&store, order.tx_id).await.pop().unwrap();
        assert_eq!((record.at, record.kind.as_str()), (at, "refund"));
        assert_eq!(record.detail["to"], "failed");
        assert_eq!(record.detail["refund_id"], order.refund_id.to_string());
        assert_eq!(record.detail["reason"], rejection.failure().reason.as_str());
    }
    assert_eq!(stored(&store, tx(1)).await, before);

    let order = NewRefund { merchant_refund_id: Some("r-7"), ..new_refund(7, tx(1), 400_000) };
    let reserved = store.refund_reserve(&order, now).await.unwrap();
    let expected = Refund {
        refund_id: rf(7),
        tx_id: tx(1),
        client: "testclient".into(),
        contract: CONTRACT.into(),
        merchant_refund_id: Some("r-7".into()),
        amount: Some(Rupiah::new(4_000).unwrap()),
        descriptor: Some("sorry".into()),
        state: RefundState::Unresolved,
        created_at: now,
        resolved_at: None,
        next_check_at: order.admitted(Rupiah::new(4_000).unwrap(), now).next_check_at,
        checks: 0,
    };
    assert!(expected.next_check_at > Some(now));
    let reserving = Payment { refund_reserved: Sen::new(400_000), ..before };
    let admitted = Reserved::Admitted(Box::new(expected.clone()), Box::new(reserving.clone()));
    assert_eq!(reserved, admitted);
    assert_eq!(store.refund_get(rf(7)).await.unwrap(), Some(expected));
    assert_eq!(stored(&store, tx(1)).await, reserving);
    let record = trail(&store, tx(1)).await.pop().unwrap();
    assert_eq!(
        (record.kind.as_str(), record.detail),
        ("refund", json!({ "refund_id": "7", "to": "unresolved", "amount_sen": 400_000 }))
    );
    let too_much = store.refund_reserve(&new_refund(8, tx(1), 600_100), now).await.unwrap();
    assert_eq!(too_much, Reserved::Refused(R::TooMuch(Sen::new(600_000))));
    let ids: Vec<i64> = store
        .refunds_of(tx(1))
        .await
        .unwrap()
        .iter()
        .map(|refund| refund.refund_id.get())
        .collect();
    assert_eq!(ids, [7, 8, 3, 4, 5, 6]);
    // A taken id reserves nothing, admitted or not.
    for order in [new_refund(7, tx(1), 100), new_refund(7, tx(1), 1)] {
        let taken = store.refund_reserve(&order, now).await;
        assert!(is_conflict(&taken), "{taken:?}");
    }
    assert_eq!(stored(&store, tx(1)).await, reserving);
    assert_eq!(trail(&store, tx(1)).await.len(), 7);
}

/// Another contract's payment is answered as if it did not exist, and nothing is stored.
pub async fn a_refund_of_a_foreign_payment_leaves_no_trace(store: UnderTest) {
    let before = create_paid(&store, &payment(1)).await;
    let lines = trail(&store, tx(1)).await;
    let foreign = NewRefund { contract: "OTHER", ..new_refund(1, tx(1), 100) };
    let reserved = store.refund_reserve(&foreign, start().after(MINUTE)).await.unwrap();
    assert_eq!(reserved, Reserved::NoPayment);
    assert_eq!(store.refund_get(rf(1)).await.unwrap(), None);
    assert_eq!(store.refunds_of(tx(1)).await.unwrap(), []);
    assert_eq!(stored(&store, tx(1)).await, before);
    assert_eq!(trail(&store, tx(1)).await, lines);
}

/// A failure gives the reservation back, once; a success keeps it for good.
pub async fn a_refund_is_resolved_once(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    let good = admitted(&store, &new_refund(1, tx(1), 300_000), now).await;
    let bad = admitted(&store, &new_refund(2, tx(1), 200_000), now).await;
    let later = now.after(MINUTE);
    let no = refused("refused", 0);
    for (refund, outcome, reserved) in
        [(&good, RefundOutcome::Made, 500_000), (&bad, no.clone(), 300_000)]
    {
        let id = refund.refund_id;
        let notes = [note("refund_answer")];
        let resolved = store.refund_resolve(id, outcome.clone(), &notes, later).await.unwrap();
        assert_eq!(Some(&resolved), refund.resolve(outcome, later).as_ref());
        assert_eq!(store.refund_get(id).await.unwrap().as_ref(), Some(&resolved));
        assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(reserved));
        // The opposite, told later, changes nothing.
        for outcome in [RefundOutcome::Made, refused("late", 0)] {
            let again = store.refund_resolve(id, outcome, &[], later.after(DAY)).await.unwrap();
            assert_eq!(again, resolved);
        }
        assert_eq!(store.refund_get(id).await.unwrap(), Some(resolved));
        assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(reserved));
    }
    let told = [note("told_again")];
    store.refund_resolve(good.refund_id, no, &told, later).await.unwrap();
    assert_eq!(
        kinds(&store, tx(1)).await,
        [
            "state",
            "refund",
            "refund",
            "refund",
            "refund_answer",
            "refund",
            "refund_answer",
            "told_again"
        ]
    );
    let lines = trail(&store, tx(1)).await;
    let success = json!({ "refund_id": "1", "to": "succeeded", "amount_sen": 300_000 });
    let failed = json!({ "refund_id": "2", "to": "failed", "amount_sen": 200_000,
        "reason": "REMOTE_DECLINE" });
    assert_eq!((&lines[3].detail, &lines[5].detail), (&success, &failed));
    assert_eq!(lines[3].at, later);
    // What was given back can be refunded.
    admitted(&store, &new_refund(3, tx(1), 700_000), later).await;
}

/// Who was too slow does not know what the worker after him has sent: his refusal does not count.
pub async fn a_refund_that_was_taken_over_is_not_refused_by_another(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    let known = admitted(&store, &new_refund(1, tx(1), 300_000), now).await;
    let due = known.next_check_at.expect("an open refund is looked after");
    let taken = store.refund_claim_due(due, 1).await.unwrap().remove(0);
    for outcome in [refused("slow", known.checks), refused("slow", taken.checks + 1)] {
        let kept = store.refund_resolve(rf(1), outcome, &[note("slow")], due).await.unwrap();
        assert_eq!(kept, taken);
        assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(300_000));
    }
    let done = store.refund_resolve(rf(1), refused("no", taken.checks), &[], due).await.unwrap();
    assert!(matches!(done.state, RefundState::Failed(_)));
    assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::ZERO);
    // A success counts whoever brings it.
    let known = admitted(&store, &new_refund(2, tx(1), 300_000), now).await;
    store.refund_claim_due(known.next_check_at.unwrap(), 1).await.unwrap();
    let done = store.refund_resolve(rf(2), RefundOutcome::Made, &[], due).await.unwrap();
    assert_eq!(done.state, RefundState::Succeeded);
}

/// 64 at once, of which a third fits: exactly as many are admitted.
pub async fn refunds_that_race_never_exceed_the_payment(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let now = start().after(MINUTE);
    let race = async |from: i64, sen: u64| {
        let calls = (from..from + 64).map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                store.refund_reserve(&new_refund(number, tx(1), sen), now).await.unwrap()
            })
        });
        let calls: Vec<_> = calls.collect();
        let mut won = Vec::new();
        for call in calls {
            match call.await.unwrap() {
                Reserved::Admitted(refund, _) => won.push(refund.refund_id),
                Reserved::Refused(RefundRejection::TooMuch(_)) => {}
                other @ (Reserved::Refused(_) | Reserved::NoPayment) => panic!("{other:?}"),
            }
        }
        won
    };
    let won = race(1, 47_600).await;
    assert_eq!(won.len(), 21);
    assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(999_600));
    assert_eq!(race(101, 500).await.len(), 0);
    for refund_id in &won[..10] {
        store.refund_resolve(*refund_id, refused("no", 0), &[], now).await.unwrap();
    }
    assert_eq!(stored(&store, tx(1)).await.refund_reserved, Sen::new(523_600));
    assert_eq!(race(201, 47_600).await.len(), 10);
    let totals = store.totals().await.unwrap();
    assert_eq!(totals.refunds["unresolved"], 21);
    assert_eq!(totals.refunds["failed"], 3 * 64 - 21);
}

/// As for payments.
pub async fn refunds_are_found_without_case_within_a_contract(store: UnderTest) {
    for (number, contract) in [(1, CONTRACT), (2, "OTHER")] {
        create_paid(&store, &Payment { contract: contract.into(), ..payment(number) }).await;
    }
    let now = start().after(MINUTE);
    for (number, of, contract, reference) in [
        (1, 1, CONTRACT, "Rückgabe-1"),
        (2, 1, CONTRACT, "twice"),
        (3, 1, CONTRACT, "TWICE"),
        (4, 2, "OTHER", "Twice"),
    ] {
        let merchant_refund_id = Some(reference);
        let order = NewRefund { contract, merchant_refund_id, ..new_refund(number, tx(of), 100) };
        admitted(&store, &order, now).await;
    }
    admitted(&store, &new_refund(5, tx(1), 100), now).await;
    for (contract, reference, expected) in [
        (CONTRACT, "RÜCKGABE-1", Found::One(1)),
        (CONTRACT, "rückgabe-1", Found::One(1)),
        (CONTRACT, "rueckgabe-1", Found::None),
        (CONTRACT, "Twice", Found::Many),
        ("OTHER", "twice", Found::One(4)),
        ("OTHER", "Rückgabe-1", Found::None),
        (CONTRACT, "", Found::None),
    ] {
        let found = match store.refund_find(contract, reference).await.unwrap() {
            Found::None => Found::None,
            Found::One(refund) => Found::One(refund.refund_id.get()),
            Found::Many => Found::Many,
        };
        assert_eq!(found, expected, "{contract} {reference:?}");
    }
}

/// Unresolved refunds are looked after until they are resolved.
pub async fn due_refunds_are_claimed_oldest_first(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let mut due = Vec::new();
    for (number, seconds) in [(1, 300), (2, 100), (3, 200)] {
        let at = start().after(Duration::from_secs(seconds));
        due.push(admitted(&store, &new_refund(number, tx(1), 100), at).await);
    }
    let first = due[1].next_check_at.unwrap();
    let last = due[0].next_check_at.unwrap();
    let claim = async |now: Timestamp, limit: usize| {
        let claimed = store.refund_claim_due(now, limit).await.unwrap();
        for refund in &claimed {
            assert_eq!(store.refund_get(refund.refund_id).await.unwrap().as_ref(), Some(refund));
            assert!(refund.next_check_at > Some(now));
        }
        claimed.iter().map(|refund| refund.refund_id.get()).collect::<Vec<_>>()
    };
    assert_eq!(claim(first.before(Duration::from_micros(1)), 10).await, [0; 0]);
    assert_eq!(claim(first, 10).await, [2]);
    assert_eq!(store.refund_get(rf(2)).await.unwrap(), Some(due[1].checked(first)));
    assert_eq!(claim(last, 0).await, [0; 0]);
    let overdue = last.after(DAY);
    assert_eq!(claim(overdue, 2).await, [2, 3]);
    assert_eq!(claim(overdue, 10).await, [1]);
    assert_eq!(claim(overdue, 10).await, [0; 0]);
    store.refund_resolve(rf(1), RefundOutcome::Made, &[], overdue).await.unwrap();
    store.refund_resolve(rf(3), refused("no", 1), &[], overdue).await.unwrap();
    assert_eq!(claim(overdue.after(31 * DAY), 10).await, [2]);
}

/// A refund that never reached a payment is on record all the same.
pub async fn calls_refused_early_are_recorded_as_failed_refunds(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    let lines = trail(&store, tx(1)).await;
    let own = failed_refund(1, tx(1), CONTRACT);
    let foreign = failed_refund(2, tx(1), "OTHER");
    let nowhere = Refund { resolved_at: None, ..failed_refund(3, tx(404), CONTRACT) };
    let now = start().after(MINUTE);
    for refund in [&own, &foreign, &nowhere] {
        store.refund_record_refused(refund, now).await.unwrap();
        let resolved_at = Some(refund.resolved_at.unwrap_or(now));
        let expected = Refund { resolved_at, ..refund.clone() };
        assert_eq!(store.refund_get(refund.refund_id).await.unwrap(), Some(expected));
        assert!(is_conflict(&store.refund_record_refused(refund, now).await));
        let told =
            store.refund_resolve(refund.refund_id, RefundOutcome::Made, &[], now).await.unwrap();
        assert!(matches!(told.state, RefundState::Failed(_)));
    }
    // What another contract asked for about a payment is not part of its story.
    assert_eq!(store.refunds_of(tx(1)).await.unwrap(), [own]);
    assert_eq!(store.refunds_of(tx(404)).await.unwrap(), []);
    assert_eq!(trail(&store, tx(1)).await, lines);
    assert_eq!(store.refund_find(CONTRACT, "BACK-ß-1").await.unwrap(), Found::Many);
    let open = Refund { state: RefundState::Unresolved, ..failed_refund(4, tx(1), CONTRACT) };
    let stored = store.refund_record_refused(&open, now).await;
    assert!(matches!(stored, Err(StoreError::Invalid { table: "refunds", .. })), "{stored:?}");
    assert_eq!(store.refund_get(rf(4)).await.unwrap(), None);
}

// The whole store.

/// Sums and counts per state.
pub async fn totals_count_every_row(store: UnderTest) {
    for number in 1..=4 {
        create_paid(&store, &payment(number)).await;
    }
    for number in 5..=6 {
        create(&store, &payment(number)).await;
        apply(&store, tx(number), &expired(), start().after(SECOND)).await;
    }
    create(&store, &payment(7)).await;
    let now = start().after(MINUTE);
    for (number, outcome) in
        [(1, Some(RefundOutcome::Made)), (2, Some(refused("no", 0))), (3, None)]
    {
        admitted(&store, &new_refund(number, tx(1), 100_000), now).await;
        if let Some(outcome) = outcome {
            store.refund_resolve(rf(number), outcome, &[], now).await.unwrap();
        }
    }
    let claimed = claim_deliveries(&store, now, MINUTE, 3).await;
    for (delivery, outcome) in
        claimed.iter().zip([AttemptOutcome::Delivered, AttemptOutcome::GiveUp])
    {
        store.delivery_record(delivery, &outcome, json!({}), now).await.unwrap();
    }
    let words = |rows: &[(&str, u64)]| {
        rows.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect()
    };
    let expected = Totals {
        payments: words(&[("succeeded", 4), ("failed", 2), ("initialized", 1)]),
        succeeded_sen: 4_000_000,
        refunded_sen: 100_000,
        refunds: words(&[("unresolved", 1), ("succeeded", 1), ("failed", 1)]),
        deliveries: words(&[("waiting", 4), ("delivered", 1), ("given_up", 1)]),
    };
    assert_eq!(store.totals().await.unwrap(), expected);
}

/// A health check leaves nothing behind.
pub async fn a_ping_can_be_repeated(store: UnderTest) {
    for at in [start(), start().after(SECOND), start()] {
        store.ping(at).await.unwrap();
    }
    assert_eq!(store.totals().await.unwrap(), Totals::default());
}

/// A caller may stop waiting at any moment: its step is done whole or not at all.
pub async fn a_caller_that_goes_away_leaves_whole_steps(store: UnderTest) {
    for number in 1..=40 {
        let payment = payment(number);
        let notes = [note("a"), note("b")];
        let step = store.payment_create(&payment, REQUEST, &notes);
        // One poll begins the step; then the future is dropped, at once or a little later.
        tokio::select! {
            biased;
            created = step => assert_eq!(created.unwrap(), Created::New),
            () = yield_for(number % 4) => {}
        }
    }
    for number in 41..=60 {
        create(&store, &payment(number)).await;
        let event = paid();
        let step = store.payment_apply(tx(number), &event, None, &[], start().after(SECOND));
        tokio::select! {
            biased;
            applied = step => assert_eq!(applied.unwrap().verdict, Verdict::Moved),
            () = yield_for(number % 4) => {}
        }
    }
    store.ping(start()).await.unwrap();
    for number in 1..=40 {
        let lines = trail(&store, tx(number)).await.len();
        let there = store.payment_get(tx(number)).await.unwrap().is_some();
        assert_eq!(lines, if there { 2 } else { 0 }, "payment {number}");
    }
    for number in 41..=60 {
        let moved = stored(&store, tx(number)).await.state == PaymentState::Succeeded;
        let deliveries = store.deliveries_of(tx(number)).await.unwrap().len();
        assert_eq!(deliveries, usize::from(moved), "payment {number}");
        assert_eq!(kinds(&store, tx(number)).await.len(), usize::from(moved));
    }
}

async fn yield_for(times: i64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}
