//! Offered against served: an open loop at rates around the closed loop's maximum.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::drive::{self, Plan};
use crate::plot::{self, Axes, Line};
use crate::source::Calls;
use crate::stage::{Stage, StageArgs};
use crate::tally::Run;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// Seconds for each rate.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// Connections of the open loop: more than calls are let in at once.
    #[arg(long, default_value_t = 1_024)]
    connections: usize,
    /// What is called.
    #[arg(long, default_value = "full")]
    mix: String,
}

const FACTORS: [f64; 7] = [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0];

pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let stage = Stage::new(&args.stage)?;
    let midtrans = stage.own("midtrans", &[])?;
    let store = stage.fresh_sqlite("overload")?;
    let adapter = stage.adapter("overload", &store, midtrans.address).await?;
    let pids = [adapter.pid()];
    let plan = Plan {
        name: "closed loop",
        address: adapter.address,
        pids: &pids,
        connections: 64,
        warm_up: Duration::from_secs(2),
        duration: Duration::from_secs_f64(args.seconds),
    };
    let mut first = crate::first_number();
    let mut calls = || {
        first += 10_000_000;
        Calls::new(&args.mix, first, None).map(Arc::new)
    };
    let closed = drive::closed(&plan, calls()?).await?;
    println!("{}", closed.line());
    let max = closed.rate();
    let mut runs = Vec::new();
    for factor in FACTORS {
        let name = format!("{factor} x the maximum");
        let plan = Plan { name: &name, connections: args.connections, ..plan };
        let run = drive::open(&plan, calls()?, max * factor).await?;
        println!("{}", run.line());
        runs.push(run);
    }
    // It recovers at once: the same as at first.
    let plan = Plan { name: "closed loop, afterwards", ..plan };
    let after = drive::closed(&plan, calls()?).await?;
    println!("{}", after.line());
    report(&args, &closed, &runs, &after)?;
    adapter.stop().await
}

fn report(args: &Args, closed: &Run, runs: &[Run], after: &Run) -> anyhow::Result<()> {
    println!(
        "\n| offered/s | served/s | refused/s | failed | unsent | p50 ms | p99 ms | refusal p99 ms | RSS MB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for run in runs {
        let seconds = run.elapsed.as_secs_f64();
        println!(
            "| {:.0} | {:.0} | {:.0} | {} | {} | {:.1} | {:.1} | {:.1} | {:.0} |",
            run.offered.unwrap_or_default(),
            run.rate(),
            run.tally.refused as f64 / seconds,
            run.tally.failed,
            run.unsent,
            run.ms(0.5),
            run.ms(0.99),
            run.tally.refusal_latency.value_at_quantile(0.99) as f64 / 1e6,
            run.server.rss as f64 / 1e6,
        );
    }
    let all = json!({
        "closed": closed.json(),
        "open": runs.iter().map(Run::json).collect::<Vec<_>>(),
        "afterwards": after.json(),
    });
    std::fs::write(args.stage.out.join("overload.json"), serde_json::to_string_pretty(&all)?)?;
    let line = |name: &str, value: &dyn Fn(&Run) -> f64| Line {
        name: name.to_owned(),
        points: runs.iter().map(|run| (run.offered.unwrap_or_default(), value(run))).collect(),
    };
    let seconds = |run: &Run| run.elapsed.as_secs_f64();
    plot::draw(
        &args.stage.out.join("overload-served.svg"),
        &Axes { title: "Offered against served", across: "offered/s", up: "/s", log: false },
        &[
            line("served", &Run::rate),
            line("refused (503)", &|run| run.tally.refused as f64 / seconds(run)),
        ],
    )?;
    plot::draw(
        &args.stage.out.join("overload-latency.svg"),
        &Axes { title: "Latency of served calls", across: "offered/s", up: "ms", log: true },
        &[line("p50", &|run| run.ms(0.5)), line("p99", &|run| run.ms(0.99))],
    )
}
