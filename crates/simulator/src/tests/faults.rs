//! Scripted faults of API calls.

use serde_json::{Value, json};

use super::{Bench, KEY, charge_body, request};
use crate::wire::signature;
use crate::{Delivery, Payer};

#[test]
fn faults_before_the_effect_leave_nothing_and_faults_after_it_leave_a_charge() {
    for (action, effect, delivery, http) in [
        (json!("lost_before"), false, Delivery::Drop, 200),
        (json!("lost_after"), true, Delivery::Drop, 200),
        (json!({"http": {"status": 503}}), false, Delivery::Answer, 503),
        (json!({"http": {"status": 429, "body": "slow"}}), false, Delivery::Answer, 429),
        (json!({"http_after": {"status": 500}}), true, Delivery::Answer, 500),
        (json!("garbage"), true, Delivery::Answer, 200),
        (json!("truncate"), true, Delivery::Truncate, 200),
        (json!("empty"), true, Delivery::Answer, 200),
        (json!({"delay": {"ms": 10}}), true, Delivery::Answer, 200),
        (
            json!({"delay": {"ms": 10, "when": "before"}}),
            false,
            Delivery::Deferred { ticket: 1 },
            200,
        ),
    ] {
        let mut bench = Bench::new();
        bench.fault(json!({"on": "charge", "action": action}));
        let call = request("POST", "/v2/charge", &charge_body("A-1", 1_000).to_string())
            .with_header("idempotency-key", "k");
        let reply = bench.send(&call);
        assert_eq!((reply.delivery, reply.status), (delivery, http), "{action}");
        assert_eq!(bench.engine.totals().transactions, u64::from(effect), "{action}");
        let parsed = serde_json::from_slice::<Value>(&reply.body);
        let unreadable =
            action == "garbage" || action == "empty" || action["http"]["body"] == "slow";
        if delivery == Delivery::Answer {
            assert_eq!(parsed.is_err(), unreadable, "{action}");
        }
        if delivery != (Delivery::Deferred { ticket: 1 }) {
            bench.pass(1);
            assert_eq!(bench.json(&call).1["status_code"], "201", "the key finds it: {action}");
            assert_eq!(bench.engine.totals().transactions, 1, "{action}");
        }
    }
}

#[test]
fn each_endpoint_can_fail_and_after_its_effect() {
    for (on, path, effect) in [
        ("cancel", "/v2/A-1/cancel", "cancel"),
        ("expire", "/v2/A-1/expire", "expire"),
        ("refund", "/v2/A-1/refund", "refund"),
        ("refund", "/v2/A-1/refund/online/direct", "refund"),
    ] {
        for (action, happened) in [("lost_before", false), ("lost_after", true)] {
            let mut bench = Bench::new();
            bench.charge("A-1", 1_000);
            if on == "refund" {
                bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
            }
            let before = bench.status("A-1")["transaction_status"].clone();
            bench.fault(json!({"on": on, "action": action}));
            assert_eq!(bench.send(&request("POST", path, "")).delivery, Delivery::Drop);
            let expected = if happened { json!(effect) } else { before };
            assert_eq!(bench.status("A-1")["transaction_status"], expected, "{on} {action}");
        }
    }
}

#[test]
fn faults_can_wait_for_an_order() {
    let mut bench = Bench::new();
    bench.fault(json!({"on": "charge", "action": "lost_after", "order_id": "A-2"}));
    bench.fault(
        json!({"on": "status", "action": {"http": {"status": 503}}, "order_id": "A-1", "skip": 1}),
    );
    assert_eq!(bench.charge("A-1", 1)["status_code"], "201");
    let lost = bench.send(&request("POST", "/v2/charge", &charge_body("A-2", 1).to_string()));
    assert_eq!(lost.delivery, Delivery::Drop);
    let id = bench.engine.transaction("A-1").unwrap().transaction_id;
    assert_eq!(bench.status("A-2")["status_code"], "201");
    assert_eq!(bench.status("A-1")["status_code"], "201");
    assert_eq!(bench.status(&id)["status_code"], "503");
    assert_eq!(bench.status("A-1")["status_code"], "201");
}

#[test]
fn provider_errors_show_as_documented() {
    for (code, body_code, http, stored) in [
        (201, "202", 200, true),
        (4060, "202", 200, true),
        (900, "500", 200, false),
        (310, "400", 400, false),
        (2901, "406", 200, false),
        (112, "402", 200, false),
        (1703, "402", 400, false),
        (902, "413", 200, false),
        (101, "404", 200, false),
    ] {
        let mut bench = Bench::new();
        bench.fault(json!({"on": "charge", "action": {"provider_error": {"code": code}}}));
        let call = request("POST", "/v2/charge", &charge_body("A-1", 1_000).to_string());
        let (status, body) = bench.json(&call);
        assert_eq!((status, body["status_code"].as_str()), (http, Some(body_code)), "{code}");
        assert_eq!(bench.engine.totals().transactions, u64::from(stored), "{code}");
        let notified = bench.notified_statuses();
        if stored {
            assert_eq!(body["transaction_status"], "deny");
            assert_eq!(body["channel_response_code"], code.to_string());
            assert_eq!(body["fraud_status"], if code == 4060 { "deny" } else { "accept" });
            assert!(body.get("actions").is_none());
            assert_eq!(notified, [("deny".to_owned(), "202".to_owned())]);
            assert_eq!(bench.status("A-1")["status_code"], "202");
            assert_eq!(bench.engine.totals().statuses["deny"], 1);
        } else {
            assert!(notified.is_empty(), "nothing is notified of a refused charge: {code}");
        }
    }
    let mut bench = Bench::new();
    let deny = json!({"provider_error": {"code": 900, "shape": "deny"}});
    bench.fault(json!({"on": "charge", "action": deny}));
    assert_eq!(bench.charge("A-1", 1)["transaction_status"], "deny");
}

#[test]
fn a_stale_status_shows_the_past() {
    let mut bench = Bench::new();
    bench.charge("A-1", 1_000);
    bench.pass(60);
    bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
    bench.pass(60);
    bench.post("/v2/A-1/refund", &json!({"amount": 100}));
    for (seconds, status) in [
        (0, "partial_refund"),
        (1, "settlement"),
        (60, "settlement"),
        (61, "pending"),
        (120, "pending"),
    ] {
        bench.fault(json!({"on": "status", "action": {"stale_status": {"seconds": seconds}}}));
        let seen = bench.status("A-1");
        assert_eq!(seen["transaction_status"], status, "{seconds}");
        assert_eq!(seen.get("refunds").is_some(), status == "partial_refund", "{seconds}");
        assert_eq!(seen.get("settlement_time").is_some(), status != "pending", "{seconds}");
    }
    bench.fault(json!({"on": "status", "action": {"stale_status": {"seconds": 121}}}));
    assert_eq!(bench.status("A-1")["status_code"], "404");
}

#[test]
fn refunds_can_be_refused_and_tried_again_with_the_same_key() {
    for code in [202, 412, 414] {
        let mut bench = Bench::new();
        bench.paid("A-1", 1_000);
        bench.notifications();
        bench.fault(json!({"on": "refund", "action": {"refund_refused": {"status_code": code}}}));
        let wanted = json!({"refund_key": "R", "amount": 400});
        let refused = bench.post("/v2/A-1/refund/online/direct", &wanted);
        assert_eq!(refused["status_code"], code.to_string());
        if code == 202 {
            assert_eq!(refused["transaction_status"], "settlement");
            assert_eq!(refused["refund_amount"], "0.00");
        }
        assert!(bench.notifications().is_empty());
        assert_eq!(bench.engine.totals().refunded, 0);
        assert!(bench.status("A-1").get("refunds").is_none());
        let again = bench.post("/v2/A-1/refund/online/direct", &wanted);
        assert_eq!(again["status_code"], "200", "{code}");
    }
}

#[test]
fn a_deferred_call_has_its_effect_when_it_is_taken_up() {
    let mut bench = Bench::new();
    bench.fault(json!({"on": "charge", "action": {"delay": {"ms": 3_000, "when": "before"}}}));
    let reply = bench.send(&request("POST", "/v2/charge", &charge_body("A-1", 1).to_string()));
    let Delivery::Deferred { ticket } = reply.delivery else { panic!("{:?}", reply.delivery) };
    assert_eq!(reply.delay.as_millis(), 3_000);
    assert_eq!(bench.engine.next_event_at(), Some(bench.now.after(reply.delay)));
    bench.pass(3);
    let late = bench.engine.resume(bench.now, ticket);
    let body: Value = serde_json::from_slice(&late.body).unwrap();
    assert_eq!(body["transaction_time"], "2026-01-15 10:00:03");
}

#[test]
fn a_stale_status_does_not_know_of_a_later_confirmation() {
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    bench.post("/v2/A-1/refund", &json!({"amount": 100}));
    bench.pass(5);
    for (seconds, confirmed) in [(0, true), (3, true), (4, false)] {
        bench.fault(json!({"on": "status", "action": {"stale_status": {"seconds": seconds}}}));
        let refund = &bench.status("A-1")["refunds"][0];
        assert_eq!(refund.get("bank_confirmed_at").is_some(), confirmed, "{seconds}: {refund}");
    }
}

#[test]
fn latency_is_drawn_from_its_range_and_keeps_a_key_busy() {
    let latency = crate::Latency { min_ms: 40, max_ms: 60 };
    let mut bench = Bench::with(crate::EngineConfig { latency, ..Default::default() });
    let call = request("POST", "/v2/charge", &charge_body("A-1", 1).to_string())
        .with_header("idempotency-key", "k");
    let first = bench.send(&call);
    assert!((40..=60).contains(&first.delay.as_millis()), "{:?}", first.delay);
    assert_eq!(bench.send(&call).status, 202);
    bench.now = bench.now.after(first.delay);
    assert_eq!(bench.send(&call).status, 200);
    let delays: std::collections::BTreeSet<_> =
        (0..50).map(|_| bench.send(&request("GET", "/v2/A-1/status", "")).delay).collect();
    assert!(delays.len() > 5, "{delays:?}");
}

#[test]
fn status_and_notification_vary_as_midtrans_varies_them() {
    let fee = json!({"gross_amount_info": {
        "original_amount": "1000", "gross_amount": 1_071, "customer_imposed_payment_fee": "71",
    }});
    for (action, field, expected, amount) in [
        (json!({"customer_fee": {"rupiah": 71}}), "extra_info", fee, "1071.00"),
        (json!("wrong_amount"), "extra_info", Value::Null, "1001.00"),
        (json!("empty_fraud_status"), "fraud_status", json!(""), "1000.00"),
        (json!("as_qris"), "payment_type", json!("qris"), "1000.00"),
        (
            json!({"payment_option": {"option": "GOPAY_COINS"}}),
            "payment_option_type",
            json!("GOPAY_COINS"),
            "1000.00",
        ),
        (json!("unknown_fields"), "new_object", json!({"deep": {"er": []}}), "1000.00"),
    ] {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        bench.notifications();
        bench.fault(json!({"on": "status", "action": action, "skip": 1}));
        bench.fault(json!({"on": "notification", "action": action}));
        bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
        let notified = bench.notifications().remove(0);
        let plain = bench.status("A-1");
        assert_eq!(plain["gross_amount"], "1000.00");
        let varied = bench.status("A-1");
        assert_ne!(plain, varied, "{action}");
        for body in [&notified, &varied] {
            assert_eq!(body[field], expected, "{action}: {body}");
            assert_eq!(body["gross_amount"], amount, "{action}");
            let signed = signature("A-1", "200", amount, KEY);
            assert_eq!(body["signature_key"], signed, "{action}");
        }
    }
}

#[test]
fn the_bank_confirms_a_refund_when_it_is_scripted_to() {
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    bench.notifications();
    bench.fault(json!({"on": "refund", "action": {"bank_confirms": {"after_ms": 86_400_000}}}));
    bench.post("/v2/A-1/refund", &json!({"refund_key": "R", "amount": 400}));
    assert_eq!(bench.notifications().len(), 1);
    bench.pass(86_399);
    assert!(bench.notifications().is_empty());
    assert!(bench.status("A-1")["refunds"][0].get("bank_confirmed_at").is_none());
    bench.pass(1);
    let confirmed = bench.notifications().remove(0);
    assert_eq!(confirmed["refunds"][0]["bank_confirmed_at"], "2026-01-16 10:00:00");
}
