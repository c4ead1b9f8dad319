//! The directory over the admin listener.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use gopay_core::time::Timestamp;
use gopay_service::desk::{
    DirectoryChange, DirectoryChanged, DirectoryDesk, DirectoryError, EntriesAsked, EntryPage,
    EntryRow, SubjectPage, SubjectsAsked,
};
use gopay_store::{EntryKind, StoreError};
use toml::Table;

use super::change::{Changing, Entering, enter};
use super::subjects::{self, row};
use super::{ChangeError, Document, Follower, book};
use crate::config::Problem;

/// Entries looked at for one answer; who wants more goes on from there.
const SCAN_MAX: usize = 20_000;

/// Entries that are read at once.
const BATCH: usize = 1_000;

/// Entries about one name that are read at once: most have a few.
const HISTORY: usize = 50;

pub(crate) struct Desk {
    pub(crate) follower: Arc<Follower>,
    /// The store has a key to seal secrets under.
    pub(crate) sealed: bool,
}

#[async_trait]
impl DirectoryDesk for Desk {
    fn is_in_force(&self) -> bool {
        self.follower.config().is_some()
    }

    async fn subjects(&self, asked: &SubjectsAsked) -> Result<SubjectPage, StoreError> {
        let now = self.follower.clock.now();
        subjects::page(self.follower.store.as_ref(), asked, now).await
    }

    async fn entries(&self, asked: &EntriesAsked) -> Result<EntryPage, StoreError> {
        if let (Some(kind), Some(name)) = (asked.kind, &asked.name) {
            return self.history(kind, name, asked).await;
        }
        let (mut after, mut looked, mut rows) = (asked.after, 0_usize, Vec::new());
        while looked < SCAN_MAX {
            let batch = self.follower.store.directory_after(after, BATCH).await?;
            if batch.is_empty() {
                return Ok(EntryPage { rows, next: None });
            }
            for entry in batch {
                (after, looked) = (entry.entry, looked.saturating_add(1));
                let of_kind = asked.kind.is_none_or(|kind| kind == entry.kind);
                let of_name = asked.name.as_ref().is_none_or(|name| *name == entry.name);
                if of_kind && of_name {
                    rows.push(row(&entry));
                }
                if rows.len() >= asked.limit {
                    return Ok(EntryPage { rows, next: Some(after) });
                }
            }
        }
        Ok(EntryPage { rows, next: Some(after) })
    }

    async fn change(&self, change: DirectoryChange) -> Result<DirectoryChanged, DirectoryError> {
        let valid_from = change.valid_from.as_deref().map(Timestamp::from_rfc3339).transpose();
        let valid_from = valid_from.map_err(|error| {
            DirectoryError::Wrong(vec![format!("valid_from: {error}; valid: a time to come")])
        })?;
        let Some(config) = self.follower.config() else {
            return Err(DirectoryError::Elsewhere);
        };
        let document = Document::of_change(&change).map_err(wrong)?;
        let store = self.follower.store.as_ref();
        let changing = Changing {
            store,
            config: &config,
            may_hold_secrets: self.sealed,
            dry_run: change.dry_run,
        };
        let entering = Entering { by: change.by, reason: change.reason, valid_from };
        let clock = Arc::clone(&self.follower.clock);
        let entered = enter(&changing, &document, &entering, move || clock.now()).await;
        let changed = entered.map_err(|error| match error {
            ChangeError::Problems(problems) => wrong(problems),
            ChangeError::Others => DirectoryError::Others,
            ChangeError::Store(error) => DirectoryError::Store(error),
        })?;
        self.follower.entered();
        Ok(DirectoryChanged {
            change: changed.change,
            entered: changed.entered.values().sum(),
            unchanged: changed.unchanged,
            valid_from: changed.valid_from.as_ref().map(Timestamp::to_string),
            warnings: changed.warnings.iter().map(ToString::to_string).collect(),
        })
    }
}

impl Desk {
    /// What was entered about one, with what each entry has changed.
    async fn history(
        &self,
        kind: EntryKind,
        name: &str,
        asked: &EntriesAsked,
    ) -> Result<EntryPage, StoreError> {
        let (mut at, mut before, mut rows) = (0, None, Vec::new());
        loop {
            let store = &self.follower.store;
            let batch = store.directory_named(kind, name, at, HISTORY).await?;
            // Behind the last of one name comes the next name.
            let ended = batch.len() < HISTORY || batch.last().is_some_and(|last| last.name != name);
            for entry in batch.into_iter().take_while(|entry| entry.name == name) {
                at = entry.entry;
                let keys = book::keys(&entry).ok();
                if at > asked.after {
                    let changed = Some(changed(before.as_ref(), keys.as_ref()));
                    rows.push(EntryRow { changed, ..row(&entry) });
                }
                before = keys;
                if rows.len() > asked.limit {
                    rows.truncate(asked.limit);
                    let next = rows.last().map(|last| last.entry);
                    return Ok(EntryPage { rows, next });
                }
            }
            if ended {
                return Ok(EntryPage { rows, next: None });
            }
        }
    }
}

/// The keys of which one section has something else than another, or that only one has.
fn changed(before: Option<&Table>, after: Option<&Table>) -> Vec<String> {
    let none = Table::new();
    let [before, after] = [before, after].map(|section| section.unwrap_or(&none));
    let all: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |key: &&String| before.get(key.as_str()) != after.get(key.as_str());
    all.into_iter().filter(differs).cloned().collect()
}

fn wrong(problems: Vec<Problem>) -> DirectoryError {
    DirectoryError::Wrong(problems.iter().map(Problem::to_string).collect())
}
