//! Whose a claim is, and what becomes of those whose holder is dead.

use gopay_core::payment::PaymentState;
use gopay_core::time::Timestamp;
use gopay_store::engine::UNDER_WAY_MAX;
use gopay_store::rows::RowReader;

use crate::error::DbError;
use crate::row::read_opt;
use crate::session::Session;

/// Who claims: the number of an instance, or nobody's, whose claims run out by themselves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder(Option<u16>);

impl Holder {
    pub(crate) const fn new(number: Option<u16>) -> Self {
        Self(number)
    }

    /// The column `leased_by`.
    pub(crate) fn cell(self) -> i64 {
        self.0.map_or(-1, i64::from)
    }
}

/// What this number had claimed before. A payment, and a refund that nobody has claimed yet, are
/// taken for claimed by the instance that made them, whose number is in their ids.
pub(crate) async fn reclaim(
    session: &Session,
    holder: Holder,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<u64, DbError> {
    let Some(number) = holder.0.map(i64::from) else { return Ok(0) };
    let sql = "-- reclaim
        WITH deliveries_due AS (
            UPDATE deliveries SET next_attempt_at = $1
            WHERE state = 'waiting' AND next_attempt_at > $1 AND next_attempt_at <= $2
                AND leased_by = $4
            RETURNING 1),
        refunds_due AS (
            UPDATE refunds SET next_check_at = $1
            WHERE next_check_at > $1
                AND (leased_by = $4 OR (leased_by IS NULL AND (refund_id >> 12) & 1023 = $4))
            RETURNING 1),
        payments_due AS (
            UPDATE payments SET next_check_at = $1
            WHERE next_check_at > $1 AND next_check_at <= $3
                AND (state = $5 OR (state = $6 AND checks > 0 AND deadline_at <= $1))
                AND (tx_id >> 12) & 1023 = $4
            RETURNING 1)
        SELECT (SELECT count(*) FROM deliveries_due) + (SELECT count(*) FROM refunds_due)
            + (SELECT count(*) FROM payments_due)";
    let (due, leased) = (now.as_micros(), lease_until.as_micros());
    let under_way = now.after(UNDER_WAY_MAX).as_micros();
    let (opening, open) = (PaymentState::Initialized.as_str(), PaymentState::Pending.as_str());
    let row = session.row(sql, &[&due, &leased, &under_way, &number, &opening, &open]).await?;
    let count = read_opt(row.as_ref(), |row| RowReader::new(row, "reclaim").count("count"))?;
    Ok(count.unwrap_or(0))
}
