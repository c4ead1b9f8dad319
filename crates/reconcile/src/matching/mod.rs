//! Matching: who has what, and how it differs.

pub(crate) mod bank;
pub(crate) mod checks;
pub(crate) mod chunks;
pub(crate) mod context;
pub(crate) mod join;
pub(crate) mod payouts;
pub(crate) mod seen;
pub(crate) mod tally;
pub(crate) mod transactions;
