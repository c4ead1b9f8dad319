//! Stores of earlier versions are migrated and hold the same as one that lived the same since.
//!
//! `fixtures/store-v1.sql` has the rows of a store of version 1 of the schema: [`make_a_fixture`]
//! ran when this was the newest. It is never made again; a later version makes a file of its own.

use std::process::Command;

use gopay_store::{Journal as _, upgrade};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, Options, PgStore};
use gopay_testkit::wait;

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_version_1_holds_the_same_after_its_upgrade() {
    let Some(cluster) = Cluster::start(Durability::Off).unwrap() else { return };
    let old = cluster.empty().await.unwrap();
    let version =
        "CREATE TABLE gopay_schema (version BIGINT NOT NULL PRIMARY KEY, at TIMESTAMPTZ NOT NULL);
        INSERT INTO gopay_schema VALUES (1, now())";
    let made = [include_str!("../migrations/0001_store.sql"), version];
    for sql in made.into_iter().chain([include_str!("fixtures/store-v1.sql")]) {
        cluster.run(&old, sql).await.unwrap();
    }
    let place = DatabaseUrl::parse(&old).unwrap();
    assert!(PgStore::open(&place, Options::default()).await.is_err());
    // What an old instance writes meanwhile would be missing in the journal.
    let sleeps = "SET application_name = 'gopay-adapter'; SELECT pg_sleep(600)";
    let mut running = Box::pin(cluster.run(&old, sleeps));
    let refused = async {
        let seen = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'gopay-adapter'";
        let there = async || cluster.ask(&old, seen).await.unwrap() == "1";
        wait::eventually("the old instance runs", there).await;
        PgStore::migrate(&place).await.unwrap_err()
    };
    let error = tokio::select! {
        error = refused => error,
        ended = &mut running => panic!("{ended:?}"),
    };
    assert!(format!("{error:?}").contains("stop every instance first"), "{error:?}");
    drop(running);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'gopay-adapter'";
    cluster.ask(&old, end).await.unwrap();
    wait::eventually("the database has seen that it is gone", async || {
        let Err(error) = PgStore::migrate(&place).await else { return true };
        assert!(format!("{error:?}").contains("stop every instance first"), "{error:?}");
        false
    })
    .await;
    assert_eq!(PgStore::migrate(&place).await.unwrap(), PgStore::schema_version_known());
    let old = PgStore::open(&place, Options::default()).await.unwrap();
    let new = DatabaseUrl::parse(&cluster.migrated().await.unwrap()).unwrap();
    let new = PgStore::open(&new, Options::default()).await.unwrap();
    upgrade::fill(&new).await;
    assert_eq!(upgrade::told(&old).await, upgrade::told(&new).await);
    let (ours, theirs) = (upgrade::told_by_the_journal(&old), upgrade::told_by_the_journal(&new));
    assert_eq!(ours.await, theirs.await);
    assert_eq!(old.journal_end().await.unwrap(), new.journal_end().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_migrate_at_once_do_it_once() {
    let Some(cluster) = Cluster::start(Durability::Off).unwrap() else { return };
    for _ in 0..3 {
        let place = DatabaseUrl::parse(&cluster.empty().await.unwrap()).unwrap();
        let all = (0..6).map(|_| PgStore::migrate(&place));
        for version in futures::future::try_join_all(all).await.unwrap() {
            assert_eq!(version, PgStore::schema_version_known());
        }
    }
}

/// Writes a fixture of the newest version, for the day before the next, by `pg_dump`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a file that is then committed"]
async fn make_a_fixture() {
    let version = PgStore::schema_version_known();
    let Some(cluster) = Cluster::start(Durability::Off).unwrap() else { return };
    let url = cluster.migrated().await.unwrap();
    let store =
        PgStore::open(&DatabaseUrl::parse(&url).unwrap(), Options::default()).await.unwrap();
    upgrade::fill(&store).await;
    let options = ["--data-only", "--column-inserts", "--exclude-table=gopay_schema"];
    let dump = Command::new("/usr/lib/postgresql/15/bin/pg_dump").args(options).arg(&url).output();
    let dump = String::from_utf8(dump.unwrap().stdout).unwrap();
    // What is for `psql` alone, and what a connection of ours sets otherwise.
    let rows = dump.lines().filter(|line| line.starts_with("INSERT") || line.contains("setval"));
    let file = format!("{}/tests/fixtures/store-v{version}.sql", env!("CARGO_MANIFEST_DIR"));
    let text = rows.fold(String::new(), |text, line| text + line + "\n");
    std::fs::write(file, text).unwrap();
}
