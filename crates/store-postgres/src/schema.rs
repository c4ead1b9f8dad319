//! The schema and its migrations: forward only, one transaction each, one program at a time.

use std::time::Duration;

use gopay_store::StoreError;
use tokio_postgres::Client;

use crate::connect::{DatabaseUrl, LOCKS};
use crate::error::{at, down, store_error};

/// In order; the first makes version 1. Never edited once released.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_store.sql"),
    JOURNAL,
    include_str!("../migrations/0003_attention.sql"),
    include_str!("../migrations/0004_settlements.sql"),
    include_str!("../migrations/0005_reconciliation.sql"),
    include_str!("../migrations/0006_personal_data.sql"),
    include_str!("../migrations/0007_directory.sql"),
    GROWTH,
    LEASES,
];

/// Migrations that read what was written before. Programs of the version before would go on writing
/// without what is derived from it, so they must not run; all others only add what those ignore.
/// Programs before leases hold their numbers by locks of sessions, and claim whatever is due.
const AT_REST: &[&str] = &[JOURNAL, GROWTH, LEASES];

const JOURNAL: &str = include_str!("../migrations/0002_journal.sql");
const GROWTH: &str = include_str!("../migrations/0008_growth.sql");
const LEASES: &str = include_str!("../migrations/0009_leases.sql");

/// The second half of the key under which migrations run; the first is [`LOCKS`].
const MIGRATING: i32 = -1;

/// How long another program's migration is waited for.
const WAIT: Duration = Duration::from_secs(600);

pub(crate) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The version in the database; 0 if there is no schema.
pub(crate) async fn version(client: &Client) -> Result<i64, StoreError> {
    let there = client
        .query_one("SELECT to_regclass('gopay_schema') IS NOT NULL", &[])
        .await
        .and_then(|row| row.try_get::<_, bool>(0))
        .map_err(store_error)?;
    if !there {
        return Ok(0);
    }
    let sql = "SELECT coalesce(max(version), 0) FROM gopay_schema";
    let row = client.query_one(sql, &[]).await.map_err(store_error)?;
    row.try_get(0).map_err(store_error)
}

/// Whether this program fits the database, found out without writing.
pub(crate) async fn check(client: &Client) -> Result<(), StoreError> {
    let found = version(client).await?;
    if found == known() { Ok(()) } else { Err(StoreError::Schema { found, known: known() }) }
}

/// Whether the database keeps what it is told.
pub(crate) async fn check_server(client: &Client) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_version_num')::int, \
               current_setting('server_encoding'), current_setting('fsync'), \
               current_setting('full_page_writes'), pg_is_in_recovery()";
    let row = client.query_one(sql, &[]).await.map_err(store_error)?;
    let version: i32 = row.try_get(0).map_err(store_error)?;
    if version < 120_000 {
        return Err(down("the database is older than PostgreSQL 12"));
    }
    let encoding: String = row.try_get(1).map_err(store_error)?;
    if encoding != "UTF8" {
        return Err(down(format!("the database's encoding is {encoding}, not UTF8")));
    }
    if row.try_get(4).map_err(store_error)? {
        return Err(down("the server is a standby, which takes no writes"));
    }
    for (column, name) in [(2, "fsync"), (3, "full_page_writes")] {
        let value: String = row.try_get(column).map_err(store_error)?;
        if value != "on" {
            tracing::warn!("the database has {name} off: a power cut may lose payments");
        }
    }
    Ok(())
}

/// Nobody may write while a store is copied, or while what was written is read for a migration:
/// what came after would be lost.
pub(crate) async fn at_rest(client: &Client) -> Result<(), StoreError> {
    let sql = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND application_name LIKE 'gopay-adapter%' AND application_name NOT LIKE '% migrate'";
    let row = client.query_one(sql, &[]).await.map_err(store_error)?;
    match row.try_get(0).map_err(store_error)? {
        0_i64 => Ok(()),
        count => Err(down(format!(
            "{count} connections of gopay-adapter are open; stop every instance first"
        ))),
    }
}

/// Brings the schema up to date; its version afterwards. A migration that fails leaves the version
/// before it. If several programs migrate at once, one does and the others find it done.
pub(crate) async fn migrate(place: &DatabaseUrl) -> Result<i64, StoreError> {
    let client = place.client(Some("gopay-adapter migrate")).await?;
    check_server(&client).await?;
    let lock = format!(
        "SET client_min_messages = warning; SET synchronous_commit = on; SET lock_timeout = {}; \
         SELECT pg_advisory_lock({LOCKS}, {MIGRATING})",
        WAIT.as_millis()
    );
    client.batch_execute(&lock).await.map_err(store_error).map_err(at("lock the schema"))?;
    let migrated = migrate_locked(&client).await;
    // The connection may live a little longer than this call.
    let unlock = format!("SELECT pg_advisory_unlock({LOCKS}, {MIGRATING})");
    let unlocked = client.batch_execute(&unlock).await.map_err(store_error);
    migrated.and_then(|version| unlocked.map(|()| version))
}

async fn migrate_locked(client: &Client) -> Result<i64, StoreError> {
    // A table that is in use is waited for, but not for long: behind the wait all others would
    // queue up.
    client.batch_execute("SET lock_timeout = '5s'").await.map_err(store_error)?;
    let found = version(client).await?;
    if found > known() {
        return Err(StoreError::Schema { found, known: known() });
    }
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    for (sql, version) in MIGRATIONS.iter().zip(1_i64..).skip(done) {
        if found > 0 && AT_REST.contains(sql) {
            at_rest(client).await.map_err(at("migrate the schema"))?;
        }
        let step = format!(
            "BEGIN;
            CREATE TABLE IF NOT EXISTS gopay_schema (
                version BIGINT NOT NULL PRIMARY KEY, at TIMESTAMPTZ NOT NULL);
            {sql}
            INSERT INTO gopay_schema (version, at) VALUES ({version}, now());
            COMMIT"
        );
        client.batch_execute(&step).await.map_err(store_error).map_err(at("migrate the schema"))?;
    }
    version(client).await
}
