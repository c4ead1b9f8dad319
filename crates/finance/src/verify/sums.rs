//! What the rows of a set's tables add up to, for the rules that tie them together.

use std::collections::BTreeMap;

use crate::amount::Amount;

/// Sums by contract, kind (`EVENT_TYPE` or `FEE_TYPE`) and currency.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<(String, String, String), (u64, Amount)>);

impl Sums {
    /// Adds an amount. A sum that is too large to be counted stays: its table cannot tie out then.
    pub fn add(&mut self, contract: &str, kind: &str, currency: &str, count: u64, amount: Amount) {
        let key = (contract.to_owned(), kind.to_owned(), currency.to_owned());
        let (counted, sum) = self.0.entry(key).or_default();
        *counted = counted.saturating_add(count);
        *sum = sum.plus(amount).unwrap_or(*sum);
    }

    /// How many of a kind, and how much; nothing if there are none.
    #[must_use]
    pub fn of(&self, contract: &str, kind: &str, currency: &str) -> (u64, Amount) {
        let key = (contract.to_owned(), kind.to_owned(), currency.to_owned());
        self.0.get(&key).copied().unwrap_or_default()
    }

    /// Every key.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.0
            .keys()
            .map(|(contract, kind, currency)| (contract.as_str(), kind.as_str(), currency.as_str()))
    }

    /// The sum of a currency over everything but some kinds.
    #[must_use]
    pub fn in_currency(&self, currency: &str, without: &[&str]) -> Amount {
        let all = self
            .0
            .iter()
            .filter(|((_, kind, of), _)| of == currency && !without.contains(&kind.as_str()));
        all.fold(Amount::ZERO, |sum, (_, (_, amount))| sum.plus(*amount).unwrap_or(sum))
    }
}
