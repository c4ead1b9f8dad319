//! The threads that read, each with a connection of its own.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam_channel::Receiver;
use gopay_store::StoreError;
use rusqlite::Connection;

use crate::job::{Job, Shared};
use crate::options::Options;
use crate::session::Session;

pub(crate) fn start(
    shared: &Arc<Shared>,
    jobs: Receiver<Box<dyn Job>>,
    options: &Options,
) -> Result<Vec<JoinHandle<()>>, StoreError> {
    let spawn = |number| {
        let mut reader =
            Reader { shared: Arc::clone(shared), jobs: jobs.clone(), connection: None };
        Builder::new().name(format!("store-read-{number}")).spawn(move || reader.run())
    };
    (0..options.readers.max(1))
        .map(spawn)
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::Down(Box::new(error)))
}

struct Reader {
    shared: Arc<Shared>,
    jobs: Receiver<Box<dyn Job>>,
    /// With the generation in which it was opened.
    connection: Option<(u64, Connection)>,
}

impl Reader {
    fn run(&mut self) {
        while let Ok(mut job) = self.jobs.recv() {
            if job.abandoned() {
                continue;
            }
            match self.connect() {
                Ok(db) => {
                    let good = job.run(&Session::new(db));
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
            None => (generation, self.shared.file.open_reader()?),
        };
        Ok(&self.connection.insert(connection).1)
    }
}
