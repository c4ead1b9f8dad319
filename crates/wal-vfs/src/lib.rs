//! SQLite's write-ahead log in few writes.
//!
//! SQLite writes each frame of its log by two system calls, one for a header of 24 bytes and one
//! for the page. This VFS keeps frames in memory until the last frame of their commit comes, and
//! writes them by one call, and that frame's page by a second. Everything else is done by SQLite's own VFS beneath:
//!
//! - Only the log is touched. The main file, its locks and the index in shared memory are the other
//!   VFS's, so connections of both may be open side by side.
//! - The order of writes and syncs stays. What waits is written before anything else is asked of the
//!   file: a read, its length, a cut, a sync, its end. A commit is written with the page of its last
//!   frame, before SQLite syncs it and before it is shown to readers, whatever `synchronous` is.
//! - An error of a write comes out of the call that made it necessary, as SQLite expects of any
//!   write to its log; what waited is forgotten, as is the transaction that it was of.
#![warn(missing_docs)]
#![expect(unsafe_code, reason = "SQLite asks a VFS for C functions on memory of its own")]

mod file;
mod frames;

use std::ffi::{CStr, c_char, c_int};
use std::ptr::null_mut;
use std::sync::LazyLock;

use rusqlite::ffi;

use crate::file::LogFile;

/// The name of the VFS, for [`rusqlite::Connection::open_with_flags_and_vfs`].
const NAME: &CStr = c"gopay-wal";

/// The VFS could not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SQLite has no VFS of its own for this system")]
pub struct NoVfs;

/// Makes the VFS known to SQLite, once a process, and tells its name.
///
/// # Errors
/// [`NoVfs`] where SQLite has no VFS for the system.
pub fn register() -> Result<&'static CStr, NoVfs> {
    REGISTERED.as_ref().map(|_| NAME).map_err(|error| *error)
}

/// SQLite's own VFS, beneath.
struct Beneath(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite never changes or frees a VFS of its own, and calls it from any thread.
unsafe impl Send for Beneath {}
// SAFETY: as above.
unsafe impl Sync for Beneath {}

static REGISTERED: LazyLock<Result<Beneath, NoVfs>> = LazyLock::new(|| {
    // SAFETY: SQLite is initialized first; the default VFS lives as long as the process.
    let beneath = unsafe {
        if ffi::sqlite3_initialize() != ffi::SQLITE_OK {
            return Err(NoVfs);
        }
        ffi::sqlite3_vfs_find(std::ptr::null())
    };
    // SAFETY: it is null or a VFS.
    let Some(known) = (unsafe { beneath.as_ref() }) else { return Err(NoVfs) };
    let Some(room) = file::room().and_then(|room| known.szOsFile.checked_add(room)) else {
        return Err(NoVfs);
    };
    // All but the opening of files is done by the functions of the one beneath. They ask a VFS for
    // nothing but what is copied here.
    let vfs = Box::new(ffi::sqlite3_vfs {
        szOsFile: room,
        pNext: null_mut(),
        zName: NAME.as_ptr(),
        xOpen: Some(open),
        ..*known
    });
    // SAFETY: it is whole, and never freed.
    let done = unsafe { ffi::sqlite3_vfs_register(Box::leak(vfs), 0) };
    if done == ffi::SQLITE_OK { Ok(Beneath(beneath)) } else { Err(NoVfs) }
});

/// Opens a file by the VFS beneath, the log with a [`LogFile`] before it.
///
/// # Safety
/// As SQLite calls it: `file` has room for `szOsFile` bytes.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // It is registered, or nobody could call this.
    let Ok(beneath) = REGISTERED.as_ref() else { return ffi::SQLITE_CANTOPEN };
    // SAFETY: the VFS beneath lives as long as the process.
    let Some(beneath_open) = (unsafe { (*beneath.0).xOpen }) else {
        return ffi::SQLITE_CANTOPEN;
    };
    if flags & ffi::SQLITE_OPEN_WAL == 0 {
        // SAFETY: the arguments are those of SQLite; the room for the file is larger than it needs.
        return unsafe { beneath_open(beneath.0, name, file, flags, out_flags) };
    }
    // SAFETY: behind a `LogFile` the room is what the VFS beneath asks for.
    unsafe {
        let log = file.cast::<LogFile>();
        let opened = beneath_open(beneath.0, name, LogFile::beneath(log), flags, out_flags);
        LogFile::begin(log);
        opened
    }
}

#[cfg(test)]
mod tests;
