//! Payments.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::payment::{Event, Payment};
use gopay_core::time::Timestamp;
use gopay_store::engine::{self, CORRUPT_PUT_OFF, KIND_STATE, case_key, found};
use gopay_store::rows::{self, PAYMENTS};
use gopay_store::sealing::WrappedKey;
use gopay_store::{Applied, Created, Lookup, StoreError, payment_columns, payment_request_columns};
use rusqlite::{Connection, params};

use crate::error::failed;
use crate::events::{self, NewRecord};
use crate::query::{all, each, first, limit_cell, write, write_cells};
use crate::session::Session;
use crate::{deliveries, journal, personal};

const TABLE: &str = PAYMENTS.name;

/// A statement that [`rows::payment`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", payment_columns!(), " FROM payments ", $rest)
    };
}

pub(crate) fn payment_create(
    db: &Session<'_>,
    payment: &Payment,
    request: &str,
    records: &[NewRecord],
    key: Option<&WrappedKey>,
) -> Result<Created, StoreError> {
    if !insert(db, payment)? {
        let nonce = payment.nonce.as_ref().map_or("", |nonce| nonce.value.as_str());
        let earlier = payment_find_nonce(db, &payment.contract, nonce)?;
        return earlier.map(Box::new).map(Created::NonceTaken).ok_or(StoreError::Conflict);
    }
    write(
        db,
        "-- payment_create: request
        INSERT INTO payment_requests (tx_id, request) VALUES (?1, ?2)",
        params![payment.tx_id.get(), request],
    )?;
    if let Some(key) = key {
        personal::insert_key(db, payment.tx_id, key)?;
    }
    events::begin(db, payment.tx_id, payment.created_at, records)?;
    journal::append(db, gopay_core::journal::payment_created(payment))?;
    db.sum(|sums| sums.payment(None, payment));
    Ok(Created::New)
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "-- payment_create
        INSERT INTO payments ({}) VALUES ({})
        ON CONFLICT (contract, nonce) WHERE nonce IS NOT NULL DO NOTHING",
        PAYMENTS.names(),
        PAYMENTS.places('?')
    )
});

/// False if the nonce is taken; an id that is taken is [`StoreError::Conflict`].
fn insert(db: &Connection, payment: &Payment) -> Result<bool, StoreError> {
    let written = write_cells(db, &INSERT, &rows::payment_cells(payment)?)?;
    Ok(written > 0)
}

pub(crate) fn payment_apply(
    db: &Session<'_>,
    tx_id: TxId,
    event: &Event,
    answer: Option<&[u8]>,
    records: &[NewRecord],
    now: Timestamp,
) -> Result<Applied, StoreError> {
    let stored = payment_get(db, tx_id)?.ok_or(StoreError::Missing { table: TABLE })?;
    let step = engine::payment_apply(stored, event, answer, now);
    let record = step.record.map(|detail| NewRecord::new(KIND_STATE, &detail));
    if record.is_some() {
        update(db, &step.applied.payment)?;
        db.sum(|sums| sums.payment(Some(&step.applied.before), &step.applied.payment));
    }
    events::append(db, tx_id, now, record.iter().chain(records))?;
    if let Some(owed) = step.delivery {
        deliveries::insert(db, &owed, now)?;
    }
    journal::append(db, step.entry)?;
    Ok(step.applied)
}

pub(crate) fn payment_answer(
    db: &Connection,
    tx_id: TxId,
    answer: &[u8],
) -> Result<Payment, StoreError> {
    let mut payment = payment_get(db, tx_id)?.ok_or(StoreError::Missing { table: TABLE })?;
    if payment.store_answer_once(answer) {
        write(
            db,
            "-- payment_answer
            UPDATE payments SET answer = ?2 WHERE tx_id = ?1",
            params![tx_id.get(), answer],
        )?;
    }
    Ok(payment)
}

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    format!("-- payments: update\nUPDATE payments SET {} WHERE tx_id = ?1", PAYMENTS.sets('?'))
});

/// Writes what can change about a payment.
pub(crate) fn update(db: &Connection, payment: &Payment) -> Result<(), StoreError> {
    write_cells(db, &UPDATE, &rows::payment_changes(payment)?).map(|_| ())
}

pub(crate) fn payment_get(db: &Connection, tx_id: TxId) -> Result<Option<Payment>, StoreError> {
    let sql = select!("payment_get", "WHERE tx_id = ?1");
    first(db, sql, params![tx_id.get()], rows::payment)
}

pub(crate) fn payment_request(db: &Connection, tx_id: TxId) -> Result<String, StoreError> {
    let sql = concat!(
        "-- payment_request\nSELECT ",
        payment_request_columns!(),
        " FROM payment_requests WHERE tx_id = ?1"
    );
    let request = first(db, sql, params![tx_id.get()], rows::payment_request)?;
    request.ok_or(StoreError::Missing { table: rows::PAYMENT_REQUESTS.name })
}

pub(crate) fn payment_find(
    db: &Connection,
    contract: &str,
    merchant_tx_id: &str,
) -> Result<Lookup<Payment>, StoreError> {
    let sql = select!("payment_find", "WHERE contract = ?1 AND merchant_tx_key = ?2 LIMIT 2");
    all(db, sql, params![contract, case_key(merchant_tx_id)], rows::payment).map(found)
}

pub(crate) fn payment_find_nonce(
    db: &Connection,
    contract: &str,
    nonce: &str,
) -> Result<Option<Payment>, StoreError> {
    let sql = select!("payment_find_nonce", "WHERE contract = ?1 AND nonce = ?2");
    first(db, sql, params![contract, nonce], rows::payment)
}

pub(crate) fn payments_missing(db: &Connection, tx_ids: &[TxId]) -> Result<Vec<TxId>, StoreError> {
    let sql = "-- payments_missing\nSELECT tx_id FROM payments WHERE tx_id = ?1";
    let mut missing = Vec::new();
    for tx_id in tx_ids {
        if first(db, sql, params![tx_id.get()], |_| Ok(()))?.is_none() {
            missing.push(*tx_id);
        }
    }
    Ok(missing)
}

pub(crate) fn payment_claim_due(
    db: &Connection,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Payment>, StoreError> {
    let sql = select!(
        "payment_claim_due",
        "WHERE next_check_at <= ?1 ORDER BY next_check_at, tx_id LIMIT ?2"
    );
    let rows = each(db, sql, params![now.as_micros(), limit_cell(limit)], rows::payment)?;
    let mut claimed = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        match row {
            Ok(payment) => {
                let payment = payment.checked(now);
                plan(db, key, payment.next_check_at, payment.checks)?;
                claimed.push(payment);
            }
            Err(error) => {
                tracing::error!(%error, "a payment is due that cannot be read; it is put off");
                put_off(db, key, now.after(CORRUPT_PUT_OFF))?;
            }
        }
    }
    Ok(claimed)
}

fn plan(
    db: &Connection,
    key: i64,
    next_check_at: Option<Timestamp>,
    checks: u32,
) -> Result<usize, StoreError> {
    write(
        db,
        "-- payment_claim_due: plan
        UPDATE payments SET next_check_at = ?2, checks = ?3 WHERE tx_id = ?1",
        params![key, next_check_at.map(Timestamp::as_micros), checks],
    )
}

fn put_off(db: &Connection, key: i64, until: Timestamp) -> Result<usize, StoreError> {
    write(
        db,
        "-- payment_claim_due: put off
        UPDATE payments SET next_check_at = ?2 WHERE tx_id = ?1",
        params![key, until.as_micros()],
    )
}

pub(crate) fn payment_check_at(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
) -> Result<(), StoreError> {
    must_exist(db, tx_id)?;
    write(
        db,
        "-- payment_check_at
        UPDATE payments SET next_check_at = ?2 WHERE tx_id = ?1 AND next_check_at > ?2",
        params![tx_id.get(), at.as_micros()],
    )?;
    Ok(())
}

pub(crate) fn payment_note(
    db: &Connection,
    tx_id: TxId,
    records: &[NewRecord],
    now: Timestamp,
) -> Result<(), StoreError> {
    must_exist(db, tx_id)?;
    events::append(db, tx_id, now, records)
}

fn must_exist(db: &Connection, tx_id: TxId) -> Result<(), StoreError> {
    let sql = "-- payments: exists
        SELECT 1 FROM payments WHERE tx_id = ?1";
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let exists = statement.exists(params![tx_id.get()]).map_err(failed)?;
    if exists { Ok(()) } else { Err(StoreError::Missing { table: TABLE }) }
}
