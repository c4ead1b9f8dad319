//! CSV files with a header row and PPRO's footer, and what is known of each when it is written.

use std::io::{self, Write};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::amount::{Amount, Overflow};
use crate::form::Form;

/// Counts and digests what goes through it.
pub struct Digested<W> {
    to: W,
    bytes: u64,
    digest: Sha256,
}

impl<W: Write> Digested<W> {
    /// In front of a file.
    pub fn new(to: W) -> Self {
        Self { to, bytes: 0, digest: Sha256::new() }
    }

    /// The file, its length, and its SHA-256 in hexadecimal digits.
    pub fn finish(self) -> (W, u64, String) {
        (self.to, self.bytes, hex::encode(self.digest.finalize()))
    }
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.digest.update(bytes.get(..written).unwrap_or(bytes));
        self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What the manifest says of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Rows between header and footer, of a CSV file.
    pub rows: Option<u64>,
    /// The sum of the column of amounts over all currencies, of a CSV file.
    pub total: Option<Amount>,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The disk, or whatever is written to.
    #[error("cannot write")]
    Io(#[from] io::Error),
    /// Too much money.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// Events are not in the order of rows.
    #[error("event {0} is out of order")]
    Order(i64),
    /// JSON.
    #[error("cannot write JSON")]
    Json(#[from] serde_json::Error),
}

impl From<csv::Error> for WriteError {
    fn from(error: csv::Error) -> Self {
        Self::Io(error.into())
    }
}

/// A writer of comma-separated rows, RFC 4180 but for the line end, which is LF.
pub fn csv_writer<W: Write>(to: W) -> csv::Writer<W> {
    delimited(b',', to)
}

fn delimited<W: Write>(delimiter: u8, to: W) -> csv::Writer<W> {
    csv::WriterBuilder::new()
        .delimiter(delimiter)
        .terminator(csv::Terminator::Any(b'\n'))
        .flexible(true)
        .from_writer(to)
}

/// A file of a settlement set, under writing.
pub struct Table<W: Write> {
    name: String,
    form: Form,
    /// The column of amounts, from 0.
    amounts: usize,
    rows: csv::Writer<Digested<W>>,
    count: u64,
    total: i128,
}

/// The titles of the footer's rows, in their order.
pub const FOOTER: [&str; 3] = ["SETTLEMENT_DATE", "RECORD_COUNT", "CHECKSUM_AGGREGATE_AMOUNT"];

impl<W: Write> Table<W> {
    /// Begins a file with its titles.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn begin(
        name: String,
        (titles, amounts): (&[&str], usize),
        form: Form,
        to: W,
    ) -> Result<Self, WriteError> {
        let mut rows = delimited(form.delimiter_byte(), Digested::new(to));
        rows.write_record(titles)?;
        Ok(Self { name, form, amounts, rows, count: 0, total: 0 })
    }

    /// Adds a row, whose amount goes into the total, and into its column in the form of the file.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn row<I, T>(&mut self, fields: I, amount: Amount) -> Result<(), WriteError>
    where
        I: IntoIterator<Item = T>,
        T: AsRef<[u8]>,
    {
        if self.form.decimal_mark == '.' {
            self.rows.write_record(fields)?;
        } else {
            let shown = self.form.shown(amount);
            for (place, field) in fields.into_iter().enumerate() {
                match place == self.amounts {
                    true => self.rows.write_field(&shown)?,
                    false => self.rows.write_field(field)?,
                }
            }
            self.rows.write_record(None::<&[u8]>)?;
        }
        self.count = self.count.saturating_add(1);
        self.total = self.total.saturating_add(amount.get().into());
        Ok(())
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// [`WriteError`].
    pub fn finish(mut self, settled: Date) -> Result<(W, FileFacts), WriteError> {
        let total = Amount::from_wide(self.total)?;
        let values = [settled.to_string(), self.count.to_string(), self.form.shown(total)];
        for (title, value) in FOOTER.into_iter().zip(values) {
            self.rows.write_record([title, value.as_str()])?;
        }
        let done = self.rows.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        let (to, bytes, sha256) = done.finish();
        let (rows, total) = (Some(self.count), Some(total));
        Ok((to, FileFacts { name: self.name, bytes, rows, total, sha256 }))
    }
}

/// Where a set's files go.
pub trait Folder {
    /// A file.
    type File: Write;

    /// Begins a file.
    ///
    /// # Errors
    /// Of the disk.
    fn create(&mut self, name: &str) -> io::Result<Self::File>;

    /// Takes a file that is complete.
    ///
    /// # Errors
    /// Of the disk.
    fn complete(&mut self, name: &str, file: Self::File) -> io::Result<()>;
}

/// Writes a whole file.
///
/// # Errors
/// Of the folder.
pub fn whole<F: Folder>(folder: &mut F, name: &str, content: &[u8]) -> io::Result<FileFacts> {
    let mut file = Digested::new(folder.create(name)?);
    file.write_all(content)?;
    let (file, bytes, sha256) = file.finish();
    folder.complete(name, file)?;
    Ok(FileFacts { name: name.to_owned(), bytes, rows: None, total: None, sha256 })
}

/// Files in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryFolder {
    /// By name.
    pub files: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Folder for MemoryFolder {
    type File = Vec<u8>;

    fn create(&mut self, _name: &str) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn complete(&mut self, name: &str, file: Vec<u8>) -> io::Result<()> {
        self.files.insert(name.to_owned(), file);
        Ok(())
    }
}
