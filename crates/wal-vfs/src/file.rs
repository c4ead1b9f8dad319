//! The log as SQLite holds it open.

use std::ffi::{c_int, c_void};
use std::ptr::null;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

use crate::frames::{Frames, Kept};

/// What SQLite keeps of the open log: this, and behind it the file of the VFS beneath.
#[repr(C)]
pub(crate) struct LogFile {
    /// First, where SQLite looks for its functions.
    shown: sqlite3_file,
    frames: Frames,
}

/// How many bytes a [`LogFile`] takes before the file beneath, which is aligned behind it.
pub(crate) fn room() -> Option<c_int> {
    const { assert!(align_of::<LogFile>() <= 8 && size_of::<LogFile>().is_multiple_of(8)) };
    c_int::try_from(size_of::<LogFile>()).ok()
}

/// Calls a function of the file beneath.
macro_rules! beneath {
    ($log:expr, $function:ident $(, $argument:expr)*) => {{
        let file = LogFile::beneath($log);
        match (*(*file).pMethods).$function {
            Some(function) => function(file $(, $argument)*),
            None => ffi::SQLITE_IOERR,
        }
    }};
}

impl LogFile {
    /// The file of the VFS beneath.
    ///
    /// # Safety
    /// `log` points into memory that SQLite gave for a file of this VFS.
    pub(crate) const unsafe fn beneath(log: *mut Self) -> *mut sqlite3_file {
        // SAFETY: the caller says so.
        unsafe { log.add(1).cast() }
    }

    /// Makes the file SQLite's, after the one beneath was opened. One that could not be opened has
    /// no functions, and then neither has this.
    ///
    /// # Safety
    /// As [`Self::beneath`].
    pub(crate) unsafe fn begin(log: *mut Self) {
        // SAFETY: the caller says so; nothing is there that would have to be dropped.
        unsafe {
            let opened = !(*Self::beneath(log)).pMethods.is_null();
            let methods = if opened { &raw const METHODS } else { null() };
            log.write(Self {
                shown: sqlite3_file { pMethods: methods },
                frames: Frames::default(),
            });
        }
    }

    /// Writes what waits. After an error it is forgotten.
    ///
    /// # Safety
    /// The file is open.
    unsafe fn write_out(log: *mut Self) -> c_int {
        // SAFETY: the caller says so; SQLite uses a file from one thread at a time.
        unsafe {
            let Some((at, bytes)) = (*log).frames.waiting() else { return ffi::SQLITE_OK };
            let Ok(length) = c_int::try_from(bytes.len()) else { return ffi::SQLITE_IOERR_WRITE };
            let written = beneath!(log, xWrite, bytes.as_ptr().cast(), length, at);
            (*log).frames.clear();
            written
        }
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    // No shared memory and no memory map: SQLite wants neither of a log.
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// The functions of [`METHODS`] that write what waits first. Their arguments are SQLite's.
macro_rules! after_writing {
    ($($name:ident as $function:ident ($($argument:ident: $of:ty),*);)+) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $of)*) -> c_int {
            // SAFETY: SQLite calls it with a file that `begin` made its own and that is open.
            unsafe {
                let log = file.cast::<LogFile>();
                match LogFile::write_out(log) {
                    ffi::SQLITE_OK => beneath!(log, $function $(, $argument)*),
                    failed => failed,
                }
            }
        }
    )+};
}

after_writing! {
    read as xRead(to: *mut c_void, length: c_int, at: sqlite3_int64);
    truncate as xTruncate(length: sqlite3_int64);
    sync as xSync(flags: c_int);
    file_size as xFileSize(size: *mut sqlite3_int64);
    file_control as xFileControl(operation: c_int, argument: *mut c_void);
}

/// The functions of [`METHODS`] to which it does not matter what waits.
macro_rules! handed_on {
    ($($name:ident as $function:ident ($($argument:ident: $of:ty),*);)+) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $of)*) -> c_int {
            // SAFETY: SQLite calls it with a file that `begin` made its own and that is open.
            unsafe { beneath!(file.cast::<LogFile>(), $function $(, $argument)*) }
        }
    )+};
}

handed_on! {
    lock as xLock(level: c_int);
    unlock as xUnlock(level: c_int);
    check_reserved_lock as xCheckReservedLock(reserved: *mut c_int);
    sector_size as xSectorSize();
    device_characteristics as xDeviceCharacteristics();
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    let Ok(count) = usize::try_from(length) else { return ffi::SQLITE_IOERR_WRITE };
    // SAFETY: SQLite calls it with an open file and `length` bytes.
    unsafe {
        let log = file.cast::<LogFile>();
        let bytes = std::slice::from_raw_parts(from.cast::<u8>(), count);
        let mut kept = (*log).frames.keep(at, bytes);
        if kept == Kept::No {
            let written = LogFile::write_out(log);
            if written != ffi::SQLITE_OK {
                return written;
            }
            kept = (*log).frames.keep(at, bytes);
        }
        match kept {
            Kept::Waits => ffi::SQLITE_OK,
            Kept::Due => LogFile::write_out(log),
            // Too large to wait.
            Kept::No => beneath!(log, xWrite, from, length, at),
        }
    }
}

/// Ends the file. What SQLite has written and never read again may be of use to the next, so it is
/// written; whether that succeeds, nobody asks any more.
unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite calls it once with an open file, and not again.
    unsafe {
        let log = file.cast::<LogFile>();
        LogFile::write_out(log);
        let closed = beneath!(log, xClose);
        (&raw mut (*log).frames).drop_in_place();
        closed
    }
}
