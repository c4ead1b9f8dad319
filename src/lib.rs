//! `gopay-adapter`: reads arguments and config, wires the rooms together, runs. A library, so that the
//! fuzz target of the config file reaches its reader; others use the rooms.

mod args;
mod certify;
mod cli;
mod commands;
mod config;
mod crash;
mod directory;
mod finance;
#[cfg(feature = "otlp")]
mod otlp;
#[cfg(feature = "reconcile")]
mod reconciliation;
mod reload;
mod retention;
mod silence;
mod start;
mod store;
mod telemetry;
mod terminal;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;
use rustix::fs::Mode;
use signal_hook::consts::SIGHUP;

use crate::cli::Cli;

/// How a command ended; see `--help`.
enum Outcome {
    /// Done.
    Done,
    /// The answer is "no".
    No,
}

/// Runs the program by its arguments.
pub fn main() -> ExitCode {
    // Before anything else: a SIGHUP that comes while a server starts must not end it. Other commands
    // end by it, as the system would have it.
    let ends = Arc::new(AtomicBool::new(false));
    let kept = signal_hook::flag::register_conditional_default(SIGHUP, Arc::clone(&ends));
    let cli = Cli::parse();
    ends.store(!cli.command.serves(), Ordering::Relaxed);
    let log = match telemetry::start_log(cli.log, cli.log_format) {
        Ok(log) => log,
        Err(error) => return failed(false, &anyhow::Error::from(error).context("no log")),
    };
    crash::report_panics();
    if cli.command.keeps_payments() {
        // Store, log, lock and copies hold names and secrets of shoppers: for their owner only.
        rustix::process::umask(Mode::RWXG | Mode::RWXO);
        crash::keep_memory_private();
    }
    if let Err(error) = kept {
        tracing::warn!(error = %error, "SIGHUP ends this process until it is ready");
    }
    gopay_outbound::install_crypto();
    let serves = cli.command.serves();
    let code = match commands::run(cli.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(error) if !serves && is_closed_pipe(&error) => ExitCode::from(CLOSED_PIPE),
        Err(error) => failed(serves, &error),
    };
    drop(log);
    code
}

/// What is said of the text of a config file, as `check-config` says it: warnings, or problems, each
/// with its key. Every variable and every other file holds `elsewhere`.
///
/// # Errors
/// The problems, if there are any.
pub fn check_config_text(text: &str, elsewhere: &str) -> Result<Vec<String>, Vec<String>> {
    let (variable, file) = (elsewhere.to_owned(), elsewhere.to_owned());
    let outside = config::Outside {
        variable: Box::new(move |_| Some(variable.clone())),
        file: Box::new(move |_| Ok(file.clone())),
        open_to_all: Box::new(|_| false),
    };
    match config::parse(text, &outside) {
        Ok((config, _)) => Ok(config.warnings.iter().map(ToString::to_string).collect()),
        Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

/// What shells show of a program that SIGPIPE has ended: not 0, since the answer was not read.
const CLOSED_PIPE: u8 = 128 + 13;

/// Whether the reader of standard output has seen enough, as `head` has: nothing that needs words.
/// What a socket or a database says is inside an error of its own.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Tells what went wrong: in the log of what serves, else in plain words. What is not logged is
/// told all the same.
fn failed(serves: bool, error: &anyhow::Error) -> ExitCode {
    if serves && tracing::enabled!(tracing::Level::ERROR) {
        tracing::error!("{error:#}");
    } else {
        // If standard error is closed, the exit code is what is left.
        let _ = writeln!(std::io::stderr(), "error: {error:#}");
    }
    ExitCode::from(3)
}
