//! `breaks.xlsx`: ids and amounts as text cells that no spreadsheet turns into numbers, decisions to
//! choose from.

use std::io::{self, Write};

use rust_xlsxwriter::{
    Color, DataValidation, DocProperties, ExcelDateTime, Format, Workbook, XlsxError,
};

use super::{COLUMNS, cells, summary};
use crate::breaks::Decision;
use crate::run::Report;

/// Rows of a sheet at most, titles included.
const ROWS_MAX: usize = 1_048_576;
/// Widths by [`COLUMNS`], in characters.
const WIDTHS: [u16; 19] = [16, 20, 21, 21, 20, 20, 16, 9, 60, 9, 16, 12, 30, 16, 16, 11, 34, 11, 8];
/// Columns that people fill in.
const EDITED: std::ops::RangeInclusive<u16> = 11..=14;
/// Where amounts stand.
const AMOUNTS: [u16; 2] = [6, 10];

/// Writes the workbook: the list, then the counts by kind.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let bytes = workbook(report).map_err(io::Error::other)?;
    out.write_all(&bytes)
}

fn workbook(report: &Report) -> Result<Vec<u8>, XlsxError> {
    let mut book = Workbook::new();
    let (year, month, day) = report.today.ymd();
    let number = |part: u32| u8::try_from(part).unwrap_or(1);
    let made =
        ExcelDateTime::from_ymd(u16::try_from(year).unwrap_or(1900), number(month), number(day))?;
    // The day of the run, so that the same run makes the same bytes.
    book.set_properties(&DocProperties::new().set_creation_datetime(&made));
    breaks(&mut book, report)?;
    kinds(&mut book, report)?;
    book.save_to_buffer()
}

fn breaks(book: &mut Workbook, report: &Report) -> Result<(), XlsxError> {
    let title = Format::new().set_bold().set_background_color(Color::RGB(0x00DD_E6F0));
    let edited = Format::new().set_background_color(Color::RGB(0x00FF_F8DC)).set_num_format("@");
    let text = Format::new().set_num_format("@");
    let right = Format::new().set_num_format("@").set_align(rust_xlsxwriter::FormatAlign::Right);
    let sheet = book.add_worksheet().set_name("Breaks")?;
    for (column, (name, width)) in (0_u16..).zip(COLUMNS.into_iter().zip(WIDTHS)) {
        sheet.write_string_with_format(0, column, name, &title)?;
        sheet.set_column_width(column, width)?;
    }
    let mut row = 0;
    for one in report.breaks.iter().take(ROWS_MAX - 1) {
        row += 1;
        for (column, cell) in (0_u16..).zip(cells(one, report.today)) {
            let format = if EDITED.contains(&column) {
                &edited
            } else if AMOUNTS.contains(&column) {
                &right
            } else {
                &text
            };
            // As strings, formulas cannot run.
            sheet.write_string_with_format(row, column, cell, format)?;
        }
    }
    let words = Decision::ALL.map(Decision::as_str);
    let choice = DataValidation::new().allow_list_strings(&words)?;
    sheet.add_data_validation(1, 11, row.max(1), 11, &choice)?;
    sheet.set_freeze_panes(1, 2)?;
    sheet.autofilter(0, 0, row.max(1), 18)?;
    Ok(())
}

fn kinds(book: &mut Workbook, report: &Report) -> Result<(), XlsxError> {
    let title = Format::new().set_bold();
    let sheet = book.add_worksheet().set_name("Kinds")?;
    for (column, name) in (0_u16..).zip(["kind", "breaks", "due", "at risk (IDR)"]) {
        sheet.write_string_with_format(0, column, name, &title)?;
        sheet.set_column_width(column, 22)?;
    }
    for (row, (kind, (count, due, at_risk))) in (1_u32..).zip(summary::by_kind(report)) {
        sheet.write_string(row, 0, kind.as_str())?;
        sheet.write_number(row, 1, u32::try_from(count).unwrap_or(u32::MAX))?;
        sheet.write_number(row, 2, u32::try_from(due).unwrap_or(u32::MAX))?;
        sheet.write_string(row, 3, at_risk.to_string())?;
    }
    Ok(())
}
