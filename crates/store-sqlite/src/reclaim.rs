//! What the process before had claimed: it is dead, since this one has the lock.

use gopay_core::payment::PaymentState;
use gopay_core::time::Timestamp;
use gopay_store::StoreError;
use gopay_store::engine::UNDER_WAY_MAX;
use rusqlite::{Connection, params};

use crate::query::write;

pub(crate) fn reclaim(
    db: &Connection,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<u64, StoreError> {
    let (due, leased) = (now.as_micros(), lease_until.as_micros());
    let deliveries = write(
        db,
        "-- reclaim: deliveries
        UPDATE deliveries SET next_attempt_at = ?1
        WHERE state = 'waiting' AND next_attempt_at > ?1 AND next_attempt_at <= ?2",
        params![due, leased],
    )?;
    let refunds = write(
        db,
        "-- reclaim: refunds
        UPDATE refunds SET next_check_at = ?1 WHERE next_check_at > ?1",
        params![due],
    )?;
    let payments = write(
        db,
        "-- reclaim: payments
        UPDATE payments SET next_check_at = ?1
        WHERE next_check_at > ?1 AND next_check_at <= ?2
            AND (state = ?3 OR (state = ?4 AND checks > 0 AND deadline_at <= ?1))",
        params![
            due,
            now.after(UNDER_WAY_MAX).as_micros(),
            PaymentState::Initialized.as_str(),
            PaymentState::Pending.as_str()
        ],
    )?;
    let count = deliveries.saturating_add(refunds).saturating_add(payments);
    Ok(u64::try_from(count).unwrap_or(u64::MAX))
}
