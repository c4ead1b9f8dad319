//! Deliveries: the notifications owed to PSPs.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::engine::CORRUPT_PUT_OFF;
use gopay_store::rows::{self, DELIVERIES};
use gopay_store::{AttemptOutcome, Delivery, DeliveryState, StoreError, delivery_columns};

use crate::error::DbError;
use crate::events::NewRecords;
use crate::row::{Cells, PgRow, key, limit_cell, read_all, read_opt};
use crate::session::Session;
use crate::shards::{Claimed, shard};
use crate::statement::Value;
use crate::sums::NewSums;

const TABLE: &str = DELIVERIES.name;

/// A statement that [`rows::delivery`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", delivery_columns!(), " FROM deliveries d ", $rest)
    };
}

/// Locks the deliveries of a list that nobody else holds.
pub(crate) const LOCK_MANY: &str = select!(
    "deliveries: lock many",
    "WHERE d.shard = $1 AND d.delivery_id = ANY ($2::bigint[]) FOR NO KEY UPDATE SKIP LOCKED"
);

pub(crate) async fn delivery_claim_due(
    session: &Session,
    now: Timestamp,
    lease_until: Timestamp,
    limit: usize,
    busy: &[String],
) -> Result<Vec<Delivery>, DbError> {
    let mut claimed = Claimed::begin(session, limit).await?;
    while let Some((shard, left)) = claimed.next() {
        claimed.add(claim_in(session, shard, (now, lease_until), left, busy).await)?;
    }
    Ok(claimed.into_rows())
}

/// An earlier waiting delivery of the payment cannot appear after the look: deliveries are added
/// with growing ids, and made due again only if they are the last, both under the payment's lock.
///
/// One that another instance has claimed stays that one's, whatever the clocks say, until it has told how
/// its try ended, or is dead (`lease`).
///
/// It is looked for by payment, which the words leave as the only way (`OFFSET 0` makes it no
/// join): the database may think that little waits, and then looks through all of it, each time.
async fn claim_in(
    session: &Session,
    shard: i16,
    (now, lease_until): (Timestamp, Timestamp),
    limit: usize,
    busy: &[String],
) -> Result<Vec<Delivery>, DbError> {
    let sql = select!(
        "delivery_claim_due",
        "WHERE d.shard = $1 AND d.state = 'waiting' AND d.next_attempt_at <= $2
            AND d.receiver <> ALL ($4::text[])
            AND (d.leased_until IS DISTINCT FROM d.next_attempt_at OR d.leased_by = $5)
            AND NOT EXISTS (SELECT FROM deliveries e WHERE e.shard = $1 AND e.tx_id = d.tx_id
                AND d.delivery_id - e.delivery_id > 0
                AND e.state NOT IN ('delivered', 'given_up') OFFSET 0)
        ORDER BY d.next_attempt_at, d.delivery_id LIMIT $3
        FOR NO KEY UPDATE OF d SKIP LOCKED"
    );
    let holder = session.holder();
    let values: [Value<'_>; 5] = [&shard, &now.as_micros(), &limit_cell(limit), &busy, &holder];
    let rows = session.begin_rows(sql, &values).await?;
    let mut claimed = Vec::with_capacity(rows.len());
    let (mut keys, mut times) = (Vec::new(), Vec::new());
    for row in &rows {
        keys.push(key(row));
        match rows::delivery(&PgRow(row)) {
            Ok(delivery) => {
                times.push(lease_until.as_micros());
                claimed.push(Delivery { next_attempt_at: lease_until, ..delivery });
            }
            Err(error) => {
                tracing::error!(%error, "a delivery is due that cannot be read; it is put off");
                times.push(now.after(CORRUPT_PUT_OFF).as_micros());
            }
        }
    }
    if keys.is_empty() {
        session.commit().await?;
        return Ok(claimed);
    }
    let sql = "-- delivery_claim_due: lease
        UPDATE deliveries d SET next_attempt_at = lease.at, leased_by = $4::bigint,
            leased_until = CASE WHEN $4::bigint IS NOT NULL THEN lease.at END
        FROM unnest($2::bigint[], $3::bigint[]) AS lease (delivery_id, at)
        WHERE d.shard = $1 AND d.delivery_id = lease.delivery_id";
    session.run_and_commit(sql, &[&shard, &keys, &times, &holder]).await?;
    Ok(claimed)
}

pub(crate) async fn delivery_record(
    session: &Session,
    claimed: &Delivery,
    outcome: &AttemptOutcome,
    attempt: &NewRecords,
    now: Timestamp,
) -> Result<(), DbError> {
    let sql =
        select!("delivery_record", "WHERE d.shard = $1 AND d.delivery_id = $2 FOR NO KEY UPDATE");
    let shard = shard(claimed.tx_id);
    let row = session.begin_row(sql, &[&shard, &claimed.delivery_id]).await?;
    let stored = read_opt(row.as_ref(), rows::delivery)?;
    let stored = stored.ok_or(StoreError::Missing { table: TABLE })?;
    let next = stored.after(claimed, outcome);
    let nothing = NewRecords::default();
    let records = if outcome.counts() { attempt } else { &nothing };
    let changes = Cells::of(rows::delivery_changes(&next));
    let (tx_id, at) = (next.tx_id.get(), now.as_micros());
    let mut values = changes.values();
    let rest: [Value<'_>; 5] = [&shard, &tx_id, &at, &records.kinds, &records.details];
    values.extend(rest);
    let sums = NewSums::of(session, |sums| {
        sums.delivery(next.tx_id, Some(stored.state), next.state);
    });
    let recorded = Some((RECORD.as_str(), values));
    session.run_all_and_commit([recorded, sums.statement()]).await
}

static RECORD: LazyLock<String> = LazyLock::new(|| {
    let (sets, last) = (DELIVERIES.sets('$'), DELIVERIES.changes().len());
    let [shard, tx_id, at, kinds, details] = [1, 2, 3, 4, 5].map(|place| place + last);
    format!(
        "-- delivery_record: write
        WITH changed AS (
            UPDATE deliveries SET {sets} WHERE shard = ${shard} AND delivery_id = $1)
        INSERT INTO events (shard, tx_id, at, kind, detail)
        SELECT ${shard}, ${tx_id}, ${at}, record.kind, record.detail
        FROM unnest(${kinds}::text[], ${details}::text[]) AS record (kind, detail)"
    )
});

pub(crate) async fn deliveries_of(
    session: &Session,
    tx_id: TxId,
) -> Result<Vec<Delivery>, DbError> {
    let sql =
        select!("deliveries_of", "WHERE d.shard = $1 AND d.tx_id = $2 ORDER BY d.delivery_id");
    let rows = session.rows(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_all(&rows, rows::delivery)?)
}

/// Under the payment's lock, so that the last delivery is still the last when it is due.
pub(crate) async fn delivery_again(
    session: &Session,
    tx_id: TxId,
    now: Timestamp,
) -> Result<bool, DbError> {
    let sql = "-- delivery_again: lock
        SELECT tx_id FROM payments WHERE shard = $1 AND tx_id = $2 FOR NO KEY UPDATE";
    let shard = shard(tx_id);
    session.begin_row(sql, &[&shard, &tx_id.get()]).await?;
    let sql = select!(
        "delivery_again: last",
        "WHERE d.shard = $1 AND d.tx_id = $2 ORDER BY d.delivery_id DESC LIMIT 1
        FOR NO KEY UPDATE"
    );
    let row = session.row(sql, &[&shard, &tx_id.get()]).await?;
    let Some(last) = read_opt(row.as_ref(), rows::delivery)? else {
        session.commit().await?;
        return Ok(false);
    };
    let sql = "-- delivery_again
        UPDATE deliveries SET state = 'waiting', next_attempt_at = $3
        WHERE shard = $1 AND delivery_id = $2";
    let (key, at) = (last.delivery_id, now.as_micros());
    let sums = NewSums::of(session, |sums| {
        sums.delivery(tx_id, Some(last.state), DeliveryState::Waiting);
    });
    session.run_all_and_commit([Some((sql, vec![&shard, &key, &at])), sums.statement()]).await?;
    Ok(true)
}
