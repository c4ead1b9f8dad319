//! The rows of archives, and what goes into them.

use gopay_core::ids::TxId;
use serde_json::{Map, Value};

use super::{Cell, EVENTS, PAYMENTS, RowReader, SqlRow, table};
use crate::copy::cells;
use crate::spelling::DETAIL;
use crate::{Archive, FiledEvent, StoreError};

table! {
    /// Archives.
    ARCHIVES = "archives", archive_columns,
    key { archive: Int, }
    changing {
        taken: Int,
        ended_at: Int,
    }
    fixed {
        month: Text,
        name: Text,
        sha256: Text,
        payments: Int,
        events: Int,
        succeeded_sen: Int,
        before_at: Int,
        written_at: Int,
    }
    written {}
}

/// A row of [`ARCHIVES`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn archive(row: &dyn SqlRow) -> Result<Archive, StoreError> {
    let mut row = RowReader::new(row, ARCHIVES.name);
    Ok(Archive {
        number: row.int("archive")?,
        taken: row.count("taken")?,
        ended_at: row.time_opt("ended_at")?,
        month: row.text("month")?,
        name: row.text("name")?,
        sha256: row.text("sha256")?,
        payments: row.count("payments")?,
        events: row.count("events")?,
        succeeded_sen: row.count("succeeded_sen")?,
        before: row.time("before_at")?,
        written_at: row.time("written_at")?,
    })
}

/// The other way round.
///
/// # Errors
/// [`StoreError::Invalid`] if a number is larger than a database can count.
pub fn archive_cells(archive: &Archive) -> Result<[Cell<'_>; 11], StoreError> {
    let number = |column, number: u64| {
        let why = "the number is larger than a database can count";
        let invalid = |_| StoreError::Invalid { table: ARCHIVES.name, column, why };
        i64::try_from(number).map(Cell::Int).map_err(invalid)
    };
    Ok([
        archive.number.into(),
        number("taken", archive.taken)?,
        archive.ended_at.into(),
        archive.month.as_str().into(),
        archive.name.as_str().into(),
        archive.sha256.as_str().into(),
        number("payments", archive.payments)?,
        number("events", archive.events)?,
        number("succeeded_sen", archive.succeeded_sen)?,
        archive.before.into(),
        archive.written_at.into(),
    ])
}

/// A row of [`PAYMENTS`] with its id and its columns as they are, whatever they hold.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn payment_as_it_is(row: &dyn SqlRow) -> Result<(TxId, Map<String, Value>), StoreError> {
    let cells = cells(&PAYMENTS, row, &[])?;
    let names = PAYMENTS.columns.iter().map(|(name, _)| (*name).to_owned());
    let values = cells.into_iter().map(|cell| match cell {
        Cell::Null => Value::Null,
        Cell::Int(number) => number.into(),
        Cell::Text(text) => text.into_owned().into(),
        Cell::Bytes(bytes) => hex(&bytes).into(),
    });
    let tx_id = RowReader::new(row, PAYMENTS.name).tx_id()?;
    Ok((tx_id, names.zip(values).collect()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The columns `seq`, `at`, `kind` and `detail` of [`EVENTS`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn filed_event(row: &dyn SqlRow) -> Result<FiledEvent, StoreError> {
    let mut row = RowReader::new(row, EVENTS.name);
    Ok(FiledEvent {
        seq: row.int("seq")?,
        at: row.time("at")?,
        kind: row.text("kind")?,
        detail: DETAIL.lengthen(row.text("detail")?),
    })
}
