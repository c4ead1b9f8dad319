//! What needs a person: orders that the store does not know, payments with money that does not fit.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::payment::Payment;
use gopay_store::rows::{self, RowReader, UNKNOWN_ORDERS};
use gopay_store::{
    AttentionSums, OrderResolution, StoreError, UnknownOrder, payment_columns,
    unknown_order_columns,
};
use rusqlite::{Connection, params};

use crate::query::{all, first, limit_cell, write_cells};

/// A statement that [`rows::unknown_order`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", unknown_order_columns!(), " FROM unknown_orders ", $rest)
    };
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (UNKNOWN_ORDERS.names(), UNKNOWN_ORDERS.places('?'));
    format!("-- order_record\nINSERT INTO unknown_orders ({names}) VALUES ({places})")
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let sets = UNKNOWN_ORDERS.sets('?');
    format!("-- unknown_orders: update\nUPDATE unknown_orders SET {sets} WHERE tx_id = ?1")
});

pub(crate) fn order_record(
    db: &Connection,
    seen: &UnknownOrder,
) -> Result<UnknownOrder, StoreError> {
    match order_get(db, seen.tx_id)? {
        Some(known) => {
            let order = known.and(seen);
            write_cells(db, &UPDATE, &rows::unknown_order_changes(&order)?)?;
            Ok(order)
        }
        None => {
            write_cells(db, &INSERT, &rows::unknown_order_cells(seen)?)?;
            Ok(seen.clone())
        }
    }
}

pub(crate) fn order_resolve(
    db: &Connection,
    tx_id: TxId,
    resolution: &OrderResolution,
) -> Result<Option<UnknownOrder>, StoreError> {
    let Some(mut order) = order_get(db, tx_id)? else { return Ok(None) };
    order.resolution = Some(resolution.clone());
    write_cells(db, &UPDATE, &rows::unknown_order_changes(&order)?)?;
    Ok(Some(order))
}

pub(crate) fn order_get(db: &Connection, tx_id: TxId) -> Result<Option<UnknownOrder>, StoreError> {
    first(db, select!("order_get", "WHERE tx_id = ?1"), params![tx_id.get()], rows::unknown_order)
}

pub(crate) fn orders_open(db: &Connection, limit: usize) -> Result<Vec<UnknownOrder>, StoreError> {
    let sql = select!(
        "orders_open",
        "WHERE resolved_at IS NULL AND first_seen_at >= 0 ORDER BY first_seen_at, tx_id LIMIT ?1"
    );
    all(db, sql, params![limit_cell(limit)], rows::unknown_order)
}

pub(crate) fn payments_in_doubt(db: &Connection, limit: usize) -> Result<Vec<Payment>, StoreError> {
    let sql = concat!(
        "-- payments_in_doubt\nSELECT ",
        payment_columns!(),
        " FROM payments WHERE at_risk_sen >= 0 ORDER BY at_risk_sen, tx_id LIMIT ?1"
    );
    all(db, sql, params![limit_cell(limit)], rows::payment)
}

/// Both by their indexes, which hold nothing else.
pub(crate) fn attention(db: &Connection) -> Result<AttentionSums, StoreError> {
    let read = |sql: &str| {
        first(db, sql, [], |row| {
            let mut row = RowReader::new(row, "attention");
            Ok((row.count("count")?, row.count("sum")?))
        })
    };
    let (payments, of_payments): (u64, u64) = read(
        "-- attention: payments
        SELECT count(*), coalesce(sum(at_risk_sen), 0) FROM payments WHERE at_risk_sen >= 0",
    )?
    .unwrap_or_default();
    let (orders, of_orders): (u64, u64) = read(
        "-- attention: orders
        SELECT count(*), coalesce(sum(amount_sen), 0) FROM unknown_orders
        WHERE resolved_at IS NULL AND first_seen_at >= 0",
    )?
    .unwrap_or_default();
    Ok(AttentionSums { payments, orders, at_risk_sen: of_payments.saturating_add(of_orders) })
}
