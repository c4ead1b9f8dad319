//! A thousand runs, each with other parties, faults and crashes; `GOPAY_SEEDS` runs another number
//! of them, `GOPAY_SEED` names the first. A hundred thousand, faster:
//! `cargo run --release -p gopay-simulation -- --seeds 100000`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use gopay_simulation::{Report, run};

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        Err(_) => default,
    }
}

/// Runs `count` seeds on all cores.
fn run_all(from: u64, count: u64) -> Vec<Report> {
    let next = AtomicU64::new(from);
    let reports = Mutex::new(Vec::new());
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= from + count {
                        break;
                    }
                    let report = run(seed, false);
                    reports.lock().expect("no run panics").push(report);
                }
            });
        }
    });
    reports.into_inner().expect("no run panics")
}

#[test]
fn whatever_goes_wrong_all_books_agree() {
    let (from, count) = (setting("GOPAY_SEED", 1), setting("GOPAY_SEEDS", 1_000));
    let reports = run_all(from, count);
    let mut text = String::new();
    for report in reports.iter().filter(|report| !report.problems.is_empty()) {
        text.push_str(&format!(
            "cargo run --release -p gopay-simulation -- --seed {} --trace\n  {}\n",
            report.seed,
            report.problems.join("\n  ")
        ));
    }
    assert!(text.is_empty(), "{text}");
    // Runs in which hardly anything happens prove nothing.
    if count >= 1_000 {
        for what in [
            "crashes",
            "stops",
            "payments paid",
            "late money",
            "REFUND calls",
            "notifications taken",
            "forged notifications",
            "store failed, done",
            "calls turned away",
            "clock jumps",
        ] {
            let often: u64 = reports.iter().filter_map(|report| report.counts.get(what)).sum();
            assert!(often * 10 > count, "{what}: only {often} times in {count} runs");
        }
    }
}

/// Else no failure could be looked at again.
#[test]
fn a_seed_always_makes_the_same_run() {
    for seed in 1..=25 {
        let (one, other) = (run(seed, false), run(seed, true));
        assert_eq!(one.digest, other.digest, "seed {seed}");
        assert_eq!(one.counts, other.counts, "seed {seed}");
        assert!(other.trace.len() > 100, "seed {seed} has hardly any events");
    }
    assert_ne!(run(1, false).digest, run(2, false).digest);
}
