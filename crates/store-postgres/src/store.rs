//! The store's methods: which step runs alone, which may go in a group.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Event, Payment};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;
use gopay_store::engine::KIND_ATTEMPT;
use gopay_store::sealing::{KeyProof, WrappedKey};
use gopay_store::spelling::CALL;
use gopay_store::{
    Applied, Archive, AttemptOutcome, AttentionSums, Backlog, ClosedSettlement, Created, Cursor,
    Delivery, DeliveryFilter, Erasure, EventRecord, Filed, Journal, JournalPage, KeyChange, KeyOf,
    Leaving, Listed, Lookup, Note, OrderResolution, Page, PaymentFilter, Personal, PersonalData,
    ReconciliationRun, Reconciliations, RefundFilter, Reserved, ReviewAct, Reviews, Rewrapping,
    Search, SettlementAccount, Settlements, Store, StoreError, StoredBreak, Totals, UnknownOrder,
    Upkeep, rows,
};

use crate::connect::{DatabaseUrl, Setup};
use crate::events::NewRecords;
use crate::group::{Application, Attempt, Groups, Step};
use crate::lease::NumberLease;
use crate::options::Options;
use crate::pool::Connections;
use crate::{
    archives, deliveries, events, journal, lists, orders, payments, personal, reclaim,
    reconciliations, refunds, schema, settlements, sums,
};

/// A [`Store`] in one PostgreSQL database. Clones are handles of the same store.
#[derive(Clone)]
pub struct PgStore {
    pub(crate) connections: Arc<Connections>,
    groups: Arc<Groups>,
}

impl PgStore {
    /// Opens a store whose schema is that of this program.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the schema is older or newer, or missing (version 0);
    /// [`StoreError::Down`], whose source says why, if the database cannot be reached or would not
    /// keep what it is told.
    pub async fn open(place: &DatabaseUrl, options: Options) -> Result<Self, StoreError> {
        Self::open_with(place, options, Setup::Write).await
    }

    /// Opens a store for operators' questions. Every method that would write answers
    /// [`StoreError::Down`].
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_read_only(place: &DatabaseUrl) -> Result<Self, StoreError> {
        let options = Options { connections: 2, ..Options::default() };
        Self::open_with(place, options, Setup::ReadOnly).await
    }

    async fn open_with(
        place: &DatabaseUrl,
        options: Options,
        setup: Setup,
    ) -> Result<Self, StoreError> {
        let connections = Arc::new(Connections::new(place, &options, setup)?);
        let client = connections.get().await?;
        if setup == Setup::Write {
            schema::check_server(&client).await?;
        }
        if place.is_pooled() {
            schema::check_role(&client).await?;
        }
        schema::check(&client).await?;
        drop(client);
        let groups = Arc::new(Groups::new(Arc::clone(&connections), &options));
        Ok(Self { connections, groups })
    }

    /// Creates the schema or brings it up to date; its version afterwards. Of several programs
    /// that do this at once one does it.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if a later program made the schema; [`StoreError::Down`].
    pub async fn migrate(place: &DatabaseUrl) -> Result<i64, StoreError> {
        schema::migrate(place).await
    }

    /// The version of the schema that this program writes.
    #[must_use]
    pub fn schema_version_known() -> i64 {
        schema::known()
    }

    /// Takes an instance's number for this process, or without one a number of those who draw no ids.
    /// From then on claims are this number's, what a dead holder of any number had claimed is made due,
    /// and once the number is lost, this store writes nothing more. To be called once, before
    /// anything is claimed.
    ///
    /// An instance that is just ending is waited for, at most for `patience`; one that renews its lease no
    /// more, until that is over (see [`gopay_store::lease`]), unless `patience` is zero. One that has
    /// certainly ended is not waited for.
    ///
    /// # Errors
    /// [`StoreError::Down`] that names the holder, or says why the database cannot be asked.
    pub async fn hold(
        &self,
        place: &DatabaseUrl,
        number: Option<u16>,
        patience: Duration,
    ) -> Result<NumberLease, StoreError> {
        NumberLease::take(&self.connections, place, number, patience).await
    }

    /// Takes no more steps and closes the connections that are idle; the others follow.
    pub fn close(&self) {
        self.connections.close();
    }
}

#[async_trait]
impl Store for PgStore {
    fn epoch(&self) -> u64 {
        self.connections.epoch()
    }

    fn may_begin(&self) -> bool {
        self.connections.may_begin()
    }

    async fn payments_missing(&self, tx_ids: &[TxId]) -> Result<Vec<TxId>, StoreError> {
        let tx_ids: Vec<i64> = tx_ids.iter().map(|tx_id| tx_id.get()).collect();
        let tx_ids = &tx_ids;
        self.connections
            .alone(|db| async move { payments::payments_missing(&db, tx_ids).await })
            .await
    }

    async fn payment_create(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
    ) -> Result<Created, StoreError> {
        let (request, records) = (&*CALL.shorten(request), &NewRecords::of(notes));
        let make = |reply| Step::create((payment, request, records, None), reply);
        self.groups
            .run(make, |db| async move {
                payments::payment_create(&db, payment, request, records, None).await
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
            let (event, records) = (event.clone(), NewRecords::of(notes));
            Step::Apply(Box::new(Application { tx_id, event, answer, records, now }), reply)
        };
        self.groups
            .run(make, |db| async move {
                payments::payment_apply(&db, tx_id, event, answer, notes, now).await
            })
            .await
    }

    async fn payment_answer(&self, tx_id: TxId, answer: &[u8]) -> Result<Payment, StoreError> {
        let make = |reply| Step::Answer(tx_id, answer.to_vec(), reply);
        self.groups
            .run(make, |db| async move { payments::payment_answer(&db, tx_id, answer).await })
            .await
    }

    async fn payment_get(&self, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
        self.connections.alone(|db| async move { payments::payment_get(&db, tx_id).await }).await
    }

    async fn payment_request(&self, tx_id: TxId) -> Result<String, StoreError> {
        self.connections
            .alone(|db| async move { payments::payment_request(&db, tx_id).await })
            .await
    }

    async fn payment_find(
        &self,
        contract: &str,
        merchant_tx_id: &str,
    ) -> Result<Lookup<Payment>, StoreError> {
        self.connections
            .alone(|db| async move { payments::payment_find(&db, contract, merchant_tx_id).await })
            .await
    }

    async fn payment_find_nonce(
        &self,
        contract: &str,
        nonce: &str,
    ) -> Result<Option<Payment>, StoreError> {
        self.connections
            .alone(|db| async move { payments::payment_find_nonce(&db, contract, nonce).await })
            .await
    }

    async fn payment_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        self.connections
            .alone(|db| async move { payments::payment_claim_due(&db, now, limit).await })
            .await
    }

    async fn payment_check_at(&self, tx_id: TxId, at: Timestamp) -> Result<(), StoreError> {
        let make = |reply| Step::CheckAt(tx_id, at, reply);
        self.groups
            .run(make, |db| async move { payments::payment_check_at(&db, tx_id, at).await })
            .await
    }

    async fn payment_note(
        &self,
        tx_id: TxId,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let records = &NewRecords::of(notes);
        let make = |reply| Step::Note(tx_id, now, records.clone(), reply);
        self.groups
            .run(make, |db| async move { payments::payment_note(&db, tx_id, records, now).await })
            .await
    }

    async fn refund_reserve(
        &self,
        request: &RefundRequest,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        self.connections
            .alone(|db| async move { refunds::refund_reserve(&db, request, now).await })
            .await
    }

    async fn refund_resolve(
        &self,
        refund_id: RefundId,
        outcome: RefundOutcome,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Refund, StoreError> {
        self.connections
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
        self.connections
            .alone(|db| async move { refunds::refund_record_refused(&db, refund, now).await })
            .await
    }

    async fn refund_record_elsewhere(
        &self,
        tx_id: TxId,
        seen: &SeenBack,
        ids: &[RefundId],
        now: Timestamp,
    ) -> Result<Vec<Refund>, StoreError> {
        self.connections
            .alone(|db| async move {
                refunds::refund_record_elsewhere(&db, tx_id, seen, ids, now).await
            })
            .await
    }

    async fn refund_get(&self, refund_id: RefundId) -> Result<Option<Refund>, StoreError> {
        self.connections.alone(|db| async move { refunds::refund_get(&db, refund_id).await }).await
    }

    async fn refund_find(
        &self,
        contract: &str,
        merchant_refund_id: &str,
    ) -> Result<Lookup<Refund>, StoreError> {
        self.connections
            .alone(
                |db| async move { refunds::refund_find(&db, contract, merchant_refund_id).await },
            )
            .await
    }

    async fn refunds_of(&self, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
        self.connections.alone(|db| async move { refunds::refunds_of(&db, tx_id).await }).await
    }

    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        self.connections
            .alone(|db| async move { refunds::refund_claim_due(&db, now, limit).await })
            .await
    }

    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        self.connections
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
        let mut attempt = NewRecords::default();
        attempt.push(KIND_ATTEMPT, &detail);
        let attempt = &attempt;
        let make = |reply| {
            let (claimed, outcome, record) = (delivery.clone(), outcome.clone(), attempt.clone());
            Step::Record(Box::new(Attempt { claimed, outcome, record, now }), reply)
        };
        self.groups
            .run(make, |db| async move {
                deliveries::delivery_record(&db, delivery, outcome, attempt, now).await
            })
            .await
    }

    async fn delivery_again(&self, tx_id: TxId, now: Timestamp) -> Result<bool, StoreError> {
        self.connections
            .alone(|db| async move { deliveries::delivery_again(&db, tx_id, now).await })
            .await
    }

    async fn reclaim(&self, now: Timestamp, lease_until: Timestamp) -> Result<u64, StoreError> {
        let certain = self.connections.is_heir();
        self.connections
            .alone(|db| async move { reclaim::reclaim(&db, certain, now, lease_until).await })
            .await
    }

    async fn order_record(&self, seen: &UnknownOrder) -> Result<UnknownOrder, StoreError> {
        self.connections.alone(|db| async move { orders::order_record(&db, seen).await }).await
    }

    async fn order_resolve(
        &self,
        tx_id: TxId,
        resolution: &OrderResolution,
    ) -> Result<Option<UnknownOrder>, StoreError> {
        self.connections
            .alone(|db| async move { orders::order_resolve(&db, tx_id, resolution).await })
            .await
    }

    async fn ping(&self, now: Timestamp) -> Result<(), StoreError> {
        self.connections.alone(|db| async move { sums::ping(&db, now).await }).await
    }
}

#[async_trait]
impl Search for PgStore {
    async fn payment_trail(&self, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
        self.connections.alone(|db| async move { events::payment_trail(&db, tx_id).await }).await
    }

    async fn deliveries_of(&self, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
        self.connections
            .alone(|db| async move { deliveries::deliveries_of(&db, tx_id).await })
            .await
    }

    async fn payments_list(
        &self,
        filter: &PaymentFilter,
        page: &Page,
    ) -> Result<Listed<Payment>, StoreError> {
        let query = &filter.query(page);
        self.connections
            .alone(|db| async move { lists::list(&db, query, rows::payment).await })
            .await
    }

    async fn refunds_list(
        &self,
        filter: &RefundFilter,
        page: &Page,
    ) -> Result<Listed<Refund>, StoreError> {
        let query = &filter.query(page);
        self.connections
            .alone(|db| async move { lists::list(&db, query, rows::refund).await })
            .await
    }

    async fn deliveries_list(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Listed<Delivery>, StoreError> {
        let query = &filter.query(page);
        self.connections
            .alone(|db| async move { lists::list(&db, query, rows::delivery).await })
            .await
    }

    async fn payments_in_doubt(&self, limit: usize) -> Result<Vec<Payment>, StoreError> {
        self.connections
            .alone(|db| async move { orders::payments_in_doubt(&db, limit).await })
            .await
    }

    async fn orders_open(&self, limit: usize) -> Result<Vec<UnknownOrder>, StoreError> {
        self.connections.alone(|db| async move { orders::orders_open(&db, limit).await }).await
    }

    async fn order_get(&self, tx_id: TxId) -> Result<Option<UnknownOrder>, StoreError> {
        self.connections.alone(|db| async move { orders::order_get(&db, tx_id).await }).await
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        self.connections.alone(|db| async move { sums::backlog(&db, now).await }).await
    }

    async fn attention(&self) -> Result<AttentionSums, StoreError> {
        self.connections.alone(|db| async move { orders::attention(&db).await }).await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.connections.alone(|db| async move { sums::totals(&db).await }).await
    }
}

/// For what reads every row.
const WHOLE: Duration = Duration::from_secs(600);

#[async_trait]
impl Upkeep for PgStore {
    async fn totals_counted(&self) -> Result<Totals, StoreError> {
        self.connections
            .alone_within(WHOLE, |db| async move { sums::totals_counted(&db).await })
            .await
    }

    async fn totals_refill(&self) -> Result<(), StoreError> {
        self.connections
            .alone_within(WHOLE, |db| async move { sums::totals_refill(&db).await })
            .await
    }

    async fn archivable(
        &self,
        ids: Range<i64>,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<TxId>, StoreError> {
        let ids = &ids;
        self.connections
            .alone(|db| async move { archives::archivable(&db, ids, before, limit).await })
            .await
    }

    async fn archive_read(&self, tx_ids: &[TxId]) -> Result<Vec<Filed>, StoreError> {
        let tx_ids: Vec<i64> = tx_ids.iter().map(|tx_id| tx_id.get()).collect();
        let tx_ids = &tx_ids;
        self.connections.alone(|db| async move { archives::archive_read(&db, tx_ids).await }).await
    }

    async fn archives(&self) -> Result<Vec<Archive>, StoreError> {
        self.connections.alone(|db| async move { archives::archives(&db).await }).await
    }

    async fn archive_begin(&self, archive: &Archive) -> Result<(), StoreError> {
        self.connections
            .alone(|db| async move { archives::archive_begin(&db, archive).await })
            .await
    }

    async fn archive_take(&self, number: i64, leaving: &[Leaving]) -> Result<u64, StoreError> {
        self.connections
            .alone(|db| async move { archives::archive_take(&db, number, leaving).await })
            .await
    }

    async fn archive_end(&self, number: i64, at: Timestamp) -> Result<(), StoreError> {
        self.connections
            .alone(|db| async move { archives::archive_end(&db, number, at).await })
            .await
    }

    async fn archive_of(&self, tx_id: TxId) -> Result<Option<i64>, StoreError> {
        self.connections.alone(|db| async move { archives::archive_of(&db, tx_id).await }).await
    }

    async fn archive_give_back(&self, number: i64, filed: &[Filed]) -> Result<u64, StoreError> {
        self.connections
            .alone(|db| async move { archives::archive_give_back(&db, number, filed).await })
            .await
    }
}

#[async_trait]
impl PersonalData for PgStore {
    async fn payment_create_sealed(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
        key: &WrappedKey,
    ) -> Result<Created, StoreError> {
        let (request, key) = (&*CALL.shorten(request), Some(key));
        let records = &NewRecords::of(notes);
        let make = |reply| Step::create((payment, request, records, key), reply);
        self.groups
            .run(make, |db| async move {
                payments::payment_create(&db, payment, request, records, key).await
            })
            .await
    }

    async fn data_key(&self, tx_id: TxId) -> Result<Option<WrappedKey>, StoreError> {
        self.connections.alone(|db| async move { personal::data_key(&db, tx_id).await }).await
    }

    async fn data_keys_after(&self, after: i64, limit: usize) -> Result<Vec<KeyOf>, StoreError> {
        self.connections
            .alone(|db| async move { personal::data_keys_after(&db, after, limit).await })
            .await
    }

    async fn data_keys_rewrap(&self, keys: &[Rewrapping]) -> Result<u64, StoreError> {
        self.connections
            .alone(|db| async move { personal::data_keys_rewrap(&db, keys).await })
            .await
    }

    async fn personal_get(&self, tx_id: TxId) -> Result<Option<Personal>, StoreError> {
        self.connections.alone(|db| async move { personal::personal_get(&db, tx_id).await }).await
    }

    async fn personal_replace(
        &self,
        tx_id: TxId,
        values: (&Personal, &Personal),
        key: &KeyChange,
    ) -> Result<bool, StoreError> {
        self.connections
            .alone(|db| async move { personal::personal_replace(&db, tx_id, values, key).await })
            .await
    }

    async fn erasure_get(&self, tx_id: TxId) -> Result<Option<Erasure>, StoreError> {
        self.connections.alone(|db| async move { personal::erasure_get(&db, tx_id).await }).await
    }

    async fn key_proofs(&self) -> Result<Vec<KeyProof>, StoreError> {
        self.connections.alone(|db| async move { personal::key_proofs(&db).await }).await
    }

    async fn key_proof_add(&self, proof: &KeyProof, now: Timestamp) -> Result<(), StoreError> {
        self.connections
            .alone(|db| async move { personal::key_proof_add(&db, proof, now).await })
            .await
    }

    async fn key_proof_remove(&self, key_id: &str) -> Result<bool, StoreError> {
        self.connections
            .alone(|db| async move { personal::key_proof_remove(&db, key_id).await })
            .await
    }
}

#[async_trait]
impl Journal for PgStore {
    async fn journal_read(&self, after: &Cursor, limit: usize) -> Result<JournalPage, StoreError> {
        self.connections
            .alone(|db| async move { journal::journal_read(&db, after, limit).await })
            .await
    }

    async fn journal_end(&self) -> Result<Cursor, StoreError> {
        self.connections.alone(|db| async move { journal::journal_end(&db).await }).await
    }
}

#[async_trait]
impl Settlements for PgStore {
    async fn settlement_head(
        &self,
        account: SettlementAccount,
    ) -> Result<Option<ClosedSettlement>, StoreError> {
        self.connections
            .alone(|db| async move { settlements::settlement_head(&db, account).await })
            .await
    }

    async fn settlement_heads(&self) -> Result<Vec<ClosedSettlement>, StoreError> {
        self.connections.alone(|db| async move { settlements::settlement_heads(&db).await }).await
    }

    async fn settlements_after(
        &self,
        account: SettlementAccount,
        ordinal: i64,
        limit: usize,
    ) -> Result<Vec<ClosedSettlement>, StoreError> {
        self.connections
            .alone(|db| async move {
                settlements::settlements_after(&db, account, ordinal, limit).await
            })
            .await
    }

    async fn settlement_close(&self, closed: &ClosedSettlement) -> Result<(), StoreError> {
        self.connections
            .alone(|db| async move { settlements::settlement_close(&db, closed).await })
            .await
    }
}

#[async_trait]
impl Reviews for PgStore {
    async fn reviews_after(
        &self,
        scope: &str,
        act: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ReviewAct)>, StoreError> {
        self.connections
            .alone(|db| async move { reconciliations::reviews_after(&db, scope, act, limit).await })
            .await
    }

    async fn reviews_add(&self, acts: &[ReviewAct]) -> Result<(), StoreError> {
        self.connections
            .alone(|db| async move { reconciliations::reviews_add(&db, acts).await })
            .await
    }
}

#[async_trait]
impl Reconciliations for PgStore {
    async fn reconciliation_last(&self) -> Result<i64, StoreError> {
        self.connections
            .alone(|db| async move { reconciliations::reconciliation_last(&db).await })
            .await
    }

    async fn reconciliation_runs(
        &self,
        series: &str,
        run: i64,
        limit: usize,
    ) -> Result<Vec<ReconciliationRun>, StoreError> {
        self.connections
            .alone(|db| async move {
                reconciliations::reconciliation_runs(&db, series, run, limit).await
            })
            .await
    }

    async fn reconciliation_breaks(
        &self,
        series: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredBreak>, StoreError> {
        self.connections
            .alone(|db| async move {
                reconciliations::reconciliation_breaks(&db, series, after, limit).await
            })
            .await
    }

    async fn reconciliation_record(
        &self,
        run: &ReconciliationRun,
        changes: &[StoredBreak],
        acts: &[ReviewAct],
    ) -> Result<(), StoreError> {
        self.connections
            .alone(|db| async move {
                reconciliations::reconciliation_record(&db, run, changes, acts).await
            })
            .await
    }
}
