//! Rows of a workbook: the first sheet, cell by cell, as texts.
//!
//! A workbook's numbers are floats. Whole numbers of more than 15 digits and other numbers that
//! need more than 15 are written with an exponent, which no reader of ids or amounts takes.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use calamine::{DataRef, Reader as _, Xlsx, XlsxError};
use csv::ByteRecord;

use super::{InputError, Problem};

/// Rows that are looked at before a workbook is read.
const SAMPLE_ROWS: usize = 5_000;

/// The first rows with their numbers.
pub(crate) fn sample(path: &Path) -> Result<Vec<(u64, ByteRecord)>, InputError> {
    let mut rows = Vec::new();
    walk(path, &mut |line, record| {
        rows.push((line, record.clone()));
        rows.len() < SAMPLE_ROWS
    })?;
    Ok(rows)
}

/// Every row that is not blank.
pub(crate) fn visit(path: &Path, each: &mut dyn FnMut(u64, &ByteRecord)) -> Result<(), InputError> {
    walk(path, &mut |line, record| {
        each(line, record);
        true
    })
}

/// Calls for each row until it answers "no more".
fn walk(path: &Path, each: &mut dyn FnMut(u64, &ByteRecord) -> bool) -> Result<(), InputError> {
    let failed = |error: XlsxError| InputError::new(path, problem(&error));
    let file = File::open(path).map_err(|error| InputError::new(path, error.into()))?;
    let mut book: Xlsx<_> = Xlsx::new(BufReader::new(file)).map_err(failed)?;
    let Some(sheet) = book.sheet_names().first().cloned() else {
        return Err(InputError::new(path, Problem::Format("is a workbook without a sheet")));
    };
    let mut cells = book.worksheet_cells_reader(&sheet).map_err(failed)?;
    let (mut row, mut record) = (0_u32, ByteRecord::new());
    while let Some(cell) = cells.next_cell().map_err(failed)? {
        let (at_row, at_column) = cell.get_position();
        if at_row != row {
            if !blank(&record) && !each(u64::from(row) + 1, &record) {
                return Ok(());
            }
            (row, record) = (at_row, ByteRecord::new());
        }
        let column = usize::try_from(at_column).unwrap_or(usize::MAX);
        // Excel has 16,384 columns.
        while record.len() < column.min(16_384) {
            record.push_field(b"");
        }
        record.push_field(text(cell.get_value()).as_bytes());
    }
    if !blank(&record) {
        each(u64::from(row) + 1, &record);
    }
    Ok(())
}

fn blank(record: &ByteRecord) -> bool {
    record.iter().all(|cell| cell.trim_ascii().is_empty())
}

fn problem(error: &XlsxError) -> Problem {
    let text = error.to_string();
    if text.to_ascii_lowercase().contains("password") {
        return Problem::Format("is encrypted: open it with its password and save it without one");
    }
    Problem::Content(format!("cannot be read as a workbook: {text}; save it again as XLSX or CSV"))
}

fn text(value: &DataRef<'_>) -> String {
    match value {
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            text.clone()
        }
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => whole(*number),
        DataRef::Float(number) => decimal(*number),
        DataRef::DateTime(moment) => decimal(moment.as_f64()),
        DataRef::Bool(value) => value.to_string(),
        // Named, so that the row is reported as unreadable.
        DataRef::Error(error) => format!("#ERROR {error}"),
        DataRef::Empty => String::new(),
    }
}

fn whole(number: i64) -> String {
    let text = number.to_string();
    if text.trim_start_matches('-').len() > 15 { format!("{number}E+0") } else { text }
}

/// The shortest decimal text that stands for the float.
fn decimal(number: f64) -> String {
    let text = number.to_string();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let significant =
        digits - text.trim_start_matches('-').bytes().take_while(|b| *b == b'0').count();
    if significant > 15 && text.contains('.') {
        // A date with a fraction of a day has such digits; an amount never.
        return text;
    }
    if significant > 15 { format!("{number:E}").replace('E', "E+") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_the_shortest_text_and_long_ones_are_marked() {
        for (number, wanted) in [
            (44_000.0, "44000"),
            (596.4, "596.4"),
            (0.1, "0.1"),
            (-1_652.77, "-1652.77"),
            (7.302_68e18, "7.30268E+18"),
            (123_456_789_012_345.0, "123456789012345"),
            (1_234_567_890_123_456.0, "1.234567890123456E+15"),
        ] {
            assert_eq!(decimal(number), wanted);
        }
    }
}
