//! Finds transactions by whatever id somebody has of them.

use gopay_core::ids::{RefundId, TxId};
use gopay_store::{Database, Lookup, Order, Page, PaymentFilter, RefundFilter, StoreError};

/// The most transactions that one reference is answered with.
pub const FOUND_MAX: usize = 20;

/// Refunds that are read at once while all of them are looked through.
const REFUNDS_READ: usize = 1_000;

/// The transactions that an id belongs to, oldest first: a TXID, a REFUNDID, Midtrans' transaction
/// id, a `merchanttxid` or a `merchantrefundid`, in this order; the first kind that is found counts. PSPs may repeat a
/// `merchanttxid`, so there may be several, at most [`FOUND_MAX`].
///
/// A `merchanttxid` of one of `contracts`, if these are at most a thousand, is found by an index. One of another contract and an id
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
        PaymentFilter { midtrans_tx_id: Some(id.to_lowercase()), ..PaymentFilter::default() };
    // Midtrans' ids are UUIDs: another text is not worth the look.
    if uuid_like(id) {
        let found = listed(store, &of_midtrans).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let found = by_reference(store, id, contracts).await?;
    if found.is_empty() { by_refund_reference(store, id, contracts).await } else { Ok(found) }
}

/// As [`find`], but only what an index finds: nothing of Midtrans' ids and of other contracts.
pub(crate) async fn find_by_index(
    store: &dyn Database,
    id: &str,
    contracts: &[String],
) -> Result<Vec<TxId>, StoreError> {
    if let Some(tx_id) = by_number(store, id).await? {
        return Ok(vec![tx_id]);
    }
    let found = by_reference_of(store, id, contracts).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let refund = by_refund_reference_of(store, id, contracts).await?;
    Ok(refund.into_iter().collect())
}

async fn by_refund_reference_of(
    store: &dyn Database,
    id: &str,
    contracts: &[String],
) -> Result<Option<TxId>, StoreError> {
    for contract in by_index(contracts) {
        if let Lookup::One(refund) = store.refund_find(contract, id).await? {
            return Ok(Some(refund.tx_id));
        }
    }
    Ok(None)
}

async fn by_refund_reference(
    store: &dyn Database,
    id: &str,
    contracts: &[String],
) -> Result<Vec<TxId>, StoreError> {
    if let Some(tx_id) = by_refund_reference_of(store, id, contracts).await? {
        return Ok(vec![tx_id]);
    }
    let mut page = Page::first(Order::NewestFirst, REFUNDS_READ);
    let mut found = Vec::new();
    loop {
        let listed = store.refunds_list(&RefundFilter::default(), &page).await?;
        let named = listed.rows.iter().filter(|refund| {
            refund.merchant_refund_id.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(id))
        });
        found.extend(named.map(|refund| refund.tx_id));
        match listed.next {
            Some(next) if found.len() < FOUND_MAX => page.after = Some(next),
            _ => break,
        }
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(FOUND_MAX);
    Ok(found)
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
    let found = by_reference_of(store, id, contracts).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let anywhere =
        PaymentFilter { merchant_tx_id: Some(id.to_owned()), ..PaymentFilter::default() };
    let mut found = listed(store, &anywhere).await?;
    found.sort_unstable();
    found.truncate(FOUND_MAX);
    Ok(found)
}

async fn by_reference_of(
    store: &dyn Database,
    id: &str,
    contracts: &[String],
) -> Result<Vec<TxId>, StoreError> {
    let mut found = Vec::new();
    for contract in by_index(contracts) {
        let filter = PaymentFilter {
            merchant_tx_id: Some(id.to_owned()),
            contract: Some(contract.clone()),
            ..PaymentFilter::default()
        };
        found.extend(listed(store, &filter).await?);
    }
    found.sort_unstable();
    found.dedup();
    found.truncate(FOUND_MAX);
    Ok(found)
}

/// The contracts that are looked up by index, a question to the store each: of too many none.
fn by_index(contracts: &[String]) -> &[String] {
    const MAX: usize = 1_000;
    if contracts.len() > MAX { &[] } else { contracts }
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
