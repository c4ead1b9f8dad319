//! Which entries of the journal belong to a settlement.
//!
//! An entry belongs to the first settlement of the chain that had read it and that ends after its
//! time. Both what was read and where periods end only grow along the chain, so every entry that
//! one settlement takes is taken by no later one, and what none took is left to the next: each
//! entry belongs to exactly one, whatever commits later, in whichever shard.

use std::collections::BTreeSet;

use gopay_core::time::Timestamp;
use gopay_store::{ClosedSettlement, Cursor, JournalRecord};

/// The members of one settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// What the settlement before had read, and where its period ended.
    before: Option<(Cursor, Timestamp)>,
    /// What this one has read.
    read_to: Cursor,
    /// Where its period ends.
    until: Timestamp,
}

impl Membership {
    /// The members of a settlement that reads as far as `read_to` and ends at `until`.
    #[must_use]
    pub fn new(before: Option<&ClosedSettlement>, read_to: Cursor, until: Timestamp) -> Self {
        let before = before.map(|closed| (closed.read_to.clone(), closed.until));
        Self { before, read_to, until }
    }

    /// Those of one that is closed.
    #[must_use]
    pub fn of(before: Option<&ClosedSettlement>, closed: &ClosedSettlement) -> Self {
        Self::new(before, closed.read_to.clone(), closed.until)
    }

    /// Whether an entry belongs to the settlement.
    #[must_use]
    pub fn contains(&self, record: &JournalRecord) -> bool {
        let belongs = |read_to: &Cursor, until: Timestamp| {
            record.seq <= read_to.position(record.shard) && record.entry.at < until
        };
        let earlier = self.before.as_ref().is_some_and(|(read_to, until)| belongs(read_to, *until));
        !earlier && belongs(&self.read_to, self.until)
    }

    /// Where its period ends.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// Whether an entry had been read when the settlement was closed.
    #[must_use]
    pub fn has_read(&self, record: &JournalRecord) -> bool {
        record.seq <= self.read_to.position(record.shard)
    }
}

/// Finds the position before which everything belongs to a settlement or to those before it, so
/// that the next need not read it again.
#[derive(Clone, Debug)]
pub struct NextRead {
    position: Cursor,
    stopped: BTreeSet<u16>,
    until: Timestamp,
}

impl NextRead {
    /// For a settlement that begins to read at a position and ends at `until`.
    #[must_use]
    pub fn new(read_from: &Cursor, until: Timestamp) -> Self {
        Self { position: read_from.clone(), stopped: BTreeSet::new(), until }
    }

    /// Takes notice of the next entry of its shard that the settlement has read.
    pub fn see(&mut self, record: &JournalRecord) {
        if record.entry.at >= self.until {
            self.stopped.insert(record.shard);
        } else if !self.stopped.contains(&record.shard) {
            let position = std::mem::take(&mut self.position);
            self.position = position.advanced(record.shard, record.seq);
        }
    }

    /// The position.
    #[must_use]
    pub fn position(self) -> Cursor {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use gopay_core::ids::TxId;
    use gopay_core::journal::{Entry, Kind};
    use gopay_store::JournalSubject;
    use proptest::prelude::*;

    use super::*;

    fn record(shard: u16, seq: i64, at: i64) -> JournalRecord {
        let entry = Entry {
            at: Timestamp::from_micros(at),
            kind: Kind::Succeeded,
            tx_id: TxId::new(1).unwrap(),
            refund_id: None,
            amount: None,
            reason: None,
            midtrans_id: None,
            midtrans_at: None,
            payment_type: None,
            payment_option: None,
        };
        JournalRecord { shard, seq, entry, about: JournalSubject::default() }
    }

    /// Where a chain of closings puts the entries that were written between them.
    struct Closing {
        membership: Membership,
        read_from: Cursor,
    }

    fn close(journal: &[JournalRecord], last: Option<&Closing>, until: i64) -> Closing {
        let read_to = journal
            .iter()
            .fold(Cursor::default(), |cursor, one| cursor.advanced(one.shard, one.seq));
        let until = Timestamp::from_micros(until);
        let before = last.map(|one| (one.membership.read_to.clone(), one.membership.until));
        let read_from = last.map_or_else(Cursor::default, |last| {
            let mut next = NextRead::new(&last.read_from, last.membership.until);
            let read = |one: &&JournalRecord| {
                one.seq > last.read_from.position(one.shard) && last.membership.has_read(one)
            };
            journal.iter().filter(read).for_each(|one| next.see(one));
            next.position()
        });
        Closing { membership: Membership { before, read_to, until }, read_from }
    }

    #[test]
    fn what_commits_late_goes_to_the_next_settlement() {
        // Two shards; the period ends at 100, is closed at 115, and what comes then is of 99.
        let mut journal = vec![record(1, 1, 50), record(2, 1, 99), record(1, 2, 100)];
        let first = close(&journal, None, 100);
        journal.extend([record(2, 2, 99), record(3, 1, 98), record(1, 3, 101)]);
        let second = close(&journal, Some(&first), 200);
        let in_first: Vec<_> = journal.iter().map(|one| first.membership.contains(one)).collect();
        let in_second: Vec<_> = journal.iter().map(|one| second.membership.contains(one)).collect();
        assert_eq!(in_first, [true, true, false, false, false, false]);
        assert_eq!(in_second, [false, false, true, true, true, true]);
        assert_eq!(second.read_from.to_string(), "j1.1-1.2-1");
    }

    proptest! {
        /// Whatever is written when, in whichever shard and with whatever time: every entry that
        /// a closing could see belongs to exactly one settlement, and each settlement finds its
        /// members after the position from which it reads.
        #[test]
        fn every_entry_belongs_to_exactly_one_settlement(
            batches in prop::collection::vec(
                (prop::collection::vec((0_u16..4, 0_i64..600), 0..20), 1_i64..120), 1..6),
        ) {
            let (mut journal, mut closings, mut until) = (Vec::<JournalRecord>::new(), Vec::<Closing>::new(), 0);
            for (entries, length) in batches {
                for (shard, at) in entries {
                    let last = journal.iter().filter(|one| one.shard == shard).count();
                    journal.push(record(shard, i64::try_from(last).unwrap() + 1, at));
                }
                until += length;
                let closing = close(&journal, closings.last(), until);
                closings.push(closing);
            }
            for one in &journal {
                let holders: Vec<_> =
                    closings.iter().filter(|closing| closing.membership.contains(one)).collect();
                let due = one.entry.at < closings.last().unwrap().membership.until;
                prop_assert_eq!(holders.len(), usize::from(due));
                for holder in holders {
                    prop_assert!(one.seq > holder.read_from.position(one.shard));
                }
            }
        }
    }
}
