//! Reading what others write: files to rows, rows to roles.

pub mod camt;
pub mod mapping;
pub mod propose;

pub mod sheet;
pub mod source;
pub mod table;

use std::path::{Path, PathBuf};

/// A file that cannot be used, with what to do about it. Nothing of it is taken.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct InputError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong and what to do.
    pub problem: Problem,
}

impl InputError {
    /// A problem of a file.
    #[must_use]
    pub fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.to_owned(), problem }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be read at all.
    #[error("cannot be read: {0}")]
    Io(std::io::Error),
    /// A container or format that has to be turned into another first.
    #[error("{0}")]
    Format(&'static str),
    /// No layout of the mapping has its titles.
    #[error("{0}")]
    Layout(String),
    /// Rows, but none that can be used, or only in a way that would mislead.
    #[error("{0}")]
    Content(String),
    /// Broken at a place.
    #[error("line {line}: {what}")]
    At {
        /// From 1.
        line: u64,
        /// What is there.
        what: String,
    },
}
