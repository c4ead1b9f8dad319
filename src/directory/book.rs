//! What was entered, and what is valid when.

use std::collections::{BTreeMap, BTreeSet};

use gopay_core::time::Timestamp;
use gopay_store::{Database, DirectoryEntry, EntryKind, StoreError};
use toml::Table;

use crate::config::{Problem, StoredEntry};

/// Every entry of a store.
pub(crate) struct Book {
    entries: Vec<DirectoryEntry>,
}

/// Kind and name, by which one section follows another.
pub(super) type Subject = (EntryKind, String);

impl Book {
    /// Reads all of it.
    pub(crate) async fn read(store: &dyn Database) -> Result<Self, StoreError> {
        const BATCH: usize = 5_000;
        let mut entries: Vec<DirectoryEntry> = Vec::new();
        loop {
            let after = entries.last().map_or(0, |last| last.entry);
            let batch = store.directory_after(after, BATCH).await?;
            if batch.is_empty() {
                return Ok(Self { entries });
            }
            entries.extend(batch);
        }
    }

    /// The number of the last entry; 0 if there is none.
    pub(crate) fn last(&self) -> i64 {
        self.entries.last().map_or(0, |last| last.entry)
    }

    /// The next moment at which something becomes valid.
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        self.moments(now).into_iter().next()
    }

    /// All such moments after a time.
    pub(super) fn moments(&self, after: Timestamp) -> BTreeSet<Timestamp> {
        let moments = self.entries.iter().map(|entry| entry.valid_from);
        moments.filter(|moment| *moment > after).collect()
    }

    /// Of each subject the entry that is valid at a time: of those that are, the one that is valid
    /// last, and of these the one that was entered last.
    fn valid(&self, at: Timestamp) -> BTreeMap<(EntryKind, &str), &DirectoryEntry> {
        let mut valid: BTreeMap<(EntryKind, &str), &DirectoryEntry> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.valid_from <= at) {
            let known = valid.entry((entry.kind, &entry.name)).or_insert(entry);
            if known.valid_from <= entry.valid_from {
                *known = entry;
            }
        }
        valid
    }

    /// What is valid at a time.
    pub(crate) fn at(&self, at: Timestamp) -> Vec<StoredEntry> {
        self.valid(at).into_values().map(|entry| unread(entry.clone())).collect()
    }

    /// The same of a book that nobody needs any more, so that a hundred thousand are not held twice.
    pub(crate) fn into_entries(self, at: Timestamp) -> Vec<StoredEntry> {
        let valid: BTreeSet<i64> = self.valid(at).into_values().map(|entry| entry.entry).collect();
        let valid = self.entries.into_iter().filter(|entry| valid.contains(&entry.entry));
        valid.map(unread).collect()
    }

    /// The keys of these as they are valid at a time, where they are.
    ///
    /// # Errors
    /// Which entry is none.
    pub(super) fn keys_at(
        &self,
        at: Timestamp,
        subjects: &BTreeSet<(EntryKind, &str)>,
    ) -> Result<BTreeMap<Subject, Table>, Vec<Problem>> {
        let valid = self.valid(at).into_iter().filter(|(subject, _)| subjects.contains(subject));
        let read = |((kind, name), entry): (_, &DirectoryEntry)| {
            let keys = keys(entry).map_err(|problem| vec![problem])?;
            Ok(((kind, String::from(name)), keys))
        };
        valid.map(read).collect()
    }

    /// Of which subjects something becomes valid after one time, and until another.
    pub(super) fn planned(&self, after: Timestamp, until: Timestamp) -> BTreeSet<Subject> {
        let planned =
            |entry: &&DirectoryEntry| (after < entry.valid_from) && entry.valid_from <= until;
        let planned = self.entries.iter().filter(planned);
        planned.map(|entry| (entry.kind, entry.name.clone())).collect()
    }
}

fn unread(entry: DirectoryEntry) -> StoredEntry {
    let DirectoryEntry { entry, kind, name, content, .. } = entry;
    StoredEntry { kind, name, entry, content }
}

/// The keys of an entry.
///
/// # Errors
/// That it is none.
pub(super) fn keys(entry: &DirectoryEntry) -> Result<Table, Problem> {
    unread(entry.clone()).read()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: i64, name: &str, valid_from: i64) -> DirectoryEntry {
        DirectoryEntry {
            entry: number,
            change: number,
            kind: EntryKind::Contract,
            name: name.into(),
            valid_from: Timestamp::from_micros(valid_from),
            at: Timestamp::from_micros(0),
            by: "sri".into(),
            reason: "test".into(),
            content: format!("{{\"n\":{number}}}"),
            key: None,
        }
    }

    #[test]
    fn the_last_that_is_valid_counts_and_of_equals_the_one_entered_last() {
        let book = Book {
            entries: vec![
                entry(1, "a", 10),
                entry(2, "b", 10),
                entry(3, "a", 30),
                entry(4, "a", 20),
                entry(5, "b", 10),
            ],
        };
        for (at, expected) in [
            (9, vec![]),
            (10, vec![("a", 1), ("b", 5)]),
            (20, vec![("a", 4), ("b", 5)]),
            (29, vec![("a", 4), ("b", 5)]),
            (30, vec![("a", 3), ("b", 5)]),
        ] {
            let at = Timestamp::from_micros(at);
            let sections = book.at(at);
            let number = |entry: &StoredEntry| entry.read().unwrap()["n"].as_integer().unwrap();
            let found: Vec<_> =
                sections.iter().map(|one| (one.name.as_str(), number(one))).collect();
            assert_eq!(found, expected);
            let again = Book { entries: book.entries.clone() }.into_entries(at);
            assert_eq!(again.len(), expected.len());
            assert!(again.iter().all(|one| expected.contains(&(&one.name, number(one)))));
        }
        let moments: Vec<i64> =
            book.moments(Timestamp::from_micros(10)).iter().map(|at| at.as_micros()).collect();
        assert_eq!(moments, [20, 30]);
        let planned = |after, until| {
            let [after, until] = [after, until].map(Timestamp::from_micros);
            book.planned(after, until).into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(planned(9, 10), ["a", "b"]);
        assert_eq!(planned(10, 19), Vec::<String>::new());
        assert_eq!(planned(10, 20), ["a"]);
        assert_eq!(book.next(Timestamp::from_micros(30)), None);
        assert_eq!(book.last(), 5);
    }

    #[test]
    fn what_does_not_parse_is_named_and_not_shown() {
        let content = "{\"shared_secret\": hush}".to_owned();
        let book = Book { entries: vec![DirectoryEntry { content, ..entry(7, "a", 1) }] };
        let told = book.at(Timestamp::from_micros(1))[0].read().unwrap_err().to_string();
        assert!(told.starts_with("contract \"a\": entry 7 of the directory"), "{told}");
        assert!(!told.contains("hush"), "{told}");
    }
}
