//! The history of a folder: two files beside the results, both only ever added to. `runs.jsonl`
//! has a line a run, `decisions.jsonl` a line an act.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::breaks::Decided;
use crate::date::Day;
use crate::history::{Act, Carried, Earlier, History};

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

/// Why the history cannot be read: a line of ours that was changed.
#[derive(Debug, thiserror::Error)]
#[error("{file} line {line} is not as it was written: {source}; put the file back from a copy")]
pub struct HistoryError {
    file: &'static str,
    line: usize,
    source: serde_json::Error,
}

/// The file of decisions.
pub const DECISIONS_FILE: &str = "decisions.jsonl";
/// The file of runs.
pub const RUNS_FILE: &str = "runs.jsonl";

/// The history out of the texts of the two files.
///
/// # Errors
/// If a line cannot be read.
pub fn parse(decisions: &str, runs: &str) -> Result<History, HistoryError> {
    let acts = lines::<DecisionLine>(DECISIONS_FILE, decisions)?;
    let runs = lines::<RunLine>(RUNS_FILE, runs)?;
    let mut known = BTreeMap::new();
    for (id, first_seen) in runs.iter().flat_map(|run| &run.open) {
        let earlier = Earlier { first_seen: first_seen.clone(), open: false, found: None };
        known.insert(id.clone(), earlier);
    }
    for (id, first_seen) in runs.last().into_iter().flat_map(|last| &last.open) {
        let earlier = Earlier { first_seen: first_seen.clone(), open: true, found: None };
        known.insert(id.clone(), earlier);
    }
    Ok(History::new(acts.into_iter().map(|line| (line.break_id, line.decided)), known))
}

/// The lines of acts.
#[must_use]
pub fn decision_lines(acts: &[Act], today: Day) -> String {
    let line = |act: &Act| DecisionLine {
        day: today.to_string(),
        break_id: act.break_id.clone(),
        file: act.source.clone(),
        decided: act.decided.clone(),
    };
    acts.iter().map(|act| json_line(&line(act))).collect()
}

/// The line of a run.
#[must_use]
pub fn run_line(carried: &Carried, inputs: BTreeMap<String, String>, today: Day) -> String {
    let open = carried.open.iter().map(|(id, first)| (id.clone(), first.to_string())).collect();
    let resolved = carried.resolved.iter().map(|(id, _)| id.clone()).collect();
    json_line(&RunLine { day: today.to_string(), inputs, open, resolved })
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
