//! The store on PostgreSQL, for several instances that share the work.
//!
//! A step is one transaction on one connection of a bounded pool, in one or two round trips:
//! single statements where the database can decide alone, and otherwise `BEGIN` with a read that
//! locks the row, then the writes with `COMMIT`. Steps that were in each other's way are run
//! again. Workers claim with `SKIP LOCKED`, so that any number of instances share the queues.
//!
//! Not here: rules. A row becomes a value, a pure function of `gopay_core` or
//! [`gopay_store::engine`] decides, and what it returned is written.
//!
//! Reading order: `payments`, `refunds`, `deliveries`, `events`, `sums` (SQL); `cells` (rows to
//! values); `session` (transactions), `fault` (errors); `connect`, `schema`, `instance`; with the
//! feature `cluster`, a PostgreSQL for tests.

mod cells;
#[cfg(feature = "cluster")]
pub mod cluster;
mod connect;
mod copy;
mod deliveries;
mod events;
mod fault;
mod instance;
mod payments;
mod refunds;
mod schema;
mod session;
mod sums;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Object, Pool, PoolError, TimeoutType};
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Event, Payment};
use gopay_core::refund::{Refund, RefundOutcome};
use gopay_core::time::Timestamp;
use gopay_store::engine::KIND_ATTEMPT;
use gopay_store::{
    Applied, AttemptOutcome, Created, Delivery, EventRecord, Found, NewRefund, Note, Reserved,
    Store, StoreError, Totals,
};
use tokio::sync::Semaphore;

pub use crate::connect::Place;
pub use crate::copy::{PgSource, PgTarget};
pub use crate::instance::InstanceLock;

use crate::connect::Setup;
use crate::events::Lines;
use crate::fault::{Fault, down, trouble};
use crate::session::Session;

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
    /// How long a step waits for a connection before it is answered [`StoreError::Busy`].
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
            wait: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(2),
            step_timeout: Duration::from_secs(8),
        }
    }
}

/// A [`Store`] in one PostgreSQL database. Clones are handles of the same store.
#[derive(Clone)]
pub struct PgStore {
    pool: Pool,
    /// One permit for each step that runs or waits.
    room: Arc<Semaphore>,
    step_timeout: Duration,
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
        let pool = place.pool(&options, setup)?;
        let room = options.connections.max(2).saturating_add(options.queue);
        let room = Arc::new(Semaphore::new(room.min(Semaphore::MAX_PERMITS)));
        let store = Self { pool, room, step_timeout: options.step_timeout };
        let client = store.connection().await?;
        if setup == Setup::Write {
            schema::check_server(&client).await?;
        }
        schema::check(&client).await?;
        drop(client);
        Ok(store)
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
        self.room.close();
        self.pool.close();
    }

    async fn connection(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                down("the database did not take a connection in time")
            }
            PoolError::Backend(error) => trouble(error),
            PoolError::PostCreateHook(deadpool_postgres::HookError::Backend(error)) => {
                trouble(error)
            }
            PoolError::Closed => down("the store is closed"),
            PoolError::PostCreateHook(_) | PoolError::NoRuntimeSpecified => {
                StoreError::Down(Box::new(error))
            }
        })
    }

    /// Runs a step, and runs it again if another was in its way. If the caller goes away, the
    /// connection is closed and the database keeps all of the step or nothing.
    async fn step<T, F, Fut>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        self.step_within(self.step_timeout, work).await
    }

    async fn step_within<T, F, Fut>(&self, limit: Duration, work: F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        /// Deadlocks are rare; more in a row mean that something is wrong.
        const TRIES: u32 = 5;
        let _room = self.room.try_acquire().map_err(|error| match error {
            tokio::sync::TryAcquireError::NoPermits => StoreError::Busy,
            tokio::sync::TryAcquireError::Closed => down("the store is closed"),
        })?;
        for turn in 1..=TRIES {
            match self.once(limit, &work).await {
                Err(Fault::Again) => {
                    tokio::time::sleep(Duration::from_millis(1 << turn)).await;
                }
                Err(Fault::Store(error)) => return Err(error),
                Ok(value) => return Ok(value),
            }
        }
        Err(StoreError::Busy)
    }

    async fn once<T, F, Fut>(&self, limit: Duration, work: &F) -> Result<T, Fault>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        let session = Arc::new(Session::new(self.connection().await?));
        let step = async {
            let result = work(Arc::clone(&session)).await;
            session.end().await;
            result
        };
        // The database has a limit of its own, which leaves the connection usable; this one is for
        // a database that says nothing any more.
        let patience = limit.saturating_add(Duration::from_secs(2));
        let ended = tokio::time::timeout(patience, step).await;
        ended.unwrap_or_else(|_| Err(down("the database did not answer in time").into()))
    }
}

#[async_trait]
impl Store for PgStore {
    async fn payment_create(
        &self,
        payment: &Payment,
        notes: &[Note],
    ) -> Result<Created, StoreError> {
        let lines = &Lines::of(notes);
        self.step(|db| async move { payments::payment_create(&db, payment, lines).await }).await
    }

    async fn payment_apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        self.step(|db| async move {
            payments::payment_apply(&db, tx_id, event, answer, notes, now).await
        })
        .await
    }

    async fn payment_answer(&self, tx_id: TxId, answer: &[u8]) -> Result<Payment, StoreError> {
        self.step(|db| async move { payments::payment_answer(&db, tx_id, answer).await }).await
    }

    async fn payment_get(&self, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
        self.step(|db| async move { payments::payment_get(&db, tx_id).await }).await
    }

    async fn payment_find(
        &self,
        contract: &str,
        merchant_tx_id: &str,
    ) -> Result<Found<Payment>, StoreError> {
        self.step(|db| async move { payments::payment_find(&db, contract, merchant_tx_id).await })
            .await
    }

    async fn payment_find_nonce(
        &self,
        contract: &str,
        nonce: &str,
    ) -> Result<Option<Payment>, StoreError> {
        self.step(|db| async move { payments::payment_find_nonce(&db, contract, nonce).await })
            .await
    }

    async fn payment_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        self.step(|db| async move { payments::payment_claim_due(&db, now, limit).await }).await
    }

    async fn payment_check_at(&self, tx_id: TxId, at: Timestamp) -> Result<(), StoreError> {
        self.step(|db| async move { payments::payment_check_at(&db, tx_id, at).await }).await
    }

    async fn payment_note(
        &self,
        tx_id: TxId,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let lines = &Lines::of(notes);
        self.step(|db| async move { payments::payment_note(&db, tx_id, lines, now).await }).await
    }

    async fn payment_trail(&self, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
        self.step(|db| async move { events::payment_trail(&db, tx_id).await }).await
    }

    async fn refund_reserve(
        &self,
        refund: &NewRefund<'_>,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        self.step(|db| async move { refunds::refund_reserve(&db, refund, now).await }).await
    }

    async fn refund_resolve(
        &self,
        refund_id: RefundId,
        outcome: RefundOutcome,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Refund, StoreError> {
        self.step(|db| {
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
        self.step(|db| async move { refunds::refund_record_refused(&db, refund, now).await }).await
    }

    async fn refund_get(&self, refund_id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.step(|db| async move { refunds::refund_get(&db, refund_id).await }).await
    }

    async fn refund_find(
        &self,
        contract: &str,
        merchant_refund_id: &str,
    ) -> Result<Found<Refund>, StoreError> {
        self.step(|db| async move { refunds::refund_find(&db, contract, merchant_refund_id).await })
            .await
    }

    async fn refunds_of(&self, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
        self.step(|db| async move { refunds::refunds_of(&db, tx_id).await }).await
    }

    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        self.step(|db| async move { refunds::refund_claim_due(&db, now, limit).await }).await
    }

    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        self.step(|db| async move {
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
        self.step(|db| async move {
            deliveries::delivery_record(&db, delivery, outcome, attempt, now).await
        })
        .await
    }

    async fn deliveries_of(&self, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
        self.step(|db| async move { deliveries::deliveries_of(&db, tx_id).await }).await
    }

    async fn delivery_again(&self, tx_id: TxId, now: Timestamp) -> Result<bool, StoreError> {
        self.step(|db| async move { deliveries::delivery_again(&db, tx_id, now).await }).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        /// It reads every row.
        const LIMIT: Duration = Duration::from_secs(600);
        self.step_within(LIMIT, |db| async move { sums::totals(&db).await }).await
    }

    async fn ping(&self, now: Timestamp) -> Result<(), StoreError> {
        self.step(|db| async move { sums::ping(&db, now).await }).await
    }
}
