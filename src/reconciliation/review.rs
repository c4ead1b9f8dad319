//! Breaks in the store, as people review them while the service runs: by the same rules as in the
//! edited lists that `reconcile` reads.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use gopay_reconcile::breaks::{Break, BreakId, Decided, Decision, Kind};
use gopay_reconcile::edited::EditedList;
use gopay_reconcile::history::DecisionsError;
use gopay_reconcile::money::Money;
use gopay_service::desk::{
    BookError, BreakAct, BreakFilter, BreakOrder, BreakReview, BreakRow, DecidedRow, Listing,
};
use gopay_service::{Clock, StoreError};
use gopay_store::{Database, StoredBreak};

use super::stored::Series;

/// What a decision was read from.
const SOURCE: &str = "the console";

/// Breaks read at once.
const PAGE: usize = 500;

/// How often somebody gives way to others.
const TRIES: u32 = 5;

/// Breaks looked at for one answer; who wants more goes on from there.
const SCAN_MAX: usize = 5_000;

/// Breaks that are sorted at most: 20 MB of them. A series has as many after a month in which one payment
/// in a hundred of two million broke.
const SORT_MAX: usize = 20_000;

/// The breaks of a store.
pub(crate) struct StoredReview {
    pub(crate) store: Arc<dyn Database>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl StoredReview {
    fn series<'a>(&'a self, name: &'a str, by: &'a str) -> Series<'a> {
        Series { store: self.store.as_ref(), name, by, now: self.clock.now() }
    }

    /// The last decision about each break.
    async fn decided(&self, series: &str) -> Result<BTreeMap<String, Decided>, BookError> {
        self.series(series, "").decided().await.map_err(broken)
    }

    /// The breaks after one of an id, in another order than that of the store.
    async fn sorted(
        &self,
        series: &str,
        filter: &BreakFilter,
        after: &str,
        limit: usize,
    ) -> Result<Listing<BreakRow>, BookError> {
        let decided = self.decided(series).await?;
        let (mut rows, mut from, mut last) = (Vec::new(), None, String::new());
        loop {
            let page = self.store.reconciliation_breaks(series, &last, PAGE).await?;
            let full = page.len() == PAGE;
            for stored in page {
                last.clone_from(&stored.break_id);
                let Some(found) = Break::from_content(&stored.content) else { continue };
                let risk = found.at_risk;
                let one = row_of(&stored, found, decided.get(&stored.break_id));
                let rank = rank(filter.order, risk, &one);
                // The row of the place itself may fit no more: somebody has decided about it meanwhile.
                if one.break_id == after {
                    from = Some(rank.clone());
                }
                if filter.takes(&one) {
                    rows.push((rank, one));
                }
                if rows.len() > SORT_MAX {
                    let why = format!(
                        "order: more than {SORT_MAX} fit; narrow them by kind, or list them by id"
                    );
                    return Err(BookError::Refused(why));
                }
            }
            if !full {
                break;
            }
        }
        rows.retain(|(rank, _)| from.as_ref().is_none_or(|from| rank > from));
        rows.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let rows: Vec<BreakRow> = rows.into_iter().map(|(_, row)| row).collect();
        let next = rows.last().filter(|_| more).map(|row| row.break_id.clone());
        Ok(Listing { rows, next })
    }

    /// A break by its id.
    async fn stored(&self, series: &str, id: &BreakId) -> Result<Option<StoredBreak>, BookError> {
        /// As many ids as there are signs share all but the last of theirs.
        const NEAR: usize = 33;
        // In any order of letters, what begins with a text comes behind it.
        let near = id.as_str().split_at(id.as_str().len().saturating_sub(1)).0;
        let found = self.store.reconciliation_breaks(series, near, NEAR).await?;
        Ok(found.into_iter().find(|one| one.break_id == id.as_str()))
    }
}

/// The place of a break in an order: less comes first, and no two are alike.
type Rank = (Reverse<Money>, String, String);

fn rank(order: BreakOrder, at_risk: Money, row: &BreakRow) -> Rank {
    let (risk, age) = match order {
        BreakOrder::Id => (Money::ZERO, String::new()),
        // As numbers, whatever the currency: nearly all are rupiah.
        BreakOrder::Risk => (at_risk, String::new()),
        BreakOrder::Age => (Money::ZERO, row.first_seen.clone()),
    };
    (Reverse(risk), age, row.break_id.clone())
}

/// What cannot be read is as if the store did not answer.
fn broken(error: anyhow::Error) -> BookError {
    match error.downcast::<StoreError>() {
        Ok(error) => error.into(),
        Err(error) => StoreError::Down(error.into()).into(),
    }
}

/// The first thing that is wrong, without the place in a list, as there is none, and without the break,
/// so that it begins with the field if one is the cause.
fn refused(error: DecisionsError, id: &BreakId) -> BookError {
    let why = error.0.first().and_then(|why| why.split_once(": "));
    let of_break = format!("{id}: ");
    BookError::Refused(why.map_or_else(
        || error.to_string(),
        |(_, why)| why.strip_prefix(&of_break).unwrap_or(why).to_owned(),
    ))
}

fn row(stored: &StoredBreak, decided: Option<&Decided>) -> Option<BreakRow> {
    Some(row_of(stored, Break::from_content(&stored.content)?, decided))
}

fn row_of(stored: &StoredBreak, found: Break, decided: Option<&Decided>) -> BreakRow {
    let sign = found.values_sign();
    let version = decided.map_or(0, |decided| decided.version);
    let decided = decided.map(|decided| {
        let outdated = decided.values != sign;
        DecidedRow {
            decision: decided.decision.as_str().to_owned(),
            reason: decided.reason.clone(),
            by: decided.by.clone(),
            approved_by: Some(decided.approved_by.clone()).filter(|by| !by.is_empty()),
            outdated,
            holds: decided.holds() && !outdated,
        }
    });
    BreakRow {
        break_id: stored.break_id.clone(),
        kind: found.kind.as_str().to_owned(),
        txid: found.txid,
        refundid: found.refundid,
        ours: found.ours,
        theirs: found.theirs,
        difference: found.difference.map(|amount| amount.to_string()),
        currency: found.currency,
        cause: found.cause,
        day: found.day.map(|day| day.to_string()),
        at_risk: found.at_risk.to_string(),
        place: found.place,
        first_seen: stored.first_seen.clone(),
        resolved: stored.resolved,
        version: format!("v{version}-{sign}"),
        decided,
    }
}

#[async_trait]
impl BreakReview for StoredReview {
    fn kinds(&self) -> Vec<&'static str> {
        Kind::ALL.map(Kind::as_str).to_vec()
    }

    async fn breaks(
        &self,
        series: &str,
        filter: &BreakFilter,
        after: &str,
        limit: usize,
    ) -> Result<Listing<BreakRow>, BookError> {
        if filter.order != BreakOrder::Id {
            return self.sorted(series, filter, after, limit).await;
        }
        let decided = self.decided(series).await?;
        let mut found = Listing { rows: Vec::new(), next: None };
        let (mut after, mut seen) = (after.to_owned(), 0_usize);
        loop {
            let page = self.store.reconciliation_breaks(series, &after, PAGE).await?;
            let full = page.len() == PAGE;
            for stored in page {
                if found.rows.len() == limit || seen == SCAN_MAX {
                    found.next = Some(after);
                    return Ok(found);
                }
                seen = seen.saturating_add(1);
                let one = row(&stored, decided.get(&stored.break_id));
                found.rows.extend(one.filter(|row| filter.takes(row)));
                after = stored.break_id;
            }
            if !full {
                return Ok(found);
            }
        }
    }

    async fn one(&self, series: &str, break_id: &str) -> Result<Option<BreakRow>, BookError> {
        let Some(id) = BreakId::parse(break_id) else { return Ok(None) };
        let Some(stored) = self.stored(series, &id).await? else { return Ok(None) };
        Ok(row(&stored, self.decided(series).await?.get(id.as_str())))
    }

    async fn act(
        &self,
        series: &str,
        break_id: &str,
        act: &BreakAct,
    ) -> Result<BreakRow, BookError> {
        let unknown = || BookError::Unknown(format!("{break_id} is no break of this series"));
        let id = BreakId::parse(break_id).ok_or_else(unknown)?;
        let stored = self.stored(series, &id).await?.ok_or_else(unknown)?;
        if stored.resolved {
            return Err(BookError::Refused(format!(
                "{id} is resolved; there is nothing to decide"
            )));
        }
        let found = Break::from_content(&stored.content).ok_or_else(unknown)?;
        if Decision::of(&act.decision).is_none() {
            let words = Decision::ALL.map(Decision::as_str).join(", ");
            return Err(BookError::Refused(format!("decision: must be one of {words}")));
        }
        let approver = act.approved_by.as_deref().unwrap_or_default();
        let cells = [break_id, &act.decision, &act.reason, &act.by, approver, &act.version];
        let list = EditedList::of_one(SOURCE, cells);
        let by = if approver.is_empty() { &act.by } else { approver };
        let series = self.series(series, by);
        for _ in 0..TRIES {
            let mut history = series.history().await.map_err(broken)?;
            let present = std::slice::from_ref(&found);
            let acts = history.decide(std::slice::from_ref(&list), present);
            let acts = acts.map_err(|error| refused(error, &id))?;
            if acts.is_empty() {
                let why = format!("{id}: that was decided before, as it is");
                return Err(BookError::Refused(why));
            }
            match series.record(&acts).await.map_err(broken) {
                // Somebody else was faster, maybe about another break: the rules are asked again.
                Err(BookError::Store(StoreError::Conflict)) => {}
                Err(BookError::Store(StoreError::Invalid { column, why, .. })) => {
                    return Err(BookError::Refused(format!("{column}: {why}")));
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    let decided = self.decided(series.name).await?;
                    return row(&stored, decided.get(id.as_str())).ok_or_else(unknown);
                }
            }
        }
        Err(StoreError::Busy.into())
    }
}
