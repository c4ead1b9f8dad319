//! `verify-files`: are settlement and processing files as they were made?

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_finance::manifest;
use gopay_finance::verify::Finding;
use serde_json::{Value, json};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::finance::verify::{BesideStore, Found, SetOnDisk, Verified, check_sets, find_sets};
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
    /// One JSON object instead of text: `as_made`, `findings`, `notes`, `sets`, `rows`.
    #[arg(long, env = "GOPAY_ADAPTER_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

pub(crate) fn run(args: VerifyArgs) -> anyhow::Result<Outcome> {
    let mut verified = Verified::default();
    let found = find_sets(&args.folder, &mut verified)?;
    check_sets(&found.sets, &mut verified)?;
    check_days(&found.days, &mut verified)?;
    if let Some(config) = args.config {
        let whole = !args.folder.join(manifest::NAME).exists();
        if let Some(no) = beside_store(ConfigArgs { config }, &found, whole, &mut verified)? {
            return Ok(no);
        }
    }
    verified.findings.sort();
    verified.findings.dedup();
    let as_made = verified.findings.is_empty() && verified.sets > 0;
    if args.json {
        writeln!(std::io::stdout(), "{}", as_json(&verified, as_made))?;
    } else {
        write_text(&verified, as_made)?;
    }
    Ok(if as_made { Outcome::Done } else { Outcome::No })
}

fn write_text(verified: &Verified, as_made: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let Verified { findings, notes, sets, rows } = verified;
    for note in notes {
        writeln!(out, "note: {note}")?;
    }
    for finding in findings {
        writeln!(out, "{finding}")?;
    }
    if as_made {
        writeln!(out, "{sets} sets with {rows} rows are as they were made")
    } else {
        writeln!(out, "{} findings in {sets} sets with {rows} rows", findings.len())
    }
}

fn as_json(verified: &Verified, as_made: bool) -> Value {
    let of = |found: &[Finding]| -> Vec<Value> {
        let one = |it: &Finding| json!({"set": it.set, "file": it.file, "line": it.line, "what": it.what});
        found.iter().map(one).collect()
    };
    let Verified { findings, notes, sets, rows } = verified;
    json!({"as_made": as_made, "findings": of(findings), "notes": of(notes), "sets": sets, "rows": rows})
}

fn beside_store(
    args: ConfigArgs,
    Found { sets, days }: &Found,
    whole: bool,
    verified: &mut Verified,
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
                beside.check(sets, &accounts, verified).await?;
            }
            check_days_beside(handle.as_ref(), days, (scratch.path(), whole), verified).await
        };
        let done = done.await;
        drop(handle);
        store.close().await?;
        done
    })?;
    Ok(None)
}
