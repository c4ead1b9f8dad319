//! Between rows and statements of the driver and the lists of [`gopay_store::rows`].

use bytes::BytesMut;
use gopay_store::StoreError;
use gopay_store::rows::{
    Cell, DELIVERIES, ERASURES, EVENTS, Kind, PAYMENT_KEYS, PAYMENT_REQUESTS, PAYMENTS, REFUNDS,
    SqlRow, Table, UNKNOWN_ORDERS, Unreadable,
};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::statement::Value;

/// A row of this database.
pub(crate) struct PgRow<'a>(pub(crate) &'a Row);

impl<'a> PgRow<'a> {
    fn value<T: FromSql<'a>>(&self, at: usize) -> Result<Option<T>, Unreadable> {
        self.0.try_get(at).map_err(|_| Unreadable)
    }
}

impl SqlRow for PgRow<'_> {
    fn int(&self, at: usize) -> Result<Option<i64>, Unreadable> {
        // Shards are smaller than all other numbers.
        self.value(at).or_else(|_| Ok(self.value::<i16>(at)?.map(i64::from)))
    }

    fn flag(&self, at: usize) -> Result<Option<bool>, Unreadable> {
        self.value(at)
    }

    fn text(&self, at: usize) -> Result<Option<&str>, Unreadable> {
        self.value(at)
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, Unreadable> {
        self.value(at)
    }
}

/// Every row as a value; the first that does not parse is the result.
pub(crate) fn read_all<T>(
    rows: &[Row],
    read: fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    rows.iter().map(|row| read(&PgRow(row))).collect()
}

/// A row that may be missing as a value.
pub(crate) fn read_opt<T>(
    row: Option<&Row>,
    read: fn(&dyn SqlRow) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    row.map(|row| read(&PgRow(row))).transpose()
}

/// The key of a row, or 0 if even that does not parse.
pub(crate) fn key(row: &Row) -> i64 {
    row.try_get(0).unwrap_or(0)
}

/// How many rows a statement may return.
pub(crate) fn limit_cell(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// A cell as a value of a statement.
#[derive(Debug)]
pub(crate) struct Bound<'a>(Cell<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Int(flag) if *ty == Type::BOOL => (*flag == 1).to_sql(ty, out),
            Cell::Int(number) => number.to_sql(ty, out),
            Cell::Text(text) => text.as_ref().to_sql(ty, out),
            Cell::Bytes(bytes) => bytes.as_ref().to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::BOOL, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

/// The cells of one row, each as one value of a statement.
pub(crate) struct Cells<'a>(Vec<Bound<'a>>);

impl<'a> Cells<'a> {
    pub(crate) fn of(cells: impl IntoIterator<Item = Cell<'a>>) -> Self {
        Self(cells.into_iter().map(Bound).collect())
    }

    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        self.0.iter().map(|cell| -> Value<'_> { cell }).collect()
    }
}

/// The cells of many rows as a list for each column, which travels as one value.
pub(crate) struct Columns<'a>(Vec<Vec<Bound<'a>>>);

impl<'a> Columns<'a> {
    /// For rows of so many cells.
    pub(crate) fn new(width: usize) -> Self {
        Self((0..width).map(|_| Vec::new()).collect())
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Cell<'a>>) {
        self.0.iter_mut().zip(row).for_each(|(column, cell)| column.push(Bound(cell)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.first().is_none_or(Vec::is_empty)
    }

    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        self.0.iter().map(|column| -> Value<'_> { column }).collect()
    }
}

/// The lists of columns as a statement takes them: `unnest($1::bigint[], ...)`.
pub(crate) fn unnest(columns: &[(&str, Kind)]) -> String {
    unnest_from(0, columns)
}

/// The same behind so many other values.
pub(crate) fn unnest_from(before: usize, columns: &[(&str, Kind)]) -> String {
    let type_of = |kind| match kind {
        Kind::Int => "bigint",
        Kind::Flag => "boolean",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
    };
    let lists = columns.iter().zip(before.saturating_add(1)..);
    let lists = lists.map(|((_, kind), place)| format!("${place}::{}[]", type_of(*kind)));
    format!("unnest({})", lists.collect::<Vec<_>>().join(", "))
}

/// The tables of payments and what belongs to them, which have the shard before the key.
const SHARDED: &[Table] = &[
    PAYMENTS,
    PAYMENT_REQUESTS,
    PAYMENT_KEYS,
    ERASURES,
    EVENTS,
    DELIVERIES,
    REFUNDS,
    UNKNOWN_ORDERS,
];

/// Inserts [`Cells`], with the shard after them.
pub(crate) fn insert_in_shard(table: &Table) -> String {
    let (name, names, places) = (table.name, table.names(), table.places('$'));
    let shard = table.columns.len().saturating_add(1);
    format!("INSERT INTO {name} ({names}, shard) VALUES ({places}, ${shard})")
}

/// Inserts the rows of [`Columns`], of whatever shards.
pub(crate) fn insert_many(table: &Table) -> String {
    let (name, names, rows) = (table.name, table.names(), unnest(table.columns));
    if !SHARDED.iter().any(|sharded| sharded.name == name) {
        return format!("INSERT INTO {name} ({names}) SELECT * FROM {rows}");
    }
    format!(
        "INSERT INTO {name} (shard, {names}) \
         SELECT (new.tx_id >> 12) & 1023, new.* FROM {rows} AS new ({names})"
    )
}

/// The same of one shard, which is the first value, in their order, for a table whose keys the database
/// draws.
pub(crate) fn insert_in_order(table: &Table) -> String {
    let (name, names) = (table.name, table.names());
    format!(
        "INSERT INTO {name} (shard, {names}) SELECT $1, {names} FROM {}
        WITH ORDINALITY AS new ({names}, place) ORDER BY place",
        unnest_from(1, table.columns)
    )
}

/// Writes what has changed about many rows of one shard, which is the first value, before
/// [`Columns`] of [`Table::changes`].
pub(crate) fn update_many(table: &Table) -> String {
    let names: Vec<&str> = table.changes().iter().map(|(name, _)| *name).collect();
    let sets: Vec<String> =
        names.iter().skip(table.key).map(|name| format!("{name} = new.{name}")).collect();
    let keys: Vec<String> =
        names.iter().take(table.key).map(|name| format!("old.{name} = new.{name}")).collect();
    format!(
        "UPDATE {} old SET {} FROM {} AS new ({}) WHERE old.shard = $1 AND {}",
        table.name,
        sets.join(", "),
        unnest_from(1, table.changes()),
        names.join(", "),
        keys.join(" AND ")
    )
}

#[cfg(test)]
mod tests {
    use gopay_store::rows::JOURNAL_HEADS;

    use super::*;

    #[test]
    fn statements_for_many_rows_are_written_from_the_lists() {
        assert_eq!(
            insert_many(&PAYMENT_REQUESTS),
            "INSERT INTO payment_requests (shard, tx_id, request, archive) \
             SELECT (new.tx_id >> 12) & 1023, new.* \
             FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS new (tx_id, request, archive)"
        );
        assert_eq!(
            insert_many(&JOURNAL_HEADS),
            "INSERT INTO journal_heads (shard, seq) SELECT * FROM unnest($1::bigint[], $2::bigint[])"
        );
        assert_eq!(
            update_many(&DELIVERIES),
            "UPDATE deliveries old SET attempts = new.attempts, \
             next_attempt_at = new.next_attempt_at, state = new.state \
             FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) \
             AS new (delivery_id, attempts, next_attempt_at, state) \
             WHERE old.shard = $1 AND old.delivery_id = new.delivery_id"
        );
    }
}
