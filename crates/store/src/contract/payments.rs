//! Payments: stored whole, once for each id and nonce, and found.

use std::collections::BTreeSet;
use std::sync::Arc;

use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{
    Channel, ChargeState, FailReason, FirstFailure, Nonce, PaidAtSource, PaymentRecord,
    PaymentState,
};
use gopay_core::time::Timestamp;
use serde_json::json;

use super::UnderTest;
use super::samples::{
    CONTRACT, DAY, REQUEST, SECOND, apply, charge_created, create, failure, is_conflict, line,
    nonce, note, payment, restored, start, stored, trail, tx,
};
use crate::{Created, Lookup, Note};

/// Every field comes back as it went in.
pub async fn a_payment_is_stored_whole(store: UnderTest) {
    let plain = payment(1);
    let full = restored(PaymentRecord {
        state: PaymentState::Failed(failure("GoPay said no: ß")),
        charge_state: ChargeState::Closed,
        midtrans_tx_id: Some("1a9c1a6d-0000-4000-8000-c0ffee000000".into()),
        deeplink: Some("gojek://gopay/merchanttransfer?tref=1".into()),
        channel: Some(Channel::Live),
        account: Some("warung-71".parse().unwrap()),
        nonce: Some(nonce("n-1")),
        answer: Some(vec![0, 255, 10, 0]),
        final_at: Some(start().after(SECOND)),
        paid_at: Some(start().before(SECOND)),
        paid_at_source: Some(PaidAtSource::Midtrans),
        payment_type: Some("qris".into()),
        payment_option: Some("GO_CICIL".into()),
        first_failure: Some(FirstFailure { at: start().before(DAY), reason: FailReason::Timeout }),
        cancel_requested: true,
        refund_reserved: Sen::new(100),
        next_check_at: Some(start().after(DAY)),
        checks: 3,
        ..payment(2).into_record()
    });
    let bare = restored(PaymentRecord {
        channel: None,
        merchant_tx_id: None,
        amount: None,
        state: PaymentState::Failed(failure("")),
        final_at: Some(start()),
        charge_state: ChargeState::Absent,
        merchant_redirect_url: None,
        notification_url: None,
        next_check_at: None,
        ..payment(3).into_record()
    });
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
    let last = restored(PaymentRecord {
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
        nonce: Some(Nonce {
            value: long.chars().take(255).collect(),
            fingerprint: std::array::from_fn(|at| u8::try_from(at).unwrap() * 8),
        }),
        ..payment(i64::MAX).into_record()
    });
    let first = restored(PaymentRecord {
        amount: Some(Rupiah::new(1).unwrap()),
        created_at: Timestamp::from_micros(i64::MIN),
        ..payment(1).into_record()
    });
    for payment in [last, first] {
        let notes = [Note { kind: "long", detail: json!({ "text": long, "max": u64::MAX }) }];
        assert_eq!(store.payment_create(&payment, &long, &notes).await.unwrap(), Created::New);
        assert_eq!(stored(&store, payment.tx_id).await, payment);
        assert_eq!(store.payment_request(payment.tx_id).await.unwrap(), long);
        let lines = [line(payment.created_at, &notes[0])];
        assert_eq!(trail(&store, payment.tx_id).await, lines);
    }
    let Lookup::One(empty) = store.payment_find(CONTRACT, "").await.unwrap() else {
        panic!("an empty reference is one too")
    };
    assert_eq!(empty.tx_id, tx(i64::MAX));
}

/// The first payment under an id stays as it was.
pub async fn a_taken_id_is_a_conflict_and_changes_nothing(store: UnderTest) {
    let first = payment(1);
    store.payment_create(&first, REQUEST, &[note("first")]).await.unwrap();
    let second = restored(PaymentRecord {
        contract: "OTHER".into(),
        nonce: Some(nonce("n")),
        ..payment(1).into_record()
    });
    assert!(is_conflict(&store.payment_create(&second, "{}", &[note("second")]).await));
    assert_eq!(stored(&store, tx(1)).await, first);
    assert_eq!(store.payment_request(tx(1)).await.unwrap(), REQUEST);
    assert_eq!(trail(&store, tx(1)).await, [line(start(), &note("first"))]);
    assert_eq!(store.payment_find_nonce("OTHER", "n").await.unwrap(), None);
    create(&store, &payment(2)).await;
}

/// A second call under a nonce gets the first payment, also if its id is taken.
pub async fn a_nonce_is_used_once_per_contract(store: UnderTest) {
    let with = |number, contract: &str, value: Option<&str>| {
        restored(PaymentRecord {
            contract: contract.into(),
            nonce: value.map(nonce),
            ..payment(number).into_record()
        })
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

/// Also if they are many, or asked for twice.
pub async fn payments_that_are_not_there_are_named_in_their_order(store: UnderTest) {
    let epoch = store.epoch();
    for number in [1, 3, 5] {
        create(&store, &payment(number)).await;
    }
    let ask = async |numbers: &[i64]| {
        let asked: Vec<_> = numbers.iter().copied().map(tx).collect();
        let missing = store.payments_missing(&asked).await.unwrap();
        missing.into_iter().map(gopay_core::ids::TxId::get).collect::<Vec<_>>()
    };
    assert_eq!(ask(&[]).await, [0_i64; 0]);
    assert_eq!(ask(&[5, 1, 3]).await, [0_i64; 0]);
    assert_eq!(ask(&[6, 5, 2, 1, 4, 2]).await, [6, 2, 4, 2]);
    let many: Vec<i64> = (0..10_000).map(|number| 10_000 - number).collect();
    let missing = ask(&many).await;
    assert_eq!(missing.len(), 9_997);
    assert_eq!((missing[0], missing[9_996]), (10_000, 2));
    assert_eq!(store.epoch(), epoch, "nobody exchanged it");
}

/// Of calls at the same time, one makes the payment and the others are given it.
pub async fn nonces_that_race_make_one_payment(store: UnderTest) {
    let calls = (1..=16).map(|number| {
        let store = Arc::clone(&store);
        let payment =
            restored(PaymentRecord { nonce: Some(nonce("n")), ..payment(number).into_record() });
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
        create(
            &store,
            &restored(PaymentRecord {
                contract: contract.into(),
                merchant_tx_id,
                ..payment(number).into_record()
            }),
        )
        .await;
    }
    for (contract, reference, expected) in [
        (CONTRACT, "order-1", Lookup::One(1)),
        (CONTRACT, "ORDER-1", Lookup::One(1)),
        (CONTRACT, "bestellung-äöü-é", Lookup::One(2)),
        (CONTRACT, "BESTELLUNG-ÄÖÜ-É", Lookup::One(2)),
        (CONTRACT, "bestellung-aou-e", Lookup::None),
        (CONTRACT, "Twice", Lookup::Many),
        ("OTHER", "twice", Lookup::One(6)),
        ("OTHER", "ORDER-1", Lookup::One(5)),
        ("other", "order-1", Lookup::None),
        (CONTRACT, "οδος", Lookup::One(8)),
        (CONTRACT, "order-", Lookup::None),
        (CONTRACT, "order-_", Lookup::None),
        (CONTRACT, "%", Lookup::One(9)),
        (CONTRACT, "", Lookup::None),
        ("NOBODY", "order-1", Lookup::None),
    ] {
        let found = match store.payment_find(contract, reference).await.unwrap() {
            Lookup::None => Lookup::None,
            Lookup::One(payment) => Lookup::One(payment.tx_id.get()),
            Lookup::Many => Lookup::Many,
        };
        assert_eq!(found, expected, "{contract} {reference:?}");
    }
}
