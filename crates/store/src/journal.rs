//! Reading the journal: one ordered stream of money events.
//!
//! Each shard (the instance bits of the payment's id) has a sequence of its own, which grows by
//! one in the order of commits and has no gaps. So a reader that has passed a position never later
//! finds a new entry before it, and no counter is shared by all. A [`Cursor`] is a position in
//! every shard. Entries of several shards are merged by time; the order within a shard holds
//! always, the order between shards is for the eye.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::FromStr;
use std::vec::IntoIter;

use async_trait::async_trait;
use gopay_core::ids::IdGenerator;
use gopay_core::journal::Entry;
use gopay_core::payment::Channel;

use crate::StoreError;

/// An entry with its place, and with what never changes about what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    /// The instance bits of the payment's id.
    pub shard: u16,
    /// Its place in the shard, from 1.
    pub seq: i64,
    /// The entry.
    pub entry: Entry,
    /// Of what it is about; none of it if the payment has been archived, or if a call for a refund
    /// named a payment that is not its contract's.
    pub about: JournalSubject,
}

/// What never changes about a payment or a refund.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalSubject {
    /// The login of the PSP.
    pub psp: Option<String>,
    /// The contract.
    pub contract: Option<String>,
    /// The channel of the payment.
    pub channel: Option<Channel>,
    /// The PSP's reference of the payment.
    pub merchant_tx_id: Option<String>,
    /// The PSP's reference of the refund.
    pub merchant_refund_id: Option<String>,
}

/// What [`Journal::journal_read`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPage {
    /// Empty at the end, and only there; it may be shorter than was asked for.
    pub records: Vec<JournalRecord>,
    /// Where to go on.
    pub next: Cursor,
}

/// Records in one answer at most.
pub const JOURNAL_PAGE_MAX: usize = 1_000;

/// The journal of a store; see the module.
#[async_trait]
pub trait Journal: Send + Sync {
    /// The entries after a position, at most `limit` and at most [`JOURNAL_PAGE_MAX`] of them.
    async fn journal_read(&self, after: &Cursor, limit: usize) -> Result<JournalPage, StoreError>;

    /// The position after every entry that there is now, for readers of what comes.
    async fn journal_end(&self) -> Result<Cursor, StoreError>;
}

/// A position in the journal: how far each shard has been read. Its text is opaque.
///
/// ```
/// use gopay_store::Cursor;
/// let cursor = Cursor::default().advanced(3, 17);
/// assert_eq!(cursor.to_string().parse(), Ok(cursor));
/// assert!("j1.3".parse::<Cursor>().is_err());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor(BTreeMap<u16, i64>);

/// The text is no cursor of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position in the journal")]
pub struct CursorError;

impl Cursor {
    /// How far a shard has been read: the number of its last entry, 0 before the first.
    #[must_use]
    pub fn position(&self, shard: u16) -> i64 {
        self.0.get(&shard).copied().unwrap_or(0)
    }

    /// Whether everything that another position has passed is passed by this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|(shard, seq)| self.position(*shard) >= *seq)
    }

    /// How far each shard has been read, of those that have been.
    pub fn shards(&self) -> impl Iterator<Item = (u16, i64)> {
        self.0.iter().map(|(shard, seq)| (*shard, *seq))
    }

    /// One shard read as far as `seq`, and every other to its end, whatever comes there: for reading
    /// a shard by itself.
    #[must_use]
    pub fn only(shard: u16, seq: i64) -> Self {
        let others = (0..=IdGenerator::INSTANCE_MAX).filter(|other| *other != shard);
        let mut cursor: BTreeMap<_, _> = others.map(|other| (other, i64::MAX)).collect();
        if seq > 0 {
            cursor.insert(shard, seq);
        }
        Self(cursor)
    }

    /// The cursor with a shard read as far as `seq`.
    #[must_use]
    pub fn advanced(mut self, shard: u16, seq: i64) -> Self {
        if seq > self.position(shard) {
            self.0.insert(shard, seq);
        }
        self
    }
}

/// The first word of a cursor's text: its version.
const VERSION: &str = "j1";

/// `j1.3-1f.2bc-7`: the version, then for each shard in order its number and its position, in
/// hexadecimal digits.
impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(VERSION)?;
        self.0.iter().try_for_each(|(shard, seq)| write!(out, ".{shard:x}-{seq:x}"))
    }
}

/// Only what [`Cursor`]'s `Display` writes is read, so that equal positions have equal texts.
impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut words = text.split('.');
        if words.next() != Some(VERSION) {
            return Err(CursorError);
        }
        let position = |word: &str| {
            let (shard, seq) = word.split_once('-')?;
            let shard = u16::from_str_radix(shard, 16).ok()?;
            let seq = i64::from_str_radix(seq, 16).ok()?;
            (shard <= IdGenerator::INSTANCE_MAX && seq > 0).then_some((shard, seq))
        };
        let cursor = words.map(position).collect::<Option<BTreeMap<_, _>>>();
        let cursor = cursor.map(Self).ok_or(CursorError)?;
        if cursor.to_string() == text { Ok(cursor) } else { Err(CursorError) }
    }
}

/// What an engine reads for a page: from which shards, and how many entries of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalQuery {
    /// Shards with entries after the position, and the position.
    pub shards: Vec<(u16, i64)>,
    /// Entries of each at most.
    pub each: usize,
    limit: usize,
}

impl JournalQuery {
    /// From the last entry of each shard.
    #[must_use]
    pub fn new(after: &Cursor, heads: &Cursor, limit: usize) -> Self {
        /// So few of each that a page is not made of one entry of many shards.
        const EACH_MIN: usize = 16;
        let limit = limit.clamp(1, JOURNAL_PAGE_MAX);
        let behind = heads.0.iter().filter(|(shard, seq)| after.position(**shard) < **seq);
        let shards: Vec<_> = behind.map(|(shard, _)| (*shard, after.position(*shard))).collect();
        let each = limit.checked_div(shards.len()).unwrap_or(limit).max(EACH_MIN).min(limit);
        Self { shards, each, limit }
    }

    /// The page of the records that were read, in the order of shard and place.
    ///
    /// Where a shard was not read to its end, the page ends with what was read of it: what comes
    /// next there may be older than what comes next elsewhere.
    #[must_use]
    pub fn page(&self, after: &Cursor, records: Vec<JournalRecord>) -> JournalPage {
        let mut shards: BTreeMap<u16, Vec<JournalRecord>> = BTreeMap::new();
        for record in records {
            shards.entry(record.shard).or_default().push(record);
        }
        let mut queues: Vec<_> =
            shards.into_values().map(|read| Queue::new(read, self.each)).collect();
        let mut page = JournalPage { records: Vec::new(), next: after.clone() };
        while page.records.len() < self.limit {
            let oldest = queues.iter_mut().filter_map(|queue| {
                let first = queue.records.peek()?;
                Some(((first.entry.at, first.shard), queue))
            });
            let Some((_, queue)) = oldest.min_by_key(|(time, _)| *time) else { break };
            let Some(record) = queue.records.next() else { break };
            page.next = page.next.advanced(record.shard, record.seq);
            page.records.push(record);
            if queue.cut && queue.records.peek().is_none() {
                break;
            }
        }
        page
    }
}

/// What was read of one shard.
struct Queue {
    records: Peekable<IntoIter<JournalRecord>>,
    /// There may be more.
    cut: bool,
}

impl Queue {
    fn new(records: Vec<JournalRecord>, each: usize) -> Self {
        Self { cut: records.len() >= each, records: records.into_iter().peekable() }
    }
}

#[cfg(test)]
mod tests {
    use gopay_core::ids::TxId;
    use gopay_core::journal::Kind;
    use gopay_core::time::Timestamp;

    use super::*;

    #[test]
    fn a_cursor_is_read_only_in_its_one_written_form() {
        for (text, good) in [
            ("j1", true),
            ("j1.0-1", true),
            ("j1.3-1f.3ff-7fffffffffffffff", true),
            ("", false),
            ("j2", false),
            ("j1.", false),
            ("J1", false),
            ("j1.3", false),
            ("j1.3-", false),
            ("j1.-1", false),
            ("j1.3-0", false),
            ("j1.3--1", false),
            ("j1.3-01", false),
            ("j1.03-1", false),
            ("j1.3-1F", false),
            ("j1.+3-1", false),
            ("j1.400-1", false),
            ("j1.3-1.3-2", false),
            ("j1.4-1.3-1", false),
            ("j1.3-8000000000000000", false),
            ("j1 .3-1", false),
        ] {
            assert_eq!(text.parse::<Cursor>().is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_cursor_goes_forward_only() {
        let cursor = Cursor::default().advanced(3, 7).advanced(3, 5).advanced(0, 1);
        assert_eq!((cursor.position(3), cursor.position(0), cursor.position(1)), (7, 1, 0));
        assert_eq!(cursor.to_string(), "j1.0-1.3-7");
    }

    #[test]
    fn a_shard_can_be_read_by_itself() {
        let heads = Cursor::default().advanced(1, 3).advanced(2, 9).advanced(1_023, 4);
        for (seq, wanted) in [(0, vec![(2, 0)]), (8, vec![(2, 8)]), (9, vec![])] {
            let query = JournalQuery::new(&Cursor::only(2, seq), &heads, 100);
            assert_eq!(query.shards, wanted);
        }
    }

    fn record(shard: u16, seq: i64, at: i64) -> JournalRecord {
        let entry = Entry {
            at: Timestamp::from_micros(at),
            kind: Kind::Opened,
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

    #[test]
    fn shards_are_merged_by_time_and_keep_their_own_order() {
        let heads = Cursor::default().advanced(1, 3).advanced(2, 2).advanced(5, 9);
        let after = Cursor::default().advanced(5, 9).advanced(1, 1);
        let query = JournalQuery::new(&after, &heads, 100);
        assert_eq!((query.shards.as_slice(), query.each), ([(1, 1), (2, 0)].as_slice(), 50));
        // A clock was set back between the two of shard 1.
        let read = vec![record(1, 2, 30), record(1, 3, 10), record(2, 1, 20), record(2, 2, 40)];
        let page = query.page(&after, read);
        let told: Vec<_> = page.records.iter().map(|one| (one.shard, one.seq)).collect();
        assert_eq!(told, [(2, 1), (1, 2), (1, 3), (2, 2)]);
        assert_eq!(page.next.to_string(), "j1.1-3.2-2.5-9");
        assert_eq!(JournalQuery::new(&page.next, &heads, 100).shards, []);
    }

    #[test]
    fn a_page_ends_where_a_shard_was_cut() {
        let heads = Cursor::default().advanced(1, 1_000).advanced(2, 1_000);
        let start = Cursor::default();
        let query = JournalQuery::new(&start, &heads, 32);
        assert_eq!(query.each, 16);
        let one = (1..=16).map(|seq| record(1, seq, seq));
        let two = (1..=16).map(|seq| record(2, seq, 100 + seq));
        let page = query.page(&start, one.chain(two).collect());
        assert_eq!(page.records.len(), 16);
        assert_eq!(page.next, start.advanced(1, 16));
    }
}
