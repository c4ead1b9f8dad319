//! A file as rows of roles: where its titles are, which layout they are, how its values are written.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;

use csv::ByteRecord;

use super::mapping::{Layout, LayoutKind, Mapping, Role};
use super::source::{Format, Source};
use super::{InputError, Problem};
use crate::date::{DateOrder, Day, Moment, TimeError, TimeFormat, zone_secs};
use crate::money::{AmountError, DecimalMark, Money};

/// A file whose layout is known.
#[derive(Debug)]
pub struct Table<'m> {
    source: Source,
    /// Its layout.
    pub layout: &'m Layout,
    columns: [Option<usize>; Role::ALL.len()],
    texts: Vec<usize>,
    delimiter: u8,
    /// The line of the titles.
    pub titles_line: u64,
    width: usize,
    /// What stands above the titles, a line an entry.
    pub preamble: Vec<String>,
    decimal: Option<DecimalMark>,
    times: TimeFormat,
    /// Whether an order may have several rows, one for each item.
    pub has_items: bool,
}

/// Delimiters that are tried.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Rows among which the titles are looked for.
const TITLES_WITHIN: usize = 60;

/// Rows with their lines.
type Rows = Vec<(u64, ByteRecord)>;

/// A row of titles that fits a layout.
struct Found<'m> {
    layout: &'m Layout,
    columns: [Option<usize>; Role::ALL.len()],
    texts: Vec<usize>,
    at: usize,
    score: usize,
}

impl<'m> Table<'m> {
    /// Opens a file of one of the kinds.
    ///
    /// # Errors
    /// If no layout has its titles, or its values can be read in two ways.
    pub fn open(
        path: &Path,
        mapping: &'m Mapping,
        kinds: &[LayoutKind],
    ) -> Result<Self, InputError> {
        let source = Source::open(path)?;
        Self::of(source, mapping, kinds)
    }

    /// As [`Self::open`], of a file that is open.
    ///
    /// # Errors
    /// As there.
    pub fn of(
        source: Source,
        mapping: &'m Mapping,
        kinds: &[LayoutKind],
    ) -> Result<Self, InputError> {
        let delimiters = match source.format() {
            Format::Text(_) => &DELIMITERS[..],
            Format::Sheet => &DELIMITERS[..1],
            Format::Xml => {
                return Err(InputError::new(
                    source.path(),
                    Problem::Format("is XML; only bank statements (camt.053) may be, with --bank"),
                ));
            }
        };
        let mut best: Option<(Found<'m>, u8, Rows)> = None;
        let mut widest: Vec<(u64, ByteRecord)> = Vec::new();
        for delimiter in delimiters {
            let rows = source.sample(*delimiter)?;
            if let Some(found) = find(&rows, mapping, kinds)
                && best.as_ref().is_none_or(|(other, _, _)| found.score > other.score)
            {
                best = Some((found, *delimiter, rows));
            } else if width(&rows) > width(&widest) {
                widest = rows;
            }
        }
        match best {
            Some((found, delimiter, rows)) => Self::with(source, found, delimiter, &rows),
            None => Err(unknown(source.path(), mapping, kinds, &widest)),
        }
    }

    fn with(
        source: Source,
        found: Found<'m>,
        delimiter: u8,
        rows: &[(u64, ByteRecord)],
    ) -> Result<Self, InputError> {
        let layout = found.layout;
        let (titles_line, titles) =
            rows.get(found.at).map(|(line, titles)| (*line, titles.clone())).unwrap_or_default();
        let preamble = rows.iter().take(found.at).map(|(_, record)| joined(record)).collect();
        let has_items = titles
            .iter()
            .any(|title| layout.items.iter().any(|item| normal(item.as_bytes()) == normal(title)));
        let mut table = Self {
            source,
            layout,
            columns: found.columns,
            texts: found.texts,
            delimiter,
            titles_line,
            width: titles.len(),
            preamble,
            decimal: layout.decimal,
            times: TimeFormat {
                order: layout.order,
                zone_secs: zone_secs(layout.zone.as_bytes()).unwrap_or(0),
                year: layout.year,
            },
            has_items,
        };
        table.times.year = table.times.year.or_else(|| table.period_year());
        let below = rows.get(found.at + 1..).unwrap_or_default();
        table.settle_decimal(below)?;
        table.settle_order(below)?;
        Ok(table)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Whether a role has a column.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.column(role).is_some()
    }

    /// Every row below the titles, with its line; the hash of the file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn visit(
        &self,
        progress: &AtomicU64,
        each: &mut dyn FnMut(u64, Row<'_>),
    ) -> Result<String, InputError> {
        self.source.visit(self.delimiter, progress, &mut |line, record| {
            if line > self.titles_line {
                each(line, Row { table: self, record });
            }
        })
    }

    /// The text behind a label above the titles.
    #[must_use]
    pub fn above(&self, label: Option<&str>) -> Option<String> {
        let label = normal(label?.as_bytes());
        let line = self.preamble.iter().find(|line| normal(line.as_bytes()).starts_with(&label))?;
        let (_, value) = line.split_once(':')?;
        Some(value.trim().trim_matches(',').trim().to_owned())
    }

    fn period_year(&self) -> Option<i32> {
        let period = self.above(self.layout.period_label.as_deref())?;
        let days = period.split(" - ").filter_map(|part| {
            let year = part.trim().rsplit(['/', '-', ' ']).next()?;
            (year.len() == 4).then(|| year.parse::<i32>().ok()).flatten()
        });
        let years: Vec<i32> = days.collect();
        // A period over New Year does not say which year a day is of.
        match *years.as_slice() {
            [year] => Some(year),
            [from, to] if from == to => Some(from),
            _ => None,
        }
    }

    fn column(&self, role: Role) -> Option<usize> {
        self.columns.get(place(role)).copied().flatten()
    }

    /// The decimal mark that the amounts themselves show; else the layout's.
    fn settle_decimal(&mut self, rows: &[(u64, ByteRecord)]) -> Result<(), InputError> {
        let columns: Vec<usize> = Role::ALL
            .iter()
            .filter(|role| role.is_amount())
            .filter_map(|role| self.column(*role))
            .collect();
        let cells = || {
            rows.iter().flat_map(|(line, record)| {
                columns.iter().filter_map(move |column| Some((*line, record.get(*column)?)))
            })
        };
        let (mut points, mut commas) = (0_usize, 0_usize);
        for (_, cell) in cells() {
            match Money::mark_of(cell) {
                Some(DecimalMark::Point) => points += 1,
                Some(DecimalMark::Comma) => commas += 1,
                None => {}
            }
        }
        self.decimal = match (points, commas, self.decimal) {
            (0, 0, said) => said,
            (_, 0, _) => Some(DecimalMark::Point),
            (0, _, _) => Some(DecimalMark::Comma),
            // A typing mistake among many does not decide.
            (points, commas, _) if points >= 20 * commas => Some(DecimalMark::Point),
            (points, commas, _) if commas >= 20 * points => Some(DecimalMark::Comma),
            (_, _, said) => said,
        };
        if self.decimal.is_none() {
            let two =
                cells().find(|(_, cell)| Money::parse(cell, None) == Err(AmountError::Ambiguous));
            if let Some((line, cell)) = two {
                return Err(self.ambiguous(
                    line,
                    cell,
                    "amount",
                    "decimal = \"point\" or \"comma\"",
                ));
            }
        }
        Ok(())
    }

    /// The order of dates that the dates themselves show; else the layout's.
    fn settle_order(&mut self, rows: &[(u64, ByteRecord)]) -> Result<(), InputError> {
        let Some(column) = self.column(Role::Time) else { return Ok(()) };
        let cells = || rows.iter().filter_map(|(line, record)| Some((*line, record.get(column)?)));
        let (mut dmy, mut mdy) = (false, false);
        for (_, cell) in cells() {
            match TimeFormat::order_of(cell) {
                Some(DateOrder::Dmy) => dmy = true,
                Some(DateOrder::Mdy) => mdy = true,
                Some(DateOrder::Ymd) | None => {}
            }
        }
        self.times.order = match (dmy, mdy, self.times.order) {
            (true, false, _) => Some(DateOrder::Dmy),
            (false, true, _) => Some(DateOrder::Mdy),
            (_, _, said) => said,
        };
        let ambiguous =
            cells().find(|(_, cell)| self.times.parse(cell) == Err(TimeError::Ambiguous));
        match ambiguous {
            Some((line, cell)) => {
                Err(self.ambiguous(line, cell, "date", "order = \"dmy\" or \"mdy\""))
            }
            None => Ok(()),
        }
    }

    fn ambiguous(&self, line: u64, cell: &[u8], what: &str, say: &str) -> InputError {
        let cell = String::from_utf8_lossy(cell).into_owned();
        let what = format!(
            "{what} {cell:?} can be read in two ways, and no other row tells which; give a mapping \
             file with the layout {:?} and `{say}`",
            self.layout.name
        );
        InputError::new(self.path(), Problem::At { line, what })
    }
}

/// A row below the titles.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    table: &'a Table<'a>,
    record: &'a ByteRecord,
}

impl<'a> Row<'a> {
    /// The cell of a role; empty if there is none.
    #[must_use]
    pub fn cell(&self, role: Role) -> &'a [u8] {
        self.table.column(role).and_then(|column| self.record.get(column)).unwrap_or_default()
    }

    /// As text.
    #[must_use]
    pub fn text(&self, role: Role) -> String {
        if role == Role::Text {
            let cells = self.table.texts.iter().filter_map(|column| self.record.get(*column));
            let words: Vec<_> = cells.map(|cell| String::from_utf8_lossy(cell)).collect();
            return words.join(" ").trim().to_owned();
        }
        String::from_utf8_lossy(self.cell(role)).trim().to_owned()
    }

    /// An amount; none if the cell is empty or not there.
    ///
    /// # Errors
    /// If it is no amount.
    pub fn amount(&self, role: Role) -> Result<Option<Money>, AmountError> {
        let cell = self.cell(role);
        if cell.is_empty() {
            return Ok(None);
        }
        match Money::parse(cell, self.table.decimal) {
            Ok(money) => Ok(Some(money)),
            Err(AmountError::Empty) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A time; none if the cell is empty or not there.
    ///
    /// # Errors
    /// If it is no time.
    pub fn time(&self, role: Role) -> Result<Option<Moment>, TimeError> {
        let cell = self.cell(role);
        if cell.is_empty() {
            return Ok(None);
        }
        match self.table.times.parse(cell) {
            Ok(moment) => Ok(Some(moment)),
            Err(TimeError::Empty) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The day of a time in the file's zone.
    #[must_use]
    pub fn day_of(&self, moment: Moment) -> Day {
        moment.day_at(self.table.times.zone_secs)
    }

    /// More cells than titles, and something in them: a broken line.
    #[must_use]
    pub fn overflows(&self) -> bool {
        self.record.len() > self.table.width
            && self.record.iter().skip(self.table.width).any(|cell| !cell.trim_ascii().is_empty())
    }

    /// Whether every cell is empty.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.record.iter().all(|cell| cell.trim_ascii().is_empty())
    }

    /// All cells as one text, for lines under the rows.
    #[must_use]
    pub fn line(&self) -> String {
        joined(self.record)
    }

    /// The text behind a label of the foot, if the row is that line.
    #[must_use]
    pub fn behind(&self, label: Option<&str>) -> Option<String> {
        let label = label?;
        let line = self.line();
        let rest = line.trim().get(..label.len()).filter(|start| start.eq_ignore_ascii_case(label));
        rest?;
        let value = line.trim().get(label.len()..)?;
        Some(value.trim().trim_start_matches(':').trim().trim_matches(',').trim().to_owned())
    }

    /// An amount in the file's way of writing them.
    ///
    /// # Errors
    /// If it is no amount.
    pub fn amount_of(&self, text: &str) -> Result<Money, AmountError> {
        Money::parse(text.as_bytes(), self.table.decimal)
    }
}

fn joined(record: &ByteRecord) -> String {
    let mut text = String::new();
    for (at, cell) in record.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&String::from_utf8_lossy(cell));
    }
    text
}

fn width(rows: &[(u64, ByteRecord)]) -> usize {
    rows.iter().take(TITLES_WITHIN).map(|(_, record)| record.len()).max().unwrap_or(0)
}

/// Its place in [`Role::ALL`], without a search for each cell.
const fn place(role: Role) -> usize {
    match role {
        Role::OrderId => 0,
        Role::TransactionId => 1,
        Role::Amount => 2,
        Role::Currency => 3,
        Role::Method => 4,
        Role::Status => 5,
        Role::Time => 6,
        Role::SettledAt => 7,
        Role::Fee => 8,
        Role::Refund => 9,
        Role::Net => 10,
        Role::Type => 11,
        Role::RefundId => 12,
        Role::PayoutId => 13,
        Role::Debit => 14,
        Role::Credit => 15,
        Role::Sign => 16,
        Role::Balance => 17,
        Role::Text => 18,
        Role::Reference => 19,
        Role::Account => 20,
    }
}

/// A title without letter case, marks and needless blanks.
pub(crate) fn normal(title: &[u8]) -> String {
    let text = String::from_utf8_lossy(title).to_lowercase().replace('_', " ");
    let text =
        text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '"' | '\''));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The row and layout with the most roles.
fn find<'m>(
    rows: &[(u64, ByteRecord)],
    mapping: &'m Mapping,
    kinds: &[LayoutKind],
) -> Option<Found<'m>> {
    let mut best: Option<Found<'m>> = None;
    for (at, (_, record)) in rows.iter().take(TITLES_WITHIN).enumerate() {
        let titles: Vec<String> = record.iter().map(normal).collect();
        for layout in mapping.layouts.iter().filter(|layout| kinds.contains(&layout.kind)) {
            let columns = columns(layout, &titles);
            let fits = layout.kind.needs().iter().all(|group| {
                group.iter().any(|role| columns.get(place(*role)).copied().flatten().is_some())
            });
            let score = columns.iter().flatten().count();
            if fits && best.as_ref().is_none_or(|other| score > other.score) {
                let texts = layout.columns.get(&Role::Text);
                let texts = texts.iter().flat_map(|names| names.iter());
                let texts = texts.filter_map(|name| column(name, &titles)).collect();
                best = Some(Found { layout, columns, texts, at, score });
            }
        }
    }
    best
}

fn columns(layout: &Layout, titles: &[String]) -> [Option<usize>; Role::ALL.len()] {
    Role::ALL.map(|role| {
        let names = layout.columns.get(&role)?;
        names.iter().find_map(|name| column(name, titles))
    })
}

/// The place of a column by its title; see [`Layout::columns`].
fn column(name: &str, titles: &[String]) -> Option<usize> {
    if let Some(number) = name.strip_prefix("column ") {
        let at = number.trim().parse::<usize>().ok()?.checked_sub(1)?;
        return (at < titles.len()).then_some(at);
    }
    if let Some(before) = name.strip_prefix("after ") {
        let at = column(before, titles)? + 1;
        return (at < titles.len()).then_some(at);
    }
    let exact = normal(name.as_bytes());
    if let Some(at) = titles.iter().position(|title| *title == exact) {
        return Some(at);
    }
    let (title, nth) = name.rsplit_once('#')?;
    let nth = nth.parse::<usize>().ok()?.checked_sub(1)?;
    let title = normal(title.as_bytes());
    titles.iter().enumerate().filter(|(_, other)| **other == title).nth(nth).map(|(at, _)| at)
}

/// Says what is missing, by the layout that comes closest.
fn unknown(
    path: &Path,
    mapping: &Mapping,
    kinds: &[LayoutKind],
    rows: &[(u64, ByteRecord)],
) -> InputError {
    let other =
        [LayoutKind::Transactions, LayoutKind::Payouts, LayoutKind::PayoutRows, LayoutKind::Bank];
    let other: Vec<_> = other.into_iter().filter(|kind| !kinds.contains(kind)).collect();
    if let Some(found) = find(rows, mapping, &other) {
        return InputError::new(
            path,
            Problem::Layout(format!(
                "looks like {:?}; give it with {}",
                found.layout.name,
                found.layout.kind.option()
            )),
        );
    }
    let mut missing: BTreeMap<usize, String> = BTreeMap::new();
    for (_, record) in rows.iter().take(TITLES_WITHIN) {
        let titles: Vec<String> = record.iter().map(normal).collect();
        for layout in mapping.layouts.iter().filter(|layout| kinds.contains(&layout.kind)) {
            let columns = columns(layout, &titles);
            let lacking = layout.kind.needs().iter().filter(|group| {
                !group.iter().any(|role| columns.get(place(*role)).copied().flatten().is_some())
            });
            let lacking: Vec<String> = lacking.map(|group| wanted(layout, group)).collect();
            let score = columns.iter().flatten().count();
            if score > 0 {
                let text = format!("{:?} lacks {}", layout.name, lacking.join(" and "));
                missing.entry(score).or_insert(text);
            }
        }
    }
    let closest = missing.into_values().next_back();
    let closest = closest.map_or_else(String::new, |text| format!("; the closest layout {text}"));
    InputError::new(
        path,
        Problem::Layout(format!(
            "no layout has its titles{closest}. Tick the missing columns when exporting, or write a \
             mapping: `gopay-adapter propose-mapping {}`",
            path.display()
        )),
    )
}

fn wanted(layout: &Layout, group: &[Role]) -> String {
    let names: Vec<String> = group
        .iter()
        .map(|role| {
            let titles = layout.columns.get(role).and_then(|titles| titles.first());
            match titles {
                Some(title) => format!("{} (such as {title:?})", role.word()),
                None => role.word(),
            }
        })
        .collect();
    names.join(" or ")
}
