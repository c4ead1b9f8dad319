//! The rows of orders that the store does not know.

use gopay_core::account::AccountName;
use gopay_core::doubt::Verdict;
use gopay_core::payment::Channel;

use super::{Cell, RowReader, SqlRow, sen, table};
use crate::{OrderResolution, StoreError, UnknownOrder};

table! {
    /// Money at Midtrans under order ids that are ours by form, of which the store knows no payment.
    UNKNOWN_ORDERS = "unknown_orders", unknown_order_columns,
    key { tx_id: Int, }
    changing {
        status: Text,
        midtrans_tx_id: Text,
        amount_sen: Int,
        last_seen_at: Int,
        seen: Int,
        verdict: Text,
        reason: Text,
        resolved_by: Text,
        resolved_at: Int,
    }
    fixed {
        channel: Text,
        first_seen_at: Int,
        midtrans_account: Text,
    }
    written {}
}

/// A row of [`UNKNOWN_ORDERS`] as an order.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn unknown_order(row: &dyn SqlRow) -> Result<UnknownOrder, StoreError> {
    let mut row = RowReader::new(row, UNKNOWN_ORDERS.name);
    Ok(UnknownOrder {
        tx_id: row.tx_id()?,
        status: row.text("status")?,
        midtrans_tx_id: row.text_opt("midtrans_tx_id")?,
        amount: row.sen_opt("amount_sen")?,
        last_seen_at: row.time("last_seen_at")?,
        seen: row.count("seen")?,
        resolution: resolution(&mut row)?,
        channel: row.parse("channel", Channel::from_word)?,
        first_seen_at: row.time("first_seen_at")?,
        account: row.parse_opt("midtrans_account", |name| name.parse().ok())?,
    })
}

/// The columns `verdict`, `reason`, `resolved_by` and `resolved_at`: all or none.
fn resolution(row: &mut RowReader<'_>) -> Result<Option<OrderResolution>, StoreError> {
    let verdict = row.parse_opt("verdict", Verdict::from_word)?;
    let (reason, by) = (row.text_opt("reason")?, row.text_opt("resolved_by")?);
    match (verdict, reason, by, row.time_opt("resolved_at")?) {
        (Some(verdict), Some(reason), Some(by), Some(at)) => {
            Ok(Some(OrderResolution { verdict, reason, by, at }))
        }
        (None, None, None, None) => Ok(None),
        _ => Err(row.corrupt("verdict")),
    }
}

/// The key of an order and what an update writes, in the order of [`UNKNOWN_ORDERS`].
///
/// # Errors
/// [`StoreError::Invalid`] if an amount is too large for a database.
pub fn unknown_order_changes(order: &UnknownOrder) -> Result<[Cell<'_>; 10], StoreError> {
    let amount = order.amount.map(|amount| sen(UNKNOWN_ORDERS.name, "amount_sen", amount));
    let resolution = order.resolution.as_ref();
    Ok([
        order.tx_id.get().into(),
        order.status.as_str().into(),
        (&order.midtrans_tx_id).into(),
        amount.transpose()?.unwrap_or(Cell::Null),
        order.last_seen_at.into(),
        order.seen.into(),
        resolution.map(|one| one.verdict.as_str()).into(),
        resolution.map(|one| one.reason.as_str()).into(),
        resolution.map(|one| one.by.as_str()).into(),
        resolution.map(|one| one.at).into(),
    ])
}

/// An order as a row of [`UNKNOWN_ORDERS`].
///
/// # Errors
/// As [`unknown_order_changes`].
pub fn unknown_order_cells(order: &UnknownOrder) -> Result<Vec<Cell<'_>>, StoreError> {
    let mut cells = Vec::with_capacity(UNKNOWN_ORDERS.columns.len());
    cells.extend(unknown_order_changes(order)?);
    cells.extend([
        order.channel.as_str().into(),
        order.first_seen_at.into(),
        order.account.as_ref().map(AccountName::as_str).into(),
    ]);
    Ok(cells)
}
