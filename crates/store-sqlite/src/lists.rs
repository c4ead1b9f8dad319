//! Pages of lists.

use gopay_store::rows::{RowReader, SqlRow};
use gopay_store::{ListQuery, Listed, StoreError};
use rusqlite::{Connection, params, params_from_iter};

use crate::query::{Bound, each, first};

pub(crate) fn list<T>(
    db: &Connection,
    query: &ListQuery<'_>,
    read: fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Listed<T>, StoreError> {
    let (from, to) = query.keys();
    let end = match query.end_sql('?', None) {
        None => None,
        Some(sql) => first(db, &sql, params![from, to], |row| RowReader::new(row, "").int("key"))?,
    };
    let values = query.values(end);
    let bound = params_from_iter(values.iter().map(Bound));
    Ok(query.page(end, each(db, &query.rows_sql('?', None), bound, read)?))
}
