//! Checks what somebody wants entered, and enters it: as a whole or not at all.

use std::collections::{BTreeMap, BTreeSet};

use gopay_core::time::Timestamp;
use gopay_store::{Database, DirectoryEntry, EntryKind, StoreError};
use toml::{Table, Value};

use super::book::{Book, Subject};
use super::document::{Document, called};
use super::secrets;
use crate::config::{ConfigText, Problem, StoredEntry, StoredSection, Warning};
use crate::start;

/// Who enters something, why, and from when on it counts.
#[derive(Clone, Debug)]
pub(crate) struct Entering {
    pub(crate) by: String,
    pub(crate) reason: String,
    /// None: at once.
    pub(crate) valid_from: Option<Timestamp>,
}

/// What a change is checked with.
pub(crate) struct Changing<'a> {
    pub(crate) store: &'a dyn Database,
    /// The config beside which it stands.
    pub(crate) config: &'a ConfigText,
    /// Secrets may be stored: there is a key to seal them under, or somebody wants them plain.
    pub(crate) may_hold_secrets: bool,
    /// Only checked.
    pub(crate) dry_run: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// The number of the change; none if nothing was different, or nothing was to be entered.
    pub(crate) change: Option<i64>,
    /// How many were new or different, of each kind.
    pub(crate) entered: BTreeMap<EntryKind, usize>,
    /// How many were as they are.
    pub(crate) unchanged: usize,
    /// From when on it counts.
    pub(crate) valid_from: Option<Timestamp>,
    /// What is dangerous though it works, of what was entered.
    pub(crate) warnings: Vec<Warning>,
}

/// Why nothing was entered.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// What is wrong.
    Problems(Vec<Problem>),
    /// Others entered something each time.
    Others,
    /// The store did not do it.
    Store(StoreError),
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What is to be entered, checked against all that was entered before.
struct Checked {
    entries: Vec<DirectoryEntry>,
    changed: Changed,
}

/// Checks a document and enters it. What is as it is already is left out.
///
/// # Errors
/// [`ChangeError`]; nothing was entered then.
pub(crate) async fn enter(
    changing: &Changing<'_>,
    document: &Document,
    entering: &Entering,
    now: impl Fn() -> Timestamp,
) -> Result<Changed, ChangeError> {
    /// How often somebody gives way to others.
    const TRIES: u32 = 5;
    for _ in 0..TRIES {
        let book = Book::read(changing.store).await?;
        let Checked { entries, changed } =
            tokio::task::block_in_place(|| check(changing, &book, document, entering, now()))
                .map_err(ChangeError::Problems)?;
        if changing.dry_run || entries.is_empty() {
            return Ok(Changed { change: None, ..changed });
        }
        match changing.store.directory_add(&entries).await {
            Ok(()) => return Ok(changed),
            Err(StoreError::Conflict | StoreError::Busy) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ChangeError::Others)
}

fn check(
    changing: &Changing<'_>,
    book: &Book,
    document: &Document,
    entering: &Entering,
    now: Timestamp,
) -> Result<Checked, Vec<Problem>> {
    let valid_from = entering.valid_from.unwrap_or(now);
    if valid_from < now {
        let wrong = format!("{valid_from} is over: the past is not altered");
        let (key, wanted) = ("valid_from".to_owned(), "a time to come, or none");
        return Err(vec![Problem { key, wrong, wanted }]);
    }
    let (sections, unchanged) = different(book, document, changing, valid_from, now)?;
    let mut changed = Changed { unchanged, valid_from: Some(valid_from), ..Changed::default() };
    for section in &sections {
        let count = changed.entered.entry(section.kind).or_default();
        *count = count.saturating_add(1);
    }
    if sections.is_empty() {
        return Ok(Checked { entries: Vec::new(), changed });
    }
    changed.warnings = check_moments(changing.config, book, &sections, valid_from)?;
    let first = book.last().saturating_add(1);
    changed.change = Some(first);
    let entry = |(section, entry): (&StoredSection, i64)| DirectoryEntry {
        entry,
        change: first,
        kind: section.kind,
        name: section.name.clone(),
        valid_from,
        at: now,
        by: entering.by.clone(),
        reason: entering.reason.clone(),
        content: entered(section).content,
        key: None,
    };
    Ok(Checked { entries: sections.iter().zip(first..).map(entry).collect(), changed })
}

/// The sections that are new or different, with their secrets, and how many others there are.
fn different(
    book: &Book,
    document: &Document,
    changing: &Changing<'_>,
    valid_from: Timestamp,
    now: Timestamp,
) -> Result<(Vec<StoredSection>, usize), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut sections = Vec::new();
    let mut unchanged = 0_usize;
    let named = document.sections.iter().map(|one| (one.kind, one.name.as_str())).collect();
    let before = book.keys_at(valid_from, &named)?;
    for section in &document.sections {
        let StoredSection { kind, name, mut keys } = section.clone();
        let before = before.get(&(kind, name.clone()));
        let called = called(kind, &name);
        problems.extend(secrets::settle(kind, &called, &mut keys, before, document.references));
        if before == Some(&keys) {
            unchanged = unchanged.saturating_add(1);
            continue;
        }
        if !changing.may_hold_secrets && secrets::holds_any(kind, &keys) {
            problems.push(Problem {
                key: called.clone(),
                wrong: "holds secrets, and the store has no key to seal them under".to_owned(),
                wanted: "a key in [[store.encryption]]; or --plain-secrets of `directory import`",
            });
        }
        if let Some(before) = before {
            problems.extend(for_good(kind, &called, before, &keys));
        }
        if kind == EntryKind::Contract {
            problems.extend(past_terms(&called, before, &keys, now));
        }
        sections.push(StoredSection { kind, name, keys });
    }
    if problems.is_empty() { Ok((sections, unchanged)) } else { Err(problems) }
}

/// What stays as it was entered first: to whom the payments of a contract are shown, and where the
/// money of an account is.
fn for_good(kind: EntryKind, called: &str, before: &Table, after: &Table) -> Option<Problem> {
    let (key, wrong, wanted) = match kind {
        EntryKind::Account => {
            ("channel", "another one: its payments would be lost", "an account of another name")
        }
        EntryKind::Contract => (
            "client",
            "another one: it would see the payments of the one before",
            "a contract of another id",
        ),
        EntryKind::Client => return None,
    };
    let text = |section: &Table| section.get(key).cloned();
    // Of a name with an implied channel it may be left out.
    let same = text(before).is_none() || text(after).is_none() || text(before) == text(after);
    (!same).then(|| Problem { key: format!("{called}.{key}"), wrong: wrong.to_owned(), wanted })
}

/// Terms of settlement that are in force already stay; a contract's first terms may begin in the past.
fn past_terms(
    called: &str,
    before: Option<&Table>,
    after: &Table,
    now: Timestamp,
) -> Option<Problem> {
    let today = now.to_string();
    let today = today.get(..10).unwrap_or_default();
    let in_force = |section: &Table| -> Vec<Value> {
        let terms = section.get("settlement").and_then(|settlement| settlement.get("terms"));
        let terms = terms.and_then(Value::as_array).into_iter().flatten();
        let day =
            |terms: &Value| terms.get("valid_from").and_then(Value::as_str).map(str::to_owned);
        terms.filter(|terms| day(terms).is_some_and(|day| day.as_str() <= today)).cloned().collect()
    };
    let before = in_force(before?);
    if before.is_empty() || before == in_force(after) {
        return None;
    }
    Some(Problem {
        key: format!("{called}.settlement.terms"),
        wrong: format!("others than those in force until {today}: the past is not altered"),
        wanted: "the same, and further ones from a later day on",
    })
}

/// Reads the config with what stands in the store at each moment from which on the change counts, as
/// `serve` would; what is dangerous then, of what is entered.
fn check_moments(
    config: &ConfigText,
    book: &Book,
    sections: &[StoredSection],
    valid_from: Timestamp,
) -> Result<Vec<Warning>, Vec<Problem>> {
    let mut warnings = Vec::new();
    let later = book.moments(valid_from);
    for moment in std::iter::once(valid_from).chain(later) {
        let mut all: BTreeMap<Subject, StoredEntry> = BTreeMap::new();
        for entry in book.at(moment) {
            all.insert((entry.kind, entry.name.clone()), entry);
        }
        // What is planned for later than the change takes over again.
        let planned = book.planned(valid_from, moment);
        for section in sections {
            let subject = (section.kind, section.name.clone());
            if !planned.contains(&subject) {
                all.insert(subject, entered(section));
            }
        }
        let mut read = config.with(all.into_values().collect())?;
        if moment == valid_from {
            warnings = std::mem::take(&mut read.warnings);
        }
        start::parties(&mut read)?;
    }
    let named: BTreeSet<String> =
        sections.iter().map(|section| called(section.kind, &section.name)).collect();
    warnings.retain(|warning| named.contains(section_of(&warning.key)));
    Ok(warnings)
}

/// A section as it will stand in the store.
fn entered(section: &StoredSection) -> StoredEntry {
    let StoredSection { kind, name, keys } = section;
    let content = serde_json::to_string(keys).unwrap_or_default();
    StoredEntry { kind: *kind, name: name.clone(), entry: 0, content }
}

/// Of `client "a".shared_secret` or `midtrans.a.server_key` what comes before the key.
fn section_of(key: &str) -> &str {
    let quoted = key.rfind('"').map(|at| at.saturating_add(1));
    let dotted = key.match_indices('.').nth(1).map(|(at, _)| at);
    quoted.or(dotted).and_then(|end| key.get(..end)).unwrap_or(key)
}
