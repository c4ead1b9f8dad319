//! Runs of reconciliation, and what was decided.

use std::sync::LazyLock;

use gopay_store::rows::{
    self, RECONCILIATION_BREAKS, RECONCILIATION_INPUTS, RECONCILIATION_RUNS, REVIEW_ACTS,
};
use gopay_store::{
    ReconciliationRun, ReviewAct, StoredBreak, reconciliation_break_columns,
    reconciliation_input_columns, reconciliation_run_columns, review_act_columns,
};
use tokio_postgres::Row;

use crate::error::DbError;
use crate::row::{Cells, Columns, insert_many, limit_cell, read_all, read_opt};
use crate::session::Session;

pub(crate) async fn reviews_after(
    session: &Session,
    scope: &str,
    act: i64,
    limit: usize,
) -> Result<Vec<(i64, ReviewAct)>, DbError> {
    let sql = concat!(
        "-- reviews_after\nSELECT ",
        review_act_columns!(),
        " FROM review_acts WHERE scope = $1 AND act > $2 ORDER BY act LIMIT $3"
    );
    let found = session.rows(sql, &[&scope, &act, &limit_cell(limit)]).await?;
    Ok(read_all(&found, rows::review_act)?)
}

/// The last acts of the subjects, and the last act of all.
const LAST_ACTS: &str = concat!(
    "-- reviews_add: last\nSELECT DISTINCT ON (scope, subject) ",
    review_act_columns!(),
    " FROM review_acts WHERE (scope, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))
    ORDER BY scope, subject, version DESC"
);
const LAST_ACT: &str = concat!(
    "-- reviews_add: place\nSELECT ",
    review_act_columns!(),
    " FROM review_acts ORDER BY act DESC LIMIT 1"
);
const LAST_RUN: &str = concat!(
    "-- reconciliation_last\nSELECT ",
    reconciliation_run_columns!(),
    " FROM reconciliation_runs ORDER BY run DESC LIMIT 1"
);

static INSERT_ACTS: LazyLock<String> =
    LazyLock::new(|| format!("-- review_acts: insert\n{}", insert_many(&REVIEW_ACTS)));

/// Scopes and subjects of acts, as two lists.
fn subjects(acts: &[ReviewAct]) -> (Vec<&str>, Vec<&str>) {
    acts.iter().map(|act| (act.scope.as_str(), act.subject.as_str())).unzip()
}

/// The acts with their places, if they follow what was read.
fn act_columns<'a>(
    acts: &'a [ReviewAct],
    last: &[Row],
    last_of_all: Option<&Row>,
) -> Result<Columns<'a>, DbError> {
    let last: Vec<_> = read_all(last, rows::review_act)?.into_iter().map(|(_, act)| act).collect();
    ReviewAct::all_follow(acts, &last)?;
    let before = read_opt(last_of_all, rows::review_act)?.map_or(0, |(place, _)| place);
    let mut columns = Columns::new(REVIEW_ACTS.columns.len());
    for (act, place) in acts.iter().zip(before.saturating_add(1)..) {
        columns.push(rows::review_act_cells(place, act));
    }
    Ok(columns)
}

/// What comes before is read without a lock: of two that come at once, the keys let only one in.
pub(crate) async fn reviews_add(session: &Session, acts: &[ReviewAct]) -> Result<(), DbError> {
    if acts.is_empty() {
        return Ok(());
    }
    let (scopes, names) = subjects(acts);
    let [last, of_all] = session
        .begin_all([Some((LAST_ACTS, vec![&scopes, &names])), Some((LAST_ACT, vec![]))])
        .await?;
    let columns = act_columns(acts, &last, of_all.first())?;
    session.run_and_commit(&INSERT_ACTS, &columns.values()).await
}

pub(crate) async fn reconciliation_last(session: &Session) -> Result<i64, DbError> {
    let row = session.row(LAST_RUN, &[]).await?;
    Ok(read_opt(row.as_ref(), rows::reconciliation_run)?.map_or(0, |run| run.run))
}

pub(crate) async fn reconciliation_runs(
    session: &Session,
    series: &str,
    run: i64,
    limit: usize,
) -> Result<Vec<ReconciliationRun>, DbError> {
    let sql = concat!(
        "-- reconciliation_runs\nSELECT ",
        reconciliation_run_columns!(),
        " FROM reconciliation_runs WHERE series = $1 AND run > $2 ORDER BY run LIMIT $3"
    );
    let found = session.rows(sql, &[&series, &run, &limit_cell(limit)]).await?;
    let runs = read_all(&found, rows::reconciliation_run)?;
    let sql = concat!(
        "-- reconciliation_runs: inputs\nSELECT ",
        reconciliation_input_columns!(),
        " FROM reconciliation_inputs WHERE run = ANY($1) ORDER BY run, place"
    );
    let numbers: Vec<i64> = runs.iter().map(|run| run.run).collect();
    let found = session.rows(sql, &[&numbers]).await?;
    Ok(rows::with_inputs(runs, read_all(&found, rows::reconciliation_input)?))
}

pub(crate) async fn reconciliation_breaks(
    session: &Session,
    series: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<StoredBreak>, DbError> {
    let sql = concat!(
        "-- reconciliation_breaks\nSELECT ",
        reconciliation_break_columns!(),
        " FROM reconciliation_breaks b WHERE series = $1 AND break_id > $2 AND NOT EXISTS (
            SELECT FROM reconciliation_breaks later WHERE later.series = b.series
                AND later.break_id = b.break_id AND later.run > b.run)
        ORDER BY break_id LIMIT $3"
    );
    let found = session.rows(sql, &[&series, &after, &limit_cell(limit)]).await?;
    Ok(read_all(&found, rows::reconciliation_break)?)
}

static INSERT_RUN: LazyLock<String> = LazyLock::new(|| {
    let (names, places) = (RECONCILIATION_RUNS.names(), RECONCILIATION_RUNS.places('$'));
    format!(
        "-- reconciliation_runs: insert\nINSERT INTO reconciliation_runs ({names}) VALUES ({places})"
    )
});
static INSERT_INPUTS: LazyLock<String> = LazyLock::new(|| {
    format!("-- reconciliation_inputs: insert\n{}", insert_many(&RECONCILIATION_INPUTS))
});
static INSERT_BREAKS: LazyLock<String> = LazyLock::new(|| {
    format!("-- reconciliation_breaks: insert\n{}", insert_many(&RECONCILIATION_BREAKS))
});

pub(crate) async fn reconciliation_record(
    session: &Session,
    run: &ReconciliationRun,
    changes: &[StoredBreak],
    acts: &[ReviewAct],
) -> Result<(), DbError> {
    let (scopes, names) = subjects(acts);
    let [last_run, last, of_all] = session
        .begin_all([
            Some((LAST_RUN, vec![])),
            Some((LAST_ACTS, vec![&scopes, &names])),
            Some((LAST_ACT, vec![])),
        ])
        .await?;
    let before = read_opt(last_run.first(), rows::reconciliation_run)?.map_or(0, |run| run.run);
    run.follows(before)?;
    let acts = act_columns(acts, &last, of_all.first())?;
    let cells = Cells::of(rows::reconciliation_run_cells(run));
    let mut inputs = Columns::new(RECONCILIATION_INPUTS.columns.len());
    for cells in rows::reconciliation_input_cells(run) {
        inputs.push(cells);
    }
    let mut breaks = Columns::new(RECONCILIATION_BREAKS.columns.len());
    for cells in rows::reconciliation_break_cells(run, changes) {
        breaks.push(cells);
    }
    let some = |sql: &'static str, columns: &Columns<'_>| (!columns.is_empty()).then_some(sql);
    let (input_sql, break_sql, act_sql) =
        (some(&INSERT_INPUTS, &inputs), some(&INSERT_BREAKS, &breaks), some(&INSERT_ACTS, &acts));
    session
        .run_all_and_commit([
            Some((INSERT_RUN.as_str(), cells.values())),
            input_sql.map(|sql| (sql, inputs.values())),
            break_sql.map(|sql| (sql, breaks.values())),
            act_sql.map(|sql| (sql, acts.values())),
        ])
        .await
}
