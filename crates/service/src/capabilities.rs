//! What this adapter takes and promises, for programs: calls, parameters, limits, refunds, channels.
//! Parameters and their limits are those of [`gopay_core::ppro::manual`], which is held against the
//! checks; the rest is what the operator has set.

use gopay_core::payment::Channel;
use gopay_core::ppro::call::TxType;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::PARAMETERS_MAX;
use gopay_core::ppro::items::ITEMS_MAX;
use gopay_core::ppro::manual::{
    AMOUNT_MAX_SEN, AMOUNT_MAX_UNVERIFIED_SEN, AMOUNT_MIN_SEN, CALLS, Need, Shape, described, does,
    need,
};
use gopay_core::ppro::transaction::SPECIN_MAX;
use serde_json::{Value, json};

use crate::{FEED_LIMIT_MAX, FEED_WAIT_MAX, Service};

impl Service {
    /// All of it, as `schemas/admin-capabilities.schema.json` says. `call_bytes_max` is the bound of a
    /// call's body.
    #[must_use]
    pub fn capabilities(&self, call_bytes_max: usize) -> Value {
        let settings = self.settings();
        let parties = self.parties();
        let channels = [Channel::Test, Channel::Live].map(|channel| {
            let configured = parties.midtrans.serves(channel);
            json!({"channel": channel.as_str(), "configured": configured})
        });
        json!({
            "method": {"tag": "gopay", "countrycode": "ID", "currency": "IDR"},
            "channels": channels,
            "calls": CALLS.map(call),
            "parameters": Field::ALL.iter().copied().map(parameter).collect::<Vec<_>>(),
            "limits": {
                "amount_min_sen": AMOUNT_MIN_SEN,
                "amount_max_sen": AMOUNT_MAX_SEN,
                "amount_max_without_kyc_sen": AMOUNT_MAX_UNVERIFIED_SEN,
                "amount_multiple_of_sen": 100,
                "session_s": settings.session.as_secs(),
                "call_bytes_max": call_bytes_max,
                "parameters_max": PARAMETERS_MAX,
                "specin_max": SPECIN_MAX,
                "items_max": ITEMS_MAX,
                "calls_at_once_per_client": settings.concurrent_calls_per_client,
            },
            "refunds": {
                "partial": true,
                "repeated": true,
                "window_s": settings.refund_window.as_secs(),
                "amount_multiple_of_sen": 100,
            },
            "notifications": {
                "fields": ["txid", "finaltimestamp", "sha256hash"],
                "retries": settings.delivery_schedule.len(),
                "timeout_s": settings.delivery_timeout.as_secs(),
            },
            "feed": {"limit_max": FEED_LIMIT_MAX, "wait_max_s": FEED_WAIT_MAX.as_secs()},
        })
    }
}

fn call(call: TxType) -> Value {
    let parameters = Field::ALL.iter().filter_map(|field| {
        let need = match need(call, *field)? {
            Need::Mandatory => "mandatory",
            Need::UnlessConfigured => "mandatory_unless_configured",
            Need::Optional => "optional",
        };
        Some(json!({"name": field.name(), "need": need}))
    });
    let parameters: Vec<Value> = parameters.collect();
    json!({"txtype": call.name(), "does": does(call), "parameters": parameters})
}

fn parameter(field: Field) -> Value {
    let about = described(field);
    let mut parameter = json!({
        "name": field.name(),
        "text": about.text,
        "example": about.example,
        "personal": field.is_personal(),
        "stored": field != Field::Password && !field.is_transient(),
    });
    let shape = match about.shape {
        Shape::Words(words) => json!({"shape": "words", "words": words}),
        Shape::Text { min, max, pattern } => {
            json!({"shape": "text", "min_chars": min, "max_chars": max, "pattern": pattern})
        }
        Shape::Address { max } => json!({"shape": "address", "max_chars": max}),
        Shape::Amount => json!({"shape": "amount"}),
        Shape::Cart => json!({"shape": "cart"}),
    };
    if let (Some(parameter), Some(shape)) = (parameter.as_object_mut(), shape.as_object()) {
        parameter.extend(shape.clone());
    }
    parameter
}
