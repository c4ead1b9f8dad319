//! Opening a file: what it is by its first bytes, its encoding, its rows.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use csv::ByteRecord;
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::{memchr, memchr_iter, memchr2};
use sha2::{Digest as _, Sha256};

use super::{InputError, Problem, sheet};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Text(&'static Encoding),
    /// A workbook of Excel 2007 and later.
    Sheet,
    /// XML, by its first bytes.
    Xml,
}

/// Bytes that are looked at before a file is read.
pub(crate) const SAMPLE_BYTES: u64 = 1 << 20;

/// A file of rows.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    format: Format,
    start: Vec<u8>,
}

impl Source {
    /// Opens a file and tells what it is.
    ///
    /// # Errors
    /// If it cannot be read, or is something that has to be unpacked or saved otherwise first.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let failed = |problem| InputError::new(path, problem);
        let mut start = Vec::new();
        let file = File::open(path).map_err(|error| failed(error.into()))?;
        let read = file.take(SAMPLE_BYTES).read_to_end(&mut start);
        read.map_err(|error| failed(error.into()))?;
        let format = format_of(&start).map_err(|why| failed(Problem::Format(why)))?;
        Ok(Self { path: path.to_owned(), format, start })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// The first rows, cut at a delimiter, with their lines.
    pub(crate) fn sample(&self, delimiter: u8) -> Result<Vec<(u64, ByteRecord)>, InputError> {
        let Format::Text(encoding) = self.format else {
            return sheet::sample(&self.path);
        };
        let reader = Decoded::new(self.start.as_slice(), encoding);
        let mut rows = Vec::new();
        let each = &mut |line, record: &ByteRecord| rows.push((line, record.clone()));
        delimited(reader, delimiter, each).map_err(|error| self.failed(error))?;
        if u64::try_from(self.start.len()).is_ok_and(|read| read == SAMPLE_BYTES) {
            // Its last row is cut off.
            rows.pop();
        }
        Ok(rows)
    }

    /// Every row with its line; the hash of the file. Blank lines are left out.
    pub(crate) fn visit(
        &self,
        delimiter: u8,
        progress: &AtomicU64,
        each: &mut dyn FnMut(u64, &ByteRecord),
    ) -> Result<String, InputError> {
        let file = File::open(&self.path).map_err(|error| self.failed(error))?;
        let mut hashing = Hashing { inner: file, hash: Sha256::new(), progress };
        let Format::Text(encoding) = self.format else {
            io::copy(&mut hashing, &mut io::sink()).map_err(|error| self.failed(error))?;
            sheet::visit(&self.path, each)?;
            return Ok(hashing.digest());
        };
        let bom = encoding == UTF_8 && self.start.starts_with(b"\xEF\xBB\xBF");
        let visited = if encoding == UTF_8 && !bom {
            delimited(&mut hashing, delimiter, each)
        } else {
            let decoded = Decoded::new(BufReader::with_capacity(1 << 18, &mut hashing), encoding);
            delimited(decoded, delimiter, each)
        };
        visited.map_err(|error| self.failed(error))?;
        Ok(hashing.digest())
    }

    fn failed(&self, error: io::Error) -> InputError {
        InputError::new(&self.path, error.into())
    }
}

/// Calls for each record of delimited text, with its line. Blank lines are left out.
///
/// Lines are cut here as long as they have neither quotes nor a carriage return inside; from the
/// first such line on, the `csv` crate does it, with the same result.
pub(crate) fn delimited(
    mut reader: impl Read,
    delimiter: u8,
    each: &mut dyn FnMut(u64, &ByteRecord),
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 18];
    let mut record = ByteRecord::new();
    let (mut kept, mut line) = (0, 0);
    loop {
        if kept == buffer.len() {
            // A line longer than the buffer.
            buffer.resize(buffer.len() * 2, 0);
        }
        let read = reader.read(buffer.get_mut(kept..).unwrap_or_default())?;
        let filled = buffer.get(..kept + read).unwrap_or_default();
        let over = read == 0;
        let (used, plain) = cut_lines(filled, over, delimiter, &mut line, &mut record, each);
        let rest = filled.get(used..).unwrap_or_default();
        if !plain {
            return quoted(rest.chain(reader), delimiter, line, each);
        }
        kept = rest.len();
        if over {
            return Ok(());
        }
        buffer.copy_within(used..used + kept, 0);
    }
}

/// Cuts whole lines; how many bytes were used, and whether the rest is plain as well.
fn cut_lines(
    bytes: &[u8],
    over: bool,
    delimiter: u8,
    line: &mut u64,
    record: &mut ByteRecord,
    each: &mut dyn FnMut(u64, &ByteRecord),
) -> (usize, bool) {
    let mut used = 0;
    loop {
        let rest = bytes.get(used..).unwrap_or_default();
        let (text, length) = match memchr(b'\n', rest) {
            Some(end) => (rest.get(..end).unwrap_or_default(), end + 1),
            None if over && !rest.is_empty() => (rest, rest.len()),
            None => return (used, true),
        };
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if memchr2(b'"', b'\r', text).is_some() {
            return (used, false);
        }
        used += length;
        *line += 1;
        if text.is_empty() {
            continue;
        }
        record.clear();
        let mut from = 0;
        for at in memchr_iter(delimiter, text) {
            record.push_field(text.get(from..at).unwrap_or_default());
            from = at + 1;
        }
        record.push_field(text.get(from..).unwrap_or_default());
        each(*line, record);
    }
}

/// By the `csv` crate, after so many lines.
fn quoted(
    reader: impl Read,
    delimiter: u8,
    before: u64,
    each: &mut dyn FnMut(u64, &ByteRecord),
) -> io::Result<()> {
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .buffer_capacity(1 << 18)
        .from_reader(reader);
    let mut record = ByteRecord::new();
    // Behind CR LF, the reader takes a record to begin before the LF: a line too early.
    let mut early = None;
    while rows.read_byte_record(&mut record).map_err(io::Error::from)? {
        let line = before + record.position().map_or(0, csv::Position::line);
        match early {
            Some(early) => each(line + early, &record),
            None => {
                let inside = record.iter().flatten().filter(|byte| **byte == b'\n').count();
                let ended =
                    before + rows.position().line() > line + u64::try_from(inside).unwrap_or(0);
                early = Some(u64::from(!ended));
                each(line, &record);
            }
        }
    }
    Ok(())
}

/// Tells what a file is by its first bytes.
fn format_of(start: &[u8]) -> Result<Format, &'static str> {
    const UTF16_PACKAGE: &[u8] = b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0";
    match start {
        [] => Err("is empty"),
        [b'7', b'z', 0xBC, 0xAF, 0x27, 0x1C, ..] => {
            Err("is a 7-Zip archive: unpack it with the password of Midtrans' second e-mail \
                 (`7z x FILE`) and give what is in it")
        }
        [0xD0, 0xCF, 0x11, 0xE0, ..] => {
            if start.windows(UTF16_PACKAGE.len()).any(|window| window == UTF16_PACKAGE) {
                Err("is encrypted: open it with its password and save it without one")
            } else {
                Err("is a workbook of the old .xls format, which cuts long ids: export it again \
                     as CSV or XLSX")
            }
        }
        [b'P', b'K', 3, 4, ..] => {
            if start.windows(3).any(|window| window == b"xl/") {
                Ok(Format::Sheet)
            } else {
                Err("is a ZIP archive: unpack it and give what is in it")
            }
        }
        [0x1F, 0x8B, ..] => Err("is compressed by gzip: unpack it first (`gunzip FILE`)"),
        [b'R', b'a', b'r', b'!', ..] => Err("is a RAR archive: unpack it first"),
        [b'%', b'P', b'D', b'F', ..] => {
            Err("is a PDF, which holds no exact rows: export CSV, XLSX or camt.053")
        }
        _ => Ok(text_format(start)),
    }
}

fn text_format(start: &[u8]) -> Format {
    let encoding = encoding_of(start);
    let bom = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    let wide = encoding == UTF_16LE || encoding == UTF_16BE;
    let first = if wide {
        encoding.decode(start.get(..64).unwrap_or(start)).0.trim_start().as_bytes().first().copied()
    } else {
        bom.trim_ascii_start().first().copied()
    };
    if first == Some(b'<') { Format::Xml } else { Format::Text(encoding) }
}

/// By the byte order mark; else by the zero bytes of UTF-16; else UTF-8 if it is, and CP1252.
pub(crate) fn encoding_of(start: &[u8]) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(start) {
        return encoding;
    }
    if let [first, second, third, fourth, ..] = start {
        match (first, second, third, fourth) {
            (_, 0, _, 0) => return UTF_16LE,
            (0, _, 0, _) => return UTF_16BE,
            _ => {}
        }
    }
    match std::str::from_utf8(start) {
        Ok(_) => UTF_8,
        // Cut inside a character.
        Err(error) if error.error_len().is_none() => UTF_8,
        Err(_) => WINDOWS_1252,
    }
}

/// Reads any encoding as UTF-8, without the byte order mark.
pub(crate) struct Decoded<R> {
    inner: R,
    decoder: Decoder,
    raw: Vec<u8>,
    from: usize,
    to: usize,
    /// The input has ended.
    over: bool,
    /// The decoder has given its last bytes.
    done: bool,
}

impl<R: Read> Decoded<R> {
    pub(crate) fn new(inner: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder();
        Self { inner, decoder, raw: vec![0; 1 << 16], from: 0, to: 0, over: false, done: false }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // The decoder needs room for one character.
        if out.len() < 16 {
            return Err(io::Error::other("a buffer too small for a character"));
        }
        while !self.done {
            if self.from == self.to && !self.over {
                self.to = self.inner.read(&mut self.raw)?;
                self.from = 0;
                self.over = self.to == 0;
            }
            let raw = self.raw.get(self.from..self.to).unwrap_or_default();
            let (result, read, written, _) = self.decoder.decode_to_utf8(raw, out, self.over);
            self.from += read;
            self.done = self.over && result == CoderResult::InputEmpty;
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

/// Hashes and counts what goes through.
struct Hashing<'a, R> {
    inner: R,
    hash: Sha256,
    progress: &'a AtomicU64,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(out)?;
        self.hash.update(out.get(..read).unwrap_or_default());
        self.progress.fetch_add(u64::try_from(read).unwrap_or(0), Ordering::Relaxed);
        Ok(read)
    }
}

impl<R> Hashing<'_, R> {
    fn digest(self) -> String {
        hex(&self.hash.finalize())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn rows_of(bytes: &[u8], delimiter: u8) -> Vec<Vec<String>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let source = Source::open(file.path()).unwrap();
        let mut rows = Vec::new();
        source
            .visit(delimiter, &AtomicU64::new(0), &mut |_, record| {
                rows.push(
                    record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect(),
                );
            })
            .unwrap();
        rows
    }

    #[test]
    fn every_encoding_of_a_spreadsheet_gives_the_same_rows() {
        let text = "Libell\u{e9};Betrag\r\nCaf\u{e9};4,50\r\n";
        let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect();
        let (little, big): (Vec<u8>, Vec<u8>) = (utf16(u16::to_le_bytes), utf16(u16::to_be_bytes));
        let (cp1252, _, _) = WINDOWS_1252.encode(text);
        let wanted = vec![vec!["Libell\u{e9}", "Betrag"], vec!["Caf\u{e9}", "4,50"]];
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
            [b"\xFF\xFE", little.as_slice()].concat(),
            [b"\xFE\xFF", big.as_slice()].concat(),
            little.clone(),
            big.clone(),
            cp1252.into_owned(),
        ] {
            assert_eq!(rows_of(&bytes, b';'), wanted);
        }
    }

    proptest::proptest! {
        #[test]
        fn lines_are_cut_as_the_csv_crate_cuts_them(text in "([ab;]{0,6}(\n|\r\n|\r|\"|)){0,12}") {
            let mut ours: Vec<ByteRecord> = Vec::new();
            let mut theirs: Vec<ByteRecord> = Vec::new();
            delimited(text.as_bytes(), b';', &mut |_, record| ours.push(record.clone())).unwrap();
            quoted(text.as_bytes(), b';', 0, &mut |_, record| theirs.push(record.clone())).unwrap();
            proptest::prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn a_line_longer_than_the_buffer_is_one_record() {
        let text = format!("a;b\n{};c\nd;e", "x".repeat(600_000));
        let mut lengths = Vec::new();
        let each = &mut |line, record: &ByteRecord| lengths.push((line, record[0].len()));
        delimited(text.as_bytes(), b';', each).unwrap();
        assert_eq!(lengths, [(1, 1), (2, 600_000), (3, 1)]);
    }

    #[test]
    fn lines_are_counted_alike_whatever_ends_them() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "1,\"x", "y\"", "2,z", ""].join(end);
            let mut lines = Vec::new();
            delimited(text.as_bytes(), b',', &mut |line, _| lines.push(line)).unwrap();
            assert_eq!(lines, [1, 2, 4], "{end:?}");
        }
    }

    #[test]
    fn what_has_to_be_unpacked_or_saved_otherwise_is_refused_with_what_to_do() {
        let package: Vec<u8> = "EncryptedPackage".bytes().flat_map(|byte| [byte, 0]).collect();
        let encrypted = [b"\xD0\xCF\x11\xE0____".as_slice(), &package].concat();
        for (start, wanted) in [
            (b"7z\xBC\xAF\x27\x1C\0\0".as_slice(), "password"),
            (b"\xD0\xCF\x11\xE0\0\0\0\0", "XLSX"),
            (&encrypted, "encrypted"),
            (b"PK\x03\x04report.csv", "unpack"),
            (b"\x1F\x8B\x08", "gunzip"),
            (b"%PDF-1.7", "camt.053"),
            (b"", "empty"),
        ] {
            let problem = format_of(start).expect_err("refused");
            assert!(problem.contains(wanted), "{problem}");
        }
    }

    #[test]
    fn xml_is_known_by_its_first_sign_in_any_encoding() {
        let wide: Vec<u8> = "\u{feff}<?xml".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for start in [b"<?xml".as_slice(), b"\xEF\xBB\xBF\n <Document", &wide] {
            assert_eq!(format_of(start), Ok(Format::Xml));
        }
    }
}
