//! The store as a process of a small world sees it: every step that can matter to others waits until
//! the history says when it happens and what becomes of it.
//!
//! Behind it is the store in memory with which every engine is compared.

use std::fmt::Debug;
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

use super::action::Fate;
use super::action::Who;
use super::stage::{Kind, Stage};

/// See the module.
pub(super) struct SteppedStore {
    pub(super) stage: Arc<Stage>,
    pub(super) who: Who,
}

fn down(why: &'static str) -> StoreError {
    StoreError::Down(why.into())
}

impl SteppedStore {
    async fn step<T: Debug>(
        &self,
        name: &'static str,
        effect: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let kind = if READS.contains(&name) { Kind::Read } else { Kind::Write };
        let fate = self.stage.leave(self.who, kind, name).await;
        match fate {
            Fate::NotDone | Fate::Lost | Fate::Late => {
                self.stage.learn(self.who, &"failed");
                Err(down("failed before"))
            }
            Fate::Unheard => {
                let _ = self.written(kind, effect).await;
                self.stage.learn(self.who, &"failed");
                Err(down("failed after"))
            }
            Fate::DoneThenDies => {
                let _ = self.written(kind, effect).await;
                self.stage.die(self.who);
                std::future::pending().await
            }
            Fate::Done => {
                let done = self.written(kind, effect).await;
                self.stage.learn(self.who, &done);
                done
            }
        }
    }
}

impl SteppedStore {
    /// What comes of a step: none from who has lost its number.
    async fn written<T>(
        &self,
        kind: Kind,
        effect: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        if kind == Kind::Write && !self.stage.holds(self.who) {
            return Err(StoreError::Away("this instance has lost its number".into()));
        }
        effect.await
    }

    async fn claim(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        let number = self.stage.world.leases.map(|_| self.who.instance());
        let claimed = self.stage.durable.deliveries_claim(number, now, lease_until, limit, busy)?;
        if number.is_some() {
            self.stage.claimed(self.who, &claimed);
        }
        Ok(claimed)
    }

    async fn record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.stage.durable.delivery_record(delivery, outcome, detail, now).await?;
        self.stage.recorded(self.who, delivery);
        Ok(())
    }
}

/// What changes nothing for anybody.
const READS: [&str; 9] = [
    "payment_get",
    "payment_find",
    "payment_find_nonce",
    "refund_get",
    "refund_find",
    "refunds_of",
    "order_get",
    "payments_in_doubt",
    "orders_open",
];

/// `step`: waits for its turn. `at_once`: what nobody can tell from its being earlier or later, such as
/// lines of the trail, which no rule reads.
macro_rules! forward {
    ($trait:ident
        step { $($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)* }
        at_once { $($quick:ident($($quick_arg:ident: $quick_type:ty),*) -> $quick_result:ty;)* }
        $($own:item)*
    ) => {
        #[async_trait]
        impl $trait for SteppedStore {
            $($own)*
            $(async fn $name(&self, $($arg: $type),*) -> Result<$result, StoreError> {
                self.step(stringify!($name), self.stage.durable.$name($($arg),*)).await
            })*
            $(async fn $quick(&self, $($quick_arg: $quick_type),*) -> Result<$quick_result, StoreError> {
                self.stage.durable.$quick($($quick_arg),*).await
            })*
        }
    };
}

forward! { Store
step {
    payment_create(payment: &Payment, request: &str, notes: &[Note]) -> Created;
    payment_apply(tx_id: TxId, event: &Event, answer: Option<&[u8]>, notes: &[Note], now: Timestamp) -> Applied;
    payment_answer(tx_id: TxId, answer: &[u8]) -> Payment;
    payment_get(tx_id: TxId) -> Option<Payment>;
    payment_find(contract: &str, merchant_tx_id: &str) -> Lookup<Payment>;
    payment_find_nonce(contract: &str, nonce: &str) -> Option<Payment>;
    payment_claim_due(now: Timestamp, limit: usize) -> Vec<Payment>;
    payment_check_at(tx_id: TxId, at: Timestamp) -> ();
    refund_reserve(request: &RefundRequest, now: Timestamp) -> Reserved;
    refund_resolve(refund_id: RefundId, outcome: RefundOutcome, notes: &[Note], now: Timestamp) -> Refund;
    refund_record_refused(refund: &Refund, now: Timestamp) -> ();
    refund_record_elsewhere(tx_id: TxId, seen: &SeenBack, ids: &[RefundId], now: Timestamp) -> Vec<Refund>;
    refund_get(refund_id: RefundId) -> Option<Refund>;
    refund_find(contract: &str, merchant_refund_id: &str) -> Lookup<Refund>;
    refunds_of(tx_id: TxId) -> Vec<Refund>;
    refund_claim_due(now: Timestamp, limit: usize) -> Vec<Refund>;
    delivery_again(tx_id: TxId, now: Timestamp) -> bool;
    order_record(seen: &UnknownOrder) -> UnknownOrder;
    order_resolve(tx_id: TxId, resolution: &OrderResolution) -> Option<UnknownOrder>;
}
at_once {
    payments_missing(tx_ids: &[TxId]) -> Vec<TxId>;
    payment_request(tx_id: TxId) -> String;
    payment_note(tx_id: TxId, notes: &[Note], now: Timestamp) -> ();
    ping(now: Timestamp) -> ();
}
    fn may_begin(&self) -> bool {
        self.stage.holds(self.who)
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

forward! { Search
step {}
at_once {
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

forward! { PersonalData
step {}
at_once {
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

forward! { Journal
step {}
at_once {
    journal_read(after: &Cursor, limit: usize) -> JournalPage;
    journal_end() -> Cursor;
} }

forward! { Settlements
step {}
at_once {
    settlement_head(account: SettlementAccount) -> Option<ClosedSettlement>;
    settlement_heads() -> Vec<ClosedSettlement>;
    settlements_after(account: SettlementAccount, ordinal: i64, limit: usize) -> Vec<ClosedSettlement>;
    settlement_close(closed: &ClosedSettlement) -> ();
} }

forward! { Reviews
step {}
at_once {
    reviews_after(scope: &str, act: i64, limit: usize) -> Vec<(i64, ReviewAct)>;
    reviews_add(acts: &[ReviewAct]) -> ();
} }

forward! { Reconciliations
step {}
at_once {
    reconciliation_last() -> i64;
    reconciliation_runs(series: &str, run: i64, limit: usize) -> Vec<ReconciliationRun>;
    reconciliation_breaks(series: &str, after: &str, limit: usize) -> Vec<StoredBreak>;
    reconciliation_record(run: &ReconciliationRun, changes: &[StoredBreak], acts: &[ReviewAct]) -> ();
} }

forward! { Upkeep
step {}
at_once {
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

forward! { Directories
step {}
at_once {
    directory_last() -> i64;
    directory_stored(entry: i64, limit: usize) -> Vec<DirectoryEntry>;
    directory_after(entry: i64, limit: usize) -> Vec<DirectoryEntry>;
    directory_named(kind: EntryKind, name: &str, entry: i64, limit: usize) -> Vec<DirectoryEntry>;
    directory_add(change: &[DirectoryEntry]) -> ();
    directory_seal(change: i64, from: Option<&WrappedKey>, to: &WrappedKey, contents: &[(i64, String)]) -> bool;
} }
