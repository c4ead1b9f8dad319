//! A store opened for reading only, beside the process that runs it: for operators' questions.

use std::path::Path;
use std::sync::{Arc, Mutex};

use gopay_store::StoreError;

use crate::file::{self, Place};
use crate::job::{Queue, Shared, down};
use crate::{Inner, Options, SqliteStore, readers, schema};

impl SqliteStore {
    /// Opens an existing store for reading, even while another process runs it. Every method that
    /// would write answers [`StoreError::Down`]. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Schema`] if the store is older or newer than this program;
    /// [`StoreError::Down`] if it cannot be read.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let found = file::schema_version(path)?;
        if found != schema::known() {
            return Err(StoreError::Schema { found, known: schema::known() });
        }
        let options = Options::default();
        let shared = Arc::new(Shared::new(Place::prepare(path)?));
        let (reads, read_jobs) = Queue::new(options.queue);
        let (writes, write_jobs) = Queue::new(1);
        drop(write_jobs);
        writes.close();
        let threads = readers::start(&shared, read_jobs, &options)
            .map_err(|error| down(format!("cannot start reading: {error}")))?;
        let inner = Inner { shared, writes, reads, threads: Mutex::new(threads) };
        Ok(Self { inner: Arc::new(inner) })
    }
}
