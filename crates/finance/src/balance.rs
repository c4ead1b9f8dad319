//! From sums to the aggregate file, the transfer and what is carried forward.

use serde::{Deserialize, Serialize};

use crate::amount::{Amount, Fraction, Overflow};
use crate::basis::{Basis, Reserve, State};
use crate::tally::{BASIS_POINTS, Sum, Tally};
use crate::terms::{ContractTerms, PROCESSING_CURRENCY, Terms};

/// `EVENT_TYPE` of the aggregate file, in the order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RowType {
    /// Payments, in rupiah.
    Transaction,
    /// Refunds, in rupiah, below zero.
    Refund,
    /// Chargebacks, in rupiah, below zero.
    Chargeback,
    /// Payments less refunds and chargebacks, converted.
    ClearedToMerchant,
    /// Fees, below zero: the four of events.
    AcquiringFee,
    /// See above.
    DiscountFee,
    /// See above.
    ProcessingFee,
    /// See above.
    SucceededFee,
    /// Once ever.
    MerchantSetupFee,
    /// Of the month that ends.
    MerchantMonthlyFee,
    /// Of the transfer.
    WireFee,
    /// A correction by people.
    Adjustment,
}

impl RowType {
    /// The word in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "TRANSACTION",
            Self::Refund => "REFUND",
            Self::Chargeback => "CHARGEBACK",
            Self::ClearedToMerchant => "CLEARED_TO_MERCHANT",
            Self::AcquiringFee => "ACQUIRING_FEE",
            Self::DiscountFee => "DISCOUNT_FEE",
            Self::ProcessingFee => "PROCESSING_FEE",
            Self::SucceededFee => "SUCCEEDED_FEE",
            Self::MerchantSetupFee => "MERCHANT_SETUP_FEE",
            Self::MerchantMonthlyFee => "MERCHANT_MONTHLY_FEE",
            Self::WireFee => "WIRE_FEE",
            Self::Adjustment => "ADJUSTMENT",
        }
    }
}

/// A row of the aggregate file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// `MERCHANT_ID`.
    pub contract: String,
    /// `EVENT_TYPE`.
    pub kind: RowType,
    /// `EVENT_COUNT`.
    pub count: u64,
    /// `AGGREGATE_AMOUNT`.
    pub amount: Amount,
    /// `CURRENCY`.
    pub currency: String,
}

/// A value that was rounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounding {
    /// Whose.
    pub contract: String,
    /// What: a row of the aggregate, or `RESERVE`.
    pub row: String,
    /// The exact value less the rounded one, cut after ten decimals.
    pub remainder: String,
}

/// The rate of a contract with its margin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedRate {
    /// Whose.
    pub contract: String,
    /// In hundredths of a percent.
    pub margin_basis_points: u32,
    /// What amounts were divided by.
    pub rate: String,
}

/// How a settlement ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The aggregate file.
    pub rows: Vec<Row>,
    /// By contract.
    pub applied: Vec<AppliedRate>,
    /// Every rounding but those of indicative discounts.
    pub roundings: Vec<Rounding>,
    /// The rows in the settlement currency, but for volumes.
    pub rows_total: Amount,
    /// Held back now.
    pub withheld: Amount,
    /// Released now.
    pub released: Amount,
    /// What is paid.
    pub transfer: Amount,
    /// What is left to the next.
    pub after: State,
}

impl Balance {
    /// The balance of sums by contract, in the order of the basis.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn new(basis: &Basis, tallies: &[Tally]) -> Result<Self, Overflow> {
        let mut balance = Self {
            rows: Vec::new(),
            applied: Vec::new(),
            roundings: Vec::new(),
            rows_total: Amount::ZERO,
            withheld: Amount::ZERO,
            released: Amount::ZERO,
            transfer: Amount::ZERO,
            after: State::default(),
        };
        let (released, kept): (Vec<_>, Vec<_>) =
            basis.before.reserves.iter().cloned().partition(|one| one.release_on <= basis.last_day);
        balance.released = Amount::sum(released.iter().map(|one| one.amount))?;
        balance.after.reserves = kept;
        balance.after.set_up.clone_from(&basis.before.set_up);
        for (contract, tally) in basis.contracts.iter().zip(tallies) {
            let Some(terms) = basis.at_end(contract) else { continue };
            balance.contract(basis, contract, terms, tally)?;
        }
        balance.after.set_up.sort();
        for one in &basis.adjustments {
            let name = one.contract.clone();
            balance.push(basis, &name, RowType::Adjustment, 1, one.amount)?;
        }
        balance.pay(basis)?;
        Ok(balance)
    }

    /// The rows of one contract.
    fn contract(
        &mut self,
        basis: &Basis,
        contract: &ContractTerms,
        terms: &Terms,
        tally: &Tally,
    ) -> Result<(), Overflow> {
        let name = &contract.contract;
        let volumes = [
            (RowType::Transaction, tally.payments.count, tally.payments.amount),
            (RowType::Refund, tally.refunds.count, tally.refunds.amount.negative()?),
            (RowType::Chargeback, tally.chargebacks.count, tally.chargebacks.amount.negative()?),
        ];
        for (kind, count, amount) in volumes.into_iter().filter(|(_, count, _)| *count > 0) {
            let (contract, currency) = (name.clone(), PROCESSING_CURRENCY.to_owned());
            self.rows.push(Row { contract, kind, count, amount, currency });
        }
        let applied = basis.applied(contract)?;
        self.applied.push(AppliedRate {
            contract: name.clone(),
            margin_basis_points: terms.margin_basis_points,
            rate: applied.to_string(),
        });
        let events = tally.payments.count.checked_add(tally.refunds.count);
        let events = events.and_then(|events| events.checked_add(tally.chargebacks.count));
        let events = events.ok_or(Overflow)?;
        let net = tally.payments.amount.minus(tally.refunds.amount)?;
        let net = net.minus(tally.chargebacks.amount)?;
        let cleared = applied.convert(net.get().into(), 1)?;
        let cleared = if events > 0 {
            let amount = self.round(name, RowType::ClearedToMerchant.as_str(), cleared)?;
            self.push(basis, name, RowType::ClearedToMerchant, events, amount)?;
            amount
        } else {
            Amount::ZERO
        };
        self.fee(basis, name, RowType::AcquiringFee, tally.acquiring)?;
        if tally.discounts > 0 {
            let exact = applied.convert(tally.discount, BASIS_POINTS)?;
            let amount = self.round(name, RowType::DiscountFee.as_str(), exact)?;
            let sum = Sum { count: tally.discounts, amount };
            self.fee(basis, name, RowType::DiscountFee, sum)?;
        }
        self.fee(basis, name, RowType::ProcessingFee, tally.processing)?;
        self.fee(basis, name, RowType::SucceededFee, tally.succeeded)?;
        if basis.to_set_up().contains(name.as_str()) {
            self.once(basis, name, RowType::MerchantSetupFee, terms.setup_fee)?;
            self.after.set_up.push(name.clone());
        }
        if basis.ends_month() {
            self.once(basis, name, RowType::MerchantMonthlyFee, terms.monthly_fee)?;
        }
        self.hold_back(basis, name, terms, cleared)
    }

    /// Holds back a share of what was cleared, if anything was.
    fn hold_back(
        &mut self,
        basis: &Basis,
        contract: &str,
        terms: &Terms,
        cleared: Amount,
    ) -> Result<(), Overflow> {
        if terms.reserve_basis_points == 0 || cleared <= Amount::ZERO {
            return Ok(());
        }
        let share = i128::from(cleared.get()).checked_mul(terms.reserve_basis_points.into());
        let exact = Fraction::new(share.ok_or(Overflow)?, BASIS_POINTS)?;
        let amount = self.round(contract, "RESERVE", exact)?;
        if amount > Amount::ZERO {
            self.withheld = self.withheld.plus(amount)?;
            let (set, contract) = (basis.set(), contract.to_owned());
            let release_on = basis.release_on(terms.reserve_days);
            self.after.reserves.push(Reserve { set, contract, amount, release_on });
        }
        Ok(())
    }

    /// Decides on the transfer.
    fn pay(&mut self, basis: &Basis) -> Result<(), Overflow> {
        let reserve = self.released.minus(self.withheld)?;
        let due = self.rows_total.plus(basis.before.carry_forward)?.plus(reserve)?;
        let first = basis.contracts.first().and_then(|one| Some((one, basis.at_end(one)?)));
        self.after.carry_forward = due;
        let Some((contract, terms)) = first else { return Ok(()) };
        let paid = due.minus(terms.wire_fee)?;
        if paid > Amount::ZERO && paid >= terms.minimum_transfer {
            self.once(basis, &contract.contract, RowType::WireFee, terms.wire_fee)?;
            self.transfer = paid;
            self.after.carry_forward = Amount::ZERO;
        }
        Ok(())
    }

    fn round(&mut self, contract: &str, row: &str, exact: Fraction) -> Result<Amount, Overflow> {
        self.roundings.push(Rounding {
            contract: contract.to_owned(),
            row: row.to_owned(),
            remainder: exact.remainder()?,
        });
        Amount::from_wide(exact.rounded()?)
    }

    /// A fee that is one row whatever it is for; none if it is nothing.
    fn once(
        &mut self,
        basis: &Basis,
        contract: &str,
        kind: RowType,
        amount: Amount,
    ) -> Result<(), Overflow> {
        if amount == Amount::ZERO {
            return Ok(());
        }
        self.fee(basis, contract, kind, Sum { count: 1, amount })
    }

    fn fee(
        &mut self,
        basis: &Basis,
        contract: &str,
        kind: RowType,
        sum: Sum,
    ) -> Result<(), Overflow> {
        if sum.count == 0 {
            return Ok(());
        }
        self.push(basis, contract, kind, sum.count, sum.amount.negative()?)
    }

    fn push(
        &mut self,
        basis: &Basis,
        contract: &str,
        kind: RowType,
        count: u64,
        amount: Amount,
    ) -> Result<(), Overflow> {
        self.rows_total = self.rows_total.plus(amount)?;
        let (contract, currency) = (contract.to_owned(), basis.currency.clone());
        self.rows.push(Row { contract, kind, count, amount, currency });
        Ok(())
    }
}
