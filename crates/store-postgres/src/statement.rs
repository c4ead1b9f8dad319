//! Statements that are prepared once for a connection, or, behind a pooler, sent whole each time.
//!
//! A pooler in transaction mode gives each transaction any of its connections, on which nothing of a
//! session can be relied on: no statement by name, no setting. So there a statement goes with the types
//! of its values, which the database was asked for once for each process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Row};

/// A value of a statement.
pub(crate) type Value<'a> = &'a (dyn ToSql + Sync);
/// The values of a statement.
pub(crate) type Values<'a> = [Value<'a>];

/// A statement that can be run on a connection.
#[derive(Clone)]
pub(crate) enum Prepared<'a> {
    /// The connection knows it by name.
    Named(tokio_postgres::Statement),
    /// Sent whole, with the types of its values.
    Whole(&'a str, Arc<[Type]>),
}

impl Prepared<'_> {
    /// Its rows.
    pub(crate) async fn rows(
        &self,
        client: &Client,
        values: &Values<'_>,
    ) -> Result<Vec<Row>, Error> {
        match self {
            Self::Named(statement) => client.query(statement, values).await,
            Self::Whole(sql, types) => client.query_typed(sql, &typed(values, types)).await,
        }
    }

    /// How many rows it wrote.
    pub(crate) async fn run(&self, client: &Client, values: &Values<'_>) -> Result<u64, Error> {
        match self {
            Self::Named(statement) => client.execute(statement, values).await,
            Self::Whole(sql, types) => client.execute_typed(sql, &typed(values, types)).await,
        }
    }
}

fn typed<'v>(values: &Values<'v>, types: &[Type]) -> Vec<(Value<'v>, Type)> {
    values.iter().copied().zip(types.iter().cloned()).collect()
}

/// The types of the values of statements that were sent before.
#[derive(Default)]
pub(crate) struct KnownTypes(Mutex<HashMap<String, Arc<[Type]>>>);

impl KnownTypes {
    /// A statement to be sent whole. `inside`: a transaction is open on the connection; the database is
    /// asked in one, so that all of it goes to the same of its connections.
    pub(crate) async fn prepare<'a>(
        &self,
        client: &Client,
        sql: &'a str,
        inside: bool,
    ) -> Result<Prepared<'a>, Error> {
        if let Some(types) = self.known(sql) {
            return Ok(Prepared::Whole(sql, types));
        }
        if !inside {
            client.batch_execute("BEGIN").await?;
        }
        // Its name is given up when it is dropped, before the transaction ends.
        let types = client.prepare(sql).await.map(|statement| Arc::from(statement.params()));
        if !inside {
            client.batch_execute("ROLLBACK").await?;
        }
        let types: Arc<[Type]> = types?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(sql.to_owned(), Arc::clone(&types));
        drop(known);
        Ok(Prepared::Whole(sql, types))
    }

    fn known(&self, sql: &str) -> Option<Arc<[Type]>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(sql).map(Arc::clone)
    }
}
