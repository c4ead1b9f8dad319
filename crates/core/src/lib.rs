//! All rules of the adapter, and nothing else: values, states, both wire formats, translation and
//! signatures.
//!
//! Pure: no async, I/O, clock, randomness, environment or logging. Time, ids and terms are
//! arguments. Another program can use it as a library; `benches/` and `fuzz/` do.
//!
//! Reading order: values ([`money`], [`time`], [`ids`], [`account`], [`text`], [`country`]); rules
//! ([`doubt`], [`payment`], [`refund`], [`journal`], [`person`], [`rejection`]); the wire formats, which do not know each other
//! ([`ppro`], [`midtrans`]); and [`translate`], which knows both.
#![warn(missing_docs)]

pub mod account;
mod bytes;
pub mod country;
pub mod doubt;
pub mod ids;
pub mod journal;
mod link;
pub mod midtrans;
pub mod money;
pub mod payment;
pub mod person;
pub mod ppro;
pub mod refund;
pub mod rejection;
pub mod text;
pub mod time;
pub mod translate;
pub mod wipe;
mod words;
