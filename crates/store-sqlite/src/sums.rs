//! Sums over the whole store, and the small write that shows that it works.

use std::collections::BTreeMap;

use gopay_core::time::Timestamp;
use gopay_store::rows::RowReader;
use gopay_store::{Backlog, StoreError, Totals};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::failed;
use crate::orders;
use crate::query::{Row, all, first, write};

/// All in one read transaction, so that the sums belong together.
pub(crate) fn totals(db: &mut Connection) -> Result<Totals, StoreError> {
    let db = db.transaction_with_behavior(TransactionBehavior::Deferred).map_err(failed)?;
    Ok(Totals {
        payments: per_state(
            &db,
            "payments",
            "-- totals: payments
            SELECT state, count(*) FROM payments GROUP BY state",
        )?,
        succeeded_sen: sum(
            &db,
            "-- totals: succeeded payments
            SELECT coalesce(sum(amount_sen), 0) FROM payments WHERE state = 'succeeded'",
        )?,
        refunded_sen: sum(
            &db,
            "-- totals: succeeded refunds
            SELECT coalesce(sum(amount_sen), 0) FROM refunds WHERE state = 'succeeded'",
        )?,
        refunds: per_state(
            &db,
            "refunds",
            "-- totals: refunds
            SELECT state, count(*) FROM refunds GROUP BY state",
        )?,
        deliveries: per_state(
            &db,
            "deliveries",
            "-- totals: deliveries
            SELECT state, count(*) FROM deliveries GROUP BY state",
        )?,
        attention: orders::attention(&db)?,
    })
}

/// By the queues of the workers.
pub(crate) fn backlog(db: &Connection, now: Timestamp) -> Result<Backlog, StoreError> {
    let mut statement = db.prepare_cached(Backlog::SQL).map_err(failed)?;
    let mut rows = statement.query(Backlog::parameters(now)).map_err(failed)?;
    let mut backlog = Backlog::default();
    while let Some(row) = rows.next().map_err(failed)? {
        backlog.read(&Row(row))?;
    }
    Ok(backlog)
}

fn per_state(
    db: &Connection,
    table: &'static str,
    sql: &str,
) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows = all(db, sql, [], |row| {
        let mut row = RowReader::new(row, table);
        Ok((row.text("state")?, row.count("state")?))
    })?;
    Ok(rows.into_iter().collect())
}

fn sum(db: &Connection, sql: &str) -> Result<u64, StoreError> {
    let sum = first(db, sql, [], |row| RowReader::new(row, "payments").sen("amount_sen"))?;
    Ok(sum.map_or(0, gopay_core::money::Sen::get))
}

pub(crate) fn ping_write(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    write(
        db,
        "-- ping: write
        INSERT INTO pings (id, at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET at = ?1",
        params![now.as_micros()],
    )?;
    Ok(())
}

pub(crate) fn ping_read(db: &Connection) -> Result<(), StoreError> {
    let sql = "-- ping: read
        SELECT id, at FROM pings";
    let at = first(db, sql, [], |row| {
        let mut row = RowReader::new(row, "pings");
        row.int("id")?;
        row.time("at")
    })?;
    at.map(|_| ()).ok_or(StoreError::Missing { table: "pings" })
}
