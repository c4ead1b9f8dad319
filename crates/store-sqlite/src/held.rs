//! Which files a writer has open, and whether they are still those that the next start will find.
//!
//! A file that is deleted, moved or replaced stays open: what is written to it is on the disk and
//! yet lost, since nobody will look there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// A file, whatever its name. Its numbers go to no other while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// The files that a writer has open.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    main: FileId,
    log: FileId,
    main_path: PathBuf,
    log_path: PathBuf,
    /// Of the main file, in bytes. It only grows.
    length: u64,
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
        "{} was cut short or written over by another program while the store was open; stop the \
         process and put a good copy in its place",
        path.display()
    )]
    Overwritten { path: PathBuf },
}

impl Held {
    /// What a writer has open that has just opened the main file and its log at these paths.
    pub(crate) fn of(main_path: PathBuf, log_path: PathBuf) -> Result<Self, Astray> {
        let ((main, length), (log, _)) = (look(&main_path)?, look(&log_path)?);
        Ok(Self { main, log, main_path, log_path, length })
    }

    /// Two system calls: cheap beside the `fsync` of a commit.
    ///
    /// # Errors
    /// If the next start would open something else.
    pub(crate) fn check(&mut self) -> Result<(), Astray> {
        self.check_main()?;
        let (log, _) = look(&self.log_path)?;
        if log == self.log { Ok(()) } else { Err(Astray::Replaced { path: self.log_path.clone() }) }
    }

    /// The same of the main file alone.
    ///
    /// # Errors
    /// As [`Held::check`].
    pub(crate) fn check_main(&mut self) -> Result<(), Astray> {
        let (main, length) = look(&self.main_path)?;
        if main != self.main {
            return Err(Astray::Replaced { path: self.main_path.clone() });
        }
        if length < self.length {
            return Err(Astray::Overwritten { path: self.main_path.clone() });
        }
        self.length = length;
        Ok(())
    }

    /// Whether the log lost its name. What is in it can still be saved by whoever has it open.
    ///
    /// # Errors
    /// [`Astray::Replaced`] if its name went to another file, which would be taken for it.
    pub(crate) fn log_is_gone(&self) -> Result<bool, Astray> {
        match look(&self.log_path) {
            Ok((log, _)) if log == self.log => Ok(false),
            Ok(_) => Err(Astray::Replaced { path: self.log_path.clone() }),
            Err(Astray::Gone { .. }) => Ok(true),
            Err(other) => Err(other),
        }
    }
}

fn look(path: &Path) -> Result<(FileId, u64), Astray> {
    let seen = fs::metadata(path).map_err(|source| {
        let path = path.to_owned();
        let gone = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&source.kind());
        if gone { Astray::Gone { path } } else { Astray::Unseen { path, source } }
    })?;
    Ok((FileId { device: seen.dev(), inode: seen.ino() }, seen.len()))
}
