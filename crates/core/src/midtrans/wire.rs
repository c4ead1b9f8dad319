//! The one lenient shape under every answer and notification.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::ReplyError;
use super::actions::Actions;
use super::code::{StatusCode, speaks_alone};
use super::refusal::{Refusal, RefusalCause, bounded};
use super::status::{FraudStatus, TransactionStatus};
use super::tx_id::MidtransTxId;
use crate::money::{Rupiah, Sen, sen_from_decimal_text};
use crate::time::Timestamp;

/// The fields of Midtrans that we read, whatever the endpoint. All optional here; each reply
/// decides which of them it cannot do without.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Wire<'a> {
    pub(super) status_code: Text<'a>,
    pub(super) status_message: Text<'a>,
    pub(super) transaction_id: Text<'a>,
    pub(super) order_id: Text<'a>,
    pub(super) gross_amount: Text<'a>,
    pub(super) currency: Text<'a>,
    pub(super) payment_type: Text<'a>,
    pub(super) payment_option_type: Text<'a>,
    pub(super) transaction_status: Text<'a>,
    pub(super) fraud_status: Text<'a>,
    pub(super) settlement_time: Text<'a>,
    pub(super) expiry_time: Text<'a>,
    pub(super) channel_response_code: Text<'a>,
    pub(super) channel_response_message: Text<'a>,
    pub(super) signature_key: Text<'a>,
    pub(super) refund_amount: Text<'a>,
    pub(super) refund_key: Text<'a>,
    pub(super) refund_chargeback_id: Text<'a>,
    #[serde(borrow)]
    pub(super) actions: Actions<'a>,
    pub(super) validation_messages: Value,
    pub(super) refunds: Value,
}

/// The actions as they were sent, which must be UTF-8 as a whole.
#[derive(Deserialize)]
struct Links<'a> {
    #[serde(borrow, rename = "actions")]
    _actions: Option<&'a RawValue>,
}

/// A string, or a number or boolean in its place. Anything else counts as absent.
#[derive(Default)]
pub(super) struct Text<'a>(Option<Cow<'a, str>>);

impl Text<'_> {
    pub(super) fn get(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub(super) fn take(self) -> Option<String> {
        self.0.map(Cow::into_owned)
    }

    pub(super) fn of(value: Option<&Value>) -> Self {
        value.map_or_else(Self::default, |value| Self::from(value.clone()))
    }
}

impl From<Value> for Text<'_> {
    fn from(value: Value) -> Self {
        Self(match value {
            Value::String(text) => Some(text.into()),
            Value::Number(number) => Some(number_text(&number).into()),
            Value::Bool(truth) => Some(truth.to_string().into()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        })
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(TextVisitor).map(Self)
    }
}

/// Takes strings as they stand in the body, and everything else by way of [`Value`], since a
/// number may come in whatever form the JSON reader keeps it.
struct TextVisitor;

impl TextVisitor {
    fn other<'a>(value: impl Into<Value>) -> Option<Cow<'a, str>> {
        Text::from(value.into()).0
    }
}

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Option<Cow<'de, str>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Self::other(truth))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Self::other(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Self::other(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Self::other(number))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(list)).map(Self::other)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(members)).map(Self::other)
    }
}

/// A number as Midtrans would have written it in a string: whole ones in digits, others with the
/// two decimals of an amount.
fn number_text(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(amount) if !number.is_i64() && !number.is_u64() => format!("{amount:.2}"),
        _ => number.to_string(),
    }
}

/// The characters kept of an outside code or word. All known ones are shorter than 40.
const WORD_CHARS_MAX: usize = 64;

impl<'a> Wire<'a> {
    /// Reads an answer. Without a readable body the HTTP status must speak for itself.
    #[inline]
    pub(super) fn read(http_status: u16, body: &'a [u8]) -> Result<Self, ReplyError> {
        match Self::read_object(body) {
            Some(wire) => Ok(wire),
            None if speaks_alone(http_status) => Ok(Self::default()),
            None => Err(ReplyError::NotJson),
        }
    }

    /// `None` unless the body is a JSON object. The derived reader would also take an array, as
    /// a list of fields by position.
    #[inline]
    pub(super) fn read_object(body: &'a [u8]) -> Option<Self> {
        if body.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        match std::str::from_utf8(body) {
            // Once for all is faster than once for each string.
            Ok(text) => serde_json::from_str(text).ok(),
            // What is wrong may be in a field that nobody reads, but not within the actions.
            Err(_) => {
                serde_json::from_slice::<Links<'_>>(body).ok()?;
                serde_json::from_slice(body).ok()
            }
        }
    }

    pub(super) fn code(&self) -> Option<StatusCode> {
        self.status_code.get()?.parse().ok()
    }

    pub(super) fn status(&self) -> Option<TransactionStatus> {
        self.transaction_status.get().map(TransactionStatus::from_wire)
    }

    pub(super) fn fraud(&self) -> Option<FraudStatus> {
        self.fraud_status.get().map(FraudStatus::from_wire)
    }

    pub(super) fn tx_id(&self) -> Result<MidtransTxId, ReplyError> {
        let text = self.transaction_id.get().ok_or(ReplyError::Missing("transaction_id"))?;
        MidtransTxId::new(text).map_err(|_| ReplyError::Malformed("transaction_id"))
    }

    pub(super) fn order_id(&self) -> Result<String, ReplyError> {
        match self.order_id.get() {
            Some(text) if !text.is_empty() => Ok(word(text)),
            _ => Err(ReplyError::Missing("order_id")),
        }
    }

    pub(super) fn gross(&self) -> Result<Rupiah, ReplyError> {
        let text = self.gross_amount.get().ok_or(ReplyError::Missing("gross_amount"))?;
        Rupiah::from_decimal_text(text).map_err(|_| ReplyError::Malformed("gross_amount"))
    }

    pub(super) fn refund_total(&self) -> Result<Option<Sen>, ReplyError> {
        self.refund_amount
            .get()
            .map(sen_from_decimal_text)
            .transpose()
            .map_err(|_| ReplyError::Malformed("refund_amount"))
    }

    pub(super) fn provider_code(&self) -> Option<&str> {
        self.channel_response_code.get()
    }

    pub(super) fn refusal(&self, status_code: StatusCode) -> Refusal {
        let line = |text: &str| bounded(text, Refusal::TEXT_CHARS_MAX);
        Refusal {
            status_code,
            message: self.status_message.get().map(line).unwrap_or_default(),
            provider_code: self.provider_code().map(word),
            provider_message: self.provider_message(),
            validation: self
                .validation_messages
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .take(Refusal::VALIDATION_LINES_MAX)
                .map(line)
                .collect(),
            cause: RefusalCause::of(status_code, self.provider_code()),
        }
    }

    pub(super) fn provider_message(&self) -> Option<String> {
        self.channel_response_message.get().map(|text| bounded(text, Refusal::TEXT_CHARS_MAX))
    }

    /// The URL that leads the shopper to GoPay.
    pub(super) fn deeplink(&self) -> Option<String> {
        self.actions.deeplink().filter(|url| is_safe_link(url)).map(str::to_owned)
    }
}

/// One line of at most [`WORD_CHARS_MAX`] characters.
pub(super) fn word(text: &str) -> String {
    bounded(text, WORD_CHARS_MAX)
}

/// A time of Midtrans. One that cannot be read is as good as none: nothing is decided by it.
pub(super) fn time(text: &Text<'_>) -> Option<Timestamp> {
    Timestamp::from_wib_seconds(text.get()?).ok()
}

/// A deeplink carries the callback URL, of which every byte may be percent-encoded: three times
/// the 4,000 bytes that one may have, and room for the rest. Still short enough for a header.
const LINK_BYTES_MAX: usize = 16_384;

/// A link that may stand in a `Location` header and in an `href`. Hosts and app schemes change
/// without notice (`docs/midtrans.md`, "Charge response"), so only what a browser would run or
/// read locally is excluded.
fn is_safe_link(link: &str) -> bool {
    link.len() <= LINK_BYTES_MAX
        && link.bytes().all(|byte| byte.is_ascii_graphic())
        && (crate::link::plain_url(link.as_bytes(), link.as_bytes())
            || url::Url::parse(link).is_ok_and(|url| !crate::text::is_harmful_scheme(url.scheme())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_in_for_strings() {
        let wire = Wire::read_object(
            br#" {"status_code":201,"order_id":9223372036854775807,"gross_amount":44000.00,
                "transaction_id":true,"currency":null,"fraud_status":{"a":[1]}}"#,
        )
        .unwrap();
        assert_eq!(wire.code().map(StatusCode::get), Some(201));
        assert_eq!(wire.order_id.get(), Some("9223372036854775807"));
        assert_eq!(wire.gross_amount.get(), Some("44000.00"));
        assert_eq!(wire.transaction_id.get(), Some("true"));
        assert_eq!(wire.currency.get(), None);
        assert_eq!(wire.fraud_status.get(), None);
    }

    #[test]
    fn only_one_object_with_each_field_once_is_an_answer() {
        for body in [
            "",
            "null",
            "[]",
            r#"["201"]"#,
            r#""{}""#,
            "{",
            "{} {}",
            "<html>",
            "\u{feff}{}",
            r#"{"status_code":"200","status_code":"201"}"#,
        ] {
            assert!(Wire::read_object(body.as_bytes()).is_none(), "{body:?}");
        }
        assert!(Wire::read_object(b"\n {\"unheard_of\": [{}]}").is_some());
        assert!(Wire::read_object(b"{\"unheard_of\":\"\xff\"}").is_some());
        assert!(Wire::read_object(b"{\"order_id\":\"\xff\"}").is_none());
        assert!(Wire::read_object(b"{\"actions\":[{\"method\":\"\xff\"}]}").is_none());
    }

    #[test]
    fn the_deeplink_is_found_among_whatever_else_is_there() {
        let link = r#"{"name":"deeplink-redirect","url":"gojek://gopay/a"}"#;
        for (actions, expected) in [
            (format!("[{link}]"), Some("gojek://gopay/a")),
            (
                format!(r#"[{{"name":"generate-qr-code","url":"https://a.example/q"}},{link}]"#),
                Some("gojek://gopay/a"),
            ),
            (format!(r#"[7,null,{{"name":3}},{{}},{link}]"#), Some("gojek://gopay/a")),
            (format!(r#"[{{"name":"x"}},{link}]"#), Some("gojek://gopay/a")),
            (
                format!(r#"[["name",{{"url":1e999}}],{link},{{"a":[]}},8,"b"]"#),
                Some("gojek://gopay/a"),
            ),
            (
                format!(r#"[{{"url":"https://a.example","name":"deeplink-redirect"}},{link}]"#),
                Some("https://a.example"),
            ),
            (format!(r#"[{{"url":7,"name":"deeplink-redirect"}},{link}]"#), None),
            (
                format!(r#"{{"name":"deeplink-redirect","url":"gojek://gopay/a","c":[{link}]}}"#),
                None,
            ),
            (format!("[{}{link}{}]", "[".repeat(90), "]".repeat(90)), None),
            (
                r#"[{"name":"deeplink-redirect","url":"gojek:\/\/gopay\/a"}]"#.into(),
                Some("gojek://gopay/a"),
            ),
            (r#"[{"name":"deeplink-redirect","url":7}]"#.into(), None),
            (r#"[{"name":"deeplink-redirect"}]"#.into(), None),
            (r#"[{"name":"deeplink-redirect","url":"javascript:alert(1)"}]"#.into(), None),
            ("[]".into(), None),
            ("{}".into(), None),
            ("null".into(), None),
            ("7".into(), None),
        ] {
            let body = format!(r#"{{"actions":{actions}}}"#);
            let wire = Wire::read_object(body.as_bytes()).unwrap();
            assert_eq!(wire.deeplink().as_deref(), expected, "{actions}");
        }
    }

    #[test]
    fn only_a_link_that_a_browser_may_follow_is_a_deeplink() {
        let long = format!("https://gopay.co.id/{}", "a".repeat(LINK_BYTES_MAX));
        for (link, good) in [
            ("gojek://gopay/merchanttransfer?tref=1509110800474199656LMVO&amount=10000", true),
            ("https://gopay.co.id/app/merchanttransfer?tref=1", true),
            ("https://a.page.link/x", true),
            ("javascript:alert(1)", false),
            ("JavaScript:alert(1)", false),
            ("data:text/html,x", false),
            ("file:///etc/passwd", false),
            ("/gopay", false),
            ("", false),
            ("https://gopay.co.id/\r\nSet-Cookie: a=b", false),
            ("https://gopay.co.id/ x", false),
            (long.as_str(), false),
        ] {
            assert_eq!(is_safe_link(link), good, "{link}");
        }
    }
}
