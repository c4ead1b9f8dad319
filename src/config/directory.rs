//! `[directory]`: where PSPs, contracts and accounts stand; and those of the store put beside the
//! file, so that one reader checks both.

use gopay_store::EntryKind;
use toml::{Table, Value};

use super::report::Problem;
use super::section::Section;

/// Where PSPs and contracts stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the config file.
    #[default]
    File,
    /// In the store.
    Store,
}

/// A section that stands in the store, or shall.
#[derive(Clone)]
pub(crate) struct StoredSection {
    pub(crate) kind: EntryKind,
    pub(crate) name: String,
    pub(crate) keys: Table,
}

/// The same before it is read. Where there are a hundred thousand each is read when it is its turn: read,
/// they take several times the room.
#[derive(Clone)]
pub(crate) struct StoredEntry {
    pub(crate) kind: EntryKind,
    pub(crate) name: String,
    /// Its number.
    pub(crate) entry: i64,
    /// The keys, as JSON.
    pub(crate) content: String,
}

impl StoredEntry {
    /// Reads it.
    ///
    /// # Errors
    /// That it is none.
    pub(crate) fn read(&self) -> Result<Table, Problem> {
        // Not the error, which may repeat what stands there.
        serde_json::from_str(&self.content).map_err(|_| Problem {
            key: format!("{} {:?}", self.kind.as_str(), self.name),
            wrong: format!("entry {} of the directory does not parse", self.entry),
            wanted: "what `directory import` wrote",
        })
    }

    /// The same as a section.
    ///
    /// # Errors
    /// That it is none.
    pub(crate) fn into_section(self) -> Result<StoredSection, Problem> {
        let keys = self.read()?;
        Ok(StoredSection { kind: self.kind, name: self.name, keys })
    }
}

/// Where the sections of PSPs and contracts are.
pub(super) enum Placed {
    /// In the file.
    File,
    /// In the store, which is not at hand.
    Elsewhere,
    /// In the store, not read yet.
    Stored {
        /// PSPs.
        clients: Vec<StoredEntry>,
        /// Contracts.
        contracts: Vec<StoredEntry>,
    },
}

impl Source {
    /// That of a file before it is read; what is wrong with it is said when it is.
    pub(super) fn of(root: &Table) -> Self {
        let source = root.get("directory").and_then(|directory| directory.get("source"));
        if source.and_then(Value::as_str) == Some("store") { Self::Store } else { Self::File }
    }
}

pub(super) fn read_directory(directory: &mut Section<'_>, source: &mut Source) {
    match directory.text("source").as_deref() {
        None => {}
        Some("file") => *source = Source::File,
        Some("store") => *source = Source::Store,
        Some(_) => directory.problem("source", "not a source", "file or store"),
    }
}

/// Puts the accounts of the store beside those of the file, if they are at hand.
pub(super) fn place(root: &mut Section<'_>, stored: Option<Vec<StoredEntry>>) -> Placed {
    match (Source::of(&root.table), stored) {
        (Source::File, None) => Placed::File,
        (Source::Store, None) => {
            check_file(root);
            Placed::Elsewhere
        }
        (Source::Store, Some(stored)) => {
            check_file(root);
            merge(root, stored)
        }
        (Source::File, Some(stored)) => {
            leave_out(root, &stored);
            merge(root, stored)
        }
    }
}

/// What a file may not hold beside a directory in the store.
fn check_file(root: &mut Section<'_>) {
    for key in ["client", "contract"] {
        if root.table.remove(key).is_some() {
            let wrong = "stands in the store (directory.source): nothing here is used";
            root.problem(key, wrong, "gopay-adapter directory import, then no [[section]] here");
        }
    }
}

/// Leaves out of a file what is to stand in the store.
fn leave_out(root: &mut Section<'_>, stored: &[StoredEntry]) {
    root.table.remove("client");
    root.table.remove("contract");
    if let Some(Value::Table(midtrans)) = root.table.get_mut("midtrans") {
        for entry in stored.iter().filter(|entry| entry.kind == EntryKind::Account) {
            midtrans.remove(&entry.name);
        }
    }
}

fn merge(root: &mut Section<'_>, entries: Vec<StoredEntry>) -> Placed {
    let (mut clients, mut contracts) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry.kind {
            EntryKind::Account => match entry.read() {
                Ok(keys) => merge_account(root, entry.name, keys),
                Err(problem) => root.report.problems.push(problem),
            },
            EntryKind::Client => clients.push(entry),
            EntryKind::Contract => contracts.push(entry),
        }
    }
    Placed::Stored { clients, contracts }
}

fn merge_account(root: &mut Section<'_>, name: String, keys: Table) {
    let midtrans = root.table.entry("midtrans").or_insert_with(|| Value::Table(Table::new()));
    let Value::Table(midtrans) = midtrans else { return };
    if midtrans.contains_key(&name) {
        let key = format!("midtrans.{name}");
        return root.problem(&key, "stands in the file and in the store", "in one of both");
    }
    midtrans.insert(name, Value::Table(keys));
}
