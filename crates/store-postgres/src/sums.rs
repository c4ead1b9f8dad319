//! Sums over the whole store, and the small write that shows that it works.

use std::collections::BTreeMap;

use gopay_core::time::Timestamp;
use gopay_store::rows::{RowReader, SqlRow};
use gopay_store::{Backlog, StoreError, Totals};

use crate::error::DbError;
use crate::orders;
use crate::row::{PgRow, read_opt};
use crate::session::Session;

/// All in one snapshot, so that the sums belong together.
pub(crate) async fn totals(session: &Session) -> Result<Totals, DbError> {
    session.begin_snapshot().await?;
    let totals = Totals {
        payments: per_state(
            session,
            "payments",
            "-- totals: payments
            SELECT state, count(*) FROM payments GROUP BY state",
        )
        .await?,
        succeeded_sen: sum(
            session,
            "-- totals: succeeded payments
            SELECT coalesce(sum(amount_sen), 0)::bigint FROM payments WHERE state = 'succeeded'",
        )
        .await?,
        refunded_sen: sum(
            session,
            "-- totals: succeeded refunds
            SELECT coalesce(sum(amount_sen), 0)::bigint FROM refunds WHERE state = 'succeeded'",
        )
        .await?,
        refunds: per_state(
            session,
            "refunds",
            "-- totals: refunds
            SELECT state, count(*) FROM refunds GROUP BY state",
        )
        .await?,
        deliveries: per_state(
            session,
            "deliveries",
            "-- totals: deliveries
            SELECT state, count(*) FROM deliveries GROUP BY state",
        )
        .await?,
        attention: orders::attention(session).await?,
    };
    session.commit().await?;
    Ok(totals)
}

/// By the queues of the workers.
pub(crate) async fn backlog(session: &Session, now: Timestamp) -> Result<Backlog, DbError> {
    let [first, second, third, looked_at] = Backlog::parameters(now);
    let rows = session.rows(Backlog::SQL, &[&first, &second, &third, &looked_at]).await?;
    let mut backlog = Backlog::default();
    for row in &rows {
        backlog.read(&PgRow(row))?;
    }
    Ok(backlog)
}

async fn per_state(
    session: &Session,
    table: &'static str,
    sql: &str,
) -> Result<BTreeMap<String, u64>, DbError> {
    let rows = session.rows(sql, &[]).await?;
    let read = |row| {
        let row = PgRow(row);
        let mut row = RowReader::new(&row, table);
        Ok::<_, StoreError>((row.text("state")?, row.count("state")?))
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}

async fn sum(session: &Session, sql: &str) -> Result<u64, DbError> {
    let row = session.row(sql, &[]).await?;
    let sum = read_opt(row.as_ref(), |row| RowReader::new(row, "payments").sen("amount_sen"))?;
    Ok(sum.map_or(0, gopay_core::money::Sen::get))
}

pub(crate) async fn ping(session: &Session, now: Timestamp) -> Result<(), DbError> {
    let sql = "-- ping
        INSERT INTO pings (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = $1
        RETURNING id, at";
    let row = session.row(sql, &[&now.as_micros()]).await?;
    let read = |row: &dyn SqlRow| {
        let mut row = RowReader::new(row, "pings");
        row.int("id")?;
        row.time("at")
    };
    let there = read_opt(row.as_ref(), read)?;
    there.map(|_| ()).ok_or_else(|| StoreError::Missing { table: "pings" }.into())
}
