//! `resolve`: what a person decides about money that does not fit, or that the store does not know.

use std::io::Write as _;

use clap::{Args, ValueEnum};
use gopay_core::doubt::Verdict;
use gopay_core::ids::TxId;
use gopay_service::{Clock as _, Decision, ResolveError, SystemClock};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum As {
    /// It is the payment's money: the PSP is told SUCCEEDED.
    Paid,
    /// It is not: the PSP is told FAILED, and the money stays where it is.
    Failed,
    /// All of it goes back to the shopper at Midtrans; then the PSP is told FAILED.
    Refund,
}

#[derive(Args)]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The TXID, as `attention` lists it.
    pub(crate) txid: TxId,
    /// What is decided.
    #[arg(value_enum)]
    pub(crate) verdict: As,
    /// Why; kept in the trail.
    #[arg(long, env = "GOPAY_ADAPTER_REASON")]
    pub(crate) reason: String,
    /// Who decides; kept in the trail.
    #[arg(long, env = "GOPAY_ADAPTER_BY")]
    pub(crate) by: String,
}

pub(crate) fn run(args: &ResolveArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let verdict = match args.verdict {
        As::Paid => Verdict::Paid,
        As::Failed => Verdict::Failed,
        As::Refund => Verdict::Refund,
    };
    let decision = Decision { verdict, reason: args.reason.clone(), by: args.by.clone() };
    let resolved = runtime()?.block_on(async {
        let store = Engine::open(&config.store, &config.keys, config.connections, false).await?;
        let handle = store.handle();
        let now = SystemClock.now();
        let resolved = gopay_service::resolve(handle.as_ref(), args.txid, &decision, now).await;
        drop(handle);
        store.close().await?;
        anyhow::Ok(resolved)
    })?;
    match resolved {
        Ok(resolved) => {
            writeln!(std::io::stdout(), "{}", resolved.described())?;
            Ok(Outcome::Done)
        }
        Err(ResolveError::Store(error)) => Err(error.into()),
        Err(no) => {
            writeln!(std::io::stderr(), "{no}")?;
            Ok(Outcome::No)
        }
    }
}
