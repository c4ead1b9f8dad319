//! Reading and filling a whole store, for `copy-store`.

use async_trait::async_trait;
use gopay_store::StoreError;
use gopay_store::copy::{Cell, Kind, Row, Source, TABLES, Table, Target};
use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use crate::fault::{at, down, trouble};
use crate::{PgStore, Place, schema};

/// The connection of the one that copies is not one of the running adapter's.
const NAME: &str = "gopay-adapter copy-store";

/// A store to copy from, as it was when it was opened.
pub struct PgSource {
    client: Client,
}

/// An empty store to copy to.
pub struct PgTarget {
    client: Client,
}

impl PgSource {
    /// Opens a store that no adapter has open.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if its schema is not this program's; [`StoreError::Down`], whose
    /// source says why.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        let client = place.client(Some(NAME)).await?;
        at_rest(&client).await?;
        schema::check(&client).await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        client.batch_execute(begin).await.map_err(trouble)?;
        Ok(Self { client })
    }
}

impl PgTarget {
    /// Creates the schema if it is missing, and makes sure that the store is empty and in no use.
    ///
    /// # Errors
    /// As [`PgSource::open`], and [`StoreError::Down`] if it holds anything.
    pub async fn open(place: &Place) -> Result<Self, StoreError> {
        PgStore::migrate(place).await?;
        let client = place.client(Some(NAME)).await?;
        at_rest(&client).await?;
        let begin = "SET synchronous_commit = on; SET lock_timeout = '5s'; BEGIN";
        client.batch_execute(begin).await.map_err(trouble)?;
        for table in TABLES {
            let name = table.name;
            let lock = format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE");
            client.batch_execute(&lock).await.map_err(trouble).map_err(at("lock the target"))?;
            let sql = format!("SELECT EXISTS (SELECT FROM {name})");
            let row = client.query_one(&sql, &[]).await.map_err(trouble)?;
            if row.try_get(0).map_err(trouble)? {
                return Err(down(format!("the target is not empty: {name} has rows")));
            }
        }
        Ok(Self { client })
    }
}

/// Nobody may write while a store is copied: what came after would be lost.
async fn at_rest(client: &Client) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND application_name LIKE 'gopay-adapter%' AND application_name NOT LIKE '% migrate'";
    let row = client.query_one(sql, &[]).await.map_err(trouble)?;
    match row.try_get(0).map_err(trouble)? {
        0_i64 => Ok(()),
        count => Err(down(format!(
            "{count} connections of gopay-adapter are open; stop every instance first"
        ))),
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
        rows(&self.client, table, after, limit).await
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
        rows(&self.client, table, after, limit).await
    }
}

#[async_trait]
impl Target for PgTarget {
    async fn insert(&mut self, table: &Table, rows: Vec<Row>) -> Result<(), StoreError> {
        let types = table
            .columns
            .iter()
            .zip(1..)
            .map(|((_, kind), place)| format!("${place}::{}[]", type_of(*kind)));
        let sql = format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({})",
            table.name,
            table.names(),
            types.collect::<Vec<_>>().join(", ")
        );
        let columns = columns(table, rows)?;
        let values: Vec<&(dyn ToSql + Sync)> =
            columns.iter().map(|column| column.as_value()).collect();
        self.client.execute(&sql, &values).await.map_err(trouble)?;
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        for (table, column) in [("events", "seq"), ("deliveries", "delivery_id")] {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', '{column}'),
                    (SELECT coalesce(max({column}), 0) + 1 FROM {table}), false)"
            );
            self.client.batch_execute(&sql).await.map_err(trouble)?;
        }
        self.client.batch_execute("COMMIT").await.map_err(trouble)?;
        // Without it the first plans would take the tables for empty.
        self.client.batch_execute("ANALYZE").await.map_err(trouble)
    }
}

const fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Flag => "boolean",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
    }
}

async fn rows(
    client: &Client,
    table: &Table,
    after: &[i64],
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let key = table.key_names();
    let places: Vec<String> = (1..=after.len()).map(|place| format!("${place}")).collect();
    let sql = format!(
        "SELECT {} FROM {} WHERE ({key}) > ({}) ORDER BY {key} LIMIT {limit}",
        table.names(),
        table.name,
        places.join(", ")
    );
    let values: Vec<&(dyn ToSql + Sync)> =
        after.iter().map(|part| -> &(dyn ToSql + Sync) { part }).collect();
    let found = client.query(&sql, &values).await.map_err(trouble)?;
    found.iter().map(|row| cells(table, row)).collect()
}

fn cells(table: &Table, row: &tokio_postgres::Row) -> Result<Row, StoreError> {
    let cell = |(place, (_, kind)): (usize, &(&str, Kind))| {
        let cell = match kind {
            Kind::Int => row.try_get::<_, Option<i64>>(place)?.map(Cell::Int),
            Kind::Flag => row.try_get::<_, Option<bool>>(place)?.map(|flag| Cell::Int(flag.into())),
            Kind::Text => row.try_get::<_, Option<String>>(place)?.map(Cell::Text),
            Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(place)?.map(Cell::Bytes),
        };
        Ok(cell.unwrap_or(Cell::Null))
    };
    table.columns.iter().enumerate().map(cell).collect::<Result<_, _>>().map_err(trouble)
}

/// A column of a batch, as an array of the database.
enum Column {
    Ints(Vec<Option<i64>>),
    Flags(Vec<Option<bool>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl Column {
    fn as_value(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Ints(cells) => cells,
            Self::Flags(cells) => cells,
            Self::Texts(cells) => cells,
            Self::Bytes(cells) => cells,
        }
    }

    /// False if the cell is of another kind.
    fn push(&mut self, cell: Cell) -> bool {
        match (self, cell) {
            (Self::Ints(cells), Cell::Int(number)) => cells.push(Some(number)),
            (Self::Flags(cells), Cell::Int(number @ (0 | 1))) => cells.push(Some(number == 1)),
            (Self::Texts(cells), Cell::Text(text)) => cells.push(Some(text)),
            (Self::Bytes(cells), Cell::Bytes(bytes)) => cells.push(Some(bytes)),
            (Self::Ints(cells), Cell::Null) => cells.push(None),
            (Self::Flags(cells), Cell::Null) => cells.push(None),
            (Self::Texts(cells), Cell::Null) => cells.push(None),
            (Self::Bytes(cells), Cell::Null) => cells.push(None),
            (_, Cell::Int(_) | Cell::Text(_) | Cell::Bytes(_)) => return false,
        }
        true
    }
}

fn columns(table: &Table, rows: Vec<Row>) -> Result<Vec<Column>, StoreError> {
    let empty = |(_, kind): &(&str, Kind)| match kind {
        Kind::Int => Column::Ints(Vec::new()),
        Kind::Flag => Column::Flags(Vec::new()),
        Kind::Text => Column::Texts(Vec::new()),
        Kind::Bytes => Column::Bytes(Vec::new()),
    };
    let mut columns: Vec<Column> = table.columns.iter().map(empty).collect();
    for row in rows {
        let named = columns.iter_mut().zip(table.columns);
        for ((column, (name, _)), cell) in named.zip(row) {
            if !column.push(cell) {
                let row = "being copied".to_owned();
                return Err(StoreError::Corrupt { table: table.name, column: name, row });
            }
        }
    }
    Ok(columns)
}
