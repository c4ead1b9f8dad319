//! What the product's own call is told beside the body.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_core::translate::ChargeTerms;

/// The same for both ways.
///
/// # Panics
/// Never: the texts are constants.
#[must_use]
pub fn charge_terms() -> ChargeTerms<'static> {
    ChargeTerms {
        order_id: TxId::new(123_887_123).expect("a positive number"),
        order_time: Timestamp::from_rfc3339("2025-06-21T08:34:20Z").expect("a constant time"),
        session: Duration::from_secs(3_600),
        return_url: "https://pay.example/return/gopay/123887123/",
    }
}
