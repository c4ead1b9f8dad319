//! The rows of the directory.

use super::{Cell, RowReader, SqlRow, table};
use crate::sealing::WrappedKey;
use crate::{DirectoryEntry, EntryKind, StoreError};

table! {
    /// What was entered about PSPs, contracts and accounts.
    DIRECTORY_ENTRIES = "directory_entries", directory_entry_columns,
    key { entry: Int, }
    changing { content: Text, }
    fixed {
        change: Int,
        kind: Text,
        name: Text,
        valid_from: Int,
        at: Int,
        by_name: Text,
        reason: Text,
    }
    written {}
}

table! {
    /// The data keys of changes whose contents are sealed.
    DIRECTORY_KEYS = "directory_keys", directory_key_columns,
    key { change: Int, }
    changing {
        key_id: Text,
        data_key: Bytes,
    }
    fixed {}
    written {}
}

/// What a statement reads for [`directory_entry`], of `directory_entries e` and `directory_keys k`.
#[macro_export]
macro_rules! directory_columns {
    () => {
        "e.entry, e.content, e.change, e.kind, e.name, e.valid_from, e.at, e.by_name, e.reason, \
         k.key_id, k.data_key"
    };
}

/// A row of [`directory_columns!`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn directory_entry(row: &dyn SqlRow) -> Result<DirectoryEntry, StoreError> {
    let mut row = RowReader::new(row, DIRECTORY_ENTRIES.name);
    let mut entry = DirectoryEntry {
        entry: row.int("entry")?,
        content: row.text("content")?,
        change: row.int("change")?,
        kind: row.parse("kind", EntryKind::from_word)?,
        name: row.text("name")?,
        valid_from: row.time("valid_from")?,
        at: row.time("at")?,
        by: row.text("by_name")?,
        reason: row.text("reason")?,
        key: None,
    };
    let (key_id, wrapped) = (row.text_opt("key_id")?, row.bytes_opt("data_key")?);
    entry.key = key_id.zip(wrapped).map(|(key_id, wrapped)| WrappedKey { key_id, wrapped });
    Ok(entry)
}

/// An entry as a row of [`DIRECTORY_ENTRIES`].
#[must_use]
pub fn directory_entry_cells(entry: &DirectoryEntry) -> [Cell<'_>; 9] {
    [
        entry.entry.into(),
        entry.content.as_str().into(),
        entry.change.into(),
        entry.kind.as_str().into(),
        entry.name.as_str().into(),
        entry.valid_from.into(),
        entry.at.into(),
        entry.by.as_str().into(),
        entry.reason.as_str().into(),
    ]
}

/// A data key as a row of [`DIRECTORY_KEYS`].
#[must_use]
pub fn directory_key_cells(change: i64, key: &WrappedKey) -> [Cell<'_>; 3] {
    [change.into(), key.key_id.as_str().into(), key.wrapped.as_slice().into()]
}
