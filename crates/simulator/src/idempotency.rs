//! `Idempotency-Key` (`docs/midtrans.md`, "Request headers").

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::changes::Changes;

/// Longer keys are silently ignored.
pub(crate) const KEY_CHARS_MAX: usize = 46;
const LIFETIME: Duration = Duration::from_secs(5 * 60);

/// What a repeated key is answered with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stored {
    /// The answer of this charge. It is made again from the transaction, because at thousands of
    /// charges a second five minutes of bodies would be gigabytes.
    Charge(usize),
    /// This body, under HTTP 200.
    Body(#[serde(with = "crate::outbox::text")] Bytes),
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
    serial: u64,
    expires_at: Timestamp,
    running_until: Timestamp,
    stored: Option<Stored>,
}

/// An entry with a stored answer, as a saved state has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedKey {
    pub(crate) merchant: usize,
    pub(crate) key: String,
    pub(crate) expires_at: Timestamp,
    pub(crate) running_until: Timestamp,
    pub(crate) stored: Stored,
}

/// The keys of the last five minutes, by merchant, at most so many.
#[derive(Debug)]
pub(crate) struct Keys {
    entries: HashMap<(usize, String), Entry>,
    /// By ascending serial number, which is the order of expiry, since all live equally long.
    order: BTreeMap<u64, (usize, String)>,
    last_serial: u64,
    max: usize,
    pub(crate) dropped: u64,
    pub(crate) changes: Changes<(usize, String)>,
}

impl Keys {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            last_serial: 0,
            max,
            dropped: 0,
            changes: Changes::default(),
        }
    }

    /// Forgets what has expired.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while let Some((_, key)) = self.order.first_key_value() {
            if self.entries.get(key).is_some_and(|entry| entry.expires_at > now) {
                break;
            }
            if let Some((_, key)) = self.order.pop_first() {
                self.entries.remove(&key);
                self.changes.mark(|| key);
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
        self.remove(&(merchant, key.to_owned()));
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
        let key = (merchant, key.to_owned());
        self.remove(&key);
        self.make_room();
        self.put(key, now.after(LIFETIME), running_until, stored);
    }

    fn put(
        &mut self,
        key: (usize, String),
        expires_at: Timestamp,
        running_until: Timestamp,
        stored: Option<Stored>,
    ) {
        self.last_serial += 1;
        let serial = self.last_serial;
        self.order.insert(serial, key.clone());
        self.changes.mark(|| key.clone());
        self.entries.insert(key, Entry { serial, expires_at, running_until, stored });
    }

    fn remove(&mut self, key: &(usize, String)) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.serial);
            self.changes.mark(|| key.clone());
        }
    }

    /// Drops the oldest key with an answer, or else the oldest, if there is no room for one more.
    /// Those without an answer are few: each is of a deferred call.
    fn make_room(&mut self) {
        if self.entries.len() < self.max {
            return;
        }
        let answered = |key: &&(usize, String)| {
            self.entries.get(*key).is_some_and(|entry| entry.stored.is_some())
        };
        let oldest = self.order.values().find(answered).or_else(|| self.order.values().next());
        if let Some(key) = oldest.cloned() {
            self.remove(&key);
            self.dropped += 1;
        }
    }

    /// An entry with a stored answer.
    pub(crate) fn saved(&self, (merchant, key): &(usize, String)) -> Option<SavedKey> {
        let entry = self.entries.get(&(*merchant, key.clone()))?;
        Some(SavedKey {
            merchant: *merchant,
            key: key.clone(),
            expires_at: entry.expires_at,
            running_until: entry.running_until,
            stored: entry.stored.clone()?,
        })
    }

    /// Every key, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(usize, String)> {
        self.order.values()
    }

    /// Puts an entry where a saved state had it.
    pub(crate) fn insert_saved(&mut self, saved: SavedKey) {
        let key = (saved.merchant, saved.key);
        self.put(key, saved.expires_at, saved.running_until, Some(saved.stored));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len().max(self.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_live_five_minutes_and_leave_nothing_behind() {
        let start = Timestamp::from_micros(1_000_000);
        let mut keys = Keys::new(9);
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
        let mut keys = Keys::new(9);
        keys.store(0, "a", start, answered, Stored::Body(Bytes::from_static(b"{}")));
        assert!(matches!(keys.get(0, "a", start), Some(Known::Running)));
        assert!(matches!(keys.get(0, "a", answered), Some(Known::Done(Stored::Body(_)))));
    }

    #[test]
    fn a_full_store_drops_the_oldest_answer_but_no_running_call() {
        let at = Timestamp::from_micros(0);
        let mut keys = Keys::new(3);
        keys.start(0, "running", at);
        for key in ["a", "b", "c", "d"] {
            keys.store(0, key, at, at, Stored::Charge(1));
        }
        let known: Vec<bool> =
            ["running", "a", "b", "c", "d"].map(|key| keys.get(0, key, at).is_some()).into();
        assert_eq!(known, [true, false, false, true, true]);
        assert_eq!((keys.len(), keys.dropped), (3, 2));
    }
}
