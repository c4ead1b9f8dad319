//! `reload`: has a running `serve` read its config again.

use std::io::Write as _;

use clap::Args;
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::prepared;
use crate::commands::running::RunningArgs;

#[derive(Args)]
pub(crate) struct ReloadArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    running: RunningArgs,
    /// Why, for the log.
    #[arg(long, env = "GOPAY_ADAPTER_REASON")]
    pub(crate) reason: Option<String>,
}

pub(crate) fn run(args: &ReloadArgs) -> anyhow::Result<Outcome> {
    // What is wrong is told here already, with the file's name.
    let prepared = match prepared(&args.config)? {
        Ok(prepared) => prepared,
        Err(no) => return Ok(no),
    };
    let body = json!({"reason": args.reason});
    let told = args.running.post(&prepared.config.listen, "/admin/v1/reload", &body)?;
    let mut out = std::io::stdout().lock();
    let list = |key: &str| -> Vec<String> {
        let list = told.body.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    if told.status == 200 {
        writeln!(out, "reloaded")?;
        for warning in list("warnings") {
            writeln!(out, "warning: {warning}")?;
        }
        for key in list("waiting") {
            writeln!(out, "waits for a restart: {key}")?;
        }
        return Ok(Outcome::Done);
    }
    let mut err = std::io::stderr().lock();
    writeln!(err, "{}: not reloaded: {} ({})", told.admin, told.reason(), told.status)?;
    for problem in list("problems") {
        writeln!(err, "{problem}")?;
    }
    Ok(Outcome::No)
}
