//! Pages of lists.

use gopay_store::rows::SqlRow;
use gopay_store::{ListQuery, Listed, StoreError};

use crate::error::DbError;
use crate::row::{Cells, PgRow, key};
use crate::session::Session;
use crate::shards::known_shards;

/// A list is put together of what each shard has of it.
const KNOWN_SHARDS: Option<&str> = Some(known_shards!());

pub(crate) async fn list<T>(
    session: &Session,
    query: &ListQuery<'_>,
    read: fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Listed<T>, DbError> {
    let (from, to) = query.keys();
    let end = match query.end_sql('$', KNOWN_SHARDS) {
        None => None,
        Some(sql) => session.row(&sql, &[&from, &to]).await?.as_ref().map(key),
    };
    let values = Cells::of(query.values(end));
    let rows = session.rows(&query.rows_sql('$', KNOWN_SHARDS), &values.values()).await?;
    let rows = rows.iter().map(|row| (key(row), read(&PgRow(row)))).collect();
    Ok(query.page(end, rows))
}
