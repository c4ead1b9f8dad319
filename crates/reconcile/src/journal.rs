//! Our journal, as money: one record for each payment, small enough for millions.

use std::io::Read;

use csv::ByteRecord;
use gopay_core::journal::Kind as EventKind;
use hashbrown::HashTable;
use sha2::{Digest as _, Sha256};

use crate::date::{Moment, rfc3339_utc};
use crate::ids::{MidtransId, Texts, number};
use crate::input::source::{delimited, hex};
use crate::money::Money;
use crate::words::Words;

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// The shopper could pay; nothing final is known.
    Open,
    Failed,
    Succeeded,
}

impl State {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Open => "pending",
            Self::Failed => "failed",
            Self::Succeeded => "succeeded",
        }
    }
}

/// A payment by our books. Amounts in hundred-thousandths, times in seconds since 1970, 0 for none.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) tx_id: i64,
    pub(crate) amount: i64,
    pub(crate) refunded: i64,
    pub(crate) midtrans: MidtransId,
    pub(crate) first_at: u32,
    pub(crate) paid_at: u32,
    pub(crate) refunded_at: u32,
    /// The first of its rows in the reports, or [`NONE`].
    pub(crate) row: u32,
    pub(crate) state: State,
    pub(crate) method: u8,
    pub(crate) live: bool,
}

/// No place in a table.
pub(crate) const NONE: u32 = u32::MAX;

impl Payment {
    pub(crate) fn amount(&self) -> Money {
        Money::from_units(self.amount)
    }

    pub(crate) fn refunded(&self) -> Money {
        Money::from_units(self.refunded)
    }

    /// When the money came in, else when we first heard of it.
    pub(crate) const fn at(&self) -> u32 {
        if self.paid_at == 0 { self.first_at } else { self.paid_at }
    }
}

/// A refund by our books.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub(crate) refund_id: i64,
    pub(crate) payment: u32,
    pub(crate) amount: i64,
    pub(crate) at: u32,
    pub(crate) succeeded: bool,
}

/// A line of the journal that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub(crate) file: String,
    pub(crate) line: u64,
    pub(crate) what: String,
}

/// One entry, as the store or a file tells it.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When it was recorded.
    pub at: Moment,
    /// What happened.
    pub kind: EventKind,
    /// Whether it is about real money.
    pub live: bool,
    /// The TXID.
    pub tx_id: i64,
    /// The REFUNDID.
    pub refund_id: Option<i64>,
    /// Midtrans' id of the payment or refund.
    pub midtrans_id: &'a [u8],
    /// Midtrans' payment type.
    pub payment_type: &'a [u8],
    /// How much it is about, in sen.
    pub amount_sen: Option<i64>,
    /// When it happened by Midtrans' clock.
    pub midtrans_at: Option<Moment>,
}

/// All payments of a journal.
#[derive(Debug, Default)]
pub struct Journal {
    pub(crate) payments: Vec<Payment>,
    index: HashTable<u32>,
    /// The least and the greatest TXID.
    least_and_most: Option<(i64, i64)>,
    pub(crate) refunds: Vec<Refund>,
    refund_index: HashTable<u32>,
    pub(crate) texts: Texts,
    pub(crate) methods: Words,
    pub(crate) unreadable: Vec<Unreadable>,
    /// Corrections by people, in hundred-thousandths.
    pub(crate) adjustments: Money,
    pub(crate) events: u64,
    pub(crate) first_at: Option<Moment>,
    pub(crate) last_at: Option<Moment>,
    /// SHA-256 of the file, or of the position in the store that it was read to.
    pub hash: String,
}

/// Spreads ids, which grow with time, over the table.
pub(crate) fn spread(id: i64) -> u64 {
    let mixed = id.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 32)
}

impl Journal {
    /// Takes the next entry. Entries may come twice and in any order.
    pub fn push(&mut self, event: &Event<'_>) {
        self.events += 1;
        self.first_at = Some(self.first_at.map_or(event.at, |first| first.min(event.at)));
        self.last_at = Some(self.last_at.map_or(event.at, |last| last.max(event.at)));
        let units = event.amount_sen.and_then(|sen| sen.checked_mul(1_000)).unwrap_or(0);
        if event.kind == EventKind::Adjustment {
            self.adjustments += Money::from_units(units);
            return;
        }
        let place = self.place(event);
        match event.refund_id {
            Some(refund_id) => self.push_refund(refund_id, place, event, units),
            None => self.push_payment(place, event, units),
        }
    }

    fn push_payment(&mut self, place: u32, event: &Event<'_>, units: i64) {
        let state = match event.kind {
            EventKind::Opened => State::Open,
            EventKind::Failed => State::Failed,
            EventKind::Succeeded | EventKind::SucceededLate => State::Succeeded,
            EventKind::RefundRequested
            | EventKind::RefundSucceeded
            | EventKind::RefundFailed
            | EventKind::RefundFundsConfirmed
            | EventKind::RefundedElsewhere
            | EventKind::ChargedBack
            | EventKind::Adjustment => return,
        };
        let method = self.methods.code(event.payment_type);
        let midtrans = if event.midtrans_id.is_empty() {
            MidtransId::None
        } else {
            self.texts.id(event.midtrans_id)
        };
        let Some(payment) = self.payments.get_mut(index(place)) else { return };
        payment.live = event.live;
        payment.first_at = payment.first_at.min(event.at.compact());
        payment.amount = if units == 0 { payment.amount } else { units };
        payment.method = if method == 0 { payment.method } else { method };
        if midtrans != MidtransId::None {
            payment.midtrans = midtrans;
        }
        if state == State::Succeeded {
            payment.paid_at = event.midtrans_at.unwrap_or(event.at).compact();
        }
        payment.state = payment.state.max(state);
    }

    fn push_refund(&mut self, refund_id: i64, payment: u32, event: &Event<'_>, units: i64) {
        let succeeds = match event.kind {
            EventKind::RefundSucceeded
            | EventKind::RefundFundsConfirmed
            | EventKind::RefundedElsewhere
            | EventKind::ChargedBack => true,
            EventKind::RefundRequested | EventKind::RefundFailed => false,
            EventKind::Opened
            | EventKind::Succeeded
            | EventKind::SucceededLate
            | EventKind::Failed
            | EventKind::Adjustment => return,
        };
        let Self { refunds, refund_index, payments, .. } = self;
        let hash = spread(refund_id);
        let known = refund_index
            .find(hash, |at| refunds.get(index(*at)).is_some_and(|one| one.refund_id == refund_id));
        let at = match known {
            Some(at) => *at,
            None => {
                let at = u32::try_from(refunds.len()).unwrap_or(NONE);
                let amount = units;
                let recorded = event.at.compact();
                refunds.push(Refund { refund_id, payment, amount, at: recorded, succeeded: false });
                refund_index.insert_unique(hash, at, |at| {
                    refunds.get(index(*at)).map_or(0, |one| spread(one.refund_id))
                });
                at
            }
        };
        let (Some(refund), Some(payment)) =
            (refunds.get_mut(index(at)), payments.get_mut(index(payment)))
        else {
            return;
        };
        if succeeds && !refund.succeeded {
            refund.succeeded = true;
            refund.amount = if units == 0 { refund.amount } else { units };
            refund.at = event.midtrans_at.unwrap_or(event.at).compact();
            payment.refunded = payment.refunded.saturating_add(refund.amount);
            payment.refunded_at = payment.refunded_at.max(refund.at);
        }
    }

    fn place(&mut self, event: &Event<'_>) -> u32 {
        let Self { payments, index: places, least_and_most, .. } = self;
        let hash = spread(event.tx_id);
        let known = places
            .find(hash, |at| payments.get(index(*at)).is_some_and(|one| one.tx_id == event.tx_id));
        if let Some(at) = known {
            return *at;
        }
        let at = u32::try_from(payments.len()).unwrap_or(NONE);
        let (least, most) = least_and_most.unwrap_or((event.tx_id, event.tx_id));
        *least_and_most = Some((least.min(event.tx_id), most.max(event.tx_id)));
        payments.push(Payment {
            tx_id: event.tx_id,
            amount: 0,
            refunded: 0,
            midtrans: MidtransId::None,
            first_at: event.at.compact(),
            paid_at: 0,
            refunded_at: 0,
            row: NONE,
            state: State::Open,
            method: 0,
            live: event.live,
        });
        places.insert_unique(hash, at, |at| {
            payments.get(index(*at)).map_or(0, |one| spread(one.tx_id))
        });
        at
    }

    /// The place of a payment.
    pub(crate) fn find(&self, tx_id: i64) -> Option<u32> {
        let same = |at: &u32| self.payments.get(index(*at)).is_some_and(|one| one.tx_id == tx_id);
        self.index.find(spread(tx_id), same).copied()
    }

    pub(crate) fn payment(&self, place: u32) -> Option<&Payment> {
        self.payments.get(index(place))
    }

    /// How many digits its ids have.
    pub(crate) fn id_digits(&self) -> Option<(usize, usize)> {
        let digits = |id: i64| id.to_string().len();
        self.least_and_most.map(|(least, most)| (digits(least), digits(most)))
    }
}

/// A place as an index.
pub(crate) fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read.
    #[error("cannot be read")]
    Io(#[from] std::io::Error),
    /// A column that is needed is not there.
    #[error("has no column {0}; it is written by `gopay-adapter journal`")]
    Column(&'static str),
    /// Nothing in it.
    #[error("has no entries")]
    Empty,
}

/// Where the columns of a journal are.
struct Columns {
    at: usize,
    kind: usize,
    channel: usize,
    tx_id: usize,
    refund_id: Option<usize>,
    midtrans_id: Option<usize>,
    payment_type: Option<usize>,
    amount: usize,
    currency: Option<usize>,
    midtrans_at: Option<usize>,
}

impl Columns {
    fn of(titles: &ByteRecord) -> Result<Self, JournalError> {
        let find = |name: &'static str| {
            let is = |title: &[u8]| {
                let title = title.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(title);
                title.trim_ascii().eq_ignore_ascii_case(name.as_bytes())
            };
            titles.iter().position(is)
        };
        let need = |name| find(name).ok_or(JournalError::Column(name));
        Ok(Self {
            at: need("at")?,
            kind: need("kind")?,
            channel: need("channel")?,
            tx_id: need("txid")?,
            refund_id: find("refundid"),
            midtrans_id: find("midtrans_id"),
            payment_type: find("payment_type"),
            amount: need("amount_sen")?,
            currency: find("currency"),
            midtrans_at: find("midtrans_at"),
        })
    }

    /// The entry of a row, or what is wrong with it.
    fn event<'r>(&self, record: &'r ByteRecord) -> Result<Event<'r>, String> {
        let cell = |at: usize| record.get(at).unwrap_or_default();
        let maybe = |at: Option<usize>| at.map_or(&[][..], cell);
        let wrong = |title: &str, text: &[u8]| {
            let text: String = String::from_utf8_lossy(text).chars().take(40).collect();
            format!("{title} is {text:?}")
        };
        let at = rfc3339_utc(cell(self.at)).ok_or_else(|| wrong("at", cell(self.at)))?;
        let kind = kind(cell(self.kind)).ok_or_else(|| wrong("kind", cell(self.kind)))?;
        let tx_id = cell(self.tx_id);
        let tx_id = match (number(tx_id), kind) {
            (Some(number), _) => number,
            (None, EventKind::Adjustment) => 0,
            (None, _) => return Err(wrong("txid", tx_id)),
        };
        let refund_id = match maybe(self.refund_id) {
            b"" => None,
            text => Some(number(text).ok_or_else(|| wrong("refundid", text))?),
        };
        let amount_sen = match cell(self.amount) {
            b"" => None,
            text => Some(sen(text).ok_or_else(|| wrong("amount_sen", text))?),
        };
        match maybe(self.currency) {
            b"" | b"IDR" => {}
            text => return Err(wrong("currency", text)),
        }
        let midtrans_at = match maybe(self.midtrans_at) {
            b"" => None,
            text => Some(rfc3339_utc(text).ok_or_else(|| wrong("midtrans_at", text))?),
        };
        Ok(Event {
            at,
            kind,
            live: cell(self.channel) != b"testchannel",
            tx_id,
            refund_id,
            midtrans_id: maybe(self.midtrans_id),
            payment_type: maybe(self.payment_type),
            amount_sen,
            midtrans_at,
        })
    }
}

fn kind(word: &[u8]) -> Option<EventKind> {
    EventKind::ALL.iter().copied().find(|kind| kind.as_str().as_bytes() == word)
}

fn sen(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        _ => (1, text),
    };
    if digits == b"0" {
        return Some(0);
    }
    // A hundred-thousandth of it has to fit a record as well.
    number(digits).filter(|sen| *sen < 9_000_000_000_000_000).map(|sen| sign * sen)
}

/// Reads a journal file (`docs/RECONCILIATION.md`, "The journal"). Rows that cannot be read are
/// kept by their lines.
///
/// # Errors
/// If it cannot be read at all, or lacks a column.
pub fn read_journal(input: impl Read, name: &str) -> Result<Journal, JournalError> {
    let mut hashing = Hashing { inner: input, hash: Sha256::new() };
    let mut journal = Journal::default();
    let mut columns: Option<Result<(Columns, usize), JournalError>> = None;
    delimited(&mut hashing, b',', &mut |line, record| match &columns {
        None => columns = Some(Columns::of(record).map(|found| (found, record.len()))),
        Some(Err(_)) => {}
        Some(Ok((found, width))) => {
            let event = if record.len() == *width {
                found.event(record)
            } else {
                Err(format!("{} columns where there are {width} titles", record.len()))
            };
            match event {
                Ok(event) => journal.push(&event),
                Err(what) => {
                    journal.unreadable.push(Unreadable { file: name.to_owned(), line, what });
                }
            }
        }
    })?;
    columns.ok_or(JournalError::Empty)??;
    journal.hash = hex(&hashing.hash.finalize());
    Ok(journal)
}

struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(out)?;
        self.hash.update(out.get(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLES: &str = "at,kind,channel,psp,contract,txid,merchanttxid,refundid,merchantrefundid,midtrans_id,payment_type,amount_sen,currency,midtrans_at\n";

    fn read(rows: &str) -> Journal {
        read_journal(format!("{TITLES}{rows}").as_bytes(), "journal.csv").unwrap()
    }

    #[test]
    fn a_payment_is_the_sum_of_its_entries_in_any_order_and_number() {
        let rows = [
            "2026-10-05T10:00:00Z,opened,livechannel,p,C,42,m,,,mid,,4400000,IDR,\n",
            "2026-10-05T10:01:00Z,succeeded,livechannel,p,C,42,m,,,mid,gopay,4400000,IDR,2026-10-05T10:00:58Z\n",
            "2026-10-06T10:00:00Z,refund_requested,livechannel,p,C,42,m,7,r,,,100000,IDR,\n",
            "2026-10-06T10:00:05Z,refund_succeeded,livechannel,p,C,42,m,7,r,99,,100000,IDR,2026-10-06T10:00:04Z\n",
            "2026-10-06T11:00:00Z,refund_requested,livechannel,p,C,42,m,8,r,,,50000,IDR,\n",
            "2026-10-06T11:00:01Z,refund_failed,livechannel,p,C,42,m,8,r,,,50000,IDR,\n",
        ];
        let forward = rows.concat();
        let backward: String = rows.iter().rev().copied().collect();
        for text in [forward.clone(), backward, format!("{forward}{forward}")] {
            let journal = read(&text);
            assert_eq!((journal.payments.len(), journal.refunds.len()), (1, 2));
            let payment = journal.payment(journal.find(42).unwrap()).unwrap();
            assert_eq!(payment.state, State::Succeeded);
            assert_eq!(payment.amount(), Money::from_sen(4_400_000));
            assert_eq!(payment.refunded(), Money::from_sen(100_000));
            let paid = Moment::from_compact(payment.paid_at).unwrap();
            assert_eq!(paid.to_string(), "2026-10-05T10:00:58Z");
            assert!(journal.unreadable.is_empty());
        }
    }

    #[test]
    fn a_row_that_cannot_be_read_is_kept_by_its_line_and_the_others_count() {
        let good = "2026-10-05T10:01:00Z,succeeded,livechannel,p,C,42,m,,,mid,gopay,4400000,IDR,\n";
        for (bad, wanted) in [
            ("yesterday,succeeded,livechannel,p,C,43,m,,,,,1,IDR,\n", "at is"),
            ("2026-10-05T10:01:00Z,paid,livechannel,p,C,43,m,,,,,1,IDR,\n", "kind is"),
            ("2026-10-05T10:01:00Z,succeeded,livechannel,p,C,4.3E+18,m,,,,,1,IDR,\n", "txid is"),
            (
                "2026-10-05T10:01:00Z,succeeded,livechannel,p,C,43,m,,,,,1.00,IDR,\n",
                "amount_sen is",
            ),
            ("2026-10-05T10:01:00Z,succeeded,livechannel,p,C,43,m,,,,,1,USD,\n", "currency is"),
            ("2026-10-05T10:01:00Z,succeeded\n", "2 columns"),
        ] {
            let journal = read(&format!("{bad}{good}"));
            assert_eq!(journal.payments.len(), 1);
            let [unreadable] = journal.unreadable.as_slice() else { panic!("{bad}") };
            assert_eq!(unreadable.line, 2);
            assert!(unreadable.what.contains(wanted), "{}", unreadable.what);
        }
    }

    #[test]
    fn a_file_that_is_no_journal_is_refused_by_what_it_lacks() {
        for (text, wanted) in [("", "no entries"), ("at,kind,channel,txid\n", "amount_sen")] {
            let error = read_journal(text.as_bytes(), "x").unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
