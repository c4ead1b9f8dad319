//! What somebody wants entered, and what is exported: the sections of a config, in a file or as JSON.

use std::collections::BTreeSet;

use gopay_service::desk::DirectoryChange;
use gopay_store::EntryKind;
use toml::{Table, Value};

use super::secrets::{self, References};
use crate::config::{Problem, StoredSection};

/// Sections to be entered, each once.
pub(crate) struct Document {
    pub(super) sections: Vec<StoredSection>,
    pub(super) references: References,
}

/// The key by which a section in a list is called.
const fn name_key(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Account => "name",
        EntryKind::Client => "login",
        EntryKind::Contract => "id",
    }
}

/// How a section is called in what is said about it.
pub(super) fn called(kind: EntryKind, name: &str) -> String {
    match kind {
        EntryKind::Account => format!("midtrans.{name}"),
        EntryKind::Client | EntryKind::Contract => format!("{} {name:?}", kind.as_str()),
    }
}

impl Document {
    /// The sections of a file: of a config, or of an export. Other sections of a config stay where
    /// they are.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub(crate) fn of_file(text: &str) -> Result<Self, Vec<Problem>> {
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let key = format!("line {}", before.lines().count());
            vec![Problem { key, wrong: error.message().to_owned(), wanted: "TOML" }]
        })?;
        let mut read = Reading::default();
        read.accounts(table.remove("midtrans"));
        for kind in [EntryKind::Client, EntryKind::Contract] {
            match table.remove(kind.as_str()) {
                None => {}
                Some(Value::Array(list)) => read.list(kind, list),
                Some(_) => read.problem(kind.as_str(), "not a list", "sections in double brackets"),
            }
        }
        read.ended(References::LookedUp)
    }

    /// The sections of what an operator sends.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub(crate) fn of_change(change: &DirectoryChange) -> Result<Self, Vec<Problem>> {
        let mut read = Reading::default();
        match Value::try_from(&change.accounts) {
            Ok(accounts) => read.accounts(Some(accounts)),
            Err(_) => read.problem("accounts", "not sections", "objects without null"),
        }
        for (kind, list) in
            [(EntryKind::Client, &change.clients), (EntryKind::Contract, &change.contracts)]
        {
            match list.iter().map(Value::try_from).collect() {
                Ok(list) => read.list(kind, list),
                Err(_) => read.problem(kind.as_str(), "not sections", "objects without null"),
            }
        }
        read.ended(References::Refused)
    }
}

#[derive(Default)]
struct Reading {
    sections: Vec<StoredSection>,
    seen: BTreeSet<(EntryKind, String)>,
    problems: Vec<Problem>,
}

impl Reading {
    fn problem(&mut self, key: &str, wrong: &str, wanted: &'static str) {
        self.problems.push(Problem { key: key.to_owned(), wrong: wrong.to_owned(), wanted });
    }

    fn accounts(&mut self, midtrans: Option<Value>) {
        let accounts = match midtrans {
            None => return,
            Some(Value::Table(accounts)) => accounts,
            Some(_) => return self.problem("midtrans", "not a section", "a table"),
        };
        for (name, account) in accounts {
            let Value::Table(keys) = account else {
                self.problem(&called(EntryKind::Account, &name), "not a section", "a table");
                continue;
            };
            self.section(EntryKind::Account, name, keys);
        }
    }

    fn list(&mut self, kind: EntryKind, list: Vec<Value>) {
        for (number, one) in (1_u32..).zip(list) {
            let key = name_key(kind);
            let path = format!("{} #{number}", kind.as_str());
            let Value::Table(keys) = one else {
                self.problem(&path, "not a section", "sections in double brackets");
                continue;
            };
            match keys.get(key).and_then(Value::as_str).filter(|name| !name.is_empty()) {
                Some(name) => self.section(kind, name.to_owned(), keys),
                None => self.problem(&format!("{path}.{key}"), "missing", "text in quotes"),
            }
        }
    }

    fn section(&mut self, kind: EntryKind, name: String, keys: Table) {
        if !self.seen.insert((kind, name.clone())) {
            let key = format!("{}.{}", called(kind, &name), name_key(kind));
            self.problem(&key, "used twice", "a name of its own");
        }
        self.sections.push(StoredSection { kind, name, keys });
    }

    fn ended(self, references: References) -> Result<Document, Vec<Problem>> {
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        Ok(Document { sections: self.sections, references })
    }
}

/// Sections as a file; without secrets each is what stands for it.
///
/// # Errors
/// If a section cannot be written as TOML.
pub(crate) fn exported(
    sections: Vec<StoredSection>,
    with_secrets: bool,
) -> Result<String, toml::ser::Error> {
    let (mut accounts, mut lists) = (Table::new(), [Vec::new(), Vec::new()]);
    for StoredSection { kind, name, mut keys } in sections {
        if !with_secrets {
            secrets::mask(kind, &mut keys);
        }
        match kind {
            EntryKind::Account => drop(accounts.insert(name, Value::Table(keys))),
            EntryKind::Client => lists[0].push(Value::Table(keys)),
            EntryKind::Contract => lists[1].push(Value::Table(keys)),
        }
    }
    let [clients, contracts] = lists;
    let mut text = String::new();
    for (key, value) in [
        ("midtrans", Value::Table(accounts)),
        ("client", Value::Array(clients)),
        ("contract", Value::Array(contracts)),
    ] {
        let empty = value.as_table().is_some_and(Table::is_empty)
            || value.as_array().is_some_and(Vec::is_empty);
        if !empty {
            let table = Table::from_iter([(key.to_owned(), value)]);
            text.push_str(&toml::to_string(&table)?);
            text.push('\n');
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"
        [listen]
        psp = "127.0.0.1:1"
        [midtrans.warung]
        channel = "livechannel"
        server_key = ["k-new", "k-old"]
        [[client]]
        login = "a"
        shared_secret = "s"
        notification_secrets = ["n"]
        [[contract]]
        id = "C"
        client = "a"
        [contract.settlement]
        client_number = 7
        [[contract.settlement.terms]]
        valid_from = "2026-01-01"
    "#;

    #[test]
    fn an_export_is_what_was_imported_and_shows_secrets_only_where_asked() {
        let document = Document::of_file(FILE).unwrap();
        let names: Vec<_> = document.sections.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["warung", "a", "C"]);
        let again = |with_secrets| {
            let text = exported(document.sections.clone(), with_secrets).unwrap();
            (text.clone(), Document::of_file(&text).unwrap().sections)
        };
        let keys = |sections: &[StoredSection]| {
            sections.iter().map(|one| one.keys.clone()).collect::<Vec<_>>()
        };
        let (text, sections) = again(true);
        assert_eq!(keys(&sections), keys(&document.sections), "{text}");
        let (text, sections) = again(false);
        for secret in ["k-new", "k-old", "\"s\"", "\"n\""] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(keys(&sections)[2], keys(&document.sections)[2], "{text}");
        assert!(text.contains("server_key = [\"stored:1\", \"stored:2\"]"), "{text}");
    }

    #[test]
    fn what_is_no_section_is_named() {
        for (text, expected) in [
            ("client = 7", "client: not a list"),
            ("[[client]]\nshared_secret = \"s\"", "client #1.login: missing"),
            ("[[contract]]\nid = \"\"", "contract #1.id: missing"),
            ("[midtrans]\nwarung = 7", "midtrans.warung: not a section"),
            ("[[contract]]\nid = \"C\"\n[[contract]]\nid = \"C\"", "contract \"C\".id: used twice"),
            ("a = \n", "line 1"),
        ] {
            let Err(problems) = Document::of_file(text) else { panic!("{text}") };
            assert!(problems[0].to_string().starts_with(expected), "{problems:?}");
        }
    }
}
