//! Personal data: its values, the keys that they are sealed under, and erasures.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::rows::{self, ENCRYPTION_KEYS, ERASURES, PAYMENT_KEYS};
use gopay_store::sealing::{KeyProof, WrappedKey};
use gopay_store::spelling::{CALL, DETAIL};
use gopay_store::{
    Erasure, KeyChange, KeyOf, Personal, PersonalRecord, Rewrapping, encryption_key_columns,
    erasure_columns, payment_key_columns, personal_columns,
};

use crate::error::DbError;
use crate::row::{Cells, insert_in_shard, limit_cell, read_all, read_opt};
use crate::session::Session;
use crate::shards::{known_shards, shard};
use crate::statement::Value;

pub(crate) async fn data_key(
    session: &Session,
    tx_id: TxId,
) -> Result<Option<WrappedKey>, DbError> {
    let sql = concat!(
        "-- data_key\nSELECT ",
        payment_key_columns!(),
        " FROM payment_keys WHERE shard = $1 AND tx_id = $2"
    );
    let row = session.row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_opt(row.as_ref(), rows::payment_key)?)
}

pub(crate) async fn data_keys_after(
    session: &Session,
    after: i64,
    limit: usize,
) -> Result<Vec<KeyOf>, DbError> {
    let sql = concat!(
        "-- data_keys_after
        SELECT p.tx_id, k.key_id, k.data_key, e.at FROM (",
        known_shards!(),
        ") known CROSS JOIN LATERAL (
            SELECT shard, tx_id FROM payments WHERE shard = known.shard AND tx_id > $1
            ORDER BY tx_id LIMIT $2) p
        LEFT JOIN payment_keys k ON k.shard = p.shard AND k.tx_id = p.tx_id
        LEFT JOIN erasures e ON e.shard = p.shard AND e.tx_id = p.tx_id
        ORDER BY p.tx_id LIMIT $2"
    );
    let rows = session.rows(sql, &[&after, &limit_cell(limit)]).await?;
    Ok(read_all(&rows, rows::key_of)?)
}

pub(crate) async fn data_keys_rewrap(
    session: &Session,
    keys: &[Rewrapping],
) -> Result<u64, DbError> {
    let sql = "-- data_keys_rewrap
        UPDATE payment_keys k SET key_id = new.key_id, data_key = new.data_key
        FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::text[], $5::bytea[])
            AS new (tx_id, key_id, data_key, old_id, old_key)
        WHERE k.shard = (new.tx_id >> 12) & 1023 AND k.tx_id = new.tx_id
            AND k.key_id = new.old_id AND k.data_key = new.old_key";
    let tx_ids: Vec<i64> = keys.iter().map(|one| one.tx_id.get()).collect();
    let ids: Vec<&str> = keys.iter().map(|one| one.to.key_id.as_str()).collect();
    let wrapped: Vec<&[u8]> = keys.iter().map(|one| one.to.wrapped.as_slice()).collect();
    let old_ids: Vec<&str> = keys.iter().map(|one| one.from.key_id.as_str()).collect();
    let old: Vec<&[u8]> = keys.iter().map(|one| one.from.wrapped.as_slice()).collect();
    session.run(sql, &[&tx_ids, &ids, &wrapped, &old_ids, &old]).await
}

pub(crate) async fn personal_get(
    session: &Session,
    tx_id: TxId,
) -> Result<Option<Personal>, DbError> {
    let sql = concat!(
        "-- personal_get\nSELECT ",
        personal_columns!(),
        " FROM payments p JOIN payment_requests r ON r.shard = $1 AND r.tx_id = p.tx_id
        WHERE p.shard = $1 AND p.tx_id = $2"
    );
    let row = session.row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    with_lists(session, tx_id, read_opt(row.as_ref(), rows::personal)?).await
}

/// Adds the records and the refunds.
async fn with_lists(
    session: &Session,
    tx_id: TxId,
    personal: Option<Personal>,
) -> Result<Option<Personal>, DbError> {
    let Some(personal) = personal else { return Ok(None) };
    let sql = "-- personal_get: records
        SELECT seq, kind, detail FROM events WHERE shard = $1 AND tx_id = $2 ORDER BY seq";
    let key: [Value<'_>; 2] = [&shard(tx_id), &tx_id.get()];
    let records = read_all(&session.rows(sql, &key).await?, rows::personal_record)?;
    let sql = "-- personal_get: refunds
        SELECT refund_id, descriptor FROM refunds WHERE shard = $1 AND tx_id = $2
        ORDER BY refund_id";
    let descriptors = read_all(&session.rows(sql, &key).await?, rows::descriptor)?;
    Ok(Some(Personal { records, descriptors, ..personal }))
}

/// Under the payment's lock.
pub(crate) async fn personal_replace(
    session: &Session,
    tx_id: TxId,
    (from, to): (&Personal, &Personal),
    key: &KeyChange,
) -> Result<bool, DbError> {
    let sql = concat!(
        "-- personal_replace: lock\nSELECT ",
        personal_columns!(),
        " FROM payments p JOIN payment_requests r ON r.shard = $1 AND r.tx_id = p.tx_id
        WHERE p.shard = $1 AND p.tx_id = $2 FOR NO KEY UPDATE OF p"
    );
    let row = session.begin_row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    let stored = read_opt(row.as_ref(), rows::personal)?;
    if with_lists(session, tx_id, stored).await?.as_ref() != Some(from) {
        session.commit().await?;
        return Ok(false);
    }
    replace(session, tx_id, (from, to)).await?;
    change_key(session, tx_id, key).await?;
    session.commit().await?;
    Ok(true)
}

async fn replace(
    session: &Session,
    tx_id: TxId,
    (from, to): (&Personal, &Personal),
) -> Result<(), DbError> {
    let sql = "-- personal_replace
        UPDATE payments SET redirect_secret = $2, merchant_redirect_url = $3, deeplink = $4,
            answer = $5, fingerprint = $6
        WHERE shard = $7 AND tx_id = $1";
    let (shard, tx_id) = (shard(tx_id), tx_id.get());
    let cells = Cells::of(rows::personal_cells(tx_id, to));
    let mut values = cells.values();
    values.push(&shard);
    session.run(sql, &values).await?;
    let sql = "-- personal_replace: request
        UPDATE payment_requests SET request = $3 WHERE shard = $1 AND tx_id = $2";
    session.run(sql, &[&shard, &tx_id, &CALL.shorten(&to.request).as_ref()]).await?;
    let changed = from.records.iter().zip(&to.records).filter(|(before, after)| before != after);
    let short = |after: &PersonalRecord| DETAIL.shorten(&after.detail).into_owned();
    let (seqs, details): (Vec<i64>, Vec<String>) =
        changed.map(|(_, after)| (after.seq, short(after))).unzip();
    let sql = "-- personal_replace: records
        UPDATE events e SET detail = new.detail
        FROM unnest($3::bigint[], $4::text[]) AS new (seq, detail)
        WHERE e.shard = $1 AND e.tx_id = $2 AND e.seq = new.seq";
    session.run(sql, &[&shard, &tx_id, &seqs, &details]).await?;
    for (before, (refund_id, descriptor)) in from.descriptors.iter().zip(&to.descriptors) {
        if before.1 != *descriptor {
            let sql = "-- personal_replace: refund
                UPDATE refunds SET descriptor = $3 WHERE shard = $1 AND refund_id = $2";
            session.run(sql, &[&shard, &refund_id.get(), descriptor]).await?;
        }
    }
    Ok(())
}

async fn change_key(session: &Session, tx_id: TxId, key: &KeyChange) -> Result<(), DbError> {
    static INSERT_KEY: LazyLock<String> =
        LazyLock::new(|| format!("-- personal_replace: seal\n{}", insert_in_shard(&PAYMENT_KEYS)));
    static INSERT_ERASURE: LazyLock<String> =
        LazyLock::new(|| format!("-- personal_replace: erasure\n{}", insert_in_shard(&ERASURES)));
    let shard = shard(tx_id);
    match key {
        KeyChange::Seal(key) => {
            let cells = Cells::of(rows::payment_key_cells(tx_id.get(), key));
            let mut values = cells.values();
            values.push(&shard);
            session.run(&INSERT_KEY, &values).await?;
        }
        KeyChange::Erase(erasure) => {
            let sql = "-- personal_replace: key
                DELETE FROM payment_keys WHERE shard = $1 AND tx_id = $2";
            session.run(sql, &[&shard, &tx_id.get()]).await?;
            let cells = Cells::of(rows::erasure_cells(erasure));
            let mut values = cells.values();
            values.push(&shard);
            session.run(&INSERT_ERASURE, &values).await?;
        }
    }
    Ok(())
}

pub(crate) async fn erasure_get(
    session: &Session,
    tx_id: TxId,
) -> Result<Option<Erasure>, DbError> {
    let sql = concat!(
        "-- erasure_get\nSELECT ",
        erasure_columns!(),
        " FROM erasures WHERE shard = $1 AND tx_id = $2"
    );
    let row = session.row(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_opt(row.as_ref(), rows::erasure)?)
}

pub(crate) async fn key_proofs(session: &Session) -> Result<Vec<KeyProof>, DbError> {
    let sql = concat!(
        "-- key_proofs\nSELECT ",
        encryption_key_columns!(),
        " FROM encryption_keys ORDER BY number"
    );
    Ok(read_all(&session.rows(sql, &[]).await?, rows::key_proof)?)
}

/// Two that add different keys at once draw the same number, of which one is left out: who adds looks
/// whether it is there.
pub(crate) async fn key_proof_add(
    session: &Session,
    proof: &KeyProof,
    now: Timestamp,
) -> Result<(), DbError> {
    static INSERT: LazyLock<String> = LazyLock::new(|| {
        format!(
            "-- key_proof_add
            INSERT INTO encryption_keys ({})
            SELECT coalesce(max(number), 0) + 1, $1, $2, $3 FROM encryption_keys
            ON CONFLICT DO NOTHING",
            ENCRYPTION_KEYS.names()
        )
    });
    session.run(&INSERT, &[&proof.key_id, &proof.wrapped, &now.as_micros()]).await.map(|_| ())
}

/// An instance that still adds payments under the key meanwhile adds the proof again at its next
/// start; until then its payments open all the same.
pub(crate) async fn key_proof_remove(session: &Session, key_id: &str) -> Result<bool, DbError> {
    let sql = "-- key_proof_remove
        DELETE FROM encryption_keys WHERE key_id = $1
            AND NOT EXISTS (SELECT FROM payment_keys WHERE key_id = $1)
            AND NOT EXISTS (SELECT FROM directory_keys WHERE key_id = $1)
        RETURNING number";
    let gone = session.row(sql, &[&key_id]).await?.is_some();
    if gone {
        return Ok(true);
    }
    let sql = "-- key_proof_remove: whether it is there
        SELECT number FROM encryption_keys WHERE key_id = $1";
    Ok(session.row(sql, &[&key_id]).await?.is_none())
}
