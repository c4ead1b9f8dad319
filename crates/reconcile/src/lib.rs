//! Reconciliation: our journal against Midtrans' transactions and payouts and the bank's
//! statements. Each row ends matched, counted apart, or as one break with both values, the likely
//! cause, the age, the money at risk, and a name that stays in later runs.
//!
//! Pure but for the files that it is told to read: no clock (the day is an argument), no network,
//! no store. Amounts are exact; nothing is guessed: what can be read or matched in two ways is
//! refused or reported.
//!
//! In reading order: [`money`], [`date`], [`ids`] (values); [`input`] (files to rows);
//! [`journal`] and the reports (rows to records); matching; [`breaks`], [`covered`],
//! [`edited`], [`history`]; the outputs.
#![warn(missing_docs)]

pub mod bank;
pub mod breaks;
pub mod covered;
pub mod date;
pub mod edited;
pub mod history;
pub mod history_files;
pub mod ids;
pub mod input;
pub mod journal;
mod matching;
pub mod money;
pub mod options;
pub mod output;
mod payouts;
pub mod reports;
pub mod run;
pub mod statements;
pub mod tie_out;
pub mod transfers;
mod words;
