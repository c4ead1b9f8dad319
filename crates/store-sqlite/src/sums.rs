//! Sums over the whole store, and the small write that shows that it works.

use std::sync::LazyLock;

use gopay_core::time::Timestamp;
use gopay_store::rows::{self, RowReader};
use gopay_store::sums;
use gopay_store::{Backlog, StoreError, Totals};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::failed;
use crate::orders;
use crate::query::{Row, first, write};

/// All in one read transaction, so that the sums belong together.
pub(crate) fn totals(db: &mut Connection) -> Result<Totals, StoreError> {
    whole(db, &SUMS)
}

/// The same, counted in the rows themselves.
pub(crate) fn totals_counted(db: &mut Connection) -> Result<Totals, StoreError> {
    whole(db, &COUNTED)
}

fn whole(db: &mut Connection, sql: &str) -> Result<Totals, StoreError> {
    let db = db.transaction_with_behavior(TransactionBehavior::Deferred).map_err(failed)?;
    let sums = first(&db, sql, [], rows::day_sums)?;
    sums.unwrap_or_default().totals(orders::attention(&db)?)
}

static SUMS: LazyLock<String> = LazyLock::new(|| format!("-- totals: sums\n{}", sums::select()));

static COUNTED: LazyLock<String> =
    LazyLock::new(|| format!("-- totals: counted\n{}", sums::select_counted()));

static REFILL: LazyLock<String> =
    LazyLock::new(|| format!("-- totals: refill\n{}", sums::refill()));

pub(crate) fn totals_refill(db: &Connection) -> Result<(), StoreError> {
    let sql = "-- totals: forget
        DELETE FROM day_sums";
    write(db, sql, [])?;
    write(db, &REFILL, []).map(|_| ())
}

static BACKLOG: LazyLock<String> = LazyLock::new(|| Backlog::sql(None));

/// By the queues of the workers.
pub(crate) fn backlog(db: &Connection, now: Timestamp) -> Result<Backlog, StoreError> {
    let mut statement = db.prepare_cached(&BACKLOG).map_err(failed)?;
    let mut rows = statement.query(Backlog::parameters(now)).map_err(failed)?;
    let mut backlog = Backlog::default();
    while let Some(row) = rows.next().map_err(failed)? {
        backlog.read(&Row(row))?;
    }
    Ok(backlog)
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
