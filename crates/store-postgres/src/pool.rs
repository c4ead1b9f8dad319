//! How a step is run: alone on a connection of the pool, or in a group.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{HookError, Object, Pool, PoolError, TimeoutType};
use gopay_store::StoreError;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit, TryAcquireError};

use crate::Options;
use crate::batch::Step;
use crate::fault::{Fault, down, trouble};
use crate::queue::{Bounds, Lane, Queue, Reply, Ticket, Told};
use crate::session::Session;

/// Steps in a group at most. It bounds the wait of the first for the last; more make the share of
/// a commit hardly smaller.
const GROUP_MAX: usize = 128;

/// So many that wait do not wait for one group to end before the next begins.
const MANY: usize = GROUP_MAX / 2;

/// What all handles of a store share.
pub(crate) struct Steps {
    pool: Pool,
    /// One permit for each step that runs or waits.
    room: Semaphore,
    pub(crate) queue: Queue,
    /// Where groups run, whoever their callers are.
    pub(crate) runtime: Handle,
    wait: Duration,
    step_timeout: Duration,
}

impl Steps {
    /// To be called inside of a runtime.
    pub(crate) fn new(pool: Pool, options: &Options) -> Self {
        let connections = options.connections.max(2);
        let room = connections.saturating_add(options.queue).min(Semaphore::MAX_PERMITS);
        let bounds = Bounds {
            lanes: options.groups.clamp(1, connections),
            many: MANY,
            lanes_max: connections,
            group_max: GROUP_MAX,
            always: options.groups == 0,
        };
        Self {
            pool,
            room: Semaphore::new(room),
            queue: Queue::new(bounds),
            runtime: Handle::current(),
            wait: options.wait,
            step_timeout: options.step_timeout,
        }
    }

    /// Takes no more steps.
    pub(crate) fn close(&self) {
        self.room.close();
        self.pool.close();
    }

    pub(crate) async fn connection(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Timeout(TimeoutType::Wait) => StoreError::Busy,
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                down("the database did not take a connection in time")
            }
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
                trouble(error)
            }
            PoolError::Closed => down("the store is closed"),
            PoolError::PostCreateHook(_) | PoolError::NoRuntimeSpecified => {
                StoreError::Down(Box::new(error))
            }
        })
    }

    fn enter(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        self.room.try_acquire().map_err(|error| match error {
            TryAcquireError::NoPermits => StoreError::Busy,
            TryAcquireError::Closed => down("the store is closed"),
        })
    }

    /// Runs a step that can go in a group: `make` makes it ready to wait for one, `work` does it
    /// alone.
    pub(crate) async fn grouped<T, F, Fut>(
        self: &Arc<Self>,
        make: impl FnOnce(Reply<T>) -> Step,
        work: F,
    ) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        let _room = self.enter()?;
        let _lane = match Lane::free(self) {
            Some(lane) => Some(lane),
            None => match Ticket::take(self, make).told(self.wait).await {
                Told::Done(result) => return result,
                Told::Alone(lane) => lane,
            },
        };
        self.tries(self.step_timeout, &work).await
    }

    /// Runs a step alone. If the caller goes away, the connection is closed and the database keeps
    /// all of the step or nothing.
    pub(crate) async fn alone<T, F, Fut>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
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
        Fut: Future<Output = Result<T, Fault>>,
    {
        let _room = self.enter()?;
        self.tries(limit, &work).await
    }

    /// Runs a step again if another was in its way.
    async fn tries<T, F, Fut>(&self, limit: Duration, work: &F) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        /// Deadlocks are rare; more in a row mean that something is wrong.
        const TRIES: u32 = 5;
        for turn in 1..=TRIES {
            match self.once(limit, work).await {
                Err(Fault::Again) => {
                    tokio::time::sleep(Duration::from_millis(1 << turn)).await;
                }
                Err(Fault::Store(error)) => return Err(error),
                Ok(value) => return Ok(value),
            }
        }
        Err(StoreError::Busy)
    }

    async fn once<T, F, Fut>(&self, limit: Duration, work: &F) -> Result<T, Fault>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, Fault>>,
    {
        let session = Arc::new(Session::new(self.connection().await?));
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

/// The reason of a step or group that was given up.
pub(crate) const SILENT: &str = "the database did not answer in time";

/// The database has a limit of its own, which leaves the connection usable; this one is for a
/// database that says nothing any more.
fn patience(limit: Duration) -> Duration {
    limit.saturating_add(Duration::from_secs(2))
}
