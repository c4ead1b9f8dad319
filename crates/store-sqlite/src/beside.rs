//! Steps of finance and upkeep beside a writer, which may be another process.

use gopay_store::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use crate::error::failed;
use crate::file::DbFile;
use crate::options::Options;

/// Takes a step while another process may have the store open as its writer.
///
/// Where none has, this is the writer for the moment, and first makes durable what is there. Where
/// one has, this is one more transaction between those of the other, which waits as it would for
/// a reader of its own: it keeps nothing of settlements and reconciliation in mind.
pub(crate) fn beside<T>(
    file: &DbFile,
    step: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match file.lock() {
        Ok(lock) => {
            let mut db = file.open_writer(&Options::default(), false)?;
            let done = in_transaction(&mut db, step);
            crate::file::close_writer(db);
            drop(lock);
            done
        }
        Err(_) => in_transaction(&mut file.open_second_writer()?, step),
    }
}

fn in_transaction<T>(
    db: &mut Connection,
    step: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let open = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let done = step(&open)?;
    open.commit().map_err(failed)?;
    Ok(done)
}
