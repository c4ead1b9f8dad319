//! The schema and its migrations: forward only, one transaction each.

use gopay_store::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::{down, failed};

/// In order; the first makes version 1. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_store.sql"),
    include_str!("../migrations/0002_journal.sql"),
    include_str!("../migrations/0003_attention.sql"),
    include_str!("../migrations/0004_settlements.sql"),
    include_str!("../migrations/0005_reconciliation.sql"),
    include_str!("../migrations/0006_personal_data.sql"),
    include_str!("../migrations/0007_directory.sql"),
    include_str!("../migrations/0008_growth.sql"),
];

/// Marks the file as ours, so that another program's database is not taken for an empty store:
/// the letters "gopa".
const APPLICATION_ID: i64 = 0x676f_7061;

pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

pub(crate) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether this program may write to the file, found out without writing.
pub(crate) fn check(db: &Connection) -> Result<(), StoreError> {
    let found = version(db).map_err(failed)?;
    let id: i64 =
        db.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        db.query_one("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if id != APPLICATION_ID && (id != 0 || found != 0 || tables != 0) {
        return Err(down("it is a database of another program"));
    }
    if found > known() || found < 0 {
        return Err(StoreError::Schema { found, known: known() });
    }
    Ok(())
}

/// Brings the schema up to date. A migration that fails leaves the version before it.
pub(crate) fn migrate(db: &mut Connection) -> Result<(), StoreError> {
    let found = version(db).map_err(failed)?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    for (sql, version) in MIGRATIONS.iter().zip(1_i64..).skip(done) {
        let step = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        step.execute_batch(sql).map_err(failed)?;
        step.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        step.pragma_update(None, "user_version", version).map_err(failed)?;
        step.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) fn migrations() -> &'static [&'static str] {
    MIGRATIONS
}
