//! Jobs, the queues in which they wait, and what the threads share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use gopay_store::StoreError;
use tokio::sync::oneshot;

use crate::error::down;
use crate::file::DbFile;
use crate::session::Session;

/// What all threads of a store share.
pub(crate) struct Shared {
    pub(crate) file: DbFile,
    pub(crate) closed: AtomicBool,
    /// The log holds what a step has just overwritten.
    pub(crate) empty_log: AtomicBool,
    /// Odd while the store is down. Grows at every change, so that a reader sees that its
    /// connection is from before one.
    generation: AtomicU64,
    /// Why it is down, in words; of use only while it is.
    down_because: RwLock<String>,
    pub(crate) commits: AtomicU64,
    pub(crate) jobs: AtomicU64,
    pub(crate) largest_group: AtomicU64,
}

impl Shared {
    pub(crate) const fn new(file: DbFile) -> Self {
        Self {
            file,
            closed: AtomicBool::new(false),
            empty_log: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            down_because: RwLock::new(String::new()),
            commits: AtomicU64::new(0),
            jobs: AtomicU64::new(0),
            largest_group: AtomicU64::new(0),
        }
    }

    /// Grows when the store goes down, and again when it was read anew.
    pub(crate) fn epoch(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The generation of connections that may be used.
    pub(crate) fn generation(&self) -> Result<u64, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(down("the store is closed"));
        }
        let generation = self.generation.load(Ordering::Acquire);
        if generation.is_multiple_of(2) { Ok(generation) } else { Err(self.recovering()) }
    }

    /// Says why the store is down: whoever asks much later must still be told.
    pub(crate) fn explain(&self, error: &dyn std::error::Error) {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        *self.down_because.write().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// The answer to everything that comes while the store is down.
    pub(crate) fn recovering(&self) -> StoreError {
        let down_because = self.down_because.read().unwrap_or_else(PoisonError::into_inner);
        down(format!("the database has not been read again since a commit failed; {down_because}"))
    }

    /// Goes down or comes up again. Only the writer calls it, so the two alternate.
    pub(crate) fn turn(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn count(&self, group: usize) {
        let group = u64::try_from(group).unwrap_or(u64::MAX);
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.jobs.fetch_add(group, Ordering::Relaxed);
        self.largest_group.fetch_max(group, Ordering::Relaxed);
    }
}

fn not_begun() -> StoreError {
    down("the step was not begun")
}

/// Work on a connection, and somebody who waits for its result.
pub(crate) trait Job: Send {
    /// Nobody waits any more.
    fn abandoned(&self) -> bool;
    /// Does the work and keeps the result; false if it failed and must be rolled back. May be
    /// called again after a rollback.
    fn run(&mut self, db: &Session<'_>) -> bool;
    /// Tells the result.
    fn answer(self: Box<Self>);
    /// Tells an error, whatever the result was, unless that was [`StoreError::Down`] already.
    fn fail(self: Box<Self>, error: StoreError);
}

struct Task<F, T> {
    work: F,
    ran: bool,
    result: Result<T, StoreError>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Task<F, T>
where
    F: Fn(&Session<'_>) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, db: &Session<'_>) -> bool {
        self.ran = true;
        // A panic is a bug in one step; the thread serves all the others. The connection is sound
        // after it: statements reset themselves, and what the step wrote is rolled back.
        self.result = catch_unwind(AssertUnwindSafe(|| (self.work)(db)))
            .unwrap_or_else(|_| Err(down("a step of the store panicked")));
        self.result.is_ok()
    }

    fn answer(self: Box<Self>) {
        // A caller that has gone away does not want the result.
        let _ = self.reply.send(self.result);
    }

    fn fail(self: Box<Self>, error: StoreError) {
        // What brought the job down says more than that its group was lost.
        let own = self.ran && matches!(self.result, Err(StoreError::Down(_)));
        let _ = self.reply.send(if own { self.result } else { Err(error) });
    }
}

/// A bounded queue of jobs.
pub(crate) struct Queue {
    sender: RwLock<Option<Sender<Box<dyn Job>>>>,
}

impl Queue {
    pub(crate) fn new(bound: usize) -> (Self, Receiver<Box<dyn Job>>) {
        let (sender, receiver) = bounded(bound);
        (Self { sender: RwLock::new(Some(sender)) }, receiver)
    }

    /// Sends work and waits for its result.
    pub(crate) async fn ask<F, T>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(&Session<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(Task { work, ran: false, result: Err(not_begun()), reply }))?;
        answer.await.unwrap_or_else(|_| Err(down("the store ended before it answered")))
    }

    fn send(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or_else(|| down("the store is closed"))?;
        sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => down("a thread of the store has died"),
        })
    }

    /// How many wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().map_or(0, Sender::len)
    }

    /// Takes no more; the thread ends when it has done what waits.
    pub(crate) fn close(&self) {
        self.sender.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}
