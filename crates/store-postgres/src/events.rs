//! The append-only trail of a payment.

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::rows;
use gopay_store::spelling::DETAIL;
use gopay_store::{EventRecord, Note, event_columns};

use crate::error::DbError;
use crate::row::read_all;
use crate::session::{Session, Statement};
use crate::shards::shard;

/// Records to be added to a trail, as two lists that travel as two values.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewRecords {
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) details: Vec<String>,
}

impl NewRecords {
    pub(crate) fn of(notes: &[Note]) -> Self {
        let mut records = Self::default();
        records.extend(notes);
        records
    }

    pub(crate) fn push(&mut self, kind: &'static str, detail: &serde_json::Value) {
        self.kinds.push(kind);
        self.details.push(DETAIL.shorten_value(detail));
    }

    pub(crate) fn extend(&mut self, notes: &[Note]) {
        for note in notes {
            self.push(note.kind, &note.detail);
        }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

/// Ends the transaction with records in their order. The payment exists.
pub(crate) async fn append_and_commit(
    session: &Session,
    tx_id: TxId,
    records: &NewRecords,
    now: Timestamp,
) -> Result<(), DbError> {
    let appended = Appended::to(tx_id, records, now);
    session.run_all_and_commit([Some(appended.statement())]).await
}

/// Records of a payment in their order, as a statement.
pub(crate) struct Appended<'a> {
    sql: &'static str,
    shard: i16,
    tx_id: i64,
    at: i64,
    records: &'a NewRecords,
}

impl<'a> Appended<'a> {
    /// The payment exists.
    pub(crate) fn to(tx_id: TxId, records: &'a NewRecords, now: Timestamp) -> Self {
        let sql = "-- events: append
            INSERT INTO events (shard, tx_id, at, kind, detail)
            SELECT $1, $2, $3, record.kind, record.detail
            FROM unnest($4::text[], $5::text[]) WITH ORDINALITY AS record (kind, detail, place)
            ORDER BY record.place";
        Self { sql, shard: shard(tx_id), tx_id: tx_id.get(), at: now.as_micros(), records }
    }

    /// Nothing is written if there is no such payment.
    pub(crate) fn to_payment(tx_id: TxId, records: &'a NewRecords, now: Timestamp) -> Self {
        let sql = "-- events: append if there
            INSERT INTO events (shard, tx_id, at, kind, detail)
            SELECT p.shard, p.tx_id, $3, record.kind, record.detail
            FROM payments p,
                unnest($4::text[], $5::text[]) WITH ORDINALITY AS record (kind, detail, place)
            WHERE p.shard = $1 AND p.tx_id = $2
            ORDER BY record.place";
        Self { sql, ..Self::to(tx_id, records, now) }
    }

    pub(crate) fn statement(&self) -> Statement<'_> {
        (
            self.sql,
            vec![&self.shard, &self.tx_id, &self.at, &self.records.kinds, &self.records.details],
        )
    }
}

pub(crate) async fn payment_trail(
    session: &Session,
    tx_id: TxId,
) -> Result<Vec<EventRecord>, DbError> {
    let sql = concat!(
        "-- payment_trail\nSELECT ",
        event_columns!(),
        " FROM events WHERE shard = $1 AND tx_id = $2 ORDER BY seq"
    );
    let rows = session.rows(sql, &[&shard(tx_id), &tx_id.get()]).await?;
    Ok(read_all(&rows, rows::event)?)
}
