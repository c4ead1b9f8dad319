//! The store of payments: its traits, its records and errors, and (feature `contract`) the suite
//! that every engine must pass.
//!
//! A method is one database transaction and one step of a use case: the new state, its event
//! record, the stored answer and the delivery owed commit together or not at all. The rules are
//! not here: an engine loads a row, calls the pure function of [`gopay_core`], and writes what it
//! returned. When a method returns `Ok`, what it did survives a power cut.
#![warn(missing_docs)]

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Effect, Event, Payment, PaymentState};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use attention::{AttentionSums, OrderResolution, UnknownOrder};
pub use backlog::{AGES, Backlog, Waiting};
pub use directory::{Directories, DirectoryEntry, EntryKind};
pub use journal::{
    Cursor, CursorError, JOURNAL_PAGE_MAX, Journal, JournalPage, JournalQuery, JournalRecord,
    JournalSubject,
};
pub use search::{
    DeliveryFilter, ListQuery, Listed, Order, Page, PaymentFilter, PaymentStateWord, RefundFilter,
    RefundStateWord, Search, Times,
};

pub use personal::{Erasure, KeyChange, KeyOf, Personal, PersonalData, PersonalRecord, Rewrapping};
pub use reconciliations::{ReconciliationInput, ReconciliationRun, Reconciliations, StoredBreak};
pub use reviews::{ReviewAct, Reviews};
pub use settlements::{ClosedSettlement, SettlementAccount, Settlements, StoredAdjustment};
pub use upkeep::{Archive, Filed, FiledEvent, Leaving, Upkeep};

mod attention;
mod backlog;
pub mod copy;
mod directory;
pub mod engine;
mod journal;
pub mod lease;
mod personal;
mod reconciliations;
mod reviews;
pub mod rows;
pub mod sealing;
mod search;
mod settlements;
pub mod spelling;
pub mod sums;
mod upkeep;

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "contract")]
pub mod upgrade;

/// Why the store did not do what it was asked. Nothing of the step has happened, except after
/// [`StoreError::Down`], where the commit may have survived.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Too much to do, or a lock was not to be had: try again.
    #[error("the store is busy")]
    Busy,
    /// The id is taken.
    #[error("the id is taken")]
    Conflict,
    /// No such row, where the caller knows that there must be one.
    #[error("no such row in {table}")]
    Missing {
        /// The table.
        table: &'static str,
    },
    /// A stored value no longer parses.
    #[error("{table}.{column} of row {row} does not parse")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The key of the row.
        row: String,
    },
    /// The caller gave what no store can keep: a bug of the caller's.
    #[error("{table}.{column} cannot be stored: {why}")]
    Invalid {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with the value.
        why: &'static str,
    },
    /// The schema is not the one that this program knows.
    #[error("the schema is version {found}, this program knows version {known}")]
    Schema {
        /// In the store.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// The database cannot be reached: nothing of the step has begun.
    #[error("the store is away")]
    Away(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database failed.
    #[error("the store failed")]
    Down(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// One line of a payment's append-only trail: what happened, when, and what was known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// When.
    pub at: Timestamp,
    /// A stable word, such as `charge_sent`, `state`, `delivery_attempt`.
    pub kind: String,
    /// What was known; never personal data, credentials or transient input.
    pub detail: serde_json::Value,
}

/// What a step adds to the trail, without the time, which is the step's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// A stable word.
    pub kind: &'static str,
    /// What was known; never personal data, credentials or transient input.
    pub detail: serde_json::Value,
}

/// What [`Store::payment_create`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The payment is durable.
    New,
    /// The contract used this nonce before, for this payment. Nothing was written.
    NonceTaken(Box<Payment>),
}

/// What [`Store::payment_apply`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The payment afterwards.
    pub payment: Payment,
    /// The state before.
    pub before: PaymentState,
    /// What the event did.
    pub effect: Effect,
    /// A delivery was written, which is due at once.
    pub delivery_owed: bool,
}

/// What a look-up by the PSP's own reference found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// Nothing.
    None,
    /// Exactly one.
    One(T),
    /// Several: the reference is ambiguous.
    Many,
}

/// What is owed to a PSP: one notification about one final state of one payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Grows; deliveries of one payment go out in this order.
    pub delivery_id: i64,
    /// The payment.
    pub tx_id: TxId,
    /// The login of the PSP, for its secrets.
    pub psp: String,
    /// Where to.
    pub url: String,
    /// `finaltimestamp`: when the final state was reached.
    pub final_at: Timestamp,
    /// Tries so far.
    pub attempts: u32,
    /// When to try (again).
    pub next_attempt_at: Timestamp,
    /// Where it stands.
    pub state: DeliveryState,
}

/// Scheme, host and port of a URL, in lower case: the receivers that share a fate.
///
/// ```
/// assert_eq!(gopay_store::receiver_of("https://PSP.example:8443/n?x=1"), "https://psp.example:8443");
/// ```
#[must_use]
pub fn receiver_of(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(after_scheme..).unwrap_or_default();
    let end = rest.find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    url.get(..end).unwrap_or(url).to_ascii_lowercase()
}

/// How many steps shared a commit: the one metric that engines record themselves.
pub const COMMIT_STEPS: &str = "gopay_store_commit_steps";

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// To be tried at its time.
    Waiting,
    /// The receiver confirmed it.
    Delivered,
    /// Given up after the last try; an operator may send it again.
    GivenUp,
}

impl DeliveryState {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }
}

/// How one try of a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Confirmed by the receiver.
    Delivered,
    /// Try again at this time.
    Retry(Timestamp),
    /// The last try failed.
    GiveUp,
    /// Not tried after all: put back without counting.
    Postpone(Timestamp),
}

/// What [`Store::refund_reserve`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    /// Durable and reserved: the refund may be sent. With the payment, for its Midtrans id.
    Admitted(Box<Refund>, Box<Payment>),
    /// Not admitted; recorded as failed under its id, as it is here.
    Refused(Box<Refund>),
    /// The contract has no such payment; nothing was recorded.
    NoPayment,
}

/// Sums over the store, for operators and for tests that compare both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Payments per state word.
    pub payments: std::collections::BTreeMap<String, u64>,
    /// Sum of succeeded payments, in sen.
    pub succeeded_sen: u64,
    /// Sum of succeeded refunds, in sen.
    pub refunded_sen: u64,
    /// Refunds per state word.
    pub refunds: std::collections::BTreeMap<String, u64>,
    /// Deliveries per state word.
    pub deliveries: std::collections::BTreeMap<String, u64>,
    /// What needs a person.
    pub attention: AttentionSums,
}

/// All that an engine does.
pub trait Database:
    Store
    + Search
    + Journal
    + Settlements
    + Reviews
    + Reconciliations
    + PersonalData
    + Directories
    + Upkeep
{
}

impl<T> Database for T where
    T: Store
        + Search
        + Journal
        + Settlements
        + Reviews
        + Reconciliations
        + PersonalData
        + Directories
        + Upkeep
{
}

/// The steps of the money path. Every method is one transaction; see the crate's description.
#[async_trait]
pub trait Store: Send + Sync {
    /// A number that grows whenever what answers may be another copy of the store than before: it was
    /// reached anew, or read again. Always the same of a store that nobody can exchange.
    fn epoch(&self) -> u64 {
        0
    }

    /// Whether this process may begin something outside that only one may do: false once its lease on
    /// its number may be over by its own count of time, so that others may have taken over what it had
    /// claimed. What it writes afterwards is refused anyhow.
    fn may_begin(&self) -> bool {
        true
    }

    /// Stores a new payment, with its call ([`gopay_core::ppro::call::record`]), its first notes
    /// at its time and its entry in the journal ([`gopay_core::journal::payment_created`]), before
    /// anything is sent for it.
    ///
    /// If the payment has a nonce that its contract used before, nothing is written and the
    /// earlier payment is returned, even if the id is taken too. Otherwise
    /// [`StoreError::Conflict`] if the id is taken.
    async fn payment_create(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
    ) -> Result<Created, StoreError>;

    /// Applies an event by [`Payment::on`] and stores the result, a `state` record if the effect
    /// is moved or noted, the notes, the delivery if one is owed, and the entry in the journal
    /// ([`gopay_core::journal::payment_moved`]).
    ///
    /// `answer` is stored with the payment if the event moved it, by [`Payment::store_answer_once`].
    /// For verdicts same and refused only the notes are written, and the payment is returned as
    /// it is stored. [`StoreError::Missing`] if there is no such payment.
    async fn payment_apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Applied, StoreError>;

    /// Stores the answer of a call by [`Payment::store_answer_once`], if none was stored with an event.
    /// Returns the payment as it is stored then: its answer is the one to give.
    /// [`StoreError::Missing`] if there is no such payment.
    async fn payment_answer(&self, tx_id: TxId, answer: &[u8]) -> Result<Payment, StoreError>;

    /// Reads a payment.
    async fn payment_get(&self, tx_id: TxId) -> Result<Option<Payment>, StoreError>;

    /// The call of a payment as it was stored with it. It is large and seldom wanted, so it is
    /// apart. [`StoreError::Missing`] if there is no such payment.
    async fn payment_request(&self, tx_id: TxId) -> Result<String, StoreError>;

    /// Finds a contract's payments by the PSP's reference, ignoring ASCII and Unicode case.
    async fn payment_find(
        &self,
        contract: &str,
        merchant_tx_id: &str,
    ) -> Result<Lookup<Payment>, StoreError>;

    /// Finds a contract's payment by nonce.
    async fn payment_find_nonce(
        &self,
        contract: &str,
        nonce: &str,
    ) -> Result<Option<Payment>, StoreError>;

    /// Which of these payments are not there, in their order. Asked of what was answered before, after
    /// [`Store::epoch`] has changed.
    async fn payments_missing(&self, tx_ids: &[TxId]) -> Result<Vec<TxId>, StoreError>;

    /// Takes at most `limit` payments whose check is due, oldest first, and sets their next check
    /// by [`Payment::checked`], so that no other worker takes them and none is forgotten if this
    /// worker dies. Returned as they are after that. A row that does not parse is put off and
    /// logged, so that it does not stop the rest.
    async fn payment_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError>;

    /// Makes a payment's check due at `at`, if it is not due before and any is planned at all.
    /// [`StoreError::Missing`] if there is no such payment.
    async fn payment_check_at(&self, tx_id: TxId, at: Timestamp) -> Result<(), StoreError>;

    /// Adds to a payment's trail. [`StoreError::Missing`] if there is no such payment.
    async fn payment_note(
        &self,
        tx_id: TxId,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Admits a refund by [`Payment::reserve_refund`] and stores it with its reservation, or
    /// stores the refusal, with a `refund` record and an entry in the journal either way. A refund whose payment is not the
    /// contract's is not stored. [`StoreError::Conflict`] if the id is taken.
    async fn refund_reserve(
        &self,
        request: &RefundRequest,
        now: Timestamp,
    ) -> Result<Reserved, StoreError>;

    /// Stores a refund's clear outcome by [`Refund::resolve`]; a failure gives its reservation
    /// back. Returns the refund afterwards; one that was resolved before, or taken over since by
    /// another worker that may have sent it too, stays as it was, but for what Midtrans says of
    /// one that was made. Writes a `refund` record to the payment's trail if its state changed,
    /// entries in the journal ([`gopay_core::journal::refund_moved`]), and the notes always.
    /// [`StoreError::Missing`] if there is no such refund.
    async fn refund_resolve(
        &self,
        refund_id: RefundId,
        outcome: RefundOutcome,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Refund, StoreError>;

    /// Stores a call that was refused before it reached a payment's rules, as a failed refund.
    ///
    /// Its payment need not exist, or may be another contract's; nothing is written to a trail,
    /// but an entry to the journal.
    /// [`StoreError::Conflict`] if the id is taken; [`StoreError::Invalid`] if the refund has not
    /// failed, because nothing would be reserved for it.
    async fn refund_record_refused(
        &self,
        refund: &Refund,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Stores the refunds that Midtrans tells of and nobody asked us for, as succeeded, and counts
    /// them as gone ([`Payment::refunded_elsewhere`]), with `refund` records and entries in the
    /// journal. Returns those that are new. `ids` has one for each that Midtrans lists, and one more;
    /// [`StoreError::Conflict`] if one of them is taken. [`StoreError::Missing`] if there is no such
    /// payment.
    async fn refund_record_elsewhere(
        &self,
        tx_id: TxId,
        seen: &SeenBack,
        ids: &[RefundId],
        now: Timestamp,
    ) -> Result<Vec<Refund>, StoreError>;

    /// Reads a refund.
    async fn refund_get(&self, refund_id: RefundId) -> Result<Option<Refund>, StoreError>;

    /// Finds a contract's refunds by the PSP's reference, ignoring case.
    async fn refund_find(
        &self,
        contract: &str,
        merchant_refund_id: &str,
    ) -> Result<Lookup<Refund>, StoreError>;

    /// The refunds of a payment that its own contract asked for, oldest first.
    async fn refunds_of(&self, tx_id: TxId) -> Result<Vec<Refund>, StoreError>;

    /// As [`Store::payment_claim_due`], for unresolved refunds and [`Refund::checked`].
    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError>;

    /// Takes at most `limit` deliveries that are due and first of their payment, but none to the
    /// `busy` receivers (see [`receiver_of`]), and sets their next attempt to `lease_until`, so
    /// that a worker that dies leaves them to the next.
    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError>;

    /// Stores how a try ended, with a `delivery_attempt` record of `detail` unless postponed.
    ///
    /// `delivery` is as it was claimed. If its lease is over (another worker took it, or an
    /// operator made it due again), the try is counted and recorded, but only a confirmation
    /// still changes where the delivery stands; see [`Delivery::after`].
    /// [`StoreError::Missing`] if there is no such delivery.
    async fn delivery_record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Makes a payment's last delivery due again, whatever became of it; false if it has none.
    /// Its tries go on being counted.
    async fn delivery_again(&self, tx_id: TxId, now: Timestamp) -> Result<bool, StoreError>;

    /// Stores that money was seen of an order that the store does not know, or that it was seen again
    /// ([`UnknownOrder::and`]). Returns the order afterwards.
    async fn order_record(&self, seen: &UnknownOrder) -> Result<UnknownOrder, StoreError>;

    /// Stores what a person decided about such an order; none if there is none.
    async fn order_resolve(
        &self,
        tx_id: TxId,
        resolution: &OrderResolution,
    ) -> Result<Option<UnknownOrder>, StoreError>;

    /// Makes due at `now` what a holder that is dead had claimed: deliveries that wait, but until
    /// `lease_until` at most (a lease cannot be told from a retry that is planned so soon),
    /// refunds that are not resolved, payments whose call was under way, and those whose session is
    /// over and that were being asked about. How many these were.
    ///
    /// For a process that begins, before it begins or claims anything. In an engine that processes
    /// share, only what the same number had claimed, and nothing if the process holds no number.
    async fn reclaim(&self, _now: Timestamp, _lease_until: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }

    /// Writes and reads a little, to say whether the store works.
    async fn ping(&self, now: Timestamp) -> Result<(), StoreError>;
}
