//! The files of a run.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;
use gopay_reconcile::output;
use gopay_reconcile::run::Report;

/// Writes lists and report.
pub(crate) fn write(folder: &Path, report: &Report) -> anyhow::Result<()> {
    written(folder, "breaks.csv", |out| output::csv::write(out, &report.breaks, report.today))?;
    written(folder, "breaks.json", |out| output::json::write(out, report))?;
    written(folder, "breaks.xlsx", |out| output::xlsx::write(out, report))?;
    written(folder, "report.html", |out| output::html::write(out, report))
}

/// Writes a file whole or not at all: beside it first, then in its place.
pub(crate) fn written(
    folder: &Path,
    name: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let place = folder.join(name);
    let mut file = tempfile::NamedTempFile::new_in(folder)
        .with_context(|| format!("cannot write in {}", folder.display()))?;
    let mut out = io::BufWriter::with_capacity(1 << 18, file.as_file_mut());
    let done = write(&mut out).and_then(|()| out.flush());
    drop(out);
    done.with_context(|| format!("cannot write {}", place.display()))?;
    file.persist(&place).with_context(|| format!("cannot write {}", place.display()))?;
    Ok(())
}
