//! Payments against payouts: what was paid out, once, and at the right amount.

use std::collections::{BTreeMap, BTreeSet};

use super::join::by_midtrans_id;
use crate::breaks::{Break, Kind};
use crate::date::{Day, JAKARTA_SECS, Moment};
use crate::input::mapping::Mapping;
use crate::journal::{Journal, NONE, State, index};
use crate::money::Money;
use crate::payouts::{PayoutRow, PayoutState, Payouts};

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct PayoutTally {
    /// Payments that a payout has.
    pub paid_out: u64,
    /// Their amounts by our books.
    pub paid_out_amount: Money,
    /// Payments that are not due yet.
    pub awaiting: u64,
    /// Their amounts.
    pub awaiting_amount: Money,
    /// Rows of others' orders, which belong to the payouts' sums all the same.
    pub other_rows: u64,
    /// What they are worth.
    pub other_worth: Money,
    /// Rows that repeat one of another file of the same payout.
    pub folded_rows: u64,
    /// Payouts of the lists that were paid.
    pub payouts_paid: u64,
    /// Their sum.
    pub payouts_paid_net: Money,
}

/// Compares payouts with the journal. `settled` says whether Midtrans has the money of a payment by
/// its exports; `named` are payments and orders that are breaks already.
pub(crate) fn payouts(
    journal: &Journal,
    payouts: &Payouts,
    mapping: &Mapping,
    today: Day,
    named: &BTreeSet<String>,
) -> (Vec<Break>, PayoutTally, Option<Day>) {
    let mut leg = Leg {
        journal,
        payouts,
        mapping,
        today,
        named,
        holder: vec![NONE; journal.payments.len()],
        taken_back: BTreeMap::new(),
        repeated: BTreeSet::new(),
        tally: PayoutTally::default(),
        breaks: Vec::new(),
    };
    leg.rows();
    leg.sums();
    leg.contradictions();
    let mut since = None;
    if !payouts.rows.is_empty() {
        let first = leg.first_paid_out();
        leg.not_paid_out(first);
        since = Moment::from_compact(first).map(Moment::day);
    }
    let paid = payouts.list.iter().filter(|payout| payout.state == PayoutState::Paid);
    leg.tally.payouts_paid = u64::try_from(paid.clone().count()).unwrap_or(0);
    leg.tally.payouts_paid_net = paid.map(|payout| payout.net).sum();
    (leg.breaks, leg.tally, since)
}

struct Leg<'a> {
    journal: &'a Journal,
    payouts: &'a Payouts,
    mapping: &'a Mapping,
    today: Day,
    named: &'a BTreeSet<String>,
    /// By payment: the place of the row that paid it out.
    holder: Vec<u32>,
    /// The file of the first row of a refund, by payout, order and amount.
    taken_back: BTreeMap<(usize, i64, Money), usize>,
    /// Rows that repeat others, by their places.
    repeated: BTreeSet<usize>,
    tally: PayoutTally,
    breaks: Vec<Break>,
}

impl Leg<'_> {
    fn rows(&mut self) {
        let ids = self.payouts.rows.iter().map(|row| (row.midtrans, &self.payouts.texts));
        let by_id = if self.payouts.rows.iter().any(|row| row.order == 0) {
            by_midtrans_id(self.journal, ids)
        } else {
            BTreeMap::new()
        };
        for (at, row) in self.payouts.rows.iter().enumerate() {
            let place = if row.order == 0 { None } else { self.journal.find(row.order) };
            match place.or_else(|| by_id.get(&at).copied()) {
                Some(payment) if row.is_refund => self.refund_row(payment, at, row),
                Some(payment) => self.payment_row(payment, at, row),
                None => self.stray(row),
            }
            self.arithmetic(row);
        }
    }

    fn payment_row(&mut self, place: u32, at: usize, row: &PayoutRow) {
        let Some(payment) = self.journal.payment(place) else { return };
        let Some(holder) = self.holder.get_mut(index(place)) else { return };
        if *holder != NONE {
            let Some(first) = self.payouts.rows.get(index(*holder)) else { return };
            if first.payout == row.payout && first.file != row.file && first.amount == row.amount {
                self.repeated.insert(at);
                self.tally.folded_rows += 1;
                return;
            }
            let name =
                |row: &PayoutRow| self.payouts.names.get(row.payout).cloned().unwrap_or_default();
            self.breaks.push(Break {
                ours: "once".to_owned(),
                theirs: format!("{} and {}", name(first), name(row)),
                cause: "Midtrans has paid the payment out twice; it will take one back.".to_owned(),
                at_risk: row.worth(),
                day: self.day_of(row),
                place: format!("{} and {}", self.payouts.place(first), self.payouts.place(row)),
                ..Break::of_payment(Kind::PaidOutTwice, payment.tx_id)
            });
            return;
        }
        *holder = u32::try_from(at).unwrap_or(NONE);
        self.tally.paid_out += 1;
        self.tally.paid_out_amount += payment.amount();
        let known = self.named.contains(&payment.tx_id.to_string());
        if !known && (payment.amount() != row.amount || payment.state != State::Succeeded) {
            let cause = if payment.state != State::Succeeded {
                "Paid out, and by our journal it is not paid."
            } else if row.fee.is_some_and(|fee| row.amount + fee == payment.amount()) {
                "The payout has it net of the fee, and takes the fee again."
            } else {
                "Paid out at another amount than it was paid at."
            };
            self.breaks.push(Break {
                cause: cause.to_owned(),
                day: self.day_of(row),
                place: self.payouts.place(row),
                ..Break::of_payment(Kind::PayoutDiffers, payment.tx_id)
                    .amounts(payment.amount(), row.amount)
            });
        }
    }

    fn refund_row(&mut self, place: u32, at: usize, row: &PayoutRow) {
        let first = *self.taken_back.entry((row.payout, row.order, row.amount)).or_insert(row.file);
        let again = first != row.file;
        if again {
            self.repeated.insert(at);
            self.tally.folded_rows += 1;
            return;
        }
        let Some(payment) = self.journal.payment(place) else { return };
        let known = self.named.contains(&payment.tx_id.to_string());
        if !known && row.amount.abs() > payment.refunded() {
            self.breaks.push(Break {
                cause: "The payout takes back more than was given back.".to_owned(),
                day: self.day_of(row),
                place: self.payouts.place(row),
                ..Break::of_payment(Kind::RefundDiffers, payment.tx_id)
                    .amounts(payment.refunded(), row.amount.abs())
            });
        }
    }

    fn stray(&mut self, row: &PayoutRow) {
        let digits = row.order.to_string().len();
        let ours = row.order != 0
            && self
                .journal
                .id_digits()
                .is_none_or(|(least, most)| (least..=most).contains(&digits));
        if !ours || row.is_refund {
            self.tally.other_rows += 1;
            self.tally.other_worth += row.worth();
            return;
        }
        if !self.named.contains(&row.order.to_string()) {
            self.breaks.push(Break {
                theirs: row.amount.to_string(),
                cause:
                    "Paid out for an order with an id like ours, which the journal does not have."
                        .to_owned(),
                day: self.day_of(row),
                at_risk: row.amount,
                place: self.payouts.place(row),
                ..Break::of_payment(Kind::MissingHere, row.order)
            });
        }
    }

    /// The net of a row is computed again, not believed.
    fn arithmetic(&mut self, row: &PayoutRow) {
        let (Some(_), Some(net)) = (row.fee, row.net) else { return };
        let worth = row.worth();
        if worth != net {
            let order = row.order.to_string();
            let place = self.payouts.place(row);
            let named = Break::new(Kind::PayoutDiffers, &format!("row\n{order}\n{}", row.payout));
            self.breaks.push(Break {
                txid: (row.order != 0).then_some(order),
                cause: "The net of the row is not its amount less its fee.".to_owned(),
                day: self.day_of(row),
                place,
                ..named.amounts(worth, net)
            });
        }
    }

    /// Each payout is the sum of its rows.
    fn sums(&mut self) {
        let mut sums: BTreeMap<usize, (Money, Money)> = BTreeMap::new();
        for (at, row) in self.payouts.rows.iter().enumerate() {
            if !self.repeated.contains(&at) {
                let (worth, fees) = sums.entry(row.payout).or_default();
                *worth += row.worth();
                *fees += row.fee.unwrap_or(Money::ZERO);
            }
        }
        for (place, (worth, fees)) in sums {
            let name = self.payouts.names.get(place);
            let payout =
                self.payouts.list.iter().find(|payout| payout.listed && Some(&payout.id) == name);
            let Some(payout) = payout else { continue };
            if payout.net == worth {
                continue;
            }
            let difference = worth - payout.net;
            let cause = if difference == -fees {
                "The list has the payout before fees."
            } else if !difference.is_negative() && difference <= Money::from_sen(2_500_000) {
                "The list has less than the rows come to: a fee of the bank transfer, perhaps."
            } else {
                "The rows, net of fees and refunds, do not come to the payout: one is missing, or another's was taken."
            };
            self.breaks.push(Break {
                cause: cause.to_owned(),
                day: payout.day(),
                place: format!("{} ({})", payout.id, payout.place),
                ..Break::new(Kind::PayoutDiffers, &payout.id).amounts(worth, payout.net)
            });
        }
    }

    fn contradictions(&mut self) {
        for (id, first, later, place) in &self.payouts.contradictions {
            self.breaks.push(Break {
                cause: "Two lists tell different amounts of the payout.".to_owned(),
                place: format!("{id} ({place})"),
                ..Break::new(Kind::PayoutDiffers, &format!("lists\n{id}")).amounts(*first, *later)
            });
        }
    }

    /// When the first payment of those that are in payouts was made.
    fn first_paid_out(&self) -> u32 {
        let held = self.journal.payments.iter().zip(&self.holder).filter(|(_, row)| **row != NONE);
        held.map(|(payment, _)| payment.at()).min().unwrap_or(0)
    }

    /// Payments since the first that was paid out, in no payout though the last came long after.
    fn not_paid_out(&mut self, first: u32) {
        let last = self.payouts.list.iter().filter_map(crate::payouts::Payout::day).max();
        let until = last.unwrap_or(self.today);
        for (payment, holder) in self.journal.payments.iter().zip(&self.holder) {
            let open = payment.live && payment.state == State::Succeeded && *holder == NONE;
            let net = payment.amount() - payment.refunded();
            if !open
                || payment.at() < first
                || net.is_zero()
                || self.named.contains(&payment.tx_id.to_string())
            {
                continue;
            }
            let paid = Moment::from_compact(payment.at()).unwrap_or_default();
            let due = paid.day_at(JAKARTA_SECS).plus_business(self.mapping.due.payout_days);
            if due > until {
                self.tally.awaiting += 1;
                self.tally.awaiting_amount += net;
                continue;
            }
            self.breaks.push(Break {
                ours: net.to_string(),
                cause: format!("Due by {due}, and in none of the payouts up to {until}."),
                day: Some(paid.day()),
                at_risk: net,
                ..Break::of_payment(Kind::NotPaidOut, payment.tx_id)
            });
        }
    }

    fn day_of(&self, row: &PayoutRow) -> Option<Day> {
        let name = self.payouts.names.get(row.payout)?;
        self.payouts.list.iter().find(|payout| payout.id == *name)?.day()
    }
}
