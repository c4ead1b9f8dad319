//! The rows of payments' trails.

use super::{RowReader, SqlRow, table};
use crate::spelling::DETAIL;
use crate::{EventRecord, StoreError};

table! {
    /// The append-only trails of payments.
    EVENTS = "events", event_columns,
    key { tx_id: Int, seq: Int, }
    changing {}
    fixed {
        at: Int,
        kind: Text,
        detail: Text,
    }
    written {}
}

/// A row of [`EVENTS`] as a record.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn event(row: &dyn SqlRow) -> Result<EventRecord, StoreError> {
    let mut row = RowReader::new(row, EVENTS.name);
    row.tx_id()?;
    row.int("seq")?;
    Ok(EventRecord {
        at: row.time("at")?,
        kind: row.text("kind")?,
        detail: row
            .parse("detail", |text| serde_json::from_str(&DETAIL.lengthen(text.to_owned())).ok())?,
    })
}
