//! The database file: its path, its lock, how it is opened, and how it is made durable.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gopay_store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{NoStore, at, down, failed};
use crate::options::Options;
use crate::schema;

/// Distinct statements of the writer, with room.
const STATEMENTS: usize = 128;

/// The file of the database, as one absolute path however it was written.
#[derive(Clone, Debug)]
pub(crate) struct DbFile {
    path: PathBuf,
    /// As it was given, links and all: where the next start will look.
    given: PathBuf,
}

impl DbFile {
    /// A file that must be there, though it may hold nothing.
    pub(crate) fn find(path: &Path) -> Result<Self, StoreError> {
        let missing = |error: io::Error| {
            let gone = error.kind() == io::ErrorKind::NotFound;
            if gone { no_store(path) } else { at("find", path)(error) }
        };
        let found = fs::canonicalize(path).map_err(missing)?;
        Ok(Self { path: found, given: std::path::absolute(path).map_err(at("find", path))? })
    }

    /// Makes sure that a file that was found holds a store, without changing it.
    pub(crate) fn must_hold_store(&self) -> Result<(), StoreError> {
        let db = open_read_only(&self.path)?;
        let found = schema::check(&db).and_then(|()| schema::version(&db).map_err(failed));
        match found.map_err(|error| self.explain(error))? {
            0 => Err(no_store(&self.path)),
            _ => Ok(()),
        }
    }

    /// Creates the folder if it is missing.
    pub(crate) fn prepare(path: &Path) -> Result<Self, StoreError> {
        let name = path.file_name().ok_or_else(|| down("the path of the store names no file"))?;
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            Some(_) | None => Path::new("."),
        };
        create_folder(folder).map_err(at("create folder", folder))?;
        // Another spelling of the path must find the same lock, so links are followed.
        let found = match fs::canonicalize(path) {
            Ok(path) => path,
            Err(_) => fs::canonicalize(folder).map_err(at("find folder", folder))?.join(name),
        };
        Ok(Self { path: found, given: std::path::absolute(path).map_err(at("find", path))? })
    }

    /// Takes the store away from other users than its owner: an older program, or a copy, may have
    /// left it open to them, and SQLite gives what it creates beside it the mode of the main file.
    pub(crate) fn keep_to_owner(&self) {
        let beside = ["-wal", "-shm", ".lock"].map(|ending| self.beside(ending));
        for path in std::iter::once(self.path.clone()).chain(beside) {
            let Ok(found) = fs::metadata(&path) else { continue };
            let mode = found.permissions().mode() & 0o7777;
            if mode & 0o077 == 0 {
                continue;
            }
            let (path, was) = (path.as_path(), format!("{mode:04o}"));
            if let Err(error) = fs::set_permissions(path, Permissions::from_mode(mode & 0o700)) {
                let error: &(dyn std::error::Error + 'static) = &error;
                tracing::warn!(
                    ?path,
                    was,
                    error,
                    "is open to other users and stays so; set mode 0600"
                );
            } else {
                tracing::warn!(?path, was, "was open to other users; now it is not");
            }
        }
    }

    /// Refuses the log of one store beside the main file of another: SQLite would copy the one into
    /// the other. A copy that `backup` wrote is not in the mode in which there is a log.
    ///
    /// To be called while this process has no connection to the file, whose locks would end.
    pub(crate) fn must_have_its_own_log(&self) -> Result<(), StoreError> {
        let log = self.log();
        let mut header = [0; 20];
        let no_log = fs::metadata(&log).map_or(true, |found| found.len() == 0);
        let mut read = || File::open(&self.path)?.read_exact(&mut header);
        // What cannot be read says so when it is opened.
        if no_log || read().is_err() || header.get(18..) != Some([1, 1].as_slice()) {
            return Ok(());
        }
        Err(down(format!(
            "{} is a copy, and {} beside it is the log of another store; keep that log elsewhere, \
             and start again",
            self.path.display(),
            log.display()
        )))
    }

    /// Where the next start will look for the store.
    pub(crate) fn given(&self) -> &Path {
        &self.given
    }

    /// The write-ahead log.
    pub(crate) fn log(&self) -> PathBuf {
        self.beside("-wal")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(ending);
        PathBuf::from(name)
    }

    /// Keeps other processes out while the file is held. SQLite itself would let them in, and
    /// two writers would each believe to be the only one.
    pub(crate) fn lock(&self) -> Result<File, StoreError> {
        let path = self.beside(".lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = open.open(&path).map_err(at("open lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(at("lock", &path)(error)),
            Err(TryLockError::WouldBlock) => {
                // Who it is helps, but is not needed to say no.
                let holder = fs::read_to_string(&path).unwrap_or_default();
                return Err(down(format!(
                    "{} is in use by process {}, which holds {}; stop it first",
                    self.path.display(),
                    holder.trim(),
                    path.display(),
                )));
            }
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(at("write lock file", &path))?;
        Ok(file)
    }

    /// Opens the file for the writer, with the schema of this program and everything durable.
    /// The caller holds the lock and has no other writer.
    ///
    /// Only with `create` may the file be missing: a store that vanished under a running service
    /// must not come back empty. The log is written commit by commit (`gopay_wal_vfs`).
    pub(crate) fn open_writer(
        &self,
        options: &Options,
        create: bool,
    ) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let flags = if create { flags | OpenFlags::SQLITE_OPEN_CREATE } else { flags };
        let vfs = gopay_wal_vfs::register().map_err(|error| StoreError::Down(Box::new(error)))?;
        let mut db = Connection::open_with_flags_and_vfs(&self.path, flags, vfs)
            .map_err(at("open", &self.path))?;
        schema::check(&db).map_err(|error| self.explain(error))?;
        tune_writer(&db, options).map_err(at("set up", &self.path))?;
        self.use_log(&db)?;
        schema::migrate(&mut db)?;
        self.make_durable(&db)?;
        Ok(db)
    }

    fn explain(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Down(source) => {
                down(format!("cannot read {}: {source}", self.path.display()))
            }
            StoreError::Busy
            | StoreError::Conflict
            | StoreError::Missing { .. }
            | StoreError::Corrupt { .. }
            | StoreError::Invalid { .. }
            | StoreError::Schema { .. }
            | StoreError::Away(_) => error,
        }
    }

    fn use_log(&self, db: &Connection) -> Result<(), StoreError> {
        let mode: String = db
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
            .map_err(at("write", &self.path))?;
        if mode == "wal" {
            return Ok(());
        }
        Err(down(format!("{} cannot have a write-ahead log", self.path.display())))
    }

    /// A connection that cannot write.
    pub(crate) fn open_reader(&self) -> Result<Connection, StoreError> {
        let db = open_read_only(&self.path)?;
        // The cache of a reader holds little across the commits of others.
        let tuned = tune(&db, Duration::from_secs(2))
            .and_then(|()| db.pragma_update(None, "cache_size", -4_096));
        tuned.map_err(at("set up", &self.path))?;
        Ok(db)
    }

    /// A connection that writes beside the writer of another process.
    pub(crate) fn open_second_writer(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags).map_err(at("open", &self.path))?;
        let options = Options { busy_timeout: Duration::from_secs(30), ..Options::default() };
        tune_writer(&db, &options).map_err(at("set up", &self.path))?;
        Ok(db)
    }

    /// A connection that copies the log into the main file. The caller has a writer.
    pub(crate) fn open_copier(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags).map_err(at("open", &self.path))?;
        let tuned =
            tune(&db, Duration::ZERO).and_then(|()| db.pragma_update(None, "synchronous", "FULL"));
        tuned.map_err(at("set up", &self.path))?;
        Ok(db)
    }

    /// Makes durable what is visible.
    ///
    /// The log may hold commits that were never confirmed by the disk: a process was killed
    /// before its `fsync`, or the `fsync` failed. After a failure the operating system may take
    /// the pages for clean and never write them; a later commit would rest on them and be lost
    /// with them at a power cut. So the log is written again, byte for byte, while no one else
    /// may write to it, and then moved into the main file.
    fn make_durable(&self, db: &Connection) -> Result<(), StoreError> {
        let log = self.log();
        db.execute_batch("BEGIN IMMEDIATE").map_err(at("lock for writing", &self.path))?;
        rewrite(&log).map_err(at("write again", &log))?;
        db.execute_batch("COMMIT").map_err(at("read", &self.path))?;
        truncate_log(db).map_err(at("copy the log into", &self.path))?;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        sync_folder(folder).map_err(at("sync folder", folder))
    }
}

fn no_store(path: &Path) -> StoreError {
    StoreError::Down(Box::new(NoStore { path: path.to_owned() }))
}

/// What the writer needs besides.
fn tune_writer(db: &Connection, options: &Options) -> rusqlite::Result<()> {
    tune(db, options.busy_timeout)?;
    // A commit is durable when it returns, not at the next checkpoint.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    // What is overwritten or moved about leaves nothing behind, so that what is erased is gone. It
    // costs nothing that can be measured: the pages are written anyhow.
    db.pragma_update(None, "secure_delete", true)?;
    // Checkpoints come beside the writer and after the answers of a group, not inside its commit.
    db.pragma_update(None, "wal_autocheckpoint", 0)?;
    // The log is written over from its start after a checkpoint; overwriting blocks costs
    // less than appending, so it keeps its usual length and only an unusual one is cut.
    let usual = options.checkpoint_pages.saturating_mul(4096).saturating_mul(2);
    db.pragma_update(None, "journal_size_limit", usual)?;
    // 4 MiB: the pages that the newest payments are on, with their indexes; others come from the
    // system's cache. A larger one costs more than it saves, since SQLite goes through all of it at
    // each commit in which it has sorted pages.
    db.pragma_update(None, "cache_size", -4_096)?;
    Ok(())
}

/// What every connection needs.
fn tune(db: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    db.busy_timeout(busy_timeout)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // After a failed commit, closing must not copy pages of doubtful worth into the main file.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // A plan must not depend on the values bound to it: where a partial index may be used, SQLite
    // would otherwise compile the statement again for every new value.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    // No memory map: through it, a disk that fails is a signal that kills the process; through
    // a read it is an error.
    db.pragma_update(None, "mmap_size", 0)?;
    Ok(())
}

pub(crate) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(at("open", path))
}

pub(crate) fn schema_version(path: &Path) -> Result<i64, StoreError> {
    let db = open_read_only(path)?;
    schema::version(&db).map_err(at("read", path))
}

/// The length of the log in pages, without doing anything.
pub(crate) fn log_pages(db: &Connection) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached("PRAGMA wal_checkpoint(NOOP)").map_err(failed)?;
    statement.query_one([], |row| row.get(1)).map_err(failed)
}

/// The log after a checkpoint, in pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    pub(crate) pages: i64,
    /// Of these, those that are in the main file. If that is all, the log starts anew.
    pub(crate) copied: i64,
}

/// Copies as much of the log as no read needs.
pub(crate) fn checkpoint(db: &Connection) -> Result<Log, StoreError> {
    let mut statement = db.prepare_cached("PRAGMA wal_checkpoint(PASSIVE)").map_err(failed)?;
    let read = |row: &rusqlite::Row<'_>| Ok(Log { pages: row.get(1)?, copied: row.get(2)? });
    statement.query_one([], read).map_err(failed)
}

/// Copies all of a log that lost its name into the main file, and leaves it empty.
pub(crate) fn rescue_log(db: &Connection) -> Result<(), StoreError> {
    let busy: bool =
        db.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(failed)?;
    if busy { Err(StoreError::Busy) } else { Ok(()) }
}

fn truncate_log(db: &Connection) -> rusqlite::Result<()> {
    db.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// Leaves one file behind, if no read is still going on.
pub(crate) fn close_writer(db: Connection) {
    let result = truncate_log(&db)
        .and_then(|()| db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false))
        .and_then(|_| db.close().map_err(|(_, error)| error));
    if let Err(error) = result {
        tracing::warn!(%error, "the log of the store stays; the next start will take it in");
    }
}

/// Writes a file over itself and syncs it. Only the log: closing a descriptor of the main file
/// would end the locks that SQLite holds on it.
fn rewrite(path: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut chunk = vec![0; 1 << 20];
    let mut at = 0;
    loop {
        let read = file.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)?;
        at = file.stream_position()?;
    }
    file.sync_all()
}

/// Creates a folder and those above it, and makes their names durable.
fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    create_folder(above)?;
    match fs::create_dir(folder) {
        // Somebody else may have made it just now; but it may also be a file.
        Err(_) if folder.is_dir() => {}
        made => made?,
    }
    sync_folder(above)
}

pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
