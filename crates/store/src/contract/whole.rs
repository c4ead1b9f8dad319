//! The whole store: sums, health, callers that go away.

use gopay_core::payment::{Effect, PaymentState};
use serde_json::json;

use super::UnderTest;
use super::samples::{
    MINUTE, REQUEST, SECOND, admitted, apply, charge_created, claim_deliveries, create,
    create_paid, expired, kinds, made, note, paid, payment, refund_request, refused, rf, start,
    stored, trail, tx,
};
use crate::{AttemptOutcome, AttentionSums, Backlog, Created, Totals, Waiting};

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
    for (number, outcome) in [(1, Some(made())), (2, Some(refused("no", 0))), (3, None)] {
        admitted(&store, &refund_request(number, tx(1), 100_000), now).await;
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
        attention: AttentionSums::default(),
    };
    assert_eq!(store.totals().await.unwrap(), expected);
    assert_eq!(store.totals_counted().await.unwrap(), expected);
    store.totals_refill().await.unwrap();
    assert_eq!(store.totals().await.unwrap(), expected);
}

/// What waits is counted by its age, and what is done or in the end is not.
pub async fn what_waits_is_counted_by_age(store: UnderTest) {
    let now = start().after(MINUTE * 90);
    assert_eq!(store.backlog(now).await.unwrap(), Backlog::default());
    for number in 1..=2 {
        create_paid(&store, &payment(number)).await;
    }
    create(&store, &payment(3)).await;
    apply(&store, tx(3), &expired(), now.before(SECOND)).await;
    create(&store, &payment(4)).await;
    create(&store, &payment(5)).await;
    apply(&store, tx(5), &charge_created(), start()).await;
    let called = |number, sen| refund_request(number, tx(1), sen);
    admitted(&store, &called(1, 100_000), now.before(MINUTE * 4)).await;
    admitted(&store, &called(2, 100_000), now.before(SECOND)).await;
    admitted(&store, &called(3, 100_000), now.before(SECOND)).await;
    store.refund_resolve(rf(3), made(), &[], now).await.unwrap();
    let backlog = store.backlog(now).await.unwrap();
    assert_eq!(backlog.initialized, Waiting { by_age: [0, 0, 0, 1], oldest: Some(start()) });
    assert_eq!(backlog.pending, Waiting { by_age: [0, 0, 0, 1], oldest: Some(start()) });
    let oldest = Some(now.before(MINUTE * 4));
    assert_eq!(backlog.unresolved, Waiting { by_age: [1, 1, 0, 0], oldest });
    assert_eq!(backlog.deliveries.count(), 3);
    assert_eq!(backlog.deliveries.by_age[0], 1);
    for delivery in claim_deliveries(&store, now, MINUTE, 9).await {
        let outcome = AttemptOutcome::Delivered;
        store.delivery_record(&delivery, &outcome, json!({}), now).await.unwrap();
    }
    assert_eq!(store.backlog(now).await.unwrap().deliveries, Waiting::default());
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
            applied = step => assert_eq!(applied.unwrap().effect, Effect::Moved),
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
