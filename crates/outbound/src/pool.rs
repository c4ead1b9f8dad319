//! Connections that wait for their next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::connection::Connection;

/// Connections of one origin that are kept unused. More exchanges at once than this are not held back;
/// their connections end with the answer.
const OF_AN_ORIGIN_MAX: usize = 1_024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Pool {
    /// How long an unused connection is kept.
    idle: Duration,
    /// Of how many origins; none: of any number.
    origins_max: Option<usize>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// By the text of their origin; who was used last is last.
    kept: HashMap<String, Vec<Kept>>,
    /// Ends what is kept for too long, while anything is kept.
    sweeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Kept {
    connection: Box<Connection>,
    since: Instant,
}

impl Pool {
    pub(crate) fn new(idle: Duration, origins_max: Option<usize>) -> Self {
        Self { idle, origins_max, state: Mutex::default() }
    }

    /// A connection that its peer has not ended, as far as is known here.
    pub(crate) fn take(&self, origin: &str) -> Option<Box<Connection>> {
        loop {
            // What has ended is closed without the lock.
            let Kept { mut connection, since } = self.state().kept.get_mut(origin)?.pop()?;
            if since.elapsed() < self.idle && connection.is_open() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request, if there is room.
    pub(crate) fn put(self: &Arc<Self>, connection: Box<Connection>) {
        let mut state = self.state();
        let State { kept, sweeper } = &mut *state;
        let origin = connection.origin.text.as_str();
        let room = match kept.get(origin) {
            Some(others) => others.len() < OF_AN_ORIGIN_MAX,
            None if self.origins_max.is_some_and(|max| kept.len() >= max) => false,
            None => {
                kept.insert(origin.to_owned(), Vec::new());
                true
            }
        };
        if room && let Some(others) = kept.get_mut(origin) {
            others.push(Kept { connection, since: Instant::now() });
        }
        // It ends by itself, and with its runtime.
        if sweeper.as_ref().is_none_or(JoinHandle::is_finished) {
            *sweeper = Some(tokio::spawn(sweep(Arc::downgrade(self), self.idle)));
        }
    }

    /// Ends what is kept for too long, and what peers have ended. Whether nothing is left.
    fn clear(&self) -> bool {
        let mut ended = Vec::new();
        let mut state = self.state();
        for kept in state.kept.values_mut() {
            ended.extend(kept.extract_if(.., |kept| {
                kept.since.elapsed() >= self.idle || !kept.connection.is_open()
            }));
        }
        state.kept.retain(|_, kept| !kept.is_empty());
        let empty = state.kept.is_empty();
        if empty {
            state.sweeper = None;
        }
        // What has ended is closed without the lock.
        drop(state);
        empty
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sweep(pool: Weak<Pool>, idle: Duration) {
    loop {
        sleep(idle / 2).await;
        if pool.upgrade().is_none_or(|pool| pool.clear()) {
            return;
        }
    }
}
