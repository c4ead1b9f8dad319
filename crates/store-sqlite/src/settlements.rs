//! Closed settlements.

use std::sync::LazyLock;

use gopay_store::rows::{self, SETTLEMENT_ADJUSTMENTS, SETTLEMENTS, Table};
use gopay_store::{
    ClosedSettlement, SettlementAccount, StoreError, settlement_adjustment_columns,
    settlement_columns,
};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::failed;
use crate::file::DbFile;
use crate::options::Options;
use crate::query::{all, first, limit_cell, write_cells};

/// The last of an account, without its adjustments.
fn head(
    db: &Connection,
    account: SettlementAccount,
) -> Result<Option<ClosedSettlement>, StoreError> {
    let sql = concat!(
        "-- settlement_head\nSELECT ",
        settlement_columns!(),
        " FROM settlements WHERE entity = ?1 AND client_number = ?2 ORDER BY ordinal DESC LIMIT 1"
    );
    first(db, sql, params![account.entity, account.client], rows::settlement)
}

pub(crate) fn settlement_head(
    db: &Connection,
    account: SettlementAccount,
) -> Result<Option<ClosedSettlement>, StoreError> {
    let Some(head) = head(db, account)? else { return Ok(None) };
    let before = head.ordinal.saturating_sub(1);
    Ok(settlements_after(db, account, before, 1)?.pop())
}

pub(crate) fn settlement_heads(db: &Connection) -> Result<Vec<ClosedSettlement>, StoreError> {
    let sql = concat!(
        "-- settlement_heads\nSELECT ",
        settlement_columns!(),
        " FROM settlements s WHERE s.entity >= 0 AND NOT EXISTS (
            SELECT 1 FROM settlements later WHERE later.entity = s.entity
                AND later.client_number = s.client_number AND later.ordinal > s.ordinal)
        ORDER BY s.entity, s.client_number"
    );
    all(db, sql, [], rows::settlement)
}

pub(crate) fn settlements_after(
    db: &Connection,
    account: SettlementAccount,
    ordinal: i64,
    limit: usize,
) -> Result<Vec<ClosedSettlement>, StoreError> {
    let sql = concat!(
        "-- settlements_after\nSELECT ",
        settlement_columns!(),
        " FROM settlements WHERE entity = ?1 AND client_number = ?2 AND ordinal > ?3
        ORDER BY ordinal LIMIT ?4"
    );
    let values = params![account.entity, account.client, ordinal, limit_cell(limit)];
    let settlements = all(db, sql, values, rows::settlement)?;
    let last = settlements.last().map_or(ordinal, |last| last.ordinal);
    let sql = concat!(
        "-- settlements_after: adjustments\nSELECT ",
        settlement_adjustment_columns!(),
        " FROM settlement_adjustments
        WHERE entity = ?1 AND client_number = ?2 AND ordinal > ?3 AND ordinal <= ?4
        ORDER BY ordinal, place"
    );
    let values = params![account.entity, account.client, ordinal, last];
    let adjustments = all(db, sql, values, rows::settlement_adjustment)?;
    Ok(rows::with_adjustments(settlements, adjustments))
}

fn insert(table: &Table) -> String {
    let (name, names, places) = (table.name, table.names(), table.places('?'));
    format!("-- {name}: insert\nINSERT INTO {name} ({names}) VALUES ({places})")
}

static INSERT: LazyLock<String> = LazyLock::new(|| insert(&SETTLEMENTS));
static INSERT_ADJUSTMENT: LazyLock<String> = LazyLock::new(|| insert(&SETTLEMENT_ADJUSTMENTS));

pub(crate) fn settlement_close(
    db: &Connection,
    closed: &ClosedSettlement,
) -> Result<(), StoreError> {
    closed.follows(head(db, closed.account)?.as_ref())?;
    write_cells(db, &INSERT, &rows::settlement_cells(closed))?;
    for cells in rows::settlement_adjustment_cells(closed) {
        write_cells(db, &INSERT_ADJUSTMENT, &cells)?;
    }
    Ok(())
}

/// Closes a settlement while another process may have the store open as its writer.
///
/// Where none has, this is the writer for the moment, and first makes durable what is there. Where
/// one has, this is one more transaction between those of the other, which waits as it would for
/// a reader of its own: it keeps nothing of settlements in mind.
pub(crate) fn close_beside(file: &DbFile, closed: &ClosedSettlement) -> Result<(), StoreError> {
    let options = Options::default();
    match file.lock() {
        Ok(lock) => {
            let (mut db, _) = file.open_writer(&options, false)?;
            let done = in_transaction(&mut db, closed);
            crate::file::close_writer(db);
            drop(lock);
            done
        }
        Err(_) => in_transaction(&mut file.open_second_writer()?, closed),
    }
}

fn in_transaction(db: &mut Connection, closed: &ClosedSettlement) -> Result<(), StoreError> {
    let step = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    settlement_close(&step, closed)?;
    step.commit().map_err(failed)
}
