//! What tests, benches and the load tool are made of. Never part of the product.
//!
//! [`sample`] has payments and refunds, [`payloads`] the bodies of calls that are measured,
//! [`Dice`] all chance of a test from its seed. With the feature `baseline`, `baseline` is the
//! obvious way to translate a call, and `product` what the product's own way is told beside the
//! body. With the feature `authority`, `authority` signs certificates.
//!
//! It decides nothing about what is right: what a test compares with, it computes by itself.

#[cfg(feature = "authority")]
pub mod authority;
#[cfg(feature = "baseline")]
pub mod baseline;
mod dice;
pub mod payloads;
#[cfg(feature = "baseline")]
pub mod product;
pub mod sample;

pub use dice::Dice;
