//! Secrets of sections: where they come from, and what stands for them where they are shown.

use std::path::Path;

use gopay_store::EntryKind;
use toml::{Table, Value};

use crate::config::Problem;

/// What stands for a secret where it is not shown: the n-th of its key, from 1. Entered again, it is
/// the one that is stored.
const STORED: &str = "stored:";

/// Whether a text may refer to where a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum References {
    /// `env:NAME` and `file:PATH` are looked up here and now.
    LookedUp,
    /// They are refused: who asks from afar must not read what is here.
    Refused,
}

/// The keys of a section that hold secrets. Hashes of passwords are some: they can be guessed at.
const fn keys_of(kind: EntryKind) -> &'static [&'static str] {
    match kind {
        EntryKind::Account => &["server_key"],
        EntryKind::Client => &["password_hash", "shared_secret", "notification_secrets"],
        EntryKind::Contract => &[],
    }
}

fn texts(value: &mut Value) -> Vec<&mut String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter_mut().flat_map(texts).collect(),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Table(_) => Vec::new(),
    }
}

fn text_at<'a>(section: &'a Table, key: &str, place: usize) -> Option<&'a str> {
    let value = section.get(key)?;
    match value.as_array() {
        Some(list) => list.get(place.checked_sub(1)?)?.as_str(),
        None => value.as_str().filter(|_| place == 1),
    }
}

/// Whether a section holds any.
pub(super) fn holds_any(kind: EntryKind, section: &Table) -> bool {
    keys_of(kind).iter().any(|key| section.contains_key(*key))
}

/// Puts what stands for each secret in its place.
pub(super) fn mask(kind: EntryKind, section: &mut Table) {
    for key in keys_of(kind) {
        let Some(value) = section.get_mut(*key) else { continue };
        for (place, text) in (1..).zip(texts(value)) {
            *text = format!("{STORED}{place}");
        }
    }
}

/// Puts every secret in the place of what refers to it; `before` is the section that is stored.
pub(super) fn settle(
    kind: EntryKind,
    called: &str,
    section: &mut Table,
    before: Option<&Table>,
    references: References,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    for key in keys_of(kind) {
        let Some(value) = section.get_mut(*key) else { continue };
        for text in texts(value) {
            match secret(text, key, before, references) {
                Ok(None) => {}
                Ok(Some(secret)) => *text = secret,
                Err((wrong, wanted)) => {
                    problems.push(Problem { key: format!("{called}.{key}"), wrong, wanted });
                }
            }
        }
    }
    problems
}

/// The secret that a text refers to; none if it is one.
fn secret(
    text: &str,
    key: &str,
    before: Option<&Table>,
    references: References,
) -> Result<Option<String>, (String, &'static str)> {
    if let Some(place) = text.strip_prefix(STORED) {
        let stored = place.parse().ok().zip(before);
        let stored = stored.and_then(|(place, before)| text_at(before, key, place));
        let none = || (format!("{text}: there is none"), "the secret, or stored:1 for the first");
        return stored.map(|text| Some(text.to_owned())).ok_or_else(none);
    }
    let (variable, file) = (text.strip_prefix("env:"), text.strip_prefix("file:"));
    if (variable, file) == (None, None) {
        return Ok(None);
    }
    if references == References::Refused {
        let wrong = "a reference to a variable or a file".to_owned();
        return Err((wrong, "the secret itself; `directory import` looks references up"));
    }
    let found = match (variable, file) {
        (Some(name), _) => {
            std::env::var(name).map_err(|_| format!("the variable {name} is not set"))
        }
        (None, path) => {
            let path = path.unwrap_or_default();
            std::fs::read_to_string(Path::new(path)).map_err(|error| format!("{path}: {error}"))
        }
    };
    let found = found.map_err(|wrong| (wrong, "a secret, env:NAME or file:PATH"))?;
    Ok(Some(found.trim_end_matches(['\n', '\r']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(secrets: &str) -> Table {
        format!("login = \"a\"\nshared_secret = {secrets}").parse().unwrap()
    }

    fn settled(given: &str, before: Option<&str>, references: References) -> Result<Table, String> {
        let (mut section, before) = (client(given), before.map(client));
        let kind = EntryKind::Client;
        let problems = settle(kind, "client \"a\"", &mut section, before.as_ref(), references);
        match problems.first() {
            None => Ok(section),
            Some(problem) => Err(problem.to_string()),
        }
    }

    #[test]
    fn a_mask_stands_for_what_is_stored_and_for_nothing_else() {
        let mut shown = client("[\"new\", \"old\"]");
        mask(EntryKind::Client, &mut shown);
        assert_eq!(shown, client("[\"stored:1\", \"stored:2\"]"));
        use References::Refused;
        for (given, before, expected) in [
            ("[\"stored:1\", \"stored:2\"]", "[\"new\", \"old\"]", Ok("[\"new\", \"old\"]")),
            ("\"stored:2\"", "[\"new\", \"old\"]", Ok("\"old\"")),
            ("[\"newest\", \"stored:1\"]", "\"new\"", Ok("[\"newest\", \"new\"]")),
            ("\"stored:2\"", "\"new\"", Err("stored:2: there is none")),
            ("\"stored:0\"", "\"new\"", Err("stored:0: there is none")),
            ("\"stored:\"", "\"new\"", Err("stored:: there is none")),
            ("\"file:/etc/passwd\"", "\"new\"", Err("a reference to a variable or a file")),
            ("[\"env:HOME\"]", "\"new\"", Err("a reference to a variable or a file")),
            ("\"plain\"", "\"new\"", Ok("\"plain\"")),
        ] {
            match (settled(given, Some(before), Refused), expected) {
                (Ok(section), Ok(expected)) => assert_eq!(section, client(expected)),
                (Err(told), Err(expected)) => {
                    assert!(told.starts_with("client \"a\".shared_secret: "), "{told}");
                    assert!(told.contains(expected), "{told}");
                }
                (found, _) => panic!("{given}: {found:?}"),
            }
        }
        assert!(settled("\"stored:1\"", None, Refused).is_err(), "nothing is stored");
    }

    #[test]
    fn references_are_looked_up_where_they_may() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "secret-from-a-file\r\n").unwrap();
        let given = format!("\"file:{}\"", file.path().display());
        let section = settled(&given, None, References::LookedUp).unwrap();
        assert_eq!(section, client("\"secret-from-a-file\""));
        let missing = settled("\"env:GOPAY_TEST_NOT_SET\"", None, References::LookedUp);
        assert!(missing.unwrap_err().contains("GOPAY_TEST_NOT_SET is not set"));
    }
}
