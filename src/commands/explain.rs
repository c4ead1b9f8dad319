//! `explain`: the whole story of a transaction.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_core::text::is_unprintable;
use gopay_service::{FOUND_MAX, Story};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::{Engine, StoreUrl};

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// The config file, for its store.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG", required_unless_present = "store")]
    pub(crate) config: Option<PathBuf>,
    /// The store itself, without a config file: `sqlite:PATH` or `postgres://...`. `demo` prints
    /// that of its own.
    #[arg(long, env = "GOPAY_ADAPTER_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// One JSON array, an object for each transaction.
    #[arg(long, env = "GOPAY_ADAPTER_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// The TXID, a REFUNDID, Midtrans' transaction id, or a merchanttxid.
    pub(crate) id: String,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let (place, contracts) = match place(args)? {
        Ok(place) => place,
        Err(no) => return Ok(no),
    };
    let stories = runtime()?.block_on(async {
        let store = Engine::open_read_only(&place).await?;
        let stories = stories(&store, &args.id, &contracts).await?;
        store.close().await?;
        anyhow::Ok(stories)
    })?;
    print(args, &stories)?;
    if stories.is_empty() {
        let id = gopay_core::text::Escaped(&args.id);
        writeln!(
            std::io::stderr(),
            "the store has no transaction {id}: not as TXID, REFUNDID, Midtrans' id or merchanttxid"
        )?;
        return Ok(Outcome::No);
    }
    if stories.len() >= FOUND_MAX {
        writeln!(std::io::stderr(), "only the newest {FOUND_MAX} are shown")?;
    }
    Ok(Outcome::Done)
}

/// The store, and the contracts that are known to be in it.
fn place(args: &ExplainArgs) -> anyhow::Result<Result<(StoreUrl, Vec<String>), Outcome>> {
    match (&args.store, &args.config) {
        (Some(url), _) => Ok(Ok((StoreUrl::of_option("--store", url)?, Vec::new()))),
        (None, Some(config)) => {
            let config = valid_config(&ConfigArgs { config: config.clone() })?;
            Ok(config.map(|config| {
                let contracts = config.contracts.iter().map(|contract| contract.id.clone());
                let contracts = contracts.collect();
                (config.store, contracts)
            }))
        }
        (None, None) => anyhow::bail!("--config or --store is needed"),
    }
}

async fn stories(store: &Engine, id: &str, contracts: &[String]) -> anyhow::Result<Vec<Story>> {
    let store = store.handle();
    let mut stories = Vec::new();
    for tx_id in gopay_service::find(store.as_ref(), id, contracts).await? {
        stories.extend(gopay_service::story(store.as_ref(), tx_id).await?);
    }
    Ok(stories)
}

fn print(args: &ExplainArgs, stories: &[Story]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", printable_json(&serde_json::to_string_pretty(stories)?))?;
        return Ok(());
    }
    for (place, story) in stories.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        write!(out, "{story}")?;
    }
    Ok(())
}

/// JSON with the characters escaped that JSON allows and a terminal acts on. They can stand within
/// strings only, except the line ends between members.
fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char != '\n' && is_unprintable(char) {
            out.push_str(&gopay_core::text::Escaped(char.encode_utf8(&mut [0; 4])).to_string());
        } else {
            out.push(char);
        }
    }
    out
}
