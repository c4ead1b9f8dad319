//! What the outside computes by itself: PPRO's nested hash, Midtrans' signature and notification.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};

use super::Demo;

/// The demo's server key.
pub(crate) const SERVER_KEY: &str = "SB-Mid-server-demo";
/// The demo's secrets.
pub(crate) const SHARED_SECRET: &str = "examplesharedsecret";
pub(crate) const NOTIFICATION_SECRET: &str = "examplenotificationsecret";

/// `sha256( sha256( first + "." + second ) + "." + secret )`, hex inside and outside.
pub(crate) fn nested(first: &str, second: &str, secret: &str) -> String {
    let inner = hex::encode(Sha256::digest(format!("{first}.{second}")));
    hex::encode(Sha256::digest(format!("{inner}.{secret}")))
}

/// Midtrans' `signature_key`.
pub(crate) fn signature(order: &str, code: &str, gross: &str, key: &str) -> String {
    hex::encode(Sha512::digest(format!("{order}{code}{gross}{key}")))
}

impl Demo {
    /// A notification as the simulator sends it, signed with the demo's key.
    pub(crate) async fn notification(&self, txid: &str, code: &str, status: &str) -> Value {
        let upstream = self.upstream(txid).await;
        let gross = format!("{}.00", upstream["gross_amount"]);
        json!({
            "transaction_time": upstream["transaction_time"],
            "transaction_status": status,
            "transaction_id": upstream["transaction_id"],
            "status_message": "midtrans payment notification",
            "status_code": code,
            "signature_key": signature(txid, code, &gross, SERVER_KEY),
            "payment_type": "gopay",
            "order_id": txid,
            "merchant_id": upstream["merchant_id"],
            "gross_amount": gross,
            "fraud_status": "accept",
            "expiry_time": upstream["expiry_time"],
            "currency": "IDR",
        })
    }

    /// Posts to the address for Midtrans' notifications; the status of the answer.
    pub(crate) async fn notify(&self, body: impl Into<reqwest::Body>) -> u16 {
        let url = format!("{}/midtrans/notification", self.adapter);
        let request = self.http.post(url).header("content-type", "application/json");
        request.body(body).send().await.expect("an answer").status().as_u16()
    }

    /// No notification of the simulator reaches the adapter from now on.
    pub(crate) async fn silence(&self) {
        self.fault(json!({"on": "notification", "action": "drop", "times": null})).await;
    }

    pub(crate) async fn clear_faults(&self) {
        self.simulate("DELETE", "faults", Value::Null).await;
    }

    /// How often the fault with this position in the list has fired.
    pub(crate) async fn fired(&self, position: usize) -> u64 {
        let list = self.simulate("GET", "faults", Value::Null).await;
        list["faults"][position]["fired"].as_u64().expect("a count")
    }

    /// Every transaction that the simulator holds.
    pub(crate) async fn all_upstream(&self) -> Vec<Value> {
        let list = self.simulate("GET", "transactions", Value::Null).await;
        list["transactions"].as_array().expect("a list").clone()
    }

    pub(crate) async fn until_upstream(&self, txid: &str, status: &str) {
        self.eventually(&format!("{txid} is {status} upstream"), async || {
            self.upstream(txid).await["status"] == status
        })
        .await;
    }

    /// Waits until the PSP of the demo was told so often, and says what it saw.
    pub(crate) async fn until_notified(&self, txid: &str, times: usize) -> Vec<Value> {
        self.eventually(&format!("{txid} told {times} times"), async || {
            self.received(txid).await.len() >= times
        })
        .await;
        let received = self.received(txid).await;
        assert_eq!(received.len(), times, "{received:?}");
        assert!(received.iter().all(|one| one["genuine"] == true), "{received:?}");
        received
    }

    /// Opens a payment with a notification address of its own.
    pub(crate) async fn pending_for(&self, receiver: &str) -> String {
        let answer = self.transaction(&[("notificationurl", receiver)]).await;
        assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
        answer["TXID"].clone()
    }
}

/// Asserts some pairs of an answer; `""` stands for a key that must be absent or empty.
#[track_caller]
pub(crate) fn expect(answer: &super::Answer, pairs: &[(&str, &str)]) {
    for (key, wanted) in pairs {
        let found = answer.get(*key).map_or("", String::as_str);
        assert_eq!(found, *wanted, "{key} in {answer:?}");
    }
}
