//! Settlement files, processing files, and the journal as files.
//!
//! Pure: no clock, no randomness, no store, no file; rows go to an [`std::io::Write`]. What a
//! settlement is made of is a [`basis::Basis`] (terms, rate, what was carried forward) and its money
//! events, in order; both are stored when a period is closed, so that the same files can be made
//! again at any time.
//!
//! Not here: which entries of the journal were read, how a set of files becomes one on a disk, the
//! config. See `src/finance` of the program.
//!
//! Reading order: [`amount`], [`calendar`], [`period`], [`rates`], [`form`], [`terms`] (values);
//! [`event`], [`membership`] (which events); [`history`] (what may not change); [`basis`], [`tally`], [`balance`] (amounts);
//! [`table`], [`set`], [`manifest`], [`invoice`], [`pdf`] (files); [`verify`]; [`journal_file`], [`processing`], [`day`],
//! [`ledger`] (the other files).

pub mod amount;
pub mod balance;
pub mod basis;
pub mod calendar;
pub mod day;
pub mod event;
pub mod form;
pub mod history;
pub mod invoice;
pub mod journal_file;
pub mod ledger;
pub mod manifest;
pub mod membership;
pub mod pdf;
pub mod period;
pub mod processing;
pub mod rates;
pub mod set;
pub mod table;
pub mod tally;
pub mod terms;
pub mod verify;

pub use gopay_store::SettlementAccount;
