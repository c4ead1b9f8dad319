//! `explain`: the whole story of a transaction.

use std::io::Write as _;

use clap::Args;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The TXID.
    pub(crate) txid: gopay_core::ids::TxId,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let story = runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store).await?;
        let story = gopay_service::story(store.handle().as_ref(), args.txid).await?;
        store.close().await?;
        anyhow::Ok(story)
    })?;
    match story {
        Some(story) => {
            std::io::stdout().write_all(story.as_bytes())?;
            Ok(Outcome::Done)
        }
        None => {
            writeln!(std::io::stderr(), "the store has no transaction {}", args.txid)?;
            Ok(Outcome::No)
        }
    }
}
