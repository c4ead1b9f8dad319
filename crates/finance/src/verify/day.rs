//! Whether the processing files of a day are as they were made.

use std::collections::BTreeSet;
use std::io::BufRead;

use crate::day::DayManifest;
use crate::manifest;
use crate::processing::DayFile;
use crate::verify::compare::{Difference, columns};
use crate::verify::finding::Finding;

/// Whether a folder's files are those of its manifest, by name; `folder` is its own name.
#[must_use]
pub fn check_day_folder(
    folder: &str,
    manifest: &DayManifest,
    names: &BTreeSet<String>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let wanted = manifest.folder();
    if folder != wanted {
        let what = Finding::values("the name of the folder", folder, wanted, "the manifest");
        findings.push(Finding::set(folder, what));
    }
    if manifest.day.tomorrow().ok() != Some(manifest.made) {
        let what = Finding::values("made", manifest.made, "the next day", "day in the manifest");
        findings.push(Finding::file(folder, manifest::NAME, what));
    }
    let all = DayFile::ALL.map(|file| file.name(manifest.made));
    let listed: Vec<&String> = manifest.files.iter().map(|file| &file.name).collect();
    if listed != all.iter().collect::<Vec<_>>() {
        let what = "the manifest lists other files than a day has";
        findings.push(Finding::set(folder, what));
    }
    let mut all: BTreeSet<String> = all.into_iter().collect();
    all.insert(manifest::NAME.to_owned());
    for name in all.difference(names) {
        findings.push(Finding::file(folder, name, "the file is missing"));
    }
    for name in names.difference(&all) {
        findings.push(Finding::file(folder, name, "the file is not one of the day"));
    }
    findings
}

/// Findings of one file at most.
const FINDINGS_MAX: usize = 20;

/// How many rows a file has under its titles, and what is wrong with its form.
///
/// # Errors
/// Of the disk. A file that is no CSV is a finding.
pub fn read_day_file(
    folder: &str,
    (file, name): (DayFile, &str),
    from: impl BufRead,
) -> std::io::Result<(u64, Vec<Finding>)> {
    let mut rows = csv::ReaderBuilder::new().flexible(true).has_headers(false).from_reader(from);
    let (mut record, mut count, mut findings) = (csv::StringRecord::new(), 0_u64, Vec::new());
    let (titles, mut first) = (file.titles(), true);
    let mut find = |line: u64, what: String| {
        if findings.len() < FINDINGS_MAX {
            findings.push(Finding::line(folder, name, line, what));
        }
    };
    loop {
        match rows.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) if error.is_io_error() => return Err(error.into()),
            Err(error) => {
                find(0, format!("does not read as CSV: {error}"));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if std::mem::take(&mut first) {
            if record.iter().ne(titles.iter().copied()) {
                find(line, "the row of titles is another".to_owned());
            }
            continue;
        }
        count = count.saturating_add(1);
        if record.len() != titles.len() {
            let (found, wanted) = (record.len(), titles.len());
            find(line, Finding::values("the number of columns", found, wanted, "the titles"));
        }
    }
    if first {
        find(1, "the row of titles is missing".to_owned());
    }
    Ok((count, findings))
}

/// What may be erased in the store after its retention: it is empty then.
const ERASABLE: [&str; 6] = [
    "ACCOUNTHOLDER",
    "MERCHANTTXID",
    "MERCHANTREFUNDID",
    "COUNTRYCODE",
    "SELLINGPOINT",
    "SOLDSERVICE",
];

/// Whether the store has less than the line of a file: what was erased since.
#[must_use]
pub fn is_erased_of_day(file: DayFile, difference: &Difference) -> bool {
    let (Some(found), Some(wanted)) = (&difference.found, &difference.wanted) else {
        return false;
    };
    let (ours, theirs) = (columns(wanted, b','), columns(found, b','));
    let titles = file.titles();
    let erased = |((ours, theirs), title): ((&String, &String), &&str)| {
        ours == theirs || (ours.is_empty() && ERASABLE.contains(title))
    };
    ours.len() == titles.len()
        && theirs.len() == titles.len()
        && ours.iter().zip(&theirs).zip(titles).all(erased)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_is_told_from_what_was_changed() {
        let line = |holder: &str, amount: &str| {
            format!("79,{amount},IDR,{holder},,77,order,,2026-01-31T23:59:57Z,SHOP")
        };
        let with = |found: String, wanted: String| {
            let (found, wanted) = (Some(found), Some(wanted));
            is_erased_of_day(
                DayFile::Chargeback,
                &Difference { line: 2, found, wanted, delimiter: b',' },
            )
        };
        assert!(with(line("Siti", "100"), line("", "100")));
        assert!(!with(line("Siti", "100"), line("Ana", "100")));
        assert!(!with(line("Siti", "101"), line("", "100")));
        assert!(!with("79".to_owned(), line("", "100")));
    }
}
