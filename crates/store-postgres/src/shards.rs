//! The shard of a TXID is first in every key and equal in every statement of a step, so that a step
//! touches one part of a table that is partitioned by it, or one node of a database that is
//! distributed by it.

use std::sync::atomic::{AtomicUsize, Ordering};

use gopay_core::ids::TxId;

use crate::error::DbError;
use crate::session::Session;

/// The shard of a payment as the database has it.
pub(crate) fn shard(tx_id: TxId) -> i16 {
    shard_of(tx_id.shard())
}

/// The shard of an id as the database has it.
pub(crate) fn shard_of(shard: u16) -> i16 {
    // Ten bits always fit.
    i16::try_from(shard).unwrap_or_default()
}

/// The shards that there are, as a query with the column `shard`: every payment and every refund counts
/// for a day of a shard. A look for each shard in the key of the sums, however many days there are.
macro_rules! known_shards {
    () => {
        "WITH RECURSIVE there (shard) AS (
            (SELECT shard FROM day_sums ORDER BY shard LIMIT 1)
            UNION ALL
            SELECT (SELECT d.shard FROM day_sums d WHERE d.shard > there.shard
                ORDER BY d.shard LIMIT 1)
            FROM there WHERE there.shard IS NOT NULL)
        SELECT shard FROM there WHERE shard IS NOT NULL"
    };
}

pub(crate) use known_shards;

/// The shards that there are, in the order of their numbers.
pub(crate) const KNOWN: &str = concat!("-- shards: known\n", known_shards!());

/// See [`KNOWN`].
pub(crate) async fn known(session: &Session) -> Result<Vec<i16>, DbError> {
    let rows = session.rows(KNOWN, &[]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// What a worker claims, shard by shard, each in a transaction of its own.
pub(crate) struct Claimed<T> {
    /// Those that were not asked yet.
    shards: std::vec::IntoIter<i16>,
    rows: Vec<T>,
    limit: usize,
}

impl<T> Claimed<T> {
    /// Nothing yet. Each claim begins with the next shard: one that is full after the first few does not
    /// leave the same ones out for ever.
    pub(crate) async fn begin(session: &Session, limit: usize) -> Result<Self, DbError> {
        static TURN: AtomicUsize = AtomicUsize::new(0);
        let mut shards = known(session).await?;
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(shards.len()).unwrap_or_default();
        shards.rotate_left(first);
        Ok(Self { shards: shards.into_iter(), rows: Vec::new(), limit })
    }

    /// The next shard to be asked, and for how many; none when there are enough, or no more shards.
    pub(crate) fn next(&mut self) -> Option<(i16, usize)> {
        let left = self.limit.saturating_sub(self.rows.len());
        if left == 0 { None } else { self.shards.next().map(|shard| (shard, left)) }
    }

    /// Adds what one shard had. What others had is claimed, and is not forgotten because this one fails:
    /// then nothing more is claimed.
    pub(crate) fn add(&mut self, more: Result<Vec<T>, DbError>) -> Result<(), DbError> {
        match more {
            Ok(more) => self.rows.extend(more),
            Err(error) if self.rows.is_empty() => return Err(error),
            Err(error) => {
                tracing::debug!(?error, "a shard was left out of a claim");
                self.limit = self.rows.len();
            }
        }
        Ok(())
    }

    pub(crate) fn into_rows(self) -> Vec<T> {
        self.rows
    }
}
