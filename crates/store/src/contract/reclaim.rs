//! What a process had claimed that died since.

use std::time::Duration;

use gopay_core::payment::{Payment, PaymentRecord};
use gopay_core::time::Timestamp;

use super::UnderTest;
use super::samples::{
    MINUTE, SECOND, apply, charge_created, claim_deliveries, create, only_delivery, paid, payment,
    refund_request, restored, rf, start, stored, tx,
};
use crate::AttemptOutcome;

/// All of it, in an engine that processes share too: there the store is opened as the holder of number
/// 0, which made the payments of the suite.
pub async fn what_a_dead_holder_had_claimed_is_due_at_once(store: UnderTest) {
    let lease = MINUTE;
    for number in 1..=6 {
        create(&store, &payment(number)).await;
    }
    // 1 is being told, 2 is retried soon, 3 much later, 4 was told, 5 is open, 6 is being called.
    let at = start().after(SECOND);
    for number in 1..=4 {
        apply(&store, tx(number), &paid(), at).await;
    }
    apply(&store, tx(5), &charge_created(), at).await;
    let claimed = claim_deliveries(&store, at, lease, 10).await;
    assert_eq!(claimed.len(), 4);
    for (index, outcome) in [
        (1, AttemptOutcome::Retry(at.after(2 * SECOND))),
        (2, AttemptOutcome::Retry(at.after(10 * MINUTE))),
        (3, AttemptOutcome::Delivered),
    ] {
        store
            .delivery_record(&claimed[index], &outcome, serde_json::Value::Null, at)
            .await
            .unwrap();
    }
    store.refund_reserve(&refund_request(1, tx(1), 10_000), at).await.unwrap();
    let before = (stored(&store, tx(5)).await, stored(&store, tx(6)).await);
    let refund = store.refund_get(rf(1)).await.unwrap().unwrap();
    let now = at.after(SECOND);
    assert!(refund.next_check_at > Some(now) && before.1.next_check_at > Some(now));

    let count = store.reclaim(now, now.after(lease)).await.unwrap();
    let due = |number| {
        let store = &store;
        async move { only_delivery(store, tx(number)).await.next_attempt_at }
    };
    let after = (stored(&store, tx(5)).await, stored(&store, tx(6)).await);
    let refund_due = store.refund_get(rf(1)).await.unwrap().unwrap().next_check_at;
    assert_eq!(count, 4, "two deliveries, a refund, a payment");
    assert_eq!((due(1).await, due(2).await), (now, now));
    assert_eq!(due(3).await, at.after(10 * MINUTE), "its time is a plan, not a lease");
    assert_eq!(after.0, before.0, "it is polled by plan");
    assert_eq!((after.1.next_check_at, after.1.checks), (Some(now), before.1.checks));
    assert_eq!(refund_due, Some(now));
    assert_eq!(claim_deliveries(&store, now, lease, 10).await.len(), 2);
    assert_eq!(store.refund_claim_due(now, 10).await.unwrap().len(), 1);
    assert_eq!(store.payment_claim_due(now, 10).await.unwrap().len(), 1);
    // The claims are those of a living holder now, and again somebody's who died.
    let later = now.after(Duration::from_millis(1));
    assert!(store.reclaim(later, later.after(lease)).await.unwrap() >= 3);
}

/// The session of a payment is over, and Midtrans is asked what came of it: the PSP waits for that.
/// Before, a check has the time of a plan, which nobody waits for.
pub async fn a_check_that_was_under_way_after_the_session_is_due_at_once(store: UnderTest) {
    let deadline = payment(1).deadline_at;
    for number in 1..=3 {
        create(&store, &payment(number)).await;
        apply(&store, tx(number), &charge_created(), start().after(SECOND)).await;
    }
    create(&store, &restored(in_session(4, deadline.after(MINUTE)))).await;
    apply(&store, tx(3), &paid(), start().after(MINUTE)).await;
    // 1 and 2 are asked about, 3 is paid, 4 is in its session, after a check.
    let claimed = store.payment_claim_due(deadline, 10).await.unwrap();
    let ids = |payments: &[Payment]| {
        let mut ids: Vec<_> = payments.iter().map(|payment| payment.tx_id.get()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(ids(&claimed), [1, 2, 4]);
    let before = stored(&store, tx(4)).await;
    assert!(before.next_check_at > Some(deadline.after(SECOND)));

    let now = deadline.after(SECOND);
    assert_eq!(store.reclaim(now, now.after(MINUTE)).await.unwrap(), 2);
    assert_eq!(stored(&store, tx(4)).await, before);
    let again = store.payment_claim_due(now, 10).await.unwrap();
    assert_eq!(ids(&again), [1, 2]);
    // Those are this holder's own.
    assert_eq!(store.payment_claim_due(now, 10).await.unwrap(), []);
}

fn in_session(number: i64, deadline_at: Timestamp) -> PaymentRecord {
    let open = payment(number).on(&charge_created(), start()).payment;
    PaymentRecord { deadline_at, next_check_at: Some(start()), ..open.into_record() }
}
