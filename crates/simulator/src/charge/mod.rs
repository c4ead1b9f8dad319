//! The charge request: lenient about JSON types, strict about rules, every fault reported at once.

mod callback;
mod customer;
mod expiry;
mod items;
mod request;
#[cfg(test)]
mod tests;

use gopay_core::money::Rupiah;
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::lenient::{Object, Scalar};
use crate::validation::{Need, Violations};
use crate::wire::Refusal;
use request::{RawCharge, RawDetails};

/// The documented ceiling of a request, in characters.
pub(crate) const BODY_CHARS_MAX: usize = 16_000;
const ORDER_ID_CHARS_MAX: usize = 50;
const TEXT_CHARS_MAX: usize = 255;
/// Payment types that exist but that these merchants have not activated.
const OTHER_PAYMENT_TYPES: [&str; 19] = [
    "credit_card",
    "bank_transfer",
    "echannel",
    "permata",
    "bca_klikbca",
    "bca_klikpay",
    "bri_epay",
    "cimb_clicks",
    "danamon_online",
    "uob_ezpay",
    "shopeepay",
    "qris",
    "cstore",
    "akulaku",
    "kredivo",
    "dana",
    "ovo",
    "googlepay",
    "gci",
];

/// A charge that passed validation.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) order_id: String,
    pub(crate) gross_amount: u64,
    pub(crate) expires_at: Timestamp,
    pub(crate) callback: Callback,
    pub(crate) echo: Option<Box<Echo>>,
}

/// Whether the app leads back, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    Off,
    Dashboard,
    Url(String),
}

/// What is repeated in GET status and in notifications.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Echo {
    pub(crate) custom_fields: [Option<String>; 3],
    pub(crate) metadata: Option<Map<String, Value>>,
}

/// Reads and checks a charge body.
pub(crate) fn parse(body: &[u8], now: Timestamp, item_limit: bool) -> Result<Charge, Refusal> {
    if too_long(body) {
        return Err(Refusal::malformed());
    }
    if body.trim_ascii().is_empty() {
        return Err(Refusal::invalid(vec!["payment_type is required".to_owned()]));
    }
    if has_no_field(body) {
        return Err(Refusal::unexpected());
    }
    let Object::Good(raw) =
        serde_json::from_slice::<Object<RawCharge<'_>>>(body).map_err(|_| Refusal::malformed())?
    else {
        return Err(Refusal::malformed());
    };
    raw.check(now, item_limit)
}

/// `null` and `{}`, blanks aside. A body of no bytes at all is another case, whose answer no public
/// source shows: it gets the list of what is missing.
fn has_no_field(body: &[u8]) -> bool {
    let text = body.trim_ascii();
    let inside = text.strip_prefix(b"{").and_then(|rest| rest.strip_suffix(b"}"));
    text == b"null" || inside.is_some_and(|inside| inside.trim_ascii().is_empty())
}

/// The size limit is in characters; counting them is only needed near the limit.
pub(crate) fn too_long(body: &[u8]) -> bool {
    body.len() > BODY_CHARS_MAX && String::from_utf8_lossy(body).chars().count() > BODY_CHARS_MAX
}

/// The order id of a charge body, for faults that wait for a certain one.
pub(crate) fn order_id_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Peek {
        transaction_details: PeekDetails,
    }
    #[derive(Deserialize)]
    struct PeekDetails {
        order_id: String,
    }
    serde_json::from_slice::<Peek>(body).ok().map(|peek| peek.transaction_details.order_id)
}

impl RawCharge<'_> {
    fn check(self, now: Timestamp, item_limit: bool) -> Result<Charge, Refusal> {
        let mut violations = Violations::default();
        self.check_payment_type(&mut violations)?;
        let (order_id, gross_amount) = check_details(self.transaction_details, &mut violations);
        items::check(self.item_details, gross_amount, item_limit, &mut violations);
        customer::check(self.customer_details, &mut violations);
        let callback = callback::check(self.gopay, &mut violations);
        let expires_at = expiry::check(self.custom_expiry, now, &mut violations);
        let custom_fields = [
            violations.text(self.custom_field1, || "custom_field1", TEXT_CHARS_MAX),
            violations.text(self.custom_field2, || "custom_field2", TEXT_CHARS_MAX),
            violations.text(self.custom_field3, || "custom_field3", TEXT_CHARS_MAX),
        ];
        let metadata = violations.object(self.metadata, "metadata");
        if !violations.0.is_empty() {
            return Err(Refusal::invalid(violations.0));
        }
        let echo = (metadata.is_some() || custom_fields.iter().any(Option::is_some))
            .then(|| Box::new(Echo { custom_fields, metadata }));
        Ok(Charge { order_id, gross_amount: gross_amount.unwrap_or(0), expires_at, callback, echo })
    }

    fn check_payment_type(&self, violations: &mut Violations) -> Result<(), Refusal> {
        match &self.payment_type {
            Some(Scalar::Text(kind)) if kind == "gopay" => {}
            Some(Scalar::Text(kind)) if OTHER_PAYMENT_TYPES.contains(&kind.as_ref()) => {
                return Err(Refusal::new(402, "Payment channel is not activated."));
            }
            None => violations.add("payment_type is required"),
            Some(Scalar::Text(kind)) if kind.is_empty() => {
                violations.add("payment_type is required")
            }
            Some(_) => violations.add("payment_type is not supported"),
        }
        Ok(())
    }
}

fn check_details(
    details: Option<Object<RawDetails<'_>>>,
    violations: &mut Violations,
) -> (String, Option<u64>) {
    let Some(details) = details else {
        violations.add("transaction_details is required");
        return (String::new(), None);
    };
    let Some(details) = violations.object(Some(details), "transaction_details") else {
        return (String::new(), None);
    };
    let absent = details.order_id.as_ref().is_none_or(Scalar::is_empty);
    let order_id = violations
        .text(details.order_id, || "transaction_details.order_id", ORDER_ID_CHARS_MAX)
        .unwrap_or_default();
    if absent {
        violations.add("transaction_details.order_id is required");
    } else if !order_id.bytes().all(is_order_id_byte) {
        violations.add("transaction_details.order_id contains characters that are not allowed");
    }
    let gross_amount = match violations.whole(
        details.gross_amount.as_ref(),
        || "transaction_details.gross_amount",
        Need::Required,
    ) {
        None => None,
        Some(amount) if amount < 1 => {
            violations.add("transaction_details.gross_amount must be greater than or equal to 1");
            None
        }
        Some(amount) => match u64::try_from(amount).ok().filter(|amount| *amount <= Rupiah::MAX) {
            None => {
                violations.add("transaction_details.gross_amount is above the limit of 20000000");
                None
            }
            fitting => fitting,
        },
    };
    (order_id, gross_amount)
}

const fn is_order_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.')
}
