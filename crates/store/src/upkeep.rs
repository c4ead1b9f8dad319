//! What keeps a store right and small while it grows.

use std::ops::Range;

use async_trait::async_trait;
use gopay_core::ids::TxId;
use gopay_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{StoreError, Totals};

/// Files into which the calls and the trails of payments went that were over long ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// 1, 2, 3 ... in the order of their making.
    pub number: i64,
    /// Of which month the payments are, such as `2026-08`.
    pub month: String,
    /// The name of its folder.
    pub name: String,
    /// SHA-256 of the file of payments, in hexadecimal digits.
    pub sha256: String,
    /// How many payments are in it.
    pub payments: u64,
    /// How many records of trails.
    pub events: u64,
    /// What of it succeeded, in sen.
    pub succeeded_sen: u64,
    /// Nothing in it is younger.
    pub before: Timestamp,
    /// When it was written and read back.
    pub written_at: Timestamp,
    /// How many payments have left their call and trail to it.
    pub taken: u64,
    /// When all had that were still as they are in it.
    pub ended_at: Option<Timestamp>,
}

/// What an archive holds of one payment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// Which.
    pub tx_id: TxId,
    /// Its row, by columns; bytes in hexadecimal digits. The row stays in the store.
    pub payment: Map<String, Value>,
    /// Its call as it was stored.
    pub call: String,
    /// Its trail as it was stored.
    pub events: Vec<FiledEvent>,
}

gopay_core::shows_nothing!("Filed", Filed);

/// A record of a trail in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiledEvent {
    /// Its place in the trail.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// A stable word.
    pub kind: String,
    /// What was known, as it was stored.
    pub detail: String,
}

/// What leaves the store for an archive.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaving {
    /// The payment.
    pub tx_id: TxId,
    /// The records that are in the archive.
    pub seqs: Vec<i64>,
    /// What stays of the call.
    pub call: String,
}

gopay_core::shows_nothing!("Leaving", Leaving);

/// Work on the store as a whole, apart from the money path.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// What [`crate::Search::totals`] must be, counted in the rows themselves. Reads every row.
    async fn totals_counted(&self) -> Result<Totals, StoreError>;

    /// Writes the sums by day anew from what is counted in the rows themselves. Reads every row, and
    /// other steps wait meanwhile.
    async fn totals_refill(&self) -> Result<(), StoreError>;

    /// Payments with ids in this range whose call and trail nobody needs any more, in the order of
    /// their ids, at most `limit`: final since before then, and not checked any more; with no money in
    /// doubt, nor of another transaction; all refunds resolved before then, all deliveries confirmed; in no archive.
    async fn archivable(
        &self,
        ids: Range<i64>,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<TxId>, StoreError>;

    /// What an archive keeps of these payments, in the order of their ids, without those that are not
    /// there.
    async fn archive_read(&self, tx_ids: &[TxId]) -> Result<Vec<Filed>, StoreError>;

    /// Reads what is sealed in what an archive holds.
    async fn archive_open(&self, filed: Filed) -> Result<Filed, StoreError> {
        Ok(filed)
    }

    /// Every archive, in the order of their numbers.
    async fn archives(&self) -> Result<Vec<Archive>, StoreError>;

    /// Enters an archive whose files are durable. [`StoreError::Conflict`] if its number is not the
    /// next, or one before it has not ended.
    async fn archive_begin(&self, archive: &Archive) -> Result<(), StoreError>;

    /// Takes records out of the store that are in an archive that has not ended, and leaves of calls
    /// what is said; how many payments left. Those that are no longer [`Upkeep::archivable`] stay as
    /// they are, and a record that came after the archive was written stays in the store.
    async fn archive_take(&self, number: i64, leaving: &[Leaving]) -> Result<u64, StoreError>;

    /// No more will be taken for an archive.
    async fn archive_end(&self, number: i64, at: Timestamp) -> Result<(), StoreError>;

    /// The number of the archive that has the call and the trail of a payment.
    async fn archive_of(&self, tx_id: TxId) -> Result<Option<i64>, StoreError>;

    /// Puts calls and records of an archive back into the store, of those payments that are in it;
    /// how many were. Records that came meanwhile stay, behind those that were there before.
    async fn archive_give_back(&self, number: i64, filed: &[Filed]) -> Result<u64, StoreError>;
}
