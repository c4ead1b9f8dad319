//! Every step touches one part of the tables, without an engine that distributes them: the tables are
//! partitioned by the shard, the contract suite passes on them, and the plan of every statement
//! that it has run is looked at.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use gopay_store::contract::{self, UnderTest};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, NumberLease, Options, PgStore};
use gopay_testkit::wait;
use serde_json::Value;

/// Statements that may touch more than one part, and why. No step of a payment is among them but the
/// look-ups by what the PSP gave.
const MORE: &[(&str, &str)] = &[
    ("payment_find", "by the PSP's reference"),
    ("payment_find_nonce", "by the PSP's nonce"),
    ("refund_find", "by the PSP's reference"),
    ("refunds: in another shard", "ids of before, and ids that nobody has"),
    ("payments_missing", "payments of a list, after a connection was lost"),
    ("shards: known", "which shards there are"),
    ("payments_list", "a list"),
    ("payments_list: end", "a list"),
    ("refunds_list", "a list"),
    ("refunds_list: end", "a list"),
    ("deliveries_list", "a list"),
    ("deliveries_list: end", "a list"),
    ("payments_in_doubt", "a list"),
    ("orders_open", "a list"),
    ("attention", "totals"),
    ("backlog", "totals"),
    ("totals: sums", "totals"),
    ("totals: counted", "totals"),
    ("totals: refill", "totals"),
    ("totals: forget", "totals"),
    ("journal_end", "the journal over all shards"),
    ("journal_read", "the journal over all shards"),
    ("data_keys_after", "rekey"),
    ("data_keys_rewrap", "rekey"),
    ("key_proof_remove", "rekey"),
    ("archive_read: payments", "retain"),
    ("archive_read: calls", "retain"),
    ("archive_read: trails", "retain"),
    ("archive_take: may they", "retain"),
    ("archive_take: records", "retain"),
    ("archive_take: calls", "retain"),
    ("archive_give_back: lock", "retain"),
    ("archive_give_back: calls", "retain"),
];

/// A store with partitioned tables, which is empty for each case.
struct Partitioned {
    cluster: Cluster,
    url: String,
    store: PgStore,
    lease: NumberLease,
}

impl Partitioned {
    async fn open(options: Options) -> Option<Self> {
        let start = || Cluster::start(Durability::Off).unwrap();
        let cluster = tokio::task::spawn_blocking(start).await.unwrap()?;
        let url = cluster.partitioned().await.unwrap();
        // Plans as they are before a value is known, each in the server's log.
        for set in [
            "session_preload_libraries = 'auto_explain'",
            "auto_explain.log_min_duration = 0",
            "auto_explain.log_format = 'json'",
            "plan_cache_mode = 'force_generic_plan'",
        ] {
            cluster.run(&url, &format!("ALTER ROLE gopay SET {set}")).await.unwrap();
        }
        let place = DatabaseUrl::parse(&url).unwrap();
        let store = PgStore::open(&place, options).await.unwrap();
        let lease = store.hold(&place, Some(0), Duration::ZERO).await.unwrap();
        Some(Self { cluster, url, store, lease })
    }

    /// The store without any rows, when nothing of the case before is under way any more.
    async fn empty(&self) -> UnderTest {
        let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND state <> 'idle' AND pid <> pg_backend_pid()";
        let idle = async || self.cluster.ask(&self.url, busy).await.unwrap() == "0";
        wait::eventually("nothing is under way", idle).await;
        let mut sql = String::new();
        for table in gopay_store::copy::TABLES {
            sql.push_str(&format!("DELETE FROM {};", table.name));
        }
        for (table, column) in [("events", "seq"), ("deliveries", "delivery_id")] {
            sql.push_str(&format!("ALTER TABLE {table} ALTER COLUMN {column} RESTART;"));
        }
        self.cluster.run(&self.url, &sql).await.unwrap();
        Arc::new(self.store.clone())
    }

    /// Ends it; what its server wrote.
    async fn end(self) -> String {
        self.lease.release().await;
        self.store.close();
        self.cluster.log()
    }
}

/// Every case without the layer that seals, among them those that need it so.
async fn plain(store: &Partitioned) {
    contract::run_all(|| store.empty()).await;
    contract::personal_data_is_replaced_only_as_it_was_read(store.empty().await).await;
    contract::data_keys_are_kept_listed_and_wrapped_anew(store.empty().await).await;
    contract::proofs_of_keys_stay_while_they_are_used(store.empty().await).await;
    contract::what_is_sealed_is_read_as_it_was_written(store.empty().await).await;
    contract::a_value_in_the_place_of_another_does_not_open(store.empty().await).await;
    let directory = store.empty().await;
    contract::the_directory_is_sealed_wrapped_anew_and_never_opens_elsewhere(directory).await;
}

/// The parts that the plan of each statement names, the most of all its plans.
fn touched(log: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut touched: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in log.split("  plan:\n").skip(1) {
        // The lines of an entry begin with a tab.
        let lines = entry.lines().take_while(|line| line.starts_with('\t'));
        let plan: Value = serde_json::from_str(&lines.collect::<String>()).unwrap();
        let text = plan.get("Query Text").and_then(Value::as_str).unwrap();
        let Some(name) = text.trim_start().strip_prefix("-- ") else { continue };
        let name = name.lines().next().unwrap_or_default().trim().to_owned();
        let mut parts = BTreeSet::new();
        scanned(plan.get("Plan").unwrap(), &mut parts);
        let most = touched.entry(name).or_default();
        if parts.len() > most.len() {
            *most = parts;
        }
    }
    touched
}

/// The parts that are read. Rows that are inserted are each routed to one part, and `Target Tables` names
/// those that rows could be of, so only nodes of the plan count.
fn scanned(node: &Value, parts: &mut BTreeSet<String>) {
    if let Some((_, part)) =
        node.get("Relation Name").and_then(Value::as_str).and_then(|name| name.split_once("_part_"))
    {
        parts.insert(part.to_owned());
    }
    for child in node.get("Plans").and_then(Value::as_array).into_iter().flatten() {
        scanned(child, parts);
    }
}

/// The names of the statements in the sources of this room.
fn named() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(path).unwrap();
            for begun in text.split("\"-- ").skip(1) {
                let name: String = begun.chars().take_while(|c| !"\n\"\\".contains(*c)).collect();
                names.insert(name.trim().to_owned());
            }
            for begun in text.split("select!(").skip(1) {
                let name = begun.split('"').nth(1).unwrap_or_default();
                names.insert(name.to_owned());
            }
        }
    }
    names.retain(|name| !name.is_empty() && !name.contains('$'));
    names
}

/// Statements about numbers, the schema and whole stores, which touch no table of payments, or are made
/// for a store at rest.
fn is_of_a_step(name: &str) -> bool {
    !["lease: ", "statistics: "].iter().any(|kind| name.starts_with(kind))
}

/// The whole suite is one future, which is larger than the stack of a test.
#[test]
fn each_statement_of_a_step_touches_one_part() {
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).enable_all().build().unwrap().block_on(look_at_all_plans());
    };
    let large = std::thread::Builder::new().stack_size(256 << 20);
    large.spawn(run).unwrap().join().unwrap();
}

async fn look_at_all_plans() {
    let Some(alone) = Partitioned::open(Options::default()).await else { return };
    let in_groups = Options { groups: 0, ..Options::default() };
    let Some(in_groups) = Partitioned::open(in_groups).await else { return };
    let sealed = || async { contract::behind_the_layer(in_groups.empty().await) };
    join(plain(&alone), contract::run_all(sealed)).await;

    let touched = touched(&(alone.end().await + &in_groups.end().await));
    let exempt = |name: &str| MORE.iter().any(|(exempt, _)| *exempt == name);
    let too_many: Vec<_> =
        touched.iter().filter(|(name, parts)| parts.len() > 1 && !exempt(name)).collect();
    assert!(too_many.is_empty(), "these touch more than one part: {too_many:?}");
    let unseen: Vec<_> = named()
        .into_iter()
        .filter(|name| is_of_a_step(name) && !touched.contains_key(name))
        .collect();
    assert!(unseen.is_empty(), "the suite does not run these: {unseen:?}");
    for (name, why) in MORE {
        assert!(touched.contains_key(*name), "{name} ({why}) is not run");
    }
}
