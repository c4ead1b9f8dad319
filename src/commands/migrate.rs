//! `migrate`: the schema of the store, created or brought up to date.

use std::io::Write as _;

use anyhow::Context as _;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(args)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let name = config.store.name();
    let version = runtime()?
        .block_on(config.store.migrate())
        .with_context(|| format!("cannot open the store {name}"))?;
    writeln!(std::io::stdout(), "{name}: schema version {version}")?;
    Ok(Outcome::Done)
}
