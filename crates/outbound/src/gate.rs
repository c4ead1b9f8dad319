//! Who is woken by a connection.
//!
//! A connection is polled by the task that waits for an answer, and much of what would wake it is done by
//! that very poll: a part of the body is taken, and whoever may send the next is told. Handed on, each such
//! wake would poll the whole task once more, from its own connection down to here, and perhaps another
//! thread to do it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// The connection is being polled, or nobody waits for it: a wake is remembered.
const OPEN: u8 = 0;
/// Somebody waits for it, and is woken.
const WAITED_FOR: u8 = 1;
/// It was woken since it was polled.
const WOKEN: u8 = 2;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: AtomicU8,
    /// Who waited last.
    task: Mutex<Option<Waker>>,
}

impl Gate {
    /// Polling begins: what wakes from now on is seen by [`Self::wait`].
    pub(crate) fn begin(&self) {
        self.state.swap(OPEN, Ordering::AcqRel);
    }

    /// From now on `task` is woken; false if it must poll again, because something woke meanwhile.
    pub(crate) fn wait(&self, task: &Waker) -> bool {
        match &mut *self.task() {
            Some(same) if same.will_wake(task) => {}
            other => *other = Some(task.clone()),
        }
        let waits =
            self.state.compare_exchange(OPEN, WAITED_FOR, Ordering::AcqRel, Ordering::Acquire);
        waits.is_ok()
    }

    /// Nobody waits any more.
    pub(crate) fn leave(&self) {
        self.begin();
        *self.task() = None;
    }

    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == WAITED_FOR {
            // It stays: the next to wait may have taken its place already.
            let task = self.task().clone();
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_waits_is_woken_and_who_polls_is_told_to_poll_again() {
        let (gate, task) = (Arc::new(Gate::default()), Arc::new(Task::default()));
        let (wire, waker) = (Waker::from(Arc::clone(&gate)), Waker::from(Arc::clone(&task)));
        let woken = || task.0.load(Ordering::Relaxed);
        // Nobody waits yet.
        wire.wake_by_ref();
        gate.begin();
        wire.wake_by_ref();
        assert!(!gate.wait(&waker));
        assert_eq!(woken(), 0);
        for times in 1..=3 {
            gate.begin();
            assert!(gate.wait(&waker));
            wire.wake_by_ref();
            wire.wake_by_ref();
            assert_eq!(woken(), times, "once for each wait");
        }
        gate.begin();
        assert!(gate.wait(&waker));
        gate.leave();
        wire.wake_by_ref();
        assert_eq!(woken(), 3);
        drop(waker);
        assert_eq!(Arc::strong_count(&task), 1, "a task that has left is not kept");
    }

    /// Two threads: one polls until it has seen all, one wakes after each thing that there is to see.
    #[test]
    fn no_wake_is_lost_between_a_poll_and_the_wait() {
        const ALL: usize = 20_000;
        let (gate, there) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
        let (wire, given) = (Waker::from(Arc::clone(&gate)), Arc::clone(&there));
        let giver = std::thread::spawn(move || {
            for number in 1..=ALL {
                given.store(number, Ordering::Release);
                wire.wake_by_ref();
                if number % 7 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        struct Thread(std::thread::Thread);
        impl Wake for Thread {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let task = Waker::from(Arc::new(Thread(std::thread::current())));
        let began = std::time::Instant::now();
        loop {
            gate.begin();
            if there.load(Ordering::Acquire) == ALL {
                break;
            }
            if gate.wait(&task) {
                std::thread::park_timeout(std::time::Duration::from_secs(20));
            }
            assert!(began.elapsed() < std::time::Duration::from_secs(10), "a wake was lost");
        }
        giver.join().unwrap();
    }
}
