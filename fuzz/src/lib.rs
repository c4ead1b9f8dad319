//! What several targets ask of an answer of Midtrans.

use std::fmt;

use gopay_core::midtrans::{Refusal, StatusView};
use gopay_core::money::Rupiah;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The HTTP statuses under which each body is read: every kind that the readers tell apart.
pub const HTTP: [u16; 14] = [100, 200, 201, 202, 302, 400, 401, 402, 404, 406, 412, 429, 500, 503];

/// The members that the readers look at; of all others only the form matters.
const MEMBERS: [&str; 20] = [
    "status_code",
    "status_message",
    "transaction_id",
    "order_id",
    "gross_amount",
    "currency",
    "payment_type",
    "payment_option_type",
    "transaction_status",
    "fraud_status",
    "settlement_time",
    "expiry_time",
    "channel_response_code",
    "channel_response_message",
    "signature_key",
    "refund_amount",
    "refund_key",
    "refund_chargeback_id",
    "validation_messages",
    "refunds",
];

/// What the body says in [`MEMBERS`], if it is an object that can be read.
#[must_use]
pub fn object(body: &[u8]) -> Option<Map<String, Value>> {
    struct Members(Map<String, Value>);

    impl<'de> Deserialize<'de> for Members {
        fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
            input.deserialize_map(Object).map(Self)
        }
    }

    struct Object;

    impl<'de> Visitor<'de> for Object {
        type Value = Map<String, Value>;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Map::new();
            while let Some(name) = map.next_key::<String>()? {
                if name == "actions" {
                    // Of what is in there only the form of the JSON must be sound.
                    let sent = map.next_value::<Box<RawValue>>()?;
                    let sent = serde_json::from_str(sent.get()).unwrap_or_default();
                    if members.insert(name, sent).is_some() {
                        return Err(A::Error::custom("a member occurs twice"));
                    }
                } else if MEMBERS.contains(&name.as_str()) {
                    if members.insert(name, map.next_value()?).is_some() {
                        return Err(A::Error::custom("a member occurs twice"));
                    }
                } else {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            Ok(members)
        }
    }

    serde_json::from_slice(body).ok().map(|Members(members)| members)
}

/// The code that the body carries, in either of the forms that count.
#[must_use]
pub fn body_code(body: &[u8]) -> Option<u16> {
    let text = match object(body)?.remove("status_code")? {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|code| digits && *code >= 100)
}

/// A refusal is fit for a log: bounded, each text on one line.
pub fn check_refusal(refusal: &Refusal) {
    assert!(refusal.validation.len() <= Refusal::VALIDATION_LINES_MAX);
    let texts = [Some(&refusal.message), refusal.provider_message.as_ref()];
    for text in texts.into_iter().flatten().chain(&refusal.validation) {
        check_line(text, Refusal::TEXT_CHARS_MAX);
    }
    if let Some(code) = &refusal.provider_code {
        check_line(code, 64);
    }
}

/// One line of at most `max` characters.
pub fn check_line(text: &str, max: usize) {
    assert!(text.chars().count() <= max && !text.chars().any(char::is_control), "{text:?}");
}

/// A link is safe in a header and in a page.
pub fn check_link(link: &str) {
    assert!(link.len() <= 16_384 && link.bytes().all(|byte| byte.is_ascii_graphic()), "{link:?}");
    let scheme = link.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let harmful = ["javascript", "data", "vbscript", "file", "blob", "about", "view-source"];
    assert!(link.contains(':') && !harmful.contains(&scheme.as_str()), "{link:?}");
}

/// What holds for every payment that Midtrans describes.
pub fn check_view(view: &StatusView, body: &[u8]) {
    assert!((1..=Rupiah::MAX).contains(&view.gross.get()));
    assert!(!view.order_id.is_empty());
    check_line(&view.order_id, 64);
    let words =
        [&view.currency, &view.payment_type, &view.payment_option_type, &view.provider_code];
    for word in words.into_iter().flatten() {
        check_line(word, 64);
    }
    if let Some(link) = &view.deeplink {
        check_link(link);
    }
    let object = object(body).expect("what is described was an object");
    assert_eq!(
        view.refunds.len(),
        object.get("refunds").and_then(Value::as_array).map_or(0, Vec::len)
    );
    for refund in &view.refunds {
        assert!(refund.key.as_deref().is_none_or(|key| view.refund(key).is_some()));
    }
    if view.is_paid() {
        let word = object.get("transaction_status").and_then(Value::as_str);
        let paid = ["settlement", "refund", "partial_refund", "chargeback", "partial_chargeback"];
        assert!(word.is_some_and(|word| paid.contains(&word)), "{word:?}");
        let fraud = object.get("fraud_status");
        // What is neither text nor number counts as absent.
        let clean = match fraud {
            None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => true,
            Some(Value::String(word)) => word == "accept",
            Some(Value::Bool(_) | Value::Number(_)) => false,
        };
        assert!(clean, "{fraud:?}");
    }
}
