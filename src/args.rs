//! Arguments that several commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct ConfigArgs {
    /// The config file.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: PathBuf,
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
