//! Blocks of bytes by vector instructions: percent-escapes, `+` and separators of form bodies,
//! where a plain run of a JSON string ends, and which bytes of a window are of which kind.
//!
//! A leaf with `unsafe` and nothing else. Five backends decode a body;
//! [`Backend::best`] chooses one at run time by what the processor has: [`Backend::Avx512`]
//! (64 bytes at a time, VBMI2), [`Backend::Avx2`] (32 at a time, on nearly every x86-64 since 2015),
//! [`Backend::Sse2`] (16 at a time, on every x86-64), [`Backend::Neon`] (16 at a time, on every
//! 64-bit ARM) and [`Backend::Scalar`] (byte by byte, without `unsafe`, on every machine). The
//! scalar one is the reference that a property test here and the fuzz
//! target `backends` hold the others against.
#![warn(missing_docs)]
#![expect(unsafe_code, reason = "vector loads and stores, each within bounds checked before")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod runs;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod sse2;

/// What every processor of the architecture has.
#[cfg(target_arch = "aarch64")]
use neon as lanes;
#[cfg(target_arch = "x86_64")]
use sse2 as lanes;

/// How a body is decoded. Every backend gives the same result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Byte by byte, on every machine.
    Scalar,
    /// 16 bytes at a time, on every x86-64.
    Sse2,
    /// 16 bytes at a time, on every 64-bit ARM.
    Neon,
    /// 32 bytes at a time: AVX2.
    Avx2,
    /// 64 bytes at a time: AVX-512 with VBMI2.
    Avx512,
}

impl Backend {
    /// The fastest that this processor has. The standard library caches the processor's features.
    #[must_use]
    pub fn best() -> Self {
        if Self::Avx512.is_available() {
            Self::Avx512
        } else if Self::Avx2.is_available() {
            Self::Avx2
        } else if Self::Sse2.is_available() {
            Self::Sse2
        } else if Self::Neon.is_available() {
            Self::Neon
        } else {
            Self::Scalar
        }
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            Self::Sse2 => cfg!(target_arch = "x86_64"),
            Self::Neon => cfg!(target_arch = "aarch64"),
            Self::Avx2 => avx2_is_available(),
            Self::Avx512 => avx512_is_available(),
        }
    }

    /// Every backend that this processor has, the slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        [Self::Scalar, Self::Sse2, Self::Neon, Self::Avx2, Self::Avx512]
            .into_iter()
            .filter(|backend| backend.is_available())
    }
}

#[cfg(target_arch = "x86_64")]
fn avx2_is_available() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(not(target_arch = "x86_64"))]
const fn avx2_is_available() -> bool {
    false
}

#[cfg(target_arch = "x86_64")]
fn avx512_is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("popcnt")
}

#[cfg(not(target_arch = "x86_64"))]
const fn avx512_is_available() -> bool {
    false
}

/// The most bytes of a body that one turn reads, but for the rest of an escape that crosses its end.
const TURN: usize = 1_024;

/// The length of the buffer for the marks of one turn: one for each byte, and space for a last
/// block, which is written whole.
pub const MARKS: usize = TURN + 128;

/// Bytes that the text buffer must have beyond the length of the body, because whole blocks are
/// written.
pub const SLACK: usize = 128;

/// How far a body has been decoded.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// Bytes of the body read so far.
    at: usize,
    /// Bytes of text written so far.
    len: usize,
    /// A bit for each byte after `at` that belongs to an escape before it, the first one lowest.
    #[cfg(target_arch = "x86_64")]
    carry: u64,
    /// Whether the text may hold a line break.
    breaks: bool,
    /// Whether the text holds a byte that is not ASCII.
    high: bool,
    /// The worst fault since the last separator.
    worst: Fault,
}

/// A fault that is marked, the worst one last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    #[default]
    None,
    Nul,
    /// A `%` that begins no escape.
    Broken,
}

/// Marks a byte that is not a hex digit.
const NO_DIGIT: u8 = 0x80;

/// The value of each hex digit, by character.
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
    #[must_use]
    #[inline]
    pub const fn may_break(&self) -> bool {
        self.breaks
    }

    /// Whether all of the text is ASCII.
    const fn is_ascii(&self) -> bool {
        !self.high
    }

    /// Bytes of text written so far.
    #[must_use]
    #[inline]
    pub const fn text_bytes(&self) -> usize {
        self.len
    }

    /// Whether the whole body was read.
    #[must_use]
    #[inline]
    pub const fn is_done(&self, body: &[u8]) -> bool {
        self.at >= body.len()
    }

    /// Decodes the next 1,024 bytes of the body, or what is left, and returns how many marks it
    /// wrote. A mark is a position in the text, in ascending order: of each `&` and `=` that was
    /// sent unescaped, and between two of these of the first `%` that begins no escape, and of the
    /// first U+0000 if it stands before that.
    ///
    /// # Panics
    /// If `text` is not at least [`SLACK`] bytes longer than the body.
    #[inline]
    pub fn turn(
        &mut self,
        backend: Backend,
        body: &[u8],
        text: &mut [u8],
        marks: &mut [u32; MARKS],
    ) -> usize {
        // Each byte read gives at most one byte of text, so this holds to the end.
        assert!(self.len <= self.at && self.at <= body.len() && text.len() - SLACK >= body.len());
        match backend {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the features are there; the space was checked above.
            Backend::Avx512 if avx512_is_available() => unsafe {
                avx512::turn(self, body, text, marks)
            },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the features are there; the space was checked above.
            Backend::Avx2 if avx2_is_available() => unsafe { avx2::turn(self, body, text, marks) },
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            // SAFETY: every such processor has SSE2 or NEON; the space was checked above.
            Backend::Sse2 | Backend::Neon | Backend::Avx2 | Backend::Avx512 => unsafe {
                runs::turn(self, body, text, marks)
            },
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            Backend::Sse2 | Backend::Neon | Backend::Avx2 | Backend::Avx512 => {
                scalar::turn(self, body, text, marks)
            }
            Backend::Scalar => scalar::turn(self, body, text, marks),
        }
    }
}

/// Of the separators and faults of a block, a bit for each byte, those that are marked. A block of
/// faults takes one turn of the loop for each separator.
#[cfg(target_arch = "x86_64")]
#[cold]
fn marked(separators: u64, nuls: u64, broken: u64, worst: &mut Fault) -> u64 {
    let lowest = |bits: u64| bits & bits.wrapping_neg();
    let mut marked = separators;
    let mut rest = separators | nuls | broken;
    while rest != 0 {
        let next = lowest(separators & rest);
        // All bits if there is no separator any more.
        let before = next.wrapping_sub(1);
        let (first_broken, first_nul) =
            (lowest(broken & rest & before), lowest(nuls & rest & before));
        if *worst < Fault::Broken && first_broken != 0 {
            marked |= first_broken;
        }
        if *worst < Fault::Nul && first_nul != 0 && (first_nul - 1) & first_broken == 0 {
            marked |= first_nul;
        }
        if next != 0 {
            *worst = Fault::None;
        } else if first_broken != 0 {
            *worst = Fault::Broken;
        } else if first_nul != 0 {
            *worst = (*worst).max(Fault::Nul);
        }
        rest &= !(before | next);
    }
    marked
}

/// The decoded text, and the whole buffer, of which the text is the beginning.
///
/// A text that is not UTF-8 is given to `repair`; if it is not UTF-8 after that, the text is empty.
pub fn utf8<'t>(
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
    // SAFETY: the decoder saw only ASCII, or the text was found to be UTF-8, and nobody has written
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
    // Where the next run may begin: a run may cross the end of a block.
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

/// Where a run of bytes that are not ASCII ends, which begins at `at`; `None` if it is not UTF-8.
#[inline]
fn check_run(text: &[u8], at: usize) -> Option<usize> {
    let mut run = text.get(at..)?;
    // Two-byte characters: accented Latin letters, by far the most frequent, Greek, Cyrillic.
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
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: every such processor has SSE2 or NEON.
    return unsafe { lanes::high_bits(block) };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    scalar::high_bits(block)
}

#[cfg(target_arch = "x86_64")]
#[expect(clippy::as_conversions, reason = "at most 64")]
#[inline(always)]
const fn ones(mask: u64) -> usize {
    mask.count_ones() as usize
}

/// How many zeros are below the lowest bit that is set; 64 if none is.
#[expect(clippy::as_conversions, reason = "at most 64")]
#[inline(always)]
const fn zeros(mask: u64) -> usize {
    mask.trailing_zeros() as usize
}

/// The length of a window, in bytes.
pub const STOPS: usize = 32;

/// The position of the first byte that ends a run of plain characters in a JSON string: a quote, a
/// backslash or a control character. [`STOPS`] if there is none.
#[must_use]
#[inline]
pub fn stops(window: &[u8; STOPS]) -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: every such processor has SSE2 or NEON.
    return unsafe { lanes::stops(window) };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    scalar::stops(window)
}

/// Which bytes of a window are of which kind: a bit for each byte, the first one lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    /// ASCII letters.
    pub letters: u32,
    /// ASCII digits.
    pub digits: u32,
    /// `-`.
    pub hyphens: u32,
    /// `.`.
    pub dots: u32,
    /// `_` and `+`.
    pub marks: u32,
}

/// The kinds of the bytes of a window.
#[must_use]
#[inline]
pub fn kinds(window: &[u8; STOPS]) -> Kinds {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: every such processor has SSE2 or NEON.
    return unsafe { lanes::kinds(window) };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    scalar::kinds(window)
}

/// Which bytes of two windows are equal: a bit for each place, the first one lowest.
#[must_use]
#[inline]
pub fn equal(one: &[u8; STOPS], other: &[u8; STOPS]) -> u32 {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: every such processor has SSE2 or NEON.
    return unsafe { lanes::equal(one, other) };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    scalar::equal(one, other)
}

/// Bytes of a window that matter to who reads a URL: a bit for each byte, the first one lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlMarks {
    /// Spaces, control characters and `\`.
    pub unclean: u32,
    /// `?` and `#`.
    pub parts: u32,
}

/// Bytes of a window that matter to who reads a URL.
#[must_use]
#[inline]
pub fn url_marks(window: &[u8; STOPS]) -> UrlMarks {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    // SAFETY: every such processor has SSE2 or NEON.
    return unsafe { lanes::url_marks(window) };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    scalar::url_marks(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole text, and all marks.
    fn run(backend: Backend, body: &[u8]) -> (Vec<u8>, Vec<u32>) {
        let mut text = vec![0xaa; body.len() + SLACK];
        let mut marks = [0; MARKS];
        let mut all = Vec::new();
        let mut cursor = Cursor::default();
        while !cursor.is_done(body) {
            let count = cursor.turn(backend, body, &mut text, &mut marks);
            all.extend_from_slice(&marks[..count]);
        }
        text.truncate(cursor.text_bytes());
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
                    let expected = run(Backend::Scalar, &body);
                    for backend in Backend::available() {
                        assert_eq!(run(backend, &body), expected, "{backend:?} {length} {piece:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_scalar_backend_decodes() {
        assert_eq!(
            run(Backend::Scalar, b"a=%41+%c3%A9&%4&%00%=%25%26"),
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
        for backend in Backend::available() {
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
                    cursor.turn(backend, body.as_bytes(), &mut text, &mut marks);
                    assert_eq!(cursor.may_break(), breaks, "{backend:?} {length} {piece}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn every_backend_gives_the_same(
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
            let expected = run(Backend::Scalar, &body);
            for backend in Backend::available() {
                proptest::prop_assert_eq!(run(backend, &body), expected.clone());
            }
            proptest::prop_assert_eq!(is_utf8(&body), std::str::from_utf8(&body).is_ok());
        }
    }

    #[test]
    fn windows_are_classed_as_the_scalar_code_classes_them() {
        for byte in 0..=u8::MAX {
            for at in 0..STOPS {
                let mut window = [b'x'; STOPS];
                window[at] = byte;
                assert_eq!(stops(&window), scalar::stops(&window));
                assert_eq!(kinds(&window), scalar::kinds(&window));
                assert_eq!(url_marks(&window), scalar::url_marks(&window));
                let x = [b'x'; STOPS];
                assert_eq!(equal(&window, &x), scalar::equal(&window, &x));
                window[STOPS - 1] = b'"';
                assert_eq!(stops(&window), scalar::stops(&window));
                let mut block = [b'x'; 64];
                block[at * 2] = byte;
                assert_eq!(high_bits(&block), scalar::high_bits(&block));
            }
        }
    }

    use proptest::strategy::Strategy as _;
}
