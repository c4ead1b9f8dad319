//! The store as one process of the adapter sees it: sometimes busy, slow or away, and the process
//! may die at any step, before it took effect or after.
//!
//! Behind it is the store in memory with which every engine is compared; what it took is durable.

use std::ops::Range;
use std::sync::Arc;

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
    StoreError, StoredBreak, Totals, UnknownOrder, Upkeep,
};

use crate::process::Life;
use crate::world::World;

/// See the module.
pub(crate) struct FaultyStore {
    pub(crate) world: Arc<World>,
    pub(crate) life: Arc<Life>,
}

fn down(why: &'static str) -> StoreError {
    StoreError::Down(why.into())
}

/// Steps that write nothing, which are not refused to who has lost its number.
const READS: [&str; 9] = [
    "payment_get",
    "payment_request",
    "payment_find",
    "payment_find_nonce",
    "payments_missing",
    "refund_get",
    "refund_find",
    "refunds_of",
    "payment_trail",
];

impl FaultyStore {
    async fn step<T>(
        &self,
        name: &'static str,
        effect: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.world.step(&self.life, name, "before").await;
        self.pause().await;
        if self.world.store_is_away() {
            self.world.count("store away");
            return Err(StoreError::Away("away".into()));
        }
        let rates = self.world.rates();
        if self.world.chance(|chance| chance.of_10_000(rates.busy)) {
            self.world.count("store busy");
            return Err(StoreError::Busy);
        }
        if self.world.chance(|chance| chance.of_10_000(rates.down)) {
            self.world.count("store failed, not done");
            return Err(down("failed before"));
        }
        self.life.or_hang().await;
        if !READS.contains(&name) && !self.world.holds_number(&self.life) {
            self.world.count("steps refused without a number");
            return Err(StoreError::Away("this instance has lost its number".into()));
        }
        let result = effect.await;
        self.world.count("store steps");
        self.world.trace(format_args!("{} {name}", self.life));
        self.world.step(&self.life, name, "after").await;
        self.pause().await;
        if self.world.chance(|chance| chance.of_10_000(rates.down_after)) {
            self.world.count("store failed, done");
            return Err(down("failed after"));
        }
        self.life.or_hang().await;
        result
    }

    /// Lets others act in between.
    async fn pause(&self) {
        let rates = self.world.rates();
        let span = self.world.chance(|chance| {
            if chance.of_10_000(rates.slow_step) {
                Some(chance.millis(1, 2_000))
            } else {
                chance.percent(30).then(|| chance.millis(1, 5))
            }
        });
        if let Some(span) = span {
            tokio::time::sleep(span).await;
        }
    }
}

impl FaultyStore {
    /// One process knows that all claims are void, of those that share a store each its own number's.
    async fn reclaim_own(&self, now: Timestamp, until: Timestamp) -> Result<u64, StoreError> {
        if self.world.plan.instances == 1 {
            self.world.durable.reclaim(now, until).await
        } else {
            Ok(self.world.durable.reclaim_of(self.life.number(), now, until))
        }
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        let number = Some(self.life.number());
        let claimed = self.world.durable.deliveries_claim(number, now, lease_until, limit, busy)?;
        self.world.claimed(&self.life, &claimed);
        Ok(claimed)
    }

    async fn record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.world.durable.delivery_record(delivery, outcome, detail, now).await?;
        self.world.recorded(&self.life, delivery);
        Ok(())
    }
}

macro_rules! forward {
    ($trait:ident { $($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)+ } $($own:item)*) => {
        #[async_trait]
        impl $trait for FaultyStore {
            $($own)*
            $(async fn $name(&self, $($arg: $type),*) -> Result<$result, StoreError> {
                self.step(stringify!($name), self.world.durable.$name($($arg),*)).await
            })+
        }
    };
}

forward! { Store {
    payment_create(payment: &Payment, request: &str, notes: &[Note]) -> Created;
    payment_apply(tx_id: TxId, event: &Event, answer: Option<&[u8]>, notes: &[Note], now: Timestamp) -> Applied;
    payment_answer(tx_id: TxId, answer: &[u8]) -> Payment;
    payment_get(tx_id: TxId) -> Option<Payment>;
    payment_request(tx_id: TxId) -> String;
    payment_find(contract: &str, merchant_tx_id: &str) -> Lookup<Payment>;
    payment_find_nonce(contract: &str, nonce: &str) -> Option<Payment>;
    payments_missing(tx_ids: &[TxId]) -> Vec<TxId>;
    payment_claim_due(now: Timestamp, limit: usize) -> Vec<Payment>;
    payment_check_at(tx_id: TxId, at: Timestamp) -> ();
    payment_note(tx_id: TxId, notes: &[Note], now: Timestamp) -> ();
    refund_reserve(request: &RefundRequest, now: Timestamp) -> Reserved;
    refund_resolve(refund_id: RefundId, outcome: RefundOutcome, notes: &[Note], now: Timestamp) -> Refund;
    refund_record_refused(refund: &Refund, now: Timestamp) -> ();
    refund_record_elsewhere(tx_id: TxId, seen: &SeenBack, ids: &[RefundId], now: Timestamp) -> Vec<Refund>;
    refund_get(refund_id: RefundId) -> Option<Refund>;
    refund_find(contract: &str, merchant_refund_id: &str) -> Lookup<Refund>;
    refunds_of(tx_id: TxId) -> Vec<Refund>;
    delivery_again(tx_id: TxId, now: Timestamp) -> bool;
    order_record(seen: &UnknownOrder) -> UnknownOrder;
    order_resolve(tx_id: TxId, resolution: &OrderResolution) -> Option<UnknownOrder>;
    ping(now: Timestamp) -> ();
}
    async fn reclaim(&self, now: Timestamp, until: Timestamp) -> Result<u64, StoreError> {
        self.step("reclaim", self.reclaim_own(now, until)).await
    }

    fn may_begin(&self) -> bool {
        // Frozen tasks go on here when their machine does, and find out at their next step.
        self.world.holds_number(&self.life)
    }

    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        let number = Some(self.life.number());
        let claim = async { self.world.durable.refunds_claim(number, now, limit) };
        self.step("refund_claim_due", claim).await
    }

    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        self.step("delivery_claim_due", self.claim(now, lease_until, limit, busy)).await
    }

    async fn delivery_record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.step("delivery_record", self.record(delivery, outcome, detail, now)).await
    }
}

forward! { Search {
    payment_trail(tx_id: TxId) -> Vec<EventRecord>;
    deliveries_of(tx_id: TxId) -> Vec<Delivery>;
    payments_list(filter: &PaymentFilter, page: &Page) -> Listed<Payment>;
    refunds_list(filter: &RefundFilter, page: &Page) -> Listed<Refund>;
    deliveries_list(filter: &DeliveryFilter, page: &Page) -> Listed<Delivery>;
    payments_in_doubt(limit: usize) -> Vec<Payment>;
    orders_open(limit: usize) -> Vec<UnknownOrder>;
    order_get(tx_id: TxId) -> Option<UnknownOrder>;
    backlog(now: Timestamp) -> Backlog;
    attention() -> AttentionSums;
    totals() -> Totals;
} }

forward! { PersonalData {
    payment_create_sealed(payment: &Payment, request: &str, notes: &[Note], key: &WrappedKey) -> Created;
    data_key(tx_id: TxId) -> Option<WrappedKey>;
    data_keys_after(after: i64, limit: usize) -> Vec<KeyOf>;
    data_keys_rewrap(keys: &[Rewrapping]) -> u64;
    personal_get(tx_id: TxId) -> Option<Personal>;
    personal_replace(tx_id: TxId, values: (&Personal, &Personal), key: &KeyChange) -> bool;
    erasure_get(tx_id: TxId) -> Option<Erasure>;
    key_proofs() -> Vec<KeyProof>;
    key_proof_add(proof: &KeyProof, now: Timestamp) -> ();
    key_proof_remove(key_id: &str) -> bool;
} }

forward! { Journal {
    journal_read(after: &Cursor, limit: usize) -> JournalPage;
    journal_end() -> Cursor;
} }

forward! { Settlements {
    settlement_head(account: SettlementAccount) -> Option<ClosedSettlement>;
    settlement_heads() -> Vec<ClosedSettlement>;
    settlements_after(account: SettlementAccount, ordinal: i64, limit: usize) -> Vec<ClosedSettlement>;
    settlement_close(closed: &ClosedSettlement) -> ();
} }

forward! { Reviews {
    reviews_after(scope: &str, act: i64, limit: usize) -> Vec<(i64, ReviewAct)>;
    reviews_add(acts: &[ReviewAct]) -> ();
} }

forward! { Reconciliations {
    reconciliation_last() -> i64;
    reconciliation_runs(series: &str, run: i64, limit: usize) -> Vec<ReconciliationRun>;
    reconciliation_breaks(series: &str, after: &str, limit: usize) -> Vec<StoredBreak>;
    reconciliation_record(run: &ReconciliationRun, changes: &[StoredBreak], acts: &[ReviewAct]) -> ();
} }

forward! { Upkeep {
    totals_counted() -> Totals;
    totals_refill() -> ();
    archivable(ids: Range<i64>, before: Timestamp, limit: usize) -> Vec<TxId>;
    archive_read(tx_ids: &[TxId]) -> Vec<Filed>;
    archives() -> Vec<Archive>;
    archive_begin(archive: &Archive) -> ();
    archive_take(number: i64, leaving: &[Leaving]) -> u64;
    archive_end(number: i64, at: Timestamp) -> ();
    archive_of(tx_id: TxId) -> Option<i64>;
    archive_give_back(number: i64, filed: &[Filed]) -> u64;
} }

forward! { Directories {
    directory_last() -> i64;
    directory_stored(entry: i64, limit: usize) -> Vec<DirectoryEntry>;
    directory_after(entry: i64, limit: usize) -> Vec<DirectoryEntry>;
    directory_named(kind: EntryKind, name: &str, entry: i64, limit: usize) -> Vec<DirectoryEntry>;
    directory_add(change: &[DirectoryEntry]) -> ();
    directory_seal(change: i64, from: Option<&WrappedKey>, to: &WrappedKey, contents: &[(i64, String)]) -> bool;
} }
