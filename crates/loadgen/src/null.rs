//! A store that keeps nothing: a payment is held from its intent to its outcome, as the service
//! needs it, and then forgotten. What is left is what the service costs without a disk.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::payment::{Event, Payment};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;
use gopay_store::sealing::{KeyProof, WrappedKey};
use gopay_store::{
    Applied, Archive, AttemptOutcome, AttentionSums, Backlog, ClosedSettlement, Created, Cursor,
    Delivery, DeliveryFilter, Directories, DirectoryEntry, EntryKind, Erasure, EventRecord, Filed,
    Journal, JournalPage, KeyChange, KeyOf, Leaving, Listed, Lookup, Note, OrderResolution, Page,
    PaymentFilter, Personal, PersonalData, ReconciliationRun, Reconciliations, RefundFilter,
    Reserved, ReviewAct, Reviews, Rewrapping, Search, SettlementAccount, Settlements, Store,
    StoreError, StoredBreak, Totals, UnknownOrder, Upkeep, engine,
};

/// See the module.
#[derive(Default)]
pub(crate) struct NullStore {
    under_way: Mutex<HashMap<TxId, Payment>>,
}

impl NullStore {
    fn under_way(&self) -> MutexGuard<'_, HashMap<TxId, Payment>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const GONE: StoreError = StoreError::Missing { table: "payments" };

#[async_trait]
impl Store for NullStore {
    async fn payment_create(
        &self,
        payment: &Payment,
        _request: &str,
        _notes: &[Note],
    ) -> Result<Created, StoreError> {
        self.under_way().insert(payment.tx_id, payment.clone());
        Ok(Created::New)
    }

    async fn payment_apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        _notes: &[Note],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let stored = self.under_way().remove(&tx_id).ok_or(GONE)?;
        Ok(engine::payment_apply(stored, event, answer, now).applied)
    }

    async fn payment_answer(&self, _tx_id: TxId, _answer: &[u8]) -> Result<Payment, StoreError> {
        Err(GONE)
    }

    async fn payment_request(&self, _tx_id: TxId) -> Result<String, StoreError> {
        Err(GONE)
    }

    async fn payment_get(&self, _tx_id: TxId) -> Result<Option<Payment>, StoreError> {
        Ok(None)
    }

    async fn payment_find(
        &self,
        _contract: &str,
        _merchant_tx_id: &str,
    ) -> Result<Lookup<Payment>, StoreError> {
        Ok(Lookup::None)
    }

    async fn payment_find_nonce(
        &self,
        _contract: &str,
        _nonce: &str,
    ) -> Result<Option<Payment>, StoreError> {
        Ok(None)
    }

    async fn payments_missing(&self, _tx_ids: &[TxId]) -> Result<Vec<TxId>, StoreError> {
        Ok(Vec::new())
    }

    async fn payment_claim_due(
        &self,
        _now: Timestamp,
        _limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        Ok(Vec::new())
    }

    async fn payment_check_at(&self, _tx_id: TxId, _at: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn payment_note(
        &self,
        _tx_id: TxId,
        _notes: &[Note],
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn refund_reserve(
        &self,
        _request: &RefundRequest,
        _now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        Ok(Reserved::NoPayment)
    }

    async fn refund_resolve(
        &self,
        _refund_id: RefundId,
        _outcome: RefundOutcome,
        _notes: &[Note],
        _now: Timestamp,
    ) -> Result<Refund, StoreError> {
        Err(StoreError::Missing { table: "refunds" })
    }

    async fn refund_record_refused(
        &self,
        _refund: &Refund,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn refund_record_elsewhere(
        &self,
        _tx_id: TxId,
        _seen: &SeenBack,
        _ids: &[RefundId],
        _now: Timestamp,
    ) -> Result<Vec<Refund>, StoreError> {
        Ok(Vec::new())
    }

    async fn refund_get(&self, _refund_id: RefundId) -> Result<Option<Refund>, StoreError> {
        Ok(None)
    }

    async fn refund_find(
        &self,
        _contract: &str,
        _merchant_refund_id: &str,
    ) -> Result<Lookup<Refund>, StoreError> {
        Ok(Lookup::None)
    }

    async fn refunds_of(&self, _tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
        Ok(Vec::new())
    }

    async fn refund_claim_due(
        &self,
        _now: Timestamp,
        _limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        Ok(Vec::new())
    }

    async fn delivery_claim_due(
        &self,
        _now: Timestamp,
        _lease_until: Timestamp,
        _limit: usize,
        _busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        Ok(Vec::new())
    }

    async fn delivery_record(
        &self,
        _delivery: &Delivery,
        _outcome: &AttemptOutcome,
        _detail: serde_json::Value,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn delivery_again(&self, _tx_id: TxId, _now: Timestamp) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn order_record(&self, seen: &UnknownOrder) -> Result<UnknownOrder, StoreError> {
        Ok(seen.clone())
    }

    async fn order_resolve(
        &self,
        _tx_id: TxId,
        _resolution: &OrderResolution,
    ) -> Result<Option<UnknownOrder>, StoreError> {
        Ok(None)
    }

    async fn ping(&self, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Search for NullStore {
    async fn payment_trail(&self, _tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
        Ok(Vec::new())
    }

    async fn deliveries_of(&self, _tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
        Ok(Vec::new())
    }

    async fn payments_list(
        &self,
        _filter: &PaymentFilter,
        _page: &Page,
    ) -> Result<Listed<Payment>, StoreError> {
        Ok(Listed { rows: Vec::new(), next: None })
    }

    async fn refunds_list(
        &self,
        _filter: &RefundFilter,
        _page: &Page,
    ) -> Result<Listed<Refund>, StoreError> {
        Ok(Listed { rows: Vec::new(), next: None })
    }

    async fn deliveries_list(
        &self,
        _filter: &DeliveryFilter,
        _page: &Page,
    ) -> Result<Listed<Delivery>, StoreError> {
        Ok(Listed { rows: Vec::new(), next: None })
    }

    async fn payments_in_doubt(&self, _limit: usize) -> Result<Vec<Payment>, StoreError> {
        Ok(Vec::new())
    }

    async fn orders_open(&self, _limit: usize) -> Result<Vec<UnknownOrder>, StoreError> {
        Ok(Vec::new())
    }

    async fn order_get(&self, _tx_id: TxId) -> Result<Option<UnknownOrder>, StoreError> {
        Ok(None)
    }

    async fn backlog(&self, _now: Timestamp) -> Result<Backlog, StoreError> {
        Ok(Backlog::default())
    }

    async fn attention(&self) -> Result<AttentionSums, StoreError> {
        Ok(AttentionSums::default())
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        Ok(Totals::default())
    }
}

#[async_trait]
impl Upkeep for NullStore {
    async fn totals_counted(&self) -> Result<Totals, StoreError> {
        Ok(Totals::default())
    }

    async fn totals_refill(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn archivable(
        &self,
        _: Range<i64>,
        _: Timestamp,
        _: usize,
    ) -> Result<Vec<TxId>, StoreError> {
        Ok(Vec::new())
    }

    async fn archive_read(&self, _: &[TxId]) -> Result<Vec<Filed>, StoreError> {
        Ok(Vec::new())
    }

    async fn archives(&self) -> Result<Vec<Archive>, StoreError> {
        Ok(Vec::new())
    }

    async fn archive_begin(&self, _: &Archive) -> Result<(), StoreError> {
        Ok(())
    }

    async fn archive_take(&self, _: i64, _: &[Leaving]) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn archive_end(&self, _: i64, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn archive_of(&self, _: TxId) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }

    async fn archive_give_back(&self, _: i64, _: &[Filed]) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[async_trait]
impl PersonalData for NullStore {
    async fn payment_create_sealed(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
        _key: &WrappedKey,
    ) -> Result<Created, StoreError> {
        self.payment_create(payment, request, notes).await
    }

    async fn data_key(&self, _tx_id: TxId) -> Result<Option<WrappedKey>, StoreError> {
        Ok(None)
    }

    async fn data_keys_after(&self, _after: i64, _limit: usize) -> Result<Vec<KeyOf>, StoreError> {
        Ok(Vec::new())
    }

    async fn data_keys_rewrap(&self, _keys: &[Rewrapping]) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn personal_get(&self, _tx_id: TxId) -> Result<Option<Personal>, StoreError> {
        Ok(None)
    }

    async fn personal_replace(
        &self,
        _tx_id: TxId,
        _values: (&Personal, &Personal),
        _key: &KeyChange,
    ) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn erasure_get(&self, _tx_id: TxId) -> Result<Option<Erasure>, StoreError> {
        Ok(None)
    }

    async fn key_proofs(&self) -> Result<Vec<KeyProof>, StoreError> {
        Ok(Vec::new())
    }

    async fn key_proof_add(&self, _proof: &KeyProof, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }

    async fn key_proof_remove(&self, _key_id: &str) -> Result<bool, StoreError> {
        Ok(true)
    }
}

#[async_trait]
impl Journal for NullStore {
    async fn journal_read(&self, after: &Cursor, _limit: usize) -> Result<JournalPage, StoreError> {
        Ok(JournalPage { records: Vec::new(), next: after.clone() })
    }

    async fn journal_end(&self) -> Result<Cursor, StoreError> {
        Ok(Cursor::default())
    }
}

#[async_trait]
impl Settlements for NullStore {
    async fn settlement_head(
        &self,
        _account: SettlementAccount,
    ) -> Result<Option<ClosedSettlement>, StoreError> {
        Ok(None)
    }

    async fn settlement_heads(&self) -> Result<Vec<ClosedSettlement>, StoreError> {
        Ok(Vec::new())
    }

    async fn settlements_after(
        &self,
        _account: SettlementAccount,
        _ordinal: i64,
        _limit: usize,
    ) -> Result<Vec<ClosedSettlement>, StoreError> {
        Ok(Vec::new())
    }

    async fn settlement_close(&self, _closed: &ClosedSettlement) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Reviews for NullStore {
    async fn reviews_after(
        &self,
        _scope: &str,
        _act: i64,
        _limit: usize,
    ) -> Result<Vec<(i64, ReviewAct)>, StoreError> {
        Ok(Vec::new())
    }

    async fn reviews_add(&self, _acts: &[ReviewAct]) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Reconciliations for NullStore {
    async fn reconciliation_last(&self) -> Result<i64, StoreError> {
        Ok(0)
    }

    async fn reconciliation_runs(
        &self,
        _series: &str,
        _run: i64,
        _limit: usize,
    ) -> Result<Vec<ReconciliationRun>, StoreError> {
        Ok(Vec::new())
    }

    async fn reconciliation_breaks(
        &self,
        _series: &str,
        _after: &str,
        _limit: usize,
    ) -> Result<Vec<StoredBreak>, StoreError> {
        Ok(Vec::new())
    }

    async fn reconciliation_record(
        &self,
        _run: &ReconciliationRun,
        _changes: &[StoredBreak],
        _acts: &[ReviewAct],
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Directories for NullStore {
    async fn directory_last(&self) -> Result<i64, StoreError> {
        Ok(0)
    }

    async fn directory_stored(
        &self,
        _entry: i64,
        _limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        Ok(Vec::new())
    }

    async fn directory_named(
        &self,
        _kind: EntryKind,
        _name: &str,
        _entry: i64,
        _limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        Ok(Vec::new())
    }

    async fn directory_add(&self, _change: &[DirectoryEntry]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn directory_seal(
        &self,
        _change: i64,
        _from: Option<&WrappedKey>,
        _to: &WrappedKey,
        _contents: &[(i64, String)],
    ) -> Result<bool, StoreError> {
        Ok(false)
    }
}
