//! A payment from its opening to its end, good or bad, with Midtrans at its worst.
use crate::support::receiver::Receiver;
use crate::support::served::{Served, free_port, hash_password};
use crate::support::wire::expect;
use crate::support::{Answer, Demo, body, decode, example};
use futures::future::join_all;
use serde_json::{Value, json};

const ALWAYS: Value = Value::Null;

/// A call with these changes of the example, as the bytes of its body.
fn raw(changes: &[(&str, &str)]) -> String {
    let pairs = example(changes);
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    body("TRANSACTION", &pairs)
}

async fn cancel(demo: &Demo, txid: &str, specin: &[(&str, &str)]) -> Answer {
    let mut pairs = vec![("txid", txid)];
    pairs.extend(specin);
    demo.call("CANCELTX", &pairs).await
}

/// A payment made after everything else was told: what would have been told before it, was.
async fn all_news_is_out(demo: &Demo) {
    let canary = demo.paid().await;
    demo.until_notified(&canary, 1).await;
    demo.until_outbox_empty().await;
}

// --- the good way --------------------------------------------------------------------------------

#[tokio::test]
async fn a_payment_is_pending_then_paid_and_told_once() {
    let demo = Demo::start().await;
    let answer = demo.transaction(&[("merchanttxid", "Order-1")]).await;
    expect(
        &answer,
        &[
            ("STATUS", "PENDING"),
            ("MERCHANTTXID", "Order-1"),
            ("FUNDSSTATUS", "WAITING"),
            ("CHANNEL", "testchannel"),
            ("TAG", "gopay"),
            ("ERRMSG", ""),
            ("FAILREASON", ""),
        ],
    );
    let txid = &answer["TXID"];
    assert!(txid.len() <= 20 && txid.parse::<u64>().is_ok_and(|id| id > 0), "{txid}");
    assert!(answer["REDIRECTURL"].len() <= 255, "{answer:?}");
    assert!(answer["REDIRECTURL"].starts_with(&demo.adapter), "{answer:?}");
    let secret = &answer["REDIRECTSECRET"];
    assert!(secret.len() == 32 && secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));

    let pending = demo.status(txid).await;
    expect(&pending, &[("REQUESTSTATUS", "SUCCEEDED"), ("STATUS", "PENDING")]);
    assert_eq!(pending["REDIRECTURL"], answer["REDIRECTURL"]);
    demo.wallet(txid, "pay", json!({})).await;
    let paid = demo.until_status(txid, "SUCCEEDED").await;
    expect(&paid, &[("REQUESTSTATUS", "SUCCEEDED"), ("FUNDSSTATUS", "WAITING")]);
    assert!(!paid.contains_key("REDIRECTURL") && !paid.contains_key("FAILREASON"), "{paid:?}");
    let told = demo.until_notified(txid, 1).await;
    assert_eq!(told[0]["status"], "SUCCEEDED");
    all_news_is_out(&demo).await;
    demo.until_notified(txid, 1).await;
    let by_reference = demo.call("GETTXSTATUSBYMERCHANTTXID", &[("merchanttxid", "oRDER-1")]).await;
    expect(&by_reference, &[("STATUS", "SUCCEEDED"), ("TXID", txid)]);
}

#[tokio::test]
async fn a_payment_by_qr_code_is_a_payment() {
    let demo = Demo::start().await;
    for kind in ["on-us", "off-us"] {
        let txid = demo.pending().await;
        demo.wallet(&txid, "pay", json!({"via": "qris", "transaction_type": kind})).await;
        demo.until_status(&txid, "SUCCEEDED").await;
        assert_eq!(demo.upstream(&txid).await["payment_type"], "qris");
    }
    // A deeplink payment whose notification looks like one by QR code is paid all the same.
    let txid = demo.pending().await;
    demo.fault(json!({"on": "notification", "action": "as_qris", "order_id": txid})).await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
}

#[tokio::test]
async fn a_payment_is_found_paid_although_no_notification_came() {
    let demo = Demo::start().await;
    demo.silence().await;
    let txid = demo.pending().await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.advance("15s").await;
    demo.until_status(&txid, "SUCCEEDED").await;
    demo.until_notified(&txid, 1).await;
    let upstream = demo.upstream(&txid).await;
    let notification = &upstream["notifications"];
    assert_eq!(
        (&notification["attempts"], &notification["dropped"]),
        (&json!(0), &json!(2)),
        "{notification}"
    );
}

#[tokio::test]
async fn a_failed_try_in_the_app_leaves_the_payment_pending() {
    let demo = Demo::start().await;
    let txid = demo.pending().await;
    demo.wallet(&txid, "decline", json!({})).await;
    for (payer, why) in
        [(json!({"wallet": "empty"}), "balance_too_low"), (json!({"pin": "000000"}), "wrong_pin")]
    {
        let url = format!("{}/simulator/v1/transactions/{txid}/pay", demo.simulator);
        let answer = demo.http.post(url).json(&payer).send().await.expect("an answer");
        let refusal: Value = answer.json().await.expect("JSON");
        assert_eq!(refusal["error"]["code"], why);
        demo.advance("30s").await;
        assert_eq!(demo.status(&txid).await["STATUS"], "PENDING");
    }
    demo.wallet(&txid, "pay", json!({"wallet": "paylater"})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
}

// --- the end of the session ----------------------------------------------------------------------

#[tokio::test]
async fn a_session_that_ends_without_money_fails_with_timeout() {
    // With Midtrans' notification, by the last check alone, and with a status that lags behind.
    for way in ["told", "polled", "lagging"] {
        let demo = Demo::start().await;
        if way != "told" {
            demo.silence().await;
        }
        let txid = demo.pending().await;
        demo.advance("59m30s").await;
        assert_eq!(demo.status(&txid).await["STATUS"], "PENDING", "{way}");
        if way == "lagging" {
            let stale = json!({"on": "status", "action": {"stale_status": {"seconds": 120}}});
            demo.fault(stale).await;
        }
        demo.advance("35s").await;
        let failed = demo.until_status(&txid, "FAILED").await;
        expect(&failed, &[("FAILREASON", "TIMEOUT"), ("FUNDSSTATUS", "NOT_EXPECTED")]);
        assert_eq!(demo.upstream(&txid).await["status"], "expire", "{way}");
        assert_eq!(demo.until_notified(&txid, 1).await[0]["status"], "FAILED", "{way}");
    }
}

#[tokio::test]
async fn money_that_came_before_the_deadline_counts_although_nobody_told() {
    let demo = Demo::start().await;
    demo.silence().await;
    let txid = demo.pending().await;
    demo.advance("59m50s").await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.advance("11s").await;
    demo.until_status(&txid, "SUCCEEDED").await;
    let told = demo.until_notified(&txid, 1).await;
    assert_eq!(told[0]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn money_that_comes_between_the_last_check_and_the_closing_counts() {
    let demo = Demo::start().await;
    demo.silence().await;
    let txid = demo.pending().await;
    // The check that the jump makes due is the one before the last.
    demo.fault(json!({"on": "status", "action": {"delay": {"ms": 0}}})).await;
    demo.advance("59m40s").await;
    demo.eventually("the check before the last", async || demo.fired(1).await == 1).await;
    // The last check sees the payment as it was before the money came; closing it then fails.
    demo.fault(json!({"on": "status", "action": {"stale_status": {"seconds": 60}}})).await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.advance("21s").await;
    demo.until_status(&txid, "SUCCEEDED").await;
    assert_eq!(demo.fired(2).await, 1, "the last check saw a pending payment");
    let told = demo.until_notified(&txid, 1).await;
    assert_eq!(told[0]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_silent_midtrans_delays_the_timeout_by_a_quarter_of_an_hour_and_no_more() {
    let demo = Demo::start().await;
    demo.silence().await;
    let txid = demo.pending().await;
    demo.fault(json!({"on": "status", "action": {"http": {"status": 503}}, "times": ALWAYS})).await;
    demo.advance("1h1m").await;
    demo.eventually("a check in vain", async || demo.fired(1).await > 0).await;
    assert_eq!(demo.status(&txid).await["STATUS"], "PENDING");
    demo.advance("15m").await;
    let failed = demo.until_status(&txid, "FAILED").await;
    expect(&failed, &[("FAILREASON", "TIMEOUT")]);
    demo.until_notified(&txid, 1).await;
    // It turns out that the money had come.
    demo.wallet(&txid, "settle-late", json!({})).await;
    demo.clear_faults().await;
    demo.advance("2h").await;
    demo.until_status(&txid, "SUCCEEDED").await;
    demo.until_notified(&txid, 2).await;
}

#[tokio::test]
async fn late_money_after_the_timeout_succeeds_and_is_told_again_in_order() {
    for notified in [true, false] {
        let demo = Demo::start().await;
        let txid = demo.pending().await;
        demo.advance("1h1s").await;
        demo.until_status(&txid, "FAILED").await;
        demo.until_notified(&txid, 1).await;
        if !notified {
            demo.silence().await;
        }
        demo.advance("10m").await;
        demo.wallet(&txid, "settle-late", json!({})).await;
        if !notified {
            demo.advance("1d").await;
        }
        let paid = demo.until_status(&txid, "SUCCEEDED").await;
        expect(&paid, &[("FAILREASON", ""), ("ERRMSG", ""), ("FUNDSSTATUS", "WAITING")]);
        let told = demo.until_notified(&txid, 2).await;
        assert_eq!(
            (&told[0]["status"], &told[1]["status"]),
            (&json!("FAILED"), &json!("SUCCEEDED"))
        );
        let times = [&told[0]["finaltimestamp"], &told[1]["finaltimestamp"]];
        assert!(times[0].as_str() < times[1].as_str(), "{times:?}");
        let refund = demo.refund(&txid, 1_000_000).await;
        expect(&refund, &[("STATUS", "SUCCEEDED")]);
    }
}

#[tokio::test]
async fn succeeded_never_changes_back() {
    let demo = Demo::start().await;
    let txid = demo.paid().await;
    demo.until_notified(&txid, 1).await;
    for (code, status) in
        [("202", "expire"), ("202", "cancel"), ("202", "deny"), ("201", "pending")]
    {
        let notification = demo.notification(&txid, code, status).await;
        assert_eq!(demo.notify(notification.to_string()).await, 200, "{status}");
        assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED", "{status}");
    }
    let canceled = cancel(&demo, &txid, &[]).await;
    expect(&canceled, &[("REQUESTSTATUS", "FAILED"), ("STATUS", "SUCCEEDED")]);
    for span in ["1h", "1d", "3d"] {
        demo.advance(span).await;
        all_news_is_out(&demo).await;
        assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED", "{span}");
    }
    assert_eq!(demo.refund(&txid, 1_000_000).await["STATUS"], "SUCCEEDED");
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED", "a refund is no failure");
    demo.until_notified(&txid, 1).await;
}

#[tokio::test]
async fn an_end_at_midtrans_has_its_reason_and_is_told() {
    let demo = Demo::start().await;
    for (action, upstream, reason) in [
        ("deny", "deny", "REMOTE_DECLINE"),
        ("fail", "failure", "UNKNOWN"),
        ("expire", "expire", "TIMEOUT"),
        ("cancel", "cancel", "USER_ABORT"),
    ] {
        let txid = demo.pending().await;
        demo.wallet(&txid, action, json!({})).await;
        let failed = demo.until_status(&txid, "FAILED").await;
        expect(&failed, &[("FAILREASON", reason), ("FUNDSSTATUS", "NOT_EXPECTED")]);
        assert_eq!(demo.upstream(&txid).await["status"], upstream);
        assert_eq!(demo.until_notified(&txid, 1).await[0]["status"], "FAILED", "{action}");
    }
}

// --- CANCELTX ------------------------------------------------------------------------------------

#[tokio::test]
async fn a_pending_payment_is_cancelled_upstream_and_told() {
    let demo = Demo::start().await;
    let txid = demo.pending().await;
    let canceled = cancel(&demo, &txid, &[]).await;
    expect(
        &canceled,
        &[("REQUESTSTATUS", "SUCCEEDED"), ("STATUS", "FAILED"), ("FAILREASON", "CANCELED")],
    );
    assert_eq!(canceled["TXID"], txid);
    assert_eq!(demo.upstream(&txid).await["status"], "cancel");
    assert_eq!(demo.until_notified(&txid, 1).await[0]["status"], "FAILED");
    let again = cancel(&demo, &txid, &[]).await;
    expect(
        &again,
        &[
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "UNKNOWN"),
            ("STATUS", "FAILED"),
            ("ERRMSG", "Transaction is not pending"),
        ],
    );
    assert_eq!(again["TXID"], txid);
    let unknown = cancel(&demo, "999", &[]).await;
    expect(&unknown, &[("REQUESTFAILREASON", "TX_NOT_FOUND"), ("TXID", "0")]);
}

#[tokio::test]
async fn a_payment_that_was_paid_meanwhile_is_not_cancelled() {
    let demo = Demo::start().await;
    demo.silence().await;
    let txid = demo.pending().await;
    demo.wallet(&txid, "pay", json!({})).await;
    let answer = cancel(&demo, &txid, &[]).await;
    expect(
        &answer,
        &[
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "UNKNOWN"),
            ("STATUS", "SUCCEEDED"),
            ("TXID", &txid),
            ("ERRMSG", "Transaction is not pending"),
            ("FAILREASON", ""),
        ],
    );
    assert_eq!(demo.until_notified(&txid, 1).await[0]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_cancellation_whose_answer_is_lost_is_finished_all_the_same() {
    for (action, at_once) in [
        (json!("lost_after"), true),
        (json!({"http_after": {"status": 500}}), true),
        (json!("garbage"), true),
        (json!("truncate"), true),
        (json!("lost_before"), false),
        (json!({"http": {"status": 503}}), false),
    ] {
        let demo = Demo::start().await;
        demo.silence().await;
        let txid = demo.pending().await;
        demo.fault(json!({"on": "cancel", "action": action, "times": ALWAYS})).await;
        let answer = cancel(&demo, &txid, &[]).await;
        if at_once {
            expect(&answer, &[("REQUESTSTATUS", "SUCCEEDED"), ("FAILREASON", "CANCELED")]);
        } else {
            expect(&answer, &[("REQUESTSTATUS", "FAILED"), ("REQUESTFAILREASON", "SYSTEM_ERROR")]);
            assert_eq!(demo.status(&txid).await["STATUS"], "PENDING", "{action}");
            demo.clear_faults().await;
            demo.advance("1m").await;
        }
        let failed = demo.until_status(&txid, "FAILED").await;
        expect(&failed, &[("FAILREASON", "CANCELED")]);
        assert_eq!(demo.upstream(&txid).await["status"], "cancel", "{action}");
        demo.until_notified(&txid, 1).await;
    }
}

#[tokio::test]
async fn a_cancellation_with_other_specin_is_refused() {
    let demo = Demo::start().await;
    let opened = demo.transaction(&[("specin.email", "siti@example.org")]).await;
    let txid = &opened["TXID"];
    for other in [("specin.email", "budi@example.org"), ("specin.phone", "+628123456789")] {
        let answer = cancel(&demo, txid, &[other]).await;
        expect(&answer, &[("REQUESTSTATUS", "FAILED"), ("REQUESTFAILREASON", "UNKNOWN")]);
        assert!(answer["ERRMSG"].contains(other.0), "{answer:?}");
        assert!(!answer["ERRMSG"].contains(other.1), "{answer:?}");
        assert_eq!(demo.status(txid).await["STATUS"], "PENDING");
        assert_eq!(demo.upstream(txid).await["status"], "pending");
    }
    let answer = cancel(&demo, txid, &[("specin.email", "siti@example.org")]).await;
    expect(&answer, &[("REQUESTSTATUS", "SUCCEEDED"), ("FAILREASON", "CANCELED")]);
}

// --- a charge that GoPay refuses -----------------------------------------------------------------

#[tokio::test]
async fn each_provider_code_of_a_refused_charge_has_its_reason() {
    let demo = Demo::start().await;
    let mut refused = Vec::new();
    for (code, shape, reason) in [
        (201, "error", "REMOTE_DECLINE"),
        (4060, "error", "REMOTE_DECLINE"),
        (900, "error", "REMOTE_ERROR"),
        (900, "deny", "REMOTE_ERROR"),
        (310, "error", "INPUT_DATA"),
        (2701, "error", "INPUT_DATA"),
        (153, "error", "INPUT_DATA"),
        (5009, "error", "INPUT_DATA"),
        (2901, "error", "REMOTE_ERROR"),
        (132, "error", "REMOTE_ERROR"),
        (303, "error", "LOCAL_ERROR"),
        (2903, "error", "LOCAL_ERROR"),
        // Nothing but the body code 402 tells of it, and that speaks of the merchant's set-up.
        (112, "error", "LOCAL_ERROR"),
        (110, "error", "LOCAL_ERROR"),
        (1703, "error", "LOCAL_ERROR"),
        (902, "error", "INPUT_DATA"),
        (101, "error", "REMOTE_DECLINE"),
    ] {
        let fault = json!({"provider_error": {"code": code, "shape": shape}});
        demo.fault(json!({"on": "charge", "action": fault, "times": ALWAYS})).await;
        let before = demo.all_upstream().await.len();
        let answer = demo.transaction(&[]).await;
        let row = format!("{code} {shape}: {answer:?}");
        assert_eq!(answer["STATUS"], "FAILED", "{row}");
        assert_eq!(answer["FAILREASON"], reason, "{row}");
        assert!(!answer["ERRMSG"].is_empty() && answer["ERRMSG"].len() <= 128, "{row}");
        assert!(!answer.contains_key("REDIRECTURL"), "{row}");
        let held = demo.all_upstream().await;
        let denied = matches!((code, shape), (201 | 4060, _) | (900, "deny"));
        assert_eq!(held.len(), before + usize::from(denied), "{row}");
        assert!(held.iter().all(|one| one["status"] == "deny"), "{row}");
        let status = demo.status(&answer["TXID"]).await;
        expect(&status, &[("REQUESTSTATUS", "SUCCEEDED"), ("FAILREASON", reason)]);
        refused.push(answer["TXID"].clone());
        demo.clear_faults().await;
    }
    demo.advance("10m").await;
    all_news_is_out(&demo).await;
    for txid in refused {
        assert_eq!(demo.received(&txid).await.len(), 0, "{txid}: the answer has told it already");
    }
}

#[tokio::test]
async fn an_end_that_midtrans_tells_before_its_answer_is_left_to_the_call() {
    let demo = Demo::start().await;
    let slow = json!({"delay": {"ms": 4_000, "when": "after"}});
    demo.fault(json!({"on": "charge", "action": slow})).await;
    let denied = async {
        demo.eventually("the charge", async || !demo.all_upstream().await.is_empty()).await;
        let txid = demo.all_upstream().await[0]["order_id"].as_str().expect("text").to_owned();
        demo.wallet(&txid, "deny", json!({})).await;
        txid
    };
    let (answer, txid) = futures::future::join(demo.transaction(&[]), denied).await;
    // What Midtrans answered when the charge was still open: the PSP hears the rest.
    expect(&answer, &[("STATUS", "PENDING"), ("TXID", &txid)]);
    demo.advance("20s").await;
    let status = demo.until_status(&txid, "FAILED").await;
    expect(&status, &[("FAILREASON", "REMOTE_DECLINE"), ("ERRMSG", "Declined by GoPay")]);
    demo.until_notified(&txid, 1).await;
}

// --- a charge whose fate is unclear --------------------------------------------------------------

/// What the caller is told. Either: it depends on how late an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Pending,
    Failed,
    Either,
}

/// Opens a payment under a fault of the charge; then looks that there is at most one charge, that
/// a pending one can be paid, and that a failed one leaves nothing open.
async fn charge_under(fault: &Value, times: &Value, told: Told) {
    let row = format!("{fault} {times}");
    let demo = Demo::start().await;
    demo.fault(json!({"on": "charge", "action": fault, "times": times})).await;
    let answer = demo.transaction(&[]).await;
    let txid = answer["TXID"].clone();
    let pending = answer["STATUS"] == "PENDING";
    match told {
        Told::Pending => assert!(pending, "{row}: {answer:?}"),
        Told::Failed => assert!(!pending, "{row}: {answer:?}"),
        Told::Either => {}
    }
    demo.clear_faults().await;
    if pending {
        demo.wallet(&txid, "pay", json!({})).await;
        demo.until_status(&txid, "SUCCEEDED").await;
    } else {
        assert_eq!(answer["STATUS"], "FAILED", "{row}");
        assert_eq!(answer["FAILREASON"], "REMOTE_ERROR", "{row}: {answer:?}");
        if fault["delay"]["when"] == "before" {
            let exists = async || !demo.all_upstream().await.is_empty();
            demo.eventually("the charge comes into being after all", exists).await;
        }
        demo.advance("5m").await;
        if !demo.all_upstream().await.is_empty() {
            demo.until_upstream(&txid, "cancel").await;
        }
        all_news_is_out(&demo).await;
        assert_eq!(demo.status(&txid).await["FAILREASON"], "REMOTE_ERROR", "{row}");
        assert_eq!(demo.received(&txid).await.len(), 0, "{row}: the answer has told it already");
    }
    let charges: Vec<Value> =
        demo.all_upstream().await.into_iter().filter(|one| one["order_id"] == *txid).collect();
    assert!(charges.len() <= 1, "{row}: {charges:?}");
    assert!(charges.iter().all(|one| one["charges_of_order"] == 1), "{row}: {charges:?}");
    assert!(charges.iter().all(|one| one["status"] != "pending"), "{row}: {charges:?}");
}

#[tokio::test]
async fn a_charge_whose_answer_is_lost_once_is_pending_after_one_charge() {
    let once = json!(1);
    join_all([
        charge_under(&json!("lost_before"), &once, Told::Pending),
        charge_under(&json!("lost_after"), &once, Told::Pending),
        charge_under(&json!({"http": {"status": 500}}), &once, Told::Pending),
        charge_under(&json!({"http": {"status": 503}}), &once, Told::Pending),
        charge_under(&json!({"http_after": {"status": 500}}), &once, Told::Pending),
        charge_under(&json!("garbage"), &once, Told::Pending),
        charge_under(&json!("truncate"), &once, Told::Pending),
        charge_under(&json!("empty"), &once, Told::Pending),
        // Clear: nothing was made, and later it may work.
        charge_under(&json!({"http": {"status": 429}}), &once, Told::Failed),
    ])
    .await;
}

#[tokio::test]
async fn a_charge_whose_answers_are_all_lost_fails_and_leaves_nothing_open() {
    join_all([
        charge_under(&json!("lost_before"), &ALWAYS, Told::Failed),
        charge_under(&json!("lost_after"), &ALWAYS, Told::Failed),
        charge_under(&json!({"http": {"status": 500}}), &ALWAYS, Told::Failed),
        charge_under(&json!({"http": {"status": 503}}), &ALWAYS, Told::Failed),
        charge_under(&json!({"http": {"status": 429}}), &ALWAYS, Told::Failed),
    ])
    .await;
    join_all([
        charge_under(&json!({"http_after": {"status": 500}}), &ALWAYS, Told::Failed),
        charge_under(&json!({"http_after": {"status": 503}}), &ALWAYS, Told::Failed),
        charge_under(&json!("garbage"), &ALWAYS, Told::Failed),
        charge_under(&json!("truncate"), &ALWAYS, Told::Failed),
        charge_under(&json!("empty"), &ALWAYS, Told::Failed),
    ])
    .await;
}

#[tokio::test]
async fn a_charge_that_is_answered_too_late_is_made_once_and_never_left_open() {
    let delay = |ms: u64, when: &str| json!({"delay": {"ms": ms, "when": when}});
    let (once, short) = (json!(1), delay(2_000, "after"));
    let (after, before) = (delay(11_000, "after"), delay(11_000, "before"));
    let (never, ghost) = (delay(60_000, "after"), delay(15_000, "before"));
    futures::join!(
        charge_under(&short, &once, Told::Pending),
        charge_under(&after, &once, Told::Either),
        charge_under(&before, &once, Told::Either),
        charge_under(&never, &ALWAYS, Told::Failed),
        charge_under(&ghost, &ALWAYS, Told::Failed),
    );
}

#[tokio::test]
async fn money_for_a_charge_that_was_answered_as_failed_is_told() {
    let demo = Demo::start().await;
    demo.fault(json!({"on": "charge", "action": "lost_after", "times": ALWAYS})).await;
    let answer = demo.transaction(&[]).await;
    expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "REMOTE_ERROR")]);
    let txid = &answer["TXID"];
    demo.wallet(txid, "pay", json!({})).await;
    demo.until_status(txid, "SUCCEEDED").await;
    assert_eq!(demo.until_notified(txid, 1).await[0]["status"], "SUCCEEDED");
}

#[tokio::test]
async fn a_midtrans_that_cannot_be_reached_fails_the_call_with_remote_error() {
    let (nobody, hash) = (free_port(), hash_password("test123"));
    let served = Served::start(&format!(
        r#"
        [midtrans.test]
        base_url = "http://127.0.0.1:{nobody}"
        server_key = "SB-Mid-server-demo"
        [[client]]
        login = "testclient"
        password_hash = "{hash}"
        shared_secret = "examplesharedsecret"
        notification_secrets = ["examplenotificationsecret"]
        [[contract]]
        id = "TESTCONTRACT"
        client = "testclient"
        channels = ["testchannel"]
        notification_url = "https://psp.example/notify"
        redirect_url = "https://shop.example/return"
        "#
    ))
    .await;
    let answer = served.transaction(&[]).await;
    expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "REMOTE_ERROR")]);
    let status = served.status(&answer["TXID"]).await;
    expect(&status, &[("STATUS", "FAILED"), ("FAILREASON", "REMOTE_ERROR")]);
    let totals = served.totals().await;
    assert_eq!(totals["payments"]["failed"], 1);
    assert!(totals["deliveries"].get("waiting").is_none(), "{totals}");
}

// --- nonce ---------------------------------------------------------------------------------------

#[tokio::test]
async fn a_repeat_with_the_same_nonce_gets_the_same_bytes() {
    let demo = Demo::start().await;
    let call = raw(&[("nonce", "n-1"), ("specin.email", "a@example.org")]);
    let (_, first) = demo.post(call.clone()).await;
    let txid = decode(&first)["TXID"].clone();
    assert_eq!(decode(&first)["STATUS"], "PENDING");
    assert_eq!(demo.post(call.clone()).await.1, first);
    // Other order and other encoding are the same content.
    let mut pairs: Vec<&str> = call.split('&').collect();
    pairs.reverse();
    let turned = pairs.join("&").replace("gopay", "%67opay").replace('+', "%20");
    assert_ne!(turned, call);
    assert_eq!(demo.post(turned).await.1, first);
    demo.wallet(&txid, "pay", json!({})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
    demo.advance("2d").await;
    assert_eq!(demo.post(call).await.1, first, "the stored answer, whatever became of it");
    assert_eq!(demo.all_upstream().await.len(), 1);
}

#[tokio::test]
async fn a_nonce_with_other_content_is_refused() {
    let demo = Demo::start().await;
    let first = demo.transaction(&[("nonce", "n-1")]).await;
    let cart = r#"[{"name":"other","price":"10000.00","quantity":1}]"#;
    for other in [
        ("merchanttxid", "X-1"),
        ("accountholdername", "Budi Rahma"),
        ("specin.email", "a@example.org"),
        ("transientin.orderitems", cart),
        ("amount", "7"),
    ] {
        let answer = demo.transaction(&[("nonce", "n-1"), other]).await;
        expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
        assert!(answer["ERRMSG"].starts_with("nonce: "), "{answer:?}");
        assert_ne!(answer["TXID"], first["TXID"]);
        assert_ne!(answer["TXID"], "0");
    }
    assert_eq!(demo.all_upstream().await.len(), 1);
    // A refused call uses its nonce up, and is repeated byte for byte as well.
    let refused = raw(&[("nonce", "n-2"), ("amount", "7")]);
    let (_, text) = demo.post(refused.clone()).await;
    assert_eq!(decode(&text)["FAILREASON"], "INPUT_DATA");
    assert_eq!(demo.post(refused).await.1, text);
    let corrected = demo.transaction(&[("nonce", "n-2")]).await;
    assert!(corrected["ERRMSG"].starts_with("nonce: "), "{corrected:?}");
}

#[tokio::test]
async fn concurrent_repeats_with_one_nonce_make_one_charge() {
    let demo = Demo::start().await;
    let slow = json!({"delay": {"ms": 700, "when": "before"}});
    demo.fault(json!({"on": "charge", "action": slow, "times": ALWAYS})).await;
    let call = raw(&[("nonce", "n-1")]);
    let answers = join_all((0..16).map(|_| demo.post(call.clone()))).await;
    let first = &answers[0].1;
    assert_eq!(decode(first)["STATUS"], "PENDING", "{first}");
    assert!(answers.iter().all(|(_, text)| text == first), "{answers:?}");
    assert_eq!(demo.all_upstream().await.len(), 1);
    assert_eq!(demo.totals().await["payments"], json!({"pending": 1}));
}

#[tokio::test]
async fn a_call_that_was_cut_off_by_a_crash_is_finished_and_its_repeat_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = ["--data", folder.path().to_str().expect("text")];
    let psp = Receiver::start().await;
    let changes = [("nonce", "n-1"), ("merchanttxid", "ORDER-1"), ("notificationurl", &psp.url())];
    let call = raw(&changes);
    let demo = Demo::start_with(&data).await;
    let slow = json!({"delay": {"ms": 60_000, "when": "before"}});
    demo.fault(json!({"on": "charge", "action": slow, "times": ALWAYS})).await;
    let request = demo.http.post(format!("{}/", demo.adapter)).body(call.clone());
    let cut = tokio::spawn(request.send());
    demo.eventually("the intent is durable", async || {
        demo.totals().await["payments"]["initialized"] == 1
    })
    .await;
    drop(demo);
    assert!(cut.await.expect("it ends").is_err(), "the first call has no answer");

    // The simulator has forgotten everything, so nothing was ever charged.
    let demo = Demo::start_with(&data).await;
    let reference = [("merchanttxid", "ORDER-1")];
    let early = demo.call("GETTXSTATUSBYMERCHANTTXID", &reference).await;
    // The call is dead for certain, so a worker asks at once: pending until it has.
    expect(&early, &[("REQUESTSTATUS", "SUCCEEDED")]);
    assert!(["PENDING", "FAILED"].contains(&early["STATUS"].as_str()), "{early:?}");
    let failed = demo.until_status(&early["TXID"], "FAILED").await;
    expect(&failed, &[("FAILREASON", "REMOTE_ERROR")]);
    let (_, repeated) = demo.post(call).await;
    expect(
        &decode(&repeated),
        &[("STATUS", "FAILED"), ("FAILREASON", "REMOTE_ERROR"), ("TXID", &early["TXID"])],
    );
    let told = async || psp.seen_of(&early["TXID"]).len() == 1;
    demo.eventually("the PSP is told", told).await;
    assert!(demo.all_upstream().await.is_empty(), "no second charge");
}
