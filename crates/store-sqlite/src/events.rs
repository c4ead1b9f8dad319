//! The append-only trail of a payment.

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::rows::{self, EVENTS, RowReader, SqlRow};
use gopay_store::spelling::DETAIL;
use gopay_store::{EventRecord, Note, StoreError, event_columns};
use rusqlite::{Connection, params};

use crate::query::{all, first, write};

/// A record to be added to a trail; the JSON is written by the caller, whose thread has the time.
#[derive(Clone, Debug)]
pub(crate) struct NewRecord {
    kind: &'static str,
    detail: String,
}

impl NewRecord {
    pub(crate) fn new(kind: &'static str, detail: &serde_json::Value) -> Self {
        Self { kind, detail: DETAIL.shorten_value(detail) }
    }

    pub(crate) fn of(notes: &[Note]) -> Vec<Self> {
        notes.iter().map(|note| Self::new(note.kind, &note.detail)).collect()
    }
}

/// Adds records in their order. The payment must exist.
pub(crate) fn append<'a>(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
    records: impl IntoIterator<Item = &'a NewRecord>,
) -> Result<(), StoreError> {
    let mut records = records.into_iter().peekable();
    if records.peek().is_none() {
        return Ok(());
    }
    let sql = "-- events: last of a payment
        SELECT coalesce(max(seq), 0) FROM events WHERE tx_id = ?1";
    let read = |row: &dyn SqlRow| RowReader::new(row, EVENTS.name).int("seq");
    let last = first(db, sql, params![tx_id.get()], read)?;
    insert(db, tx_id, at, last.unwrap_or(0).saturating_add(1), records)
}

/// Begins the trail of a payment that was just stored.
pub(crate) fn begin(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
    records: &[NewRecord],
) -> Result<(), StoreError> {
    insert(db, tx_id, at, 1, records)
}

fn insert<'a>(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
    first: i64,
    records: impl IntoIterator<Item = &'a NewRecord>,
) -> Result<(), StoreError> {
    for (seq, record) in (first..).zip(records) {
        write(
            db,
            "-- events: append
            INSERT INTO events (tx_id, seq, at, kind, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![tx_id.get(), seq, at.as_micros(), record.kind, record.detail],
        )?;
    }
    Ok(())
}

pub(crate) fn payment_trail(db: &Connection, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
    let sql = concat!(
        "-- payment_trail\nSELECT ",
        event_columns!(),
        " FROM events WHERE tx_id = ?1 ORDER BY seq"
    );
    all(db, sql, params![tx_id.get()], rows::event)
}
