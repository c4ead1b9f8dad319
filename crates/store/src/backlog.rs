//! What waits to be done, by age: for metrics.

use std::time::Duration;

use gopay_core::time::Timestamp;

use crate::StoreError;
use crate::rows::{RowReader, SqlRow};

/// Bounds between the ages that are told apart.
pub const AGES: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(3600)];

/// What waits, in a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// How many are younger than each of [`AGES`] and not than the one before, and how many are older.
    pub by_age: [u64; 4],
    /// Since when the oldest waits.
    pub oldest: Option<Timestamp>,
}

impl Waiting {
    /// How many in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_age.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    fn add(&mut self, age: usize, count: u64, oldest: Timestamp) {
        if let Some(of_age) = self.by_age.get_mut(age) {
            *of_age = of_age.saturating_add(count);
        }
        self.oldest = Some(self.oldest.map_or(oldest, |known| known.min(oldest)));
    }
}

/// All that waits. Payments in doubt wait for a person, and are in [`crate::AttentionSums`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Payments whose charge is not known to be open, since their call.
    pub initialized: Waiting,
    /// Payments whose shopper can pay, since their call.
    pub pending: Waiting,
    /// Refunds whose outcome is open, since their call.
    pub unresolved: Waiting,
    /// Deliveries owed to PSPs, since the final state that they tell.
    pub deliveries: Waiting,
}

impl Backlog {
    /// A payment that is initialized or pending has its next look within this time, jitter included,
    /// so that the queue of checks finds all of them.
    const LOOKED_AT_WITHIN: Duration = Duration::from_secs(400);

    /// One more of a kind.
    pub fn add(&mut self, what: &str, since: Timestamp, now: Timestamp) {
        let age = now.since(since);
        let class = AGES.iter().position(|bound| age < *bound).unwrap_or(AGES.len());
        self.count(what, class, 1, since);
    }

    fn count(&mut self, what: &str, age: usize, count: u64, oldest: Timestamp) {
        let waiting = match what {
            "initialized" => &mut self.initialized,
            "pending" => &mut self.pending,
            "unresolved" => &mut self.unresolved,
            _ => &mut self.deliveries,
        };
        waiting.add(age, count, oldest);
    }

    /// The statement of both engines: by the queues of the workers, which hold little else. Its
    /// parameters are those of [`Self::parameters`]. Where queues begin with the shard, `shards` is
    /// a query of all there are.
    #[must_use]
    pub fn sql(shards: Option<&str>) -> String {
        let of = |table: &str| match shards {
            Some(shards) => {
                format!("{table} JOIN ({shards}) AS known ON known.shard = {table}.shard")
            }
            None => table.to_owned(),
        };
        let (payments, refunds, deliveries) = (of("payments"), of("refunds"), of("deliveries"));
        format!(
            "-- backlog
        SELECT what, age, count(*), min(since) FROM (
            SELECT what, since, CAST(CASE WHEN since > $1 THEN 0 WHEN since > $2 THEN 1
                WHEN since > $3 THEN 2 ELSE 3 END AS bigint) AS age
            FROM (
                SELECT state AS what, created_at AS since FROM {payments}
                    WHERE next_check_at <= $4 AND at_risk_sen IS NULL
                        AND (state = 'initialized' OR state = 'pending')
                UNION ALL
                SELECT 'unresolved', created_at FROM {refunds} WHERE next_check_at >= 0
                UNION ALL
                SELECT 'waiting', final_at FROM {deliveries}
                    WHERE state = 'waiting' AND next_attempt_at >= 0
            ) AS waiting
        ) AS aged
        GROUP BY what, age"
        )
    }

    /// See [`Self::sql`].
    #[must_use]
    pub fn parameters(now: Timestamp) -> [i64; 4] {
        let [first, second, third] = AGES.map(|age| now.before(age).as_micros());
        [first, second, third, now.after(Self::LOOKED_AT_WITHIN).as_micros()]
    }

    /// Takes in a row of the statement.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn read(&mut self, row: &dyn SqlRow) -> Result<(), StoreError> {
        let mut row = RowReader::new(row, "backlog");
        let what = row.text("what")?;
        self.count(&what, row.count("age")?, row.count("count")?, row.time("since")?);
        Ok(())
    }
}
