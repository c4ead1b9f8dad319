//! The thread that writes: group commit, checkpoints, and the way back after a failed commit.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use gopay_store::StoreError;
use rusqlite::Connection;

use crate::Options;
use crate::file;
use crate::job::{Job, Shared, recovering};

/// How long to wait between attempts to open the file again. What comes meanwhile is answered.
const RECOVERY_PAUSE: Duration = Duration::from_millis(250);

pub(crate) fn start(
    shared: &Arc<Shared>,
    jobs: Receiver<Box<dyn Job>>,
    db: Connection,
    lock: File,
    options: Options,
) -> Result<JoinHandle<()>, StoreError> {
    let checkpoint_at = options.checkpoint_pages;
    let writer =
        Writer { shared: Arc::clone(shared), jobs, options, expected: 1, checkpoint_at, lock };
    Builder::new()
        .name("store-write".to_owned())
        .spawn(move || writer.run(db))
        .map_err(|error| StoreError::Down(Box::new(error)))
}

struct Writer {
    shared: Arc<Shared>,
    jobs: Receiver<Box<dyn Job>>,
    options: Options,
    /// The size of the last group: the number of callers that may come back at once.
    expected: usize,
    /// The length of the log, in pages, at which the next checkpoint is due.
    checkpoint_at: i64,
    /// Held until the thread ends, after the connection was closed.
    lock: File,
}

type Group = Vec<Box<dyn Job>>;

impl Writer {
    fn run(mut self, mut db: Connection) {
        while let Ok(first) = self.jobs.recv() {
            let mut group = self.gather(first);
            match commit(&db, &mut group) {
                Ok(()) => {
                    self.shared.count(group.len());
                    group.into_iter().for_each(Job::answer);
                    self.checkpoint(&db);
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
        file::close_writer(db);
        // The next process may come in only now.
        drop(self.lock);
    }

    /// The first job and those that wait already or come within the linger time.
    fn gather(&mut self, first: Box<dyn Job>) -> Group {
        let mut group = vec![first];
        let mut until = None;
        while group.len() < self.options.group_max {
            if let Ok(job) = self.jobs.try_recv() {
                group.push(job);
                continue;
            }
            if group.len() >= self.expected {
                break;
            }
            let until = *until.get_or_insert_with(|| Instant::now() + self.options.linger);
            match self.jobs.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(job) => group.push(job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        self.expected = group.len();
        group.retain(|job| !job.abandoned());
        group
    }

    /// Copies the log into the main file when it has become long, after the group was answered.
    ///
    /// A failure is not lost: the log keeps every page until a checkpoint of it succeeded.
    fn checkpoint(&mut self, db: &Connection) {
        let step = self.options.checkpoint_pages;
        let result = file::log_pages(db).and_then(|pages| {
            if pages < self.checkpoint_at {
                return Ok(());
            }
            let left = file::checkpoint(db)?;
            // If a long read keeps the log in use, try again only after as many pages more.
            self.checkpoint_at = left.saturating_add(step);
            Ok(())
        });
        if let Err(error) = result {
            tracing::warn!(%error, "the log of the store could not be copied into its main file");
            self.checkpoint_at = self.checkpoint_at.saturating_add(step);
        }
    }

    /// Answers the group that was lost, then opens the file again, for as long as it takes.
    /// `None` when the store was closed meanwhile.
    fn recover(&mut self, db: Connection, group: Group, error: Cause) -> Option<Connection> {
        tracing::error!(%error, jobs = group.len(), "a commit failed; the store is down");
        self.shared.turn();
        drop(db);
        group.into_iter().for_each(|job| job.fail(StoreError::Down(Box::new(Arc::clone(&error)))));
        loop {
            match self.shared.place.open_writer(&self.options, false) {
                Ok(db) => {
                    tracing::info!("the store was read again and is up");
                    self.checkpoint_at = self.options.checkpoint_pages;
                    self.shared.turn();
                    return Some(db);
                }
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
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
                Ok(job) => job.fail(recovering()),
                Err(RecvTimeoutError::Timeout) => return Some(()),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
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

fn commit(db: &Connection, group: &mut Group) -> Result<(), Uncommitted> {
    if group.is_empty() {
        return Ok(());
    }
    match execute(db, "BEGIN IMMEDIATE") {
        Ok(()) => {}
        Err(error) => {
            return Err(match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DatabaseBusy) => Uncommitted::Busy,
                Some(_) | None => error.into(),
            });
        }
    }
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

fn execute(db: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}
