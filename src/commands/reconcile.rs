//! `reconcile`: the journal against Midtrans' reports and the bank's statements.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use gopay_core::ids::RefundId;
use gopay_core::journal::SignedSen;
use gopay_core::payment::Channel;
use gopay_core::time::Timestamp;
use gopay_reconcile::date::{Day, Moment};
use gopay_reconcile::history::{DECISIONS_FILE, EditedList, History, RUNS_FILE};
use gopay_reconcile::input::mapping::Mapping;
use gopay_reconcile::journal::{Event, Journal};
use gopay_reconcile::options::Options;
use gopay_reconcile::output;
use gopay_reconcile::run::{Inputs, JournalSource, Report, reconcile};
use gopay_service::{Clock as _, SystemClock};
use gopay_store::{Cursor, Database, JOURNAL_PAGE_MAX, JournalRecord};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
#[command(group = clap::ArgGroup::new("journals").required(true).args(["journal", "config"]))]
pub(crate) struct ReconcileArgs {
    /// The journal, as `journal` has written it.
    #[arg(long, env = "GOPAY_ADAPTER_JOURNAL")]
    pub(crate) journal: Option<PathBuf>,
    /// The config file: the journal is read from its store, beside `serve`.
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
    /// Lists of our transfers out: reference, date, amount, currency; any number.
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
    #[arg(long, env = "GOPAY_ADAPTER_FROM")]
    pub(crate) from: Option<Day>,
    /// The last day in Jakarta that the exports cover, YYYY-MM-DD.
    #[arg(long, env = "GOPAY_ADAPTER_TO")]
    pub(crate) to: Option<Day>,
    /// The day that ages and due dates are counted to, YYYY-MM-DD; today if absent.
    #[arg(long, env = "GOPAY_ADAPTER_TODAY")]
    pub(crate) today: Option<Day>,
}

pub(crate) fn run(args: &ReconcileArgs) -> anyhow::Result<Outcome> {
    let mapping = mapping(args.mapping.as_deref())?;
    let Some(journal) = journal(args)? else { return Ok(Outcome::No) };
    let inputs = Inputs {
        reports: args.reports.clone(),
        payouts: args.payouts.clone(),
        banks: args.banks.clone(),
        transfers: args.transfers.clone(),
    };
    let options = Options {
        today: args.today.unwrap_or_else(today),
        from: args.from,
        to: args.to,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let mut kept = Kept::read(args)?;
    let files = [&args.reports, &args.payouts, &args.banks].into_iter().flatten();
    let bytes = args.journal.iter().chain(files);
    let bytes = bytes.filter_map(|path| fs::metadata(path).ok()).map(|found| found.len()).sum();
    let mut report = shown(bytes, |read| reconcile(journal, &inputs, &mapping, &options, read))?;
    let decided = kept.history.decide(&kept.edited, &report.breaks, report.today)?;
    let hashes = std::iter::once(&report.journal).chain(&report.files);
    let hashes = hashes.map(|file| (file.path.display().to_string(), file.sha256.clone()));
    let (run, resolved) = kept.history.carry(&mut report.breaks, hashes.collect(), options.today);
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    appended(&args.out, DECISIONS_FILE, &decided)?;
    write_results(&args.out, &report)?;
    appended(&args.out, RUNS_FILE, &run)?;
    let mut out = io::stdout().lock();
    out.write_all(output::summary::text(&report).as_bytes())?;
    if resolved > 0 {
        writeln!(out, "  {resolved} of the run before are resolved")?;
    }
    Ok(if report.due() == 0 { Outcome::Done } else { Outcome::No })
}

/// What earlier runs have left, and what people have edited since.
struct Kept {
    history: History,
    edited: Vec<EditedList>,
}

impl Kept {
    fn read(args: &ReconcileArgs) -> anyhow::Result<Self> {
        let text = |name: &str| match fs::read_to_string(args.out.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read.with_context(|| format!("cannot read {}", args.out.join(name).display())),
        };
        let history = History::parse(&text(DECISIONS_FILE)?, &text(RUNS_FILE)?)?;
        let edited = args.decisions.iter().map(|path| EditedList::read(path));
        Ok(Self { history, edited: edited.collect::<Result<_, _>>()? })
    }
}

/// Adds lines to a file, durably, all in one write.
fn appended(folder: &Path, name: &str, lines: &str) -> anyhow::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let place = folder.join(name);
    let file = fs::OpenOptions::new().create(true).append(true).open(&place);
    let done = file.and_then(|mut file| {
        file.write_all(lines.as_bytes())?;
        file.sync_all()
    });
    done.with_context(|| format!("cannot write {}", place.display()))
}

/// The journal of a file or of the store; none if the config is not valid, which was reported.
fn journal(args: &ReconcileArgs) -> anyhow::Result<Option<JournalSource>> {
    if let Some(path) = &args.journal {
        return Ok(Some(JournalSource::File(path.clone())));
    }
    let config = args.config.clone().context("neither --journal nor --config")?;
    let config = match valid_config(&ConfigArgs { config })? {
        Ok(config) => config,
        Err(_) => return Ok(None),
    };
    let journal = runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store).await?;
        let journal = read_store(store.handle().as_ref()).await?;
        store.close().await?;
        anyhow::Ok(journal)
    })?;
    Ok(Some(JournalSource::Ready(Box::new(journal))))
}

async fn read_store(store: &dyn Database) -> anyhow::Result<Journal> {
    let mut journal = Journal::default();
    let mut cursor = Cursor::default();
    loop {
        let page = store.journal_read(&cursor, JOURNAL_PAGE_MAX).await?;
        if page.records.is_empty() {
            return Ok(journal);
        }
        for record in &page.records {
            journal.push(&event(record));
        }
        cursor = page.next;
    }
}

fn event(record: &JournalRecord) -> Event<'_> {
    let entry = &record.entry;
    let moment = |at: Timestamp| Moment::from_secs(at.as_millis().div_euclid(1_000));
    Event {
        at: moment(entry.at),
        kind: entry.kind,
        live: record.about.channel != Some(Channel::Test),
        tx_id: entry.tx_id.get(),
        refund_id: entry.refund_id.map(RefundId::get),
        midtrans_id: entry.midtrans_id.as_deref().unwrap_or_default().as_bytes(),
        payment_type: entry.payment_type.as_deref().unwrap_or_default().as_bytes(),
        amount_sen: entry.amount.map(SignedSen::get),
        midtrans_at: entry.midtrans_at.map(moment),
    }
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
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {elapsed}");
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

fn write_results(folder: &Path, report: &Report) -> anyhow::Result<()> {
    written(folder, "breaks.csv", |out| output::csv::write(out, &report.breaks, report.today))?;
    written(folder, "breaks.json", |out| output::json::write(out, report))?;
    written(folder, "breaks.xlsx", |out| output::xlsx::write(out, report))?;
    written(folder, "report.html", |out| output::html::write(out, report))
}

/// Writes a file whole or not at all: beside it first, then in its place.
fn written(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let place = folder.join(name);
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write in {}", folder.display()))?;
    let mut out = io::BufWriter::with_capacity(1 << 18, file.as_file_mut());
    let done = write(&mut out).and_then(|()| out.flush());
    drop(out);
    done.with_context(|| format!("cannot write {}", place.display()))?;
    file.persist(&place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(())
}
