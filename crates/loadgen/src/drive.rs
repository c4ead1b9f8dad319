//! The two loops: closed (callers that wait for their answer before they call again) and open
//! (arrivals at times fixed in advance, whatever the server does).

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::process::{Usage, usage};
use crate::tally::{Judged, Run, Tally};
use crate::wire::{Caller, Outgoing};

/// Makes calls and judges their answers.
pub(crate) trait Source: Send + Sync {
    /// The next call, and what `judge` needs to know of it.
    fn next(&self) -> (Outgoing, u64);
    /// Whether the answer is what the call wanted.
    fn judge(&self, about: u64, status: u16, body: &Bytes) -> Judged;
}

/// What to measure.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) address: SocketAddr,
    /// Whose CPU and memory count as the server's.
    pub(crate) pids: &'a [u32],
    /// Connections, each with one call at a time.
    pub(crate) connections: usize,
    /// Not counted.
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
}

struct Shared {
    source: Arc<dyn Source>,
    tally: Mutex<Tally>,
    count_from: Instant,
    until: Instant,
}

impl Shared {
    async fn exchange(&self, caller: &mut Caller, intended: Option<Instant>) {
        let (call, about) = self.source.next();
        let start = intended.unwrap_or_else(Instant::now);
        let answer = caller.exchange(call).await;
        let end = Instant::now();
        let (judged, said) = match &answer {
            Ok((status, body)) => {
                let judged = self.source.judge(about, *status, body);
                let said = (judged == Judged::Failed)
                    .then(|| format!("{status} {}", String::from_utf8_lossy(body)));
                (judged, said)
            }
            Err(error) => (Judged::Failed, Some(format!("{error:#}"))),
        };
        if start < self.count_from || (intended.is_none() && end > self.until) {
            return;
        }
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.count(judged, end.saturating_duration_since(start));
        if tally.first_failure.is_none() {
            tally.first_failure = said;
        }
    }
}

/// Usage of the server and of this tool between two moments.
struct Meter {
    server: Usage,
    tool: Usage,
    at: Instant,
}

impl Meter {
    fn read(pids: &[u32]) -> Self {
        let tool = usage(&[std::process::id()]);
        Self { server: usage(pids), tool, at: Instant::now() }
    }
}

/// Callers that each wait for the answer before they call again.
pub(crate) async fn closed(plan: &Plan<'_>, source: Arc<dyn Source>) -> anyhow::Result<Run> {
    let begun = Instant::now();
    let shared = Arc::new(Shared {
        source,
        tally: Mutex::new(Tally::new()?),
        count_from: begun + plan.warm_up,
        until: begun + plan.warm_up + plan.duration,
    });
    let mut callers = JoinSet::new();
    for _ in 0..plan.connections {
        let (shared, mut caller) = (Arc::clone(&shared), Caller::new(plan.address));
        callers.spawn(async move {
            while Instant::now() < shared.until {
                shared.exchange(&mut caller, None).await;
            }
        });
    }
    tokio::time::sleep_until(shared.count_from.into()).await;
    let before = Meter::read(plan.pids);
    tokio::time::sleep_until(shared.until.into()).await;
    let after = Meter::read(plan.pids);
    while callers.join_next().await.is_some() {}
    finish(plan, &shared, None, 0, &before, &after)
}

/// Arrivals at a rate, at times drawn in advance (exponential gaps, as of many independent
/// callers). Latency counts from the intended arrival, so a server that stalls pays for all who
/// had to wait. What has not been sent when the time is over is counted as unsent.
pub(crate) async fn open(
    plan: &Plan<'_>,
    source: Arc<dyn Source>,
    rate: f64,
) -> anyhow::Result<Run> {
    let total = plan.warm_up + plan.duration;
    let arrivals: Arc<[Duration]> = arrivals(rate, total).into();
    let mut callers = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        let mut caller = Caller::new(plan.address);
        caller.connect().await?;
        callers.push(caller);
    }
    let begun = Instant::now() + Duration::from_millis(50);
    let shared = Arc::new(Shared {
        source,
        tally: Mutex::new(Tally::new()?),
        count_from: begun + plan.warm_up,
        until: begun + total,
    });
    let due = Arc::new(Semaphore::new(0));
    let next = Arc::new(AtomicUsize::new(0));
    let sent = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for mut caller in callers {
        let (shared, arrivals) = (Arc::clone(&shared), Arc::clone(&arrivals));
        let (due, next, sent) = (Arc::clone(&due), Arc::clone(&next), Arc::clone(&sent));
        tasks.spawn(async move {
            while let Ok(permit) = due.acquire().await {
                permit.forget();
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(at) = arrivals.get(at) else { return };
                if Instant::now() >= shared.until {
                    return;
                }
                if begun + *at >= shared.count_from {
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                shared.exchange(&mut caller, Some(begun + *at)).await;
            }
        });
    }
    let pacer = std::thread::spawn({
        let (due, arrivals) = (Arc::clone(&due), Arc::clone(&arrivals));
        move || pace(&due, &arrivals, begun)
    });
    tokio::time::sleep_until(shared.count_from.into()).await;
    let before = Meter::read(plan.pids);
    tokio::time::sleep_until(shared.until.into()).await;
    let after = Meter::read(plan.pids);
    due.close();
    while tasks.join_next().await.is_some() {}
    if pacer.join().is_err() {
        anyhow::bail!("the pacer has died");
    }
    let counted = arrivals.iter().filter(|at| **at >= plan.warm_up).count();
    let unsent = u64::try_from(counted)?.saturating_sub(sent.load(Ordering::Relaxed));
    finish(plan, &shared, Some(rate), unsent, &before, &after)
}

/// Lets each arrival in at its time. A thread, because the runtime's timer counts milliseconds.
fn pace(due: &Semaphore, arrivals: &[Duration], begun: Instant) {
    let mut at = 0;
    while let Some(first) = arrivals.get(at) {
        std::thread::sleep((begun + *first).saturating_duration_since(Instant::now()));
        let passed = begun.elapsed();
        let ripe = arrivals.iter().skip(at).take_while(|arrival| **arrival <= passed).count();
        due.add_permits(ripe);
        at += ripe;
    }
}

fn arrivals(rate: f64, total: Duration) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(7);
    let (mut at, end) = (0.0, total.as_secs_f64());
    let mut times = Vec::new();
    loop {
        at -= (1.0 - random.f64()).ln() / rate;
        if at >= end {
            return times;
        }
        times.push(Duration::from_secs_f64(at));
    }
}

fn finish(
    plan: &Plan<'_>,
    shared: &Shared,
    offered: Option<f64>,
    unsent: u64,
    before: &Meter,
    after: &Meter,
) -> anyhow::Result<Run> {
    let empty = Tally::new()?;
    let mut tally = shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Run {
        name: plan.name.to_owned(),
        offered,
        unsent,
        elapsed: after.at - before.at,
        tally: std::mem::replace(&mut *tally, empty),
        server_cpu: after.server.cpu.saturating_sub(before.server.cpu),
        written: after.server.written.saturating_sub(before.server.written),
        server: after.server,
        tool_cpu: after.tool.cpu.saturating_sub(before.tool.cpu),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrivals_come_in_order_at_the_rate() {
        let times = arrivals(10_000.0, Duration::from_secs(2));
        assert!(times.is_sorted());
        assert!((19_000..21_000).contains(&times.len()), "{}", times.len());
        assert!(times.last().is_some_and(|last| *last < Duration::from_secs(2)));
    }

    #[test]
    fn a_pacer_lets_every_arrival_in_once() {
        let due = Semaphore::new(0);
        pace(&due, &arrivals(1_000.0, Duration::from_millis(50)), Instant::now());
        assert_eq!(due.available_permits(), arrivals(1_000.0, Duration::from_millis(50)).len());
    }
}
