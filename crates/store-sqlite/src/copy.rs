//! Reading and filling a whole store, for `copy-store`. Everything here blocks.

use std::fs::File;
use std::path::Path;

use async_trait::async_trait;
use gopay_store::StoreError;
use gopay_store::copy::{Row, Source, TABLES, Target, cells};
use gopay_store::rows::Table;
use rusqlite::{Connection, params_from_iter};

use crate::error::{down, failed};
use crate::options::Options;

use crate::file::{self, DbFile};
use crate::query::{self, Bound};
use crate::schema;

/// A store to copy from. Its lock keeps every adapter out.
pub struct SqliteSource {
    db: Connection,
    _lock: File,
}

/// An empty store to copy to. Its lock keeps every adapter out.
pub struct SqliteTarget {
    db: Option<Connection>,
    _lock: File,
}

impl SqliteSource {
    /// Opens an existing store that no adapter has open. It is not written to.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if its schema is not this program's; [`StoreError::Down`], whose
    /// source says why.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let found = file::schema_version(path)?;
        if found != schema::known() {
            return Err(StoreError::Schema { found, known: schema::known() });
        }
        let place = DbFile::prepare(path)?;
        let lock = place.lock()?;
        Ok(Self { db: place.open_reader()?, _lock: lock })
    }
}

impl SqliteTarget {
    /// Creates the store if it is missing, and makes sure that it is empty.
    ///
    /// # Errors
    /// As [`SqliteSource::open`], and [`StoreError::Down`] if it holds anything.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let place = DbFile::prepare(path)?;
        let lock = place.lock()?;
        let db = place.open_writer(&Options::default(), true)?;
        for table in TABLES {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
            if db.query_one(&sql, [], |row| row.get(0)).map_err(failed)? {
                return Err(down(format!("the target is not empty: {} has rows", table.name)));
            }
        }
        db.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        Ok(Self { db: Some(db), _lock: lock })
    }

    fn db(&self) -> Result<&Connection, StoreError> {
        self.db.as_ref().ok_or_else(|| down("the target is closed"))
    }
}

impl Drop for SqliteTarget {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            // Without a commit there is nothing to keep.
            if !db.is_autocommit() {
                let _ = db.execute_batch("ROLLBACK");
            }
            file::close_writer(db);
        }
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn rows(
        &mut self,
        table: &Table,
        after: &[i64],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        rows(&self.db, table, after, limit)
    }
}

#[async_trait]
impl Source for SqliteTarget {
    async fn rows(
        &mut self,
        table: &Table,
        after: &[i64],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        rows(self.db()?, table, after, limit)
    }
}

#[async_trait]
impl Target for SqliteTarget {
    async fn insert(&mut self, table: &Table, rows: Vec<Row>) -> Result<(), StoreError> {
        let (name, names, places) = (table.name, table.names(), table.places('?'));
        let sql = format!("INSERT INTO {name} ({names}) VALUES ({places})");
        let mut statement = self.db()?.prepare_cached(&sql).map_err(failed)?;
        for row in rows {
            statement.execute(params_from_iter(row.iter().map(Bound))).map_err(failed)?;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.db()?.execute_batch("COMMIT").map_err(failed)
    }
}

fn rows(
    db: &Connection,
    table: &Table,
    after: &[i64],
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let key = table.key_names();
    let marks = vec!["?"; after.len()].join(", ");
    let sql = format!(
        "SELECT {} FROM {} WHERE ({key}) > ({marks}) ORDER BY {key} LIMIT {limit}",
        table.names(),
        table.name
    );
    let mut statement = db.prepare_cached(&sql).map_err(failed)?;
    let mut found = statement.query(params_from_iter(after)).map_err(failed)?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        rows.push(cells(table, &query::Row(row), after)?);
    }
    Ok(rows)
}
