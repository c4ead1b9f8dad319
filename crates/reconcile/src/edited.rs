//! Lists of breaks that people have edited, as any spreadsheet saves them.

use std::path::Path;

use crate::input::source::{Format, Source};
use crate::input::table::normal;
use crate::input::{InputError, Problem};

/// A list of breaks that people have edited.
#[derive(Debug)]
pub struct EditedList {
    pub(crate) name: String,
    pub(crate) rows: Vec<EditedRow>,
}

/// A row that is edited, or not.
#[derive(Debug)]
pub(crate) struct EditedRow {
    pub(crate) line: u64,
    pub(crate) break_id: String,
    pub(crate) decision: String,
    pub(crate) reason: String,
    pub(crate) by: String,
    pub(crate) approved_by: String,
    /// How often it had been decided when the list was written, and the sign of its values.
    pub(crate) version: Option<(u32, Option<String>)>,
}

/// Characters of a cell that are kept.
const CELL_MAX: usize = 1_000;

impl EditedList {
    /// A list of one row, from a form instead of a file: `break_id`, `decision`, `reason`, `by`,
    /// `approved_by`, `version`.
    #[must_use]
    pub fn of_one(name: &str, cells: [&str; 6]) -> Self {
        let [break_id, decision, reason, by, approved_by, version] =
            cells.map(|cell| cell.trim().chars().take(CELL_MAX).collect::<String>());
        let version = version_of(&version);
        let row = EditedRow { line: 1, break_id, decision, reason, by, approved_by, version };
        Self { name: name.to_owned(), rows: vec![row] }
    }

    /// Reads a list as any spreadsheet saves it: CSV with any delimiter and encoding, or XLSX.
    ///
    /// # Errors
    /// If it has not the columns.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let source = Source::open(path)?;
        let delimiters: &[u8] = match source.format() {
            Format::Text(_) => b",;\t|",
            Format::Sheet => b",",
            Format::Xml => {
                return Err(InputError::new(
                    path,
                    Problem::Format("is XML; save the list as CSV or XLSX"),
                ));
            }
        };
        const WANTED: [&str; 5] = ["break id", "decision", "reason", "by", "approved by"];
        for delimiter in delimiters {
            let rows = source.sample(*delimiter)?;
            for (titles_line, record) in rows.iter().take(20) {
                let titles: Vec<String> = record.iter().map(normal).collect();
                let place = |title: &str| titles.iter().position(|other| other == title);
                let [Some(id), Some(decision), Some(reason), Some(by), Some(approved_by)] =
                    WANTED.map(place)
                else {
                    continue;
                };
                let version = place("version");
                let mut rows = Vec::new();
                source.visit(
                    *delimiter,
                    &std::sync::atomic::AtomicU64::new(0),
                    &mut |line, record| {
                        if line <= *titles_line {
                            return;
                        }
                        let cell = |at: usize| undefused(record.get(at).unwrap_or_default());
                        rows.push(EditedRow {
                            line,
                            break_id: cell(id),
                            decision: cell(decision),
                            reason: cell(reason),
                            by: cell(by),
                            approved_by: cell(approved_by),
                            version: version.and_then(|at| version_of(&cell(at))),
                        });
                    },
                )?;
                return Ok(Self { name: crate::reports::name_of(path), rows });
            }
        }
        Err(InputError::new(
            path,
            Problem::Layout(
                "has no row with the titles break_id, decision, reason, by, approved_by; edit the breaks.csv or breaks.xlsx of a run".to_owned(),
            ),
        ))
    }
}

/// `v1-4f2a`: how often it was decided, and the sign of its values.
fn version_of(text: &str) -> Option<(u32, Option<String>)> {
    let text = text.trim_start_matches(['v', 'V']);
    match text.split_once('-') {
        Some((number, sign)) => Some((number.parse().ok()?, Some(sign.to_lowercase()))),
        None => Some((text.parse().ok()?, None)),
    }
}

/// The text that a cell had before `gopay_core::text::defused`.
fn undefused(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let text = text.trim();
    let text = match text.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) => rest,
        Some(_) | None => text,
    };
    text.chars().take(CELL_MAX).collect()
}
