//! `check-config`: is a config file valid?

use std::io::Write as _;

use crate::Outcome;
use crate::cli::ConfigArgs;
use crate::commands::valid_config;

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<Outcome> {
    match valid_config(args)? {
        Ok(_) => {
            writeln!(std::io::stdout(), "{}: valid", args.config.display())?;
            Ok(Outcome::Done)
        }
        Err(no) => Ok(no),
    }
}
