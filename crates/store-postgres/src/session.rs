//! One connection for one step: transactions in few round trips, and what becomes of the
//! connection afterwards.
//!
//! Statements that are begun together travel together: the driver sends each when its future is
//! first polled, and the database answers them in order. So a transaction that reads and writes
//! back takes two round trips: `BEGIN` with the read, the writes with `COMMIT`.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool::managed::Object;
use futures::future::{join, join_all, join3, join4};
use gopay_store::StoreError;
use tokio_postgres::{Error, Row};

use crate::error::{DbError, down, store_error};
use crate::fence::Fence;
use crate::reach::Maker;
use crate::statement::{Prepared, Value, Values};

/// A statement to be prepared, with its values.
pub(crate) type Statement<'a> = (&'a str, Vec<Value<'a>>);

/// How a group of steps ended.
pub(crate) enum Ended {
    Durable,
    /// Nothing was done.
    Undone,
    /// Nothing was done if the error is [`StoreError::Busy`]; else nobody knows.
    Failed(StoreError),
}

/// A connection out of the pool. If the step is cut short, the connection is closed, because
/// nobody knows what is under way on it; the database rolls back then.
pub(crate) struct Session {
    /// None only while dropping.
    client: Option<Object<Maker>>,
    /// What each transaction that writes begins with, if this process holds a number.
    fence: Option<Fence>,
    /// A transaction is open, or may be.
    open: AtomicBool,
    /// The last statement was answered and no transaction is open.
    clean: AtomicBool,
}

impl Session {
    pub(crate) const fn new(client: Object<Maker>, fence: Option<Fence>) -> Self {
        let (open, clean) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { client: Some(client), fence, open, clean }
    }

    /// The number that this process holds.
    pub(crate) fn holder(&self) -> Option<i64> {
        self.fence.map(|fence| fence.number)
    }

    fn client(&self) -> Result<&Object<Maker>, StoreError> {
        self.client.as_ref().ok_or_else(|| down("the connection is gone"))
    }

    /// The host of its connection, and the time that it belongs to.
    pub(crate) fn whose(&self) -> (usize, u64) {
        self.client.as_ref().map_or((0, 0), |client| (client.host(), client.time()))
    }

    /// Where its connection writes sums.
    pub(crate) fn slot(&self) -> i64 {
        self.client.as_ref().map_or(0, |client| client.slot())
    }

    async fn prepare<'a>(&self, sql: &'a str) -> Result<Prepared<'a>, DbError> {
        let client = self.client()?;
        let Some(types) = client.types() else {
            return Ok(Prepared::Named(client.prepare_cached(sql).await?));
        };
        Ok(types.prepare(client, sql, self.open.load(Ordering::Relaxed)).await?)
    }

    /// The rows of one statement, inside or outside of a transaction.
    pub(crate) async fn rows(&self, sql: &str, values: &Values<'_>) -> Result<Vec<Row>, DbError> {
        let statement = self.prepare(sql).await?;
        Ok(statement.rows(self.client()?, values).await?)
    }

    /// The first row of one statement.
    pub(crate) async fn row(&self, sql: &str, values: &Values<'_>) -> Result<Option<Row>, DbError> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// Runs one statement; the number of rows that it wrote.
    pub(crate) async fn run(&self, sql: &str, values: &Values<'_>) -> Result<u64, DbError> {
        let statement = self.prepare(sql).await?;
        Ok(statement.run(self.client()?, values).await?)
    }

    /// Runs one statement that writes, outside of a transaction; the first row that it returns.
    pub(crate) async fn write_row(
        &self,
        sql: &str,
        values: &Values<'_>,
    ) -> Result<Option<Row>, DbError> {
        let Some(fence) = self.fenced().await? else { return self.row(sql, values).await };
        let statement = self.prepare(sql).await?;
        let client = self.client()?;
        self.open.store(true, Ordering::Relaxed);
        let (begin, commit) = (client.batch_execute("BEGIN"), client.batch_execute("COMMIT"));
        let written = statement.rows(client, values);
        let (begun, held, rows, committed) =
            join4(begin, self.hold(Some(&fence)), written, commit).await;
        committed?;
        self.open.store(false, Ordering::Relaxed);
        begun?;
        held?;
        Ok(rows?.into_iter().next())
    }

    /// What a transaction that writes has to begin with.
    async fn fenced(&self) -> Result<Option<(Prepared<'static>, Fence)>, DbError> {
        let Some(fence) = self.fence else { return Ok(None) };
        Ok(Some((self.prepare(Fence::SQL).await?, fence)))
    }

    /// Keeps the number from going to another until the transaction ends; fails if it has gone.
    async fn hold(&self, fence: Option<&(Prepared<'static>, Fence)>) -> Result<(), DbError> {
        if let Some((statement, fence)) = fence {
            statement.rows(self.client()?, &[&fence.number, &fence.epoch]).await?;
        }
        Ok(())
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> Result<(), DbError> {
        self.begin_all([]).await.map(|[]| ())
    }

    /// Begins a transaction with a statement that reads.
    pub(crate) async fn begin_rows(
        &self,
        sql: &str,
        values: &Values<'_>,
    ) -> Result<Vec<Row>, DbError> {
        let (fence, statement) = (self.fenced().await?, self.prepare(sql).await?);
        let client = self.client()?;
        self.open.store(true, Ordering::Relaxed);
        let begin = client.batch_execute("BEGIN");
        let read = statement.rows(client, values);
        let (begun, held, rows) = join3(begin, self.hold(fence.as_ref()), read).await;
        begun?;
        held?;
        Ok(rows?)
    }

    /// The same for at most one row.
    pub(crate) async fn begin_row(
        &self,
        sql: &str,
        values: &Values<'_>,
    ) -> Result<Option<Row>, DbError> {
        Ok(self.begin_rows(sql, values).await?.into_iter().next())
    }

    /// Ends the transaction with a statement that writes.
    pub(crate) async fn run_and_commit(
        &self,
        sql: &str,
        values: &Values<'_>,
    ) -> Result<(), DbError> {
        let statement = self.prepare(sql).await?;
        let client = self.client()?;
        self.committed(async { statement.run(client, values).await.map(|_| ()) }).await
    }

    /// Ends the transaction with several statements that write, in their order; none of those that
    /// are left out.
    pub(crate) async fn run_all_and_commit<const N: usize>(
        &self,
        statements: [Option<Statement<'_>>; N],
    ) -> Result<(), DbError> {
        let prepared = self.prepare_all(statements).await?;
        let client = self.client()?;
        let writes = prepared.iter().flatten().map(|(sql, values)| sql.run(client, values));
        let all = async { join_all(writes).await.into_iter().try_for_each(|one| one.map(|_| ())) };
        self.committed(all).await
    }

    /// Ends the transaction with what it has done so far.
    pub(crate) async fn commit(&self) -> Result<(), DbError> {
        self.committed(std::future::ready(Ok(()))).await
    }

    /// After a failed statement the database takes `COMMIT` for `ROLLBACK`, so sending both at
    /// once commits nothing by halves.
    async fn committed(
        &self,
        last: impl Future<Output = Result<(), Error>>,
    ) -> Result<(), DbError> {
        let (written, committed) = join(last, self.client()?.batch_execute("COMMIT")).await;
        committed?;
        self.open.store(false, Ordering::Relaxed);
        Ok(written?)
    }

    /// Begins a transaction with several statements at once; the rows of each, none of those that
    /// are left out.
    pub(crate) async fn begin_all<const N: usize>(
        &self,
        statements: [Option<Statement<'_>>; N],
    ) -> Result<[Vec<Row>; N], DbError> {
        let (fence, prepared) = (self.fenced().await?, self.prepare_all(statements).await?);
        let client = self.client()?;
        self.open.store(true, Ordering::Relaxed);
        let queries = prepared.iter().map(async |prepared| match prepared {
            Some((statement, values)) => statement.rows(client, values).await,
            None => Ok(Vec::new()),
        });
        let begin = client.batch_execute("BEGIN");
        let (begun, held, rows) = join3(begin, self.hold(fence.as_ref()), join_all(queries)).await;
        begun?;
        held?;
        let rows: Vec<_> = rows.into_iter().collect::<Result<_, _>>()?;
        rows.try_into().map_err(|_| down("statements were lost").into())
    }

    /// Ends the transaction with several statements at once.
    pub(crate) async fn write_all_and_commit<const N: usize>(
        &self,
        statements: [Option<Statement<'_>>; N],
    ) -> Ended {
        let Ok(prepared) = self.prepare_all(statements).await else { return Ended::Undone };
        let Ok(client) = self.client() else { return Ended::Undone };
        let writes = prepared.iter().flatten().map(|(sql, values)| sql.run(client, values));
        let (written, committed) = join(join_all(writes), client.batch_execute("COMMIT")).await;
        if let Err(error) = committed {
            return Ended::Failed(store_error(error));
        }
        self.open.store(false, Ordering::Relaxed);
        // After a failed statement the database takes `COMMIT` for `ROLLBACK`.
        if written.iter().all(Result::is_ok) { Ended::Durable } else { Ended::Undone }
    }

    /// Prepares what this connection has not prepared before.
    async fn prepare_all<'v, const N: usize>(
        &self,
        statements: [Option<Statement<'v>>; N],
    ) -> Result<Vec<Option<(Prepared<'v>, Vec<Value<'v>>)>>, DbError> {
        let mut prepared = Vec::with_capacity(N);
        for statement in statements {
            prepared.push(match statement {
                Some((sql, values)) => Some((self.prepare(sql).await?, values)),
                None => None,
            });
        }
        Ok(prepared)
    }

    /// Begins a read of several statements that see the same state: of whole tables, which may
    /// take long.
    pub(crate) async fn begin_snapshot(&self) -> Result<(), DbError> {
        self.open.store(true, Ordering::Relaxed);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL statement_timeout = '10min'; SET LOCAL enable_seqscan = on; \
                     SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on";
        Ok(self.client()?.batch_execute(begin).await?)
    }

    /// Begins a transaction during which nobody else writes payments, refunds or deliveries.
    pub(crate) async fn begin_refill(&self) -> Result<(), DbError> {
        self.open.store(true, Ordering::Relaxed);
        let begin = "BEGIN; SET LOCAL statement_timeout = '10min'; SET LOCAL lock_timeout = '30s'; \
                     SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; \
                     LOCK TABLE payments, refunds, deliveries, day_sums IN EXCLUSIVE MODE";
        Ok(self.client()?.batch_execute(begin).await?)
    }

    /// After a step that has ended, well or not: rolls back what is open, so that the connection
    /// can serve the next. If that fails too, the connection is closed.
    pub(crate) async fn end(&self) {
        if self.open.load(Ordering::Relaxed) {
            let Ok(client) = self.client() else { return };
            if client.batch_execute("ROLLBACK").await.is_err() {
                return;
            }
        }
        self.clean.store(true, Ordering::Relaxed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(client) = self.client.take()
            && !self.clean.load(Ordering::Relaxed)
        {
            drop(Object::take(client));
        }
    }
}
