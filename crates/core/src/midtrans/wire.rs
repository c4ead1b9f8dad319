//! All fields of Midtrans that we read, in every answer and notification.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Deserialize;
use serde::de::{Deserializer as _, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::Deserializer;
use serde_json::de::{Read, SliceRead, StrRead};
use serde_json::value::RawValue;

use super::ReplyError;
use super::actions::Actions;
use super::code::{StatusCode, speaks_alone};
use super::lenient::{PlainText, Text, bounded, strings};
use super::order_id::OrderId;
use super::refusal::{Refusal, RefusalCause};
use super::tx_id::MidtransTxId;
use super::words::{FraudStatus, TransactionStatus};
use crate::money::Rupiah;

/// The fields of an answer or notification, whatever the endpoint. All are optional here; each reply
/// decides which of them it needs.
#[derive(Default)]
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
    pub(super) actions: Actions<'a>,
    /// As it stands in the body, read only by the replies that need it.
    pub(super) validation_messages: Option<&'a RawValue>,
    pub(super) refunds: Option<&'a RawValue>,
}

/// The name of a field.
#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    StatusCode,
    StatusMessage,
    TransactionId,
    OrderId,
    GrossAmount,
    Currency,
    PaymentType,
    PaymentOptionType,
    TransactionStatus,
    FraudStatus,
    SettlementTime,
    ExpiryTime,
    ChannelResponseCode,
    ChannelResponseMessage,
    SignatureKey,
    RefundAmount,
    RefundKey,
    RefundChargebackId,
    Actions,
    ValidationMessages,
    Refunds,
    #[serde(other)]
    Other,
}

impl Field {
    #[expect(clippy::as_conversions, reason = "a fieldless enum has no other conversion")]
    const fn bit(self) -> u32 {
        1 << (self as u32)
    }

    /// Whether money is decided by it. What only people read may be left out if it cannot be read.
    const fn decides(self) -> bool {
        match self {
            Self::StatusCode
            | Self::TransactionId
            | Self::OrderId
            | Self::GrossAmount
            | Self::Currency
            | Self::TransactionStatus
            | Self::FraudStatus
            | Self::SignatureKey
            | Self::RefundAmount
            | Self::RefundKey
            | Self::RefundChargebackId
            | Self::Refunds => true,
            Self::StatusMessage
            | Self::PaymentType
            | Self::PaymentOptionType
            | Self::SettlementTime
            | Self::ExpiryTime
            | Self::ChannelResponseCode
            | Self::ChannelResponseMessage
            | Self::Actions
            | Self::ValidationMessages
            | Self::Other => false,
        }
    }
}

/// In the place of a value by which money is decided and that cannot be read, or that stands there
/// twice with a difference: it fits nothing.
const UNREADABLE: &str = "\u{fffd}";

/// Reads an object. Texts are read by [`PlainText`]; then reading fails at whatever [`Text`] has to be
/// asked for, and at a known field that occurs twice. `EXACT` reads all of that.
struct WireVisitor<const EXACT: bool>;

impl<const EXACT: bool> WireVisitor<EXACT> {
    /// Reads the value of a field, which may have occurred before.
    fn exactly<'de, A: MapAccess<'de>>(
        wire: &mut Wire<'de>,
        field: Field,
        again: bool,
        members: &mut A,
    ) -> Result<(), A::Error> {
        if matches!(field, Field::Other) {
            // It need not be UTF-8.
            return members.next_value::<IgnoredAny>().map(drop);
        }
        let json = members.next_value::<&'de RawValue>()?;
        if let Some(text) = wire.text_mut(field) {
            let unreadable = || {
                if field.decides() { Text::Borrowed(UNREADABLE) } else { Text::Absent }
            };
            let new = Text::of_json(json.get()).unwrap_or_else(|_| unreadable());
            if !again {
                *text = new;
            } else if text.get() != new.get() {
                *text = unreadable();
            }
            return Ok(());
        }
        if matches!(field, Field::Refunds) {
            if again && wire.refunds.map(RawValue::get) != Some(json.get()) {
                // No list.
                wire.refunds = serde_json::from_str("0").ok();
            } else {
                wire.refunds = (json.get() != "null").then_some(json);
            }
        } else if matches!(field, Field::Actions) && !again {
            wire.actions = serde_json::from_str(json.get()).unwrap_or_default();
        } else if matches!(field, Field::ValidationMessages) && !again {
            wire.validation_messages = Some(json);
        }
        Ok(())
    }
}

impl<'de, const EXACT: bool> Visitor<'de> for WireVisitor<EXACT> {
    type Value = Wire<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut wire = Wire::default();
        let mut seen = 0;
        while let Some(field) = members.next_key::<Field>()? {
            let again = seen & field.bit() & !Field::Other.bit() != 0;
            seen |= field.bit();
            if EXACT {
                Self::exactly(&mut wire, field, again, &mut members)?;
                continue;
            }
            if again {
                return Err(A::Error::custom("a field occurs twice"));
            }
            match (wire.text_mut(field), field) {
                (Some(text), _) => *text = members.next_value::<PlainText<'de>>()?.0,
                (None, Field::Actions) => wire.actions = members.next_value()?,
                (None, Field::ValidationMessages) => {
                    wire.validation_messages = members.next_value()?;
                }
                (None, Field::Refunds) => wire.refunds = members.next_value()?,
                (None, _) => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(wire)
    }
}

/// The whole body as one object.
fn read<'a, const EXACT: bool>(body: impl Read<'a>) -> Option<Wire<'a>> {
    let mut reader = Deserializer::new(body);
    let wire = reader.deserialize_map(WireVisitor::<EXACT>).ok()?;
    reader.end().is_ok().then_some(wire)
}

/// Finds out whether the actions are UTF-8 as a whole.
#[derive(Deserialize)]
struct Links<'a> {
    #[serde(borrow, rename = "actions")]
    _actions: Option<&'a RawValue>,
}

impl<'a> Wire<'a> {
    /// Reads an answer. Without a readable body the HTTP status must speak for itself.
    #[inline]
    pub(super) fn read(http_status: u16, body: &'a [u8]) -> Result<Self, ReplyError> {
        match Self::read_object(body) {
            Some(wire) if !Self::is_unreadable(&wire.status_code) => Ok(wire),
            // Of two codes nobody can tell which counts.
            Some(_) | None if speaks_alone(http_status) => Ok(Self::default()),
            Some(_) | None => Err(ReplyError::NotJson),
        }
    }

    /// `None` unless the body is a JSON object.
    #[inline]
    pub(super) fn read_object(body: &'a [u8]) -> Option<Self> {
        match std::str::from_utf8(body) {
            // One check of the whole body is faster than one for each string.
            Ok(text) => read::<false>(StrRead::new(text)).or_else(|| Self::read_exactly(text)),
            // The bytes that are not UTF-8 may be in a field that we do not read, but not in the
            // actions.
            Err(_) => {
                serde_json::from_slice::<Links<'_>>(body).ok()?;
                read::<true>(SliceRead::new(body))
            }
        }
    }

    /// Slow path: keeps the digits of every number, and leaves out what cannot be read and nobody needs.
    #[cold]
    fn read_exactly(body: &'a str) -> Option<Self> {
        read::<true>(StrRead::new(body))
    }

    /// The place of a field that is a text; `None` for the others.
    #[inline]
    const fn text_mut(&mut self, field: Field) -> Option<&mut Text<'a>> {
        Some(match field {
            Field::StatusCode => &mut self.status_code,
            Field::StatusMessage => &mut self.status_message,
            Field::TransactionId => &mut self.transaction_id,
            Field::OrderId => &mut self.order_id,
            Field::GrossAmount => &mut self.gross_amount,
            Field::Currency => &mut self.currency,
            Field::PaymentType => &mut self.payment_type,
            Field::PaymentOptionType => &mut self.payment_option_type,
            Field::TransactionStatus => &mut self.transaction_status,
            Field::FraudStatus => &mut self.fraud_status,
            Field::SettlementTime => &mut self.settlement_time,
            Field::ExpiryTime => &mut self.expiry_time,
            Field::ChannelResponseCode => &mut self.channel_response_code,
            Field::ChannelResponseMessage => &mut self.channel_response_message,
            Field::SignatureKey => &mut self.signature_key,
            Field::RefundAmount => &mut self.refund_amount,
            Field::RefundKey => &mut self.refund_key,
            Field::RefundChargebackId => &mut self.refund_chargeback_id,
            Field::Actions | Field::ValidationMessages | Field::Refunds | Field::Other => {
                return None;
            }
        })
    }

    /// Whether a field was there and cannot be read.
    pub(super) fn is_unreadable(text: &Text<'_>) -> bool {
        text.get() == Some(UNREADABLE)
    }

    pub(super) fn code(&self) -> Option<StatusCode> {
        self.status_code.get()?.parse().ok()
    }

    pub(super) fn status(&self) -> Option<TransactionStatus> {
        self.transaction_status.get().map(TransactionStatus::from_wire)
    }

    pub(super) fn fraud(&self) -> Option<FraudStatus> {
        self.fraud_status.filled().map(FraudStatus::from_wire)
    }

    pub(super) fn tx_id(&self) -> Result<MidtransTxId, ReplyError> {
        let text = self.transaction_id.get().ok_or(ReplyError::Missing("transaction_id"))?;
        MidtransTxId::new(text).map_err(|_| ReplyError::Malformed("transaction_id"))
    }

    pub(super) fn order_id(&self) -> Result<OrderId, ReplyError> {
        let text = self.order_id.filled().ok_or(ReplyError::Missing("order_id"))?;
        Ok(OrderId::from_wire(text))
    }

    pub(super) fn gross(&self) -> Result<Rupiah, ReplyError> {
        let sen = self.gross_amount.sen().ok_or(ReplyError::Missing("gross_amount"))?;
        sen.and_then(Rupiah::from_sen).map_err(|_| ReplyError::Malformed("gross_amount"))
    }

    pub(super) fn provider_code(&self) -> Option<&str> {
        self.channel_response_code.filled()
    }

    pub(super) fn refusal(&self, status_code: StatusCode) -> Refusal {
        let line = |text: &str| bounded(text, Refusal::TEXT_CHARS_MAX);
        Refusal {
            status_code,
            message: self.status_message.get().map(line).unwrap_or_default(),
            provider_code: self.channel_response_code.word(),
            provider_message: self.provider_message(),
            validation: strings(self.validation_messages)
                .take(Refusal::VALIDATION_LINES_MAX)
                .map(|text| line(&text))
                .collect(),
            cause: RefusalCause::of_answer(
                status_code,
                self.provider_code(),
                self.status_message.get().unwrap_or_default(),
            ),
        }
    }

    pub(super) fn provider_message(&self) -> Option<String> {
        self.channel_response_message.filled().map(|text| bounded(text, Refusal::TEXT_CHARS_MAX))
    }

    /// The URL that leads the shopper to GoPay.
    pub(super) fn deeplink(&self) -> Option<String> {
        self.actions.deeplink().and_then(usable_link)
    }
}

/// The longest deeplink. It carries the callback URL, of at most 4,000 bytes, of which every one may
/// be percent-encoded as three; the rest is space for everything else. Short enough for a header.
const LINK_BYTES_MAX: usize = 16_384;

/// What is percent-encoded in a link, besides all that is beyond ASCII.
const SPELLING: &AsciiSet = &CONTROLS.add(b' ');

/// The link as a `Location` header and an `href` can hold it; `None` if no browser may follow it.
///
/// Blanks and letters beyond ASCII are percent-encoded, as browsers do themselves: the charge is
/// open, and to refuse it for its spelling would end it for ever. A control character is no
/// spelling, and stays a fault.
fn usable_link(link: &str) -> Option<String> {
    let link = link.trim_matches(' ');
    if is_safe_link(link) {
        return Some(link.to_owned());
    }
    if link.len() > LINK_BYTES_MAX || link.chars().any(char::is_control) {
        return None;
    }
    let encoded = utf8_percent_encode(link, SPELLING).to_string();
    is_safe_link(&encoded).then_some(encoded)
}

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
    use crate::ids::TxId;

    #[test]
    fn numbers_stand_in_for_strings() {
        let wire = Wire::read_object(
            br#" {"status_code":201,"order_id":9223372036854775807,"gross_amount":44000.00,
                "transaction_id":true,"currency":null,"fraud_status":{"a":[1]},
                "payment_type":1e999}"#,
        )
        .unwrap();
        assert_eq!(wire.code().map(StatusCode::get), Some(201));
        assert_eq!(wire.order_id().unwrap().tx_id().map(TxId::get), Some(i64::MAX));
        assert_eq!(wire.gross_amount.get(), Some("44000.00"));
        assert_eq!(wire.transaction_id.get(), Some("true"));
        assert_eq!(wire.currency.get(), None);
        assert_eq!(wire.fraud_status.get(), None);
        assert_eq!(wire.payment_type.get(), Some("1e999"));
    }

    #[test]
    fn an_amount_is_a_whole_number_of_rupiah_or_makes_the_answer_unreadable() {
        const MALFORMED: Result<u64, ReplyError> = Err(ReplyError::Malformed("gross_amount"));
        for (json, expected) in [
            (r#""44000.00""#, Ok(44_000)),
            (r#""44000""#, Ok(44_000)),
            ("44000.00", Ok(44_000)),
            ("44000", Ok(44_000)),
            ("1e4", Ok(10_000)),
            ("20000000.000", Ok(20_000_000)),
            ("44000.005", MALFORMED),
            ("44000.001", MALFORMED),
            ("44000.50", MALFORMED),
            ("9999999.9999999999", MALFORMED),
            ("20000000.0000000001", MALFORMED),
            ("20000001", MALFORMED),
            ("18446744073709551616", MALFORMED),
            ("1e999", MALFORMED),
            ("1e-999", MALFORMED),
            ("0", MALFORMED),
            ("-44000", MALFORMED),
            ("true", MALFORMED),
            (r#""1e4""#, Ok(10_000)),
            (r#"" 44000.00 ""#, Ok(44_000)),
            (r#""44,000.00""#, MALFORMED),
            (r#""""#, MALFORMED),
            ("null", Err(ReplyError::Missing("gross_amount"))),
            ("[44000]", Err(ReplyError::Missing("gross_amount"))),
        ] {
            let body = format!(r#"{{"gross_amount":{json}}}"#);
            let wire = Wire::read_object(body.as_bytes()).unwrap();
            assert_eq!(wire.gross().map(Rupiah::get), expected, "{json}");
        }
    }

    #[test]
    fn only_one_object_is_an_answer() {
        for body in
            ["", "null", "[]", r#"["201"]"#, r#""{}""#, "{", "{} {}", "<html>", "\u{feff}{}"]
        {
            assert!(Wire::read_object(body.as_bytes()).is_none(), "{body:?}");
        }
        assert!(Wire::read_object(b"\n {\"unheard_of\": [{}]}").is_some());
        assert!(Wire::read_object(b"{\"unheard_of\":\"\xff\"}").is_some());
        assert!(Wire::read_object(b"{\"order_id\":\"\xff\"}").is_none());
        assert!(Wire::read_object(b"{\"actions\":[{\"method\":\"\xff\"}]}").is_none());
    }

    #[test]
    fn what_stands_there_twice_or_cannot_be_read_fits_nothing_or_counts_as_absent() {
        let read = |body: &str| {
            let wire = Wire::read_object(body.as_bytes()).unwrap();
            let text = |text: &Text<'_>| text.get().map(str::to_owned);
            let list = wire.refunds.map(RawValue::get).map(str::to_owned);
            (text(&wire.transaction_status), text(&wire.status_message), list)
        };
        let some = |text: &str| Some(text.to_owned());
        for (body, expected) in [
            (r#"{"transaction_status":"a","transaction_status":"a"}"#, (some("a"), None, None)),
            (
                r#"{"transaction_status":"a","transaction_status":"b"}"#,
                (some(UNREADABLE), None, None),
            ),
            (r#"{"transaction_status":"\ud800"}"#, (some(UNREADABLE), None, None)),
            (r#"{"status_message":"a","status_message":"a"}"#, (None, some("a"), None)),
            (r#"{"status_message":"a","status_message":"b"}"#, (None, None, None)),
            (r#"{"status_message":"\ud800","transaction_status":"a"}"#, (some("a"), None, None)),
            (r#"{"refunds":[1],"refunds":[1]}"#, (None, None, some("[1]"))),
            (r#"{"refunds":[1],"refunds":[2]}"#, (None, None, some("0"))),
        ] {
            assert_eq!(read(body), expected, "{body}");
        }
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
        const NONE: Option<&str> = None;
        let letters = |count: usize| format!("https://gopay.co.id/{}", "\u{e9}".repeat(count));
        let (short, spread) = (letters(LINK_BYTES_MAX / 8), letters(LINK_BYTES_MAX / 6));
        let encoded = short.replace('\u{e9}', "%C3%A9");
        let same = |link: &'static str| (link, Some(link));
        for (link, expected) in [
            same("gojek://gopay/merchanttransfer?tref=1509110800474199656LMVO&amount=10000"),
            same("https://gopay.co.id/app/merchanttransfer?tref=1"),
            same("https://a.page.link/x"),
            same("https://gopay.co.id/a%20b?c=%C3%A9"),
            ("https://gopay.co.id/ x", Some("https://gopay.co.id/%20x")),
            (" https://gopay.co.id/x ", Some("https://gopay.co.id/x")),
            ("gojek://gopay/pay?shop=Toko Kopi", Some("gojek://gopay/pay?shop=Toko%20Kopi")),
            (
                "https://gopay.co.id/app?shop=Caf\u{e9} 100%25",
                Some("https://gopay.co.id/app?shop=Caf%C3%A9%20100%25"),
            ),
            (
                "https://gopay.co.id/app?a=\u{202e}\u{a0}\u{1f642}",
                Some("https://gopay.co.id/app?a=%E2%80%AE%C2%A0%F0%9F%99%82"),
            ),
            ("https://go pay.co.id/", NONE),
            ("javascript:alert(1)", NONE),
            ("JavaScript:alert(1)", NONE),
            (" javascript:alert(1) //caf\u{e9}", NONE),
            ("java script:alert(1)", NONE),
            ("data:text/html,x y", NONE),
            ("file:///etc/passwd", NONE),
            ("/gopay", NONE),
            ("/go pay", NONE),
            ("", NONE),
            (" ", NONE),
            ("https://gopay.co.id/\r\nSet-Cookie: a=b", NONE),
            ("https://gopay.co.id/\tx", NONE),
            ("https://gopay.co.id/\u{85}x", NONE),
            ("https://gopay.co.id/\u{7f}x", NONE),
            (long.as_str(), NONE),
            (short.as_str(), Some(encoded.as_str())),
            (spread.as_str(), NONE),
        ] {
            assert_eq!(usable_link(link).as_deref(), expected, "{link}");
        }
    }
}
