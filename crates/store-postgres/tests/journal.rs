//! The journal under writers of several instances.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use gopay_store::contract::{UnderTest, follow};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, Options, PgStore};

/// Writers on two pools, one of which puts every step into a group, and a third that reads: no
/// entry is missed or comes late, although commits of both are under way all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_follows_two_instances_misses_nothing() {
    let start = || Cluster::start(Durability::Off).unwrap();
    let started = tokio::task::spawn_blocking(start).await.unwrap();
    let Some(cluster) = started else { return };
    let place = DatabaseUrl::parse(&cluster.migrated().await.unwrap()).unwrap();
    let writers = vec![
        open(&place, Options::default()).await,
        open(&place, Options { groups: 0, ..Options::default() }).await,
    ];
    follow(open(&place, Options::default()).await, writers).await;
}

async fn open(place: &DatabaseUrl, options: Options) -> UnderTest {
    Arc::new(PgStore::open(place, options).await.unwrap())
}
