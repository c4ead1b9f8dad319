//! The file that a simulator's state survives in: `simulator.jsonl` in a folder.
//!
//! The first line names the format. Each further line is one commit: what one call changed. A call
//! is answered only after its line is on disk; calls that come together are written together. When
//! the file has grown to several times the size of the state, a fresh one is written beside it and
//! renamed over it. A line that breaks off at the end belongs to a call that was never answered and
//! is left out. One process at a time may use a folder.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::EngineConfig;
use crate::engine::{Commit, Engine, SavedEngine};

const FORMAT: &str = "gopay-simulator";
const VERSION: u32 = 1;
/// The file is written anew at four times the size of the state, but not below this.
const REWRITE_BYTES_MIN: u64 = 4 << 20;
const REWRITE_FACTOR: u64 = 4;

/// Why a saved state cannot be used. It is left as it is.
#[derive(Debug, Error)]
pub enum StateError {
    /// Reading or writing failed.
    #[error("cannot use the simulator's state {}", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// Another process uses the folder.
    #[error("another simulator uses {}", .0.display())]
    InUse(PathBuf),
    /// Not a state of this version.
    #[error("{} is not a simulator's state of version {VERSION}", .0.display())]
    OtherFormat(PathBuf),
    /// A line before the last one cannot be read.
    #[error("line {line} of the simulator's state {} cannot be read", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// Commits up to this number are on disk.
    written: AtomicU64,
    log: Mutex<Log>,
    /// Locked as long as this exists.
    _lock: File,
}

#[derive(Debug)]
struct Log {
    file: File,
    bytes: u64,
    /// The size that the state had when it was last written whole.
    whole_bytes: u64,
    /// The file may end in half a line, so that only a fresh one helps.
    broken: bool,
}

/// The engine, and what of its state is not on disk yet.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    /// Lines of commits that are not written yet.
    unwritten: Vec<u8>,
    /// The number of the last commit.
    commit: u64,
    saved: SavedEngine,
}

impl Shared {
    /// An engine whose state nobody saves.
    pub(crate) fn in_memory(engine: Engine) -> Self {
        Self { engine, unwritten: Vec::new(), commit: 0, saved: SavedEngine::default() }
    }

    /// An engine whose state is on disk as it is now.
    fn on_disk(mut engine: Engine, ahead: Duration) -> Self {
        engine.track_changes();
        let mut shared = Self::in_memory(engine);
        // What was read is written already.
        shared.engine.take_commit(ahead, &mut shared.saved);
        shared
    }

    /// Turns what changed into one more line, if anything did.
    pub(crate) fn collect(&mut self, ahead: Duration) {
        if let Some(commit) = self.engine.take_commit(ahead, &mut self.saved) {
            self.commit += 1;
            // Writing to memory cannot fail, and neither can our own structs with string keys.
            let _ = line(&mut self.unwritten, &commit);
        }
    }

    /// The number of the last commit.
    pub(crate) const fn commit(&self) -> u64 {
        self.commit
    }
}

impl StateFile {
    /// Reads the state in a folder, or starts one, and writes it afresh. Gives also how far the
    /// clock was ahead of the system's.
    pub(crate) fn open(
        folder: &Path,
        config: EngineConfig,
    ) -> Result<(Self, Shared, Duration), StateError> {
        let path = folder.join("simulator.jsonl");
        let failed = |error| StateError::Io(path.clone(), error);
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = private(&folder.join("simulator.lock"), false).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::InUse(folder.to_owned())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let commits = match File::open(&path) {
            Ok(file) => read(&path, file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let last = commits.iter().rev().find_map(|commit| commit.engine.as_ref());
        let ahead = last.map_or(Duration::ZERO, |engine| engine.clock_ahead);
        let engine = match last {
            Some(_) => Engine::restore(config, commits.into_iter()),
            None => Engine::new(config),
        };
        let log = write_whole(&path, engine.snapshot(ahead)).map_err(failed)?;
        let file = Self { path, written: AtomicU64::new(0), log: Mutex::new(log), _lock: lock };
        Ok((file, Shared::on_disk(engine, ahead), ahead))
    }

    /// Whether a commit is on disk.
    pub(crate) fn has(&self, commit: u64) -> bool {
        self.written.load(Ordering::Acquire) >= commit
    }

    /// Brings a commit to disk, and with it all that is not there yet. Blocks.
    pub(crate) fn write(
        &self,
        commit: u64,
        shared: &Mutex<Shared>,
        ahead: Duration,
    ) -> io::Result<()> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever held the lock may have written it with his own.
        if self.has(commit) {
            return Ok(());
        }
        let full =
            log.bytes > REWRITE_BYTES_MIN.max(log.whole_bytes.saturating_mul(REWRITE_FACTOR));
        let written = if log.broken || full {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            // Part of the whole; and if that fails, the next try is whole again.
            shared.unwritten.clear();
            log.broken = true;
            *log = write_whole(&self.path, shared.engine.snapshot(ahead))?;
            shared.commit
        } else {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (lines, commit) = (std::mem::take(&mut shared.unwritten), shared.commit);
            drop(shared);
            log.append(&lines)?;
            commit
        };
        self.written.store(written, Ordering::Release);
        Ok(())
    }
}

impl Log {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.broken = true;
        self.file.write_all(lines)?;
        self.file.sync_data()?;
        self.broken = false;
        self.bytes = self.bytes.saturating_add(u64::try_from(lines.len()).unwrap_or(u64::MAX));
        Ok(())
    }
}

fn line(to: &mut impl io::Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// Every commit of a file. Half a line at the end is left out.
fn read(path: &Path, file: File) -> Result<Vec<Commit>, StateError> {
    let failed = |error| StateError::Io(path.to_owned(), error);
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut next = |line: &mut Vec<u8>| {
        line.clear();
        reader.read_until(b'\n', line).map(|_| line.ends_with(b"\n"))
    };
    let header = next(&mut line).map_err(failed)? && is_header(&line);
    if !header {
        return Err(StateError::OtherFormat(path.to_owned()));
    }
    let mut commits = Vec::new();
    while next(&mut line).map_err(failed)? {
        let commit = serde_json::from_slice(&line);
        let number = commits.len() + 2;
        let corrupt = |source| StateError::Corrupt { path: path.to_owned(), line: number, source };
        commits.push(commit.map_err(corrupt)?);
    }
    Ok(commits)
}

fn is_header(line: &[u8]) -> bool {
    serde_json::from_slice::<Header>(line)
        .is_ok_and(|header| header.format == FORMAT && header.version == VERSION)
}

/// Writes the whole state beside the file and renames it over it, so that at every moment there is
/// one that can be read.
fn write_whole(path: &Path, commits: impl Iterator<Item = Commit>) -> io::Result<Log> {
    let fresh = path.with_extension("jsonl.new");
    let mut file = BufWriter::new(private(&fresh, true)?);
    line(&mut file, &Header { format: FORMAT.to_owned(), version: VERSION })?;
    for commit in commits {
        line(&mut file, &commit)?;
    }
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let bytes = file.stream_position()?;
    fs::rename(&fresh, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(Log { file, bytes, whole_bytes: bytes, broken: false })
}

/// A file that only its owner may read: bodies of charges name shoppers.
fn private(path: &Path, empty: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(empty);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
