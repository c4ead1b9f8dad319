//! What the database and its file say, in the words of the store.

use std::path::{Path, PathBuf};

use gopay_store::StoreError;
use rusqlite::{ErrorCode, ffi};

/// [`StoreError::Down`] for a reason that is a sentence.
pub(crate) fn down(why: impl Into<String>) -> StoreError {
    StoreError::Down(why.into().into())
}

/// What the database says, in the words of the store.
pub(crate) fn failed(error: rusqlite::Error) -> StoreError {
    let Some(inner) = error.sqlite_error() else {
        return StoreError::Down(Box::new(error));
    };
    let taken = [ffi::SQLITE_CONSTRAINT_PRIMARYKEY, ffi::SQLITE_CONSTRAINT_UNIQUE];
    if matches!(inner.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) {
        StoreError::Busy
    } else if taken.contains(&inner.extended_code) {
        StoreError::Conflict
    } else {
        StoreError::Down(Box::new(error))
    }
}

/// There is no store where one must be.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} holds no store: it was moved or deleted, or the path is another than it was",
    path.display()
)]
pub struct NoStore {
    pub(crate) path: PathBuf,
}

/// An error of a file, with what was tried.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {path}", path = path.display())]
pub(crate) struct FileError<E: std::error::Error + 'static> {
    what: &'static str,
    path: PathBuf,
    source: E,
}

/// Turns an error into [`StoreError::Down`] that says what was tried with which file.
pub(crate) fn at<E: std::error::Error + Send + Sync + 'static>(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(E) -> StoreError {
    let path = path.to_path_buf();
    move |source| StoreError::Down(Box::new(FileError { what, path, source }))
}
