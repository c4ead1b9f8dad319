//! `gopay-adapter`: reads arguments and config, wires the rooms together, runs.

mod cli;
mod config;
mod copy;
mod demo;
mod listen;
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

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli::start_log(&cli.log);
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
