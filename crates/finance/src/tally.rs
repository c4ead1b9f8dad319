//! Sums over the money events of a settlement, by contract, and the fees of one event.

use crate::amount::{Amount, Fraction, Overflow};
use crate::event::{Money, MoneyEvent};
use crate::terms::{Due, Fees, Fixed, Terms};

/// A fee of an event, in the order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FeeType {
    /// Fixed.
    Acquiring,
    /// A share of the payment.
    Discount,
    /// Fixed.
    Processing,
    /// Fixed, on success.
    Succeeded,
}

impl FeeType {
    /// The word in files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acquiring => "ACQUIRING_FEE",
            Self::Discount => "DISCOUNT_FEE",
            Self::Processing => "PROCESSING_FEE",
            Self::Succeeded => "SUCCEEDED_FEE",
        }
    }
}

/// `EVENT_TYPE` of files of fees.
#[must_use]
pub const fn event_type(money: Money) -> &'static str {
    match money {
        Money::PaymentStarted | Money::RefundStarted => "INITIALIZED",
        Money::PaymentSucceeded | Money::RefundSucceeded | Money::ChargedBack => "SUCCEEDED",
    }
}

/// The fixed fees of an event.
#[must_use]
pub fn fixed_fees(terms: &Terms, money: Money) -> Vec<(FeeType, Amount)> {
    let due_at = |fees: &Fees, due: Due| {
        let of = |fixed: &Fixed| if fixed.due == due { fixed.amount } else { Amount::ZERO };
        let succeeded = if due == Due::Success { fees.succeeded } else { Amount::ZERO };
        [
            (FeeType::Acquiring, of(&fees.acquiring)),
            (FeeType::Processing, of(&fees.processing)),
            (FeeType::Succeeded, succeeded),
        ]
    };
    let all = match money {
        Money::PaymentStarted => due_at(&terms.payment, Due::Start),
        Money::PaymentSucceeded => due_at(&terms.payment, Due::Success),
        Money::RefundStarted => due_at(&terms.refund, Due::Start),
        Money::RefundSucceeded => due_at(&terms.refund, Due::Success),
        Money::ChargedBack => return Vec::new(),
    };
    all.into_iter().filter(|(_, amount)| *amount != Amount::ZERO).collect()
}

/// Hundredths of a percent in one.
pub const BASIS_POINTS: i128 = 10_000;

/// The discount of one event, not rounded: sen times basis points; 0 but for payments.
#[must_use]
pub fn discount(terms: &Terms, event: &MoneyEvent) -> i128 {
    if event.money != Money::PaymentSucceeded {
        return 0;
    }
    i128::from(event.amount.get()).saturating_mul(terms.discount_basis_points.into())
}

/// What the file of fees shows of a discount: rupiah, rounded, indicative.
///
/// # Errors
/// [`Overflow`].
pub fn indicative(discount: i128) -> Result<Amount, Overflow> {
    Amount::from_wide(Fraction::new(discount, BASIS_POINTS)?.rounded()?)
}

/// How many, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// How much.
    pub amount: Amount,
}

impl Sum {
    /// Adds one.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn add(&mut self, amount: Amount) -> Result<(), Overflow> {
        self.count = self.count.checked_add(1).ok_or(Overflow)?;
        self.amount = self.amount.plus(amount)?;
        Ok(())
    }
}

/// The sums of one contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Payments, in sen.
    pub payments: Sum,
    /// Refunds, in sen.
    pub refunds: Sum,
    /// Chargebacks, in sen.
    pub chargebacks: Sum,
    /// Payments with a discount.
    pub discounts: u64,
    /// Their discounts: sen times basis points.
    pub discount: i128,
    /// Fixed fees by [`FeeType`], in the settlement currency.
    pub acquiring: Sum,
    /// See above.
    pub processing: Sum,
    /// See above.
    pub succeeded: Sum,
}

impl Tally {
    /// Adds an event, with its fees.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn add(&mut self, event: &MoneyEvent, terms: &Terms) -> Result<(), Overflow> {
        match event.money {
            Money::PaymentSucceeded => self.payments.add(event.amount)?,
            Money::RefundSucceeded => self.refunds.add(event.amount)?,
            Money::ChargedBack => self.chargebacks.add(event.amount)?,
            Money::PaymentStarted | Money::RefundStarted => {}
        }
        let discount = discount(terms, event);
        if discount != 0 {
            self.discounts = self.discounts.checked_add(1).ok_or(Overflow)?;
            self.discount = self.discount.checked_add(discount).ok_or(Overflow)?;
        }
        for (fee, amount) in fixed_fees(terms, event.money) {
            match fee {
                FeeType::Acquiring => self.acquiring.add(amount)?,
                FeeType::Processing => self.processing.add(amount)?,
                FeeType::Succeeded => self.succeeded.add(amount)?,
                FeeType::Discount => {}
            }
        }
        Ok(())
    }
}
