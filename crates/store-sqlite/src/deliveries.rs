//! Deliveries: the notifications owed to PSPs.

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::engine::OwedDelivery;
use gopay_store::{AttemptOutcome, Delivery, DeliveryState, StoreError};
use rusqlite::{Connection, params};

use crate::cells::{Cells, all, each, first, limit_cell, write};
use crate::events::{self, Line};
use crate::payments::CORRUPT_PUT_OFF;

const TABLE: &str = "deliveries";

/// The columns in the order in which [`read`] takes them.
macro_rules! select {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "
            SELECT d.delivery_id, d.tx_id, d.client, d.url, d.final_at, d.attempts,
                d.next_attempt_at, d.state
            FROM deliveries d ",
            $rest
        )
    };
}

fn read(cells: &mut Cells<'_>) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        delivery_id: cells.take("delivery_id")?,
        tx_id: cells.tx_id()?,
        client: cells.take("client")?,
        url: cells.take("url")?,
        final_at: cells.time("final_at")?,
        attempts: cells.take("attempts")?,
        next_attempt_at: cells.time("next_attempt_at")?,
        state: cells.parse("state", |word: String| DeliveryState::from_word(&word))?,
    })
}

pub(crate) fn insert(
    db: &Connection,
    owed: &OwedDelivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    write(
        db,
        "-- payment_apply: delivery
        INSERT INTO deliveries
            (tx_id, client, url, final_at, attempts, next_attempt_at, state, receiver)
        VALUES (?1, ?2, ?3, ?4, 0, ?5, 'waiting', ?6)",
        params![
            owed.tx_id.get(),
            owed.client,
            owed.url,
            owed.final_at.as_micros(),
            now.as_micros(),
            gopay_store::receiver_of(&owed.url),
        ],
    )?;
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
    let rows = each(db, TABLE, sql, params![now.as_micros(), limit_cell(limit), busy], read)?;
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
    db: &Connection,
    claimed: &Delivery,
    outcome: &AttemptOutcome,
    line: &Line,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = select!("delivery_record", "WHERE d.delivery_id = ?1");
    let stored = first(db, TABLE, sql, params![claimed.delivery_id], read)?
        .ok_or(StoreError::Missing { table: TABLE })?;
    update(db, &stored.after(claimed, outcome))?;
    if outcome.counts() {
        events::append(db, stored.tx_id, now, [line])?;
    }
    Ok(())
}

/// Writes what can change about a delivery.
fn update(db: &Connection, delivery: &Delivery) -> Result<(), StoreError> {
    write(
        db,
        "-- deliveries: update
        UPDATE deliveries SET attempts = ?2, next_attempt_at = ?3, state = ?4
        WHERE delivery_id = ?1",
        params![
            delivery.delivery_id,
            delivery.attempts,
            delivery.next_attempt_at.as_micros(),
            delivery.state.as_str(),
        ],
    )?;
    Ok(())
}

pub(crate) fn deliveries_of(db: &Connection, tx_id: TxId) -> Result<Vec<Delivery>, StoreError> {
    let sql = select!("deliveries_of", "WHERE d.tx_id = ?1 ORDER BY d.delivery_id");
    all(db, TABLE, sql, params![tx_id.get()], read)
}

pub(crate) fn delivery_again(
    db: &Connection,
    tx_id: TxId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = write(
        db,
        "-- delivery_again
        UPDATE deliveries SET state = 'waiting', next_attempt_at = ?2
        WHERE delivery_id = (SELECT max(delivery_id) FROM deliveries WHERE tx_id = ?1)",
        params![tx_id.get(), now.as_micros()],
    )?;
    Ok(changed > 0)
}
