//! What stays from run to run: when a break was first seen, which are over, and what people have
//! decided.
//!
//! Two files beside the results, both only ever added to: `runs.jsonl`, a line a run, and
//! `decisions.jsonl`, a line a decision. Decisions come back in the edited list of breaks, are
//! read all or none, and each counts when a second person has approved it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::breaks::{Break, BreakId, Decided, Decision};
use crate::date::Day;
use crate::input::source::{Format, Source};
use crate::input::table::normal;
use crate::input::{InputError, Problem};

/// A line of `decisions.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct DecisionLine {
    /// The day of the run that took it.
    day: String,
    break_id: String,
    /// The file it was in.
    file: String,
    #[serde(flatten)]
    decided: Decided,
}

/// A line of `runs.jsonl`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct RunLine {
    day: String,
    /// SHA-256 of each input, by its name.
    inputs: BTreeMap<String, String>,
    /// Breaks that are there, with the day they were first seen.
    open: BTreeMap<String, String>,
    /// Breaks of the run before that are over.
    resolved: Vec<String>,
}

/// What earlier runs have left.
#[derive(Debug, Default)]
pub struct History {
    decisions: BTreeMap<String, Decided>,
    last: RunLine,
    /// Breaks of all runs.
    known: BTreeSet<String>,
}

/// Why the history cannot be read: a line of ours that was changed.
#[derive(Debug, thiserror::Error)]
#[error("{file} line {line} is not as it was written: {source}; put the file back from a copy")]
pub struct HistoryError {
    file: &'static str,
    line: usize,
    source: serde_json::Error,
}

/// What is wrong with decisions, all of it; none of them was taken.
#[derive(Debug, thiserror::Error)]
#[error("no decision was taken:\n  {}", .0.join("\n  "))]
pub struct DecisionsError(pub Vec<String>);

/// The file of decisions.
pub const DECISIONS_FILE: &str = "decisions.jsonl";
/// The file of runs.
pub const RUNS_FILE: &str = "runs.jsonl";

impl History {
    /// From the texts of the two files.
    ///
    /// # Errors
    /// If a line cannot be read.
    pub fn parse(decisions: &str, runs: &str) -> Result<Self, HistoryError> {
        let mut history = Self::default();
        for line in lines::<DecisionLine>(DECISIONS_FILE, decisions)? {
            history.known.insert(line.break_id.clone());
            history.decisions.insert(line.break_id, line.decided);
        }
        for line in lines::<RunLine>(RUNS_FILE, runs)? {
            history.known.extend(line.open.keys().cloned());
            history.last = line;
        }
        Ok(history)
    }

    /// Gives each break the day it was first seen and what was decided about it; the line for
    /// `runs.jsonl`, and how many breaks of the last run are over.
    pub fn carry(
        &self,
        breaks: &mut [Break],
        inputs: BTreeMap<String, String>,
        today: Day,
    ) -> (String, usize) {
        let mut open = BTreeMap::new();
        for one in breaks {
            let id = one.break_id.as_str();
            let first = self.last.open.get(id).and_then(|day| day.parse().ok()).unwrap_or(today);
            one.first_seen = Some(first);
            let values = one.values_sign();
            one.decided = self.decisions.get(id).cloned().map(|mut decided| {
                if decided.values != values {
                    // It was about other values: somebody has to approve it again.
                    decided.approved_by.clear();
                }
                Box::new(decided)
            });
            open.insert(id.to_owned(), first.to_string());
        }
        let resolved: Vec<String> =
            self.last.open.keys().filter(|id| !open.contains_key(*id)).cloned().collect();
        let over = resolved.len();
        let line = RunLine { day: today.to_string(), inputs, open, resolved };
        (json_line(&line), over)
    }

    /// Takes the decisions of edited lists; the lines for `decisions.jsonl`.
    ///
    /// # Errors
    /// [`DecisionsError`] with everything that is wrong.
    pub fn decide(
        &mut self,
        edited: &[EditedList],
        breaks: &[Break],
        today: Day,
    ) -> Result<String, DecisionsError> {
        let known: BTreeMap<&str, String> =
            breaks.iter().map(|one| (one.break_id.as_str(), one.values_sign())).collect();
        let mut problems = Vec::new();
        let mut taken: BTreeMap<String, (Decided, String)> = BTreeMap::new();
        for (list, row) in
            edited.iter().flat_map(|list| list.rows.iter().map(move |row| (list, row)))
        {
            let at = format!("{} line {}", list.name, row.line);
            match self.row(row, &known) {
                Ok(None) => {}
                Ok(Some((id, decided))) => match taken.get(&id) {
                    Some((other, place)) if *other != decided => problems.push(format!(
                        "{at}: {id} is {:?} by {}, and {:?} by {} in {place}",
                        decided.decision.as_str(),
                        decided.by,
                        other.decision.as_str(),
                        other.by
                    )),
                    Some(_) => {}
                    None => {
                        taken.insert(id, (decided, at));
                    }
                },
                Err(what) => problems.push(format!("{at}: {what}")),
            }
        }
        if !problems.is_empty() {
            return Err(DecisionsError(problems));
        }
        let mut lines = String::new();
        for (break_id, (decided, file)) in taken {
            let line = DecisionLine {
                day: today.to_string(),
                break_id: break_id.clone(),
                file,
                decided: decided.clone(),
            };
            lines.push_str(&json_line(&line));
            self.decisions.insert(break_id, decided);
        }
        Ok(lines)
    }

    /// What a row decides anew, if anything.
    fn row(
        &self,
        row: &EditedRow,
        known: &BTreeMap<&str, String>,
    ) -> Result<Option<(String, Decided)>, String> {
        let empty = [&row.decision, &row.reason, &row.by, &row.approved_by]
            .iter()
            .all(|cell| cell.is_empty());
        let id = BreakId::parse(&row.break_id);
        let Some(id) = id.map(|id| id.to_string()) else {
            return if empty {
                Ok(None)
            } else {
                Err(format!("{:?} is no break_id", row.break_id))
            };
        };
        let now = self.decisions.get(&id);
        let version = now.map_or(0, |decided| decided.version);
        if empty {
            // Lists that were written before a decision do not take it back; `open` does.
            return Ok(None);
        }
        let decision = Decision::of(&row.decision).ok_or_else(|| {
            let words: Vec<&str> = Decision::ALL.iter().map(|one| one.as_str()).collect();
            format!("{id}: decision is {:?}; wanted: {}", row.decision, words.join(", "))
        })?;
        let decided = Decided {
            decision,
            reason: row.reason.clone(),
            by: row.by.clone(),
            approved_by: row.approved_by.clone(),
            version: version + 1,
            values: known.get(id.as_str()).cloned().unwrap_or_default(),
        };
        if now.is_some_and(|now| Decided { version: version + 1, ..now.clone() } == decided) {
            return Ok(None);
        }
        if !known.contains_key(id.as_str()) && !self.known.contains(&id) {
            return Err(format!("{id} is no break of this run or an earlier one"));
        }
        people(&id, &decided)?;
        up_to_date(&id, row, now, &decided)?;
        Ok(Some((id, decided)))
    }
}

/// Whether it says why and by whom, and no person is both.
fn people(id: &str, decided: &Decided) -> Result<(), String> {
    for (title, cell) in [("reason", &decided.reason), ("by", &decided.by)] {
        if cell.is_empty() {
            return Err(format!("{id}: {title} is empty"));
        }
    }
    if same_person(&decided.by, &decided.approved_by) {
        return Err(format!(
            "{id}: approved_by is {:?}, who has decided it; wanted: another person",
            decided.approved_by
        ));
    }
    Ok(())
}

/// Whether the list was written after the last decision, about the present values.
fn up_to_date(
    id: &str,
    row: &EditedRow,
    now: Option<&Decided>,
    decided: &Decided,
) -> Result<(), String> {
    let version = now.map_or(0, |decided| decided.version);
    let (said, sign) = match &row.version {
        Some((said, sign)) => (*said, sign.as_deref()),
        None => (version, None),
    };
    if said < version {
        let (word, by) = now.map_or(("", ""), |now| (now.decision.as_str(), &now.by));
        return Err(format!(
            "{id} was decided {word:?} by {by} since this list was written; take the present list"
        ));
    }
    if sign.is_some_and(|sign| !decided.values.is_empty() && sign != decided.values) {
        return Err(format!(
            "{id} has other values since this list was written; take the present list"
        ));
    }
    Ok(())
}

fn same_person(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    plain(one) == plain(other)
}

fn json_line(line: &impl Serialize) -> String {
    // Texts and maps of texts always can be written.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    text
}

fn lines<T: for<'a> Deserialize<'a>>(
    file: &'static str,
    text: &str,
) -> Result<Vec<T>, HistoryError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|source| HistoryError { file, line: at + 1, source })
        })
        .collect()
}

/// A list of breaks that people have edited.
#[derive(Debug)]
pub struct EditedList {
    name: String,
    rows: Vec<EditedRow>,
}

#[derive(Debug)]
struct EditedRow {
    line: u64,
    break_id: String,
    decision: String,
    reason: String,
    by: String,
    approved_by: String,
    version: Option<(u32, Option<String>)>,
}

/// Characters of a cell that are kept.
const CELL_MAX: usize = 1_000;

impl EditedList {
    /// Reads a list as any spreadsheet saves it: CSV with any delimiter and encoding, or XLSX.
    ///
    /// # Errors
    /// If it has not the columns.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let source = Source::open(path)?;
        let delimiters: &[u8] = match source.format() {
            Format::Text(_) => b",;\t|",
            Format::Sheet => b",",
            Format::Xml => {
                return Err(InputError::new(
                    path,
                    Problem::Format("is XML; save the list as CSV or XLSX"),
                ));
            }
        };
        const WANTED: [&str; 5] = ["break id", "decision", "reason", "by", "approved by"];
        for delimiter in delimiters {
            let rows = source.sample(*delimiter)?;
            for (titles_line, record) in rows.iter().take(20) {
                let titles: Vec<String> = record.iter().map(normal).collect();
                let place = |title: &str| titles.iter().position(|other| other == title);
                let [Some(id), Some(decision), Some(reason), Some(by), Some(approved_by)] =
                    WANTED.map(place)
                else {
                    continue;
                };
                let version = place("version");
                let mut rows = Vec::new();
                source.visit(
                    *delimiter,
                    &std::sync::atomic::AtomicU64::new(0),
                    &mut |line, record| {
                        if line <= *titles_line {
                            return;
                        }
                        let cell = |at: usize| undefused(record.get(at).unwrap_or_default());
                        rows.push(EditedRow {
                            line,
                            break_id: cell(id),
                            decision: cell(decision),
                            reason: cell(reason),
                            by: cell(by),
                            approved_by: cell(approved_by),
                            version: version.and_then(|at| version_of(&cell(at))),
                        });
                    },
                )?;
                return Ok(Self { name: crate::reports::name_of(path), rows });
            }
        }
        Err(InputError::new(
            path,
            Problem::Layout(
                "has no row with the titles break_id, decision, reason, by, approved_by; edit the breaks.csv or breaks.xlsx of a run".to_owned(),
            ),
        ))
    }
}

/// `v1-4f2a`: how often it was decided, and the sign of its values.
fn version_of(text: &str) -> Option<(u32, Option<String>)> {
    let text = text.trim_start_matches(['v', 'V']);
    match text.split_once('-') {
        Some((number, sign)) => Some((number.parse().ok()?, Some(sign.to_lowercase()))),
        None => Some((text.parse().ok()?, None)),
    }
}

/// The text that a cell had before `output::defused`.
fn undefused(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let text = text.trim();
    let text = match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => rest,
        Some(_) | None => text,
    };
    text.chars().take(CELL_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::breaks::Kind;
    use crate::money::Money;

    fn a_break() -> Break {
        Break::of_payment(Kind::AmountDiffers, 42)
    }

    fn today() -> Day {
        "2026-11-03".parse().unwrap()
    }

    fn list(text: &[u8]) -> EditedList {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        EditedList::read(file.path()).unwrap()
    }

    fn decide(history: &mut History, cells: &str) -> Result<String, String> {
        let text = format!(
            "break_id;decision;reason;by;approved_by;version\r\n{};{cells}\r\n",
            a_break().break_id
        );
        history
            .decide(&[list(text.as_bytes())], &[a_break()], today())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_decision_counts_when_a_second_person_has_approved_it_and_stays() {
        let mut history = History::default();
        let mut lines = decide(&mut history, "Write off;fee;Ana;;0").unwrap();
        let mut breaks = [a_break()];
        history.carry(&mut breaks, BTreeMap::new(), today());
        assert!(breaks[0].is_due(today()), "nobody has approved it yet");
        lines.push_str(&decide(&mut history, "write_off;fee;Ana;Budi;1").unwrap());
        assert_eq!(lines.lines().count(), 2);
        // Read back by the next run.
        let history = History::parse(&lines, "").unwrap();
        history.carry(&mut breaks, BTreeMap::new(), today());
        assert!(!breaks[0].is_due(today()));
        assert_eq!(breaks[0].decided.as_ref().unwrap().version, 2);
    }

    #[test]
    fn what_is_wrong_with_decisions_is_named_and_none_is_taken() {
        for (cells, wanted) in [
            ("maybe;x;Ana;Budi;0", "wanted: accept"),
            ("accept;;Ana;Budi;0", "reason is empty"),
            ("accept;x;;Budi;0", "by is empty"),
            ("accept;x;Ana; aNA ;0", "another person"),
            (";x;Ana;Budi;0", "decision is"),
        ] {
            let mut history = History::default();
            let error = decide(&mut history, cells).unwrap_err();
            assert!(error.contains(wanted) && error.contains("line 2"), "{error}");
            assert!(history.decisions.is_empty());
        }
    }

    #[test]
    fn a_list_that_others_have_overtaken_is_a_conflict() {
        let mut history = History::default();
        decide(&mut history, "accept;fee;Ana;Budi;0").unwrap();
        let error = decide(&mut history, "claim;not a fee;Citra;Budi;0").unwrap_err();
        assert!(error.contains("by Ana since"), "{error}");
        assert!(decide(&mut history, "claim;not a fee;Citra;Budi;1").is_ok());
        // The same again is no decision.
        assert_eq!(decide(&mut history, "claim;not a fee;Citra;Budi;1"), Ok(String::new()));
        let two = format!(
            "break_id,decision,reason,by,approved_by\n{0},accept,x,Ana,Budi\n{0},claim,x,Ana,Budi\n",
            a_break().break_id
        );
        let error =
            History::default().decide(&[list(two.as_bytes())], &[a_break()], today()).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }

    #[test]
    fn what_was_decided_about_other_values_does_not_hold() {
        let mut history = History::default();
        let small = a_break().amounts(Money::from_sen(100), Money::from_sen(90));
        let large = a_break().amounts(Money::from_sen(9_000_000), Money::from_sen(90));
        let edited = |one: &Break| {
            let version = one.version();
            let id = &one.break_id;
            list(format!("break_id,decision,reason,by,approved_by,version\n{id},accept,ten sen,Ana,Budi,{version}\n").as_bytes())
        };
        history.decide(&[edited(&small)], std::slice::from_ref(&small), today()).unwrap();
        let mut breaks = [small.clone(), large.clone()];
        history.carry(&mut breaks, BTreeMap::new(), today());
        assert_eq!([breaks[0].is_due(today()), breaks[1].is_due(today())], [false, true]);
        // The old list does not decide about the new values; the present one does.
        let error = history
            .decide(&[edited(&breaks[0])], std::slice::from_ref(&large), today())
            .unwrap_err();
        assert!(error.to_string().contains("other values"), "{error}");
        history.decide(&[edited(&breaks[1])], std::slice::from_ref(&large), today()).unwrap();
        let mut breaks = [large];
        history.carry(&mut breaks, BTreeMap::new(), today());
        assert!(!breaks[0].is_due(today()));
    }

    #[test]
    fn lists_come_back_from_spreadsheets_of_any_locale() {
        let id = a_break().break_id;
        let text = format!(
            "break_id\tdecision\treason\tby\tapproved_by\r\n{id}\tACCEPT\t'=Geb\u{fc}hr\tJos\u{e9}\tBudi\r\n"
        );
        let (cp1252, _, _) = encoding_rs::WINDOWS_1252.encode(&text);
        let utf16: Vec<u8> =
            std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for bytes in [text.clone().into_bytes(), cp1252.into_owned(), utf16] {
            let mut history = History::default();
            history.decide(&[list(&bytes)], &[a_break()], today()).unwrap();
            let decided = history.decisions.values().next().unwrap();
            assert_eq!(
                (decided.reason.as_str(), decided.by.as_str()),
                ("=Geb\u{fc}hr", "Jos\u{e9}")
            );
        }
    }

    #[test]
    fn a_workbook_comes_back_with_its_decisions() {
        let mut book = rust_xlsxwriter::Workbook::new();
        let sheet = book.add_worksheet();
        let id = a_break().break_id;
        let rows = [
            ["txid", "break_id", "decision", "reason", "by", "approved_by"],
            ["7.30268E+18", id.as_str(), "claim", "asked", "Ana", "Budi"],
        ];
        for (line, row) in (0_u32..).zip(rows) {
            for (column, cell) in (0_u16..).zip(row) {
                sheet.write_string(line, column, cell).unwrap();
            }
        }
        let bytes = book.save_to_buffer().unwrap();
        let mut history = History::default();
        history.decide(&[list(&bytes)], &[a_break()], today()).unwrap();
        assert_eq!(history.decisions.values().next().unwrap().decision, Decision::Claim);
    }

    #[test]
    fn a_break_keeps_the_day_it_was_first_seen_and_is_resolved_when_it_is_gone() {
        let history = History::default();
        let mut breaks = [a_break()];
        let (first, _) = history.carry(&mut breaks, BTreeMap::new(), today());
        let later = History::parse("", &first).unwrap();
        let (second, over) = later.carry(&mut breaks, BTreeMap::new(), today().plus(9));
        assert_eq!((breaks[0].first_seen, over), (Some(today()), 0));
        let last = History::parse("", &format!("{first}{second}")).unwrap();
        let (line, over) = last.carry(&mut [], BTreeMap::new(), today().plus(10));
        assert!(over == 1 && line.contains(breaks[0].break_id.as_str()));
        assert!(History::parse("", "{\"day\":1}").is_err());
    }
}
