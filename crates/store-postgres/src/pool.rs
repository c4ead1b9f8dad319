//! The connections, how many steps may wait for one, and how a step runs alone on one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{HookError, Object, Pool, PoolError, TimeoutType};
use gopay_store::StoreError;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use crate::error::{DbError, down, store_error};
use crate::options::Options;
use crate::session::Session;

/// The reason of a step or group that was given up.
pub(crate) const SILENT: &str = "the database did not answer in time";

/// What all handles of a store share of the database.
pub(crate) struct Connections {
    pool: Pool,
    /// One permit for each step that runs or waits.
    permits: Semaphore,
    step_timeout: Duration,
}

impl Connections {
    pub(crate) fn new(pool: Pool, options: &Options) -> Self {
        let connections = options.connections.max(2);
        let permits = connections.saturating_add(options.queue).min(Semaphore::MAX_PERMITS);
        let step_timeout = options.step_timeout;
        Self { pool, permits: Semaphore::new(permits), step_timeout }
    }

    /// Takes no more steps.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.pool.close();
    }

    /// A connection of the pool.
    pub(crate) async fn get(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                down("the database did not take a connection in time")
            }
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                store_error(error)
            }
            PoolError::Closed => down("the store is closed"),
            PoolError::PostCreateHook(_) | PoolError::NoRuntimeSpecified => {
                StoreError::Down(Box::new(error))
            }
        })
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
                Err(DbError::Store(error)) => return Err(error),
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
        let session = Arc::new(Session::new(self.get().await?));
        let step = async {
            let result = work(Arc::clone(&session)).await;
            session.end().await;
            result
        };
        let ended = tokio::time::timeout(patience(limit), step).await;
        ended.unwrap_or_else(|_| Err(down(SILENT).into()))
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
