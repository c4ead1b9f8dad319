//! What a simulator is set up with. Unknown keys are refused; every key has a default.

use serde::{Deserialize, Serialize};

/// A server key and the merchant it belongs to; one merchant may have several keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MerchantKey {
    /// The HTTP Basic user, and the secret part of every signature.
    pub server_key: String,
    /// Echoed as `merchant_id`.
    pub merchant_id: String,
}

/// What a wallet may pay (`docs/midtrans.md`, "Limits").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// No identity check: up to 2,000,000 rupiah.
    Unverified,
    /// Up to 20,000,000 rupiah.
    Verified,
    /// Credit: up to the limit of the user, 3,000,000 rupiah at most.
    PayLater,
}

/// A wallet a shopper can choose on the checkout page or by name in the wallet API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WalletConfig {
    /// How it is chosen: `verified`.
    pub name: String,
    /// What the page calls it.
    pub label: String,
    /// Its ceiling.
    pub tier: Tier,
    /// The PIN the page asks for.
    pub pin: String,
    /// Money or credit in rupiah: payments take from it, refunds give back. Absent: without end.
    #[serde(default)]
    pub balance: Option<u64>,
}

/// How long after the event a notification is due, in milliseconds. Midtrans documents up to 20 s
/// for a settlement and up to 90 s for an expiry (`docs/midtrans.md`, "Delivery").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotificationDelays {
    /// `pending`.
    pub pending_ms: u64,
    /// `settlement`.
    pub settlement_ms: u64,
    /// `expire`.
    pub expire_ms: u64,
    /// `cancel`, `deny`, `failure` and both notifications of a refund.
    pub other_ms: u64,
}

/// How long an API answer takes, drawn evenly from this range of milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// Shortest.
    pub min_ms: u64,
    /// Longest.
    pub max_ms: u64,
}

/// How much a simulator holds in memory. Whatever is beyond it is dropped, oldest first, and
/// counted; a charge is refused with 503 if every transaction held is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Transactions, of about 1 KB each without metadata. The oldest that is not pending goes
    /// first.
    pub transactions: usize,
    /// Keys of the last five minutes.
    pub idempotency_keys: usize,
    /// Notifications that wait, retries included.
    pub notifications: usize,
    /// Notifications that were sent, kept to be read or repeated.
    pub sent_notifications: usize,
    /// Calls that a fault delays before their effect; one more is refused with 503.
    pub deferred_calls: usize,
    /// Scripted faults; one more is refused unless an older one is used up.
    pub faults: usize,
}

impl Default for Limits {
    /// Room for the longest tests, within a few hundred megabytes.
    fn default() -> Self {
        Self {
            transactions: 100_000,
            idempotency_keys: 100_000,
            notifications: 100_000,
            sent_notifications: 10_000,
            deferred_calls: 1_000,
            faults: 1_000,
        }
    }
}

/// What a successful `refund_key` does when it is sent again; unverified upstream, so both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RepeatedRefundKey {
    /// Body code 406, as the refund page says.
    Refuse,
    /// The first answer again, as an official guide claims; 406 after 7 days.
    Repeat,
}

/// The setup of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Who may call.
    pub merchants: Vec<MerchantKey>,
    /// The name on the checkout page.
    pub merchant_name: String,
    /// Where this simulator is reached; the start of every action URL. No slash at the end.
    pub base_url: String,
    /// The dashboard's notification URL.
    pub notification_url: Option<String>,
    /// The dashboard's return URL, for charges that enable the callback without naming one.
    pub callback_url: Option<String>,
    /// Delays of notifications.
    pub notification_delays: NotificationDelays,
    /// Whether a charge sends a `pending` notification.
    pub notify_pending: bool,
    /// Whether retries come at a random point of their interval (25 to 100 %) or at its end.
    pub retry_jitter: bool,
    /// How long after a refund the bank confirms it, which sends the second notification.
    pub refund_confirmation_ms: u64,
    /// Answer latency.
    pub latency: Latency,
    /// Seed of ids, jitter, latency and fault probabilities.
    pub seed: u64,
    /// The wallets.
    pub wallets: Vec<WalletConfig>,
    /// Whether wallets without identity check may pay at all.
    pub allow_unverified: bool,
    /// Payable balance of each merchant at the start, in rupiah: settlements add to it, refunds
    /// need it. Absent: refunds are never short of funds.
    pub merchant_balance: Option<u64>,
    /// See [`RepeatedRefundKey`].
    pub repeated_refund_key: RepeatedRefundKey,
    /// Whether item texts above 50 characters are refused. Snap documents the limit, for the Core
    /// API it is unverified.
    pub item_text_limit: bool,
    /// How much is held in memory.
    pub limits: Limits,
}

/// The setup of a whole simulator is that of its engine.
pub use EngineConfig as SimulatorConfig;

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            merchants: vec![MerchantKey {
                server_key: "SB-Mid-server-demo".to_owned(),
                merchant_id: "G123456789".to_owned(),
            }],
            merchant_name: "Demo Merchant".to_owned(),
            base_url: "http://127.0.0.1:8090".to_owned(),
            notification_url: None,
            callback_url: None,
            notification_delays: NotificationDelays::default(),
            notify_pending: true,
            retry_jitter: true,
            refund_confirmation_ms: 2_000,
            latency: Latency::default(),
            seed: 1,
            wallets: default_wallets(),
            allow_unverified: true,
            merchant_balance: None,
            repeated_refund_key: RepeatedRefundKey::Refuse,
            item_text_limit: true,
            limits: Limits::default(),
        }
    }
}

/// One wallet per tier, and one that is always short of money.
fn default_wallets() -> Vec<WalletConfig> {
    [
        ("verified", "GoPay, verified", Tier::Verified, None),
        ("unverified", "GoPay, not verified", Tier::Unverified, None),
        ("paylater", "GoPayLater", Tier::PayLater, None),
        ("empty", "GoPay, no balance", Tier::Verified, Some(0)),
    ]
    .into_iter()
    .map(|(name, label, tier, balance)| WalletConfig {
        name: name.to_owned(),
        label: label.to_owned(),
        tier,
        pin: "123456".to_owned(),
        balance,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_config_is_the_default_and_unknown_keys_are_refused() {
        assert_eq!(serde_json::from_str::<EngineConfig>("{}").unwrap(), EngineConfig::default());
        let text = serde_json::to_string(&EngineConfig::default()).unwrap();
        assert_eq!(serde_json::from_str::<EngineConfig>(&text).unwrap(), EngineConfig::default());
        for bad in [
            r#"{"sed":1}"#,
            r#"{"latency":{"min":1}}"#,
            r#"{"notification_delays":{"settle_ms":1}}"#,
            r#"{"merchants":[{"server_key":"a","merchant_id":"b","x":1}]}"#,
            r#"{"repeated_refund_key":"maybe"}"#,
        ] {
            assert!(serde_json::from_str::<EngineConfig>(bad).is_err(), "{bad}");
        }
    }
}
