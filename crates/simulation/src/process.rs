//! One running adapter, and whether it still runs.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gopay_service::Service;
use tokio::sync::{Notify, watch};

/// Whether a process still runs. Tasks of a dead one hang at their next step to the outside, which
/// nobody can tell from their being gone.
pub(crate) struct Life {
    pub(crate) slot: usize,
    generation: u64,
    /// In which it has the number of its slot.
    pub(crate) epoch: i64,
    dead: AtomicBool,
    /// Wakes in the order of waiting, as a `watch` would not.
    died: Notify,
}

impl fmt::Display for Life {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "adapter {}.{}", self.slot, self.generation)
    }
}

impl Life {
    pub(crate) fn new(slot: usize, generation: u64, epoch: i64) -> Self {
        Self { slot, generation, epoch, dead: AtomicBool::new(false), died: Notify::new() }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub(crate) fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_waiters();
    }

    /// Returns when the process is dead.
    pub(crate) async fn until_dead(&self) {
        // Registered before the look, so that no death falls between.
        let died = self.died.notified();
        if !self.is_dead() {
            died.await;
        }
    }

    /// Goes on if the process lives, else never.
    pub(crate) async fn or_hang(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }
}

/// A process and its way in.
pub(crate) struct Process {
    pub(crate) life: Arc<Life>,
    pub(crate) service: Service,
    pub(crate) stop: watch::Sender<bool>,
}
