//! What is sent, where, when, and how often.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, KEY, RECEIVER, charge_body, request};
use crate::wire::signature;
use crate::{EngineConfig, NotificationDelays, NotificationOutcome, Payer};

#[test]
fn each_state_has_its_payload() {
    for (how, status, code) in [
        ("pay", "settlement", "200"),
        ("expire", "expire", "202"),
        ("cancel", "cancel", "202"),
        ("deny", "deny", "202"),
        ("fail", "failure", "202"),
        ("part", "partial_refund", "200"),
        ("refund", "refund", "200"),
    ] {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        let pending = bench.notifications();
        assert_eq!(pending.len(), 1);
        assert_eq!(pending[0]["transaction_status"], "pending");
        assert_eq!(pending[0]["status_code"], "201");
        let now = bench.now;
        match how {
            "expire" => bench.engine.expire(now, "A-1").unwrap(),
            "cancel" => bench.engine.cancel(now, "A-1").unwrap(),
            "deny" => bench.engine.deny(now, "A-1").unwrap(),
            "fail" => bench.engine.fail(now, "A-1").unwrap(),
            _ => bench.engine.pay(now, "A-1", &Payer::default()).unwrap(),
        }
        if matches!(how, "part" | "refund") {
            bench.notifications();
            let amount = if how == "part" { 1 } else { 1_000 };
            bench.post("/v2/A-1/refund", &json!({"amount": amount}));
        }
        let notified = bench.notifications();
        assert_eq!(notified.len(), 1, "{how}");
        let body = &notified[0];
        assert_eq!(body["transaction_status"], status);
        assert_eq!(body["status_code"], code, "{status}");
        assert_eq!(body["signature_key"], signature("A-1", code, "1000.00", KEY));
        for always in [
            "transaction_time",
            "transaction_id",
            "order_id",
            "gross_amount",
            "currency",
            "payment_type",
            "merchant_id",
            "status_message",
            "fraud_status",
            "expiry_time",
        ] {
            assert!(body[always].is_string(), "{status} {always}");
            assert!(pending[0][always].is_string(), "pending {always}");
        }
        let paid = code == "200";
        let refunded = matches!(how, "part" | "refund");
        for (field, present) in [
            ("settlement_time", paid),
            ("payment_option_type", paid),
            ("channel_response_code", matches!(how, "deny" | "fail")),
            ("refund_amount", refunded),
            ("refunds", refunded),
            ("actions", false),
            ("custom_field1", false),
        ] {
            assert_eq!(body.get(field).is_some(), present, "{status} {field}");
            assert!(pending[0].get(field).is_none(), "pending {field}");
        }
    }
}

#[test]
fn headers_choose_the_receivers() {
    let dashboard = RECEIVER;
    for (header, value, expected) in [
        (None, "", vec![dashboard]),
        (Some("x-override-notification"), "https://a.example/n", vec!["https://a.example/n"]),
        (
            Some("x-override-notification"),
            "https://a.example/1, https://a.example/2,https://a.example/3",
            vec!["https://a.example/1", "https://a.example/2", "https://a.example/3"],
        ),
        (
            Some("x-append-notification"),
            "https://a.example/n",
            vec![dashboard, "https://a.example/n"],
        ),
        (Some("x-override-notification"), " , ", vec![dashboard]),
    ] {
        let mut bench = Bench::new();
        let mut call = request("POST", "/v2/charge", &charge_body("A-1", 1_000).to_string());
        if let Some(header) = header {
            call = call.with_header(header, value);
        }
        assert_eq!(bench.json(&call).1["status_code"], "201", "{value}");
        let due = bench.engine.due_notifications(bench.now);
        let urls: Vec<&str> = due.iter().map(|notification| &*notification.url).collect();
        assert_eq!(urls, expected, "{value}");
    }
    for value in ["https://a/1,https://a/2,https://a/3,https://a/4", "not a url", "ftp://a/"] {
        let mut bench = Bench::new();
        let call = request("POST", "/v2/charge", &charge_body("A-1", 1_000).to_string())
            .with_header("x-override-notification", value);
        assert_eq!(bench.json(&call).1["status_code"], "400", "{value}");
        assert_eq!(bench.engine.totals().transactions, 0);
    }
}

#[test]
fn without_a_receiver_or_a_wish_for_pending_nothing_is_sent() {
    let silent = EngineConfig { notify_pending: false, ..EngineConfig::default() };
    let mut bench = Bench::with(silent);
    bench.charge("A-1", 1_000);
    assert!(bench.notifications().is_empty());
    bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
    assert_eq!(bench.notified_statuses(), [("settlement".to_owned(), "200".to_owned())]);

    let mut nobody = crate::Engine::new(EngineConfig::default());
    nobody.handle(bench.now, &request("POST", "/v2/charge", &charge_body("A-1", 1).to_string()));
    assert_eq!(nobody.totals().transactions, 1);
    assert!(nobody.due_notifications(bench.now).is_empty());
}

#[test]
fn delays_are_kept_per_state() {
    let delays = NotificationDelays {
        pending_ms: 1_000,
        settlement_ms: 20_000,
        expire_ms: 90_000,
        other_ms: 5_000,
    };
    let mut bench =
        Bench::with(EngineConfig { notification_delays: delays, ..EngineConfig::default() });
    bench.charge("A-1", 1_000);
    bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
    bench.charge("A-2", 1_000);
    bench.engine.cancel(bench.now, "A-2").unwrap();
    bench.charge("A-3", 1_000);
    bench.engine.expire(bench.now, "A-3").unwrap();
    for (seconds, expected) in [
        (0, vec![]),
        (1, vec!["pending", "pending", "pending"]),
        (4, vec!["cancel"]),
        (15, vec!["settlement"]),
        (69, vec![]),
        (1, vec!["expire"]),
    ] {
        bench.pass(seconds);
        let seen: Vec<String> =
            bench.notified_statuses().into_iter().map(|(status, _)| status).collect();
        assert_eq!(seen, expected, "after {seconds}");
    }
}

/// A charge whose payment stays open for a week, so that no expiry is sent in between.
fn long_charge(bench: &mut Bench) {
    let mut body = charge_body("A-1", 1_000);
    body["custom_expiry"] = json!({"expiry_duration": 7, "unit": "day"});
    assert_eq!(bench.post("/v2/charge", &body)["status_code"], "201");
}

#[test]
fn the_receivers_answers_lead_to_the_documented_retries() {
    const INTERVALS: [u64; 5] = [120, 600, 1_800, 5_400, 12_600];
    for (outcome, retries) in [
        (NotificationOutcome::Status(200), 0),
        (NotificationOutcome::Status(302), 0),
        (NotificationOutcome::Status(500), 1),
        (NotificationOutcome::Status(404), 2),
        (NotificationOutcome::Status(503), 4),
        (NotificationOutcome::Status(403), 5),
        (NotificationOutcome::Failed, 5),
    ] {
        let mut bench = Bench::new();
        long_charge(&mut bench);
        let mut waits = Vec::new();
        loop {
            let due = bench.engine.due_notifications(bench.now);
            assert_eq!(due.len(), 1, "{outcome:?}");
            assert_eq!(usize::try_from(due[0].attempt), Ok(waits.len() + 1));
            bench.engine.notification_result(due[0].id, bench.now, outcome);
            if bench.engine.notification_queue().queued == 0 {
                break;
            }
            let next = bench.engine.next_event_at().unwrap();
            waits.push(next.since(bench.now).as_secs());
            bench.now = next.before(Duration::from_micros(1));
            assert!(bench.engine.due_notifications(bench.now).is_empty());
            bench.now = next;
        }
        assert_eq!(waits, INTERVALS[..retries], "{outcome:?}");
        let counts = bench.engine.transaction("A-1").unwrap().notifications;
        let tries = u64::try_from(retries).unwrap() + 1;
        let delivered = u64::from(outcome == NotificationOutcome::Status(200));
        assert_eq!(counts.attempts, tries, "{outcome:?}");
        assert_eq!((counts.delivered, counts.failed), (delivered, tries - delivered));
        assert_eq!(counts.given_up, 1 - delivered, "{outcome:?}");
    }
}

#[test]
fn mixed_answers_count_against_the_latest() {
    let mut bench = Bench::new();
    long_charge(&mut bench);
    // Five retries allowed so far, then a 500, which allows one in all.
    for (outcome, wait, more) in [
        (NotificationOutcome::Failed, 120, true),
        (NotificationOutcome::Status(503), 600, true),
        (NotificationOutcome::Status(500), 86_400, false),
    ] {
        let due = bench.engine.due_notifications(bench.now);
        assert_eq!(due.len(), 1, "{outcome:?}");
        bench.engine.notification_result(due[0].id, bench.now, outcome);
        assert_eq!(bench.engine.notification_queue().queued, usize::from(more));
        bench.pass(wait);
    }
    let counts = bench.engine.notification_queue().totals;
    assert_eq!((counts.queued, counts.attempts, counts.failed, counts.given_up), (1, 3, 3, 1));
}

#[test]
fn a_notification_is_a_snapshot_of_its_moment() {
    let mut bench = Bench::new();
    bench.charge("A-1", 1_000);
    bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
    let seen: Vec<String> =
        bench.notified_statuses().into_iter().map(|(status, _)| status).collect();
    assert_eq!(seen, ["pending", "settlement"]);
}

#[test]
fn faults_of_notifications() {
    let run = |action: Value| {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        bench.notifications();
        bench.fault(json!({"on": "notification", "action": action}));
        bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
        let notified = bench.notifications();
        (bench, notified)
    };
    let good = signature("A-1", "200", "1000.00", KEY);

    let (bench, notified) = run(json!("drop"));
    assert!(notified.is_empty());
    assert_eq!(bench.engine.transaction("A-1").unwrap().notifications.dropped, 1);

    let (_, notified) = run(json!({"duplicate": {"n": 2}}));
    assert_eq!(notified.len(), 3);
    assert!(notified.iter().all(|body| *body == notified[0] && body["signature_key"] == good));

    let (mut bench, notified) = run(json!({"delay": {"ms": 30_000}}));
    assert!(notified.is_empty());
    bench.pass(30);
    assert_eq!(bench.notifications().len(), 1);

    let (_, notified) = run(json!("forge_signature"));
    assert_eq!(notified[0]["transaction_status"], "settlement");
    assert_ne!(notified[0]["signature_key"], good);

    let (_, notified) = run(json!("wrong_amount"));
    assert_eq!(notified[0]["gross_amount"], "1001.00");
    assert_eq!(notified[0]["signature_key"], signature("A-1", "200", "1001.00", KEY));

    let (mut bench, notified) = run(json!("as_qris"));
    assert_eq!(notified[0]["payment_type"], "qris");
    assert_eq!(bench.status("A-1")["payment_type"], "gopay");

    let (mut bench, notified) = run(json!("reorder"));
    assert!(notified.is_empty());
    bench.post("/v2/A-1/refund", &json!({"amount": 1}));
    bench.now = bench.now.after(Duration::from_millis(1));
    let order: Vec<String> =
        bench.notified_statuses().into_iter().map(|(status, _)| status).collect();
    assert_eq!(order, ["partial_refund", "settlement"]);

    let (mut bench, _) = run(json!("reorder"));
    bench.pass(60);
    assert_eq!(bench.notifications().len(), 1, "held for a minute at most");
}

#[test]
fn a_notification_may_lack_what_the_signature_does_not_cover() {
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    bench.notifications();
    bench.fault(json!({"on": "notification", "action": "without_refund_key"}));
    bench.post("/v2/A-1/refund", &json!({"refund_key": "R", "amount": 400}));
    let first = bench.notifications().remove(0);
    assert!(first["refunds"][0].get("refund_key").is_none(), "{first}");
    assert_eq!(first["refunds"][0]["refund_amount"], "400.00");
    bench.fault(json!({"on": "notification", "action": "without_transaction_id"}));
    bench.pass(2);
    let second = bench.notifications().remove(0);
    assert!(second.get("transaction_id").is_none(), "{second}");
    assert_eq!(second["refunds"][0]["refund_key"], "R");
    for body in [first, second] {
        assert_eq!(body["signature_key"], signature("A-1", "200", "1000.00", KEY));
    }
    assert_eq!(bench.status("A-1")["refunds"][0]["refund_key"], "R");
}
