//! Processing files on a disk, held against their manifest and the store.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;

use anyhow::Context as _;
use gopay_finance::manifest;
use gopay_finance::processing::DayFile;
use gopay_finance::verify::{
    Comparison, Difference, Finding, check_day_folder, compare_lines, is_erased_of_day,
    read_day_file,
};
use gopay_store::Database;
use jiff::civil::Date;

use crate::finance::day;
use crate::finance::verify::{DayOnDisk, Verified, digest, name_of};

/// Every day by itself.
pub(crate) fn check_days(days: &[DayOnDisk], verified: &mut Verified) -> anyhow::Result<()> {
    for day in days {
        check_day(day, verified)?;
        verified.sets = verified.sets.saturating_add(1);
    }
    Ok(())
}

fn check_day(day: &DayOnDisk, verified: &mut Verified) -> anyhow::Result<()> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&day.path)? {
        names.insert(name_of(&entry?.path()));
    }
    verified.findings.extend(check_day_folder(&day.name, &day.manifest, &names));
    for one in compare_lines(&day.text, &day.manifest.to_json()?) {
        let what = "the manifest is written otherwise than by this program";
        verified.findings.push(Finding::line(&day.name, manifest::NAME, one.line, what));
    }
    for facts in day.manifest.files.iter().filter(|facts| names.contains(&facts.name)) {
        let path = day.path.join(&facts.name);
        let open = || File::open(&path).with_context(|| format!("cannot read {}", path.display()));
        let (bytes, sha256) = digest(&mut open()?)?;
        let mut hold = |what: &str, found: String, wanted: String| {
            if found != wanted {
                let what = Finding::values(what, found, wanted, "the manifest");
                verified.findings.push(Finding::file(&day.name, &facts.name, what));
            }
        };
        hold("its length", bytes.to_string(), facts.bytes.to_string());
        hold("its SHA-256", sha256, facts.sha256.clone());
        let Some(file) = file_of(&facts.name, day.manifest.made) else { continue };
        let (rows, findings) =
            read_day_file(&day.name, (file, &facts.name), BufReader::new(open()?))?;
        let wanted = facts.rows.map_or("unknown".to_owned(), |rows| rows.to_string());
        hold("the number of rows", rows.to_string(), wanted);
        verified.findings.extend(findings);
        verified.rows = verified.rows.saturating_add(rows);
    }
    Ok(())
}

fn file_of(name: &str, made: Date) -> Option<DayFile> {
    DayFile::ALL.into_iter().find(|file| file.name(made) == name)
}

/// The days held against what the store makes of them; `whole`: those of all PSPs must be here.
pub(crate) async fn check_days_beside(
    store: &dyn Database,
    days: &[DayOnDisk],
    (scratch, whole): (&Path, bool),
    verified: &mut Verified,
) -> anyhow::Result<()> {
    let logins: BTreeSet<String> = days.iter().map(|day| day.manifest.psp.clone()).collect();
    let made: BTreeSet<Date> = days.iter().map(|day| day.manifest.made).collect();
    for made in made {
        let out = scratch.join(made.to_string());
        let written = day::write(store, &logins, made, &out).await?;
        for (path, rows) in written {
            let name = name_of(&path);
            let here = days.iter().find(|day| day.manifest.folder() == name);
            match here {
                Some(day) => compare(day, &path, verified)?,
                None if whole && rows > 0 => {
                    let what = format!("the folder is missing: the store has {rows} rows for it");
                    verified.findings.push(Finding::set(&name, what));
                }
                None => {}
            }
        }
    }
    Ok(())
}

/// A folder beside the one that the store makes.
fn compare(day: &DayOnDisk, made: &Path, verified: &mut Verified) -> anyhow::Result<()> {
    for facts in &day.manifest.files {
        let Some(file) = file_of(&facts.name, day.manifest.made) else { continue };
        // One that is missing is known to be.
        let Ok(found) = File::open(day.path.join(&facts.name)) else { continue };
        let mut comparison = Comparison::new(BufReader::new(found));
        let mut wanted = Vec::new();
        File::open(made.join(&facts.name))?.read_to_end(&mut wanted)?;
        comparison.write_all(&wanted)?;
        let differences = comparison.finish()?;
        if differences.is_empty() {
            continue;
        }
        let as_made = digest(&mut File::open(day.path.join(&facts.name))?)?.1 == facts.sha256;
        let erased = |one: &Difference| is_erased_of_day(file, one);
        if as_made && differences.iter().all(erased) {
            let what = "as it was made; personal data in it has been erased in the store, or archived, since";
            verified.notes.push(Finding::file(&day.name, &facts.name, what));
            continue;
        }
        for one in differences.iter().filter(|one| !as_made || !erased(one)) {
            let what = one.told_in(Some(file.titles()));
            verified.findings.push(Finding::line(&day.name, &facts.name, one.line, what));
        }
    }
    Ok(())
}
