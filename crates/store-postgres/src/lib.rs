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
//! Reading order: `payments`, `refunds`, `deliveries`, `events`, `sums` (SQL); `cells` (rows to
//! values); `session` (transactions), `fault` (errors); `steps` (alone or in a group), `queue` (who
//! waits), `batch` (a group's life), `sets` (its SQL), `decide` (its rules); `connect`, `schema`,
//! `instance`; with the feature `cluster`, a PostgreSQL for tests.

mod batch;
mod cells;
#[cfg(feature = "cluster")]
pub mod cluster;
mod connect;
mod copy;
mod decide;
mod deliveries;
mod events;
mod fault;
mod instance;
mod payments;
mod queue;
mod refunds;
mod schema;
mod session;
mod sets;
mod steps;
mod sums;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Event, Payment};
use gopay_core::refund::{Refund, RefundOutcome};
use gopay_core::time::Timestamp;
use gopay_store::engine::KIND_ATTEMPT;
use gopay_store::{
    Applied, AttemptOutcome, Created, Delivery, EventRecord, Found, NewRefund, Note, Reserved,
    Store, StoreError, Totals,
};

pub use crate::connect::Place;
pub use crate::copy::{PgSource, PgTarget};
pub use crate::instance::InstanceLock;

use crate::batch::{Application, Attempt, Creation, Step};
use crate::connect::Setup;
use crate::events::Lines;
use crate::steps::Steps;

/// The first half of the keys of our advisory locks: the letters "gopa". The second half is the
/// number of an instance, or below zero.
pub(crate) const LOCKS: i32 = 0x676f_7061;

/// How the store uses its connections and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections at most, at least 2. Sixteen keep a small server busy; more wait for the same
    /// disk.
    pub connections: usize,
    /// Steps that may wait for a connection; one more is answered [`StoreError::Busy`].
    pub queue: usize,
    /// Groups of steps that are on their way at once, each on a connection; the second and further
    /// ones only as long as many steps wait, because large groups cost less than small ones. With
    /// 0 there is one, and also a step that nobody else waits with goes in a group, which is slower
    /// and for tests.
    pub groups: usize,
    /// How long a step waits for a connection, or for a group, before it is answered
    /// [`StoreError::Busy`].
    pub wait: Duration,
    /// How long a step waits for a row that another holds before it is answered
    /// [`StoreError::Busy`].
    pub lock_timeout: Duration,
    /// How long a step may take; longer, and the database counts as [`StoreError::Down`].
    pub step_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 16,
            queue: 4096,
            groups: 2,
            wait: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(2),
            step_timeout: Duration::from_secs(8),
        }
    }
}

/// A [`Store`] in one PostgreSQL database. Clones are handles of the same store.
#[derive(Clone)]
pub struct PgStore {
    steps: Arc<Steps>,
}

impl PgStore {
    /// Opens a store whose schema is that of this program.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the schema is older or newer, or missing (version 0);
    /// [`StoreError::Down`], whose source says why, if the database cannot be reached or would not
    /// keep what it is told.
    pub async fn open(place: &Place, options: Options) -> Result<Self, StoreError> {
        Self::open_with(place, options, Setup::Write).await
    }

    /// Opens a store for operators' questions. Every method that would write answers
    /// [`StoreError::Down`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_read_only(place: &Place) -> Result<Self, StoreError> {
        let options = Options { connections: 2, ..Options::default() };
        Self::open_with(place, options, Setup::ReadOnly).await
    }

    async fn open_with(place: &Place, options: Options, setup: Setup) -> Result<Self, StoreError> {
        let steps = Steps::new(place.pool(&options, setup)?, &options);
        let client = steps.connection().await?;
        if setup == Setup::Write {
            schema::check_server(&client).await?;
        }
        schema::check(&client).await?;
        drop(client);
        Ok(Self { steps: Arc::new(steps) })
    }

    /// Creates the schema or brings it up to date; its version afterwards. Of several programs
    /// that do this at once one does it.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if a later program made the schema; [`StoreError::Down`].
    pub async fn migrate(place: &Place) -> Result<i64, StoreError> {
        schema::migrate(place).await
    }

    /// The version of the schema that this program writes.
    #[must_use]
    pub fn schema_version_known() -> i64 {
        schema::known()
    }

    /// Takes no more steps and closes the connections that are idle; the others follow.
    pub fn close(&self) {
        self.steps.close();
    }
}

#[async_trait]
impl Store for PgStore {
    async fn payment_create(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
    ) -> Result<Created, StoreError> {
        let lines = &Lines::of(notes);
        let make = |reply| {
            let (payment, request) = (payment.clone(), request.to_owned());
            let creation = Creation { payment, request, lines: lines.clone() };
            Step::Create(Box::new(creation), reply)
        };
        self.steps
            .grouped(make, |db| async move {
                payments::payment_create(&db, payment, request, lines).await
            })
            .await
    }

    async fn payment_apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let make = |reply| {
            let answer = answer.map(<[u8]>::to_vec);
            let (event, notes) = (event.clone(), Lines::of(notes));
            Step::Apply(Box::new(Application { tx_id, event, answer, notes, now }), reply)
        };
        self.steps
            .grouped(make, |db| async move {
                payments::payment_apply(&db, tx_id, event, answer, notes, now).await
            })
            .await
    }

    async fn payment_answer(&self, tx_id: TxId, answer: &[u8]) -> Result<Payment, StoreError> {
        let make = |reply| Step::Answer(tx_id, answer.to_vec(), reply);
        self.steps
            .grouped(make, |db| async move { payments::payment_answer(&db, tx_id, answer).await })
            .await
    }

    async fn payment_get(&self, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
        self.steps.alone(|db| async move { payments::payment_get(&db, tx_id).await }).await
    }

    async fn payment_request(&self, tx_id: TxId) -> Result<String, StoreError> {
        self.steps.alone(|db| async move { payments::payment_request(&db, tx_id).await }).await
    }

    async fn payment_find(
        &self,
        contract: &str,
        merchant_tx_id: &str,
    ) -> Result<Found<Payment>, StoreError> {
        self.steps
            .alone(|db| async move { payments::payment_find(&db, contract, merchant_tx_id).await })
            .await
    }

    async fn payment_find_nonce(
        &self,
        contract: &str,
        nonce: &str,
    ) -> Result<Option<Payment>, StoreError> {
        self.steps
            .alone(|db| async move { payments::payment_find_nonce(&db, contract, nonce).await })
            .await
    }

    async fn payment_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        self.steps
            .alone(|db| async move { payments::payment_claim_due(&db, now, limit).await })
            .await
    }

    async fn payment_check_at(&self, tx_id: TxId, at: Timestamp) -> Result<(), StoreError> {
        let make = |reply| Step::CheckAt(tx_id, at, reply);
        self.steps
            .grouped(make, |db| async move { payments::payment_check_at(&db, tx_id, at).await })
            .await
    }

    async fn payment_note(
        &self,
        tx_id: TxId,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lines = &Lines::of(notes);
        let make = |reply| Step::Note(tx_id, now, lines.clone(), reply);
        self.steps
            .grouped(make, |db| async move { payments::payment_note(&db, tx_id, lines, now).await })
            .await
    }

    async fn payment_trail(&self, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
        self.steps.alone(|db| async move { events::payment_trail(&db, tx_id).await }).await
    }

    async fn refund_reserve(
        &self,
        refund: &NewRefund<'_>,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        self.steps.alone(|db| async move { refunds::refund_reserve(&db, refund, now).await }).await
    }

    async fn refund_resolve(
        &self,
        refund_id: RefundId,
        outcome: RefundOutcome,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Refund, StoreError> {
        self.steps
            .alone(|db| {
                let outcome = outcome.clone();
                async move { refunds::refund_resolve(&db, refund_id, outcome, notes, now).await }
            })
            .await
    }

    async fn refund_record_refused(
        &self,
        refund: &Refund,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.steps
            .alone(|db| async move { refunds::refund_record_refused(&db, refund, now).await })
            .await
    }

    async fn refund_get(&self, refund_id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.steps.alone(|db| async move { refunds::refund_get(&db, refund_id).await }).await
    }

    async fn refund_find(
        &self,
        contract: &str,
        merchant_refund_id: &str,
    ) -> Result<Found<Refund>, StoreError> {
        self.steps
            .alone(
                |db| async move { refunds::refund_find(&db, contract, merchant_refund_id).await },
            )
            .await
    }

    async fn refunds_of(&self, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
        self.steps.alone(|db| async move { refunds::refunds_of(&db, tx_id).await }).await
    }

    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        self.steps.alone(|db| async move { refunds::refund_claim_due(&db, now, limit).await }).await
    }

    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        self.steps
            .alone(|db| async move {
                deliveries::delivery_claim_due(&db, now, lease_until, limit, busy).await
            })
            .await
    }

    async fn delivery_record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut attempt = Lines::default();
        attempt.push(KIND_ATTEMPT, &detail);
        let attempt = &attempt;
        let make = |reply| {
            let (claimed, outcome, line) = (delivery.clone(), outcome.clone(), attempt.clone());
            Step::Record(Box::new(Attempt { claimed, outcome, line, now }), reply)
        };
        self.steps
            .grouped(make, |db| async move {
                deliveries::delivery_record(&db, delivery, outcome, attempt, now).await
            })
            .await
    }

    async fn deliveries_of(&self, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
        self.steps.alone(|db| async move { deliveries::deliveries_of(&db, tx_id).await }).await
    }

    async fn delivery_again(&self, tx_id: TxId, now: Timestamp) -> Result<bool, StoreError> {
        self.steps
            .alone(|db| async move { deliveries::delivery_again(&db, tx_id, now).await })
            .await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        /// It reads every row.
        const LIMIT: Duration = Duration::from_secs(600);
        self.steps.alone_within(LIMIT, |db| async move { sums::totals(&db).await }).await
    }

    async fn ping(&self, now: Timestamp) -> Result<(), StoreError> {
        self.steps.alone(|db| async move { sums::ping(&db, now).await }).await
    }
}
