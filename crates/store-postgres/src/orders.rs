//! What needs a person: orders that the store does not know, payments with money that does not fit.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::payment::Payment;
use gopay_store::rows::{self, RowReader, UNKNOWN_ORDERS};
use gopay_store::{
    AttentionSums, OrderResolution, StoreError, UnknownOrder, payment_columns,
    unknown_order_columns,
};

use crate::error::DbError;
use crate::row::{Cells, insert_in_shard, limit_cell, read_all, read_opt};
use crate::session::Session;
use crate::shards::shard;

/// A statement that [`rows::unknown_order`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", unknown_order_columns!(), " FROM unknown_orders ", $rest)
    };
}

/// Waits for another's insert of the same key, and leaves what is there.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let insert = insert_in_shard(&UNKNOWN_ORDERS);
    format!("-- order_record\n{insert} ON CONFLICT DO NOTHING RETURNING tx_id")
});

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let (sets, shard) = (UNKNOWN_ORDERS.sets('$'), UNKNOWN_ORDERS.changes().len() + 1);
    format!(
        "-- unknown_orders: update
        UPDATE unknown_orders SET {sets} WHERE shard = ${shard} AND tx_id = $1"
    )
});

pub(crate) async fn order_record(
    session: &Session,
    seen: &UnknownOrder,
) -> Result<UnknownOrder, DbError> {
    let cells = Cells::of(rows::unknown_order_cells(seen)?);
    let shard = shard(seen.tx_id);
    let mut values = cells.values();
    values.push(&shard);
    if session.write_row(&INSERT, &values).await?.is_some() {
        return Ok(seen.clone());
    }
    let Some(known) = begin_locked(session, seen.tx_id).await? else {
        return Err(StoreError::Busy.into());
    };
    let order = known.and(seen);
    update(session, &order).await?;
    Ok(order)
}

pub(crate) async fn order_resolve(
    session: &Session,
    tx_id: TxId,
    resolution: &OrderResolution,
) -> Result<Option<UnknownOrder>, DbError> {
    let Some(mut order) = begin_locked(session, tx_id).await? else {
        session.commit().await?;
        return Ok(None);
    };
    order.resolution = Some(resolution.clone());
    update(session, &order).await?;
    Ok(Some(order))
}

async fn begin_locked(session: &Session, tx_id: TxId) -> Result<Option<UnknownOrder>, DbError> {
    let sql = select!("unknown_orders: lock", "WHERE shard = $1 AND tx_id = $2 FOR NO KEY UPDATE");
    let row = session.begin_row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_opt(row.as_ref(), rows::unknown_order)?)
}

/// Ends the transaction.
async fn update(session: &Session, order: &UnknownOrder) -> Result<(), DbError> {
    let changes = Cells::of(rows::unknown_order_changes(order)?);
    let shard = shard(order.tx_id);
    let mut values = changes.values();
    values.push(&shard);
    session.run_and_commit(&UPDATE, &values).await
}

pub(crate) async fn order_get(
    session: &Session,
    tx_id: TxId,
) -> Result<Option<UnknownOrder>, DbError> {
    let sql = select!("order_get", "WHERE shard = $1 AND tx_id = $2");
    let row = session.row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_opt(row.as_ref(), rows::unknown_order)?)
}

pub(crate) async fn orders_open(
    session: &Session,
    limit: usize,
) -> Result<Vec<UnknownOrder>, DbError> {
    let sql =
        select!("orders_open", "WHERE resolved_at IS NULL ORDER BY first_seen_at, tx_id LIMIT $1");
    let rows = session.rows(sql, &[&limit_cell(limit)]).await?;
    Ok(read_all(&rows, rows::unknown_order)?)
}

pub(crate) async fn payments_in_doubt(
    session: &Session,
    limit: usize,
) -> Result<Vec<Payment>, DbError> {
    let sql = concat!(
        "-- payments_in_doubt\nSELECT ",
        payment_columns!(),
        " FROM payments WHERE at_risk_sen IS NOT NULL ORDER BY at_risk_sen, tx_id LIMIT $1"
    );
    let rows = session.rows(sql, &[&limit_cell(limit)]).await?;
    Ok(read_all(&rows, rows::payment)?)
}

/// One statement, by indexes that hold nothing else.
pub(crate) async fn attention(session: &Session) -> Result<AttentionSums, DbError> {
    let sql = "-- attention
        SELECT p.count, o.count, (p.sum + o.sum)::bigint
        FROM (SELECT count(*) AS count, coalesce(sum(at_risk_sen), 0) AS sum
                FROM payments WHERE at_risk_sen IS NOT NULL) p,
            (SELECT count(*) AS count, coalesce(sum(amount_sen), 0) AS sum
                FROM unknown_orders WHERE resolved_at IS NULL) o";
    let row = session.row(sql, &[]).await?;
    let sums = read_opt(row.as_ref(), |row| {
        let mut row = RowReader::new(row, "attention");
        Ok(AttentionSums {
            payments: row.count("payments")?,
            orders: row.count("orders")?,
            at_risk_sen: row.count("at_risk_sen")?,
        })
    })?;
    Ok(sums.unwrap_or_default())
}
