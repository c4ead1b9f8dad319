//! The store behind a pooler in transaction mode: few connections for many clients, each transaction on
//! another one, so that whatever belonged to a session would be missing.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use gopay_core::time::Timestamp;
use gopay_store::contract::{Model, UnderTest};
use gopay_store::{Search as _, Store as _, StoreError, upgrade};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, NumberLease, Options, PgStore, Pooler};
use gopay_testkit::wait;
use tokio::sync::OnceCell;

/// Of all tests of this file; they end with the process.
static BOTH: OnceCell<Option<(Cluster, Pooler)>> = OnceCell::const_new();

async fn both() -> Option<&'static (Cluster, Pooler)> {
    let started = BOTH.get_or_init(async || {
        let start = || {
            let cluster = Cluster::start(Durability::Off).unwrap()?;
            let pooler = Pooler::start(&cluster).unwrap()?;
            Some((cluster, pooler))
        };
        tokio::task::spawn_blocking(start).await.unwrap()
    });
    let both = started.await.as_ref()?;
    // What a store says that it misses.
    let settings = [
        "synchronous_commit = 'on'",
        "default_transaction_isolation = 'read committed'",
        "jit = 'off'",
        "enable_seqscan = 'off'",
        "enable_hashjoin = 'off'",
        "enable_mergejoin = 'off'",
        "lock_timeout = '2s'",
        "statement_timeout = '8s'",
        "idle_in_transaction_session_timeout = '8s'",
    ];
    static SET: OnceCell<()> = OnceCell::const_new();
    SET.get_or_init(async || {
        for setting in settings {
            let sql = format!("ALTER ROLE gopay SET {setting}");
            both.0.run(&both.0.url("postgres"), &sql).await.unwrap();
        }
    })
    .await;
    Some(both)
}

/// A database of its own behind the pooler.
async fn place() -> Option<DatabaseUrl> {
    Some(place_and_url().await?.0)
}

/// As [`place`], and its address beside the pooler.
async fn place_and_url() -> Option<(DatabaseUrl, String)> {
    let (cluster, pooler) = both().await?;
    let url = cluster.empty().await.unwrap();
    let name = url.split_once("@/").unwrap().1.split_once('?').unwrap().0;
    let place = DatabaseUrl::parse(&pooler.url(name)).unwrap();
    assert_eq!(PgStore::migrate(&place).await.unwrap(), PgStore::schema_version_known());
    Some((place, url))
}

async fn open(groups: usize) -> (UnderTest, Option<NumberLease>) {
    let Some(place) = place().await else { return (Arc::new(Model::default()), None) };
    let options = Options { groups, ..Options::default() };
    let store = PgStore::open(&place, options).await.unwrap();
    // The suite's payments are of number 0.
    let lease = store.hold(&place, Some(0), Duration::ZERO).await.unwrap();
    (Arc::new(store), Some(lease))
}

mod as_usual {
    async fn open() -> (gopay_store::contract::UnderTest, Option<super::NumberLease>) {
        super::open(super::Options::default().groups).await
    }

    gopay_store::contract_tests!(open);
}

mod always_in_groups {
    async fn open() -> (gopay_store::contract::UnderTest, Option<super::NumberLease>) {
        super::open(0).await
    }

    gopay_store::contract_tests!(open);
}

fn source(error: &StoreError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_share_a_store_and_hold_their_numbers() {
    let Some((place, url)) = place_and_url().await else { return };
    let (cluster, _) = both().await.unwrap();
    let open = async || PgStore::open(&place, Options::default()).await.unwrap();
    let (one, two, three) = (open().await, open().await, open().await);
    let first = one.hold(&place, Some(1), Duration::ZERO).await.unwrap();
    let second = two.hold(&place, None, Duration::ZERO).await.unwrap();
    let refused = three.hold(&place, Some(1), Duration::ZERO).await.unwrap_err();
    assert!(source(&refused).contains("another instance with number 1"), "{refused:?}");
    upgrade::fill(&one).await;
    let until = "SELECT until FROM shards WHERE shard = 1";
    for _ in 0..2 {
        let last = cluster.ask(&url, until).await.unwrap();
        let renewed = async || cluster.ask(&url, until).await.unwrap() != last;
        wait::eventually("the lease is renewed", renewed).await;
    }
    let now = Timestamp::from_micros(1_767_225_600_000_000).after(Duration::from_secs(20_000));
    let until = now.after(Duration::from_secs(60));
    let claimed = two.delivery_claim_due(now, until, 9, &[]).await.unwrap();
    assert!(!claimed.is_empty() && one.may_begin());
    assert_eq!(one.delivery_claim_due(until, until, 9, &[]).await.unwrap(), []);
    let running = PgStore::migrate(&place).await.unwrap();
    assert_eq!(running, PgStore::schema_version_known());
    first.release().await;
    second.release().await;
    let again = three.hold(&place, Some(1), Duration::ZERO).await.unwrap();
    three.ping(now).await.unwrap();
    assert_eq!(one.totals().await.unwrap(), three.totals().await.unwrap());
    drop(again);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_the_settings_is_told_which() {
    let Some((cluster, pooler)) = both().await else { return };
    let url = cluster.migrated().await.unwrap();
    let name = url.split_once("@/").unwrap().1.split_once('?').unwrap().0;
    let weaker = format!("ALTER ROLE gopay IN DATABASE {name} SET synchronous_commit = 'off'");
    cluster.run(&url, &weaker).await.unwrap();
    let place = DatabaseUrl::parse(&pooler.url(name)).unwrap();
    let Err(error) = PgStore::open(&place, Options::default()).await else {
        panic!("a commit would not be durable")
    };
    let wanted = "ALTER ROLE gopay SET synchronous_commit = 'on';";
    assert!(source(&error).ends_with(wanted), "{error:?}");
}
