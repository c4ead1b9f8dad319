//! `acknowledge-lost`: has a running `serve` go on with a store that has lost payments.

use std::io::Write as _;

use clap::Args;
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::running::RunningArgs;
use crate::commands::valid_config;

#[derive(Args)]
pub(crate) struct AcknowledgeLostArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    #[command(flatten)]
    running: RunningArgs,
    /// What happened, for the log.
    #[arg(long, env = "GOPAY_ADAPTER_REASON")]
    pub(crate) reason: String,
    /// Who says so; the operator of the token, if there is one.
    #[arg(long, env = "GOPAY_ADAPTER_BY")]
    pub(crate) by: String,
}

pub(crate) fn run(args: &AcknowledgeLostArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let body = json!({"reason": args.reason, "by": args.by});
    let told = args.running.post(&config.listen, "/admin/v1/lost", &body)?;
    if told.status == 200 {
        let count = told.body.get("acknowledged").and_then(Value::as_u64).unwrap_or_default();
        writeln!(std::io::stdout(), "{count} lost payments are acknowledged; calls are taken")?;
        return Ok(Outcome::Done);
    }
    writeln!(std::io::stderr(), "{}: {} ({})", told.admin, told.reason(), told.status)?;
    Ok(Outcome::No)
}
