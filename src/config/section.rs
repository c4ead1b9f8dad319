//! A table of the file under reading: typed keys, and problems that name them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use gopay_core::ppro::check;
use gopay_core::wipe::wipe;
use secrecy::SecretString;
use toml::{Table, Value};

use super::report::{Problem, Report, Warning};

/// Where secrets come from; tests bring their own.
pub(crate) struct Outside {
    pub(crate) variable: Box<Variable>,
    pub(crate) file: Box<ReadFile>,
    /// Whether every user of this machine may read a file.
    pub(crate) open_to_all: Box<OpenToAll>,
}

type Variable = dyn Fn(&str) -> Option<String>;
type OpenToAll = dyn Fn(&str) -> bool;
type ReadFile = dyn Fn(&str) -> std::io::Result<String>;

impl Outside {
    pub(super) fn real() -> Self {
        Self {
            variable: Box::new(|name| std::env::var(name).ok()),
            file: Box::new(|path| std::fs::read_to_string(path)),
            open_to_all: Box::new(|path| open_to_all(Path::new(path))),
        }
    }
}

/// Whether every user of this machine may read a file.
pub(super) fn open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
}

/// A table under reading: keys are taken out, and what is left at the end is unknown.
pub(super) struct Section<'a> {
    pub(super) path: String,
    pub(super) table: Table,
    pub(super) outside: &'a Outside,
    pub(super) report: &'a mut Report,
}

impl Section<'_> {
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn problem(&mut self, key: &str, wrong: &str, wanted: &'static str) {
        let key = self.key(key);
        self.report.problems.push(Problem { key, wrong: wrong.to_owned(), wanted });
    }

    /// Notes what is dangerous though it works.
    pub(super) fn warn(&mut self, key: &str, risk: &str, better: &'static str) {
        let key = self.key(key);
        self.report.warnings.push(Warning { key, risk: risk.to_owned(), better });
    }

    pub(super) fn reported(&self, key: &str) -> bool {
        let key = self.key(key);
        self.report.problems.iter().any(|problem| problem.key == key)
    }

    /// Whether something is wrong in any section of this kind.
    pub(super) fn reported_within(&self, kind: &str) -> bool {
        self.report.problems.iter().any(|problem| problem.key.starts_with(kind))
    }

    pub(super) fn end(&mut self) {
        let unknown: Vec<String> = self.table.keys().cloned().collect();
        for key in unknown {
            self.problem(&key, "unknown key", "a key of docs/config.toml");
        }
    }

    pub(super) fn within<T>(
        &mut self,
        path: String,
        table: Table,
        run: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section { path, table, outside: self.outside, report: &mut *self.report };
        let read = run(&mut section);
        section.end();
        read
    }

    pub(super) fn section(&mut self, key: &str, run: impl FnOnce(&mut Section<'_>)) {
        match self.table.remove(key) {
            None => {}
            Some(Value::Table(table)) => self.within(self.key(key), table, run),
            Some(_) => self.problem(key, "not a section", "a table"),
        }
    }

    pub(super) fn present<T>(
        &mut self,
        key: &str,
        run: impl FnOnce(&mut Section<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut read = None;
        self.section(key, |section| read = run(section));
        read
    }

    /// Reads sections in double brackets, each called by its own `name` in what is said about it.
    /// All their names go to `names`, also of those that have problems.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        name: &'static str,
        names: &mut BTreeSet<String>,
        run: impl Fn(&mut Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let wanted = "sections in double brackets";
        let entries = match self.table.remove(key) {
            None => return Vec::new(),
            Some(Value::Array(entries)) => entries,
            Some(_) => {
                self.problem(key, "not a list", wanted);
                return Vec::new();
            }
        };
        let path = self.key(key);
        let tables = entries.into_iter().map(|entry| {
            let wrong = || Problem { key: path.clone(), wrong: "not a section".to_owned(), wanted };
            if let Value::Table(table) = entry { Ok(table) } else { Err(wrong()) }
        });
        self.list_of(key, name, names, tables, run)
    }

    /// The same of sections that come one by one, or are none.
    pub(super) fn list_of<T>(
        &mut self,
        key: &str,
        name: &'static str,
        names: &mut BTreeSet<String>,
        tables: impl Iterator<Item = Result<Table, Problem>>,
        run: impl Fn(&mut Section<'_>) -> Option<T>,
    ) -> Vec<T> {
        let mut read = Vec::new();
        for (number, table) in (1_u32..).zip(tables) {
            let table = match table {
                Ok(table) => table,
                Err(problem) => {
                    self.report.problems.push(problem);
                    continue;
                }
            };
            let called = table.get(name).and_then(Value::as_str).filter(|name| !name.is_empty());
            let called = called.map(str::to_owned);
            let path = match &called {
                Some(called) => format!("{} {called:?}", self.key(key)),
                None => format!("{} #{number}", self.key(key)),
            };
            read.extend(self.within(path, table, |section| {
                if called.is_some_and(|called| !names.insert(called)) {
                    section.problem(name, "used twice", "a name of its own");
                }
                run(section)
            }));
        }
        read
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        if let Value::String(text) = self.table.remove(key)? {
            return Some(text);
        }
        self.problem(key, "not text", "text in quotes");
        None
    }

    pub(super) fn required(&mut self, key: &str) -> Option<String> {
        match self.table.contains_key(key) {
            true => self.text(key).filter(|text| !text.is_empty()).or_else(|| {
                if !self.reported(key) {
                    self.problem(key, "empty", "text in quotes");
                }
                None
            }),
            false => {
                self.problem(key, "missing", "text in quotes");
                None
            }
        }
    }

    pub(super) fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let list = self.table.remove(key)?;
        // Moved and not copied: some are secrets.
        let text = |entry| if let Value::String(text) = entry { Some(text) } else { None };
        let texts: Option<Vec<_>> = if let Value::Array(entries) = list {
            entries.into_iter().map(text).collect()
        } else {
            None
        };
        if texts.is_none() {
            self.problem(key, "not a list of texts", "a list of texts in quotes");
        }
        texts
    }

    /// A text, or a list of them.
    pub(super) fn text_or_list(&mut self, key: &str) -> Option<Vec<String>> {
        if self.table.get(key)?.is_array() {
            return self.texts(key);
        }
        self.text(key).map(|text| vec![text])
    }

    pub(super) fn flag(&mut self, key: &str, to: &mut bool) {
        match self.table.remove(key) {
            None => {}
            Some(Value::Boolean(flag)) => *to = flag,
            Some(_) => self.problem(key, "not a flag", "true or false"),
        }
    }

    /// Reads a number; true if it is written and valid.
    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        min: i64,
        max: i64,
        to: &mut T,
    ) -> bool {
        let Some(value) = self.table.remove(key) else { return false };
        let number = value.as_integer().filter(|number| (min..=max).contains(number));
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => *to = number,
            None => {
                let wrong = format!("not a number from {min} to {max}");
                self.problem(key, &wrong, "a whole number in that range");
                return false;
            }
        }
        true
    }

    /// Holds a share against its total: one that is written must not be above it, and a default
    /// is lowered to it.
    pub(super) fn within_total(
        &mut self,
        (key, written, share): (&str, bool, &mut usize),
        (total_key, total): (&str, usize),
    ) {
        if written && *share > total && !self.reported(total_key) {
            let wrong = format!("{share} is above {total_key}, which is {total}");
            self.problem(key, &wrong, "at most the total");
        }
        *share = total.min(*share);
    }

    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        key: &str,
        wanted: &'static str,
        to: &mut T,
    ) {
        let Some(text) = self.text(key) else { return };
        match text.parse() {
            Ok(value) => *to = value,
            Err(_) => self.problem(key, &format!("{text:?} does not parse"), wanted),
        }
    }

    pub(super) fn span(
        &mut self,
        key: &str,
        min: Duration,
        max: Duration,
        wanted: &'static str,
        to: &mut Duration,
    ) {
        let Some(text) = self.text(key) else { return };
        match span(&text) {
            Some(value) if (min..=max).contains(&value) => *to = value,
            Some(_) => self.problem(key, &format!("{text} is out of range"), wanted),
            None => self.problem(key, &format!("{text:?} is not a duration"), wanted),
        }
    }

    pub(super) fn url(&mut self, key: &str) -> Option<String> {
        let text = self.text(key)?;
        if check::web_url(&text).is_ok() {
            return Some(text);
        }
        self.problem(key, "not a URL", "an absolute http or https URL of at most 255 characters");
        None
    }

    /// A secret as it is, or `env:NAME`, or `file:PATH`.
    pub(super) fn secret(&mut self, key: &str) -> Option<SecretString> {
        let text = self.required(key)?;
        let secret = self.resolve(key, &text);
        wipe(&mut text.into_bytes());
        secret
    }

    pub(super) fn secrets(&mut self, key: &str) -> Option<Vec<SecretString>> {
        let texts = self.texts(key).unwrap_or_default();
        if texts.is_empty() {
            if !self.reported(key) {
                self.problem(key, "missing", "a list of secrets, the newest first");
            }
            return None;
        }
        let secrets = texts.iter().map(|text| self.resolve(key, text)).collect();
        texts.into_iter().for_each(|text| wipe(&mut text.into_bytes()));
        secrets
    }

    /// A secret, or a list of them while it is replaced: the first is used, the others are still good.
    pub(super) fn secret_or_list(&mut self, key: &str) -> Option<Vec<SecretString>> {
        const AT_ONCE: usize = 2;
        let list = self.table.get(key).and_then(Value::as_array).map(Vec::len);
        match list {
            None => Some(vec![self.secret(key)?]),
            Some(1..=AT_ONCE) => self.secrets(key),
            Some(_) => {
                self.table.remove(key);
                self.problem(key, "not one secret or two", "a secret, or [\"new\", \"old\"]");
                None
            }
        }
    }

    /// The secret that a text is or refers to. A line break at its end is not part of it: files
    /// and variables often end in one.
    pub(super) fn resolve(&mut self, key: &str, text: &str) -> Option<SecretString> {
        const WANTED: &str = "a secret, env:NAME or file:PATH";
        let secret = if let Some(name) = text.strip_prefix("env:") {
            (self.outside.variable)(name).ok_or_else(|| format!("the variable {name} is not set"))
        } else if let Some(path) = text.strip_prefix("file:") {
            if (self.outside.open_to_all)(path) {
                let risk = format!("every user of this machine may read {path}");
                self.warn(key, &risk, "mode 0600, owned by who runs the adapter");
            }
            (self.outside.file)(path).map_err(|error| format!("{path}: {error}"))
        } else {
            self.report.holds_secrets = true;
            Ok(text.to_owned())
        };
        let secret = secret.map(|mut secret| {
            secret.truncate(secret.trim_end_matches(['\n', '\r']).len());
            secret
        });
        match secret {
            Ok(secret) if !secret.is_empty() => return Some(SecretString::from(secret)),
            Ok(_) => self.problem(key, "empty", WANTED),
            Err(wrong) => self.problem(key, &wrong, WANTED),
        }
        None
    }
}

/// Reads `1h`, `15m`, `90s`, `250ms`, `30d`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let digits = text.find(|char: char| !char.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let seconds = |seconds: u64| number.checked_mul(seconds).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => None,
    }
}
