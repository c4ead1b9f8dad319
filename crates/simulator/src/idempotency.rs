//! `Idempotency-Key` (`docs/midtrans.md`, "Request headers").

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;

/// Longer keys are silently ignored.
pub(crate) const KEY_CHARS_MAX: usize = 46;
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// What a repeated key is answered with.
#[derive(Clone, Debug)]
pub(crate) enum Stored {
    /// The answer of this charge. It is made again from the transaction, because at thousands of
    /// charges a second five minutes of bodies would be gigabytes.
    Charge(usize),
    /// This body, under HTTP 200.
    Body(Bytes),
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub(crate) enum Known {
    /// The first call has not been answered yet.
    Running,
    /// It has.
    Done(Stored),
}

#[derive(Debug)]
struct Entry {
    expires_at: Timestamp,
    running_until: Timestamp,
    stored: Option<Stored>,
}

/// The keys of the last five minutes, by merchant.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    entries: HashMap<(usize, String), Entry>,
    /// In order of expiry, since all live equally long.
    queue: VecDeque<(Timestamp, (usize, String))>,
}

impl Keys {
    /// Forgets what has expired.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while self.queue.front().is_some_and(|(expires_at, _)| *expires_at <= now) {
            let Some((expires_at, key)) = self.queue.pop_front() else { break };
            // The key may have been taken again since, after a call that stored nothing.
            if self.entries.get(&key).is_some_and(|entry| entry.expires_at <= expires_at) {
                self.entries.remove(&key);
            }
        }
    }

    pub(crate) fn get(&self, merchant: usize, key: &str, now: Timestamp) -> Option<Known> {
        let entry = self.entries.get(&(merchant, key.to_owned()))?;
        Some(match &entry.stored {
            Some(stored) if now >= entry.running_until => Known::Done(stored.clone()),
            Some(_) | None => Known::Running,
        })
    }

    /// Marks a key whose call has not had its effect yet.
    pub(crate) fn start(&mut self, merchant: usize, key: &str, now: Timestamp) {
        self.insert(merchant, key, now, Timestamp::from_micros(i64::MAX), None);
    }

    /// Forgets a key whose call stored nothing.
    pub(crate) fn abandon(&mut self, merchant: usize, key: &str) {
        self.entries.remove(&(merchant, key.to_owned()));
    }

    /// Stores a successful answer, which its caller sees at `answered_at`.
    pub(crate) fn store(
        &mut self,
        merchant: usize,
        key: &str,
        now: Timestamp,
        answered_at: Timestamp,
        stored: Stored,
    ) {
        self.insert(merchant, key, now, answered_at, Some(stored));
    }

    fn insert(
        &mut self,
        merchant: usize,
        key: &str,
        now: Timestamp,
        running_until: Timestamp,
        stored: Option<Stored>,
    ) {
        let expires_at = now.after(LIFETIME);
        let key = (merchant, key.to_owned());
        self.queue.push_back((expires_at, key.clone()));
        self.entries.insert(key, Entry { expires_at, running_until, stored });
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len().max(self.queue.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_live_five_minutes_and_leave_nothing_behind() {
        let start = Timestamp::from_micros(1_000_000);
        let mut keys = Keys::default();
        keys.store(0, "a", start, start, Stored::Charge(3));
        keys.start(1, "a", start);
        assert!(matches!(keys.get(0, "a", start), Some(Known::Done(Stored::Charge(3)))));
        assert!(matches!(keys.get(1, "a", start), Some(Known::Running)));
        assert!(keys.get(0, "b", start).is_none());
        keys.abandon(1, "a");
        keys.store(1, "a", start.after(Duration::from_secs(1)), start, Stored::Charge(4));
        keys.expire(start.after(Duration::from_micros(299_999_999)));
        assert!(keys.get(0, "a", start).is_some());
        keys.expire(start.after(Duration::from_secs(300)));
        assert!(keys.get(0, "a", start).is_none());
        assert!(keys.get(1, "a", start).is_some());
        keys.expire(start.after(Duration::from_secs(301)));
        assert_eq!(keys.len(), 0);
    }

    #[test]
    fn a_stored_answer_counts_as_running_until_its_caller_has_it() {
        let start = Timestamp::from_micros(0);
        let answered = start.after(Duration::from_secs(2));
        let mut keys = Keys::default();
        keys.store(0, "a", start, answered, Stored::Body(Bytes::from_static(b"{}")));
        assert!(matches!(keys.get(0, "a", start), Some(Known::Running)));
        assert!(matches!(keys.get(0, "a", answered), Some(Known::Done(Stored::Body(_)))));
    }
}
