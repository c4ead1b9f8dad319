//! The history of runs in the folder of their results, where there is no store.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use gopay_reconcile::edited::EditedList;
use gopay_reconcile::history_files::{DECISIONS_FILE, RUNS_FILE, decision_lines, parse, run_line};
use gopay_reconcile::run::Report;

use crate::reconciliation::results;

/// Adds a run to the history of its folder and writes its results. How many breaks are resolved.
pub(crate) fn finish(
    out: &Path,
    report: &mut Report,
    edited: &[EditedList],
) -> anyhow::Result<usize> {
    let made = !out.exists();
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let _lock = locked(out)?;
    let done = carry(out, report, edited);
    if done.is_err() && made {
        // Nothing was written, so that it is empty; if somebody has put something in, it stays.
        let _ = fs::remove_dir(out);
    }
    done
}

/// Keeps other runs out of a folder for as long as it is held.
pub(crate) fn locked(out: &Path) -> anyhow::Result<File> {
    let folder = File::open(out).and_then(|folder| folder.lock().map(|()| folder));
    folder.with_context(|| format!("cannot lock {}", out.display()))
}

fn carry(out: &Path, report: &mut Report, edited: &[EditedList]) -> anyhow::Result<usize> {
    let text = |name: &str| match fs::read_to_string(out.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", out.join(name).display())),
    };
    let mut history = parse(&text(DECISIONS_FILE)?, &text(RUNS_FILE)?)?;
    let today = report.today;
    let acts = history.decide(edited, &report.breaks)?;
    let carried = history.carry(&mut report.breaks, today);
    let inputs: BTreeMap<String, String> = report
        .inputs()
        .map(|file| (file.path.display().to_string(), file.sha256.clone()))
        .collect();
    appended(out, DECISIONS_FILE, &decision_lines(&acts, today))?;
    results::write(out, report)?;
    appended(out, RUNS_FILE, &run_line(&carried, inputs, today))?;
    Ok(carried.resolved.len())
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
