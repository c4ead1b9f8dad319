//! Times of calls that take turns in one run, in CPU time of this thread: a neighbour that takes the
//! core away stops the clock too.
#![allow(clippy::float_arithmetic, reason = "times and ratios")]

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of one call of each, medians of rounds that take turns.
pub(crate) fn medians<const N: usize>(calls: [&mut dyn FnMut(); N]) -> [f64; N] {
    const ROUNDS: usize = 301;
    const ROUND_NS: f64 = 40_000.0;
    let mut timed = calls.map(|call| {
        call();
        let start = now();
        for _ in 0..20 {
            call();
        }
        let once = (now() - start) / 20.0;
        (call, count((ROUND_NS / once).max(1.0)), Vec::with_capacity(ROUNDS))
    });
    for _ in 0..ROUNDS {
        for (call, times, taken) in &mut timed {
            let start = now();
            for _ in 0..*times {
                call();
            }
            taken.push((now() - start) / f64::from(*times));
        }
    }
    timed.map(|(_, _, mut taken)| median(&mut taken))
}

/// CPU time of this thread, in nanoseconds.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "below 2^53 for 100 days")]
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

#[expect(clippy::as_conversions, reason = "a small positive number")]
const fn count(number: f64) -> u32 {
    number as u32
}

pub(crate) fn median(taken: &mut [f64]) -> f64 {
    taken.sort_by(f64::total_cmp);
    taken.get(taken.len() / 2).copied().unwrap_or_default()
}
