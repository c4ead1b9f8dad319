//! The thread that writes: group commit, checkpoints, and the way back after a failed commit.

use std::fs::File;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use gopay_store::StoreError;
use rusqlite::Connection;

use crate::copier::Copier;
use crate::file;
use crate::job::{Job, Shared};
use crate::options::Options;

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
    db: Connection,
    lock: File,
    options: Options,
) -> Result<JoinHandle<()>, StoreError> {
    let checkpoint_at = options.checkpoint_pages;
    let writer = Writer {
        shared: Arc::clone(shared),
        jobs,
        options,
        checkpoint_at,
        unlooked: 0,
        copier: None,
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
    /// Held until the thread ends, after the connection was closed.
    lock: File,
}

type Group = Vec<Box<dyn Job>>;

impl Writer {
    fn run(mut self, mut db: Connection) {
        while let Some(mut group) = self.gather() {
            match commit(&db, &mut group) {
                Ok(()) => {
                    self.shared.count(group.len());
                    let steps = i64::try_from(group.len()).unwrap_or(i64::MAX);
                    self.unlooked = self.unlooked.saturating_add(steps);
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
        if let Some(Err(error)) = self.copier.take().map(Copier::join) {
            warn_uncopied(&error);
        }
        file::close_writer(db);
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
        match self.copier.take() {
            None => self.copier = Some(Copier::start(&self.shared.file)?),
            Some(copier) if !copier.is_finished() && pages < longest => self.copier = Some(copier),
            Some(copier) => {
                copier.join()?;
                let log = file::checkpoint(db)?;
                // If a long read keeps the log in use, try again only after as many pages more.
                let left = if log.copied < log.pages { log.pages } else { 0 };
                self.checkpoint_at = left.saturating_add(step);
            }
        }
        Ok(())
    }

    /// Answers the group that was lost, then opens the file again, for as long as it takes.
    /// `None` when the store was closed meanwhile.
    fn recover(&mut self, db: Connection, group: Group, error: Cause) -> Option<Connection> {
        tracing::error!(%error, jobs = group.len(), "a commit failed; the store is down");
        self.shared.explain(error.as_ref());
        self.shared.turn();
        drop(db);
        group.into_iter().for_each(|job| job.fail(StoreError::Down(Box::new(Arc::clone(&error)))));
        loop {
            // The log is written over, which nobody may copy meanwhile.
            if self.copier.as_ref().is_some_and(|copier| !copier.is_finished()) {
                self.answer_down(Instant::now() + RECOVERY_PAUSE)?;
                continue;
            }
            self.copier = None;
            match self.shared.file.open_writer(&self.options, false) {
                Ok(db) => {
                    tracing::info!("the store was read again and is up");
                    self.checkpoint_at = self.options.checkpoint_pages;
                    self.shared.turn();
                    return Some(db);
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    self.shared.explain(error);
                    tracing::error!(error, "the store cannot be opened again yet");
                }
            }
            self.answer_down(Instant::now() + RECOVERY_PAUSE)?;
        }
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
fn commit(db: &Connection, group: &mut Group) -> Result<(), Uncommitted> {
    begin(db)?;
    if group.iter_mut().all(|job| job.run(db)) {
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
    for job in group.iter_mut() {
        execute(db, "SAVEPOINT job")?;
        if !job.run(db) {
            if db.is_autocommit() {
                return Err(Uncommitted::Failed(Arc::new(RolledBack)));
            }
            execute(db, "ROLLBACK TO job")?;
        }
        execute(db, "RELEASE job")?;
    }
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
