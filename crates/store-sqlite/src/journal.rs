//! The journal. There is one writer, so the order of its steps is the order of commits.

use std::sync::LazyLock;

use gopay_core::journal::Entry;
use gopay_store::rows::{self, JOURNAL};
use gopay_store::{
    Cursor, JournalPage, JournalQuery, JournalRecord, StoreError, journal_head_columns,
};
use rusqlite::{Connection, params};

use crate::query::{all, write, write_cells};

/// The number comes from the shard's head, which [`advance`] has set.
static APPEND: LazyLock<String> = LazyLock::new(|| {
    let names = JOURNAL.names();
    let places: Vec<String> = (2..JOURNAL.columns.len()).map(|place| format!("?{place}")).collect();
    let places = places.join(", ");
    format!(
        "-- journal: append
        INSERT INTO journal ({names})
        VALUES (?1, (SELECT seq FROM journal_heads WHERE shard = ?1), {places})"
    )
});

/// Adds entries in their order.
pub(crate) fn append(
    db: &Connection,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<(), StoreError> {
    for entry in entries {
        advance(db, entry.shard())?;
        write_cells(db, &APPEND, &rows::journal_cells(&entry))?;
    }
    Ok(())
}

/// Two statements, of which nearly always one runs: `RETURNING` would cost more than both.
fn advance(db: &Connection, shard: u16) -> Result<(), StoreError> {
    let sql = "-- journal: next
        UPDATE journal_heads SET seq = seq + 1 WHERE shard = ?1";
    if write(db, sql, params![shard])? == 0 {
        let sql = "-- journal: first of a shard
            INSERT INTO journal_heads (shard, seq) VALUES (?1, 1)";
        write(db, sql, params![shard])?;
    }
    Ok(())
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
    let select = rows::journal_select("journal j", false);
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
