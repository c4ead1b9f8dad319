//! The store on PostgreSQL, for several instances that share the work.
//!
//! A step is one transaction on one connection of a bounded pool, in one or two round trips:
//! single statements where the database can decide alone, and otherwise `BEGIN` with a read that
//! locks the row, then the writes with `COMMIT`. Steps that were in each other's way are run
//! again. Workers claim with `SKIP LOCKED`, so that any number of instances share the queues.
//!
//! The steps of which there are many (creations, events, answers, notes, checks, tries of
//! deliveries) do not go alone when others are on their way. They wait, and go together in one
//! transaction, with one statement for all rows of a table. A group skips rows that others hold,
//! and so waits for no other transaction but for one that inserts the same nonce. A step that finds
//! its row missing, held or unreadable goes alone afterwards, as do all if a statement fails. So
//! each is answered as if there were no groups; only when the connection breaks during `COMMIT`
//! is a whole group told that nobody knows.
//!
//! Not here: rules. A row becomes a value, a pure function of `gopay_core` or
//! [`gopay_store::engine`] decides, and what it returned is written.
//!
//! Reading order: `payments`, `refunds`, `deliveries`, `events`, `journal`, `lists`, `sums` (SQL); `row`
//! (rows to values and back); `session` (transactions), `statement`, `error`; `shards` (first in every key); `store` (alone or in a group),
//! `pool` (who may run), `group` (steps that go together); `connect`, `hosts` (which of them serves), `reach` (what
//! becomes of connections when none does), `schema`, `lease` (on the instance's
//! number), `fence`, `holder` (whether it lives), `copy`; with the feature `cluster`, a PostgreSQL for tests.

mod archives;
#[cfg(feature = "cluster")]
pub mod cluster;
mod connect;
mod copy;
mod deliveries;
mod directory;
mod error;
mod events;
mod fence;
mod group;
mod holder;
mod hosts;
mod journal;
mod lease;
mod lists;
mod options;
mod orders;
mod payments;
mod personal;
mod pool;
#[cfg(feature = "cluster")]
mod pooler;
mod reach;
mod reclaim;
mod reconciliations;
mod refunds;
mod row;
mod schema;
mod session;
mod settlements;
mod shards;
mod statement;
mod statistics;
mod store;
mod sums;

pub use connect::DatabaseUrl;
pub use copy::{PgSource, PgTarget};
pub use lease::NumberLease;
pub use options::Options;
#[cfg(feature = "cluster")]
pub use pooler::Pooler;
pub use store::PgStore;
