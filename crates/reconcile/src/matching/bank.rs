//! Payouts and our transfers against the entries of the bank account.

use std::collections::BTreeMap;

use crate::bank::Entry;
use crate::breaks::{Break, Kind};
use crate::date::Day;
use crate::input::mapping::Mapping;
use crate::money::Money;
use crate::payouts::{Payout, PayoutState};
use crate::statements::Statements;
use crate::tie_out::TieOut;
use crate::transfers::Transfer;

/// What was counted on the way.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct BankTally {
    /// Payouts that the account shows.
    pub payouts: u64,
    /// Transfers that the account shows.
    pub transfers: u64,
    /// Entries that are not booked yet.
    pub pending: u64,
    /// Entries that the mapping names: how many and how much, by name and currency.
    pub known: BTreeMap<String, (u64, Money)>,
}

/// What an entry of the account turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Free,
    Payout,
    Transfer,
    Known,
    /// Named in a break.
    Break,
}

/// Something that should be at the bank: a payout coming in, a transfer going out.
struct Expected {
    /// What the entry's text should have.
    id: String,
    /// Below zero for what goes out.
    amount: Money,
    currency: String,
    day: Option<Day>,
    place: String,
    is_payout: bool,
    /// The entry it was found in.
    entry: Option<usize>,
    done: bool,
}

/// Days before and after its own in which something without an id may be booked.
const DAYS_BEFORE: i32 = 1;
const DAYS_AFTER: i32 = 7;

pub(crate) fn bank(
    payouts: &[Payout],
    transfers: &[Transfer],
    statements: &Statements,
    mapping: &Mapping,
) -> (Vec<Break>, BankTally, Vec<TieOut>) {
    let mut leg = Leg {
        statements,
        mapping,
        uses: vec![Use::Free; statements.entries.len()],
        tally: BankTally::default(),
        breaks: Vec::new(),
    };
    let mut expected = expected(payouts, transfers);
    leg.by_id(&mut expected);
    leg.by_amount(&mut expected);
    for one in expected.iter().filter(|one| !one.done) {
        leg.missing(one);
    }
    leg.rest();
    leg.balances();
    let ties = leg.ties();
    (leg.breaks, leg.tally, ties)
}

fn expected(payouts: &[Payout], transfers: &[Transfer]) -> Vec<Expected> {
    let paid =
        payouts.iter().filter(|payout| payout.state == PayoutState::Paid && !payout.net.is_zero());
    let paid = paid.map(|payout| Expected {
        id: payout.id.clone(),
        amount: payout.net,
        currency: "IDR".to_owned(),
        day: payout.day(),
        place: format!("{} ({})", payout.id, payout.place),
        is_payout: true,
        entry: None,
        done: false,
    });
    let made = transfers.iter().map(|transfer| Expected {
        id: transfer.reference.clone(),
        amount: -transfer.amount,
        currency: transfer.currency.clone(),
        day: transfer.day,
        place: format!("{} ({})", transfer.reference, transfer.place),
        is_payout: false,
        entry: None,
        done: false,
    });
    paid.chain(made).collect()
}

struct Leg<'a> {
    statements: &'a Statements,
    mapping: &'a Mapping,
    uses: Vec<Use>,
    tally: BankTally,
    breaks: Vec<Break>,
}

impl Leg<'_> {
    /// An entry that names the id is it, whatever its amount.
    fn by_id(&mut self, expected: &mut [Expected]) {
        let mut words: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, entry) in
            self.statements.entries.iter().enumerate().filter(|(_, entry)| entry.booked)
        {
            for word in words_of(&entry.text) {
                let places = words.entry(word).or_default();
                if places.last() != Some(&at) {
                    places.push(at);
                }
            }
        }
        for one in expected.iter_mut() {
            let Some(named) = words.get(&one.id.to_uppercase()) else { continue };
            let same_way = |at: &&usize| {
                let entry = self.statements.entries.get(**at);
                entry.is_some_and(|entry| entry.amount.is_negative() == one.amount.is_negative())
            };
            let found: Vec<usize> = named.iter().filter(same_way).copied().collect();
            // One that was taken back counts for none.
            let back = named.len() - found.len();
            let free = |at: &usize| self.uses.get(*at) == Some(&Use::Free);
            let found: Vec<usize> = found.into_iter().filter(free).collect();
            let Some((first, rest)) = found.split_first() else { continue };
            one.done = true;
            one.entry = Some(*first);
            self.found(one, *first);
            for again in rest.iter().skip(back) {
                self.twice(one, *again);
            }
            for taken in rest.iter().take(back).chain(named.iter()) {
                self.mark(*taken, if one.is_payout { Use::Payout } else { Use::Transfer });
            }
        }
    }

    fn found(&mut self, one: &Expected, at: usize) {
        let Some(entry) = self.statements.entries.get(at) else { return };
        self.mark(at, if one.is_payout { Use::Payout } else { Use::Transfer });
        if one.is_payout {
            self.tally.payouts += 1;
        } else {
            self.tally.transfers += 1;
        }
        if entry.amount == one.amount && entry.currency == one.currency {
            return;
        }
        let kind = if one.is_payout { Kind::PayoutDiffers } else { Kind::TransferDiffers };
        let (ours, theirs) = (one.amount.abs(), entry.amount.abs());
        let cause = if entry.currency != one.currency {
            format!("The account has it in {}, and it was to be {}.", entry.currency, one.currency)
        } else if (one.is_payout && theirs < ours) || (!one.is_payout && theirs > ours) {
            "A bank has taken a charge on the way, perhaps.".to_owned()
        } else {
            "The account has another amount under the same id.".to_owned()
        };
        self.breaks.push(Break {
            cause,
            currency: one.currency.clone(),
            day: entry.day,
            place: format!("{}, {}", one.place, self.statements.place(entry)),
            ..Break::new(kind, &format!("bank\n{}", one.id)).amounts(ours, theirs)
        });
    }

    fn twice(&mut self, one: &Expected, at: usize) {
        let Some(entry) = self.statements.entries.get(at) else { return };
        self.mark(at, Use::Break);
        let kind = if one.is_payout { Kind::PaidOutTwice } else { Kind::TransferTwice };
        let cause = if one.is_payout {
            "The account shows the payout twice; Midtrans will take one back."
        } else {
            "The transfer left the account twice: ask for one back."
        };
        self.breaks.push(Break {
            ours: one.amount.abs().to_string(),
            theirs: format!("{} again", entry.amount.abs()),
            currency: entry.currency.clone(),
            cause: cause.to_owned(),
            day: entry.day,
            at_risk: entry.amount.abs(),
            place: format!("{}, {}", one.place, self.statements.place(entry)),
            ..Break::new(kind, &format!("bank\n{}", one.id))
        });
    }

    /// Without an id: an amount that only one of each side has, around the same days.
    fn by_amount(&mut self, expected: &mut [Expected]) {
        let near = |one: &Expected, entry: &Entry| {
            let days = one.day.zip(entry.day).map(|(day, booked)| booked.since(day));
            entry.booked
                && entry.amount == one.amount
                && entry.currency == one.currency
                && days.is_none_or(|days| (-DAYS_BEFORE..=DAYS_AFTER).contains(&days))
        };
        let open: Vec<usize> = (0..expected.len())
            .filter(|at| expected.get(*at).is_some_and(|one| !one.done))
            .collect();
        let mut entries_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut wanted_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for at in &open {
            let Some(one) = expected.get(*at) else { continue };
            let entries = self.statements.entries.iter().enumerate();
            let fits = entries.filter(|(place, entry)| {
                self.uses.get(*place) == Some(&Use::Free) && near(one, entry)
            });
            for (place, _) in fits {
                entries_of.entry(*at).or_default().push(place);
                wanted_by.entry(place).or_default().push(*at);
            }
        }
        for (at, entries) in &entries_of {
            let alone = match entries.as_slice() {
                [entry] => {
                    wanted_by.get(entry).is_some_and(|wanted| wanted.len() == 1).then_some(*entry)
                }
                _ => None,
            };
            let Some(one) = expected.get_mut(*at) else { continue };
            one.done = true;
            match alone {
                Some(entry) => {
                    one.entry = Some(entry);
                    self.found(one, entry);
                }
                None => self.ambiguous(one, entries),
            }
        }
    }

    fn ambiguous(&mut self, one: &Expected, entries: &[usize]) {
        let places: Vec<String> = entries
            .iter()
            .filter_map(|at| Some(self.statements.place(self.statements.entries.get(*at)?)))
            .collect();
        for at in entries {
            self.mark(*at, Use::Break);
        }
        self.breaks.push(Break {
            ours: one.amount.abs().to_string(),
            theirs: format!("{} entries of this amount", entries.len()),
            currency: one.currency.clone(),
            cause: format!(
                "Several payouts, transfers or entries have this amount in these days, and no text tells which is which: {}.",
                places.join(", ")
            ),
            day: one.day,
            at_risk: one.amount.abs(),
            place: one.place.clone(),
            ..Break::new(Kind::Ambiguous, &one.id)
        });
    }

    /// Nothing at the bank.
    fn missing(&mut self, one: &Expected) {
        let days = self.statements.entries.iter().filter_map(|entry| entry.day);
        let closed =
            self.statements.statements.iter().filter_map(|statement| statement.closing_day);
        let (first, last) = (days.clone().min(), days.chain(closed).max());
        if let (Some(day), Some(first)) = (one.day, first)
            && day.plus_business(self.mapping.due.bank_days) < first
        {
            // Before the statements begin.
            return;
        }
        let due = one.day.map(|day| day.plus_business(self.mapping.due.bank_days));
        let not_yet = matches!((due, last), (Some(due), Some(last)) if due > last);
        let (kind, cause) = match (not_yet, one.is_payout) {
            (true, _) => (
                Kind::Timing,
                "The statements end before it has to be there; the next should have it.",
            ),
            (false, true) => (
                Kind::PayoutNotAtBank,
                "Midtrans says paid, and no entry has its id or, alone, its amount.",
            ),
            (false, false) => (
                Kind::TransferDiffers,
                "The transfer has not left the account: no entry has its reference or, alone, its amount.",
            ),
        };
        self.breaks.push(Break {
            ours: one.amount.abs().to_string(),
            currency: one.currency.clone(),
            cause: cause.to_owned(),
            day: one.day,
            due: due.filter(|_| not_yet),
            at_risk: one.amount.abs(),
            place: one.place.clone(),
            ..Break::new(kind, &format!("bank\n{}", one.id))
        });
    }

    /// Entries that nothing has explained.
    fn rest(&mut self) {
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for (at, entry) in self.statements.entries.iter().enumerate() {
            if self.uses.get(at) != Some(&Use::Free) {
                continue;
            }
            if !entry.booked {
                self.tally.pending += 1;
                continue;
            }
            let text = entry.text.to_lowercase();
            let known = self
                .mapping
                .bank
                .known
                .iter()
                .find(|known| text.contains(&known.text.to_lowercase()));
            if let Some(known) = known {
                let (count, sum) = self
                    .tally
                    .known
                    .entry(format!("{} ({})", known.name, entry.currency))
                    .or_default();
                *count += 1;
                *sum += entry.amount;
                self.mark(at, Use::Known);
                continue;
            }
            let account = self
                .statements
                .statements
                .get(entry.statement)
                .map(|s| s.account.clone())
                .unwrap_or_default();
            let day = entry.day.map(|day| day.to_string()).unwrap_or_default();
            // The same amount, day and text twice is two entries.
            let alike =
                format!("{account}\n{day}\n{}\n{}\n{}", entry.amount, entry.currency, entry.text);
            let nth = seen.entry(alike.clone()).and_modify(|n| *n += 1).or_insert(1);
            let identity = format!("{alike}\n{nth}");
            let cause = self.likely(entry, &text);
            self.breaks.push(Break {
                theirs: entry.amount.to_string(),
                currency: entry.currency.clone(),
                cause: cause.to_owned(),
                day: entry.day,
                at_risk: entry.amount.abs(),
                place: self.statements.place(entry),
                ..Break::new(Kind::BankEntryUnknown, &identity)
            });
        }
    }

    /// What an entry that nothing explains may be.
    fn likely(&self, entry: &Entry, text: &str) -> &'static str {
        let words = &self.mapping.bank.midtrans_words;
        let midtrans = words.iter().any(|word| text.contains(&word.to_lowercase()));
        if midtrans && !entry.amount.is_negative() {
            "Midtrans has paid, and no payout that we have been given is it."
        } else if entry.reversal {
            "Takes an earlier entry back."
        } else if entry.amount.is_negative() {
            "Left the account, and is none of our transfers: a bank charge, perhaps; name it under [[bank.known]]."
        } else {
            "Came in, and is none of Midtrans' payouts; name it under [[bank.known]] if it is something else."
        }
    }

    /// Statements that do not add up or do not follow each other.
    fn balances(&mut self) {
        for statement in &self.statements.statements {
            let (Some(residual), Some(closing)) = (statement.residual(), statement.closing) else {
                continue;
            };
            if residual.is_zero() {
                continue;
            }
            let identity =
                format!("{}\n{}\n{:?}", statement.account, statement.id, statement.opening_day);
            self.breaks.push(Break {
                currency: statement.currency.clone(),
                cause: "Opening balance and booked entries do not give the closing balance: the statement lacks entries.".to_owned(),
                day: statement.closing_day,
                place: statement.file.clone(),
                ..Break::new(Kind::BalanceDiffers, &identity).amounts(closing - residual, closing)
            });
        }
        for gap in &self.statements.gaps {
            let Some(statement) = self.statements.statements.get(gap.statement) else { continue };
            let identity = format!(
                "gap\n{}\n{}\n{:?}",
                statement.account, statement.id, statement.opening_day
            );
            self.breaks.push(Break {
                currency: statement.currency.clone(),
                cause: gap.what.clone(),
                day: statement.opening_day,
                place: statement.file.clone(),
                ..Break::new(Kind::BalanceDiffers, &identity).amounts(gap.before, gap.opening)
            });
        }
    }

    /// Each account from its first opening to its last closing.
    fn ties(&self) -> Vec<TieOut> {
        let mut accounts: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (at, statement) in self.statements.statements.iter().enumerate() {
            accounts.entry((&statement.account, &statement.currency)).or_default().push(at);
        }
        let mut ties = Vec::new();
        for ((account, currency), mut places) in accounts {
            let get = |at: &usize| self.statements.statements.get(*at);
            places.sort_by_key(|at| get(at).map(|s| (s.opening_day, s.sequence, s.page)));
            let opening = places.first().and_then(get).and_then(|s| s.opening);
            let closing = places.last().and_then(get).and_then(|s| s.closing);
            let (Some(opening), Some(closing)) = (opening, closing) else { continue };
            let sum = |wanted: &[Use]| -> Money {
                let entries = self.statements.entries.iter().zip(&self.uses);
                let entries = entries.filter(|(entry, of)| {
                    entry.booked && places.contains(&entry.statement) && wanted.contains(of)
                });
                entries.map(|(entry, _)| entry.amount).sum()
            };
            let movements = vec![
                ("Midtrans' payouts", sum(&[Use::Payout])),
                ("our transfers", sum(&[Use::Transfer])),
                ("named in the mapping", sum(&[Use::Known])),
                ("in breaks", sum(&[Use::Free, Use::Break])),
            ];
            let mut tie =
                TieOut::new(&format!("bank account {account}"), opening, movements, closing);
            tie.currency = currency.to_owned();
            ties.push(tie);
        }
        ties
    }

    fn mark(&mut self, at: usize, of: Use) {
        if let Some(place) = self.uses.get_mut(at)
            && *place == Use::Free
        {
            *place = of;
        }
    }
}

/// Words in capitals: letters, digits and the marks inside references.
fn words_of(text: &str) -> Vec<String> {
    let upper = text.to_uppercase();
    let wide = upper.split(|sign: char| sign.is_whitespace() || matches!(sign, ',' | ';' | ':'));
    let narrow = upper.split(|sign: char| !sign.is_alphanumeric());
    let mut words: Vec<String> =
        wide.chain(narrow).filter(|word| word.len() > 2).map(str::to_owned).collect();
    words.sort();
    words.dedup();
    words
}
