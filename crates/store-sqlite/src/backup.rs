//! A consistent copy of the running store.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use gopay_store::StoreError;
use rusqlite::Connection;

use crate::error::{at, down};
use crate::file::sync_folder;

/// Writes the copy beside `to` and moves it there when it is whole and durable, so that a copy
/// that was cut short is never taken for a good one.
pub(crate) fn write(db: &Connection, to: &Path) -> Result<(), StoreError> {
    let partial = partial(to);
    if partial.exists() {
        return Err(down(format!(
            "{} exists: another backup is running, or was cut short; remove it if none is",
            partial.display()
        )));
    }
    // An empty file keeps the name from here on, and shows that it was free.
    OpenOptions::new().write(true).create_new(true).open(to).map_err(at("create", to))?;
    let written = copy(db, &partial, to);
    if written.is_err() {
        // What is left of a failed copy is of no use; if it stays, the next try says so.
        let _ = fs::remove_file(&partial);
        let _ = fs::remove_file(to);
    }
    written
}

fn partial(to: &Path) -> PathBuf {
    let mut name = OsString::from(to);
    name.push(".partial");
    PathBuf::from(name)
}

fn copy(db: &Connection, partial: &Path, to: &Path) -> Result<(), StoreError> {
    let name = partial.to_str().ok_or_else(|| down("the name of the backup is not Unicode"))?;
    db.execute("VACUUM INTO ?1", [name]).map_err(at("write", partial))?;
    let file = OpenOptions::new().write(true).open(partial).map_err(at("open", partial))?;
    file.sync_all().map_err(at("sync", partial))?;
    fs::rename(partial, to).map_err(at("rename to", to))?;
    let folder = match to.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    sync_folder(folder).map_err(at("sync folder", folder))
}
