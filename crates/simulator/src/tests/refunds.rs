//! Refund rules, one by one.

use serde_json::{Value, json};

use super::{Bench, request};
use crate::{EngineConfig, Payer, QrisKind, RepeatedRefundKey, Via};

fn code(body: &Value) -> &str {
    body["status_code"].as_str().unwrap()
}

#[test]
fn partial_refunds_add_up_to_a_full_one() {
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    let path = "/v2/A-1/refund/online/direct";
    let first = bench.post(path, &json!({"refund_key": "R-1", "amount": 400, "reason": "broken"}));
    assert_eq!((code(&first), &first["transaction_status"]), ("200", &json!("partial_refund")));
    assert_eq!(first["refund_amount"], "400.00");
    assert_eq!(first["refund_key"], "R-1");
    let number = first["refund_chargeback_id"].as_u64().unwrap();
    assert!(number > 1 << 53 && number.to_string().len() == 18, "{number}");
    assert!(first["refund_chargeback_uuid"].is_string());

    bench.pass(60);
    let second = bench.post("/v2/A-1/refund", &json!({"refund_key": "R_2", "amount": "600"}));
    assert_eq!((code(&second), &second["transaction_status"]), ("200", &json!("refund")));
    assert_eq!(second["refund_amount"], "600.00");

    bench.pass(60);
    let status = bench.status("A-1");
    assert_eq!(status["refund_amount"], "1000.00");
    let refunds = status["refunds"].as_array().unwrap();
    assert_eq!(refunds.len(), 2);
    assert_eq!(refunds[0]["refund_amount"], "400.00");
    assert_eq!(refunds[0]["reason"], "broken");
    assert_eq!(refunds[0]["created_at"], "2026-01-15 10:00:00");
    assert_eq!(refunds[0]["bank_confirmed_at"], "2026-01-15 10:00:02");
    assert_eq!(refunds[0]["refund_method"], "online");
    assert_eq!(refunds[0]["refund_chargeback_id"].as_u64(), Some(number));
    assert_eq!(refunds[1]["refund_key"], "R_2");
    assert!(refunds[1].get("reason").is_none());
    assert_ne!(refunds[1]["refund_chargeback_id"], refunds[0]["refund_chargeback_id"]);
    assert_eq!(code(&bench.post(path, &json!({"refund_key": "R-3", "amount": 1}))), "412");
}

#[test]
fn requests_are_checked() {
    for (body, expected) in [
        ("", "200"),
        ("null", "200"),
        ("{}", "200"),
        (r#"{"refund_key":"A-b_9"}"#, "200"),
        (r#"{"refund_key":""}"#, "200"),
        (r#"{"refund_key":"a b"}"#, "400"),
        (r#"{"refund_key":"a.b"}"#, "400"),
        (r#"{"refund_key":7}"#, "200"),
        (r#"{"amount":1000}"#, "200"),
        (r#"{"amount":"1000"}"#, "200"),
        (r#"{"amount":1001}"#, "414"),
        (r#"{"amount":0}"#, "400"),
        (r#"{"amount":-1}"#, "400"),
        (r#"{"amount":1.5}"#, "400"),
        (r#"{"amount":"1000.00"}"#, "400"),
        (r#"{"amount":"x"}"#, "400"),
        (r#"{"reason":{}}"#, "400"),
        ("{", "413"),
        ("[]", "413"),
    ] {
        let mut bench = Bench::new();
        bench.paid("A-1", 1_000);
        let (http, answer) = bench.json(&request("POST", "/v2/A-1/refund", body));
        assert_eq!(code(&answer), expected, "{body}");
        assert_eq!(http, if expected == "400" { 400 } else { 200 }, "{body}");
        let refunded = if expected == "200" { 1_000 } else { 0 };
        assert_eq!(bench.engine.totals().refunded, refunded, "{body}");
    }
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    for (length, expected) in [(256, "400"), (255, "200")] {
        let body = json!({"reason": "x".repeat(length)});
        assert_eq!(code(&bench.post("/v2/A-1/refund", &body)), expected, "{length}");
    }
}

#[test]
fn only_paid_transactions_can_be_refunded() {
    for how in ["pending", "cancel", "expire", "deny", "fail"] {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        let now = bench.now;
        match how {
            "cancel" => bench.engine.cancel(now, "A-1").unwrap(),
            "expire" => bench.engine.expire(now, "A-1").unwrap(),
            "deny" => bench.engine.deny(now, "A-1").unwrap(),
            "fail" => bench.engine.fail(now, "A-1").unwrap(),
            _ => {}
        }
        assert_eq!(code(&bench.post("/v2/A-1/refund", &json!({}))), "412", "{how}");
    }
}

#[test]
fn the_window_depends_on_how_it_was_paid() {
    const DAY: u64 = 86_400;
    for (via, kind, seconds, expected) in [
        (Via::Gopay, QrisKind::OnUs, 45 * DAY, "200"),
        (Via::Gopay, QrisKind::OnUs, 45 * DAY + 1, "412"),
        (Via::Qris, QrisKind::OnUs, 45 * DAY, "200"),
        (Via::Qris, QrisKind::OnUs, 45 * DAY + 1, "412"),
        (Via::Qris, QrisKind::OffUs, 7 * DAY, "200"),
        (Via::Qris, QrisKind::OffUs, 7 * DAY + 1, "412"),
    ] {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        let payer = Payer { via, transaction_type: kind, ..Payer::default() };
        bench.engine.pay(bench.now, "A-1", &payer).unwrap();
        bench.pass(seconds);
        let answer = bench.post("/v2/A-1/refund", &json!({}));
        assert_eq!(code(&answer), expected, "{via:?} {kind:?} {seconds}");
    }
}

#[test]
fn a_repeated_key_is_refused_or_repeated_as_configured() {
    for (mode, days, expected) in [
        (RepeatedRefundKey::Refuse, 0, "406"),
        (RepeatedRefundKey::Repeat, 0, "200"),
        (RepeatedRefundKey::Repeat, 7, "200"),
        (RepeatedRefundKey::Repeat, 8, "406"),
    ] {
        let config = EngineConfig { repeated_refund_key: mode, ..EngineConfig::default() };
        let mut bench = Bench::with(config);
        bench.paid("A-1", 1_000);
        let wanted = json!({"refund_key": "R", "amount": 400});
        let first = bench.post("/v2/A-1/refund", &wanted);
        bench.pass(days * 86_400);
        let again = bench.post("/v2/A-1/refund", &wanted);
        assert_eq!(code(&again), expected, "{mode:?} {days}");
        if expected == "200" {
            assert_eq!(again["refund_chargeback_id"], first["refund_chargeback_id"]);
        }
        assert_eq!(bench.engine.totals().refunded, 400, "{mode:?} {days}");
    }
}

#[test]
fn a_used_key_is_a_conflict_even_when_nothing_is_left() {
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    bench.post("/v2/A-1/refund", &json!({"refund_key": "R"}));
    assert_eq!(code(&bench.post("/v2/A-1/refund", &json!({"refund_key": "R"}))), "406");
    assert_eq!(code(&bench.post("/v2/A-1/refund", &json!({"refund_key": "S"}))), "412");
}

#[test]
fn a_refused_key_may_be_tried_again_for_seven_days() {
    for (days, expected) in [(7, "200"), (8, "406")] {
        let mut bench = Bench::new();
        bench.paid("A-1", 1_000);
        let refused = bench.post("/v2/A-1/refund", &json!({"refund_key": "R", "amount": 1_001}));
        assert_eq!(code(&refused), "414");
        bench.pass(days * 86_400);
        let again = bench.post("/v2/A-1/refund", &json!({"refund_key": "R", "amount": 1_000}));
        assert_eq!(code(&again), expected, "{days}");
    }
}

#[test]
fn refunds_need_funds_when_the_merchant_has_a_balance() {
    let config = EngineConfig { merchant_balance: Some(0), ..EngineConfig::default() };
    let mut bench = Bench::with(config);
    bench.paid("A-1", 1_000);
    assert_eq!(code(&bench.post("/v2/A-1/refund", &json!({"amount": 600}))), "200");
    bench.paid("A-2", 100);
    assert_eq!(code(&bench.post("/v2/A-1/refund", &json!({"amount": 400}))), "200");
    assert_eq!(code(&bench.post("/v2/A-2/refund", &json!({"amount": 100}))), "200");

    let config = EngineConfig { merchant_balance: Some(0), ..EngineConfig::default() };
    let mut bench = Bench::with(config);
    bench.paid("A-1", 1_000);
    bench.engine.merchants[0].balance = Some(300);
    assert_eq!(code(&bench.post("/v2/A-1/refund", &json!({"amount": 301}))), "414");
    assert_eq!(code(&bench.post("/v2/A-1/refund", &json!({"amount": 300}))), "200");
}

#[test]
fn a_refund_sends_two_notifications_the_second_with_the_confirmation() {
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    bench.notifications();
    bench.post("/v2/A-1/refund", &json!({"refund_key": "R", "amount": 400}));
    let first = bench.notifications();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0]["transaction_status"], "partial_refund");
    assert_eq!(first[0]["refund_amount"], "400.00");
    assert!(first[0]["refunds"][0].get("bank_confirmed_at").is_none());
    bench.pass(1);
    assert!(bench.notifications().is_empty());
    bench.pass(1);
    let second = bench.notifications();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0]["refunds"][0]["bank_confirmed_at"], "2026-01-15 10:00:02");
    assert_eq!(second[0]["signature_key"], first[0]["signature_key"]);
    bench.pass(3_600);
    assert!(bench.notifications().is_empty());
}
