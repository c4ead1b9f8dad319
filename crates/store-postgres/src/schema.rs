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
    SHARDS,
];

/// Migrations that read what was written before. Programs of the version before would go on writing
/// without what is derived from it, so they must not run; all others only add what those ignore.
/// Programs before leases hold their numbers by locks of sessions, and claim whatever is due. Programs before
/// shards write rows without one.
const AT_REST: &[&str] = &[JOURNAL, GROWTH, LEASES, SHARDS];

const JOURNAL: &str = include_str!("../migrations/0002_journal.sql");
const GROWTH: &str = include_str!("../migrations/0008_growth.sql");
const LEASES: &str = include_str!("../migrations/0009_leases.sql");
const SHARDS: &str = include_str!("../migrations/0010_shards.sql");

/// From this version on instances hold leases.
const LEASED: i64 = 9;

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
        .query_typed_one(
            // Reading a catalogue makes the session hear of tables that others have made, also where it
            // has waited for them inside of its transaction.
            "SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('gopay_schema'))",
            &[],
        )
        .await
        .and_then(|row| row.try_get::<_, bool>(0))
        .map_err(store_error)?;
    if !there {
        return Ok(0);
    }
    let sql = "SELECT coalesce(max(version), 0) FROM gopay_schema";
    let row = client.query_typed_one(sql, &[]).await.map_err(store_error)?;
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
    let row = client.query_typed_one(sql, &[]).await.map_err(store_error)?;
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

/// Settings that each session sets for itself, and that must be the role's behind a pooler. In both
/// spellings of times that the database may give.
const OF_THE_ROLE: &[(&str, &[&str])] = &[
    ("synchronous_commit", &["on", "remote_apply"]),
    ("default_transaction_isolation", &["read committed"]),
    ("default_transaction_read_only", &["off"]),
    ("jit", &["off"]),
    ("enable_seqscan", &["off"]),
    ("enable_hashjoin", &["off"]),
    ("enable_mergejoin", &["off"]),
    ("lock_timeout", &["2s"]),
    ("statement_timeout", &["8s"]),
    ("idle_in_transaction_session_timeout", &["8s"]),
];

/// Whether the role has the settings that a session cannot set behind a pooler. The error is the SQL that
/// sets them.
pub(crate) async fn check_role(client: &Client) -> Result<(), StoreError> {
    let names: Vec<_> =
        OF_THE_ROLE.iter().map(|(name, _)| format!("current_setting('{name}')")).collect();
    let sql = format!("SELECT quote_ident(current_user), {}", names.join(", "));
    let row = client.query_typed_one(&sql, &[]).await.map_err(store_error)?;
    let role: String = row.try_get(0).map_err(store_error)?;
    let mut missing = Vec::new();
    for ((name, wanted), column) in OF_THE_ROLE.iter().zip(1_usize..) {
        let value: String = row.try_get(column).map_err(store_error)?;
        if !wanted.contains(&value.as_str()) {
            let wanted = wanted.first().copied().unwrap_or_default();
            missing.push(format!("ALTER ROLE {role} SET {name} = '{wanted}';"));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(down(format!(
        "pooler=transaction: settings of the role are missing; run this, and let the pooler connect \
         anew: {}",
        missing.join(" ")
    )))
}

/// Nobody may write while a store is copied, or while what was written is read for a migration:
/// what came after would be lost.
///
/// A pooler keeps connections of programs that have ended; behind one, leases tell who runs.
pub(crate) async fn at_rest(client: &Client, place: &DatabaseUrl) -> Result<(), StoreError> {
    let connected = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
            AND application_name LIKE 'gopay-adapter%' AND application_name NOT LIKE '% migrate'";
    let leased = "SELECT count(*) FROM shards WHERE holder IS NOT NULL
        AND until > extract(epoch FROM clock_timestamp()) * 1000000";
    let (sql, what) = if place.is_pooled() && version(client).await? >= LEASED {
        (leased, "leases are held by instances of gopay-adapter")
    } else {
        (connected, "connections of gopay-adapter are open")
    };
    let row = client.query_typed_one(sql, &[]).await.map_err(store_error)?;
    match row.try_get(0).map_err(store_error)? {
        0_i64 => Ok(()),
        count => Err(down(format!("{count} {what}; stop every instance first"))),
    }
}

/// Brings the schema up to date; its version afterwards. A migration that fails leaves the version
/// before it. If several programs migrate at once, one does and the others find it done.
pub(crate) async fn migrate(place: &DatabaseUrl) -> Result<i64, StoreError> {
    let client = place.client(Some("gopay-adapter migrate")).await?;
    check_server(&client).await?;
    loop {
        let found = version(&client).await?;
        if found > known() {
            return Err(StoreError::Schema { found, known: known() });
        }
        if found == known() {
            return Ok(found);
        }
        if let Err(error) = migrate_one(&client, place).await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(at("migrate the schema")(error));
        }
    }
}

/// Runs the next migration in a transaction that others wait for, if there is still one.
async fn migrate_one(client: &Client, place: &DatabaseUrl) -> Result<(), StoreError> {
    let begin = format!(
        "BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL synchronous_commit = on;
        SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
        SET LOCAL lock_timeout = {}; SELECT pg_advisory_xact_lock({LOCKS}, {MIGRATING})",
        WAIT.as_millis()
    );
    client.batch_execute(&begin).await.map_err(store_error)?;
    let found = version(client).await?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(sql) = MIGRATIONS.get(done) else {
        return client.batch_execute("COMMIT").await.map_err(store_error);
    };
    if found > 0 && AT_REST.contains(sql) {
        at_rest(client, place).await?;
    }
    // A table that is in use is waited for, but not for long: behind the wait all others would queue up.
    let next = found.saturating_add(1);
    let step = format!(
        "SET LOCAL lock_timeout = '5s';
        CREATE TABLE IF NOT EXISTS gopay_schema (
            version BIGINT NOT NULL PRIMARY KEY, at TIMESTAMPTZ NOT NULL);
        {sql}
        INSERT INTO gopay_schema (version, at) VALUES ({next}, now());
        COMMIT"
    );
    client.batch_execute(&step).await.map_err(store_error)
}
