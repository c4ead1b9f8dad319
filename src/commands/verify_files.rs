//! `verify-files`: are settlement and processing files as they were made?

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use gopay_finance::manifest;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::finance::verify::{BesideStore, Found, SetOnDisk, Verdict, check_sets, find_sets};
use crate::finance::verify_day::{check_days, check_days_beside};
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The folder of one set or of the processing files of one day, or one that holds folders of them
    /// and nothing else.
    pub(crate) folder: PathBuf,
    /// The config file: its store must make the same files again.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

pub(crate) fn run(args: VerifyArgs) -> anyhow::Result<Outcome> {
    let mut verdict = Verdict::default();
    let found = find_sets(&args.folder, &mut verdict)?;
    check_sets(&found.sets, &mut verdict)?;
    check_days(&found.days, &mut verdict)?;
    if let Some(config) = args.config {
        let whole = !args.folder.join(manifest::NAME).exists();
        if let Some(no) = beside_store(ConfigArgs { config }, &found, whole, &mut verdict)? {
            return Ok(no);
        }
    }
    let mut out = std::io::stdout().lock();
    verdict.findings.sort();
    verdict.findings.dedup();
    for note in &verdict.notes {
        writeln!(out, "note: {note}")?;
    }
    for finding in &verdict.findings {
        writeln!(out, "{finding}")?;
    }
    let Verdict { findings, sets, rows, .. } = &verdict;
    if findings.is_empty() && *sets > 0 {
        writeln!(out, "{sets} sets with {rows} rows are as they were made")?;
        return Ok(Outcome::Done);
    }
    writeln!(out, "{} findings in {sets} sets with {rows} rows", findings.len())?;
    Ok(Outcome::No)
}

fn beside_store(
    args: ConfigArgs,
    Found { sets, days }: &Found,
    whole: bool,
    verdict: &mut Verdict,
) -> anyhow::Result<Option<Outcome>> {
    let config = match whole_config(&args)? {
        Ok(config) => config,
        Err(no) => return Ok(Some(no)),
    };
    let configured = config.settlement.accounts.iter().map(|one| one.account);
    let accounts: BTreeSet<_> = sets.iter().map(SetOnDisk::account).chain(configured).collect();
    let scratch = tempfile::tempdir()?;
    runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store, &config.keys).await?;
        let handle = store.handle();
        let beside = BesideStore { store: handle.as_ref(), scratch: scratch.path(), whole };
        let done = async {
            if !sets.is_empty() || days.is_empty() {
                beside.check(sets, &accounts, verdict).await?;
            }
            check_days_beside(handle.as_ref(), days, (scratch.path(), whole), verdict).await
        };
        let done = done.await;
        drop(handle);
        store.close().await?;
        done
    })?;
    Ok(None)
}
