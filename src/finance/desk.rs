//! Corrections in the store, as people review them while the service runs: by the same rules as the
//! lines that `adjust` reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use gopay_finance::period::day_of;
use gopay_finance::terms::AccountTerms;
use gopay_service::desk::{
    AdjustmentAct, AdjustmentFilter, AdjustmentView, Adjustments, BookError, Numbered,
    SettledContract, Walk,
};
use gopay_service::{Clock, StoreError};
use gopay_store::{ClosedSettlement, Database, SettlementAccount, StoredAdjustment};

use crate::finance::adjustments;
use crate::finance::approvals::{self, Standing};

/// What an act was read from.
const SOURCE: &str = "the console";

/// Settlements read at once.
const PAGE: i64 = 16;

/// The corrections of a store.
pub(crate) struct StoredAdjustments {
    pub(crate) store: Arc<dyn Database>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Every account of the config.
    pub(crate) accounts: Vec<AccountTerms>,
}

/// What cannot be read is as if the store did not answer; a rule that is broken says which.
fn refused(error: anyhow::Error) -> BookError {
    match error.downcast::<StoreError>() {
        Ok(StoreError::Conflict) => {
            BookError::Refused("somebody else was faster; look again".to_owned())
        }
        Ok(StoreError::Invalid { column, why, .. }) => {
            BookError::Refused(format!("{column}: {why}"))
        }
        Ok(error) => error.into(),
        Err(error) => BookError::Refused(format!("{error:#}")),
    }
}

impl StoredAdjustments {
    fn account_of(&self, contract: &str) -> Option<&AccountTerms> {
        self.accounts
            .iter()
            .find(|account| account.contracts.iter().any(|settled| settled.contract == contract))
    }

    fn currency_of(&self, account: &AccountTerms) -> Option<String> {
        let day = day_of(self.clock.now());
        account.at(day).map(|terms| terms.currency.to_string())
    }

    fn view(&self, account: &AccountTerms, standing: Standing) -> AdjustmentView {
        let Standing { place, at, adjustment } = standing;
        let StoredAdjustment { id, contract, amount, reason, by, approved_by } = adjustment;
        AdjustmentView {
            act: place,
            at: at.to_string(),
            account: account.account.to_string(),
            id,
            contract,
            currency: self.currency_of(account),
            amount,
            reason,
            by,
            approved_by: Some(approved_by).filter(|by| !by.is_empty()),
            settled_in: None,
        }
    }

    /// Says of those that were approved which settlement has taken them: the chain is read backwards,
    /// and no further than the first of their approvals.
    async fn find_settlements(
        &self,
        account: SettlementAccount,
        rows: &mut [AdjustmentView],
    ) -> Result<(), StoreError> {
        let name = account.to_string();
        let mut open: BTreeMap<String, &mut AdjustmentView> = rows
            .iter_mut()
            .filter(|row| row.account == name && row.approved_by.is_some())
            .map(|row| (row.id.clone(), row))
            .collect();
        let head = self.store.settlement_head(account).await?;
        let mut end = head.map_or(0, |head| head.ordinal);
        while end > 0 && !open.is_empty() {
            let after = end.saturating_sub(PAGE).max(0);
            let count = usize::try_from(end.saturating_sub(after)).unwrap_or(0);
            let page = self.store.settlements_after(account, after, count).await?;
            let first = open.values().map(|row| row.at.clone()).min().unwrap_or_default();
            let older = page.first().is_some_and(|closed| closed.closed_at.to_string() < first);
            for closed in page {
                for one in &closed.adjustments {
                    if let Some(row) = open.remove(&one.id) {
                        row.settled_in = Some(period_of(&closed));
                    }
                }
            }
            if older {
                break;
            }
            end = after;
        }
        Ok(())
    }
}

/// As the console calls it: `D 2026-331`.
fn period_of(closed: &ClosedSettlement) -> String {
    format!("{} {}-{:02}", closed.frequency, closed.year, closed.number)
}

#[async_trait]
impl Adjustments for StoredAdjustments {
    fn contracts(&self) -> Vec<SettledContract> {
        let of = |account: &'_ AccountTerms| -> Vec<SettledContract> {
            let currency = self.currency_of(account);
            let contracts = account.contracts.iter().map(|settled| SettledContract {
                contract: settled.contract.clone(),
                account: account.account.to_string(),
                currency: currency.clone(),
            });
            contracts.collect()
        };
        self.accounts.iter().flat_map(of).collect()
    }

    async fn list(
        &self,
        filter: &AdjustmentFilter,
        walk: Walk,
        limit: usize,
    ) -> Result<Numbered<AdjustmentView>, BookError> {
        let mut rows = Vec::new();
        for account in &self.accounts {
            let standing = approvals::standing(self.store.as_ref(), account.account).await;
            let standing = standing.map_err(refused)?;
            rows.extend(standing.into_iter().map(|one| self.view(account, one)));
        }
        rows.retain(|row| filter.takes(row));
        let mut page = walk.page(rows, limit, |row| row.act);
        for account in &self.accounts {
            self.find_settlements(account.account, &mut page.rows).await?;
        }
        Ok(page)
    }

    async fn act(&self, act: &AdjustmentAct) -> Result<AdjustmentView, BookError> {
        let approver = act.approved_by.as_deref().unwrap_or_default();
        let cells = [&act.id, &act.contract, &act.amount, &act.reason, &act.by, approver];
        let one = adjustments::checked(cells);
        let one = one.map_err(|error| BookError::Field(format!("{error:#}")))?;
        let Some(account) = self.account_of(&one.contract) else {
            return Err(BookError::Unknown(format!("contract {:?} is not settled", one.contract)));
        };
        let (store, id) = (self.store.as_ref(), one.id.clone());
        let acts = [(account.account, one)];
        let done = approvals::act(store, &acts, SOURCE, self.clock.now()).await.map_err(refused)?;
        if done == [approvals::Done::Nothing] {
            return Err(BookError::Refused(format!("{id}: it stands as it is already")));
        }
        let standing = approvals::standing(store, account.account).await.map_err(refused)?;
        let standing = standing.into_iter().find(|one| one.adjustment.id == id);
        let unread = || BookError::Unknown(format!("{id} is not there"));
        Ok(self.view(account, standing.ok_or_else(unread)?))
    }
}
