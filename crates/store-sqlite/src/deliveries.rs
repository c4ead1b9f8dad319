//! Deliveries: the notifications owed to PSPs.

use std::sync::LazyLock;

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::engine::{CORRUPT_PUT_OFF, OwedDelivery};
use gopay_store::rows::{self, DELIVERIES};
use gopay_store::{AttemptOutcome, Delivery, DeliveryState, StoreError, delivery_columns};
use rusqlite::{Connection, params};

use crate::events::{self, NewRecord};
use crate::query::{all, each, first, limit_cell, write, write_cells};
use crate::session::Session;

const TABLE: &str = DELIVERIES.name;

/// A statement that [`rows::delivery`] reads.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!("-- ", $name, "\nSELECT ", delivery_columns!(), " FROM deliveries d ", $rest)
    };
}

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let owed = DELIVERIES.without_key();
    let (names, places) = (owed.names(), owed.places('?'));
    format!("-- payment_apply: delivery\nINSERT INTO deliveries ({names}) VALUES ({places})")
});

pub(crate) fn insert(
    db: &Session<'_>,
    owed: &OwedDelivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    write_cells(db, &INSERT, &rows::owed_cells(owed, now))?;
    db.sum(|sums| sums.delivery(owed.tx_id, None, DeliveryState::Waiting));
    Ok(())
}

pub(crate) fn delivery_claim_due(
    db: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
    limit: usize,
    busy: &str,
) -> Result<Vec<Delivery>, StoreError> {
    let sql = select!(
        "delivery_claim_due",
        "WHERE d.state = 'waiting' AND d.next_attempt_at <= ?1
            AND d.receiver NOT IN (SELECT value FROM json_each(?3))
            AND NOT EXISTS (SELECT 1 FROM deliveries e WHERE e.tx_id = d.tx_id
                AND e.delivery_id < d.delivery_id AND e.state = 'waiting')
        ORDER BY d.next_attempt_at, d.delivery_id LIMIT ?2"
    );
    let rows = each(db, sql, params![now.as_micros(), limit_cell(limit), busy], rows::delivery)?;
    let mut claimed = Vec::with_capacity(rows.len());
    for (key, row) in rows {
        match row {
            Ok(delivery) => {
                set_time(db, key, lease_until)?;
                claimed.push(Delivery { next_attempt_at: lease_until, ..delivery });
            }
            Err(error) => {
                tracing::error!(%error, "a delivery is due that cannot be read; it is put off");
                set_time(db, key, now.after(CORRUPT_PUT_OFF))?;
            }
        }
    }
    Ok(claimed)
}

fn set_time(db: &Connection, key: i64, at: Timestamp) -> Result<usize, StoreError> {
    write(
        db,
        "-- delivery_claim_due: lease
        UPDATE deliveries SET next_attempt_at = ?2 WHERE delivery_id = ?1",
        params![key, at.as_micros()],
    )
}

pub(crate) fn delivery_record(
    db: &Session<'_>,
    claimed: &Delivery,
    outcome: &AttemptOutcome,
    record: &NewRecord,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = select!("delivery_record", "WHERE d.delivery_id = ?1");
    let stored = first(db, sql, params![claimed.delivery_id], rows::delivery)?
        .ok_or(StoreError::Missing { table: TABLE })?;
    let after = stored.after(claimed, outcome);
    update(db, &after)?;
    db.sum(|sums| sums.delivery(stored.tx_id, Some(stored.state), after.state));
    if outcome.counts() {
        events::append(db, stored.tx_id, now, [record])?;
    }
    Ok(())
}

static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let sets = DELIVERIES.sets('?');
    format!("-- deliveries: update\nUPDATE deliveries SET {sets} WHERE delivery_id = ?1")
});

/// Writes what can change about a delivery.
fn update(db: &Connection, delivery: &Delivery) -> Result<(), StoreError> {
    write_cells(db, &UPDATE, &rows::delivery_changes(delivery)).map(|_| ())
}

pub(crate) fn deliveries_of(db: &Connection, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
    let sql = select!("deliveries_of", "WHERE d.tx_id = ?1 ORDER BY d.delivery_id");
    all(db, sql, params![tx_id.get()], rows::delivery)
}

pub(crate) fn delivery_again(
    db: &Session<'_>,
    tx_id: TxId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = select!(
        "delivery_again: last",
        "WHERE d.delivery_id = (SELECT max(delivery_id) FROM deliveries WHERE tx_id = ?1)"
    );
    let Some(last) = first(db, sql, params![tx_id.get()], rows::delivery)? else {
        return Ok(false);
    };
    let again = Delivery { state: DeliveryState::Waiting, next_attempt_at: now, ..last.clone() };
    update(db, &again)?;
    db.sum(|sums| sums.delivery(tx_id, Some(last.state), again.state));
    Ok(true)
}
