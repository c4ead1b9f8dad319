//! Settlement files, processing files and the journal as files, made by the built program out of a
//! store that was filled through its own methods.
#![allow(clippy::indexing_slicing, reason = "a missing key fails the test, as it should")]
#![allow(clippy::print_stderr, reason = "says what was not tested")]

mod shop;

mod days;
mod kills;
mod postgres;
mod python;
#[cfg(feature = "reconcile")]
mod quarter;
mod retain;
mod settle;
mod verify;
