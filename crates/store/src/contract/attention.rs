//! What needs a person.

use gopay_core::doubt::{Finding, Unclear, Verdict};
use gopay_core::money::Sen;
use gopay_core::payment::{Channel, Effect, Event, PaymentState};

use super::UnderTest;
use super::samples::{
    DAY, MINUTE, SECOND, apply, charge_created, create, paid, payment, start, stored, trail, tx,
};
use crate::{AttentionSums, OrderResolution, UnknownOrder};

/// GET status shows so much.
fn doubted(sen: u64) -> Event {
    Event::Doubted(Finding {
        what: Unclear::Amount,
        expected: "10000.00".into(),
        found: format!("{}.00 \"ß\"", sen / 100),
        status: "settlement".into(),
        midtrans_tx_id: Some("m-1".into()),
        gross: Some(Sen::new(sen)),
        in_rupiah: true,
    })
}

pub(super) fn order(number: i64, sen: Option<u64>) -> UnknownOrder {
    UnknownOrder {
        tx_id: tx(number),
        channel: Channel::Live,
        account: Some("warung-71".parse().unwrap()),
        status: "settlement".into(),
        midtrans_tx_id: Some(format!("m-{number}")),
        amount: sen.map(Sen::new),
        first_seen_at: start().after(MINUTE),
        last_seen_at: start().after(MINUTE),
        seen: 1,
        resolution: None,
    }
}

/// As long as nobody has decided it is listed and summed; it is stored whole.
pub async fn money_that_does_not_fit_is_listed_until_it_is_decided(store: UnderTest) {
    let at = start().after(SECOND);
    for (number, sen) in [(1, 1_007_100), (2, 900_000), (3, 1_000_100), (4, 500)] {
        create(&store, &payment(number)).await;
        apply(&store, tx(number), &charge_created(), at).await;
        let applied = apply(&store, tx(number), &doubted(sen), at).await;
        assert_eq!((applied.effect, applied.delivery_owed), (Effect::Noted, false));
        assert_eq!(stored(&store, tx(number)).await, applied.payment);
    }
    create(&store, &payment(5)).await;
    let listed = async |limit| {
        let rows = store.payments_in_doubt(limit).await.unwrap();
        rows.iter().map(|row| row.tx_id.get()).collect::<Vec<_>>()
    };
    assert_eq!(listed(10).await, [4, 2, 3, 1]);
    assert_eq!(listed(2).await, [4, 2]);
    let sums = |payments, at_risk_sen| AttentionSums { payments, orders: 0, at_risk_sen };
    assert_eq!(store.attention().await.unwrap(), sums(4, 2_907_700));

    let again = apply(&store, tx(1), &doubted(1_007_100), at.after(MINUTE)).await;
    assert_eq!(again.effect, Effect::Same);
    apply(&store, tx(1), &paid(), at.after(MINUTE)).await;
    let decided = apply(&store, tx(2), &Event::Judged(Verdict::Paid), at.after(MINUTE)).await;
    assert_eq!(decided.payment.state, PaymentState::Succeeded);
    apply(&store, tx(3), &Event::Judged(Verdict::Failed), at.after(MINUTE)).await;
    apply(&store, tx(4), &Event::Judged(Verdict::Refund), at.after(MINUTE)).await;
    assert_eq!(listed(10).await, [4], "until the money is back");
    apply(&store, tx(4), &Event::Returned, at.after(MINUTE)).await;
    assert_eq!(listed(10).await, [0; 0]);
    for number in 1..=4 {
        let payment = stored(&store, tx(number)).await;
        assert_eq!(payment.doubt.is_some(), number != 1, "what was decided stays known");
        assert_eq!(store.deliveries_of(tx(number)).await.unwrap().len(), 1);
    }
    let words: Vec<_> = trail(&store, tx(4)).await.into_iter().map(|line| line.detail).collect();
    assert_eq!(words[1]["event"], "doubted");
    assert_eq!(
        (&words[3]["event"], &words[3]["reason"]),
        (&"returned".into(), &"LOCAL_DECLINE".into())
    );
    assert_eq!(store.totals().await.unwrap().attention, AttentionSums::default());
}

/// Money of orders without a payment: kept, counted, and decided by a person.
pub async fn orders_that_are_not_known_are_kept_until_they_are_decided(store: UnderTest) {
    let (first, unread) = (order(7, Some(1_000_000)), order(8, None));
    assert_eq!(store.order_record(&first).await.unwrap(), first);
    assert_eq!(store.order_record(&unread).await.unwrap(), unread);
    let later = UnknownOrder {
        first_seen_at: start().after(DAY),
        last_seen_at: start().after(DAY),
        midtrans_tx_id: None,
        ..first.clone()
    };
    let twice = UnknownOrder { last_seen_at: start().after(DAY), seen: 2, ..first.clone() };
    assert_eq!(store.order_record(&later).await.unwrap(), twice);
    assert_eq!(store.orders_open(10).await.unwrap(), [twice.clone(), unread.clone()]);
    assert_eq!(store.orders_open(1).await.unwrap(), std::slice::from_ref(&twice));
    let expected = AttentionSums { payments: 0, orders: 2, at_risk_sen: 1_000_000 };
    assert_eq!(store.attention().await.unwrap(), expected);
    assert_eq!(store.totals().await.unwrap().attention, expected);

    let resolution = OrderResolution {
        verdict: Verdict::Failed,
        reason: "given back in the dashboard: ß".into(),
        by: "Sri".into(),
        at: start().after(DAY),
    };
    assert_eq!(store.order_resolve(tx(404), &resolution).await.unwrap(), None);
    let resolved = store.order_resolve(tx(7), &resolution).await.unwrap().unwrap();
    assert_eq!(resolved, UnknownOrder { resolution: Some(resolution.clone()), ..twice });
    assert_eq!(store.order_get(tx(7)).await.unwrap(), Some(resolved.clone()));
    assert_eq!(store.orders_open(10).await.unwrap(), [unread]);
    // The same again changes nothing about it; more money opens it again.
    assert_eq!(store.order_record(&first).await.unwrap().resolution, Some(resolution));
    let other = UnknownOrder { amount: Some(Sen::new(500)), ..first };
    assert_eq!(store.order_record(&other).await.unwrap().resolution, None);
    assert_eq!(store.order_get(tx(404)).await.unwrap(), None);
}
