//! What only this engine promises: durability of the session, a database that hangs, and the columns
//! that are copied.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::error::Error as _;
use std::time::Duration;

use gopay_core::time::Timestamp;
use gopay_store::copy::TABLES;
use gopay_store::{Search as _, Store as _, StoreError};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, Options, PgStore};
use gopay_testkit::wait;
use tokio::sync::OnceCell;

/// Of all tests but the one that stops it; it ends with the process.
static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

async fn own() -> Option<Cluster> {
    let start = || Cluster::start(Durability::On).unwrap();
    tokio::task::spawn_blocking(start).await.unwrap()
}

async fn start() -> Option<(&'static Cluster, String)> {
    let cluster = CLUSTER.get_or_init(own).await.as_ref()?;
    let url = cluster.migrated().await.unwrap();
    Some((cluster, url))
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000)
}

fn hurried() -> Options {
    Options {
        connections: 2,
        queue: 4,
        groups: 1,
        wait: Duration::from_millis(200),
        lock_timeout: Duration::from_millis(200),
        step_timeout: Duration::from_millis(500),
    }
}

fn source(error: &StoreError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_answers_before_the_disk_has_it_is_told_otherwise() {
    let Some((cluster, url)) = start().await else { return };
    let name = cluster.ask(&url, "SELECT current_database()").await.unwrap();
    let weaken = format!("ALTER DATABASE {name} SET synchronous_commit = off");
    cluster.run(&url, &weaken).await.unwrap();
    let place = DatabaseUrl::parse(&url).unwrap();
    let store = PgStore::open(&place, hurried()).await.unwrap();
    // The store's own ping, watched by a trigger that keeps what its session has set.
    let watch = "CREATE TABLE seen (setting TEXT);
        CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL;
        END $$;
        CREATE TRIGGER look AFTER INSERT OR UPDATE ON pings FOR EACH ROW EXECUTE FUNCTION look()";
    cluster.run(&url, watch).await.unwrap();
    store.ping(now()).await.unwrap();
    assert_eq!(cluster.ask(&url, "SELECT setting FROM seen").await.unwrap(), "on");
    assert_eq!(cluster.ask(&url, "SHOW synchronous_commit").await.unwrap(), "off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_not_to_be_had_is_busy() {
    let Some((cluster, url)) = start().await else { return };
    let store = PgStore::open(&DatabaseUrl::parse(&url).unwrap(), hurried()).await.unwrap();
    store.ping(now()).await.unwrap();
    let hold = "BEGIN; LOCK TABLE pings; SELECT pg_sleep(3)";
    let holding = cluster.run(&url, hold);
    // Until the lock is there the ping succeeds.
    let trying = wait::found("the lock is held", async || store.ping(now()).await.err());
    let (held, error) = futures::future::join(holding, trying).await;
    held.unwrap();
    assert!(matches!(error, StoreError::Busy), "{error:?}");
    store.ping(now()).await.unwrap();
}

/// A stopped server accepts connections and answers nothing: the worst kind of fault.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_is_down_and_comes_back() {
    let Some(cluster) = own().await else { return };
    let url = cluster.migrated().await.unwrap();
    let store = PgStore::open(&DatabaseUrl::parse(&url).unwrap(), hurried()).await.unwrap();
    store.ping(now()).await.unwrap();
    cluster.freeze().unwrap();
    let first = store.ping(now()).await.unwrap_err();
    assert!(matches!(first, StoreError::Down(_)), "{first:?}");
    // More at once than there is room for: nobody waits without end, and nobody is told a lie.
    let many = (0..20).map(|_| store.ping(now()));
    for result in futures::future::join_all(many).await {
        let error = result.unwrap_err();
        assert!(matches!(error, StoreError::Away(_) | StoreError::Busy), "{error:?}");
    }
    cluster.thaw().unwrap();
    // What was tried meanwhile may still occupy the server for a moment.
    while let Err(error) = store.ping(now()).await {
        let known = matches!(error, StoreError::Away(_) | StoreError::Down(_) | StoreError::Busy);
        assert!(known, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_are_made_again() {
    let Some((cluster, url)) = start().await else { return };
    let store = PgStore::open(&DatabaseUrl::parse(&url).unwrap(), hurried()).await.unwrap();
    store.ping(now()).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    cluster.run(&url, cut).await.unwrap();
    let here = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    while cluster.ask(&url, here).await.unwrap() != "0" {
        tokio::task::yield_now().await;
    }
    // The step that finds it out says so; the next has a connection of its own.
    if let Err(error) = store.ping(now()).await {
        assert!(matches!(error, StoreError::Down(_)), "{error:?}");
        store.ping(now()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_column_is_copied() {
    let Some((cluster, url)) = start().await else { return };
    // Claims are this engine's own, and of no use in a copy; shards are told by ids.
    let sharded = [
        "payments",
        "payment_requests",
        "payment_keys",
        "erasures",
        "events",
        "refunds",
        "deliveries",
        "unknown_orders",
    ];
    for table in TABLES {
        let sql = format!(
            "SELECT string_agg(column_name, ',' ORDER BY column_name COLLATE \"C\")
            FROM information_schema.columns
            WHERE table_name = '{}' AND column_name NOT IN ('leased_by', 'leased_until')",
            table.name
        );
        let mut names: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        names.extend(sharded.contains(&table.name).then_some("shard"));
        names.sort_unstable();
        assert_eq!(cluster.ask(&url, &sql).await.unwrap(), names.join(","));
    }
    let sql = "SELECT string_agg(tablename, ',' ORDER BY tablename COLLATE \"C\")
        FROM pg_tables WHERE schemaname = 'public'";
    let mut names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
    names.extend(["gopay_schema", "pings", "shards"]);
    names.sort_unstable();
    assert_eq!(cluster.ask(&url, sql).await.unwrap(), names.join(","));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_opened_for_reading_writes_nothing() {
    let Some((_cluster, url)) = start().await else { return };
    let store = PgStore::open_read_only(&DatabaseUrl::parse(&url).unwrap()).await.unwrap();
    assert_eq!(store.totals().await.unwrap(), gopay_store::Totals::default());
    let error = store.ping(now()).await.unwrap_err();
    assert!(source(&error).contains("read-only"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let place = DatabaseUrl::parse("postgres://u:hidden@127.0.0.1:1/pay").unwrap();
    let Err(error) = PgStore::open(&place, hurried()).await else { panic!("nobody is there") };
    let shown = format!("{error:?}");
    assert!(matches!(error, StoreError::Away(_)) && !shown.contains("hidden"), "{shown}");
}
