//! What Midtrans says of a payment: GET status, and the answers to cancel and expire.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ReplyError;
use super::code::{StatusCode, spoken};
use super::lenient::{Text, entries};
use super::order_id::OrderId;
use super::refusal::Refusal;
use super::tx_id::MidtransTxId;
use super::unclear::answer_in_words;
use super::wire::Wire;
use super::words::{FraudStatus, TransactionStatus};
use crate::money::{Rupiah, Sen};
use crate::time::Timestamp;

/// What Midtrans holds about one payment. Only its status must be there: what is not needed to
/// decide about money must not hide it, and what is needed and cannot be read is for a person.
///
/// The wire's `payment_type` is informational: a GoPay charge paid by QR code says `qris`.
#[derive(Clone, PartialEq, Eq)]
pub struct StatusView {
    /// Our number of the payment, as Midtrans knows it, if given; the caller compares.
    pub order_id: Option<OrderId>,
    /// Midtrans' number of the payment, if it can be read; the caller compares, since an `order_id`
    /// can own several.
    pub midtrans_tx_id: Option<MidtransTxId>,
    /// The amount charged; refunds do not lower it. The caller compares.
    pub gross: Gross,
    /// `IDR` where present.
    pub currency: Option<String>,
    /// The state of the payment.
    pub status: TransactionStatus,
    /// The state of the API action; 407 for an expired payment.
    pub status_code: Option<StatusCode>,
    /// What the fraud check says; often absent.
    pub fraud: Option<FraudStatus>,
    /// When the shopper paid.
    pub settlement_time: Option<Timestamp>,
    /// When GoPay stops taking the payment.
    pub expiry_time: Option<Timestamp>,
    /// `gopay`, or `qris`; never decide by it.
    pub payment_type: Option<String>,
    /// `GOPAY_WALLET`, `PAY_LATER` and others to come.
    pub payment_option_type: Option<String>,
    /// GoPay's own code, if it was asked.
    pub provider_code: Option<String>,
    /// GoPay's own text, on one line of at most [`Refusal::TEXT_CHARS_MAX`] characters.
    pub provider_message: Option<String>,
    /// Each refund that Midtrans or GoPay accepted; none if one of them cannot be read: to guess how
    /// much was given back would be worse than to ask again.
    pub refunds: Option<Vec<RefundView>>,
    /// The sum of all refunds, if it can be read.
    pub refund_total: Option<Sen>,
    /// Where to send the shopper, if repeated here.
    pub deeplink: Option<String>,
}

crate::shows_nothing!("StatusView", StatusView);

/// Midtrans' `gross_amount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gross {
    /// As Midtrans wrote it; empty if it did not.
    pub text: String,
    /// The amount, if it is one.
    pub sen: Option<Sen>,
}

impl Gross {
    /// Whether it is exactly this amount.
    #[must_use]
    pub fn is(&self, amount: Option<Rupiah>) -> bool {
        self.sen.is_some() && self.sen == amount.map(Rupiah::sen)
    }
}

/// One refund in [`StatusView::refunds`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundView {
    /// Our `refund_key`, if the refund is ours.
    pub key: Option<String>,
    /// The amount of this refund alone.
    pub amount: Sen,
    /// When Midtrans took it on.
    pub created_at: Option<Timestamp>,
    /// When the provider confirmed that the money is back; absent until then.
    pub bank_confirmed_at: Option<Timestamp>,
    /// Midtrans' number of the refund, `refund_chargeback_id`. Often above 2^53, where a reader of
    /// floats would round.
    pub chargeback_id: Option<i64>,
}

impl StatusView {
    /// Whether the shopper's money has come in, whatever happened to it later.
    ///
    /// A settlement needs code 200 and no word from the fraud check but `accept`. Source:
    /// `docs/midtrans.md`, "Ordering and duplicates".
    #[must_use]
    pub fn is_paid(&self) -> bool {
        use TransactionStatus as T;
        let came_in = match self.status {
            T::Settlement => self.status_code.is_none_or(|code| code.get() == 200),
            T::Refund | T::PartialRefund | T::Chargeback | T::PartialChargeback => true,
            T::Pending
            | T::Capture
            | T::Authorize
            | T::Deny
            | T::Cancel
            | T::Expire
            | T::Failure
            | T::Unknown(_) => false,
        };
        came_in && matches!(self.fraud, None | Some(FraudStatus::Accept))
    }

    /// Whether it names the payment and its amount.
    const fn is_whole(&self) -> bool {
        self.order_id.is_some() && self.midtrans_tx_id.is_some() && self.gross.sen.is_some()
    }

    fn from_wire(wire: Wire<'_>) -> Result<Self, ReplyError> {
        let status = wire.transaction_status.filled().map(TransactionStatus::from_wire);
        Ok(Self {
            order_id: wire.order_id().ok(),
            midtrans_tx_id: wire.tx_id().ok(),
            gross: Gross {
                text: wire.gross_amount.word().unwrap_or_default(),
                sen: wire.gross_amount.sen().and_then(Result::ok),
            },
            status: status.ok_or(ReplyError::Missing("transaction_status"))?,
            status_code: wire.code(),
            fraud: wire.fraud(),
            settlement_time: wire.settlement_time.time(),
            expiry_time: wire.expiry_time.time(),
            provider_code: wire.channel_response_code.word(),
            provider_message: wire.provider_message(),
            refunds: refunds(wire.refunds),
            refund_total: wire.refund_amount.sen().and_then(Result::ok),
            deeplink: wire.deeplink(),
            currency: wire.currency.word(),
            payment_type: wire.payment_type.word(),
            payment_option_type: wire.payment_option_type.word(),
        })
    }
}

/// An entry of `refunds[]`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireRefund<'a> {
    #[serde(borrow)]
    refund_key: Text<'a>,
    refund_amount: Text<'a>,
    refund_chargeback_id: Text<'a>,
    created_at: Text<'a>,
    bank_confirmed_at: Text<'a>,
}

/// None if one of them cannot be read.
fn refunds(list: Option<&RawValue>) -> Option<Vec<RefundView>> {
    if list.is_none() {
        return Some(Vec::new());
    }
    entries(list)?.into_iter().map(refund).collect()
}

fn refund(entry: &RawValue) -> Option<RefundView> {
    // The derived reader would also take an array, as a list of fields by position.
    let object = entry.get().starts_with('{');
    let wire: WireRefund<'_> = serde_json::from_str(entry.get()).ok().filter(|_| object)?;
    Some(RefundView {
        key: wire.refund_key.word(),
        amount: wire.refund_amount.sen()?.ok()?,
        created_at: wire.created_at.time(),
        bank_confirmed_at: wire.bank_confirmed_at.time(),
        chargeback_id: wire.refund_chargeback_id.id(),
    })
}

/// What GET status says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusReply {
    /// The payment, as it stands. Large, and the common case.
    Found(Box<StatusView>),
    /// Midtrans says that it has no such transaction.
    NotFound,
    /// Still being made.
    InProgress,
    /// Midtrans refused our credentials or set-up; the operator must act.
    Misconfigured(Refusal),
    /// Midtrans answers, and what it says cannot be understood: ask again later, and take no silence
    /// from it. Says in words what it is.
    Unreadable(String),
    /// No conclusion; ask again later.
    Unclear,
}

impl StatusReply {
    /// Reads an answer to `GET /v2/{id}/status`.
    ///
    /// ```
    /// use gopay_core::midtrans::StatusReply;
    /// assert_eq!(StatusReply::parse(200, br#"{"status_code":"404"}"#), Ok(StatusReply::NotFound));
    /// assert!(StatusReply::parse(404, b"<html>").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ReplyError`] if the answer is no JSON object; nothing may be concluded from it.
    pub fn parse(http_status: u16, body: &[u8]) -> Result<Self, ReplyError> {
        // Bytes that are not UTF-8 and a byte order mark must not hide what the rest says.
        let text = String::from_utf8_lossy(body);
        let text = text.trim_start_matches('\u{feff}');
        let body = text.as_bytes();
        let unreadable = || Self::Unreadable(answer_in_words(http_status, body));
        let wire = match Wire::read(http_status, body) {
            Ok(wire) => wire,
            Err(_) if Wire::read_object(body).is_some() => return Ok(unreadable()),
            Err(error) => return Err(error),
        };
        let speaks_of_money = wire.status().is_some_and(|status| status.may_be_money());
        let Some(code) = spoken(http_status, wire.code()) else {
            return Ok(if speaks_of_money { unreadable() } else { Self::Unclear });
        };
        Ok(match code.get() {
            // A denied payment has code 202, too.
            202 if wire.status().is_none() => Self::InProgress,
            // 407 is the normal code of an expired payment.
            200..=202 | 407 => match StatusView::from_wire(wire) {
                Ok(view) => Self::Found(Box::new(view)),
                Err(_) => unreadable(),
            },
            // An error that speaks of money all the same.
            _ if speaks_of_money => unreadable(),
            401 | 402 => Self::Misconfigured(wire.refusal(code)),
            404 => Self::NotFound,
            429 => Self::Unclear,
            _ => unreadable(),
        })
    }
}

/// What Midtrans said to a cancel or expire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReply {
    /// Nobody can pay any more.
    Closed(Box<StatusView>),
    /// The payment is no longer pending; it may be paid: ask for its status.
    WrongState,
    /// Midtrans says that it has no such transaction.
    NotFound,
    /// The first request with this idempotency key still runs.
    InProgress,
    /// Midtrans refused our credentials or set-up; the operator must act.
    Misconfigured(Refusal),
    /// The payment may or may not be closed: ask for its status.
    Unclear,
}

impl CloseReply {
    /// Reads an answer to `POST /v2/{id}/cancel` or `POST /v2/{id}/expire`.
    ///
    /// A success that does not name the whole payment is [`CloseReply::Unclear`].
    ///
    /// # Errors
    /// [`ReplyError`] if the answer is not JSON; the payment may or may not be closed.
    pub fn parse(http_status: u16, body: &[u8]) -> Result<Self, ReplyError> {
        let wire = Wire::read(http_status, body)?;
        let Some(code) = spoken(http_status, wire.code()) else {
            return Ok(Self::Unclear);
        };
        Ok(match code.get() {
            _ if http_status == 202 => Self::InProgress,
            202 => Self::InProgress,
            200 | 407 => Self::closed(wire),
            401 | 402 => Self::Misconfigured(wire.refusal(code)),
            404 => Self::NotFound,
            412 => Self::WrongState,
            _ => Self::Unclear,
        })
    }

    fn closed(wire: Wire<'_>) -> Self {
        use TransactionStatus as T;
        match StatusView::from_wire(wire) {
            Ok(view) if view.is_whole() && matches!(view.status, T::Cancel | T::Expire) => {
                Self::Closed(Box::new(view))
            }
            Ok(_) | Err(_) => Self::Unclear,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusal::RefusalCause;
    use super::*;

    /// A GET status answer with `fields` added.
    fn answer(code: &str, status: &str, fields: &str) -> String {
        format!(
            r#"{{"status_code":"{code}","transaction_id":"A1","order_id":"7",
                "gross_amount":"125000.00","transaction_status":"{status}"{fields}}}"#
        )
    }

    fn view(body: &str) -> StatusView {
        match StatusReply::parse(200, body.as_bytes()) {
            Ok(StatusReply::Found(view)) => *view,
            other => panic!("not found: {other:?}"),
        }
    }

    #[test]
    fn a_refunded_payment_shows_all_that_we_use() {
        let view = view(&answer(
            "200",
            "partial_refund",
            r#","currency":"IDR","fraud_status":"accept","payment_type":"qris",
              "payment_option_type":"GOPAY_WALLET","settlement_time":"2025-02-07 09:41:00",
              "expiry_time":"2025-02-07 09:56:00","channel_response_code":"200",
              "channel_response_message":"Success","refund_amount":"30000.00",
              "metadata":{"a":{"b":[]}},"transaction_type":"on-us",
              "refunds":[{"refund_chargeback_id":202502070943231234,
                "refund_chargeback_uuid":"u","refund_amount":"10000.00",
                "created_at":"2025-02-07 09:43:23","reason":"","refund_key":"71",
                "refund_method":"online","bank_confirmed_at":"2025-02-07 09:43:24"},
               {"refund_chargeback_id":"9223372036854775807","refund_amount":20000.00}]"#,
        ));
        let at = |text| Timestamp::from_wib_seconds(text).ok();
        assert_eq!(
            view,
            StatusView {
                order_id: Some(OrderId::from_wire("7")),
                midtrans_tx_id: MidtransTxId::new("A1").ok(),
                gross: Gross { text: "125000.00".into(), sen: Some(Sen::new(12_500_000)) },
                currency: Some("IDR".into()),
                status: TransactionStatus::PartialRefund,
                status_code: StatusCode::new(200).ok(),
                fraud: Some(FraudStatus::Accept),
                settlement_time: at("2025-02-07 09:41:00"),
                expiry_time: at("2025-02-07 09:56:00"),
                payment_type: Some("qris".into()),
                payment_option_type: Some("GOPAY_WALLET".into()),
                provider_code: Some("200".into()),
                provider_message: Some("Success".into()),
                refunds: Some(vec![
                    RefundView {
                        key: Some("71".into()),
                        amount: Sen::new(1_000_000),
                        created_at: at("2025-02-07 09:43:23"),
                        bank_confirmed_at: at("2025-02-07 09:43:24"),
                        chargeback_id: Some(202_502_070_943_231_234),
                    },
                    RefundView {
                        key: None,
                        amount: Sen::new(2_000_000),
                        created_at: None,
                        bank_confirmed_at: None,
                        chargeback_id: Some(i64::MAX),
                    },
                ]),
                refund_total: Some(Sen::new(3_000_000)),
                deeplink: None,
            }
        );
    }

    #[test]
    fn an_empty_text_in_an_optional_field_counts_as_absent() {
        let bare = view(&answer("200", "settlement", ""));
        assert!(bare.is_paid());
        for field in [
            "fraud_status",
            "currency",
            "payment_type",
            "payment_option_type",
            "settlement_time",
            "expiry_time",
            "channel_response_code",
            "channel_response_message",
            "refund_amount",
        ] {
            let empty = answer("200", "settlement", &format!(r#","{field}":"""#));
            assert_eq!(view(&empty), bare, "{field}");
        }
    }

    #[test]
    fn refunds_are_read_exactly_or_not_at_all() {
        let at = Timestamp::from_wib_seconds("2025-02-07 09:43:24").ok();
        for (entry, expected) in [
            (r#"{"refund_amount":"10000.00"}"#, Some((1_000_000, None, None, None))),
            (r#"{"refund_amount":10000}"#, Some((1_000_000, None, None, None))),
            (r#"{"refund_amount":1e4}"#, Some((1_000_000, None, None, None))),
            (
                r#"{"refund_amount":"1.00","refund_chargeback_id":202502070943231234,
                    "created_at":"2025-02-07 09:43:24","bank_confirmed_at":"2025-02-07 09:43:24"}"#,
                Some((100, Some(202_502_070_943_231_234), at, at)),
            ),
            (
                r#"{"refund_amount":"1.00","refund_chargeback_id":"202502070943231234",
                    "created_at":"yesterday","bank_confirmed_at":"soon"}"#,
                Some((100, Some(202_502_070_943_231_234), None, None)),
            ),
            (
                r#"{"refund_amount":"1.00","refund_chargeback_id":"","created_at":"",
                    "bank_confirmed_at":"","refund_key":""}"#,
                Some((100, None, None, None)),
            ),
            (
                r#"{"refund_amount":"1.00","refund_chargeback_id":9223372036854775808}"#,
                Some((100, None, None, None)),
            ),
            (
                r#"{"refund_amount":"1.00","refund_chargeback_id":1.5e17}"#,
                Some((100, None, None, None)),
            ),
            (r#"{"refund_amount":10000.005}"#, None),
            (r#"{"refund_amount":1e999}"#, None),
            (r#"{"refund_amount":""}"#, None),
            (r#"{"refund_amount":"1.00","refund_amount":"2.00"}"#, None),
            ("{}", None),
            (r#"["","1.00"]"#, None),
            ("7", None),
        ] {
            let body = answer("200", "refund", &format!(r#","refunds":[{entry}]"#));
            let view = view(&body);
            assert!(view.is_paid(), "they do not hide the money");
            let read = view.refunds.map(|refunds| {
                let [refund] = refunds.as_slice() else { panic!("one refund: {entry}") };
                assert_eq!(refund.key, None);
                (
                    refund.amount.get(),
                    refund.chargeback_id,
                    refund.created_at,
                    refund.bank_confirmed_at,
                )
            });
            assert_eq!(read, expected, "{entry}");
        }
    }

    #[test]
    fn paid_needs_the_state_the_code_and_no_word_of_fraud() {
        let accept = r#","fraud_status":"accept""#;
        for (code, status, fields, paid) in [
            ("200", "settlement", accept, true),
            ("200", "settlement", "", true),
            ("201", "settlement", accept, false),
            ("202", "settlement", accept, false),
            ("200", "settlement", r#","fraud_status":"""#, true),
            ("200", "settlement", r#","fraud_status":"deny""#, false),
            ("200", "settlement", r#","fraud_status":"challenge""#, false),
            ("200", "settlement", r#","fraud_status":"new""#, false),
            ("200", "refund", accept, true),
            ("200", "partial_refund", "", true),
            ("200", "chargeback", accept, true),
            ("200", "partial_chargeback", accept, true),
            ("200", "refund", r#","fraud_status":"deny""#, false),
            ("201", "pending", accept, false),
            ("200", "pending", accept, false),
            ("407", "expire", accept, false),
            ("200", "cancel", accept, false),
            ("202", "deny", accept, false),
            ("202", "failure", accept, false),
            ("200", "capture", accept, false),
            ("200", "authorize", accept, false),
            ("200", "Settlement", accept, true),
            ("200", "settlement", r#","fraud_status":"ACCEPT""#, true),
        ] {
            assert_eq!(view(&answer(code, status, fields)).is_paid(), paid, "{code} {status}");
        }
        let uncoded = answer("200", "settlement", "").replace(r#""status_code":"200","#, "");
        assert!(view(&uncoded).is_paid());
    }

    #[test]
    fn a_status_answer_is_a_payment_or_a_clear_absence_or_nothing() {
        let good = answer("201", "pending", "");
        for (http, body, expected) in [
            (200, answer("407", "expire", ""), "found"),
            (407, answer("407", "expire", ""), "found"),
            (200, answer("202", "deny", ""), "found"),
            (202, answer("202", "deny", ""), "found"),
            (200, good.clone(), "found"),
            (200, r#"{"status_code":"404","status_message":"x"}"#.into(), "not found"),
            (404, r#"{"status_code":"404"}"#.into(), "not found"),
            (404, r#"{"message":"no route"}"#.into(), "unclear"),
            (202, "{}".into(), "in progress"),
            (202, String::new(), "in progress"),
            (200, r#"{"status_code":"202"}"#.into(), "in progress"),
            (401, r#"{"status_code":"401"}"#.into(), "misconfigured"),
            (401, String::new(), "misconfigured"),
            (200, r#"{"status_code":"402"}"#.into(), "misconfigured"),
            (429, "slow down".into(), "unclear"),
            (500, good.clone(), "unclear"),
            (502, "<html>".into(), "unclear"),
            (200, r#"{"status_code":"500"}"#.into(), "unclear"),
            (200, r#"{"status_code":"412"}"#.into(), "unreadable"),
            (302, good.clone(), "unclear"),
            (404, good.clone(), "unclear"),
            (200, "<html>".into(), "error"),
            (404, "<html>".into(), "error"),
            (200, r#"{"status_code":"200"}"#.into(), "unreadable"),
            (200, good.replace("125000.00", "0.00"), "found"),
            (200, good.replace("125000.00", "1.5"), "found"),
            (200, good.replace("A1", "../A1"), "found"),
            (200, good.replace(r#""order_id":"7""#, r#""order_id":"""#), "found"),
            (200, answer("200", "refund", r#","refund_amount":"lots""#), "found"),
            (200, answer("200", "refund", r#","refunds":[{"refund_key":"1"}]"#), "found"),
            (200, answer("200", "refund", r#","refunds":[["1"]]"#), "found"),
            (200, answer("200", "refund", r#","refunds":{}"#), "found"),
            (200, answer("200", "refund", r#","refunds":null"#), "found"),
            (200, answer("200", "", ""), "unreadable"),
            // What only people read does not hide money.
            (200, answer("200", "settlement", r#","channel_response_message":"\ud800""#), "found"),
            (
                200,
                answer("200", "settlement", r#","status_message":"a","status_message":"b""#),
                "found",
            ),
            (200, answer("200", "settlement", r#","transaction_status":"settlement""#), "found"),
            (200, format!("\u{feff}{}", answer("200", "settlement", "")), "found"),
            // An error that speaks of money all the same is no silence.
            (200, answer("402", "settlement", ""), "unreadable"),
            (200, answer("404", "settlement", ""), "unreadable"),
            (404, answer("200", "settlement", ""), "unreadable"),
            (500, answer("200", "settlement", ""), "unreadable"),
        ] {
            let kind = match StatusReply::parse(http, body.as_bytes()) {
                Ok(StatusReply::Found(_)) => "found",
                Ok(StatusReply::NotFound) => "not found",
                Ok(StatusReply::InProgress) => "in progress",
                Ok(StatusReply::Misconfigured(refusal)) => {
                    assert_eq!(refusal.cause, RefusalCause::Misconfigured);
                    "misconfigured"
                }
                Ok(StatusReply::Unclear) => "unclear",
                Ok(StatusReply::Unreadable(_)) => "unreadable",
                Err(_) => "error",
            };
            assert_eq!(kind, expected, "HTTP {http}: {body}");
        }
    }

    #[test]
    fn closing_is_believed_only_when_the_payment_says_so() {
        for (http, body, expected) in [
            (200, answer("200", "cancel", ""), "closed"),
            (200, answer("407", "expire", ""), "closed"),
            (407, answer("407", "expire", ""), "closed"),
            (200, answer("200", "settlement", ""), "unclear"),
            (200, answer("200", "pending", ""), "unclear"),
            (200, r#"{"status_code":"200","transaction_status":"cancel"}"#.into(), "unclear"),
            (200, r#"{"status_code":"412"}"#.into(), "wrong state"),
            (412, r#"{"status_code":"412"}"#.into(), "wrong state"),
            (200, r#"{"status_code":"404"}"#.into(), "not found"),
            (404, "{}".into(), "unclear"),
            (202, answer("200", "cancel", ""), "in progress"),
            (202, String::new(), "in progress"),
            (200, r#"{"status_code":"202"}"#.into(), "in progress"),
            (401, String::new(), "misconfigured"),
            (200, r#"{"status_code":"401"}"#.into(), "misconfigured"),
            (500, String::new(), "unclear"),
            (200, r#"{"status_code":"503"}"#.into(), "unclear"),
            (429, String::new(), "unclear"),
            (200, String::new(), "error"),
        ] {
            let kind = match CloseReply::parse(http, body.as_bytes()) {
                Ok(CloseReply::Closed(_)) => "closed",
                Ok(CloseReply::WrongState) => "wrong state",
                Ok(CloseReply::NotFound) => "not found",
                Ok(CloseReply::InProgress) => "in progress",
                Ok(CloseReply::Misconfigured(_)) => "misconfigured",
                Ok(CloseReply::Unclear) => "unclear",
                Err(_) => "error",
            };
            assert_eq!(kind, expected, "HTTP {http}: {body}");
        }
    }
}
