//! What decides a settlement besides its money events.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use gopay_store::SettlementAccount;

use crate::amount::{Amount, Overflow};
use crate::calendar::{Calendar, days_after};
use crate::event::{Money, MoneyEvent};
use crate::form::Form;
use crate::period::{Frequency, Period, day_of};
use crate::rates::{Applied, Rate, RateError, Rates};
use crate::terms::{AccountTerms, ContractTerms, Due, PROCESSING_CURRENCY, Terms};

/// What a settlement leaves to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Not transferred yet; below zero if the client owes it.
    pub carry_forward: Amount,
    /// Held back, by the order of being held.
    pub reserves: Vec<Reserve>,
    /// Contracts whose set-up fee was taken, in their order.
    pub set_up: Vec<String>,
}

/// What one settlement held back of one contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserve {
    /// The set that held it back.
    pub set: String,
    /// Whose.
    pub contract: String,
    /// How much: above zero.
    pub amount: Amount,
    /// Released by the settlement of the period that this day is in or before.
    pub release_on: Date,
}

/// A correction by two people, as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Used once.
    pub id: String,
    /// Whose.
    pub contract: String,
    /// In the settlement currency.
    pub amount: Amount,
    /// Why.
    pub reason: String,
}

/// The set before in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Its name.
    pub set: String,
    /// SHA-256 of its manifest.
    pub sha256: String,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// 1 PPRO, 106 PPRO Mexico, 107 PPRO Brazil.
    pub entity: u16,
    /// PPRO's number of the client.
    pub client_number: u16,
    /// How often.
    pub frequency: Frequency,
    /// The year that the number counts in.
    pub year: i16,
    /// The number of the period.
    pub number: u16,
    /// Its first day, in UTC.
    pub first_day: Date,
    /// Its last day.
    pub last_day: Date,
    /// When the transfer starts.
    pub settlement_date: Date,
    /// The settlement currency.
    pub currency: String,
    /// The set before; none in the first.
    pub previous: Option<Previous>,
    /// The rate of the period, before any margin.
    pub rate: Rate,
    /// Terms, by contract.
    pub contracts: Vec<ContractTerms>,
    /// Corrections.
    pub adjustments: Vec<Adjustment>,
    /// What the settlement before left.
    pub before: State,
    /// By which edition of the rules it was made; see [`Basis::EDITION`].
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub edition: u32,
    /// The form of the files.
    #[serde(default, skip_serializing_if = "Form::is_default")]
    pub form: Form,
}

/// Sets of the first edition do not name it.
const fn first() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_first(edition: &u32) -> bool {
    *edition == first()
}

/// Why a period cannot be settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasisError {
    /// No terms on its last day.
    #[error("no terms are in force on {0}")]
    NoTerms(Date),
    /// No rate.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The calendar ends, or a year is closed.
    #[error("no day after {0} is open")]
    NoOpenDay(Date),
    /// The account gets another currency, with money of the old one left.
    #[error(
        "the currency changes to {to} while {amount} of the old one is carried forward or held \
         back: bring it to zero first, by an adjustment in the last settlement of the old currency"
    )]
    CurrencyChanges {
        /// The new one.
        to: String,
        /// Of the old one.
        amount: Amount,
    },
    /// An adjustment of another account's contract.
    #[error("adjustment {id:?}: contract {contract:?} is not of this client number")]
    Adjustment {
        /// Its id.
        id: String,
        /// Its contract.
        contract: String,
    },
    /// Too much money.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

/// What comes before a settlement.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// The set before.
    pub previous: Option<Previous>,
    /// Its currency.
    pub currency: Option<String>,
    /// What it left.
    pub state: State,
}

impl Basis {
    /// The edition of new sets. In the first, chargebacks were left to adjustments, and so they are
    /// when such a set is made again; its invoice, which looks otherwise, is known by its hash.
    pub const EDITION: u32 = 2;

    /// Whether chargebacks are in the set.
    #[must_use]
    pub const fn knows_chargebacks(&self) -> bool {
        self.edition > first()
    }

    /// What decides the settlement of a period.
    ///
    /// # Errors
    /// See [`BasisError`].
    pub fn new(
        account: &AccountTerms,
        period: Period,
        before: Before,
        rates: &Rates,
        calendar: &Calendar,
        adjustments: Vec<Adjustment>,
    ) -> Result<Self, BasisError> {
        let last = period.last();
        let terms = account.at(last).ok_or(BasisError::NoTerms(last))?;
        let contracts = account.until(last);
        for one in &adjustments {
            if !contracts.iter().any(|contract| contract.contract == one.contract) {
                let (id, contract) = (one.id.clone(), one.contract.clone());
                return Err(BasisError::Adjustment { id, contract });
            }
        }
        if before.currency.as_ref().is_some_and(|currency| *currency != terms.currency) {
            let held = Amount::sum(before.state.reserves.iter().map(|one| one.amount))?;
            let left = before.state.carry_forward;
            if left != Amount::ZERO || held != Amount::ZERO {
                let amount = left.plus(held)?;
                return Err(BasisError::CurrencyChanges { to: terms.currency.clone(), amount });
            }
        }
        let settlement_date = period.settlement_date(terms.delay_days, calendar);
        Ok(Self {
            entity: account.account.entity,
            client_number: account.account.client,
            frequency: period.frequency(),
            year: period.year(),
            number: period.number(),
            first_day: period.first(),
            last_day: last,
            settlement_date: settlement_date.ok_or(BasisError::NoOpenDay(last))?,
            currency: terms.currency.clone(),
            previous: before.previous,
            rate: rates.at(&terms.currency, PROCESSING_CURRENCY, last)?,
            contracts,
            adjustments,
            before: before.state,
            edition: Self::EDITION,
            form: account.form,
        })
    }

    /// Whose it is.
    #[must_use]
    pub const fn account(&self) -> SettlementAccount {
        SettlementAccount { entity: self.entity, client: self.client_number }
    }

    /// The name of the set: that of its folder and the beginning of those of its files.
    #[must_use]
    pub fn set(&self) -> String {
        let (letter, year, number) = (self.frequency.letter(), self.year, self.number);
        let account = self.account();
        match self.frequency {
            Frequency::Daily => format!("{account}-{letter}-{year:04}-{number:03}"),
            Frequency::Weekly | Frequency::Monthly => {
                format!("{account}-{letter}-{year:04}-{number:02}")
            }
        }
    }

    /// Whether a month ends with the period.
    #[must_use]
    pub fn ends_month(&self) -> bool {
        self.last_day == self.last_day.last_of_month()
    }

    /// The contract, by place, whose settlements an event belongs to, with its terms then; none if
    /// it is another account's, from before the contract's start, or if nothing is due for it.
    #[must_use]
    pub fn concerns(&self, event: &MoneyEvent) -> Option<(usize, &Terms)> {
        let by_name = |contract: &ContractTerms| contract.contract.cmp(&event.contract);
        let place = self.contracts.binary_search_by(by_name).ok()?;
        let terms = self.contracts.get(place)?.at(day_of(event.at))?;
        let starts = |fees: &crate::terms::Fees| {
            fees.acquiring.due == Due::Start || fees.processing.due == Due::Start
        };
        let wanted = match event.money {
            Money::PaymentSucceeded | Money::RefundSucceeded => true,
            Money::ChargedBack => self.knows_chargebacks(),
            Money::PaymentStarted => starts(&terms.payment),
            Money::RefundStarted => starts(&terms.refund),
        };
        wanted.then_some((place, terms))
    }

    /// The divisor of a contract's amounts: the rate with the margin of its terms on the last day.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn applied(&self, contract: &ContractTerms) -> Result<Applied, Overflow> {
        let margin = contract.at(self.last_day).map_or(0, |terms| terms.margin_basis_points);
        Applied::new(&self.rate, margin)
    }

    /// The terms of a contract at the end of the period.
    #[must_use]
    pub fn at_end<'a>(&self, contract: &'a ContractTerms) -> Option<&'a Terms> {
        contract.at(self.last_day)
    }

    /// The day on which what this settlement holds back is released.
    #[must_use]
    pub fn release_on(&self, days: u16) -> Date {
        days_after(self.last_day, days.into()).unwrap_or(Date::MAX)
    }

    /// The contracts whose set-up fee is due: those that never had one.
    #[must_use]
    pub fn to_set_up(&self) -> BTreeSet<&str> {
        let done = &self.before.set_up;
        let names = self.contracts.iter().map(|contract| contract.contract.as_str());
        names.filter(|name| !done.iter().any(|one| one == name)).collect()
    }
}
