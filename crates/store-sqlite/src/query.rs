//! Between rows and values: reading cells that may not parse, and naming what the database says.

use std::num::TryFromIntError;

use gopay_core::ids::TxId;
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{FailReason, Failure};
use gopay_core::time::Timestamp;
use gopay_store::StoreError;
use rusqlite::types::FromSql;
use rusqlite::{Connection, ErrorCode, Params, Row, Statement, StatementStatus, ffi};

/// What the database says, in the words of the store.
pub(crate) fn failed(error: rusqlite::Error) -> StoreError {
    let Some(inner) = error.sqlite_error() else {
        return StoreError::Down(Box::new(error));
    };
    let taken = [ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_UNIQUE];
    if matches!(inner.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) {
        StoreError::Busy
    } else if taken.contains(&inner.extended_code) {
        StoreError::Conflict
    } else {
        StoreError::Down(Box::new(error))
    }
}

/// The cells of one row, taken in the order of the statement's columns. The first is the key.
pub(crate) struct Cells<'a> {
    row: &'a Row<'a>,
    table: &'static str,
    at: usize,
}

impl<'a> Cells<'a> {
    pub(crate) const fn new(row: &'a Row<'a>, table: &'static str) -> Self {
        Self { row, table, at: 0 }
    }

    /// The next cell. Any failure to read it is a value that does not parse.
    pub(crate) fn take<T: FromSql>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let at = self.at;
        self.at = self.at.saturating_add(1);
        self.row.get(at).map_err(|_| self.corrupt(column))
    }

    /// The next cell, through a parser that says no with `None`.
    pub(crate) fn parse<T: FromSql, U>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<U, StoreError> {
        let raw = self.take(column)?;
        parse(raw).ok_or_else(|| self.corrupt(column))
    }

    /// The same for a cell that may be empty.
    pub(crate) fn parse_opt<T: FromSql, U>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(T) -> Option<U>,
    ) -> Result<Option<U>, StoreError> {
        match self.take::<Option<T>>(column)? {
            None => Ok(None),
            Some(raw) => parse(raw).map(Some).ok_or_else(|| self.corrupt(column)),
        }
    }

    pub(crate) fn tx_id(&mut self) -> Result<TxId, StoreError> {
        self.parse("tx_id", |number| TxId::new(number).ok())
    }

    pub(crate) fn time(&mut self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.take(column).map(Timestamp::from_micros)
    }

    pub(crate) fn time_opt(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.take::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    pub(crate) fn sen(&mut self, column: &'static str) -> Result<Sen, StoreError> {
        self.parse(column, |sen: i64| u64::try_from(sen).ok().map(Sen::new))
    }

    pub(crate) fn rupiah_opt(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Rupiah>, StoreError> {
        self.parse_opt(column, |sen: i64| Rupiah::from_sen(Sen::new(u64::try_from(sen).ok()?)).ok())
    }

    /// The cells `fail_reason` and `fail_message`.
    pub(crate) fn failure(&mut self) -> Result<Option<Failure>, StoreError> {
        let word = |word: String| FailReason::from_word(&word);
        let reason = self.parse_opt("fail_reason", word)?;
        let message: Option<String> = self.take("fail_message")?;
        match (reason, message) {
            (Some(reason), Some(message)) => Ok(Some(Failure { reason, message })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(self.corrupt("fail_message")),
        }
    }

    pub(crate) fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, row: self.key().to_string() }
    }

    /// The key, or 0 if even that does not parse.
    fn key(&self) -> i64 {
        self.row.get(0).unwrap_or(0)
    }
}

/// The first row of a statement.
pub(crate) fn first<T>(
    db: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&mut Cells<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let row = rows.next().map_err(failed)?;
    let value = row.map(|row| read(&mut Cells::new(row, table))).transpose();
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
    table: &'static str,
    sql: &str,
    params: impl Params,
    read: impl Fn(&mut Cells<'_>) -> Result<T, StoreError>,
) -> Result<Vec<Keyed<T>>, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query(params).map_err(failed)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let mut cells = Cells::new(row, table);
        out.push((cells.key(), read(&mut cells)));
    }
    drop(rows);
    found_by_index(&statement, sql);
    Ok(out)
}

/// Every row of a statement; the first that does not parse is the result.
pub(crate) fn all<T>(
    db: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    read: impl Fn(&mut Cells<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    each(db, table, sql, params, read)?.into_iter().map(|(_, row)| row).collect()
}

/// Runs a statement that writes; the number of rows that it wrote.
pub(crate) fn write(db: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let written = statement.execute(params).map_err(failed)?;
    found_by_index(&statement, sql);
    Ok(written)
}

/// In tests, every statement but the sums must find its rows by an index, not by reading a table.
fn found_by_index(statement: &Statement<'_>, sql: &str) {
    debug_assert!(
        sql.starts_with("-- totals") || statement.get_status(StatementStatus::FullscanStep) == 0,
        "a whole table was read by {sql}"
    );
}

/// Sen as the database keeps them.
pub(crate) fn sen_cell(sen: Sen) -> Result<i64, StoreError> {
    i64::try_from(sen.get()).map_err(|error: TryFromIntError| StoreError::Down(Box::new(error)))
}

/// How many rows a statement may return.
pub(crate) fn limit_cell(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
