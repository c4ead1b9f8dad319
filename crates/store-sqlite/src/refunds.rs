//! Refunds.

use gopay_core::ids::{RefundId, TxId};
use gopay_core::money::Sen;
use gopay_core::payment::Failure;
use gopay_core::refund::{Refund, RefundOutcome, RefundState, RefundTerms};
use gopay_core::time::Timestamp;
use gopay_store::engine::{KIND_REFUND, case_key, refund_detail};
use gopay_store::{Found, NewRefund, Reserved, StoreError};
use rusqlite::{Connection, params};

use crate::cells::{Cells, all, each, first, limit_cell, sen_cell, write};
use crate::events::{self, Line};
use crate::payments::{self, CORRUPT_PUT_OFF, fail_message, fail_reason, found};

const TABLE: &str = "refunds";

/// The columns in the order in which [`read`] takes them.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
            SELECT refund_id, tx_id, client, contract, merchant_refund_id, amount_sen, descriptor,
                state, fail_reason, fail_message, created_at, resolved_at, next_check_at, checks
            FROM refunds ",
            $rest
        )
    };
}

fn read(cells: &mut Cells<'_>) -> Result<Refund, StoreError> {
    Ok(Refund {
        refund_id: cells.parse("refund_id", |number| RefundId::new(number).ok())?,
        tx_id: cells.tx_id()?,
        client: cells.take("client")?,
        contract: cells.take("contract")?,
        merchant_refund_id: cells.take("merchant_refund_id")?,
        amount: cells.rupiah_opt("amount_sen")?,
        descriptor: cells.take("descriptor")?,
        state: state(cells)?,
        created_at: cells.time("created_at")?,
        resolved_at: cells.time_opt("resolved_at")?,
        next_check_at: cells.time_opt("next_check_at")?,
        checks: cells.take("checks")?,
    })
}

/// The cells `state`, `fail_reason` and `fail_message`.
fn state(cells: &mut Cells<'_>) -> Result<RefundState, StoreError> {
    let word: String = cells.take("state")?;
    match (word.as_str(), cells.failure()?) {
        ("unresolved", None) => Ok(RefundState::Unresolved),
        ("succeeded", None) => Ok(RefundState::Succeeded),
        ("failed", Some(failure)) => Ok(RefundState::Failed(failure)),
        _ => Err(cells.corrupt("state")),
    }
}

const fn failure(refund: &Refund) -> Option<&Failure> {
    match &refund.state {
        RefundState::Unresolved | RefundState::Succeeded => None,
        RefundState::Failed(failure) => Some(failure),
    }
}

/// A [`NewRefund`] that owns its texts, to travel to the writer.
pub(crate) struct Order {
    pub(crate) refund_id: RefundId,
    pub(crate) tx_id: TxId,
    client: String,
    contract: String,
    merchant_refund_id: Option<String>,
    currency: String,
    amount: Sen,
    descriptor: Option<String>,
    terms: RefundTerms,
}

impl Order {
    pub(crate) fn new(refund: &NewRefund<'_>) -> Self {
        Self {
            refund_id: refund.refund_id,
            tx_id: refund.tx_id,
            client: refund.client.to_owned(),
            contract: refund.contract.to_owned(),
            merchant_refund_id: refund.merchant_refund_id.map(str::to_owned),
            currency: refund.currency.to_owned(),
            amount: refund.amount,
            descriptor: refund.descriptor.map(str::to_owned),
            terms: refund.terms,
        }
    }

    fn new_refund(&self) -> NewRefund<'_> {
        NewRefund {
            refund_id: self.refund_id,
            tx_id: self.tx_id,
            client: &self.client,
            contract: &self.contract,
            merchant_refund_id: self.merchant_refund_id.as_deref(),
            currency: &self.currency,
            amount: self.amount,
            descriptor: self.descriptor.as_deref(),
            terms: self.terms,
        }
    }
}

pub(crate) fn refund_reserve(
    db: &Connection,
    order: &Order,
    now: Timestamp,
) -> Result<Reserved, StoreError> {
    let order = order.new_refund();
    let payment = payments::payment_get(db, order.tx_id)?;
    let Some(payment) = payment.filter(|payment| payment.contract == order.contract) else {
        return Ok(Reserved::NoPayment);
    };
    match payment.reserve_refund(order.order(), order.terms, now) {
        Ok((payment, amount)) => {
            let refund = order.admitted(amount, now);
            insert(db, &refund)?;
            payments::update(db, &payment)?;
            record(db, &refund, now)?;
            Ok(Reserved::Admitted(Box::new(refund), Box::new(payment)))
        }
        Err(rejection) => {
            let refund = order.refused(rejection, now);
            insert(db, &refund)?;
            record(db, &refund, now)?;
            Ok(Reserved::Refused(rejection))
        }
    }
}

fn record(db: &Connection, refund: &Refund, now: Timestamp) -> Result<(), StoreError> {
    let line = Line::new(KIND_REFUND, &refund_detail(refund));
    events::append(db, refund.tx_id, now, [&line])
}

fn insert(db: &Connection, refund: &Refund) -> Result<(), StoreError> {
    let amount = refund.amount.map(|amount| sen_cell(amount.sen())).transpose()?;
    write(
        db,
        "-- refunds: insert
        INSERT INTO refunds (refund_id, tx_id, client, contract, merchant_refund_id,
            merchant_refund_key, amount_sen, descriptor, state, fail_reason, fail_message,
            created_at, resolved_at, next_check_at, checks)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            refund.refund_id.get(),
            refund.tx_id.get(),
            refund.client,
            refund.contract,
            refund.merchant_refund_id,
            refund.merchant_refund_id.as_deref().map(case_key),
            amount,
            refund.descriptor,
            refund.state.as_str(),
            fail_reason(failure(refund)),
            fail_message(failure(refund)),
            refund.created_at.as_micros(),
            refund.resolved_at.map(Timestamp::as_micros),
            refund.next_check_at.map(Timestamp::as_micros),
            refund.checks,
        ],
    )?;
    Ok(())
}

pub(crate) fn refund_resolve(
    db: &Connection,
    refund_id: RefundId,
    outcome: RefundOutcome,
    lines: &[Line],
    now: Timestamp,
) -> Result<Refund, StoreError> {
    let stored = refund_get(db, refund_id)?.ok_or(StoreError::Missing { table: TABLE })?;
    let resolved = stored.resolve(outcome, now);
    if let Some(refund) = &resolved {
        update(db, refund)?;
        if matches!(refund.state, RefundState::Failed(_)) {
            release(db, refund)?;
        }
        record(db, refund, now)?;
    }
    let refund = resolved.unwrap_or(stored);
    // A call that was refused early may name no payment, and then has no trail either.
    match payments::payment_note(db, refund.tx_id, lines, now) {
        Ok(()) | Err(StoreError::Missing { .. }) => Ok(refund),
        Err(error) => Err(error),
    }
}

fn release(db: &Connection, refund: &Refund) -> Result<(), StoreError> {
    let amount = refund.amount.ok_or_else(|| StoreError::Corrupt {
        table: TABLE,
        column: "amount_sen",
        row: refund.refund_id.to_string(),
    })?;
    let payment = payments::payment_get(db, refund.tx_id)?
        .ok_or(StoreError::Missing { table: "payments" })?;
    payments::update(db, &payment.release_refund(amount))
}

/// Writes what can change about a refund.
fn update(db: &Connection, refund: &Refund) -> Result<(), StoreError> {
    write(
        db,
        "-- refunds: update
        UPDATE refunds SET state = ?2, fail_reason = ?3, fail_message = ?4, resolved_at = ?5,
            next_check_at = ?6, checks = ?7
        WHERE refund_id = ?1",
        params![
            refund.refund_id.get(),
            refund.state.as_str(),
            fail_reason(failure(refund)),
            fail_message(failure(refund)),
            refund.resolved_at.map(Timestamp::as_micros),
            refund.next_check_at.map(Timestamp::as_micros),
            refund.checks,
        ],
    )?;
    Ok(())
}

pub(crate) fn refund_record_refused(
    db: &Connection,
    refund: &Refund,
    now: Timestamp,
) -> Result<(), StoreError> {
    if failure(refund).is_none() {
        let row = refund.refund_id.to_string();
        return Err(StoreError::Corrupt { table: TABLE, column: "state", row });
    }
    let resolved_at = Some(refund.resolved_at.unwrap_or(now));
    insert(db, &Refund { resolved_at, next_check_at: None, ..refund.clone() })
}

pub(crate) fn refund_get(
    db: &Connection,
    refund_id: RefundId,
) -> Result<Option<Refund>, StoreError> {
    let sql = select!("refund_get", "WHERE refund_id = ?1");
    first(db, TABLE, sql, params![refund_id.get()], read)
}

pub(crate) fn refund_find(
    db: &Connection,
    contract: &str,
    merchant_refund_id: &str,
) -> Result<Found<Refund>, StoreError> {
    let sql = select!("refund_find", "WHERE contract = ?1 AND merchant_refund_key = ?2 LIMIT 2");
    all(db, TABLE, sql, params![contract, case_key(merchant_refund_id)], read).map(found)
}

pub(crate) fn refunds_of(db: &Connection, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
    let sql = select!(
        "refunds_of",
        "WHERE tx_id = ?1 AND contract = (SELECT contract FROM payments WHERE tx_id = ?1)
        ORDER BY created_at, refund_id"
    );
    all(db, TABLE, sql, params![tx_id.get()], read)
}

pub(crate) fn refund_claim_due(
    db: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Refund>, StoreError> {
    let sql = select!(
        "refund_claim_due",
        "WHERE next_check_at <= ?1 ORDER BY next_check_at, refund_id LIMIT ?2"
    );
    let rows = each(db, TABLE, sql, params![now.as_micros(), limit_cell(limit)], read)?;
    let mut claimed = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        match row {
            Ok(refund) => {
                let refund = refund.checked(now);
                update(db, &refund)?;
                claimed.push(refund);
            }
            Err(error) => {
                tracing::error!(%error, "a refund is due that cannot be read; it is put off");
                put_off(db, key, now.after(CORRUPT_PUT_OFF))?;
            }
        }
    }
    Ok(claimed)
}

fn put_off(db: &Connection, key: i64, until: Timestamp) -> Result<usize, StoreError> {
    write(
        db,
        "-- refund_claim_due: put off
        UPDATE refunds SET next_check_at = ?2 WHERE refund_id = ?1",
        params![key, until.as_micros()],
    )
}
