//! All chance of a run, from its seed.

use std::time::Duration;

/// A seeded generator. One per run: every draw depends on all draws before it.
#[derive(Debug)]
pub(crate) struct Chance(fastrand::Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Whether something happens that happens so many times in ten thousand.
    pub(crate) fn of_10_000(&mut self, times: u32) -> bool {
        times > 0 && self.0.u32(..10_000) < times
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(crate) fn percent(&mut self, times: u32) -> bool {
        self.of_10_000(times * 100)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high.max(low))
    }

    /// Evenly from a range of milliseconds, both included.
    pub(crate) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// One of them; the slice must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let at = self.0.usize(..of.len());
        *of.get(at).expect("the index is below the length")
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}
