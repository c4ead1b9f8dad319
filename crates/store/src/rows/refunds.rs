//! The rows of refunds.

use gopay_core::ids::RefundId;
use gopay_core::payment::Failure;
use gopay_core::refund::{Elsewhere, MadeElsewhere, MidtransRefund, Refund, RefundState};

use super::{Cell, RowReader, SqlRow, failure, sen, table};
use crate::StoreError;
use crate::engine::case_key;

table! {
    /// Refunds, and calls for one that were refused.
    REFUNDS = "refunds", refund_columns,
    key { refund_id: Int, }
    changing {
        state: Text,
        fail_reason: Text,
        fail_message: Text,
        resolved_at: Int,
        next_check_at: Int,
        checks: Int,
        midtrans_id: Text,
        midtrans_at: Int,
        funds_confirmed_at: Int,
    }
    fixed {
        tx_id: Int,
        client: Text,
        contract: Text,
        merchant_refund_id: Text,
        amount_sen: Int,
        descriptor: Text,
        created_at: Int,
        origin: Text,
        midtrans_key: Text,
    }
    written { merchant_refund_key: Text, }
}

/// A row of [`REFUNDS`] as a refund.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn refund(row: &dyn SqlRow) -> Result<Refund, StoreError> {
    let mut row = RowReader::new(row, REFUNDS.name);
    Ok(Refund {
        refund_id: row.id("refund_id", RefundId::new)?,
        state: state(&mut row)?,
        resolved_at: row.time_opt("resolved_at")?,
        next_check_at: row.time_opt("next_check_at")?,
        checks: row.count("checks")?,
        midtrans: MidtransRefund {
            id: row.text_opt("midtrans_id")?,
            at: row.time_opt("midtrans_at")?,
            funds_confirmed_at: row.time_opt("funds_confirmed_at")?,
        },
        tx_id: row.tx_id()?,
        psp: row.text("client")?,
        contract: row.text("contract")?,
        merchant_refund_id: row.text_opt("merchant_refund_id")?,
        amount: row.rupiah_opt("amount_sen")?,
        descriptor: row.text_opt("descriptor")?,
        created_at: row.time("created_at")?,
        made_elsewhere: made_elsewhere(&mut row)?,
    })
}

/// The columns `origin` and `midtrans_key`; of a refund that the PSP asked for both are empty.
fn made_elsewhere(row: &mut RowReader<'_>) -> Result<Option<MadeElsewhere>, StoreError> {
    match (row.parse_opt("origin", Elsewhere::from_word)?, row.text_opt("midtrans_key")?) {
        (Some(how), key) => Ok(Some(MadeElsewhere { how, key })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(row.corrupt("origin")),
    }
}

/// The columns `state`, `fail_reason` and `fail_message`.
fn state(row: &mut RowReader<'_>) -> Result<RefundState, StoreError> {
    let word = row.text("state")?;
    match (word.as_str(), row.failure()?) {
        ("unresolved", None) => Ok(RefundState::Unresolved),
        ("succeeded", None) => Ok(RefundState::Succeeded),
        ("failed", Some(failure)) => Ok(RefundState::Failed(failure)),
        _ => Err(row.corrupt("state")),
    }
}

const fn failure_of(refund: &Refund) -> Option<&Failure> {
    match &refund.state {
        RefundState::Unresolved | RefundState::Succeeded => None,
        RefundState::Failed(failure) => Some(failure),
    }
}

/// The key of a refund and what an update writes, in the order of [`REFUNDS`].
#[must_use]
pub fn refund_changes(refund: &Refund) -> [Cell<'_>; 10] {
    let [fail_reason, fail_message] = failure(failure_of(refund));
    [
        refund.refund_id.get().into(),
        refund.state.as_str().into(),
        fail_reason,
        fail_message,
        refund.resolved_at.into(),
        refund.next_check_at.into(),
        refund.checks.into(),
        (&refund.midtrans.id).into(),
        refund.midtrans.at.into(),
        refund.midtrans.funds_confirmed_at.into(),
    ]
}

/// A refund as a row of [`REFUNDS`].
///
/// # Errors
/// [`StoreError::Invalid`] if an amount is too large for a database.
pub fn refund_cells(refund: &Refund) -> Result<Vec<Cell<'_>>, StoreError> {
    let amount = refund.amount.map(|amount| sen(REFUNDS.name, "amount_sen", amount.sen()));
    let mut cells = Vec::with_capacity(REFUNDS.columns.len());
    cells.extend(refund_changes(refund));
    cells.extend([
        refund.tx_id.get().into(),
        refund.psp.as_str().into(),
        refund.contract.as_str().into(),
        (&refund.merchant_refund_id).into(),
        amount.transpose()?.unwrap_or(Cell::Null),
        (&refund.descriptor).into(),
        refund.created_at.into(),
        refund.made_elsewhere.as_ref().map(|made| made.how.as_str()).into(),
        refund.made_elsewhere.as_ref().and_then(|made| made.key.as_deref()).into(),
        refund.merchant_refund_id.as_deref().map(case_key).into(),
    ]);
    Ok(cells)
}
