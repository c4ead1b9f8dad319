//! Runs of reconciliation, and what was decided.

use std::sync::LazyLock;

use gopay_store::rows::{
    self, RECONCILIATION_BREAKS, RECONCILIATION_INPUTS, RECONCILIATION_RUNS, REVIEW_ACTS,
};
use gopay_store::{
    ReconciliationRun, ReviewAct, StoreError, StoredBreak, reconciliation_break_columns,
    reconciliation_input_columns, reconciliation_run_columns, review_act_columns,
};
use rusqlite::{Connection, params};

use crate::query::{all, first, limit_cell, write_cells};
use crate::settlements::insert;

pub(crate) fn reviews_after(
    db: &Connection,
    scope: &str,
    act: i64,
    limit: usize,
) -> Result<Vec<(i64, ReviewAct)>, StoreError> {
    let sql = concat!(
        "-- reviews_after\nSELECT ",
        review_act_columns!(),
        " FROM review_acts WHERE scope = ?1 AND act > ?2 ORDER BY act LIMIT ?3"
    );
    all(db, sql, params![scope, act, limit_cell(limit)], rows::review_act)
}

/// The last act of a subject.
fn last_act(db: &Connection, act: &ReviewAct) -> Result<Option<ReviewAct>, StoreError> {
    let sql = concat!(
        "-- reviews_add: last\nSELECT ",
        review_act_columns!(),
        " FROM review_acts WHERE scope = ?1 AND subject = ?2 ORDER BY version DESC LIMIT 1"
    );
    Ok(first(db, sql, params![act.scope, act.subject], rows::review_act)?.map(|(_, act)| act))
}

static INSERT_ACT: LazyLock<String> = LazyLock::new(|| insert(&REVIEW_ACTS));

pub(crate) fn reviews_add(db: &Connection, acts: &[ReviewAct]) -> Result<(), StoreError> {
    let mut last = Vec::new();
    for act in acts {
        last.extend(last_act(db, act)?);
    }
    ReviewAct::all_follow(acts, &last)?;
    let sql = concat!(
        "-- reviews_add: place\nSELECT ",
        review_act_columns!(),
        " FROM review_acts ORDER BY act DESC LIMIT 1"
    );
    let before = first(db, sql, [], rows::review_act)?.map_or(0, |(place, _)| place);
    for (act, place) in acts.iter().zip(before.saturating_add(1)..) {
        write_cells(db, &INSERT_ACT, &rows::review_act_cells(place, act))?;
    }
    Ok(())
}

pub(crate) fn reconciliation_last(db: &Connection) -> Result<i64, StoreError> {
    let sql = concat!(
        "-- reconciliation_last\nSELECT ",
        reconciliation_run_columns!(),
        " FROM reconciliation_runs ORDER BY run DESC LIMIT 1"
    );
    Ok(first(db, sql, [], rows::reconciliation_run)?.map_or(0, |run| run.run))
}

pub(crate) fn reconciliation_runs(
    db: &Connection,
    series: &str,
    run: i64,
    limit: usize,
) -> Result<Vec<ReconciliationRun>, StoreError> {
    let sql = concat!(
        "-- reconciliation_runs\nSELECT ",
        reconciliation_run_columns!(),
        " FROM reconciliation_runs WHERE series = ?1 AND run > ?2 ORDER BY run LIMIT ?3"
    );
    let runs = all(db, sql, params![series, run, limit_cell(limit)], rows::reconciliation_run)?;
    let sql = concat!(
        "-- reconciliation_runs: inputs\nSELECT ",
        reconciliation_input_columns!(),
        " FROM reconciliation_inputs WHERE run = ?1 ORDER BY run, place"
    );
    let mut inputs = Vec::new();
    for one in &runs {
        inputs.extend(all(db, sql, [one.run], rows::reconciliation_input)?);
    }
    Ok(rows::with_inputs(runs, inputs))
}

pub(crate) fn reconciliation_breaks(
    db: &Connection,
    series: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<StoredBreak>, StoreError> {
    let sql = concat!(
        "-- reconciliation_breaks\nSELECT ",
        reconciliation_break_columns!(),
        " FROM reconciliation_breaks b WHERE series = ?1 AND break_id > ?2 AND NOT EXISTS (
            SELECT 1 FROM reconciliation_breaks later WHERE later.series = b.series
                AND later.break_id = b.break_id AND later.run > b.run)
        ORDER BY break_id LIMIT ?3"
    );
    all(db, sql, params![series, after, limit_cell(limit)], rows::reconciliation_break)
}

static INSERT_RUN: LazyLock<String> = LazyLock::new(|| insert(&RECONCILIATION_RUNS));
static INSERT_INPUT: LazyLock<String> = LazyLock::new(|| insert(&RECONCILIATION_INPUTS));
static INSERT_BREAK: LazyLock<String> = LazyLock::new(|| insert(&RECONCILIATION_BREAKS));

pub(crate) fn reconciliation_record(
    db: &Connection,
    run: &ReconciliationRun,
    changes: &[StoredBreak],
    acts: &[ReviewAct],
) -> Result<(), StoreError> {
    run.follows(reconciliation_last(db)?)?;
    write_cells(db, &INSERT_RUN, &rows::reconciliation_run_cells(run))?;
    for cells in rows::reconciliation_input_cells(run) {
        write_cells(db, &INSERT_INPUT, &cells)?;
    }
    for cells in rows::reconciliation_break_cells(run, changes) {
        write_cells(db, &INSERT_BREAK, &cells)?;
    }
    reviews_add(db, acts)
}
