//! Which files a writer has open, whether they are still those that the next start will find, and
//! whether nobody else has written to them.
//!
//! A file that is deleted, moved or replaced stays open: what is written to it is on the disk and
//! yet lost, since nobody will look there. A file that is written over keeps its name and its
//! number, and loses what it held.
//!
//! The main file changes only by the checkpoints of this process, the log only by commits, which
//! follow each other. So the length and the time of change of the main file are compared with those
//! that the last checkpoint left, and both files' headers and the log's last commit with what they
//! were. A write by others goes unseen only if it leaves all of these as they are: it falls into the
//! same tick of the file system's clock as our own, or into a commit or checkpoint of ours, and
//! changes neither length, header nor last commit.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::wal::{KnownLog, word};

/// A file, whatever its name. Its numbers go to no other while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// What a write changes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// In bytes.
    length: u64,
    /// Seconds and nanoseconds, as fine as the file system keeps them.
    changed: (i64, i64),
}

/// Of the main file, those that hold the version, the counters and the marks.
type MainHeader = [u8; 100];

/// A file that is open.
#[derive(Debug)]
struct Open {
    path: PathBuf,
    id: FileId,
    stamp: Stamp,
    file: File,
}

/// The files that a writer has open.
#[derive(Debug)]
pub(crate) struct Held {
    /// Its descriptor must not be closed while a connection of this process is open, whose locks
    /// would end with it.
    main: Open,
    header: MainHeader,
    log: Open,
    known: KnownLog,
    /// The file that somebody wrote over. What it held does not come back, so this stays.
    overwritten: Option<PathBuf>,
}

/// Why what is written is not in the store that the next start opens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Astray {
    #[error("cannot look at {}", path.display())]
    Unseen { path: PathBuf, source: io::Error },
    #[error(
        "{} was removed or moved away while the store was open; put it back, or stop the process \
         and see to it which store the next start opens",
        path.display()
    )]
    Gone { path: PathBuf },
    #[error(
        "{} is another file than the one that the store has open; put that one back, or stop the \
         process and see to it which store the next start opens",
        path.display()
    )]
    Replaced { path: PathBuf },
    #[error(
        "{} was cut short or written over by another program while the store was open; nothing is \
         taken until the process is stopped: stop it, keep the files as they are, restore a \
         backup into an empty folder, run recover, and start on that",
        path.display()
    )]
    Overwritten { path: PathBuf },
}

impl Held {
    /// What a writer has open that has just opened the main file and its log at these paths.
    pub(crate) fn of(main_path: PathBuf, log_path: PathBuf) -> Result<Self, Astray> {
        let (main, log) = (Open::at(main_path)?, Open::at(log_path)?);
        let header = main_header(&main.file).map_err(|error| main.unseen(error))?;
        let known = KnownLog::of(&log.file).map_err(|error| log.unseen(error))?;
        Ok(Self { main, header, log, known, overwritten: None })
    }

    /// Takes both files for ours as they are now, after they were opened anew.
    ///
    /// # Errors
    /// If the main file is another.
    pub(crate) fn renew(&mut self) -> Result<(), Astray> {
        self.main.stamp = self.main.look()?;
        self.header = main_header(&self.main.file).map_err(|error| self.main.unseen(error))?;
        self.log = Open::at(self.log.path.clone())?;
        let mut known = self.known;
        let intact = known
            .is_intact(&self.log.file)
            .and_then(|intact| if intact { Ok(known) } else { KnownLog::of(&self.log.file) });
        self.known = intact.map_err(|error| self.log.unseen(error))?;
        Ok(())
    }

    /// Looks after a commit whose last frame in the log has the number `committed`, 0 if it wrote
    /// none. Six system calls, a few microseconds: cheap beside the `fsync` of a commit.
    ///
    /// `copying` says that the log is being copied into the main file.
    ///
    /// # Errors
    /// If the next start would open something else.
    pub(crate) fn check(&mut self, copying: bool, committed: u64) -> Result<(), Astray> {
        self.check_main(copying)?;
        let stamp = self.log.look()?;
        let follows = twice(|| self.known.follow(&self.log.file, stamp.length, committed));
        if !follows.map_err(|error| self.log.unseen(error))? {
            return Err(self.overwrote(self.log.path.clone()));
        }
        self.log.stamp = stamp;
        Ok(())
    }

    /// The same of the main file alone.
    ///
    /// # Errors
    /// As [`Held::check`].
    pub(crate) fn check_main(&mut self, copying: bool) -> Result<(), Astray> {
        if let Some(path) = self.overwritten.clone() {
            return Err(Astray::Overwritten { path });
        }
        let (stamp, kept) = (self.main.look()?, self.main.stamp);
        let untouched = if copying { stamp.length >= kept.length } else { stamp == kept };
        let mut header = self.header;
        let follows = twice(|| {
            header = main_header(&self.main.file)?;
            Ok(header_follows(&self.header, &header))
        });
        if !untouched || !follows.map_err(|error| self.main.unseen(error))? {
            return Err(self.overwrote(self.main.path.clone()));
        }
        self.header = header;
        Ok(())
    }

    /// Looks before a commit, while nobody else may commit: whether the log is as the last commit
    /// left it, be it one of another process. One system call, unless somebody wrote to it.
    ///
    /// # Errors
    /// As [`Held::check`].
    pub(crate) fn check_log_untouched(&mut self) -> Result<(), Astray> {
        let stamp = self.log.look()?;
        if stamp == self.log.stamp { Ok(()) } else { self.check_log() }
    }

    /// Whether all that was committed is in the log as it was written.
    ///
    /// # Errors
    /// As [`Held::check`].
    pub(crate) fn check_log(&mut self) -> Result<(), Astray> {
        let stamp = self.log.look()?;
        let intact = twice(|| self.known.is_intact(&self.log.file));
        if !intact.map_err(|error| self.log.unseen(error))? {
            return Err(self.overwrote(self.log.path.clone()));
        }
        self.log.stamp = stamp;
        Ok(())
    }

    /// The main file as a checkpoint of ours left it.
    pub(crate) const fn main_was_left(&mut self, stamp: Stamp) {
        self.main.stamp = stamp;
    }

    pub(crate) const fn is_overwritten(&self) -> bool {
        self.overwritten.is_some()
    }

    /// Whether the log lost its name. What is in it can still be saved by whoever has it open.
    ///
    /// # Errors
    /// [`Astray::Replaced`] if its name went to another file, which would be taken for it.
    pub(crate) fn log_is_gone(&self) -> Result<bool, Astray> {
        match self.log.look() {
            Ok(_) => Ok(false),
            Err(Astray::Gone { .. }) => Ok(true),
            Err(other) => Err(other),
        }
    }

    fn overwrote(&mut self, path: PathBuf) -> Astray {
        self.overwritten = Some(path.clone());
        Astray::Overwritten { path }
    }
}

impl Open {
    fn at(path: PathBuf) -> Result<Self, Astray> {
        let file = File::open(&path).map_err(unseen(&path))?;
        let (id, stamp) = look(&path)?;
        Ok(Self { path, id, stamp, file })
    }

    fn look(&self) -> Result<Stamp, Astray> {
        let (id, stamp) = look(&self.path)?;
        if id == self.id { Ok(stamp) } else { Err(Astray::Replaced { path: self.path.clone() }) }
    }

    fn unseen(&self, source: io::Error) -> Astray {
        Astray::Unseen { path: self.path.clone(), source }
    }
}

/// A write of ours or of another process may be half done at the first look.
fn twice(mut look: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    if look()? {
        return Ok(true);
    }
    std::thread::sleep(Duration::from_millis(1));
    look()
}

fn look(path: &Path) -> Result<(FileId, Stamp), Astray> {
    let seen = fs::metadata(path).map_err(unseen(path))?;
    let stamp = Stamp { length: seen.len(), changed: (seen.mtime(), seen.mtime_nsec()) };
    Ok((FileId { device: seen.dev(), inode: seen.ino() }, stamp))
}

/// What is at a path now, for [`Held::main_was_left`].
pub(crate) fn stamp(path: &Path) -> Result<Stamp, Astray> {
    look(path).map(|(_, stamp)| stamp)
}

fn unseen(path: &Path) -> impl FnOnce(io::Error) -> Astray {
    let path = path.to_owned();
    move |source| {
        let gone = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&source.kind());
        if gone { Astray::Gone { path } } else { Astray::Unseen { path, source } }
    }
}

/// All zeros if the file is shorter.
fn main_header(main: &File) -> io::Result<MainHeader> {
    let mut header = [0; 100];
    match main.read_exact_at(&mut header, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok([0; 100]),
        done => done.map(|()| header),
    }
}

/// Whether a checkpoint of ours can have made the one of the other: neither the format nor whose
/// store it is changes, and the counters only grow.
fn header_follows(before: &MainHeader, after: &MainHeader) -> bool {
    /// Name of the format, page size, how it is written and read; encoding; whose store it is.
    const FIXED: [std::ops::Range<usize>; 3] = [0..24, 56..60, 68..72];
    /// Changes, pages, changes of the schema, version of the schema.
    const GROWING: [usize; 4] = [24, 28, 40, 60];
    FIXED.into_iter().all(|part| before.get(part.clone()) == after.get(part))
        && GROWING.into_iter().all(|at| word(before, at) <= word(after, at))
}
