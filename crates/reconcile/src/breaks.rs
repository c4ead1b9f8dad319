//! Breaks: what differs, by how much, why probably, and since when.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::date::Day;
use crate::money::Money;

/// How something differs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// We say paid, and no export has it.
    MissingAtMidtrans,
    /// Midtrans has money for an order that the journal does not have.
    MissingHere,
    /// Both have the payment, at different amounts.
    AmountDiffers,
    /// Both have the payment, in different states.
    StatusDiffers,
    /// What was given back differs.
    RefundDiffers,
    /// Midtrans charges something else than its terms say.
    FeeDiffers,
    /// The report has it in another currency.
    WrongCurrency,
    /// A report has it twice, and not because exports overlap or items have rows.
    Duplicate,
    /// Both have the order, under different ids of Midtrans.
    IdDiffers,
    /// We told FAILED, and Midtrans has the money.
    LateSuccess,
    /// Not there yet, and not overdue unless it says so.
    Timing,
    /// The shopper's bank took the money back.
    Chargeback,
    /// Paid long enough ago, and in no payout.
    NotPaidOut,
    /// In two payouts, or twice in one.
    PaidOutTwice,
    /// A payout is not the sum of its rows, or a row not what the payment is.
    PayoutDiffers,
    /// Midtrans says paid out, and the bank account does not show it.
    PayoutNotAtBank,
    /// An entry of the bank account that nothing explains.
    BankEntryUnknown,
    /// A transfer of ours and its bank entry differ, or one is not there.
    TransferDiffers,
    /// A transfer of ours left the account twice.
    TransferTwice,
    /// Several could be it, and nothing tells which.
    Ambiguous,
    /// A row that could not be read.
    Unreadable,
    /// Opening and movements are not the closing.
    BalanceDiffers,
}

impl Kind {
    /// Every kind, in order of declaration.
    pub const ALL: [Self; 22] = [
        Self::MissingAtMidtrans,
        Self::MissingHere,
        Self::AmountDiffers,
        Self::StatusDiffers,
        Self::RefundDiffers,
        Self::FeeDiffers,
        Self::WrongCurrency,
        Self::Duplicate,
        Self::IdDiffers,
        Self::LateSuccess,
        Self::Timing,
        Self::Chargeback,
        Self::NotPaidOut,
        Self::PaidOutTwice,
        Self::PayoutDiffers,
        Self::PayoutNotAtBank,
        Self::BankEntryUnknown,
        Self::TransferDiffers,
        Self::TransferTwice,
        Self::Ambiguous,
        Self::Unreadable,
        Self::BalanceDiffers,
    ];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingAtMidtrans => "missing_at_midtrans",
            Self::MissingHere => "missing_here",
            Self::AmountDiffers => "amount_differs",
            Self::StatusDiffers => "status_differs",
            Self::RefundDiffers => "refund_differs",
            Self::FeeDiffers => "fee_differs",
            Self::WrongCurrency => "wrong_currency",
            Self::Duplicate => "duplicate",
            Self::IdDiffers => "id_differs",
            Self::LateSuccess => "late_success",
            Self::Timing => "timing",
            Self::Chargeback => "chargeback",
            Self::NotPaidOut => "not_paid_out",
            Self::PaidOutTwice => "paid_out_twice",
            Self::PayoutDiffers => "payout_differs",
            Self::PayoutNotAtBank => "payout_not_at_bank",
            Self::BankEntryUnknown => "bank_entry_unknown",
            Self::TransferDiffers => "transfer_differs",
            Self::TransferTwice => "transfer_twice",
            Self::Ambiguous => "ambiguous",
            Self::Unreadable => "unreadable",
            Self::BalanceDiffers => "balance_differs",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The name of a break, the same in every run: `B` and 13 signs, so that spreadsheets keep it.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct BreakId(String);

/// 32 signs that are not mistaken for each other.
const SIGNS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Signs of five bits behind the letter: 65 bits.
const ID_SIGNS: usize = 13;

impl BreakId {
    /// Of a kind and of what it is about.
    #[must_use]
    pub fn new(kind: Kind, identity: &str) -> Self {
        let digest = Sha256::digest(format!("{kind}\n{identity}"));
        let number = digest.iter().take(16).fold(0_u128, |n, byte| (n << 8) | u128::from(*byte));
        let mut id = String::from("B");
        for place in 0..ID_SIGNS {
            let sign = usize::try_from((number >> (5 * place)) & 31).unwrap_or(0);
            id.push(SIGNS.get(sign).copied().unwrap_or(b'0').into());
        }
        Self(id)
    }

    /// An id out of a spreadsheet, if it has the form of one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_start_matches('\'').to_ascii_uppercase();
        let rest = text.strip_prefix('B')?;
        let good = rest.len() == ID_SIGNS && rest.bytes().all(|byte| SIGNS.contains(&byte));
        good.then_some(Self(text))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BreakId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Break {
    /// Its name in every run.
    pub break_id: BreakId,
    /// How it differs.
    pub kind: Kind,
    /// The payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txid: Option<String>,
    /// The refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refundid: Option<String>,
    /// Our value.
    pub ours: String,
    /// The other's value.
    pub theirs: String,
    /// Ours less theirs, where both are amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Money>,
    /// Of the amounts.
    pub currency: String,
    /// The likely cause, a sentence.
    pub cause: String,
    /// The day it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Day>,
    /// What can be lost or is owed at most.
    pub at_risk: Money,
    /// Until when nobody has to do anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Day>,
    /// File and line, or reference, for people.
    pub place: String,
    /// The day of the run that found it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Day>,
    /// What people have decided about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Box<Decided>>,
    /// Found by an earlier run, and what it is about is in no file of this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_covered: bool,
}

/// What people have decided about a break.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decided {
    /// What is done about it.
    pub decision: Decision,
    /// Why.
    pub reason: String,
    /// Who has decided.
    pub by: String,
    /// Who has approved it: another person. Empty: nobody yet.
    #[serde(default)]
    pub approved_by: String,
    /// How many decisions there were about the break, this one with them.
    #[serde(default)]
    pub version: u32,
    /// The sign of the values that it was about: see [`Break::values_sign`].
    #[serde(default)]
    pub values: String,
}

impl Decided {
    /// Whether it holds: approved, and not withdrawn.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.approved_by.is_empty() && self.decision != Decision::Open
    }
}

/// What is done about a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is explained; nothing is to be done.
    Accept,
    /// It is lost.
    WriteOff,
    /// Midtrans or the bank was asked for it.
    Claim,
    /// Our books are corrected by an adjustment.
    Correct,
    /// An earlier decision is withdrawn.
    Open,
}

impl Decision {
    /// Every decision, in order of declaration.
    pub const ALL: [Self; 5] =
        [Self::Accept, Self::WriteOff, Self::Claim, Self::Correct, Self::Open];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::WriteOff => "write_off",
            Self::Claim => "claim",
            Self::Correct => "correct",
            Self::Open => "open",
        }
    }

    /// The decision of a word in any letter case, with blanks or marks between.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let word = word.trim().to_lowercase().replace([' ', '-'], "_");
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

impl Break {
    /// A break about something, with nothing else said yet.
    #[must_use]
    pub fn new(kind: Kind, identity: &str) -> Self {
        Self {
            break_id: BreakId::new(kind, identity),
            kind,
            txid: None,
            refundid: None,
            ours: String::new(),
            theirs: String::new(),
            difference: None,
            currency: "IDR".to_owned(),
            cause: String::new(),
            day: None,
            at_risk: Money::ZERO,
            due: None,
            place: String::new(),
            first_seen: None,
            decided: None,
            not_covered: false,
        }
    }

    /// What was found, as JSON, without what depends on the run.
    #[must_use]
    pub fn content(&self) -> String {
        let found = Self { first_seen: None, decided: None, not_covered: false, ..self.clone() };
        // Texts and numbers always can be written.
        serde_json::to_string(&found).unwrap_or_default()
    }

    /// A break out of its [`Break::content`].
    #[must_use]
    pub fn from_content(content: &str) -> Option<Self> {
        serde_json::from_str(content).ok()
    }

    /// About a payment.
    #[must_use]
    pub fn of_payment(kind: Kind, tx_id: i64) -> Self {
        let txid = tx_id.to_string();
        Self { txid: Some(txid.clone()), ..Self::new(kind, &txid) }
    }

    /// With both amounts and their difference, which is at risk.
    #[must_use]
    pub fn amounts(self, ours: Money, theirs: Money) -> Self {
        let difference = ours - theirs;
        Self {
            ours: ours.to_string(),
            theirs: theirs.to_string(),
            difference: Some(difference),
            at_risk: difference.abs(),
            ..self
        }
    }

    /// Four signs that change with its values: what was decided about other values does not hold.
    #[must_use]
    pub fn values_sign(&self) -> String {
        let text = format!("{}\n{}\n{}", self.ours, self.theirs, self.currency);
        let digest = Sha256::digest(text);
        digest.iter().take(2).map(|byte| format!("{byte:02x}")).collect()
    }

    /// What a list has to repeat to decide about it: how often it was decided, and its values.
    #[must_use]
    pub fn version(&self) -> String {
        let decided = self.decided.as_ref().map_or(0, |decided| decided.version);
        format!("v{decided}-{}", self.values_sign())
    }

    /// Days since the day it is about.
    #[must_use]
    pub fn age_days(&self, today: Day) -> i32 {
        self.day.map_or(0, |day| today.since(day).max(0))
    }

    /// Whether somebody has to look: all but timing that is not due yet and what was decided.
    #[must_use]
    pub fn is_due(&self, today: Day) -> bool {
        let decided = self.decided.as_ref().is_some_and(|decided| decided.holds());
        !decided && self.due.is_none_or(|due| due < today)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_in_every_run_and_no_spreadsheet_takes_it_for_a_number() {
        let id = BreakId::new(Kind::AmountDiffers, "7302680123456789012");
        assert_eq!(id, BreakId::new(Kind::AmountDiffers, "7302680123456789012"));
        assert_ne!(id, BreakId::new(Kind::FeeDiffers, "7302680123456789012"));
        assert_eq!((id.as_str().len(), id.as_str().chars().next()), (14, Some('B')));
        assert_eq!(BreakId::parse(&format!(" '{} ", id.as_str().to_lowercase())), Some(id));
    }

    #[test]
    fn what_is_no_id_is_not_taken_for_one() {
        for text in ["", "B", "7.30268E+18", "BUUUUUUUUUUUUU", "A0000000000000"] {
            assert_eq!(BreakId::parse(text), None, "{text}");
        }
    }
}
