//! Whether the database is reached, which connections are still good, and how it is found again.
//!
//! A host that falls silent leaves connections behind on which nobody answers any more: each would cost
//! a caller its whole patience. So one that is silent, or says that its server is no good, makes all of
//! its time void. From then on one task looks for a host that serves, and callers are told at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use gopay_store::StoreError;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::error::away;
use crate::hosts::{Asked, Hosts, Reached};
use crate::statement::KnownTypes;

/// After so long without any answer, a step that waits makes one ask whether its host is there at all.
const SUSPECT: Duration = Duration::from_millis(750);

/// So long a caller waits for the database to be found again before it is told that it is away. A
/// connection that somebody ended costs nobody an error.
const GRACE: Duration = Duration::from_millis(250);

/// A connection of the pool.
pub(crate) struct Connection {
    client: ClientWrapper,
    host: usize,
    /// The time that it belongs to.
    time: u64,
    /// Where it writes sums, so that connections of one pool seldom wait for each other.
    slot: i64,
    reach: Arc<Reach>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.client.is_closed() || self.reach.is_void(self.time) {
            self.reach.ended.store(true, Ordering::Release);
        }
    }
}

impl Connection {
    pub(crate) const fn host(&self) -> usize {
        self.host
    }

    pub(crate) const fn time(&self) -> u64 {
        self.time
    }

    pub(crate) const fn slot(&self) -> i64 {
        self.slot
    }

    /// Behind a pooler, what is known of statements.
    pub(crate) fn types(&self) -> Option<&KnownTypes> {
        self.reach.types.as_ref()
    }
}

impl std::ops::Deref for Connection {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        &self.client
    }
}

/// See the module.
pub(crate) struct Reach {
    hosts: Arc<Hosts>,
    asked: Asked,
    /// Connections of an earlier time are void.
    time: AtomicU64,
    /// No host is known to serve; somebody is looking for one.
    is_away: AtomicBool,
    /// Wakes those who wait for the end of that.
    found: Notify,
    /// The connection that ended it.
    spare: Mutex<Option<Reached>>,
    search: Mutex<Option<AbortHandle>>,
    /// Somebody asks whether a host is silent.
    doubts: AtomicBool,
    /// When the database answered last, in milliseconds since `began`.
    heard: AtomicU64,
    began: Instant,
    /// A connection has ended that nobody here ended; the next may lead to another copy.
    ended: AtomicBool,
    /// How often one was made after that.
    epoch: AtomicU64,
    /// How many connections were made.
    made: AtomicU64,
    /// Behind a pooler, of all connections.
    types: Option<KnownTypes>,
}

impl Reach {
    pub(crate) fn new(hosts: Arc<Hosts>, asked: Asked, is_pooled: bool) -> Self {
        Self {
            hosts,
            asked,
            time: AtomicU64::new(0),
            is_away: AtomicBool::new(false),
            found: Notify::new(),
            spare: Mutex::default(),
            search: Mutex::default(),
            doubts: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            began: Instant::now(),
            ended: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            made: AtomicU64::new(0),
            types: is_pooled.then(KnownTypes::default),
        }
    }

    /// See [`gopay_store::Store::epoch`].
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether connections of that time are void.
    pub(crate) fn is_void(&self, time: u64) -> bool {
        self.time.load(Ordering::Acquire) != time
    }

    /// Waits for a moment if the database is away.
    ///
    /// # Errors
    /// [`StoreError::Away`] if it still is.
    pub(crate) async fn here(&self) -> Result<(), StoreError> {
        if !self.is_away.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut found = std::pin::pin!(self.found.notified());
        found.as_mut().enable();
        if !self.is_away.load(Ordering::Acquire) {
            return Ok(());
        }
        timeout(GRACE, found).await.map_err(|_| away(self.hosts.why()))
    }

    /// Lets nobody use the connections of that time any more, and has a host looked for that serves.
    /// True for the one who was first to say so.
    pub(crate) fn void(self: &Arc<Self>, time: u64) -> bool {
        let next = time.wrapping_add(1);
        let voided = self.time.compare_exchange(time, next, Ordering::AcqRel, Ordering::Acquire);
        if voided.is_ok() {
            self.ended.store(true, Ordering::Release);
            self.look();
        }
        voided.is_ok()
    }

    /// Looks for a host that serves, if nobody does.
    fn look(self: &Arc<Self>) {
        if self.is_away.swap(true, Ordering::AcqRel) {
            return;
        }
        let reach = Arc::clone(self);
        let search = tokio::spawn(async move {
            let reached = reach.hosts.find(&reach.asked).await;
            *reach.spare() = Some(reached);
            reach.answered();
            reach.is_away.store(false, Ordering::Release);
            reach.found.notify_waiters();
        });
        *self.search.lock().unwrap_or_else(PoisonError::into_inner) = Some(search.abort_handle());
    }

    /// Ends a search that nobody needs any more.
    pub(crate) fn close(&self) {
        if let Some(search) = self.search.lock().unwrap_or_else(PoisonError::into_inner).take() {
            search.abort();
        }
        drop(self.spare().take());
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Option<Reached>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The database has answered somebody.
    pub(crate) fn answered(&self) {
        self.heard.store(self.now(), Ordering::Relaxed);
    }

    /// A step has waited for so long on a connection. If nobody else had an answer meanwhile, the host
    /// is asked by a connection more; if that gets none either, the connections to it are void.
    pub(crate) fn suspect(self: &Arc<Self>, host: usize, time: u64, waited: Duration) {
        let suspect = u64::try_from(SUSPECT.as_millis()).unwrap_or(u64::MAX);
        let silent_for = self.now().saturating_sub(self.heard.load(Ordering::Relaxed));
        if waited < SUSPECT || silent_for < suspect || self.doubts.swap(true, Ordering::AcqRel) {
            return;
        }
        let reach = Arc::clone(self);
        tokio::spawn(async move {
            if !reach.hosts.is_silent(host, &reach.asked).await {
                reach.answered();
            } else if reach.void(time) {
                let why = reach.hosts.why();
                tracing::warn!(why, "the database is silent; its connections are given up");
            }
            reach.doubts.store(false, Ordering::Release);
        });
    }
}

/// Makes the connections of the pool.
pub(crate) struct Maker(pub(crate) Arc<Reach>);

impl Manager for Maker {
    type Type = Connection;
    type Error = StoreError;

    async fn create(&self) -> Result<Connection, StoreError> {
        let reach = &self.0;
        let time = reach.time.load(Ordering::Acquire);
        let spare = reach.spare().take();
        let reached = match spare {
            Some(reached) => Ok(reached),
            None => reach.hosts.connect(&reach.asked).await,
        };
        let Reached { client, host } = reached.inspect_err(|error| {
            if matches!(error, StoreError::Away(_)) {
                reach.void(time);
            }
        })?;
        if reach.ended.swap(false, Ordering::AcqRel) {
            reach.epoch.fetch_add(1, Ordering::AcqRel);
        }
        let slot = reach.made.fetch_add(1, Ordering::Relaxed) % gopay_store::sums::SLOTS;
        let slot = i64::try_from(slot).unwrap_or_default();
        Ok(Connection { client, host, time, slot, reach: Arc::clone(reach) })
    }

    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<StoreError> {
        if self.0.is_void(connection.time) {
            return Err(RecycleError::message("its time is over"));
        }
        if connection.is_closed() {
            return Err(RecycleError::message("it was closed"));
        }
        Ok(())
    }
}
