//! The notifications that were sent last, for whoever wants to read or repeat them.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::changes::Changes;
use crate::outbox::NotificationOutcome;

/// One attempt at one notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Ascending.
    pub(crate) number: u64,
    /// When its outcome was known.
    pub(crate) at: Timestamp,
    pub(crate) transaction: usize,
    pub(crate) url: Arc<str>,
    #[serde(with = "crate::outbox::text")]
    pub(crate) body: Bytes,
    pub(crate) attempt: u32,
    pub(crate) outcome: NotificationOutcome,
}

/// At most so many attempts; the oldest are forgotten first.
#[derive(Debug)]
pub(crate) struct SentLog {
    entries: VecDeque<Sent>,
    last: u64,
    max: usize,
    pub(crate) changes: Changes<u64>,
}

impl SentLog {
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), last: 0, max, changes: Changes::default() }
    }

    /// Records an attempt; its number is given here.
    pub(crate) fn record(&mut self, sent: Sent) {
        let number = self.last.saturating_add(1);
        self.insert(Sent { number, ..sent });
        self.changes.mark(|| number);
    }

    /// Puts an attempt where a saved state had it.
    pub(crate) fn insert(&mut self, sent: Sent) {
        self.last = self.last.max(sent.number);
        self.entries.push_back(sent);
        while self.entries.len() > self.max {
            self.entries.pop_front();
        }
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Sent> {
        let first = self.entries.front()?.number;
        self.entries.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Sent> {
        self.entries.iter()
    }
}
