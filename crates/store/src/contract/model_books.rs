//! What finance closes and people decide, in the model.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::model::Model;
use crate::{
    ClosedSettlement, ReconciliationRun, Reconciliations, ReviewAct, Reviews, SettlementAccount,
    Settlements, StoreError, StoredBreak,
};

#[async_trait]
impl Settlements for Model {
    async fn settlement_head(
        &self,
        account: SettlementAccount,
    ) -> Result<Option<ClosedSettlement>, StoreError> {
        Ok(self.settlements_after(account, 0, usize::MAX).await?.pop())
    }

    async fn settlement_heads(&self) -> Result<Vec<ClosedSettlement>, StoreError> {
        let rows = self.rows();
        let chains = rows.settlements.iter().map(|((account, _), closed)| (*account, closed));
        let last: BTreeMap<_, _> = chains.collect();
        let plain = |closed: &ClosedSettlement| ClosedSettlement {
            adjustments: Vec::new(),
            ..closed.clone()
        };
        Ok(last.into_values().map(plain).collect())
    }

    async fn settlements_after(
        &self,
        account: SettlementAccount,
        ordinal: i64,
        limit: usize,
    ) -> Result<Vec<ClosedSettlement>, StoreError> {
        let rows = self.rows();
        let chain = rows.settlements.range((account, ordinal + 1)..=(account, i64::MAX));
        Ok(chain.take(limit).map(|(_, closed)| closed.clone()).collect())
    }

    async fn settlement_close(&self, closed: &ClosedSettlement) -> Result<(), StoreError> {
        let mut rows = self.rows();
        let account = closed.account;
        let chain: Vec<_> = rows
            .settlements
            .range((account, 0)..=(account, i64::MAX))
            .map(|(_, one)| one)
            .collect();
        closed.follows(chain.last().copied())?;
        let used = chain.iter().flat_map(|one| &one.adjustments).chain(&closed.adjustments);
        let mut ids = std::collections::BTreeSet::new();
        if !used.into_iter().all(|one| ids.insert(&one.id)) {
            return Err(StoreError::Conflict);
        }
        rows.settlements.insert((account, closed.ordinal), closed.clone());
        Ok(())
    }
}

#[async_trait]
impl Reviews for Model {
    async fn reviews_after(
        &self,
        scope: &str,
        act: i64,
        limit: usize,
    ) -> Result<Vec<(i64, ReviewAct)>, StoreError> {
        let rows = self.rows();
        let placed = (1..).zip(&rows.acts);
        let found = placed.filter(|(place, one)| *place > act && one.scope == scope);
        Ok(found.take(limit).map(|(place, one)| (place, one.clone())).collect())
    }

    async fn reviews_add(&self, acts: &[ReviewAct]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        ReviewAct::all_follow(acts, &rows.acts)?;
        rows.acts.extend_from_slice(acts);
        Ok(())
    }
}

#[async_trait]
impl Reconciliations for Model {
    async fn reconciliation_last(&self) -> Result<i64, StoreError> {
        Ok(self.rows().runs.last().map_or(0, |run| run.run))
    }

    async fn reconciliation_runs(
        &self,
        series: &str,
        run: i64,
        limit: usize,
    ) -> Result<Vec<ReconciliationRun>, StoreError> {
        let rows = self.rows();
        let found = rows.runs.iter().filter(|one| one.series == series && one.run > run);
        Ok(found.take(limit).cloned().collect())
    }

    async fn reconciliation_breaks(
        &self,
        series: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredBreak>, StoreError> {
        let rows = self.rows();
        let found = rows.breaks.iter().filter(|((of, id), _)| of == series && id.as_str() > after);
        Ok(found.take(limit).map(|(_, one)| one.clone()).collect())
    }

    async fn reconciliation_record(
        &self,
        run: &ReconciliationRun,
        changes: &[StoredBreak],
        acts: &[ReviewAct],
    ) -> Result<(), StoreError> {
        let mut rows = self.rows();
        run.follows(rows.runs.last().map_or(0, |run| run.run))?;
        ReviewAct::all_follow(acts, &rows.acts)?;
        rows.runs.push(run.clone());
        rows.acts.extend_from_slice(acts);
        for one in changes {
            rows.breaks.insert((run.series.clone(), one.break_id.clone()), one.clone());
        }
        Ok(())
    }
}
