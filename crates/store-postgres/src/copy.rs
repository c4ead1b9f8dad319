//! Reading and filling a whole store, for `copy-store`.

use async_trait::async_trait;
use deadpool_postgres::ClientWrapper;
use gopay_store::StoreError;
use gopay_store::copy::{Row, Source, TABLES, Target, cells};
use gopay_store::rows::{Cell, Table};
use tokio_postgres::Client;

use crate::connect::DatabaseUrl;
use crate::error::{at, down, store_error};
use crate::row::{Columns, PgRow, insert_many};
use crate::schema::{self, at_rest};

/// The connection of the one that copies is not one of the running adapter's.
const NAME: &str = "gopay-adapter copy-store";

/// A store to copy from, as it was when it was opened.
pub struct PgSource {
    client: ClientWrapper,
    walk: Walk,
}

/// An empty store to copy to.
pub struct PgTarget {
    client: ClientWrapper,
    walk: Walk,
}

/// The table that is read, in the order of its key: the database puts it in order once, since no index of its
/// may be in that order.
#[derive(Default)]
struct Walk {
    table: Option<&'static str>,
    after: Vec<i64>,
}

impl PgSource {
    /// Opens a store that no adapter has open.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if its schema is not this program's; [`StoreError::Down`], whose
    /// source says why.
    pub async fn open(place: &DatabaseUrl) -> Result<Self, StoreError> {
        let client = place.client(Some(NAME)).await?;
        at_rest(&client, place).await?;
        schema::check(&client).await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
            SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        client.batch_execute(begin).await.map_err(store_error)?;
        Ok(Self { client, walk: Walk::default() })
    }
}

impl PgTarget {
    /// Creates the schema if it is missing, and makes sure that the store is empty and in no use.
    ///
    /// # Errors
    /// As [`PgSource::open`], and [`StoreError::Down`] if it holds anything.
    pub async fn open(place: &DatabaseUrl) -> Result<Self, StoreError> {
        schema::migrate(place).await?;
        let client = place.client(Some(NAME)).await?;
        at_rest(&client, place).await?;
        let begin = "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '5s';
            SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";
        client.batch_execute(begin).await.map_err(store_error)?;
        for table in TABLES {
            let name = table.name;
            let lock = format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE");
            client
                .batch_execute(&lock)
                .await
                .map_err(store_error)
                .map_err(at("lock the target"))?;
            let sql = format!("SELECT EXISTS (SELECT FROM {name})");
            let row = client.query_one(&sql, &[]).await.map_err(store_error)?;
            if row.try_get(0).map_err(store_error)? {
                return Err(down(format!("the target is not empty: {name} has rows")));
            }
        }
        Ok(Self { client, walk: Walk::default() })
    }
}

#[async_trait]
impl Source for PgSource {
    async fn rows(
        &mut self,
        table: &Table,
        after: &[i64],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.walk.rows(&self.client, table, after, limit).await
    }
}

#[async_trait]
impl Source for PgTarget {
    async fn rows(
        &mut self,
        table: &Table,
        after: &[i64],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.walk.rows(&self.client, table, after, limit).await
    }
}

#[async_trait]
impl Target for PgTarget {
    async fn insert(&mut self, table: &Table, rows: Vec<Row>) -> Result<(), StoreError> {
        let mut columns = Columns::new(table.columns.len());
        rows.into_iter().for_each(|row| columns.push(row));
        let sql = insert_many(table);
        self.client.execute(&sql, &columns.values()).await.map_err(store_error)?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        for (table, column) in [("events", "seq"), ("deliveries", "delivery_id")] {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'),
                    (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
            );
            self.client.batch_execute(&sql).await.map_err(store_error)?;
        }
        self.client.batch_execute("COMMIT").await.map_err(store_error)?;
        // Without it the first plans would take the tables for empty. Of our tables only: of the
        // catalogue's, each that the role does not own would be a warning.
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let sql = format!("ANALYZE {}", tables.join(", "));
        self.client.batch_execute(&sql).await.map_err(store_error)
    }
}

impl Walk {
    async fn rows(
        &mut self,
        client: &Client,
        table: &Table,
        after: &[i64],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        if self.table != Some(table.name) || self.after != after {
            self.begin(client, table, after).await?;
        }
        let sql = format!("FETCH FORWARD {limit} FROM walk");
        let found = client.query_typed(&sql, &[]).await.map_err(store_error)?;
        let rows: Vec<Row> =
            found.iter().map(|row| cells(table, &PgRow(row), after)).collect::<Result<_, _>>()?;
        self.after = rows.last().map(|row| key(table, row)).unwrap_or_default();
        Ok(rows)
    }

    /// Opens a cursor in the place of the one before. It outlives the transaction: what was copied is read again
    async fn begin(
        &mut self,
        client: &Client,
        table: &Table,
        after: &[i64],
    ) -> Result<(), StoreError> {
        let close = if self.table.is_some() { "CLOSE walk;" } else { "" };
        let (names, name, key) = (table.names(), table.name, table.key_names());
        let places: Vec<String> = after.iter().map(ToString::to_string).collect();
        let places = places.join(", ");
        let sql = format!(
            "{close} DECLARE walk NO SCROLL CURSOR WITH HOLD FOR
            SELECT {names} FROM {name} WHERE ({key}) > ({places}) ORDER BY {key}"
        );
        client.batch_execute(&sql).await.map_err(store_error)?;
        self.table = Some(table.name);
        Ok(())
    }
}

fn key(table: &Table, row: &Row) -> Vec<i64> {
    let number = |cell: &Cell<'_>| match cell {
        Cell::Int(number) => *number,
        Cell::Null | Cell::Text(_) | Cell::Bytes(_) => 0,
    };
    row.iter().take(table.key).map(number).collect()
}
