//! `completions`: what a shell needs to complete the command line.

use std::io::Write as _;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::Outcome;

#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Prints it for this command line.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<Outcome> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(Outcome::Done)
}
