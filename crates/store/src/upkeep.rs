//! What keeps a store right and small while it grows.

use async_trait::async_trait;

use crate::{StoreError, Totals};

/// Work on the store as a whole, apart from the money path.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// What [`crate::Search::totals`] must be, counted in the rows themselves. Reads every row.
    async fn totals_counted(&self) -> Result<Totals, StoreError>;

    /// Writes the sums by day anew from what is counted in the rows themselves. Reads every row, and
    /// other steps wait meanwhile.
    async fn totals_refill(&self) -> Result<(), StoreError>;
}
