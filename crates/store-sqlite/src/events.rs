//! The append-only trail of a payment.

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::{EventRecord, Note, StoreError};
use rusqlite::{Connection, params};

use crate::cells::{all, first, write};

/// One line to be added; the JSON is written by the caller, whose thread has the time.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    kind: &'static str,
    detail: String,
}

impl Line {
    pub(crate) fn new(kind: &'static str, detail: &serde_json::Value) -> Self {
        Self { kind, detail: detail.to_string() }
    }

    pub(crate) fn of(notes: &[Note]) -> Vec<Self> {
        notes.iter().map(|note| Self::new(note.kind, &note.detail)).collect()
    }
}

/// Adds lines in their order. The payment must exist.
pub(crate) fn append<'a>(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
    lines: impl IntoIterator<Item = &'a Line>,
) -> Result<(), StoreError> {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return Ok(());
    }
    let sql = "-- events: last of a payment
        SELECT coalesce(max(seq), 0) FROM events WHERE tx_id = ?1";
    let last = first(db, "events", sql, params![tx_id.get()], |cells| cells.take::<i64>("seq"))?;
    insert(db, tx_id, at, last.unwrap_or(0).saturating_add(1), lines)
}

/// Begins the trail of a payment that was just stored.
pub(crate) fn begin(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
    lines: &[Line],
) -> Result<(), StoreError> {
    insert(db, tx_id, at, 1, lines)
}

fn insert<'a>(
    db: &Connection,
    tx_id: TxId,
    at: Timestamp,
    first: i64,
    lines: impl IntoIterator<Item = &'a Line>,
) -> Result<(), StoreError> {
    for (seq, line) in (first..).zip(lines) {
        write(
            db,
            "-- events: append
            INSERT INTO events (tx_id, seq, at, kind, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![tx_id.get(), seq, at.as_micros(), line.kind, line.detail],
        )?;
    }
    Ok(())
}

pub(crate) fn payment_trail(db: &Connection, tx_id: TxId) -> Result<Vec<EventRecord>, StoreError> {
    let sql = "-- payment_trail
        SELECT tx_id, at, kind, detail FROM events WHERE tx_id = ?1 ORDER BY seq";
    all(db, "events", sql, params![tx_id.get()], |cells| {
        cells.tx_id()?;
        Ok(EventRecord {
            at: cells.time("at")?,
            kind: cells.take("kind")?,
            detail: cells.parse("detail", |text: String| serde_json::from_str(&text).ok())?,
        })
    })
}
