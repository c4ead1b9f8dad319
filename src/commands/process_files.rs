//! `process-files`: what happened to payments and refunds on one day, a folder for each PSP.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use gopay_finance::period::midnight;
use gopay_service::{Clock as _, SystemClock};
use jiff::civil::Date;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::finance::day;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct ProcessArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The day, in UTC.
    #[arg(long, env = "GOPAY_ADAPTER_DAY", value_name = "YYYY-MM-DD")]
    pub(crate) day: Date,
    /// Where the folder of each PSP goes.
    #[arg(long = "out", env = "GOPAY_ADAPTER_OUT")]
    pub(crate) output: PathBuf,
}

/// As with settlements: steps that have their time may still be on their way into the store.
const GRACE: Duration = Duration::from_secs(15 * 60);

pub(crate) fn run(args: &ProcessArgs) -> anyhow::Result<Outcome> {
    let config = match whole_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let made = args.day.tomorrow()?;
    if SystemClock.now() < midnight(made).after(GRACE) {
        let minutes = GRACE.as_secs() / 60;
        bail!("{} is not over for {minutes} minutes yet", args.day);
    }
    let logins: BTreeSet<String> =
        config.clients.iter().map(|client| client.login.clone()).collect();
    let written = runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store, &config.keys).await?;
        let handle = store.handle();
        let written = day::write(handle.as_ref(), &logins, made, &args.output).await;
        drop(handle);
        store.close().await?;
        written
    })?;
    for (folder, rows) in written {
        writeln!(std::io::stdout(), "{}: {rows} rows", folder.display())?;
    }
    Ok(Outcome::Done)
}
