//! The form of the write-ahead log, and whether what one writer knows of it is still there.
//!
//! The format is SQLite's (<https://www.sqlite.org/fileformat2.html#walformat>): a header of 32
//! bytes, then frames of 24 bytes and a page each. A frame carries the two salts of the header and
//! the checksum of everything before it and in it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

const HEADER: u64 = 32;
const FRAME: u64 = 24;

/// The log may have been started anew so many times between two looks.
const RESTARTS: u32 = 1 << 20;

type Header = [u8; 32];
type Frame = [u8; 24];

/// What a writer knows of its log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownLog {
    /// None while the file is empty.
    header: Option<Header>,
    /// Number, from 1, and header of the last frame of the last commit.
    last: Option<(u64, Frame)>,
}

impl KnownLog {
    pub(crate) fn of(log: &File) -> io::Result<Self> {
        Ok(Self { header: header(log)?, last: None })
    }

    /// Looks at the log after a commit whose last frame has the number `committed`, 0 if it wrote
    /// none: whether that commit follows the one before. Reads 80 bytes.
    ///
    /// Nothing changes here if it does not.
    pub(crate) fn follow(&mut self, log: &File, length: u64, committed: u64) -> io::Result<bool> {
        let Some(mut next) = self.next(log)? else { return Ok(false) };
        if let Some((number, known)) = next.last
            && frame(log, next.place(number))? != Some(known)
        {
            return Ok(false);
        }
        if committed > 0 {
            let Some(found) = frame(log, next.place(committed))? else { return Ok(false) };
            // Another process may have started the log anew since the commit.
            let ours = next.salts() == salts_of(&found);
            let is_commit = word(&found, 4) != 0;
            let whole = length >= next.place(committed.saturating_add(1));
            if !is_commit || !(ours && whole || self.salts() == salts_of(&found)) {
                return Ok(false);
            }
            next.last = ours.then_some((committed, found));
        }
        *self = next;
        Ok(true)
    }

    /// Whether every frame up to the last commit is as it was written. Reads them all.
    pub(crate) fn is_intact(&mut self, log: &File) -> io::Result<bool> {
        let Some(next) = self.next(log)? else { return Ok(false) };
        if let (Some(header), Some((count, known))) = (next.header, next.last) {
            let mut sum = Sum::of(&header);
            let mut bytes = vec![0; usize::try_from(next.stride()).unwrap_or(0)];
            let mut found = None;
            for number in 1..=count {
                if !read(log, next.place(number), &mut bytes)? {
                    return Ok(false);
                }
                let Some((head, page)) = bytes.split_first_chunk::<24>() else { return Ok(false) };
                sum.add(head.get(..8).unwrap_or_default());
                sum.add(page);
                if !sum.is_in(head, 16) || salts_of(head) != next.salts() {
                    return Ok(false);
                }
                found = Some(*head);
            }
            if found != Some(known) {
                return Ok(false);
            }
        }
        *self = next;
        Ok(true)
    }

    /// The same by the header of the file now: that of before, or of the same log started anew,
    /// which it only is when all of it was copied. None if it is another's.
    fn next(&self, log: &File) -> io::Result<Option<Self>> {
        let found = header(log)?;
        Ok(match (self.header, found) {
            (known, found) if known == found => Some(*self),
            (None, Some(_)) => Some(Self { header: found, last: None }),
            (Some(known), Some(new)) if started_anew(&known, &new) => {
                Some(Self { header: found, last: None })
            }
            _ => None,
        })
    }

    fn salts(&self) -> [u32; 2] {
        self.header.map_or([0; 2], |header| [word(&header, 16), word(&header, 20)])
    }

    /// Length of a frame with its page.
    fn stride(&self) -> u64 {
        let page = self.header.map_or(0, |header| word(&header, 8));
        FRAME.saturating_add(u64::from(page))
    }

    /// Where the frame of this number begins.
    fn place(&self, number: u64) -> u64 {
        HEADER.saturating_add(number.saturating_sub(1).saturating_mul(self.stride()))
    }
}

/// SQLite counts the first salt up each time.
fn started_anew(known: &Header, new: &Header) -> bool {
    let times = word(new, 16).wrapping_sub(word(known, 16));
    known.get(..12) == new.get(..12) && (1..=RESTARTS).contains(&times)
}

fn salts_of(frame: &Frame) -> [u32; 2] {
    [word(frame, 8), word(frame, 12)]
}

/// The header, if the file has a good one.
fn header(log: &File) -> io::Result<Option<Header>> {
    let mut bytes = [0; 32];
    let there = read(log, 0, &mut bytes)?;
    let mut sum = Sum { one: 0, two: 0, big_endian: word(&bytes, 0) == MAGIC_BIG_ENDIAN };
    sum.add(bytes.get(..24).unwrap_or_default());
    let good = there && word(&bytes, 0) | 1 == MAGIC_BIG_ENDIAN && sum.is_in(&bytes, 24);
    Ok(good.then_some(bytes))
}

fn frame(log: &File, at: u64) -> io::Result<Option<Frame>> {
    let mut bytes = [0; 24];
    Ok(read(log, at, &mut bytes)?.then_some(bytes))
}

/// False if the file ends before.
fn read(log: &File, at: u64, bytes: &mut [u8]) -> io::Result<bool> {
    match log.read_exact_at(bytes, at) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        done => done.map(|()| true),
    }
}

/// The big-endian number at this place; 0 beyond the end.
pub(crate) fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk::<4>);
    four.map_or(0, |four| u32::from_be_bytes(*four))
}

/// Of a header whose checksums are of big-endian numbers; one less where they are of little-endian
/// ones.
const MAGIC_BIG_ENDIAN: u32 = 0x377f_0683;

/// The checksum of the log, over pairs of numbers.
struct Sum {
    one: u32,
    two: u32,
    big_endian: bool,
}

impl Sum {
    /// Where the frames go on after a header.
    fn of(header: &Header) -> Self {
        let big_endian = word(header, 0) == MAGIC_BIG_ENDIAN;
        Self { one: word(header, 24), two: word(header, 28), big_endian }
    }

    fn add(&mut self, bytes: &[u8]) {
        for pair in bytes.chunks_exact(8) {
            let (first, second) = (word(pair, 0), word(pair, 4));
            let [first, second] = if self.big_endian {
                [first, second]
            } else {
                [first.swap_bytes(), second.swap_bytes()]
            };
            self.one = self.one.wrapping_add(first).wrapping_add(self.two);
            self.two = self.two.wrapping_add(second).wrapping_add(self.one);
        }
    }

    fn is_in(&self, bytes: &[u8], at: usize) -> bool {
        [word(bytes, at), word(bytes, at.saturating_add(4))] == [self.one, self.two]
    }
}
