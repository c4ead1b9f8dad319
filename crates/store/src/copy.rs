//! Copying a whole store from one engine to another, table by table, and telling whether two
//! stores hold the same.
//!
//! Cells travel as they are stored, not as values of `gopay_core`: a row that does not parse is
//! copied like every other. Memory is bounded by [`BATCH`] rows.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::StoreError;

/// Rows in one batch. A call may have 256 KiB, so a batch of requests has at most 50 MiB.
pub const BATCH: usize = 200;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Int,
    /// Yes or no; a number 0 or 1 on its way.
    Flag,
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// A table that every engine has, with the same columns.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns. The key comes first.
    pub columns: &'static [(&'static str, Kind)],
    /// How many columns the key has; all are numbers.
    pub key: usize,
}

impl Table {
    /// The names of the columns, with commas between.
    #[must_use]
    pub fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }

    /// The names of the key's columns, with commas between.
    #[must_use]
    pub fn key_names(&self) -> String {
        let names = self.columns.iter().take(self.key).map(|(name, _)| *name);
        names.collect::<Vec<_>>().join(", ")
    }
}

use Kind::{Bytes, Flag, Int, Text};

/// Every table, those first that others refer to. `pings` holds nothing worth keeping.
pub const TABLES: &[Table] = &[
    Table {
        name: "payments",
        key: 1,
        columns: &[
            ("tx_id", Int),
            ("client", Text),
            ("contract", Text),
            ("channel", Text),
            ("merchant_tx_id", Text),
            ("merchant_tx_key", Text),
            ("amount_sen", Int),
            ("state", Text),
            ("fail_reason", Text),
            ("fail_message", Text),
            ("upstream", Text),
            ("midtrans_tx_id", Text),
            ("deeplink", Text),
            ("redirect_secret", Text),
            ("merchant_redirect_url", Text),
            ("notification_url", Text),
            ("nonce", Text),
            ("fingerprint", Bytes),
            ("answer", Bytes),
            ("created_at", Int),
            ("deadline_at", Int),
            ("final_at", Int),
            ("paid_at", Int),
            ("cancel_requested", Flag),
            ("refund_reserved_sen", Int),
            ("next_check_at", Int),
            ("checks", Int),
        ],
    },
    Table { name: "payment_requests", key: 1, columns: &[("tx_id", Int), ("request", Text)] },
    Table {
        name: "events",
        key: 2,
        columns: &[("tx_id", Int), ("seq", Int), ("at", Int), ("kind", Text), ("detail", Text)],
    },
    Table {
        name: "refunds",
        key: 1,
        columns: &[
            ("refund_id", Int),
            ("tx_id", Int),
            ("client", Text),
            ("contract", Text),
            ("merchant_refund_id", Text),
            ("merchant_refund_key", Text),
            ("amount_sen", Int),
            ("descriptor", Text),
            ("state", Text),
            ("fail_reason", Text),
            ("fail_message", Text),
            ("created_at", Int),
            ("resolved_at", Int),
            ("next_check_at", Int),
            ("checks", Int),
        ],
    },
    Table {
        name: "deliveries",
        key: 1,
        columns: &[
            ("delivery_id", Int),
            ("tx_id", Int),
            ("client", Text),
            ("url", Text),
            ("receiver", Text),
            ("final_at", Int),
            ("attempts", Int),
            ("next_attempt_at", Int),
            ("state", Text),
        ],
    },
];

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// None.
    Null,
    /// A number or a flag.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The cells of a row, in the order of the table's columns.
pub type Row = Vec<Cell>;

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
        // Keys are positive.
        Self { table, after: vec![0; table.key] }
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
