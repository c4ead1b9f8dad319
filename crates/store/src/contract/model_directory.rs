//! The directory in the model.

use async_trait::async_trait;

use super::model::Model;
use crate::sealing::WrappedKey;
use crate::{Directories, DirectoryEntry, EntryKind, StoreError};

#[async_trait]
impl Directories for Model {
    async fn directory_last(&self) -> Result<i64, StoreError> {
        Ok(self.rows().directory.last().map_or(0, |last| last.entry))
    }

    async fn directory_stored(
        &self,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        let rows = self.rows();
        let later = rows.directory.iter().filter(|one| one.entry > entry);
        Ok(later.take(limit).cloned().collect())
    }

    async fn directory_named(
        &self,
        kind: EntryKind,
        name: &str,
        entry: i64,
        limit: usize,
    ) -> Result<Vec<DirectoryEntry>, StoreError> {
        let place = |one: &DirectoryEntry| (one.name.clone(), one.entry);
        let mut found = self.rows().directory.clone();
        found.retain(|one| one.kind == kind && place(one) > (name.to_owned(), entry));
        found.sort_by_key(place);
        found.truncate(limit);
        Ok(found)
    }

    async fn directory_add(&self, change: &[DirectoryEntry]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        let last = rows.directory.last().map_or(0, |last| last.entry);
        DirectoryEntry::all_follow(change, last)?;
        rows.directory.extend_from_slice(change);
        Ok(())
    }

    async fn directory_seal(
        &self,
        change: i64,
        from: Option<&WrappedKey>,
        to: &WrappedKey,
        contents: &[(i64, String)],
    ) -> Result<bool, StoreError> {
        let mut rows = self.rows();
        let of_change = |entry: &&mut DirectoryEntry| entry.change == change;
        let mut found: Vec<_> = rows.directory.iter_mut().filter(of_change).collect();
        if found.first().is_none_or(|first| first.key.as_ref() != from) {
            return Ok(false);
        }
        for entry in &mut found {
            entry.key = Some(to.clone());
            if let Some((_, content)) = contents.iter().find(|(number, _)| *number == entry.entry) {
                entry.content.clone_from(content);
            }
        }
        Ok(true)
    }
}
