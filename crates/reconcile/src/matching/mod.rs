//! Matching: who has what, and how it differs.

pub(crate) mod bank;
pub(crate) mod join;
pub(crate) mod payouts;
pub(crate) mod transactions;
