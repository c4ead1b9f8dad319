//! Lists: what fits, in pages.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::money::Sen;
use gopay_core::payment::{Channel, PaymentRecord};
use gopay_core::time::Timestamp;
use serde_json::json;

use super::UnderTest;
use super::samples::{
    CONTRACT, MINUTE, SECOND, admitted, apply, charge_created, claim_deliveries, create,
    create_paid, expired, made, paid, payment, refund_request, restored, rf, start, tx,
};
use crate::{
    AttemptOutcome, DeliveryFilter, DeliveryState, Order, Page, PaymentFilter, PaymentStateWord,
    RefundFilter, RefundStateWord, Times,
};

const ALL: Page = Page::first(Order::OldestFirst, 100);

/// An id as it would have been issued `seconds` after the start.
fn issued(seconds: u64) -> TxId {
    TxId::new(TxId::floor_of(start().after(Duration::from_secs(seconds))) + 4_097).unwrap()
}

fn at(seconds: u64) -> Timestamp {
    start().after(Duration::from_secs(seconds))
}

/// Every filter by itself, and all together.
pub async fn payments_are_listed_by_what_they_are(store: UnderTest) {
    for (seconds, contract, client, channel, reference) in [
        (0, CONTRACT, "testclient", Channel::Test, "order-1"),
        (60, CONTRACT, "testclient", Channel::Live, "Order-Ä"),
        (120, "OTHER", "other", Channel::Test, "ORDER-ä"),
        (180, "OTHER", "other", Channel::Live, "order-1"),
    ] {
        let payment = restored(PaymentRecord {
            tx_id: issued(seconds),
            contract: contract.into(),
            psp: client.into(),
            channel: Some(channel),
            merchant_tx_id: Some(reference.into()),
            created_at: at(seconds),
            ..payment(1).into_record()
        });
        create(&store, &payment).await;
    }
    for (seconds, event) in [(60, charge_created()), (120, expired()), (180, paid())] {
        apply(&store, issued(seconds), &event, at(200)).await;
    }
    let text = |text: &str| Some(text.to_owned());
    let times = |from, until| Times { from, until };
    let none = PaymentFilter::default;
    for (filter, expected) in [
        (none(), vec![0, 60, 120, 180]),
        (PaymentFilter { state: Some(PaymentStateWord::Initialized), ..none() }, vec![0]),
        (PaymentFilter { state: Some(PaymentStateWord::Failed), ..none() }, vec![120]),
        (PaymentFilter { psp: text("other"), ..none() }, vec![120, 180]),
        (PaymentFilter { contract: text(CONTRACT), ..none() }, vec![0, 60]),
        (PaymentFilter { channel: Some(Channel::Live), ..none() }, vec![60, 180]),
        (PaymentFilter { merchant_tx_id: text("order-Ä"), ..none() }, vec![60, 120]),
        (
            PaymentFilter { merchant_tx_id: text("ORDER-1"), contract: text("OTHER"), ..none() },
            vec![180],
        ),
        (PaymentFilter { midtrans_tx_id: text("m-1"), ..none() }, vec![60, 180]),
        (PaymentFilter { midtrans_tx_id: text("m-2"), ..none() }, vec![]),
        (PaymentFilter { amount: Some(Sen::new(1_000_000)), ..none() }, vec![0, 60, 120, 180]),
        (PaymentFilter { amount: Some(Sen::new(1_000_100)), ..none() }, vec![]),
        (PaymentFilter { amount: Some(Sen::new(u64::MAX)), ..none() }, vec![]),
        (PaymentFilter { called: times(Some(at(60)), None), ..none() }, vec![60, 120, 180]),
        (PaymentFilter { called: times(None, Some(at(60))), ..none() }, vec![0]),
        (PaymentFilter { called: times(Some(at(60)), Some(at(180))), ..none() }, vec![60, 120]),
        (
            PaymentFilter {
                state: Some(PaymentStateWord::Succeeded),
                psp: text("other"),
                contract: text("OTHER"),
                channel: Some(Channel::Live),
                merchant_tx_id: text("order-1"),
                midtrans_tx_id: text("m-1"),
                amount: Some(Sen::new(1_000_000)),
                called: times(Some(at(0)), Some(at(181))),
            },
            vec![180],
        ),
        (PaymentFilter { psp: text("nobody"), ..none() }, vec![]),
    ] {
        let listed = store.payments_list(&filter, &ALL).await.unwrap();
        let ids: Vec<_> = listed.rows.iter().map(|payment| payment.tx_id).collect();
        let expected: Vec<_> = expected.into_iter().map(issued).collect();
        assert_eq!((ids, listed.next), (expected, None), "{filter:?}");
    }
}

/// By state, PSP and time; refused calls are among them.
pub async fn refunds_are_listed_by_what_they_are(store: UnderTest) {
    create_paid(&store, &payment(1)).await;
    for number in 1..=3 {
        let now = at(60 * u64::try_from(number).unwrap());
        admitted(&store, &refund_request(number, tx(1), 100), now).await;
    }
    store.refund_reserve(&refund_request(4, tx(1), 1), at(240)).await.unwrap();
    store.refund_resolve(rf(2), made(), &[], at(300)).await.unwrap();
    let none = RefundFilter::default;
    let state = |state| RefundFilter { state: Some(state), ..none() };
    for (filter, expected) in [
        (none(), vec![1, 2, 3, 4]),
        (state(RefundStateWord::Unresolved), vec![1, 3]),
        (state(RefundStateWord::Succeeded), vec![2]),
        (state(RefundStateWord::Failed), vec![4]),
        (RefundFilter { psp: Some("testclient".into()), ..none() }, vec![1, 2, 3, 4]),
        (RefundFilter { contract: Some("OTHER".into()), ..none() }, vec![]),
        (RefundFilter { called: Times { until: Some(at(120)), from: None }, ..none() }, vec![1]),
    ] {
        let listed = store.refunds_list(&filter, &ALL).await.unwrap();
        let ids: Vec<_> = listed.rows.iter().map(|refund| refund.refund_id.get()).collect();
        assert_eq!((ids, listed.next), (expected, None), "{filter:?}");
    }
}

/// By state and PSP.
pub async fn deliveries_are_listed_by_what_they_are(store: UnderTest) {
    for number in 1..=3 {
        create_paid(&store, &payment(number)).await;
    }
    let claimed = claim_deliveries(&store, start().after(MINUTE), MINUTE, 2).await;
    for (delivery, outcome) in
        claimed.iter().zip([AttemptOutcome::GiveUp, AttemptOutcome::Delivered])
    {
        store.delivery_record(delivery, &outcome, json!({}), start()).await.unwrap();
    }
    let none = DeliveryFilter::default;
    for (filter, expected) in [
        (none(), vec![1, 2, 3]),
        (DeliveryFilter { state: Some(DeliveryState::GivenUp), ..none() }, vec![1]),
        (DeliveryFilter { state: Some(DeliveryState::Delivered), ..none() }, vec![2]),
        (DeliveryFilter { state: Some(DeliveryState::Waiting), ..none() }, vec![3]),
        (DeliveryFilter { psp: Some("nobody".into()), ..none() }, vec![]),
    ] {
        let listed = store.deliveries_list(&filter, &ALL).await.unwrap();
        let ids: Vec<_> = listed.rows.iter().map(|delivery| delivery.tx_id.get()).collect();
        assert_eq!((ids, listed.next), (expected, None), "{filter:?}");
    }
}

/// A page has a bound on what it returns and on what it looks at, and the next goes on there, so
/// that together they have every row once, in either order.
pub async fn a_list_looks_at_so_many_rows_and_goes_on(store: UnderTest) {
    for number in 1..=10 {
        create(&store, &payment(number)).await;
        if number % 4 == 0 {
            apply(&store, tx(number), &paid(), start().after(SECOND)).await;
        }
    }
    let filter =
        PaymentFilter { state: Some(PaymentStateWord::Succeeded), ..PaymentFilter::default() };
    let page = Page { scan: 3, ..ALL };
    for (after, expected, next) in [
        (None, vec![], Some(3)),
        (Some(3), vec![4], Some(6)),
        (Some(6), vec![8], Some(9)),
        (Some(9), vec![], None),
    ] {
        let listed = store.payments_list(&filter, &Page { after, ..page }).await.unwrap();
        let ids: Vec<_> = listed.rows.iter().map(|payment| payment.tx_id.get()).collect();
        assert_eq!((ids, listed.next), (expected, next), "after {after:?}");
    }
    for (order, limit) in
        [(Order::OldestFirst, 1), (Order::OldestFirst, 4), (Order::NewestFirst, 3)]
    {
        let mut page = Page { scan: 5, ..Page::first(order, limit) };
        let mut ids = Vec::new();
        loop {
            let listed = store.payments_list(&PaymentFilter::default(), &page).await.unwrap();
            assert!(listed.rows.len() <= limit);
            ids.extend(listed.rows.iter().map(|payment| payment.tx_id.get()));
            match listed.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        if order == Order::NewestFirst {
            ids.reverse();
        }
        assert_eq!(ids, (1..=10).collect::<Vec<_>>(), "{order:?} by {limit}");
    }
}
