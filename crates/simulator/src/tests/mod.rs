//! The simulator as a whole: at the engine, and over loopback HTTP.

mod control;
mod desk;
mod docs;
mod engine;
mod faults;
mod http;
mod limits;
mod notifications;
mod pages;
mod refunds;
mod state;

use std::time::Duration;

use gopay_core::time::Timestamp;
use serde_json::{Value, json};

use crate::{ApiReply, ApiRequest, Delivery, Engine, EngineConfig, Payer};

const KEY: &str = "SB-Mid-server-demo";
/// `SB-Mid-server-demo:` in base64.
const AUTHORIZATION: &str = "Basic U0ItTWlkLXNlcnZlci1kZW1vOg==";
const RECEIVER: &str = "http://127.0.0.1:9/notification";

/// An engine and its time: 10:00:00 in Jakarta.
struct Bench {
    engine: Engine,
    now: Timestamp,
}

impl Bench {
    fn new() -> Self {
        Self::with(EngineConfig::default())
    }

    /// Notifications go to [`RECEIVER`], without jitter.
    fn with(config: EngineConfig) -> Self {
        let config = EngineConfig {
            notification_url: config.notification_url.or_else(|| Some(RECEIVER.to_owned())),
            retry_jitter: false,
            ..config
        };
        let now = Timestamp::from_rfc3339("2026-01-15T03:00:00Z").unwrap();
        Self { engine: Engine::new(config), now }
    }

    fn pass(&mut self, seconds: u64) {
        self.now = self.now.after(Duration::from_secs(seconds));
    }

    fn send(&mut self, request: &ApiRequest) -> ApiReply {
        self.engine.handle(self.now, request)
    }

    /// HTTP status and JSON body.
    fn json(&mut self, request: &ApiRequest) -> (u16, Value) {
        let reply = self.send(request);
        assert_eq!(reply.delivery, Delivery::Answer, "{}", request.path);
        (reply.status, serde_json::from_slice(&reply.body).unwrap())
    }

    fn post(&mut self, path: &str, body: &Value) -> Value {
        self.json(&request("POST", path, &body.to_string())).1
    }

    fn charge(&mut self, order_id: &str, amount: u64) -> Value {
        self.post("/v2/charge", &charge_body(order_id, amount))
    }

    fn status(&mut self, id: &str) -> Value {
        self.json(&request("GET", &format!("/v2/{id}/status"), "")).1
    }

    fn paid(&mut self, order_id: &str, amount: u64) -> Value {
        let charge = self.charge(order_id, amount);
        assert_eq!(charge["status_code"], "201", "{charge}");
        self.engine.pay(self.now, order_id, &Payer::default()).unwrap();
        charge
    }

    fn fault(&mut self, fault: Value) {
        self.engine.add_fault(serde_json::from_value(fault).unwrap()).unwrap();
    }

    /// Takes all due notifications, acknowledges them, and gives their bodies.
    fn notifications(&mut self) -> Vec<Value> {
        let due = self.engine.due_notifications(self.now);
        due.into_iter()
            .map(|notification| {
                let outcome = crate::NotificationOutcome::Status(200);
                self.engine.notification_result(notification.id, self.now, outcome);
                serde_json::from_slice(&notification.body).unwrap()
            })
            .collect()
    }

    /// `transaction_status` and `status_code` of all due notifications.
    fn notified_statuses(&mut self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.notifications()
            .iter()
            .map(|body| (text(&body["transaction_status"]), text(&body["status_code"])))
            .collect()
    }
}

fn request(method: &str, path: &str, body: &str) -> ApiRequest {
    ApiRequest::new(method, path, body.to_owned()).with_header("authorization", AUTHORIZATION)
}

fn charge_body(order_id: &str, amount: u64) -> Value {
    json!({
        "payment_type": "gopay",
        "transaction_details": {"order_id": order_id, "gross_amount": amount},
        "gopay": {"enable_callback": true, "callback_url": "https://shop.example/return/"},
    })
}
