//! The journal against Midtrans' transactions: each payment and each row ends matched, counted
//! apart, or as one break.

use std::collections::BTreeMap;

use crate::breaks::{Break, Kind};
use crate::date::{Day, JAKARTA_SECS, Moment};
use crate::ids::{MidtransId, rounded};
use crate::input::mapping::Mapping;
use crate::journal::{Journal, NONE, Payment, Refund, State, index};
use crate::money::Money;
use crate::reports::{Reports, Status, Transaction};

/// Which days the exports are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Payments made before are not in the exports.
    pub(crate) start: Moment,
    /// Successes from here on may not be in the exports yet.
    pub(crate) cutoff: Moment,
}

impl Window {
    /// From the days that are given, else from the rows: exports are cut by day of creation in
    /// Jakarta, and the last UTC day of one is not complete.
    pub(crate) fn of(reports: &Reports, from: Option<Day>, to: Option<Day>) -> Option<Self> {
        let made = reports.rows.iter().map(|row| row.time).filter(|time| *time > 0).min();
        let last = reports.rows.iter().map(|row| row.time.max(row.settled_at)).max();
        let (first, last) = (Moment::from_compact(made?)?, Moment::from_compact(last?)?);
        let zone = -i64::from(JAKARTA_SECS);
        let start = from.unwrap_or_else(|| first.day_at(JAKARTA_SECS)).start().plus_secs(zone);
        let end = to.map(|to| to.plus(1).start().plus_secs(zone - 1));
        let end = end.unwrap_or(last);
        Some(Self { start, cutoff: end.day().start() })
    }
}

/// What was counted on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Payments that both sides have alike.
    pub matched: u64,
    /// Their amounts by our books.
    pub matched_amount: Money,
    /// Payments made before the first export.
    pub before_exports: u64,
    /// Their amounts less refunds.
    pub before_exports_net: Money,
    /// Payments that failed on both sides, or are not known to Midtrans and failed here.
    pub without_money: u64,
    /// Payments on the test channel.
    pub test: u64,
    /// Rows that repeat one of another export, or are items of an order.
    pub folded_rows: u64,
    /// Rows that the journal does not have, before its first entry.
    pub before_journal: u64,
    /// Their amounts less refunds.
    pub before_journal_net: Money,
    /// Rows that the journal does not have, without money.
    pub strays_without_money: u64,
    /// Rows whose fee could not be checked, since no terms are known for their type.
    pub fee_unchecked: u64,
    /// Ours: paid less given back, all of it.
    pub ours_net: Money,
    /// Midtrans': paid less given back, each payment once.
    pub theirs_net: Money,
    /// Ours less theirs, in breaks.
    pub breaks_net: Money,
    /// What Midtrans has charged, each payment once.
    pub fees: Money,
    /// Ours less theirs where an export tells only by the status that a part was given back.
    pub untold_refunds: Money,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.matched += other.matched;
        self.matched_amount += other.matched_amount;
        self.before_exports += other.before_exports;
        self.before_exports_net += other.before_exports_net;
        self.without_money += other.without_money;
        self.test += other.test;
        self.folded_rows += other.folded_rows;
        self.before_journal += other.before_journal;
        self.before_journal_net += other.before_journal_net;
        self.strays_without_money += other.strays_without_money;
        self.fee_unchecked += other.fee_unchecked;
        self.ours_net += other.ours_net;
        self.theirs_net += other.theirs_net;
        self.breaks_net += other.breaks_net;
        self.untold_refunds += other.untold_refunds;
        self.fees += other.fees;
    }
}

/// What matching needs to know.
#[derive(Clone, Copy)]
pub(crate) struct Matching<'a> {
    pub(crate) journal: &'a Journal,
    pub(crate) reports: &'a Reports,
    pub(crate) mapping: &'a Mapping,
    pub(crate) window: Window,
    /// The number of the currency of our payments among the exports' currencies.
    pub(crate) rupiah: u8,
    /// By payment.
    pub(crate) refunds: &'a [Refund],
}

/// What the rows of a payment come to.
struct Seen<'a> {
    row: &'a Transaction,
    refund: Option<Money>,
    folded: u64,
    /// Rows that should not be there.
    surplus: Vec<&'a Transaction>,
    /// No row of the payment itself, only of refunds.
    refunds_only: bool,
}

/// Payments a thread takes at least.
const CHUNK_MIN: usize = 10_000;

impl<'a> Matching<'a> {
    /// Compares every payment, on so many threads.
    pub(crate) fn payments(&self, threads: usize) -> (Vec<Break>, Tally) {
        let payments = self.journal.payments.as_slice();
        let chunk = payments.len().div_ceil(threads.max(1)).max(CHUNK_MIN);
        let parts: Vec<(Vec<Break>, Tally)> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                payments.chunks(chunk).map(|part| scope.spawn(move || self.part(part))).collect();
            // A panic of a part is a panic of the whole.
            threads
                .into_iter()
                .map(|thread| {
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
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
        let ours = if payment.state == State::Succeeded {
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

    /// The rows of a payment put together; none if it has none.
    fn seen(&self, payment: &Payment) -> Option<Seen<'a>> {
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

    fn row(&self, place: u32) -> Option<&'a Transaction> {
        self.reports.rows.get(index(place))
    }

    fn put_together(&self, rows: &[&'a Transaction]) -> Option<Seen<'a>> {
        let (first, rest) = rows.split_first()?;
        let mut row = *first;
        let (mut folded, mut surplus) = (0, Vec::new());
        for other in rest {
            let same = other.midtrans == row.midtrans
                && other.amount == row.amount
                && other.currency == row.currency;
            let items = self.reports.files.get(usize::from(row.file)).is_some_and(|f| f.has_items);
            let repeats = other.file != row.file || (items && other.time == row.time);
            if same && repeats {
                folded += 1;
                // The later export knows more.
                row = if other.status >= row.status { other } else { row };
            } else if other.midtrans != row.midtrans
                && other.status.has_money() != row.status.has_money()
            {
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
    fn given_back(&self, rows: &[&Transaction]) -> (Money, u64) {
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

    /// In order of precedence.
    fn compare(&self, payment: &Payment, seen: &Seen<'a>, tally: &mut Tally) -> Option<Break> {
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
        if row.order != 0 && row.order != payment.tx_id {
            return Some(Break {
                ours: payment.tx_id.to_string(),
                theirs: row.order.to_string(),
                cause: "Midtrans has its transaction under another order id; ".to_owned()
                    + if rounded(row.order) {
                        "a spreadsheet has rounded it to 15 digits."
                    } else {
                        "the two ids do not belong together."
                    },
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

    fn method(&self, payment: &Payment, row: &Transaction) -> &'a str {
        match self.reports.methods.word(row.method) {
            "" => self.journal.methods.word(payment.method),
            word => word,
        }
    }

    fn expected_fee(&self, payment: &Payment, row: &Transaction, refunded: Money) -> Option<Money> {
        let method = match self.method(payment, row) {
            // The only type that we ask for.
            "" => "gopay",
            word => word,
        };
        let day = Moment::from_compact(row.at())?.day_at(JAKARTA_SECS);
        let fee = self.mapping.fee(method, day)?;
        let base =
            if fee.returned_on_refund { payment.amount() - refunded } else { payment.amount() };
        Some(fee.of(base))
    }

    fn refunds_of(&self, payment: &Payment) -> &'a [Refund] {
        let Some(place) = self.journal.find(payment.tx_id) else { return &[] };
        let from = self.refunds.partition_point(|one| one.payment < place);
        let to = self.refunds.partition_point(|one| one.payment <= place);
        self.refunds.get(from..to).unwrap_or_default()
    }

    /// Rows that belong to no payment.
    pub(crate) fn strays(
        &self,
        strays: &[u32],
        others: &mut crate::reports::Others,
    ) -> (Vec<Break>, Tally) {
        let mut tally = Tally::default();
        let mut orders: BTreeMap<(i64, String), Vec<&Transaction>> = BTreeMap::new();
        let digits = self.journal.id_digits();
        for row in strays.iter().filter_map(|at| self.row(*at)) {
            let length = row.order.to_string().len();
            let ours = row.order == 0
                || digits.is_some_and(|(least, most)| (least..=most).contains(&length));
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

/// What Midtrans' rows say that it keeps for us.
fn net(seen: &Seen<'_>) -> Money {
    let refund = seen.refund.unwrap_or(Money::ZERO);
    match seen.row.status {
        Status::Pending | Status::Failed => Money::ZERO,
        _ if seen.refunds_only => -refund,
        Status::Refunded if seen.refund.is_none() => Money::ZERO,
        Status::ChargedBack => Money::ZERO,
        Status::Settled | Status::PartlyRefunded | Status::Refunded => seen.row.amount() - refund,
    }
}

fn status(payment: &Payment, row: &Transaction, about: &dyn Fn(Kind) -> Break) -> Option<Break> {
    let told = |kind, cause: &str, at_risk| Break {
        ours: payment.state.word().to_owned(),
        theirs: row.status.word().to_owned(),
        cause: cause.to_owned(),
        at_risk,
        ..about(kind)
    };
    match (payment.state, row.status) {
        (_, Status::ChargedBack) => Some(told(
            Kind::Chargeback,
            "The shopper's bank has taken the money back.",
            row.amount(),
        )),
        (State::Failed, status) if status.has_money() => Some(told(
            Kind::LateSuccess,
            "We told the PSP FAILED, and the shopper has paid: report the late success or give the money back.",
            row.amount(),
        )),
        (State::Open, status) if status.has_money() => Some(told(
            Kind::StatusDiffers,
            "Paid at Midtrans, and the journal has no final entry yet: its notification and polls are outstanding.",
            row.amount(),
        )),
        (State::Succeeded, Status::Pending | Status::Failed) => Some(told(
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
