//! How the store uses its threads and its time.

use std::time::Duration;

/// How the store uses its threads and its time. The defaults suit a busy service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Steps that may wait for the writer, and reads for the readers; one more is answered
    /// [`StoreError::Busy`](gopay_store::StoreError::Busy). At 24,000 steps a second the default is a wait of 170 ms.
    pub queue: usize,
    /// Steps in one commit at most: bounds the wait of the first step of a group for the last.
    pub group_max: usize,
    /// Threads that read.
    pub readers: usize,
    /// How long to wait for another process that has the file locked.
    pub busy_timeout: Duration,
    /// Pages of 4 KiB in the write-ahead log after which they are copied into the main file. While the
    /// disk takes them, commits wait for it: the fewer, the shorter.
    pub checkpoint_pages: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4096,
            group_max: 1024,
            readers: 2,
            busy_timeout: Duration::from_secs(2),
            checkpoint_pages: 1024,
        }
    }
}
