//! The answer to a charge: does a payment exist now?

use super::ReplyError;
use super::code::{StatusCode, spoken};
use super::order_id::OrderId;
use super::refusal::{Refusal, is_duplicate};
use super::tx_id::MidtransTxId;
use super::wire::Wire;
use super::words::{FraudStatus, TransactionStatus};
use crate::money::Rupiah;
use crate::time::Timestamp;

/// What Midtrans said to a charge.
///
/// `Denied` and `Refused` are certain: nobody can pay. All that is not certain is `Unclear`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChargeReply {
    /// The payment waits for the shopper.
    Created(Created),
    /// GoPay or the fraud check said no; Midtrans keeps a transaction in the final state `deny`.
    Denied(Refusal),
    /// Midtrans did not take the request; no transaction exists.
    Refused(Refusal),
    /// The first request with this idempotency key still runs: ask again later, same key.
    InProgress,
    /// A transaction with this `order_id` exists or is being made: ask for its status.
    Duplicate,
    /// The transaction may or may not exist: ask for its status.
    Unclear,
}

/// A payment that the shopper can now make.
#[derive(Clone, PartialEq, Eq)]
pub struct Created {
    /// Midtrans' number of the payment; the safe one to ask with.
    pub midtrans_tx_id: MidtransTxId,
    /// The echo of our number; the caller compares.
    pub order_id: OrderId,
    /// The echo of the amount; the caller compares.
    pub gross: Rupiah,
    /// Where to send the shopper. Safe in a `Location` header; never `javascript:` and the like.
    pub deeplink: Option<String>,
    /// When GoPay stops taking the payment.
    pub expiry_time: Option<Timestamp>,
}

crate::shows_nothing!("Created", Created);

impl ChargeReply {
    /// Reads an answer to `POST /v2/charge`.
    ///
    /// ```
    /// use gopay_core::midtrans::ChargeReply;
    /// let reply = ChargeReply::parse(200, br#"{"status_code":"406"}"#);
    /// assert_eq!(reply, Ok(ChargeReply::Duplicate));
    /// assert!(ChargeReply::parse(200, b"<html>").is_err());
    /// ```
    ///
    /// # Errors
    /// [`ReplyError`] if the answer cannot be read; the payment may or may not exist.
    pub fn parse(http_status: u16, body: &[u8]) -> Result<Self, ReplyError> {
        let wire = Wire::read(http_status, body)?;
        let Some(code) = spoken(http_status, wire.code()) else {
            return Ok(Self::Unclear);
        };
        let exists = matches!(code.get(), 200 | 201);
        if !exists && is_duplicate(wire.provider_code()) {
            return Ok(Self::Duplicate);
        }
        Ok(match code.get() {
            200..=202 if is_denied(&wire, code) => Self::Denied(wire.refusal(code)),
            // HTTP 202, as opposed to a 202 in the body, speaks of the idempotency key.
            200..=202 if http_status == 202 => Self::InProgress,
            200 | 201 => Self::created(&wire)?,
            202 => Self::InProgress,
            400 | 401 | 402 | 404 | 405 | 408 | 410 | 413 | 429 => {
                Self::Refused(wire.refusal(code))
            }
            406 => Self::Duplicate,
            _ => Self::Unclear,
        })
    }

    /// A transaction exists; whether it can be paid depends on its status.
    fn created(wire: &Wire<'_>) -> Result<Self, ReplyError> {
        use TransactionStatus as T;
        let payable = match wire.status() {
            None | Some(T::Pending | T::Settlement | T::Capture | T::Authorize) => true,
            Some(
                T::Deny
                | T::Cancel
                | T::Expire
                | T::Failure
                | T::Refund
                | T::PartialRefund
                | T::Chargeback
                | T::PartialChargeback
                | T::Unknown(_),
            ) => false,
        };
        if !payable || wire.fraud() == Some(FraudStatus::Deny) {
            return Ok(Self::Unclear);
        }
        Ok(Self::Created(Created {
            midtrans_tx_id: wire.tx_id()?,
            order_id: wire.order_id()?,
            gross: wire.gross()?,
            deeplink: wire.deeplink(),
            expiry_time: wire.expiry_time.time(),
        }))
    }
}

/// `fraud_status` alone denies only together with code 202 (provider error 4060).
fn is_denied(wire: &Wire<'_>, code: StatusCode) -> bool {
    wire.status() == Some(TransactionStatus::Deny)
        || (code.get() == 202 && wire.fraud() == Some(FraudStatus::Deny))
}

#[cfg(test)]
mod tests {
    use super::super::refusal::RefusalCause;
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/midtrans");
        std::fs::read(format!("{folder}/{name}")).unwrap()
    }

    fn created(body: &[u8]) -> Created {
        match ChargeReply::parse(200, body) {
            Ok(ChargeReply::Created(created)) => created,
            other => panic!("not created: {other:?}"),
        }
    }

    #[test]
    fn the_documented_answers_are_created_payments() {
        for name in [
            "charge-created-docs-core-api-e-wallet.json",
            "charge-created-mt-alt-doc-core-api-gopay.json",
        ] {
            assert_eq!(
                created(&fixture(name)),
                Created {
                    midtrans_tx_id: MidtransTxId::new("231c79c5-e39e-4993-86da-cadcaee56c1d")
                        .unwrap(),
                    order_id: OrderId::NotOurs,
                    gross: Rupiah::new(44_000).unwrap(),
                    deeplink: Some(
                        "https://simulator.sandbox.midtrans.com/gopay/ui/checkout\
                         ?referenceid=Y0xwjoQ9uy&callback_url=someapps%3A%2F%2Fcallback\
                         %3Forder_id%3Dorder-101h-1570513296"
                            .into()
                    ),
                    expiry_time: None,
                },
                "{name}"
            );
        }
        let pos = created(&fixture("charge-created-mt-alt-doc-gopay-qris-pos.json"));
        assert_eq!(pos.gross, Rupiah::new(10_000).unwrap());
        assert_eq!(
            pos.deeplink.as_deref(),
            Some(
                "gojek://gopay/merchanttransfer?tref=1509110800474199656LMVO&amount=10000\
                 &activity=GP:RR&callback_url=someapps://callback?order_id=SAMPLE-ORDER-ID-01"
            )
        );
    }

    #[test]
    fn numbers_for_strings_and_new_fields_change_nothing() {
        let created = created(
            br#"{"status_code":201,"transaction_id":"A1","order_id":7,"gross_amount":100.00,
                "expiry_time":"2025-06-21 15:34:20","new":{"a":1},
                "actions":[{"name":"deeplink-redirect","url":"https://gopay.co.id/a"}]}"#,
        );
        assert_eq!(created.order_id, OrderId::from_wire("7"));
        assert_eq!(created.gross, Rupiah::new(100).unwrap());
        assert_eq!(created.expiry_time, Timestamp::from_wib_seconds("2025-06-21 15:34:20").ok());
        assert_eq!(created.deeplink.as_deref(), Some("https://gopay.co.id/a"));
    }

    /// What a test case expects, without the texts.
    #[derive(Debug, PartialEq)]
    enum Is {
        Created,
        Denied(RefusalCause),
        Refused(RefusalCause),
        InProgress,
        Duplicate,
        Unclear,
        Error(ReplyError),
    }

    fn kind(http: u16, body: &str) -> Is {
        match ChargeReply::parse(http, body.as_bytes()) {
            Ok(ChargeReply::Created(_)) => Is::Created,
            Ok(ChargeReply::Denied(refusal)) => Is::Denied(refusal.cause),
            Ok(ChargeReply::Refused(refusal)) => Is::Refused(refusal.cause),
            Ok(ChargeReply::InProgress) => Is::InProgress,
            Ok(ChargeReply::Duplicate) => Is::Duplicate,
            Ok(ChargeReply::Unclear) => Is::Unclear,
            Err(error) => Is::Error(error),
        }
    }

    #[test]
    fn whether_a_payment_exists_is_told_apart_from_whether_it_may() {
        use RefusalCause as C;
        let whole = |code: &str, rest: &str| {
            format!(
                r#"{{"status_code":"{code}","transaction_id":"A1","order_id":"1",
                    "gross_amount":"100.00"{rest}}}"#
            )
        };
        let coded = |code: &str, provider: &str| {
            format!(r#"{{"status_code":"{code}","channel_response_code":"{provider}"}}"#)
        };
        let deny = |provider: &str| {
            format!(
                r#"{{"status_code":"202","transaction_status":"deny",
                    "channel_response_code":"{provider}"}}"#
            )
        };
        let plain = |code: &str| format!(r#"{{"status_code":"{code}"}}"#);
        let pending = r#","transaction_status":"pending""#;
        for (http, body, expected) in [
            (200, whole("201", pending), Is::Created),
            (201, whole("201", pending), Is::Created),
            (200, whole("200", pending), Is::Created),
            (200, whole("201", ""), Is::Created),
            (200, whole("201", r#","transaction_status":"settlement""#), Is::Created),
            (200, whole("201", r#","transaction_status":"deny""#), Is::Denied(C::Unknown)),
            (200, whole("201", r#","transaction_status":"expire""#), Is::Unclear),
            (200, whole("201", r#","transaction_status":"novel""#), Is::Unclear),
            (200, whole("201", r#","fraud_status":"deny""#), Is::Unclear),
            (202, whole("201", pending), Is::InProgress),
            (202, String::new(), Is::InProgress),
            (202, "{}".into(), Is::InProgress),
            (200, plain("202"), Is::InProgress),
            (200, deny("201"), Is::Denied(C::Declined)),
            (202, deny("201"), Is::Denied(C::Declined)),
            (200, deny("900"), Is::Denied(C::Temporary)),
            (200, deny("2901"), Is::Duplicate),
            (
                200,
                r#"{"status_code":"202","fraud_status":"deny","channel_response_code":"4060"}"#
                    .into(),
                Is::Denied(C::Declined),
            ),
            (400, plain("400"), Is::Refused(C::InputData)),
            (200, plain("400"), Is::Refused(C::InputData)),
            (400, "{}".into(), Is::Refused(C::InputData)),
            (400, coded("402", "1703"), Is::Refused(C::Misconfigured)),
            (400, coded("400", "1703"), Is::Refused(C::Misconfigured)),
            (401, plain("401"), Is::Refused(C::Misconfigured)),
            (401, "Unauthorized".into(), Is::Refused(C::Misconfigured)),
            (200, coded("402", "303"), Is::Refused(C::Misconfigured)),
            (200, coded("402", "112"), Is::Refused(C::Declined)),
            (200, plain("404"), Is::Refused(C::Declined)),
            (200, coded("404", "101"), Is::Refused(C::Declined)),
            (404, r#"{"message":"no route"}"#.into(), Is::Unclear),
            (200, plain("413"), Is::Refused(C::InputData)),
            (429, "slow down".into(), Is::Refused(C::Temporary)),
            (200, plain("429"), Is::Refused(C::Temporary)),
            (200, plain("406"), Is::Duplicate),
            (406, plain("406"), Is::Duplicate),
            (200, coded("406", "132"), Is::Duplicate),
            (200, coded("400", "2901"), Is::Duplicate),
            (200, coded("500", "900"), Is::Unclear),
            (500, plain("400"), Is::Unclear),
            (502, "<html>".into(), Is::Unclear),
            (503, String::new(), Is::Unclear),
            (200, plain("504"), Is::Unclear),
            (200, plain("403"), Is::Unclear),
            (200, plain("407"), Is::Unclear),
            (200, plain("412"), Is::Unclear),
            (200, plain("300"), Is::Unclear),
            (302, whole("201", pending), Is::Unclear),
            (400, whole("201", pending), Is::Unclear),
            (200, "<html>".into(), Is::Error(ReplyError::NotJson)),
            (400, "<html>".into(), Is::Error(ReplyError::NotJson)),
            (404, "<html>".into(), Is::Error(ReplyError::NotJson)),
            (200, plain("201"), Is::Error(ReplyError::Missing("transaction_id"))),
            (200, "{}".into(), Is::Error(ReplyError::Missing("transaction_id"))),
            (
                200,
                r#"{"status_code":"201","transaction_id":"a/b"}"#.into(),
                Is::Error(ReplyError::Malformed("transaction_id")),
            ),
            (
                200,
                r#"{"status_code":"201","transaction_id":"A1","order_id":"1"}"#.into(),
                Is::Error(ReplyError::Missing("gross_amount")),
            ),
            (
                200,
                whole("201", "").replace("100.00", "100.50"),
                Is::Error(ReplyError::Malformed("gross_amount")),
            ),
        ] {
            assert_eq!(kind(http, &body), expected, "HTTP {http}: {body}");
        }
    }

    #[test]
    fn a_refusal_says_why_within_bounds() {
        let long = "x".repeat(1_000);
        let body = format!(
            r#"{{"status_code":"400","status_message":"One or more\n parameters {long}",
                "validation_messages":["{long}",7,"gross amount is not equal",
                "3","4","5","6","7","8","9","10","11","12"],"id":"a1"}}"#
        );
        let Ok(ChargeReply::Refused(refusal)) = ChargeReply::parse(400, body.as_bytes()) else {
            panic!("not refused");
        };
        assert_eq!(refusal.status_code.get(), 400);
        assert!(refusal.message.starts_with("One or more  parameters x"));
        assert_eq!(refusal.message.chars().count(), Refusal::TEXT_CHARS_MAX);
        assert_eq!(refusal.validation.len(), Refusal::VALIDATION_LINES_MAX);
        assert_eq!(refusal.validation[0].len(), Refusal::TEXT_CHARS_MAX);
        assert_eq!(refusal.validation[1], "gross amount is not equal");
    }
}
