//! `redeliver`: sends notifications again, whatever became of them.

use std::io::Write as _;

use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use gopay_service::desk::given_up;
use gopay_service::{Clock as _, SystemClock};
use gopay_store::Database;
use serde_json::json;

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
    /// One JSON object instead of text: the TXIDs that are `due`, and those `without_notification`.
    #[arg(long, env = "GOPAY_ADAPTER_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &RedeliverArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let again = runtime()?.block_on(async {
        let store = Engine::open(&config.store, &config.keys, config.connections, false).await?;
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
    })?;
    told(&again, args.json)
}

/// What became of each.
#[derive(Default)]
struct Again {
    due: Vec<TxId>,
    without_notification: Vec<TxId>,
}

/// Makes them due.
async fn again(store: &dyn Database, wanted: &[TxId]) -> anyhow::Result<Again> {
    let mut again = Again::default();
    for tx_id in wanted {
        let due = store.delivery_again(*tx_id, SystemClock.now()).await?;
        let list = if due { &mut again.due } else { &mut again.without_notification };
        list.push(*tx_id);
    }
    Ok(again)
}

/// Says so; the answer is "no" if one has nothing to send.
fn told(again: &Again, as_json: bool) -> anyhow::Result<Outcome> {
    let Again { due, without_notification } = again;
    let mut out = std::io::stdout();
    if as_json {
        writeln!(out, "{}", json!({"due": due, "without_notification": without_notification}))?;
    } else {
        for tx_id in due {
            writeln!(out, "{tx_id}: due now")?;
        }
        for tx_id in without_notification {
            writeln!(std::io::stderr(), "{tx_id}: has no notification")?;
        }
        writeln!(out, "{} notifications are due; a worker sends them", due.len())?;
    }
    Ok(if without_notification.is_empty() { Outcome::Done } else { Outcome::No })
}
