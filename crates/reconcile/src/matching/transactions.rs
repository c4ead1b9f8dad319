//! The journal against Midtrans' transactions: each payment and each row ends matched, counted
//! apart, or as one break.

use std::collections::BTreeMap;

use super::chunks::in_chunks;
use super::context::Matching;
use super::seen::net;
use super::tally::Tally;
use crate::breaks::{Break, Kind};
use crate::date::{JAKARTA_SECS, Moment};
use crate::ids::rounded;
use crate::journal::{NONE, Payment, State};
use crate::money::Money;
use crate::reports::{Others, Transaction};

impl<'a> Matching<'a> {
    /// Compares every payment, on so many threads.
    pub(crate) fn payments(&self, threads: usize) -> (Vec<Break>, Tally) {
        let parts = in_chunks(&self.journal.payments, threads, |part| self.part(part));
        let mut breaks = Vec::new();
        let mut tally = Tally::default();
        for (part, counted) in parts {
            breaks.extend(part);
            tally.add(&counted);
        }
        (breaks, tally)
    }

    fn part(&self, payments: &[Payment]) -> (Vec<Break>, Tally) {
        let mut tally = Tally::default();
        let breaks = payments.iter().filter_map(|payment| self.payment(payment, &mut tally));
        let breaks = breaks.collect();
        (breaks, tally)
    }

    fn payment(&self, payment: &Payment, tally: &mut Tally) -> Option<Break> {
        if !payment.live && payment.row == NONE {
            tally.test += 1;
            return None;
        }
        let ours = if payment.live && payment.state == State::Succeeded {
            payment.amount() - payment.refunded()
        } else {
            Money::ZERO
        };
        tally.ours_net += ours;
        let Some(seen) = self.seen(payment) else {
            return self.unseen(payment, ours, tally);
        };
        let theirs = net(&seen);
        tally.theirs_net += theirs;
        tally.folded_rows += seen.folded;
        if seen.row.status.has_money() && !seen.refunds_only {
            tally.fees += seen.row.fee().unwrap_or(Money::ZERO);
        }
        let found = self.compare(payment, &seen, tally);
        match &found {
            Some(_) => tally.breaks_net += ours - theirs,
            None if payment.state == State::Succeeded => {
                tally.matched += 1;
                tally.matched_amount += payment.amount();
                if seen.refund.is_none() {
                    tally.untold_refunds += ours - theirs;
                }
            }
            None => tally.without_money += 1,
        }
        found
    }

    /// No row has it.
    fn unseen(&self, payment: &Payment, ours: Money, tally: &mut Tally) -> Option<Break> {
        if payment.state != State::Succeeded {
            tally.without_money += 1;
            return None;
        }
        let paid = Moment::from_compact(payment.at())?;
        if i64::from(payment.first_at) < self.window.start.secs() {
            tally.before_exports += 1;
            tally.before_exports_net += ours;
            return None;
        }
        tally.breaks_net += ours;
        let timing = paid >= self.window.cutoff;
        let kind = if timing { Kind::Timing } else { Kind::MissingAtMidtrans };
        let made = Moment::from_compact(payment.first_at)?.day_at(JAKARTA_SECS);
        let cause = if timing {
            format!(
                "Paid on the last day that the exports tell of; the next export should have it (made on {made} in Jakarta)."
            )
        } else {
            format!(
                "No export has the order: either none covers {made} in Jakarta wholly, or the money is not at Midtrans."
            )
        };
        Some(Break {
            ours: payment.amount().to_string(),
            cause,
            day: Some(paid.day()),
            due: timing.then(|| paid.day().plus(i32::from(self.mapping.due.report_days))),
            at_risk: ours,
            ..Break::of_payment(kind, payment.tx_id)
        })
    }

    /// Rows that belong to no payment.
    pub(crate) fn strays(&self, strays: &[u32], others: &mut Others) -> (Vec<Break>, Tally) {
        let mut tally = Tally::default();
        let mut orders: BTreeMap<(i64, String), Vec<&Transaction>> = BTreeMap::new();
        let digits = self.journal.id_digits();
        for row in strays.iter().filter_map(|at| self.row(*at)) {
            let length = row.order.to_string().len();
            let ours = row.order == 0
                || digits.is_none_or(|(least, most)| (least..=most).contains(&length));
            if ours {
                // Rows without an order id are told apart by Midtrans' id.
                let key = if row.order == 0 {
                    self.reports.texts.text(row.midtrans)
                } else {
                    String::new()
                };
                orders.entry((row.order, key)).or_default().push(row);
            } else {
                others.rows += 1;
                if row.status.has_money() {
                    others.paid += row.amount();
                }
            }
        }
        let breaks = orders
            .iter()
            .filter_map(|((order, midtrans), rows)| self.stray(*order, midtrans, rows, &mut tally));
        let breaks = breaks.collect();
        (breaks, tally)
    }

    fn stray(
        &self,
        order: i64,
        midtrans: &str,
        rows: &[&'a Transaction],
        tally: &mut Tally,
    ) -> Option<Break> {
        let (refunds, payments): (Vec<_>, Vec<_>) =
            rows.iter().copied().partition(|row| row.is_refund);
        let (given_back, _) = self.given_back(&refunds);
        let seen = self.put_together(&payments);
        let row = seen.as_ref().map_or(*rows.first()?, |seen| seen.row);
        if !row.status.has_money() {
            tally.strays_without_money += 1;
            return None;
        }
        let gross = if seen.is_some() { row.amount() } else { Money::ZERO };
        let theirs = gross - row.refund().unwrap_or(given_back);
        tally.theirs_net += theirs;
        tally.fees += row.fee().unwrap_or(Money::ZERO);
        let made = Moment::from_compact(row.time)?;
        if self.journal.first_at.is_some_and(|first| made < first) {
            tally.before_journal += 1;
            tally.before_journal_net += theirs;
            return None;
        }
        tally.breaks_net -= theirs;
        let beyond = self.journal.last_at.is_some_and(|last| made > last);
        let kind = if beyond { Kind::Timing } else { Kind::MissingHere };
        let cause = if beyond {
            "Made after the last entry of the journal; the next journal should have it.".to_owned()
        } else if order == 0 {
            "A spreadsheet has ruined the order id, and the journal does not have the transaction id.".to_owned()
        } else if rounded(order) {
            "The id ends in zeros, as if a spreadsheet had rounded it to 15 digits; export again and do not open it in one.".to_owned()
        } else {
            "Midtrans has money for an order with an id like ours, which the journal does not have."
                .to_owned()
        };
        let named =
            if order == 0 { Break::new(kind, midtrans) } else { Break::of_payment(kind, order) };
        let day = Moment::from_compact(row.at()).map(Moment::day);
        Some(Break {
            theirs: row.amount().to_string(),
            cause,
            day,
            due: day
                .filter(|_| beyond)
                .map(|day| day.plus(i32::from(self.mapping.due.report_days))),
            at_risk: row.amount(),
            place: self.reports.place(row),
            ..named
        })
    }
}
