//! A set of files on a disk: written into a folder of another name, made durable, and put in its
//! place by one rename.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use gopay_finance::table::Folder;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// The end of the names of folders under way.
const UNDER_WAY: &str = ".under-way";
/// Each other run that begins meanwhile takes a folder at most once.
const TRIES: usize = 100;

/// A folder under way. Dropped before it is put in place, it is removed; killed before, the next
/// one that is made beside it removes it.
pub(crate) struct Staging {
    path: PathBuf,
    target: PathBuf,
    /// Locked for as long as somebody works in it.
    lock: Option<File>,
}

impl Staging {
    /// Makes a folder that will be `out/name`; `out` is made if it is missing.
    pub(crate) fn new(out: &Path, name: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
        remove_abandoned(out, name);
        let path = out.join(format!(".{name}.{}{UNDER_WAY}", std::process::id()));
        for _ in 0..TRIES {
            let made = made(&path).with_context(|| format!("cannot make {}", path.display()))?;
            if let Some(lock) = made {
                return Ok(Self { path, target: out.join(name), lock: Some(lock) });
            }
        }
        anyhow::bail!("cannot keep {}: others remove it", path.display())
    }

    /// Where files are written.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the folder in its place. One that is there already is replaced at once, as a whole.
    pub(crate) fn put_in_place(mut self) -> anyhow::Result<PathBuf> {
        self.replace().with_context(|| format!("cannot write {}", self.target.display()))?;
        self.lock = None;
        Ok(self.target.clone())
    }

    fn replace(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()?;
        let flags = RenameFlags::NOREPLACE;
        match renameat_with(CWD, &self.path, CWD, &self.target, flags) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::EXCHANGE)?;
                fs::remove_dir_all(&self.path)?;
            }
            Err(error) => return Err(error.into()),
        }
        let parent = self.target.parent().filter(|parent| *parent != Path::new(""));
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.lock.is_some() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Makes a folder and locks it; none if another took it for abandoned before it was locked.
fn made(path: &Path) -> io::Result<Option<File>> {
    fs::create_dir(path)?;
    let Some(lock) = if_there(File::open(path))? else { return Ok(None) };
    lock.lock()?;
    Ok(is_at(path, &lock)?.then_some(lock))
}

/// Whether the path leads to this open folder, and not to another of its name or to none.
fn is_at(path: &Path, folder: &File) -> io::Result<bool> {
    let Some(found) = if_there(fs::metadata(path))? else { return Ok(false) };
    let own = folder.metadata()?;
    Ok((found.dev(), found.ino()) == (own.dev(), own.ino()))
}

fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// Removes what killed processes left of the same set. Each is locked until it is gone: who has just made
/// it waits for the lock, and finds that it is. One that was locked after another had removed it is not
/// what stands at its path now.
fn remove_abandoned(out: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(out) else { return };
    let prefix = format!(".{name}.");
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        let left = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|found| found.starts_with(&prefix) && found.ends_with(UNDER_WAY));
        if left
            && let Ok(folder) = File::open(&path)
            && folder.try_lock().is_ok()
            && is_at(&path, &folder).is_ok_and(|is_at| is_at)
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Writes each file plain and compressed.
pub(crate) struct DiskFolder {
    path: PathBuf,
    /// Files with these endings are written compressed, too.
    compressed: &'static [&'static str],
}

impl DiskFolder {
    /// Without compressed twins.
    pub(crate) fn plain(path: &Path) -> Self {
        Self { path: path.to_owned(), compressed: &[] }
    }

    /// Of a settlement set: everything but the manifest has a compressed twin.
    pub(crate) fn of_set(path: &Path) -> Self {
        Self { path: path.to_owned(), compressed: &["csv", "html", "pdf"] }
    }
}

/// A file, and its compressed twin.
pub(crate) struct Twin {
    plain: BufWriter<File>,
    compressed: Option<GzEncoder<BufWriter<File>>>,
}

impl Folder for DiskFolder {
    type File = Twin;

    fn create(&mut self, name: &str) -> io::Result<Twin> {
        let path = self.path.join(name);
        let file = |path: &Path| -> io::Result<_> {
            Ok(BufWriter::with_capacity(1 << 16, File::create_new(path)?))
        };
        let twin =
            self.compressed.iter().any(|end| path.extension().is_some_and(|own| own == *end));
        let compressed = match twin {
            false => None,
            // Neither time nor name: the same content is the same bytes.
            true => {
                let path = self.path.join(format!("{name}.gz"));
                Some(GzBuilder::new().mtime(0).write(file(&path)?, Compression::fast()))
            }
        };
        Ok(Twin { plain: file(&path)?, compressed })
    }

    fn complete(&mut self, _name: &str, file: Twin) -> io::Result<()> {
        let sync = |file: BufWriter<File>| file.into_inner()?.sync_all();
        sync(file.plain)?;
        file.compressed.map_or(Ok(()), |file| sync(file.finish()?))
    }
}

impl Write for Twin {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.plain.write_all(bytes)?;
        if let Some(file) = &mut self.compressed {
            file.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.plain.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn nobody_takes_a_folder_that_was_just_made_for_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        let kept = std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        remove_abandoned(folder.path(), "set");
                    }
                });
            }
            let kept = (0..500).all(|_| {
                let Ok(staging) = Staging::new(folder.path(), "set") else { return false };
                let written = fs::write(staging.path().join("file"), "content");
                written.is_ok() && staging.path().join("file").exists()
            });
            done.store(true, Ordering::Relaxed);
            kept
        });
        assert!(kept, "a folder was removed in which somebody worked");
        // What a killed process leaves has no lock.
        fs::create_dir(folder.path().join(".set.1.under-way")).unwrap();
        drop(Staging::new(folder.path(), "set").unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
