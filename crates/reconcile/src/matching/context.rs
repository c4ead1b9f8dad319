//! What every comparison of a payment needs to know.

use crate::date::{JAKARTA_SECS, Moment};
use crate::input::mapping::Mapping;
use crate::journal::{Journal, Payment, Refund, index};
use crate::money::Money;
use crate::options::Options;
use crate::reports::{Reports, Transaction};

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
    /// Jakarta, and the last UTC day of one is not complete. An export without rows says that
    /// there was nothing up to today. None if there is no export.
    pub(crate) fn of(reports: &Reports, options: &Options) -> Option<Self> {
        if reports.files.is_empty() {
            return None;
        }
        let (first, last) = match reports.span {
            Some((first, last)) => (Moment::from_compact(first)?, Moment::from_compact(last)?),
            None => (Moment::default(), options.today.start()),
        };
        let zone = -i64::from(JAKARTA_SECS);
        let start = options.from.unwrap_or_else(|| first.day_at(JAKARTA_SECS));
        let start = start.start().plus_secs(zone);
        let end = options.to.map(|to| to.plus(1).start().plus_secs(zone - 1)).unwrap_or(last);
        Some(Self { start, cutoff: end.day().start() })
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

impl<'a> Matching<'a> {
    pub(crate) fn row(&self, place: u32) -> Option<&'a Transaction> {
        self.reports.rows.get(index(place))
    }

    pub(crate) fn method(&self, payment: &Payment, row: &Transaction) -> &'a str {
        match self.reports.methods.word(row.method) {
            "" => self.journal.methods.word(payment.method),
            word => word,
        }
    }

    pub(crate) fn expected_fee(
        &self,
        payment: &Payment,
        row: &Transaction,
        refunded: Money,
    ) -> Option<Money> {
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

    pub(crate) fn refunds_of(&self, payment: &Payment) -> &'a [Refund] {
        let Some(place) = self.journal.find(payment.tx_id) else { return &[] };
        let from = self.refunds.partition_point(|one| one.payment < place);
        let to = self.refunds.partition_point(|one| one.payment <= place);
        self.refunds.get(from..to).unwrap_or_default()
    }
}
