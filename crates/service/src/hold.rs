//! Calls that wait while the store is away, instead of being refused: a planned switchover of the
//! database takes a second or two, and nobody needs to notice. Bounded in time, number and bytes; who
//! finds no room is told at once.

use std::sync::Arc;
use std::time::Duration;

use gopay_store::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a step of a call is tried again. With the rest of the call its answer comes within five
/// seconds. A switchover under Patroni takes 2.5 seconds until the new primary takes writes, and up to
/// two more until a standby follows it, without which nothing is committed.
pub(crate) const PATIENCE: Duration = Duration::from_millis(4_250);

/// A step that is under way then is waited for so much longer.
pub(crate) const MARGIN: Duration = Duration::from_millis(250);

/// Between two tries. The store itself waits for a moment before it says that it is away.
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// How long a call goes on in the background after its PSP was told that its outcome is unknown. With
/// [`PATIENCE`] and the time that a charge may take it is over before a worker closes the payment, a
/// minute after it was begun.
pub(crate) const LATER: Duration = Duration::from_secs(20);

/// Ten seconds of 50 calls each.
const CALLS_MAX: usize = 512;

/// Of all of them together: 16 MiB.
const KIB_MAX: usize = 16 * 1024;

/// What a step is told that was given up: it may have been done.
pub(crate) fn no_answer() -> StoreError {
    StoreError::Down("the store did not answer in time".into())
}

/// How many may wait.
pub(crate) struct Hold {
    calls: Arc<Semaphore>,
    kib: Arc<Semaphore>,
}

/// The right to wait, of one call.
#[derive(Debug)]
pub(crate) struct Held {
    _call: OwnedSemaphorePermit,
    _kib: OwnedSemaphorePermit,
}

impl Default for Hold {
    fn default() -> Self {
        Self { calls: Arc::new(Semaphore::new(CALLS_MAX)), kib: Arc::new(Semaphore::new(KIB_MAX)) }
    }
}

impl Hold {
    /// The right to wait for a call of so many bytes; none if there is no room.
    pub(crate) fn enter(&self, bytes: usize) -> Option<Held> {
        let kib = u32::try_from(bytes.div_ceil(1024)).ok()?;
        let call = Arc::clone(&self.calls).try_acquire_owned().ok()?;
        let kib = Arc::clone(&self.kib).try_acquire_many_owned(kib).ok()?;
        Some(Held { _call: call, _kib: kib })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_bounded_in_number_and_in_bytes() {
        let hold = Hold::default();
        let small: Vec<_> = (0..CALLS_MAX).map(|_| hold.enter(1).expect("room")).collect();
        assert!(hold.enter(1).is_none());
        drop(small);
        let half = hold.enter(KIB_MAX / 2 * 1024).expect("room");
        assert!(hold.enter(KIB_MAX / 2 * 1024 + 1).is_none());
        assert!(hold.enter(KIB_MAX / 2 * 1024).is_some());
        drop(half);
        assert!(hold.enter(KIB_MAX * 1024).is_some());
        assert!(hold.enter(usize::MAX).is_none());
    }
}
