//! `journal`: the money events as a file, or their double entry.

use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use gopay_core::time::Timestamp;
use gopay_finance::event::MoneyEvent;
use gopay_finance::journal_file::JournalWriter;
use gopay_finance::ledger::{Books, PlainText, Rows, of_event, of_settlement};
use gopay_finance::period::midnight;
use gopay_store::{Database, Times};
use jiff::civil::Date;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::config::Settlement;
use crate::finance::chain::manifest_of;
use crate::finance::{events, position};
use crate::start::runtime;
use crate::store::Engine;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A row for each money event.
    Csv,
    /// The double entry as a plain-text ledger.
    Ledger,
    /// The double entry as CSV: a row for each posting.
    Postings,
}

#[derive(Args)]
pub(crate) struct JournalArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// The first day, in UTC; else the beginning.
    #[arg(long, env = "GOPAY_ADAPTER_FROM", value_name = "YYYY-MM-DD")]
    pub(crate) from: Option<Date>,
    /// The last day; else the end.
    #[arg(long, env = "GOPAY_ADAPTER_TO", value_name = "YYYY-MM-DD")]
    pub(crate) to: Option<Date>,
    /// What of each event.
    #[arg(long, env = "GOPAY_ADAPTER_FORMAT", value_enum, default_value_t = Format::Csv)]
    pub(crate) format: Format,
    /// The file; one that is there is replaced when the new one is whole.
    #[arg(long = "out", env = "GOPAY_ADAPTER_OUT")]
    pub(crate) output: PathBuf,
}

pub(crate) fn run(args: &JournalArgs) -> anyhow::Result<Outcome> {
    let config = match whole_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let until = |day: Date| day.tomorrow().ok().map(midnight);
    let times = Times { from: args.from.map(midnight), until: args.to.and_then(until) };
    if times.from.zip(times.until).is_some_and(|(from, until)| from >= until) {
        bail!("--from is after --to");
    }
    let count = runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store, &config.keys).await?;
        let handle = store.handle();
        let written = write(handle.as_ref(), &config.settlement, times, args).await;
        drop(handle);
        store.close().await?;
        written
    })?;
    writeln!(std::io::stdout(), "{}: {count} entries", args.output.display())?;
    Ok(Outcome::Done)
}

/// Writes beside the file, then puts it in its place.
async fn write(
    store: &dyn Database,
    settlement: &Settlement,
    times: Times,
    args: &JournalArgs,
) -> anyhow::Result<u64> {
    let folder = args.output.parent().filter(|folder| *folder != Path::new(""));
    let made = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
    let file = made.with_context(|| format!("cannot write {}", args.output.display()))?;
    let (file, path) = file.into_parts();
    let to = BufWriter::with_capacity(1 << 18, file);
    let (to, count) = match args.format {
        Format::Csv => events_to(store, times, to).await?,
        Format::Ledger => {
            let (PlainText(to), count) =
                bookings_to(store, settlement, times, PlainText(to)).await?;
            (to, count)
        }
        Format::Postings => {
            let (rows, count) = bookings_to(store, settlement, times, Rows::begin(to)?).await?;
            (rows.finish()?, count)
        }
    };
    let file = to.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    path.persist(&args.output)?;
    Ok(count)
}

async fn events_to<W: std::io::Write>(
    store: &dyn Database,
    times: Times,
    to: W,
) -> anyhow::Result<(W, u64)> {
    let (mut file, mut count) = (JournalWriter::begin(to)?, 0_u64);
    each(store, times, |record| {
        count = count.saturating_add(1);
        Ok(file.add(record)?)
    })
    .await?;
    Ok((file.finish()?, count))
}

async fn bookings_to<B: Books>(
    store: &dyn Database,
    settlement: &Settlement,
    times: Times,
    mut books: B,
) -> anyhow::Result<(B, u64)> {
    let mut count = 0_u64;
    each(store, times, |record| {
        let Some(event) = MoneyEvent::of(record)? else { return Ok(()) };
        if let Some(booking) = of_event(&event, record.entry.kind)? {
            count = count.saturating_add(1);
            books.add(&booking)?;
        }
        Ok(())
    })
    .await?;
    for account in &settlement.accounts {
        let mut after = 0;
        loop {
            let page = store.settlements_after(account.account, after, 16).await?;
            let Some(last) = page.last() else { break };
            after = last.ordinal;
            // A settlement is of its last day.
            let last_moment = |until: Timestamp| Timestamp::from_micros(until.as_micros() - 1);
            for closed in page.iter().filter(|one| times.contain(last_moment(one.until))) {
                for booking in of_settlement(&manifest_of(closed)?)? {
                    count = count.saturating_add(1);
                    books.add(&booking)?;
                }
            }
        }
    }
    Ok((books, count))
}

/// Every entry of a range of times.
async fn each(
    store: &dyn Database,
    times: Times,
    mut found: impl FnMut(&gopay_store::JournalRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (from, to) = position::range(store, times).await?;
    events::read(store, &from, &to, |record| match times.contain(record.entry.at) {
        true => found(record),
        false => Ok(()),
    })
    .await
}
