//! Sorting money events in bounded memory: runs are sorted, written beside the files under way, and
//! merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::PathBuf;
use std::vec::IntoIter;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::time::Timestamp;
use gopay_finance::amount::Amount;
use gopay_finance::event::{Money, MoneyEvent};

/// Events in memory at most: 50 MB or so.
const RUN: usize = 200_000;

/// Takes events in any order.
pub(crate) struct Sorter {
    folder: PathBuf,
    held: Vec<MoneyEvent>,
    runs: Vec<File>,
}

impl Sorter {
    /// Runs go to nameless files in a folder.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, held: Vec::new(), runs: Vec::new() }
    }

    pub(crate) fn push(&mut self, event: MoneyEvent) -> io::Result<()> {
        self.held.push(event);
        if self.held.len() < RUN {
            return Ok(());
        }
        self.held.sort_unstable_by_key(MoneyEvent::order);
        let mut file = tempfile::tempfile_in(&self.folder)?;
        let mut out = BufWriter::with_capacity(1 << 18, &mut file);
        self.held.drain(..).try_for_each(|event| write_event(&mut out, &event))?;
        out.flush()?;
        drop(out);
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// The events in the order of rows.
    pub(crate) fn sorted(mut self) -> io::Result<Sorted> {
        self.held.sort_unstable_by_key(MoneyEvent::order);
        let files = self
            .runs
            .into_iter()
            .map(|file| Run::File(Box::new(BufReader::with_capacity(1 << 16, file))));
        let mut runs: Vec<Run> = files.collect();
        runs.push(Run::Held(self.held.into_iter()));
        let mut sorted = Sorted { next: BinaryHeap::new(), runs };
        for place in 0..sorted.runs.len() {
            sorted.advance(place)?;
        }
        Ok(sorted)
    }
}

/// A sorted run.
enum Run {
    Held(IntoIter<MoneyEvent>),
    File(Box<BufReader<File>>),
}

/// The events of all runs in order.
pub(crate) struct Sorted {
    next: BinaryHeap<Reverse<Head>>,
    runs: Vec<Run>,
}

/// The first event of a run.
struct Head {
    event: MoneyEvent,
    run: usize,
}

impl Head {
    fn key(&self) -> ((i64, i64, Money), usize) {
        (self.event.order(), self.run)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Sorted {
    /// The next event.
    pub(crate) fn next(&mut self) -> io::Result<Option<MoneyEvent>> {
        let Some(Reverse(head)) = self.next.pop() else { return Ok(None) };
        self.advance(head.run)?;
        Ok(Some(head.event))
    }

    fn advance(&mut self, place: usize) -> io::Result<()> {
        let event = match self.runs.get_mut(place) {
            Some(Run::Held(held)) => held.next(),
            Some(Run::File(file)) => read_event(file)?,
            None => None,
        };
        self.next.extend(event.map(|event| Reverse(Head { event, run: place })));
        Ok(())
    }
}

/// Numbers as eight bytes, texts behind their length.
fn write_event(out: &mut impl Write, event: &MoneyEvent) -> io::Result<()> {
    let money = match event.money {
        Money::PaymentStarted => 0,
        Money::PaymentSucceeded => 1,
        Money::RefundStarted => 2,
        Money::RefundSucceeded => 3,
        Money::ChargedBack => 4,
    };
    let refund = event.refund_id.map_or(0, RefundId::get);
    let numbers =
        [event.at.as_micros(), event.tx_id.get(), refund, event.amount.get()].map(i64::to_le_bytes);
    out.write_all(&[money])?;
    out.write_all(numbers.as_flattened())?;
    let texts = [Some(&event.contract), event.merchant_id.as_ref(), event.reference.as_ref()];
    for text in texts {
        // No text of the store is longer than a call, which has 256 KiB at most by default.
        let length = text.map_or(Ok(u32::MAX), |text| u32::try_from(text.len()));
        out.write_all(&length.map_err(io::Error::other)?.to_le_bytes())?;
        out.write_all(text.map_or(&[][..], String::as_bytes))?;
    }
    Ok(())
}

fn read_event(from: &mut impl Read) -> io::Result<Option<MoneyEvent>> {
    let mut money = [0];
    if from.read(&mut money)? == 0 {
        return Ok(None);
    }
    let [money] = money;
    let money = match money {
        0 => Money::PaymentStarted,
        1 => Money::PaymentSucceeded,
        2 => Money::RefundStarted,
        3 => Money::RefundSucceeded,
        4 => Money::ChargedBack,
        _ => return Err(broken()),
    };
    let mut number = || -> io::Result<i64> {
        let mut bytes = [0; 8];
        from.read_exact(&mut bytes)?;
        Ok(i64::from_le_bytes(bytes))
    };
    let (at, tx_id, refund, amount) = (number()?, number()?, number()?, number()?);
    let mut text = || -> io::Result<Option<String>> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length == u32::MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(|_| broken())?];
        from.read_exact(&mut bytes)?;
        String::from_utf8(bytes).map(Some).map_err(|_| broken())
    };
    let (contract, merchant_id, reference) = (text()?.ok_or_else(broken)?, text()?, text()?);
    Ok(Some(MoneyEvent {
        at: Timestamp::from_micros(at),
        money,
        tx_id: TxId::new(tx_id).map_err(|_| broken())?,
        refund_id: RefundId::new(refund).ok(),
        amount: Amount::new(amount),
        contract,
        merchant_id,
        reference,
    }))
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a file of events under sorting was changed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: i64) -> MoneyEvent {
        let text = |number: i64| (number % 3 > 0).then(|| format!("r-{number}-ü"));
        MoneyEvent {
            at: Timestamp::from_micros(number % 7_919 * 1_000_000),
            money: if number % 5 == 0 { Money::RefundSucceeded } else { Money::PaymentSucceeded },
            tx_id: TxId::new(number).unwrap(),
            refund_id: RefundId::new(if number % 5 == 0 { number } else { 0 }).ok(),
            amount: Amount::new(number * 100),
            contract: "C".into(),
            merchant_id: text(number),
            reference: text(number + 1),
        }
    }

    #[test]
    fn events_come_out_in_order_and_whole_whether_they_fit_in_memory_or_not() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, 1_000, i64::try_from(RUN).unwrap() * 2 + 17] {
            let mut sorter = Sorter::new(folder.path().to_owned());
            (1..=count).rev().for_each(|number| sorter.push(event(number)).unwrap());
            let mut sorted = sorter.sorted().unwrap();
            let (mut last, mut seen) = (None, 0);
            while let Some(found) = sorted.next().unwrap() {
                assert_eq!(found, event(found.tx_id.get()));
                assert!(last < Some(found.order()), "{found:?}");
                last = Some(found.order());
                seen += 1;
            }
            assert_eq!(seen, count);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
