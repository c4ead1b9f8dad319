//! What events do to payments and their trails.

use std::time::Duration;

use gopay_core::payment::{Effect, Event, PaymentRecord, PaymentState};
use serde_json::json;

use super::UnderTest;
use super::samples::{
    DAY, MINUTE, REQUEST, SECOND, apply, charge_created, create, create_paid, expired, is_missing,
    line, made, nonce, note, only_delivery, paid, payment, refund_request, restored, rf, start,
    stored, trail, tx,
};
use crate::{Applied, AttemptOutcome, Delivery, EventRecord, Reserved, Totals};

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
            effect: Effect::Moved,
            delivery_owed: false,
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
    create(
        &store,
        &restored(PaymentRecord { nonce: Some(nonce("n")), ..payment(1).into_record() }),
    )
    .await;
    create(&store, &payment(2)).await;
    let at = start().after(SECOND);
    for (number, kept) in [(1, Some(b"one".to_vec())), (2, None)] {
        let applied = store
            .payment_apply(tx(number), &charge_created(), Some(b"one"), &[], at)
            .await
            .unwrap();
        assert_eq!(applied.payment.answer, kept, "payment {number}");
        for event in [Event::CancelRequested, Event::NoAnswer, charge_created()] {
            let applied =
                store.payment_apply(tx(number), &event, Some(b"two"), &[], at).await.unwrap();
            assert_eq!(applied.payment.answer, kept, "{event:?}");
        }
        // A later move without an answer does not take it away.
        apply(&store, tx(number), &paid(), at).await;
        assert_eq!(stored(&store, tx(number)).await.answer, kept, "payment {number}");
    }
    // Nor does a later one with an answer replace what may have been given.
    create(
        &store,
        &restored(PaymentRecord { nonce: Some(nonce("n-3")), ..payment(3).into_record() }),
    )
    .await;
    for (event, answer) in [(charge_created(), b"first"), (paid(), b"other")] {
        store.payment_apply(tx(3), &event, Some(answer), &[], at).await.unwrap();
        assert_eq!(stored(&store, tx(3)).await.answer, Some(b"first".to_vec()));
    }
}

/// A notification may move a payment before its call ends: its answer comes by itself then, and once.
pub async fn an_answer_that_missed_the_move_is_kept_once(store: UnderTest) {
    create(
        &store,
        &restored(PaymentRecord { nonce: Some(nonce("n")), ..payment(1).into_record() }),
    )
    .await;
    let moved = apply(&store, tx(1), &paid(), start().after(SECOND)).await.payment;
    let lines = trail(&store, tx(1)).await;
    let kept = restored(PaymentRecord { answer: Some(b"one".to_vec()), ..moved.into_record() });
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
pub async fn an_event_that_changes_nothing_leaves_only_notes(store: UnderTest) {
    let before = create_paid(&store, &payment(1)).await;
    let lines = trail(&store, tx(1)).await;
    let later = start().after(DAY);
    for (event, effect) in [
        (paid(), Effect::Same),
        (expired(), Effect::Refused),
        (charge_created(), Effect::Refused),
        (Event::CancelRequested, Effect::Refused),
    ] {
        let applied = apply(&store, tx(1), &event, later).await;
        let expected = Applied {
            payment: before.clone(),
            before: PaymentState::Succeeded,
            effect,
            delivery_owed: false,
        };
        assert_eq!(applied, expected, "{event:?}");
    }
    assert_eq!(trail(&store, tx(1)).await, lines);
    store.payment_apply(tx(1), &paid(), None, &[note("again")], later).await.unwrap();
    assert_eq!(trail(&store, tx(1)).await.last(), Some(&line(later, &note("again"))));
    assert_eq!(stored(&store, tx(1)).await, before);
    assert_eq!(store.deliveries_of(tx(1)).await.unwrap().len(), 1);

    // An event that leaves a payment open does not move its next check either: that is for the claim.
    create(&store, &payment(2)).await;
    let open = apply(&store, tx(2), &charge_created(), start().after(SECOND)).await.payment;
    let applied = apply(&store, tx(2), &Event::NoAnswer, start().after(MINUTE)).await;
    assert_eq!((applied.payment, applied.effect), (open.clone(), Effect::Same));
    assert_eq!(stored(&store, tx(2)).await, open);
}

/// A payment can change without changing its state.
pub async fn what_is_noted_is_stored_without_a_delivery(store: UnderTest) {
    create(&store, &payment(1)).await;
    apply(&store, tx(1), &charge_created(), start().after(SECOND)).await;
    let at = start().after(MINUTE);
    let applied = apply(&store, tx(1), &Event::CancelRequested, at).await;
    assert_eq!((applied.effect, applied.before), (Effect::Noted, PaymentState::Pending));
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
    assert!(is_missing(store.refund_resolve(rf(404), made(), &[], now).await, "refunds"));
    assert_eq!(
        store.refund_reserve(&refund_request(404, id, 100), now).await.unwrap(),
        Reserved::NoPayment
    );
    create_paid(&store, &payment(1)).await;
    let delivery = Delivery { delivery_id: i64::MAX, ..only_delivery(&store, tx(1)).await };
    let record = store.delivery_record(&delivery, &AttemptOutcome::Delivered, json!({}), now).await;
    assert!(is_missing(record, "deliveries"));
    assert_eq!(store.payment_trail(id).await.unwrap(), []);
}
