//! Pages of lists.

use gopay_store::rows::SqlRow;
use gopay_store::{ListQuery, Listed, StoreError};

use crate::error::DbError;
use crate::row::{Cells, PgRow, key};
use crate::session::Session;

pub(crate) async fn list<T>(
    session: &Session,
    query: &ListQuery<'_>,
    read: fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Listed<T>, DbError> {
    let (from, to) = query.keys();
    let end = match query.end_sql('$') {
        None => None,
        Some(sql) => session.row(&sql, &[&from, &to]).await?.as_ref().map(key),
    };
    let values = Cells::of(query.values(end));
    let rows = session.rows(&query.rows_sql('$'), &values.values()).await?;
    let rows = rows.iter().map(|row| (key(row), read(&PgRow(row)))).collect();
    Ok(query.page(end, rows))
}
