//! Corrections of settlements, as people ask for them and approve them while the service runs.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{BookError, Numbered, Walk};

/// How far a correction is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdjustmentState {
    /// Another person has to approve it.
    Asked,
    /// A settlement takes it, or has taken it.
    Approved,
}

impl AdjustmentState {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Asked, Self::Approved];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Approved => "approved",
        }
    }
}

/// Which corrections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdjustmentFilter {
    /// So far.
    pub state: Option<AdjustmentState>,
    /// Of this contract.
    pub contract: Option<String>,
}

impl AdjustmentFilter {
    /// Whether a correction is one of them.
    #[must_use]
    pub fn takes(&self, row: &AdjustmentView) -> bool {
        let state = match row.approved_by {
            None => AdjustmentState::Asked,
            Some(_) => AdjustmentState::Approved,
        };
        self.state.is_none_or(|wanted| wanted == state)
            && self.contract.as_ref().is_none_or(|wanted| *wanted == row.contract)
    }
}

/// A correction as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdjustmentView {
    /// The place of its last act: a later one takes it to the top.
    pub act: i64,
    /// When that was.
    pub at: String,
    /// Whose settlements: `1-999`.
    pub account: String,
    /// Used once within an account.
    pub id: String,
    /// The contract.
    pub contract: String,
    /// The settlement currency, by the terms of today.
    pub currency: Option<String>,
    /// In hundredths of it; below zero if it takes away.
    pub amount: i64,
    /// Why.
    pub reason: String,
    /// Who has asked for it.
    pub by: String,
    /// Who has approved it; none: another person still has to.
    pub approved_by: Option<String>,
    /// The settlement that holds it, such as `D 2026-331`.
    pub settled_in: Option<String>,
}

/// What somebody asks for or approves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdjustmentAct {
    /// Used once within an account.
    pub id: String,
    /// The contract.
    pub contract: String,
    /// In the settlement currency: `-12.50`.
    pub amount: String,
    /// Why; of an approval, as it was asked for.
    pub reason: String,
    /// Who asks; of an approval, who has asked.
    pub by: String,
    /// Who approves; none: this asks for it.
    #[serde(default)]
    pub approved_by: Option<String>,
}

/// A contract whose settlements can be corrected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledContract {
    /// `contractid`.
    pub contract: String,
    /// `1-999`.
    pub account: String,
    /// The settlement currency, by the terms of today.
    pub currency: Option<String>,
}

/// Corrections of settlements. It knows their rules, which the service does not.
#[async_trait]
pub trait Adjustments: Send + Sync {
    /// The contracts that are settled.
    fn contracts(&self) -> Vec<SettledContract>;

    /// Corrections by their last act, from a place on, at most `limit`.
    async fn list(
        &self,
        filter: &AdjustmentFilter,
        walk: Walk,
        limit: usize,
    ) -> Result<Numbered<AdjustmentView>, BookError>;

    /// Records what somebody asks for or approves.
    async fn act(&self, act: &AdjustmentAct) -> Result<AdjustmentView, BookError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_is_asked_for_until_somebody_has_approved_it() {
        let row = |approved_by: Option<&str>| AdjustmentView {
            act: 1,
            at: String::new(),
            account: "1-999".to_owned(),
            id: "C-1".to_owned(),
            contract: "SHOP".to_owned(),
            currency: None,
            amount: -1_250,
            reason: String::new(),
            by: "ana".to_owned(),
            approved_by: approved_by.map(str::to_owned),
            settled_in: None,
        };
        for (state, contract, approved_by, takes) in [
            (None, None, None, true),
            (Some(AdjustmentState::Asked), None, None, true),
            (Some(AdjustmentState::Asked), Some("SHOP"), Some("budi"), false),
            (Some(AdjustmentState::Approved), Some("SHOP"), Some("budi"), true),
            (Some(AdjustmentState::Approved), None, None, false),
            (None, Some("OTHER"), None, false),
        ] {
            let filter = AdjustmentFilter { state, contract: contract.map(str::to_owned) };
            assert_eq!(filter.takes(&row(approved_by)), takes, "{filter:?} {approved_by:?}");
        }
    }
}
