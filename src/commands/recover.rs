//! `recover`: asks Midtrans for every order that a lost stretch of the store can have held.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_core::ids::TxId;
use gopay_core::money::Sen;
use gopay_core::time::Timestamp;
use gopay_service::{Recovered, Service, SystemClock};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::prepared;
use crate::start::{build, runtime};
use crate::telemetry::metrics;
use crate::terminal::Progress;

/// A quarter of an hour of one instance, and half a day of asking at the usual rate.
const ORDERS_MAX: usize = 1_000_000;

/// Questions under way at once.
const UNDER_WAY_MAX: usize = 32;

#[derive(Args)]
pub(crate) struct RecoverArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// A file with order ids: one a line, or lines with fields of which some are order ids, such as
    /// the export of Midtrans' dashboard. Say this where you can.
    #[arg(long, env = "GOPAY_ADAPTER_ORDERS", required_unless_present = "from", conflicts_with_all = ["from", "to"])]
    pub(crate) orders: Option<PathBuf>,
    /// The beginning of the lost stretch, RFC 3339: every TXID that can have been issued is asked for,
    /// a thousand for each second and instance.
    #[arg(long, env = "GOPAY_ADAPTER_RECOVER_FROM", value_parser = Timestamp::from_rfc3339, requires = "to")]
    pub(crate) from: Option<Timestamp>,
    /// Its end, RFC 3339.
    #[arg(long, env = "GOPAY_ADAPTER_RECOVER_TO", value_parser = Timestamp::from_rfc3339, requires = "from")]
    pub(crate) to: Option<Timestamp>,
    /// Number of the instance that issued them; the config's if not said.
    #[arg(long, env = "GOPAY_ADAPTER_INSTANCE")]
    pub(crate) instance: Option<u16>,
    /// How many TXIDs of each millisecond: more than one is issued only if that many calls come
    /// within it.
    #[arg(long, env = "GOPAY_ADAPTER_PER_MILLISECOND", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) per_millisecond: u16,
    /// Questions to Midtrans a second; `limits.checks_per_second` if not said.
    #[arg(long, env = "GOPAY_ADAPTER_PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) per_second: Option<u32>,
    /// Asks in this account only: NAME of its section [midtrans.NAME]. Every account is asked otherwise,
    /// one after the other.
    #[arg(long, env = "GOPAY_ADAPTER_ACCOUNT")]
    pub(crate) account: Option<String>,
    /// One JSON object instead of text: the orders with money that are `listed`, those that gave
    /// `no_answer`, and how many others there are.
    #[arg(long, env = "GOPAY_ADAPTER_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &RecoverArgs) -> anyhow::Result<Outcome> {
    let prepared = match prepared(&args.config)? {
        Ok(prepared) => prepared,
        Err(no) => return Ok(no),
    };
    let known = |name: &String| prepared.parties.midtrans.all().any(|one| one.label() == name);
    if let Some(name) = args.account.as_ref().filter(|name| !known(name)) {
        writeln!(std::io::stderr(), "--account {name}: there is no section [midtrans.{name}]")?;
        return Ok(Outcome::No);
    }
    let config = &prepared.config;
    let instance = args.instance.unwrap_or(config.instance);
    let usual = u32::try_from(config.limits.checks_per_second).unwrap_or(u32::MAX).max(1);
    let a_second = args.per_second.unwrap_or(usual);
    let orders = match wanted(args, instance)? {
        Ok(orders) => orders,
        Err(no) => {
            writeln!(std::io::stderr(), "{no}")?;
            return Ok(Outcome::No);
        }
    };
    let seconds = u32::try_from(orders.len()).unwrap_or(u32::MAX) / a_second;
    writeln!(
        std::io::stderr(),
        "{} orders to ask for, {a_second} a second: about {} minutes",
        orders.len(),
        seconds.div_ceil(60)
    )?;
    runtime()?.block_on(async {
        let (_draining, watched) = tokio::sync::watch::channel(false);
        let adapter = build(prepared, false, Arc::new(SystemClock), metrics()?, watched).await?;
        let account = args.account.as_deref();
        let done = ask_all(&adapter.service, orders, a_second, account, args.json).await;
        drop((adapter.service, adapter.app));
        adapter.store.close().await?;
        done
    })
}

/// The orders to ask for; a text for the operator if there are none, or too many.
fn wanted(args: &RecoverArgs, instance: u16) -> anyhow::Result<Result<BTreeSet<TxId>, String>> {
    let orders: BTreeSet<TxId> = match (&args.orders, args.from, args.to) {
        (Some(path), _, _) => listed(path)?,
        (None, Some(from), Some(to)) => {
            let issued = TxId::issued(instance, from, to, args.per_millisecond);
            issued.take(ORDERS_MAX.saturating_add(1)).collect()
        }
        (None, _, _) => BTreeSet::new(),
    };
    Ok(match orders.len() {
        0 => Err("there is no order id to ask for".to_owned()),
        count if count > ORDERS_MAX => Err(format!(
            "these are more than {ORDERS_MAX} orders: take a file with order ids (--orders), or a \
             shorter stretch"
        )),
        _ => Ok(orders),
    })
}

/// The order ids in a file: every line that is one, and every field that looks like one.
fn listed(path: &Path) -> anyhow::Result<BTreeSet<TxId>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(order_ids(&String::from_utf8_lossy(&text)))
}

/// Beside other fields only ids of our length are taken for some; one too many costs a question.
fn order_ids(text: &str) -> BTreeSet<TxId> {
    const DIGITS_MIN: usize = 15;
    let fields = |line: &str| -> Vec<TxId> {
        let fields = line.split([',', ';', '\t', '"', '\'', ' ', '|']);
        let long = fields.filter(|field| field.len() >= DIGITS_MIN);
        long.filter_map(|field| field.parse().ok()).collect()
    };
    text.lines()
        .flat_map(|line| match line.trim().parse() {
            Ok(tx_id) => vec![tx_id],
            Err(_) => fields(line),
        })
        .collect()
}

/// What was found of each order.
#[derive(Default)]
struct Found {
    /// Those are told as they are found.
    quiet: bool,
    known: usize,
    no_money: usize,
    not_found: usize,
    /// With Midtrans' status, and the amount if it is readable.
    listed: Vec<(TxId, String, Option<u64>)>,
    no_answer: Vec<TxId>,
}

/// Asks for each, at most so many a second; the answer is "no" if some could not be asked for.
async fn ask_all(
    service: &Service,
    orders: BTreeSet<TxId>,
    a_second: u32,
    account: Option<&str>,
    as_json: bool,
) -> anyhow::Result<Outcome> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / a_second);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (permits, mut running) = (Arc::new(Semaphore::new(UNDER_WAY_MAX)), JoinSet::new());
    let mut found = Found { quiet: as_json, ..Found::default() };
    let mut progress = Progress::new("orders", u64::try_from(orders.len()).ok());
    for (tx_id, asked) in orders.into_iter().zip(1..) {
        progress.at(asked);
        pace.tick().await;
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let (service, account) = (service.clone(), account.map(str::to_owned));
        running.spawn(async move {
            let told = service.recover_order(tx_id, account.as_deref()).await;
            drop(permit);
            (tx_id, told)
        });
        while let Some(ended) = running.try_join_next() {
            let (tx_id, told) = ended?;
            found.note(tx_id, &told?)?;
        }
    }
    while let Some(ended) = running.join_next().await {
        let (tx_id, told) = ended?;
        found.note(tx_id, &told?)?;
    }
    drop(progress);
    writeln!(std::io::stdout(), "{}", if as_json { found.as_json() } else { found.as_text() })?;
    Ok(if found.no_answer.is_empty() { Outcome::Done } else { Outcome::No })
}

impl Found {
    fn note(&mut self, tx_id: TxId, told: &Recovered) -> std::io::Result<()> {
        let more = |count: usize| count.saturating_add(1);
        match told {
            Recovered::Known => self.known = more(self.known),
            Recovered::NoMoney => self.no_money = more(self.no_money),
            Recovered::NotFound => self.not_found = more(self.not_found),
            Recovered::Listed(order) => {
                let (status, sen) = (order.status.clone(), order.amount.map(Sen::get));
                if !self.quiet {
                    let sen = sen.map_or_else(|| "?".to_owned(), |sen| sen.to_string());
                    writeln!(std::io::stdout(), "{tx_id}: {status:?}, {sen} sen")?;
                }
                self.listed.push((tx_id, status, sen));
            }
            Recovered::NoAnswer => {
                if !self.quiet {
                    writeln!(std::io::stderr(), "{tx_id}: Midtrans could not be asked")?;
                }
                self.no_answer.push(tx_id);
            }
        }
        Ok(())
    }

    fn as_text(&self) -> String {
        format!(
            "{} have money that the store does not know, and are listed by `attention`; {} without \
             money; {} known to the store; {} unknown to Midtrans; {} could not be asked for",
            self.listed.len(),
            self.no_money,
            self.known,
            self.not_found,
            self.no_answer.len()
        )
    }

    fn as_json(&self) -> String {
        let listed = self.listed.iter().map(
            |(txid, status, amount)| json!({"txid": txid, "status": status, "amount_sen": amount}),
        );
        let listed: Vec<Value> = listed.collect();
        let (known, no_money, not_found) = (self.known, self.no_money, self.not_found);
        json!({"listed": listed, "no_answer": self.no_answer, "no_money": no_money, "known": known, "not_found": not_found})
            .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_ids_are_found_in_lists_and_exports() {
        let text = "71\n384441201849270272\n\n\
            Order ID,Amount,Date\n\
            \"384441202071568384\",10000,2026-11-26 20:32:05\n\
            ORDER-1;10000;384441204181303296\n\
            shop-7,20000\n";
        let found: Vec<String> = order_ids(text).iter().map(ToString::to_string).collect();
        let expected = ["71", "384441201849270272", "384441202071568384", "384441204181303296"];
        assert_eq!(found, expected);
    }
}
