//! What tests, benches and the load tool are made of. Never part of the product.
//!
//! [`sample`] has payments and refunds, [`payloads`] the bodies of calls that are measured,
//! [`Dice`] all chance of a test from its seed. With the feature `baseline`, `baseline` is the
//! obvious way to translate a call, `ready_made` the best that ready-made crates give, `product` what
//! the product's own way gets beside the body, and `respelled` other spellings of one body. With the feature `authority`, `authority` signs certificates. With the feature `wait`,
//! `wait` has every way in which a test waits for others. [`not_tested`] says what a machine lacks.
//!
//! It decides nothing about what is right: what a test compares with, it computes by itself.

#[cfg(feature = "authority")]
pub mod authority;
#[cfg(feature = "baseline")]
pub mod baseline;
#[cfg(feature = "baseline")]
mod charge_body;
mod dice;
pub mod payloads;
#[cfg(feature = "baseline")]
pub mod product;
#[cfg(feature = "baseline")]
pub mod ready_made;
#[cfg(feature = "baseline")]
pub mod respelled;
pub mod sample;
mod tested;
#[cfg(feature = "wait")]
pub mod wait;

pub use dice::Dice;
pub use tested::not_tested;
