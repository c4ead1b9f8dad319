//! The clock of a running simulator: it goes with the system and can be moved forward.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gopay_core::time::Timestamp;

/// A clock that tests and the demo may move. It never goes back, because expiry, retries and
/// idempotency keys are all ordered by it.
pub trait MovableClock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// How far it is ahead of the system's clock.
    fn ahead(&self) -> Duration;
    /// Moves the clock forward by `span`.
    fn advance(&self, span: Duration);
    /// Moves the clock forward to `to`; false, and unmoved, if `to` is in the past.
    fn set(&self, to: Timestamp) -> bool;
}

/// A clock shared by the adapter and the simulator of one process.
pub type SharedClock = Arc<dyn MovableClock>;

/// The system clock plus an offset that only grows.
#[derive(Debug, Default)]
pub struct OffsetClock {
    offset_micros: AtomicI64,
}

impl OffsetClock {
    /// A clock that shows the system time until it is moved.
    #[must_use]
    pub const fn new() -> Self {
        Self { offset_micros: AtomicI64::new(0) }
    }
}

impl MovableClock for OffsetClock {
    fn now(&self) -> Timestamp {
        system_now().after(offset(self.offset_micros.load(Ordering::Acquire)))
    }

    fn ahead(&self) -> Duration {
        offset(self.offset_micros.load(Ordering::Acquire))
    }

    fn advance(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        self.move_by(micros);
    }

    fn set(&self, to: Timestamp) -> bool {
        let now = self.now();
        let forward = to >= now;
        if forward {
            self.advance(to.since(now));
        }
        forward
    }
}

impl OffsetClock {
    fn move_by(&self, micros: i64) {
        // Saturating, so that no sequence of moves can wrap the clock into the past.
        let mut seen = self.offset_micros.load(Ordering::Acquire);
        while let Err(changed) = self.offset_micros.compare_exchange_weak(
            seen,
            seen.saturating_add(micros),
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            seen = changed;
        }
    }
}

fn offset(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

fn system_now() -> Timestamp {
    let micros = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|span| i64::try_from(span.as_micros()).ok());
    Timestamp::from_micros(micros.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_forward_only() {
        let clock = OffsetClock::new();
        let before = clock.now();
        clock.advance(Duration::from_secs(3_600));
        assert_eq!(clock.ahead(), Duration::from_secs(3_600));
        let after = clock.now();
        assert!(after.since(before) >= Duration::from_secs(3_600));
        assert!(!clock.set(before));
        assert!(clock.now() >= after);
        let later = after.after(Duration::from_secs(86_400));
        assert!(clock.set(later));
        assert!(clock.now() >= later);
        clock.advance(Duration::MAX);
        assert!(clock.now() >= later);
    }
}
