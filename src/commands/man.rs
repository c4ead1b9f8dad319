//! `man`: the manual pages, one of the program and one of each command.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};

use crate::Outcome;

#[derive(Args)]
pub(crate) struct ManArgs {
    /// The folder that they are written to; it must exist.
    pub(crate) dir: PathBuf,
}

/// Writes those of this command line.
pub(crate) fn run(args: &ManArgs, command: Command) -> anyhow::Result<Outcome> {
    let pages = clap_mangen::generate_to(command, &args.dir);
    pages.with_context(|| format!("cannot write to {}", args.dir.display()))?;
    Ok(Outcome::Done)
}
