//! The system tests of notifications and refunds once more, with the store on PostgreSQL.
//! `GOPAY_TEST_STORE=postgres cargo test` runs all the others on it too.
#![allow(clippy::duplicate_mod, reason = "each of the files brings the support that it needs")]

#[path = "notifications.rs"]
mod notifications;
#[path = "refunds.rs"]
mod refunds;
