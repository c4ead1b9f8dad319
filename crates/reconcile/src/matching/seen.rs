//! The rows of a payment put together: exports overlap, items have rows, refunds may have their own.

use super::context::Matching;
use crate::ids::MidtransId;
use crate::journal::{NONE, Payment};
use crate::money::Money;
use crate::reports::{Status, Transaction};

/// What the rows of a payment come to.
pub(crate) struct Seen<'a> {
    pub(crate) row: &'a Transaction,
    pub(crate) refund: Option<Money>,
    pub(crate) folded: u64,
    /// Rows that should not be there.
    pub(crate) surplus: Vec<&'a Transaction>,
    /// No row of the payment itself, only of refunds.
    pub(crate) refunds_only: bool,
}

impl<'a> Matching<'a> {
    /// The rows of a payment put together; none if it has none.
    pub(crate) fn seen(&self, payment: &Payment) -> Option<Seen<'a>> {
        let first = self.row(payment.row)?;
        if first.next == NONE && !first.is_refund {
            return Some(Seen {
                row: first,
                refund: first.refund(),
                folded: 0,
                surplus: Vec::new(),
                refunds_only: false,
            });
        }
        let chain = std::iter::successors(Some(first), |row| self.row(row.next));
        let (refunds, rows): (Vec<_>, Vec<_>) = chain.partition(|row| row.is_refund);
        let mut seen = self.put_together(&rows).unwrap_or_else(|| Seen {
            row: first,
            refund: None,
            folded: 0,
            surplus: Vec::new(),
            refunds_only: true,
        });
        let (given_back, repeated) = self.given_back(&refunds);
        seen.folded += repeated;
        if seen.refund.is_none() && !refunds.is_empty() {
            seen.refund = Some(given_back);
        }
        Some(seen)
    }

    pub(crate) fn put_together(&self, rows: &[&'a Transaction]) -> Option<Seen<'a>> {
        let (first, rest) = rows.split_first()?;
        let mut row = *first;
        let (mut folded, mut surplus) = (0, Vec::new());
        for other in rest {
            // By default an export has no ids of Midtrans: one that is not told is no other.
            let one_id = other.midtrans == row.midtrans
                || [other.midtrans, row.midtrans].contains(&MidtransId::None);
            let same = one_id && other.amount == row.amount && other.currency == row.currency;
            let items = self.reports.files.get(usize::from(row.file)).is_some_and(|f| f.has_items);
            let repeats = other.file != row.file || (items && other.time == row.time);
            if same && repeats {
                folded += 1;
                // The later export knows more, but for columns that it has not.
                row = if rank(other) >= rank(row) { other } else { row };
            } else if !one_id && other.status.has_money() != row.status.has_money() {
                // Tried before under another id, without money.
                folded += 1;
                row = if other.status.has_money() { other } else { row };
            } else {
                surplus.push(*other);
            }
        }
        Some(Seen { row, refund: row.refund(), folded, surplus, refunds_only: false })
    }

    /// The sum of the rows of refunds, and how many of them repeat one of another export.
    pub(crate) fn given_back(&self, rows: &[&Transaction]) -> (Money, u64) {
        let mut sum = Money::ZERO;
        let mut repeated = 0;
        for (at, row) in rows.iter().enumerate() {
            let before = rows.iter().take(at);
            let again = |other: &&&Transaction| {
                other.file != row.file && other.amount == row.amount && other.time == row.time
            };
            if before.clone().any(|other| again(&other)) {
                repeated += 1;
            } else {
                sum += row.amount().abs();
            }
        }
        (sum, repeated)
    }
}

/// How much a row tells: how far the payment is, then how many columns there are.
fn rank(row: &Transaction) -> (Status, usize) {
    let columns = [row.midtrans != MidtransId::None, row.fee().is_some(), row.refund().is_some()];
    (row.status, columns.into_iter().filter(|there| *there).count())
}

/// What Midtrans' rows say that it keeps for us.
pub(crate) fn net(seen: &Seen<'_>) -> Money {
    let refund = seen.refund.unwrap_or(Money::ZERO);
    match seen.row.status {
        Status::Pending | Status::Failed => Money::ZERO,
        _ if seen.refunds_only => -refund,
        Status::Refunded if seen.refund.is_none() => Money::ZERO,
        Status::ChargedBack => Money::ZERO,
        Status::Settled | Status::PartlyRefunded | Status::Refunded => seen.row.amount() - refund,
    }
}
