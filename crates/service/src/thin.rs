//! Thinning: a fault that comes again and again is logged once in a while, with how often it came.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The same fault is logged once in this time.
pub(crate) const FAULT_PAUSE: Duration = Duration::from_secs(60);

/// What unauthenticated callers cause is logged once in this time.
pub(crate) const UNAUTHENTICATED_PAUSE: Duration = Duration::from_secs(1);

/// Different faults that are told apart at once; more are logged each time.
const KEPT_MAX: usize = 256;

struct Kept {
    logged: Instant,
    since: u64,
}

static KEPT: Mutex<BTreeMap<String, Kept>> = Mutex::new(BTreeMap::new());

/// Whether a fault should be logged now; if so, how often it came since it was logged last.
pub(crate) fn due(fault: &str, pause: Duration) -> Option<u64> {
    due_at(&mut KEPT.lock().unwrap_or_else(PoisonError::into_inner), fault, pause, Instant::now())
}

fn due_at(
    kept: &mut BTreeMap<String, Kept>,
    fault: &str,
    pause: Duration,
    now: Instant,
) -> Option<u64> {
    if let Some(known) = kept.get_mut(fault) {
        if now.saturating_duration_since(known.logged) < pause {
            known.since = known.since.saturating_add(1);
            return None;
        }
        known.logged = now;
        return Some(std::mem::take(&mut known.since));
    }
    kept.retain(|_, known| known.since > 0 || now.saturating_duration_since(known.logged) < pause);
    if kept.len() < KEPT_MAX {
        kept.insert(fault.to_owned(), Kept { logged: now, since: 0 });
    }
    Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_fault_is_logged_once_in_a_while_with_its_count() {
        let mut kept = BTreeMap::new();
        let start = Instant::now();
        let pause = Duration::from_secs(60);
        for (fault, seconds, expected) in [
            ("down", 0, Some(0)),
            ("down", 1, None),
            ("busy", 1, Some(0)),
            ("down", 59, None),
            ("down", 60, Some(2)),
            ("down", 61, None),
            ("busy", 61, Some(0)),
            ("down", 300, Some(1)),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(due_at(&mut kept, fault, pause, now), expected, "{fault} at {seconds} s");
        }
    }

    #[test]
    fn what_is_kept_of_faults_is_bounded_and_nothing_is_hidden() {
        let mut kept = BTreeMap::new();
        let now = Instant::now();
        for number in 0..2 * KEPT_MAX {
            let fault = format!("fault {number}");
            assert_eq!(due_at(&mut kept, &fault, FAULT_PAUSE, now), Some(0), "{fault}");
        }
        assert_eq!(kept.len(), KEPT_MAX);
    }
}
