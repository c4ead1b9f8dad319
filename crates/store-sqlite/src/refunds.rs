//! Refunds.

use std::sync::LazyLock;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::journal::refund_created;
use gopay_core::money::Rupiah;
use gopay_core::refund::{Refund, RefundOutcome, RefundRequest, SeenBack};
use gopay_core::time::Timestamp;
use gopay_store::engine::{self, CORRUPT_PUT_OFF, KIND_REFUND, case_key, found, refund_detail};
use gopay_store::rows::{self, PAYMENTS, REFUNDS};
use gopay_store::{Lookup, Reserved, StoreError, refund_columns};
use rusqlite::{Connection, params};

use crate::events::{self, NewRecord};
use crate::query::{all, each, first, limit_cell, write, write_cells};
use crate::session::Session;
use crate::{journal, payments};

const TABLE: &str = REFUNDS.name;

/// A statement that [`rows::refund`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", refund_columns!(), " FROM refunds ", $rest)
    };
}

pub(crate) fn refund_reserve(
    db: &Session<'_>,
    request: &RefundRequest,
    now: Timestamp,
) -> Result<Reserved, StoreError> {
    let payment = payments::payment_get(db, request.tx_id)?;
    let Some(payment) = payment.filter(|payment| payment.contract == request.contract) else {
        return Ok(Reserved::NoPayment);
    };
    match payment.reserve_refund(request, now) {
        Ok((payment, amount)) => {
            let refund = request.admitted(amount, now);
            insert(db, &refund)?;
            payments::update(db, &payment)?;
            record(db, &refund, now)?;
            journal::append(db, [refund_created(&refund, now)])?;
            Ok(Reserved::Admitted(Box::new(refund), Box::new(payment)))
        }
        Err(rejection) => {
            let refund = request.refused(rejection, now);
            insert(db, &refund)?;
            record(db, &refund, now)?;
            journal::append(db, [refund_created(&refund, now)])?;
            Ok(Reserved::Refused(Box::new(refund)))
        }
    }
}

fn record(db: &Connection, refund: &Refund, now: Timestamp) -> Result<(), StoreError> {
    let record = NewRecord::new(KIND_REFUND, &refund_detail(refund));
    events::append(db, refund.tx_id, now, [&record])
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (REFUNDS.names(), REFUNDS.places('?'));
    format!("-- refunds: insert\nINSERT INTO refunds ({names}) VALUES ({places})")
});

fn insert(db: &Session<'_>, refund: &Refund) -> Result<(), StoreError> {
    write_cells(db, &INSERT, &rows::refund_cells(refund)?)?;
    db.sum(|sums| sums.refund(None, refund));
    Ok(())
}

pub(crate) fn refund_resolve(
    db: &Session<'_>,
    refund_id: RefundId,
    outcome: RefundOutcome,
    records: &[NewRecord],
    now: Timestamp,
) -> Result<Refund, StoreError> {
    let stored = refund_get(db, refund_id)?.ok_or(StoreError::Missing { table: TABLE })?;
    let before = stored.state.clone();
    let resolution = engine::refund_resolve(stored, outcome, now)?;
    let refund = resolution.refund;
    if resolution.changed {
        update(db, &refund)?;
        db.sum(|sums| sums.refund(Some(&before), &refund));
    }
    if let Some(amount) = resolution.given_back {
        release(db, refund.tx_id, amount)?;
    }
    if let Some(detail) = resolution.record {
        events::append(db, refund.tx_id, now, [&NewRecord::new(KIND_REFUND, &detail)])?;
    }
    journal::append(db, resolution.entries)?;
    // A call that was refused early may name no payment, and then has no trail either.
    match payments::payment_note(db, refund.tx_id, records, now) {
        Ok(()) | Err(StoreError::Missing { .. }) => Ok(refund),
        Err(error) => Err(error),
    }
}

fn release(db: &Connection, tx_id: TxId, amount: Rupiah) -> Result<(), StoreError> {
    let payment =
        payments::payment_get(db, tx_id)?.ok_or(StoreError::Missing { table: PAYMENTS.name })?;
    payments::update(db, &payment.release_refund(amount))
}

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    format!("-- refunds: update\nUPDATE refunds SET {} WHERE refund_id = ?1", REFUNDS.sets('?'))
});

/// Writes what can change about a refund.
fn update(db: &Connection, refund: &Refund) -> Result<(), StoreError> {
    write_cells(db, &UPDATE, &rows::refund_changes(refund)).map(|_| ())
}

pub(crate) fn refund_record_elsewhere(
    db: &Session<'_>,
    tx_id: TxId,
    seen: &SeenBack,
    ids: &[RefundId],
    now: Timestamp,
) -> Result<Vec<Refund>, StoreError> {
    let payment =
        payments::payment_get(db, tx_id)?.ok_or(StoreError::Missing { table: PAYMENTS.name })?;
    let sql = select!("refund_record_elsewhere", "WHERE tx_id = ?1 ORDER BY refund_id");
    let known = all(db, sql, params![tx_id.get()], rows::refund)?;
    let found = engine::refunds_elsewhere(&payment, &known, seen, ids, now);
    if found.refunds.is_empty() {
        return Ok(found.refunds);
    }
    for refund in &found.refunds {
        insert(db, refund)?;
    }
    payments::update(db, &found.payment)?;
    let records = found.records.iter().map(|detail| NewRecord::new(KIND_REFUND, detail));
    events::append(db, tx_id, now, &records.collect::<Vec<_>>())?;
    journal::append(db, found.entries)?;
    Ok(found.refunds)
}

pub(crate) fn refund_record_refused(
    db: &Session<'_>,
    refund: &Refund,
    now: Timestamp,
) -> Result<(), StoreError> {
    let refund = engine::refund_refused_early(refund, now)?;
    insert(db, &refund)?;
    journal::append(db, [refund_created(&refund, now)])
}

pub(crate) fn refund_get(
    db: &Connection,
    refund_id: RefundId,
) -> Result<Option<Refund>, StoreError> {
    let sql = select!("refund_get", "WHERE refund_id = ?1");
    first(db, sql, params![refund_id.get()], rows::refund)
}

pub(crate) fn refund_find(
    db: &Connection,
    contract: &str,
    merchant_refund_id: &str,
) -> Result<Lookup<Refund>, StoreError> {
    let sql = select!("refund_find", "WHERE contract = ?1 AND merchant_refund_key = ?2 LIMIT 2");
    all(db, sql, params![contract, case_key(merchant_refund_id)], rows::refund).map(found)
}

pub(crate) fn refunds_of(db: &Connection, tx_id: TxId) -> Result<Vec<Refund>, StoreError> {
    let sql = select!(
        "refunds_of",
        "WHERE tx_id = ?1 AND contract = (SELECT contract FROM payments WHERE tx_id = ?1)
        ORDER BY created_at, refund_id"
    );
    all(db, sql, params![tx_id.get()], rows::refund)
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
    let rows = each(db, sql, params![now.as_micros(), limit_cell(limit)], rows::refund)?;
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
