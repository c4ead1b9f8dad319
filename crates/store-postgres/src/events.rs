//! The append-only trail of a payment.

use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_store::{EventRecord, Note, StoreError};

use crate::cells::Cells;
use crate::fault::Fault;
use crate::session::Session;

/// Lines to be added to a trail, as two lists that travel as two values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) details: Vec<String>,
}

impl Lines {
    pub(crate) fn of(notes: &[Note]) -> Self {
        let mut lines = Self::default();
        lines.extend(notes);
        lines
    }

    pub(crate) fn push(&mut self, kind: &'static str, detail: &serde_json::Value) {
        self.kinds.push(kind);
        self.details.push(detail.to_string());
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

/// Ends the transaction with lines in their order. The payment exists.
pub(crate) async fn append_and_commit(
    session: &Session,
    tx_id: TxId,
    lines: &Lines,
    now: Timestamp,
) -> Result<(), Fault> {
    let sql = "-- events: append
        INSERT INTO events (tx_id, at, kind, detail)
        SELECT $1, $2, line.kind, line.detail
        FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS line (kind, detail, place)
        ORDER BY line.place";
    let (tx_id, at) = (tx_id.get(), now.as_micros());
    session.run_and_commit(sql, &[&tx_id, &at, &lines.kinds, &lines.details]).await
}

pub(crate) async fn payment_trail(
    session: &Session,
    tx_id: TxId,
) -> Result<Vec<EventRecord>, Fault> {
    let sql = "-- payment_trail
        SELECT tx_id, at, kind, detail FROM events WHERE tx_id = $1 ORDER BY seq";
    let rows = session.rows(sql, &[&tx_id.get()]).await?;
    let read = |row| {
        let mut cells = Cells::new(row, "events");
        cells.tx_id()?;
        Ok::<_, StoreError>(EventRecord {
            at: cells.time("at")?,
            kind: cells.take("kind")?,
            detail: cells.parse("detail", |text: &str| serde_json::from_str(text).ok())?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
