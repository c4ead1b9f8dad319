//! `[directory]`: where PSPs, contracts and accounts stand; and those of the store put beside the
//! file, so that one reader checks both.

use gopay_store::EntryKind;
use toml::{Table, Value};

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

/// A section as it stands in the store.
#[derive(Clone)]
pub(crate) struct StoredSection {
    pub(crate) kind: EntryKind,
    pub(crate) name: String,
    pub(crate) keys: Table,
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

/// Puts the sections of the store beside those of the file, if they are at hand; whether they are
/// elsewhere.
pub(super) fn place(root: &mut Section<'_>, stored: Option<Vec<StoredSection>>) -> bool {
    match (Source::of(&root.table), stored) {
        (Source::File, None) => return false,
        (Source::Store, None) => {
            check_file(root);
            return true;
        }
        (Source::Store, Some(stored)) => {
            check_file(root);
            merge(root, stored);
        }
        (Source::File, Some(stored)) => {
            leave_out(root, &stored);
            merge(root, stored);
        }
    }
    false
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
fn leave_out(root: &mut Section<'_>, stored: &[StoredSection]) {
    root.table.remove("client");
    root.table.remove("contract");
    if let Some(Value::Table(midtrans)) = root.table.get_mut("midtrans") {
        for section in stored.iter().filter(|section| section.kind == EntryKind::Account) {
            midtrans.remove(&section.name);
        }
    }
}

fn merge(root: &mut Section<'_>, sections: Vec<StoredSection>) {
    let (mut clients, mut contracts) = (Vec::new(), Vec::new());
    for StoredSection { kind, name, keys } in sections {
        match kind {
            EntryKind::Account => merge_account(root, name, keys),
            EntryKind::Client => clients.push(Value::Table(keys)),
            EntryKind::Contract => contracts.push(Value::Table(keys)),
        }
    }
    for (key, list) in [("client", clients), ("contract", contracts)] {
        if !list.is_empty() {
            root.table.insert(key.to_owned(), Value::Array(list));
        }
    }
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
