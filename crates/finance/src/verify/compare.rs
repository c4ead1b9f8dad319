//! A file beside the lines that it must have.

use std::io::{self, BufRead, Write};

use crate::set::Part;

/// A line that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// From 1.
    pub line: u64,
    /// The line of the file; none after its end.
    pub found: Option<String>,
    /// What it must be; none if the file must have ended.
    pub wanted: Option<String>,
    /// Between the columns of the file.
    pub delimiter: u8,
}

impl Difference {
    /// The first column that differs, with both values; the whole lines if they have no columns.
    #[must_use]
    pub fn located(&self, part: Option<Part>) -> String {
        self.told_in(part.map(Part::titles))
    }

    /// The same in a file with these titles.
    #[must_use]
    pub fn told_in(&self, titles: Option<&[&str]>) -> String {
        match (&self.found, &self.wanted) {
            (None, Some(wanted)) => format!("the line is missing; must be {wanted:?}"),
            (Some(found), None) => format!("a line too many: {found:?}"),
            (None, None) => "nothing".to_owned(),
            (Some(found), Some(wanted)) => {
                let (ours, theirs) =
                    (columns(wanted, self.delimiter), columns(found, self.delimiter));
                let place = ours.iter().zip(&theirs).position(|(one, other)| one != other);
                match (titles, place) {
                    (Some(titles), Some(place)) if ours.len() == theirs.len() => {
                        let title = if ours.len() == titles.len() {
                            titles.get(place).copied().unwrap_or_default()
                        } else {
                            ours.first().map_or("", String::as_str)
                        };
                        let value = |of: &[String]| of.get(place).cloned().unwrap_or_default();
                        format!(
                            "{title} is {:?}, must be {:?} (the store)",
                            value(&theirs),
                            value(&ours)
                        )
                    }
                    _ => format!("is {found:?}, must be {wanted:?} (the store)"),
                }
            }
        }
    }

    /// Whether the store has less than the file: a reference that was erased since.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        let (Some(found), Some(wanted)) = (&self.found, &self.wanted) else { return false };
        let (ours, theirs) = (columns(wanted, self.delimiter), columns(found, self.delimiter));
        let rest = |of: &[String]| of.iter().skip(1).cloned().collect::<Vec<_>>();
        ours.first().is_some_and(String::is_empty) && rest(&ours) == rest(&theirs)
    }
}

/// The columns of a line.
pub(super) fn columns(line: &str, delimiter: u8) -> Vec<String> {
    let mut rows = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .from_reader(line.as_bytes());
    let first = rows.records().next().and_then(Result::ok);
    first.map_or_else(Vec::new, |row| row.iter().map(str::to_owned).collect())
}

/// Differences of a file at most.
const DIFFERENCES_MAX: usize = 10;

/// Takes what a file must hold, and reads the file beside it.
pub struct Comparison<R> {
    file: R,
    /// The end of what was written, without a line end yet.
    open: Vec<u8>,
    line: u64,
    found: Vec<u8>,
    differences: Vec<Difference>,
    delimiter: u8,
}

impl<R: BufRead> Comparison<R> {
    /// Beside a file.
    pub fn new(file: R) -> Self {
        let (open, found) = (Vec::new(), Vec::new());
        Self { file, open, line: 0, found, differences: Vec::new(), delimiter: b',' }
    }

    /// With another mark between columns than a comma.
    #[must_use]
    pub fn delimited(self, delimiter: u8) -> Self {
        Self { delimiter, ..self }
    }

    fn compare(&mut self, wanted: &[u8]) -> io::Result<()> {
        self.line = self.line.saturating_add(1);
        if self.differences.len() >= DIFFERENCES_MAX {
            return Ok(());
        }
        self.found.clear();
        let length = self.file.read_until(b'\n', &mut self.found)?;
        if self.found != wanted {
            let found = (length > 0).then(|| shown(&self.found));
            let wanted = Some(shown(wanted));
            let delimiter = self.delimiter;
            self.differences.push(Difference { line: self.line, found, wanted, delimiter });
        }
        Ok(())
    }

    /// The first differences; the rest of the file is one.
    ///
    /// # Errors
    /// Of the file.
    pub fn finish(mut self) -> io::Result<Vec<Difference>> {
        if !self.open.is_empty() {
            let open = std::mem::take(&mut self.open);
            self.compare(&open)?;
        }
        self.found.clear();
        if self.differences.len() < DIFFERENCES_MAX
            && self.file.read_until(b'\n', &mut self.found)? > 0
        {
            let line = self.line.saturating_add(1);
            let found = Some(shown(&self.found));
            let delimiter = self.delimiter;
            self.differences.push(Difference { line, found, wanted: None, delimiter });
        }
        Ok(self.differences)
    }
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end_matches('\n').to_owned()
}

impl<R: BufRead> Write for Comparison<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end.saturating_add(1));
            if self.open.is_empty() {
                self.compare(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.open);
                whole.extend_from_slice(line);
                self.compare(&whole)?;
                whole.clear();
                self.open = whole;
            }
            rest = after;
        }
        self.open.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The differences between two texts, line by line.
#[must_use]
pub fn compare_lines(found: &str, wanted: &str) -> Vec<Difference> {
    let mut comparison = Comparison::new(found.as_bytes());
    let written = comparison.write_all(wanted.as_bytes());
    written.and_then(|()| comparison.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_line_and_column() {
        let part = Some(Part::Aggregate);
        let wanted = "MERCHANT_ID,X\nSHOP,GoPay,REFUND,1,-5.00,IDR\nRECORD_COUNT,1\n";
        for (found, line, expected) in [
            (wanted, None, ""),
            (
                "MERCHANT_ID,X\nSHOP,GoPay,REFUND,1,-6.00,IDR\nRECORD_COUNT,1\n",
                Some(2),
                "AGGREGATE_AMOUNT is \"-6.00\", must be \"-5.00\" (the store)",
            ),
            (
                "MERCHANT_ID,X\nSHOP,GoPay,REFUND,1,-5.00,IDR\nRECORD_COUNT,2\n",
                Some(3),
                "RECORD_COUNT is \"2\", must be \"1\" (the store)",
            ),
            (
                "MERCHANT_ID,X\nSHOP,GoPay,REFUND,1,-5.00,IDR\n",
                Some(3),
                "the line is missing; must be \"RECORD_COUNT,1\"",
            ),
            (
                "MERCHANT_ID,X\nSHOP,GoPay,REFUND,1,-5.00,IDR\nRECORD_COUNT,1\nmore",
                Some(4),
                "a line too many: \"more\"",
            ),
            (
                "MERCHANT_ID,X\r\nSHOP,GoPay,REFUND,1,-5.00,IDR\nRECORD_COUNT,1\n",
                Some(1),
                "is \"MERCHANT_ID,X\\r\", must be \"MERCHANT_ID,X\" (the store)",
            ),
        ] {
            let differences = compare_lines(found, wanted);
            let first = differences.first();
            assert_eq!(first.map(|one| one.line), line, "{found}");
            assert_eq!(first.map_or(String::new(), |one| one.located(part)), expected);
        }
        // However the writer cuts what it writes.
        let mut pieces = Comparison::new(wanted.as_bytes());
        wanted.as_bytes().chunks(3).for_each(|piece| pieces.write_all(piece).unwrap());
        assert_eq!(pieces.finish().unwrap(), []);
    }

    #[test]
    fn a_reference_that_the_store_no_longer_has_is_erased() {
        for (found, wanted, erased) in [
            ("order-1,7,m-1", ",7,m-1", true),
            ("order-1,7,m-1", ",7,m-2", false),
            ("order-1,7,m-1", "order-2,7,m-1", false),
            ("order-1,7", ",7,m-1", false),
        ] {
            let difference = Difference {
                line: 1,
                found: Some(found.to_owned()),
                wanted: Some(wanted.to_owned()),
                delimiter: b',',
            };
            assert_eq!(difference.is_erased(), erased, "{found}");
        }
    }
}
