//! Finds transactions by whatever id somebody has of them.

use gopay_core::ids::{RefundId, TxId};
use gopay_store::{Database, Order, Page, PaymentFilter, StoreError};

/// The most transactions that one reference is answered with.
pub const FOUND_MAX: usize = 20;

/// The transactions that an id belongs to, oldest first: a TXID, a REFUNDID, Midtrans' transaction
/// id or a `merchanttxid`, in this order; the first kind that is found counts. PSPs may repeat a
/// `merchanttxid`, so there may be several, at most [`FOUND_MAX`].
///
/// A `merchanttxid` of one of `contracts` is found by an index. One of another contract and an id
/// of Midtrans' are looked for in the whole store, page by page.
///
/// # Errors
/// Those of the store.
pub async fn find(
    store: &dyn Database,
    id: &str,
    contracts: &[String],
) -> Result<Vec<TxId>, StoreError> {
    if let Some(tx_id) = by_number(store, id).await? {
        return Ok(vec![tx_id]);
    }
    let of_midtrans =
        PaymentFilter { midtrans_tx_id: Some(id.to_owned()), ..PaymentFilter::default() };
    // Midtrans' ids are UUIDs: another text is not worth the look.
    if uuid_like(id) {
        let found = listed(store, &of_midtrans).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    by_reference(store, id, contracts).await
}

async fn by_number(store: &dyn Database, id: &str) -> Result<Option<TxId>, StoreError> {
    if let Ok(tx_id) = id.parse::<TxId>()
        && store.payment_get(tx_id).await?.is_some()
    {
        return Ok(Some(tx_id));
    }
    match id.parse::<RefundId>() {
        Ok(refund_id) => Ok(store.refund_get(refund_id).await?.map(|refund| refund.tx_id)),
        Err(_) => Ok(None),
    }
}

async fn by_reference(
    store: &dyn Database,
    id: &str,
    contracts: &[String],
) -> Result<Vec<TxId>, StoreError> {
    let filter = |contract: Option<&String>| PaymentFilter {
        merchant_tx_id: Some(id.to_owned()),
        contract: contract.cloned(),
        ..PaymentFilter::default()
    };
    let mut found = Vec::new();
    for contract in contracts {
        found.extend(listed(store, &filter(Some(contract))).await?);
    }
    if found.is_empty() {
        found = listed(store, &filter(None)).await?;
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(FOUND_MAX);
    Ok(found)
}

/// All pages of a list, up to [`FOUND_MAX`] rows, newest first.
async fn listed(store: &dyn Database, filter: &PaymentFilter) -> Result<Vec<TxId>, StoreError> {
    let mut page = Page::first(Order::NewestFirst, FOUND_MAX);
    let mut found = Vec::new();
    loop {
        let listed = store.payments_list(filter, &page).await?;
        found.extend(listed.rows.iter().map(|payment| payment.tx_id));
        match listed.next {
            Some(next) if found.len() < FOUND_MAX => page.after = Some(next),
            _ => return Ok(found),
        }
    }
}

fn uuid_like(id: &str) -> bool {
    id.len() == 36 && id.chars().all(|char| char.is_ascii_hexdigit() || char == '-')
}
