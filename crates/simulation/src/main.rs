//! Runs seeds: `gopay-simulation --seeds 1000`, or one again with all that happened in it:
//! `gopay-simulation --seed 4711 --trace`. Or looks at every order of events in small worlds:
//! `gopay-simulation --exhaustive all`.
#![allow(clippy::print_stdout, reason = "the output is the purpose")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;
use gopay_simulation::exhaustive::{WORLDS, explore_all};
use gopay_simulation::{Report, run};

/// Runs the whole system under a virtual clock, by seed, and compares all books.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this one only.
    #[arg(long)]
    seed: Option<u64>,
    /// Print all that happens.
    #[arg(long)]
    trace: bool,
    /// Stop at the first seed that fails.
    #[arg(long)]
    fail_fast: bool,
    /// Instead of seeds: every order of events in this small world, or in `all` of them.
    #[arg(long, value_name = "WORLD")]
    exhaustive: Option<String>,
    /// Of each small world, histories of at most so many actions; absent: all.
    #[arg(long)]
    depth: Option<usize>,
    /// For each small world, at most so many seconds.
    #[arg(long)]
    limit: Option<u64>,
    /// Threads, one seed each.
    #[arg(long, default_value_t = default_jobs())]
    jobs: usize,
}

fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

#[derive(Default)]
struct Sum {
    seeds: u64,
    failed: Vec<u64>,
    simulated: Duration,
    counts: BTreeMap<&'static str, u64>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(name) = &args.exhaustive {
        return look_at_all(name, args.depth, args.limit.map(Duration::from_secs));
    }
    let (from, count) = args.seed.map_or((args.from, args.seeds), |seed| (seed, 1));
    let next = AtomicU64::new(from);
    let end = from.saturating_add(count);
    let sum = Mutex::new(Sum::default());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..args.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let report = run(seed, args.trace);
                    let good = show(&report);
                    add(&mut sum.lock().unwrap_or_else(PoisonError::into_inner), &report);
                    if !good && args.fail_fast {
                        next.store(end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    let took = began.elapsed();
    let speed = sum.simulated.as_secs() / took.as_secs().max(1);
    println!(
        "{} seeds, {} failed; {} hours simulated in {} s, {speed} times as fast as real",
        sum.seeds,
        sum.failed.len(),
        sum.simulated.as_secs() / 3_600,
        took.as_secs(),
    );
    for (what, count) in &sum.counts {
        println!("{count:>12}  {what}");
    }
    if sum.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Looks at small worlds whole.
fn look_at_all(name: &str, depth: Option<usize>, limit: Option<Duration>) -> ExitCode {
    let known = WORLDS.iter().filter(|world| name == "all" || name == world.name);
    let worlds: Vec<_> = known.collect();
    if worlds.is_empty() {
        println!("no small world is called {name}");
        return ExitCode::from(2);
    }
    let (moments, began) = (AtomicUsize::new(0), Instant::now());
    let good = explore_all(&worlds, depth, limit, &|explored| {
        moments.fetch_add(explored.moments, Ordering::Relaxed);
        println!("{explored}");
    });
    let (moments, took) = (moments.into_inner(), began.elapsed());
    println!("{moments} states in {} small worlds, {} s", worlds.len(), took.as_secs());
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Prints what is worth it; whether all is well.
fn show(report: &Report) -> bool {
    for line in &report.trace {
        println!("{line}");
    }
    let Some(first) = report.problems.first() else { return true };
    println!("{first}");
    for problem in report.problems.iter().skip(1).take(4) {
        println!("  {problem}");
    }
    println!("again: cargo run --release -p gopay-simulation -- --seed {} --trace", report.seed);
    false
}

fn add(sum: &mut Sum, report: &Report) {
    sum.seeds += 1;
    sum.simulated += report.simulated;
    if !report.problems.is_empty() {
        sum.failed.push(report.seed);
    }
    for (what, count) in &report.counts {
        *sum.counts.entry(what).or_default() += count;
    }
}
