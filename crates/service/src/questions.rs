//! Questions to Midtrans that notifications cause. Whoever holds one signed notification can repeat
//! it as often as they like. So of one payment one is looked into at a time, while a few wait, which
//! Midtrans' own duplicates do; and what repeats asks at most half of what the poll loop may ask in a
//! second, which asks so much less. Midtrans sends again what is turned away.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gopay_core::ids::TxId;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// So many in a second, all of them at once if need be.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// From one to the next.
    step: Duration,
    burst: Duration,
    /// When all that was taken will have been given back.
    full_at: Mutex<Option<Instant>>,
}

impl Bucket {
    pub(crate) fn new(per_second: u32) -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        let step = SECOND / per_second.max(1);
        Self { step, burst: SECOND.max(step), full_at: Mutex::new(None) }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.map_or(now, |full_at| full_at.max(now)) + self.step;
        let taken = next.saturating_duration_since(now) <= self.burst;
        if taken {
            *full_at = Some(next);
        }
        taken
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Questions {
    repeats: Bucket,
    /// Repeats that the poll loop has not made up for yet.
    taken: AtomicUsize,
    lately: Mutex<Lately>,
    open: Arc<Open>,
}

/// What a notification says, as far as it tells repeats from what is new.
type Said = (TxId, String);

/// What was said lately, in two generations: when the newer is full, the older goes.
#[derive(Debug, Default)]
struct Lately {
    newer: HashSet<Said>,
    older: HashSet<Said>,
}

impl Lately {
    /// Each has some tens of bytes. A minute of a thousand payments a second is in both together.
    const GENERATION: usize = 32_768;

    /// Notes what is said; true if it was said lately.
    fn repeats(&mut self, said: Said) -> bool {
        if self.older.contains(&said) || self.newer.contains(&said) {
            return true;
        }
        if self.newer.len() >= Self::GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(said);
        false
    }
}

type Open = Mutex<HashMap<TxId, Arc<Turn>>>;

#[derive(Debug)]
struct Turn {
    /// One that is looked into, and some that wait.
    places: Arc<Semaphore>,
    asking: Arc<tokio::sync::Mutex<()>>,
}

/// Midtrans sends some notifications several times at once.
const PLACES: usize = 32;

/// The right to look into a notification of a payment; given back when dropped.
#[derive(Debug)]
pub(crate) struct Question {
    tx_id: TxId,
    open: Arc<Open>,
    asking: Option<OwnedMutexGuard<()>>,
    place: Option<OwnedSemaphorePermit>,
    /// Somebody asked before: what is known of the payment may be old.
    pub(crate) waited: bool,
    /// The same was said lately.
    pub(crate) repeats: bool,
}

fn lock(open: &Open) -> MutexGuard<'_, HashMap<TxId, Arc<Turn>>> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Question {
    fn drop(&mut self) {
        drop((self.asking.take(), self.place.take()));
        let mut open = lock(&self.open);
        if open.get(&self.tx_id).is_some_and(|turn| turn.places.available_permits() == PLACES) {
            open.remove(&self.tx_id);
        }
    }
}

impl Questions {
    /// `per_second`: what the poll loop may ask.
    pub(crate) fn new(per_second: usize) -> Self {
        let half = u32::try_from(per_second / 2).unwrap_or(u32::MAX);
        Self {
            repeats: Bucket::new(half),
            taken: AtomicUsize::new(0),
            lately: Mutex::default(),
            open: Arc::default(),
        }
    }

    /// How many repeats were asked about that were not handed out yet, `most` at once.
    pub(crate) fn repeats_asked(&self, most: usize) -> usize {
        let left = |taken: usize| Some(taken.saturating_sub(most));
        let before = self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        before.unwrap_or(0).min(most)
    }

    /// The right to look into what was said of a payment, once nobody else does; none if too many
    /// want to.
    pub(crate) async fn begin(&self, tx_id: TxId, said: &str) -> Option<Question> {
        let repeats = {
            let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
            lately.repeats((tx_id, said.to_owned()))
        };
        let (asking, place) = {
            let mut open = lock(&self.open);
            let turn = open.entry(tx_id).or_insert_with(|| {
                let places = Arc::new(Semaphore::new(PLACES));
                Arc::new(Turn { places, asking: Arc::default() })
            });
            (Arc::clone(&turn.asking), Arc::clone(&turn.places).try_acquire_owned().ok()?)
        };
        let open = Arc::clone(&self.open);
        let mut question =
            Question { tx_id, open, asking: None, place: Some(place), waited: false, repeats };
        question.asking = match Arc::clone(&asking).try_lock_owned() {
            Ok(asking) => Some(asking),
            Err(_) => {
                question.waited = true;
                Some(asking.lock_owned().await)
            }
        };
        Some(question)
    }

    /// Whether a question may be asked now.
    pub(crate) fn may_ask(&self, question: &Question) -> bool {
        if !question.repeats {
            return true;
        }
        let may = self.repeats.take(Instant::now());
        if may {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx_id(number: u32) -> TxId {
        number.to_string().parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn of_one_payment_one_is_looked_into_and_a_few_wait() {
        let questions = Questions::new(100);
        let first = questions.begin(tx_id(1), "paid").await.expect("the first");
        let mut second = std::pin::pin!(questions.begin(tx_id(1), "paid"));
        let soon = Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, &mut second).await.is_err(), "it waits");
        let waiting = |_| Box::pin(questions.begin(tx_id(1), "paid"));
        let mut others: Vec<_> = (2..PLACES).map(waiting).collect();
        for other in &mut others {
            assert!(tokio::time::timeout(soon, other).await.is_err(), "it waits");
        }
        assert!(questions.begin(tx_id(1), "paid").await.is_none(), "too many");
        assert!(questions.begin(tx_id(2), "paid").await.is_some(), "others are not concerned");
        drop(others);
        drop(first);
        assert!(second.await.is_some_and(|second| second.waited));
        assert!(lock(&questions.open).is_empty(), "nothing is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_new_is_free_and_repeats_take_half_of_what_polls_may_ask() {
        let questions = Questions::new(20);
        let asked = async |said: &str| {
            let mut asked = 0;
            for number in 1..100 {
                let question = questions.begin(tx_id(number), said).await.expect("nobody else");
                asked += u32::from(questions.may_ask(&question));
            }
            asked
        };
        assert_eq!(asked("pending").await, 99);
        assert_eq!(asked("paid").await, 99);
        assert_eq!(asked("paid").await, 10);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(asked("paid").await, 5);
        assert!(lock(&questions.open).is_empty(), "nothing is kept");
        let made_up_for = [(); 3].map(|()| questions.repeats_asked(8));
        assert_eq!(made_up_for, [8, 7, 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_repeat_pushes_nothing_out() {
        let mut lately = Lately::default();
        let said = |number: u32| (tx_id(number), "paid".to_owned());
        let all = u32::try_from(Lately::GENERATION).unwrap();
        assert!(!lately.repeats(said(1)));
        for _ in 0..10 * all {
            assert!(lately.repeats(said(1)));
        }
        for number in 2..=3 * all {
            lately.repeats(said(number));
        }
        assert!(lately.newer.len() + lately.older.len() <= 2 * Lately::GENERATION);
        assert!(lately.repeats(said(3 * all)));
        assert!(!lately.repeats(said(1)));
    }
}
