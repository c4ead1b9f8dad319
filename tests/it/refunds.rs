//! Money on its way back: never twice, never too much, never lost from sight.
use crate::support::postgres::{Engine, on_both_engines};
use crate::support::wire::expect;
use crate::support::{Answer, Demo};
use futures::future::join_all;
use serde_json::{Value, json};

on_both_engines! {
    a_full_refund_succeeds_once,
    partial_refunds_go_to_the_last_rupiah_and_not_beyond,
    the_descriptor_of_a_refund_reaches_the_shopper_as_reason,
    a_refund_that_breaks_a_rule_is_refused_and_reserves_nothing,
    only_a_payment_that_succeeded_can_be_refunded,
    an_unknown_txid_is_not_found,
    the_refund_window_is_thirty_days,
    the_window_counts_from_the_success_and_not_from_the_call,
    a_refund_after_a_shorter_window_upstream_is_declined,
    a_refund_that_is_refused_upstream_fails_and_gives_its_reservation_back,
    a_refund_with_a_lost_answer_is_made_once,
    a_refund_with_an_open_outcome_stays_reserved_until_it_is_clear,
    an_open_refund_that_turns_out_refused_fails_and_gives_its_reservation_back,
    a_late_refund_answer_is_waited_for_and_the_refund_made_once,
    a_refund_made_by_others_leaves_only_the_rest_upstream,
    refunds_are_found_by_either_name_of_the_call_whatever_the_case,
    a_txid_is_no_refund_id_and_the_reverse,
    of_many_concurrent_refunds_exactly_as_many_succeed_as_fit,
}

const ALWAYS: Value = Value::Null;
const OPEN: &str = "Outcome not known yet, do not repeat the refund; ask GETREFUNDSTATUS";

async fn refund_with(demo: &Demo, txid: &str, changes: &[(&str, &str)]) -> Answer {
    let mut pairs = vec![("txid", txid), ("currency", "IDR"), ("amount", "400000")];
    for (name, value) in changes {
        pairs.retain(|(other, _)| other != name);
        if *value != "-" {
            pairs.push((name, value));
        }
    }
    demo.call("REFUND", &pairs).await
}

async fn status_of(demo: &Demo, refund_id: &str) -> Answer {
    demo.call("GETREFUNDSTATUS", &[("refundid", refund_id)]).await
}

/// The refunds that the simulator has accepted: key and rupiah.
async fn accepted(demo: &Demo, txid: &str) -> Vec<(String, u64)> {
    let upstream = demo.upstream(txid).await;
    let list = upstream["refunds"].as_array().expect("a list");
    let entry = |one: &Value| {
        let key = one["refund_key"].as_str().expect("text").to_owned();
        (key, one["amount"].as_u64().expect("rupiah"))
    };
    list.iter().map(entry).collect()
}

async fn fault_on_refund(demo: &Demo, action: &Value, times: &Value) {
    demo.fault(json!({"on": "refund", "action": action, "times": times})).await;
}

#[track_caller]
fn refused(answer: &Answer, reason: &str, text: &str) {
    expect(answer, &[("STATUS", "FAILED"), ("FAILREASON", reason)]);
    assert!(answer["ERRMSG"].contains(text), "{answer:?}");
}

// --- what goes back ------------------------------------------------------------------------------

async fn a_full_refund_succeeds_once(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    let answer = refund_with(&demo, &txid, &[("amount", "1000000")]).await;
    expect(&answer, &[("STATUS", "SUCCEEDED"), ("ERRMSG", ""), ("FAILREASON", "")]);
    assert!(!answer.contains_key("MERCHANTREFUNDID") && !answer.contains_key("REFUNDSTATUS"));
    let refund_id = answer["REFUNDID"].clone();
    assert!(refund_id.len() <= 20 && refund_id.parse::<u64>().is_ok_and(|id| id > 0));
    assert_eq!(accepted(&demo, &txid).await, [(refund_id.clone(), 10_000)]);
    assert_eq!(demo.upstream(&txid).await["status"], "refund");
    let status = status_of(&demo, &refund_id).await;
    expect(
        &status,
        &[("REQUESTSTATUS", "SUCCEEDED"), ("STATUS", "SUCCEEDED"), ("REFUNDID", &refund_id)],
    );
    refused(&demo.refund(&txid, 100).await, "INPUT_DATA", "at most 0 would pass");
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    demo.until_notified(&txid, 1).await;
}

async fn partial_refunds_go_to_the_last_rupiah_and_not_beyond(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    let mut left = 1_000_000;
    for sen in [100, 333_300, 1_000, 665_500] {
        let over = demo.refund(&txid, left + 100).await;
        refused(&over, "INPUT_DATA", &format!("at most {left} would pass"));
        assert_eq!(demo.refund(&txid, sen).await["STATUS"], "SUCCEEDED", "{sen}");
        left -= sen;
    }
    assert_eq!(left, 100);
    refused(&demo.refund(&txid, 200).await, "INPUT_DATA", "at most 100 would pass");
    // A fraction of a rupiah above what is left is refused, whichever rule comes first.
    expect(&demo.refund(&txid, 101).await, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
    assert_eq!(demo.refund(&txid, 100).await["STATUS"], "SUCCEEDED");
    refused(&demo.refund(&txid, 100).await, "INPUT_DATA", "at most 0 would pass");
    let amounts: Vec<u64> = accepted(&demo, &txid).await.into_iter().map(|one| one.1).collect();
    assert_eq!(amounts, [1, 3_333, 10, 6_655, 1]);
    assert_eq!(demo.upstream(&txid).await["status"], "refund");
    let totals = demo.totals().await;
    assert_eq!(totals["refunded_sen"], 1_000_000);
    assert_eq!(totals["refunds"]["succeeded"], 5);
}

async fn the_descriptor_of_a_refund_reaches_the_shopper_as_reason(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    let long = "x".repeat(300);
    for (sent, reason) in [
        ("Barang rusak", json!("Barang rusak")),
        ("  Café\u{7} Ümläut \u{1f642} ", json!("Café Ümläut \u{1f642}")),
        (long.as_str(), json!("x".repeat(255))),
        (" \t ", Value::Null),
        ("-", Value::Null),
    ] {
        let changes = [("amount", "100"), ("specin.dynamicdescriptor", sent)];
        let answer = refund_with(&demo, &txid, &changes).await;
        expect(&answer, &[("STATUS", "SUCCEEDED")]);
        let upstream = demo.upstream(&txid).await;
        let last = upstream["refunds"].as_array().and_then(|all| all.last()).expect("a refund");
        assert_eq!(last["reason"], reason, "{sent:?}");
    }
}

// --- what does not -------------------------------------------------------------------------------

async fn a_refund_that_breaks_a_rule_is_refused_and_reserves_nothing(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    for (changes, reason, text) in [
        (&[("amount", "1000100")][..], "INPUT_DATA", "at most 1000000 would pass"),
        (&[("amount", "1000001")], "INPUT_DATA", "amount"),
        (&[("amount", "999999")], "INPUT_DATA", "amount"),
        (&[("amount", "150")], "INPUT_DATA", "multiple of 100"),
        (&[("amount", "1")], "INPUT_DATA", "multiple of 100"),
        (&[("amount", "0")], "INPUT_DATA", "amount"),
        (&[("amount", "-100")], "INPUT_DATA", "amount"),
        (&[("amount", "100.00")], "INPUT_DATA", "amount"),
        (&[("amount", "2147483700")], "INPUT_DATA", "amount"),
        (&[("amount", "99999999999999999999999900")], "INPUT_DATA", "amount"),
        (&[("amount", "")], "INPUT_DATA", "amount: missing"),
        (&[("amount", "-")], "INPUT_DATA", "amount: missing"),
        (&[("currency", "USD")], "INPUT_DATA", "currency: must be IDR"),
        (&[("currency", "idr")], "INPUT_DATA", "currency: must be IDR"),
        (&[("currency", "-")], "INPUT_DATA", "currency: missing"),
        (&[("merchantrefundid", "with space")], "INPUT_DATA", "merchantrefundid"),
        (&[("merchantrefundid", "")], "INPUT_DATA", "merchantrefundid"),
        // The first fault in the documented order counts.
        (&[("currency", "USD"), ("amount", "7")], "INPUT_DATA", "currency"),
    ] {
        let answer = refund_with(&demo, &txid, changes).await;
        refused(&answer, reason, text);
        assert_ne!(answer["REFUNDID"], "0", "{changes:?}: it is on record");
        let status = status_of(&demo, &answer["REFUNDID"]).await;
        expect(&status, &[("REQUESTSTATUS", "SUCCEEDED"), ("STATUS", "FAILED")]);
        assert_eq!(status["FAILREASON"], reason, "{changes:?}");
    }
    assert!(accepted(&demo, &txid).await.is_empty());
    assert_eq!(demo.refund(&txid, 1_000_000).await["STATUS"], "SUCCEEDED");
}

async fn only_a_payment_that_succeeded_can_be_refunded(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let pending = demo.pending().await;
    let denied = demo.pending().await;
    demo.wallet(&denied, "deny", json!({})).await;
    demo.until_status(&denied, "FAILED").await;
    let invalid = demo.transaction(&[("amount", "7")]).await["TXID"].clone();
    for txid in [&pending, &denied, &invalid] {
        let answer = demo.refund(txid, 100).await;
        refused(&answer, "INPUT_DATA", "only a SUCCEEDED transaction can be refunded");
        assert_ne!(answer["REFUNDID"], "0");
    }
    assert_eq!(demo.upstream(&pending).await["status"], "pending");
    assert_eq!(demo.status(&pending).await["STATUS"], "PENDING");
}

async fn an_unknown_txid_is_not_found(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    for txid in ["999", "0", "-1", "abc", "99999999999999999999999", "12 "] {
        let answer = refund_with(&demo, txid, &[("merchantrefundid", "RF-1")]).await;
        expect(
            &answer,
            &[
                ("STATUS", "FAILED"),
                ("REFUNDID", "0"),
                ("MERCHANTREFUNDID", "RF-1"),
                ("ERRMSG", "Transaction not found"),
                ("FAILREASON", "INPUT_DATA"),
            ],
        );
    }
    let missing = refund_with(&demo, "1", &[("txid", "-")]).await;
    refused(&missing, "INPUT_DATA", "txid: missing");
    assert_eq!(missing["REFUNDID"], "0");
    let unknown = status_of(&demo, "999").await;
    expect(
        &unknown,
        &[
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "REFUND_NOT_FOUND"),
            ("STATUS", "FAILED"),
            ("REFUNDID", "0"),
        ],
    );
}

async fn the_refund_window_is_thirty_days(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    demo.advance("29d23h59m").await;
    assert_eq!(demo.refund(&txid, 100).await["STATUS"], "SUCCEEDED");
    demo.advance("1m30s").await;
    let late = demo.refund(&txid, 100).await;
    refused(&late, "LOCAL_DECLINE", "The refund window of this transaction is over");
    demo.advance("1d").await;
    refused(&demo.refund(&txid, 100).await, "LOCAL_DECLINE", "window");
    assert_eq!(accepted(&demo, &txid).await.len(), 1);
}

async fn the_window_counts_from_the_success_and_not_from_the_call(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    demo.advance("1h1s").await;
    demo.until_status(&txid, "FAILED").await;
    demo.advance("2d").await;
    demo.wallet(&txid, "settle-late", json!({})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
    demo.advance("29d").await;
    assert_eq!(demo.refund(&txid, 100).await["STATUS"], "SUCCEEDED");
}

async fn a_refund_after_a_shorter_window_upstream_is_declined(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    demo.wallet(&txid, "pay", json!({"via": "qris", "transaction_type": "off-us"})).await;
    demo.until_status(&txid, "SUCCEEDED").await;
    demo.advance("8d").await;
    refused(&demo.refund(&txid, 100).await, "REMOTE_DECLINE", "412");
    assert!(accepted(&demo, &txid).await.is_empty());
}

async fn a_refund_that_is_refused_upstream_fails_and_gives_its_reservation_back(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    for code in [202, 412, 414] {
        let txid = demo.paid().await;
        fault_on_refund(&demo, &json!({"refund_refused": {"status_code": code}}), &json!(1)).await;
        let answer = demo.refund(&txid, 600_000).await;
        refused(&answer, "REMOTE_DECLINE", &code.to_string());
        let status = status_of(&demo, &answer["REFUNDID"]).await;
        expect(&status, &[("REQUESTSTATUS", "SUCCEEDED"), ("STATUS", "FAILED")]);
        assert_eq!(demo.refund(&txid, 1_000_000).await["STATUS"], "SUCCEEDED", "{code}");
        assert_eq!(accepted(&demo, &txid).await.len(), 1);
    }
    demo.advance("2h").await;
    let totals = demo.totals().await;
    assert_eq!(totals["refunds"], json!({"failed": 3, "succeeded": 3}));
}

// --- open outcomes -------------------------------------------------------------------------------

async fn a_refund_with_a_lost_answer_is_made_once(engine: Engine) {
    let row = async |action: Value, times: Value| {
        let demo = Demo::start_on(engine).await;
        let txid = demo.paid().await;
        fault_on_refund(&demo, &action, &times).await;
        let answer = demo.refund(&txid, 400_000).await;
        assert_eq!(answer["STATUS"], "SUCCEEDED", "{action} {times}: {answer:?}");
        assert_eq!(accepted(&demo, &txid).await, [(answer["REFUNDID"].clone(), 4_000)]);
        demo.clear_faults().await;
        demo.advance("2h").await;
        assert_eq!(demo.refund(&txid, 600_000).await["STATUS"], "SUCCEEDED", "{action}");
        assert_eq!(accepted(&demo, &txid).await.len(), 2, "{action}");
    };
    // Before the effect, once: the second try makes it.
    let once = json!(1);
    join_all([
        row(json!("lost_before"), once.clone()),
        row(json!({"http": {"status": 500}}), once.clone()),
        row(json!({"http": {"status": 503}}), once),
    ])
    .await;
    // After the effect, always: the status tells.
    join_all([
        row(json!("lost_after"), ALWAYS),
        row(json!({"http_after": {"status": 500}}), ALWAYS),
        row(json!("garbage"), ALWAYS),
        row(json!("truncate"), ALWAYS),
        row(json!("empty"), ALWAYS),
    ])
    .await;
}

async fn a_refund_with_an_open_outcome_stays_reserved_until_it_is_clear(engine: Engine) {
    let row = async |action: Value, blind: bool| {
        let demo = Demo::start_on(engine).await;
        let txid = demo.paid().await;
        demo.until_notified(&txid, 1).await;
        demo.silence().await;
        fault_on_refund(&demo, &action, &ALWAYS).await;
        if blind {
            let dead =
                json!({"on": "status", "action": {"http": {"status": 503}}, "times": ALWAYS});
            demo.fault(dead).await;
        }
        let changes = [("amount", "400000"), ("merchantrefundid", "RF-1")];
        let answer = refund_with(&demo, &txid, &changes).await;
        let reply = format!("{action}: {answer:?}");
        assert_eq!(answer["STATUS"], "FAILED", "{reply}");
        assert_eq!(answer["FAILREASON"], "REMOTE_ERROR", "{reply}");
        assert_eq!(answer["ERRMSG"], OPEN, "{reply}");
        let refund_id = answer["REFUNDID"].clone();
        assert_ne!(refund_id, "0", "{reply}");
        let by_reference = [("merchantrefundid", "RF-1")];
        for status in [
            status_of(&demo, &refund_id).await,
            demo.call("GETREFUNDSTATUSBYMERCHANTREFUNDID", &by_reference).await,
        ] {
            expect(
                &status,
                &[
                    ("REQUESTSTATUS", "FAILED"),
                    ("REQUESTFAILREASON", "SYSTEM_ERROR"),
                    ("STATUS", "FAILED"),
                    ("REFUNDID", "0"),
                    ("ERRMSG", OPEN),
                ],
            );
        }
        refused(&demo.refund(&txid, 600_100).await, "INPUT_DATA", "at most 600000 would pass");
        demo.clear_faults().await;
        demo.advance("1m").await;
        demo.eventually(&format!("{action} is clear"), async || {
            status_of(&demo, &refund_id).await["REQUESTSTATUS"] == "SUCCEEDED"
        })
        .await;
        let status = status_of(&demo, &refund_id).await;
        expect(&status, &[("STATUS", "SUCCEEDED"), ("REFUNDID", &refund_id)]);
        assert_eq!(accepted(&demo, &txid).await, [(refund_id, 4_000)], "{action}");
        assert_eq!(demo.refund(&txid, 600_000).await["STATUS"], "SUCCEEDED", "{action}");
    };
    futures::join!(
        row(json!("lost_before"), false),
        row(json!({"http": {"status": 500}}), false),
        row(json!({"http": {"status": 503}}), true),
        row(json!("lost_after"), true),
        row(json!({"http_after": {"status": 503}}), true),
        row(json!("garbage"), true),
    );
}

async fn an_open_refund_that_turns_out_refused_fails_and_gives_its_reservation_back(
    engine: Engine,
) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    fault_on_refund(&demo, &json!("lost_before"), &ALWAYS).await;
    let answer = demo.refund(&txid, 400_000).await;
    assert_eq!(answer["ERRMSG"], OPEN, "{answer:?}");
    demo.clear_faults().await;
    fault_on_refund(&demo, &json!({"refund_refused": {"status_code": 414}}), &ALWAYS).await;
    demo.advance("20m").await;
    demo.eventually("a clear refusal", async || {
        status_of(&demo, &answer["REFUNDID"]).await["REQUESTSTATUS"] == "SUCCEEDED"
    })
    .await;
    let status = status_of(&demo, &answer["REFUNDID"]).await;
    expect(&status, &[("STATUS", "FAILED"), ("FAILREASON", "REMOTE_DECLINE")]);
    demo.clear_faults().await;
    assert_eq!(demo.refund(&txid, 1_000_000).await["STATUS"], "SUCCEEDED");
    assert_eq!(accepted(&demo, &txid).await.len(), 1);
}

async fn a_late_refund_answer_is_waited_for_and_the_refund_made_once(engine: Engine) {
    let row = async |when: &str, ms: u64| {
        let demo = Demo::start_on(engine).await;
        let txid = demo.paid().await;
        let slow = json!({"delay": {"ms": ms, "when": when}});
        fault_on_refund(&demo, &slow, &json!(1)).await;
        let answer = demo.refund(&txid, 400_000).await;
        let refund_id = answer["REFUNDID"].clone();
        if answer["STATUS"] != "SUCCEEDED" {
            assert_eq!(answer["ERRMSG"], OPEN, "{slow}: {answer:?}");
        }
        demo.advance("1m").await;
        demo.eventually("the refund is clear", async || {
            status_of(&demo, &refund_id).await["STATUS"] == "SUCCEEDED"
        })
        .await;
        // Long enough for any try that was put off to have had its effect.
        let rest = demo.refund(&txid, 600_000).await;
        assert_eq!(rest["STATUS"], "SUCCEEDED", "{rest:?}");
        let expected = [(refund_id, 4_000), (rest["REFUNDID"].clone(), 6_000)];
        assert_eq!(accepted(&demo, &txid).await, expected, "{slow}");
    };
    futures::join!(
        row("after", 1_500),
        row("before", 1_500),
        row("after", 11_000),
        row("before", 11_000)
    );
}

async fn a_refund_made_by_others_leaves_only_the_rest_upstream(engine: Engine) {
    // The simulator holds a refund under another key: somebody used the dashboard.
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    // Nobody tells us, so that only Midtrans can refuse.
    demo.fault(json!({"on": "notification", "action": "drop", "order_id": txid, "times": null}))
        .await;
    let url = format!("{}/v2/{txid}/refund", demo.simulator);
    let foreign = json!({"refund_key": "dashboard-1", "amount": 9_000});
    let sent = demo
        .http
        .post(url)
        .basic_auth(crate::support::wire::SERVER_KEY, Some(""))
        .header("accept", "application/json")
        .json(&foreign);
    let reply: Value = sent.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(reply["status_code"], "200", "{reply}");
    // GET status does not answer: Midtrans has the last word.
    let silent = json!({"http": {"status": 503}});
    demo.fault(json!({"on": "status", "action": silent, "order_id": txid})).await;
    let answer = demo.refund(&txid, 400_000).await;
    refused(&answer, "REMOTE_DECLINE", "414");
    let answer = demo.refund(&txid, 400_000).await;
    refused(&answer, "INPUT_DATA", "more than is left to refund; at most 100000 would pass");
    assert_eq!(demo.refund(&txid, 100_000).await["STATUS"], "SUCCEEDED");
    assert_eq!(demo.upstream(&txid).await["refunded"], 10_000);
}

// --- look-ups ------------------------------------------------------------------------------------

async fn refunds_are_found_by_either_name_of_the_call_whatever_the_case(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    let made = refund_with(&demo, &txid, &[("merchantrefundid", "Rf-A.1,_x")]).await;
    expect(&made, &[("STATUS", "SUCCEEDED"), ("MERCHANTREFUNDID", "Rf-A.1,_x")]);
    for name in ["GETREFUNDSTATUSBYMERCHANTREFUNDID", "GETREFUNDBYMERCHANTREFUNDID"] {
        for reference in ["Rf-A.1,_x", "RF-A.1,_X", "rf-a.1,_x"] {
            let found = demo.call(name, &[("merchantrefundid", reference)]).await;
            expect(
                &found,
                &[
                    ("REQUESTSTATUS", "SUCCEEDED"),
                    ("STATUS", "SUCCEEDED"),
                    ("REFUNDID", &made["REFUNDID"]),
                    ("MERCHANTREFUNDID", "Rf-A.1,_x"),
                ],
            );
        }
        let unknown = demo.call(name, &[("merchantrefundid", "RF-2")]).await;
        expect(&unknown, &[("REQUESTFAILREASON", "REFUND_NOT_FOUND"), ("REFUNDID", "0")]);
        let missing = demo.call(name, &[]).await;
        expect(&missing, &[("REQUESTSTATUS", "FAILED"), ("REQUESTFAILREASON", "UNKNOWN")]);
    }
    // The same reference makes a second refund, and then the look-up is ambiguous.
    let again = refund_with(&demo, &txid, &[("merchantrefundid", "RF-a.1,_X")]).await;
    expect(&again, &[("STATUS", "SUCCEEDED")]);
    assert_ne!(again["REFUNDID"], made["REFUNDID"]);
    for name in ["GETREFUNDSTATUSBYMERCHANTREFUNDID", "GETREFUNDBYMERCHANTREFUNDID"] {
        let both = demo.call(name, &[("merchantrefundid", "Rf-A.1,_x")]).await;
        expect(
            &both,
            &[
                ("REQUESTSTATUS", "FAILED"),
                ("REQUESTFAILREASON", "REFUND_NOT_UNIQUE"),
                ("STATUS", "FAILED"),
                ("REFUNDID", "0"),
            ],
        );
    }
    // Each is still found by its own id.
    for one in [&made, &again] {
        expect(&status_of(&demo, &one["REFUNDID"]).await, &[("STATUS", "SUCCEEDED")]);
    }
}

async fn a_txid_is_no_refund_id_and_the_reverse(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    let made = demo.refund(&txid, 100).await;
    expect(&status_of(&demo, &txid).await, &[("REQUESTFAILREASON", "REFUND_NOT_FOUND")]);
    let status = demo.status(&made["REFUNDID"]).await;
    expect(&status, &[("REQUESTFAILREASON", "TX_NOT_FOUND"), ("TXID", "0")]);
}

// --- concurrency ---------------------------------------------------------------------------------

async fn of_many_concurrent_refunds_exactly_as_many_succeed_as_fit(engine: Engine) {
    for fault in [None, Some("lost_after")] {
        let demo = Demo::start_on(engine).await;
        let txid = demo.paid().await;
        if let Some(action) = fault {
            let some = json!({
                "on": "refund", "action": action, "times": ALWAYS, "probability_permille": 300
            });
            demo.fault(some).await;
        }
        let answers = join_all((0..64).map(|_| demo.refund(&txid, 30_000))).await;
        let good: Vec<&Answer> =
            answers.iter().filter(|answer| answer["STATUS"] == "SUCCEEDED").collect();
        assert_eq!(good.len(), 33, "{fault:?}: {answers:?}");
        for answer in answers.iter().filter(|answer| answer["STATUS"] == "FAILED") {
            refused(answer, "INPUT_DATA", "at most 10000 would pass");
        }
        demo.clear_faults().await;
        let made = accepted(&demo, &txid).await;
        assert_eq!(made.len(), 33);
        assert!(good.iter().all(|one| made.contains(&(one["REFUNDID"].clone(), 300))));
        assert_eq!(demo.refund(&txid, 10_000).await["STATUS"], "SUCCEEDED");
        assert_eq!(demo.upstream(&txid).await["refunded"], 10_000);
        assert_eq!(demo.totals().await["refunded_sen"], 1_000_000);
    }
}
