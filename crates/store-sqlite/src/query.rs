//! Statements and their rows.

use gopay_store::StoreError;
use gopay_store::rows::{Cell, RowReader, SqlRow, Unreadable};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Params, Statement, StatementStatus, ToSql};

use crate::error::failed;

/// A row of this database.
pub(crate) struct Row<'a>(pub(crate) &'a rusqlite::Row<'a>);

impl Row<'_> {
    fn value<'v, T>(
        &'v self,
        at: usize,
        read: impl FnOnce(ValueRef<'v>) -> Option<T>,
    ) -> Result<Option<T>, Unreadable> {
        match self.0.get_ref(at) {
            Ok(ValueRef::Null) => Ok(None),
            Ok(value) => read(value).map(Some).ok_or(Unreadable),
            Err(_) => Err(Unreadable),
        }
    }
}

impl SqlRow for Row<'_> {
    fn int(&self, at: usize) -> Result<Option<i64>, Unreadable> {
        self.value(at, |value| value.as_i64().ok())
    }

    fn flag(&self, at: usize) -> Result<Option<bool>, Unreadable> {
        self.value(at, |value| match value.as_i64() {
            Ok(0) => Some(false),
            Ok(1) => Some(true),
            Ok(_) | Err(_) => None,
        })
    }

    fn text(&self, at: usize) -> Result<Option<&str>, Unreadable> {
        self.value(at, |value| value.as_str().ok())
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, Unreadable> {
        self.value(at, |value| value.as_blob().ok())
    }
}

/// A cell as a parameter.
pub(crate) struct Bound<'a>(pub(crate) &'a Cell<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Int(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}

/// The first row of a statement.
pub(crate) fn first<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let row = rows.next().map_err(failed)?;
    let value = row.map(|row| read(&Row(row))).transpose();
    drop(rows);
    found_by_index(&statement, sql);
    value
}

/// A row and its key.
type Keyed<T> = (i64, Result<T, StoreError>);

/// Every row of a statement, each with its key and by itself, so that one that does not parse
/// leaves the others.
pub(crate) fn each<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Vec<Keyed<T>>, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let row = Row(row);
        out.push((RowReader::new(&row, "").key(), read(&row)));
    }
    drop(rows);
    found_by_index(&statement, sql);
    Ok(out)
}

/// Every row of a statement; the first that does not parse is the result.
pub(crate) fn all<T>(
    db: &Connection,
    sql: &str,
    params: impl Params,
    read: impl Fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    each(db, sql, params, read)?.into_iter().map(|(_, row)| row).collect()
}

/// Runs a statement that writes; the number of rows that it wrote.
pub(crate) fn write(db: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let written = statement.execute(params).map_err(failed)?;
    found_by_index(&statement, sql);
    Ok(written)
}

/// The same with cells.
pub(crate) fn write_cells(
    db: &Connection,
    sql: &str,
    cells: &[Cell<'_>],
) -> Result<usize, StoreError> {
    write(db, sql, rusqlite::params_from_iter(cells.iter().map(Bound)))
}

/// In tests, every statement but the sums must find its rows by an index, not by reading a table.
fn found_by_index(statement: &Statement<'_>, sql: &str) {
    debug_assert!(
        sql.starts_with("-- totals") || statement.get_status(StatementStatus::FullscanStep) == 0,
        "a whole table was read by {sql}"
    );
}

/// How many rows a statement may return.
pub(crate) fn limit_cell(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
