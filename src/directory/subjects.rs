//! Accounts, PSPs and contracts by name: what is in force of each, and what is to come.

use std::collections::BTreeMap;

use gopay_core::time::Timestamp;
use gopay_service::desk::{EntryRow, SubjectPage, SubjectRow, SubjectsAsked};
use gopay_store::{Database, DirectoryEntry, StoreError};

use super::{book, secrets};

/// Entries read at once.
const BATCH: usize = 200;

/// What was entered about one of them, as far as it still counts.
struct Subject {
    name: String,
    entries: usize,
    in_force: Option<DirectoryEntry>,
    /// Of those that are valid from one moment on the one entered last counts.
    coming: BTreeMap<Timestamp, DirectoryEntry>,
}

impl Subject {
    fn named(name: String) -> Self {
        Self { name, entries: 0, in_force: None, coming: BTreeMap::new() }
    }

    /// Entries come in the order of their numbers.
    fn take(&mut self, entry: DirectoryEntry, now: Timestamp) {
        self.entries = self.entries.saturating_add(1);
        if entry.valid_from > now {
            self.coming.insert(entry.valid_from, entry);
        } else if self.in_force.as_ref().is_none_or(|known| known.valid_from <= entry.valid_from) {
            self.in_force = Some(entry);
        }
    }

    fn into_row(self, kind: &'static str) -> SubjectRow {
        let Self { name, entries, in_force, coming } = self;
        let (in_force, coming) = (in_force.as_ref().map(row), coming.values().map(row).collect());
        SubjectRow { kind, name, entries, in_force, coming }
    }
}

/// See [`gopay_service::desk::DirectoryDesk::subjects`].
pub(super) async fn page(
    store: &dyn Database,
    asked: &SubjectsAsked,
    now: Timestamp,
) -> Result<SubjectPage, StoreError> {
    let (mut name, mut entry) = match &asked.after {
        Some(after) if *after >= asked.begins => (after.clone(), i64::MAX),
        _ => (asked.begins.clone(), 0),
    };
    let kind = asked.kind.as_str();
    let (mut rows, mut open): (Vec<SubjectRow>, Option<Subject>) = (Vec::new(), None);
    loop {
        let batch = store.directory_named(asked.kind, &name, entry, BATCH).await?;
        let mut ended = batch.len() < BATCH;
        for found in batch {
            if !found.name.starts_with(&asked.begins) {
                ended = true;
                break;
            }
            name.clone_from(&found.name);
            entry = found.entry;
            let same = open.take_if(|open| open.name == found.name);
            rows.extend(open.take().map(|done| done.into_row(kind)));
            if rows.len() >= asked.limit {
                let next = rows.last().map(|last| last.name.clone());
                return Ok(SubjectPage { rows, next });
            }
            let mut subject = same.unwrap_or_else(|| Subject::named(found.name.clone()));
            subject.take(found, now);
            open = Some(subject);
        }
        if ended {
            rows.extend(open.map(|done| done.into_row(kind)));
            return Ok(SubjectPage { rows, next: None });
        }
    }
}

/// An entry without its secrets.
pub(super) fn row(entry: &DirectoryEntry) -> EntryRow {
    let keys = book::keys(entry).ok().map(|mut keys| {
        secrets::mask(entry.kind, &mut keys);
        keys
    });
    EntryRow {
        entry: entry.entry,
        change: entry.change,
        kind: entry.kind.as_str(),
        name: entry.name.clone(),
        valid_from: entry.valid_from.to_string(),
        at: entry.at.to_string(),
        by: entry.by.clone(),
        reason: entry.reason.clone(),
        keys: keys.and_then(|keys| serde_json::to_value(keys).ok()),
        changed: None,
    }
}

#[cfg(test)]
mod tests {
    use gopay_store::EntryKind;

    use super::*;

    fn entry(number: i64, valid_from: i64) -> DirectoryEntry {
        DirectoryEntry {
            entry: number,
            change: number,
            kind: EntryKind::Contract,
            name: "a".into(),
            valid_from: Timestamp::from_micros(valid_from),
            at: Timestamp::from_micros(0),
            by: "sri".into(),
            reason: "test".into(),
            content: "{}".into(),
            key: None,
        }
    }

    #[test]
    fn what_is_valid_last_is_in_force_and_of_equals_the_one_entered_last() {
        let mut subject = Subject::named("a".into());
        let entries = [(1, 10), (2, 40), (3, 20), (4, 10), (5, 40), (6, 30)];
        for (number, valid_from) in entries {
            subject.take(entry(number, valid_from), Timestamp::from_micros(25));
        }
        let row = subject.into_row("contract");
        assert_eq!(row.entries, 6);
        assert_eq!(row.in_force.map(|one| one.entry), Some(3));
        assert_eq!(row.coming.iter().map(|one| one.entry).collect::<Vec<_>>(), [6, 5]);
    }
}
