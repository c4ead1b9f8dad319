//! Bank statements from files of any kind: camt.053 by its own reader, the rest by a layout.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::bank::{Entry, Gap, Statement, gaps, repeats};
use crate::input::mapping::{LayoutKind, Mapping, Role};
use crate::input::source::{Format, Source, hex};
use crate::input::table::{Row, Table};
use crate::input::{InputError, Problem, camt};
use crate::journal::Unreadable;
use crate::money::Money;
use crate::reports::{InputFile, masked, moment, money, name_of};

/// All statements of a run.
#[derive(Debug, Default)]
pub struct Statements {
    /// Those that count.
    pub statements: Vec<Statement>,
    /// Entries of those, booked ones and others.
    pub entries: Vec<Entry>,
    /// The files.
    pub files: Vec<InputFile>,
    pub(crate) unreadable: Vec<Unreadable>,
    /// Where statements do not follow each other.
    pub gaps: Vec<Gap>,
}

impl Statements {
    /// Reads all files.
    ///
    /// # Errors
    /// If one cannot be used, or is another account's.
    pub fn read(
        paths: &[PathBuf],
        mapping: &Mapping,
        progress: &AtomicU64,
    ) -> Result<Self, InputError> {
        let mut all = Self::default();
        for path in paths {
            all.add(path, mapping, progress)?;
        }
        all.leave_out_repeats();
        all.gaps = gaps(&all.statements, &[]);
        Ok(all)
    }

    fn add(
        &mut self,
        path: &Path,
        mapping: &Mapping,
        progress: &AtomicU64,
    ) -> Result<(), InputError> {
        let source = Source::open(path)?;
        let (mut read, layout, sha256) = if source.format() == Format::Xml {
            let document = camt::read(path)?;
            let bytes = std::fs::read(path).map_err(|error| InputError::new(path, error.into()))?;
            progress.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::Relaxed);
            let layout = document.version.clone().unwrap_or_else(|| "camt.053".to_owned());
            let read = Read {
                statements: document.statements,
                entries: document.entries,
                ..Read::default()
            };
            (read, layout, hex(&Sha256::digest(&bytes)))
        } else {
            let table = Table::of(source, mapping, &[LayoutKind::Bank])?;
            let (read, sha256) = rows(&table, progress)?;
            (read, table.layout.name.clone(), sha256)
        };
        let mut file = InputFile {
            path: path.to_owned(),
            layout,
            rows: u64::try_from(read.entries.len() + read.unreadable.len()).unwrap_or(0),
            sha256,
            remarks: Vec::new(),
            has_items: false,
        };
        if let Some(twin) = self.files.iter().find(|other| other.sha256 == file.sha256) {
            file.remarks
                .push(format!("has the content of {}, and was left out", twin.path.display()));
            self.files.push(file);
            return Ok(());
        }
        choose_accounts(path, mapping, &mut read, &mut file)?;
        let base = self.statements.len();
        for entry in &mut read.entries {
            entry.statement += base;
        }
        self.statements.extend(read.statements);
        self.entries.extend(read.entries);
        self.unreadable.extend(read.unreadable);
        self.files.push(file);
        Ok(())
    }

    /// A statement that was sent again counts once.
    fn leave_out_repeats(&mut self) {
        let repeated = repeats(&self.statements);
        for (again, first) in &repeated {
            let file = self.statements.get(*again).map(|s| s.file.clone()).unwrap_or_default();
            let id = self.statements.get(*first).map(|s| s.id.clone()).unwrap_or_default();
            let first = self.statements.get(*first).map(|s| s.file.clone()).unwrap_or_default();
            if let Some(known) = self.files.iter_mut().find(|one| one.name() == file) {
                known
                    .remarks
                    .push(format!("repeats the statement {id:?} of {first}, which counts once"));
            }
        }
        let left_out: Vec<usize> = repeated.into_iter().map(|(again, _)| again).collect();
        keep(&mut self.statements, &mut self.entries, &|at, _| !left_out.contains(&at));
    }

    /// File and number of an entry, for people.
    pub(crate) fn place(&self, entry: &Entry) -> String {
        let file =
            self.statements.get(entry.statement).map(|s| s.file.as_str()).unwrap_or_default();
        format!("{file} entry {}", entry.number)
    }
}

/// What one file holds.
#[derive(Debug, Default)]
struct Read {
    statements: Vec<Statement>,
    entries: Vec<Entry>,
    unreadable: Vec<Unreadable>,
}

/// Keeps some statements, and their entries with the new places.
fn keep(
    statements: &mut Vec<Statement>,
    entries: &mut Vec<Entry>,
    wanted: &dyn Fn(usize, &Statement) -> bool,
) {
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, statement) in statements.iter().enumerate() {
        if wanted(at, statement) {
            places.insert(at, places.len());
        }
    }
    let mut at = 0;
    statements.retain(|_| {
        at += 1;
        places.contains_key(&(at - 1))
    });
    entries.retain_mut(|entry| match places.get(&entry.statement) {
        Some(place) => {
            entry.statement = *place;
            true
        }
        None => false,
    });
}

/// Letters and digits of an account's number.
fn plain(account: &str) -> String {
    account.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

fn choose_accounts(
    path: &Path,
    mapping: &Mapping,
    read: &mut Read,
    file: &mut InputFile,
) -> Result<(), InputError> {
    let meant: Vec<String> = mapping.bank.accounts.iter().map(|account| plain(account)).collect();
    if meant.is_empty() {
        return Ok(());
    }
    let is_meant = |statement: &Statement| meant.contains(&plain(&statement.account));
    let others: Vec<String> = read
        .statements
        .iter()
        .filter(|one| !is_meant(one))
        .map(|one| one.account.clone())
        .collect();
    if others.len() == read.statements.len() {
        return Err(InputError::new(
            path,
            Problem::Content(format!(
                "is of the account {}, and [bank] accounts of the mapping has {}; give the right statement, or add the account",
                others.join(", "),
                mapping.bank.accounts.join(", ")
            )),
        ));
    }
    file.remarks
        .extend(others.iter().map(|account| format!("the account {account} was passed over")));
    keep(&mut read.statements, &mut read.entries, &|_, statement| is_meant(statement));
    Ok(())
}

/// One statement of a table while it is read.
#[derive(Default)]
struct Drafted {
    statement: Statement,
    balances: Vec<(Money, Option<Money>)>,
    credits: Option<Money>,
    debits: Option<Money>,
}

fn rows(table: &Table<'_>, progress: &AtomicU64) -> Result<(Read, String), InputError> {
    let mut read = Read::default();
    let mut drafts: Vec<Drafted> = Vec::new();
    let above = table.above(table.layout.account_label.as_deref()).unwrap_or_default();
    let name = name_of(table.path());
    let sha256 = table.visit(progress, &mut |line, row| {
        if row.is_blank() || foot(table, row, &mut drafts) {
            return;
        }
        match entry(table, row) {
            Ok((entry, balance, account)) => {
                let account = if account.is_empty() { above.clone() } else { account };
                let at = drafted(&mut drafts, &account, &entry.currency, &name);
                if let Some(draft) = drafts.get_mut(at) {
                    draft.statement.entries += u32::from(entry.booked);
                    let number = u32::try_from(draft.balances.len() + 1).unwrap_or(u32::MAX);
                    if entry.booked {
                        draft.statement.booked += entry.amount;
                        draft.balances.push((entry.amount, balance));
                    }
                    read.entries.push(Entry { statement: at, number, ..entry });
                }
            }
            Err(what) => read.unreadable.push(Unreadable { file: name.clone(), line, what }),
        }
    })?;
    read.statements = drafts.into_iter().map(finished).collect();
    Ok((read, sha256))
}

fn drafted(drafts: &mut Vec<Drafted>, account: &str, currency: &str, file: &str) -> usize {
    let same = |draft: &Drafted| {
        draft.statement.account == account && draft.statement.currency == currency
    };
    drafts.iter().position(same).unwrap_or_else(|| {
        let (account, currency, file) = (account.to_owned(), currency.to_owned(), file.to_owned());
        let statement = Statement { account, currency, file, ..Statement::default() };
        drafts.push(Drafted { statement, ..Drafted::default() });
        drafts.len() - 1
    })
}

/// Takes a line of the foot; whether it was one.
fn foot(table: &Table<'_>, row: Row<'_>, drafts: &mut [Drafted]) -> bool {
    let foot = &table.layout.foot;
    let amount = |label: &Option<String>| {
        row.behind(label.as_deref()).and_then(|text| row.amount_of(&text).ok())
    };
    let mut taken = foot.skip.iter().any(|label| row.behind(Some(label)).is_some());
    let mut draft = drafts.first_mut();
    for (label, place) in
        [(&foot.opening, 0), (&foot.closing, 1), (&foot.credits, 2), (&foot.debits, 3)]
    {
        let Some(amount) = amount(label) else { continue };
        taken = true;
        let Some(draft) = draft.as_deref_mut() else { continue };
        match place {
            0 => draft.statement.opening = Some(amount),
            1 => draft.statement.closing = Some(amount),
            2 => draft.credits = Some(amount),
            _ => draft.debits = Some(amount),
        }
    }
    taken
}

/// An entry, the balance after it, and its account.
fn entry(table: &Table<'_>, row: Row<'_>) -> Result<(Entry, Option<Money>, String), String> {
    if row.overflows() {
        return Err("has more cells than there are titles".to_owned());
    }
    let layout = table.layout;
    let has =
        |words: &[String], text: &str| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    let first = row.text(Role::Time).trim_start_matches('\'').to_owned();
    let status = row.text(Role::Status);
    let pending = has(&layout.pending_words, &first) || has(&layout.pending_words, &status);
    let day = if pending {
        None
    } else {
        let moment = moment(row, Role::Time)?.ok_or("has no date")?;
        Some(row.day_of(moment))
    };
    let amount = signed(table, row)?;
    let currency = match row.text(Role::Currency) {
        code if code.is_empty() => layout.currency.clone().unwrap_or_default(),
        code => code,
    };
    let entry = Entry {
        statement: 0,
        number: 0,
        amount,
        currency,
        day,
        booked: !pending,
        reversal: false,
        text: format!("{} {}", row.text(Role::Text), row.text(Role::Reference)),
    };
    Ok((entry, money(row, Role::Balance)?, row.text(Role::Account)))
}

/// By a sign column, by columns for debit and credit, or by the amount's own sign.
fn signed(table: &Table<'_>, row: Row<'_>) -> Result<Money, String> {
    let layout = table.layout;
    if table.has(Role::Debit) && table.has(Role::Credit) {
        let some = |amount: Option<Money>| amount.filter(|amount| !amount.is_zero());
        return match (some(money(row, Role::Debit)?), some(money(row, Role::Credit)?)) {
            (Some(_), Some(_)) => Err("has both a debit and a credit".to_owned()),
            // Some banks write what goes out below zero in its own column as well.
            (Some(debit), None) => Ok(-debit.abs()),
            (None, Some(credit)) => Ok(credit),
            (None, None) => Err("has neither a debit nor a credit".to_owned()),
        };
    }
    let (mut text, mut sign) = (row.text(Role::Amount), row.text(Role::Sign));
    if sign.is_empty() {
        // `50,000.00 DB`
        if let Some((amount, word)) = text.clone().rsplit_once(' ')
            && word.bytes().all(|byte| byte.is_ascii_alphabetic())
        {
            (text, sign) = (amount.to_owned(), word.to_owned());
        }
    }
    let amount =
        row.amount_of(&text).map_err(|error| format!("amount is {:?}: {error}", masked(&text)))?;
    let has = |words: &[String]| words.iter().any(|word| sign.eq_ignore_ascii_case(word));
    match (has(&layout.credit_words), has(&layout.debit_words)) {
        (true, _) => Ok(amount.abs()),
        (_, true) => Ok(-amount.abs()),
        (false, false) if layout.debit_words.is_empty() => Ok(amount),
        (false, false) => {
            Err(format!("has the sign {:?}, which is neither credit nor debit", masked(&sign)))
        }
    }
}

/// Balances out of the running ones where the foot has none, and what does not add up.
fn finished(draft: Drafted) -> Statement {
    let Drafted { mut statement, balances, credits, debits } = draft;
    let follows = |pairs: &[(Money, Option<Money>)]| {
        let next = pairs.iter().skip(1);
        pairs.iter().zip(next).position(|((_, before), (amount, after))| {
            matches!((before, after), (Some(before), Some(after)) if *before + *amount != *after)
        })
    };
    let newest_first: Vec<_> = balances.iter().rev().copied().collect();
    let ordered = match (follows(&balances), follows(&newest_first)) {
        (Some(_), None) => newest_first,
        (Some(at), Some(_)) => {
            let at = at + 2;
            statement
                .find(format!("the balance after entry {at} does not follow from the one before"));
            balances
        }
        (None, _) => balances,
    };
    if let (None, Some((amount, Some(balance)))) = (statement.opening, ordered.first()) {
        statement.opening = Some(*balance - *amount);
    }
    if let (None, Some((_, Some(balance)))) = (statement.closing, ordered.last()) {
        statement.closing = Some(*balance);
    }
    let sum = |out: bool| -> Money {
        ordered.iter().map(|(amount, _)| *amount).filter(|amount| amount.is_negative() == out).sum()
    };
    for (said, counted, what) in [(credits, sum(false), "credits"), (debits, -sum(true), "debits")]
    {
        if let Some(said) = said
            && said != counted
        {
            statement.find(format!("the foot says {what} of {said}, and the rows have {counted}"));
        }
    }
    statement
}
