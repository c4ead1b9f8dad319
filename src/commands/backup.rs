//! `backup`: a consistent copy of a SQLite store.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;

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
    runtime()?.block_on(config.store.backup(&args.output))?;
    writeln!(std::io::stdout(), "{}: written", args.output.display())?;
    Ok(Outcome::Done)
}
