//! Settlements and reconciliations, as they are in the store.

use async_trait::async_trait;
use gopay_store::{ClosedSettlement, ReconciliationRun, SettlementAccount, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Listing, Numbered, Order, Walk};
use crate::Service;

/// A closed settlement. Amounts are in hundredths of its currency.
#[derive(Clone, Debug, Serialize)]
pub struct SettlementRow {
    /// `1-999`.
    pub account: String,
    /// Its place in the chain, from 1.
    pub ordinal: i64,
    /// `D`, `W` or `M`.
    pub frequency: String,
    /// The year of the period.
    pub year: u16,
    /// Its number within the year.
    pub number: u16,
    /// The first instant of the period.
    pub from: String,
    /// The first instant after it.
    pub until: String,
    /// When the transfer starts, `YYYY-MM-DD`.
    pub settlement_date: String,
    /// The settlement currency.
    pub currency: String,
    /// Carried forward from the settlement before.
    pub opening: i64,
    /// Released less held back.
    pub reserve: i64,
    /// Transferred.
    pub transfer: i64,
    /// Carried forward to the next.
    pub carry_forward: i64,
    /// SHA-256 of its manifest: the head of the chain.
    pub manifest_sha256: String,
    /// When it was closed.
    pub closed_at: String,
    /// Who closed it.
    pub closed_by: String,
    /// The rows of its aggregate, as its manifest has them.
    pub rows: Value,
    /// The exchange rate, as its manifest has it.
    pub rate: Value,
    /// Its files, as its manifest has them.
    pub files: Value,
    /// Corrections that it holds.
    pub adjustments: Vec<AdjustmentRow>,
}

/// A correction by two people.
#[derive(Clone, Debug, Serialize)]
pub struct AdjustmentRow {
    /// Used once within an account.
    pub id: String,
    /// The contract.
    pub contract: String,
    /// In hundredths of the settlement's currency.
    pub amount: i64,
    /// Why.
    pub reason: String,
    /// Who asked for it.
    pub by: String,
    /// Who approved it.
    pub approved_by: String,
}

impl From<ClosedSettlement> for SettlementRow {
    fn from(closed: ClosedSettlement) -> Self {
        let manifest: Value = serde_json::from_str(&closed.manifest).unwrap_or_default();
        let adjustments = closed.adjustments.into_iter().map(|one| AdjustmentRow {
            id: one.id,
            contract: one.contract,
            amount: one.amount,
            reason: one.reason,
            by: one.by,
            approved_by: one.approved_by,
        });
        Self {
            account: closed.account.to_string(),
            ordinal: closed.ordinal,
            frequency: closed.frequency,
            year: closed.year,
            number: closed.number,
            from: closed.from.to_string(),
            until: closed.until.to_string(),
            settlement_date: closed.settlement_date,
            currency: closed.currency,
            opening: closed.opening,
            reserve: closed.reserve,
            transfer: closed.transfer,
            carry_forward: closed.carry_forward,
            manifest_sha256: closed.manifest_sha256,
            closed_at: closed.closed_at.to_string(),
            closed_by: closed.closed_by,
            rows: manifest.get("rows").cloned().unwrap_or_default(),
            rate: manifest.pointer("/basis/rate").cloned().unwrap_or_default(),
            files: manifest.get("files").cloned().unwrap_or_default(),
            adjustments: adjustments.collect(),
        }
    }
}

/// A run of reconciliation.
#[derive(Clone, Debug, Serialize)]
pub struct RunRow {
    /// 1, 2, 3 ... over all series.
    pub run: i64,
    /// Runs that go on from each other.
    pub series: String,
    /// The day that ages were counted to.
    pub day: String,
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// Counts and tie-outs.
    pub summary: Value,
    /// What it read.
    pub inputs: Vec<InputRow>,
}

/// A file that a run has read, or the store.
#[derive(Clone, Debug, Serialize)]
pub struct InputRow {
    /// Path, or `the store`.
    pub name: String,
    /// What it was read as.
    pub layout: String,
    /// Of its content.
    pub sha256: String,
    /// How many rows.
    pub rows: i64,
}

impl From<ReconciliationRun> for RunRow {
    fn from(run: ReconciliationRun) -> Self {
        let inputs = run.inputs.into_iter().map(|input| InputRow {
            name: input.name,
            layout: input.layout,
            sha256: input.sha256,
            rows: input.rows,
        });
        Self {
            run: run.run,
            series: run.series,
            day: run.day,
            at: run.at.to_string(),
            by: run.by,
            summary: serde_json::from_str(&run.summary).unwrap_or_default(),
            inputs: inputs.collect(),
        }
    }
}

/// Which account a text names: `1-999`.
fn account_of(text: &str) -> Option<SettlementAccount> {
    let (entity, client) = text.split_once('-')?;
    Some(SettlementAccount { entity: entity.parse().ok()?, client: client.parse().ok()? })
}

impl Service {
    /// The last settlement of every account.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn settlement_heads(&self) -> Result<Vec<SettlementRow>, StoreError> {
        let heads = self.0.store.settlement_heads().await?;
        Ok(heads.into_iter().map(SettlementRow::from).collect())
    }

    /// The settlements of an account from a place in its chain on; none if there is no such account.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn settlements(
        &self,
        account: &str,
        walk: Walk,
        limit: usize,
    ) -> Result<Option<Numbered<SettlementRow>>, StoreError> {
        let Some(account) = account_of(account) else { return Ok(None) };
        let Some(head) = self.0.store.settlement_head(account).await? else { return Ok(None) };
        // One more than fit, so that it is known whether there are more.
        let count = limit.saturating_add(1);
        let after = match walk.order {
            Order::OldestFirst => walk.from.unwrap_or(0),
            Order::NewestFirst => {
                let end = walk.from.unwrap_or(i64::MAX).min(head.ordinal.saturating_add(1));
                let span = i64::try_from(count).unwrap_or(i64::MAX);
                end.saturating_sub(1).saturating_sub(span).max(0)
            }
        };
        let rows = self.0.store.settlements_after(account, after, count).await?;
        let page = walk.page(rows, limit, |closed| closed.ordinal);
        let rows = page.rows.into_iter().map(SettlementRow::from).collect();
        Ok(Some(Numbered { rows, next: page.next }))
    }

    /// The runs of a series from a number on.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reconciliation_runs(
        &self,
        series: &str,
        walk: Walk,
        limit: usize,
    ) -> Result<Numbered<RunRow>, StoreError> {
        if walk.order == Order::OldestFirst {
            let (after, count) = (walk.from.unwrap_or(0), limit.saturating_add(1));
            let found = self.0.store.reconciliation_runs(series, after, count).await?;
            let page = walk.page(found, limit, |run| run.run);
            let rows = page.rows.into_iter().map(RunRow::from).collect();
            return Ok(Numbered { rows, next: page.next });
        }
        self.last_runs(series, walk.from, limit).await
    }

    /// The runs of a series before a number, newest first.
    async fn last_runs(
        &self,
        series: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Numbered<RunRow>, StoreError> {
        /// Numbers looked through at once: other series have numbers too.
        const WINDOW: i64 = 200;
        let store = &self.0.store;
        let mut end = store.reconciliation_last().await?.saturating_add(1);
        end = end.min(before.unwrap_or(i64::MAX));
        let mut rows = Vec::new();
        while end > 1 && rows.len() < limit {
            let after = end.saturating_sub(1).saturating_sub(WINDOW).max(0);
            let many = usize::try_from(WINDOW).unwrap_or(usize::MAX);
            let mut found = store.reconciliation_runs(series, after, many).await?;
            found.retain(|run| run.run < end);
            rows.extend(found.into_iter().rev().map(RunRow::from));
            end = after.saturating_add(1);
        }
        let more = rows.len() > limit || end > 1;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.run);
        Ok(Numbered { rows, next })
    }
}

/// A break of a series, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BreakRow {
    /// The same in every run.
    pub break_id: String,
    /// How it differs.
    pub kind: String,
    /// The payment.
    pub txid: Option<String>,
    /// The refund.
    pub refundid: Option<String>,
    /// Our value.
    pub ours: String,
    /// The other's value.
    pub theirs: String,
    /// Ours less theirs, where both are amounts.
    pub difference: Option<String>,
    /// Of the amounts.
    pub currency: String,
    /// The likely cause.
    pub cause: String,
    /// The day it is about.
    pub day: Option<String>,
    /// What can be lost or is owed at most.
    pub at_risk: String,
    /// File and line.
    pub place: String,
    /// The day of the run that found it first.
    pub first_seen: String,
    /// No longer there.
    pub resolved: bool,
    /// How often it was decided, and the sign of its values: to be repeated by who decides.
    pub version: String,
    /// What was decided, if something was.
    pub decided: Option<DecidedRow>,
}

/// What was decided about a break.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecidedRow {
    /// What is done about it.
    pub decision: String,
    /// Why.
    pub reason: String,
    /// Who has decided.
    pub by: String,
    /// Who has approved it.
    pub approved_by: Option<String>,
    /// It was about other values than the break has now.
    pub outdated: bool,
    /// It counts: another person has approved it, about these values, and it was not withdrawn.
    pub holds: bool,
}

/// Which breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are there.
    Open,
    /// Those that are there and about which nothing holds.
    Undecided,
    /// Those that wait for the approval of a second person.
    Unapproved,
    /// All that ever were.
    All,
}

impl Which {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Open, Self::Undecided, Self::Unapproved, Self::All];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Undecided => "undecided",
            Self::Unapproved => "unapproved",
            Self::All => "all",
        }
    }

    /// Whether a break is one of them.
    #[must_use]
    pub fn takes(self, row: &BreakRow) -> bool {
        let holds = row.decided.as_ref().is_some_and(|decided| decided.holds);
        let waits = row.decided.as_ref().is_some_and(|decided| {
            (decided.approved_by.is_none() || decided.outdated) && decided.decision != "open"
        });
        match self {
            Self::All => true,
            Self::Open => !row.resolved,
            Self::Undecided => !row.resolved && !holds,
            Self::Unapproved => !row.resolved && waits,
        }
    }
}

/// In which order breaks are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BreakOrder {
    /// By their ids: a page costs the same wherever it is.
    #[default]
    Id,
    /// What puts most at risk first.
    Risk,
    /// What was seen first.
    Age,
}

impl BreakOrder {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Id, Self::Risk, Self::Age];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Risk => "risk",
            Self::Age => "age",
        }
    }
}

/// Which breaks, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakFilter {
    /// By what was decided about them.
    pub which: Which,
    /// Of this kind.
    pub kind: Option<String>,
    /// Which comes first.
    pub order: BreakOrder,
}

impl BreakFilter {
    /// Whether a break is one of them.
    #[must_use]
    pub fn takes(&self, row: &BreakRow) -> bool {
        self.which.takes(row) && self.kind.as_ref().is_none_or(|kind| *kind == row.kind)
    }
}

/// What somebody decides or approves about a break.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakAct {
    /// `accept`, `write_off`, `claim`, `correct` or `open`; of an approval, what was decided.
    pub decision: String,
    /// Why; of an approval, as it was decided.
    pub reason: String,
    /// Who decides; of an approval, who has decided.
    pub by: String,
    /// Who approves; none: this is a decision.
    #[serde(default)]
    pub approved_by: Option<String>,
    /// [`BreakRow::version`], as it was when they looked.
    pub version: String,
}

/// Why nothing was decided or corrected, or nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// There is no such break or contract, or none that could be decided about.
    #[error("{0}")]
    Unknown(String),
    /// A field is not what it must be; names it.
    #[error("{0}")]
    Field(String),
    /// It does not go by the rules; says which.
    #[error("{0}")]
    Refused(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Breaks and decisions of reconciliation. It knows their rules, which the service does not.
#[async_trait]
pub trait BreakReview: Send + Sync {
    /// The words of all kinds of breaks.
    fn kinds(&self) -> Vec<&'static str>;

    /// The breaks of a series after one of an id, in the order of the filter, at most `limit`.
    async fn breaks(
        &self,
        series: &str,
        filter: &BreakFilter,
        after: &str,
        limit: usize,
    ) -> Result<Listing<BreakRow>, BookError>;

    /// One break; none if there is none of this id.
    async fn one(&self, series: &str, break_id: &str) -> Result<Option<BreakRow>, BookError>;

    /// Stores what somebody decides or approves.
    async fn act(
        &self,
        series: &str,
        break_id: &str,
        act: &BreakAct,
    ) -> Result<BreakRow, BookError>;
}
