//! `propose-mapping`: a mapping file for a report that no layout knows.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;

use crate::Outcome;

#[derive(Args)]
pub(crate) struct ProposeArgs {
    /// The report, CSV or XLSX.
    pub(crate) file: PathBuf,
}

pub(crate) fn run(args: &ProposeArgs) -> anyhow::Result<Outcome> {
    let proposal = gopay_reconcile::input::propose::propose(&args.file)?;
    std::io::stdout().write_all(proposal.toml.as_bytes())?;
    Ok(if proposal.complete { Outcome::Done } else { Outcome::No })
}
