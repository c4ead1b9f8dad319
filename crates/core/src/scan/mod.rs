//! Decoding of form bodies in blocks: percent-escapes, `+`, and where the separators are.
//!
//! The one place with `unsafe`, and nothing else is here. Three ways do the same and are chosen
//! once, at run time, by what the processor has: 64 bytes at a time (AVX-512 VBMI2), 16 at a time
//! (SSE2, which every x86-64 has), and a plain loop for all other machines. The plain loop is what
//! the other two are held against, by a property test here and by a fuzz target.
#![expect(unsafe_code, reason = "vector loads and stores, each within bounds checked before")]

mod plain;
#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(target_arch = "x86_64")]
mod wide;

/// How the bytes of a body are read. All ways give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Byte by byte.
    Plain,
    /// What every processor of this architecture can do; [`Path::Plain`] outside x86-64.
    Portable,
    /// AVX-512 with VBMI2.
    Wide,
}

impl Path {
    /// The fastest that this processor can take; asked once, then remembered.
    #[must_use]
    pub fn best() -> Self {
        if Self::Wide.is_available() { Self::Wide } else { Self::Portable }
    }

    /// Whether this processor can take it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Plain | Self::Portable => true,
            Self::Wide => wide_is_available(),
        }
    }

    /// Every way that this processor can take.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Plain, Self::Portable, Self::Wide].into_iter().filter(|path| path.is_available())
    }
}

#[cfg(target_arch = "x86_64")]
fn wide_is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(not(target_arch = "x86_64"))]
const fn wide_is_available() -> bool {
    false
}

/// How far one turn reads at most, in bytes, but for an escape that reaches over the end.
pub(crate) const TURN: usize = 1_024;

/// Room for the marks of one turn: each byte may have one, and blocks are read and written whole.
pub(crate) const MARKS: usize = TURN + 128;

/// How many bytes of the text buffer must be free behind the decoded text of a whole body.
pub(crate) const SLACK: usize = 128;

/// How far a body has been decoded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cursor {
    /// Bytes of the body that were read.
    at: usize,
    /// Bytes of text that were written.
    len: usize,
    /// Bytes after `at` that belong to an escape before it.
    carry: u64,
    /// Whether the text may hold a line break.
    breaks: bool,
    /// Whether the text holds a byte that is not ASCII.
    high: bool,
}

/// What stands in for the digits of an escape that is none.
const NO_DIGIT: u8 = 0x80;

/// Hex digits by character.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const DIGITS: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < 16 {
        let lower = b"0123456789abcdef"[digit];
        let upper = b"0123456789ABCDEF"[digit];
        #[expect(clippy::as_conversions, reason = "a constant table of small numbers")]
        {
            table[lower as usize] = digit as u8;
            table[upper as usize] = digit as u8;
        }
        digit += 1;
    }
    table
};

/// Whether a byte may belong to a line break: U+000A, U+000D, or the first byte of U+0085, U+2028
/// and U+2029.
const fn may_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0xc2 | 0xe2)
}

impl Cursor {
    /// Whether the text may hold a line break; false only if it holds none.
    pub(crate) const fn may_break(&self) -> bool {
        self.breaks
    }

    /// Whether all of the text is ASCII.
    const fn is_ascii(&self) -> bool {
        !self.high
    }

    /// Bytes of text that were written.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Whether the whole body was read.
    pub(crate) const fn is_done(&self, body: &[u8]) -> bool {
        self.at >= body.len()
    }

    /// Decodes the next [`TURN`] bytes of the body, or what is left, and returns how many marks
    /// it wrote: the places in the text, in order, of each `&` and `=` that was sent as such, of
    /// each `%` that begins no escape, and of each U+0000.
    ///
    /// # Panics
    /// If `text` has not room for as many bytes as the body has, and [`SLACK`] more.
    pub(crate) fn turn(
        &mut self,
        path: Path,
        body: &[u8],
        text: &mut [u8],
        marks: &mut [u32; MARKS],
    ) -> usize {
        // Each byte read gives at most one byte of text, so this holds to the end.
        assert!(self.len <= self.at && self.at <= body.len() && text.len() - SLACK >= body.len());
        match path {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the features are there; the room was checked above.
            Path::Wide if wide_is_available() => unsafe { wide::turn(self, body, text, marks) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the room was checked above.
            Path::Portable | Path::Wide => unsafe { sse2::turn(self, body, text, marks) },
            _ => plain::turn(self, body, text, marks),
        }
    }
}

/// The text that was decoded, and the whole buffer that it begins.
///
/// A text that is not UTF-8 goes to `repair` first; if that does not make it UTF-8, it is empty.
pub(crate) fn utf8<'t>(
    cursor: &Cursor,
    text: &'t mut [u8],
    repair: impl FnOnce(&mut [u8]),
) -> (&'t str, &'t [u8]) {
    let mut good = cursor.is_ascii() || text.get(..cursor.len).is_some_and(is_utf8);
    if !good && let Some(text) = text.get_mut(..cursor.len) {
        repair(text);
        good = std::str::from_utf8(text).is_ok();
    }
    let whole: &'t [u8] = text;
    let text = if good { whole.get(..cursor.len).unwrap_or_default() } else { &[] };
    debug_assert!(std::str::from_utf8(text).is_ok());
    // SAFETY: it is ASCII as the decoder saw it, or was found to be UTF-8, and nobody has written
    // to it since.
    (unsafe { std::str::from_utf8_unchecked(text) }, whole)
}

/// Whether the text is UTF-8.
///
/// All bytes of a character that is not ASCII have the high bit; so a text is UTF-8 if and only
/// if each run of such bytes is.
fn is_utf8(text: &[u8]) -> bool {
    runs_are_utf8(text).is_some()
}

fn runs_are_utf8(text: &[u8]) -> Option<()> {
    const BLOCK: usize = 64;
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    // Where the next run may begin: runs may reach over the end of a block.
    let mut from = 0;
    for (number, block) in blocks.iter().enumerate() {
        let mut high = high_bits(block);
        let start = number * BLOCK;
        while high != 0 {
            let at = start + zeros(high);
            let end = if at < from { from } else { check_run(text, at)? };
            from = from.max(end);
            if end - start >= BLOCK {
                break;
            }
            high &= u64::MAX << (end - start);
        }
    }
    let rest = text.get(from.max(text.len() - rest.len())..)?;
    if !rest.is_ascii() {
        std::str::from_utf8(rest).ok()?;
    }
    Some(())
}

/// Where the run of bytes that are not ASCII ends, which begins at `at`, if it is UTF-8.
#[inline]
fn check_run(text: &[u8], at: usize) -> Option<usize> {
    let mut run = text.get(at..)?;
    // Latin letters with accents, by far the most frequent ones, and other small alphabets.
    while let [0xc2..=0xdf, 0x80..=0xbf, rest @ ..] = run {
        run = rest;
        if matches!(run, [0..=0x7f, ..]) {
            return Some(text.len() - run.len());
        }
    }
    let length = run.iter().position(u8::is_ascii).unwrap_or(run.len());
    std::str::from_utf8(run.get(..length)?).ok()?;
    Some(text.len() - run.len() + length)
}

#[inline]
fn high_bits(block: &[u8; 64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has SSE2.
    return unsafe { sse2::high_bits(block) };
    #[cfg(not(target_arch = "x86_64"))]
    plain::high_bits(block)
}

#[expect(clippy::as_conversions, reason = "at most 64")]
#[inline(always)]
const fn ones(mask: u64) -> usize {
    mask.count_ones() as usize
}

/// How many zeros are below the lowest bit.
#[expect(clippy::as_conversions, reason = "at most 64")]
#[inline(always)]
const fn zeros(mask: u64) -> usize {
    mask.trailing_zeros() as usize
}

/// How many bytes [`stops`] looks at.
pub(crate) const STOPS: usize = 32;

/// Where the first byte is that ends a run of plain characters in a JSON string: a quote, a
/// backslash or a control character; [`STOPS`] if there is none.
#[inline]
pub(crate) fn stops(window: &[u8; STOPS]) -> usize {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has SSE2.
    return unsafe { sse2::stops(window) };
    #[cfg(not(target_arch = "x86_64"))]
    plain::stops(window)
}

/// Which bytes of a window are of which kind: a bit for each, the first one lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds {
    pub(crate) letters: u32,
    pub(crate) digits: u32,
    pub(crate) hyphens: u32,
    pub(crate) dots: u32,
    /// `_` and `+`.
    pub(crate) marks: u32,
}

#[inline]
pub(crate) fn kinds(window: &[u8; STOPS]) -> Kinds {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has SSE2.
    return unsafe { sse2::kinds(window) };
    #[cfg(not(target_arch = "x86_64"))]
    plain::kinds(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole text, and all marks.
    fn run(path: Path, body: &[u8]) -> (Vec<u8>, Vec<u32>) {
        let mut text = vec![0xaa; body.len() + SLACK];
        let mut marks = [0; MARKS];
        let mut all = Vec::new();
        let mut cursor = Cursor::default();
        while !cursor.is_done(body) {
            let count = cursor.turn(path, body, &mut text, &mut marks);
            all.extend_from_slice(&marks[..count]);
        }
        text.truncate(cursor.len());
        assert!(cursor.may_break() || !text.iter().copied().any(may_break));
        assert_eq!(cursor.is_ascii(), text.is_ascii());
        (text, all)
    }

    #[test]
    fn escapes_and_separators_at_every_place() {
        let pieces: [&[u8]; 12] = [
            b"%41", b"%c3%A9", b"%", b"%4", b"%4g", b"%00", b"\0", b"&", b"=", b"+", b"%%41",
            b"%zz",
        ];
        for length in (0..200).chain(1_000..1_100) {
            for piece in pieces {
                for tail in ["", "x", "&b=c", &"y".repeat(90)] {
                    let mut body = vec![b'a'; length];
                    body.extend_from_slice(piece);
                    body.extend_from_slice(tail.as_bytes());
                    let expected = run(Path::Plain, &body);
                    for path in Path::available() {
                        assert_eq!(run(path, &body), expected, "{path:?} {length} {piece:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_plain_way_decodes() {
        assert_eq!(
            run(Path::Plain, b"a=%41+%c3%A9&%4&%00%=%25%26"),
            (b"a=A \xc3\xa9&%4&\0%=%&".to_vec(), vec![1, 6, 7, 9, 10, 11, 12])
        );
    }

    #[test]
    fn text_is_utf8_or_not_wherever_it_breaks() {
        for length in 0..140 {
            for (piece, good) in [
                (&b"\xc3\xa9"[..], true),
                (b"\xf0\x9f\x99\x82\xe2\x82\xac", true),
                (b"\xc3", false),
                (b"\xc3a\xa9", false),
                (b"\xed\xa0\x80", false),
                (b"\xff", false),
            ] {
                let text = [&vec![b'a'; length], piece, b"b\xc3\xa9"].concat();
                assert_eq!(is_utf8(&text), good);
                assert_eq!(is_utf8(&text), std::str::from_utf8(&text).is_ok());
            }
        }
    }

    #[test]
    fn only_what_may_be_a_line_break_is_taken_for_one() {
        for path in Path::available() {
            for length in 0..100 {
                for (piece, breaks) in [
                    ("%0a", true),
                    ("%0D", true),
                    ("\n", true),
                    ("%C2%85", true),
                    ("\u{2028}", true),
                    ("%22%c3%a9%26", false),
                ] {
                    let body = [&"a".repeat(length), piece, "&a=b"].concat();
                    let (mut text, mut marks) = (vec![0; body.len() + SLACK], [0; MARKS]);
                    let mut cursor = Cursor::default();
                    cursor.turn(path, body.as_bytes(), &mut text, &mut marks);
                    assert_eq!(cursor.may_break(), breaks, "{path:?} {length} {piece}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn all_ways_give_the_same(
            pieces in proptest::collection::vec(
                proptest::prop_oneof![
                    proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
                    "(%[0-9a-fA-F]{2}){0,60}".prop_map(String::into_bytes),
                    "[a-z&=+%0-9]{0,90}".prop_map(String::into_bytes),
                    "[a-z]{0,200}".prop_map(String::into_bytes),
                ],
                0..20,
            ),
        ) {
            let body = pieces.concat();
            let expected = run(Path::Plain, &body);
            for path in Path::available() {
                proptest::prop_assert_eq!(run(path, &body), expected.clone());
            }
            proptest::prop_assert_eq!(is_utf8(&body), std::str::from_utf8(&body).is_ok());
        }
    }

    #[test]
    fn windows_are_seen_as_the_plain_way_sees_them() {
        for byte in 0..=u8::MAX {
            for at in 0..STOPS {
                let mut window = [b'x'; STOPS];
                window[at] = byte;
                assert_eq!(stops(&window), plain::stops(&window));
                assert_eq!(kinds(&window), plain::kinds(&window));
                window[STOPS - 1] = b'"';
                assert_eq!(stops(&window), plain::stops(&window));
                let mut block = [b'x'; 64];
                block[at * 2] = byte;
                assert_eq!(high_bits(&block), plain::high_bits(&block));
            }
        }
    }

    use proptest::strategy::Strategy as _;
}
