//! Refunds: the request and its answer.

use serde::Serialize;

use super::ReplyError;
use super::code::spoken;
use super::refusal::{Refusal, RefusalCause};
use super::wire::Wire;
use super::words::TransactionStatus;
use crate::ids::RefundId;
use crate::money::{Rupiah, Sen};

/// The longest `reason`, in characters (`docs/midtrans.md`, "Refunds").
const REASON_CHARS_MAX: usize = 255;

#[derive(Serialize)]
struct WireRequest<'a> {
    refund_key: RefundId,
    amount: Rupiah,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
}

/// The body of a refund request. `reason` is shown to the shopper and cut at 255 characters.
#[must_use]
pub fn refund_body(refund_key: RefundId, amount: Rupiah, reason: Option<&str>) -> Vec<u8> {
    let reason = cut(reason.unwrap_or_default(), REASON_CHARS_MAX);
    serde_json::to_vec(&WireRequest { refund_key, amount, reason })
        .expect("a struct of a string and numbers always has a JSON form")
}

/// The first `chars_max` characters of `text`.
fn cut(text: &str, chars_max: usize) -> &str {
    text.char_indices().nth(chars_max).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// What Midtrans said to a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundReply {
    /// The money goes back to the shopper.
    Accepted(RefundAccepted),
    /// Nothing was given back.
    Refused(Refusal),
    /// A refund with this key exists: look for it in [`super::StatusView::refunds`].
    Duplicate,
    /// The first request with this idempotency key still runs.
    InProgress,
    /// The money may or may not go back: look in [`super::StatusView::refunds`].
    Unclear,
}

/// A refund that Midtrans took on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundAccepted {
    /// The state of the payment now: refunded in part or wholly.
    pub status: TransactionStatus,
    /// The echo of our `refund_key`, if there.
    pub key: Option<String>,
    /// `refund_amount`. Pages of the documentation disagree whether it is this refund or the sum
    /// of all, so it is for the log only.
    pub amount: Option<Sen>,
    /// Midtrans' number of the refund, `refund_chargeback_id`.
    pub chargeback_id: Option<i64>,
}

impl RefundReply {
    /// Reads an answer to `POST /v2/{id}/refund` or `POST /v2/{id}/refund/online/direct`.
    ///
    /// ```
    /// use gopay_core::midtrans::RefundReply;
    /// assert_eq!(RefundReply::parse(200, br#"{"status_code":"406"}"#), Ok(RefundReply::Duplicate));
    /// assert!(RefundReply::parse(200, b"").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ReplyError`] if the answer cannot be read; the money may or may not go back.
    pub fn parse(http_status: u16, body: &[u8]) -> Result<Self, ReplyError> {
        let wire = Wire::read(http_status, body)?;
        let Some(code) = spoken(http_status, wire.code()) else {
            return Ok(Self::Unclear);
        };
        Ok(match code.get() {
            200 if http_status != 202 => Self::accepted(wire),
            200 | 202 => match refunded(&wire) {
                // A 202 of the idempotency key comes without the refund.
                None => Self::InProgress,
                // The provider refused; the payment stays as it was.
                Some(amount) if code.get() == 202 && amount == Some(Sen::ZERO) => {
                    Self::Refused(wire.refusal(code))
                }
                Some(_) => Self::Unclear,
            },
            // On a charge 404 speaks of the wallet, here of the transaction that we know exists.
            404 => Self::Refused(Refusal { cause: RefusalCause::Unknown, ..wire.refusal(code) }),
            400 | 401 | 402 | 405 | 408 | 410 | 412 | 413 | 414 | 429 => {
                Self::Refused(wire.refusal(code))
            }
            406 => Self::Duplicate,
            _ => Self::Unclear,
        })
    }

    fn accepted(wire: Wire<'_>) -> Self {
        use TransactionStatus as T;
        let amount = refunded(&wire).flatten();
        match wire.status() {
            Some(status @ (T::Refund | T::PartialRefund)) if amount != Some(Sen::ZERO) => {
                Self::Accepted(RefundAccepted {
                    status,
                    key: wire.refund_key.word(),
                    amount,
                    chargeback_id: wire.refund_chargeback_id.id(),
                })
            }
            _ => Self::Unclear,
        }
    }
}

/// The `refund_amount`: `None` if absent, `Some(None)` if it cannot be read.
fn refunded(wire: &Wire<'_>) -> Option<Option<Sen>> {
    wire.refund_amount.sen().map(Result::ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reason: Option<&str>) -> String {
        let key = RefundId::new(71).unwrap();
        let body = refund_body(key, Rupiah::new(10_000).unwrap(), reason);
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn the_request_has_a_key_whole_rupiah_and_a_bounded_reason() {
        assert_eq!(body(None), r#"{"refund_key":"71","amount":10000}"#);
        assert_eq!(body(Some("")), r#"{"refund_key":"71","amount":10000}"#);
        assert_eq!(
            body(Some("say \"no\"")),
            r#"{"refund_key":"71","amount":10000,"reason":"say \"no\""}"#
        );
        for (given, kept) in [(254, 254), (255, 255), (256, 255), (4_000, 255)] {
            assert!(
                body(Some(&"é".repeat(given)))
                    .ends_with(&format!(r#""reason":"{}"}}"#, "é".repeat(kept)))
            );
        }
    }

    #[test]
    fn an_accepted_refund_is_read_in_full() {
        let answer = br#"{"status_code":"200","status_message":"Success","transaction_id":"A1",
            "order_id":"7","gross_amount":"125000.00","transaction_status":"partial_refund",
            "refund_chargeback_id":202502070943231234,"refund_chargeback_uuid":"u",
            "refund_amount":"10000.00","refund_key":"71"}"#;
        assert_eq!(
            RefundReply::parse(200, answer),
            Ok(RefundReply::Accepted(RefundAccepted {
                status: TransactionStatus::PartialRefund,
                key: Some("71".into()),
                amount: Some(Sen::new(1_000_000)),
                chargeback_id: Some(202_502_070_943_231_234),
            }))
        );
    }

    #[test]
    fn whether_money_went_back_is_told_apart_from_whether_it_may() {
        let plain = |code: &str| format!(r#"{{"status_code":"{code}"}}"#);
        let with = |code: &str, status: &str, amount: &str| {
            format!(
                r#"{{"status_code":"{code}","transaction_status":"{status}",
                    "refund_amount":"{amount}"}}"#
            )
        };
        for (http, body, expected) in [
            (200, with("200", "refund", "125000.00"), "accepted"),
            (200, with("200", "partial_refund", "1.00"), "accepted"),
            (200, r#"{"status_code":200,"transaction_status":"refund"}"#.into(), "accepted"),
            (200, with("200", "refund", "0.00"), "unclear"),
            (200, with("200", "settlement", "1.00"), "unclear"),
            (200, plain("200"), "unclear"),
            (200, with("202", "settlement", "0.00"), "refused Declined"),
            (202, with("202", "settlement", "0.00"), "refused Declined"),
            (200, with("202", "settlement", "1.00"), "unclear"),
            (200, with("202", "settlement", "nothing"), "unclear"),
            (202, with("200", "refund", "1.00"), "unclear"),
            (202, with("200", "refund", "0.00"), "unclear"),
            (202, String::new(), "in progress"),
            (202, "{}".into(), "in progress"),
            (202, plain("200"), "in progress"),
            (200, plain("202"), "in progress"),
            (200, plain("406"), "duplicate"),
            (406, plain("406"), "duplicate"),
            (200, plain("412"), "refused Declined"),
            (200, plain("414"), "refused Declined"),
            (200, plain("404"), "refused Unknown"),
            (404, "{}".into(), "unclear"),
            (400, plain("400"), "refused InputData"),
            (401, plain("401"), "refused Misconfigured"),
            (401, String::new(), "refused Misconfigured"),
            (200, plain("402"), "refused Misconfigured"),
            (200, plain("410"), "refused Unknown"),
            (200, plain("413"), "refused InputData"),
            (429, String::new(), "refused Temporary"),
            (200, plain("500"), "unclear"),
            (500, with("200", "refund", "1.00"), "unclear"),
            (503, String::new(), "unclear"),
            (200, plain("407"), "unclear"),
            (400, with("200", "refund", "1.00"), "unclear"),
            (200, String::new(), "error"),
            (400, "<html>".into(), "error"),
        ] {
            let kind = match RefundReply::parse(http, body.as_bytes()) {
                Ok(RefundReply::Accepted(_)) => "accepted".to_owned(),
                Ok(RefundReply::Refused(refusal)) => format!("refused {:?}", refusal.cause),
                Ok(RefundReply::Duplicate) => "duplicate".to_owned(),
                Ok(RefundReply::InProgress) => "in progress".to_owned(),
                Ok(RefundReply::Unclear) => "unclear".to_owned(),
                Err(_) => "error".to_owned(),
            };
            assert_eq!(kind, expected, "HTTP {http}: {body}");
        }
    }
}
