//! Rows that are not a rate: latency alone, translation alone, memory, size, start.

use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use hdrhistogram::Histogram;
use serde_json::json;

use super::{Bench, Row, Side, cpu, jsons, load, median};
use crate::body::{Size, Template};
use crate::process::usage;
use crate::source::{Calls, Same};
use crate::wire::Outgoing;

/// One call at a time, without the time of Midtrans, against two bare fdatasyncs.
pub(super) async fn own_latency(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let store = bench.stage.fresh_sqlite("latency")?;
    let adapter = bench.stage.adapter("latency", &store, bench.midtrans.address).await?;
    let calls = Calls::new("full", bench.numbers(), None)?;
    let one = |name, server, source| Side { connections: 1, ..Side::closed(name, server, source) };
    let ours = one("product, one at a time", &adapter, Arc::new(calls) as _);
    let upstream = one("stand-in alone", &bench.midtrans, Arc::new(load::charge()?) as _);
    let (mut own, mut syncs, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let run = bench.measure(&ours).await?;
        let alone = bench.measure(&upstream).await?;
        let sync = fdatasync(bench)?;
        println!("  two fdatasyncs: {:.3} ms", sync * 2.0);
        own.push(run.ms(0.5) - alone.ms(0.5));
        syncs.push(sync * 2.0);
        runs.push(run);
        runs.push(alone);
    }
    adapter.stop().await?;
    let times = median(own.iter().zip(&syncs).map(|(own, sync)| own / sync));
    Ok(vec![Row {
        name: "own latency p50, one call at a time; two bare fdatasyncs".to_owned(),
        goal: "within 2x".to_owned(),
        ours: format!("{:.3} ms", median(own)),
        theirs: format!("{:.3} ms", median(syncs)),
        ratio: Some(times),
        cpu: None,
        reached: Some(times <= 2.0),
        runs: jsons(&[&runs]),
    }])
}

/// The p50 of writing what a commit writes and one fdatasync, in milliseconds, in the folder of
/// the stores.
fn fdatasync(bench: &Bench) -> anyhow::Result<f64> {
    const COUNT: usize = 400;
    /// A payment's commit is a handful of pages with their headers.
    const BYTES: usize = 6 * 4_120;
    let path = bench.stage.folder.join("fdatasync");
    let mut file = File::create(&path)?;
    // As the log of a store that has run for a while: written before, so that only data is new.
    file.write_all(&vec![1; BYTES * COUNT])?;
    file.sync_all()?;
    drop(file);
    let mut file = File::options().write(true).open(&path)?;
    let data = vec![2; BYTES];
    let mut histogram = Histogram::<u64>::new_with_bounds(1_000, 60_000_000_000, 3)?;
    for _ in 0..COUNT {
        let begun = Instant::now();
        file.write_all(&data)?;
        file.sync_data()?;
        histogram.saturating_record(u64::try_from(begun.elapsed().as_nanos())?);
    }
    std::fs::remove_file(path)?;
    Ok(histogram.value_at_quantile(0.5) as f64 / 1e6)
}

/// Parsed, checked, translated, nothing stored, against the same server's hello.
pub(super) async fn translate(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let bare = bench.stage.own("bare", &[])?;
    let template = Arc::new(Template::transaction(Size::Full, None)?);
    let post = |path: &'static str| {
        let template = Arc::clone(&template);
        let make =
            move || Outgoing { path: path.to_owned(), ..Outgoing::form(template.numbered(1)) };
        Arc::new(Same::new(make))
    };
    let translate = Side::closed("translate", &bare, post("/translate") as _);
    let read = Side::closed("read the same body", &bare, post("/read") as _);
    let hello = Arc::new(Same::new(|| Outgoing::get("/hello")));
    let hello = Side::closed("hello", &bare, hello);
    let [ours, read, hello] = bench.rounds([&translate, &read, &hello]).await?;
    let times = super::ratio(&ours, &hello, crate::tally::Run::cpu_us);
    let over_read = super::ratio(&ours, &read, crate::tally::Run::cpu_us);
    Ok(vec![Row {
        name: "server CPU of a full body parsed, checked, translated; of hello".to_owned(),
        goal: "at most 1.5x".to_owned(),
        ours: format!("{:.1} us ({over_read:.2}x reading the same body)", cpu(&ours)),
        theirs: format!("{:.1} us", cpu(&hello)),
        ratio: Some(times),
        cpu: Some((cpu(&ours), Some(cpu(&hello)))),
        reached: Some(times <= 1.5),
        runs: jsons(&[&ours, &read, &hello]),
    }])
}

/// Memory under full load, size of the program, start to ready.
pub(super) async fn footprint(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    const STARTS: usize = 15;
    let store = bench.stage.fresh_sqlite("footprint")?;
    let midtrans = bench.midtrans.address;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let adapter = bench.stage.adapter("footprint", &store, midtrans).await?;
        starts.push(adapter.started_in.as_secs_f64() * 1e3);
        adapter.stop().await?;
    }
    let adapter = bench.stage.adapter("footprint", &store, midtrans).await?;
    let idle = usage(&[adapter.pid()]).rss as f64 / 1e6;
    let calls = Arc::new(Calls::new("full=8,status=2", bench.numbers(), None)?);
    let side = Side { connections: 256, ..Side::closed("full load", &adapter, calls) };
    let [runs] = bench.rounds([&side]).await?;
    let most = usage(&[adapter.pid()]).rss_max as f64 / 1e6;
    adapter.stop().await?;
    let size = std::fs::metadata(&bench.stage.adapter)?.len() as f64 / 1e6;
    let start = median(starts.iter().copied());
    let row = |name: &str, goal: &str, ours: String, reached| Row {
        name: name.to_owned(),
        goal: goal.to_owned(),
        ours,
        theirs: String::new(),
        ratio: None,
        cpu: None,
        reached: Some(reached),
        runs: Vec::new(),
    };
    let mut memory = row(
        "memory under full load, 256 connections (peak; idle)",
        "under 60 MB",
        format!("{most:.0} MB; {idle:.0} MB"),
        most < 60.0,
    );
    memory.runs = jsons(&[&runs]);
    let mut started =
        row("start to ready", "under 100 ms", format!("{start:.0} ms"), start < 100.0);
    started.runs = vec![json!({"ms": starts})];
    Ok(vec![memory, row("program", "under 20 MB", format!("{size:.1} MB"), size < 20.0), started])
}
