//! Random steps, on an engine and on the model, with the same results.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use gopay_core::payment::{Closure, Event, Payment, PaymentRecord};
use gopay_core::refund::RefundRequest;
use gopay_core::time::Timestamp;
use proptest::prelude::{Just, Strategy, any};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::samples::{
    CONTRACT, charge_created, failed_refund, failure, made, nonce, note, paid, payment,
    refund_request, refused, restored, rf, start, tx,
};
use super::{Model, UnderTest};
use crate::{
    AttemptOutcome, Cursor, Database, Delivery, DeliveryFilter, Order, Page, PaymentFilter,
    RefundFilter,
};

/// Few ids, so that steps meet.
const PAYMENTS: i64 = 12;
const REFUNDS: i64 = 30;
/// Enough that every kind of step meets every kind of row, in a few seconds on a disk.
const STEPS: usize = 1500;
/// How many of the last steps a failure shows.
const SHOWN: usize = 12;

#[derive(Clone, Debug)]
enum Step {
    Create { number: i64, nonce: Option<u8>, reference: u8, foreign: bool },
    Apply { number: i64, event: Event, answer: bool },
    Answer { number: i64, answer: u8 },
    Note { number: i64 },
    CheckAt { number: i64, ahead: i64 },
    ClaimPayments { limit: usize },
    Reserve { refund: i64, number: i64, sen: u64, foreign: bool },
    Resolve { refund: i64, good: bool, checks: u32 },
    Refused { refund: i64, number: i64, foreign: bool },
    ClaimRefunds { limit: usize },
    ClaimDeliveries { limit: usize, lease: u64 },
    Record { pick: usize, outcome: u8 },
    Again { number: i64 },
    Find { reference: u8, foreign: bool, nonce: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let number = 1..=PAYMENTS;
    let refund = 1..=REFUNDS;
    let coin = any::<bool>();
    let limit = 0..4_usize;
    let event = proptest::sample::select(vec![
        charge_created(),
        charge_created(),
        paid(),
        Event::Closed(Closure::Expired),
        Event::Closed(Closure::Denied),
        Event::StillOpen { midtrans_tx_id: "m-2".into() },
        Event::NotFound,
        Event::NoAnswer,
        Event::GaveUp,
        Event::CancelRequested,
        Event::ChargeRefused(failure("refused")),
        Event::ChargeOutcomeUnknown(failure("unclear")),
    ]);
    let nonce = proptest::option::of(0..4_u8);
    proptest::prop_oneof![
        3 => (number.clone(), nonce, 0..6_u8, coin).prop_map(|(number, nonce, reference, foreign)| {
            Step::Create { number, nonce, reference, foreign }
        }),
        6 => (number.clone(), event, coin)
            .prop_map(|(number, event, answer)| Step::Apply { number, event, answer }),
        1 => (number.clone(), any::<u8>())
            .prop_map(|(number, answer)| Step::Answer { number, answer }),
        1 => number.clone().prop_map(|number| Step::Note { number }),
        1 => (number.clone(), -600..600_i64)
            .prop_map(|(number, ahead)| Step::CheckAt { number, ahead }),
        2 => limit.clone().prop_map(|limit| Step::ClaimPayments { limit }),
        4 => (refund.clone(), number.clone(), 0..9_000_u64, coin)
            .prop_map(|(refund, number, sen, foreign)| {
                Step::Reserve { refund, number, sen: sen * 50, foreign }
            }),
        3 => (refund.clone(), coin, 0..2_u32)
            .prop_map(|(refund, good, checks)| Step::Resolve { refund, good, checks }),
        1 => (refund, number.clone(), coin)
            .prop_map(|(refund, number, foreign)| Step::Refused { refund, number, foreign }),
        1 => limit.clone().prop_map(|limit| Step::ClaimRefunds { limit }),
        3 => (limit, 1..900_u64)
            .prop_map(|(limit, lease)| Step::ClaimDeliveries { limit, lease }),
        3 => (0..6_usize, 0..4_u8).prop_map(|(pick, outcome)| Step::Record { pick, outcome }),
        1 => number.prop_map(|number| Step::Again { number }),
        1 => (0..6_u8, coin, 0..4_u8)
            .prop_map(|(reference, foreign, nonce)| Step::Find { reference, foreign, nonce }),
        1 => Just(Step::ClaimPayments { limit: 100 }),
    ]
}

fn contract(foreign: bool) -> &'static str {
    if foreign { "OTHER" } else { CONTRACT }
}

/// Two spellings of three references.
fn reference(pick: u8) -> String {
    let text = format!("Bestellung-Ä-{}", pick / 2);
    if pick.is_multiple_of(2) { text } else { text.to_uppercase() }
}

fn new_payment(
    number: i64,
    pick_nonce: Option<u8>,
    pick: u8,
    foreign: bool,
    now: Timestamp,
) -> Payment {
    restored(PaymentRecord {
        contract: contract(foreign).into(),
        nonce: pick_nonce.map(|pick| nonce(&format!("n-{pick}"))),
        merchant_tx_id: Some(reference(pick)),
        created_at: now,
        deadline_at: now.after(Duration::from_secs(3600)),
        next_check_at: Some(now.after(Duration::from_secs(60))),
        ..payment(number).into_record()
    })
}

/// Compares every result of random steps, and now and then every row, with those of [`Model`].
pub async fn random_steps_agree_with_the_model(store: UnderTest) {
    let model = Model::default();
    let mut runner = TestRunner::deterministic();
    let strategy = (step(), 0..40_000_000_u64);
    let mut now = start();
    let mut shown = VecDeque::new();
    let mut claimed = Vec::new();
    for count in 0..STEPS {
        let (step, later) =
            strategy.new_tree(&mut runner).expect("the strategy rejects nothing").current();
        now = now.after(Duration::from_micros(later));
        shown.push_back(format!("{now}: {step:?}"));
        if shown.len() > SHOWN {
            shown.pop_front();
        }
        let theirs = play(&*store, &step, &mut claimed.clone(), now).await;
        let ours = play(&model, &step, &mut claimed, now).await;
        assert_eq!(theirs, ours, "step {count}, the last of {shown:#?}");
        if count % 50 == 49 {
            assert_eq!(everything(&*store).await, everything(&model).await, "after {shown:#?}");
        }
    }
}

/// Does the step; what it returned, as text.
async fn play(
    store: &dyn Database,
    step: &Step,
    claimed: &mut Vec<Delivery>,
    now: Timestamp,
) -> String {
    match step {
        Step::Create { number, nonce, reference, foreign } => {
            let payment = new_payment(*number, *nonce, *reference, *foreign, now);
            shown(store.payment_create(&payment, &format!("{now}"), &[note("created")]).await)
        }
        Step::Apply { number, event, answer } => {
            let answer = answer.then_some(b"answer".as_slice());
            let notes = [note("notification")];
            shown(store.payment_apply(tx(*number), event, answer, &notes, now).await)
        }
        Step::Answer { number, answer } => {
            shown(store.payment_answer(tx(*number), &[*answer]).await)
        }
        Step::Note { number } => {
            shown(store.payment_note(tx(*number), &[note("a"), note("b")], now).await)
        }
        Step::CheckAt { number, ahead } => {
            let at = Timestamp::from_micros(now.as_micros() + ahead * 1_000_000);
            shown(store.payment_check_at(tx(*number), at).await)
        }
        Step::ClaimPayments { limit } => shown(store.payment_claim_due(now, *limit).await),
        Step::Reserve { refund, number, sen, foreign } => {
            let contract = contract(*foreign).into();
            let request = RefundRequest { contract, ..refund_request(*refund, tx(*number), *sen) };
            shown(store.refund_reserve(&request, now).await)
        }
        Step::Resolve { refund, good, checks } => {
            let outcome = if *good { made() } else { refused("no", *checks) };
            shown(store.refund_resolve(rf(*refund), outcome, &[], now).await)
        }
        Step::Refused { refund, number, foreign } => {
            let refund = failed_refund(*refund, tx(*number), contract(*foreign));
            shown(store.refund_record_refused(&refund, now).await)
        }
        Step::ClaimRefunds { limit } => shown(store.refund_claim_due(now, *limit).await),
        Step::ClaimDeliveries { limit, lease } => {
            let until = now.after(Duration::from_secs(*lease));
            let result = store.delivery_claim_due(now, until, *limit, &[]).await;
            claimed.extend(result.iter().flatten().cloned());
            shown(result)
        }
        Step::Record { pick, outcome } => {
            if claimed.is_empty() {
                return String::new();
            }
            // Also leases that are long over are reported.
            let delivery = claimed.remove(pick % claimed.len());
            let later = now.after(Duration::from_secs(60));
            let outcome = match outcome {
                0 => AttemptOutcome::Delivered,
                1 => AttemptOutcome::Retry(later),
                2 => AttemptOutcome::GiveUp,
                _ => AttemptOutcome::Postpone(later),
            };
            shown(store.delivery_record(&delivery, &outcome, json!({ "http": 500 }), now).await)
        }
        Step::Again { number } => shown(store.delivery_again(tx(*number), now).await),
        Step::Find { reference: pick, foreign, nonce } => {
            let contract = contract(*foreign);
            let by_reference = store.payment_find(contract, &reference(*pick)).await;
            let by_nonce = store.payment_find_nonce(contract, &format!("n-{nonce}")).await;
            let refunds = store.refund_find(contract, "back-ß-1").await;
            shown(by_reference) + &shown(by_nonce) + &shown(refunds)
        }
    }
}

fn shown<T: Debug>(result: T) -> String {
    format!("{result:?}")
}

async fn everything(store: &dyn Database) -> Vec<String> {
    let totals = shown(store.totals().await);
    assert_eq!(totals, shown(store.totals_counted().await), "sums by day and a count");
    let mut all = vec![totals];
    all.push(shown(store.journal_read(&Cursor::default(), 1_000).await));
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let page = Page { scan: 9, ..Page::first(order, 7) };
        all.push(shown(store.payments_list(&PaymentFilter::default(), &page).await));
        all.push(shown(store.refunds_list(&RefundFilter::default(), &page).await));
        all.push(shown(store.deliveries_list(&DeliveryFilter::default(), &page).await));
    }
    for number in 1..=PAYMENTS {
        all.push(shown(store.payment_get(tx(number)).await));
        all.push(shown(store.payment_request(tx(number)).await));
        all.push(shown(store.payment_trail(tx(number)).await));
        all.push(shown(store.refunds_of(tx(number)).await));
        all.push(shown(store.deliveries_of(tx(number)).await));
    }
    for number in 1..=REFUNDS {
        all.push(shown(store.refund_get(rf(number)).await));
    }
    all
}
