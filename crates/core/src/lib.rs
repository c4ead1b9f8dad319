//! All rules of the adapter, and nothing else: values, states, both wire formats, translation and
//! signatures.
//!
//! Pure: no async, I/O, clock, randomness, environment or logging. Time, ids and terms are
//! arguments. Another program can use it as a library; `benches/` and `fuzz/` do.
//!
//! Reading order: [`money`], [`time`], [`ids`], then [`midtrans`] (a wire format).
#![warn(missing_docs)]

pub mod ids;
pub mod midtrans;
pub mod money;
pub mod payment;
pub mod refund;
pub mod time;
