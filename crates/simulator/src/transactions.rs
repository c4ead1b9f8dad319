//! The transactions that are held, at most so many.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use crate::changes::Changes;
use crate::transaction::{Status, Transaction};

/// The table of transactions. Each has a number; numbers ascend and are not used again.
#[derive(Debug)]
pub(crate) struct Transactions {
    held: BTreeMap<usize, Transaction>,
    by_id: HashMap<Uuid, usize>,
    by_reference: HashMap<Uuid, usize>,
    /// The numbers of those that are no longer pending: the oldest may be dropped.
    closed: BTreeSet<usize>,
    next: usize,
    max: usize,
    pub(crate) changes: Changes<usize>,
}

/// No transaction can be dropped: each is pending and its time to pay is not over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AllPending;

impl Transactions {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            held: BTreeMap::new(),
            by_id: HashMap::new(),
            by_reference: HashMap::new(),
            closed: BTreeSet::new(),
            next: 0,
            max,
            changes: Changes::default(),
        }
    }

    /// Drops the oldest closed transaction if there is no room for one more.
    pub(crate) fn make_room(&mut self) -> Result<Option<(usize, Transaction)>, AllPending> {
        if self.held.len() < self.max {
            return Ok(None);
        }
        let number = self.closed.pop_first().ok_or(AllPending)?;
        let dropped = self.held.remove(&number).ok_or(AllPending)?;
        self.by_id.remove(&dropped.id);
        self.by_reference.remove(&dropped.reference);
        self.changes.mark(|| number);
        Ok(Some((number, dropped)))
    }

    /// Adds a transaction under the next number.
    pub(crate) fn add(&mut self, transaction: Transaction) -> usize {
        let number = self.next;
        self.insert(number, transaction);
        self.changes.mark(|| number);
        number
    }

    /// Puts a transaction where a saved state had it.
    pub(crate) fn insert(&mut self, number: usize, transaction: Transaction) {
        self.by_id.insert(transaction.id, number);
        self.by_reference.insert(transaction.reference, number);
        if transaction.status != Status::Pending {
            self.closed.insert(number);
        }
        self.held.insert(number, transaction);
        self.next = self.next.max(number.saturating_add(1));
    }

    /// Says that a transaction is no longer pending.
    pub(crate) fn close(&mut self, number: usize) {
        self.closed.insert(number);
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Transaction> {
        self.held.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: usize) -> Option<&mut Transaction> {
        self.changes.mark(|| number);
        self.held.get_mut(&number)
    }

    pub(crate) fn by_id(&self, id: Uuid) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn by_reference(&self, reference: Uuid) -> Option<usize> {
        self.by_reference.get(&reference).copied()
    }

    /// In order of creation.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, &Transaction)> {
        self.held.iter().map(|(number, transaction)| (*number, transaction))
    }

    /// Newest first, from below a number on.
    pub(crate) fn newest_before(
        &self,
        number: usize,
    ) -> impl Iterator<Item = (usize, &Transaction)> {
        self.held.range(..number).rev().map(|(number, transaction)| (*number, transaction))
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many were ever added.
    pub(crate) const fn added(&self) -> usize {
        self.next
    }

    /// Continues the numbering of a saved state.
    pub(crate) fn continue_at(&mut self, next: usize) {
        self.next = self.next.max(next);
    }
}
