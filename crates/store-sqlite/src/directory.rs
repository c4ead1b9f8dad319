//! The directory: what was entered about PSPs, contracts and accounts.

use std::sync::LazyLock;

use async_trait::async_trait;
use gopay_store::rows::{self, DIRECTORY_ENTRIES, DIRECTORY_KEYS, RowReader, SqlRow};
use gopay_store::sealing::WrappedKey;
use gopay_store::{Directories, DirectoryEntry, EntryKind, StoreError, directory_columns};
use rusqlite::{Connection, params};

use crate::query::{all, first, limit_cell, write, write_cells};
use crate::settlements::insert;
use crate::store::SqliteStore;

static INSERT_ENTRY: LazyLock<String> = LazyLock::new(|| insert(&DIRECTORY_ENTRIES));
static INSERT_KEY: LazyLock<String> = LazyLock::new(|| insert(&DIRECTORY_KEYS));

fn number(row: &dyn SqlRow) -> Result<i64, StoreError> {
    RowReader::new(row, DIRECTORY_ENTRIES.name).int("entry")
}

pub(crate) fn directory_last(db: &Connection) -> Result<i64, StoreError> {
    let sql = "-- directory_last
        SELECT entry FROM directory_entries ORDER BY entry DESC LIMIT 1";
    Ok(first(db, sql, [], number)?.unwrap_or(0))
}

pub(crate) fn directory_stored(
    db: &Connection,
    entry: i64,
    limit: usize,
) -> Result<Vec<DirectoryEntry>, StoreError> {
    let sql = concat!(
        "-- directory_stored\nSELECT ",
        directory_columns!(),
        " FROM directory_entries e LEFT JOIN directory_keys k ON k.change = e.change
        WHERE e.entry > ?1 ORDER BY e.entry LIMIT ?2"
    );
    all(db, sql, params![entry, limit_cell(limit)], rows::directory_entry)
}

pub(crate) fn directory_named(
    db: &Connection,
    kind: EntryKind,
    name: &str,
    entry: i64,
    limit: usize,
) -> Result<Vec<DirectoryEntry>, StoreError> {
    let sql = concat!(
        "-- directory_named\nSELECT ",
        directory_columns!(),
        " FROM directory_entries e LEFT JOIN directory_keys k ON k.change = e.change
        WHERE e.kind = ?1 AND (e.name, e.entry) > (?2, ?3) ORDER BY e.name, e.entry LIMIT ?4"
    );
    let limit = limit_cell(limit);
    all(db, sql, params![kind.as_str(), name, entry, limit], rows::directory_entry)
}

pub(crate) fn directory_add(db: &Connection, change: &[DirectoryEntry]) -> Result<(), StoreError> {
    DirectoryEntry::all_follow(change, directory_last(db)?)?;
    for entry in change {
        write_cells(db, &INSERT_ENTRY, &rows::directory_entry_cells(entry))?;
    }
    if let Some(first) = change.first()
        && let Some(key) = &first.key
    {
        write_cells(db, &INSERT_KEY, &rows::directory_key_cells(first.change, key))?;
    }
    Ok(())
}

pub(crate) fn directory_seal(
    db: &Connection,
    change: i64,
    from: Option<&WrappedKey>,
    to: &WrappedKey,
    contents: &[(i64, String)],
) -> Result<bool, StoreError> {
    let sql = concat!(
        "-- directory_seal: first\nSELECT ",
        directory_columns!(),
        " FROM directory_entries e LEFT JOIN directory_keys k ON k.change = e.change
        WHERE e.entry = ?1"
    );
    let found = first(db, sql, [change], rows::directory_entry)?;
    if found.is_none_or(|found| found.key.as_ref() != from) {
        return Ok(false);
    }
    let sql = "-- directory_seal: key
        INSERT OR REPLACE INTO directory_keys (change, key_id, data_key) VALUES (?1, ?2, ?3)";
    write(db, sql, params![change, to.key_id, to.wrapped])?;
    for (entry, content) in contents {
        let sql = "-- directory_seal
            UPDATE directory_entries SET content = ?2 WHERE entry = ?1";
        write(db, sql, params![entry, content])?;
    }
    Ok(true)
}

#[async_trait]
impl Directories for SqliteStore {
    async fn directory_last(&self) -> Result<i64, StoreError> {
        self.read(directory_last).await
    }

    async fn directory_stored(
        &self,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        self.read(move |db| directory_stored(db, entry, limit)).await
    }

    async fn directory_named(
        &self,
        kind: EntryKind,
        name: &str,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        let name = name.to_owned();
        self.read(move |db| directory_named(db, kind, &name, entry, limit)).await
    }

    async fn directory_add(&self, change: &[DirectoryEntry]) -> Result<(), StoreError> {
        let change = change.to_vec();
        self.write_beside(move |db| directory_add(db, &change)).await
    }

    async fn directory_seal(
        &self,
        change: i64,
        from: Option<&WrappedKey>,
        to: &WrappedKey,
        contents: &[(i64, String)],
    ) -> Result<bool, StoreError> {
        let (from, to, contents) = (from.cloned(), to.clone(), contents.to_vec());
        self.write(move |db| directory_seal(db, change, from.as_ref(), &to, &contents)).await
    }
}
