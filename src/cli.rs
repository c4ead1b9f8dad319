//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::backup::BackupArgs;
use crate::commands::copy_store::CopyArgs;
use crate::commands::demo::DemoArgs;
use crate::commands::explain::ExplainArgs;
use crate::commands::serve::ServeArgs;
use crate::commands::simulate::SimulateArgs;
use crate::commands::translate::TranslateArgs;

/// Turns PPRO Simple API calls into GoPay payments at Midtrans.
///
/// Exit codes: 0 done, 1 the answer is "no", 2 wrong usage, 3 failed.
#[derive(Parser)]
#[command(name = "gopay-adapter", version, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to log, to standard error: off, error, warn, info, debug, trace, or a filter such as
    /// `info,gopay_service=debug`.
    #[arg(long, global = true, env = "GOPAY_ADAPTER_LOG", default_value = "info")]
    pub(crate) log: String,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Everything in one process: adapter, simulator, shop, PSP. No other server, no keys.
    Demo(DemoArgs),
    /// The adapter.
    Serve(ServeArgs),
    /// The GoPay and Midtrans simulator alone.
    Simulate(SimulateArgs),
    /// Creates or upgrades the schema of the store.
    Migrate(ConfigArgs),
    /// Reports every problem of a config file, each with its key and what would be valid.
    CheckConfig(ConfigArgs),
    /// Reads a password from standard input and prints its hash for the config.
    HashPassword,
    /// Translates offline: one form body a line in, one JSON object a line out.
    Translate(TranslateArgs),
    /// Writes a consistent copy of the store, also while `serve` runs.
    Backup(BackupArgs),
    /// Copies a whole store from one engine to the other and compares both. Stop every instance
    /// first; the target must be empty.
    CopyStore(CopyArgs),
    /// Tells the whole story of a transaction, personal data masked.
    Explain(ExplainArgs),
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// The config file.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: PathBuf,
}
