//! What went on in the last hour, by the minute, in this process: for people who look, not for
//! books. It is lost with the process; what must last is in the store and in the metrics.

use std::collections::VecDeque;
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
    fn add(&mut self, took: Duration) {
        let ms = took.as_micros().div_ceil(1_000);
        let class = BOUNDS_MS.iter().position(|bound| ms <= u128::from(*bound));
        if let Some(count) = self.0.get_mut(class.unwrap_or(BOUNDS_MS.len())) {
            *count = count.saturating_add(1);
        }
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

/// What went on in a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Minute {
    /// Minutes since 1970.
    number: i64,
    opened: u64,
    refused: u64,
    succeeded: u64,
    succeeded_sen: u64,
    failed: u64,
    ours: Times,
    gopay: Times,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<VecDeque<Minute>>);

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
        self.at(now, |minute| match what {
            Happening::Opened => minute.opened = minute.opened.saturating_add(1),
            Happening::Refused => minute.refused = minute.refused.saturating_add(1),
            Happening::Failed => minute.failed = minute.failed.saturating_add(1),
            Happening::Succeeded(sen) => {
                minute.succeeded = minute.succeeded.saturating_add(1);
                minute.succeeded_sen = minute.succeeded_sen.saturating_add(sen);
            }
        });
    }

    /// Takes note of how long a call took: us, and GoPay if it was asked.
    pub(crate) fn time(&self, now: Timestamp, ours: Duration, gopay: Duration) {
        self.at(now, |minute| {
            minute.ours.add(ours);
            if !gopay.is_zero() {
                minute.gopay.add(gopay);
            }
        });
    }

    fn at(&self, now: Timestamp, note: impl FnOnce(&mut Minute)) {
        let number = now.as_micros().div_euclid(MICROS);
        let mut minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back goes on in the minute that it had reached.
        if minutes.back().is_none_or(|last| last.number < number) {
            minutes.push_back(Minute { number, ..Minute::default() });
            if minutes.len() > MINUTES {
                minutes.pop_front();
            }
        }
        if let Some(last) = minutes.back_mut() {
            note(last);
        }
    }

    /// The last hour.
    pub(crate) fn hour(&self, now: Timestamp) -> LastHour {
        let last = now.as_micros().div_euclid(MICROS);
        let minutes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let span = i64::try_from(MINUTES).unwrap_or(i64::MAX);
        let mut hour = LastHour::default();
        let (mut ours, mut gopay) = (Times::default(), Times::default());
        for number in last.saturating_sub(span.saturating_sub(1))..=last {
            let minute = minutes.iter().find(|minute| minute.number == number);
            let minute = minute.copied().unwrap_or_default();
            hour.opened = hour.opened.saturating_add(minute.opened);
            hour.refused = hour.refused.saturating_add(minute.refused);
            hour.succeeded = hour.succeeded.saturating_add(minute.succeeded);
            hour.succeeded_sen = hour.succeeded_sen.saturating_add(minute.succeeded_sen);
            hour.failed = hour.failed.saturating_add(minute.failed);
            ours.join(&minute.ours);
            gopay.join(&minute.gopay);
            hour.minutes.push(OneMinute {
                at: Timestamp::from_micros(number.saturating_mul(MICROS)).to_string(),
                opened: minute.opened,
                succeeded: minute.succeeded,
                succeeded_sen: minute.succeeded_sen,
                failed: minute.failed,
                ours_p95_ms: minute.ours.within(95),
                gopay_p95_ms: minute.gopay.within(95),
            });
        }
        let ended = hour.succeeded.saturating_add(hour.failed);
        let rate = hour.succeeded.saturating_mul(1_000).checked_div(ended);
        hour.success_per_mille = rate;
        hour.ours =
            Latency { count: ours.count(), p50_ms: ours.within(50), p95_ms: ours.within(95) };
        hour.gopay =
            Latency { count: gopay.count(), p50_ms: gopay.within(50), p95_ms: gopay.within(95) };
        hour
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
        assert_eq!(recent.0.lock().unwrap().len(), MINUTES);
        assert_eq!(recent.hour(minute(399)).opened, 61);
    }

    #[test]
    fn times_are_told_by_the_bound_that_they_stay_within() {
        let mut times = Times::default();
        assert_eq!(times.within(95), None);
        for _ in 0..95 {
            times.add(Duration::from_micros(900));
        }
        for _ in 0..5 {
            times.add(Duration::from_millis(101));
        }
        assert_eq!((times.count(), times.within(50), times.within(95)), (100, Some(1), Some(1)));
        assert_eq!(times.within(96), Some(200));
        times.add(Duration::from_secs(60));
        assert_eq!(times.within(100), Some(10_000));
    }
}
