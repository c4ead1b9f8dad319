//! `retain`: calls and trails of months that are long over leave the store for archives.

use std::io::Write as _;

use clap::Args;
use gopay_service::{Clock as _, SystemClock};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::retention::{Retaining, verify};
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct RetainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Moves nothing: reads every archive and compares it with what the store has entered of it.
    #[arg(long, env = "GOPAY_ADAPTER_VERIFY", conflicts_with = "give_back")]
    pub(crate) verify: bool,
    /// Moves nothing: puts everything of the archive with this number back into the store.
    #[arg(long, env = "GOPAY_ADAPTER_GIVE_BACK", value_name = "NUMBER")]
    pub(crate) give_back: Option<i64>,
}

pub(crate) fn run(args: &RetainArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let Some(retention) = &config.retention else {
        writeln!(std::io::stderr(), "the config has no [retention]: everything stays")?;
        return Ok(Outcome::No);
    };
    runtime()?.block_on(async {
        let store =
            Engine::open_for_finance(&config.store, &config.keys, config.connections).await?;
        let (handle, now) = (store.handle(), SystemClock.now());
        let retaining = Retaining {
            store: handle.as_ref(),
            folder: &retention.folder,
            before: now.before(retention.keep),
            now,
        };
        let done = match args.give_back {
            Some(number) => give_back(&retaining, number).await,
            None if args.verify => verify_all(&retaining).await,
            None => retain(&retaining).await,
        };
        drop(handle);
        store.close().await?;
        done
    })
}

async fn retain(retaining: &Retaining<'_>) -> anyhow::Result<Outcome> {
    let done = retaining.run().await?;
    let mut out = std::io::stdout().lock();
    for archive in &done.archives {
        writeln!(
            out,
            "{}: {} payments and {} records are in {}; {} payments have left their call and trail to it",
            archive.month, archive.payments, archive.events, archive.name, archive.taken
        )?;
    }
    if done.archives.is_empty() {
        let before = retaining.before;
        writeln!(out, "nothing to archive: no whole month before {before} has what may go")?;
    }
    Ok(Outcome::Done)
}

async fn verify_all(retaining: &Retaining<'_>) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    let mut good = true;
    for archive in retaining.store.archives().await? {
        match verify(&retaining.folder.join(&archive.name), &archive) {
            Ok(()) => writeln!(out, "{}: as it was made", archive.name)?,
            Err(error) => {
                good = false;
                writeln!(out, "{}: {error:#}", archive.name)?;
            }
        }
    }
    Ok(if good { Outcome::Done } else { Outcome::No })
}

async fn give_back(retaining: &Retaining<'_>, number: i64) -> anyhow::Result<Outcome> {
    let given = retaining.give_back(number).await?;
    writeln!(std::io::stdout(), "{given} payments have their call and trail in the store again")?;
    Ok(Outcome::Done)
}
