//! What a contract says about money: fees, currency, frequency, reserve. By time.

use std::collections::BTreeSet;

use gopay_store::SettlementAccount;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::calendar::days_after;
use crate::form::Form;
use crate::period::{Frequency, Period};
use crate::rates::is_currency;

/// The currency of every payment.
pub const PROCESSING_CURRENCY: &str = "IDR";

/// The name of the payment method in every file.
pub const PAYMENT_METHOD: &str = "GoPay";

/// Where the payments come from: GoPay is Indonesia's.
pub const COUNTRY: &str = "ID";

/// What makes a fixed fee due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// The shopper could pay; the refund was admitted.
    Start,
    /// The money came in; the refund was made.
    #[default]
    Success,
}

/// A fixed fee.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// How much, in the settlement currency.
    pub amount: Amount,
    /// On what.
    pub due: Due,
}

/// The fixed fees of payments, or of refunds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// `ACQUIRING_FEE`.
    pub acquiring: Fixed,
    /// `PROCESSING_FEE`.
    pub processing: Fixed,
    /// `SUCCEEDED_FEE`: always on success.
    pub succeeded: Amount,
}

/// The terms of a contract from one day on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The first day, from midnight UTC.
    pub valid_from: Date,
    /// The day from whose midnight they are over; none if they go on until the next.
    pub valid_until: Option<Date>,
    /// The settlement currency.
    pub currency: String,
    /// How often a settlement is made.
    pub frequency: Frequency,
    /// Days between the usual settlement date and the contract's.
    pub delay_days: u16,
    /// The least that is transferred.
    pub minimum_transfer: Amount,
    /// Of a transfer.
    pub wire_fee: Amount,
    /// Of a month, in the period that ends it.
    pub monthly_fee: Amount,
    /// Once ever, in the contract's first settlement.
    pub setup_fee: Amount,
    /// Share of the cleared volume that is held back, in hundredths of a percent.
    pub reserve_basis_points: u32,
    /// How long.
    pub reserve_days: u16,
    /// Share of payments that is `DISCOUNT_FEE`, in hundredths of a percent.
    pub discount_basis_points: u32,
    /// What is added to the rate of exchange, in hundredths of a percent.
    pub margin_basis_points: u32,
    /// Fixed fees of payments.
    pub payment: Fees,
    /// Fixed fees of refunds.
    pub refund: Fees,
}

/// The terms of one contract over time, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractTerms {
    /// The contract.
    pub contract: String,
    /// At least one.
    pub terms: Vec<Terms>,
}

impl ContractTerms {
    /// Those of a day; none before the first.
    #[must_use]
    pub fn at(&self, day: Date) -> Option<&Terms> {
        self.terms.iter().rev().find(|terms| terms.valid_from <= day)
    }

    /// The first day with terms: what happened before is not settled.
    #[must_use]
    pub fn start(&self) -> Option<Date> {
        self.terms.first().map(|terms| terms.valid_from)
    }
}

/// Who gets one transfer, and the contracts whose money it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountTerms {
    /// Entity and client number.
    pub account: SettlementAccount,
    /// The form of its files.
    pub form: Form,
    /// By contract.
    pub contracts: Vec<ContractTerms>,
}

/// What contracts of one client number cannot mean together, or one by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermsProblem {
    /// The contract.
    pub contract: String,
    /// Which of its terms, from 0.
    pub place: usize,
    /// The key.
    pub key: &'static str,
    /// What is wrong.
    pub wrong: String,
    /// What would be valid.
    pub wanted: &'static str,
}

impl AccountTerms {
    /// What all contracts share, by the terms of any that has some on this day.
    #[must_use]
    pub fn at(&self, day: Date) -> Option<&Terms> {
        self.contracts.iter().find_map(|contract| contract.at(day))
    }

    /// The first day with terms.
    #[must_use]
    pub fn start(&self) -> Option<Date> {
        self.contracts.iter().filter_map(ContractTerms::start).min()
    }

    /// The period of a day, by the terms of that day.
    #[must_use]
    pub fn period_of(&self, day: Date) -> Option<Period> {
        Period::containing(self.at(day)?.frequency, day)
    }

    /// The terms that count for a period which ends on a day: all that began until then.
    #[must_use]
    pub fn until(&self, last: Date) -> Vec<ContractTerms> {
        let cut = |contract: &ContractTerms| ContractTerms {
            contract: contract.contract.clone(),
            terms: contract.terms.iter().filter(|one| one.valid_from <= last).cloned().collect(),
        };
        let mut contracts: Vec<_> =
            self.contracts.iter().map(cut).filter(|one| !one.terms.is_empty()).collect();
        contracts.sort_by(|one, other| one.contract.cmp(&other.contract));
        contracts
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<TermsProblem> {
        let mut problems = Vec::new();
        for contract in &self.contracts {
            for place in 0..contract.terms.len() {
                check_one(contract, place, &mut problems);
            }
        }
        if problems.is_empty() {
            self.check_changes(&mut problems);
            self.check_agreement(&mut problems);
        }
        problems
    }

    /// Currency and frequency change only where a period ends by both.
    fn check_changes(&self, problems: &mut Vec<TermsProblem>) {
        for contract in &self.contracts {
            let pairs = contract.terms.iter().zip(contract.terms.iter().skip(1));
            for ((before, after), place) in pairs.zip(1..) {
                let Some(last) = days_after(after.valid_from, -1) else { continue };
                let ends = |frequency| Period::containing(frequency, last).map(|one| one.last());
                let begins =
                    Period::containing(after.frequency, after.valid_from).map(|one| one.first());
                let between =
                    ends(before.frequency) == Some(last) && begins == Some(after.valid_from);
                let changes = [
                    ("currency", before.currency != after.currency),
                    ("frequency", before.frequency != after.frequency),
                ];
                for (key, _) in changes.iter().filter(|(_, changed)| *changed && !between) {
                    problems.push(TermsProblem {
                        contract: contract.contract.clone(),
                        place,
                        key,
                        wrong: format!("changes on {}, inside a period", after.valid_from),
                        wanted: "a valid_from with which a period begins, before and after",
                    });
                }
            }
        }
    }

    /// What belongs to the transfer is the same for all contracts that share it.
    fn check_agreement(&self, problems: &mut Vec<TermsProblem>) {
        let days: BTreeSet<Date> = self
            .contracts
            .iter()
            .flat_map(|contract| contract.terms.iter().map(|terms| terms.valid_from))
            .collect();
        for day in days {
            let mut in_force = self.contracts.iter().filter_map(|one| Some((one, one.at(day)?)));
            let Some((first, shared)) = in_force.next() else { continue };
            for (contract, terms) in in_force {
                let differs = [
                    ("currency", shared.currency != terms.currency),
                    ("frequency", shared.frequency != terms.frequency),
                    ("delay_days", shared.delay_days != terms.delay_days),
                    ("minimum_transfer", shared.minimum_transfer != terms.minimum_transfer),
                    ("wire_fee", shared.wire_fee != terms.wire_fee),
                ];
                let place = contract.terms.iter().rposition(|one| one.valid_from <= day);
                for (key, _) in differs.iter().filter(|(_, differs)| *differs) {
                    problems.push(TermsProblem {
                        contract: contract.contract.clone(),
                        place: place.unwrap_or(0),
                        key,
                        wrong: format!(
                            "on {day} another than that of contract {:?}, which has the same \
                             client number {}",
                            first.contract, self.account
                        ),
                        wanted: "the same for all contracts of a client number",
                    });
                }
            }
        }
    }
}

/// What is wrong with terms by themselves and beside the next.
fn check_one(contract: &ContractTerms, place: usize, problems: &mut Vec<TermsProblem>) {
    let Some(terms) = contract.terms.get(place) else { return };
    let mut problem = |key, wrong: String, wanted| {
        let contract = contract.contract.clone();
        problems.push(TermsProblem { contract, place, key, wrong, wanted });
    };
    let next = contract.terms.get(place.saturating_add(1));
    match (next, terms.valid_until) {
        (Some(next), _) if next.valid_from <= terms.valid_from => problem(
            "valid_from",
            format!("{} does not come before {}: they overlap", terms.valid_from, next.valid_from),
            "terms in the order of time, each day once",
        ),
        (Some(next), Some(until)) if until > next.valid_from => problem(
            "valid_until",
            format!("{until} overlaps those of {}", next.valid_from),
            "the valid_from of the next terms, or nothing",
        ),
        (Some(next), Some(until)) if until < next.valid_from => problem(
            "valid_until",
            format!("{until} leaves a gap before {}", next.valid_from),
            "the valid_from of the next terms, or nothing",
        ),
        (None, Some(until)) => problem(
            "valid_until",
            format!("{until} leaves a gap after it: refunds may come later"),
            "further terms from that day on, or nothing",
        ),
        (_, Some(_) | None) => {}
    }
    if !is_currency(&terms.currency) {
        problem("currency", format!("{:?}", terms.currency), "three capital letters such as USD");
    } else if terms.currency == PROCESSING_CURRENCY {
        problem("currency", "IDR is what is paid in".to_owned(), "another currency, such as USD");
    }
    for (key, amount) in [
        ("minimum_transfer", terms.minimum_transfer),
        ("wire_fee", terms.wire_fee),
        ("monthly_fee", terms.monthly_fee),
        ("setup_fee", terms.setup_fee),
        ("payment.acquiring_fee", terms.payment.acquiring.amount),
        ("payment.processing_fee", terms.payment.processing.amount),
        ("payment.succeeded_fee", terms.payment.succeeded),
        ("refund.acquiring_fee", terms.refund.acquiring.amount),
        ("refund.processing_fee", terms.refund.processing.amount),
        ("refund.succeeded_fee", terms.refund.succeeded),
    ] {
        if amount < Amount::ZERO {
            problem(key, format!("{amount} is below zero"), "0.00 or more");
        }
    }
    if terms.reserve_basis_points > 0 && terms.reserve_days == 0 {
        let wrong = "0, so that a reserve would be released at once".to_owned();
        problem("reserve_days", wrong, "1 or more, with reserve_basis_points");
    }
}

/// What Midtrans should charge for a payment, by how it was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MidtransFee {
    /// The first day in Jakarta, by which Midtrans bills.
    pub valid_from: Date,
    /// Midtrans' `payment_type`.
    pub payment_type: String,
    /// Share of the payment, in hundredths of a percent.
    pub basis_points: u32,
    /// Value-added tax on it, in hundredths of a percent.
    pub vat_basis_points: u32,
    /// Whether a refund gives it back, in the share that is refunded.
    pub given_back: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::civil::date;

    use super::*;

    pub(crate) fn account() -> SettlementAccount {
        SettlementAccount { entity: 1, client: 999 }
    }

    /// Daily in USD, from a day on, with every fee.
    pub(crate) fn terms(valid_from: Date) -> Terms {
        let cents = |cents| Amount::new(cents);
        Terms {
            valid_from,
            valid_until: None,
            currency: "USD".into(),
            frequency: Frequency::Daily,
            delay_days: 0,
            minimum_transfer: cents(0),
            wire_fee: cents(150),
            monthly_fee: cents(2_000),
            setup_fee: cents(10_000),
            reserve_basis_points: 0,
            reserve_days: 0,
            discount_basis_points: 150,
            margin_basis_points: 100,
            payment: Fees {
                acquiring: Fixed { amount: cents(5), due: Due::Success },
                processing: Fixed { amount: cents(2), due: Due::Start },
                succeeded: cents(1),
            },
            refund: Fees {
                acquiring: Fixed { amount: cents(10), due: Due::Start },
                processing: Fixed { amount: cents(3), due: Due::Success },
                succeeded: cents(0),
            },
        }
    }

    pub(crate) fn contract(name: &str, terms: Vec<Terms>) -> ContractTerms {
        ContractTerms { contract: name.to_owned(), terms }
    }

    fn problems(contracts: Vec<ContractTerms>) -> Vec<(String, usize, &'static str)> {
        let account = AccountTerms { account: account(), form: Form::default(), contracts };
        let problems = account.problems();
        problems.into_iter().map(|one| (one.contract, one.place, one.key)).collect()
    }

    #[test]
    fn terms_that_contradict_each_other_are_named() {
        let first = || terms(date(2026, 1, 1));
        let with = |day, change: fn(&mut Terms)| {
            let mut terms = terms(day);
            change(&mut terms);
            terms
        };
        let one = |terms: Vec<Terms>| vec![contract("A", terms)];
        let until = |day| Terms { valid_until: Some(day), ..first() };
        let a = |place, key| vec![("A".to_owned(), place, key)];
        let b = |place, key| vec![("B".to_owned(), place, key)];
        let june = date(2026, 6, 1);
        let eur: fn(&mut Terms) = |terms| terms.currency = "EUR".into();
        let weekly: fn(&mut Terms) = |terms| terms.frequency = Frequency::Weekly;
        let monthly: fn(&mut Terms) = |terms| terms.frequency = Frequency::Monthly;
        for (contracts, wanted) in [
            (one(vec![first()]), vec![]),
            (one(vec![first(), terms(june)]), vec![]),
            (one(vec![until(june), terms(june)]), vec![]),
            (one(vec![first(), first()]), a(0, "valid_from")),
            (one(vec![terms(june), first()]), a(0, "valid_from")),
            (one(vec![until(date(2026, 6, 2)), terms(june)]), a(0, "valid_until")),
            (one(vec![until(date(2026, 5, 31)), terms(june)]), a(0, "valid_until")),
            (one(vec![until(june)]), a(0, "valid_until")),
            (one(vec![with(june, |terms| terms.currency = "IDR".into())]), a(0, "currency")),
            (one(vec![with(june, |terms| terms.currency = "usd".into())]), a(0, "currency")),
            (one(vec![with(june, |terms| terms.wire_fee = Amount::new(-1))]), a(0, "wire_fee")),
            (one(vec![with(june, |terms| terms.reserve_basis_points = 1)]), a(0, "reserve_days")),
            // Daily periods begin on every day; weekly ones on Saturdays and first days of a month.
            (one(vec![first(), with(june, eur)]), vec![]),
            (one(vec![first(), with(date(2026, 6, 6), weekly)]), vec![]),
            (one(vec![first(), with(june, weekly)]), vec![]),
            (one(vec![first(), with(date(2026, 6, 5), weekly)]), a(1, "frequency")),
            (one(vec![first(), with(june, monthly)]), vec![]),
            (one(vec![first(), with(date(2026, 6, 6), monthly)]), a(1, "frequency")),
            (one(vec![with(date(2026, 1, 1), weekly), with(date(2026, 6, 3), weekly)]), vec![]),
            (
                one(vec![with(date(2026, 1, 1), monthly), with(date(2026, 6, 6), weekly)]),
                a(1, "frequency"),
            ),
            // Of two contracts with one client number.
            (vec![contract("A", vec![first()]), contract("B", vec![terms(june)])], vec![]),
            (
                vec![contract("A", vec![first()]), contract("B", vec![with(june, eur)])],
                b(0, "currency"),
            ),
            (
                vec![contract("A", vec![first()]), contract("B", vec![with(june, weekly)])],
                b(0, "frequency"),
            ),
            (
                vec![
                    contract("A", vec![first(), with(june, eur)]),
                    contract("B", vec![first(), with(june, eur)]),
                ],
                vec![],
            ),
        ] {
            assert_eq!(problems(contracts.clone()), wanted, "{contracts:?}");
        }
    }

    #[test]
    fn the_terms_of_a_day_are_the_latest_that_began() {
        let contract = contract("A", vec![terms(date(2026, 1, 1)), terms(date(2026, 6, 1))]);
        for (day, from) in [
            (date(2025, 12, 31), None),
            (date(2026, 1, 1), Some(date(2026, 1, 1))),
            (date(2026, 5, 31), Some(date(2026, 1, 1))),
            (date(2026, 6, 1), Some(date(2026, 6, 1))),
        ] {
            assert_eq!(contract.at(day).map(|terms| terms.valid_from), from, "{day}");
        }
    }
}
