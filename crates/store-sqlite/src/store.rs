//! The store's methods: which step goes to the writer, which to a reader.

use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Event, Payment};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;
use gopay_store::engine::KIND_ATTEMPT;
use gopay_store::sealing::{KeyProof, WrappedKey};
use gopay_store::spelling::unshortened;
use gopay_store::{
    Applied, Archive, AttemptOutcome, AttentionSums, Backlog, ClosedSettlement, Created, Cursor,
    Delivery, DeliveryFilter, Erasure, EventRecord, Filed, Journal, JournalPage, KeyChange, KeyOf,
    Leaving, Listed, Lookup, Note, OrderResolution, Page, PaymentFilter, Personal, PersonalData,
    ReconciliationRun, Reconciliations, RefundFilter, Reserved, ReviewAct, Reviews, Rewrapping,
    Search, SettlementAccount, Settlements, Store, StoreError, StoredBreak, Totals, UnknownOrder,
    Upkeep, rows,
};
use rusqlite::Connection;

use crate::error::{down, failed};
use crate::events::NewRecord;
use crate::file::{self, DbFile};
use crate::held::Held;
use crate::job::{Queue, Shared};
use crate::options::Options;
use crate::session::Session;
use crate::{
    archives, backup, beside, deliveries, events, journal, lists, orders, payments, personal,
    readers, reclaim, reconciliations, refunds, schema, settlements, sums, writer,
};

/// What the writer has done since the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Commits that succeeded.
    pub commits: u64,
    /// Steps that they held, those that failed by themselves included.
    pub jobs: u64,
    /// The most steps in one commit.
    pub largest_group: u64,
}

/// A [`Store`] in one SQLite file. Clones are handles of the same store.
#[derive(Clone)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    writes: Queue,
    reads: Queue,
    /// Readers first, the writer last: the order in which they are joined.
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Settlements are closed beside a writer, which may be another process.
    beside: bool,
}

impl SqliteStore {
    /// Opens or creates the store at `path` (and its folder), brings its schema up to date, and
    /// makes sure that everything in it is durable. Blocks.
    ///
    /// A lock on `<path>.lock` keeps a second process out for as long as the store is open.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if a later program wrote the store; [`StoreError::Down`], whose
    /// source says why, if it is locked, not ours, or not to be opened.
    pub fn open(path: &Path, options: Options) -> Result<Self, StoreError> {
        let file = DbFile::prepare(path)?;
        let lock = file.lock()?;
        file.must_have_its_own_log()?;
        Self::start(file, lock, options, true)
    }

    /// As [`SqliteStore::open`], but only a store that is there already: a service that comes up on
    /// an empty store in the place of one that went has forgotten every payment.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], and [`StoreError::Down`] with [`NoStore`](crate::NoStore) if there
    /// is no file, or no store in it. Nothing is created then.
    pub fn open_existing(path: &Path, options: Options) -> Result<Self, StoreError> {
        let file = DbFile::find(path)?;
        let lock = file.lock()?;
        file.must_have_its_own_log()?;
        file.must_hold_store()?;
        Self::start(file, lock, options, false)
    }

    fn start(file: DbFile, lock: File, options: Options, create: bool) -> Result<Self, StoreError> {
        file.keep_to_owner();
        let db = file.open_writer(&options, create)?;
        let held = Held::of(file.given().to_owned(), file.log())
            .map_err(|error| StoreError::Down(Box::new(error)))?;
        let shared = Arc::new(Shared::new(file));
        let (writes, write_jobs) = Queue::new(options.queue);
        let (reads, read_jobs) = Queue::new(options.queue);
        let mut threads = readers::start(&shared, read_jobs, &options)?;
        threads.push(writer::start(&shared, write_jobs, (db, held), lock, options)?);
        let threads = Mutex::new(threads);
        let inner = Inner { shared, writes, reads, threads, beside: false };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens an existing store for reading, even while another process runs it. Every method that
    /// would write answers [`StoreError::Down`]. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the store is older or newer than this program;
    /// [`StoreError::Down`] if it cannot be read.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Self::open_reading(path, false)
    }

    /// The same, but finance can write: close settlements, record runs and decisions.
    ///
    /// # Errors
    /// As [`SqliteStore::open_read_only`].
    pub fn open_for_finance(path: &Path) -> Result<Self, StoreError> {
        Self::open_reading(path, true)
    }

    fn open_reading(path: &Path, beside: bool) -> Result<Self, StoreError> {
        let found = file::schema_version(path)?;
        if found != schema::known() {
            return Err(StoreError::Schema { found, known: schema::known() });
        }
        let options = Options::default();
        let shared = Arc::new(Shared::new(DbFile::find(path)?));
        let (reads, read_jobs) = Queue::new(options.queue);
        let (writes, write_jobs) = Queue::new(1);
        drop(write_jobs);
        writes.close();
        let threads = readers::start(&shared, read_jobs, &options)
            .map_err(|error| down(format!("cannot start reading: {error}")))?;
        let inner = Inner { shared, writes, reads, threads: Mutex::new(threads), beside };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes the file of a store that nobody has open anew, so that its free space holds nothing.
    /// Needs as much space again while it works. Blocks.
    ///
    /// # Errors
    /// As [`SqliteStore::open_existing`]; the store is as it was then.
    pub fn rewrite(path: &Path) -> Result<(), StoreError> {
        let file = DbFile::find(path)?;
        let _lock = file.lock()?;
        file.must_hold_store()?;
        let db = file.open_writer(&Options::default(), false)?;
        let rewritten = db.execute_batch("VACUUM").map_err(failed);
        file::close_writer(db);
        rewritten
    }

    /// The version of the schema of the store at `path`, without changing it. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Down`] if there is no such store.
    pub fn schema_version(path: &Path) -> Result<i64, StoreError> {
        file::schema_version(path)
    }

    /// How many steps wait for the writer.
    #[cfg(test)]
    pub(crate) fn queued_writes(&self) -> usize {
        self.inner.writes.len()
    }

    /// The version of the schema that this program writes.
    #[must_use]
    pub fn schema_version_known() -> i64 {
        schema::known()
    }

    /// Finishes what waits, moves the log into the main file, and gives the lock back. Afterwards
    /// every handle of the store answers [`StoreError::Down`].
    ///
    /// # Errors
    /// [`StoreError::Down`] if a thread of the store had died.
    pub async fn close(self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        let joined = tokio::task::spawn_blocking(move || inner.stop()).await;
        joined.map_err(|error| StoreError::Down(Box::new(error)))?
    }

    /// Writes a consistent copy of the running store to `to`, which must not exist. The copy
    /// holds everything that was answered before the call, and is durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Down`], whose source says why; nothing is left at `to` then.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let to = to.to_path_buf();
        self.apart(move |db| backup::write(db, &to)).await
    }

    /// What the writer has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let shared = &self.inner.shared;
        Counters {
            commits: shared.commits.load(Ordering::Relaxed),
            jobs: shared.jobs.load(Ordering::Relaxed),
            largest_group: shared.largest_group.load(Ordering::Relaxed),
        }
    }

    /// One step, in the writer. If the caller goes away, it is done whole or never begun.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.shared.generation()?;
        self.inner.writes.ask(work).await
    }

    /// The same; afterwards the log is emptied, so that nothing stays in it of what was overwritten.
    async fn write_and_empty_log<T: Send + 'static>(
        &self,
        work: impl Fn(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.inner.shared);
        self.write(move |db| {
            shared.empty_log.store(true, Ordering::Release);
            work(db)
        })
        .await
    }

    /// A step of finance, which may be taken beside the writer of another process.
    pub(crate) async fn write_beside<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if !self.inner.beside {
            return self.write(move |db| work(db)).await;
        }
        let shared = Arc::clone(&self.inner.shared);
        let done = tokio::task::spawn_blocking(move || beside::beside(&shared.file, work)).await;
        done.map_err(|error| StoreError::Down(Box::new(error)))?
    }

    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.shared.generation()?;
        self.inner.reads.ask(move |db| work(db)).await
    }

    /// A long read, on a connection of its own, so that the short ones need not wait for it.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.shared.generation()?;
        let shared = Arc::clone(&self.inner.shared);
        let done = tokio::task::spawn_blocking(move || work(&mut shared.file.open_reader()?));
        done.await.map_err(|error| StoreError::Down(Box::new(error)))?
    }
}

impl Inner {
    fn stop(&self) -> Result<(), StoreError> {
        self.shared.closed.store(true, Ordering::Release);
        self.reads.close();
        self.writes.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        // All are joined, even if one of them had died.
        let results: Vec<_> = threads.drain(..).map(JoinHandle::join).collect();
        results.into_iter().collect::<Result<(), _>>().map_err(|_| down("a thread has died"))
    }
}

impl Drop for Inner {
    /// Without [`SqliteStore::close`] the threads finish what waits and end by themselves.
    fn drop(&mut self) {
        self.reads.close();
        self.writes.close();
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn epoch(&self) -> u64 {
        self.inner.shared.epoch()
    }

    async fn payments_missing(&self, tx_ids: &[TxId]) -> Result<Vec<TxId>, StoreError> {
        let tx_ids = tx_ids.to_vec();
        self.read(move |db| payments::payments_missing(db, &tx_ids)).await
    }

    async fn payment_create(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
    ) -> Result<Created, StoreError> {
        let (payment, request, records) =
            (payment.clone(), unshortened(request).into_owned(), NewRecord::of(notes));
        self.write(move |db| payments::payment_create(db, &payment, &request, &records, None)).await
    }

    async fn payment_apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let (event, records) = (event.clone(), NewRecord::of(notes));
        let answer = answer.map(<[u8]>::to_vec);
        self.write(move |db| {
            payments::payment_apply(db, tx_id, &event, answer.as_deref(), &records, now)
        })
        .await
    }

    async fn payment_answer(&self, tx_id: TxId, answer: &[u8]) -> Result<Payment, StoreError> {
        let answer = answer.to_vec();
        self.write(move |db| payments::payment_answer(db, tx_id, &answer)).await
    }

    async fn payment_get(&self, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
        self.read(move |db| payments::payment_get(db, tx_id)).await
    }

    async fn payment_request(&self, tx_id: TxId) -> Result<String, StoreError> {
        self.read(move |db| payments::payment_request(db, tx_id)).await
    }

    async fn payment_find(
        &self,
        contract: &str,
        merchant_tx_id: &str,
    ) -> Result<Lookup<Payment>, StoreError> {
        let (contract, reference) = (contract.to_owned(), merchant_tx_id.to_owned());
        self.read(move |db| payments::payment_find(db, &contract, &reference)).await
    }

    async fn payment_find_nonce(
        &self,
        contract: &str,
        nonce: &str,
    ) -> Result<Option<Payment>, StoreError> {
        let (contract, nonce) = (contract.to_owned(), nonce.to_owned());
        self.read(move |db| payments::payment_find_nonce(db, &contract, &nonce)).await
    }

    async fn payment_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        self.write(move |db| payments::payment_claim_due(db, now, limit)).await
    }

    async fn payment_check_at(&self, tx_id: TxId, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |db| payments::payment_check_at(db, tx_id, at)).await
    }

    async fn payment_note(
        &self,
        tx_id: TxId,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let records = NewRecord::of(notes);
        self.write(move |db| payments::payment_note(db, tx_id, &records, now)).await
    }

    async fn refund_reserve(
        &self,
        request: &RefundRequest,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        let request = request.clone();
        self.write(move |db| refunds::refund_reserve(db, &request, now)).await
    }

    async fn refund_resolve(
        &self,
        refund_id: RefundId,
        outcome: RefundOutcome,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Refund, StoreError> {
        let records = NewRecord::of(notes);
        self.write(move |db| refunds::refund_resolve(db, refund_id, outcome.clone(), &records, now))
            .await
    }

    async fn refund_record_refused(
        &self,
        refund: &Refund,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let refund = refund.clone();
        self.write(move |db| refunds::refund_record_refused(db, &refund, now)).await
    }

    async fn refund_record_elsewhere(
        &self,
        tx_id: TxId,
        seen: &SeenBack,
        ids: &[RefundId],
        now: Timestamp,
    ) -> Result<Vec<Refund>, StoreError> {
        let (seen, ids) = (seen.clone(), ids.to_vec());
        self.write(move |db| refunds::refund_record_elsewhere(db, tx_id, &seen, &ids, now)).await
    }

    async fn refund_get(&self, refund_id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.read(move |db| refunds::refund_get(db, refund_id)).await
    }

    async fn refund_find(
        &self,
        contract: &str,
        merchant_refund_id: &str,
    ) -> Result<Lookup<Refund>, StoreError> {
        let (contract, reference) = (contract.to_owned(), merchant_refund_id.to_owned());
        self.read(move |db| refunds::refund_find(db, &contract, &reference)).await
    }

    async fn refunds_of(&self, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
        self.read(move |db| refunds::refunds_of(db, tx_id)).await
    }

    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        self.write(move |db| refunds::refund_claim_due(db, now, limit)).await
    }

    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        let busy = serde_json::json!(busy).to_string();
        self.write(move |db| deliveries::delivery_claim_due(db, now, lease_until, limit, &busy))
            .await
    }

    async fn delivery_record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (claimed, outcome) = (delivery.clone(), outcome.clone());
        let record = NewRecord::new(KIND_ATTEMPT, &detail);
        self.write(move |db| deliveries::delivery_record(db, &claimed, &outcome, &record, now))
            .await
    }

    async fn delivery_again(&self, tx_id: TxId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(move |db| deliveries::delivery_again(db, tx_id, now)).await
    }

    async fn order_record(&self, seen: &UnknownOrder) -> Result<UnknownOrder, StoreError> {
        let seen = seen.clone();
        self.write(move |db| orders::order_record(db, &seen)).await
    }

    async fn order_resolve(
        &self,
        tx_id: TxId,
        resolution: &OrderResolution,
    ) -> Result<Option<UnknownOrder>, StoreError> {
        let resolution = resolution.clone();
        self.write(move |db| orders::order_resolve(db, tx_id, &resolution)).await
    }

    async fn reclaim(&self, now: Timestamp, lease_until: Timestamp) -> Result<u64, StoreError> {
        self.write(move |db| reclaim::reclaim(db, now, lease_until)).await
    }

    async fn ping(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |db| sums::ping_write(db, now)).await?;
        self.read(sums::ping_read).await
    }
}

#[async_trait]
impl Search for SqliteStore {
    async fn payment_trail(&self, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
        self.read(move |db| events::payment_trail(db, tx_id)).await
    }

    async fn deliveries_of(&self, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
        self.read(move |db| deliveries::deliveries_of(db, tx_id)).await
    }

    async fn payments_list(
        &self,
        filter: &PaymentFilter,
        page: &Page,
    ) -> Result<Listed<Payment>, StoreError> {
        let (filter, page) = (filter.clone(), *page);
        self.read(move |db| lists::list(db, &filter.query(&page), rows::payment)).await
    }

    async fn refunds_list(
        &self,
        filter: &RefundFilter,
        page: &Page,
    ) -> Result<Listed<Refund>, StoreError> {
        let (filter, page) = (filter.clone(), *page);
        self.read(move |db| lists::list(db, &filter.query(&page), rows::refund)).await
    }

    async fn deliveries_list(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Listed<Delivery>, StoreError> {
        let (filter, page) = (filter.clone(), *page);
        self.read(move |db| lists::list(db, &filter.query(&page), rows::delivery)).await
    }

    async fn payments_in_doubt(&self, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.read(move |db| orders::payments_in_doubt(db, limit)).await
    }

    async fn orders_open(&self, limit: usize) -> Result<Vec<UnknownOrder>, StoreError> {
        self.read(move |db| orders::orders_open(db, limit)).await
    }

    async fn order_get(&self, tx_id: TxId) -> Result<Option<UnknownOrder>, StoreError> {
        self.read(move |db| orders::order_get(db, tx_id)).await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        self.read(move |db| sums::backlog(db, now)).await
    }

    async fn attention(&self) -> Result<AttentionSums, StoreError> {
        self.read(orders::attention).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.apart(sums::totals).await
    }
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn totals_counted(&self) -> Result<Totals, StoreError> {
        self.apart(sums::totals_counted).await
    }

    async fn totals_refill(&self) -> Result<(), StoreError> {
        self.write_beside(sums::totals_refill).await
    }

    async fn archivable(
        &self,
        ids: Range<i64>,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<TxId>, StoreError> {
        self.read(move |db| archives::archivable(db, &ids, before, limit)).await
    }

    async fn archive_read(&self, tx_ids: &[TxId]) -> Result<Vec<Filed>, StoreError> {
        let tx_ids = tx_ids.to_vec();
        self.read(move |db| archives::archive_read(db, &tx_ids)).await
    }

    async fn archives(&self) -> Result<Vec<Archive>, StoreError> {
        self.read(archives::archives).await
    }

    async fn archive_begin(&self, archive: &Archive) -> Result<(), StoreError> {
        let archive = archive.clone();
        self.write_beside(move |db| archives::archive_begin(db, &archive)).await
    }

    async fn archive_take(&self, number: i64, leaving: &[Leaving]) -> Result<u64, StoreError> {
        let leaving = leaving.to_vec();
        self.write_beside(move |db| archives::archive_take(db, number, &leaving)).await
    }

    async fn archive_end(&self, number: i64, at: Timestamp) -> Result<(), StoreError> {
        self.write_beside(move |db| archives::archive_end(db, number, at)).await
    }

    async fn archive_of(&self, tx_id: TxId) -> Result<Option<i64>, StoreError> {
        self.read(move |db| archives::archive_of(db, tx_id)).await
    }

    async fn archive_give_back(&self, number: i64, filed: &[Filed]) -> Result<u64, StoreError> {
        let filed = filed.to_vec();
        self.write_beside(move |db| archives::archive_give_back(db, number, &filed)).await
    }
}

#[async_trait]
impl PersonalData for SqliteStore {
    async fn payment_create_sealed(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
        key: &WrappedKey,
    ) -> Result<Created, StoreError> {
        let (payment, request, records) =
            (payment.clone(), unshortened(request).into_owned(), NewRecord::of(notes));
        let key = key.clone();
        self.write(move |db| payments::payment_create(db, &payment, &request, &records, Some(&key)))
            .await
    }

    async fn data_key(&self, tx_id: TxId) -> Result<Option<WrappedKey>, StoreError> {
        self.read(move |db| personal::data_key(db, tx_id)).await
    }

    async fn data_keys_after(&self, after: i64, limit: usize) -> Result<Vec<KeyOf>, StoreError> {
        self.read(move |db| personal::data_keys_after(db, after, limit)).await
    }

    async fn data_keys_rewrap(&self, keys: &[Rewrapping]) -> Result<u64, StoreError> {
        let keys = keys.to_vec();
        self.write(move |db| personal::data_keys_rewrap(db, &keys)).await
    }

    async fn personal_get(&self, tx_id: TxId) -> Result<Option<Personal>, StoreError> {
        self.read(move |db| personal::personal_get(db, tx_id)).await
    }

    async fn personal_replace(
        &self,
        tx_id: TxId,
        (from, to): (&Personal, &Personal),
        key: &KeyChange,
    ) -> Result<bool, StoreError> {
        let (from, to, key) = (from.clone(), to.clone(), key.clone());
        let erases = matches!(key, KeyChange::Erase(_));
        let work =
            move |db: &Session<'_>| personal::personal_replace(db, tx_id, (&from, &to), &key);
        if erases { self.write_and_empty_log(work).await } else { self.write(work).await }
    }

    async fn erasure_get(&self, tx_id: TxId) -> Result<Option<Erasure>, StoreError> {
        self.read(move |db| personal::erasure_get(db, tx_id)).await
    }

    async fn key_proofs(&self) -> Result<Vec<KeyProof>, StoreError> {
        self.read(personal::key_proofs).await
    }

    async fn key_proof_add(&self, proof: &KeyProof, now: Timestamp) -> Result<(), StoreError> {
        let proof = proof.clone();
        self.write(move |db| personal::key_proof_add(db, &proof, now)).await
    }

    async fn key_proof_remove(&self, key_id: &str) -> Result<bool, StoreError> {
        let key_id = key_id.to_owned();
        self.write(move |db| personal::key_proof_remove(db, &key_id)).await
    }
}

#[async_trait]
impl Journal for SqliteStore {
    async fn journal_read(&self, after: &Cursor, limit: usize) -> Result<JournalPage, StoreError> {
        let after = after.clone();
        self.read(move |db| journal::journal_read(db, &after, limit)).await
    }

    async fn journal_end(&self) -> Result<Cursor, StoreError> {
        self.read(journal::journal_end).await
    }
}

#[async_trait]
impl Settlements for SqliteStore {
    async fn settlement_head(
        &self,
        account: SettlementAccount,
    ) -> Result<Option<ClosedSettlement>, StoreError> {
        self.read(move |db| settlements::settlement_head(db, account)).await
    }

    async fn settlement_heads(&self) -> Result<Vec<ClosedSettlement>, StoreError> {
        self.read(settlements::settlement_heads).await
    }

    async fn settlements_after(
        &self,
        account: SettlementAccount,
        ordinal: i64,
        limit: usize,
    ) -> Result<Vec<ClosedSettlement>, StoreError> {
        self.read(move |db| settlements::settlements_after(db, account, ordinal, limit)).await
    }

    async fn settlement_close(&self, closed: &ClosedSettlement) -> Result<(), StoreError> {
        let closed = closed.clone();
        self.write_beside(move |db| settlements::settlement_close(db, &closed)).await
    }
}

#[async_trait]
impl Reviews for SqliteStore {
    async fn reviews_after(
        &self,
        scope: &str,
        act: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ReviewAct)>, StoreError> {
        let scope = scope.to_owned();
        self.read(move |db| reconciliations::reviews_after(db, &scope, act, limit)).await
    }

    async fn reviews_add(&self, acts: &[ReviewAct]) -> Result<(), StoreError> {
        let acts = acts.to_vec();
        self.write_beside(move |db| reconciliations::reviews_add(db, &acts)).await
    }
}

#[async_trait]
impl Reconciliations for SqliteStore {
    async fn reconciliation_last(&self) -> Result<i64, StoreError> {
        self.read(reconciliations::reconciliation_last).await
    }

    async fn reconciliation_runs(
        &self,
        series: &str,
        run: i64,
        limit: usize,
    ) -> Result<Vec<ReconciliationRun>, StoreError> {
        let series = series.to_owned();
        self.read(move |db| reconciliations::reconciliation_runs(db, &series, run, limit)).await
    }

    async fn reconciliation_breaks(
        &self,
        series: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredBreak>, StoreError> {
        let (series, after) = (series.to_owned(), after.to_owned());
        self.read(move |db| reconciliations::reconciliation_breaks(db, &series, &after, limit))
            .await
    }

    async fn reconciliation_record(
        &self,
        run: &ReconciliationRun,
        changes: &[StoredBreak],
        acts: &[ReviewAct],
    ) -> Result<(), StoreError> {
        let (run, changes, acts) = (run.clone(), changes.to_vec(), acts.to_vec());
        self.write_beside(move |db| {
            reconciliations::reconciliation_record(db, &run, &changes, &acts)
        })
        .await
    }
}
