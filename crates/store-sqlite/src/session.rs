//! A connection at work, and how the steps of the commit under way change the sums by day.

use std::cell::RefCell;
use std::ops::Deref;
use std::sync::LazyLock;

use gopay_store::StoreError;
use gopay_store::rows::DAY_SUMS;
use gopay_store::sums::{self, SumChanges};
use rusqlite::Connection;

use crate::query::write_cells;

/// See the module. The changes are written once before the commit, however many steps share it.
pub(crate) struct Session<'a> {
    db: &'a Connection,
    sums: RefCell<SumChanges>,
}

impl Deref for Session<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}

impl<'a> Session<'a> {
    pub(crate) fn new(db: &'a Connection) -> Self {
        Self { db, sums: RefCell::default() }
    }

    /// Has the step change the sums.
    pub(crate) fn sum(&self, change: impl FnOnce(&mut SumChanges)) {
        change(&mut self.sums.borrow_mut());
    }

    /// The changes so far, for [`Self::back_to`].
    pub(crate) fn sums(&self) -> SumChanges {
        self.sums.borrow().clone()
    }

    /// Forgets what steps changed that were rolled back.
    pub(crate) fn back_to(&self, sums: SumChanges) {
        self.sums.replace(sums);
    }

    /// Writes the changes of all steps. There is one writer, so one row for each day.
    pub(crate) fn write_sums(&self) -> Result<(), StoreError> {
        for cells in self.sums.take().rows(0) {
            write_cells(self.db, &UPSERT, &cells)?;
        }
        Ok(())
    }
}

static UPSERT: LazyLock<String> = LazyLock::new(|| {
    let values = format!("VALUES ({})", DAY_SUMS.places('?'));
    format!("-- day_sums: add\n{}", sums::upsert(&values))
});
