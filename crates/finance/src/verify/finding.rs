//! What is wrong, and where.

use std::fmt;

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The set.
    pub set: String,
    /// The file, if it is about one.
    pub file: Option<String>,
    /// The line of the file, from 1, if it is about one.
    pub line: Option<u64>,
    /// What is there, and what must be.
    pub what: String,
}

impl Finding {
    /// About a set.
    #[must_use]
    pub fn set(set: &str, what: impl Into<String>) -> Self {
        Self { set: set.to_owned(), file: None, line: None, what: what.into() }
    }

    /// About a file.
    #[must_use]
    pub fn file(set: &str, file: &str, what: impl Into<String>) -> Self {
        Self { file: Some(file.to_owned()), ..Self::set(set, what) }
    }

    /// About a line of a file.
    #[must_use]
    pub fn line(set: &str, file: &str, line: u64, what: impl Into<String>) -> Self {
        Self { line: Some(line), ..Self::file(set, file, what) }
    }

    /// A value that must be another.
    #[must_use]
    pub fn values(
        what: &str,
        found: impl fmt::Display,
        wanted: impl fmt::Display,
        why: &str,
    ) -> String {
        format!("{what} is {found}, must be {wanted} ({why})")
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.set)?;
        if let Some(file) = &self.file {
            write!(out, "/{file}")?;
        }
        if let Some(line) = self.line {
            write!(out, " line {line}")?;
        }
        write!(out, ": {}", self.what)
    }
}
