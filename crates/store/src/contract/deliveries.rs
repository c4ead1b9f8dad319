//! Deliveries: owed, claimed, tried.

use std::time::Duration;

use gopay_core::payment::{Event, PaymentRecord};
use serde_json::json;

use super::UnderTest;
use super::samples::{
    DAY, MINUTE, SECOND, apply, charge_created, claim_deliveries, create, create_paid, expired,
    failure, kinds, only_delivery, paid, payment, restored, start, trail, tx,
};
use crate::{AttemptOutcome, Delivery, DeliveryState, EventRecord};

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
        create(
            &store,
            &restored(PaymentRecord { notification_url: url, ..payment(number).into_record() }),
        )
        .await;
        let applied = apply(&store, tx(number), &event, at).await;
        let count = store.deliveries_of(tx(number)).await.unwrap().len();
        assert_eq!((count, applied.delivery_owed), (usize::from(owed), owed), "payment {number}");
    }
    let delivery = only_delivery(&store, tx(1)).await;
    let expected = Delivery {
        delivery_id: delivery.delivery_id,
        tx_id: tx(1),
        psp: "testclient".into(),
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
