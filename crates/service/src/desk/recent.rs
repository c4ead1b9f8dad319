//! What went on in the last hour, by the minute, in this process: for people who look, not for
//! books. It is lost with the process; what must last is in the store and in the metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gopay_core::time::Timestamp;
use serde::Serialize;

/// Minutes that are kept.
pub const MINUTES: usize = 60;

const MICROS: i64 = 60_000_000;

/// Upper bounds of the classes of times, in milliseconds; what takes longer is in one more class.
const BOUNDS_MS: [u64; 13] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];

/// How many took how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times([u64; BOUNDS_MS.len() + 1]);

impl Times {
    fn class_of(took: Duration) -> usize {
        let ms = took.as_micros().div_ceil(1_000);
        let class = BOUNDS_MS.iter().position(|bound| ms <= u128::from(*bound));
        class.unwrap_or(BOUNDS_MS.len())
    }

    fn join(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }

    fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The bound that so many percent stay within; none if nothing was timed. Of what is beyond
    /// the last bound, that bound.
    fn within(&self, percent: u64) -> Option<u64> {
        let all = self.count();
        let wanted = all.saturating_mul(percent).div_ceil(100);
        let mut seen = 0_u64;
        let class = self.0.iter().position(|count| {
            seen = seen.saturating_add(*count);
            all > 0 && seen >= wanted
        })?;
        BOUNDS_MS.get(class).or(BOUNDS_MS.last()).copied()
    }
}

/// [`Times`] that many tasks add to.
#[derive(Debug, Default)]
struct Timed([AtomicU64; BOUNDS_MS.len() + 1]);

impl Timed {
    fn add(&self, took: Duration) {
        if let Some(count) = self.0.get(Times::class_of(took)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Times {
        Times(self.0.each_ref().map(|count| count.load(Ordering::Relaxed)))
    }

    fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Ordering::Relaxed));
    }
}

/// What went on in a minute. Every payment adds to it, so nobody waits for anybody.
#[derive(Debug, Default)]
struct Minute {
    /// Minutes since 1970.
    number: AtomicI64,
    opened: AtomicU64,
    refused: AtomicU64,
    succeeded: AtomicU64,
    succeeded_sen: AtomicU64,
    failed: AtomicU64,
    ours: Timed,
    gopay: Timed,
}

impl Minute {
    /// Begins anew as another minute.
    fn begin(&self, number: i64) {
        let Self { opened, refused, succeeded, succeeded_sen, failed, .. } = self;
        for count in [opened, refused, succeeded, succeeded_sen, failed] {
            count.store(0, Ordering::Relaxed);
        }
        self.ours.clear();
        self.gopay.clear();
        self.number.store(number, Ordering::Relaxed);
    }
}

/// Minutes that there is space for: a power of two, some more than are shown.
const SPACE: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Recent {
    minutes: [Minute; SPACE],
    /// The minute that is counted in.
    latest: AtomicI64,
    /// Held while a minute begins.
    beginning: Mutex<()>,
}

impl Default for Recent {
    fn default() -> Self {
        let (minutes, latest) = (std::array::from_fn(|_| Minute::default()), AtomicI64::default());
        Self { minutes, latest, beginning: Mutex::default() }
    }
}

/// Something that happened to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// Its shopper can pay.
    Opened,
    /// Its call was refused.
    Refused,
    /// It was paid, so many sen.
    Succeeded(u64),
    /// It ended unpaid.
    Failed,
}

impl Recent {
    /// Counts what happened.
    pub(crate) fn count(&self, now: Timestamp, what: Happening) {
        let Some(minute) = self.at(now) else { return };
        let more = |count: &AtomicU64, by| count.fetch_add(by, Ordering::Relaxed);
        match what {
            Happening::Opened => more(&minute.opened, 1),
            Happening::Refused => more(&minute.refused, 1),
            Happening::Failed => more(&minute.failed, 1),
            Happening::Succeeded(sen) => {
                more(&minute.succeeded, 1);
                more(&minute.succeeded_sen, sen)
            }
        };
    }

    /// Takes note of how long a call took: us, and GoPay if it was asked.
    pub(crate) fn time(&self, now: Timestamp, ours: Duration, gopay: Duration) {
        let Some(minute) = self.at(now) else { return };
        minute.ours.add(ours);
        if !gopay.is_zero() {
            minute.gopay.add(gopay);
        }
    }

    /// The minute to count in. A clock that was set back goes on in the minute that it had reached.
    fn at(&self, now: Timestamp) -> Option<&Minute> {
        let number = now.as_micros().div_euclid(MICROS);
        if self.latest.load(Ordering::Acquire) < number {
            let _beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
            // Somebody else may have begun it meanwhile.
            if self.latest.load(Ordering::Relaxed) < number {
                self.minute(number)?.begin(number);
                self.latest.store(number, Ordering::Release);
            }
        }
        self.minute(self.latest.load(Ordering::Acquire))
    }

    /// The space of a minute, which an older one may have.
    fn minute(&self, number: i64) -> Option<&Minute> {
        let space = i64::try_from(SPACE).unwrap_or(i64::MAX);
        self.minutes.get(usize::try_from(number.rem_euclid(space)).ok()?)
    }

    /// The last hour.
    pub(crate) fn hour(&self, now: Timestamp) -> LastHour {
        let last = now.as_micros().div_euclid(MICROS);
        let span = i64::try_from(MINUTES).unwrap_or(i64::MAX);
        let none = Minute::default();
        let mut hour = LastHour::default();
        let (mut ours, mut gopay) = (Times::default(), Times::default());
        for number in last.saturating_sub(span.saturating_sub(1))..=last {
            let kept = self.minute(number);
            let kept = kept.filter(|minute| minute.number.load(Ordering::Relaxed) == number);
            let minute = kept.unwrap_or(&none);
            hour.add(number, minute);
            ours.join(&minute.ours.read());
            gopay.join(&minute.gopay.read());
        }
        let ended = hour.succeeded.saturating_add(hour.failed);
        let rate = hour.succeeded.saturating_mul(1_000).checked_div(ended);
        hour.success_per_mille = rate;
        (hour.ours, hour.gopay) = (ours.latency(), gopay.latency());
        hour
    }
}

impl LastHour {
    fn add(&mut self, number: i64, minute: &Minute) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (succeeded, failed) = (read(&minute.succeeded), read(&minute.failed));
        let (opened, succeeded_sen) = (read(&minute.opened), read(&minute.succeeded_sen));
        self.opened = self.opened.saturating_add(opened);
        self.refused = self.refused.saturating_add(read(&minute.refused));
        self.succeeded = self.succeeded.saturating_add(succeeded);
        self.succeeded_sen = self.succeeded_sen.saturating_add(succeeded_sen);
        self.failed = self.failed.saturating_add(failed);
        self.minutes.push(OneMinute {
            at: Timestamp::from_micros(number.saturating_mul(MICROS)).to_string(),
            opened,
            succeeded,
            succeeded_sen,
            failed,
            ours_p95_ms: minute.ours.read().within(95),
            gopay_p95_ms: minute.gopay.read().within(95),
        });
    }
}

impl Times {
    fn latency(&self) -> Latency {
        Latency { count: self.count(), p50_ms: self.within(50), p95_ms: self.within(95) }
    }
}

/// What went on in the last hour in this process. Times are upper bounds of classes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LastHour {
    /// Payments whose shopper could pay.
    pub opened: u64,
    /// TRANSACTION calls that were refused.
    pub refused: u64,
    /// Payments that were paid.
    pub succeeded: u64,
    /// Their sum.
    pub succeeded_sen: u64,
    /// Payments that ended unpaid after they had been opened.
    pub failed: u64,
    /// Of a thousand that ended, how many were paid; none if none ended.
    pub success_per_mille: Option<u64>,
    /// Our own time of calls.
    pub ours: Latency,
    /// Of calls that asked GoPay, the time that they waited for it.
    pub gopay: Latency,
    /// Each minute, oldest first.
    pub minutes: Vec<OneMinute>,
}

/// How long calls took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// How many.
    pub count: u64,
    /// Half of them stay within.
    pub p50_ms: Option<u64>,
    /// 95 of a hundred stay within.
    pub p95_ms: Option<u64>,
}

/// See [`LastHour::minutes`].
#[derive(Clone, Debug, Serialize)]
pub struct OneMinute {
    /// Its beginning.
    pub at: String,
    /// See [`LastHour::opened`].
    pub opened: u64,
    /// See [`LastHour::succeeded`].
    pub succeeded: u64,
    /// See [`LastHour::succeeded_sen`].
    pub succeeded_sen: u64,
    /// See [`LastHour::failed`].
    pub failed: u64,
    /// 95 of a hundred calls stay within: our own time.
    pub ours_p95_ms: Option<u64>,
    /// The same for GoPay's.
    pub gopay_p95_ms: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(number: i64) -> Timestamp {
        Timestamp::from_micros(number * MICROS + 1)
    }

    #[test]
    fn an_hour_holds_its_minutes_and_nothing_older() {
        let recent = Recent::default();
        recent.count(minute(1), Happening::Succeeded(100));
        recent.count(minute(2), Happening::Succeeded(200));
        recent.count(minute(2), Happening::Failed);
        recent.count(minute(2), Happening::Refused);
        recent.count(minute(61), Happening::Opened);
        let hour = recent.hour(minute(61));
        assert_eq!(hour.minutes.len(), MINUTES);
        let sums = (hour.opened, hour.refused, hour.succeeded, hour.succeeded_sen, hour.failed);
        assert_eq!(sums, (1, 1, 1, 200, 1));
        assert_eq!(hour.success_per_mille, Some(500));
        assert_eq!(recent.hour(minute(200)).success_per_mille, None, "nothing ended");
        for number in 100..400 {
            recent.count(minute(number), Happening::Opened);
        }
        // A clock that was set back.
        recent.count(minute(5), Happening::Opened);
        assert_eq!(recent.hour(minute(399)).opened, 61);
    }

    #[test]
    fn what_many_count_at_once_is_all_there() {
        let recent = Recent::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for number in 0..2_000 {
                        // The minute ends while all count.
                        recent.count(minute(100 + number / 1_000), Happening::Succeeded(7));
                        recent.time(minute(100 + number / 1_000), Duration::ZERO, Duration::ZERO);
                    }
                });
            }
        });
        let hour = recent.hour(minute(101));
        assert_eq!((hour.succeeded, hour.succeeded_sen, hour.ours.count), (8_000, 56_000, 8_000));
    }

    #[test]
    fn times_are_told_by_the_bound_that_they_stay_within() {
        let timed = Timed::default();
        assert_eq!(timed.read().within(95), None);
        for _ in 0..95 {
            timed.add(Duration::from_micros(900));
        }
        for _ in 0..5 {
            timed.add(Duration::from_millis(101));
        }
        let times = timed.read();
        assert_eq!((times.count(), times.within(50), times.within(95)), (100, Some(1), Some(1)));
        assert_eq!(times.within(96), Some(200));
        timed.add(Duration::from_secs(60));
        assert_eq!(timed.read().within(100), Some(10_000));
    }
}
