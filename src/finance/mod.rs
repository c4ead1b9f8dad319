//! Between the store, the disk and `gopay_finance`: what reads the journal, sorts what was read in
//! bounded memory, and puts a set of files in its place whole or not at all.

pub(crate) mod adjustments;
pub(crate) mod approvals;
pub(crate) mod chain;
pub(crate) mod day;
pub(crate) mod desk;
pub(crate) mod events;
pub(crate) mod folder;
pub(crate) mod people;
pub(crate) mod position;
pub(crate) mod sort;
pub(crate) mod verify;
pub(crate) mod verify_day;
