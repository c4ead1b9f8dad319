//! When a payment is polled: how long after what, and for how long at all.

use std::time::Duration;

use super::record::{ChargeState, Payment, PaymentState};
use crate::doubt::Standing;
use crate::time::Timestamp;

impl Payment {
    /// Makes the next check due at `at`; none if it is due before, or no check is planned at all.
    #[must_use]
    pub fn check_at(&self, at: Timestamp) -> Option<Self> {
        let planned = self.next_check_at?;
        (at < planned).then(|| {
            let mut next = self.clone();
            next.0.next_check_at = Some(at);
            next
        })
    }

    /// Marks one look by a worker and sets when to look again.
    ///
    /// Called when a worker claims the payment, so that a worker that dies leaves a time behind.
    #[must_use]
    pub fn checked(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.0.checks = next.checks.saturating_add(1);
        next.0.next_check_at = next.check_after(now);
        next
    }

    /// When a worker should ask Midtrans, counted from `now`.
    pub(super) fn check_after(&self, now: Timestamp) -> Option<Timestamp> {
        match self.doubt.as_ref().map(|doubt| doubt.standing) {
            Some(Standing::Open) => {
                let wait = self.jittered(doubled(DOUBT_CHECK_FIRST, self.checks, DOUBT_CHECK_MAX));
                return Some(now.after(wait));
            }
            Some(Standing::Returning) => {
                let wait = doubled(RETURN_CHECK_FIRST, self.checks, RETURN_CHECK_MAX);
                return Some(now.after(wait));
            }
            // A person has said what the money is.
            Some(Standing::Resolved | Standing::Returned) => return None,
            None => {}
        }
        let wait = match (&self.state, self.charge_state) {
            (PaymentState::Succeeded, _) | (PaymentState::Failed(_), ChargeState::Absent) => {
                return None;
            }
            (PaymentState::Initialized, _) => INITIALIZED_CHECK,
            (PaymentState::Pending, _) if self.session_over(now) => {
                doubled(OVERDUE_CHECK_FIRST, self.checks, OVERDUE_CHECK_MAX)
            }
            (PaymentState::Pending, _) => {
                let wait =
                    self.jittered(doubled(PENDING_CHECK_FIRST, self.checks, PENDING_CHECK_MAX));
                return Some(now.after(wait).min(self.deadline_at));
            }
            (PaymentState::Failed(_), ChargeState::Unknown | ChargeState::Open) => {
                self.jittered(doubled(RECOVERY_CHECK_FIRST, self.checks, RECOVERY_CHECK_MAX))
            }
            (PaymentState::Failed(_), ChargeState::Closed | ChargeState::Paid) => {
                self.jittered(doubled(LATE_CHECK_FIRST, self.checks, LATE_CHECK_MAX))
            }
        };
        let next = now.after(wait);
        let watched = self.final_at.is_none_or(|at| next.since(at) <= LATE_WATCH);
        watched.then_some(next)
    }

    /// Spreads checks by up to a quarter, the same way each time for one payment and check.
    fn jittered(&self, wait: Duration) -> Duration {
        let mixed = self
            .tx_id
            .get()
            .wrapping_add(i64::from(self.checks))
            .wrapping_mul(0x2545_F491_4F6C_DD1D)
            .rotate_left(17);
        let permille = u32::try_from(mixed.rem_euclid(250)).unwrap_or(0);
        wait + wait * permille / 1000
    }
}

/// First look at a pending payment after 10 s, which is also the least distance that Midtrans
/// advises (`docs/midtrans.md`, "GET status"); then twice as long each time.
const PENDING_CHECK_FIRST: Duration = Duration::from_secs(10);
const PENDING_CHECK_MAX: Duration = Duration::from_secs(300);
/// An initialized payment belongs to the call that made it for as long as that call may run
/// (30 s); a worker that finds one later knows that the call is dead.
const INITIALIZED_CHECK: Duration = Duration::from_secs(60);
/// The session is over but Midtrans did not answer: ask often, the PSP waits.
const OVERDUE_CHECK_FIRST: Duration = Duration::from_secs(5);
const OVERDUE_CHECK_MAX: Duration = Duration::from_secs(60);
/// A charge that may be open although we said FAILED: close it soon.
const RECOVERY_CHECK_FIRST: Duration = Duration::from_secs(5);
const RECOVERY_CHECK_MAX: Duration = Duration::from_secs(3600);
/// Late money after the end: rare, so look ever more seldom, for three days.
const LATE_CHECK_FIRST: Duration = Duration::from_secs(60);
const LATE_CHECK_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long after its end a payment is asked about late money.
pub const LATE_WATCH: Duration = Duration::from_secs(3 * 24 * 3600);

/// Money that does not fit waits for a person; Midtrans may mend its word meanwhile.
const DOUBT_CHECK_FIRST: Duration = Duration::from_secs(60);
const DOUBT_CHECK_MAX: Duration = Duration::from_secs(3600);
/// A person waits for the money to go back.
const RETURN_CHECK_FIRST: Duration = Duration::from_secs(1);
const RETURN_CHECK_MAX: Duration = Duration::from_secs(3600);

/// How long after the session Midtrans may stay silent before we say FAILED/TIMEOUT without it.
/// The charge carries its own expiry, so nobody can pay meanwhile; recovery goes on.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(15 * 60);

fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times.min(16))).min(max)
}
