//! Copying the log into the main file beside the writer.
//!
//! The log starts anew only when all of it was copied and no read needs it, so the writer has to
//! copy the last of it itself. That little takes a short time, where copying everything would keep
//! all steps waiting.

use std::thread::{Builder, JoinHandle};

use gopay_store::StoreError;

use crate::error::down;
use crate::file::{self, DbFile};
use crate::held::{self, Stamp};

/// What came during a pass is copied by the next, until it is no more than this, in pages.
const LITTLE: i64 = 64;

/// How often at most it goes after what came meanwhile.
const PASSES: usize = 4;

/// A copy under way, on a thread and a connection of its own.
pub(crate) struct Copier(JoinHandle<Copied>);

/// What came of it.
pub(crate) struct Copied {
    pub(crate) done: Result<(), StoreError>,
    /// The main file as the copy left it; none if it is not there.
    pub(crate) main: Option<Stamp>,
}

impl Copier {
    pub(crate) fn start(file: &DbFile) -> Result<Self, StoreError> {
        let file = file.clone();
        Builder::new()
            .name("store-copy".to_owned())
            .spawn(move || {
                let done = copy(&file);
                Copied { done, main: held::stamp(file.given()).ok() }
            })
            .map(Self)
            .map_err(|error| StoreError::Down(Box::new(error)))
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// Waits for its end.
    pub(crate) fn join(self) -> Copied {
        let panicked = |_| Err(down("the thread that copies the log panicked"));
        self.0.join().unwrap_or_else(|panic| Copied { done: panicked(panic), main: None })
    }
}

fn copy(file: &DbFile) -> Result<(), StoreError> {
    let db = file.open_copier()?;
    let mut before = 0;
    for _ in 0..PASSES {
        let log = file::checkpoint(&db)?;
        // What a read still needs stays for later.
        if log.pages.saturating_sub(before) <= LITTLE || log.copied < log.pages {
            break;
        }
        before = log.pages;
    }
    Ok(())
}
