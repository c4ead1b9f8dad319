//! Opening and movements against closing.

use crate::money::Money;

/// A balance, what moved it, and whether it adds up.
#[derive(Clone, Debug, serde::Serialize)]
pub struct TieOut {
    /// Whose.
    pub name: String,
    /// Of its amounts.
    pub currency: String,
    /// Before.
    pub opening: Money,
    /// What moved it.
    pub movements: Vec<Movement>,
    /// After, counted on its own.
    pub closing: Money,
    /// Closing less opening and movements.
    pub residual: Money,
}

/// A line of a tie-out.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Movement {
    /// What it is.
    pub what: String,
    /// How much.
    pub amount: Money,
}

impl TieOut {
    pub(crate) fn new(
        name: &str,
        opening: Money,
        movements: Vec<(&str, Money)>,
        closing: Money,
    ) -> Self {
        let moved: Money = movements.iter().map(|(_, amount)| *amount).sum();
        let movements = movements.into_iter().filter(|(_, amount)| !amount.is_zero());
        Self {
            name: name.to_owned(),
            currency: "IDR".to_owned(),
            opening,
            movements: movements
                .map(|(what, amount)| Movement { what: what.to_owned(), amount })
                .collect(),
            closing,
            residual: closing - opening - moved,
        }
    }
}
