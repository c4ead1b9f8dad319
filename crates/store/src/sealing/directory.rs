//! The directory behind the layer: a change has one data key, and each content its place.

use async_trait::async_trait;
use gopay_core::ids::TxId;

use super::ring::{KeyRing, WrappedKey};
use super::store::SealedStore;
use super::value::{DataKey, Place, SealError, is_sealed};
use crate::{Database, Directories, DirectoryEntry, EntryKind, StoreError};

const CONTENT: &str = "directory_entries.content";

/// Entries that are read at once.
const BATCH: usize = 1_000;

fn number(number: i64) -> Result<TxId, StoreError> {
    TxId::new(number).map_err(|_| StoreError::Corrupt {
        table: "directory_entries",
        column: "entry",
        row: number.to_string(),
    })
}

fn fault(error: SealError, entry: i64) -> StoreError {
    match number(entry) {
        Ok(entry) => error.at(CONTENT, entry),
        Err(corrupt) => corrupt,
    }
}

/// A content is bound to its entry, and to what the entry is about.
fn sealed(key: &DataKey, entry: &DirectoryEntry) -> Result<String, StoreError> {
    let row = format!("{} {}", entry.kind.as_str(), entry.name);
    let place = Place { tx_id: number(entry.entry)?, column: CONTENT, row: &row };
    key.seal_text(place, &entry.content).map_err(|error| fault(error, entry.entry))
}

fn opened(key: &DataKey, entry: &DirectoryEntry) -> Result<String, StoreError> {
    let row = format!("{} {}", entry.kind.as_str(), entry.name);
    let place = Place { tx_id: number(entry.entry)?, column: CONTENT, row: &row };
    key.open_text(place, &entry.content).map_err(|error| fault(error, entry.entry))
}

/// Entries as they were added, of entries as they are stored.
fn open_all(
    ring: &KeyRing,
    mut entries: Vec<DirectoryEntry>,
) -> Result<Vec<DirectoryEntry>, StoreError> {
    let mut last: Option<(i64, DataKey)> = None;
    for entry in &mut entries {
        let stored = entry.key.take();
        if !is_sealed(entry.content.as_bytes()) {
            continue;
        }
        let known = last.as_ref().filter(|(change, _)| *change == entry.change);
        let key = match (known, stored) {
            (Some((_, key)), _) => key.clone(),
            (None, Some(stored)) => {
                let key = ring.unwrap_change(number(entry.change)?, &stored);
                key.map_err(|error| fault(error, entry.entry))?
            }
            (None, None) => return Err(fault(SealError::Broken, entry.entry)),
        };
        entry.content = opened(&key, entry)?;
        last = Some((entry.change, key));
    }
    Ok(entries)
}

#[async_trait]
impl Directories for SealedStore {
    async fn directory_last(&self) -> Result<i64, StoreError> {
        self.engine().directory_last().await
    }

    async fn directory_stored(
        &self,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        self.engine().directory_stored(entry, limit).await
    }

    async fn directory_after(
        &self,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        open_all(&self.ring(), self.engine().directory_stored(entry, limit).await?)
    }

    async fn directory_named(
        &self,
        kind: EntryKind,
        name: &str,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        open_all(&self.ring(), self.engine().directory_named(kind, name, entry, limit).await?)
    }

    async fn directory_add(&self, change: &[DirectoryEntry]) -> Result<(), StoreError> {
        let Some(first) = change.first() else { return Ok(()) };
        let drawn = self.ring().draw_change(number(first.change)?);
        let Some((key, wrapped)) = drawn.map_err(|error| fault(error, first.entry))? else {
            return self.engine().directory_add(change).await;
        };
        let mut entries = change.to_vec();
        for entry in &mut entries {
            entry.content = sealed(&key, entry)?;
            entry.key = Some(wrapped.clone());
        }
        self.engine().directory_add(&entries).await
    }

    async fn directory_seal(
        &self,
        change: i64,
        from: Option<&WrappedKey>,
        to: &WrappedKey,
        contents: &[(i64, String)],
    ) -> Result<bool, StoreError> {
        self.engine().directory_seal(change, from, to, contents).await
    }
}

/// Wraps the keys of changes anew, and seals changes that are plain; how many of each. What another
/// run did meanwhile is left to it.
pub(super) async fn rekey_directory(
    store: &dyn Database,
    ring: &KeyRing,
) -> Result<(u64, u64), StoreError> {
    let (mut sealed, mut rewrapped) = (0_u64, 0_u64);
    let (mut after, mut change) = (0, Vec::new());
    loop {
        let entries = store.directory_stored(after, BATCH).await?;
        let ended = entries.is_empty();
        after = entries.last().map_or(after, |last| last.entry);
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() || (ended && !change.is_empty()) {
            let of = change.first().map(|first: &DirectoryEntry| first.change);
            match entries.next_if(|next| of.is_none_or(|of| of == next.change)) {
                Some(entry) => change.push(entry),
                None => match rekey_change(store, ring, &std::mem::take(&mut change)).await? {
                    Some(true) => sealed = sealed.saturating_add(1),
                    Some(false) => rewrapped = rewrapped.saturating_add(1),
                    None => {}
                },
            }
        }
        if ended {
            return Ok((sealed, rewrapped));
        }
    }
}

/// Whether it was sealed, or its key wrapped anew; none if nothing was to be done.
async fn rekey_change(
    store: &dyn Database,
    ring: &KeyRing,
    entries: &[DirectoryEntry],
) -> Result<Option<bool>, StoreError> {
    let Some(first) = entries.first() else { return Ok(None) };
    let change = number(first.change)?;
    let failed = |error| fault(error, first.entry);
    if let Some(from) = &first.key {
        let Some(to) = ring.rewrap_change(change, from).map_err(failed)? else { return Ok(None) };
        let done = store.directory_seal(first.change, Some(from), &to, &[]).await?;
        return Ok(done.then_some(false));
    }
    let Some((key, to)) = ring.draw_change(change).map_err(failed)? else { return Ok(None) };
    let contents = entries.iter().map(|entry| Ok((entry.entry, sealed(&key, entry)?)));
    let contents: Result<Vec<_>, StoreError> = contents.collect();
    let done = store.directory_seal(first.change, None, &to, &contents?).await?;
    Ok(done.then_some(true))
}
