//! Midtrans' transaction exports as records, small enough for millions.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use crate::date::Moment;
use crate::ids::{MidtransId, OrderId, Texts, rounded};
use crate::input::mapping::{LayoutKind, Mapping, Role};
use crate::input::table::{Row, Table};
use crate::input::{InputError, Problem};
use crate::journal::{NONE, Unreadable};
use crate::money::Money;
use crate::words::Words;

/// What a status word means for the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Not paid yet.
    Pending,
    /// Never to be paid.
    Failed,
    /// Paid.
    Settled,
    /// Paid, and given back in part.
    PartlyRefunded,
    /// Paid, and given back wholly.
    Refunded,
    /// Paid, and taken back by the shopper's bank, wholly or in part.
    ChargedBack,
}

impl Status {
    /// Of a word of the report in any letter case; none for a word that nobody knows.
    pub(crate) fn of(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"settlement" | b"capture" => Self::Settled,
            b"pending" | b"authorize" => Self::Pending,
            b"expire" | b"cancel" | b"deny" | b"failure" => Self::Failed,
            b"partial_refund" => Self::PartlyRefunded,
            b"refund" => Self::Refunded,
            _ => return Self::of_spoken(text),
        })
    }

    fn of_spoken(text: &[u8]) -> Option<Self> {
        let word = String::from_utf8_lossy(text).trim().to_lowercase().replace([' ', '-'], "_");
        Some(match word.as_str() {
            "settlement" | "settled" | "capture" | "captured" | "success" | "paid" => Self::Settled,
            "pending" | "authorize" | "authorized" | "challenge" => Self::Pending,
            "expire" | "expired" | "cancel" | "cancelled" | "canceled" | "deny" | "denied"
            | "failure" | "failed" => Self::Failed,
            "partial_refund" | "partially_refunded" => Self::PartlyRefunded,
            "refund" | "refunded" => Self::Refunded,
            "chargeback" | "partial_chargeback" | "charged_back" => Self::ChargedBack,
            _ => return None,
        })
    }

    /// Whether Midtrans had the money at some time.
    pub(crate) const fn has_money(self) -> bool {
        match self {
            Self::Pending | Self::Failed => false,
            Self::Settled | Self::PartlyRefunded | Self::Refunded | Self::ChargedBack => true,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Failed => "expire, cancel or deny",
            Self::Settled => "settlement",
            Self::PartlyRefunded => "partial_refund",
            Self::Refunded => "refund",
            Self::ChargedBack => "chargeback",
        }
    }
}

/// A row of an export. Amounts in hundred-thousandths, [`ABSENT`] where the export has none; times
/// in seconds since 1970, 0 for none.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    /// 0: the row tells no order id that could be ours, but an id of Midtrans.
    pub(crate) order: i64,
    pub(crate) amount: i64,
    pub(crate) refund: i64,
    pub(crate) fee: i64,
    pub(crate) midtrans: MidtransId,
    pub(crate) time: u32,
    pub(crate) settled_at: u32,
    pub(crate) line: u32,
    /// The next row of the same payment, or [`NONE`].
    pub(crate) next: u32,
    pub(crate) file: u16,
    pub(crate) status: Status,
    pub(crate) currency: u8,
    pub(crate) method: u8,
    /// A refund or chargeback in a row of its own.
    pub(crate) is_refund: bool,
}

/// No amount.
pub(crate) const ABSENT: i64 = i64::MIN;

impl Transaction {
    pub(crate) fn amount(&self) -> Money {
        Money::from_units(self.amount)
    }

    pub(crate) fn refund(&self) -> Option<Money> {
        (self.refund != ABSENT).then(|| Money::from_units(self.refund))
    }

    pub(crate) fn fee(&self) -> Option<Money> {
        (self.fee != ABSENT).then(|| Money::from_units(self.fee))
    }

    /// When it was paid, else when it was made.
    pub(crate) const fn at(&self) -> u32 {
        if self.settled_at == 0 { self.time } else { self.settled_at }
    }
}

/// A file that was read.
#[derive(Clone, Debug, serde::Serialize)]
pub struct InputFile {
    /// Its path as given.
    pub path: PathBuf,
    /// The layout.
    pub layout: String,
    /// Rows, unreadable ones too.
    pub rows: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// What a reader should know: read before, other accounts passed over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Whether rows of one order may be its items.
    #[serde(skip)]
    pub(crate) has_items: bool,
}

impl InputFile {
    pub(crate) fn name(&self) -> String {
        name_of(&self.path)
    }
}

/// The name of a file without its folders, for people.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Orders of others.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Others {
    /// Rows.
    pub rows: u64,
    /// The sum of those that were paid.
    pub paid: Money,
}

/// All exports.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    pub(crate) rows: Vec<Transaction>,
    pub(crate) files: Vec<InputFile>,
    pub(crate) texts: Texts,
    pub(crate) methods: Words,
    pub(crate) currencies: Words,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) others: Others,
    /// The first moment at which a row was made and the last that a row tells of, others' too.
    pub(crate) span: Option<(u32, u32)>,
    /// Columns that no export has, with what is lost by it.
    pub(crate) has_fee: bool,
    pub(crate) has_refund: bool,
    pub(crate) ruined: u64,
}

impl Reports {
    /// Reads one more export. A file whose content was read before is left out.
    pub(crate) fn read(
        &mut self,
        path: &Path,
        mapping: &Mapping,
        progress: &AtomicU64,
    ) -> Result<(), InputError> {
        let table = Table::open(path, mapping, &[LayoutKind::Transactions])?;
        let file = u16::try_from(self.files.len()).map_err(|_| {
            InputError::new(path, Problem::Content("is one file too many: 65,535 at most".into()))
        })?;
        let start = self.rows.len();
        let mut reading = Reading {
            reports: self,
            mapping,
            file,
            name: name_of(path),
            has_transaction_id: table.has(Role::TransactionId),
            currency: table.layout.currency.clone(),
            skip: &table.layout.foot.skip,
            rows: 0,
            ruined: None,
            rounded: (0, 0),
            unreadable: Vec::new(),
            others: Others::default(),
        };
        let sha256 = table.visit(progress, &mut |line, row| reading.take(line, row))?;
        let Reading { rows, ruined, rounded, unreadable, others, has_transaction_id, .. } = reading;
        let ruined = match ruined {
            None if rounded_by_a_spreadsheet(rounded.0, rows) && has_transaction_id => {
                self.ruined += rounded.0;
                None
            }
            None => rounded_by_a_spreadsheet(rounded.0, rows).then_some(rounded),
            ruined => ruined,
        };
        if let Some((count, line)) = ruined {
            return Err(InputError::new(path, Problem::At { line, what: spoilt(count) }));
        }
        let mut read = InputFile {
            path: path.to_owned(),
            layout: table.layout.name.clone(),
            rows,
            sha256,
            remarks: Vec::new(),
            has_items: table.has_items,
        };
        let twin = self.files.iter().find(|other| other.sha256 == read.sha256);
        if let Some(twin) = twin {
            read.remarks
                .push(format!("has the content of {}, and was left out", twin.path.display()));
            self.rows.truncate(start);
        } else {
            self.has_fee |= table.has(Role::Fee);
            self.has_refund |= table.has(Role::Refund);
            self.unreadable.extend(unreadable);
            self.others.rows += others.rows;
            self.others.paid += others.paid;
        }
        self.files.push(read);
        Ok(())
    }

    fn spans(&mut self, made: u32, last: u32) {
        if made > 0 {
            let (from, to) = self.span.unwrap_or((made, last));
            self.span = Some((from.min(made), to.max(last)));
        }
    }

    pub(crate) fn place(&self, row: &Transaction) -> String {
        let file = self.files.get(usize::from(row.file));
        format!("{} line {}", file.map(InputFile::name).unwrap_or_default(), row.line)
    }
}

/// Of good ids, one in ten thousand ends in so many zeros.
const fn rounded_by_a_spreadsheet(count: u64, rows: u64) -> bool {
    count >= 3 && count.saturating_mul(20) > rows
}

fn spoilt(count: u64) -> String {
    format!(
        "a spreadsheet made numbers of {count} order ids (such as 7.30268E+18) and cut digits of theirs \
         off, and the export has no Transaction ID to match by instead; export it again and do not \
         open it in a spreadsheet before"
    )
}

/// One file while it is read.
struct Reading<'a> {
    reports: &'a mut Reports,
    mapping: &'a Mapping,
    file: u16,
    name: String,
    has_transaction_id: bool,
    currency: Option<String>,
    skip: &'a [String],
    rows: u64,
    ruined: Option<(u64, u64)>,
    /// Ids that look rounded: how many, and the line of the first.
    rounded: (u64, u64),
    unreadable: Vec<Unreadable>,
    others: Others,
}

impl Reading<'_> {
    fn take(&mut self, line: u64, row: Row<'_>) {
        if row.is_blank() {
            return;
        }
        self.rows += 1;
        match self.transaction(line, row) {
            Ok(Some(transaction)) => self.reports.rows.push(transaction),
            Ok(None) => {}
            Err(what) => {
                if self.skip.iter().any(|label| row.behind(Some(label)).is_some()) {
                    // A line under the rows.
                    self.rows -= 1;
                    return;
                }
                self.unreadable.push(Unreadable { file: self.name.clone(), line, what });
            }
        }
    }

    /// The record of a row; none if it is somebody else's.
    fn transaction(&mut self, line: u64, row: Row<'_>) -> Result<Option<Transaction>, String> {
        if row.overflows() {
            return Err("has more cells than there are titles".to_owned());
        }
        let order = OrderId::parse(row.cell(Role::OrderId));
        let status = self.status(row)?;
        let amount = money(row, Role::Amount)?.ok_or("has no amount")?;
        if order == OrderId::Foreign {
            if let Ok(Some(time)) = row.time(Role::Time) {
                self.reports.spans(time.compact(), time.compact());
            }
            self.others.rows += 1;
            if status.has_money() {
                self.others.paid += amount;
            }
            return Ok(None);
        }
        let midtrans = self.reports.texts.id(row.cell(Role::TransactionId));
        let Some(order) = self.order(order, midtrans, line)? else { return Ok(None) };
        let time = moment(row, Role::Time)?.ok_or("has no time")?;
        let kind = row.cell(Role::Type);
        let is_refund = amount.is_negative() || is_refund(kind);
        let currency = match (row.cell(Role::Currency), &self.currency) {
            (b"", Some(currency)) => self.reports.currencies.code(currency.as_bytes()),
            (b"", None) => self.reports.currencies.code(b"IDR"),
            (cell, _) => self.reports.currencies.code(cell),
        };
        let settled_at = moment(row, Role::SettledAt)?.map_or(0, Moment::compact);
        self.reports.spans(time.compact(), time.compact().max(settled_at));
        Ok(Some(Transaction {
            order,
            amount: units(amount)?,
            refund: match money(row, Role::Refund)? {
                // Some reports write what was given back below zero.
                Some(refund) => units(refund.abs())?,
                None => ABSENT,
            },
            fee: match money(row, Role::Fee)? {
                Some(fee) => units(fee.abs())?,
                None => ABSENT,
            },
            midtrans,
            time: time.compact(),
            settled_at,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            next: NONE,
            file: self.file,
            status,
            currency,
            method: self.reports.methods.code(row.cell(Role::Method)),
            is_refund,
        }))
    }

    /// The order id of a record, 0 if Midtrans' id has to do; none if the row cannot be matched.
    fn order(
        &mut self,
        order: OrderId,
        midtrans: MidtransId,
        line: u64,
    ) -> Result<Option<i64>, String> {
        Ok(Some(match (order, midtrans) {
            (OrderId::Ours(id), _) => {
                if rounded(id) {
                    let (count, first) = self.rounded;
                    self.rounded = (count + 1, if count == 0 { line } else { first });
                }
                id
            }
            (OrderId::Ruined, MidtransId::None) => {
                let (count, first) = self.ruined.unwrap_or((0, line));
                self.ruined = Some((count + 1, first));
                return Ok(None);
            }
            (OrderId::Ruined, _) => {
                self.reports.ruined += 1;
                0
            }
            (OrderId::None | OrderId::Foreign, MidtransId::None) => {
                return Err(if self.has_transaction_id {
                    "has neither an order id nor a transaction id".to_owned()
                } else {
                    "has no order id".to_owned()
                });
            }
            (OrderId::None | OrderId::Foreign, _) => 0,
        }))
    }

    fn status(&self, row: Row<'_>) -> Result<Status, String> {
        let cell = row.cell(Role::Status);
        if let Some(status) = Status::of(cell) {
            return Ok(status);
        }
        let text = row.text(Role::Status);
        let said = self.mapping.status.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        let status = said.and_then(|(_, word)| Status::of(word.as_bytes()));
        let short = word_or_masked(&text);
        status.ok_or_else(|| {
            format!("has the status {short:?}, which is not known; name it under [status] in the mapping")
        })
    }
}

pub(crate) fn is_refund(kind: &[u8]) -> bool {
    let word = kind.trim_ascii();
    ["refund", "chargeback", "normal refund", "partial refund"]
        .iter()
        .any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

fn units(amount: Money) -> Result<i64, String> {
    amount.units().ok_or_else(|| format!("has the amount {amount}, which is too large"))
}

/// A cell for messages: its letters hidden, for in a broken row it may be a name.
pub(crate) fn masked(text: &str) -> String {
    text.chars().take(40).map(|sign| if sign.is_alphabetic() { 'x' } else { sign }).collect()
}

/// As [`masked`], but a single word, such as a state, is told.
pub(crate) fn word_or_masked(text: &str) -> String {
    let word =
        text.len() <= 24 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_- ".contains(&b));
    if word && text.split_whitespace().count() <= 2 { text.to_owned() } else { masked(text) }
}

/// The amount of a row in plain words where it is none.
pub(crate) fn money(row: Row<'_>, role: Role) -> Result<Option<Money>, String> {
    row.amount(role)
        .map_err(|error| format!("{} is {:?}: {error}", role.word(), masked(&row.text(role))))
}

/// The time of a row in plain words where it is none.
pub(crate) fn moment(row: Row<'_>, role: Role) -> Result<Option<Moment>, String> {
    row.time(role)
        .map_err(|error| format!("{} is {:?}: {error}", role.word(), masked(&row.text(role))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_broken_cell_has_no_names() {
        assert_eq!(masked("12..34"), "12..34");
        assert_eq!(masked("Siti <siti@example.com>"), "xxxx <xxxx@xxxxxxx.xxx>");
    }

    #[test]
    fn every_status_word_of_midtrans_and_of_its_history_has_a_meaning() {
        use Status as S;
        for (word, wanted) in [
            ("settlement", S::Settled),
            ("Settlement", S::Settled),
            ("capture", S::Settled),
            ("SUCCESS", S::Settled),
            ("pending", S::Pending),
            ("Authorize", S::Pending),
            ("deny", S::Failed),
            ("expire", S::Failed),
            ("Cancelled", S::Failed),
            ("Partial Refund", S::PartlyRefunded),
            ("refund", S::Refunded),
            ("partial_chargeback", S::ChargedBack),
            ("Chargeback", S::ChargedBack),
        ] {
            assert_eq!(Status::of(word.as_bytes()), Some(wanted), "{word}");
        }
        assert_eq!(Status::of(b"berhasil"), None);
    }
}
