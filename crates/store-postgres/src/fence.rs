//! What keeps those from writing who have lost their number.

use tokio_postgres::types::Type;

use crate::statement::Value;

/// A number in the epoch in which this process has it. Each transaction that writes locks the row as it
/// begins, or fails: who takes the number from us waits for those that have begun, and none begins later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) number: i64,
    pub(crate) epoch: i64,
}

impl Fence {
    /// It fails where there is no such row, so that statements that were sent along do nothing:
    /// `division by zero`, which no other statement brings about.
    pub(crate) const SQL: &str = "-- lease: fence
        SELECT 1 / count(*) FROM (
            SELECT FROM shards WHERE shard = $1 AND epoch = $2 FOR KEY SHARE) held";

    pub(crate) fn values(&self) -> [(Value<'_>, Type); 2] {
        [(&self.number, Type::INT8), (&self.epoch, Type::INT8)]
    }
}
