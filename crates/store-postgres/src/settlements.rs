//! Closed settlements.

use std::sync::LazyLock;

use gopay_store::rows::{self, SETTLEMENT_ADJUSTMENTS, SETTLEMENTS};
use gopay_store::{
    ClosedSettlement, SettlementAccount, settlement_adjustment_columns, settlement_columns,
};

use crate::error::DbError;
use crate::row::{Cells, Columns, insert_many, limit_cell, read_all, read_opt};
use crate::session::Session;

pub(crate) async fn settlement_head(
    session: &Session,
    account: SettlementAccount,
) -> Result<Option<ClosedSettlement>, DbError> {
    let sql = concat!(
        "-- settlement_head\nSELECT ",
        settlement_columns!(),
        " FROM settlements WHERE entity = $1 AND client_number = $2 ORDER BY ordinal DESC LIMIT 1"
    );
    let (entity, client) = (i64::from(account.entity), i64::from(account.client));
    let row = session.row(sql, &[&entity, &client]).await?;
    let Some(head) = read_opt(row.as_ref(), rows::settlement)? else { return Ok(None) };
    Ok(settlements_after(session, account, head.ordinal.saturating_sub(1), 1).await?.pop())
}

pub(crate) async fn settlement_heads(session: &Session) -> Result<Vec<ClosedSettlement>, DbError> {
    let sql = concat!(
        "-- settlement_heads\nSELECT ",
        settlement_columns!(),
        " FROM settlements s WHERE NOT EXISTS (
            SELECT FROM settlements later WHERE later.entity = s.entity
                AND later.client_number = s.client_number AND later.ordinal > s.ordinal)
        ORDER BY s.entity, s.client_number"
    );
    Ok(read_all(&session.rows(sql, &[]).await?, rows::settlement)?)
}

pub(crate) async fn settlements_after(
    session: &Session,
    account: SettlementAccount,
    ordinal: i64,
    limit: usize,
) -> Result<Vec<ClosedSettlement>, DbError> {
    let sql = concat!(
        "-- settlements_after\nSELECT ",
        settlement_columns!(),
        " FROM settlements WHERE entity = $1 AND client_number = $2 AND ordinal > $3
        ORDER BY ordinal LIMIT $4"
    );
    let (entity, client) = (i64::from(account.entity), i64::from(account.client));
    let found = session.rows(sql, &[&entity, &client, &ordinal, &limit_cell(limit)]).await?;
    let settlements = read_all(&found, rows::settlement)?;
    let last = settlements.last().map_or(ordinal, |last| last.ordinal);
    let sql = concat!(
        "-- settlements_after: adjustments\nSELECT ",
        settlement_adjustment_columns!(),
        " FROM settlement_adjustments
        WHERE entity = $1 AND client_number = $2 AND ordinal > $3 AND ordinal <= $4
        ORDER BY ordinal, place"
    );
    let found = session.rows(sql, &[&entity, &client, &ordinal, &last]).await?;
    let adjustments = read_all(&found, rows::settlement_adjustment)?;
    Ok(rows::with_adjustments(settlements, adjustments))
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (SETTLEMENTS.names(), SETTLEMENTS.places('$'));
    format!("-- settlements: insert\nINSERT INTO settlements ({names}) VALUES ({places})")
});

static INSERT_ADJUSTMENTS: LazyLock<String> = LazyLock::new(|| {
    format!("-- settlement_adjustments: insert\n{}", insert_many(&SETTLEMENT_ADJUSTMENTS))
});

/// The last settlement is read without a lock: of two that close in one place, the key lets only
/// one in.
pub(crate) async fn settlement_close(
    session: &Session,
    closed: &ClosedSettlement,
) -> Result<(), DbError> {
    let sql = concat!(
        "-- settlement_close: head\nSELECT ",
        settlement_columns!(),
        " FROM settlements WHERE entity = $1 AND client_number = $2 ORDER BY ordinal DESC LIMIT 1"
    );
    let account = closed.account;
    let (entity, client) = (i64::from(account.entity), i64::from(account.client));
    let row = session.begin_row(sql, &[&entity, &client]).await?;
    closed.follows(read_opt(row.as_ref(), rows::settlement)?.as_ref())?;
    let cells = Cells::of(rows::settlement_cells(closed));
    let mut adjustments = Columns::new(SETTLEMENT_ADJUSTMENTS.columns.len());
    for cells in rows::settlement_adjustment_cells(closed) {
        adjustments.push(cells);
    }
    let some =
        (!adjustments.is_empty()).then(|| (INSERT_ADJUSTMENTS.as_str(), adjustments.values()));
    session.run_all_and_commit([Some((INSERT.as_str(), cells.values())), some]).await
}
