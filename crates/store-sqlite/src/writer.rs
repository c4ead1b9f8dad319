//! The thread that writes: group commit, checkpoints, and the way back after a failed commit.

use std::ffi::c_int;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use gopay_store::StoreError;
use rusqlite::Connection;
use rusqlite::hooks::Wal;

use crate::copier::Copier;
use crate::error::failed;
use crate::file;
use crate::held::{self, Astray, Held};
use crate::job::{Job, Shared};
use crate::options::Options;
use crate::session::Session;

/// How long to wait between attempts to open the file again. What comes meanwhile is answered.
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);

/// To look how long the log is costs as much as a step. A step writes ten pages or so; the log grows
/// beyond its usual length by a small part of it.
const LOOKS: i64 = 128;

/// The log may grow by so many times its usual length while it is copied; then all steps wait.
const LONGEST: i64 = 4;

pub(crate) fn start(
    shared: &Arc<Shared>,
    jobs: Receiver<Box<dyn Job>>,
    (mut db, held): (Connection, Held),
    lock: File,
    options: Options,
) -> Result<JoinHandle<()>, StoreError> {
    let checkpoint_at = options.checkpoint_pages;
    let committed = Arc::new(AtomicU64::new(0));
    count_frames(&mut db, &committed)?;
    let writer = Writer {
        shared: Arc::clone(shared),
        jobs,
        options,
        checkpoint_at,
        unlooked: 0,
        copier: None,
        copied: None,
        committed,
        held,
        sizes: metrics::histogram!(gopay_store::COMMIT_STEPS),
        lock,
    };
    Builder::new()
        .name("store-write".to_owned())
        .spawn(move || writer.run(db))
        .map_err(|error| StoreError::Down(Box::new(error)))
}

struct Writer {
    shared: Arc<Shared>,
    jobs: Receiver<Box<dyn Job>>,
    options: Options,
    /// The length of the log, in pages, at which the next checkpoint is due.
    checkpoint_at: i64,
    /// Steps since the log was looked at.
    unlooked: i64,
    /// Copies the log while the writer goes on.
    copier: Option<Copier>,
    /// What came of it, until the last of the log was copied after it.
    copied: Option<Result<(), StoreError>>,
    /// The number in the log of the last frame of the last commit, until it was looked at; else 0.
    committed: Arc<AtomicU64>,
    /// The files that are open.
    held: Held,
    /// How many steps share a commit.
    sizes: metrics::Histogram,
    /// Held until the thread ends, after the connection was closed.
    lock: File,
}

type Group = Vec<Box<dyn Job>>;

impl Writer {
    fn run(mut self, mut db: Connection) {
        while let Some(mut group) = self.gather() {
            // Looked at after the commit: a file that goes while a group is under way takes it along.
            let done = commit(&db, &mut group, &mut self.held);
            match done.and_then(|()| self.in_place()) {
                Ok(()) => {
                    self.shared.count(group.len());
                    self.sizes.record(u32::try_from(group.len()).unwrap_or(u32::MAX));
                    let steps = i64::try_from(group.len()).unwrap_or(i64::MAX);
                    self.unlooked = self.unlooked.saturating_add(steps);
                    if self.shared.empty_log.swap(false, Ordering::AcqRel) {
                        self.empty_log(&db);
                    }
                    group.into_iter().for_each(Job::answer);
                    if self.unlooked > self.options.checkpoint_pages / LOOKS {
                        self.unlooked = 0;
                        self.checkpoint(&db);
                    }
                }
                Err(Uncommitted::Busy) => {
                    group.into_iter().for_each(|job| job.fail(StoreError::Busy));
                }
                Err(Uncommitted::Failed(error)) => match self.recover(db, group, error) {
                    Some(reopened) => db = reopened,
                    None => return,
                },
            }
        }
        self.close(db);
        // The next process may come in only now.
        drop(self.lock);
    }

    /// The next group: all the jobs that wait. `None` when nothing can come any more.
    ///
    /// It does not wait for more: those who come meanwhile are the next group, which is as large as
    /// the last commit was long.
    fn gather(&self) -> Option<Group> {
        loop {
            let first = self.jobs.recv().ok()?;
            let waiting = std::iter::once(first).chain(self.jobs.try_iter());
            let group: Group =
                waiting.take(self.options.group_max).filter(|job| !job.abandoned()).collect();
            if !group.is_empty() {
                return Some(group);
            }
        }
    }

    /// Whether the next start will find what was committed.
    fn in_place(&mut self) -> Result<(), Uncommitted> {
        if self.copier.as_ref().is_some_and(Copier::is_finished) {
            self.end_copy();
        }
        let committed = self.committed.swap(0, Ordering::Relaxed);
        Ok(self.held.check(self.copier.is_some(), committed)?)
    }

    /// Waits for the end of the copy that is under way, and takes the main file for ours as it was
    /// left by it.
    fn end_copy(&mut self) {
        if let Some(copied) = self.copier.take().map(Copier::join) {
            if let Some(main) = copied.main {
                self.held.main_was_left(main);
            }
            self.copied = Some(copied.done);
        }
    }

    /// Takes the main file for ours as it is, after a checkpoint that this thread did.
    fn main_is_ours(&mut self) {
        // A file that is not there is missed by the next look.
        if let Ok(main) = held::stamp(self.shared.file.given()) {
            self.held.main_was_left(main);
        }
    }

    fn close(&mut self, db: Connection) {
        self.end_copy();
        if let Some(Err(error)) = self.copied.take() {
            warn_uncopied(&error);
        }
        let untouched = self.held.check_log_untouched();
        let in_place = untouched.map_err(Uncommitted::from).and_then(|()| self.in_place());
        if let Err(Uncommitted::Failed(error)) = in_place
            && self.held.is_overwritten()
        {
            // Closing the writer would copy the one into what is left of the other.
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::error!(error, "the store is left as it is");
            return;
        }
        file::close_writer(db);
    }

    /// Shortens the log when it has become long, after the group was answered.
    ///
    /// A failure is not lost: the log keeps every page until a checkpoint of it succeeded.
    fn checkpoint(&mut self, db: &Connection) {
        if let Err(error) = self.shorten_log(db) {
            warn_uncopied(&error);
            self.checkpoint_at = self.checkpoint_at.saturating_add(self.options.checkpoint_pages);
        }
    }

    fn shorten_log(&mut self, db: &Connection) -> Result<(), StoreError> {
        let (pages, step) = (file::log_pages(db)?, self.options.checkpoint_pages);
        if pages < self.checkpoint_at {
            return Ok(());
        }
        let longest = self.checkpoint_at.saturating_add(step.saturating_mul(LONGEST));
        if self.copier.as_ref().is_some_and(|copier| copier.is_finished() || pages >= longest) {
            self.end_copy();
        }
        if self.copier.is_some() {
            return Ok(());
        }
        let Some(copied) = self.copied.take() else {
            self.copier = Some(Copier::start(&self.shared.file)?);
            return Ok(());
        };
        copied?;
        let log = file::checkpoint(db);
        self.main_is_ours();
        let log = log?;
        // If a long read keeps the log in use, try again only after as many pages more.
        let left = if log.copied < log.pages { log.pages } else { 0 };
        self.checkpoint_at = left.saturating_add(step);
        Ok(())
    }

    /// Copies all of the log and cuts it to nothing, before the step that asked for it is answered. A
    /// read that goes on for longer than others are waited for leaves it as it is until the next
    /// start or the end.
    fn empty_log(&mut self, db: &Connection) {
        self.end_copy();
        let emptied = file::rescue_log(db);
        self.main_is_ours();
        self.copied = None;
        self.checkpoint_at = self.options.checkpoint_pages;
        let renewed = self.held.renew().map_err(|astray| StoreError::Down(Box::new(astray)));
        if let Err(error) = emptied.and(renewed) {
            let error: &(dyn std::error::Error + 'static) = &error;
            tracing::warn!(error, "the log of the store could not be emptied after an erasure");
        }
    }

    /// Answers the group that was lost, then opens the file again, for as long as it takes.
    /// `None` when the store was closed meanwhile.
    fn recover(&mut self, db: Connection, group: Group, error: Cause) -> Option<Connection> {
        let cause: &(dyn std::error::Error + 'static) = &error;
        tracing::error!(error = cause, jobs = group.len(), "a commit failed; the store is down");
        self.shared.explain(error.as_ref());
        self.shared.turn();
        group.into_iter().for_each(|job| job.fail(StoreError::Down(Box::new(Arc::clone(&error)))));
        let (mut last, mut said) = (Some(db), Said::default());
        loop {
            // The log is written over, which nobody may copy meanwhile.
            if self.copier.as_ref().is_some_and(|copier| !copier.is_finished()) {
                self.answer_down(Instant::now() + RECOVERY_PAUSE)?;
                continue;
            }
            self.end_copy();
            self.copied = None;
            match self.reopen(&mut last) {
                Ok(db) => {
                    tracing::info!("the store was read again and is up");
                    self.checkpoint_at = self.options.checkpoint_pages;
                    self.shared.turn();
                    return Some(db);
                }
                Err(error) => {
                    self.shared.explain(&error);
                    said.say(&error);
                }
            }
            self.answer_down(Instant::now() + RECOVERY_PAUSE)?;
        }
    }

    /// Opens the file again, if it is still the same.
    ///
    /// Until then the last connection stays open: while the file has no name, it is all that keeps
    /// its content from being freed.
    fn reopen(&mut self, last: &mut Option<Connection>) -> Result<Connection, StoreError> {
        let astray = |astray| StoreError::Down(Box::new(astray));
        self.held.check_main(false).map_err(astray)?;
        if !self.held.log_is_gone().map_err(astray)? {
            self.held.check_log().map_err(astray)?;
        } else if let Some(db) = last.as_ref() {
            if !db.is_autocommit() {
                db.execute_batch("ROLLBACK").map_err(failed)?;
            }
            let rescued = file::rescue_log(db);
            self.main_is_ours();
            rescued?;
        }
        drop(last.take());
        let opened = self.shared.file.open_writer(&self.options, false);
        // It may have gone between the look and the opening.
        let renewed = self.held.renew();
        let mut db = opened?;
        renewed.map_err(astray)?;
        self.committed.store(0, Ordering::Relaxed);
        count_frames(&mut db, &self.committed)?;
        self.held.check(false, 0).map_err(astray)?;
        Ok(db)
    }

    /// Answers everything that comes until then; `None` when nothing can come any more.
    fn answer_down(&self, until: Instant) -> Option<()> {
        loop {
            match self.jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(job) => job.fail(self.shared.recovering()),
                Err(RecvTimeoutError::Timeout) => return Some(()),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

/// Tells the log why the store stays down: at once when the reason is another, else once a minute.
#[derive(Default)]
struct Said(Option<(Instant, String)>);

impl Said {
    fn say(&mut self, error: &(dyn std::error::Error + 'static)) {
        const AGAIN: Duration = Duration::from_secs(60);
        let text = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        let known = |(at, said): &(Instant, String)| *said == text && at.elapsed() < AGAIN;
        if !self.0.as_ref().is_some_and(known) {
            tracing::error!(error, "the store cannot be opened again yet");
            self.0 = Some((Instant::now(), text));
        }
    }
}

/// Has the number of the last frame of each commit kept.
fn count_frames(db: &mut Connection, committed: &Arc<AtomicU64>) -> Result<(), StoreError> {
    let committed = Arc::clone(committed);
    let keep = move |_: &mut Wal, frames: c_int| {
        committed.store(u64::try_from(frames).unwrap_or(0), Ordering::Relaxed);
        Ok(())
    };
    db.wal_hook(Some(keep)).map_err(failed)
}

fn warn_uncopied(error: &(dyn std::error::Error + 'static)) {
    tracing::warn!(error, "the log of the store could not be copied into its main file");
}

type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Why a group is not durable.
enum Uncommitted {
    /// Another process had the file locked; nothing was begun.
    Busy,
    Failed(Cause),
}

impl From<Astray> for Uncommitted {
    fn from(error: Astray) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl From<StoreError> for Uncommitted {
    fn from(error: StoreError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl From<rusqlite::Error> for Uncommitted {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// Some errors, such as a full disk, make SQLite roll back more than the step that met them.
#[derive(Debug, thiserror::Error)]
#[error("a step of the group failed so badly that the whole group was rolled back")]
struct RolledBack;

/// Runs a group and commits it. Steps seldom fail, and a savepoint for each costs a copy of each
/// page that it writes; so at first there are none.
fn commit(db: &Connection, group: &mut Group, held: &mut Held) -> Result<(), Uncommitted> {
    begin(db)?;
    if let Err(astray) = held.check_log_untouched() {
        execute(db, "ROLLBACK")?;
        return Err(astray.into());
    }
    let session = Session::new(db);
    if group.iter_mut().all(|job| job.run(&session)) {
        session.write_sums()?;
        return Ok(execute(db, "COMMIT")?);
    }
    if db.is_autocommit() {
        return Err(Uncommitted::Failed(Arc::new(RolledBack)));
    }
    execute(db, "ROLLBACK")?;
    commit_each(db, group)
}

/// Runs a group in which a step fails: each in a savepoint, which is rolled back if it fails.
fn commit_each(db: &Connection, group: &mut Group) -> Result<(), Uncommitted> {
    begin(db)?;
    let session = Session::new(db);
    for job in group.iter_mut() {
        execute(db, "SAVEPOINT job")?;
        let sums = session.sums();
        if !job.run(&session) {
            if db.is_autocommit() {
                return Err(Uncommitted::Failed(Arc::new(RolledBack)));
            }
            execute(db, "ROLLBACK TO job")?;
            session.back_to(sums);
        }
        execute(db, "RELEASE job")?;
    }
    session.write_sums()?;
    Ok(execute(db, "COMMIT")?)
}

fn begin(db: &Connection) -> Result<(), Uncommitted> {
    execute(db, "BEGIN IMMEDIATE").map_err(|error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseBusy) => Uncommitted::Busy,
        Some(_) | None => error.into(),
    })
}

fn execute(db: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}
