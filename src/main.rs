//! `gopay-adapter`: reads arguments and config, wires the rooms together, runs.

mod cli;
mod commands;
mod config;
mod silence;
mod start;
mod store;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;

/// How a command ended; see `--help`.
enum Outcome {
    /// Done.
    Done,
    /// The answer is "no".
    No,
}

// Chosen by measurement (docs/PERFORMANCE.md, "The service"). The C library keeps its own malloc: in
// its place, jemalloc hangs under preloaded libraries such as libfaketime.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let _log = telemetry::start_log(&cli.log);
    gopay_outbound::install_crypto();
    match commands::run(cli.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(3)
        }
    }
}
