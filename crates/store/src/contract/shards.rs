//! Payments of several shards: what is not asked for by a TXID is found in all of them.

use std::collections::BTreeSet;
use std::time::Duration;

use gopay_core::ids::{IdGenerator, TxId};
use gopay_core::payment::PaymentRecord;
use gopay_testkit::sample;

use super::UnderTest;
use super::samples::{
    DAY, MINUTE, SECOND, admitted, apply, claim_deliveries, create, create_paid, is_missing, made,
    only_delivery, paid, refund_request, restored, rf, start, stored,
};
use crate::{
    AttemptOutcome, DeliveryFilter, Listed, Order, Page, PaymentFilter, RefundFilter, StoreError,
};

/// Payments that were made in turn by three instances, in the order of their ids.
async fn payments(store: &UnderTest, count: u64) -> Vec<TxId> {
    let mut instances = [0, 3, 1_023].map(IdGenerator::new);
    let mut made = Vec::new();
    for (number, ids) in (0..count).zip((0..3).cycle()) {
        let at = start().after(Duration::from_millis(number));
        let tx_id = instances[ids].next_tx(at);
        let record = sample::payment(tx_id.get(), at).into_record();
        let next_check_at = Some(start().after(MINUTE));
        create(store, &restored(PaymentRecord { next_check_at, ..record })).await;
        made.push(tx_id);
    }
    made
}

/// Each row once, as many as are wanted at a time.
pub async fn claims_go_through_all_shards(store: UnderTest) {
    let made = payments(&store, 14).await;
    let wanted: BTreeSet<TxId> = made.iter().copied().collect();
    let now = start().after(DAY);
    let mut claimed = Vec::new();
    for count in [5, 5, 4, 0] {
        let more = store.payment_claim_due(now, 5).await.unwrap();
        assert_eq!(more.len(), count, "payments");
        claimed.extend(more.into_iter().map(|payment| payment.tx_id));
    }
    assert_eq!(claimed.iter().copied().collect::<BTreeSet<_>>(), wanted);
    for tx_id in &made {
        apply(&store, *tx_id, &paid(), now).await;
    }
    let mut told = BTreeSet::new();
    for count in [6, 6, 2, 0] {
        let more = claim_deliveries(&store, now, MINUTE, 6).await;
        assert_eq!(more.len(), count, "deliveries");
        for delivery in more {
            assert!(told.insert(delivery.tx_id));
            let (outcome, nothing) = (AttemptOutcome::Delivered, serde_json::Value::Null);
            store.delivery_record(&delivery, &outcome, nothing, now).await.unwrap();
        }
    }
    assert_eq!(told, wanted);
    let mut other = IdGenerator::new(7);
    for tx_id in &made {
        let number = other.next_refund_of(*tx_id, now).get();
        admitted(&store, &refund_request(number, *tx_id, 10_000), now).await;
    }
    let mut asked = BTreeSet::new();
    for count in [9, 5, 0] {
        let more = store.refund_claim_due(now.after(DAY), 9).await.unwrap();
        assert_eq!(more.len(), count, "refunds");
        asked.extend(more.into_iter().map(|refund| refund.tx_id));
    }
    assert_eq!(asked, wanted);
}

/// Also one whose number is of another shard than its payment's: those that were drawn by the instance
/// that was asked, and what a person has typed.
pub async fn a_refund_is_found_by_its_id_whatever_its_payments_shard(store: UnderTest) {
    let at = start().after(SECOND);
    for (payment, refund) in [(0, 0), (3, 3), (3, 0), (0, 1_023)] {
        let tx_id = IdGenerator::new(payment).next_tx(at.after(DAY * u32::from(refund)));
        create_paid(&store, &sample::payment(tx_id.get(), start())).await;
        let number = IdGenerator::new(refund).next(at.after(DAY * u32::from(payment)));
        let made_of = admitted(&store, &refund_request(number, tx_id, 10_000), at).await;
        assert_eq!(store.refund_get(rf(number)).await.unwrap().as_ref(), Some(&made_of));
        let resolved = store.refund_resolve(rf(number), made(), &[], at).await.unwrap();
        assert_eq!(store.refund_get(rf(number)).await.unwrap().as_ref(), Some(&resolved));
        assert_eq!(store.refunds_of(tx_id).await.unwrap(), [resolved]);
        assert_eq!(stored(&store, tx_id).await.tx_id, tx_id);
        let nobody = rf(number + 1);
        assert_eq!(store.refund_get(nobody).await.unwrap(), None);
        assert!(is_missing(store.refund_resolve(nobody, made(), &[], at).await, "refunds"));
    }
}

/// In the order of ids over all shards, page by page.
pub async fn lists_go_through_all_shards(store: UnderTest) {
    let made = payments(&store, 20).await;
    let now = start().after(MINUTE);
    for tx_id in &made {
        apply(&store, *tx_id, &paid(), now).await;
        admitted(&store, &refund_request(tx_id.get(), *tx_id, 100), now).await;
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut wanted = made.clone();
        if order == Order::NewestFirst {
            wanted.reverse();
        }
        let page = Page { scan: 7, ..Page::first(order, 3) };
        let (all, no_delivery) = (PaymentFilter::default(), DeliveryFilter::default());
        let listed = pages(page, async |page| store.payments_list(&all, &page).await).await;
        assert_eq!(listed.iter().map(|one| one.tx_id).collect::<Vec<_>>(), wanted);
        let all = RefundFilter::default();
        let listed = pages(page, async |page| store.refunds_list(&all, &page).await).await;
        assert_eq!(listed.iter().map(|one| one.tx_id).collect::<Vec<_>>(), wanted);
        let listed =
            pages(page, async |page| store.deliveries_list(&no_delivery, &page).await).await;
        let mut ids: Vec<_> = listed.iter().map(|one| one.delivery_id).collect();
        if order == Order::NewestFirst {
            ids.reverse();
        }
        assert!(ids.len() == made.len() && ids.is_sorted(), "{ids:?}");
    }
    let keys = store.data_keys_after(made[4].get(), 9).await.unwrap();
    assert_eq!(keys.iter().map(|one| one.tx_id).collect::<Vec<_>>(), made[5..14]);
    let gone = TxId::new(made[9].get() + 1).unwrap();
    assert_eq!(store.payments_missing(&[made[9], gone, made[10]]).await.unwrap(), [gone]);
}

async fn pages<T>(
    first: Page,
    list: impl AsyncFn(Page) -> Result<Listed<T>, StoreError>,
) -> Vec<T> {
    let (mut page, mut all) = (first, Vec::new());
    loop {
        let listed = list(page).await.unwrap();
        all.extend(listed.rows);
        let Some(next) = listed.next else { return all };
        page.after = Some(next);
    }
}

/// In an engine that processes share the store is opened as the holder of number 0.
pub async fn what_a_dead_holder_had_claimed_in_other_shards_is_due(store: UnderTest) {
    let made = payments(&store, 3).await;
    let at = start().after(SECOND);
    for tx_id in &made {
        apply(&store, *tx_id, &paid(), at).await;
    }
    assert_eq!(claim_deliveries(&store, at, MINUTE, 3).await.len(), 3);
    let now = at.after(SECOND);
    assert_eq!(store.reclaim(now, now.after(MINUTE)).await.unwrap(), 3);
    for tx_id in &made {
        assert_eq!(only_delivery(&store, *tx_id).await.next_attempt_at, now);
    }
}
