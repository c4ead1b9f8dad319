//! Which payments are asked about next, and by whom.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gopay_core::payment::{Effect, PaymentRecord, PaymentState};

use super::UnderTest;
use super::samples::{
    MINUTE, SECOND, apply, claim_deliveries, create, kinds, only_delivery, paid, payment, restored,
    start, stored, tx,
};
use crate::DeliveryState;

/// A claim sets the next check, so the same payment is not claimed again until then.
pub async fn due_payments_are_claimed_oldest_first(store: UnderTest) {
    let due_after = [(1, Some(30)), (2, Some(10)), (3, Some(20)), (4, None), (5, Some(41))];
    for (number, seconds) in due_after {
        let next_check_at = seconds.map(|seconds| start().after(Duration::from_secs(seconds)));
        create(&store, &restored(PaymentRecord { next_check_at, ..payment(number).into_record() }))
            .await;
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
    let first = restored(PaymentRecord {
        next_check_at: Some(start().after(10 * SECOND)),
        ..payment(2).into_record()
    });
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
    create(
        &store,
        &restored(PaymentRecord { next_check_at: Some(planned), ..payment(1).into_record() }),
    )
    .await;
    create(&store, &restored(PaymentRecord { next_check_at: None, ..payment(2).into_record() }))
        .await;
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

/// The same event from everywhere at once: one move, one record, one delivery.
pub async fn paid_events_that_race_move_once(store: UnderTest) {
    create(&store, &payment(1)).await;
    let told = (0..16).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { apply(&store, tx(1), &paid(), start().after(SECOND)).await })
    });
    let told: Vec<_> = told.collect();
    let (mut moved, mut owed) = (0, 0);
    for told in told {
        let applied = told.await.unwrap();
        assert_eq!(applied.payment.state, PaymentState::Succeeded);
        assert!(matches!(applied.effect, Effect::Moved | Effect::Same), "{applied:?}");
        moved += usize::from(applied.effect == Effect::Moved);
        owed += usize::from(applied.delivery_owed);
    }
    assert_eq!((moved, owed), (1, 1));
    assert_eq!(kinds(&store, tx(1)).await, ["state"]);
    assert_eq!(only_delivery(&store, tx(1)).await.state, DeliveryState::Waiting);
}
