//! Drives the built program as a PSP, a shopper and an operator would, over HTTP: a module a use
//! case. `GOPAY_TEST_STORE=postgres` runs all of it on PostgreSQL, `GOPAY_TEST_STORE=parts` with tables in parts.
#![allow(clippy::indexing_slicing, reason = "a missing key fails the test, as it should")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod attention;
mod book;
mod certify;
mod cli;
mod console;
mod directory;
mod documents;
mod exposed;
mod failover;
mod feed;
mod instances;
mod life_of_a_payment;
mod listen;
mod memory;
mod notifications;
mod observed;
mod official_client;
mod pages;
mod reconcile;
mod redeliver;
mod refunds;
mod released;
mod requests;
mod samples;
mod schemas;
mod sealed;
mod simple_api;
mod smoke;
mod snippets;
mod traces;
mod two_clients;
