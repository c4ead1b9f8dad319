//! The store on SQLite: one file, one writer that groups steps into commits, a few readers.
//!
//! A step is sent to the writer's thread, which takes all the steps that wait, runs them in one
//! transaction, commits once, and only then answers. So a durable step costs a share of one
//! `fsync`. If a step fails, all are rolled back and run again, each in a savepoint, so that it
//! takes no other with it. Reads run on threads of their own and see every step that was answered.
//!
//! After a commit failed, nothing is known about what the disk holds. All steps and reads are
//! answered [`StoreError::Down`](gopay_store::StoreError::Down) until the file was opened and read again. The same holds when the
//! file that is open is not the one that the next start would open, or another program wrote to it:
//! before a group is answered, the writer looks whether it still is, and is as it was left.
//!
//! Not here: rules. A row becomes a value, a pure function of `gopay_core` or
//! [`gopay_store::engine`] decides, and what it returned is written.
//!
//! Reading order: `payments`, `refunds`, `deliveries`, `reclaim`, `events`, `journal`, `lists`, `sums`, `settlements`, `reconciliations` (SQL); `query`
//! (statements and their rows), `error`; `store` (the methods); `job`, `writer`, `copier`, `readers` (threads);
//! `file` (lock, pragmas, recovery), `held` and `wal` (which files they are, and that nobody else wrote to them),
//! `beside`, `schema`, `backup`, `copy`.

mod archives;
mod backup;
mod beside;
mod copier;
mod copy;
mod deliveries;
mod directory;
mod error;
mod events;
mod file;
mod held;
mod job;
mod journal;
mod lists;
mod options;
mod orders;
mod payments;
mod personal;
mod query;
mod readers;
mod reclaim;
mod reconciliations;
mod refunds;
mod schema;
mod session;
mod settlements;
mod store;
mod sums;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

pub use copy::{SqliteSource, SqliteTarget};
pub use error::NoStore;
pub use options::Options;
pub use store::{Counters, SqliteStore};
