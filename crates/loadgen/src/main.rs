//! Drives an adapter and its peers and measures them. Not part of the product.
//!
//! Reading order: `body`, `source` (what is called), `drive` (closed and open loop), `tally` (what
//! is counted), `stage` (starting processes), `table` (the whole table), `overload` and `growth` (curves).
#![expect(
    clippy::as_conversions,
    clippy::float_arithmetic,
    clippy::print_stdout,
    reason = "a measuring tool: figures are floats and are printed"
)]

mod bare;
mod body;
mod drive;
mod fill;
mod growth;
mod midtrans;
mod null;
mod overload;
mod plot;
mod process;
mod receiver;
mod serve;
mod service;
mod source;
mod stage;
mod table;
mod tally;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::drive::Plan;
use crate::source::Calls;

// The product's: what stands beside it must not differ in that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Drives an adapter and its peers and measures them.
#[derive(Parser)]
#[command(name = "gopay-loadgen", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One run against a running adapter.
    Run(RunArgs),
    /// The whole table of docs/PERFORMANCE.md: starts everything it needs.
    Table(table::Args),
    /// Offered against served, at rates around the maximum.
    Overload(overload::Args),
    /// What calls cost as a SQLite store grows, beside a fresh one.
    Growth(growth::Args),
    /// Fills a SQLite store with payments, quickly.
    Fill(fill::Args),
    /// A stand-in of Midtrans that costs little.
    Midtrans(Listen),
    /// A PSP's receiver that counts.
    Receiver(Listen),
    /// A plain axum server.
    Bare(Listen),
    /// The product's service on a store that keeps nothing.
    Null(NullArgs),
}

#[derive(Args)]
struct Listen {
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[derive(Args)]
struct NullArgs {
    #[command(flatten)]
    listen: Listen,
    /// The stand-in.
    #[arg(long)]
    midtrans: SocketAddr,
}

#[derive(Args)]
struct RunArgs {
    /// Where the adapter takes calls.
    #[arg(long)]
    address: SocketAddr,
    /// Kinds of calls with weights: minimal, full, fifty, status, reference, paid, refund.
    #[arg(long, default_value = "full")]
    mix: String,
    /// Connections, each with one call at a time.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Arrivals a second: an open loop. Without it, a closed one.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds that are not counted.
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds that are counted.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Processes whose CPU and memory are the server's.
    #[arg(long)]
    pid: Vec<u32>,
    /// Where payments ask for their notifications.
    #[arg(long)]
    notify: Option<String>,
    /// Numbers of references and nonces begin here; by default at the time, so that no run repeats
    /// those of another.
    #[arg(long)]
    first: Option<u64>,
    /// Writes the result as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Writes the distribution of latencies in HdrHistogram's text form.
    #[arg(long)]
    hdr: Option<PathBuf>,
    /// Writes the distribution as a plot.
    #[arg(long)]
    svg: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    gopay_outbound::install_crypto();
    let command = Cli::parse().command;
    // What stands for the product's process runs as the product does; the rest on one thread,
    // which leaves the machine to what is measured.
    let mut runtime = if matches!(command, Command::Null(_) | Command::Bare(_)) {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    runtime.enable_all().build()?.block_on(run(command))
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => once(&args).await,
        Command::Table(args) => table::run(args).await,
        Command::Overload(args) => overload::run(args).await,
        Command::Growth(args) => growth::run(args).await,
        Command::Fill(args) => fill::run(&args).await,
        Command::Midtrans(args) => midtrans::run(args.listen).await,
        Command::Receiver(args) => receiver::run(args.listen).await,
        Command::Bare(args) => bare::run(args.listen).await,
        Command::Null(args) => service::run(args.listen.listen, args.midtrans).await,
    }
}

/// A number from which no earlier run has counted: a million a second since 2025.
fn first_number() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = since.unwrap_or_default().as_secs().saturating_sub(1_735_689_600);
    // The reference has 13 digits.
    (seconds % 9_000_000) * 1_000_000
}

async fn once(args: &RunArgs) -> anyhow::Result<()> {
    let first = args.first.unwrap_or_else(first_number);
    let calls = Arc::new(Calls::new(&args.mix, first, args.notify.as_deref())?);
    let plan = Plan {
        name: &args.mix,
        address: args.address,
        pids: &args.pid,
        connections: args.connections,
        warm_up: Duration::from_secs_f64(args.warm_up),
        duration: Duration::from_secs_f64(args.duration),
    };
    let run = match args.rate {
        Some(rate) => drive::open(&plan, calls, rate).await?,
        None => drive::closed(&plan, calls).await?,
    };
    println!("{}", run.line());
    if let Some(path) = &args.json {
        std::fs::write(path, serde_json::to_string_pretty(&run.json())?)?;
    }
    if let Some(path) = &args.hdr {
        run.write_percentiles(path)?;
    }
    if let Some(path) = &args.svg {
        let steps = run.tally.latency.iter_quantiles(5);
        let at = |quantile: f64| (1.0 / (1.0 - quantile).max(1e-5)).log10();
        let points = steps
            .map(|step| (at(step.quantile_iterated_to()), step.value_iterated_to() as f64 / 1e6));
        let line = plot::Line { name: run.name.clone(), points: points.collect() };
        let axes = plot::Axes {
            title: "Latency by percentile",
            across: "nines (1 = 90 %, 2 = 99 %, 3 = 99.9 %)",
            up: "ms",
            log: true,
        };
        plot::draw(path, &axes, &[line])?;
    }
    Ok(())
}
