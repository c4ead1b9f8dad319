//! How many calls to one account may be under way: an account that is silent must not hold what the
//! others need.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use gopay_outbound::TransportError;

/// After so many calls in a row without an answer an account is silent.
const SILENT_AFTER: u32 = 5;

/// A silent account gets this part of its calls: enough to notice that it answers again.
const SILENT_SHARE: usize = 16;

#[derive(Debug)]
pub(crate) struct Calls {
    max: Option<usize>,
    under_way: AtomicUsize,
    /// Without an answer, in a row.
    failures: AtomicU32,
}

/// A call that is under way; ends when dropped, without saying how.
#[derive(Debug)]
pub(crate) struct Call<'a>(&'a Calls);

/// Too many are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{under_way} calls to this account are under way, and it does not answer fast enough")]
struct TooMany {
    under_way: usize,
}

impl Calls {
    pub(crate) const fn new(max: Option<usize>) -> Self {
        Self { max, under_way: AtomicUsize::new(0), failures: AtomicU32::new(0) }
    }

    /// A call begins, unless too many are under way.
    pub(crate) fn begin(&self) -> Result<Call<'_>, TransportError> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let call = Call(self);
        let Some(max) = self.max else { return Ok(call) };
        let silent = self.failures.load(Ordering::Relaxed) >= SILENT_AFTER;
        let room = if silent { max.div_ceil(SILENT_SHARE) } else { max };
        if before < room {
            return Ok(call);
        }
        Err(TransportError::not_sent(TooMany { under_way: before }))
    }
}

impl Call<'_> {
    /// Takes note of whether it was answered.
    pub(crate) fn end(self, answered: bool) {
        if !answered {
            self.0.failures.fetch_add(1, Ordering::Relaxed);
        } else if self.0.failures.load(Ordering::Relaxed) > 0 {
            self.0.failures.store(0, Ordering::Relaxed);
        }
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_calls_are_under_way_and_few_while_nobody_answers() {
        let calls = Calls::new(Some(32));
        let fill = || {
            let mut held = Vec::new();
            while let Ok(call) = calls.begin() {
                held.push(call);
            }
            held
        };
        let held = fill();
        assert_eq!(held.len(), 32);
        drop(held);
        for failed in 0..SILENT_AFTER {
            assert_eq!(fill().len(), 32, "after {failed}");
            calls.begin().unwrap().end(false);
        }
        let held = fill();
        assert_eq!(held.len(), 2);
        assert!(matches!(calls.begin().unwrap_err(), TransportError::NotSent(_)));
        held.into_iter().for_each(|call| call.end(true));
        assert_eq!(fill().len(), 32);

        let unbounded = Calls::new(None);
        let held: Vec<_> = (0..10_000).map(|_| unbounded.begin().unwrap()).collect();
        assert_eq!(held.len(), 10_000);
    }
}
