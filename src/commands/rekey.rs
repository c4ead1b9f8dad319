//! `rekey`: seals personal data in the store under the first key of the config.

use std::io::Write as _;

use anyhow::bail;
use gopay_store::sealing::{Rekeyed, rekey};

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::valid_config;
use crate::start::runtime;
use crate::store::Engine;

pub(crate) fn run(args: &ConfigArgs) -> anyhow::Result<Outcome> {
    let config = match valid_config(args)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    if config.keys.is_empty() {
        bail!("there is no key: set one in [[store.encryption]]");
    }
    let done = runtime()?.block_on(async {
        let store = Engine::open(&config.store, &config.keys, config.connections, false).await?;
        let handle = store.handle();
        let mut told = 0;
        let mut seen = |done: &Rekeyed| {
            const EACH: u64 = 100_000;
            if done.seen / EACH > told {
                told = done.seen / EACH;
                tracing::info!(payments = done.seen, "sealing");
            }
        };
        let done = rekey(handle.as_ref(), &config.keys, &mut seen).await;
        drop(handle);
        store.close().await?;
        anyhow::Ok(done?)
    })?;
    // What was plain lies in pages that are free now.
    let rewritten =
        done.sealed.saturating_add(done.changes_sealed) > 0 && config.store.rewrite()?;
    report(&done, rewritten)?;
    Ok(if done.left == 0 { Outcome::Done } else { Outcome::No })
}

fn report(done: &Rekeyed, rewritten: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let Rekeyed { seen, rewrapped, sealed, changes_rewrapped, changes_sealed, left, unused } = done;
    writeln!(
        out,
        "{seen} payments: {sealed} sealed, {rewrapped} keys wrapped anew, {left} at work"
    )?;
    if changes_rewrapped.saturating_add(*changes_sealed) > 0 {
        writeln!(
            out,
            "directory: {changes_sealed} changes sealed, {changes_rewrapped} keys wrapped anew"
        )?;
    }
    if rewritten {
        writeln!(out, "the file of the store was written anew")?;
    } else if sealed.saturating_add(*changes_sealed) > 0 {
        let tables = "payments, payment_requests, events, refunds, directory_entries";
        writeln!(out, "what was plain stays in free space until VACUUM FULL {tables}")?;
    }
    if *left > 0 {
        writeln!(out, "run it again for those that were at work")?;
    }
    for key_id in unused {
        writeln!(out, "nothing is sealed under {key_id:?} any more: remove it from the config")?;
    }
    Ok(())
}
