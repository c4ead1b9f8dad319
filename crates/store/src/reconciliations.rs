//! Runs of reconciliation: what each read, and what it changed about the breaks of its series.
//!
//! A series is a history: its runs go on from each other. The breaks of a series are the last rows
//! of their ids. A run goes into the store as a whole, with the decisions that it read, or not at
//! all; of two at once one comes first, and the other goes on from it.

use async_trait::async_trait;
use gopay_core::time::Timestamp;

use crate::{ReviewAct, StoreError};

/// A run as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationRun {
    /// 1, 2, 3 ... over all series.
    pub run: i64,
    /// Runs that go on from each other.
    pub series: String,
    /// The day that ages were counted to, `YYYY-MM-DD`.
    pub day: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// Counts and tie-outs, as JSON.
    pub summary: String,
    /// What it read.
    pub inputs: Vec<ReconciliationInput>,
}

/// A file that a run has read, or the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconciliationInput {
    /// Path, or `the store`.
    pub name: String,
    /// What it was read as.
    pub layout: String,
    /// Of its content, in hexadecimal digits.
    pub sha256: String,
    /// How many rows.
    pub rows: i64,
}

/// A break since a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBreak {
    /// The same in every run.
    pub break_id: String,
    /// No longer there.
    pub resolved: bool,
    /// The day of the run that found it first, `YYYY-MM-DD`.
    pub first_seen: String,
    /// Kind, values, cause and the rest, as JSON.
    pub content: String,
}

/// The runs of a store.
#[async_trait]
pub trait Reconciliations: Send + Sync {
    /// The number of the last run of all series; 0 if there was none.
    async fn reconciliation_last(&self) -> Result<i64, StoreError>;

    /// The runs of a series after a number, in order, at most `limit`.
    async fn reconciliation_runs(
        &self,
        series: &str,
        run: i64,
        limit: usize,
    ) -> Result<Vec<ReconciliationRun>, StoreError>;

    /// Every break of a series as it is since its last change, resolved ones too, in the order of
    /// ids after one, at most `limit`.
    async fn reconciliation_breaks(
        &self,
        series: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<StoredBreak>, StoreError>;

    /// Records a run with what it changed about breaks and the acts that it read: all of it is
    /// durable, or none.
    ///
    /// [`StoreError::Conflict`] if its number is not the next, or as [`crate::Reviews::reviews_add`].
    async fn reconciliation_record(
        &self,
        run: &ReconciliationRun,
        changes: &[StoredBreak],
        acts: &[ReviewAct],
    ) -> Result<(), StoreError>;
}

impl ReconciliationRun {
    /// Whether it may follow the last run of the store.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if its number is not the next.
    pub fn follows(&self, last: i64) -> Result<(), StoreError> {
        if last.checked_add(1) == Some(self.run) { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
