//! The contract suite on PostgreSQL: as in production, and with every step in a group.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use gopay_store::contract::{Model, UnderTest};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, NumberLease, Options, PgStore};
use tokio::sync::OnceCell;

/// Of all tests of this file; it ends with the process.
static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

/// Without PostgreSQL the model stands in, and the cluster has said that nothing was tested.
async fn open(options: Options) -> (UnderTest, Option<NumberLease>) {
    let started = CLUSTER.get_or_init(async || {
        let start = || Cluster::start(Durability::Off).unwrap();
        tokio::task::spawn_blocking(start).await.unwrap()
    });
    let Some(cluster) = started.await else { return (Arc::new(Model::default()), None) };
    let place = DatabaseUrl::parse(&cluster.migrated().await.unwrap()).unwrap();
    let store = PgStore::open(&place, options).await.unwrap();
    // The suite's payments are of number 0.
    let lease = store.hold(&place, Some(0), Duration::ZERO).await.unwrap();
    (Arc::new(store), Some(lease))
}

mod as_usual {
    async fn open() -> (gopay_store::contract::UnderTest, Option<super::NumberLease>) {
        super::open(super::Options::default()).await
    }

    gopay_store::contract_tests!(open);
    gopay_store::sealing_tests!(open);
}

mod always_in_groups {
    async fn open() -> (gopay_store::contract::UnderTest, Option<super::NumberLease>) {
        super::open(super::Options { groups: 0, ..super::Options::default() }).await
    }

    gopay_store::contract_tests!(open);
    gopay_store::sealing_tests!(open);
}
