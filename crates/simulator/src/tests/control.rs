//! The control API: lists, and what can be done to a transaction.

use serde_json::{Value, json};

use super::{KEY, RECEIVER, charge_body, request};
use crate::clock::MovableClock as _;
use crate::wire::signature;
use crate::{ApiRequest, Engine, EngineConfig, NotificationOutcome, OffsetClock, control};

struct Controlled {
    engine: Engine,
    clock: OffsetClock,
}

impl Controlled {
    fn new() -> Self {
        let config =
            EngineConfig { notification_url: Some(RECEIVER.to_owned()), ..EngineConfig::default() };
        Self { engine: Engine::new(config), clock: OffsetClock::new() }
    }

    fn call(&mut self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let call = ApiRequest::new(method, &format!("/simulator/v1/{path}"), body);
        let reply = control::handle(&mut self.engine, &self.clock, &call);
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    fn api(&mut self, method: &str, path: &str, body: &str) -> Value {
        let reply = self.engine.handle(self.clock.now(), &request(method, path, body));
        serde_json::from_slice(&reply.body).unwrap()
    }

    fn charged(&mut self, order_id: &str, amount: u64) {
        let charge = self.api("POST", "/v2/charge", &charge_body(order_id, amount).to_string());
        assert_eq!(charge["status_code"], "201");
    }

    fn paid(&mut self, order_id: &str, amount: u64) {
        self.charged(order_id, amount);
        assert_eq!(self.call("POST", &format!("transactions/{order_id}/pay"), &Value::Null).0, 200);
        self.notifications();
    }

    fn notifications(&mut self) -> Vec<Value> {
        let now = self.clock.now();
        let due = self.engine.due_notifications(now);
        due.into_iter()
            .map(|one| {
                self.engine.notification_result(one.id, now, NotificationOutcome::Status(200));
                serde_json::from_slice(&one.body).unwrap()
            })
            .collect()
    }
}

#[test]
fn transactions_and_sent_notifications_are_listed_page_by_page_newest_first() {
    let mut simulator = Controlled::new();
    for number in 1..=7 {
        simulator.charged(&format!("A-{number}"), number);
    }
    simulator.notifications();
    for (list, name) in
        [("transactions?order=newest&", "transactions"), ("notifications/sent?", "notifications")]
    {
        let (mut seen, mut before) = (Vec::new(), String::new());
        let mut pages = 0;
        loop {
            let (http, page) =
                simulator.call("GET", &format!("{list}limit=3{before}"), &Value::Null);
            assert_eq!(http, 200);
            let entries = page[name].as_array().unwrap();
            seen.extend(entries.iter().map(|one| one["order_id"].as_str().unwrap().to_owned()));
            pages += 1;
            match page["next_before"].as_u64() {
                Some(next) => before = format!("&before={next}"),
                None => break,
            }
        }
        assert_eq!(
            (seen.join(" "), pages),
            ("A-7 A-6 A-5 A-4 A-3 A-2 A-1".to_owned(), 3),
            "{list}"
        );
    }
    for (path, http) in [
        ("transactions?order=newest&limit=100000", 200),
        ("transactions?order=newest&limit=x", 400),
        ("transactions?order=newest&before=-1", 400),
        ("transactions?order=random", 400),
        ("notifications/sent?before=x", 400),
    ] {
        assert_eq!(simulator.call("GET", path, &Value::Null).0, http, "{path}");
    }
}

#[test]
fn a_refund_at_the_dashboard_has_a_key_of_its_own_and_is_notified_without_it() {
    let mut simulator = Controlled::new();
    simulator.paid("A-1", 1_000);
    let refund = json!({"amount": 400, "reason": "by phone", "bank_confirms_after_ms": 60_000});
    let (http, view) = simulator.call("POST", "transactions/A-1/refund", &refund);
    assert_eq!((http, &view["status"]), (200, &json!("partial_refund")));
    assert_eq!(view["refunds"][0]["source"], "dashboard");
    let ours = json!({"refund_key": "R", "amount": 100}).to_string();
    assert_eq!(simulator.api("POST", "/v2/A-1/refund", &ours)["status_code"], "200");
    let status = simulator.api("GET", "/v2/A-1/status", "");
    assert_eq!(status["refund_amount"], "500.00");
    assert_eq!(status["refunds"][0]["refund_key"], view["refunds"][0]["refund_key"]);
    assert_eq!(status["refunds"][0]["reason"], "by phone");
    assert_eq!(status["refunds"][1]["refund_key"], "R");
    let notified = simulator.notifications();
    assert!(notified[0]["refunds"][0].get("refund_key").is_none(), "{}", notified[0]);
    assert!(notified[1]["refunds"][0].get("refund_key").is_none());
    assert_eq!(notified[1]["refunds"][1]["refund_key"], "R");
    simulator.call("POST", "clock", &json!({"advance": "1m"}));
    let confirmed = simulator.notifications().pop().unwrap();
    assert!(confirmed["refunds"][0]["bank_confirmed_at"].is_string(), "{confirmed}");

    let own_key = json!({"refund_key": "D-1"});
    let (_, whole) = simulator.call("POST", "transactions/A-1/refund", &own_key);
    assert_eq!((&whole["status"], &whole["refunded"]), (&json!("refund"), &json!(1_000)));
    assert_eq!(whole["refunds"][2]["refund_key"], "D-1");
}

#[test]
fn a_chargeback_takes_what_is_left_and_leaves_nothing_to_refund() {
    let mut simulator = Controlled::new();
    simulator.paid("A-1", 1_000);
    let part = json!({"amount": 400});
    let (_, view) = simulator.call("POST", "transactions/A-1/chargeback", &part);
    assert_eq!(
        (&view["status"], &view["charged_back"]),
        (&json!("partial_chargeback"), &json!(400))
    );
    let (_, view) = simulator.call("POST", "transactions/A-1/chargeback", &Value::Null);
    assert_eq!((&view["status"], &view["charged_back"]), (&json!("chargeback"), &json!(1_000)));
    let status = simulator.api("GET", "/v2/A-1/status", "");
    assert_eq!(
        (&status["transaction_status"], &status["status_code"]),
        (&json!("chargeback"), &json!("200"))
    );
    assert!(status["settlement_time"].is_string() && status.get("refunds").is_none());
    assert_eq!(simulator.api("POST", "/v2/A-1/refund", "{}")["status_code"], "412");
    let statuses: Vec<Value> =
        simulator.notifications().iter().map(|one| one["transaction_status"].clone()).collect();
    assert_eq!(statuses, [json!("partial_chargeback"), json!("chargeback")]);
    assert_eq!(simulator.engine.totals().charged_back, 1_000);

    simulator.paid("A-2", 1_000);
    simulator.call("POST", "transactions/A-2/refund", &json!({"amount": 700}));
    let (_, view) = simulator.call("POST", "transactions/A-2/chargeback", &Value::Null);
    assert_eq!((&view["status"], &view["charged_back"]), (&json!("chargeback"), &json!(300)));
}

#[test]
fn a_notification_is_sent_repeated_or_forged_on_demand() {
    let mut simulator = Controlled::new();
    simulator.charged("A-1", 1_000);
    let first = simulator.notifications().remove(0);
    let mut send = |wanted: Value| {
        let (http, answer) = simulator.call("POST", "transactions/A-1/notify", &wanted);
        assert_eq!(http, 200, "{answer}");
        let mut sent = simulator.notifications();
        assert_eq!(sent.len(), 1);
        sent.remove(0)
    };
    assert_eq!(send(Value::Null), first);
    assert_eq!(send(json!({"repeat": true})), first);

    let lie = send(json!({"set": {"transaction_status": "settlement", "status_code": "200"}}));
    assert_eq!(lie["transaction_status"], "settlement");
    assert_eq!(lie["signature_key"], signature("A-1", "200", "1000.00", KEY));
    assert_eq!(send(json!({"repeat": true})), lie, "the last one sent");

    let replayed = send(json!({"remove": ["transaction_id", "merchant_id"]}));
    assert!(replayed.get("transaction_id").is_none() && replayed.get("merchant_id").is_none());
    assert_eq!(replayed["signature_key"], first["signature_key"]);

    let forged = send(json!({"forge": true}));
    assert_ne!(forged["signature_key"], first["signature_key"]);
    let signed = send(json!({"set": {"signature_key": "00"}}));
    assert_eq!(signed["signature_key"], "00");
}

#[test]
fn what_cannot_be_done_is_said_with_a_code() {
    let mut simulator = Controlled::new();
    simulator.paid("A-2", 1_000);
    simulator.charged("A-1", 1_000);
    for (path, body, http, code) in [
        ("transactions/none/refund", json!({}), 404, "unknown"),
        ("transactions/A-1/refund", json!({}), 409, "wrong_status"),
        ("transactions/A-1/chargeback", json!({}), 409, "wrong_status"),
        ("transactions/A-1/notify", json!({"repeat": true}), 409, "nothing_sent"),
        ("transactions/A-2/refund", json!({"amount": 0}), 409, "not_left"),
        ("transactions/A-2/refund", json!({"amount": 1_001}), 409, "not_left"),
        ("transactions/A-2/chargeback", json!({"amount": 1_001}), 409, "not_left"),
        ("transactions/A-2/refund", json!({"amuont": 1}), 400, "invalid"),
        ("transactions/A-2/chargeback", json!(7), 400, "invalid"),
        ("transactions/A-2/notify", json!({"forge": "yes"}), 400, "invalid"),
    ] {
        let (status, answer) = simulator.call("POST", path, &body);
        assert_eq!((status, &answer["error"]["code"]), (http, &json!(code)), "{path} {body}");
    }
    let mut silent =
        Controlled { engine: Engine::new(EngineConfig::default()), clock: OffsetClock::new() };
    silent.charged("A-1", 1);
    let (http, answer) = silent.call("POST", "transactions/A-1/notify", &json!({}));
    assert_eq!((http, &answer["error"]["code"]), (409, &json!("no_receiver")));
}
