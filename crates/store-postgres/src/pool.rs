//! The connections, how many steps may wait for one, and how a step runs alone on one.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, Pool, PoolError, TimeoutType};
use gopay_store::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};
use tokio::time::{Instant, timeout};

use crate::connect::{DatabaseUrl, Setup};
use crate::error::{DbError, down};
use crate::fence::Fence;
use crate::options::Options;
use crate::reach::{Maker, Reach};
use crate::session::Session;

/// The reason of a step or group that was given up.
pub(crate) const SILENT: &str = "the database did not answer in time";

/// How often a step that waits for the database is looked at.
const TICK: Duration = Duration::from_millis(250);

/// What all handles of a store share of the database.
pub(crate) struct Connections {
    pool: Pool<Maker>,
    reach: Arc<Reach>,
    /// One permit for each step that runs or waits.
    permits: Semaphore,
    step_timeout: Duration,
    /// The number that this process holds.
    held: OnceLock<Held>,
}

/// A number that this process holds.
struct Held {
    fence: Fence,
    /// Whoever had it before has certainly ended.
    certain: bool,
    since: Instant,
    /// Until when nobody else can have taken it, in milliseconds after `since`.
    until: AtomicU64,
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.reach.close();
    }
}

impl Connections {
    pub(crate) fn new(
        place: &DatabaseUrl,
        options: &Options,
        setup: Setup,
    ) -> Result<Self, StoreError> {
        let connections = options.connections.max(2);
        let asked = place.asked(options, setup)?;
        let reach = Arc::new(Reach::new(place.hosts(), asked, place.is_pooled()));
        // Making a connection has bounds of its own, by host.
        let pool = Pool::builder(Maker(Arc::clone(&reach)))
            .max_size(connections)
            .wait_timeout(Some(options.wait))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Down(Box::new(error)))?;
        let permits = connections.saturating_add(options.queue).min(Semaphore::MAX_PERMITS);
        let step_timeout = options.step_timeout;
        Ok(Self {
            pool,
            reach,
            permits: Semaphore::new(permits),
            step_timeout,
            held: OnceLock::new(),
        })
    }

    /// Takes no more steps.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.pool.close();
        self.reach.close();
    }

    /// See [`gopay_store::Store::epoch`].
    pub(crate) fn epoch(&self) -> u64 {
        self.reach.epoch()
    }

    /// From now on every step that writes is one of the holder of this number.
    pub(crate) fn hold(&self, fence: Fence, certain: bool, until: Instant) {
        let held = Held { fence, certain, since: Instant::now(), until: AtomicU64::new(0) };
        // A store is held once.
        let _ = self.held.set(held);
        self.held_until(until);
    }

    /// The lease was renewed.
    pub(crate) fn held_until(&self, until: Instant) {
        if let Some(held) = self.held.get() {
            let millis = until.saturating_duration_since(held.since).as_millis();
            held.until.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Release);
        }
    }

    /// See [`gopay_store::Store::may_begin`].
    pub(crate) fn may_begin(&self) -> bool {
        self.held.get().is_none_or(|held| {
            held.since.elapsed() < Duration::from_millis(held.until.load(Ordering::Acquire))
        })
    }

    /// Whether who had the number of this process before has certainly ended.
    pub(crate) fn is_heir(&self) -> bool {
        self.held.get().is_some_and(|held| held.certain)
    }

    pub(crate) fn session(&self, client: Object<Maker>) -> Session {
        Session::new(client, self.held.get().map(|held| held.fence))
    }

    /// A connection of the pool.
    pub(crate) async fn get(&self) -> Result<Object<Maker>, StoreError> {
        self.reach.here().await?;
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
            PoolError::Backend(error) => error,
            PoolError::Closed => down("the store is closed"),
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle)
            | PoolError::PostCreateHook(_)
            | PoolError::NoRuntimeSpecified => StoreError::Down(Box::new(error)),
        })
    }

    /// Does work on a connection, at most for so long, and not longer than its host is there.
    pub(crate) async fn watched<T>(
        &self,
        session: &Session,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, StoreError> {
        let (began, mut work) = (Instant::now(), std::pin::pin!(work));
        let (host, time) = session.whose();
        loop {
            if let Ok(done) = timeout(TICK, &mut work).await {
                self.reach.answered();
                return Ok(done);
            }
            let waited = began.elapsed();
            if waited >= limit {
                self.void(time);
            }
            if waited >= limit || self.reach.is_void(time) {
                return Err(down(SILENT));
            }
            self.reach.suspect(host, time, waited);
        }
    }

    /// Gives up all connections of that time.
    fn void(&self, time: u64) {
        self.reach.void(time);
        // Those that are in use are dropped when they come back.
        self.pool.retain(|connection, _| !self.reach.is_void(connection.time()));
    }

    /// The right to wait and to run, for one step.
    pub(crate) fn permit(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.permits.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => StoreError::Busy,
            TryAcquireError::Closed => down("the store is closed"),
        })
    }

    /// Runs a step alone. If the caller goes away, the connection is closed and the database keeps
    /// all of the step or nothing.
    pub(crate) async fn alone<T, F, Fut>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, DbError>>,
    {
        self.alone_within(self.step_timeout, work).await
    }

    pub(crate) async fn alone_within<T, F, Fut>(
        &self,
        limit: Duration,
        work: F,
    ) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, DbError>>,
    {
        let _permit = self.permit()?;
        self.run(limit, &work).await
    }

    /// Runs a step whose caller has a permit.
    pub(crate) async fn run_permitted<T, F, Fut>(&self, work: &F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, DbError>>,
    {
        self.run(self.step_timeout, work).await
    }

    /// Runs a step again if another was in its way.
    async fn run<T, F, Fut>(&self, limit: Duration, work: &F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, DbError>>,
    {
        /// Deadlocks are rare; more in a row mean that something is wrong.
        const TRIES: u32 = 5;
        for turn in 1..=TRIES {
            match self.run_once(limit, work).await {
                Err(DbError::Again) => {
                    tokio::time::sleep(Duration::from_millis(1 << turn)).await;
                }
                Err(DbError::Store(error) | DbError::Gone(error)) => return Err(error),
                Ok(value) => return Ok(value),
            }
        }
        Err(StoreError::Busy)
    }

    async fn run_once<T, F, Fut>(&self, limit: Duration, work: &F) -> Result<T, DbError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, DbError>>,
    {
        let session = Arc::new(self.session(self.get().await?));
        let step = async {
            let result = work(Arc::clone(&session)).await;
            if let Err(DbError::Gone(_)) = result {
                self.void(session.whose().1);
            } else {
                session.end().await;
            }
            result
        };
        let ended = self.watched(&session, patience(limit), step).await;
        ended.unwrap_or_else(|error| Err(error.into()))
    }

    /// How long a group may take.
    pub(crate) fn patience(&self) -> Duration {
        patience(self.step_timeout)
    }
}

/// The database has a limit of its own, which leaves the connection usable; this one is for a
/// database that says nothing any more.
fn patience(limit: Duration) -> Duration {
    limit.saturating_add(Duration::from_secs(2))
}
