//! `copy-store`: from one engine to the other, then a comparison of both.

use std::io::Write as _;

use anyhow::Context as _;
use clap::Args;
use gopay_store::copy::{Source, Tally, Target, copy, tally};
use gopay_store_postgres::{PgSource, PgTarget};
use gopay_store_sqlite::{SqliteSource, SqliteTarget};

use crate::Outcome;
use crate::start::runtime;
use crate::store::{Engine, StoreUrl};
use crate::terminal::Progress;

#[derive(Args)]
pub(crate) struct CopyArgs {
    /// The store to read, such as sqlite:data/gopay.db; or env:NAME, or file:PATH.
    #[arg(long, env = "GOPAY_ADAPTER_COPY_FROM", value_name = "URL", hide_env_values = true)]
    pub(crate) from: String,
    /// The empty store to fill, such as postgres://USER@HOST/DATABASE; or env:NAME, or file:PATH.
    #[arg(long, env = "GOPAY_ADAPTER_COPY_TO", value_name = "URL", hide_env_values = true)]
    pub(crate) to: String,
}

pub(crate) fn run(args: &CopyArgs) -> anyhow::Result<Outcome> {
    let (from, to) =
        (StoreUrl::of_option("--from", &args.from)?, StoreUrl::of_option("--to", &args.to)?);
    runtime()?.block_on(async {
        let (source, target) = copied(&from, &to).await?;
        let same = compare(&source, &target)?;
        let totals = (totals(&from).await?, totals(&to).await?);
        if !same || totals.0 != totals.1 {
            writeln!(std::io::stdout(), "the copy differs; do not use it")?;
            return Ok(Outcome::No);
        }
        writeln!(std::io::stdout(), "{}: holds the same as {}", to.name(), from.name())?;
        Ok(Outcome::Done)
    })
}

/// Copies, and reads both sides again; what each holds.
async fn copied(from: &StoreUrl, to: &StoreUrl) -> anyhow::Result<(Vec<Tally>, Vec<Tally>)> {
    let mut source: Box<dyn Source> = match from {
        StoreUrl::Sqlite(path) => Box::new(SqliteSource::open(path).with_context(|| cannot(from))?),
        StoreUrl::Postgres(place) => {
            Box::new(PgSource::open(place).await.with_context(|| cannot(from))?)
        }
    };
    let mut target: Box<dyn Target> = match to {
        StoreUrl::Sqlite(path) => Box::new(SqliteTarget::open(path).with_context(|| cannot(to))?),
        StoreUrl::Postgres(place) => {
            Box::new(PgTarget::open(place).await.with_context(|| cannot(to))?)
        }
    };
    let (mut progress, mut all) = (Progress::new("rows", None), 0_u64);
    let mut seen = |table: &str, rows: u64| {
        all = all.saturating_add(1);
        progress.at(all);
        if rows.is_multiple_of(100_000) {
            tracing::info!(table, rows, "copying");
        }
    };
    copy(source.as_mut(), target.as_mut(), &mut seen).await.context("copying")?;
    drop(progress);
    let before = tally(source.as_mut()).await.context("reading the source again")?;
    let after = tally(target.as_mut()).await.context("reading the copy")?;
    Ok((before, after))
}

fn cannot(place: &StoreUrl) -> String {
    format!("cannot open the store {}", place.name())
}

/// Prints both sides table by table; true if they are the same.
fn compare(source: &[Tally], target: &[Tally]) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    for (one, other) in source.iter().zip(target) {
        let verdict = if one == other { "same" } else { "DIFFERS" };
        let digest: String =
            other.digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        writeln!(
            out,
            "{:<17} {:>12} rows, copied {:>12} rows, digest {digest}: {verdict}",
            one.table, one.rows, other.rows
        )?;
    }
    Ok(source == target)
}

/// The sums of a store, as a running adapter would show them.
async fn totals(place: &StoreUrl) -> anyhow::Result<gopay_store::Totals> {
    let store = Engine::open_as_it_is(place).await?;
    let totals = store.handle().totals().await?;
    store.close().await?;
    Ok(totals)
}
