//! `reconcile`: the journal against Midtrans' reports and the bank's statements.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use gopay_reconcile::date::{Day, Moment};
use gopay_reconcile::edited::EditedList;
use gopay_reconcile::input::mapping::Mapping;
use gopay_reconcile::options::Options;
use gopay_reconcile::output;
use gopay_reconcile::run::{Inputs, JournalSource, Report, reconcile};
use gopay_service::{Clock as _, SystemClock};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::runtime::Runtime;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::config::Config;
use crate::finance::people::user;
use crate::reconciliation::stored::Series;
use crate::reconciliation::{config as from_config, folder};
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
#[command(group = clap::ArgGroup::new("journals").required(true).args(["journal", "config"]))]
pub(crate) struct ReconcileArgs {
    /// The journal, as `journal` has written it.
    #[arg(long, env = "GOPAY_ADAPTER_JOURNAL")]
    pub(crate) journal: Option<PathBuf>,
    /// The config file: journal, closed settlements, Midtrans' fees and the history of runs are
    /// those of its store, beside `serve`.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Midtrans' transaction exports, CSV or XLSX; any number.
    #[arg(long = "report", env = "GOPAY_ADAPTER_REPORT", value_delimiter = ',', num_args = 1..)]
    pub(crate) reports: Vec<PathBuf>,
    /// Midtrans' lists of payouts and the payments of each, CSV or XLSX; any number.
    #[arg(long, env = "GOPAY_ADAPTER_PAYOUTS", value_delimiter = ',', num_args = 1..)]
    pub(crate) payouts: Vec<PathBuf>,
    /// Statements of the bank account, camt.053, CSV or XLSX; any number.
    #[arg(long = "bank", env = "GOPAY_ADAPTER_BANK", value_delimiter = ',', num_args = 1..)]
    pub(crate) banks: Vec<PathBuf>,
    /// Our transfers out: lists with reference, date, amount, currency; manifests of settlements or
    /// folders of sets. With --config, the closed settlements of the store if absent.
    #[arg(long, env = "GOPAY_ADAPTER_TRANSFERS", value_delimiter = ',', num_args = 1..)]
    pub(crate) transfers: Vec<PathBuf>,
    /// Lists of breaks with decisions, as edited in a spreadsheet; all of them or none are taken.
    #[arg(long, env = "GOPAY_ADAPTER_DECISIONS", value_delimiter = ',', num_args = 1..)]
    pub(crate) decisions: Vec<PathBuf>,
    /// Layouts, fees and dates that differ from the built-in ones; see docs/RECONCILIATION.md.
    #[arg(long, env = "GOPAY_ADAPTER_MAPPING")]
    pub(crate) mapping: Option<PathBuf>,
    /// The folder for the results; it is made if it is not there.
    #[arg(long, env = "GOPAY_ADAPTER_OUT")]
    pub(crate) out: PathBuf,
    /// The first day in Jakarta that the exports cover, YYYY-MM-DD; told by their rows if absent.
    #[arg(long, env = "GOPAY_ADAPTER_RECONCILE_FROM")]
    pub(crate) from: Option<Day>,
    /// The last day in Jakarta that the exports cover, YYYY-MM-DD.
    #[arg(long, env = "GOPAY_ADAPTER_RECONCILE_TO")]
    pub(crate) to: Option<Day>,
    /// The day that ages and due dates are counted to, YYYY-MM-DD; today if absent.
    #[arg(long, env = "GOPAY_ADAPTER_TODAY")]
    pub(crate) today: Option<Day>,
    /// With --config: the history in the store that the run goes on from. Runs of another set of
    /// accounts need another.
    #[arg(long, env = "GOPAY_ADAPTER_SERIES", default_value = "default", value_parser = series)]
    pub(crate) series: String,
    /// Who runs it; else the user of the system.
    #[arg(long, env = "GOPAY_ADAPTER_BY")]
    pub(crate) by: Option<String>,
}

/// The name of a history.
fn series(text: &str) -> Result<String, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let good = (1..=64).contains(&text.len()) && text.chars().all(plain);
    good.then(|| text.to_owned()).ok_or_else(|| "wanted: 1 to 64 letters, digits, - _ .".to_owned())
}

pub(crate) fn run(args: &ReconcileArgs) -> anyhow::Result<Outcome> {
    let mapping = mapping(args.mapping.as_deref())?;
    let edited = args.decisions.iter().map(|path| EditedList::read(path));
    let edited: Vec<EditedList> = edited.collect::<Result<_, _>>()?;
    if let Some(journal) = &args.journal {
        let source = JournalSource::File(journal.clone());
        let mut report = compare(args, source, inputs(args), &mapping)?;
        let resolved = folder::finish(&args.out, &mut report, &edited)?;
        return told(&report, resolved);
    }
    let config = args.config.clone().context("neither --journal nor --config")?;
    let config = match whole_config(&ConfigArgs { config })? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let mapping = from_config::with_terms(mapping, &config.settlement)?;
    beside_store(args, &config, &mapping, &edited)
}

/// With journal, transfers and history of the store.
fn beside_store(
    args: &ReconcileArgs,
    config: &Config,
    mapping: &Mapping,
    edited: &[EditedList],
) -> anyhow::Result<Outcome> {
    let runtime: Runtime = runtime()?;
    let store = runtime.block_on(Engine::open_for_finance(
        &config.store,
        &config.keys,
        config.connections,
    ))?;
    let handle = store.handle();
    let by = args.by.clone().unwrap_or_else(user);
    let series =
        Series { store: handle.as_ref(), name: &args.series, by: &by, now: SystemClock.now() };
    let done = (|| {
        let (journal, inputs) = runtime.block_on(async {
            let mut inputs = inputs(args);
            if inputs.transfers.is_empty() {
                inputs.settled = from_config::transfers(series.store).await?;
            }
            inputs.open_payments = series.history().await?.open_payments();
            anyhow::Ok((from_config::journal(series.store).await?, inputs))
        })?;
        let source = JournalSource::Ready(Box::new(journal));
        let mut report = compare(args, source, inputs, mapping)?;
        let resolved = runtime.block_on(series.finish(&args.out, &mut report, edited))?;
        told(&report, resolved)
    })();
    drop(handle);
    runtime.block_on(store.close())?;
    done
}

fn inputs(args: &ReconcileArgs) -> Inputs {
    Inputs {
        reports: args.reports.clone(),
        payouts: args.payouts.clone(),
        banks: args.banks.clone(),
        transfers: args.transfers.clone(),
        settled: Vec::new(),
        open_payments: BTreeSet::new(),
    }
}

fn compare(
    args: &ReconcileArgs,
    journal: JournalSource,
    inputs: Inputs,
    mapping: &Mapping,
) -> anyhow::Result<Report> {
    let options = Options {
        today: args.today.unwrap_or_else(today),
        from: args.from,
        to: args.to,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let files = [&args.reports, &args.payouts, &args.banks].into_iter().flatten();
    let bytes = args.journal.iter().chain(files);
    let bytes = bytes.filter_map(|path| fs::metadata(path).ok()).map(|found| found.len()).sum();
    Ok(shown(bytes, |read| reconcile(journal, &inputs, mapping, &options, read))?)
}

/// Tells what was found, and answers "no" if somebody has to look.
fn told(report: &Report, resolved: usize) -> anyhow::Result<Outcome> {
    let mut out = io::stdout().lock();
    out.write_all(output::summary::text(report).as_bytes())?;
    if resolved > 0 {
        writeln!(out, "  {resolved} of the run before are resolved")?;
    }
    Ok(if report.due() == 0 { Outcome::Done } else { Outcome::No })
}

fn today() -> Day {
    let now = SystemClock.now().as_millis().div_euclid(1_000);
    Moment::from_secs(now).day()
}

pub(crate) fn mapping(path: Option<&Path>) -> anyhow::Result<Mapping> {
    let text = match path {
        Some(path) => {
            let text = fs::read_to_string(path);
            Some(text.with_context(|| format!("cannot read {}", path.display()))?)
        }
        None => None,
    };
    let name =
        path.map_or_else(|| "the built-in mapping".to_owned(), |path| path.display().to_string());
    Mapping::read(text.as_deref()).context(name)
}

/// Runs with a bar of the bytes that were read; without a terminal there is none.
fn shown<T>(bytes: u64, work: impl FnOnce(&AtomicU64) -> T) -> T {
    /// Often enough for the eye.
    const EVERY: Duration = Duration::from_millis(100);
    let (read, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let bar = ProgressBar::new(bytes);
    if bar.is_hidden() {
        return work(&read);
    }
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    std::thread::scope(|scope| {
        let drawn = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                bar.set_position(read.load(Ordering::Relaxed));
                std::thread::park_timeout(EVERY);
            }
            bar.finish_and_clear();
        });
        let result = work(&read);
        over.store(true, Ordering::Relaxed);
        drawn.thread().unpark();
        result
    })
}
