//! A mapping for a file that no layout knows, with the reason for each column.
//!
//! It proposes and does not decide: where two columns could be the amount, or a date could be read
//! as DD/MM and as MM/DD, it says so and leaves the line to a person.

use std::fmt::Write as _;
use std::path::Path;

use csv::ByteRecord;

use super::mapping::{LayoutKind, Role};
use super::source::{Format, Source};
use super::table::normal;
use super::{InputError, Problem};
use crate::date::{DateOrder, TimeFormat};
use crate::money::{AmountError, DecimalMark, Money};

/// A proposal.
#[derive(Debug)]
pub struct Proposal {
    /// A mapping file; what a person has to choose is in comments.
    pub toml: String,
    /// Whether it can be used as it is.
    pub complete: bool,
    /// The titles that were found, by role.
    pub chosen: Vec<(Role, String)>,
}

/// Titles in plain form by role, the surest first: a title before another in the list wins over it.
/// Equal places do not occur within a role, so two columns tie only by one title.
const TITLES: &[(Role, &[&str])] = &[
    (
        Role::OrderId,
        &[
            "order id",
            "merchant order id",
            "merchant reference",
            "partner reference no",
            "request id",
            "id pesanan",
            "nomor pesanan",
        ],
    ),
    (Role::TransactionId, &["transaction id", "psp reference", "id transaksi", "reference no"]),
    (Role::PayoutId, &["payout id", "withdrawal id", "id"]),
    (Role::RefundId, &["refund key", "refund id", "modification reference"]),
    (
        Role::Amount,
        &[
            "gross amount",
            "transaction amount",
            "fund amount",
            "amount",
            "payable",
            "jumlah",
            "nominal",
            "betrag",
            "montant",
        ],
    ),
    (
        Role::Currency,
        &[
            "currency",
            "gross currency",
            "fund amount currency",
            "ccy",
            "mata uang",
            "devise",
            "w\u{e4}hrung",
        ],
    ),
    (Role::Method, &["payment type", "payment method", "metode pembayaran", "channel"]),
    (Role::Status, &["transaction status", "status", "status transaksi"]),
    (
        Role::Time,
        &[
            "transaction time",
            "transaction date",
            "creation date",
            "request date",
            "tanggal transaksi",
            "waktu transaksi",
            "booking date",
            "date",
            "tanggal",
            "buchungstag",
            "date op\u{e9}ration",
        ],
    ),
    (Role::SettledAt, &["settlement time", "settlement date", "paid date", "paid at"]),
    (Role::Fee, &["total fee", "charge amount", "mdr amount", "mdr", "fee", "biaya"]),
    (Role::Refund, &["refund amount", "refund"]),
    (
        Role::Net,
        &[
            "payable (nett)",
            "amount (net)",
            "paid total amount",
            "net amount",
            "nett amount",
            "net",
            "nett",
        ],
    ),
    (Role::Type, &["refund type", "transaction type", "type"]),
    (Role::Debit, &["gross debit (gc)", "debit", "debet", "d\u{e9}bit", "soll"]),
    (Role::Credit, &["gross credit (gc)", "credit", "kredit", "cr\u{e9}dit", "haben"]),
    (Role::Balance, &["balance", "saldo", "solde"]),
    (
        Role::Text,
        &["description", "keterangan", "uraian", "verwendungszweck", "libell\u{e9}", "text"],
    ),
    (Role::Reference, &["reference no.", "reference", "r\u{e9}f\u{e9}rence", "ref"]),
    (Role::Account, &["account no", "account number", "iban", "no. rekening"]),
];

/// Why a column is taken for a role.
struct Choice {
    role: Role,
    column: usize,
    reason: String,
}

/// A role that a person has to decide.
struct Open {
    role: Role,
    columns: Vec<usize>,
    reason: String,
}

struct Sample {
    titles: Vec<String>,
    rows: Vec<ByteRecord>,
}

/// Proposes a mapping for a file.
///
/// # Errors
/// If it cannot be read, or has no titles.
pub fn propose(path: &Path) -> Result<Proposal, InputError> {
    let source = Source::open(path)?;
    let delimiters: &[u8] = match source.format() {
        Format::Text(_) => b",;\t|",
        Format::Sheet => b",",
        Format::Xml => {
            return Err(InputError::new(
                path,
                Problem::Format("is XML; camt.053 needs no mapping"),
            ));
        }
    };
    let mut best: Option<(usize, Sample)> = None;
    for delimiter in delimiters {
        let rows: Vec<ByteRecord> =
            source.sample(*delimiter)?.into_iter().map(|(_, row)| row).collect();
        let found = titles_of(&rows);
        if let Some((score, at)) = found
            && best.as_ref().is_none_or(|(other, _)| score > *other)
        {
            let titles = rows.get(at).map(shown).unwrap_or_default();
            best = Some((
                score,
                Sample { titles, rows: rows.get(at + 1..).unwrap_or_default().to_vec() },
            ));
        }
    }
    let Some((_, sample)) = best else {
        return Err(InputError::new(
            path,
            Problem::Layout("has no row of titles that says what a column is; name the columns by hand as `column 1`, `column 2`".to_owned()),
        ));
    };
    Ok(written(path, &sample))
}

fn shown(record: &ByteRecord) -> Vec<String> {
    record
        .iter()
        .map(|cell| String::from_utf8_lossy(cell).trim().trim_start_matches('\u{feff}').to_owned())
        .collect()
}

/// The row with the most known titles, and how many.
fn titles_of(rows: &[ByteRecord]) -> Option<(usize, usize)> {
    let known = |record: &ByteRecord| {
        record
            .iter()
            .map(normal)
            .filter(|title| TITLES.iter().any(|(_, names)| names.contains(&title.as_str())))
            .count()
    };
    let scores = rows.iter().take(60).enumerate().map(|(at, row)| (known(row), at));
    // The first of equals.
    scores.filter(|(score, _)| *score > 0).max_by_key(|(score, at)| (*score, usize::MAX - at))
}

fn choose(sample: &Sample) -> (Vec<Choice>, Vec<Open>) {
    let plain: Vec<String> = sample.titles.iter().map(|title| normal(title.as_bytes())).collect();
    let (mut chosen, mut open) = (Vec::new(), Vec::new());
    for (role, names) in TITLES {
        let Some(name) = names.iter().find(|name| plain.iter().any(|title| title == *name)) else {
            continue;
        };
        let columns: Vec<usize> = (0..plain.len())
            .filter(|at| plain.get(*at).is_some_and(|title| title == name))
            .collect();
        let (fit, unfit): (Vec<usize>, Vec<usize>) =
            columns.iter().partition(|at| fits(sample, *role, **at));
        match (fit.as_slice(), role) {
            // Texts are put together.
            ([column, ..], Role::Text) | ([column], _) => {
                let also = names
                    .iter()
                    .skip_while(|other| *other != name)
                    .skip(1)
                    .find(|other| plain.iter().any(|title| title == *other));
                let reason = match also {
                    Some(other) if role.is_amount() => {
                        format!("titled {name:?}, which says more than {other:?}")
                    }
                    _ => format!("titled {name:?}"),
                };
                chosen.push(Choice { role: *role, column: *column, reason });
            }
            ([], _) => open.push(Open {
                role: *role,
                columns: unfit,
                reason: format!("titled {name:?}, but its values do not fit"),
            }),
            (several, _) => open.push(Open {
                role: *role,
                columns: several.to_vec(),
                reason: format!("{} columns are titled {name:?}", several.len()),
            }),
        }
    }
    undecided_amounts(sample, &plain, &mut chosen, &mut open);
    sign_column(sample, &mut chosen);
    // A debit and a credit tell the amount; a lone `id` is a payout's only beside a net amount.
    let has = |chosen: &[Choice], role| chosen.iter().any(|one: &Choice| one.role == role);
    if has(&chosen, Role::OrderId) {
        chosen.retain(|one| one.role != Role::PayoutId || !one.reason.ends_with("\"id\""));
    }
    (chosen, open)
}

/// Two titles that both could be the amount are not chosen between.
fn undecided_amounts(
    sample: &Sample,
    plain: &[String],
    chosen: &mut Vec<Choice>,
    open: &mut Vec<Open>,
) {
    const ALIKE: [&str; 3] = ["gross amount", "transaction amount", "amount"];
    let columns: Vec<usize> = (0..plain.len())
        .filter(|at| {
            plain.get(*at).is_some_and(|title| ALIKE.contains(&title.as_str()))
                && fits(sample, Role::Amount, *at)
        })
        .collect();
    if columns.len() > 1 && !open.iter().any(|one| one.role == Role::Amount) {
        chosen.retain(|one| one.role != Role::Amount);
        open.push(Open {
            role: Role::Amount,
            columns,
            reason: "each could be what the shopper has paid".to_owned(),
        });
    }
}

/// A column without a title whose values are two words such as CR and DB.
fn sign_column(sample: &Sample, chosen: &mut Vec<Choice>) {
    const WORDS: [&str; 8] = ["CR", "DB", "C", "D", "K", "DR", "KREDIT", "DEBET"];
    let amount = chosen.iter().find(|one| one.role == Role::Amount).map(|one| one.column);
    let Some(column) = amount.map(|column| column + 1) else { return };
    if sample.titles.get(column).is_none_or(|title| !title.is_empty()) {
        return;
    }
    let mut values = sample
        .rows
        .iter()
        .filter_map(|row| row.get(column))
        .filter(|cell| !cell.is_empty())
        .peekable();
    let signs = values.peek().is_none()
        || values.all(|cell| {
            WORDS.contains(&String::from_utf8_lossy(cell).trim().to_uppercase().as_str())
        });
    if signs {
        chosen.push(Choice {
            role: Role::Sign,
            column,
            reason: "untitled, behind the amount, with words for in and out".to_owned(),
        });
    }
}

/// Whether most of the values could be of the role.
fn fits(sample: &Sample, role: Role, column: usize) -> bool {
    // Lines under the rows have one cell.
    let whole = |row: &&ByteRecord| row.iter().filter(|cell| !cell.is_empty()).count() > 1;
    let cells = sample
        .rows
        .iter()
        .filter(whole)
        .filter_map(|row| row.get(column))
        .filter(|cell| !cell.trim_ascii().is_empty());
    let good = |cell: &[u8]| {
        if role.is_amount() {
            let read = Money::parse(cell, None);
            return matches!(read, Ok(_) | Err(AmountError::Ambiguous)) || bank_amount(cell);
        }
        if !matches!(role, Role::Time | Role::SettledAt) {
            return true;
        }
        let format = TimeFormat { order: Some(DateOrder::Dmy), zone_secs: 0, year: Some(2024) };
        let other = TimeFormat { order: Some(DateOrder::Mdy), ..format };
        format.parse(cell).is_ok() || other.parse(cell).is_ok()
    };
    let (mut all, mut fit) = (0_usize, 0_usize);
    for cell in cells.take(500) {
        all += 1;
        fit += usize::from(good(cell));
    }
    fit * 2 >= all
}

fn bank_amount(cell: &[u8]) -> bool {
    let text = String::from_utf8_lossy(cell);
    text.rsplit_once(' ').is_some_and(|(amount, _)| {
        Money::parse(amount.as_bytes(), Some(DecimalMark::Point)).is_ok()
    })
}

/// What the rows are, by the roles that were found.
fn kind_of(chosen: &[Choice]) -> LayoutKind {
    let has = |role| chosen.iter().any(|one| one.role == role);
    let order = has(Role::OrderId) || has(Role::TransactionId);
    match (order, has(Role::Status), has(Role::Fee) || has(Role::Net)) {
        (true, true, _) => LayoutKind::Transactions,
        (true, false, true) => LayoutKind::PayoutRows,
        (true, false, false) => LayoutKind::Transactions,
        (false, true, _) if has(Role::PayoutId) => LayoutKind::Payouts,
        (false, _, _) if has(Role::Net) && !has(Role::Balance) => LayoutKind::Payouts,
        (false, _, _) => LayoutKind::Bank,
    }
}

/// The name of a column in a mapping file.
fn reference(sample: &Sample, column: usize) -> String {
    let title = sample.titles.get(column).cloned().unwrap_or_default();
    let plain = normal(title.as_bytes());
    let before =
        sample.titles.iter().take(column).filter(|other| normal(other.as_bytes()) == plain).count();
    match (title.is_empty(), before) {
        (true, _) => format!("column {}", column + 1),
        (false, 0) => title,
        (false, before) => format!("{title}#{}", before + 1),
    }
}

fn written(path: &Path, sample: &Sample) -> Proposal {
    let (mut chosen, open) = choose(sample);
    chosen.sort_by_key(|one| one.role);
    let kind = kind_of(&chosen);
    let mut toml = String::new();
    let mut complete = true;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    // Writing to a string cannot fail.
    let _ = writeln!(
        toml,
        "# Proposed for {}: check each line, then give the file with --mapping.",
        one_line(&path.file_name().unwrap_or_default().to_string_lossy())
    );
    let _ = writeln!(toml, "[[layout]]\nname = {:?}\nkind = {:?}", name, kind_word(kind));
    let _ = writeln!(
        toml,
        "# Distance from UTC of times that do not say theirs; Midtrans' reports are in GMT+7.\nzone = \"+07:00\""
    );
    complete &= order_line(&mut toml, sample, &chosen);
    complete &= decimal_line(&mut toml, sample, &chosen);
    if chosen.iter().any(|one| one.role == Role::Sign) {
        let _ = writeln!(
            toml,
            "credit_words = [\"CR\", \"C\", \"K\", \"KREDIT\"]\ndebit_words = [\"DB\", \"D\", \"DR\", \"DEBET\"]"
        );
    }
    column_lines(&mut toml, sample, &chosen, &open);
    let has = |role: &Role| chosen.iter().any(|one| one.role == *role);
    for group in kind.needs().iter().filter(|group| !group.iter().any(has)) {
        let words: Vec<String> = group.iter().map(|role| role.word()).collect();
        let _ = writeln!(
            toml,
            "# MISSING: {} is needed, and no column was taken for it.",
            words.join(" or ")
        );
        complete = false;
    }
    let unused: Vec<&str> = (0..sample.titles.len())
        .filter(|at| !chosen.iter().any(|one| one.column == *at))
        .filter_map(|at| sample.titles.get(at).map(String::as_str))
        .filter(|title| !title.is_empty())
        .collect();
    let _ = writeln!(toml, "# Not used: {}", one_line(&unused.join(", ")));
    let chosen = chosen
        .iter()
        .map(|one| (one.role, sample.titles.get(one.column).cloned().unwrap_or_default()))
        .collect();
    Proposal { toml, complete, chosen }
}

/// The columns that are taken, and those that a person has to choose between.
fn column_lines(toml: &mut String, sample: &Sample, chosen: &[Choice], open: &[Open]) {
    let _ = writeln!(toml, "[layout.columns]");
    for one in chosen {
        let mut names = vec![reference(sample, one.column)];
        if one.role == Role::Text {
            let plain = normal(names.first().map(String::as_bytes).unwrap_or_default());
            let duplicates = (0..sample.titles.len()).filter(|at| {
                *at != one.column
                    && sample.titles.get(*at).is_some_and(|title| normal(title.as_bytes()) == plain)
            });
            names.extend(duplicates.map(|at| reference(sample, at)));
        }
        let _ = writeln!(toml, "{} = {names:?} # {}", one.role.word(), one.reason);
    }
    for one in open {
        let names: Vec<String> = one.columns.iter().map(|at| reference(sample, *at)).collect();
        let _ = writeln!(toml, "# {} = one of {names:?}: {}; choose.", one.role.word(), one.reason);
    }
}

/// On one line, whatever is in it: a title must not write lines of a mapping.
fn one_line(text: &str) -> String {
    text.chars().map(|sign| if sign.is_control() { ' ' } else { sign }).collect()
}

const fn kind_word(kind: LayoutKind) -> &'static str {
    match kind {
        LayoutKind::Transactions => "transactions",
        LayoutKind::Payouts => "payouts",
        LayoutKind::PayoutRows => "payout-rows",
        LayoutKind::Bank => "bank",
        LayoutKind::Transfers => "transfers",
    }
}

/// Whether the order of the dates is known.
fn order_line(toml: &mut String, sample: &Sample, chosen: &[Choice]) -> bool {
    let Some(time) = chosen.iter().find(|one| one.role == Role::Time) else { return true };
    let cells = || sample.rows.iter().filter_map(|row| row.get(time.column));
    let shows = |order| cells().find(|cell| TimeFormat::order_of(cell) == Some(order));
    let line = match (shows(DateOrder::Dmy), shows(DateOrder::Mdy)) {
        (Some(cell), None) => Some(("dmy", cell)),
        (None, Some(cell)) => Some(("mdy", cell)),
        (Some(_), Some(_)) | (None, None) => None,
    };
    if let Some((word, cell)) = line {
        let _ = writeln!(
            toml,
            "order = {word:?} # {:?} can only be read so",
            String::from_utf8_lossy(cell)
        );
        return true;
    }
    let format = TimeFormat { order: None, zone_secs: 0, year: Some(2024) };
    match cells().find(|cell| format.parse(cell) == Err(crate::date::TimeError::Ambiguous)) {
        Some(cell) => {
            let _ = writeln!(
                toml,
                "# order = \"dmy\" or \"mdy\": {:?} can be read both ways, and no row tells which; choose.",
                String::from_utf8_lossy(cell)
            );
            false
        }
        None => true,
    }
}

/// Whether the decimal mark is known.
fn decimal_line(toml: &mut String, sample: &Sample, chosen: &[Choice]) -> bool {
    let columns: Vec<usize> =
        chosen.iter().filter(|one| one.role.is_amount()).map(|one| one.column).collect();
    let cells =
        || sample.rows.iter().flat_map(|row| columns.iter().filter_map(|column| row.get(*column)));
    let shows = |mark| cells().find(|cell| Money::mark_of(cell) == Some(mark));
    match (shows(DecimalMark::Point), shows(DecimalMark::Comma)) {
        (Some(cell), None) => {
            let _ = writeln!(
                toml,
                "decimal = \"point\" # {:?} can only be read so",
                String::from_utf8_lossy(cell)
            );
            true
        }
        (None, Some(cell)) => {
            let _ = writeln!(
                toml,
                "decimal = \"comma\" # {:?} can only be read so",
                String::from_utf8_lossy(cell)
            );
            true
        }
        (Some(_), Some(_)) => {
            let _ = writeln!(
                toml,
                "# decimal = \"point\" or \"comma\": the amounts show both; choose."
            );
            false
        }
        (None, None) => {
            match cells().find(|cell| Money::parse(cell, None) == Err(AmountError::Ambiguous)) {
                Some(cell) => {
                    let _ = writeln!(
                        toml,
                        "# decimal = \"point\" or \"comma\": {:?} can be read both ways; choose.",
                        String::from_utf8_lossy(cell)
                    );
                    false
                }
                None => true,
            }
        }
    }
}
