//! Which rows of the exports belong to which payment: by order id, then by Midtrans' id.

use std::collections::BTreeMap;

use crate::ids::{MidtransId, Texts};
use crate::journal::{Journal, NONE, index};
use crate::reports::Reports;

/// Rows that belong to no payment, by their places.
#[derive(Debug, Default)]
pub(crate) struct Joined {
    pub(crate) strays: Vec<u32>,
    /// Rows that were found by Midtrans' id though their order id is another payment's or nobody's.
    pub(crate) by_midtrans_id: u64,
}

/// Hangs each row on its payment.
pub(crate) fn join(journal: &mut Journal, reports: &mut Reports) -> Joined {
    let mut waiting: Vec<u32> = Vec::new();
    for place in (0..reports.rows.len()).rev() {
        let Ok(at) = u32::try_from(place) else { continue };
        let Some(row) = reports.rows.get(place) else { continue };
        let found = if row.order == 0 { None } else { journal.find(row.order) };
        let payment = found.and_then(|payment| journal.payment(payment));
        let same = payment.is_some_and(|payment| {
            payment.midtrans == row.midtrans
                || row.midtrans == MidtransId::None
                || payment.midtrans == MidtransId::None
        });
        match found {
            Some(payment) if same => hang(journal, reports, payment, at),
            _ => waiting.push(at),
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
    let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut uuids: BTreeMap<[u64; 2], Vec<usize>> = BTreeMap::new();
    for (place, (id, texts)) in ids.enumerate() {
        match id {
            MidtransId::Uuid(uuid) => uuids.entry(uuid).or_default().push(place),
            // In another letter case it is the same.
            MidtransId::Text(_) => {
                wanted.entry(texts.text(id).to_lowercase()).or_default().push(place);
            }
            MidtransId::None => {}
        }
    }
    let mut found = BTreeMap::new();
    if wanted.is_empty() && uuids.is_empty() {
        return found;
    }
    for (at, payment) in journal.payments.iter().enumerate() {
        let Ok(at) = u32::try_from(at) else { continue };
        let by_uuid = match payment.midtrans {
            MidtransId::Uuid(uuid) => uuids.get(&uuid),
            MidtransId::Text(_) | MidtransId::None => None,
        };
        let by_text = if wanted.is_empty() || payment.midtrans == MidtransId::None {
            None
        } else {
            wanted.get(&journal.texts.text(payment.midtrans).to_lowercase())
        };
        for place in by_uuid.into_iter().chain(by_text).flatten() {
            found.insert(*place, at);
        }
    }
    found
}
