//! Both directions of the translation between PPRO's Simple API and Midtrans. Knows both wire
//! formats; nobody else does.
//!
//! [`charge`](mod@charge) goes there: a checked TRANSACTION becomes the body of a charge.
//! [`outcome`] comes back: what Midtrans answers becomes an event of the payment, a PPRO reason, or
//! the next thing to do.

pub mod charge;
pub mod outcome;
mod refused_field;

pub use refused_field::refused_field;

pub use charge::{
    BODY_BYTES_MAX, ChargeTerms, charge, printable_descriptor, translate, translate_into,
};
