//! `man`: the manual pages, one of the program and one of each command.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};

use crate::Outcome;
use crate::cli::Cli;

#[derive(Args)]
pub(crate) struct ManArgs {
    /// The folder that they are written to; it must exist.
    pub(crate) dir: PathBuf,
}

pub(crate) fn run(args: &ManArgs) -> anyhow::Result<Outcome> {
    let pages = clap_mangen::generate_to(Cli::command(), &args.dir);
    pages.with_context(|| format!("cannot write to {}", args.dir.display()))?;
    Ok(Outcome::Done)
}
