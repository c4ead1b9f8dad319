//! `settle`: closes a billing period and writes its settlement files.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use gopay_finance::period::{Frequency, Period};
use gopay_finance::rates::Rates;
use gopay_finance::terms::AccountTerms;
use gopay_service::{Clock as _, SystemClock};
use gopay_store::StoredAdjustment;
use jiff::civil::Date;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::config::Settlement;
use crate::finance::chain::{Closing, Settled};
use crate::finance::people::user;
use crate::finance::{adjustments, approvals};
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct SettleArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// D, W or M: of the client numbers that are settled daily, weekly or monthly on that day.
    #[arg(long, env = "GOPAY_ADAPTER_FREQUENCY")]
    pub(crate) frequency: Frequency,
    /// A day of the period, in UTC.
    #[arg(long, env = "GOPAY_ADAPTER_PERIOD", value_name = "YYYY-MM-DD")]
    pub(crate) period: Date,
    /// Where the folder of each set goes.
    #[arg(long = "out", env = "GOPAY_ADAPTER_OUT")]
    pub(crate) output: PathBuf,
    /// The exchange rates, in place of the config's: date,base,quote,rate,source.
    #[arg(long, env = "GOPAY_ADAPTER_FX")]
    pub(crate) fx: Option<PathBuf>,
    /// Corrections for this period: id,contract,amount,reason,by,approved_by, as `adjust` has
    /// recorded their approval.
    #[arg(long, env = "GOPAY_ADAPTER_ADJUSTMENTS")]
    pub(crate) adjustments: Option<PathBuf>,
    /// Takes every correction that was approved and that no settlement has taken yet.
    #[arg(long, env = "GOPAY_ADAPTER_APPROVED", conflicts_with = "adjustments")]
    pub(crate) approved: bool,
    /// Who closes the period; else the user of the system.
    #[arg(long, env = "GOPAY_ADAPTER_BY")]
    pub(crate) by: Option<String>,
}

pub(crate) fn run(args: &SettleArgs) -> anyhow::Result<Outcome> {
    let config = match whole_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let due = due(&config.settlement, args.frequency, args.period);
    if due.is_empty() {
        let (letter, day) = (args.frequency.letter(), args.period);
        writeln!(std::io::stderr(), "no client number is settled by {letter} on {day}")?;
        return Ok(Outcome::No);
    }
    let rates = read_rates(args.fx.as_deref().or(config.settlement.rates.as_deref()))?;
    let adjustments = match &args.adjustments {
        None => Vec::new(),
        Some(path) => adjustments::read(path)?,
    };
    let mut parts = by_account(&due, adjustments)?;
    runtime()?.block_on(async {
        let store =
            Engine::open_for_finance(&config.store, &config.keys, config.connections).await?;
        let handle = store.handle();
        let closing = Closing {
            store: handle.as_ref(),
            accounts: &config.settlement.accounts,
            rates: &rates,
            calendar: &config.settlement.calendar,
            out: &args.output,
            by: &args.by.clone().unwrap_or_else(user),
            now: SystemClock.now(),
        };
        let done = async {
            if args.approved {
                for (account, _, adjustments) in &mut parts {
                    *adjustments = approvals::unsettled(handle.as_ref(), account.account).await?;
                }
            }
            settle_all(&closing, &parts).await
        };
        let done = done.await;
        drop(handle);
        store.close().await?;
        done
    })?;
    Ok(Outcome::Done)
}

/// The accounts that are settled by this frequency on a day, with the period.
fn due(settlement: &Settlement, frequency: Frequency, day: Date) -> Vec<(&AccountTerms, Period)> {
    let due = |account: &'_ AccountTerms| {
        account.period_of(day).filter(|period| period.frequency() == frequency)
    };
    settlement.accounts.iter().filter_map(|account| Some((account, due(account)?))).collect()
}

pub(crate) fn read_rates(path: Option<&Path>) -> anyhow::Result<Rates> {
    let Some(path) = path else {
        bail!("no exchange rates: name a file by --fx, or by settlement.rates in the config");
    };
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Rates::read(&text).with_context(|| path.display().to_string())
}

/// An account with its period and the adjustments of its contracts.
type Part<'a> = (&'a AccountTerms, Period, Vec<StoredAdjustment>);

/// Deals adjustments out; one that belongs to no account that is settled is refused.
fn by_account<'a>(
    due: &[(&'a AccountTerms, Period)],
    adjustments: Vec<StoredAdjustment>,
) -> anyhow::Result<Vec<Part<'a>>> {
    let mut parts: Vec<Part<'_>> =
        due.iter().map(|(account, period)| (*account, *period, Vec::new())).collect();
    for one in adjustments {
        let owner = parts.iter_mut().find(|(account, _, _)| {
            account.contracts.iter().any(|contract| contract.contract == one.contract)
        });
        match owner {
            Some((_, _, own)) => own.push(one),
            None => bail!(
                "adjustment {:?}: contract {:?} is not settled by this run",
                one.id,
                one.contract
            ),
        }
    }
    Ok(parts)
}

/// Each account by itself: one that cannot be closed keeps no other from it.
async fn settle_all(closing: &Closing<'_>, parts: &[Part<'_>]) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let mut failed = Vec::new();
    for (account, period, adjustments) in parts {
        match closing.settle(account, *period, adjustments).await {
            Ok(settled) => write!(out, "{}", told(&settled))?,
            Err(error) => failed.push(error),
        }
    }
    let mut failed = failed.into_iter();
    let Some(first) = failed.next() else { return Ok(()) };
    for error in failed {
        writeln!(std::io::stderr(), "error: {error:#}")?;
    }
    Err(first)
}

fn told(settled: &Settled) -> String {
    let Settled { manifest, folder, again } = settled;
    let currency = &manifest.basis.currency;
    let verb = if *again { "was closed before; written again" } else { "closed" };
    let paid = match manifest.transfer {
        gopay_finance::amount::Amount::ZERO => "no transfer".to_owned(),
        amount => format!("transfer {amount} {currency} on {}", manifest.basis.settlement_date),
    };
    format!(
        "{}: {verb}: {paid}, carried forward {} {currency}; {}\n",
        manifest.set,
        manifest.carry_forward,
        folder.display()
    )
}
