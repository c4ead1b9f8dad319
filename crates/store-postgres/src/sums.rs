//! Sums over the whole store, and the small write that shows that it works.

use std::sync::LazyLock;

use gopay_core::time::Timestamp;
use gopay_store::rows::{self, DAY_SUMS, RowReader, SqlRow};
use gopay_store::sums::{self, SumChanges};
use gopay_store::{Backlog, StoreError, Totals};

use crate::error::DbError;
use crate::orders;
use crate::row::{Columns, PgRow, read_opt, unnest};
use crate::session::{Session, Statement};
use crate::shards::known_shards;

/// How a step changes the sums, as a statement. It comes last in a transaction, after the journal's:
/// who holds a row of sums waits for nothing any more but for such a row behind it.
pub(crate) struct NewSums<'a>(Columns<'a>);

impl NewSums<'_> {
    pub(crate) fn of(session: &Session, change: impl FnOnce(&mut SumChanges)) -> Self {
        let mut changes = SumChanges::default();
        change(&mut changes);
        Self::new(session, &changes)
    }

    pub(crate) fn new(session: &Session, changes: &SumChanges) -> Self {
        let mut columns = Columns::new(DAY_SUMS.columns.len());
        changes.rows(session.slot()).for_each(|row| columns.push(row));
        Self(columns)
    }

    /// None if they stay as they are.
    pub(crate) fn statement(&self) -> Option<Statement<'_>> {
        (!self.0.is_empty()).then(|| (ADD.as_str(), self.0.values()))
    }
}

static ADD: LazyLock<String> = LazyLock::new(|| {
    let source = format!("SELECT * FROM {}", unnest(DAY_SUMS.columns));
    format!("-- day_sums: add\n{}", sums::upsert(&source))
});

/// All in one snapshot, so that the sums belong together.
pub(crate) async fn totals(session: &Session) -> Result<Totals, DbError> {
    whole(session, &SUMS).await
}

/// The same, counted in the rows themselves.
pub(crate) async fn totals_counted(session: &Session) -> Result<Totals, DbError> {
    whole(session, &COUNTED).await
}

async fn whole(session: &Session, sql: &str) -> Result<Totals, DbError> {
    session.begin_snapshot().await?;
    let row = session.row(sql, &[]).await?;
    let sums = read_opt(row.as_ref(), rows::day_sums)?;
    let totals = sums.unwrap_or_default().totals(orders::attention(session).await?)?;
    session.commit().await?;
    Ok(totals)
}

static SUMS: LazyLock<String> = LazyLock::new(|| format!("-- totals: sums\n{}", sums::select()));

static COUNTED: LazyLock<String> =
    LazyLock::new(|| format!("-- totals: counted\n{}", sums::select_counted()));

static REFILL: LazyLock<String> =
    LazyLock::new(|| format!("-- totals: refill\n{}", sums::refill()));

/// Nobody writes meanwhile: what is counted would be counted again by a step that is under way.
pub(crate) async fn totals_refill(session: &Session) -> Result<(), DbError> {
    session.begin_refill().await?;
    let sql = "-- totals: forget
        DELETE FROM day_sums";
    session.run(sql, &[]).await?;
    session.run_and_commit(&REFILL, &[]).await
}

static BACKLOG: LazyLock<String> = LazyLock::new(|| Backlog::sql(Some(known_shards!())));

/// By the queues of the workers.
pub(crate) async fn backlog(session: &Session, now: Timestamp) -> Result<Backlog, DbError> {
    let [first, second, third, looked_at] = Backlog::parameters(now);
    let rows = session.rows(&BACKLOG, &[&first, &second, &third, &looked_at]).await?;
    let mut backlog = Backlog::default();
    for row in &rows {
        backlog.read(&PgRow(row))?;
    }
    Ok(backlog)
}

pub(crate) async fn ping(session: &Session, now: Timestamp) -> Result<(), DbError> {
    let sql = "-- ping
        INSERT INTO pings (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = $1
        RETURNING id, at";
    let row = session.write_row(sql, &[&now.as_micros()]).await?;
    let read = |row: &dyn SqlRow| {
        let mut row = RowReader::new(row, "pings");
        row.int("id")?;
        row.time("at")
    };
    let there = read_opt(row.as_ref(), read)?;
    there.map(|_| ()).ok_or_else(|| StoreError::Missing { table: "pings" }.into())
}
