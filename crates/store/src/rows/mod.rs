//! Rows: the columns of every table, named once for all engines, and the only place where a row
//! becomes a value and a value becomes a row.
//!
//! An engine implements [`SqlRow`] for a row of its database and binds [`Cell`]s. What it reads
//! and writes then follows from here: a new column is a line in a list, a line in the function that
//! reads and one in the function that writes, and a migration in each engine.
//!
//! Reading order: [`Table`] (lists), [`Cell`] (values to write), [`RowReader`] (values read), then
//! a file for each table.

mod archives;
mod deliveries;
mod directory;
mod events;
mod journal;
mod orders;
mod payments;
mod personal;
mod reader;
mod reconciliations;
mod refunds;
mod settlements;
mod sums;

use std::borrow::Cow;

use gopay_core::money::Sen;
use gopay_core::payment::Failure;
use gopay_core::time::Timestamp;

use crate::StoreError;

pub use archives::{ARCHIVES, archive, archive_cells, filed_event, payment_as_it_is};
pub use deliveries::{DELIVERIES, delivery, delivery_changes, owed_cells};
pub use directory::{
    DIRECTORY_ENTRIES, DIRECTORY_KEYS, directory_entry, directory_entry_cells, directory_key_cells,
};
pub use events::{EVENTS, event};
pub use journal::{JOURNAL, JOURNAL_HEADS, journal, journal_cells, journal_head, journal_select};
pub use orders::{UNKNOWN_ORDERS, unknown_order, unknown_order_cells, unknown_order_changes};
pub use payments::{
    PAYMENT_REQUESTS, PAYMENTS, payment, payment_cells, payment_changes, payment_request,
};
pub use personal::{
    ENCRYPTION_KEYS, ERASURES, PAYMENT_KEYS, descriptor, erasure, erasure_cells, key_of, key_proof,
    payment_key, payment_key_cells, personal, personal_cells, personal_record,
};
pub use reader::{RowReader, SqlRow, Unreadable};
pub use reconciliations::{
    RECONCILIATION_BREAKS, RECONCILIATION_INPUTS, RECONCILIATION_RUNS, REVIEW_ACTS,
    reconciliation_break, reconciliation_break_cells, reconciliation_input,
    reconciliation_input_cells, reconciliation_run, reconciliation_run_cells, review_act,
    review_act_cells, with_inputs,
};
pub use refunds::{REFUNDS, refund, refund_cells, refund_changes};
pub use settlements::{
    SETTLEMENT_ADJUSTMENTS, SETTLEMENTS, settlement, settlement_adjustment,
    settlement_adjustment_cells, settlement_cells, with_adjustments,
};
pub use sums::{DAY_SUMS, day_sums};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Int,
    /// Yes or no; a number 0 or 1 in a [`Cell`].
    Flag,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// A table that every engine has, with the same columns: the key first, then what changes, then
/// what stays.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The names of those of its columns that are read, in their order, with commas between.
    pub read: &'static str,
    /// Its columns.
    pub columns: &'static [(&'static str, Kind)],
    /// How many columns the key has; all are numbers.
    pub key: usize,
    /// How many columns after the key an update writes.
    pub changing: usize,
}

impl Table {
    /// The names of the columns, with commas between.
    #[must_use]
    pub fn names(&self) -> String {
        list(self.columns.iter().map(|(name, _)| *name))
    }

    /// The names of the key's columns, with commas between.
    #[must_use]
    pub fn key_names(&self) -> String {
        list(self.columns.iter().take(self.key).map(|(name, _)| *name))
    }

    /// The places of all columns' values: `$1, $2, ...` for the mark `$`.
    #[must_use]
    pub fn places(&self, mark: char) -> String {
        list((1..=self.columns.len()).map(|place| format!("{mark}{place}")))
    }

    /// What an update sets, with the key in the first places: `state = $2, ...` for the mark `$`.
    #[must_use]
    pub fn sets(&self, mark: char) -> String {
        let changing = self.columns.iter().zip(1_usize..).skip(self.key).take(self.changing);
        list(changing.map(|((name, _), place)| format!("{name} = {mark}{place}")))
    }

    /// The columns without the key, for a table whose keys the engine draws.
    #[must_use]
    pub const fn without_key(&self) -> Self {
        let (_, columns) = self.columns.split_at(self.key);
        Self { columns, key: 0, ..*self }
    }

    /// The key and what an update writes.
    #[must_use]
    pub fn changes(&self) -> &'static [(&'static str, Kind)] {
        let all = self.columns;
        all.get(..self.key.saturating_add(self.changing)).unwrap_or(all)
    }
}

/// Words with commas between.
fn list<T: AsRef<str>>(words: impl Iterator<Item = T>) -> String {
    words.fold(String::new(), |mut text, word| {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(word.as_ref());
        text
    })
}

/// Names the columns of a table once: as a [`Table`], and as a literal of their names for SELECT
/// statements, in the order in which they are read. What is `written` is there to be looked up,
/// and never read.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident = $word:literal, $literal:ident,
        key { $($key:ident: $key_kind:ident,)+ }
        changing { $($change:ident: $change_kind:ident,)* }
        fixed { $($column:ident: $kind:ident,)* }
        written { $($written:ident: $written_kind:ident,)* }
    ) => {
        $(#[$doc])*
        pub const $name: $crate::rows::Table = $crate::rows::Table {
            name: $word,
            read: $crate::rows::names!($($key)+ $($change)* $($column)*),
            columns: &[
                $((stringify!($key), $crate::rows::Kind::$key_kind),)+
                $((stringify!($change), $crate::rows::Kind::$change_kind),)*
                $((stringify!($column), $crate::rows::Kind::$kind),)*
                $((stringify!($written), $crate::rows::Kind::$written_kind),)*
            ],
            key: [$(stringify!($key)),+].len(),
            changing: { const CHANGING: &[&str] = &[$(stringify!($change)),*]; CHANGING.len() },
        };

        $crate::rows::literal!($literal [$($key)+ $($change)* $($column)*]);
    };
}

/// The names as a literal, with commas between.
macro_rules! names {
    ($first:ident $($rest:ident)*) => { concat!(stringify!($first) $(, ", ", stringify!($rest))*) };
}

/// The same as a macro for engines, which put it into `concat!`.
macro_rules! literal {
    ($name:ident [$first:ident $($rest:ident)*]) => {
        /// The columns that are read, in their order, as a literal for `concat!`.
        #[macro_export]
        macro_rules! $name {
            () => { concat!(stringify!($first) $(, ", ", stringify!($rest))*) };
        }
    };
}

use {literal, names, table};

/// A stored value, or one to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    /// None.
    Null,
    /// A number or a flag.
    Int(i64),
    /// Text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
}

impl Cell<'_> {
    /// Whether a column of this kind can hold it.
    #[must_use]
    pub const fn is(&self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::Null, _)
                | (Self::Int(_), Kind::Int)
                | (Self::Int(0 | 1), Kind::Flag)
                | (Self::Text(_), Kind::Text)
                | (Self::Bytes(_), Kind::Bytes)
        )
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }
}

impl<'a> From<&'a Option<String>> for Cell<'a> {
    fn from(text: &'a Option<String>) -> Self {
        text.as_deref().into()
    }
}

impl From<Option<String>> for Cell<'_> {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(Cow::Owned(text)))
    }
}

impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a> From<Option<&'a [u8]>> for Cell<'a> {
    fn from(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Null, Self::from)
    }
}

impl From<Option<Vec<u8>>> for Cell<'_> {
    fn from(bytes: Option<Vec<u8>>) -> Self {
        bytes.map_or(Self::Null, |bytes| Self::Bytes(Cow::Owned(bytes)))
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<Option<i64>> for Cell<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Int)
    }
}

impl From<u32> for Cell<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Self::Int(flag.into())
    }
}

/// Microseconds since 1970.
impl From<Timestamp> for Cell<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Int(time.as_micros())
    }
}

impl From<Option<Timestamp>> for Cell<'_> {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Null, Self::from)
    }
}

/// An amount as a cell.
fn sen(table: &'static str, column: &'static str, sen: Sen) -> Result<Cell<'static>, StoreError> {
    let why = "the amount is larger than a database can count";
    i64::try_from(sen.get()).map(Cell::Int).map_err(|_| StoreError::Invalid { table, column, why })
}

/// The cells `fail_reason` and `fail_message`.
fn failure(failure: Option<&Failure>) -> [Cell<'_>; 2] {
    let reason = failure.map(|failure| failure.reason.as_str());
    [reason.into(), failure.map(|failure| failure.message.as_str()).into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_written_from_the_lists() {
        let table = DELIVERIES;
        assert_eq!(table.key_names(), "delivery_id");
        assert_eq!(table.sets('$'), "attempts = $2, next_attempt_at = $3, state = $4");
        assert_eq!(table.places('?'), "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9");
        assert_eq!(table.changes().len(), 4);
    }

    #[test]
    fn a_column_holds_cells_of_its_kind_only() {
        for (cell, kind, holds) in [
            (Cell::Null, Kind::Int, true),
            (Cell::Null, Kind::Bytes, true),
            (Cell::Int(7), Kind::Int, true),
            (Cell::Int(1), Kind::Flag, true),
            (Cell::Int(2), Kind::Flag, false),
            (Cell::Int(1), Kind::Text, false),
            (Cell::from("a"), Kind::Text, true),
            (Cell::from("a"), Kind::Bytes, false),
            (Cell::from(b"a".as_slice()), Kind::Bytes, true),
            (Cell::from(b"a".as_slice()), Kind::Int, false),
        ] {
            assert_eq!(cell.is(kind), holds, "{cell:?} in {kind:?}");
        }
    }
}
