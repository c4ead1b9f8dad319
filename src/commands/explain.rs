//! `explain`: the whole story of a transaction.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_core::ids::TxId;
use gopay_core::text::{Escaped, printable_json};
use gopay_service::{FOUND_MAX, FromArchive, Story};
use gopay_store::sealing::KeyRing;
use gopay_store::{Database, EventRecord, FiledEvent, UnknownOrder};
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::retention;
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
    /// The TXID, a REFUNDID, Midtrans' transaction id, a merchanttxid, or a merchantrefundid.
    pub(crate) id: String,
}

pub(crate) fn run(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let Place { place, keys, contracts, archives } = match place(args)? {
        Ok(place) => place,
        Err(no) => return Ok(no),
    };
    let (stories, order) = runtime()?.block_on(async {
        let store = Engine::open_read_only(&place, &keys).await?;
        let stories = stories(&store, &args.id, &contracts, archives.as_deref()).await?;
        let order = match args.id.parse() {
            Ok(tx_id) => store.handle().order_get(tx_id).await?,
            Err(_) => None,
        };
        store.close().await?;
        anyhow::Ok((stories, order))
    })?;
    print(args, &stories, order.as_ref())?;
    if stories.is_empty() && order.is_none() {
        let id = Escaped(&args.id);
        writeln!(
            std::io::stderr(),
            "the store has no transaction {id}: not as TXID, REFUNDID, \
             Midtrans' id, merchanttxid or merchantrefundid"
        )?;
        return Ok(Outcome::No);
    }
    if stories.len() >= FOUND_MAX {
        writeln!(std::io::stderr(), "only the newest {FOUND_MAX} are shown")?;
    }
    Ok(Outcome::Done)
}

/// The store, its keys, and the contracts that are known to be in it.
struct Place {
    place: StoreUrl,
    keys: KeyRing,
    contracts: Vec<String>,
    /// The folder of archives.
    archives: Option<PathBuf>,
}

/// A store that is named goes before that of the config, whose keys may open it all the same.
fn place(args: &ExplainArgs) -> anyhow::Result<Result<Place, Outcome>> {
    let named = args.store.as_deref().map(|url| StoreUrl::of_option("--store", url)).transpose()?;
    let config = match &args.config {
        None => None,
        Some(config) => match whole_config(&ConfigArgs { config: config.clone() })? {
            Ok(config) => Some(config),
            Err(no) => return Ok(Err(no)),
        },
    };
    Ok(Ok(match (named, config) {
        (Some(place), None) => {
            Place { place, keys: KeyRing::default(), contracts: Vec::new(), archives: None }
        }
        (named, Some(config)) => {
            // The contracts are those of the config's store.
            let contracts = config.contracts.into_iter().map(|contract| contract.id);
            let contracts = if named.is_some() { Vec::new() } else { contracts.collect() };
            let archives = config.retention.map(|retention| retention.folder);
            let place = named.unwrap_or(config.store);
            Place { place, keys: config.keys, contracts, archives }
        }
        (None, None) => anyhow::bail!("--config or --store is needed"),
    }))
}

async fn stories(
    store: &Engine,
    id: &str,
    contracts: &[String],
    archives: Option<&Path>,
) -> anyhow::Result<Vec<Story>> {
    let store = store.handle();
    let mut stories = Vec::new();
    for tx_id in gopay_service::find(store.as_ref(), id, contracts).await? {
        let read = from_archive(store.as_ref(), archives, tx_id).await?;
        stories.extend(gopay_service::story_with(store.as_ref(), tx_id, read).await?);
    }
    Ok(stories)
}

/// What an archive tells of a payment. Of one that was erased nothing is read, and an archive that
/// cannot be read leaves the rest of the story.
async fn from_archive(
    store: &dyn Database,
    archives: Option<&Path>,
    tx_id: TxId,
) -> anyhow::Result<Option<FromArchive>> {
    if store.erasure_get(tx_id).await?.is_some() {
        return Ok(None);
    }
    let filed = match retention::look_up(store, archives, tx_id).await {
        Ok(found) => found.and_then(|(_, filed)| filed),
        Err(error) => {
            writeln!(std::io::stderr(), "the archive of {tx_id} cannot be read: {error:#}")?;
            None
        }
    };
    Ok(filed.map(|filed| FromArchive {
        call: filed.call,
        trail: filed.events.into_iter().map(record).collect(),
    }))
}

fn record(event: FiledEvent) -> EventRecord {
    let detail = serde_json::from_str(&event.detail).unwrap_or_default();
    EventRecord { at: event.at, kind: event.kind, detail }
}

/// `order` has money at Midtrans that the store does not know, or beside that of its payment.
fn print(
    args: &ExplainArgs,
    stories: &[Story],
    order: Option<&UnknownOrder>,
) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut all = stories.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        all.extend(order.map(order_json));
        writeln!(out, "{}", printable_json(&serde_json::to_string_pretty(&all)?))?;
        return Ok(());
    }
    for (place, story) in stories.iter().enumerate() {
        if place > 0 {
            writeln!(out)?;
        }
        write!(out, "{story}")?;
    }
    let Some(order) = order else { return Ok(()) };
    if !stories.is_empty() {
        writeln!(out)?;
    }
    print_order(&mut out, order, !stories.is_empty())
}

fn order_json(order: &UnknownOrder) -> Value {
    let decision = order.resolution.as_ref().map(|decided| {
        json!({
            "verdict": decided.verdict, "reason": decided.reason, "by": decided.by,
            "at": decided.at.to_string(),
        })
    });
    json!({
        "unknown_order": order.tx_id, "channel": order.channel.as_str(),
        "midtrans_status": order.status, "midtrans_transaction_id": order.midtrans_tx_id,
        "amount_sen": order.amount, "first_seen_at": order.first_seen_at.to_string(),
        "last_seen_at": order.last_seen_at.to_string(), "seen": order.seen,
        "decision": decision,
    })
}

/// An order with money at Midtrans that the store does not know, or `beside` that of its payment, and
/// what a person decided about it.
fn print_order(out: &mut impl Write, order: &UnknownOrder, beside: bool) -> anyhow::Result<()> {
    let decided = order.resolution.as_ref();
    let amount = order.amount.map_or_else(|| "unknown".to_owned(), |sen| sen.decimal_text());
    let what = if beside { "money of another transaction" } else { "not in this store" };
    writeln!(out, "order {} on {}: {what}", order.tx_id, order.channel.as_str())?;
    writeln!(
        out,
        "  at Midtrans: status {}, amount {amount}, transaction {}",
        Escaped(&order.status),
        Escaped(order.midtrans_tx_id.as_deref().unwrap_or("unknown"))
    )?;
    let (first, last) = (order.first_seen_at.to_string(), order.last_seen_at.to_string());
    writeln!(out, "  seen {} times, first {first}, last {last}", order.seen)?;
    match decided {
        Some(decided) => writeln!(
            out,
            "  {} {} decided: {}, because {}",
            decided.at,
            Escaped(&decided.by),
            decided.verdict.as_str(),
            Escaped(&decided.reason)
        )?,
        None => writeln!(out, "  nobody has decided about it yet: see `attention`")?,
    }
    Ok(())
}
