//! How a payment and its rows differ: the first difference in order of precedence.

use super::context::Matching;
use super::seen::Seen;
use super::tally::Tally;
use crate::breaks::{Break, Kind};
use crate::date::{JAKARTA_SECS, Moment};
use crate::ids::{MidtransId, rounded};
use crate::journal::{Payment, State};
use crate::money::Money;
use crate::reports::{Status, Transaction};

impl<'a> Matching<'a> {
    /// In order of precedence.
    pub(crate) fn compare(
        &self,
        payment: &Payment,
        seen: &Seen<'a>,
        tally: &mut Tally,
    ) -> Option<Break> {
        let row = seen.row;
        let about = |kind| Break {
            day: Moment::from_compact(row.at()).map(Moment::day),
            place: self.reports.place(row),
            ..Break::of_payment(kind, payment.tx_id)
        };
        if !payment.live {
            return row.status.has_money().then(|| Break {
                ours: "test channel".to_owned(),
                theirs: row.status.word().to_owned(),
                cause:
                    "The payment was made on the test channel, and Midtrans has it with real money."
                        .to_owned(),
                at_risk: row.amount(),
                ..about(Kind::StatusDiffers)
            });
        }
        if seen.refunds_only {
            return self.refund_of_earlier(payment, seen, &about);
        }
        self.duplicate(payment, seen, &about)
            .or_else(|| self.currency(payment, row, &about))
            .or_else(|| self.ids(payment, row, &about))
            .or_else(|| status(payment, row, &about))
            .or_else(|| self.amount(payment, row, &about))
            .or_else(|| self.refund(payment, seen, &about))
            .or_else(|| self.fee(payment, row, seen, &about, tally))
    }

    fn duplicate(
        &self,
        payment: &Payment,
        seen: &Seen<'a>,
        about: &dyn Fn(Kind) -> Break,
    ) -> Option<Break> {
        let other = seen.surplus.first()?;
        let theirs: Money =
            seen.surplus.iter().filter(|row| row.status.has_money()).map(|row| row.amount()).sum();
        let mine = if seen.row.status.has_money() { seen.row.amount() } else { Money::ZERO };
        let cause = if other.midtrans != seen.row.midtrans {
            "Midtrans has the order under two ids of its own: the shopper may have paid twice."
        } else if other.amount != seen.row.amount {
            "Two exports tell different amounts of it."
        } else {
            "One export has the row twice; exports that overlap and rows of items are not meant."
        };
        let at = self.reports.place(other);
        Some(Break {
            cause: format!("{cause} The other is {at}."),
            at_risk: theirs,
            ..about(Kind::Duplicate).amounts(payment.amount(), mine + theirs)
        })
    }

    fn currency(
        &self,
        payment: &Payment,
        row: &Transaction,
        about: &dyn Fn(Kind) -> Break,
    ) -> Option<Break> {
        (row.currency != self.rupiah).then(|| {
            let theirs = self.reports.currencies.word(row.currency);
            Break {
                ours: format!("IDR {}", payment.amount()),
                theirs: format!("{theirs} {}", row.amount()),
                cause: "GoPay pays rupiah only; the column may be another's, or the account one in another currency.".to_owned(),
                at_risk: payment.amount(),
                ..about(Kind::WrongCurrency)
            }
        })
    }

    fn ids(
        &self,
        payment: &Payment,
        row: &Transaction,
        about: &dyn Fn(Kind) -> Break,
    ) -> Option<Break> {
        // An id that a spreadsheet has rounded is told once for all, by a remark.
        let spoilt = row.midtrans == payment.midtrans && rounded(row.order);
        if row.order != 0 && row.order != payment.tx_id && !spoilt {
            return Some(Break {
                ours: payment.tx_id.to_string(),
                theirs: row.order.to_string(),
                cause: "Midtrans has its transaction under another order id.".to_owned(),
                at_risk: payment.amount(),
                ..about(Kind::IdDiffers)
            });
        }
        if payment.midtrans == MidtransId::None || row.midtrans == MidtransId::None {
            return None;
        }
        let uuids =
            matches!((payment.midtrans, row.midtrans), (MidtransId::Uuid(_), MidtransId::Uuid(_)));
        if uuids && payment.midtrans == row.midtrans {
            return None;
        }
        let ours = self.journal.texts.text(payment.midtrans);
        let theirs = self.reports.texts.text(row.midtrans);
        if ours == theirs {
            return None;
        }
        let letters = ours.eq_ignore_ascii_case(&theirs);
        let cause = if letters {
            "The same id in another letter case: something between wrote it in capitals."
        } else {
            "Midtrans has another transaction for the order than the one we know."
        };
        Some(Break {
            at_risk: if letters { Money::ZERO } else { payment.amount() },
            ours,
            theirs,
            cause: cause.to_owned(),
            ..about(Kind::IdDiffers)
        })
    }

    fn amount(
        &self,
        payment: &Payment,
        row: &Transaction,
        about: &dyn Fn(Kind) -> Break,
    ) -> Option<Break> {
        let (ours, theirs) = (payment.amount(), row.amount());
        if ours == theirs || payment.state != State::Succeeded {
            return None;
        }
        let fee = row.fee().or_else(|| self.expected_fee(payment, row, Money::ZERO));
        let cause = if fee.is_some_and(|fee| !fee.is_zero() && theirs + fee == ours) {
            "Midtrans' amount is net of its fee: the export has the wrong amount column."
        } else if theirs + payment.refunded() == ours {
            "Midtrans' amount is what is left after refunds."
        } else if ours.hundredfold() == theirs || theirs.hundredfold() == ours {
            "One of the two is in sen, the other in rupiah."
        } else {
            "The amounts differ, and neither fee nor refunds explain it."
        };
        Some(Break { cause: cause.to_owned(), ..about(Kind::AmountDiffers).amounts(ours, theirs) })
    }

    fn refund(
        &self,
        payment: &Payment,
        seen: &Seen<'a>,
        about: &dyn Fn(Kind) -> Break,
    ) -> Option<Break> {
        let ours = payment.refunded();
        let Some(theirs) = seen.refund else { return by_status(payment, seen.row, about) };
        if ours == theirs || payment.state != State::Succeeded {
            return None;
        }
        let own = self.refunds_of(payment);
        let late: Money = own
            .iter()
            .filter(|one| one.succeeded && i64::from(one.at) >= self.window.cutoff.secs())
            .map(|one| Money::from_units(one.amount))
            .sum();
        let difference = ours - theirs;
        let exactly = own.iter().find(|one| Money::from_units(one.amount) == difference.abs());
        let refundid = exactly.map(|one| one.refund_id.to_string());
        if !late.is_zero() && late == difference {
            let day = Moment::from_compact(payment.refunded_at).map(Moment::day);
            return Some(Break {
                refundid,
                cause: "Given back on the last day that the exports tell of; the next export should have it.".to_owned(),
                day,
                due: day.map(|day| day.plus(i32::from(self.mapping.due.report_days))),
                ..about(Kind::Timing).amounts(ours, theirs)
            });
        }
        let unresolved = exactly.is_some_and(|one| !one.succeeded);
        let cause = if difference.is_negative() && unresolved {
            "Midtrans has given back what is not resolved, or has failed, here."
        } else if difference.is_negative() {
            "Midtrans has given back more: a refund was made in its dashboard, or a chargeback."
        } else if theirs.is_zero() {
            "Midtrans has not given back what we told the PSP that it has."
        } else {
            "Midtrans has given back less than we told the PSP."
        };
        Some(Break {
            refundid,
            cause: cause.to_owned(),
            ..about(Kind::RefundDiffers).amounts(ours, theirs)
        })
    }

    /// Only rows of refunds: the payment is in an earlier export.
    fn refund_of_earlier(
        &self,
        payment: &Payment,
        seen: &Seen<'a>,
        about: &dyn Fn(Kind) -> Break,
    ) -> Option<Break> {
        let theirs = seen.refund.unwrap_or(Money::ZERO);
        // Earlier exports may have had other refunds.
        if theirs <= payment.refunded() {
            return None;
        }
        Some(Break {
            cause: "Midtrans has given back more than we know of.".to_owned(),
            ..about(Kind::RefundDiffers).amounts(payment.refunded(), theirs)
        })
    }

    fn fee(
        &self,
        payment: &Payment,
        row: &Transaction,
        seen: &Seen<'a>,
        about: &dyn Fn(Kind) -> Break,
        tally: &mut Tally,
    ) -> Option<Break> {
        let theirs = row.fee()?;
        if payment.state != State::Succeeded {
            return None;
        }
        let refunded = seen.refund.unwrap_or_else(|| payment.refunded());
        let Some(ours) = self.expected_fee(payment, row, refunded) else {
            tally.fee_unchecked += 1;
            return None;
        };
        if ours == theirs {
            return None;
        }
        let method = self.method(payment, row);
        let day = Moment::from_compact(row.at()).unwrap_or_default().day_at(JAKARTA_SECS);
        let other = self.mapping.fees.iter().find(|(from, fee)| {
            *from <= day
                && !fee.payment_type.eq_ignore_ascii_case(method)
                && fee.of(payment.amount()) == theirs
        });
        let vat = ours.share(1_100, Money::from_sen(1));
        let cause = match other {
            Some((_, fee)) => format!(
                "Charged as {}, while the payment is {method}: a GoPay charge paid by scanning comes back as qris.",
                fee.payment_type
            ),
            None if ours + vat == theirs => {
                "Charged with 11 % VAT, which the terms do not have.".to_owned()
            }
            None if theirs.is_zero() && !refunded.is_zero() => {
                "No fee was charged for what was given back; the terms say that the fee is kept."
                    .to_owned()
            }
            None if theirs.is_zero() => "No fee was charged.".to_owned(),
            None if (ours - theirs).abs() < Money::from_sen(100) => {
                "Rounded otherwise than the terms say (see `round_to`).".to_owned()
            }
            None => format!("The terms for {method} give another fee."),
        };
        Some(Break { cause, ..about(Kind::FeeDiffers).amounts(ours, theirs) })
    }
}

fn status(payment: &Payment, row: &Transaction, about: &dyn Fn(Kind) -> Break) -> Option<Break> {
    let break_of = |kind, cause: &str, at_risk| Break {
        ours: payment.state.word().to_owned(),
        theirs: row.status.word().to_owned(),
        cause: cause.to_owned(),
        at_risk,
        ..about(kind)
    };
    match (payment.state, row.status) {
        (_, Status::ChargedBack) => Some(break_of(
            Kind::Chargeback,
            "The shopper's bank has taken the money back.",
            row.amount(),
        )),
        (State::Failed, status) if status.has_money() => Some(break_of(
            Kind::LateSuccess,
            "We told the PSP FAILED, and the shopper has paid: report the late success or give the money back.",
            row.amount(),
        )),
        (State::Open, status) if status.has_money() => Some(break_of(
            Kind::StatusDiffers,
            "Paid at Midtrans, and the journal has no final entry yet: its notification and polls are outstanding.",
            row.amount(),
        )),
        (State::Succeeded, Status::Pending | Status::Failed) => Some(break_of(
            Kind::StatusDiffers,
            "We told the PSP SUCCEEDED, and Midtrans does not have the money, or had not when it was exported.",
            payment.amount(),
        )),
        (State::Open | State::Failed | State::Succeeded, _) => None,
    }
}

/// Without amounts of refunds, the status tells whether something was given back, and all of it.
fn by_status(payment: &Payment, row: &Transaction, about: &dyn Fn(Kind) -> Break) -> Option<Break> {
    let (amount, ours) = (payment.amount(), payment.refunded());
    let agrees = match row.status {
        Status::Settled => ours.is_zero(),
        Status::PartlyRefunded => !ours.is_zero() && ours < amount,
        Status::Refunded => ours == amount,
        Status::ChargedBack | Status::Pending | Status::Failed => true,
    };
    if agrees || payment.state != State::Succeeded {
        return None;
    }
    let theirs = if row.status == Status::Refunded { amount } else { Money::ZERO };
    Some(Break {
        theirs: row.status.word().to_owned(),
        cause:
            "The status says otherwise; the export has no amounts of refunds (tick Refund amount)."
                .to_owned(),
        ..about(Kind::RefundDiffers).amounts(ours, theirs)
    })
}
