//! What is counted while payments are compared.

use crate::money::Money;

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
