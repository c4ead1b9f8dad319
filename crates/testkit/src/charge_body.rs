//! The body of a charge as `serde` writes it, for both ways that have a struct for it.

use std::borrow::Cow;

use gopay_core::translate::ChargeTerms;
use serde::Serialize;

/// A charge; `P` is what prices are.
#[derive(Serialize)]
pub(crate) struct Charge<'a, P> {
    pub(crate) payment_type: &'static str,
    pub(crate) transaction_details: TransactionDetails,
    pub(crate) item_details: Vec<ItemDetails<'a, P>>,
    pub(crate) customer_details: CustomerDetails<'a>,
    pub(crate) gopay: GoPay<'a>,
    pub(crate) custom_expiry: CustomExpiry,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) custom_field1: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct TransactionDetails {
    pub(crate) order_id: String,
    pub(crate) gross_amount: u64,
}

#[derive(Serialize)]
pub(crate) struct ItemDetails<'a, P> {
    pub(crate) price: P,
    pub(crate) quantity: i64,
    pub(crate) name: Cow<'a, str>,
}

#[derive(Serialize)]
pub(crate) struct CustomerDetails<'a> {
    pub(crate) first_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Address::is_empty")]
    pub(crate) billing_address: Address<'a>,
    #[serde(skip_serializing_if = "Address::is_empty")]
    pub(crate) shipping_address: Address<'a>,
}

#[derive(PartialEq, Default, Serialize)]
pub(crate) struct Address<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) city: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) postal_code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) country_code: Option<&'static str>,
}

impl Address<'_> {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Serialize)]
pub(crate) struct GoPay<'a> {
    pub(crate) enable_callback: bool,
    pub(crate) callback_url: &'a str,
}

#[derive(Serialize)]
pub(crate) struct CustomExpiry {
    pub(crate) order_time: String,
    pub(crate) expiry_duration: u64,
    pub(crate) unit: &'static str,
}

impl TransactionDetails {
    pub(crate) fn of(terms: &ChargeTerms<'_>, gross_amount: u64) -> Self {
        Self { order_id: terms.order_id.to_string(), gross_amount }
    }
}

impl<'a> GoPay<'a> {
    pub(crate) fn of(terms: &ChargeTerms<'a>, callback_url: Option<&'a str>) -> Self {
        Self { enable_callback: true, callback_url: callback_url.unwrap_or(terms.return_url) }
    }
}

impl CustomExpiry {
    pub(crate) fn of(terms: &ChargeTerms<'_>) -> Self {
        Self {
            order_time: terms.order_time.wib_seconds_with_offset(),
            expiry_duration: terms.session.as_secs(),
            unit: "second",
        }
    }
}

/// Midtrans' limit of a body.
pub(crate) const BODY_BYTES_MAX: usize = 16_000;

/// What the line that stands for the others may take.
pub(crate) const FOLDED_BYTES: usize = 120;

pub(crate) fn first_chars(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let end = text.char_indices().nth(max).map_or(text.len(), |(end, _)| end);
    text.get(..end).unwrap_or(text)
}

pub(crate) fn descriptor(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|char| !char.is_control()).collect();
    let short = first_chars(clean.trim(), 255).trim_end();
    (!short.is_empty()).then(|| short.to_owned())
}
