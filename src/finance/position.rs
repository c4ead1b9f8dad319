//! Where in the journal a time is.

use std::time::Duration;

use gopay_core::time::Timestamp;
use gopay_store::{Cursor, Database, StoreError, Times};

/// How far the times of neighbours in a shard may be apart against their order: steps that commit
/// late, and clocks that were set. Entries are looked for so much before and after.
pub(crate) const SLACK: Duration = Duration::from_secs(3_600);

/// A position after which every entry of a time and later stands, and few earlier ones. Every shard
/// is searched by halves.
pub(crate) async fn before(store: &dyn Database, at: Timestamp) -> Result<Cursor, StoreError> {
    let (end, at) = (store.journal_end().await?, at.before(SLACK));
    let mut position = Cursor::default();
    for (shard, last) in end.shards() {
        // Everything until `low` is earlier; `high` is not, or is after the end.
        let (mut low, mut high) = (0, last.saturating_add(1));
        while high.saturating_sub(low) > 1 {
            let middle = low.midpoint(high);
            let alone = Cursor::only(shard, middle.saturating_sub(1));
            match store.journal_read(&alone, 1).await?.records.first() {
                Some(record) if record.entry.at < at => low = record.seq,
                Some(_) | None => high = middle,
            }
        }
        position = position.advanced(shard, low);
    }
    Ok(position)
}

/// Between which positions the entries of a range of times stand.
pub(crate) async fn range(
    store: &dyn Database,
    times: Times,
) -> Result<(Cursor, Cursor), StoreError> {
    let from = match times.from {
        Some(from) => before(store, from).await?,
        None => Cursor::default(),
    };
    let to = match times.until {
        // Until what is later by more than the slack.
        Some(until) => before(store, until.after(SLACK).after(SLACK)).await?,
        None => store.journal_end().await?,
    };
    Ok((from, to))
}
