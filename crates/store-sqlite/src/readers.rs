//! The threads that read, each with a connection of its own.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use gopay_store::StoreError;
use rusqlite::Connection;

use crate::Options;
use crate::job::{Job, Shared};

pub(crate) fn start(
    shared: &Arc<Shared>,
    jobs: Receiver<Box<dyn Job>>,
    options: &Options,
) -> Result<Vec<JoinHandle<()>>, StoreError> {
    let jobs = Arc::new(Mutex::new(jobs));
    let spawn = |number| {
        let mut reader =
            Reader { shared: Arc::clone(shared), jobs: Arc::clone(&jobs), connection: None };
        Builder::new().name(format!("store-read-{number}")).spawn(move || reader.run())
    };
    (0..options.readers.max(1))
        .map(spawn)
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::Down(Box::new(error)))
}

struct Reader {
    shared: Arc<Shared>,
    jobs: Arc<Mutex<Receiver<Box<dyn Job>>>>,
    /// With the generation in which it was opened.
    connection: Option<(u64, Connection)>,
}

impl Reader {
    fn run(&mut self) {
        while let Some(mut job) = self.next() {
            if job.abandoned() {
                continue;
            }
            match self.connect() {
                Ok(db) => {
                    let good = job.run(db);
                    if !good {
                        // It may have been the connection's fault; opening one costs little.
                        self.connection = None;
                    }
                    job.answer();
                }
                Err(error) => job.fail(error),
            }
        }
    }

    /// One reader waits in the queue, the others at its lock.
    fn next(&self) -> Option<Box<dyn Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
    }

    fn connect(&mut self) -> Result<&Connection, StoreError> {
        let generation = match self.shared.generation() {
            Ok(generation) => generation,
            Err(error) => {
                self.connection = None;
                return Err(error);
            }
        };
        let kept = self.connection.take().filter(|(opened, _)| *opened == generation);
        let connection = match kept {
            Some(kept) => kept,
            None => (generation, self.shared.place.open_reader()?),
        };
        Ok(&self.connection.insert(connection).1)
    }
}
