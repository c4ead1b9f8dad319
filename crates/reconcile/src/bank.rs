//! Bank statements: entries, balances, and whether they add up.

use crate::date::Day;
use crate::money::Money;

/// A booked or pending movement of an account.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The statement, by its place among those that were read.
    pub statement: usize,
    /// Its place in the statement, from 1.
    pub number: u32,
    /// Below zero for what goes out.
    pub amount: Money,
    /// Its currency.
    pub currency: String,
    /// When it was booked, else its value day.
    pub day: Option<Day>,
    /// Whether it is booked.
    pub booked: bool,
    /// Whether it takes another one back.
    pub reversal: bool,
    /// References and free texts, to find ids in; never shown.
    pub text: String,
}

/// A statement of one account.
#[derive(Clone, Debug, Default)]
pub struct Statement {
    /// The file it is from, for people.
    pub file: String,
    /// The account.
    pub account: String,
    /// The bank's own name of it.
    pub id: String,
    /// Its currency.
    pub currency: String,
    /// Its number in the year, if the bank counts.
    pub sequence: Option<u64>,
    /// Its page, if it has several.
    pub page: Option<u64>,
    /// The balance before the first entry.
    pub opening: Option<Money>,
    /// The balance after the last.
    pub closing: Option<Money>,
    /// The day of the opening balance.
    pub opening_day: Option<Day>,
    /// The day of the closing balance.
    pub closing_day: Option<Day>,
    /// Booked entries.
    pub entries: u32,
    /// Their sum.
    pub booked: Money,
    /// What a reader should know, each once.
    pub findings: Vec<String>,
}

impl Statement {
    /// Closing less opening and booked entries; none if a balance is missing.
    #[must_use]
    pub fn residual(&self) -> Option<Money> {
        Some(self.closing? - self.opening? - self.booked)
    }

    /// Notes something once.
    pub(crate) fn find(&mut self, finding: String) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// The same statement again: account, name, page and balances.
    fn repeats(&self, other: &Self) -> bool {
        (&self.account, &self.id, self.sequence, self.page, self.opening, self.closing)
            == (&other.account, &other.id, other.sequence, other.page, other.opening, other.closing)
            && self.booked == other.booked
            && self.opening_day == other.opening_day
    }
}

/// How two statements of an account do not follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The later statement, by its place.
    pub statement: usize,
    /// The closing balance before it.
    pub before: Money,
    /// Its opening balance.
    pub opening: Money,
    /// What is wrong.
    pub what: String,
}

/// Statements that were given before, by their places: each with the one it repeats.
#[must_use]
pub fn repeats(statements: &[Statement]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, statement) in statements.iter().enumerate() {
        let earlier = statements.iter().take(at).position(|other| other.repeats(statement));
        // Two empty statements without any name could be anything.
        let named = !statement.id.is_empty() || statement.opening.is_some();
        if let Some(earlier) = earlier.filter(|_| named) {
            found.push((at, earlier));
        }
    }
    found
}

/// Where an account's statements do not follow each other: closing is not the next opening, or a
/// number is missing. Days without a statement are no gap.
#[must_use]
pub fn gaps(statements: &[Statement], left_out: &[usize]) -> Vec<Gap> {
    let mut order: Vec<usize> = (0..statements.len()).filter(|at| !left_out.contains(at)).collect();
    let key =
        |at: &usize| statements.get(*at).map(|s| (&s.account, s.opening_day, s.sequence, s.page));
    order.sort_by(|one, other| key(one).cmp(&key(other)));
    let pairs = order.iter().zip(order.iter().skip(1));
    let gaps = pairs.filter_map(|(before, after)| {
        let (one, next) = (statements.get(*before)?, statements.get(*after)?);
        let (closing, opening) = (one.closing?, next.opening?);
        if one.account != next.account || one.account.is_empty() || one.currency != next.currency {
            return None;
        }
        let skipped = match (one.sequence, next.sequence) {
            // A new year begins to count anew.
            (Some(one), Some(next)) if next > one + 1 => {
                format!(" The bank's numbers go from {one} to {next}.")
            }
            _ => String::new(),
        };
        (closing != opening).then(|| Gap {
            statement: *after,
            before: closing,
            opening,
            what: format!(
                "{} closes at {closing}, and the next statement, {}, opens at {opening}: one between is missing.{skipped}",
                one.file, next.file
            ),
        })
    });
    gaps.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(id: &str, day: &str, opening: i64, closing: i64) -> Statement {
        Statement {
            file: format!("{id}.xml"),
            account: "1".to_owned(),
            id: id.to_owned(),
            currency: "IDR".to_owned(),
            opening: Some(Money::from_sen(opening)),
            closing: Some(Money::from_sen(closing)),
            opening_day: day.parse().ok(),
            booked: Money::from_sen(closing - opening),
            ..Statement::default()
        }
    }

    #[test]
    fn statements_follow_each_other_by_balance_and_not_by_day() {
        let one = statement("a", "2024-03-28", 100, 200);
        let next = statement("b", "2024-04-02", 200, 300);
        let lost = statement("c", "2024-04-05", 350, 400);
        let all = [lost.clone(), next.clone(), one.clone()];
        let found = gaps(&all, &[]);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("b.xml closes at 3.00") && found[0].statement == 0);
        assert_eq!(gaps(&[one.clone(), next.clone()], &[]), []);
        assert_eq!(repeats(&[one.clone(), next, one]), [(2, 0)]);
    }
}
