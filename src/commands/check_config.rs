//! `check-config`: would `serve` start with a config file, and is it safe?

use std::io::Write as _;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::prepared;

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<Outcome> {
    let prepared = match prepared(args)? {
        Ok(prepared) => prepared,
        Err(no) => return Ok(no),
    };
    let path = args.config.display();
    let mut err = std::io::stderr().lock();
    for warning in &prepared.config.warnings {
        writeln!(err, "{path}: warning: {warning}")?;
    }
    writeln!(std::io::stdout(), "{path}: valid")?;
    Ok(Outcome::Done)
}
