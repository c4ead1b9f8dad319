//! What a process had claimed that died since.

use std::time::Duration;

use super::UnderTest;
use super::samples::{
    MINUTE, SECOND, apply, charge_created, claim_deliveries, create, only_delivery, paid, payment,
    refund_request, rf, start, stored, tx,
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
