//! The whole table: each row is interleaved rounds with its counterpart, in one run.

pub(crate) mod load;
mod notifications;
mod rest;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::drive::{self, Plan, Source};
use crate::stage::{Server, Stage, StageArgs};
use crate::tally::Run;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    bench: BenchArgs,
    /// Only rows whose name has one of these words in it.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// A store that `fill` made, for the row of a large store. It is written to.
    #[arg(long)]
    many: Option<PathBuf>,
}

/// How each row is measured.
#[derive(clap::Args)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    stage: StageArgs,
    /// Rounds of each row; the middle one counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds that are counted in each round, after one fifth of warm-up.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

/// What a row says.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) goal: String,
    pub(super) ours: String,
    pub(super) theirs: String,
    pub(super) ratio: Option<f64>,
    /// Server CPU for each call: ours, theirs. In microseconds.
    pub(super) cpu: Option<(f64, Option<f64>)>,
    pub(super) reached: Option<bool>,
    pub(super) runs: Vec<Value>,
}

impl Row {
    fn line(&self) -> String {
        let cpu = match self.cpu {
            Some((ours, Some(theirs))) => format!("{ours:.0} / {theirs:.0}"),
            Some((ours, None)) => format!("{ours:.0}"),
            None => String::new(),
        };
        let reached = match self.reached {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let ratio = self.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
        let Self { name, goal, ours, theirs, .. } = self;
        format!("| {name} | {goal} | {ours} | {theirs} | {ratio} | {cpu} | {reached} |")
    }

    fn json(&self) -> Value {
        json!({
            "row": self.name, "goal": self.goal, "ours": self.ours, "theirs": self.theirs,
            "ratio": self.ratio, "reached": self.reached, "runs": self.runs,
        })
    }
}

/// What all rows share.
pub(crate) struct Bench {
    pub(crate) stage: Stage,
    pub(crate) midtrans: Server,
    pub(super) rounds: usize,
    pub(super) seconds: f64,
    numbers: u64,
}

/// Who is called, and how.
pub(crate) struct Side<'a> {
    pub(super) name: &'a str,
    pub(super) server: &'a Server,
    pub(super) pids: Vec<u32>,
    pub(super) connections: usize,
    pub(super) source: Arc<dyn Source>,
    /// An open loop at so many a second.
    pub(super) rate: Option<f64>,
}

impl<'a> Side<'a> {
    pub(crate) fn closed(name: &'a str, server: &'a Server, source: Arc<dyn Source>) -> Self {
        Self { name, server, pids: vec![server.pid()], connections: 64, source, rate: None }
    }
}

impl Bench {
    /// With the stand-in of Midtrans started.
    pub(crate) fn new(args: &BenchArgs) -> anyhow::Result<Self> {
        let stage = Stage::new(&args.stage)?;
        let midtrans = stage.own("midtrans", &[])?;
        let numbers = crate::first_number();
        Ok(Self { stage, midtrans, rounds: args.rounds, seconds: args.seconds, numbers })
    }

    /// Numbers for a source of its own.
    pub(crate) fn numbers(&mut self) -> u64 {
        self.numbers += 10_000_000;
        self.numbers
    }

    pub(super) async fn measure(&self, side: &Side<'_>) -> anyhow::Result<Run> {
        let plan = Plan {
            name: side.name,
            address: side.server.address,
            pids: &side.pids,
            connections: side.connections,
            warm_up: Duration::from_secs_f64(self.seconds / 5.0),
            duration: Duration::from_secs_f64(self.seconds),
        };
        let run = match side.rate {
            Some(rate) => drive::open(&plan, Arc::clone(&side.source), rate).await?,
            None => drive::closed(&plan, Arc::clone(&side.source)).await?,
        };
        println!("  {}", run.line());
        Ok(run)
    }

    /// Rounds of all sides in turn: the runs of each.
    pub(crate) async fn rounds<const N: usize>(
        &self,
        sides: [&Side<'_>; N],
    ) -> anyhow::Result<[Vec<Run>; N]> {
        let mut runs = [const { Vec::new() }; N];
        for _ in 0..self.rounds {
            for (side, runs) in sides.iter().zip(&mut runs) {
                runs.push(self.measure(side).await?);
            }
        }
        Ok(runs)
    }
}

/// The middle of some values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle of the ratios of runs that were neighbours.
pub(crate) fn ratio(ours: &[Run], theirs: &[Run], value: impl Fn(&Run) -> f64) -> f64 {
    median(ours.iter().zip(theirs).map(|(ours, theirs)| value(ours) / value(theirs)))
}

pub(crate) fn rate(runs: &[Run]) -> f64 {
    median(runs.iter().map(Run::rate))
}

pub(crate) fn cpu(runs: &[Run]) -> f64 {
    median(runs.iter().map(Run::cpu_us))
}

pub(crate) fn jsons(lists: &[&[Run]]) -> Vec<Value> {
    lists.iter().flat_map(|runs| runs.iter()).map(Run::json).collect()
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let mut bench = Bench::new(&args.bench)?;
    let only = &args.only;
    let wanted =
        |name: &str| only.is_empty() || only.iter().any(|word| name.contains(word.as_str()));
    let mut rows = Vec::new();
    macro_rules! rows {
        ($($name:literal => $row:path),* $(,)?) => {$(
            if wanted($name) {
                println!("{}", $name);
                rows.extend($row(&mut bench).await?);
            }
        )*};
    }
    rows! {
        "transaction" => load::transaction,
        "null" => load::null_store,
        "own-latency" => rest::own_latency,
        "half" => load::half_rate,
        "translate" => rest::translate,
        "status" => load::status,
        "notifications" => notifications::rows,
        "postgres" => load::postgres,
        "footprint" => rest::footprint,
    }
    if let Some(store) = args.many.as_deref().filter(|_| wanted("many")) {
        println!("many");
        rows.extend(load::many(&mut bench, store).await?);
    }
    report(&bench, &rows)
}

fn report(bench: &Bench, rows: &[Row]) -> anyhow::Result<()> {
    let mut text = String::from(
        "| Measure | Goal | Product | Counterpart | Ratio | Server CPU us/call | Reached |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        text.push_str(&row.line());
        text.push('\n');
    }
    println!("\n{text}");
    let folder = &bench.stage.folder;
    std::fs::write(folder.join("table.md"), &text)?;
    let all: Vec<Value> = rows.iter().map(Row::json).collect();
    std::fs::write(folder.join("table.json"), serde_json::to_string_pretty(&all)?)?;
    Ok(())
}
