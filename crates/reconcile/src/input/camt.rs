//! Bank statements in ISO 20022 `camt.053`, versions .02 to .13, with any prefix or none.
//!
//! Events one by one, by local names, so memory does not grow with the file. The entry's amount is
//! the money: details explain it, and may be absent, fewer, in other currencies or net of charges.
//! A document type declaration is refused, and so no entity can expand.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use encoding_rs::Encoding;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::source::{Decoded, encoding_of};
use super::{InputError, Problem};
use crate::bank::{Entry, Statement};
use crate::date::Day;
use crate::money::{DecimalMark, Money};

/// Bytes of texts and references that are kept of an entry.
const TEXT_MAX: usize = 16 << 10;
/// Levels of a document; a statement has about twelve.
const DEPTH_MAX: usize = 64;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Document {
    /// `camt.053.001.08`, if its namespace says so.
    pub version: Option<String>,
    /// Statements, in order.
    pub statements: Vec<Statement>,
    /// Entries of all of them.
    pub entries: Vec<Entry>,
}

/// Reads a statement file.
///
/// # Errors
/// With the place, if anything in it cannot be read: nothing of it is taken then.
pub fn read(path: &Path) -> Result<Document, InputError> {
    let failed = |problem| InputError::new(path, problem);
    let open = || File::open(path).map_err(|error| failed(error.into()));
    let mut start = Vec::new();
    open()?.take(1_024).read_to_end(&mut start).map_err(|error| failed(error.into()))?;
    let decoded = Decoded::new(open()?, declared(&start));
    parse(decoded, &crate::reports::name_of(path)).map_err(failed)
}

/// The encoding by its mark, else by the XML declaration.
fn declared(start: &[u8]) -> &'static Encoding {
    let sniffed = encoding_of(start);
    let text = sniffed.decode(start).0;
    let label = text.split_once("encoding=").and_then(|(_, rest)| {
        let quote = rest.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
        rest.get(1..)?.split_once(quote).map(|(label, _)| label.to_owned())
    });
    match label.and_then(|label| Encoding::for_label(label.as_bytes())) {
        Some(encoding) if sniffed == encoding_rs::UTF_8 || sniffed == encoding_rs::WINDOWS_1252 => {
            encoding
        }
        _ => sniffed,
    }
}

fn parse(input: impl Read, file: &str) -> Result<Document, Problem> {
    let mut reader = Reader::from_reader(BufReader::new(input));
    reader.config_mut().trim_text(false);
    let mut state = State::new(file);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer);
        let place = reader.buffer_position();
        let event = event.map_err(|error| at(&state, place, &format!("is no XML: {error}")))?;
        let done = match event {
            Event::Start(tag) => state.open(&tag),
            Event::Empty(tag) => state.open(&tag).and_then(|()| state.close()),
            Event::End(_) => state.close(),
            Event::Text(text) => {
                state.text(&text);
                Ok(())
            }
            Event::CData(text) => {
                state.text(&text);
                Ok(())
            }
            Event::GeneralRef(name) => state.reference(&name),
            Event::DocType(_) => {
                Err("has a document type declaration, which is never read".to_owned())
            }
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(()),
            Event::Eof => break,
        };
        done.map_err(|what| at(&state, place, &what))?;
    }
    if !state.path.is_empty() {
        return Err(Problem::Content(format!("ends inside {}: it is cut off", state.path)));
    }
    if state.document.statements.is_empty() {
        return Err(Problem::Content(
            "has no statement: wanted is camt.053 (BkToCstmrStmt/Stmt), not camt.052 or camt.054"
                .to_owned(),
        ));
    }
    Ok(state.document)
}

fn at(state: &State, place: u64, what: &str) -> Problem {
    let entry = state.entry_number();
    let path = state.path.rsplit('/').next().unwrap_or_default();
    Problem::Content(format!(
        "byte {place}, statement {}, entry {entry}, {path}: {what}",
        state.document.statements.len()
    ))
}

/// A balance while it is read.
#[derive(Default)]
struct Balance {
    code: String,
    amount: Option<Money>,
    debit: Option<bool>,
    day: Option<Day>,
}

/// An entry while it is read.
#[derive(Default)]
struct Draft {
    amount: Option<Money>,
    currency: String,
    debit: Option<bool>,
    status: String,
    booking: Option<Day>,
    value: Option<Day>,
    reversal: bool,
    text: String,
    said: u64,
    batches: u64,
    details: u64,
    unpriced: u64,
    foreign: bool,
    detail_sum: Money,
    detail: Option<(Money, String)>,
    inner: Option<(Money, String)>,
}

struct State<'f> {
    file: &'f str,
    document: Document,
    path: String,
    lengths: Vec<usize>,
    value: String,
    currency: String,
    statement: Statement,
    opening_rank: u8,
    closing_rank: u8,
    balance: Balance,
    entry: Draft,
    number: u32,
    said_entries: Option<u64>,
    page: Option<u64>,
}

impl<'f> State<'f> {
    fn new(file: &'f str) -> Self {
        Self {
            file,
            document: Document::default(),
            path: String::new(),
            lengths: Vec::new(),
            value: String::new(),
            currency: String::new(),
            statement: Statement::default(),
            opening_rank: 0,
            closing_rank: 0,
            balance: Balance::default(),
            entry: Draft::default(),
            number: 0,
            said_entries: None,
            page: None,
        }
    }

    fn entry_number(&self) -> u32 {
        self.number
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), String> {
        if self.lengths.len() >= DEPTH_MAX {
            return Err("is nested deeper than any statement".to_owned());
        }
        let name = tag.local_name();
        let name: &str = name.as_ref();
        self.lengths.push(self.path.len());
        self.path.push('/');
        self.path.push_str(name);
        self.value.clear();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value: &str = &attribute.value;
            if attribute.key.local_name().as_ref() == "Ccy" {
                self.currency = value.chars().take(3).collect();
            } else if attribute.key.as_ref().starts_with("xmlns")
                && let Some((_, version)) = value.split_once("xsd:camt.")
            {
                self.version(version)?;
            }
        }
        match self.inside() {
            Some("") => {
                self.statement = Statement {
                    file: self.file.to_owned(),
                    page: self.page,
                    ..Statement::default()
                };
                (self.opening_rank, self.closing_rank, self.number) = (0, 0, 0);
                self.said_entries = None;
            }
            Some("/Bal") => self.balance = Balance::default(),
            Some("/Ntry") => {
                self.entry = Draft::default();
                self.number += 1;
            }
            Some("/Ntry/NtryDtls/TxDtls") => (self.entry.detail, self.entry.inner) = (None, None),
            Some(_) | None => {}
        }
        Ok(())
    }

    fn version(&mut self, version: &str) -> Result<(), String> {
        let number =
            version.strip_prefix("053.001.").and_then(|number| number.get(..2)?.parse::<u8>().ok());
        match number {
            Some(2..=13) => {}
            _ => return Err(format!("is camt.{version}; wanted is camt.053.001.02 to .13")),
        }
        self.document.version = Some(format!("camt.{version}"));
        Ok(())
    }

    /// The path below `Stmt`, if it is there.
    fn inside(&self) -> Option<&str> {
        let (before, rest) = self.path.split_once("/Stmt")?;
        let below =
            before.ends_with("/BkToCstmrStmt") && (rest.is_empty() || rest.starts_with('/'));
        below.then_some(rest)
    }

    fn text(&mut self, text: &str) {
        if self.value.len() < TEXT_MAX {
            self.value.push_str(text);
        }
    }

    fn reference(&mut self, name: &str) -> Result<(), String> {
        let number = name.strip_prefix('#').map(|number| match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        });
        let sign = match (name, number) {
            ("amp", _) => '&',
            ("lt", _) => '<',
            ("gt", _) => '>',
            ("quot", _) => '"',
            ("apos", _) => '\'',
            (_, Some(code)) => {
                code.ok().and_then(char::from_u32).ok_or("has a reference to no sign")?
            }
            (_, None) => {
                return Err("has a reference to an entity, which is never expanded".to_owned());
            }
        };
        self.value.push(sign);
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let value = std::mem::take(&mut self.value);
        let path = self.inside().map(str::to_owned);
        match path.as_deref() {
            Some("") => self.end_statement(),
            Some(path) => self.statement_value(path, value.trim())?,
            None if self.path.ends_with("/MsgPgntn/PgNb") => self.page = value.trim().parse().ok(),
            None => {}
        }
        let length = self.lengths.pop().unwrap_or(0);
        self.path.truncate(length);
        Ok(())
    }

    fn statement_value(&mut self, path: &str, value: &str) -> Result<(), String> {
        if let Some(path) = path.strip_prefix("/Ntry") {
            return if path.is_empty() { self.end_entry() } else { self.entry_value(path, value) };
        }
        match path {
            "/Id" => self.statement.id = value.to_owned(),
            "/ElctrncSeqNb" | "/LglSeqNb" => {
                self.statement.sequence = self.statement.sequence.or(value.parse().ok());
            }
            "/StmtPgntn/PgNb" => self.statement.page = value.parse().ok(),
            "/Acct/Id/IBAN" | "/Acct/Id/Othr/Id" => self.statement.account = value.to_owned(),
            "/Acct/Ccy" => self.statement.currency = value.to_owned(),
            "/TxsSummry/TtlNtries/NbOfNtries" => self.said_entries = value.parse().ok(),
            "/Bal/Tp/CdOrPrtry/Cd" | "/Bal/Tp/CdOrPrtry/Prtry" => {
                self.balance.code = value.to_owned()
            }
            "/Bal/Amt" => self.balance.amount = Some(amount(value)?),
            "/Bal/CdtDbtInd" => self.balance.debit = Some(is_debit(value)?),
            "/Bal/Dt/Dt" | "/Bal/Dt/DtTm" => self.balance.day = Some(day(value)?),
            "/Bal" => self.end_balance()?,
            _ => {}
        }
        Ok(())
    }

    fn end_balance(&mut self) -> Result<(), String> {
        let balance = std::mem::take(&mut self.balance);
        let Some(amount) = balance.amount else {
            return Err("is a balance without an amount".to_owned());
        };
        if self.statement.currency.is_empty() {
            self.statement.currency.clone_from(&self.currency);
        }
        if balance.debit.is_none() {
            self.statement.find("no CdtDbtInd on balance".to_owned());
        }
        let amount = if balance.debit == Some(true) { -amount } else { amount };
        // The booked ones first; those of pages where there is nothing else.
        let (opening, closing) = match balance.code.as_str() {
            "OPBD" => (3, 0),
            "PRCD" => (2, 0),
            "CLBD" => (0, 3),
            "ITBD" => (1, 1),
            _ => (0, 0),
        };
        // Of several interim balances the first opens and the last closes.
        if opening > self.opening_rank {
            (self.opening_rank, self.statement.opening) = (opening, Some(amount));
            self.statement.opening_day = balance.day;
        }
        let page_end = closing == 1 && self.opening_rank != 1;
        if closing > self.closing_rank && (closing != 1 || page_end)
            || (closing == 1 && self.closing_rank == 1)
        {
            (self.closing_rank, self.statement.closing) = (closing, Some(amount));
            self.statement.closing_day = balance.day;
        }
        Ok(())
    }

    fn entry_value(&mut self, path: &str, value: &str) -> Result<(), String> {
        let entry = &mut self.entry;
        match path {
            "/Amt" => {
                entry.amount = Some(amount(value)?);
                entry.currency.clone_from(&self.currency);
            }
            "/CdtDbtInd" => entry.debit = Some(is_debit(value)?),
            "/Sts" | "/Sts/Cd" | "/Sts/Prtry" if !value.is_empty() => {
                entry.status = value.to_owned()
            }
            "/RvslInd" => entry.reversal = matches!(value, "true" | "1"),
            "/BookgDt/Dt" | "/BookgDt/DtTm" => entry.booking = Some(day(value)?),
            "/ValDt/Dt" | "/ValDt/DtTm" => entry.value = Some(day(value)?),
            "/NtryDtls/Btch/NbOfTxs" => {
                entry.said += value.parse::<u64>().map_err(|_| "is no number")?;
                entry.batches += 1;
            }
            "/NtryDtls/TxDtls/Amt" => entry.detail = Some((amount(value)?, self.currency.clone())),
            "/NtryDtls/TxDtls/AmtDtls/TxAmt/Amt" => {
                entry.inner = Some((amount(value)?, self.currency.clone()));
            }
            "/NtryDtls/TxDtls" => end_detail(entry),
            _ if tells(path) && !value.is_empty() && entry.text.len() < TEXT_MAX => {
                entry.text.push_str(value);
                entry.text.push(' ');
            }
            _ => {}
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), String> {
        let entry = std::mem::take(&mut self.entry);
        let Some(amount) = entry.amount else {
            return Err("is an entry without an amount".to_owned());
        };
        let Some(debit) = entry.debit else {
            return Err("is an entry that is neither credit nor debit".to_owned());
        };
        if entry.batches > 0 && entry.said != entry.details {
            self.statement.find(format!("NbOfTxs {} but {} TxDtls", entry.said, entry.details));
        }
        if entry.unpriced > 0 {
            self.statement.find("details without amount".to_owned());
        }
        let priced = entry.details > 0 && entry.unpriced == 0 && !entry.foreign;
        if priced && entry.detail_sum.abs() != amount && entry.said <= entry.details {
            self.statement.find(format!("entry {amount} != details {}", entry.detail_sum));
        }
        let amount = if debit { -amount } else { amount };
        let booked = matches!(entry.status.as_str(), "" | "BOOK");
        if booked {
            self.statement.booked += amount;
            self.statement.entries += 1;
        }
        if self.statement.currency.is_empty() {
            self.statement.currency.clone_from(&entry.currency);
        }
        self.document.entries.push(Entry {
            statement: self.document.statements.len(),
            number: self.number,
            amount,
            currency: entry.currency,
            day: entry.booking.or(entry.value),
            booked,
            reversal: entry.reversal,
            text: entry.text,
        });
        Ok(())
    }

    fn end_statement(&mut self) {
        let mut statement = std::mem::take(&mut self.statement);
        if let Some(said) = self.said_entries
            && said != u64::from(self.number)
        {
            statement.find(format!("TxsSummry says {said} entries, and {} are there", self.number));
        }
        self.document.statements.push(statement);
    }
}

fn end_detail(entry: &mut Draft) {
    entry.details += 1;
    match entry.detail.take().or(entry.inner.take()) {
        Some((amount, currency)) if currency == entry.currency => entry.detail_sum += amount,
        Some(_) => entry.foreign = true,
        None => entry.unpriced += 1,
    }
}

/// Whether an element of an entry may name a payout or transfer.
fn tells(path: &str) -> bool {
    matches!(path, "/NtryRef" | "/AcctSvcrRef" | "/AddtlNtryInf")
        || path.contains("/Refs/")
        || path.contains("/RmtInf/")
        || path.ends_with("/AddtlTxInf")
        || path.ends_with("/Btch/MsgId")
        || path.ends_with("/Btch/PmtInfId")
}

fn amount(text: &str) -> Result<Money, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let money = Money::parse(text.as_bytes(), Some(DecimalMark::Point));
    match money {
        Ok(money) if plain => Ok(money),
        _ => Err(format!("{:?} is no amount", text.chars().take(40).collect::<String>())),
    }
}

fn is_debit(text: &str) -> Result<bool, String> {
    match text {
        "CRDT" => Ok(false),
        "DBIT" => Ok(true),
        _ => Err("is neither CRDT nor DBIT".to_owned()),
    }
}

/// The day as the bank writes it, whatever its zone.
fn day(text: &str) -> Result<Day, String> {
    let date = text.get(..10).unwrap_or(text);
    date.parse().map_err(|_| format!("{:?} is no date", date))
}
