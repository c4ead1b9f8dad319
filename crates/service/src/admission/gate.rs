//! A gate that lets so many through at once; how many can be changed while some are inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    max: AtomicUsize,
    inside: AtomicUsize,
    closed: AtomicBool,
    /// Somebody left after it was closed.
    left: Notify,
}

/// Somebody inside; leaves when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<Gate>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst);
        if self.0.closed.load(Ordering::SeqCst) {
            self.0.left.notify_one();
        }
    }
}

impl Gate {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max: AtomicUsize::new(max),
            inside: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            left: Notify::new(),
        })
    }

    /// Those that are inside stay, however many may be.
    pub(crate) fn resize(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    pub(crate) fn enter(gate: &Arc<Self>) -> Option<Permit> {
        let max = gate.max.load(Ordering::Relaxed);
        let one_more = |inside: usize| (inside < max).then_some(inside.saturating_add(1));
        gate.inside.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more).ok()?;
        let permit = Permit(Arc::clone(gate));
        // Asked after entering: the closing either sees this one, or is seen.
        (!gate.closed.load(Ordering::SeqCst)).then_some(permit)
    }

    /// Lets nobody in any more, and waits until nobody is inside. One may wait.
    pub(crate) async fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        while self.inside.load(Ordering::SeqCst) > 0 {
            self.left.notified().await;
        }
    }
}
