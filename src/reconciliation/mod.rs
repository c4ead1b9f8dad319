//! Between the store, the disk and `gopay_reconcile`: the journal, terms and transfers of a config,
//! and where the history of runs is kept.

pub(crate) mod config;
pub(crate) mod folder;
pub(crate) mod results;
pub(crate) mod review;
pub(crate) mod stored;
