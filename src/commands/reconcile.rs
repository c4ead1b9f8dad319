//! `reconcile`: the journal against Midtrans' reports and the bank's statements.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use gopay_reconcile::date::Day;
use gopay_reconcile::input::mapping::Mapping;
use gopay_reconcile::output;
use gopay_reconcile::run::{Inputs, JournalSource, Options, Report, reconcile};
use gopay_service::{Clock as _, SystemClock};
use indicatif::{ProgressBar, ProgressStyle};

use crate::Outcome;

#[derive(Args)]
#[command(group = clap::ArgGroup::new("journals").required(true).args(["journal"]))]
pub(crate) struct ReconcileArgs {
    /// The journal, as `journal` has written it.
    #[arg(long, env = "GOPAY_ADAPTER_JOURNAL")]
    pub(crate) journal: Option<PathBuf>,
    /// Midtrans' transaction exports, CSV or XLSX; any number.
    #[arg(long = "report", env = "GOPAY_ADAPTER_REPORT", value_delimiter = ',', num_args = 1..)]
    pub(crate) reports: Vec<PathBuf>,
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
    let journal = match &args.journal {
        Some(path) => JournalSource::File(path.clone()),
        None => anyhow::bail!("no journal"),
    };
    let inputs = Inputs { reports: args.reports.clone() };
    let options = Options {
        today: args.today.unwrap_or_else(today),
        from: args.from,
        to: args.to,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let bytes = args.journal.iter().chain(&args.reports);
    let bytes = bytes.filter_map(|path| fs::metadata(path).ok()).map(|found| found.len()).sum();
    let report = shown(bytes, |read| reconcile(journal, &inputs, &mapping, &options, read))?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make the folder {}", args.out.display()))?;
    write_results(&args.out, &report)?;
    let mut out = io::stdout().lock();
    out.write_all(output::summary::text(&report).as_bytes())?;
    Ok(if report.due() == 0 { Outcome::Done } else { Outcome::No })
}

fn today() -> Day {
    let now = SystemClock.now().as_millis().div_euclid(1_000);
    gopay_reconcile::date::Moment::from_secs(now).day()
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
    written(folder, "breaks.json", |out| output::json::write(out, report))
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
