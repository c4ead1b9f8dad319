//! How the store uses its connections and its time.

use std::time::Duration;

/// How the store uses its connections and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Connections at most, at least 2. Sixteen keep a small server busy; more wait for the same
    /// disk.
    pub connections: usize,
    /// Steps that may wait for a connection; one more is answered [`gopay_store::StoreError::Busy`].
    pub queue: usize,
    /// Groups of steps that are on their way at once, each on a connection; the second and further
    /// ones only as long as many steps wait, because large groups cost less than small ones. With
    /// 0 there is one, and also a step that nobody else waits with goes in a group, which is slower
    /// and for tests.
    pub groups: usize,
    /// How long a step waits for a connection, or for a group, before it is answered
    /// [`gopay_store::StoreError::Busy`].
    pub wait: Duration,
    /// How long a step waits for a row that another holds before it is answered
    /// [`gopay_store::StoreError::Busy`].
    pub lock_timeout: Duration,
    /// How long a step may take; longer, and the database counts as [`gopay_store::StoreError::Down`].
    pub step_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 16,
            queue: 4096,
            groups: 2,
            wait: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(2),
            step_timeout: Duration::from_secs(8),
        }
    }
}
