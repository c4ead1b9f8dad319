//! The rows of sums by day.

use super::{RowReader, SqlRow, table};
use crate::StoreError;
use crate::sums::DaySums;

table! {
    /// The sums of a day, in as many rows as write them side by side.
    DAY_SUMS = "day_sums", day_sum_columns,
    key { shard: Int, day: Int, slot: Int, }
    changing {
        initialized: Int,
        pending: Int,
        succeeded: Int,
        failed: Int,
        succeeded_sen: Int,
        refunds_unresolved: Int,
        refunds_succeeded: Int,
        refunds_failed: Int,
        refunded_sen: Int,
        deliveries_waiting: Int,
        deliveries_delivered: Int,
        deliveries_given_up: Int,
    }
    fixed {}
    written {}
}

/// The numbers of a row without its key.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn day_sums(row: &dyn SqlRow) -> Result<DaySums, StoreError> {
    let mut row = RowReader::new(row, DAY_SUMS.name);
    Ok(DaySums {
        initialized: row.int("initialized")?,
        pending: row.int("pending")?,
        succeeded: row.int("succeeded")?,
        failed: row.int("failed")?,
        succeeded_sen: row.int("succeeded_sen")?,
        refunds_unresolved: row.int("refunds_unresolved")?,
        refunds_succeeded: row.int("refunds_succeeded")?,
        refunds_failed: row.int("refunds_failed")?,
        refunded_sen: row.int("refunded_sen")?,
        deliveries_waiting: row.int("deliveries_waiting")?,
        deliveries_delivered: row.int("deliveries_delivered")?,
        deliveries_given_up: row.int("deliveries_given_up")?,
    })
}
