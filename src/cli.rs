//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use gopay_core::time::Timestamp;

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
pub(crate) struct DemoArgs {
    /// Address of the adapter: Simple API, shopper pages, Midtrans notifications.
    #[arg(long, env = "GOPAY_ADAPTER_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Address of health, metrics and sums.
    #[arg(long, env = "GOPAY_ADAPTER_ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub(crate) admin_listen: SocketAddr,
    /// Address of the simulator, the shop and the PSP.
    #[arg(long, env = "GOPAY_ADAPTER_SIMULATOR_LISTEN", default_value = "127.0.0.1:8090")]
    pub(crate) simulator_listen: SocketAddr,
    /// Folder of the store and of the simulator's state. Without it both are temporary.
    #[arg(long, env = "GOPAY_ADAPTER_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Store of the adapter instead, such as postgres://USER@HOST/DATABASE; it is migrated first.
    #[arg(long, env = "GOPAY_ADAPTER_STORE", conflicts_with = "data", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Seed of the simulator's ids and chances.
    #[arg(long, env = "GOPAY_ADAPTER_SEED", default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// The config file.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: PathBuf,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// What this instance does.
    #[arg(long, env = "GOPAY_ADAPTER_ROLE", value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Calls and workers.
    All,
    /// Calls only.
    Api,
    /// Workers only; the admin listener runs too.
    Worker,
}

#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// Where to listen.
    #[arg(long, env = "GOPAY_ADAPTER_LISTEN", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
    /// Simulator settings, TOML; see docs/simulator.md.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Folder in which the state survives; without it, it is in memory only.
    #[arg(long, env = "GOPAY_ADAPTER_DATA")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TranslateArgs {
    /// Form bodies, one a line; standard input if absent.
    #[arg(long = "in", env = "GOPAY_ADAPTER_IN")]
    pub(crate) input: Option<PathBuf>,
    /// JSON, one object a line; standard output if absent.
    #[arg(long = "out", env = "GOPAY_ADAPTER_OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Use the rules of this contract; without it everything a contract can allow is allowed.
    #[arg(long, env = "GOPAY_ADAPTER_CONTRACT", requires = "config")]
    pub(crate) contract: Option<String>,
    /// The config file with the contract.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Report every fault of a body, not only the first.
    #[arg(long, env = "GOPAY_ADAPTER_EXPLAIN", value_parser = FalseyValueParser::new())]
    pub(crate) explain: bool,
    /// Show progress on standard error.
    #[arg(long, env = "GOPAY_ADAPTER_PROGRESS", value_parser = FalseyValueParser::new())]
    pub(crate) progress: bool,
    /// The time at which the sessions begin, RFC 3339; now if absent.
    #[arg(long, env = "GOPAY_ADAPTER_AT", value_parser = Timestamp::from_rfc3339)]
    pub(crate) at: Option<Timestamp>,
}

#[derive(Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The copy; must not exist.
    #[arg(long = "out", env = "GOPAY_ADAPTER_OUT")]
    pub(crate) output: PathBuf,
}

#[derive(Args)]
pub(crate) struct CopyArgs {
    /// The store to read, such as sqlite:data/gopay.db; or env:NAME, or file:PATH.
    #[arg(long, env = "GOPAY_ADAPTER_FROM", value_name = "URL", hide_env_values = true)]
    pub(crate) from: String,
    /// The empty store to fill, such as postgres://USER@HOST/DATABASE; or env:NAME, or file:PATH.
    #[arg(long, env = "GOPAY_ADAPTER_TO", value_name = "URL", hide_env_values = true)]
    pub(crate) to: String,
}

#[derive(Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The TXID.
    pub(crate) txid: gopay_core::ids::TxId,
}
