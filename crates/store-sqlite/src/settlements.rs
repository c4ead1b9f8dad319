//! Closed settlements.

use std::sync::LazyLock;

use gopay_store::rows::{self, SETTLEMENT_ADJUSTMENTS, SETTLEMENTS, Table};
use gopay_store::{
    ClosedSettlement, SettlementAccount, StoreError, settlement_adjustment_columns,
    settlement_columns,
};
use rusqlite::{Connection, params};

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

pub(crate) fn insert(table: &Table) -> String {
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
