//! Rows of calls a second.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gopay_store_postgres::cluster::{Cluster, Durability};

use super::{Bench, Row, Side, cpu, jsons, median, rate, ratio};
use crate::body::{Size, Stem, Template};
use crate::process::family;
use crate::source::{Calls, Same};
use crate::stage::Server;
use crate::tally::Run;
use crate::wire::Outgoing;

pub(crate) async fn sqlite(bench: &Bench, name: &str) -> anyhow::Result<Server> {
    let store = bench.stage.fresh_sqlite(name)?;
    bench.stage.adapter(name, &store, bench.midtrans.address).await
}

pub(crate) fn calls(bench: &mut Bench, mix: &str) -> anyhow::Result<Arc<Calls>> {
    let first = bench.numbers();
    Calls::new(mix, first, None).map(Arc::new)
}

/// TRANSACTION against the Node peer.
pub(super) async fn transaction(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let adapter = sqlite(bench, "transaction").await?;
    let node = bench.stage.node(bench.midtrans.address)?;
    let mut rows = Vec::new();
    for mix in ["full", "minimal"] {
        let ours = Side::closed("product", &adapter, calls(bench, mix)?);
        let Some(node) = &node else {
            let [runs] = bench.rounds([&ours]).await?;
            rows.push(transaction_row(mix, &runs, &[]));
            continue;
        };
        let theirs = Side::closed("node", node, calls(bench, mix)?);
        let [ours, theirs] = bench.rounds([&ours, &theirs]).await?;
        rows.push(transaction_row(mix, &ours, &theirs));
    }
    adapter.stop().await?;
    Ok(rows)
}

fn transaction_row(mix: &str, ours: &[Run], theirs: &[Run]) -> Row {
    let times = (!theirs.is_empty()).then(|| ratio(ours, theirs, Run::rate));
    Row {
        name: format!("TRANSACTION ({mix})/s, SQLite, durable, 64 connections; Node"),
        goal: "12,000/s; 4x Node".to_owned(),
        ours: format!("{:.0}/s", rate(ours)),
        theirs: if theirs.is_empty() {
            "no node here".to_owned()
        } else {
            format!("{:.0}/s", rate(theirs))
        },
        ratio: times,
        cpu: Some((cpu(ours), (!theirs.is_empty()).then(|| cpu(theirs)))),
        reached: Some(rate(ours) >= 12_000.0 && times.is_none_or(|times| times >= 4.0)),
        runs: jsons(&[ours, theirs]),
    }
}

/// Against the same service on a store that keeps nothing.
pub(super) async fn null_store(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let adapter = sqlite(bench, "durable").await?;
    let midtrans = bench.midtrans.address.to_string();
    let null = bench.stage.own("null", &["--midtrans", &midtrans])?;
    let ours = Side::closed("product", &adapter, calls(bench, "full")?);
    let theirs = Side::closed("store that keeps nothing", &null, calls(bench, "full")?);
    let [ours, theirs] = bench.rounds([&ours, &theirs]).await?;
    adapter.stop().await?;
    null.stop().await?;
    Ok(vec![part_of("durable against a store that keeps nothing", 0.7, &ours, &theirs)])
}

/// A row whose goal is a part of the counterpart's rate.
fn part_of(name: &str, goal: f64, ours: &[Run], theirs: &[Run]) -> Row {
    let times = ratio(ours, theirs, Run::rate);
    Row {
        name: name.to_owned(),
        goal: format!("at least {goal}"),
        ours: format!("{:.0}/s", rate(ours)),
        theirs: format!("{:.0}/s", rate(theirs)),
        ratio: Some(times),
        cpu: Some((cpu(ours), Some(cpu(theirs)))),
        reached: Some(times >= goal),
        runs: jsons(&[ours, theirs]),
    }
}

/// Latency at half of the maximum rate.
pub(super) async fn half_rate(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let adapter = sqlite(bench, "half").await?;
    let ours = Side::closed("product, maximum", &adapter, calls(bench, "full")?);
    let max = bench.measure(&ours).await?.rate();
    let open = |name, server, source, max: f64| Side {
        connections: 256,
        rate: Some(max / 2.0),
        ..Side::closed(name, server, source)
    };
    let ours = open("product, half", &adapter, calls(bench, "full")?, max);
    let p99 = |runs: &[Run]| median(runs.iter().map(|run| run.ms(0.99)));
    let node = bench.stage.node(bench.midtrans.address)?;
    let (ours, theirs) = match &node {
        Some(node) => {
            let side = Side::closed("node, maximum", node, calls(bench, "full")?);
            let max = bench.measure(&side).await?.rate();
            let theirs = open("node, half", node, calls(bench, "full")?, max);
            let [ours, theirs] = bench.rounds([&ours, &theirs]).await?;
            (ours, theirs)
        }
        None => {
            let [ours] = bench.rounds([&ours]).await?;
            (ours, Vec::new())
        }
    };
    adapter.stop().await?;
    let shown = |runs: &[Run]| {
        format!(
            "p50 {:.2}, p99 {:.2} ms at {:.0}/s",
            median(runs.iter().map(|run| run.ms(0.5))),
            p99(runs),
            rate(runs)
        )
    };
    Ok(vec![Row {
        name: "p99 at half of the maximum rate; Node at half of its own".to_owned(),
        goal: "under 10 ms".to_owned(),
        ours: shown(&ours),
        theirs: if theirs.is_empty() { String::new() } else { shown(&theirs) },
        ratio: (!theirs.is_empty()).then(|| ratio(&ours, &theirs, |run| run.ms(0.99))),
        cpu: Some((cpu(&ours), (!theirs.is_empty()).then(|| cpu(&theirs)))),
        reached: Some(p99(&ours) < 10.0),
        runs: jsons(&[&ours, &theirs]),
    }])
}

/// GETTXSTATUS against a route that reads the same body and answers.
pub(super) async fn status(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let adapter = sqlite(bench, "status").await?;
    let bare = bench.stage.own("bare", &[])?;
    let made = make(bench, &adapter, 20_000).await?;
    let source = calls(bench, "status")?;
    source.know(made);
    let ours = Side::closed("product", &adapter, source);
    let body = Stem::new("GETTXSTATUS", &[], "txid").with("1234567890123456789");
    let same =
        Same::new(move || Outgoing { path: "/read".to_owned(), ..Outgoing::form(body.clone()) });
    let theirs = Side::closed("plain axum route", &bare, Arc::new(same));
    let [ours, theirs] = bench.rounds([&ours, &theirs]).await?;
    adapter.stop().await?;
    Ok(vec![part_of("GETTXSTATUS/s; plain axum route", 0.5, &ours, &theirs)])
}

/// At least so many payments, made through the adapter.
pub(crate) async fn make(
    bench: &mut Bench,
    adapter: &Server,
    count: usize,
) -> anyhow::Result<Vec<crate::source::Made>> {
    let source = calls(bench, "minimal")?;
    let mut made = Vec::new();
    while made.len() < count {
        let side = Side::closed("making payments", adapter, Arc::clone(&source) as _);
        let run = bench.measure(&side).await?;
        anyhow::ensure!(run.tally.good > 0, "no payment could be made");
        made.extend(source.take_made());
    }
    Ok(made)
}

/// On PostgreSQL, with single-row commits of pgbench beside it.
pub(super) async fn postgres(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let start = || Cluster::start(Durability::On);
    let Some(cluster) = tokio::task::spawn_blocking(start).await?? else {
        return Ok(Vec::new());
    };
    let url = cluster.migrated().await?;
    let adapter = bench.stage.adapter("postgres", &url, bench.midtrans.address).await?;
    let mut ours = Side::closed("product", &adapter, calls(bench, "full")?);
    ours.pids.extend(family(cluster.server_pid()?));
    let mut runs = Vec::new();
    let mut commits = Vec::new();
    // The first round makes connections, and the segments of the log that a checkpoint then lets the
    // server write over, as one does that has run for a while.
    bench.measure(&ours).await?;
    for _ in 0..bench.rounds {
        cluster.run(&url, "CHECKPOINT").await?;
        ours.pids = [vec![adapter.pid()], family(cluster.server_pid()?)].concat();
        runs.push(bench.measure(&ours).await?);
        commits.extend(pgbench(bench, &cluster)?);
    }
    adapter.stop().await?;
    Ok(vec![Row {
        name: "TRANSACTION (full)/s on PostgreSQL here; pgbench single-row commits, 16 clients"
            .to_owned(),
        goal: "at least 6,000/s".to_owned(),
        ours: format!("{:.0}/s", rate(&runs)),
        theirs: format!("{:.0} commits/s", median(commits.iter().copied())),
        ratio: Some(median(runs.iter().zip(&commits).map(|(run, tps)| run.rate() / tps))),
        cpu: Some((cpu(&runs), None)),
        reached: Some(rate(&runs) >= 6_000.0),
        runs: jsons(&[&runs]),
    }])
}

/// Commits of one inserted row each, a second.
fn pgbench(bench: &Bench, cluster: &Cluster) -> anyhow::Result<Option<f64>> {
    let Some(program) = pgbench_program() else { return Ok(None) };
    let script = bench.stage.folder.join("insert.sql");
    std::fs::write(&script, "INSERT INTO bench_rows (text) VALUES (repeat('x', 200));\n")?;
    let folder = cluster.url("postgres");
    let folder = folder.split_once("host=").map_or("", |(_, folder)| folder).replace("%2F", "/");
    let psql = |sql: &str| {
        let client = program.with_file_name("psql");
        let args = ["-q", "-U", "gopay", "-h", &folder, "-d", "postgres", "-c", sql];
        std::process::Command::new(client).args(args).status()
    };
    psql("CREATE TABLE IF NOT EXISTS bench_rows (id bigserial PRIMARY KEY, text text)")?;
    let seconds = (bench.seconds.ceil() as u64).max(1).to_string();
    let output = std::process::Command::new(&program)
        .args(["-n", "-M", "prepared", "-c", "16", "-j", "1", "-T", &seconds, "-f"])
        .arg(&script)
        .args(["-U", "gopay", "-h", &folder, "postgres"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let tps = tps.and_then(|rest| rest.split(' ').next()?.parse().ok());
    println!("  pgbench: {} commits/s", tps.unwrap_or(f64::NAN));
    Ok(tps)
}

fn pgbench_program() -> Option<std::path::PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut programs: Vec<_> =
        versions.flatten().map(|version| version.path().join("bin/pgbench")).collect();
    programs.retain(|program| program.is_file());
    programs.sort();
    programs.pop()
}

/// With a large store beside an empty one.
pub(super) async fn many(bench: &mut Bench, path: &Path) -> anyhow::Result<Vec<Row>> {
    let sample = crate::fill::sample(path)?;
    read_once(path.to_owned()).await?;
    let empty = sqlite(bench, "empty").await?;
    let url = format!("sqlite:{}", path.canonicalize()?.display());
    let full = bench.stage.adapter("many", &url, bench.midtrans.address).await?;
    let few = make(bench, &empty, 1_000).await?;
    let payments = sample.len() * 97;
    let mut rows = Vec::new();
    for (what, mix) in
        [("TRANSACTION (full)", "full"), ("GETTXSTATUS", "status"), ("by reference", "reference")]
    {
        let (large, small) = (calls(bench, mix)?, calls(bench, mix)?);
        large.know(sample.clone());
        small.know(few.clone());
        let ours = Side::closed("large store", &full, large);
        let theirs = Side::closed("empty store", &empty, small);
        let [ours, theirs] = bench.rounds([&ours, &theirs]).await?;
        let name = format!("{what}/s with about {payments} payments in the store; with few");
        rows.push(part_of(&name, 0.8, &ours, &theirs));
    }
    full.stop().await?;
    empty.stop().await?;
    Ok(rows)
}

/// As on a machine that has run for a while: the system keeps of the file what it has memory for.
pub(crate) async fn read_once(path: PathBuf) -> anyhow::Result<()> {
    let read = move || {
        let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
        std::io::copy(&mut file, &mut std::io::sink())
    };
    tokio::task::spawn_blocking(read).await??;
    Ok(())
}

/// A charge as the product sends one, for the stand-in's own latency.
pub(super) fn charge() -> anyhow::Result<Same> {
    let body = Template::transaction(Size::Full, None)?.numbered(1);
    let json = format!(
        r#"{{"payment_type":"gopay","transaction_details":{{"order_id":"1","gross_amount":387500}},"padding":"{}"}}"#,
        "x".repeat(body.len())
    );
    Ok(Same::new(move || Outgoing::json("/v2/charge", json.clone())))
}
