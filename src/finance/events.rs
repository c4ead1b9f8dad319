//! Reading the money events of a settlement out of the journal.

use std::path::Path;

use anyhow::Context as _;
use gopay_finance::basis::Basis;
use gopay_finance::event::MoneyEvent;
use gopay_finance::membership::{Membership, NextRead};
use gopay_store::{Cursor, Database, JOURNAL_PAGE_MAX, JournalRecord};

use crate::finance::sort::{Sorted, Sorter};
use crate::terminal::Progress;

/// Reads the journal from one position to another, in the order of each shard.
pub(crate) async fn read(
    store: &dyn Database,
    from: &Cursor,
    to: &Cursor,
    mut each: impl FnMut(&JournalRecord) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let count = |cursor: &Cursor| cursor.shards().map(|(_, seq)| seq.unsigned_abs()).sum::<u64>();
    let before = count(from);
    let mut progress = Progress::new("entries", Some(count(to).saturating_sub(before)));
    let mut position = from.clone();
    while !position.covers(to) {
        let page = store.journal_read(&position, JOURNAL_PAGE_MAX).await?;
        if page.records.is_empty() {
            anyhow::bail!("the journal ends before the position that it was read to");
        }
        for record in &page.records {
            if record.seq <= to.position(record.shard) {
                each(record)?;
            }
        }
        position = page.next;
        progress.at(count(&position).saturating_sub(before));
    }
    Ok(())
}

/// The members of a settlement that concern it, in the order of rows, and the position from which
/// the next settlement has to read.
pub(crate) async fn members(
    store: &dyn Database,
    basis: &Basis,
    membership: &Membership,
    (from, to): (&Cursor, &Cursor),
    scratch: &Path,
) -> anyhow::Result<(Sorted, Cursor)> {
    let mut next = NextRead::new(from, membership.until());
    let mut sorter = Sorter::new(scratch.to_owned());
    read(store, from, to, |record| {
        next.see(record);
        if membership.contains(record)
            && let Some(event) = MoneyEvent::of(record)?
            && basis.concerns(&event).is_some()
        {
            sorter.push(event).context("sorting events")?;
        }
        Ok(())
    })
    .await?;
    Ok((sorter.sorted().context("sorting events")?, next.position()))
}
