//! Midtrans: charges, status, closing, refunds, and the notifications it sends.

use std::time::Duration;

mod ask;
mod charge;
mod notification;
mod orders;
mod probe;
mod refund;
mod returning;

pub(crate) use ask::Asked;
pub use notification::NotificationAnswer;
pub use orders::Recovered;
pub use probe::{Probe, probe};

/// How long a call of a PSP may take in all, so that it has its answer within 30 s
/// (`docs/psp-guide.md`, "Transport").
pub(crate) const CALL_DEADLINE: Duration = Duration::from_secs(25);
