//! `breaks.json`: the whole result for programs.

use std::io::{self, Write};

use crate::run::Report;

/// Writes the result: totals first, then `breaks`.
///
/// # Errors
/// If it cannot be written.
pub fn write(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    #[derive(serde::Serialize)]
    struct Whole<'a> {
        #[serde(flatten)]
        report: &'a Report,
        breaks_due: usize,
        breaks: &'a [crate::breaks::Break],
    }
    let whole = Whole { report, breaks_due: report.due(), breaks: &report.breaks };
    serde_json::to_writer_pretty(&mut *out, &whole).map_err(io::Error::from)?;
    out.write_all(b"\n")
}
