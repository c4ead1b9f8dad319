//! Lists by key, page by page, each within a bound of time, and search by any id.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::refund::Refund;
use gopay_core::time::Timestamp;
use gopay_store::{
    Database, Delivery, DeliveryFilter, DeliveryState, Listed, Order, Page, PaymentFilter,
    RefundFilter, StoreError,
};
use serde::Serialize;
use tokio::time::Instant;

use super::RefundRoom;
use crate::Service;
use crate::read::{Owed, Refunded, Story, Transaction, find, find_by_index, story};

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct Listing<T> {
    /// Those that were found; there may be fewer than were asked for, and more further on.
    pub rows: Vec<T>,
    /// `after` of the next page; none at the end.
    pub next: Option<String>,
}

/// A refund, with what it belongs to.
#[derive(Clone, Debug, Serialize)]
pub struct RefundRow {
    /// Of its payment.
    pub txid: TxId,
    /// The login of the PSP.
    pub psp: String,
    /// The contract.
    pub contract: String,
    /// The rest.
    #[serde(flatten)]
    pub refund: Refunded,
}

/// A notification that a PSP is owed, with what it belongs to.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// Its number.
    pub delivery: i64,
    /// Of its payment.
    pub txid: TxId,
    /// The login of the PSP.
    pub psp: String,
    /// The rest.
    #[serde(flatten)]
    pub owed: Owed,
}

impl From<Refund> for RefundRow {
    fn from(refund: Refund) -> Self {
        let row = Refunded::from(&refund);
        Self { txid: refund.tx_id, psp: refund.psp, contract: refund.contract, refund: row }
    }
}

impl From<Delivery> for DeliveryRow {
    fn from(delivery: Delivery) -> Self {
        Self {
            delivery: delivery.delivery_id,
            txid: delivery.tx_id,
            psp: delivery.psp.clone(),
            owed: delivery.into(),
        }
    }
}

/// A transaction with what can be done about it.
#[derive(Clone, Debug, Serialize)]
pub struct OnDesk {
    /// Its story.
    #[serde(flatten)]
    pub story: Story,
    /// What can be given back.
    pub refund: RefundRoom,
}

/// Reads pages until there are enough rows, the list is at its end, or the time is up.
async fn gathered<T, Fut>(
    mut page: Page,
    read: impl Fn(Page) -> Fut,
) -> Result<Listed<T>, StoreError>
where
    Fut: Future<Output = Result<Listed<T>, StoreError>>,
{
    /// Rows looked at between two looks at the time.
    const STEP: usize = 2_000;
    /// People wait for a page, and the readers of the store for us.
    const TIME: Duration = Duration::from_millis(20);
    let (began, limit) = (Instant::now(), page.rows_max());
    page.scan = page.scan.min(STEP);
    let mut rows = Vec::new();
    loop {
        page.limit = limit.saturating_sub(rows.len());
        let listed = read(page).await?;
        rows.extend(listed.rows);
        match listed.next {
            Some(next) if rows.len() < limit && began.elapsed() < TIME => page.after = Some(next),
            next => return Ok(Listed { rows, next }),
        }
    }
}

fn listing<F, T: From<F>>(listed: Listed<F>) -> Listing<T> {
    let next = listed.next.map(|key| key.to_string());
    Listing { rows: listed.rows.into_iter().map(T::from).collect(), next }
}

impl Service {
    /// Payments, by TXID.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_payments(
        &self,
        filter: &PaymentFilter,
        page: Page,
    ) -> Result<Listing<Transaction>, StoreError> {
        let read = async |page: Page| self.0.store.payments_list(filter, &page).await;
        let listed = gathered(page, read).await?;
        let next = listed.next.map(|key| key.to_string());
        Ok(Listing { rows: listed.rows.iter().map(Transaction::from).collect(), next })
    }

    /// Refunds, by REFUNDID.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_refunds(
        &self,
        filter: &RefundFilter,
        page: Page,
    ) -> Result<Listing<RefundRow>, StoreError> {
        let read = async |page: Page| self.0.store.refunds_list(filter, &page).await;
        Ok(listing(gathered(page, read).await?))
    }

    /// Notifications to PSPs, by their number.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_deliveries(
        &self,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Listing<DeliveryRow>, StoreError> {
        let read = async |page: Page| self.0.store.deliveries_list(filter, &page).await;
        Ok(listing(gathered(page, read).await?))
    }

    /// The transactions that an id belongs to, as far as an index finds them: a TXID, a REFUNDID, a
    /// `merchanttxid` or `merchantrefundid` of a configured contract.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find_at_once(&self, id: &str) -> Result<Vec<TxId>, StoreError> {
        find_by_index(self.0.store.as_ref(), id, &self.contract_ids()).await
    }

    /// The transactions that an id belongs to, Midtrans' ids too, for which the whole store is looked
    /// through.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find_anywhere(&self, id: &str) -> Result<Vec<TxId>, StoreError> {
        let contracts = self.contract_ids();
        find(self.0.store.as_ref(), id, &contracts).await
    }

    fn contract_ids(&self) -> Vec<String> {
        let parties = self.parties();
        parties.directory.contracts().map(|contract| contract.id.clone()).collect()
    }

    /// A transaction with its story; none if the store does not have it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn on_desk(&self, tx_id: TxId) -> Result<Option<OnDesk>, StoreError> {
        let store = self.0.store.as_ref();
        let Some(payment) = store.payment_get(tx_id).await? else { return Ok(None) };
        let refund = self.refund_room(&payment);
        Ok(story(store, tx_id).await?.map(|story| OnDesk { story, refund }))
    }
}

/// The payments whose last notification was given up since a time.
///
/// # Errors
/// Those of the store.
pub async fn given_up(store: &dyn Database, since: Timestamp) -> Result<Vec<TxId>, StoreError> {
    let filter = DeliveryFilter { state: Some(DeliveryState::GivenUp), psp: None };
    let mut page = Page::first(Order::OldestFirst, Page::LIMIT_MAX);
    let mut found = Vec::new();
    loop {
        let listed = store.deliveries_list(&filter, &page).await?;
        // The lease of its last try is the time that a delivery keeps.
        for delivery in listed.rows.iter().filter(|delivery| delivery.next_attempt_at >= since) {
            let last = store.deliveries_of(delivery.tx_id).await?.pop();
            if last.is_some_and(|last| last.delivery_id == delivery.delivery_id) {
                found.push(delivery.tx_id);
            }
        }
        match listed.next {
            Some(after) => page.after = Some(after),
            None => return Ok(found),
        }
    }
}
