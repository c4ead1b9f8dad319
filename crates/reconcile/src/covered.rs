//! What the files of a run cover. A break that is not found any more is over only if the run has
//! looked at what it was about: last month's breaks do not end because this month's exports come.

use std::collections::BTreeSet;

use crate::breaks::{Break, Kind};
use crate::date::Day;
use crate::journal::{Journal, NONE};
use crate::matching::context::Window;
use crate::payouts::Payouts;
use crate::reports::Reports;
use crate::statements::Statements;
use crate::transfers::Transfers;

/// First and last day that something of a sort was read of; none if nothing was.
type Days = Option<(Day, Day)>;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Covered {
    /// There were exports.
    reports: bool,
    /// Payments that were asked for and that no export covers.
    outside: BTreeSet<i64>,
    /// Of rows of exports.
    rows: Days,
    /// Of payouts.
    payouts: Days,
    /// Of payments that are in payouts; the last day is not told.
    paid_out_since: Option<Day>,
    /// Of our transfers.
    transfers: Days,
    /// Of bank accounts.
    banks: Days,
    /// Names of files.
    files: BTreeSet<String>,
}

/// The span of some days.
fn span(days: impl Iterator<Item = Day> + Clone) -> Days {
    Some((days.clone().min()?, days.max()?))
}

fn within(days: Days, day: Option<Day>) -> bool {
    days.is_some_and(|(first, last)| day.is_none_or(|day| first <= day && day <= last))
}

impl Covered {
    pub(crate) fn of(
        asked: &BTreeSet<i64>,
        journal: &Journal,
        (reports, window): (&Reports, Option<Window>),
        (payouts, transfers): (&Payouts, &Transfers),
        statements: &Statements,
        paid_out_since: Option<Day>,
    ) -> Self {
        let moment = |at: u32| crate::date::Moment::from_compact(at).map(crate::date::Moment::day);
        let outside = |tx_id: &i64| {
            let payment = journal.find(*tx_id).and_then(|place| journal.payment(place));
            let Some((payment, window)) = payment.zip(window) else { return false };
            let last = reports.span.map_or(u32::MAX, |(_, last)| last);
            let before = i64::from(payment.first_at) < window.start.secs();
            payment.row == NONE && (before || payment.first_at > last)
        };
        let entries = statements.entries.iter().filter_map(|entry| entry.day);
        let balances = statements.statements.iter();
        let balances = balances.flat_map(|one| [one.opening_day, one.closing_day]).flatten();
        let sources = [&reports.files, &payouts.files, &statements.files, &transfers.files];
        let names = sources.into_iter().flatten().map(|file| crate::reports::name_of(&file.path));
        Self {
            reports: !reports.files.is_empty(),
            outside: asked.iter().copied().filter(outside).collect(),
            rows: reports.span.and_then(|(first, last)| moment(first).zip(moment(last))),
            payouts: span(payouts.list.iter().filter_map(crate::payouts::Payout::day)),
            paid_out_since,
            transfers: span(transfers.list.iter().filter_map(|one| one.day)),
            banks: span(entries.chain(balances)),
            files: names.collect(),
        }
    }

    /// Whether the run has looked at what a break is about.
    #[must_use]
    pub fn covers(&self, one: &Break) -> bool {
        let txid = one.txid.as_ref().and_then(|txid| txid.parse::<i64>().ok());
        let payment = || match txid {
            Some(txid) => self.reports && !self.outside.contains(&txid),
            None => within(self.rows, one.day),
        };
        match one.kind {
            Kind::Timing if txid.is_none() => within(self.banks, None),
            // Of no payment of the journal: by the day of its row.
            Kind::MissingHere => within(self.rows, one.day),
            Kind::MissingAtMidtrans
            | Kind::AmountDiffers
            | Kind::StatusDiffers
            | Kind::RefundDiffers
            | Kind::FeeDiffers
            | Kind::WrongCurrency
            | Kind::Duplicate
            | Kind::IdDiffers
            | Kind::LateSuccess
            | Kind::Timing
            | Kind::Chargeback => payment(),
            Kind::NotPaidOut => {
                self.paid_out_since.is_some_and(|first| one.day.is_none_or(|day| first <= day))
            }
            Kind::PaidOutTwice | Kind::PayoutDiffers => within(self.payouts, one.day),
            Kind::PayoutNotAtBank => within(self.payouts, one.day) && self.banks.is_some(),
            Kind::TransferDiffers | Kind::TransferTwice => {
                within(self.transfers, one.day) && self.banks.is_some()
            }
            Kind::BankEntryUnknown | Kind::Ambiguous => within(self.banks, one.day),
            Kind::Unreadable => {
                let file = one.place.rsplit_once(" line ").map(|(file, _)| file);
                file.is_none_or(|file| self.files.contains(file))
            }
            Kind::BalanceDiffers => match one.day {
                Some(_) => within(self.banks, one.day),
                None => true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_has_not_looked_at_is_not_covered() {
        let day = |text: &str| text.parse::<Day>().unwrap();
        let october = Some((day("2026-10-01"), day("2026-10-31")));
        let covered = Covered {
            reports: true,
            outside: BTreeSet::from([7]),
            rows: october,
            payouts: october,
            paid_out_since: Some(day("2026-10-02")),
            banks: october,
            files: BTreeSet::from(["october.csv".to_owned()]),
            ..Covered::default()
        };
        let payment = |kind, txid| Break::of_payment(kind, txid);
        let on = |kind, text: &str| Break { day: Some(day(text)), ..Break::new(kind, text) };
        let unreadable =
            |place: &str| Break { place: place.to_owned(), ..Break::new(Kind::Unreadable, place) };
        for (one, wanted) in [
            (payment(Kind::AmountDiffers, 8), true),
            (payment(Kind::AmountDiffers, 7), false),
            (payment(Kind::Timing, 7), false),
            (on(Kind::MissingHere, "2026-10-31"), true),
            (on(Kind::MissingHere, "2026-11-01"), false),
            (on(Kind::NotPaidOut, "2026-10-02"), true),
            (on(Kind::NotPaidOut, "2026-10-01"), false),
            (on(Kind::PayoutDiffers, "2026-09-30"), false),
            (on(Kind::PayoutNotAtBank, "2026-10-09"), true),
            (on(Kind::BankEntryUnknown, "2026-10-09"), true),
            (on(Kind::BankEntryUnknown, "2026-11-09"), false),
            // No transfers were given.
            (on(Kind::TransferDiffers, "2026-10-09"), false),
            (unreadable("october.csv line 4"), true),
            (unreadable("september.csv line 4"), false),
            (Break::new(Kind::BalanceDiffers, "journal"), true),
        ] {
            assert_eq!(covered.covers(&one), wanted, "{one:?}");
        }
        assert!(!Covered::default().covers(&payment(Kind::AmountDiffers, 8)));
    }
}
