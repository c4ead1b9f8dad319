//! What stays from run to run: when a break was first seen, which are over, and what people have
//! decided.
//!
//! Decisions come back in the edited list of breaks and are read all or none. A decision counts
//! when a second person has approved it, in an act of its own: from a list that was written after
//! the decision had been read.

use std::collections::{BTreeMap, BTreeSet};

use gopay_core::person::same_person;

use crate::breaks::{Break, BreakId, Decided, Decision};
use crate::covered::Covered;
use crate::date::Day;
use crate::edited::{EditedList, EditedRow};

/// A break of an earlier run.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// The day of the run that found it first, `YYYY-MM-DD`.
    pub first_seen: String,
    /// Not resolved since.
    pub open: bool,
    /// As it was found last, if that was kept: then it stays open until a run covers it.
    pub found: Option<Box<Break>>,
}

/// A decision or an approval that a list has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The break.
    pub break_id: String,
    /// What holds after it.
    pub decided: Decided,
    /// File and line.
    pub source: String,
}

/// What a run leaves to the next.
#[derive(Debug, Default)]
pub struct Carried {
    /// Breaks that are there, with the day they were first seen.
    pub open: BTreeMap<String, Day>,
    /// Breaks that are there and were not, or not like that: places in the list of breaks.
    pub changed: Vec<usize>,
    /// Breaks of earlier runs that are over, with the day they were first seen.
    pub resolved: Vec<(String, String)>,
}

/// What earlier runs have left.
#[derive(Debug, Default)]
pub struct History {
    decisions: BTreeMap<String, Decided>,
    /// Breaks of all runs.
    known: BTreeMap<String, Earlier>,
}

/// What is wrong with decisions, all of it; none of them was taken.
#[derive(Debug, thiserror::Error)]
#[error("no decision was taken:\n  {}", .0.join("\n  "))]
pub struct DecisionsError(pub Vec<String>);

impl History {
    /// From acts in their order, and the breaks of earlier runs.
    #[must_use]
    pub fn new(
        acts: impl IntoIterator<Item = (String, Decided)>,
        known: BTreeMap<String, Earlier>,
    ) -> Self {
        Self { decisions: acts.into_iter().collect(), known }
    }

    /// The payments that open breaks are about.
    #[must_use]
    pub fn open_payments(&self) -> BTreeSet<i64> {
        let found = self.known.values().filter(|one| one.open).filter_map(|one| one.found.as_ref());
        found.filter_map(|found| found.txid.as_ref()?.parse().ok()).collect()
    }

    /// Adds the open breaks of earlier runs that the run does not cover; how many.
    pub fn keep(&self, breaks: &mut Vec<Break>, covered: &Covered) -> usize {
        let here: BTreeSet<&str> = breaks.iter().map(|one| one.break_id.as_str()).collect();
        let open = self.known.iter().filter(|(id, one)| one.open && !here.contains(id.as_str()));
        let found = open.filter_map(|(_, one)| one.found.as_deref());
        let kept: Vec<Break> = found
            .filter(|found| !covered.covers(found))
            .map(|found| Break { not_covered: true, ..found.clone() })
            .collect();
        let count = kept.len();
        breaks.extend(kept);
        count
    }

    /// Gives each break the day it was first seen and what was decided about it.
    pub fn carry(&self, breaks: &mut [Break], today: Day) -> Carried {
        let mut carried = Carried::default();
        for (place, one) in breaks.iter_mut().enumerate() {
            let id = one.break_id.as_str();
            let earlier = self.known.get(id).filter(|earlier| earlier.open);
            let first = earlier.and_then(|one| one.first_seen.parse().ok()).unwrap_or(today);
            let before = earlier.and_then(|earlier| earlier.found.as_deref());
            if before.is_none_or(|before| before.content() != one.content()) {
                carried.changed.push(place);
            }
            one.first_seen = Some(first);
            let values = one.values_sign();
            one.decided = self.decisions.get(id).cloned().map(|mut decided| {
                if decided.values != values {
                    // It was about other values: somebody has to approve it again.
                    decided.approved_by.clear();
                }
                Box::new(decided)
            });
            carried.open.insert(id.to_owned(), first);
        }
        let open = self.known.iter().filter(|(_, one)| one.open);
        let over = open.filter(|(id, _)| !carried.open.contains_key(id.as_str()));
        carried.resolved = over.map(|(id, one)| (id.clone(), one.first_seen.clone())).collect();
        carried
    }

    /// Takes the acts of edited lists.
    ///
    /// # Errors
    /// [`DecisionsError`] with everything that is wrong.
    pub fn decide(
        &mut self,
        edited: &[EditedList],
        breaks: &[Break],
    ) -> Result<Vec<Act>, DecisionsError> {
        let present: BTreeMap<&str, String> =
            breaks.iter().map(|one| (one.break_id.as_str(), one.values_sign())).collect();
        let mut problems = Vec::new();
        let mut taken: BTreeMap<String, Act> = BTreeMap::new();
        for (list, row) in
            edited.iter().flat_map(|list| list.rows.iter().map(move |row| (list, row)))
        {
            let source = format!("{} line {}", list.name, row.line);
            match self.row(row, &present) {
                Ok(None) => {}
                Ok(Some((break_id, decided))) => match taken.get(&break_id) {
                    Some(other) if other.decided != decided => problems.push(format!(
                        "{source}: {break_id} is {:?} by {}, and {:?} by {} in {}",
                        decided.decision.as_str(),
                        decided.by,
                        other.decided.decision.as_str(),
                        other.decided.by,
                        other.source
                    )),
                    Some(_) => {}
                    None => {
                        taken.insert(break_id.clone(), Act { break_id, decided, source });
                    }
                },
                Err(what) => problems.push(format!("{source}: {what}")),
            }
        }
        if !problems.is_empty() {
            return Err(DecisionsError(problems));
        }
        for act in taken.values() {
            self.decisions.insert(act.break_id.clone(), act.decided.clone());
        }
        Ok(taken.into_values().collect())
    }

    /// What a row decides or approves anew, if anything.
    fn row(
        &self,
        row: &EditedRow,
        present: &BTreeMap<&str, String>,
    ) -> Result<Option<(String, Decided)>, String> {
        let cells = [&row.decision, &row.reason, &row.by, &row.approved_by];
        let empty = cells.iter().all(|cell| cell.is_empty());
        if empty {
            // Lists that were written before a decision do not take it back; `open` does.
            return Ok(None);
        }
        let id = BreakId::parse(&row.break_id);
        let id = id.ok_or_else(|| format!("{:?} is no break_id", row.break_id))?.to_string();
        let now = self.decisions.get(&id);
        let version = now.map_or(0, |decided| decided.version);
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
            values: present.get(id.as_str()).cloned().unwrap_or_default(),
        };
        if now.is_some_and(|now| Decided { version: version + 1, ..now.clone() } == decided) {
            return Ok(None);
        }
        if !present.contains_key(id.as_str()) && !self.known.contains_key(&id) && now.is_none() {
            return Err(format!("{id} is no break of this run or an earlier one"));
        }
        said(&id, &decided)?;
        up_to_date(&id, row, now, &decided)?;
        approved(&id, now, &decided)?;
        Ok(Some((id, decided)))
    }
}

/// Whether it says why and by whom.
fn said(id: &str, decided: &Decided) -> Result<(), String> {
    if decided.reason.is_empty() {
        return Err(format!("{id}: reason is empty"));
    }
    if same_person(&decided.by, "") {
        return Err(format!("{id}: by names nobody"));
    }
    Ok(())
}

/// Whether an approval is by another person, of what had been decided before.
fn approved(id: &str, now: Option<&Decided>, decided: &Decided) -> Result<(), String> {
    if decided.approved_by.is_empty() {
        return Ok(());
    }
    let approver = &decided.approved_by;
    if same_person(approver, "") {
        return Err(format!("{id}: approved_by is {approver:?}, which names nobody"));
    }
    if same_person(&decided.by, approver) {
        return Err(format!(
            "{id}: approved_by is {approver:?}, who has decided it; wanted: another person"
        ));
    }
    let same = now.is_some_and(|now| {
        now.decision == decided.decision
            && now.reason == decided.reason
            && same_person(&now.by, &decided.by)
    });
    if same {
        return Ok(());
    }
    Err(format!(
        "{id}: approved_by is {approver:?} in the list that decides it first; leave approved_by \
         empty, let the decision be read, and let {approver} approve it in the list that is \
         written then"
    ))
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::breaks::Kind;
    use crate::history_files::{decision_lines, parse, run_line};
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
            .decide(&[list(text.as_bytes())], &[a_break()])
            .map(|acts| decision_lines(&acts, today()))
            .map_err(|error| error.to_string())
    }

    /// Ana decides, Budi approves.
    fn decide_and_approve(history: &mut History, one: &Break, reason: &str) {
        let id = &one.break_id;
        for (by, approved_by) in [("Ana", ""), ("Ana", "Budi")] {
            let row = format!("{id},accept,{reason},{by},{approved_by}\n");
            let text = format!("break_id,decision,reason,by,approved_by\n{row}");
            let breaks = std::slice::from_ref(one);
            assert_eq!(history.decide(&[list(text.as_bytes())], breaks).unwrap().len(), 1);
        }
    }

    #[test]
    fn a_decision_counts_when_a_second_person_has_approved_it_and_stays() {
        let mut history = History::default();
        let mut lines = decide(&mut history, "Write off;fee;Ana;;0").unwrap();
        let mut breaks = [a_break()];
        history.carry(&mut breaks, today());
        assert!(breaks[0].is_due(today()), "nobody has approved it yet");
        lines.push_str(&decide(&mut history, "write_off;fee;Ana;Budi;1").unwrap());
        assert_eq!(lines.lines().count(), 2);
        // Read back by the next run.
        let history = parse(&lines, "").unwrap();
        history.carry(&mut breaks, today());
        assert!(!breaks[0].is_due(today()));
        assert_eq!(breaks[0].decided.as_ref().unwrap().version, 2);
    }

    #[test]
    fn what_is_wrong_with_decisions_is_named_and_none_is_taken() {
        for (cells, wanted) in [
            ("maybe;x;Ana;Budi;0", "wanted: accept"),
            ("accept;;Ana;Budi;0", "reason is empty"),
            ("accept;x;;Budi;0", "by names nobody"),
            ("accept;x;Ana; aNA ;0", "another person"),
            ("accept;x;Ana;A n\u{200b}a;0", "another person"),
            ("accept;x;Ana;-;0", "names nobody"),
            ("accept;x;Ana;Budi;0", "let Budi approve it in the list"),
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
        decide(&mut history, "accept;fee;Ana;;0").unwrap();
        let error = decide(&mut history, "claim;not a fee;Citra;;0").unwrap_err();
        assert!(error.contains("by Ana since"), "{error}");
        // Nobody approves what is new.
        assert!(decide(&mut history, "claim;not a fee;Citra;Budi;1").is_err());
        assert!(decide(&mut history, "claim;not a fee;Citra;;1").is_ok());
        // The same again is no decision.
        assert_eq!(decide(&mut history, "claim;not a fee;Citra;;1"), Ok(String::new()));
        // Budi approves under another reason, or what another has decided.
        for cells in ["claim;a fee;Citra;Budi;2", "claim;not a fee;Dewi;Budi;2"] {
            let error = decide(&mut history, cells).unwrap_err();
            assert!(error.contains("decides it first"), "{error}");
        }
        assert!(decide(&mut history, "claim;not a fee;citra;Budi;2").is_ok());
        let two = format!(
            "break_id,decision,reason,by,approved_by\n{0},accept,x,Ana,\n{0},claim,x,Ana,\n",
            a_break().break_id
        );
        let error = History::default().decide(&[list(two.as_bytes())], &[a_break()]).unwrap_err();
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
        decide_and_approve(&mut history, &small, "ten sen");
        let mut breaks = [small.clone(), large.clone()];
        history.carry(&mut breaks, today());
        assert_eq!([breaks[0].is_due(today()), breaks[1].is_due(today())], [false, true]);
        // The old list does not decide about the new values; the present one does.
        let error =
            history.decide(&[edited(&breaks[0])], std::slice::from_ref(&large)).unwrap_err();
        assert!(error.to_string().contains("other values"), "{error}");
        history.decide(&[edited(&breaks[1])], std::slice::from_ref(&large)).unwrap();
        let mut breaks = [large];
        history.carry(&mut breaks, today());
        assert!(!breaks[0].is_due(today()));
    }

    #[test]
    fn lists_come_back_from_spreadsheets_of_any_locale() {
        let id = a_break().break_id;
        let text = format!(
            "break_id\tdecision\treason\tby\tapproved_by\r\n{id}\tACCEPT\t'=Geb\u{fc}hr\tJos\u{e9}\t\r\n"
        );
        let (cp1252, _, _) = encoding_rs::WINDOWS_1252.encode(&text);
        let utf16: Vec<u8> =
            std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for bytes in [text.clone().into_bytes(), cp1252.into_owned(), utf16] {
            let mut history = History::default();
            history.decide(&[list(&bytes)], &[a_break()]).unwrap();
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
            ["7.30268E+18", id.as_str(), "claim", "asked", "Ana", ""],
        ];
        for (line, row) in (0_u32..).zip(rows) {
            for (column, cell) in (0_u16..).zip(row) {
                sheet.write_string(line, column, cell).unwrap();
            }
        }
        let bytes = book.save_to_buffer().unwrap();
        let mut history = History::default();
        history.decide(&[list(&bytes)], &[a_break()]).unwrap();
        assert_eq!(history.decisions.values().next().unwrap().decision, Decision::Claim);
    }

    #[test]
    fn a_break_keeps_the_day_it_was_first_seen_and_is_resolved_when_it_is_gone() {
        let history = History::default();
        let mut breaks = [a_break()];
        let line = |carried: &Carried, day| run_line(carried, BTreeMap::new(), day);
        let first = line(&history.carry(&mut breaks, today()), today());
        let later = parse("", &first).unwrap();
        let second = later.carry(&mut breaks, today().plus(9));
        assert_eq!((breaks[0].first_seen, second.resolved.len()), (Some(today()), 0));
        let second = line(&second, today().plus(9));
        let last = parse("", &format!("{first}{second}")).unwrap();
        let third = last.carry(&mut [], today().plus(10));
        assert_eq!(third.resolved, [(a_break().break_id.to_string(), today().to_string())]);
        assert!(line(&third, today()).contains(breaks[0].break_id.as_str()));
        assert!(parse("", "{\"day\":1}").is_err());
    }

    #[test]
    fn a_break_that_no_file_covers_stays_open_with_its_values() {
        let found = a_break().amounts(Money::from_sen(100), Money::from_sen(90));
        let earlier = Earlier {
            first_seen: "2026-10-01".to_owned(),
            open: true,
            found: Some(Box::new(Break::from_content(&found.content()).unwrap())),
        };
        let known = BTreeMap::from([(found.break_id.to_string(), earlier)]);
        let mut history = History::new([], known);
        assert_eq!(history.open_payments(), BTreeSet::from([42]));
        let mut breaks = Vec::new();
        assert_eq!(history.keep(&mut breaks, &Covered::default()), 1);
        decide_and_approve(&mut history, &found, "ten sen");
        let carried = history.carry(&mut breaks, today());
        assert_eq!((carried.changed.len(), carried.resolved.len()), (0, 0));
        assert_eq!(breaks[0].first_seen, "2026-10-01".parse().ok());
        assert_eq!((breaks[0].difference, breaks[0].not_covered), (found.difference, true));
        assert!(!breaks[0].is_due(today()), "it was decided");
        // With other values it is told anew.
        let carried = history.carry(&mut [a_break()], today());
        assert_eq!(carried.changed, [0]);
    }
}
