//! The directory: what was entered about PSPs, contracts and accounts.

use std::sync::LazyLock;

use async_trait::async_trait;
use gopay_store::rows::{self, DIRECTORY_ENTRIES, DIRECTORY_KEYS};
use gopay_store::sealing::WrappedKey;
use gopay_store::{Directories, DirectoryEntry, EntryKind, StoreError, directory_columns};

use crate::error::DbError;
use crate::row::{Columns, insert_many, key, limit_cell, read_all, read_opt};
use crate::session::Session;
use crate::store::PgStore;

const LAST: &str = "-- directory_last
    SELECT entry FROM directory_entries ORDER BY entry DESC LIMIT 1";

static INSERT_ENTRIES: LazyLock<String> =
    LazyLock::new(|| format!("-- directory_add\n{}", insert_many(&DIRECTORY_ENTRIES)));
static INSERT_KEY: LazyLock<String> =
    LazyLock::new(|| format!("-- directory_add: key\n{}", insert_many(&DIRECTORY_KEYS)));

pub(crate) async fn directory_last(session: &Session) -> Result<i64, DbError> {
    Ok(session.row(LAST, &[]).await?.as_ref().map_or(0, key))
}

pub(crate) async fn directory_stored(
    session: &Session,
    entry: i64,
    limit: usize,
) -> Result<Vec<DirectoryEntry>, DbError> {
    let sql = concat!(
        "-- directory_stored\nSELECT ",
        directory_columns!(),
        " FROM directory_entries e LEFT JOIN directory_keys k ON k.change = e.change
        WHERE e.entry > $1 ORDER BY e.entry LIMIT $2"
    );
    let found = session.rows(sql, &[&entry, &limit_cell(limit)]).await?;
    Ok(read_all(&found, rows::directory_entry)?)
}

/// In the order of the bytes, whatever order the database has for texts.
pub(crate) async fn directory_named(
    session: &Session,
    kind: EntryKind,
    name: &str,
    entry: i64,
    limit: usize,
) -> Result<Vec<DirectoryEntry>, DbError> {
    let sql = concat!(
        "-- directory_named\nSELECT ",
        directory_columns!(),
        " FROM directory_entries e LEFT JOIN directory_keys k ON k.change = e.change
        WHERE e.kind = $1 AND (e.name COLLATE \"C\", e.entry) > ($2, $3)
        ORDER BY e.name COLLATE \"C\", e.entry LIMIT $4"
    );
    let limit = limit_cell(limit);
    let found = session.rows(sql, &[&kind.as_str(), &name, &entry, &limit]).await?;
    Ok(read_all(&found, rows::directory_entry)?)
}

/// What comes before is read without a lock: of two that come at once, the keys let only one in.
pub(crate) async fn directory_add(
    session: &Session,
    change: &[DirectoryEntry],
) -> Result<(), DbError> {
    let Some(first) = change.first() else { return Ok(()) };
    let [last] = session.begin_all([Some((LAST, vec![]))]).await?;
    DirectoryEntry::all_follow(change, last.first().map_or(0, key))?;
    let mut entries = Columns::new(DIRECTORY_ENTRIES.columns.len());
    for entry in change {
        entries.push(rows::directory_entry_cells(entry));
    }
    let mut keys = Columns::new(DIRECTORY_KEYS.columns.len());
    if let Some(key) = &first.key {
        keys.push(rows::directory_key_cells(first.change, key));
    }
    let key_sql = (!keys.is_empty()).then_some(INSERT_KEY.as_str());
    session
        .run_all_and_commit([
            Some((INSERT_ENTRIES.as_str(), entries.values())),
            key_sql.map(|sql| (sql, keys.values())),
        ])
        .await
}

pub(crate) async fn directory_seal(
    session: &Session,
    change: i64,
    from: Option<&WrappedKey>,
    to: &WrappedKey,
    contents: &[(i64, String)],
) -> Result<bool, DbError> {
    let sql = concat!(
        "-- directory_seal: first\nSELECT ",
        directory_columns!(),
        " FROM directory_entries e LEFT JOIN directory_keys k ON k.change = e.change
        WHERE e.entry = $1 FOR UPDATE OF e"
    );
    let found = session.begin_row(sql, &[&change]).await?;
    let found = read_opt(found.as_ref(), rows::directory_entry)?;
    if found.is_none_or(|found| found.key.as_ref() != from) {
        session.commit().await?;
        return Ok(false);
    }
    let sql = "-- directory_seal: key
        INSERT INTO directory_keys (change, key_id, data_key) VALUES ($1, $2, $3)
        ON CONFLICT (change) DO UPDATE SET key_id = $2, data_key = $3";
    session.run(sql, &[&change, &to.key_id, &to.wrapped]).await?;
    let (entries, texts): (Vec<i64>, Vec<&str>) =
        contents.iter().map(|(entry, text)| (*entry, text.as_str())).unzip();
    let sql = "-- directory_seal
        UPDATE directory_entries e SET content = new.content
        FROM unnest($1::bigint[], $2::text[]) AS new (entry, content)
        WHERE e.entry = new.entry";
    session.run_and_commit(sql, &[&entries, &texts]).await?;
    Ok(true)
}

#[async_trait]
impl Directories for PgStore {
    async fn directory_last(&self) -> Result<i64, StoreError> {
        self.connections.alone(|db| async move { directory_last(&db).await }).await
    }

    async fn directory_stored(
        &self,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        self.connections.alone(|db| async move { directory_stored(&db, entry, limit).await }).await
    }

    async fn directory_named(
        &self,
        kind: EntryKind,
        name: &str,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        self.connections
            .alone(|db| async move { directory_named(&db, kind, name, entry, limit).await })
            .await
    }

    async fn directory_add(&self, change: &[DirectoryEntry]) -> Result<(), StoreError> {
        self.connections.alone(|db| async move { directory_add(&db, change).await }).await
    }

    async fn directory_seal(
        &self,
        change: i64,
        from: Option<&WrappedKey>,
        to: &WrappedKey,
        contents: &[(i64, String)],
    ) -> Result<bool, StoreError> {
        self.connections
            .alone(|db| async move { directory_seal(&db, change, from, to, contents).await })
            .await
    }
}
