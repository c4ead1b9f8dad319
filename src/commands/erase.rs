//! `erase`: takes the personal data of one payment out of the store.

use std::io::Write as _;

use clap::Args;
use gopay_core::ids::TxId;
use gopay_service::{Clock as _, EraseError, SystemClock};
use gopay_store::Erasure;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct EraseArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The TXID.
    pub(crate) txid: TxId,
    /// Why; kept with the payment.
    #[arg(long, env = "GOPAY_ADAPTER_REASON")]
    pub(crate) reason: String,
    /// Who decides; kept with the payment.
    #[arg(long, env = "GOPAY_ADAPTER_BY")]
    pub(crate) by: String,
}

pub(crate) fn run(args: &EraseArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let (tx_id, now) = (args.txid, SystemClock.now());
    let erasure = Erasure { tx_id, at: now, by: args.by.clone(), reason: args.reason.clone() };
    let (sealed, erased) = runtime()?.block_on(async {
        let store = Engine::open(&config.store, &config.keys, config.connections, false).await?;
        let handle = store.handle();
        let sealed = handle.data_key(tx_id).await;
        let window = config.limits.refund_window;
        let erased = gopay_service::erase(handle.as_ref(), &erasure, window).await;
        drop(handle);
        store.close().await?;
        anyhow::Ok((sealed?.is_some(), erased))
    })?;
    match erased {
        Ok(()) => {
            // Older copies of what was plain lie in pages that are free.
            let rewritten = !sealed && config.store.rewrite()?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{tx_id}: personal data erased")?;
            if rewritten {
                writeln!(out, "the file of the store was written anew")?;
            }
            Ok(Outcome::Done)
        }
        Err(EraseError::Store(error)) => Err(error.into()),
        Err(no) => {
            writeln!(std::io::stderr(), "{no}")?;
            Ok(Outcome::No)
        }
    }
}
