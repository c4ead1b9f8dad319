//! The PostgreSQL of the tests of one file.

use gopay_store_postgres::cluster::{Cluster, Durability};
use tokio::sync::OnceCell;

static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

/// The cluster that the tests of this file share; none if this machine has no PostgreSQL.
pub(crate) async fn cluster() -> Option<&'static Cluster> {
    let started = CLUSTER.get_or_init(async || {
        let start = || Cluster::start(Durability::On).expect("PostgreSQL starts");
        tokio::task::spawn_blocking(start).await.expect("no panic")
    });
    started.await.as_ref()
}

/// A new database, if these tests are to run on PostgreSQL: those of the file `postgres.rs`, or
/// all with `GOPAY_TEST_STORE=postgres`.
pub(crate) async fn wanted() -> Option<String> {
    let all = std::env::var_os("GOPAY_TEST_STORE").is_some_and(|engine| engine == "postgres");
    if !all && env!("CARGO_CRATE_NAME") != "postgres" {
        return None;
    }
    Some(cluster().await?.migrated().await.expect("a database"))
}
