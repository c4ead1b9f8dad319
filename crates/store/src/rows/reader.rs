//! Reading a row whose values may not parse.

use gopay_core::ids::{IdError, TxId};
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{FailReason, Failure};
use gopay_core::time::Timestamp;

use crate::StoreError;

/// A value is not of the kind that it is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// A row of a database, by the places of a statement's columns, from 0. `Ok(None)` is NULL.
pub trait SqlRow {
    /// A whole number.
    ///
    /// # Errors
    /// [`Unreadable`]; the same below.
    fn int(&self, at: usize) -> Result<Option<i64>, Unreadable>;

    /// Yes or no.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn flag(&self, at: usize) -> Result<Option<bool>, Unreadable>;

    /// Text.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn text(&self, at: usize) -> Result<Option<&str>, Unreadable>;

    /// Bytes.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, Unreadable>;
}

/// The values of one row, taken in the order of the statement's columns. The first is the key.
///
/// Every method is for the next column, and fails with [`StoreError::Corrupt`] that names it.
pub struct RowReader<'a> {
    row: &'a dyn SqlRow,
    table: &'static str,
    at: usize,
}

type Read<T> = Result<T, StoreError>;

#[expect(clippy::missing_errors_doc, reason = "all fail alike; see the type")]
impl<'a> RowReader<'a> {
    /// A reader at the first column.
    #[must_use]
    pub const fn new(row: &'a dyn SqlRow, table: &'static str) -> Self {
        Self { row, table, at: 0 }
    }

    /// The key, or 0 if even that does not parse.
    #[must_use]
    pub fn key(&self) -> i64 {
        self.row.int(0).ok().flatten().unwrap_or(0)
    }

    /// The error of a column that does not parse.
    #[must_use]
    pub fn corrupt(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: self.table, column, row: self.key().to_string() }
    }

    fn next<T>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(&'a dyn SqlRow, usize) -> Result<Option<T>, Unreadable>,
    ) -> Read<Option<T>> {
        let at = self.at;
        self.at = self.at.saturating_add(1);
        read(self.row, at).map_err(|Unreadable| self.corrupt(column))
    }

    fn given<T>(&self, column: &'static str, value: Option<T>) -> Read<T> {
        value.ok_or_else(|| self.corrupt(column))
    }

    /// A number that may be missing.
    pub fn int_opt(&mut self, column: &'static str) -> Read<Option<i64>> {
        self.next(column, <dyn SqlRow>::int)
    }

    /// A number.
    pub fn int(&mut self, column: &'static str) -> Read<i64> {
        let value = self.int_opt(column)?;
        self.given(column, value)
    }

    /// Yes or no.
    pub fn flag(&mut self, column: &'static str) -> Read<bool> {
        let value = self.next(column, <dyn SqlRow>::flag)?;
        self.given(column, value)
    }

    /// Text that may be missing.
    pub fn text_opt(&mut self, column: &'static str) -> Read<Option<String>> {
        Ok(self.next(column, <dyn SqlRow>::text)?.map(str::to_owned))
    }

    /// Text.
    pub fn text(&mut self, column: &'static str) -> Read<String> {
        let value = self.text_opt(column)?;
        self.given(column, value)
    }

    /// Bytes that may be missing.
    pub fn bytes_opt(&mut self, column: &'static str) -> Read<Option<Vec<u8>>> {
        Ok(self.next(column, <dyn SqlRow>::bytes)?.map(<[u8]>::to_vec))
    }

    /// A SHA-256.
    pub fn digest(&mut self, column: &'static str) -> Read<[u8; 32]> {
        let value = self.next(column, <dyn SqlRow>::bytes)?;
        self.given(column, value.and_then(|bytes| bytes.try_into().ok()))
    }

    /// Text through a parser that says no with `None`.
    pub fn parse<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Read<T> {
        let value = self.next(column, <dyn SqlRow>::text)?;
        self.given(column, value.and_then(parse))
    }

    /// The same for text that may be missing.
    pub fn parse_opt<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Read<Option<T>> {
        match self.next(column, <dyn SqlRow>::text)? {
            None => Ok(None),
            Some(text) => self.given(column, parse(text)).map(Some),
        }
    }

    /// An id.
    pub fn id<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(i64) -> Result<T, IdError>,
    ) -> Read<T> {
        let number = self.int(column)?;
        self.given(column, parse(number).ok())
    }

    /// An id that may be missing.
    pub fn id_opt<T>(
        &mut self,
        column: &'static str,
        parse: impl FnOnce(i64) -> Result<T, IdError>,
    ) -> Read<Option<T>> {
        match self.int_opt(column)? {
            None => Ok(None),
            Some(number) => self.given(column, parse(number).ok()).map(Some),
        }
    }

    /// The column `tx_id`.
    pub fn tx_id(&mut self) -> Read<TxId> {
        self.id("tx_id", TxId::new)
    }

    /// A time.
    pub fn time(&mut self, column: &'static str) -> Read<Timestamp> {
        self.int(column).map(Timestamp::from_micros)
    }

    /// A time that may be missing.
    pub fn time_opt(&mut self, column: &'static str) -> Read<Option<Timestamp>> {
        Ok(self.int_opt(column)?.map(Timestamp::from_micros))
    }

    /// A number of attempts, checks or rows: never below zero.
    pub fn count<T: TryFrom<i64>>(&mut self, column: &'static str) -> Read<T> {
        let number = self.int(column)?;
        self.given(column, T::try_from(number).ok())
    }

    /// An amount in sen.
    pub fn sen(&mut self, column: &'static str) -> Read<Sen> {
        self.count(column).map(Sen::new)
    }

    /// An amount in sen that may be missing.
    pub fn sen_opt(&mut self, column: &'static str) -> Read<Option<Sen>> {
        match self.int_opt(column)? {
            None => Ok(None),
            Some(sen) => self.given(column, u64::try_from(sen).ok()).map(|sen| Some(Sen::new(sen))),
        }
    }

    /// An amount in sen that is whole rupiah, or missing.
    pub fn rupiah_opt(&mut self, column: &'static str) -> Read<Option<Rupiah>> {
        let whole = |sen| Rupiah::from_sen(Sen::new(u64::try_from(sen).ok()?)).ok();
        match self.int_opt(column)? {
            None => Ok(None),
            Some(sen) => self.given(column, whole(sen)).map(Some),
        }
    }

    /// The columns `fail_reason` and `fail_message`: both or neither.
    pub fn failure(&mut self) -> Read<Option<Failure>> {
        let reason = self.parse_opt("fail_reason", FailReason::from_word)?;
        match (reason, self.text_opt("fail_message")?) {
            (Some(reason), Some(message)) => Ok(Some(Failure { reason, message })),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(self.corrupt("fail_message")),
        }
    }
}
