//! The history of runs in the store.
//!
//! A run is computed from its files first, and then goes on from what the store has at that moment.
//! If another run was recorded in between, it goes on from that one: nothing is read again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use gopay_core::time::Timestamp;
use gopay_reconcile::breaks::{Break, Decided, Decision};
use gopay_reconcile::edited::EditedList;
use gopay_reconcile::history::{Act, Carried, Earlier, History};
use gopay_reconcile::run::Report;
use gopay_store::{
    Database, ReconciliationInput, ReconciliationRun, ReviewAct, StoreError, StoredBreak,
};
use serde::{Deserialize, Serialize};

use crate::reconciliation::{folder, results};

/// Rows read at once.
const PAGE: usize = 1_000;

/// How often a run gives way to others before it gives up.
const TRIES: u32 = 20;

/// Changes about breaks that one run may record. SQLite writes some 150,000 such rows a second, and
/// steps of payments wait meanwhile: a third of a second. More are no month's breaks, but a wrong file.
const CHANGES_MAX: usize = 50_000;

/// The copy of all decisions of a series, beside the results.
const HISTORY_FILE: &str = "history.jsonl";

/// Whose run it is.
pub(crate) struct Series<'a> {
    pub(crate) store: &'a dyn Database,
    /// The name of the history.
    pub(crate) name: &'a str,
    /// Who runs it.
    pub(crate) by: &'a str,
    pub(crate) now: Timestamp,
}

/// What was decided, as the store keeps it.
#[derive(Serialize, Deserialize)]
struct Content {
    decision: Decision,
    reason: String,
}

impl Series<'_> {
    fn scope(&self) -> String {
        format!("breaks/{}", self.name)
    }

    /// What earlier runs have left.
    pub(crate) async fn history(&self) -> anyhow::Result<History> {
        Ok(History::new(self.decided().await?, self.known().await?))
    }

    /// The last decision about each break.
    pub(crate) async fn decided(&self) -> anyhow::Result<BTreeMap<String, Decided>> {
        let acts = self.acts().await?;
        acts.iter().map(|act| Ok((act.subject.clone(), decided_of(act)?))).collect()
    }

    /// Records what people have decided.
    pub(crate) async fn record(&self, acts: &[Act]) -> anyhow::Result<()> {
        let acts: Vec<ReviewAct> =
            acts.iter().map(|act| self.act(act)).collect::<anyhow::Result<_>>()?;
        Ok(self.store.reviews_add(&acts).await?)
    }

    async fn acts(&self) -> anyhow::Result<Vec<ReviewAct>> {
        let (mut acts, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.reviews_after(&self.scope(), after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(acts) };
            after = *last;
            acts.extend(page.into_iter().map(|(_, act)| act));
        }
    }

    async fn known(&self) -> anyhow::Result<BTreeMap<String, Earlier>> {
        let mut known = BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.store.reconciliation_breaks(self.name, &after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(known) };
            after.clone_from(&last.break_id);
            for one in page {
                let found = Break::from_content(&one.content);
                let found =
                    found.with_context(|| format!("break {} of the store", one.break_id))?;
                let (first_seen, open) = (one.first_seen, !one.resolved);
                let earlier = Earlier { first_seen, open, found: Some(Box::new(found)) };
                known.insert(one.break_id, earlier);
            }
        }
    }

    /// Records a run with its decisions, and writes its results. How many breaks are resolved.
    pub(crate) async fn finish(
        &self,
        out: &Path,
        report: &mut Report,
        edited: &[EditedList],
    ) -> anyhow::Result<usize> {
        let found = std::mem::take(&mut report.breaks);
        for _ in 0..TRIES {
            let last = self.store.reconciliation_last().await?;
            let mut history = self.history().await?;
            report.breaks.clone_from(&found);
            history.keep(&mut report.breaks, &report.covered);
            let acts = history.decide(edited, &report.breaks)?;
            let carried = history.carry(&mut report.breaks, report.today);
            let (run, changes) =
                (self.run(last, report)?, changes(&self.known().await?, &carried, report));
            if changes.len() > CHANGES_MAX {
                self.write(out, report).await?;
                bail!(
                    "{} breaks are new, mended or changed at once, which no month is: a file or a \
                     mapping must be wrong. The results are in {}; the run was not recorded, and no \
                     decision taken",
                    changes.len(),
                    out.display()
                );
            }
            let acts: Vec<ReviewAct> =
                acts.iter().map(|act| self.act(act)).collect::<anyhow::Result<_>>()?;
            match self.store.reconciliation_record(&run, &changes, &acts).await {
                Err(StoreError::Conflict | StoreError::Busy) => {}
                Err(error) => return Err(error).context("the run was not recorded"),
                Ok(()) => {
                    self.write(out, report).await?;
                    return Ok(carried.resolved.len());
                }
            }
        }
        bail!("other runs were recorded all the while; run it again when they are over");
    }

    fn run(&self, last: i64, report: &Report) -> anyhow::Result<ReconciliationRun> {
        let input = |file: &gopay_reconcile::reports::InputFile| ReconciliationInput {
            name: file.path.display().to_string(),
            layout: file.layout.clone(),
            sha256: file.sha256.clone(),
            rows: i64::try_from(file.rows).unwrap_or(i64::MAX),
        };
        Ok(ReconciliationRun {
            run: last.saturating_add(1),
            series: self.name.to_owned(),
            day: report.today.to_string(),
            at: self.now,
            by: self.by.to_owned(),
            summary: serde_json::to_string(report).context("the summary of the run")?,
            inputs: report.inputs().map(input).collect(),
        })
    }

    fn act(&self, act: &Act) -> anyhow::Result<ReviewAct> {
        let Act { break_id, decided, source } = act;
        let content = Content { decision: decided.decision, reason: decided.reason.clone() };
        let approved = Some(&decided.approved_by).filter(|name| !name.is_empty());
        Ok(ReviewAct {
            scope: self.scope(),
            subject: break_id.clone(),
            version: decided.version.into(),
            content: serde_json::to_string(&content)?,
            about: decided.values.clone(),
            decided_by: decided.by.clone(),
            approved_by: approved.cloned(),
            at: self.now,
            source: source.clone(),
        })
    }

    async fn write(&self, out: &Path, report: &Report) -> anyhow::Result<()> {
        fs::create_dir_all(out)
            .with_context(|| format!("cannot make the folder {}", out.display()))?;
        let _lock = folder::locked(out)?;
        let acts = self.acts().await?;
        results::written(out, HISTORY_FILE, |file| {
            acts.iter().try_for_each(|act| writeln!(file, "{}", told(act)))
        })?;
        results::write(out, report)
    }
}

fn decided_of(act: &ReviewAct) -> anyhow::Result<Decided> {
    let place = || format!("decision {} about {} in the store", act.version, act.subject);
    let Content { decision, reason } = serde_json::from_str(&act.content).with_context(place)?;
    Ok(Decided {
        decision,
        reason,
        by: act.decided_by.clone(),
        approved_by: act.approved_by.clone().unwrap_or_default(),
        version: u32::try_from(act.version).with_context(place)?,
        values: act.about.clone(),
    })
}

/// A line of the copy.
fn told(act: &ReviewAct) -> serde_json::Value {
    serde_json::json!({
        "break_id": act.subject,
        "version": act.version,
        "decided": serde_json::from_str::<serde_json::Value>(&act.content).unwrap_or_default(),
        "by": act.decided_by,
        "approved_by": act.approved_by,
        "values": act.about,
        "at": act.at.utc_seconds(),
        "source": act.source,
    })
}

/// What the run has changed about breaks. A resolved one keeps the values it had.
fn changes(
    known: &BTreeMap<String, Earlier>,
    carried: &Carried,
    report: &Report,
) -> Vec<StoredBreak> {
    let opened = carried.changed.iter().filter_map(|place| report.breaks.get(*place));
    let opened = opened.map(|one| StoredBreak {
        break_id: one.break_id.to_string(),
        resolved: false,
        first_seen: one.first_seen.map(|day| day.to_string()).unwrap_or_default(),
        content: one.content(),
    });
    let resolved = carried.resolved.iter().map(|(id, first_seen)| StoredBreak {
        break_id: id.clone(),
        resolved: true,
        first_seen: first_seen.clone(),
        content: known
            .get(id)
            .and_then(|one| one.found.as_ref())
            .map_or_else(String::new, |found| found.content()),
    });
    opened.chain(resolved).collect()
}
