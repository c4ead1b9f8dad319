//! Calls of PSPs: one entry, then a file a use case.

mod call;
mod cancel;
mod durable;
mod form;
mod refund;
mod status;
mod transaction;
