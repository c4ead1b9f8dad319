//! `gopay-adapter`: reads arguments and config, wires the rooms together, runs.

mod cli;
mod config;
mod copy;
mod demo;
mod listen;
mod log;
mod offline;
mod serve;
mod silence;
mod store;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

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
    let _log = log::start(&cli.log);
    match run(cli.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(3)
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    gopay_outbound::install_crypto();
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(&args),
        Command::Simulate(args) => demo::simulate(&args),
        Command::Migrate(args) => serve::migrate(&args),
        Command::CheckConfig(args) => serve::check_config(&args),
        Command::HashPassword => serve::hash_password(),
        Command::Translate(args) => offline::translate(&args),
        Command::Backup(args) => serve::backup(&args),
        Command::CopyStore(args) => copy::run(&args),
        Command::Explain(args) => serve::explain(&args),
    }
}
