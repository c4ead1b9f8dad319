//! Lists by key, page by page, each within a bound of time, and search by any id.

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::payment::Payment;
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

/// How long somebody waits for a page: the first comes at once; who looks further knows why.
const fn patience(page: &Page) -> Duration {
    Duration::from_millis(if page.after.is_none() { 20 } else { 250 })
}

/// Reads pages until there are enough rows, the list is at its end, or the time is up.
async fn gathered<T, Fut>(
    mut page: Page,
    time: Duration,
    read: impl Fn(Page) -> Fut,
) -> Result<Listed<T>, StoreError>
where
    Fut: Future<Output = Result<Listed<T>, StoreError>>,
{
    /// Rows looked at between two looks at the time: the readers of the store have others to serve.
    const STEP: usize = 2_000;
    let (began, limit) = (Instant::now(), page.rows_max());
    page.scan = page.scan.min(STEP);
    let mut rows = Vec::new();
    loop {
        page.limit = limit.saturating_sub(rows.len());
        let listed = read(page).await?;
        rows.extend(listed.rows);
        match listed.next {
            Some(next) if rows.len() < limit && began.elapsed() < time => page.after = Some(next),
            next => return Ok(Listed { rows, next }),
        }
    }
}

/// The same for a list whose keys are ids, which tell the time: newest first before a time.
///
/// Ids may be younger than their rows, by as much as a clock was set back, for which the store looks
/// through a whole day behind the end. People wait, so that day is looked through last.
async fn gathered_until<T, Fut>(
    page: Page,
    until: Option<Timestamp>,
    key: fn(&T) -> i64,
    read: impl Fn(Page) -> Fut,
) -> Result<Listed<T>, StoreError>
where
    Fut: Future<Output = Result<Listed<T>, StoreError>>,
{
    const USUAL: Duration = Duration::from_secs(300);
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let time = patience(&page);
    let (Some(until), Order::NewestFirst) = (until, page.order) else {
        return gathered(page, time, read).await;
    };
    let border = TxId::floor_of(until.after(USUAL));
    let last = TxId::floor_of(until.after(DAY)).saturating_add(1);
    let mut listed = Listed { rows: Vec::new(), next: Some(last) };
    if page.after.is_none_or(|after| after <= border) {
        let after = page.after.unwrap_or(border.saturating_add(1));
        listed = gathered(Page { after: Some(after), ..page }, time, &read).await?;
        if listed.next.is_some() || listed.rows.len() >= page.rows_max() {
            listed.next = listed.next.or(Some(last));
            return Ok(listed);
        }
    } else {
        listed.next = page.after;
    }
    let left = page.rows_max().saturating_sub(listed.rows.len());
    let after = Some(listed.next.unwrap_or(last));
    let late = gathered(Page { after, limit: left, ..page }, time, &read).await?;
    listed.rows.extend(late.rows.into_iter().filter(|row| key(row) > border));
    listed.next = late.next.filter(|next| *next > border.saturating_add(1));
    Ok(listed)
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
        let key = |payment: &Payment| payment.tx_id.get();
        let listed = gathered_until(page, filter.called.until, key, read).await?;
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
        let key = |refund: &Refund| refund.refund_id.get();
        Ok(listing(gathered_until(page, filter.called.until, key, read).await?))
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
        Ok(listing(gathered(page, patience(&page), read).await?))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of keys, newest first, as a store pages it, of which those that fit are told.
    async fn read(keys: &[(i64, bool)], page: Page) -> Result<Listed<i64>, StoreError> {
        let within = |(key, _): &&(i64, bool)| page.after.is_none_or(|after| *key < after);
        let mut rows = Vec::new();
        for (seen, (key, fits)) in (1..).zip(keys.iter().rev().filter(within)) {
            rows.extend(fits.then_some(*key));
            if rows.len() == page.limit || seen == page.scan {
                return Ok(Listed { rows, next: Some(*key) });
            }
        }
        Ok(Listed { rows, next: None })
    }

    #[tokio::test]
    async fn a_day_is_listed_from_its_end_and_what_a_clock_made_younger_comes_last() {
        let until = Timestamp::from_rfc3339("2026-02-01T00:00:00Z").unwrap();
        let at = |seconds: u64| TxId::floor_of(until.after(Duration::from_secs(seconds)));
        let before = |seconds: u64| TxId::floor_of(until.before(Duration::from_secs(seconds)));
        // Three of the day; one whose id is a second younger, and one whose id is ten hours younger;
        // between them those of the next day.
        let mut keys: Vec<(i64, bool)> = (1..=3).rev().map(|n| (before(n), true)).collect();
        keys.push((at(1), true));
        keys.extend((400..4_000).map(|n| (at(n), false)));
        keys.push((at(36_000), true));
        let expected = [at(1), before(1), before(2), before(3), at(36_000)];
        for limit in [1, 2, 3, 4, 5, 50] {
            let mut page = Page::first(Order::NewestFirst, limit);
            let (mut found, mut pages) = (Vec::new(), 0);
            loop {
                let listed =
                    gathered_until(page, Some(until), |key| *key, |page| read(&keys, page));
                let listed = listed.await.unwrap();
                assert!(listed.rows.len() <= limit);
                found.extend(listed.rows);
                pages += 1;
                assert!(pages < 20, "it ends");
                match listed.next {
                    Some(next) => page.after = Some(next),
                    None => break,
                }
            }
            assert_eq!(found, expected, "{limit} a page");
        }
    }
}
