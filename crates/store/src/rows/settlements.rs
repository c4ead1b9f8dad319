//! The rows of closed settlements and of the adjustments in them.

use super::{Cell, RowReader, SqlRow, table};
use crate::{ClosedSettlement, Cursor, SettlementAccount, StoreError, StoredAdjustment};

table! {
    /// Closed settlements, a chain for each account.
    SETTLEMENTS = "settlements", settlement_columns,
    key { entity: Int, client_number: Int, ordinal: Int, }
    changing {}
    fixed {
        frequency: Text,
        year: Int,
        number: Int,
        from_at: Int,
        until_at: Int,
        settlement_date: Text,
        currency: Text,
        opening: Int,
        reserve: Int,
        transfer: Int,
        carry_forward: Int,
        read_from: Text,
        read_to: Text,
        read_on: Text,
        manifest: Text,
        manifest_sha256: Text,
        closed_at: Int,
        closed_by: Text,
    }
    written {}
}

table! {
    /// Corrections, each in the settlement that holds it.
    SETTLEMENT_ADJUSTMENTS = "settlement_adjustments", settlement_adjustment_columns,
    key { entity: Int, client_number: Int, ordinal: Int, place: Int, }
    changing {}
    fixed {
        adjustment_id: Text,
        contract: Text,
        amount: Int,
        reason: Text,
        by_name: Text,
        approved_by: Text,
    }
    written {}
}

/// A row of [`SETTLEMENTS`], without its adjustments.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn settlement(row: &dyn SqlRow) -> Result<ClosedSettlement, StoreError> {
    let mut row = RowReader::new(row, SETTLEMENTS.name);
    let cursor = |text: &str| text.parse::<Cursor>().ok();
    Ok(ClosedSettlement {
        account: SettlementAccount {
            entity: row.count("entity")?,
            client: row.count("client_number")?,
        },
        ordinal: row.int("ordinal")?,
        frequency: row.text("frequency")?,
        year: row.count("year")?,
        number: row.count("number")?,
        from: row.time("from_at")?,
        until: row.time("until_at")?,
        settlement_date: row.text("settlement_date")?,
        currency: row.text("currency")?,
        opening: row.int("opening")?,
        reserve: row.int("reserve")?,
        transfer: row.int("transfer")?,
        carry_forward: row.int("carry_forward")?,
        read_from: row.parse("read_from", cursor)?,
        read_to: row.parse("read_to", cursor)?,
        read_on: row.parse("read_on", cursor)?,
        manifest: row.text("manifest")?,
        manifest_sha256: row.text("manifest_sha256")?,
        closed_at: row.time("closed_at")?,
        closed_by: row.text("closed_by")?,
        adjustments: Vec::new(),
    })
}

/// A row of [`SETTLEMENT_ADJUSTMENTS`], with the place of its settlement in the chain.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn settlement_adjustment(row: &dyn SqlRow) -> Result<(i64, StoredAdjustment), StoreError> {
    let mut row = RowReader::new(row, SETTLEMENT_ADJUSTMENTS.name);
    let _account = (row.int("entity")?, row.int("client_number")?);
    let ordinal = row.int("ordinal")?;
    let _place = row.int("place")?;
    let adjustment = StoredAdjustment {
        id: row.text("adjustment_id")?,
        contract: row.text("contract")?,
        amount: row.int("amount")?,
        reason: row.text("reason")?,
        by: row.text("by_name")?,
        approved_by: row.text("approved_by")?,
    };
    Ok((ordinal, adjustment))
}

/// The columns of [`SETTLEMENTS`].
#[must_use]
pub fn settlement_cells(closed: &ClosedSettlement) -> [Cell<'_>; 21] {
    [
        i64::from(closed.account.entity).into(),
        i64::from(closed.account.client).into(),
        closed.ordinal.into(),
        closed.frequency.as_str().into(),
        i64::from(closed.year).into(),
        i64::from(closed.number).into(),
        closed.from.into(),
        closed.until.into(),
        closed.settlement_date.as_str().into(),
        closed.currency.as_str().into(),
        closed.opening.into(),
        closed.reserve.into(),
        closed.transfer.into(),
        closed.carry_forward.into(),
        Some(closed.read_from.to_string()).into(),
        Some(closed.read_to.to_string()).into(),
        Some(closed.read_on.to_string()).into(),
        closed.manifest.as_str().into(),
        closed.manifest_sha256.as_str().into(),
        closed.closed_at.into(),
        closed.closed_by.as_str().into(),
    ]
}

/// The columns of [`SETTLEMENT_ADJUSTMENTS`], a row each.
#[must_use]
pub fn settlement_adjustment_cells(closed: &ClosedSettlement) -> Vec<[Cell<'_>; 10]> {
    let cells = |(one, place): (_, i64)| {
        let one: &StoredAdjustment = one;
        [
            i64::from(closed.account.entity).into(),
            i64::from(closed.account.client).into(),
            closed.ordinal.into(),
            place.into(),
            one.id.as_str().into(),
            one.contract.as_str().into(),
            one.amount.into(),
            one.reason.as_str().into(),
            one.by.as_str().into(),
            one.approved_by.as_str().into(),
        ]
    };
    closed.adjustments.iter().zip(1..).map(cells).collect()
}

/// Puts adjustments, in the order of chain and place, into the settlements that hold them.
#[must_use]
pub fn with_adjustments(
    mut settlements: Vec<ClosedSettlement>,
    adjustments: Vec<(i64, StoredAdjustment)>,
) -> Vec<ClosedSettlement> {
    for (ordinal, adjustment) in adjustments {
        if let Some(holder) = settlements.iter_mut().find(|one| one.ordinal == ordinal) {
            holder.adjustments.push(adjustment);
        }
    }
    settlements
}
