//! The lease on an instance's number, held while it runs: no two instances draw the same ids, and what a
//! dead one had claimed is nobody's.
//!
//! A row of `shards` says who has a number, in which epoch and until when by the database's clock. No
//! state of a session is used, so a pooler may stand between. See `gopay_store::lease` for the times,
//! [`Fence`] for what keeps those out who have lost a number.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use gopay_core::time::Timestamp;
use gopay_store::StoreError;
use gopay_store::lease::{LOOK, StoredLease, TERM, WORKERS, Watch};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::connect::{DatabaseUrl, LOCKS};
use crate::error::{DbError, down, store_error};
use crate::fence::Fence;
use crate::holder::Process;
use crate::pool::Connections;
use crate::reclaim::{self, Claims};
use crate::shards;
use crate::statement::Value;
use crate::statistics;

/// How long the database may take to answer.
const ANSWER: Duration = Duration::from_secs(2);
/// How long what the holder before has begun is waited for: longer than any of its statements takes.
const BEGUN: Duration = Duration::from_secs(10);
/// After a renewal failed.
const AGAIN: Duration = Duration::from_millis(250);

/// A number that this process holds, until it is released or lost. Its lease runs out when this is
/// dropped.
#[derive(Debug)]
pub struct NumberLease {
    number: u16,
    lost: watch::Receiver<bool>,
    keeper: tokio::task::JoinHandle<()>,
    desk: Arc<Desk>,
    fence: Fence,
}

impl NumberLease {
    /// See [`crate::PgStore::hold`].
    pub(crate) async fn take(
        connections: &Arc<Connections>,
        place: &DatabaseUrl,
        number: Option<u16>,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let desk = Arc::new(Desk { place: place.clone(), process: Process::this() });
        let mut client = desk.client().await?;
        let began = Instant::now();
        let taken = match number {
            Some(number) => desk.take(&mut client, number, patience).await?,
            None => desk.take_any(&client).await?,
        };
        let fence = Fence { number: i64::from(taken.number), epoch: taken.epoch };
        connections.hold(fence, taken.certain, began + TERM);
        let (sender, lost) = watch::channel(false);
        let keeper = Keeper {
            desk: Arc::clone(&desk),
            connections: Arc::clone(connections),
            fence,
            watch: Watch::default(),
            analyzed: 0,
            analyzing: None,
        };
        let keeper = tokio::spawn(async move {
            keeper.keep(client).await;
            sender.send_replace(true);
        });
        Ok(Self { number: taken.number, lost, keeper, desk, fence })
    }

    /// The number.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// Ready when another instance has the number: it took it while this one did not renew its lease.
    /// This one must stop.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // An error means that the keeper is gone, and with it the lease.
        let _ = lost.wait_for(|lost| *lost).await;
    }

    /// Gives the number back after everything that was begun under it has ended. If it cannot be, the
    /// lease runs out by itself.
    pub async fn release(self) {
        self.keeper.abort();
        let released = timeout(ANSWER, self.desk.release(self.fence)).await;
        if !matches!(released, Ok(Ok(()))) {
            tracing::warn!(
                number = self.number,
                "the number was not given back; its lease runs out"
            );
        }
    }
}

impl Drop for NumberLease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// A lease that was taken.
struct Taken {
    number: u16,
    epoch: i64,
    /// Whoever had the number before has certainly ended.
    certain: bool,
}

/// A number as it is found.
struct Found {
    lease: StoredLease,
    holder: Option<String>,
    now: i64,
    /// Who holds the lock by which programs of schema 8 and before hold their number.
    older: Option<String>,
}

/// What one process asks about leases.
#[derive(Debug)]
struct Desk {
    place: DatabaseUrl,
    process: Process,
}

/// Microseconds by the database's clock.
macro_rules! now {
    () => {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
    };
}

impl Desk {
    async fn client(&self) -> Result<ClientWrapper, StoreError> {
        self.place.client(Some("gopay-adapter instance")).await
    }

    /// Takes a number as soon as it is free. Who renews its lease is waited for as long as the patience
    /// lasts; who does not, until its lease is over.
    async fn take(
        &self,
        client: &mut ClientWrapper,
        number: u16,
        patience: Duration,
    ) -> Result<Taken, StoreError> {
        let (began, mut watch, mut first) = (Instant::now(), Watch::default(), None);
        loop {
            let found = answered(self.find(client, number)).await?;
            let held = found.older.clone().or_else(|| self.held_by(&found));
            let over = !watch.look(found.now, &[found.lease]).is_empty();
            let free = held.is_none() || (over && found.older.is_none());
            if free && let Some(epoch) = self.seize(client, found.lease).await? {
                let certain = held.is_none();
                return Ok(Taken { number, epoch, certain });
            }
            let Some(holder) = held else { continue };
            let first = *first.get_or_insert_with(|| {
                if !patience.is_zero() {
                    tracing::warn!(number, holder, ?patience, "the number is taken; waiting");
                }
                found.lease
            });
            let renewed = first != found.lease;
            let patience = if renewed || found.older.is_some() || patience.is_zero() {
                patience
            } else {
                patience.max(TERM * 3)
            };
            if began.elapsed() >= patience {
                return Err(down(format!(
                    "another instance with number {number} is running ({holder}); give each \
                     instance its own [instance] number"
                )));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Who holds a number, if that is not certainly over.
    fn held_by(&self, found: &Found) -> Option<String> {
        let holder = found.holder.as_deref()?;
        let over = found.lease.is_released() || self.process.is_known_dead(holder);
        (!over).then(|| Process::name(holder))
    }

    /// Takes a number of those who draw no ids.
    async fn take_any(&self, client: &ClientWrapper) -> Result<Taken, StoreError> {
        let sql = "-- lease: free
            SELECT min(number) FROM generate_series($1::bigint, $2::bigint) AS free (number)
            WHERE NOT EXISTS (
                SELECT FROM shards WHERE shard = number AND holder IS NOT NULL AND until <> 0)";
        loop {
            let (first, last) = (i64::from(WORKERS), i64::from(i16::MAX));
            let row = client
                .query_typed_one(sql, &[(&first, Type::INT8), (&last, Type::INT8)])
                .await
                .map_err(store_error)?;
            let number: i64 = row.try_get(0).map_err(store_error)?;
            let number = u16::try_from(number).map_err(|_| down("there is no number left"))?;
            let found = answered(self.find(client, number)).await?;
            let free = found.holder.is_none() || found.lease.is_released();
            if free && let Some(epoch) = self.seize(client, found.lease).await? {
                return Ok(Taken { number, epoch, certain: true });
            }
        }
    }

    async fn find(&self, client: &ClientWrapper, number: u16) -> Result<Found, StoreError> {
        let shard = i64::from(number);
        let sql = "-- lease: first
            INSERT INTO shards (shard, epoch, until) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING";
        client.execute_typed(sql, &[(&shard, Type::INT8)]).await.map_err(store_error)?;
        let sql = concat!(
            "-- lease: find
            SELECT shard, epoch, until, holder, ",
            now!(),
            ", (SELECT coalesce(a.application_name, '') || ', from '
                    || coalesce(host(a.client_addr), 'local')
                FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
                    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND l.classid = $2::bigint::oid AND l.objid = $1::bigint::oid LIMIT 1)
            FROM shards WHERE shard = $1"
        );
        let row = client
            .query_typed_one(sql, &[(&shard, Type::INT8), (&i64::from(LOCKS), Type::INT8)])
            .await
            .map_err(store_error)?;
        let lease = lease(&row)?;
        let (holder, now) = (row.try_get(3), row.try_get(4));
        let (holder, now) = (holder.map_err(store_error)?, now.map_err(store_error)?);
        Ok(Found { lease, holder, now, older: row.try_get(5).map_err(store_error)? })
    }

    /// Takes a number that is as it was found; the epoch. Waits for what its holder has begun.
    async fn seize(
        &self,
        client: &ClientWrapper,
        found: StoredLease,
    ) -> Result<Option<i64>, StoreError> {
        let sql = concat!(
            "-- lease: take
            WITH free AS (
                SELECT shard FROM shards WHERE shard = $1 AND epoch = $2 AND until = $3 FOR UPDATE)
            UPDATE shards s SET holder = $4, epoch = s.epoch + 1, until = $5 + ",
            now!(),
            " FROM free WHERE s.shard = free.shard RETURNING s.epoch"
        );
        let (number, holder, term) = (i64::from(found.number), self.process.text(), term());
        let values: [(Value<'_>, Type); 5] = [
            (&number, Type::INT8),
            (&found.epoch, Type::INT8),
            (&found.until, Type::INT8),
            (&holder, Type::TEXT),
            (&term, Type::INT8),
        ];
        let taken = timeout(BEGUN, client.query_typed_opt(sql, &values)).await;
        let taken = taken.map_err(|_| down("what its holder has begun does not end"))?;
        let row = taken.map_err(store_error)?;
        row.map(|row| row.try_get(0).map_err(store_error)).transpose()
    }

    async fn release(&self, fence: Fence) -> Result<(), StoreError> {
        let sql = "-- lease: release
            UPDATE shards SET until = 0 WHERE shard = $1 AND epoch = $2";
        let client = self.client().await?;
        client.execute_typed(sql, &fence.values()).await.map_err(store_error)?;
        Ok(())
    }
}

fn term() -> i64 {
    i64::try_from(TERM.as_micros()).unwrap_or(i64::MAX)
}

fn lease(row: &Row) -> Result<StoredLease, StoreError> {
    let read = |column: usize| row.try_get::<_, i64>(column).map_err(store_error);
    let (number, epoch, until) = (read(0)?, read(1)?, read(2)?);
    let number = u16::try_from(number).map_err(|_| StoreError::Corrupt {
        table: "shards",
        column: "shard",
        row: number.to_string(),
    })?;
    Ok(StoredLease { number, epoch, until })
}

async fn answered<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(ANSWER, asked).await.map_err(|_| down("the database did not answer in time"))?
}

/// Renews a lease, and buries the holders of others.
struct Keeper {
    desk: Arc<Desk>,
    connections: Arc<Connections>,
    fence: Fence,
    watch: Watch,
    /// How often the statistics of the database were made anew.
    analyzed: u32,
    analyzing: Option<JoinHandle<()>>,
}

/// Statistics are made anew so often at most: each time for a database that has grown fourfold. One whose
/// tables are another role's stays as it is.
const ANALYZED_MAX: u32 = 8;

/// What a look found.
enum Seen {
    Held,
    Lost(String),
}

impl Keeper {
    /// Returns when the number is lost.
    async fn keep(mut self, first: ClientWrapper) {
        let mut client = Some(first);
        loop {
            sleep(if client.is_some() { LOOK } else { AGAIN }).await;
            let began = Instant::now();
            match answered(self.look(&mut client)).await {
                Ok(Seen::Held) => {}
                Ok(Seen::Lost(holder)) => {
                    self.connections.held_until(began);
                    let number = self.fence.number;
                    return tracing::error!(number, holder, "another has the number");
                }
                Err(error) => {
                    if client.take().is_some() {
                        let number = self.fence.number;
                        tracing::warn!(%error, number, "the lease was not renewed; trying again");
                    }
                }
            }
        }
    }

    async fn look(&mut self, client: &mut Option<ClientWrapper>) -> Result<Seen, StoreError> {
        let client = match client {
            Some(client) => client,
            None => client.insert(self.desk.client().await?),
        };
        let sql = concat!(
            "-- lease: renew
            UPDATE shards SET until = $3 + ",
            now!(),
            " WHERE shard = $1 AND epoch = $2"
        );
        let (Fence { number, epoch }, began) = (self.fence, Instant::now());
        let renewed = client
            .execute_typed(
                sql,
                &[(&number, Type::INT8), (&epoch, Type::INT8), (&term(), Type::INT8)],
            )
            .await
            .map_err(store_error)?;
        let own = u16::try_from(number).unwrap_or(u16::MAX);
        let found = self.desk.find(client, own).await?;
        if renewed == 0 || found.older.is_some() {
            let holder = found.older.or_else(|| found.holder.as_deref().map(Process::name));
            return Ok(Seen::Lost(holder.unwrap_or_else(|| "nobody any more".to_owned())));
        }
        self.connections.held_until(began + TERM);
        let sql = "-- lease: look
            SELECT shard, epoch, until FROM shards WHERE holder IS NOT NULL AND shard <> $1";
        let rows = client.query_typed(sql, &[(&number, Type::INT8)]).await.map_err(store_error)?;
        let leases: Vec<_> = rows.iter().map(lease).collect::<Result<_, _>>()?;
        for dead in self.watch.look(found.now, &leases) {
            self.bury(client, dead, Timestamp::from_micros(found.now)).await?;
        }
        let under_way = self.analyzing.as_ref().is_some_and(|task| !task.is_finished());
        if self.analyzed < ANALYZED_MAX && !under_way && statistics::are_outgrown(client).await? {
            self.analyze();
        }
        Ok(Seen::Held)
    }

    /// Has statistics made anew, on a connection of its own: that may take longer than a look.
    fn analyze(&mut self) {
        self.analyzed += 1;
        let desk = Arc::clone(&self.desk);
        self.analyzing = Some(tokio::spawn(async move {
            let done = async { statistics::analyze(&desk.client().await?).await };
            if let Err(error) = done.await {
                tracing::warn!(%error, "the statistics of the database were not made anew");
            }
        }));
    }

    /// Ends a lease whose holder is dead, and makes due what it had claimed, in one transaction: it waits
    /// for what the holder has begun, and whatever it begins later is refused.
    async fn bury(
        &self,
        client: &ClientWrapper,
        dead: StoredLease,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let took = client.batch_execute("BEGIN; SET LOCAL lock_timeout = 1500").await;
        took.map_err(store_error)?;
        let buried = self.bury_locked(client, dead, now).await;
        let end = if matches!(buried, Ok(Some(_))) { "COMMIT" } else { "ROLLBACK" };
        client.batch_execute(end).await.map_err(store_error)?;
        let count = match buried {
            Ok(Some(count)) => count,
            // Another was first, or its holder lives.
            Ok(None) => return Ok(()),
            // What it has begun is not over; it is tried again at the next look.
            Err(DbError::Again | DbError::Store(StoreError::Busy)) => return Ok(()),
            Err(DbError::Store(error) | DbError::Gone(error)) => return Err(error),
        };
        let (number, epoch) = (dead.number, dead.epoch);
        if dead.is_released() {
            tracing::debug!(number, count, "an instance has ended");
        } else {
            tracing::warn!(
                number,
                epoch,
                count,
                "an instance has not renewed its lease; what it had claimed is due"
            );
        }
        Ok(())
    }

    async fn bury_locked(
        &self,
        client: &ClientWrapper,
        dead: StoredLease,
        now: Timestamp,
    ) -> Result<Option<i64>, DbError> {
        let sql = "-- lease: bury
            WITH dead AS (
                SELECT shard FROM shards WHERE shard = $1 AND epoch = $2 AND until = $3 FOR UPDATE)
            UPDATE shards s SET holder = NULL, epoch = s.epoch + 1, until = 0
            FROM dead WHERE s.shard = dead.shard RETURNING s.epoch";
        let number = i64::from(dead.number);
        client.query_typed_one(Fence::SQL, &self.fence.values()).await?;
        let ended = client
            .query_typed_opt(
                sql,
                &[(&number, Type::INT8), (&dead.epoch, Type::INT8), (&dead.until, Type::INT8)],
            )
            .await?;
        if ended.is_none() {
            return Ok(None);
        }
        let claims = Claims::new(number, dead.is_released(), now, now);
        let mut due = 0_i64;
        for row in client.query_typed(shards::KNOWN, &[]).await? {
            let claims = claims.in_shard(row.try_get(0)?);
            let row = client.query_typed_one(reclaim::SQL, &claims.typed()).await?;
            due = due.saturating_add(row.try_get(0)?);
        }
        Ok(Some(due))
    }
}
