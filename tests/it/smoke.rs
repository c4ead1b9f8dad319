//! The main job: a payment is opened, paid, notified, and refunded.

use crate::support::Demo;

#[tokio::test]
async fn a_payment_is_opened_paid_notified_and_refunded() {
    let demo = Demo::start().await;
    let txid = demo.paid().await;
    demo.until_outbox_empty().await;
    let received = demo.received(&txid).await;
    assert_eq!(received.len(), 1);
    assert_eq!(
        (&received[0]["genuine"], &received[0]["status"]),
        (&true.into(), &"SUCCEEDED".into())
    );
    let part = demo.refund(&txid, 400_000).await;
    assert_eq!(part["STATUS"], "SUCCEEDED", "{part:?}");
    let rest = demo.refund(&txid, 600_000).await;
    assert_eq!(rest["STATUS"], "SUCCEEDED", "{rest:?}");
    let more = demo.refund(&txid, 100).await;
    assert_eq!((more["STATUS"].as_str(), more["FAILREASON"].as_str()), ("FAILED", "INPUT_DATA"));
    let upstream = demo.upstream(&txid).await;
    assert_eq!(upstream["refunded"], 10_000);
    let totals = demo.totals().await;
    assert_eq!(totals["succeeded_sen"], 1_000_000);
    assert_eq!(totals["refunded_sen"], 1_000_000);
}
