//! `breaks.csv`.

use std::io::{self, Write};

use gopay_core::text::defused;

use super::{COLUMNS, cells};
use crate::breaks::Break;
use crate::date::Day;

/// Writes the list. A byte order mark comes first only if there is more than ASCII in it, so that
/// spreadsheets read names right and programs need not care.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut dyn Write, breaks: &[Break], today: Day) -> io::Result<()> {
    let ascii = breaks.iter().all(|one| cells(one, today).iter().all(|cell| cell.is_ascii()));
    if !ascii {
        out.write_all(b"\xEF\xBB\xBF")?;
    }
    let mut rows = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    rows.write_record(COLUMNS).map_err(io::Error::from)?;
    for one in breaks {
        let cells = cells(one, today);
        let cells = cells.iter().map(|cell| defused(cell).into_owned());
        rows.write_record(cells).map_err(io::Error::from)?;
    }
    rows.flush()
}
