//! The store in a few maps behind one lock: the plainest reading of [`Store`]'s description, with
//! which an engine is compared. It keeps nothing after the process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::{self, Entry};
use gopay_core::payment::{Event, Payment, PaymentState};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;

use crate::engine::{self, KIND_ATTEMPT, KIND_REFUND, KIND_STATE, case_key, refund_detail};
use crate::lease::StoredLease;
use crate::sealing::{KeyProof, WrappedKey};
use crate::{
    Applied, Archive, AttemptOutcome, ClosedSettlement, Created, Cursor, Delivery, DeliveryState,
    DirectoryEntry, Erasure, EventRecord, Journal, JournalPage, JournalQuery, JournalRecord,
    JournalSubject, Lookup, Note, OrderResolution, ReconciliationRun, Reserved, ReviewAct,
    SettlementAccount, Store, StoreError, StoredBreak, UnknownOrder,
};

/// A store in memory.
#[derive(Debug, Default)]
pub struct Model {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) payments: BTreeMap<TxId, Payment>,
    pub(super) requests: BTreeMap<TxId, String>,
    pub(super) trails: BTreeMap<TxId, Vec<EventRecord>>,
    pub(super) refunds: BTreeMap<RefundId, Refund>,
    pub(super) keys: BTreeMap<TxId, WrappedKey>,
    pub(super) proofs: Vec<KeyProof>,
    pub(super) erasures: BTreeMap<TxId, Erasure>,
    pub(super) archives: Vec<Archive>,
    /// Whose call and trail are in which.
    pub(super) archived: BTreeMap<TxId, i64>,
    pub(super) directory: Vec<DirectoryEntry>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) leases: Leases,
    pub(super) journal: BTreeMap<(u16, i64), Entry>,
    pub(super) orders: BTreeMap<TxId, UnknownOrder>,
    pub(super) settlements: BTreeMap<(SettlementAccount, i64), ClosedSettlement>,
    pub(super) acts: Vec<ReviewAct>,
    pub(super) runs: Vec<ReconciliationRun>,
    /// By series and id, as of the last change.
    pub(super) breaks: BTreeMap<(String, String), StoredBreak>,
}

/// Which number holds what, and who has claimed what.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// Those that somebody holds, or died with.
    pub(super) held: Vec<StoredLease>,
    /// The last of each number.
    epochs: BTreeMap<u16, i64>,
    /// By delivery, with the time that the claim has set.
    pub(super) deliveries: BTreeMap<i64, (u16, Timestamp)>,
    pub(super) refunds: BTreeMap<RefundId, u16>,
}

impl Leases {
    pub(super) fn next_epoch(&mut self, number: u16) -> i64 {
        let epoch = self.epochs.entry(number).or_default();
        *epoch += 1;
        *epoch
    }
}

impl Model {
    /// Every payment, by id. For tests that look at all of them.
    #[must_use]
    pub fn payments(&self) -> Vec<Payment> {
        self.rows().payments.values().cloned().collect()
    }

    /// Every refund, by id.
    #[must_use]
    pub fn refunds(&self) -> Vec<Refund> {
        self.rows().refunds.values().cloned().collect()
    }

    pub(super) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    fn payment(&mut self, tx_id: TxId) -> Result<&mut Payment, StoreError> {
        self.payments.get_mut(&tx_id).ok_or(StoreError::Missing { table: "payments" })
    }

    fn record(&mut self, tx_id: TxId, at: Timestamp, kind: &str, detail: serde_json::Value) {
        let line = EventRecord { at, kind: kind.to_owned(), detail };
        self.trails.entry(tx_id).or_default().push(line);
    }

    fn note(&mut self, tx_id: TxId, notes: &[Note], at: Timestamp) {
        for note in notes {
            self.record(tx_id, at, note.kind, note.detail.clone());
        }
    }

    fn enter(&mut self, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            let (shard, seq) = (entry.shard(), self.head(entry.shard()) + 1);
            self.journal.insert((shard, seq), entry);
        }
    }

    fn head(&self, shard: u16) -> i64 {
        self.journal
            .range((shard, 0)..=(shard, i64::MAX))
            .next_back()
            .map_or(0, |((_, seq), _)| *seq)
    }

    fn heads(&self) -> Cursor {
        let keys = self.journal.keys();
        keys.fold(Cursor::default(), |cursor, (shard, seq)| cursor.advanced(*shard, *seq))
    }

    /// What an entry is about; a refund tells of its own contract.
    fn about(&self, entry: &Entry) -> JournalSubject {
        let refund = entry.refund_id.and_then(|id| self.refunds.get(&id));
        let payment = self
            .payments
            .get(&entry.tx_id)
            .filter(|payment| refund.is_none_or(|refund| refund.contract == payment.contract));
        let of_payment = |payment: &Payment| (payment.psp.clone(), payment.contract.clone());
        let of_refund = |refund: &Refund| (refund.psp.clone(), refund.contract.clone());
        let (psp, contract) = refund.map(of_refund).or(payment.map(of_payment)).unzip();
        JournalSubject {
            psp,
            contract,
            channel: payment.and_then(|payment| payment.channel),
            merchant_tx_id: payment.and_then(|payment| payment.merchant_tx_id.clone()),
            merchant_refund_id: refund.and_then(|refund| refund.merchant_refund_id.clone()),
        }
    }

    fn refund_insert(&mut self, refund: Refund) -> Result<(), StoreError> {
        if self.refunds.contains_key(&refund.refund_id) {
            return Err(StoreError::Conflict);
        }
        self.refunds.insert(refund.refund_id, refund);
        Ok(())
    }

    pub(super) fn first_of_payment(&self, delivery: &Delivery) -> bool {
        !self.deliveries.iter().any(|other| {
            other.tx_id == delivery.tx_id
                && other.delivery_id < delivery.delivery_id
                && other.state == DeliveryState::Waiting
        })
    }
}

fn nonce_of(payment: &Payment) -> Option<&str> {
    payment.nonce.as_ref().map(|nonce| nonce.value.as_str())
}

fn same_reference(stored: Option<&String>, wanted: &str) -> bool {
    stored.is_some_and(|stored| case_key(stored) == case_key(wanted))
}

#[async_trait]
impl Store for Model {
    async fn payment_create(
        &self,
        payment: &Payment,
        request: &str,
        notes: &[Note],
    ) -> Result<Created, StoreError> {
        let mut rows = self.rows();
        let same_nonce = |other: &&Payment| {
            payment.nonce.is_some()
                && nonce_of(other) == nonce_of(payment)
                && other.contract == payment.contract
        };
        if let Some(earlier) = rows.payments.values().find(same_nonce) {
            return Ok(Created::NonceTaken(Box::new(earlier.clone())));
        }
        if rows.payments.contains_key(&payment.tx_id) {
            return Err(StoreError::Conflict);
        }
        rows.payments.insert(payment.tx_id, payment.clone());
        rows.requests.insert(payment.tx_id, request.to_owned());
        rows.note(payment.tx_id, notes, payment.created_at);
        rows.enter(journal::payment_created(payment));
        Ok(Created::New)
    }

    async fn payment_apply(
        &self,
        tx_id: TxId,
        event: &Event,
        answer: Option<&[u8]>,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let mut rows = self.rows();
        let stored = rows.payment(tx_id)?.clone();
        let step = engine::payment_apply(stored, event, answer, now);
        if let Some(detail) = step.record {
            rows.payments.insert(tx_id, step.applied.payment.clone());
            rows.record(tx_id, now, KIND_STATE, detail);
        }
        rows.note(tx_id, notes, now);
        rows.enter(step.entry);
        if let Some(owed) = step.delivery {
            let delivery_id = i64::try_from(rows.deliveries.len()).unwrap_or(i64::MAX) + 1;
            rows.deliveries.push(Delivery {
                delivery_id,
                tx_id: owed.tx_id,
                psp: owed.psp,
                url: owed.url,
                final_at: owed.final_at,
                attempts: 0,
                next_attempt_at: now,
                state: DeliveryState::Waiting,
            });
        }
        Ok(step.applied)
    }

    async fn payment_answer(&self, tx_id: TxId, answer: &[u8]) -> Result<Payment, StoreError> {
        let mut rows = self.rows();
        let payment = rows.payment(tx_id)?;
        payment.store_answer_once(answer);
        Ok(payment.clone())
    }

    async fn payment_get(&self, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
        Ok(self.rows().payments.get(&tx_id).cloned())
    }

    async fn payment_request(&self, tx_id: TxId) -> Result<String, StoreError> {
        let request = self.rows().requests.get(&tx_id).cloned();
        request.ok_or(StoreError::Missing { table: "payment_requests" })
    }

    async fn payment_find(
        &self,
        contract: &str,
        merchant_tx_id: &str,
    ) -> Result<Lookup<Payment>, StoreError> {
        let rows = self.rows();
        let wanted = |payment: &&Payment| {
            payment.contract == contract
                && same_reference(payment.merchant_tx_id.as_ref(), merchant_tx_id)
        };
        Ok(engine::found(rows.payments.values().filter(wanted).take(2).cloned().collect()))
    }

    async fn payment_find_nonce(
        &self,
        contract: &str,
        nonce: &str,
    ) -> Result<Option<Payment>, StoreError> {
        let rows = self.rows();
        let wanted =
            |payment: &&Payment| payment.contract == contract && nonce_of(payment) == Some(nonce);
        Ok(rows.payments.values().find(wanted).cloned())
    }

    async fn payments_missing(&self, tx_ids: &[TxId]) -> Result<Vec<TxId>, StoreError> {
        let rows = self.rows();
        Ok(tx_ids.iter().copied().filter(|tx_id| !rows.payments.contains_key(tx_id)).collect())
    }

    async fn payment_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        let mut rows = self.rows();
        let mut due: Vec<&mut Payment> = rows
            .payments
            .values_mut()
            .filter(|payment| payment.next_check_at.is_some_and(|at| at <= now))
            .collect();
        due.sort_by_key(|payment| (payment.next_check_at, payment.tx_id));
        due.truncate(limit);
        due.iter_mut().for_each(|payment| **payment = payment.checked(now));
        Ok(due.into_iter().map(|payment| payment.clone()).collect())
    }

    async fn payment_check_at(&self, tx_id: TxId, at: Timestamp) -> Result<(), StoreError> {
        let mut rows = self.rows();
        let payment = rows.payment(tx_id)?;
        if let Some(sooner) = payment.check_at(at) {
            *payment = sooner;
        }
        Ok(())
    }

    async fn payment_note(
        &self,
        tx_id: TxId,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.payment(tx_id)?;
        rows.note(tx_id, notes, now);
        Ok(())
    }

    async fn refund_reserve(
        &self,
        request: &RefundRequest,
        now: Timestamp,
    ) -> Result<Reserved, StoreError> {
        let mut rows = self.rows();
        let payment = rows.payments.get(&request.tx_id).cloned();
        let Some(payment) = payment.filter(|payment| payment.contract == request.contract) else {
            return Ok(Reserved::NoPayment);
        };
        match payment.reserve_refund(request, now) {
            Ok((payment, amount)) => {
                let refund = request.admitted(amount, now);
                rows.refund_insert(refund.clone())?;
                rows.record(refund.tx_id, now, KIND_REFUND, refund_detail(&refund));
                rows.enter([journal::refund_created(&refund, now)]);
                rows.payments.insert(payment.tx_id, payment.clone());
                Ok(Reserved::Admitted(Box::new(refund), Box::new(payment)))
            }
            Err(rejection) => {
                let refund = request.refused(rejection, now);
                rows.refund_insert(refund.clone())?;
                rows.record(refund.tx_id, now, KIND_REFUND, refund_detail(&refund));
                rows.enter([journal::refund_created(&refund, now)]);
                Ok(Reserved::Refused(Box::new(refund)))
            }
        }
    }

    async fn refund_resolve(
        &self,
        refund_id: RefundId,
        outcome: RefundOutcome,
        notes: &[Note],
        now: Timestamp,
    ) -> Result<Refund, StoreError> {
        let mut rows = self.rows();
        let stored = rows.refunds.get(&refund_id).cloned();
        let stored = stored.ok_or(StoreError::Missing { table: "refunds" })?;
        let resolution = engine::refund_resolve(stored, outcome, now)?;
        let refund = resolution.refund;
        rows.refunds.insert(refund_id, refund.clone());
        if let Some(amount) = resolution.given_back {
            let payment = rows.payment(refund.tx_id)?;
            *payment = payment.release_refund(amount);
        }
        if let Some(detail) = resolution.record {
            rows.record(refund.tx_id, now, KIND_REFUND, detail);
        }
        if rows.payments.contains_key(&refund.tx_id) {
            rows.note(refund.tx_id, notes, now);
        }
        rows.enter(resolution.entries);
        Ok(refund)
    }

    async fn refund_record_refused(
        &self,
        refund: &Refund,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let refund = engine::refund_refused_early(refund, now)?;
        let mut rows = self.rows();
        rows.refund_insert(refund.clone())?;
        rows.enter([journal::refund_created(&refund, now)]);
        Ok(())
    }

    async fn refund_record_elsewhere(
        &self,
        tx_id: TxId,
        seen: &SeenBack,
        ids: &[RefundId],
        now: Timestamp,
    ) -> Result<Vec<Refund>, StoreError> {
        let mut rows = self.rows();
        let payment = rows.payment(tx_id)?.clone();
        let known: Vec<Refund> =
            rows.refunds.values().filter(|row| row.tx_id == tx_id).cloned().collect();
        let found = engine::refunds_elsewhere(&payment, &known, seen, ids, now);
        for refund in &found.refunds {
            rows.refund_insert(refund.clone())?;
        }
        rows.payments.insert(tx_id, found.payment);
        for detail in found.records {
            rows.record(tx_id, now, KIND_REFUND, detail);
        }
        rows.enter(found.entries);
        Ok(found.refunds)
    }

    async fn refund_get(&self, refund_id: RefundId) -> Result<Option<Refund>, StoreError> {
        Ok(self.rows().refunds.get(&refund_id).cloned())
    }

    async fn refund_find(
        &self,
        contract: &str,
        merchant_refund_id: &str,
    ) -> Result<Lookup<Refund>, StoreError> {
        let rows = self.rows();
        let wanted = |refund: &&Refund| {
            refund.contract == contract
                && same_reference(refund.merchant_refund_id.as_ref(), merchant_refund_id)
        };
        Ok(engine::found(rows.refunds.values().filter(wanted).take(2).cloned().collect()))
    }

    async fn refunds_of(&self, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
        let rows = self.rows();
        let Some(payment) = rows.payments.get(&tx_id) else { return Ok(Vec::new()) };
        let own = |refund: &&Refund| refund.tx_id == tx_id && refund.contract == payment.contract;
        let mut refunds: Vec<Refund> = rows.refunds.values().filter(own).cloned().collect();
        refunds.sort_by_key(|refund| (refund.created_at, refund.refund_id));
        Ok(refunds)
    }

    async fn refund_claim_due(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Refund>, StoreError> {
        self.refunds_claim(None, now, limit)
    }

    async fn delivery_claim_due(
        &self,
        now: Timestamp,
        lease_until: Timestamp,
        limit: usize,
        busy: &[String],
    ) -> Result<Vec<Delivery>, StoreError> {
        self.deliveries_claim(None, now, lease_until, limit, busy)
    }

    async fn delivery_record(
        &self,
        delivery: &Delivery,
        outcome: &AttemptOutcome,
        detail: serde_json::Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut rows = self.rows();
        let row = rows.deliveries.iter_mut().find(|row| row.delivery_id == delivery.delivery_id);
        let row = row.ok_or(StoreError::Missing { table: "deliveries" })?;
        *row = row.after(delivery, outcome);
        let tx_id = row.tx_id;
        if outcome.counts() {
            rows.record(tx_id, now, KIND_ATTEMPT, detail);
        }
        Ok(())
    }

    async fn delivery_again(&self, tx_id: TxId, now: Timestamp) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let last = rows.deliveries.iter_mut().rfind(|row| row.tx_id == tx_id);
        let Some(last) = last else { return Ok(false) };
        last.state = DeliveryState::Waiting;
        last.next_attempt_at = now;
        Ok(true)
    }

    async fn reclaim(&self, now: Timestamp, lease_until: Timestamp) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let mut count = 0;
        for delivery in &mut rows.deliveries {
            let leased = delivery.next_attempt_at > now && delivery.next_attempt_at <= lease_until;
            if delivery.state == DeliveryState::Waiting && leased {
                delivery.next_attempt_at = now;
                count += 1;
            }
        }
        for refund in rows.refunds.values_mut() {
            if refund.next_check_at.is_some_and(|at| at > now) {
                refund.next_check_at = Some(now);
                count += 1;
            }
        }
        let latest = now.after(engine::UNDER_WAY_MAX);
        for payment in rows.payments.values_mut() {
            let under_way = match payment.state {
                PaymentState::Initialized => true,
                PaymentState::Pending => payment.checks > 0 && payment.session_over(now),
                PaymentState::Succeeded | PaymentState::Failed(_) => false,
            };
            let sooner = payment
                .check_at(now)
                .filter(|_| under_way && payment.next_check_at.is_some_and(|at| at <= latest));
            if let Some(sooner) = sooner {
                *payment = sooner;
                count += 1;
            }
        }
        Ok(count)
    }

    async fn order_record(&self, seen: &UnknownOrder) -> Result<UnknownOrder, StoreError> {
        let mut rows = self.rows();
        let known = rows.orders.get(&seen.tx_id).cloned();
        let order = known.map_or_else(|| seen.clone(), |known| known.and(seen));
        rows.orders.insert(order.tx_id, order.clone());
        Ok(order)
    }

    async fn order_resolve(
        &self,
        tx_id: TxId,
        resolution: &OrderResolution,
    ) -> Result<Option<UnknownOrder>, StoreError> {
        let mut rows = self.rows();
        let Some(order) = rows.orders.get_mut(&tx_id) else { return Ok(None) };
        order.resolution = Some(resolution.clone());
        Ok(Some(order.clone()))
    }

    async fn ping(&self, _now: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl Journal for Model {
    async fn journal_read(&self, after: &Cursor, limit: usize) -> Result<JournalPage, StoreError> {
        let rows = self.rows();
        let query = JournalQuery::new(after, &rows.heads(), limit);
        let mut records = Vec::new();
        for (shard, position) in &query.shards {
            let later = rows.journal.range((*shard, position + 1)..=(*shard, i64::MAX));
            records.extend(later.take(query.each).map(|((shard, seq), entry)| JournalRecord {
                shard: *shard,
                seq: *seq,
                entry: entry.clone(),
                about: rows.about(entry),
            }));
        }
        Ok(query.page(after, records))
    }

    async fn journal_end(&self) -> Result<Cursor, StoreError> {
        Ok(self.rows().heads())
    }
}
