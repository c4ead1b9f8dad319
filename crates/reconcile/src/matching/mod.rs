//! Matching: who has what, and how it differs.

pub(crate) mod join;
pub(crate) mod transactions;
