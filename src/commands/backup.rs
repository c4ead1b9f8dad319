//! `backup`: a consistent copy of a SQLite store.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use clap::Args;

use crate::Outcome;
use crate::cli::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::{Engine, Place};

#[derive(Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The copy; must not exist.
    #[arg(long = "out", env = "GOPAY_ADAPTER_OUT")]
    pub(crate) output: PathBuf,
}

pub(crate) fn run(args: &BackupArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    if let Place::Postgres(_) = config.store {
        return Err(anyhow!(
            "{}: use pg_dump for a copy, or pg_basebackup with the write-ahead log for recovery \
             to any moment; backup is for SQLite",
            config.store.name()
        ));
    }
    let runtime = runtime()?;
    let Engine::Sqlite(store) = runtime.block_on(Engine::open_read_only(&config.store))? else {
        return Err(anyhow!("backup is for SQLite"));
    };
    runtime
        .block_on(store.backup(&args.output))
        .with_context(|| format!("cannot write the copy {}", args.output.display()))?;
    writeln!(std::io::stdout(), "{}: written", args.output.display())?;
    Ok(Outcome::Done)
}
