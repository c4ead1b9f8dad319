//! Steps that go together: one transaction for all that wait, with one statement for all rows of
//! a table.
//!
//! Reading order: [`queue`] (who waits, generic), [`step`] (what waits), `run` (a group's life),
//! [`statements`] (its SQL), [`decide`] (its rules).

mod decide;
mod queue;
mod run;
mod statements;
mod step;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use gopay_store::StoreError;
use tokio::runtime::Handle;

use crate::error::DbError;
use crate::options::Options;
use crate::pool::Connections;
use crate::session::Session;

use queue::{Bounds, Queue};
pub(crate) use step::{Application, Attempt, Reply, Step};

/// Steps in a group at most. It bounds the wait of the first for the last; more make the share of
/// a commit hardly smaller.
const GROUP_MAX: usize = 128;

/// So many that wait do not wait for one group to end before the next begins.
const MANY: usize = GROUP_MAX / 2;

/// Runs steps in groups, or alone if nobody else is on the way.
pub(crate) struct Groups {
    connections: Arc<Connections>,
    queue: Arc<Queue<Step>>,
    wait: Duration,
}

impl Groups {
    /// To be called inside of a runtime.
    pub(crate) fn new(connections: Arc<Connections>, options: &Options) -> Self {
        let lanes_max = options.connections.max(2);
        let bounds = Bounds {
            lanes: options.groups.clamp(1, lanes_max),
            many: MANY,
            lanes_max,
            group_max: GROUP_MAX,
            always: options.groups == 0,
        };
        let shared = Arc::clone(&connections);
        let runner = move |group, lane| -> queue::Run {
            Box::pin(run::run(Arc::clone(&shared), group, lane))
        };
        let queue = Arc::new(Queue::new(bounds, Handle::current(), Box::new(runner)));
        Self { connections, queue, wait: options.wait }
    }

    /// Runs a step that can go in a group: `make` makes it ready to wait for one, `work` does it
    /// alone.
    pub(crate) async fn run<T, F, Fut>(
        &self,
        make: impl FnOnce(Reply<T>) -> Step,
        work: F,
    ) -> Result<T, StoreError>
    where
        F: Fn(Arc<Session>) -> Fut,
        Fut: Future<Output = Result<T, DbError>>,
    {
        let _permit = self.connections.permit()?;
        let _lane = match self.queue.free_lane() {
            Some(lane) => Some(lane),
            None => match self.queue.enter(make).outcome(self.wait).await {
                queue::Outcome::Done(result) => return result,
                queue::Outcome::Alone(lane) => lane,
            },
        };
        self.connections.run_permitted(&work).await
    }
}
