//! The journal. There is one writer, so the order of its steps is the order of commits.

use std::sync::LazyLock;

use gopay_core::journal::Entry;
use gopay_store::rows::{self, Cell, JOURNAL};
use gopay_store::{
    Cursor, JournalPage, JournalQuery, JournalRecord, StoreError, journal_head_columns,
};
use rusqlite::{Connection, params};

use crate::query::{all, first, write_cells};

static APPEND: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (JOURNAL.names(), JOURNAL.places('?'));
    format!("-- journal: append\nINSERT INTO journal ({names}) VALUES ({places})")
});

/// Adds entries in their order.
pub(crate) fn append(
    db: &Connection,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<(), StoreError> {
    for entry in entries {
        let seq = next(db, entry.shard())?;
        let [shard, fixed @ ..] = rows::journal_cells(&entry);
        let cells: Vec<Cell<'_>> = [shard, seq.into()].into_iter().chain(fixed).collect();
        write_cells(db, &APPEND, &cells)?;
    }
    Ok(())
}

fn next(db: &Connection, shard: u16) -> Result<i64, StoreError> {
    let sql = "-- journal: next
        INSERT INTO journal_heads (shard, seq) VALUES (?1, 1)
        ON CONFLICT (shard) DO UPDATE SET seq = seq + 1 RETURNING shard, seq";
    let head = first(db, sql, params![shard], rows::journal_head)?;
    head.map(|(_, seq)| seq).ok_or(StoreError::Missing { table: rows::JOURNAL_HEADS.name })
}

pub(crate) fn journal_end(db: &Connection) -> Result<Cursor, StoreError> {
    let sql = concat!(
        "-- journal_end\nSELECT ",
        journal_head_columns!(),
        " FROM journal_heads WHERE shard >= 0"
    );
    let heads = all(db, sql, [], rows::journal_head)?;
    Ok(heads
        .into_iter()
        .fold(Cursor::default(), |cursor, (shard, seq)| cursor.advanced(shard, seq)))
}

static READ: LazyLock<String> = LazyLock::new(|| {
    let select = rows::journal_select("journal j");
    format!("-- journal_read\n{select} WHERE j.shard = ?1 AND j.seq > ?2 ORDER BY j.seq LIMIT ?3")
});

pub(crate) fn journal_read(
    db: &Connection,
    after: &Cursor,
    limit: usize,
) -> Result<JournalPage, StoreError> {
    let query = JournalQuery::new(after, &journal_end(db)?, limit);
    let each = crate::query::limit_cell(query.each);
    let mut records: Vec<JournalRecord> = Vec::new();
    for (shard, position) in &query.shards {
        records.extend(all(db, &READ, params![shard, position, each], rows::journal)?);
    }
    Ok(query.page(after, records))
}
