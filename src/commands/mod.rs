//! A file a command: its arguments, and what it does.

pub(crate) mod acknowledge_lost;
pub(crate) mod adjust;
pub(crate) mod attention;
pub(crate) mod backup;
pub(crate) mod certify;
pub(crate) mod check_config;
#[cfg(feature = "manual")]
pub(crate) mod completions;
#[cfg(feature = "postgres")]
pub(crate) mod copy_store;
pub(crate) mod demo;
pub(crate) mod directory;
pub(crate) mod erase;
pub(crate) mod explain;
pub(crate) mod hash_password;
pub(crate) mod journal;
pub(crate) mod listen;
#[cfg(feature = "manual")]
pub(crate) mod man;
pub(crate) mod migrate;
mod pipeline;
pub(crate) mod process_files;
#[cfg(feature = "reconcile")]
pub(crate) mod propose_mapping;
#[cfg(feature = "reconcile")]
pub(crate) mod reconcile;
pub(crate) mod recover;
pub(crate) mod redeliver;
pub(crate) mod rekey;
pub(crate) mod reload;
pub(crate) mod resolve;
pub(crate) mod retain;
mod running;
pub(crate) mod serve;
pub(crate) mod settle;
pub(crate) mod simulate;
pub(crate) mod totals;
pub(crate) mod translate;
pub(crate) mod trigger;
pub(crate) mod verify_files;

use std::io::Write as _;
use std::path::Path;

use gopay_service::{Clock as _, SystemClock};

use crate::args::ConfigArgs;
#[cfg(feature = "manual")]
use crate::cli::Cli;
use crate::cli::Command;
use crate::config::{Config, ConfigText, Problem};
use crate::directory::{Book, Whole, read_whole};
use crate::start::{Prepared, runtime};
use crate::store::Engine;
use crate::{Outcome, start};
#[cfg(feature = "manual")]
use clap::CommandFactory as _;

/// Runs a command.
pub(crate) fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Directory(args) => directory::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Listen(args) => listen::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::HashPassword => hash_password::run(),
        Command::Translate(args) => translate::run(&args),
        Command::Trigger(args) => trigger::run(&args),
        Command::Certify(args) => certify::run(&args),
        Command::Backup(args) => backup::run(&args),
        #[cfg(feature = "postgres")]
        Command::CopyStore(args) => copy_store::run(&args),
        Command::Erase(args) => erase::run(&args),
        Command::Explain(args) => explain::run(&args),
        #[cfg(feature = "reconcile")]
        Command::ProposeMapping(args) => propose_mapping::run(&args),
        #[cfg(feature = "reconcile")]
        Command::Reconcile(args) => reconcile::run(&args),
        Command::Redeliver(args) => redeliver::run(&args),
        Command::Rekey(args) => rekey::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::AcknowledgeLost(args) => acknowledge_lost::run(&args),
        Command::Attention(args) => attention::run(&args),
        Command::Recover(args) => recover::run(&args),
        Command::Resolve(args) => resolve::run(&args),
        Command::Adjust(args) => adjust::run(&args),
        Command::Settle(args) => settle::run(&args),
        Command::VerifyFiles(args) => verify_files::run(args),
        Command::ProcessFiles(args) => process_files::run(&args),
        Command::Journal(args) => journal::run(&args),
        Command::Totals(args) => totals::run(&args),
        Command::Retain(args) => retain::run(&args),
        #[cfg(feature = "manual")]
        Command::Completions(args) => completions::run(&args, Cli::command()),
        #[cfg(feature = "manual")]
        Command::Man(args) => man::run(&args, Cli::command()),
    }
}

/// Reads a config; prints its problems and answers "no" if it has any.
fn valid_config(args: &ConfigArgs) -> anyhow::Result<Result<Config, Outcome>> {
    match crate::config::read(&args.config) {
        Ok(config) => Ok(Ok(config)),
        Err(problems) => {
            report(&args.config, &problems)?;
            Ok(Err(Outcome::No))
        }
    }
}

/// Reads a config with what stands in the store; prints its problems and answers "no" if it has any.
fn whole_config(args: &ConfigArgs) -> anyhow::Result<Result<Config, Outcome>> {
    Ok(whole(args, book)?.map(|(config, _)| config))
}

/// Reads a config with what stands in the store, and makes of it all that `serve` needs; else prints
/// its problems, and answers "no".
fn prepared(args: &ConfigArgs) -> anyhow::Result<Result<Prepared, Outcome>> {
    Ok(prepared_with(args, book)?.map(|(prepared, _)| prepared))
}

/// The same; `book` reads what stands in the store.
fn prepared_with(
    args: &ConfigArgs,
    book: impl AsyncFnOnce(&Config) -> anyhow::Result<Option<Book>>,
) -> anyhow::Result<Result<(Prepared, Whole), Outcome>> {
    let (config, whole) = match whole(args, book)? {
        Ok(read) => read,
        Err(no) => return Ok(Err(no)),
    };
    match start::prepare(config) {
        Ok(prepared) => Ok(Ok((prepared, whole))),
        Err(problems) => {
            report(&args.config, &problems)?;
            Ok(Err(Outcome::No))
        }
    }
}

fn whole(
    args: &ConfigArgs,
    book: impl AsyncFnOnce(&Config) -> anyhow::Result<Option<Book>>,
) -> anyhow::Result<Result<(Config, Whole), Outcome>> {
    let read = match ConfigText::read(&args.config) {
        Ok(text) => runtime()?.block_on(read_whole(text, SystemClock.now(), book)),
        Err(problems) => Err(problems),
    };
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(problems) => {
            report(&args.config, &problems)?;
            Ok(Err(Outcome::No))
        }
    }
}

/// What stands in the store, which others may be running.
async fn book(config: &Config) -> anyhow::Result<Option<Book>> {
    let store = Engine::open_read_only(&config.store, &config.keys).await?;
    let book = Book::read(store.handle().as_ref()).await;
    store.close().await?;
    Ok(Some(book?))
}

fn report(path: &Path, problems: &[Problem]) -> anyhow::Result<()> {
    let mut out = std::io::stderr().lock();
    for problem in problems {
        writeln!(out, "{}: {problem}", path.display())?;
    }
    Ok(())
}
