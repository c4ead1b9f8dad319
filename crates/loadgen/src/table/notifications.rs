//! Notifications: taken, confirmed by GET status, committed, and delivered to the PSP.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use super::{Bench, Row, Side, median};
use crate::process::usage;
use crate::receiver::{self, Arrival};
use crate::source::{Calls, Made, paid_notification};
use crate::stage::Server;
use crate::wire::{Caller, Outgoing};

/// Callers of Midtrans at once.
const CALLERS: usize = 64;

pub(super) async fn rows(bench: &mut Bench) -> anyhow::Result<Vec<Row>> {
    let (receiver, mut arrivals) = receiver::start().await?;
    let store = bench.stage.fresh_sqlite("notifications")?;
    let adapter = bench.stage.adapter("notifications", &store, bench.midtrans.address).await?;
    let notify = format!("http://{receiver}/n");
    let mut rates = Vec::new();
    let mut cpus = Vec::new();
    for _ in 0..bench.rounds {
        let made = make(bench, &adapter, &notify).await?;
        switch(bench, "/paid").await?;
        let before = usage(&[adapter.pid()]).cpu;
        let (count, elapsed) = storm(&adapter, made, &mut arrivals).await?;
        let used = usage(&[adapter.pid()]).cpu.saturating_sub(before);
        switch(bench, "/pending").await?;
        let rate = count as f64 / elapsed.as_secs_f64();
        println!("  {count} notifications delivered in {elapsed:?}: {rate:.0}/s");
        rates.push(rate);
        cpus.push(used.as_secs_f64() * 1e6 / count as f64);
    }
    let idle = idle(bench, &adapter, &notify, &mut arrivals).await?;
    adapter.stop().await?;
    let rate = median(rates.iter().copied());
    let p50 = idle.value_at_quantile(0.5) as f64 / 1e6;
    Ok(vec![
        Row {
            name: "notifications taken, confirmed, committed, delivered".to_owned(),
            goal: "5,000/s".to_owned(),
            ours: format!("{rate:.0}/s"),
            theirs: String::new(),
            ratio: None,
            cpu: Some((median(cpus), None)),
            reached: Some(rate >= 5_000.0),
            runs: vec![json!({"per_s": rates})],
        },
        Row {
            name: "idle: notification to PSP".to_owned(),
            goal: "p50 under 4 ms".to_owned(),
            ours: format!("p50 {p50:.2}, p99 {:.2} ms", idle.value_at_quantile(0.99) as f64 / 1e6),
            theirs: String::new(),
            ratio: None,
            cpu: None,
            reached: Some(p50 < 4.0),
            runs: vec![json!({"p50_ms": p50, "count": idle.len()})],
        },
    ])
}

async fn make(bench: &mut Bench, adapter: &Server, notify: &str) -> anyhow::Result<Vec<Made>> {
    let source = Arc::new(Calls::new("full", bench.numbers(), Some(notify))?);
    let side = Side::closed("making payments", adapter, Arc::clone(&source) as _);
    bench.measure(&side).await?;
    Ok(source.take_made())
}

/// Whether the stand-in says that payments are paid.
async fn switch(bench: &Bench, path: &str) -> anyhow::Result<()> {
    let mut caller = Caller::new(bench.midtrans.address);
    caller.exchange(Outgoing::json(path, "{}".to_owned())).await?;
    Ok(())
}

/// Notifies all at once; how many were delivered, and the time from the first notification to
/// the last delivery.
async fn storm(
    adapter: &Server,
    made: Vec<Made>,
    arrivals: &mut UnboundedReceiver<Arrival>,
) -> anyhow::Result<(usize, Duration)> {
    let mut owed: HashSet<u64> = made.iter().map(|made| made.tx_id).collect();
    let count = owed.len();
    anyhow::ensure!(count > 0, "no payment could be made");
    let begun = Instant::now();
    let mut shares = vec![Vec::new(); CALLERS];
    for (at, made) in made.into_iter().enumerate() {
        if let Some(share) = shares.get_mut(at % CALLERS) {
            share.push(made);
        }
    }
    for share in shares {
        let mut caller = Caller::new(adapter.address);
        tokio::spawn(async move {
            for made in share {
                let call = Outgoing::json(
                    "/midtrans/notification",
                    paid_notification(made.tx_id, "387500.00"),
                );
                match caller.exchange(call).await {
                    Ok((200, _)) => {}
                    other => println!("  notification of {}: {other:?}", made.tx_id),
                }
            }
        });
    }
    let mut last = begun;
    while !owed.is_empty() {
        let next = tokio::time::timeout(Duration::from_secs(30), arrivals.recv()).await;
        let left = owed.len();
        let (tx_id, at) = next
            .with_context(|| format!("{left} of {count} notifications were not delivered"))?
            .context("the receiver is gone")?;
        if owed.remove(&tx_id) {
            last = at;
        }
    }
    Ok((count, last - begun))
}

/// One notification at a time, each after the delivery of the one before.
async fn idle(
    bench: &mut Bench,
    adapter: &Server,
    notify: &str,
    arrivals: &mut UnboundedReceiver<Arrival>,
) -> anyhow::Result<Histogram<u64>> {
    const COUNT: usize = 300;
    let mut histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 3)?;
    let mut made = make(bench, adapter, notify).await?;
    switch(bench, "/paid").await?;
    made.truncate(COUNT);
    // Checks of the other payments would find them paid, and their deliveries would come between:
    // they are told apart by their id.
    let mut caller = Caller::new(adapter.address);
    for made in made {
        let call =
            Outgoing::json("/midtrans/notification", paid_notification(made.tx_id, "387500.00"));
        let begun = Instant::now();
        caller.exchange(call).await?;
        loop {
            let next = tokio::time::timeout(Duration::from_secs(30), arrivals.recv()).await;
            let (tx_id, at) = next.context("not delivered")?.context("the receiver is gone")?;
            if tx_id == made.tx_id {
                histogram.saturating_record(u64::try_from((at - begun).as_nanos())?);
                break;
            }
        }
    }
    switch(bench, "/pending").await?;
    Ok(histogram)
}
