//! The rows of runs of reconciliation, their inputs and breaks, and of what was decided.

use super::{Cell, RowReader, SqlRow, table};
use crate::{ReconciliationInput, ReconciliationRun, ReviewAct, StoreError, StoredBreak};

table! {
    /// Decisions and approvals.
    REVIEW_ACTS = "review_acts", review_act_columns,
    key { act: Int, }
    changing {}
    fixed {
        scope: Text,
        subject: Text,
        version: Int,
        content: Text,
        about: Text,
        decided_by: Text,
        approved_by: Text,
        at: Int,
        source: Text,
    }
    written {}
}

table! {
    /// Runs of reconciliation.
    RECONCILIATION_RUNS = "reconciliation_runs", reconciliation_run_columns,
    key { run: Int, }
    changing {}
    fixed {
        series: Text,
        day: Text,
        at: Int,
        by_name: Text,
        summary: Text,
    }
    written {}
}

table! {
    /// What a run has read.
    RECONCILIATION_INPUTS = "reconciliation_inputs", reconciliation_input_columns,
    key { run: Int, place: Int, }
    changing {}
    fixed {
        name: Text,
        layout: Text,
        sha256: Text,
        rows: Int,
    }
    written {}
}

table! {
    /// What a run has changed about breaks.
    RECONCILIATION_BREAKS = "reconciliation_breaks", reconciliation_break_columns,
    key { run: Int, place: Int, }
    changing {}
    fixed {
        series: Text,
        break_id: Text,
        state: Text,
        first_seen: Text,
        content: Text,
    }
    written {}
}

/// The states of a break, as stored.
const STATES: [(&str, bool); 2] = [("open", false), ("resolved", true)];

/// A row of [`REVIEW_ACTS`], with its place.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn review_act(row: &dyn SqlRow) -> Result<(i64, ReviewAct), StoreError> {
    let mut row = RowReader::new(row, REVIEW_ACTS.name);
    let place = row.int("act")?;
    let act = ReviewAct {
        scope: row.text("scope")?,
        subject: row.text("subject")?,
        version: row.int("version")?,
        content: row.text("content")?,
        about: row.text("about")?,
        decided_by: row.text("decided_by")?,
        approved_by: row.text_opt("approved_by")?,
        at: row.time("at")?,
        source: row.text("source")?,
    };
    Ok((place, act))
}

/// The columns of [`REVIEW_ACTS`].
#[must_use]
pub fn review_act_cells(place: i64, act: &ReviewAct) -> [Cell<'_>; 10] {
    [
        place.into(),
        act.scope.as_str().into(),
        act.subject.as_str().into(),
        act.version.into(),
        act.content.as_str().into(),
        act.about.as_str().into(),
        act.decided_by.as_str().into(),
        act.approved_by.as_deref().into(),
        act.at.into(),
        act.source.as_str().into(),
    ]
}

/// A row of [`RECONCILIATION_RUNS`], without its inputs.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn reconciliation_run(row: &dyn SqlRow) -> Result<ReconciliationRun, StoreError> {
    let mut row = RowReader::new(row, RECONCILIATION_RUNS.name);
    Ok(ReconciliationRun {
        run: row.int("run")?,
        series: row.text("series")?,
        day: row.text("day")?,
        at: row.time("at")?,
        by: row.text("by_name")?,
        summary: row.text("summary")?,
        inputs: Vec::new(),
    })
}

/// The columns of [`RECONCILIATION_RUNS`].
#[must_use]
pub fn reconciliation_run_cells(run: &ReconciliationRun) -> [Cell<'_>; 6] {
    [
        run.run.into(),
        run.series.as_str().into(),
        run.day.as_str().into(),
        run.at.into(),
        run.by.as_str().into(),
        run.summary.as_str().into(),
    ]
}

/// A row of [`RECONCILIATION_INPUTS`], with the number of its run.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn reconciliation_input(row: &dyn SqlRow) -> Result<(i64, ReconciliationInput), StoreError> {
    let mut row = RowReader::new(row, RECONCILIATION_INPUTS.name);
    let run = row.int("run")?;
    let _place = row.int("place")?;
    let input = ReconciliationInput {
        name: row.text("name")?,
        layout: row.text("layout")?,
        sha256: row.text("sha256")?,
        rows: row.int("rows")?,
    };
    Ok((run, input))
}

/// The columns of [`RECONCILIATION_INPUTS`], a row each.
#[must_use]
pub fn reconciliation_input_cells(run: &ReconciliationRun) -> Vec<[Cell<'_>; 6]> {
    let cells = |(input, place): (_, i64)| {
        let input: &ReconciliationInput = input;
        [
            run.run.into(),
            place.into(),
            input.name.as_str().into(),
            input.layout.as_str().into(),
            input.sha256.as_str().into(),
            input.rows.into(),
        ]
    };
    run.inputs.iter().zip(1..).map(cells).collect()
}

/// A row of [`RECONCILIATION_BREAKS`].
///
/// # Errors
/// [`StoreError::Corrupt`].
pub fn reconciliation_break(row: &dyn SqlRow) -> Result<StoredBreak, StoreError> {
    let mut row = RowReader::new(row, RECONCILIATION_BREAKS.name);
    let _run = (row.int("run")?, row.int("place")?, row.text("series")?);
    let state =
        |word: &str| STATES.iter().find(|(state, _)| *state == word).map(|(_, resolved)| *resolved);
    Ok(StoredBreak {
        break_id: row.text("break_id")?,
        resolved: row.parse("state", state)?,
        first_seen: row.text("first_seen")?,
        content: row.text("content")?,
    })
}

/// The columns of [`RECONCILIATION_BREAKS`], a row each.
#[must_use]
pub fn reconciliation_break_cells<'a>(
    run: &'a ReconciliationRun,
    changes: &'a [StoredBreak],
) -> Vec<[Cell<'a>; 7]> {
    let cells = |(one, place): (&'a StoredBreak, i64)| {
        let state = STATES.iter().find(|(_, resolved)| *resolved == one.resolved);
        [
            run.run.into(),
            place.into(),
            run.series.as_str().into(),
            one.break_id.as_str().into(),
            state.map_or("", |(word, _)| *word).into(),
            one.first_seen.as_str().into(),
            one.content.as_str().into(),
        ]
    };
    changes.iter().zip(1..).map(cells).collect()
}

/// Puts inputs, in the order of run and place, into their runs.
#[must_use]
pub fn with_inputs(
    mut runs: Vec<ReconciliationRun>,
    inputs: Vec<(i64, ReconciliationInput)>,
) -> Vec<ReconciliationRun> {
    for (number, input) in inputs {
        if let Some(run) = runs.iter_mut().find(|run| run.run == number) {
            run.inputs.push(input);
        }
    }
    runs
}
