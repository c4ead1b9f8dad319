//! Answer and notification bodies of the Core API, and where their codes are placed.

use std::borrow::Cow;

use gopay_core::money::Rupiah;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha512};
use uuid::Uuid;

use crate::api::ApiReply;

/// `order_id` + `status_code` + `gross_amount` + server key, hashed (`docs/midtrans.md`,
/// "Signature").
pub(crate) fn signature(
    order_id: &str,
    code: &str,
    gross_amount: &str,
    server_key: &str,
) -> String {
    let mut hash = Sha512::new();
    for part in [order_id, code, gross_amount, server_key] {
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// `44000.00`; a charge knows no other amounts than whole rupiah.
pub(crate) fn decimal(rupiah: u64) -> String {
    Rupiah::new(rupiah).map_or_else(|_| format!("{rupiah}.00"), Rupiah::decimal_text)
}

/// The HTTP status a body code travels under (`docs/midtrans.md`, "Status codes"). Most refusals
/// come under 200; for the codes without evidence (403, 405, 429, 503 to 505) it is their own
/// number, as HTTP means it.
pub(crate) const fn http_status(code: u16) -> u16 {
    match code {
        200 | 201 | 202 | 407 => 200,
        402 | 404 | 406 | 408 | 410 | 412 | 413 | 414 | 500 => 200,
        other => other,
    }
}

/// Fields of every success and every notification; absent ones are left out.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Body<'a> {
    pub(crate) status_code: &'a str,
    pub(crate) status_message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transaction_id: Option<String>,
    pub(crate) order_id: &'a str,
    pub(crate) merchant_id: &'a str,
    pub(crate) gross_amount: String,
    pub(crate) currency: &'a str,
    pub(crate) payment_type: &'a str,
    pub(crate) transaction_time: String,
    pub(crate) transaction_status: &'a str,
    pub(crate) fraud_status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expiry_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) settlement_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) payment_option_type: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel_response_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) channel_response_message: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) qris: Option<QrisFields<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refund_chargeback_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refund_chargeback_uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refund_amount: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refund_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) refunds: Vec<RefundEntry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) actions: Vec<Action>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom_field1: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom_field2: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom_field3: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<&'a Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) extra_info: Option<Value>,
    /// Fields that no documentation names.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) unknown: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signature_key: Option<String>,
}

impl Body<'_> {
    /// The same without what only GET status and notifications repeat.
    pub(crate) fn without_echo(self) -> Self {
        Self {
            custom_field1: None,
            custom_field2: None,
            custom_field3: None,
            metadata: None,
            ..self
        }
    }
}

/// What is added once the QR code was scanned (`docs/midtrans.md`, "Payload fields").
#[derive(Debug, Serialize)]
pub(crate) struct QrisFields<'a> {
    pub(crate) transaction_type: &'a str,
    pub(crate) issuer: &'a str,
    pub(crate) acquirer: &'a str,
    pub(crate) merchant_cross_reference_id: String,
}

/// One entry of `refunds[]`.
#[derive(Debug, Serialize)]
pub(crate) struct RefundEntry<'a> {
    pub(crate) refund_chargeback_id: u64,
    pub(crate) refund_chargeback_uuid: String,
    pub(crate) refund_amount: String,
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refund_key: Option<&'a str>,
    pub(crate) refund_method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bank_confirmed_at: Option<String>,
}

/// One entry of `actions[]`.
#[derive(Debug, Serialize)]
pub(crate) struct Action {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fields: Option<[&'static str; 0]>,
}

/// A refusal, before it becomes a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) http: u16,
    pub(crate) message: String,
    pub(crate) validation: Vec<String>,
    /// An answer of the gateway in front of the API: the message alone, without code and id.
    pub(crate) bare: bool,
}

#[derive(Serialize)]
struct BareBody<'a> {
    message: &'a str,
}

#[derive(Serialize)]
struct RefusalBody<'a> {
    status_code: String,
    status_message: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    validation_messages: &'a [String],
    id: String,
}

impl Refusal {
    pub(crate) fn new(code: u16, message: &str) -> Self {
        let message = message.to_owned();
        Self { code, http: http_status(code), message, validation: Vec::new(), bare: false }
    }

    pub(crate) fn under(self, http: u16) -> Self {
        Self { http, ..self }
    }

    /// The 400 that lists everything wrong with the request.
    pub(crate) fn invalid(validation: Vec<String>) -> Self {
        Self { validation, ..Self::new(400, "One or more parameters in the payload is invalid.") }
    }

    pub(crate) fn malformed() -> Self {
        Self::new(
            413,
            "The request cannot be processed due to malformed syntax in the request body",
        )
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            401,
            "Access denied, unauthorized: Transaction cannot be authorized with the current \
             client/server key.",
        )
    }

    pub(crate) fn unknown_transaction() -> Self {
        Self::new(404, "Transaction doesn't exist.")
    }

    pub(crate) fn wrong_state() -> Self {
        Self::new(412, "Transaction status cannot be updated.")
    }

    /// HTTP 500 without a `status_code`, as a charge without any field gets it: Midtrans' own tests
    /// of its Java, Python and Go clients expect it for `{}` and `null`.
    pub(crate) fn unexpected() -> Self {
        Self { bare: true, ..Self::new(500, "An unexpected error occurred").under(500) }
    }

    /// A path of Midtrans' that this simulator does not have, or no path of Midtrans' at all.
    pub(crate) fn unsupported_path(method: &str, path: &str) -> Self {
        let message = format!(
            "{method} {path:.100} does not exist here: this simulator supports one-time GoPay \
             payments only (charge, status, cancel, expire, refund)."
        );
        Self { http: 404, ..Self::new(404, &message) }
    }

    /// A bound of the simulator's memory is reached.
    pub(crate) fn full(what: &str) -> Self {
        Self::new(503, &format!("The simulator is full: {what}. Please retry later."))
    }

    pub(crate) fn internal() -> Self {
        Self::new(500, "Our system ran into an unexpected issue. Please retry.")
    }

    /// The answer; `id` is the reference for support.
    pub(crate) fn reply(&self, id: Uuid) -> ApiReply {
        if self.bare {
            return ApiReply::json(self.http, &BareBody { message: &self.message });
        }
        ApiReply::json(
            self.http,
            &RefusalBody {
                status_code: self.code.to_string(),
                status_message: &self.message,
                validation_messages: &self.validation,
                id: id.to_string(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_signature_vectors_hold() {
        for (code, expected) in [
            (
                "200",
                "5d0727f455e0929f6a68a578ebad1ff65897cf3872e4daa50cdb70d1c17da6abab66f1c286ecbbf56da1f755d9457da8c940cf50421c453e4cef73ebadd9d212",
            ),
            (
                "202",
                "14c90d943791ef730ffd895899812de7f322db8add67e3b4cd7e17c53ebbd9bb5c4a28afc710bb9b362c831615dc8df1ecbc678d7b2b251b466b8e33ac80baf4",
            ),
        ] {
            let computed = signature("PPGO-000001", code, "125000.00", "SB-Mid-server-EXAMPLE");
            assert_eq!(computed, expected, "{code}");
        }
    }

    #[test]
    fn codes_travel_under_the_documented_http_status() {
        for (code, http) in [
            (200, 200),
            (201, 200),
            (202, 200),
            (400, 400),
            (401, 401),
            (402, 200),
            (404, 200),
            (405, 405),
            (406, 200),
            (407, 200),
            (412, 200),
            (413, 200),
            (414, 200),
            (429, 429),
            (500, 200),
            (503, 503),
        ] {
            assert_eq!(http_status(code), http, "{code}");
        }
    }
}
