//! What people read of the model: lists, trails and sums.

use async_trait::async_trait;
use gopay_core::ids::TxId;
use gopay_core::payment::Payment;
use gopay_core::refund::{Refund, RefundState};
use gopay_core::time::Timestamp;

use super::model::{Model, Rows};
use crate::{
    AttentionSums, Backlog, Delivery, DeliveryFilter, DeliveryState, EventRecord, Listed, Order,
    Page, PaymentFilter, RefundFilter, Search, StoreError, Times, Totals, UnknownOrder, Upkeep,
};

impl Rows {
    pub(super) fn attention(&self) -> AttentionSums {
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
