//! The journal. Its statement is the last of a transaction: it locks the heads of its shards, in
//! ascending order, until the commit, so that entries are numbered in the order of commits.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use gopay_core::journal::Entry;
use gopay_store::rows::{self, JOURNAL, Kind};
use gopay_store::{Cursor, JournalPage, JournalQuery, journal_head_columns};

use crate::error::DbError;
use crate::row::{Columns, limit_cell, read_all, unnest_from};
use crate::session::{Session, Statement};
use crate::statement::Value;

/// Entries to be added, as the values of a statement.
pub(crate) struct NewEntries<'a> {
    /// The shards, ascending, so that everybody locks them in one order.
    shards: Vec<i64>,
    /// How many entries each gets.
    counts: Vec<i64>,
    /// How far each entry is from the last of its shard.
    from_last: Vec<i64>,
    entries: Columns<'a>,
}

impl<'a> NewEntries<'a> {
    pub(crate) fn of(entries: impl IntoIterator<Item = &'a Entry>) -> Self {
        let mut columns = Columns::new(written().count());
        let mut counts: BTreeMap<i64, i64> = BTreeMap::new();
        let mut places = Vec::new();
        for entry in entries {
            let shard = i64::from(entry.shard());
            let count = counts.entry(shard).or_default();
            *count = count.saturating_add(1);
            places.push((shard, *count));
            columns.push(rows::journal_cells(entry));
        }
        let last = |shard| counts.get(shard).copied().unwrap_or_default();
        let from_last = places.iter().map(|(shard, place)| last(shard).saturating_sub(*place));
        let from_last = from_last.collect();
        let (shards, counts) = counts.into_iter().unzip();
        Self { shards, counts, from_last, entries: columns }
    }

    /// None if there is nothing to add.
    pub(crate) fn statement(&self) -> Option<Statement<'_>> {
        if self.shards.is_empty() {
            return None;
        }
        let mut values: Vec<Value<'_>> = vec![&self.shards, &self.counts, &self.from_last];
        values.extend(self.entries.values());
        Some((APPEND.as_str(), values))
    }
}

/// The columns that an entry brings along: all but its number.
fn written() -> impl Iterator<Item = (&'static str, Kind)> {
    JOURNAL.columns.iter().copied().filter(|(name, _)| *name != "seq")
}

static APPEND: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = [("from_last", Kind::Int)].into_iter().chain(written()).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    // Behind the two lists about shards.
    let lists = unnest_from(2, &columns);
    let fixed: Vec<_> = names.iter().skip(2).map(|name| format!("new.{name}")).collect();
    let (all, names, fixed) = (JOURNAL.names(), names.join(", "), fixed.join(", "));
    format!(
        "-- journal: append
        WITH heads AS (
            INSERT INTO journal_heads AS head (shard, seq)
            SELECT * FROM unnest($1::bigint[], $2::bigint[])
            ON CONFLICT (shard) DO UPDATE SET seq = head.seq + excluded.seq
            RETURNING shard, seq)
        INSERT INTO journal ({all})
        SELECT new.shard, heads.seq - new.from_last, {fixed}
        FROM {lists} AS new ({names}) JOIN heads ON heads.shard = new.shard"
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
        true,
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
