//! The planner's statistics of a young database.
//!
//! A plan that was made while a table was empty takes any index that begins with the shard, and then reads
//! all of a shard for each group. It is kept until the table is analyzed. The database does that by itself
//! once a minute at most; until then a busy store has hundreds of thousands of rows.

use deadpool_postgres::ClientWrapper;
use gopay_store::StoreError;

use crate::error::store_error;

/// Whether payments have become many times as many as the planner knows of, while they are few.
const OUTGROWN: &str = "-- statistics: outgrown
    SELECT EXISTS (
        SELECT FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
        WHERE c.oid = to_regclass('payments') AND c.reltuples < 10000
            AND s.n_live_tup > 100 AND s.n_live_tup > 4 * c.reltuples)";

/// Tables of which a step reads rows by shard and key.
const ANALYZE: &str = "-- statistics: analyze
    ANALYZE payments, payment_requests, payment_keys, events, refunds, deliveries, unknown_orders,
        journal, journal_heads, day_sums";

/// See [`OUTGROWN`]. Costs a look into two small catalogs.
pub(crate) async fn are_outgrown(client: &ClientWrapper) -> Result<bool, StoreError> {
    let row = client.query_typed(OUTGROWN, &[]).await.map_err(store_error)?;
    row.first().map_or(Ok(false), |row| row.try_get(0).map_err(store_error))
}

/// Has plans made anew from what the tables hold now.
pub(crate) async fn analyze(client: &ClientWrapper) -> Result<(), StoreError> {
    client.batch_execute(ANALYZE).await.map_err(store_error)
}
