//! Outgoing notifications: when each is due, and what the receiver's answer means for the next attempt.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::changes::Changes;
use crate::random::Random;

/// Before retry 1 to 5, in minutes (`docs/midtrans.md`, "Delivery").
const RETRY_MINUTES: [u64; 5] = [2, 10, 30, 90, 210];

/// A notification to send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingNotification {
    /// What `Engine::notification_result` wants.
    pub id: u64,
    /// The receiver.
    pub url: Arc<str>,
    /// The JSON to post.
    pub body: Bytes,
    /// 1 for the first attempt.
    pub attempt: u32,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationOutcome {
    /// The receiver's last answer, redirects (307, 308) followed.
    Status(u16),
    /// No answer: connection refused, time-out, too many redirects.
    Failed,
}

impl NotificationOutcome {
    pub(crate) const fn delivered(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }

    /// How many retries this answer allows in all.
    pub(crate) const fn retries(self) -> u32 {
        match self {
            Self::Status(200..=299 | 301..=303) => 0,
            Self::Status(400 | 404) => 2,
            Self::Status(500) => 1,
            Self::Status(503) => 4,
            Self::Status(_) | Self::Failed => 5,
        }
    }
}

/// How long until the next attempt, after attempt number `attempt` ended like this.
pub(crate) fn retry_delay(
    outcome: NotificationOutcome,
    attempt: u32,
    jitter: bool,
    random: &mut Random,
) -> Option<Duration> {
    if attempt > outcome.retries() {
        return None;
    }
    let position = usize::try_from(attempt).ok()?.checked_sub(1)?;
    let interval_ms = RETRY_MINUTES.get(position)? * 60_000;
    // A first retry was seen after 33 s, a good quarter of its interval.
    let delay_ms = if jitter { random.between(interval_ms / 4, interval_ms) } else { interval_ms };
    Some(Duration::from_millis(delay_ms))
}

/// A notification that is owed to one receiver.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) transaction: usize,
    url: Arc<str>,
    #[serde(with = "text")]
    body: Bytes,
    attempt: u32,
    due: Timestamp,
    /// Held back until the next notification of the same transaction.
    held: bool,
}

/// Bodies are JSON, which is text.
pub(crate) mod text {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(body: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&String::from_utf8_lossy(body))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        String::deserialize(from).map(Bytes::from)
    }
}

/// An attempt that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) transaction: usize,
    pub(crate) url: Arc<str>,
    pub(crate) body: Bytes,
    pub(crate) attempt: u32,
    pub(crate) retried: bool,
}

/// Notifications waiting or being sent, at most so many.
#[derive(Debug)]
pub(crate) struct Outbox {
    jobs: BTreeMap<u64, Job>,
    queue: BTreeSet<(Timestamp, u64)>,
    /// Those held back, by transaction.
    held: HashMap<usize, Vec<u64>>,
    last_id: u64,
    max: usize,
    pub(crate) changes: Changes<u64>,
}

/// Each notification in the outbox is being sent just now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AllInFlight;

impl Outbox {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            jobs: BTreeMap::new(),
            queue: BTreeSet::new(),
            held: HashMap::new(),
            last_id: 0,
            max,
            changes: Changes::default(),
        }
    }

    /// Drops the notification that waits longest if there is no room for one more, and says whose
    /// it was.
    pub(crate) fn make_room(&mut self) -> Result<Option<usize>, AllInFlight> {
        if self.jobs.len() < self.max {
            return Ok(None);
        }
        let waiting = self.jobs.iter().find(|(id, job)| self.queue.contains(&(job.due, **id)));
        let (id, due, transaction) =
            waiting.map(|(id, job)| (*id, job.due, job.transaction)).ok_or(AllInFlight)?;
        self.queue.remove(&(due, id));
        self.forget(id);
        Ok(Some(transaction))
    }

    pub(crate) fn push(
        &mut self,
        transaction: usize,
        url: Arc<str>,
        body: Bytes,
        due: Timestamp,
        held: bool,
    ) -> u64 {
        let id = self.last_id.saturating_add(1);
        self.insert(id, Job { transaction, url, body, attempt: 1, due, held });
        self.changes.mark(|| id);
        id
    }

    /// Puts a notification where a saved state had it. One that was being sent then is sent again:
    /// nobody knows whether it arrived.
    pub(crate) fn insert(&mut self, id: u64, job: Job) {
        self.last_id = self.last_id.max(id);
        self.queue.insert((job.due, id));
        if job.held {
            self.held.entry(job.transaction).or_default().push(id);
        }
        self.jobs.insert(id, job);
    }

    pub(crate) const fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Continues the numbering of a saved state.
    pub(crate) fn continue_after(&mut self, id: u64) {
        self.last_id = self.last_id.max(id);
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Job> {
        self.jobs.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Job)> {
        self.jobs.iter().map(|(id, job)| (*id, job))
    }

    /// Lets held notifications follow one that is due then.
    pub(crate) fn release(&mut self, transaction: usize, after: Timestamp) {
        for id in self.held.remove(&transaction).unwrap_or_default() {
            if let Some(job) = self.jobs.get_mut(&id)
                && self.queue.remove(&(job.due, id))
            {
                job.held = false;
                job.due = after.after(Duration::from_millis(1));
                self.queue.insert((job.due, id));
                self.changes.mark(|| id);
            }
        }
    }

    /// Takes what is due, oldest first.
    pub(crate) fn take_due(&mut self, now: Timestamp, max: usize) -> Vec<OutgoingNotification> {
        let mut taken = Vec::new();
        while taken.len() < max {
            let Some((due, id)) = self.queue.first().copied().filter(|(due, _)| *due <= now) else {
                break;
            };
            self.queue.remove(&(due, id));
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.held = false;
            let (transaction, url, body) =
                (job.transaction, Arc::clone(&job.url), job.body.clone());
            taken.push(OutgoingNotification { id, url, body, attempt: job.attempt });
            self.no_longer_held(transaction, id);
        }
        taken
    }

    fn no_longer_held(&mut self, transaction: usize, id: u64) {
        if let Some(held) = self.held.get_mut(&transaction) {
            held.retain(|other| *other != id);
            if held.is_empty() {
                self.held.remove(&transaction);
            }
        }
    }

    fn forget(&mut self, id: u64) {
        if let Some(job) = self.jobs.remove(&id) {
            self.no_longer_held(job.transaction, id);
            self.changes.mark(|| id);
        }
    }

    /// Ends an attempt; `None` for an id that is not being sent.
    pub(crate) fn finish(
        &mut self,
        id: u64,
        now: Timestamp,
        retry_in: impl FnOnce(u32) -> Option<Duration>,
    ) -> Option<Finished> {
        let job = self.jobs.get_mut(&id)?;
        if self.queue.contains(&(job.due, id)) {
            return None;
        }
        let attempt = job.attempt;
        let retry = retry_in(attempt);
        let finished = Finished {
            transaction: job.transaction,
            url: Arc::clone(&job.url),
            body: job.body.clone(),
            attempt,
            retried: retry.is_some(),
        };
        match retry {
            Some(delay) => {
                job.attempt += 1;
                job.due = now.after(delay);
                self.queue.insert((job.due, id));
                self.changes.mark(|| id);
            }
            None => self.forget(id),
        }
        Some(finished)
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.queue.first().map(|(due, _)| *due)
    }

    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.jobs.len() - self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receivers_answer_decides_how_many_retries_follow() {
        use NotificationOutcome::{Failed, Status};
        for (outcome, retries) in [
            (Status(200), 0),
            (Status(204), 0),
            (Status(301), 0),
            (Status(302), 0),
            (Status(303), 0),
            (Status(304), 5),
            (Status(400), 2),
            (Status(401), 5),
            (Status(403), 5),
            (Status(404), 2),
            (Status(429), 5),
            (Status(500), 1),
            (Status(502), 5),
            (Status(503), 4),
            (Failed, 5),
        ] {
            let mut random = Random::new(1);
            let plain: Vec<u64> = (1..=7)
                .map_while(|attempt| retry_delay(outcome, attempt, false, &mut random))
                .map(|delay| delay.as_secs() / 60)
                .collect();
            assert_eq!(plain, RETRY_MINUTES[..retries], "{outcome:?}");
            for (attempt, minutes) in (1_u32..).zip(plain) {
                let delay = retry_delay(outcome, attempt, true, &mut random).unwrap();
                let range = minutes * 15..=minutes * 60;
                assert!(range.contains(&delay.as_secs()), "{outcome:?} {attempt} {delay:?}");
            }
        }
    }

    #[test]
    fn due_ones_go_once_and_in_order() {
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let url: Arc<str> = Arc::from("http://127.0.0.1/");
        let mut outbox = Outbox::new(9);
        let late = outbox.push(0, Arc::clone(&url), Bytes::from_static(b"late"), at(9), false);
        let early = outbox.push(0, url, Bytes::from_static(b"early"), at(5), false);
        assert_eq!(outbox.next_due(), Some(at(5)));
        assert!(outbox.take_due(at(4), 9).is_empty());
        let ids = |taken: Vec<OutgoingNotification>| -> Vec<u64> {
            taken.into_iter().map(|job| job.id).collect()
        };
        assert_eq!(ids(outbox.take_due(at(9), 1)), [early]);
        assert_eq!((outbox.queued(), outbox.in_flight()), (1, 1));
        assert_eq!(ids(outbox.take_due(at(9), 9)), [late]);
        assert!(outbox.finish(early, at(9), |_| Some(Duration::from_secs(1))).unwrap().retried);
        // Already waiting again: a second result for the same attempt means nothing.
        assert_eq!(outbox.finish(early, at(9), |_| None), None);
        assert_eq!(outbox.take_due(at(10), 9)[0].attempt, 2);
        assert!(!outbox.finish(early, at(9), |_| None).unwrap().retried);
        assert!(!outbox.finish(late, at(9), |_| None).unwrap().retried);
        assert_eq!((outbox.queued(), outbox.in_flight()), (0, 0));
        assert_eq!(outbox.finish(late, at(9), |_| None), None);
    }

    #[test]
    fn a_full_outbox_drops_what_waits_longest_but_nothing_that_is_being_sent() {
        let at = |second: i64| Timestamp::from_micros(second * 1_000_000);
        let url: Arc<str> = Arc::from("http://127.0.0.1/");
        let mut outbox = Outbox::new(2);
        let push = |outbox: &mut Outbox, transaction, due| {
            outbox.push(transaction, Arc::clone(&url), Bytes::new(), at(due), false)
        };
        assert_eq!(outbox.make_room(), Ok(None));
        push(&mut outbox, 1, 1);
        push(&mut outbox, 2, 5);
        assert_eq!(outbox.take_due(at(1), 9).len(), 1);
        assert_eq!(outbox.make_room(), Ok(Some(2)));
        push(&mut outbox, 3, 1);
        assert_eq!(outbox.take_due(at(1), 9).len(), 1);
        assert_eq!(outbox.make_room(), Err(AllInFlight));
        assert_eq!((outbox.queued(), outbox.in_flight()), (0, 2));
    }
}
