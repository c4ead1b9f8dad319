//! What becomes of claims whose holder is dead.

use gopay_core::time::Timestamp;
use gopay_store::engine::UNDER_WAY_MAX;
use gopay_store::rows::RowReader;

use tokio_postgres::types::Type;

use crate::error::DbError;
use crate::row::read_opt;
use crate::session::Session;
use crate::shards;
use crate::statement::Value;

/// Makes due what a number had claimed in a shard. A payment is taken for claimed by the instance that made
/// it, whose shard it is in; so is a refund of before schema 10 that nobody has claimed yet.
pub(crate) const SQL: &str = "-- reclaim
    WITH deliveries_due AS (
        UPDATE deliveries SET next_attempt_at = least(next_attempt_at, $1), leased_until = NULL
        WHERE shard = $6 AND state = 'waiting' AND leased_by = $2
            AND (next_attempt_at = leased_until OR next_attempt_at > $1 AND next_attempt_at <= $3)
        RETURNING 1),
    refunds_due AS (
        UPDATE refunds SET next_check_at = $1
        WHERE shard = $6 AND next_check_at > $1
            AND (leased_by = $2 OR (leased_by IS NULL AND (refund_id >> 12) & 1023 = $2))
        RETURNING 1),
    payments_due AS (
        UPDATE payments SET next_check_at = $1
        WHERE shard = $6 AND $6 = $2 AND next_check_at > $1 AND next_check_at <= $4
            AND ((state = 'initialized' AND $5)
                OR (state = 'pending' AND checks > 0 AND deadline_at <= $1))
        RETURNING 1)
    SELECT (SELECT count(*) FROM deliveries_due) + (SELECT count(*) FROM refunds_due)
        + (SELECT count(*) FROM payments_due) AS count";

/// The values of [`SQL`].
#[derive(Clone, Copy)]
pub(crate) struct Claims {
    due: i64,
    number: i64,
    /// A delivery that is planned until then may be one that was claimed.
    leased: i64,
    under_way: i64,
    /// The holder has certainly ended, and with it the calls that it was at. Of one that has only
    /// fallen silent a charge may still be on its way, which nobody would find who asks too early.
    certain: bool,
    shard: i16,
}

impl Claims {
    pub(crate) fn new(number: i64, certain: bool, now: Timestamp, lease_until: Timestamp) -> Self {
        let (due, leased) = (now.as_micros(), lease_until.as_micros());
        let under_way = now.after(UNDER_WAY_MAX).as_micros();
        Self { due, number, leased, under_way, certain, shard: 0 }
    }

    /// The same of another shard.
    pub(crate) const fn in_shard(self, shard: i16) -> Self {
        Self { shard, ..self }
    }

    pub(crate) fn values(&self) -> [Value<'_>; 6] {
        [&self.due, &self.number, &self.leased, &self.under_way, &self.certain, &self.shard]
    }

    pub(crate) fn typed(&self) -> [(Value<'_>, Type); 6] {
        let types = [Type::INT8, Type::INT8, Type::INT8, Type::INT8, Type::BOOL, Type::INT2];
        let mut types = types.into_iter();
        self.values().map(|value| (value, types.next().unwrap_or(Type::INT8)))
    }
}

/// What this number had claimed before this process had it.
pub(crate) async fn reclaim(
    session: &Session,
    certain: bool,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<u64, DbError> {
    let Some(number) = session.holder() else { return Ok(0) };
    let claims = Claims::new(number, certain, now, lease_until);
    let mut due = 0_u64;
    for shard in shards::known(session).await? {
        let row = session.write_row(SQL, &claims.in_shard(shard).values()).await?;
        let count = read_opt(row.as_ref(), |row| RowReader::new(row, "reclaim").count("count"))?;
        due = due.saturating_add(count.unwrap_or(0));
    }
    Ok(due)
}
