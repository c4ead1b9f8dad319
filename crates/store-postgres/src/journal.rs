//! The journal. Its statement is the last of a transaction: it locks the heads of its shards, in
//! ascending order, until the commit, so that entries are numbered in the order of commits.

use std::sync::LazyLock;

use gopay_core::journal::Entry;
use gopay_store::rows::{self, JOURNAL, Kind};
use gopay_store::{Cursor, JournalPage, JournalQuery, journal_head_columns};

use crate::error::DbError;
use crate::row::{Columns, limit_cell, read_all, unnest};
use crate::session::{Session, Statement};

/// Entries to be added, as the values of a statement.
pub(crate) struct NewEntries<'a>(Columns<'a>);

impl<'a> NewEntries<'a> {
    pub(crate) fn of(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut columns = Columns::new(written().count());
        entries.into_iter().for_each(|entry| columns.push(rows::journal_cells(entry)));
        Self(columns)
    }

    /// None if there is nothing to add.
    pub(crate) fn statement(&self) -> Option<Statement<'_>> {
        (!self.0.is_empty()).then(|| (APPEND.as_str(), self.0.values()))
    }
}

/// The columns that an entry brings along: all but its number.
fn written() -> impl Iterator<Item = (&'static str, Kind)> {
    JOURNAL.columns.iter().copied().filter(|(name, _)| *name != "seq")
}

static APPEND: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = written().collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let [lists, names] = [unnest(&columns), names.join(", ")];
    let fixed: Vec<_> = written().skip(1).map(|(name, _)| format!("new.{name}")).collect();
    let (all, fixed) = (JOURNAL.names(), fixed.join(", "));
    format!(
        "-- journal: append
        WITH new AS (SELECT * FROM {lists} WITH ORDINALITY AS new ({names}, place)),
        heads AS (
            INSERT INTO journal_heads AS head (shard, seq)
            SELECT shard, count(*) FROM new GROUP BY shard ORDER BY shard
            ON CONFLICT (shard) DO UPDATE SET seq = head.seq + excluded.seq
            RETURNING shard, seq)
        INSERT INTO journal ({all})
        SELECT new.shard,
            heads.seq - count(*) OVER (PARTITION BY new.shard)
                + row_number() OVER (PARTITION BY new.shard ORDER BY new.place),
            {fixed}
        FROM new JOIN heads ON heads.shard = new.shard"
    )
});

pub(crate) async fn journal_end(session: &Session) -> Result<Cursor, DbError> {
    let sql = concat!("-- journal_end\nSELECT ", journal_head_columns!(), " FROM journal_heads");
    let rows = session.rows(sql, &[]).await?;
    let heads = read_all(&rows, rows::journal_head)?;
    Ok(heads
        .into_iter()
        .fold(Cursor::default(), |cursor, (shard, seq)| cursor.advanced(shard, seq)))
}

static READ: LazyLock<String> = LazyLock::new(|| {
    let select = rows::journal_select(
        "unnest($1::bigint[], $2::bigint[]) AS want (shard, position)
        CROSS JOIN LATERAL (
            SELECT * FROM journal a WHERE a.shard = want.shard AND a.seq > want.position
            ORDER BY a.seq LIMIT $3) j",
    );
    format!("-- journal_read\n{select} ORDER BY j.shard, j.seq")
});

pub(crate) async fn journal_read(
    session: &Session,
    after: &Cursor,
    limit: usize,
) -> Result<JournalPage, DbError> {
    let query = JournalQuery::new(after, &journal_end(session).await?, limit);
    let (shards, positions): (Vec<i64>, Vec<i64>) =
        query.shards.iter().map(|(shard, position)| (i64::from(*shard), *position)).unzip();
    if shards.is_empty() {
        return Ok(query.page(after, Vec::new()));
    }
    let each = limit_cell(query.each);
    let rows = session.rows(&READ, &[&shards, &positions, &each]).await?;
    Ok(query.page(after, read_all(&rows, rows::journal)?))
}
