//! Personal data: its values, the keys that they are sealed under, and erasures.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::rows::{self, ENCRYPTION_KEYS, ERASURES, PAYMENT_KEYS, RowReader, SqlRow};
use gopay_store::sealing::{KeyProof, WrappedKey};
use gopay_store::spelling::{DETAIL, unshortened};
use gopay_store::{
    Erasure, KeyChange, KeyOf, Personal, Rewrapping, StoreError, encryption_key_columns,
    erasure_columns, payment_key_columns, personal_columns,
};
use rusqlite::{Connection, params};

use crate::query::{all, first, limit_cell, write, write_cells};

static INSERT_KEY: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (PAYMENT_KEYS.names(), PAYMENT_KEYS.places('?'));
    format!("-- payment_create: key\nINSERT INTO payment_keys ({names}) VALUES ({places})")
});

/// Gives a payment that has none its data key.
pub(crate) fn insert_key(db: &Connection, tx_id: TxId, key: &WrappedKey) -> Result<(), StoreError> {
    write_cells(db, &INSERT_KEY, &rows::payment_key_cells(tx_id.get(), key)).map(|_| ())
}

pub(crate) fn data_key(db: &Connection, tx_id: TxId) -> Result<Option<WrappedKey>, StoreError> {
    let sql = concat!(
        "-- data_key\nSELECT ",
        payment_key_columns!(),
        " FROM payment_keys WHERE tx_id = ?1"
    );
    first(db, sql, params![tx_id.get()], rows::payment_key)
}

pub(crate) fn data_keys_after(
    db: &Connection,
    after: i64,
    limit: usize,
) -> Result<Vec<KeyOf>, StoreError> {
    let sql = "-- data_keys_after
        SELECT p.tx_id, k.key_id, k.data_key, e.at FROM payments p
        LEFT JOIN payment_keys k ON k.tx_id = p.tx_id
        LEFT JOIN erasures e ON e.tx_id = p.tx_id
        WHERE p.tx_id > ?1 ORDER BY p.tx_id LIMIT ?2";
    all(db, sql, params![after, limit_cell(limit)], rows::key_of)
}

pub(crate) fn data_keys_rewrap(db: &Connection, keys: &[Rewrapping]) -> Result<u64, StoreError> {
    let mut written = 0_u64;
    for Rewrapping { tx_id, from, to } in keys {
        let changed = write(
            db,
            "-- data_keys_rewrap
            UPDATE payment_keys SET key_id = ?2, data_key = ?3
            WHERE tx_id = ?1 AND key_id = ?4 AND data_key = ?5",
            params![tx_id.get(), to.key_id, to.wrapped, from.key_id, from.wrapped],
        )?;
        written = written.saturating_add(u64::try_from(changed).unwrap_or(0));
    }
    Ok(written)
}

pub(crate) fn personal_get(db: &Connection, tx_id: TxId) -> Result<Option<Personal>, StoreError> {
    let sql = concat!(
        "-- personal_get\nSELECT ",
        personal_columns!(),
        " FROM payments p JOIN payment_requests r ON r.tx_id = p.tx_id WHERE p.tx_id = ?1"
    );
    let Some(personal) = first(db, sql, params![tx_id.get()], rows::personal)? else {
        return Ok(None);
    };
    let sql = "-- personal_get: records
        SELECT seq, kind, detail FROM events WHERE tx_id = ?1 ORDER BY seq";
    let records = all(db, sql, params![tx_id.get()], rows::personal_record)?;
    let sql = "-- personal_get: refunds
        SELECT refund_id, descriptor FROM refunds WHERE tx_id = ?1 ORDER BY refund_id";
    let descriptors = all(db, sql, params![tx_id.get()], rows::descriptor)?;
    Ok(Some(Personal { records, descriptors, ..personal }))
}

/// The writer has what is replaced overwritten with zeros in the file, and empties the log after an
/// erasure.
pub(crate) fn personal_replace(
    db: &Connection,
    tx_id: TxId,
    (from, to): (&Personal, &Personal),
    key: &KeyChange,
) -> Result<bool, StoreError> {
    if personal_get(db, tx_id)?.as_ref() != Some(from) {
        return Ok(false);
    }
    replace(db, tx_id, (from, to))?;
    change_key(db, tx_id, key)?;
    Ok(true)
}

fn replace(
    db: &Connection,
    tx_id: TxId,
    (from, to): (&Personal, &Personal),
) -> Result<(), StoreError> {
    write_cells(
        db,
        "-- personal_replace
        UPDATE payments SET redirect_secret = ?2, merchant_redirect_url = ?3, deeplink = ?4,
            answer = ?5, fingerprint = ?6
        WHERE tx_id = ?1",
        &rows::personal_cells(tx_id.get(), to),
    )?;
    write(
        db,
        "-- personal_replace: request
        UPDATE payment_requests SET request = ?2 WHERE tx_id = ?1",
        params![tx_id.get(), unshortened(&to.request)],
    )?;
    for (before, after) in from.records.iter().zip(&to.records) {
        if before != after {
            write(
                db,
                "-- personal_replace: record
                UPDATE events SET detail = ?3 WHERE tx_id = ?1 AND seq = ?2",
                params![tx_id.get(), after.seq, DETAIL.shorten(&after.detail)],
            )?;
        }
    }
    for (before, after) in from.descriptors.iter().zip(&to.descriptors) {
        if before != after {
            write(
                db,
                "-- personal_replace: refund
                UPDATE refunds SET descriptor = ?2 WHERE refund_id = ?1",
                params![after.0.get(), after.1],
            )?;
        }
    }
    Ok(())
}

fn change_key(db: &Connection, tx_id: TxId, key: &KeyChange) -> Result<(), StoreError> {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        let (names, places) = (ERASURES.names(), ERASURES.places('?'));
        format!("-- personal_replace: erasure\nINSERT INTO erasures ({names}) VALUES ({places})")
    });
    match key {
        KeyChange::Seal(key) => insert_key(db, tx_id, key),
        KeyChange::Erase(erasure) => {
            write(
                db,
                "-- personal_replace: key
                DELETE FROM payment_keys WHERE tx_id = ?1",
                params![tx_id.get()],
            )?;
            write_cells(db, &INSERT, &rows::erasure_cells(erasure)).map(|_| ())
        }
    }
}

pub(crate) fn erasure_get(db: &Connection, tx_id: TxId) -> Result<Option<Erasure>, StoreError> {
    let sql =
        concat!("-- erasure_get\nSELECT ", erasure_columns!(), " FROM erasures WHERE tx_id = ?1");
    first(db, sql, params![tx_id.get()], rows::erasure)
}

pub(crate) fn key_proofs(db: &Connection) -> Result<Vec<KeyProof>, StoreError> {
    let sql = concat!(
        "-- key_proofs\nSELECT ",
        encryption_key_columns!(),
        " FROM encryption_keys WHERE number > 0 ORDER BY number"
    );
    all(db, sql, [], rows::key_proof)
}

static INSERT_PROOF: LazyLock<String> = LazyLock::new(|| {
    format!(
        "-- key_proof_add
        INSERT INTO encryption_keys ({}) SELECT coalesce(max(number), 0) + 1, ?1, ?2, ?3
        FROM encryption_keys WHERE number > 0
        ON CONFLICT (key_id) DO NOTHING",
        ENCRYPTION_KEYS.names()
    )
});

pub(crate) fn key_proof_add(
    db: &Connection,
    proof: &KeyProof,
    now: Timestamp,
) -> Result<(), StoreError> {
    let values = params![proof.key_id, proof.wrapped, now.as_micros()];
    write(db, &INSERT_PROOF, values).map(|_| ())
}

pub(crate) fn key_proof_remove(db: &Connection, key_id: &str) -> Result<bool, StoreError> {
    let sql = "-- key_proof_remove: whether it is used
        SELECT (SELECT count(*) FROM payment_keys WHERE tx_id > 0 AND key_id = ?1)
            + (SELECT count(*) FROM directory_keys WHERE change > 0 AND key_id = ?1)";
    let read = |row: &dyn SqlRow| RowReader::new(row, PAYMENT_KEYS.name).int("count");
    if first(db, sql, params![key_id], read)?.unwrap_or(0) > 0 {
        return Ok(false);
    }
    let sql = "-- key_proof_remove
        DELETE FROM encryption_keys WHERE key_id = ?1";
    write(db, sql, params![key_id]).map(|_| true)
}
