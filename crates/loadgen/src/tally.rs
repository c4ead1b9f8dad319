//! What a run counted, and how it is written down.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::process::Usage;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// What was asked for was done.
    Good,
    /// Turned away for want of room (503); nothing was done.
    Refused,
    /// Any other answer, or none.
    Failed,
}

/// Counts and latencies of one run.
pub(crate) struct Tally {
    pub(crate) good: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// Of good exchanges, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// Of refusals.
    pub(crate) refusal_latency: Histogram<u64>,
    /// What the first failure said.
    pub(crate) first_failure: Option<String>,
}

/// The longest latency that is told from longer ones, in nanoseconds.
const LATENCY_MAX_NS: u64 = 120_000_000_000;

impl Tally {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            good: 0,
            refused: 0,
            failed: 0,
            latency: Histogram::new_with_bounds(1_000, LATENCY_MAX_NS, 3)?,
            refusal_latency: Histogram::new_with_bounds(1_000, LATENCY_MAX_NS, 3)?,
            first_failure: None,
        })
    }

    pub(crate) fn count(&mut self, judged: Judged, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        match judged {
            Judged::Good => {
                self.good += 1;
                self.latency.saturating_record(nanos);
            }
            Judged::Refused => {
                self.refused += 1;
                self.refusal_latency.saturating_record(nanos);
            }
            Judged::Failed => self.failed += 1,
        }
    }
}

/// A finished run.
pub(crate) struct Run {
    /// What was run against what.
    pub(crate) name: String,
    /// Arrivals a second, of an open loop.
    pub(crate) offered: Option<f64>,
    /// Arrivals that had not been sent when the run was over.
    pub(crate) unsent: u64,
    /// Of the part that was counted.
    pub(crate) elapsed: Duration,
    pub(crate) tally: Tally,
    /// What the server used in that part.
    pub(crate) server_cpu: Duration,
    pub(crate) server: Usage,
    /// What it handed to disks in that part, in bytes.
    pub(crate) written: u64,
    /// What this tool used.
    pub(crate) tool_cpu: Duration,
}

impl Run {
    /// Good exchanges a second.
    pub(crate) fn rate(&self) -> f64 {
        self.tally.good as f64 / self.elapsed.as_secs_f64()
    }

    fn exchanges(&self) -> f64 {
        (self.tally.good + self.tally.refused + self.tally.failed).max(1) as f64
    }

    /// Server CPU for each exchange of any kind, in microseconds.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.server_cpu.as_secs_f64() * 1e6 / self.exchanges()
    }

    /// What was handed to disks for each exchange of any kind, in KiB.
    pub(crate) fn written_kib(&self) -> f64 {
        self.written as f64 / 1_024.0 / self.exchanges()
    }

    /// A quantile of the latency of good exchanges, in milliseconds.
    pub(crate) fn ms(&self, quantile: f64) -> f64 {
        self.tally.latency.value_at_quantile(quantile) as f64 / 1e6
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{:<34}", self.name);
        if let Some(offered) = self.offered {
            let _ = write!(line, " offered {offered:>8.0}/s");
        }
        let _ = write!(
            line,
            " {:>8.0}/s  p50 {:>8.3} p90 {:>8.3} p99 {:>8.3} p99.9 {:>8.3} max {:>8.3} ms  \
             server {:>6.1} us/call {:>4.0} MB, {:>4.1} KiB/call to disk  tool {:>5.1} us/call",
            self.rate(),
            self.ms(0.5),
            self.ms(0.9),
            self.ms(0.99),
            self.ms(0.999),
            self.tally.latency.max() as f64 / 1e6,
            self.cpu_us(),
            self.server.rss as f64 / 1e6,
            self.written_kib(),
            self.tool_cpu.as_secs_f64() * 1e6 / self.tally.good.max(1) as f64,
        );
        for (word, count) in [
            ("refused", self.tally.refused),
            ("FAILED", self.tally.failed),
            ("unsent", self.unsent),
        ] {
            if count > 0 {
                let _ = write!(line, "  {word} {count}");
            }
        }
        if let Some(said) = &self.tally.first_failure {
            let _ = write!(line, "  first failure: {said}");
        }
        line
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "offered_per_s": self.offered,
            "seconds": self.elapsed.as_secs_f64(),
            "good": self.tally.good,
            "refused": self.tally.refused,
            "failed": self.tally.failed,
            "unsent": self.unsent,
            "per_s": self.rate(),
            "ms": {
                "p50": self.ms(0.5),
                "p90": self.ms(0.9),
                "p99": self.ms(0.99),
                "p999": self.ms(0.999),
                "max": self.tally.latency.max() as f64 / 1e6,
            },
            "refused_ms": {
                "p50": self.tally.refusal_latency.value_at_quantile(0.5) as f64 / 1e6,
                "p99": self.tally.refusal_latency.value_at_quantile(0.99) as f64 / 1e6,
            },
            "server_cpu_us_per_call": self.cpu_us(),
            "server_written_kib_per_call": self.written_kib(),
            "server_rss_bytes": self.server.rss,
            "server_rss_max_bytes": self.server.rss_max,
            "tool_cpu_s": self.tool_cpu.as_secs_f64(),
        })
    }

    /// Writes the distribution in the text form of HdrHistogram's plotter: value in milliseconds,
    /// quantile, count so far, 1/(1-quantile).
    pub(crate) fn write_percentiles(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = String::from("       Value   Percentile   TotalCount 1/(1-Percentile)\n\n");
        let mut total = 0;
        for step in self.tally.latency.iter_quantiles(5) {
            total += step.count_since_last_iteration();
            let quantile = step.quantile_iterated_to();
            let value = step.value_iterated_to() as f64 / 1e6;
            let _ = write!(text, "{value:12.3} {quantile:12.6} {total:12}");
            if quantile < 1.0 {
                let _ = write!(text, " {:12.2}", 1.0 / (1.0 - quantile));
            }
            text.push('\n');
        }
        let _ = writeln!(
            text,
            "#[Mean    = {:12.3}, StdDeviation   = {:12.3}]\n\
             #[Max     = {:12.3}, Total count    = {:12}]",
            self.tally.latency.mean() / 1e6,
            self.tally.latency.stdev() / 1e6,
            self.tally.latency.max() as f64 / 1e6,
            self.tally.latency.len(),
        );
        Ok(std::fs::write(path, text)?)
    }
}
