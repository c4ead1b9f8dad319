//! Reading a table of a set: its form, its footer, its sums.

use std::io::BufRead;

use crate::amount::Amount;
use crate::basis::Basis;
use crate::set::Part;
use crate::table::FOOTER;
use crate::tally::FeeType;
use crate::verify::finding::Finding;
use crate::verify::sums::Sums;

/// What a table holds.
#[derive(Clone, Debug, Default)]
pub struct TableRead {
    /// Rows between titles and footer.
    pub rows: u64,
    /// The sum of its column of amounts.
    pub total: Amount,
    /// Sums of its rows.
    pub sums: Sums,
    /// Ids of payments or refunds in volumes, with the payment of each refund.
    pub ids: Vec<(i64, Option<i64>)>,
    /// The amount of each id in volumes of payments, for what is a share of it.
    pub indicative: Vec<(i64, Amount)>,
    /// What is wrong with its form.
    pub findings: Vec<Finding>,
}

/// Findings of one table at most: a table of another kind has as many as rows.
const FINDINGS_MAX: usize = 20;

struct Reading<'a> {
    part: Part,
    basis: &'a Basis,
    set: &'a str,
    name: String,
    read: TableRead,
    /// Rows of the footer so far.
    footer: usize,
    last: Option<(String, i64, String, usize)>,
}

/// Reads a table.
///
/// # Errors
/// Of the disk. A table that is no CSV is a finding.
pub fn read_table(part: Part, basis: &Basis, from: impl BufRead) -> std::io::Result<TableRead> {
    let set = basis.set();
    let mut reading = Reading {
        part,
        basis,
        set: &set,
        name: part.file(&set),
        read: TableRead::default(),
        footer: 0,
        last: None,
    };
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(basis.form.delimiter_byte())
        .flexible(true)
        .has_headers(false)
        .from_reader(from);
    let mut record = csv::StringRecord::new();
    let mut first = true;
    loop {
        match rows.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) if error.is_io_error() => return Err(error.into()),
            Err(error) => {
                reading.find(None, format!("does not read as CSV: {error}"));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if std::mem::take(&mut first) {
            reading.titles(&record);
        } else {
            reading.row(line, &record);
        }
    }
    if reading.footer < FOOTER.len() {
        let missing = FOOTER.get(reading.footer).copied().unwrap_or_default();
        reading.find(None, format!("the footer is cut: {missing} is missing"));
    }
    Ok(reading.read)
}

impl Reading<'_> {
    fn find(&mut self, line: Option<u64>, what: String) {
        if self.read.findings.len() < FINDINGS_MAX {
            let finding = Finding::file(self.set, &self.name, what);
            self.read.findings.push(Finding { line, ..finding });
        }
    }

    fn titles(&mut self, record: &csv::StringRecord) {
        let wanted = self.part.titles();
        if record.iter().ne(wanted.iter().copied()) {
            let found = record.iter().collect::<Vec<_>>().join(",");
            let what = Finding::values(
                "the row of titles",
                found,
                wanted.join(","),
                "the form of the file",
            );
            self.find(Some(1), what);
        }
    }

    fn row(&mut self, line: u64, record: &csv::StringRecord) {
        let first = record.get(0).unwrap_or_default();
        if record.len() == 2 || FOOTER.contains(&first) || self.footer > 0 {
            return self.footer_row(line, record);
        }
        self.read.rows = self.read.rows.saturating_add(1);
        let (columns, wanted) = (record.len(), self.part.titles().len());
        if columns != wanted {
            let what = Finding::values("the number of columns", columns, wanted, "the titles");
            return self.find(Some(line), what);
        }
        let text = self.field(
            record,
            if self.part == Part::Aggregate { "AGGREGATE_AMOUNT" } else { "AMOUNT" },
        );
        match self.basis.form.read(text) {
            Some(amount) => self.good_row(line, record, amount),
            None => self.find(Some(line), format!("the amount {text:?} is not in two decimals")),
        }
    }

    fn field<'r>(&self, record: &'r csv::StringRecord, title: &str) -> &'r str {
        let place = self.part.titles().iter().position(|one| *one == title);
        place.and_then(|place| record.get(place)).unwrap_or_default()
    }

    fn good_row(&mut self, line: u64, record: &csv::StringRecord, amount: Amount) {
        self.read.total = self.read.total.plus(amount).unwrap_or(self.read.total);
        let contract = self.field(record, "MERCHANT_ID");
        if !self.basis.contracts.iter().any(|one| one.contract == contract) {
            self.find(Some(line), format!("contract {contract:?} is not of this client number"));
        }
        let currency = self.field(record, "CURRENCY");
        let (kind, count) = match self.part {
            Part::Aggregate => {
                let count = self.field(record, "EVENT_COUNT").parse().unwrap_or(0);
                if count == 0 {
                    self.find(Some(line), "EVENT_COUNT is not a number above 0".to_owned());
                }
                (self.field(record, "EVENT_TYPE"), count)
            }
            Part::FeePerTransaction | Part::FeePerRefund | Part::FeePerChargeback => {
                (self.field(record, "FEE_TYPE"), 1)
            }
            Part::VolumePerTransaction | Part::VolumePerRefund | Part::VolumePerChargeback => {
                (self.field(record, "EVENT_TYPE"), 1)
            }
        };
        self.read.sums.add(contract, kind, currency, count, amount);
        if self.part != Part::Aggregate {
            self.id_row(line, record, kind, amount);
        }
    }

    /// What rows about one payment or refund need besides.
    fn id_row(&mut self, line: u64, record: &csv::StringRecord, kind: &str, amount: Amount) {
        let number = |title| self.field(record, title).parse::<i64>().ok().filter(|id| *id > 0);
        let title = self.part.titles().get(1).copied().unwrap_or_default();
        let payment = number(match self.part {
            Part::VolumePerChargeback => "REFERENCE_TX_ID/REFERENCE_RF_ID",
            Part::VolumePerTransaction
            | Part::VolumePerRefund
            | Part::FeePerTransaction
            | Part::FeePerRefund
            | Part::FeePerChargeback
            | Part::Aggregate => "REFERENCE_TX_ID",
        });
        let Some(id) = number(title) else {
            return self.find(Some(line), format!("{title} is not a number above 0"));
        };
        let volume = matches!(
            self.part,
            Part::VolumePerTransaction | Part::VolumePerRefund | Part::VolumePerChargeback
        );
        if volume {
            self.read.ids.push((id, payment));
        }
        if self.part == Part::VolumePerTransaction || kind == FeeType::Discount.as_str() {
            self.read.indicative.push((id, amount));
        }
        let at = self.field(record, "EVENT_TIMESTAMP").to_owned();
        let day = at.split_once('T').and_then(|(day, _)| day.parse().ok());
        if day.is_none_or(|day: jiff::civil::Date| day > self.basis.last_day) {
            let last = self.basis.last_day;
            self.find(Some(line), format!("EVENT_TIMESTAMP {at:?} is not a time until {last}"));
        }
        let event = self.field(record, "EVENT_TYPE");
        let place = if volume { 0 } else { fee_place(kind) };
        let order = (at, id, event.to_owned(), place);
        if self.last.as_ref().is_some_and(|last| *last >= order) {
            self.find(Some(line), "the row is not in the order of time, or there twice".to_owned());
        }
        self.last = Some(order);
    }

    fn footer_row(&mut self, line: u64, record: &csv::StringRecord) {
        let values = [
            self.basis.settlement_date.to_string(),
            self.read.rows.to_string(),
            self.basis.form.shown(self.read.total),
        ];
        let wanted = FOOTER.into_iter().zip(values).nth(self.footer);
        self.footer = self.footer.saturating_add(1);
        let Some((title, value)) = wanted else {
            return self.find(Some(line), "a row after the footer".to_owned());
        };
        let (first, second) =
            (record.get(0).unwrap_or_default(), record.get(1).unwrap_or_default());
        if first != title || record.len() != 2 {
            let what = Finding::values("the row", format!("{first:?}"), title, "the footer");
            self.find(Some(line), what);
        } else if second != value {
            let why = match self.footer {
                1 => "the manifest",
                _ => "the rows of the file",
            };
            self.find(Some(line), Finding::values(title, second, value, why));
        }
    }
}

fn fee_place(kind: &str) -> usize {
    let order = [FeeType::Acquiring, FeeType::Discount, FeeType::Processing, FeeType::Succeeded];
    order.iter().take_while(|one| one.as_str() != kind).count()
}
