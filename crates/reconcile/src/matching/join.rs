//! Which rows of the exports belong to which payment: by order id, then by Midtrans' id.

use std::collections::{BTreeMap, HashMap};

use super::chunks::in_chunks;
use crate::ids::{AnyCase, MidtransId, Texts};
use crate::journal::{Journal, NONE, index};
use crate::reports::{Reports, Transaction};

/// Rows that belong to no payment, by their places.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) strays: Vec<u32>,
    /// Rows that were found by Midtrans' id though their order id is another payment's or nobody's.
    pub(crate) by_midtrans_id: u64,
}

/// Hangs each row on its payment, looked up on so many threads.
pub(crate) fn join(journal: &mut Journal, reports: &mut Reports, threads: usize) -> Joined {
    let agreed = in_chunks(&reports.rows, threads, |rows| {
        rows.iter().map(|row| agreed(journal, row).unwrap_or(NONE)).collect::<Vec<u32>>()
    });
    let mut waiting: Vec<u32> = Vec::new();
    for (place, payment) in agreed.concat().into_iter().enumerate().rev() {
        let Ok(at) = u32::try_from(place) else { continue };
        if payment == NONE {
            waiting.push(at);
        } else {
            hang(journal, reports, payment, at);
        }
    }
    waiting.reverse();
    let ids = waiting.iter().map(|at| {
        let id = reports.rows.get(index(*at)).map_or(MidtransId::None, |row| row.midtrans);
        (id, &reports.texts)
    });
    let others = by_midtrans_id(journal, ids);
    let mut joined = Joined::default();
    for (place, at) in waiting.iter().enumerate().rev() {
        let by_id = others.get(&place).copied();
        let by_order = reports.rows.get(index(*at)).filter(|row| row.order != 0);
        let by_order = by_order.and_then(|row| journal.find(row.order));
        // Its own id of Midtrans tells more than an order id that is another payment's.
        let free = by_id
            .filter(|payment| journal.payment(*payment).is_some_and(|payment| payment.row == NONE));
        match free.or(by_order).or(by_id) {
            Some(payment) => {
                joined.by_midtrans_id += u64::from(free.is_some() && by_order.is_none());
                hang(journal, reports, payment, *at);
            }
            None => joined.strays.push(*at),
        }
    }
    joined.strays.reverse();
    joined
}

/// The payment that has the order id of a row, unless their ids of Midtrans are two.
fn agreed(journal: &Journal, row: &Transaction) -> Option<u32> {
    let place = if row.order == 0 { None } else { journal.find(row.order) }?;
    let payment = journal.payment(place)?;
    let same = payment.midtrans == row.midtrans
        || row.midtrans == MidtransId::None
        || payment.midtrans == MidtransId::None;
    same.then_some(place)
}

/// Puts a row before the others of its payment. Rows come last to first.
fn hang(journal: &mut Journal, reports: &mut Reports, payment: u32, row: u32) {
    let payment = journal.payments.get_mut(index(payment));
    let (Some(payment), Some(entry)) = (payment, reports.rows.get_mut(index(row))) else { return };
    entry.next = payment.row;
    payment.row = row;
}

/// The payments that have ids of Midtrans, by the ids' places in the list.
pub(crate) fn by_midtrans_id<'a>(
    journal: &Journal,
    ids: impl Iterator<Item = (MidtransId, &'a Texts)>,
) -> BTreeMap<usize, u32> {
    let mut wanted: HashMap<AnyCase, Vec<usize>> = HashMap::new();
    for (place, (id, texts)) in ids.enumerate() {
        if let Some(id) = texts.any_case(id) {
            wanted.entry(id).or_default().push(place);
        }
    }
    let mut found = BTreeMap::new();
    if wanted.is_empty() {
        return found;
    }
    for (at, payment) in journal.payments.iter().enumerate() {
        let Ok(at) = u32::try_from(at) else { continue };
        let places = journal.texts.any_case(payment.midtrans).and_then(|id| wanted.get(&id));
        for place in places.into_iter().flatten() {
            found.insert(*place, at);
        }
    }
    found
}
