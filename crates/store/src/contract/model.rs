//! The store in a few maps behind one lock: the plainest reading of [`Store`]'s description, with
//! which an engine is compared. It keeps nothing after the process.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::{self, Entry};
use gopay_core::payment::{Event, Payment, PaymentState};
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, RefundState, SeenBack};
use gopay_core::time::Timestamp;

use crate::engine::{self, KIND_ATTEMPT, KIND_REFUND, KIND_STATE, case_key, refund_detail};
use crate::lease::StoredLease;
use crate::sealing::{KeyProof, WrappedKey};
use crate::{
    Applied, Archive, AttemptOutcome, AttentionSums, Backlog, ClosedSettlement, Created, Cursor,
    Delivery, DeliveryFilter, DeliveryState, DirectoryEntry, Erasure, EventRecord, Filed,
    FiledEvent, Journal, JournalPage, JournalQuery, JournalRecord, JournalSubject, Leaving, Listed,
    Lookup, Note, Order, OrderResolution, Page, PaymentFilter, ReconciliationRun, Reconciliations,
    RefundFilter, Reserved, ReviewAct, Reviews, Search, SettlementAccount, Settlements, Store,
    StoreError, StoredBreak, Times, Totals, UnknownOrder, Upkeep,
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
    archives: Vec<Archive>,
    /// Whose call and trail are in which.
    archived: BTreeMap<TxId, i64>,
    pub(super) directory: Vec<DirectoryEntry>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) leases: Leases,
    journal: BTreeMap<(u16, i64), Entry>,
    orders: BTreeMap<TxId, UnknownOrder>,
    settlements: BTreeMap<(SettlementAccount, i64), ClosedSettlement>,
    acts: Vec<ReviewAct>,
    runs: Vec<ReconciliationRun>,
    /// By series and id, as of the last change.
    breaks: BTreeMap<(String, String), StoredBreak>,
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

    fn open_archive(&mut self, number: i64) -> Result<&mut Archive, StoreError> {
        let open = |one: &&mut Archive| one.number == number && one.ended_at.is_none();
        self.archives.iter_mut().find(open).ok_or(StoreError::Missing { table: "archives" })
    }

    fn archivable(&self, tx_id: TxId, before: Timestamp) -> bool {
        let Some(payment) = self.payments.get(&tx_id) else { return false };
        let over = matches!(payment.state, PaymentState::Succeeded | PaymentState::Failed(_))
            && payment.final_at.is_some_and(|at| at < before)
            && payment.next_check_at.is_none()
            && payment.at_risk().is_none();
        let resolved = |refund: &Refund| {
            refund.state != RefundState::Unresolved
                && refund.next_check_at.is_none()
                && refund.resolved_at.is_none_or(|at| at < before)
        };
        let mut refunds = self.refunds.values().filter(|refund| refund.tx_id == tx_id);
        let mut deliveries = self.deliveries.iter().filter(|delivery| delivery.tx_id == tx_id);
        let orders = self.orders.get(&tx_id);
        over && orders.is_none_or(|order| order.resolution.is_some())
            && !self.archived.contains_key(&tx_id)
            && refunds.all(resolved)
            && deliveries.all(|delivery| delivery.state == DeliveryState::Delivered)
    }

    fn attention(&self) -> AttentionSums {
        let payments: Vec<_> = self.payments.values().filter_map(|row| row.at_risk()).collect();
        let orders: Vec<_> =
            self.orders.values().filter(|order| order.resolution.is_none()).collect();
        let of_orders = orders.iter().filter_map(|order| order.amount);
        let at_risk = payments.iter().copied().chain(of_orders);
        AttentionSums {
            payments: u64::try_from(payments.len()).unwrap_or(u64::MAX),
            orders: u64::try_from(orders.len()).unwrap_or(u64::MAX),
            at_risk_sen: at_risk.map(|sen| sen.get()).sum(),
        }
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

fn count<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    counts
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

/// The page of these rows; `scan` at most are looked at.
fn listed<T: Clone>(
    rows: impl Iterator<Item = (i64, T)>,
    (first, last): (i64, i64),
    page: &Page,
    scan: usize,
    fits: impl Fn(&T) -> bool,
) -> Listed<T> {
    let mut rows: Vec<(i64, T)> = rows.filter(|(key, _)| (first..=last).contains(key)).collect();
    rows.sort_by_key(|(key, _)| *key);
    if page.order == Order::NewestFirst {
        rows.reverse();
    }
    rows.truncate(scan);
    let end = rows.last().filter(|_| rows.len() >= scan).map(|(key, _)| *key);
    rows.retain(|(_, row)| fits(row));
    rows.truncate(page.rows_max());
    let full = rows.len() >= page.rows_max();
    let next = if full { rows.last().map(|(key, _)| *key) } else { end };
    Listed { rows: rows.into_iter().map(|(_, row)| row).collect(), next }
}

#[async_trait]
impl Search for Model {
    async fn payment_trail(&self, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
        Ok(self.rows().trails.get(&tx_id).cloned().unwrap_or_default())
    }

    async fn deliveries_of(&self, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.rows().deliveries.iter().filter(|row| row.tx_id == tx_id).cloned().collect())
    }

    async fn payments_list(
        &self,
        filter: &PaymentFilter,
        page: &Page,
    ) -> Result<Listed<Payment>, StoreError> {
        let rows = self.rows();
        let keyed = rows.payments.values().map(|row| (row.tx_id.get(), row.clone()));
        let scan = if filter.is_indexed() { usize::MAX } else { page.scan_max() };
        Ok(listed(keyed, page.keys(&filter.called), page, scan, |row| filter.fits(row)))
    }

    async fn refunds_list(
        &self,
        filter: &RefundFilter,
        page: &Page,
    ) -> Result<Listed<Refund>, StoreError> {
        let rows = self.rows();
        let keyed = rows.refunds.values().map(|row| (row.refund_id.get(), row.clone()));
        Ok(listed(keyed, page.keys(&filter.called), page, page.scan_max(), |row| filter.fits(row)))
    }

    async fn deliveries_list(
        &self,
        filter: &DeliveryFilter,
        page: &Page,
    ) -> Result<Listed<Delivery>, StoreError> {
        let rows = self.rows();
        let keyed = rows.deliveries.iter().map(|row| (row.delivery_id, row.clone()));
        Ok(listed(keyed, page.keys(&Times::default()), page, page.scan_max(), |row| {
            filter.fits(row)
        }))
    }

    async fn payments_in_doubt(&self, limit: usize) -> Result<Vec<Payment>, StoreError> {
        let rows = self.rows();
        let mut found: Vec<Payment> =
            rows.payments.values().filter(|row| row.is_in_doubt()).cloned().collect();
        found.sort_by_key(|row| (row.at_risk(), row.tx_id));
        found.truncate(limit);
        Ok(found)
    }

    async fn orders_open(&self, limit: usize) -> Result<Vec<UnknownOrder>, StoreError> {
        let rows = self.rows();
        let open = rows.orders.values().filter(|order| order.resolution.is_none());
        let mut found: Vec<UnknownOrder> = open.cloned().collect();
        found.sort_by_key(|order| (order.first_seen_at, order.tx_id));
        found.truncate(limit);
        Ok(found)
    }

    async fn order_get(&self, tx_id: TxId) -> Result<Option<UnknownOrder>, StoreError> {
        Ok(self.rows().orders.get(&tx_id).cloned())
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog, StoreError> {
        let rows = self.rows();
        let mut backlog = Backlog::default();
        for payment in
            rows.payments.values().filter(|row| !row.state.is_final() && row.at_risk().is_none())
        {
            backlog.add(payment.state.as_str(), payment.created_at, now);
        }
        for refund in rows.refunds.values().filter(|row| row.state == RefundState::Unresolved) {
            backlog.add(refund.state.as_str(), refund.created_at, now);
        }
        let waiting = |row: &&Delivery| row.state == DeliveryState::Waiting;
        for delivery in rows.deliveries.iter().filter(waiting) {
            backlog.add(delivery.state.as_str(), delivery.final_at, now);
        }
        Ok(backlog)
    }

    async fn attention(&self) -> Result<AttentionSums, StoreError> {
        Ok(self.rows().attention())
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.totals_counted().await
    }
}

#[async_trait]
impl Upkeep for Model {
    async fn totals_counted(&self) -> Result<Totals, StoreError> {
        let rows = self.rows();
        let paid = rows.payments.values().filter(|row| row.state == PaymentState::Succeeded);
        let back = rows.refunds.values().filter(|row| row.state == RefundState::Succeeded);
        Ok(Totals {
            payments: count(rows.payments.values().map(|row| row.state.as_str())),
            succeeded_sen: paid.filter_map(|row| row.amount).map(|sum| sum.sen().get()).sum(),
            refunded_sen: back.filter_map(|row| row.amount).map(|sum| sum.sen().get()).sum(),
            refunds: count(rows.refunds.values().map(|row| row.state.as_str())),
            deliveries: count(rows.deliveries.iter().map(|row| row.state.as_str())),
            attention: rows.attention(),
        })
    }

    async fn totals_refill(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn archivable(
        &self,
        ids: Range<i64>,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<TxId>, StoreError> {
        let rows = self.rows();
        let of_ids = rows.payments.keys().filter(|tx_id| ids.contains(&tx_id.get()));
        let may = of_ids.filter(|tx_id| rows.archivable(**tx_id, before));
        Ok(may.take(limit).copied().collect())
    }

    async fn archive_read(&self, tx_ids: &[TxId]) -> Result<Vec<Filed>, StoreError> {
        let rows = self.rows();
        let there = rows.payments.keys().filter(|tx_id| tx_ids.contains(tx_id));
        let event = |(seq, record): (i64, &EventRecord)| FiledEvent {
            seq,
            at: record.at,
            kind: record.kind.clone(),
            detail: record.detail.to_string(),
        };
        let filed = there.map(|tx_id| {
            let trail = rows.trails.get(tx_id).map(Vec::as_slice).unwrap_or_default();
            Filed {
                tx_id: *tx_id,
                payment: serde_json::Map::new(),
                call: rows.requests.get(tx_id).cloned().unwrap_or_default(),
                events: (1..).zip(trail).map(event).collect(),
            }
        });
        Ok(filed.collect())
    }

    async fn archives(&self) -> Result<Vec<Archive>, StoreError> {
        Ok(self.rows().archives.clone())
    }

    async fn archive_begin(&self, archive: &Archive) -> Result<(), StoreError> {
        let mut rows = self.rows();
        let next = rows.archives.last().map_or(1, |last| last.number + 1);
        if archive.number != next || rows.archives.iter().any(|one| one.ended_at.is_none()) {
            return Err(StoreError::Conflict);
        }
        rows.archives.push(archive.clone());
        Ok(())
    }

    async fn archive_take(&self, number: i64, leaving: &[Leaving]) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let before = rows.open_archive(number)?.before;
        let mut taken = 0;
        for Leaving { tx_id, seqs, call } in leaving {
            if !rows.archivable(*tx_id, before) {
                continue;
            }
            let trail = rows.trails.entry(*tx_id).or_default();
            let mut seq = 0;
            trail.retain(|_| {
                seq += 1;
                !seqs.contains(&seq)
            });
            rows.requests.insert(*tx_id, call.clone());
            rows.archived.insert(*tx_id, number);
            taken += 1;
        }
        rows.open_archive(number)?.taken += taken;
        Ok(taken)
    }

    async fn archive_end(&self, number: i64, at: Timestamp) -> Result<(), StoreError> {
        self.rows().open_archive(number)?.ended_at = Some(at);
        Ok(())
    }

    async fn archive_of(&self, tx_id: TxId) -> Result<Option<i64>, StoreError> {
        Ok(self.rows().archived.get(&tx_id).copied())
    }

    async fn archive_give_back(&self, number: i64, filed: &[Filed]) -> Result<u64, StoreError> {
        let mut rows = self.rows();
        let mut given = 0;
        for one in filed {
            if rows.archived.get(&one.tx_id) != Some(&number) {
                continue;
            }
            rows.archived.remove(&one.tx_id);
            rows.requests.insert(one.tx_id, one.call.clone());
            let record = |event: &FiledEvent| EventRecord {
                at: event.at,
                kind: event.kind.clone(),
                detail: serde_json::from_str(&event.detail).unwrap(),
            };
            let trail = rows.trails.entry(one.tx_id).or_default();
            trail.splice(0..0, one.events.iter().map(record));
            given += 1;
        }
        Ok(given)
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

#[async_trait]
impl Settlements for Model {
    async fn settlement_head(
        &self,
        account: SettlementAccount,
    ) -> Result<Option<ClosedSettlement>, StoreError> {
        Ok(self.settlements_after(account, 0, usize::MAX).await?.pop())
    }

    async fn settlement_heads(&self) -> Result<Vec<ClosedSettlement>, StoreError> {
        let rows = self.rows();
        let chains = rows.settlements.iter().map(|((account, _), closed)| (*account, closed));
        let last: BTreeMap<_, _> = chains.collect();
        let plain = |closed: &ClosedSettlement| ClosedSettlement {
            adjustments: Vec::new(),
            ..closed.clone()
        };
        Ok(last.into_values().map(plain).collect())
    }

    async fn settlements_after(
        &self,
        account: SettlementAccount,
        ordinal: i64,
        limit: usize,
    ) -> Result<Vec<ClosedSettlement>, StoreError> {
        let rows = self.rows();
        let chain = rows.settlements.range((account, ordinal + 1)..=(account, i64::MAX));
        Ok(chain.take(limit).map(|(_, closed)| closed.clone()).collect())
    }

    async fn settlement_close(&self, closed: &ClosedSettlement) -> Result<(), StoreError> {
        let mut rows = self.rows();
        let account = closed.account;
        let chain: Vec<_> = rows
            .settlements
            .range((account, 0)..=(account, i64::MAX))
            .map(|(_, one)| one)
            .collect();
        closed.follows(chain.last().copied())?;
        let used = chain.iter().flat_map(|one| &one.adjustments).chain(&closed.adjustments);
        let mut ids = std::collections::BTreeSet::new();
        if !used.into_iter().all(|one| ids.insert(&one.id)) {
            return Err(StoreError::Conflict);
        }
        rows.settlements.insert((account, closed.ordinal), closed.clone());
        Ok(())
    }
}

#[async_trait]
impl Reviews for Model {
    async fn reviews_after(
        &self,
        scope: &str,
        act: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ReviewAct)>, StoreError> {
        let rows = self.rows();
        let placed = (1..).zip(&rows.acts);
        let found = placed.filter(|(place, one)| *place > act && one.scope == scope);
        Ok(found.take(limit).map(|(place, one)| (place, one.clone())).collect())
    }

    async fn reviews_add(&self, acts: &[ReviewAct]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        ReviewAct::all_follow(acts, &rows.acts)?;
        rows.acts.extend_from_slice(acts);
        Ok(())
    }
}

#[async_trait]
impl Reconciliations for Model {
    async fn reconciliation_last(&self) -> Result<i64, StoreError> {
        Ok(self.rows().runs.last().map_or(0, |run| run.run))
    }

    async fn reconciliation_runs(
        &self,
        series: &str,
        run: i64,
        limit: usize,
    ) -> Result<Vec<ReconciliationRun>, StoreError> {
        let rows = self.rows();
        let found = rows.runs.iter().filter(|one| one.series == series && one.run > run);
        Ok(found.take(limit).cloned().collect())
    }

    async fn reconciliation_breaks(
        &self,
        series: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredBreak>, StoreError> {
        let rows = self.rows();
        let found = rows.breaks.iter().filter(|((of, id), _)| of == series && id.as_str() > after);
        Ok(found.take(limit).map(|(_, one)| one.clone()).collect())
    }

    async fn reconciliation_record(
        &self,
        run: &ReconciliationRun,
        changes: &[StoredBreak],
        acts: &[ReviewAct],
    ) -> Result<(), StoreError> {
        let mut rows = self.rows();
        run.follows(rows.runs.last().map_or(0, |run| run.run))?;
        ReviewAct::all_follow(acts, &rows.acts)?;
        rows.runs.push(run.clone());
        rows.acts.extend_from_slice(acts);
        for one in changes {
            rows.breaks.insert((run.series.clone(), one.break_id.clone()), one.clone());
        }
        Ok(())
    }
}
