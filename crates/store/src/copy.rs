//! Copying a whole store from one engine to another, table by table, and telling whether two
//! stores hold the same.
//!
//! Cells travel as they are stored, not as values of `gopay_core`: a row that does not parse is
//! copied like every other. Memory is bounded by [`BATCH`] rows.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::StoreError;
use crate::rows::{
    ARCHIVES, Cell, DAY_SUMS, DELIVERIES, DIRECTORY_ENTRIES, DIRECTORY_KEYS, ENCRYPTION_KEYS,
    ERASURES, EVENTS, JOURNAL, JOURNAL_HEADS, Kind, PAYMENT_KEYS, PAYMENT_REQUESTS, PAYMENTS,
    RECONCILIATION_BREAKS, RECONCILIATION_INPUTS, RECONCILIATION_RUNS, REFUNDS, REVIEW_ACTS,
    SETTLEMENT_ADJUSTMENTS, SETTLEMENTS, SqlRow, Table, UNKNOWN_ORDERS, Unreadable,
};

/// Rows in one batch. A call may have 256 KiB, so a batch of requests has at most 50 MiB.
pub const BATCH: usize = 200;

/// Every table, those first that others refer to. `pings` holds nothing worth keeping.
pub const TABLES: &[Table] = &[
    PAYMENTS,
    PAYMENT_REQUESTS,
    EVENTS,
    REFUNDS,
    DELIVERIES,
    UNKNOWN_ORDERS,
    JOURNAL,
    JOURNAL_HEADS,
    SETTLEMENTS,
    SETTLEMENT_ADJUSTMENTS,
    REVIEW_ACTS,
    RECONCILIATION_RUNS,
    RECONCILIATION_INPUTS,
    RECONCILIATION_BREAKS,
    PAYMENT_KEYS,
    ENCRYPTION_KEYS,
    ERASURES,
    DIRECTORY_ENTRIES,
    DIRECTORY_KEYS,
    DAY_SUMS,
    ARCHIVES,
];

/// The cells of a row, in the order of the table's columns.
pub type Row = Vec<Cell<'static>>;

/// A store that is read as a whole and does not change meanwhile.
#[async_trait]
pub trait Source: Send {
    /// The next rows after this key, in the order of the key, at most `limit`.
    async fn rows(
        &mut self,
        table: &Table,
        after: &[i64],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;
}

/// A row of a database as cells; `after` names it in an error.
///
/// # Errors
/// [`StoreError::Corrupt`] if a value is not of its column's kind.
pub fn cells(table: &Table, row: &dyn SqlRow, after: &[i64]) -> Result<Row, StoreError> {
    let cell = |(at, (column, kind)): (usize, &(&'static str, Kind))| {
        let cell = match kind {
            Kind::Int => row.int(at).map(|number| number.map_or(Cell::Null, Cell::Int)),
            Kind::Flag => row.flag(at).map(|flag| flag.map_or(Cell::Null, Cell::from)),
            Kind::Text => row.text(at).map(|text| text.map(str::to_owned).into()),
            Kind::Bytes => row.bytes(at).map(|bytes| bytes.map(<[u8]>::to_vec).into()),
        };
        cell.map_err(|Unreadable| {
            let row = format!("after {after:?}");
            StoreError::Corrupt { table: table.name, column, row }
        })
    };
    table.columns.iter().enumerate().map(cell).collect()
}

/// An empty store that is filled in one transaction: until [`Target::commit`] it stays empty, and
/// whatever cuts the copy short leaves it so.
#[async_trait]
pub trait Target: Source {
    /// Adds rows.
    async fn insert(&mut self, table: &Table, rows: Vec<Row>) -> Result<(), StoreError>;

    /// Makes everything durable, and lets ids go on after those that were copied.
    async fn commit(&mut self) -> Result<(), StoreError>;
}

/// What a table holds: how many rows, and a SHA-256 over all cells in the order of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The table.
    pub table: &'static str,
    /// How many rows.
    pub rows: u64,
    /// Over all of them.
    pub digest: [u8; 32],
}

/// Copies every row and commits. `seen` is told the table and its rows so far, after every batch.
///
/// # Errors
/// Of either store; the target stays empty then, unless its commit failed.
pub async fn copy(
    from: &mut dyn Source,
    to: &mut dyn Target,
    seen: &mut (dyn FnMut(&str, u64) + Send),
) -> Result<(), StoreError> {
    for table in TABLES {
        let mut pages = Pages::new(table);
        let mut count = 0;
        while let Some(rows) = pages.next(from).await? {
            count += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            to.insert(table, rows).await?;
            seen(table.name, count);
        }
    }
    to.commit().await
}

/// What every table of a store holds.
///
/// # Errors
/// Of the store.
pub async fn tally(source: &mut dyn Source) -> Result<Vec<Tally>, StoreError> {
    let mut tallies = Vec::new();
    for table in TABLES {
        let mut pages = Pages::new(table);
        let (mut count, mut digest) = (0, Sha256::new());
        while let Some(rows) = pages.next(source).await? {
            count += u64::try_from(rows.len()).unwrap_or(u64::MAX);
            rows.iter().flatten().for_each(|cell| absorb(&mut digest, cell));
        }
        tallies.push(Tally { table: table.name, rows: count, digest: digest.finalize().into() });
    }
    Ok(tallies)
}

/// A walk through a table.
struct Pages<'a> {
    table: &'a Table,
    after: Vec<i64>,
}

impl<'a> Pages<'a> {
    fn new(table: &'a Table) -> Self {
        // Parts of keys are never below zero.
        Self { table, after: vec![-1; table.key] }
    }

    async fn next(&mut self, source: &mut dyn Source) -> Result<Option<Vec<Row>>, StoreError> {
        let rows = source.rows(self.table, &self.after, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        let key: Option<Vec<i64>> = last
            .iter()
            .take(self.table.key)
            .map(|cell| match cell {
                Cell::Int(number) => Some(*number),
                Cell::Null | Cell::Text(_) | Cell::Bytes(_) => None,
            })
            .collect();
        let (table, row) = (self.table.name, format!("after {:?}", self.after));
        self.after = key.ok_or(StoreError::Corrupt { table, column: "key", row })?;
        Ok(Some(rows))
    }
}

/// Each cell with its kind and length before it, so that no two rows look alike.
fn absorb(digest: &mut Sha256, cell: &Cell) {
    let (kind, bytes): (u8, &[u8]) = match cell {
        Cell::Null => (0, &[]),
        Cell::Int(number) => return digest.update([&[1], &number.to_be_bytes()[..]].concat()),
        Cell::Text(text) => (2, text.as_bytes()),
        Cell::Bytes(bytes) => (3, bytes),
    };
    digest.update([kind]);
    digest.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    digest.update(bytes);
}
