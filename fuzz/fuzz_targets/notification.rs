//! Notifications: only a holder of the key gets one verified.
#![no_main]

use gopay_core::midtrans::{Notification, UnverifiedNotification};
use gopay_fuzz::object;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha512};

const KEY: &str = "SB-Mid-server-EXAMPLE";

fuzz_target!(|body: &[u8]| {
    let Ok(news) = UnverifiedNotification::parse(body) else { return };
    let mut object = object(body).expect("a notification is an object");
    let signed = Signed::of(&object);
    assert_eq!(news.order_id(), signed.order_id);
    let good = text(object.get("signature_key")).as_deref() == Some(&signed.signature(KEY));
    assert_eq!(news.clone().verify(KEY).is_ok(), good);
    assert!(news.verify("").is_err());

    // The same news from a holder of the key, with the texts that it signs: numbers may not come
    // out of a reader of floats as they went in.
    for (field, text) in [
        ("order_id", signed.order_id.clone()),
        ("status_code", signed.status_code.clone()),
        ("gross_amount", signed.gross_amount.clone()),
        ("signature_key", signed.signature(KEY)),
    ] {
        object.insert(field.to_owned(), Value::String(text));
    }
    let news = verified(&object).expect("signed with the key");
    assert_eq!(news.order_id(), signed.order_id);
    let code = news.status_code().map(|code| code.to_string());
    assert!(code.is_none_or(|code| code == signed.status_code));
    if let Ok(gross) = news.gross() {
        assert!((1..=20_000_000).contains(&gross.get()));
    }
    for (field, other) in [
        ("order_id", signed.order_id.clone() + "0"),
        ("status_code", signed.status_code.clone() + "0"),
        ("gross_amount", signed.gross_amount.clone() + "0"),
    ] {
        let mut forged = object.clone();
        forged.insert(field.to_owned(), Value::String(other));
        // One text more and the next one less would be the same concatenation.
        if Signed::of(&forged).signature(KEY) != signed.signature(KEY) {
            assert!(verified(&forged).is_none(), "forged {field}");
        }
    }
});

fn verified(object: &Map<String, Value>) -> Option<Notification> {
    let body = serde_json::to_vec(object).expect("an object has a JSON form");
    let news = UnverifiedNotification::parse(&body).expect("it was a notification before");
    news.verify(KEY).ok()
}

struct Signed {
    order_id: String,
    status_code: String,
    gross_amount: String,
}

impl Signed {
    fn of(object: &Map<String, Value>) -> Self {
        let text = |name: &str| text(object.get(name)).expect("what is signed is there");
        Self {
            order_id: text("order_id"),
            status_code: text("status_code"),
            gross_amount: text("gross_amount"),
        }
    }

    fn signature(&self, key: &str) -> String {
        let whole = format!("{}{}{}{key}", self.order_id, self.status_code, self.gross_amount);
        hex::encode(Sha512::digest(whole))
    }
}

/// A string; or a number as Midtrans would have written it in one: whole, or with two decimals.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        Value::Number(number) => number.as_f64().map(|amount| format!("{amount:.2}")),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
