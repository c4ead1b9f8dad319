//! `[limits]`

use std::time::Duration;

use gopay_core::refund::REFUND_WINDOW_MAX;
use gopay_service::{CallLimits, Settings};

use super::section::Section;

/// Bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) session: Duration,
    pub(crate) refund_window: Duration,
    pub(crate) call_bytes: usize,
    pub(crate) notification_bytes: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) drain: Duration,
    pub(crate) concurrent_calls: usize,
    pub(crate) concurrent_calls_per_client: usize,
    pub(crate) calls_per_second_per_client: u32,
    pub(crate) test_quotas: bool,
    pub(crate) connections: usize,
    pub(crate) checks_per_second: usize,
}

impl Limits {
    /// What can be changed while the service runs.
    pub(crate) fn of_calls(&self) -> CallLimits {
        let rate = self.calls_per_second_per_client;
        CallLimits {
            concurrent_calls: self.concurrent_calls,
            concurrent_calls_per_client: self.concurrent_calls_per_client,
            calls_per_second_per_client: (rate > 0).then_some(rate),
            test_quotas: self.test_quotas,
        }
    }
}

pub(super) fn read_limits(limits: &mut Section<'_>, to: &mut Limits) {
    const MINUTE: Duration = Duration::from_secs(60);
    limits.span("session", MINUTE, Settings::SESSION_MAX, "1m to 1h", &mut to.session);
    let window = &mut to.refund_window;
    limits.span("refund_window", MINUTE, REFUND_WINDOW_MAX, "1m to 30d", window);
    limits.number("call_bytes", 4_096, 16_777_216, &mut to.call_bytes);
    limits.number("notification_bytes", 4_096, 1_048_576, &mut to.notification_bytes);
    let body = &mut to.body_timeout;
    limits.span("body_timeout", Duration::from_millis(100), MINUTE, "100ms to 1m", body);
    limits.span("drain", Duration::ZERO, 5 * MINUTE, "0s to 5m", &mut to.drain);
    limits.number("concurrent_calls", 1, 100_000, &mut to.concurrent_calls);
    let written = limits.number(
        "concurrent_calls_per_client",
        1,
        100_000,
        &mut to.concurrent_calls_per_client,
    );
    limits.within_total(
        ("concurrent_calls_per_client", written, &mut to.concurrent_calls_per_client),
        ("concurrent_calls", to.concurrent_calls),
    );
    limits.number("calls_per_second_per_client", 0, 1_000_000, &mut to.calls_per_second_per_client);
    limits.flag("test_quotas", &mut to.test_quotas);
    limits.number("connections", 1, 1_000_000, &mut to.connections);
    limits.number("checks_per_second", 1, 10_000, &mut to.checks_per_second);
}
