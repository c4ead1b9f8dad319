//! The mapping file: which column plays which role, what Midtrans should charge, when what is due.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::date::{DateOrder, Day, zone_secs};
use crate::money::{DecimalMark, Money};

/// What a column of a file is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Our TXID, Midtrans' `order_id`.
    OrderId,
    /// Midtrans' `transaction_id`.
    TransactionId,
    /// The amount of the payment; of a bank entry.
    Amount,
    /// A currency's code.
    Currency,
    /// Midtrans' `payment_type`.
    Method,
    /// Midtrans' `transaction_status`; the state of a payout or bank entry.
    Status,
    /// When it was made; a bank's booking day.
    Time,
    /// When it was paid.
    SettledAt,
    /// What Midtrans took, all of it.
    Fee,
    /// What was given back of the payment so far.
    Refund,
    /// The amount after fees.
    Net,
    /// Whether the row is a payment, a refund, a chargeback.
    Type,
    /// Our REFUNDID.
    RefundId,
    /// Midtrans' number of a payout.
    PayoutId,
    /// What goes out of an account.
    Debit,
    /// What comes into an account.
    Credit,
    /// `CR` or `DB`.
    Sign,
    /// The balance after the entry.
    Balance,
    /// A free text; several columns are put together.
    Text,
    /// A reference.
    Reference,
    /// The number of the account.
    Account,
}

impl Role {
    /// Every role, in order of declaration.
    pub const ALL: [Self; 21] = [
        Self::OrderId,
        Self::TransactionId,
        Self::Amount,
        Self::Currency,
        Self::Method,
        Self::Status,
        Self::Time,
        Self::SettledAt,
        Self::Fee,
        Self::Refund,
        Self::Net,
        Self::Type,
        Self::RefundId,
        Self::PayoutId,
        Self::Debit,
        Self::Credit,
        Self::Sign,
        Self::Balance,
        Self::Text,
        Self::Reference,
        Self::Account,
    ];

    /// Its word in the mapping file.
    #[must_use]
    pub fn word(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|word| Some(word.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    /// Whether it holds an amount.
    #[must_use]
    pub const fn is_amount(self) -> bool {
        matches!(
            self,
            Self::Amount
                | Self::Fee
                | Self::Refund
                | Self::Net
                | Self::Debit
                | Self::Credit
                | Self::Balance
        )
    }
}

/// What the rows of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutKind {
    /// A payment a row.
    Transactions,
    /// A payout a row.
    Payouts,
    /// A payment or refund of a payout a row.
    PayoutRows,
    /// An entry of a bank account a row.
    Bank,
    /// A transfer of ours a row.
    Transfers,
}

impl LayoutKind {
    /// Roles of which one of each group must be there.
    #[must_use]
    pub const fn needs(self) -> &'static [&'static [Role]] {
        use Role as R;
        match self {
            Self::Transactions => {
                &[&[R::OrderId, R::TransactionId], &[R::Amount], &[R::Status], &[R::Time]]
            }
            Self::Payouts => &[&[R::PayoutId], &[R::Net, R::Amount], &[R::Status], &[R::Time]],
            Self::PayoutRows => &[&[R::OrderId, R::TransactionId], &[R::Amount], &[R::Fee, R::Net]],
            Self::Bank => &[&[R::Time], &[R::Amount, R::Debit], &[R::Amount, R::Credit]],
            Self::Transfers => &[&[R::Reference], &[R::Amount], &[R::Time], &[R::Currency]],
        }
    }

    /// The option by which such a file is given.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Transactions => "--report",
            Self::Payouts | Self::PayoutRows => "--payouts",
            Self::Bank => "--bank",
            Self::Transfers => "--transfers",
        }
    }
}

/// How one kind of file is laid out.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    /// Its name in messages.
    pub name: String,
    /// What its rows are.
    pub kind: LayoutKind,
    /// Titles by role, the first that is there counts. `Title#2` is the second column of that
    /// title, `after Title` the one behind it, `column 5` the fifth.
    pub columns: BTreeMap<Role, Vec<String>>,
    /// The distance from UTC of its times.
    #[serde(default = "jakarta")]
    pub zone: String,
    /// The order of its dates, unless they show it.
    #[serde(default)]
    pub order: Option<DateOrder>,
    /// The decimal mark of its amounts, unless they show it.
    #[serde(default)]
    pub decimal: Option<DecimalMark>,
    /// The year of dates without one, unless the file says it.
    #[serde(default)]
    pub year: Option<i32>,
    /// The currency of rows that do not say theirs.
    #[serde(default)]
    pub currency: Option<String>,
    /// Titles that show that an order may have several rows, one for each item.
    #[serde(default)]
    pub items: Vec<String>,
    /// Words of the sign column for what comes in.
    #[serde(default)]
    pub credit_words: Vec<String>,
    /// Words of the sign column for what goes out.
    #[serde(default)]
    pub debit_words: Vec<String>,
    /// Words in the time or status column for what is not booked yet.
    #[serde(default)]
    pub pending_words: Vec<String>,
    /// What stands before the number of the account above the titles.
    #[serde(default)]
    pub account_label: Option<String>,
    /// What stands before the period above the titles.
    #[serde(default)]
    pub period_label: Option<String>,
    /// What stands before the balances under the rows.
    #[serde(default)]
    pub foot: Foot,
}

fn jakarta() -> String {
    "+07:00".to_owned()
}

/// Labels of the lines under the rows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Foot {
    /// The balance before the first entry.
    pub opening: Option<String>,
    /// What came in.
    pub credits: Option<String>,
    /// What went out.
    pub debits: Option<String>,
    /// The balance after the last entry.
    pub closing: Option<String>,
    /// Lines that are passed over: totals and remarks.
    pub skip: Vec<String>,
}

/// What Midtrans should charge for payments of a type, from a day on.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fee {
    /// Midtrans' `payment_type`.
    pub payment_type: String,
    /// The first day in Jakarta, `YYYY-MM-DD`.
    pub valid_from: String,
    /// Hundredths of a percent of the amount.
    pub basis_points: u32,
    /// A fixed amount in whole rupiah besides.
    #[serde(default)]
    pub fixed: u32,
    /// VAT on the fee, in hundredths of a percent.
    #[serde(default)]
    pub vat_basis_points: u32,
    /// `sen` or `rupiah`: to what it is rounded, half up.
    #[serde(default)]
    pub round_to: RoundTo,
    /// Whether a refund gives its share of the fee back.
    #[serde(default)]
    pub returned_on_refund: bool,
}

/// The unit that a fee is rounded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoundTo {
    /// A hundredth.
    #[default]
    Sen,
    /// Whole.
    Rupiah,
}

impl Fee {
    /// Whether another charges the same, but for rounding.
    fn charges_as(&self, other: &Self) -> bool {
        let of = |fee: &Self| {
            (fee.basis_points, fee.fixed, fee.vat_basis_points, fee.returned_on_refund)
        };
        of(self) == of(other)
    }

    fn described(&self) -> String {
        let back = if self.returned_on_refund { "given back" } else { "not given back" };
        format!(
            "{} basis points, IDR {} fixed, {} basis points of VAT, {back}",
            self.basis_points, self.fixed, self.vat_basis_points
        )
    }

    /// The fee of an amount, VAT included.
    #[must_use]
    pub fn of(&self, amount: Money) -> Money {
        let step = match self.round_to {
            RoundTo::Sen => Money::from_sen(1),
            RoundTo::Rupiah => Money::from_sen(100),
        };
        let fixed = Money::from_sen(i64::from(self.fixed).saturating_mul(100));
        let base = amount.share(self.basis_points, step) + fixed;
        base + base.share(self.vat_basis_points, step)
    }
}

/// When something is due.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Due {
    /// Days after which a success that the exports do not show is overdue.
    pub report_days: u8,
    /// Business days from the success to the payout.
    pub payout_days: u8,
    /// Business days from the payout to the bank.
    pub bank_days: u8,
}

/// What is known about the bank account.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bank {
    /// The accounts that are meant; every account if empty.
    pub accounts: Vec<String>,
    /// Words in the text of Midtrans' credits.
    pub midtrans_words: Vec<String>,
    /// Entries that are neither payouts nor transfers.
    pub known: Vec<Known>,
}

/// An entry that is counted apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What is in its text, in any letter case.
    pub text: String,
    /// The name it is counted under.
    pub name: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct MappingFile {
    layout: Vec<Layout>,
    fee: Vec<Fee>,
    due: Option<Due>,
    bank: Option<Bank>,
    status: BTreeMap<String, String>,
    opening: Opening,
}

/// Balances before the first event, where they are not nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Opening {
    /// Paid in before the exports and not paid out: Midtrans' payable balance, as an amount.
    pub midtrans: Option<String>,
    /// The same after the exports, to check against.
    pub midtrans_closing: Option<String>,
}

/// What readers and matching go by.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Own layouts first.
    pub layouts: Vec<Layout>,
    /// By payment type and first day.
    pub fees: Vec<(Day, Fee)>,
    /// Whether a file gave them.
    pub own_fees: bool,
    /// When something is due.
    pub due: Due,
    /// The bank account.
    pub bank: Bank,
    /// Words of a report for Midtrans' status words.
    pub status: BTreeMap<String, String>,
    /// Midtrans' payable balance before the exports.
    pub opening: Money,
    /// And after them, if it is known.
    pub closing: Option<Money>,
}

/// The mapping that is known without a file.
pub const DEFAULT_MAPPING: &str = include_str!("../default_mapping.toml");

/// Why a mapping file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// No TOML, or a key that is not known.
    #[error("{0}")]
    Toml(Box<toml::de::Error>),
    /// A value that is not possible.
    #[error("{key}: {problem}")]
    Value {
        /// The key.
        key: String,
        /// What is wrong and what would be valid.
        problem: String,
    },
}

impl Mapping {
    /// The default mapping with a file before it.
    ///
    /// # Errors
    /// [`MappingError`] names the key.
    pub fn read(own: Option<&str>) -> Result<Self, MappingError> {
        let parse = |text: &str| toml::from_str(text).map_err(|e| MappingError::Toml(Box::new(e)));
        let known: MappingFile = parse(DEFAULT_MAPPING)?;
        let own: MappingFile = own.map_or_else(|| Ok(MappingFile::default()), parse)?;
        let due =
            own.due.or(known.due).unwrap_or(Due { report_days: 2, payout_days: 3, bank_days: 2 });
        let own_fees = !own.fee.is_empty();
        let fees = if own_fees { own.fee } else { known.fee };
        let mut layouts = own.layout;
        layouts.extend(known.layout);
        let balance = |key: &str, text: &Option<String>| {
            let read =
                text.as_ref().map(|text| Money::parse(text.as_bytes(), Some(DecimalMark::Point)));
            read.transpose().map_err(|error| value(key, &error.to_string()))
        };
        let opening = balance("opening.midtrans", &own.opening.midtrans)?.unwrap_or(Money::ZERO);
        let closing = balance("opening.midtrans_closing", &own.opening.midtrans_closing)?;
        let bank = own.bank.unwrap_or_default();
        let words = known.bank.unwrap_or_default().midtrans_words;
        let bank = if bank.midtrans_words.is_empty() {
            Bank { midtrans_words: words, ..bank }
        } else {
            bank
        };
        let (fees, status) = (dated(fees)?, own.status);
        let mapping = Self { layouts, fees, own_fees, due, bank, status, opening, closing };
        mapping.check()?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), MappingError> {
        for layout in &self.layouts {
            let key = |rest: &str| format!("layout {:?}, {rest}", layout.name);
            if zone_secs(layout.zone.as_bytes()).is_none() {
                return Err(value(&key("zone"), "wanted: a distance from UTC such as \"+07:00\""));
            }
            for group in layout.kind.needs() {
                if !group.iter().any(|role| layout.columns.contains_key(role)) {
                    let words: Vec<String> = group.iter().map(|role| role.word()).collect();
                    return Err(value(
                        &key("columns"),
                        &format!("{} is missing", words.join(" or ")),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Takes the terms of another place, which count for the types that they name. Those of a
    /// mapping file may say the same, and to what it is rounded, but nothing else.
    ///
    /// # Errors
    /// [`MappingError`] that names both places, if they contradict each other.
    pub fn with_terms(mut self, terms: Vec<Fee>, place: &str) -> Result<Self, MappingError> {
        let mut terms = dated(terms)?;
        if self.own_fees {
            for (day, _) in self.fees.iter().chain(&terms) {
                contradiction(&self.fees, &terms, *day, place)?;
            }
            for (day, term) in &mut terms {
                let said = in_force(&self.fees, &term.payment_type, *day);
                term.round_to = said.map_or(term.round_to, |fee| fee.round_to);
            }
        }
        let named = |fee: &Fee| {
            terms.iter().any(|(_, term)| term.payment_type.eq_ignore_ascii_case(&fee.payment_type))
        };
        self.fees.retain(|(_, fee)| !named(fee));
        self.fees.extend(terms);
        Ok(self)
    }

    /// What Midtrans should charge for a payment of a type on a day.
    #[must_use]
    pub fn fee(&self, payment_type: &str, day: Day) -> Option<&Fee> {
        in_force(&self.fees, payment_type, day)
    }
}

fn in_force<'a>(fees: &'a [(Day, Fee)], payment_type: &str, day: Day) -> Option<&'a Fee> {
    let of_type = fees
        .iter()
        .filter(|(from, fee)| *from <= day && fee.payment_type.eq_ignore_ascii_case(payment_type));
    of_type.max_by_key(|(from, _)| *from).map(|(_, fee)| fee)
}

/// The first contradiction of two places on a day.
fn contradiction(
    fees: &[(Day, Fee)],
    terms: &[(Day, Fee)],
    day: Day,
    place: &str,
) -> Result<(), MappingError> {
    for (_, term) in terms {
        let kind = &term.payment_type;
        let (Some(fee), Some(term)) = (in_force(fees, kind, day), in_force(terms, kind, day))
        else {
            continue;
        };
        if !fee.charges_as(term) {
            let key = format!("fee {kind:?} on {day}");
            let problem = format!(
                "the mapping file has {} and {place} has {}; let one of them say it",
                fee.described(),
                term.described()
            );
            return Err(value(&key, &problem));
        }
    }
    Ok(())
}

fn dated(fees: Vec<Fee>) -> Result<Vec<(Day, Fee)>, MappingError> {
    let mut dated: Vec<(Day, Fee)> = Vec::new();
    for fee in fees {
        let key = format!("fee {:?}, valid_from", fee.payment_type);
        let from = fee.valid_from.parse().map_err(|_| value(&key, "wanted: YYYY-MM-DD"))?;
        let twice = dated.iter().any(|(day, other): &(Day, Fee)| {
            *day == from && other.payment_type.eq_ignore_ascii_case(&fee.payment_type)
        });
        if twice {
            return Err(value(&key, "two fees of one type from the same day"));
        }
        dated.push((from, fee));
    }
    Ok(dated)
}

fn value(key: &str, problem: &str) -> MappingError {
    MappingError::Value { key: key.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_mapping_is_valid() {
        let mapping = Mapping::read(None).unwrap();
        assert!(mapping.layouts.len() > 5);
        let fee = |kind| mapping.fee(kind, "2026-10-01".parse().unwrap()).unwrap();
        assert_eq!(fee("gopay").of(Money::from_sen(4_400_000)), Money::from_sen(88_000));
        assert_eq!(fee("QRIS").of(Money::from_sen(4_400_000)), Money::from_sen(30_800));
    }

    #[test]
    fn a_mistake_is_named_by_its_key() {
        for (text, wanted) in [
            (
                "[[layout]]\nname=\"x\"\nkind=\"bank\"\n[layout.columns]\ntime=[\"D\"]",
                "amount or debit",
            ),
            (
                "[[layout]]\nname=\"x\"\nkind=\"bank\"\nzone=\"Jakarta\"\n[layout.columns]\ntime=[\"D\"]\namount=[\"A\"]",
                "zone",
            ),
            ("[[fee]]\npayment_type=\"gopay\"\nvalid_from=\"1 May\"\nbasis_points=1", "valid_from"),
            ("colour = 1", "colour"),
            ("[opening]\nmidtrans = \"much\"", "opening.midtrans"),
        ] {
            let error = Mapping::read(Some(text)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn terms_of_the_config_count_and_a_mapping_that_contradicts_them_is_refused() {
        let fee = |kind: &str, from: &str, basis_points, vat_basis_points| Fee {
            payment_type: kind.to_owned(),
            valid_from: from.to_owned(),
            basis_points,
            fixed: 0,
            vat_basis_points,
            round_to: RoundTo::Sen,
            returned_on_refund: false,
        };
        let terms =
            || vec![fee("gopay", "2026-01-01", 200, 1_100), fee("gopay", "2026-10-15", 150, 1_100)];
        let with =
            |own: Option<&str>| Mapping::read(own).unwrap().with_terms(terms(), "the config");
        let of = |mapping: &Mapping, kind: &str, day: &str| {
            let fee = mapping.fee(kind, day.parse().unwrap());
            fee.map(|fee| fee.of(Money::from_sen(4_400_100)).to_string()).unwrap_or_default()
        };
        let built_in = with(None).unwrap();
        assert_eq!(of(&built_in, "gopay", "2026-10-14"), "976.82");
        assert_eq!(of(&built_in, "gopay", "2026-10-15"), "732.62");
        assert_eq!(of(&built_in, "qris", "2026-10-15"), "308.01", "the config does not name it");
        let line = |from: &str, points: u32, more: &str| {
            format!(
                "[[fee]]\npayment_type=\"GoPay\"\nvalid_from=\"{from}\"\nbasis_points={points}\n{more}\n"
            )
        };
        let vat = "vat_basis_points=1100\nround_to=\"rupiah\"";
        let same = line("2026-01-01", 200, vat) + &line("2026-10-15", 150, vat);
        let rounded = with(Some(&same)).unwrap();
        assert_eq!(of(&rounded, "gopay", "2026-10-14"), "977.00", "880 and 97 of VAT");
        assert_eq!(of(&rounded, "gopay", "2026-10-15"), "733.00", "660 and 73 of VAT");
        for (own, named) in [
            (line("2026-01-01", 200, ""), "on 2026-01-01"),
            (line("2026-01-01", 210, vat), "210 basis points"),
            (line("2026-10-20", 200, vat), "on 2026-10-20"),
            (line("2026-01-01", 200, vat), "on 2026-10-15"),
        ] {
            let error = with(Some(&own)).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("the config has"), "{error}");
        }
    }

    #[test]
    fn the_terms_of_the_day_of_a_payment_count() {
        let own = "[[fee]]\npayment_type=\"gopay\"\nvalid_from=\"2026-01-01\"\nbasis_points=200\n\
                   [[fee]]\npayment_type=\"gopay\"\nvalid_from=\"2026-10-15\"\nbasis_points=150\n\
                   vat_basis_points=1100\nround_to=\"rupiah\"";
        let mapping = Mapping::read(Some(own)).unwrap();
        let of = |day: &str| {
            let fee = mapping.fee("gopay", day.parse().unwrap());
            fee.map(|fee| fee.of(Money::from_sen(4_400_000)).to_string())
        };
        assert_eq!(of("2026-10-14").as_deref(), Some("880.00"));
        // 1.5 % of 44,000 is 660, and 11 % of that 72.60.
        assert_eq!(of("2026-10-15").as_deref(), Some("733.00"));
        assert_eq!(of("2025-12-31"), None);
    }
}
