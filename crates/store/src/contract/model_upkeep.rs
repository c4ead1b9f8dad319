//! Upkeep of the model: its archives.

use std::ops::Range;

use std::collections::BTreeMap;

use async_trait::async_trait;
use gopay_core::ids::TxId;
use gopay_core::payment::PaymentState;
use gopay_core::refund::{Refund, RefundState};
use gopay_core::time::Timestamp;

use super::model::{Model, Rows};
use crate::{
    Archive, DeliveryState, EventRecord, Filed, FiledEvent, Leaving, StoreError, Totals, Upkeep,
};

impl Rows {
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
}

fn count<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    counts
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
