//! `redeliver`: sends notifications again, whatever became of them.

use std::io::Write as _;

use clap::Args;
use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_service::desk::given_up;
use gopay_service::{Clock as _, SystemClock};
use gopay_store::Database;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct RedeliverArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The TXIDs; of each its last notification is sent again.
    #[arg(required_unless_present = "failed_since", conflicts_with = "failed_since")]
    pub(crate) txids: Vec<TxId>,
    /// All that were given up since this time, RFC 3339.
    #[arg(long, env = "GOPAY_ADAPTER_FAILED_SINCE", value_parser = Timestamp::from_rfc3339)]
    pub(crate) failed_since: Option<Timestamp>,
}

pub(crate) fn run(args: &RedeliverArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    runtime()?.block_on(async {
        let store =
            Engine::open(&config.store, &config.keys, config.connections, false, None).await?;
        let handle = store.handle();
        let done = async {
            let wanted = match args.failed_since {
                Some(since) => given_up(handle.as_ref(), since).await?,
                None => args.txids.clone(),
            };
            again(handle.as_ref(), &wanted).await
        };
        let done = done.await;
        drop(handle);
        store.close().await?;
        done
    })
}

/// Makes them due, and says so; the answer is "no" if one has nothing to send.
async fn again(store: &dyn Database, wanted: &[TxId]) -> anyhow::Result<Outcome> {
    let (mut due, mut out) = (0_usize, std::io::stdout());
    for tx_id in wanted {
        if store.delivery_again(*tx_id, SystemClock.now()).await? {
            due = due.saturating_add(1);
            writeln!(out, "{tx_id}: due now")?;
        } else {
            writeln!(std::io::stderr(), "{tx_id}: has no notification")?;
        }
    }
    writeln!(out, "{due} notifications are due; a worker sends them")?;
    Ok(if due == wanted.len() { Outcome::Done } else { Outcome::No })
}
