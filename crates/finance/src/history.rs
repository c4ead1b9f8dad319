//! What was settled by stays: terms that an earlier settlement went by may not change afterwards, nor
//! may money fall between two client numbers or be settled under both.

use gopay_store::SettlementAccount;
use jiff::civil::Date;

use crate::basis::Basis;
use crate::terms::{AccountTerms, ContractTerms, Terms};

/// Why the config does not go on where the last settlement ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Terms of the past are others than those that were gone by.
    #[error(
        "contract {contract:?}: its terms until {until} are not those of the last settlement: leave \
         them as they were, add terms from a later day, and correct what was wrong by an adjustment"
    )]
    Changed {
        /// Whose.
        contract: String,
        /// The last day that is settled.
        until: Date,
    },
    /// A contract is gone.
    #[error(
        "contract {contract:?} is in the last settlement and no longer of this client number: \
         refunds of it would be lost; keep it, with enabled = false if need be, or let its terms \
         under another client number begin on the day after {until}"
    )]
    Gone {
        /// Which.
        contract: String,
        /// The last day that is settled.
        until: Date,
    },
    /// A contract begins in what is settled already.
    #[error(
        "contract {contract:?}: its terms begin on {start}, but this client number is settled until \
         {until}: let them begin after that day"
    )]
    Begun {
        /// Which.
        contract: String,
        /// The first day of its terms.
        start: Date,
        /// The last day that is settled.
        until: Date,
    },
    /// Its money of these days is in sets of another client number.
    #[error(
        "contract {contract:?}: its terms begin on {start}, but it is settled under {account} until \
         {until}: let them begin on the day after"
    )]
    Elsewhere {
        /// Which.
        contract: String,
        /// The first day of its terms.
        start: Date,
        /// The other client number.
        account: SettlementAccount,
        /// The last day that is settled there.
        until: Date,
    },
}

/// Holds the terms of an account against its last settlement, and against the last of the others.
///
/// # Errors
/// [`HistoryError`].
pub fn check(
    account: &AccountTerms,
    all: &[AccountTerms],
    before: Option<&Basis>,
    others: &[Basis],
) -> Result<(), HistoryError> {
    if let Some(before) = before {
        for contract in &before.contracts {
            check_kept(account, all, contract, before.last_day)?;
        }
    }
    let known = |name: &str| {
        before.is_some_and(|before| before.contracts.iter().any(|one| one.contract == name))
    };
    for contract in account.contracts.iter().filter(|one| !known(&one.contract)) {
        let Some(start) = contract.start() else { continue };
        let name = contract.contract.clone();
        if let Some(until) = before.map(|one| one.last_day).filter(|until| start <= *until) {
            return Err(HistoryError::Begun { contract: name, start, until });
        }
        for other in others {
            let there = other.contracts.iter().any(|one| one.contract == name);
            if there && other.account() != account.account && start <= other.last_day {
                let (account, until) = (other.account(), other.last_day);
                return Err(HistoryError::Elsewhere { contract: name, start, account, until });
            }
        }
    }
    Ok(())
}

/// A contract of the last settlement is there with the same terms, or goes on elsewhere.
fn check_kept(
    account: &AccountTerms,
    all: &[AccountTerms],
    settled: &ContractTerms,
    until: Date,
) -> Result<(), HistoryError> {
    let of = |account: &AccountTerms| {
        account.contracts.iter().find(|one| one.contract == settled.contract).cloned()
    };
    let contract = settled.contract.clone();
    match of(account) {
        Some(now) if past(&now, until) == past(settled, until) => Ok(()),
        Some(_) => Err(HistoryError::Changed { contract, until }),
        None => {
            let elsewhere = all.iter().filter_map(of).filter_map(|one| one.start());
            let next = until.tomorrow().ok();
            match elsewhere.into_iter().any(|start| Some(start) == next) {
                true => Ok(()),
                false => Err(HistoryError::Gone { contract, until }),
            }
        }
    }
}

/// The terms that began until a day. Where they end is told by those that follow.
fn past(contract: &ContractTerms, until: Date) -> Vec<Terms> {
    let terms = contract.terms.iter().filter(|one| one.valid_from <= until);
    terms.map(|one| Terms { valid_until: None, ..one.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::basis::Before;
    use crate::calendar::Calendar;
    use crate::period::{Frequency, Period};
    use crate::rates::Rates;
    use crate::terms::tests::{contract, terms};

    fn of(client: u16, contracts: Vec<ContractTerms>) -> AccountTerms {
        let account = SettlementAccount { entity: 1, client };
        AccountTerms { account, form: crate::form::Form::default(), contracts }
    }

    /// What the settlement of 9 January went by.
    fn settled(account: &AccountTerms) -> Basis {
        let rates =
            Rates::read(b"date,base,quote,rate,source\n2026-01-09,USD,IDR,16000,x\n").unwrap();
        let period = Period::containing(Frequency::Daily, date(2026, 1, 9)).unwrap();
        let calendar = Calendar::default();
        Basis::new(account, period, Before::default(), &rates, &calendar, Vec::new()).unwrap()
    }

    #[test]
    fn money_neither_falls_between_settlements_nor_is_in_two() {
        let first = || terms(date(2026, 1, 1));
        let from = |day| terms(date(2026, 1, day));
        let ends = |day| Terms { valid_until: Some(date(2026, 1, day)), ..first() };
        let a = |terms| contract("A", terms);
        let b = |terms| contract("B", terms);
        let dearer = Terms { discount_basis_points: 200, ..first() };
        let before = settled(&of(1, vec![a(vec![first()])]));
        for (now, other, wrong) in [
            (vec![a(vec![first()])], vec![], None),
            (vec![a(vec![ends(10), from(10)])], vec![], None),
            (vec![a(vec![dearer])], vec![], Some("its terms until 2026-01-09 are not those")),
            (vec![a(vec![from(2)])], vec![], Some("its terms until 2026-01-09 are not those")),
            (vec![a(vec![first(), from(9)])], vec![], Some("its terms until 2026-01-09")),
            (vec![a(vec![first()]), b(vec![from(10)])], vec![], None),
            (vec![a(vec![first()]), b(vec![from(9)])], vec![], Some("let them begin after")),
            (vec![b(vec![from(10)])], vec![], Some("refunds of it would be lost")),
            (vec![b(vec![from(10)])], vec![a(vec![from(10)])], None),
            (vec![b(vec![from(10)])], vec![a(vec![from(11)])], Some("refunds of it would be lost")),
        ] {
            let all = [of(1, now), of(2, other)];
            let found = check(&all[0], &all, Some(&before), &[]);
            let text = found.err().map(|error| error.to_string());
            assert_eq!(text.is_some(), wrong.is_some(), "{text:?} {wrong:?}");
            assert!(text.unwrap_or_default().contains(wrong.unwrap_or_default()));
        }
        // Under another client number it begins after the last day of this one.
        for (day, good) in [(9, false), (10, true)] {
            let all = [of(2, vec![a(vec![from(day)])])];
            let found = check(&all[0], &all, None, std::slice::from_ref(&before));
            assert_eq!(found.is_ok(), good, "{found:?}");
        }
    }
}
