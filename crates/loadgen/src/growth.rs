//! What calls cost as a store grows: rates, CPU, bytes to disk, look-ups, each beside a fresh store
//! in rounds that take turns.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::fill;
use crate::plot::{self, Axes, Line};
use crate::source::Made;
use crate::stage::Server;
use crate::table::{self, Bench, BenchArgs, Side, load};
use crate::tally::Run;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    bench: BenchArgs,
    /// Payments in the store at which it is measured, growing.
    #[arg(long, value_delimiter = ',', default_value = "0,100000,1000000,3000000,10000000")]
    sizes: Vec<u64>,
}

/// What is called, and how it is called in the table.
const MIXES: [(&str, &str); 3] =
    [("full", "TRANSACTION"), ("status", "GETTXSTATUS"), ("reference", "by reference")];

/// One kind of call at one size: rounds of the grown store and of a fresh one.
struct Point {
    size: u64,
    call: &'static str,
    grown: Vec<Run>,
    fresh: Vec<Run>,
}

impl Point {
    fn ratio(&self, value: impl Fn(&Run) -> f64) -> f64 {
        table::ratio(&self.grown, &self.fresh, value)
    }

    fn line(&self) -> String {
        format!(
            "| {} | {} | {:.0} | {:.0} | {:.2} | {:.0} / {:.0} | {:.1} / {:.1} |",
            self.size,
            self.call,
            table::rate(&self.grown),
            table::rate(&self.fresh),
            self.ratio(Run::rate),
            table::cpu(&self.grown),
            table::cpu(&self.fresh),
            written(&self.grown),
            written(&self.fresh),
        )
    }

    fn json(&self) -> Value {
        json!({
            "payments": self.size, "call": self.call, "ratio": self.ratio(Run::rate),
            "runs": table::jsons(&[&self.grown, &self.fresh]),
        })
    }
}

fn written(runs: &[Run]) -> f64 {
    table::median(runs.iter().map(Run::written_kib))
}

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    anyhow::ensure!(args.sizes.is_sorted(), "--sizes must grow");
    let mut bench = Bench::new(&args.bench)?;
    let url = bench.stage.fresh_sqlite("growth")?;
    let path = PathBuf::from(url.trim_start_matches("sqlite:"));
    let (mut points, mut filled) = (Vec::new(), 0);
    for size in args.sizes {
        fill::grow(&path, filled..size).await?;
        filled = size;
        load::read_once(path.clone()).await?;
        points.extend(measure(&mut bench, &url, size).await?);
    }
    report(&bench, &points)
}

async fn measure(bench: &mut Bench, url: &str, size: u64) -> anyhow::Result<Vec<Point>> {
    println!("{size} payments");
    let fresh = load::sqlite(bench, "fresh").await?;
    let grown = bench.stage.adapter("growth", url, bench.midtrans.address).await?;
    let few = load::make(bench, &fresh, 1_000).await?;
    let known = match fill::some(size)? {
        none if none.is_empty() => load::make(bench, &grown, 1_000).await?,
        some => some,
    };
    let mut points = Vec::new();
    for (mix, call) in MIXES {
        let [grown, fresh] = rounds(bench, mix, [(&grown, &known), (&fresh, &few)]).await?;
        points.push(Point { size, call, grown, fresh });
    }
    grown.stop().await?;
    fresh.stop().await?;
    Ok(points)
}

/// Rounds of the same calls to both servers, each with payments that it knows.
async fn rounds(
    bench: &mut Bench,
    mix: &str,
    [one, other]: [(&Server, &Vec<Made>); 2],
) -> anyhow::Result<[Vec<Run>; 2]> {
    let mut side = |name, (server, known): (_, &Vec<Made>)| {
        let source = load::calls(bench, mix)?;
        source.know(known.clone());
        anyhow::Ok(Side::closed(name, server, source))
    };
    let (one, other) = (side("grown store", one)?, side("fresh store", other)?);
    bench.rounds([&one, &other]).await
}

fn report(bench: &Bench, points: &[Point]) -> anyhow::Result<()> {
    let mut text = String::from(
        "| Payments | Call | grown/s | fresh/s | Ratio | Server CPU us/call | KiB/call to disk |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for point in points {
        text.push_str(&point.line());
        text.push('\n');
    }
    println!("\n{text}");
    let folder = &bench.stage.folder;
    std::fs::write(folder.join("growth.md"), &text)?;
    let all: Vec<Value> = points.iter().map(Point::json).collect();
    std::fs::write(folder.join("growth.json"), serde_json::to_string_pretty(&all)?)?;
    let of = |call: &str, value: &dyn Fn(&Point) -> f64| {
        let points = points.iter().filter(|point| point.call == call);
        points.map(|point| (point.size as f64 / 1e6, value(point))).collect()
    };
    let line = |call: &str, value: &dyn Fn(&Point) -> f64| Line {
        name: call.to_owned(),
        points: of(call, value),
    };
    let across = "payments in the store, millions";
    plot::draw(
        &folder.join("growth-rate.svg"),
        &Axes { title: "Rate, times that of a fresh store", across, up: "times", log: false },
        &MIXES.map(|(_, call)| line(call, &|point| point.ratio(Run::rate))),
    )?;
    plot::draw(
        &folder.join("growth-cpu.svg"),
        &Axes { title: "Server CPU, times that of a fresh store", across, up: "times", log: false },
        &MIXES.map(|(_, call)| line(call, &|point| point.ratio(Run::cpu_us))),
    )?;
    plot::draw(
        &folder.join("growth-disk.svg"),
        &Axes { title: "Bytes to disk for a TRANSACTION", across, up: "KiB", log: false },
        &[
            Line {
                name: "grown".to_owned(),
                points: of("TRANSACTION", &|point| written(&point.grown)),
            },
            Line {
                name: "fresh".to_owned(),
                points: of("TRANSACTION", &|point| written(&point.fresh)),
            },
        ],
    )
}
