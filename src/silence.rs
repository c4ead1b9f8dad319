//! Tells the log when Midtrans falls silent and when it answers again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use gopay_outbound::{Incoming, Outgoing, Transport, TransportError};
use gopay_service::chain;
use tokio::time::Instant;

/// Silence that goes on is logged once in this time, with how often it was met.
const WARN_PAUSE: Duration = Duration::from_secs(60);

/// Midtrans answers again once nothing has failed for so long: some calls may get through while others
/// do not.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// A transport to one account at Midtrans. Not each failure is logged: an hour of silence is many
/// thousand of them, and each payment's trail has its own.
pub(crate) struct Noticed {
    transport: Arc<dyn Transport>,
    /// For the log: the section of the config.
    account: Arc<str>,
    silent: AtomicBool,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    last: Option<Instant>,
    warned: Option<Instant>,
    /// Since the last warning.
    repeats: u64,
}

impl Failures {
    /// Whether this failure is to be logged; if so, how many were not since the last one that was.
    fn met(&mut self, now: Instant) -> Option<u64> {
        self.last = Some(now);
        let recent = |at: Instant| now.saturating_duration_since(at) < WARN_PAUSE;
        if self.warned.is_some_and(recent) {
            self.repeats = self.repeats.saturating_add(1);
            return None;
        }
        self.warned = Some(now);
        Some(std::mem::take(&mut self.repeats))
    }

    /// Whether an answer means that the silence is over.
    fn is_over(&self, now: Instant) -> bool {
        self.last.is_none_or(|at| now.saturating_duration_since(at) >= WELL_AFTER)
    }
}

impl Noticed {
    pub(crate) fn new(transport: Arc<dyn Transport>, account: Arc<str>) -> Self {
        Self { transport, account, silent: AtomicBool::new(false), failures: Mutex::default() }
    }

    fn failed(&self, error: &TransportError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        self.silent.store(true, Ordering::Relaxed);
        if let Some(repeats) = failures.met(Instant::now()) {
            let (account, cause) = (&*self.account, chain(error));
            tracing::warn!(account, cause, repeats, "Midtrans does not answer");
        }
    }

    fn answered(&self) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.is_over(Instant::now()) {
            self.silent.store(false, Ordering::Relaxed);
            let repeats = std::mem::take(&mut *failures).repeats;
            tracing::info!(account = &*self.account, repeats, "Midtrans answers again");
        }
    }
}

#[async_trait]
impl Transport for Noticed {
    async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
        let answer = self.transport.send(request).await;
        match &answer {
            Err(error) => self.failed(error),
            Ok(_) if self.silent.load(Ordering::Relaxed) => self.answered(),
            Ok(_) => {}
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_logged_once_a_minute_with_its_count_and_ends_when_nothing_fails() {
        let mut failures = Failures::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(failures.is_over(at(0)));
        assert_eq!(failures.met(at(0)), Some(0));
        assert_eq!(failures.met(at(1)), None);
        assert!(!failures.is_over(at(2)), "one call got through");
        assert_eq!(failures.met(at(59)), None);
        assert_eq!(failures.met(at(60)), Some(2));
        assert!(!failures.is_over(at(69)));
        assert!(failures.is_over(at(70)));
    }
}
