//! The product's own call: form bytes in, charge JSON out, with every buffer reused.
#![allow(dead_code, reason = "each user takes a part")]

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::ppro::call::{TxType, open};
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::transaction::{Terms, check};
use gopay_core::rejection::{First, Rejection};
use gopay_core::time::Timestamp;
use gopay_core::translate::{ChargeTerms, charge};

/// What both ways are told beside the body.
pub(crate) fn charge_terms() -> ChargeTerms<'static> {
    ChargeTerms {
        order_id: TxId::new(123_887_123).expect("a positive number"),
        order_time: Timestamp::from_rfc3339("2025-06-21T08:34:20Z").expect("a constant time"),
        session: Duration::from_secs(3_600),
        return_url: "https://pay.example/return/gopay/123887123/",
    }
}

/// Decodes, checks in full and translates; the charge is in `out`.
pub(crate) fn translate(
    body: &[u8],
    terms: Terms,
    charge_terms: &ChargeTerms<'_>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<(), Option<Rejection>> {
    let (form, items) = Form::decode(body, scratch);
    if open(&form).map_err(Some)?.tx_type != TxType::Transaction {
        return Err(None);
    }
    let mut first = First::default();
    let order = check(&form, items, terms, &mut first).ok_or(first.0)?;
    charge(&order, charge_terms, out);
    Ok(())
}
