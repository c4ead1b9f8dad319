//! 16 bytes at a time: bytes that stand for themselves are found and copied by blocks, escapes are
//! decoded one by one.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
    _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_storeu_si128, _mm_sub_epi8,
};

use super::{Cursor, DIGITS, Fault, MARKS, TURN, may_break, zeros};

const BLOCK: usize = 64;
const COPY: usize = 16;
/// Bytes that are read from the start of a block on: the last byte may begin an escape, and what
/// stands before an escape is copied 16 bytes at a time.
const REACH: usize = BLOCK + COPY + 2;

/// Bytes that may belong to a line break.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const BREAKS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        #[expect(clippy::as_conversions, reason = "a byte as its place")]
        {
            table[byte as usize] = may_break(byte);
        }
        if byte == u8::MAX {
            break table;
        }
        byte += 1;
    }
};

/// # Safety
/// From `cursor.len` on, `text` must have space for the rest of the body and [`super::SLACK`] bytes
/// more.
#[target_feature(enable = "sse2")]
pub(super) unsafe fn turn(
    cursor: &mut Cursor,
    body: &[u8],
    text: &mut [u8],
    marks: &mut [u32; MARKS],
) -> usize {
    let end = body.len().min(cursor.at.saturating_add(TURN));
    let text = text.as_mut_ptr();
    let mut out = Out {
        text,
        // SAFETY: within the text, as the caller says.
        to: unsafe { text.add(cursor.len) },
        marks: marks.as_mut_ptr(),
        count: 0,
        breaks: cursor.breaks,
        high: 0,
        worst: cursor.worst,
    };
    let mut at = cursor.at;
    while at < end && body.len() - at >= REACH {
        // SAFETY: there is as much in the body as is read of it.
        let (next, read) = unsafe { out.block(body.as_ptr().add(at), BLOCK) };
        out = next;
        at += read;
    }
    // The rest of the body, padded with zeros, so that nothing reads beyond its end.
    while at < end {
        let rest = body.get(at..).unwrap_or_default();
        let mut block = [0_u8; REACH];
        let length = rest.len().min(REACH);
        // SAFETY: not more than either has.
        unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), block.as_mut_ptr(), length) };
        // SAFETY: as much as is read.
        let (next, read) = unsafe { out.block(block.as_ptr(), rest.len().min(BLOCK)) };
        out = next;
        at += read;
    }
    cursor.at = at.min(body.len());
    cursor.len = out.to.addr() - out.text.addr();
    cursor.breaks = out.breaks;
    cursor.high |= out.high >= 0x80;
    cursor.worst = out.worst;
    out.count
}

struct Out {
    /// The start of the text, and where the next byte goes.
    text: *mut u8,
    to: *mut u8,
    marks: *mut u32,
    count: usize,
    breaks: bool,
    /// All bytes written, or-ed together: the high bit says whether one is not ASCII.
    high: u8,
    /// The worst fault since the last separator.
    worst: Fault,
}

impl Out {
    /// Decodes the `length` bytes from `from` on. Returns how many bytes it read: up to two more
    /// if an escape crosses the end.
    ///
    /// # Safety
    /// [`REACH`] bytes must be readable; text and marks must have space for a block and [`COPY`]
    /// more.
    #[target_feature(enable = "sse2")]
    #[inline]
    unsafe fn block(self, from: *const u8, length: usize) -> (Self, usize) {
        // By value: behind a reference, the compiler reloads every field after each byte written.
        let Self { text, mut to, marks, mut count, mut breaks, mut high, mut worst } = self;
        let mut begin = 0;
        // SAFETY: `at` and `begin` stay within the block, but for an escape, which is within
        // reach; at most as much is written as read, rounded up to 16. A mark is overwritten
        // unless it counts.
        unsafe {
            let valid = if length < BLOCK { (1 << length) - 1 } else { u64::MAX };
            let mut special = specials(from) & valid;
            if unusual_as_sent(from) & valid != 0 {
                breaks = true;
                high |= u8::from(high_bits(&*from.cast()) & valid != 0) << 7;
            }
            while special != 0 {
                let at = zeros(special);
                // The digits of an escape are never special.
                special &= special - 1;
                copy(from.add(begin), to, at - begin);
                to = to.add(at - begin);
                let here = from.add(at);
                let byte = *here;
                let (first, last) = (digit(*here.add(1)), digit(*here.add(2)));
                if byte == b'%' && (first | last) < 16 {
                    let byte = (first << 4) | last;
                    high |= byte;
                    *to = byte;
                    breaks |= BREAKS.get(usize::from(byte)).is_some_and(|breaks| *breaks);
                    if byte == 0 && worst < Fault::Nul {
                        *marks.add(count) = place(text, to);
                        count += 1;
                        worst = Fault::Nul;
                    }
                    begin = at + 3;
                } else {
                    *to = if byte == b'+' { b' ' } else { byte };
                    *marks.add(count) = place(text, to);
                    let separates = matches!(byte, b'&' | b'=');
                    count += usize::from(separates);
                    let fault = if byte == 0 { Fault::Nul } else { Fault::Broken };
                    if matches!(byte, b'%' | 0) {
                        count += usize::from(fault > worst);
                        worst = worst.max(fault);
                    } else if separates {
                        worst = Fault::None;
                    }
                    begin = at + 1;
                }
                to = to.add(1);
            }
            if begin < length {
                copy(from.add(begin), to, length - begin);
                to = to.add(length - begin);
                begin = length;
            }
        }
        (Self { text, to, marks, count, breaks, high, worst }, begin)
    }
}

#[inline(always)]
fn place(text: *const u8, to: *const u8) -> u32 {
    u32::try_from(to.addr() - text.addr()).unwrap_or(u32::MAX)
}

/// Copies bytes that stand for themselves, in whole blocks.
///
/// # Safety
/// `length`, rounded up to 16 and 16 at least, must be readable and writable.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    let mut done = 0;
    loop {
        // SAFETY: the caller has the space.
        unsafe {
            _mm_storeu_si128(to.add(done).cast(), _mm_loadu_si128(from.add(done).cast()));
        }
        done += COPY;
        if done >= length {
            break;
        }
    }
}

#[inline(always)]
fn digit(char: u8) -> u8 {
    DIGITS.get(usize::from(char)).copied().unwrap_or(super::NO_DIGIT)
}

/// Which of 64 bytes do not stand for themselves, or might not: a coarse test.
///
/// # Safety
/// 64 bytes must be readable.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn specials(from: *const u8) -> u64 {
    // SAFETY: within the 64 bytes.
    let mask = |at: usize| unsafe { special_mask(_mm_loadu_si128(from.add(at).cast())) };
    mask(0) | (mask(16) << 16) | (mask(32) << 32) | (mask(48) << 48)
}

/// Which of 64 bytes may, unescaped, belong to a line break. Senders escape them, so a coarse test
/// is enough: every byte outside 0x20 to 0x7f.
///
/// # Safety
/// 64 bytes must be readable.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn unusual_as_sent(from: *const u8) -> u64 {
    let mask = |at: usize| {
        // SAFETY: within the 64 bytes.
        let bytes = unsafe { _mm_loadu_si128(from.add(at).cast()) };
        let coarse = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
        u64::from(_mm_movemask_epi8(coarse).cast_unsigned())
    };
    mask(0) | (mask(16) << 16) | (mask(32) << 32) | (mask(48) << 48)
}

#[target_feature(enable = "sse2")]
#[inline]
pub(super) fn high_bits(block: &[u8; BLOCK]) -> u64 {
    let quarter = |at: usize| {
        // SAFETY: four times 16 bytes are in the block.
        unsafe { _mm_loadu_si128(block.as_ptr().add(at).cast()) }
    };
    let (first, second, third, fourth) = (quarter(0), quarter(16), quarter(32), quarter(48));
    let mask = |bytes| u64::from(_mm_movemask_epi8(bytes).cast_unsigned());
    // Most blocks have none.
    if mask(_mm_or_si128(_mm_or_si128(first, second), _mm_or_si128(third, fourth))) == 0 {
        return 0;
    }
    mask(first) | (mask(second) << 16) | (mask(third) << 32) | (mask(fourth) << 48)
}

#[target_feature(enable = "sse2")]
#[inline]
fn special_mask(bytes: __m128i) -> u64 {
    // From `%` to `+` there are seven characters, of which four seldom occur.
    let offset = _mm_sub_epi8(bytes, _mm_set1_epi8(0x25));
    let near = _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8(6)), offset);
    let equals = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x3d));
    let nul = _mm_cmpeq_epi8(bytes, _mm_setzero_si128());
    let any = _mm_or_si128(_mm_or_si128(near, equals), nul);
    u64::from(_mm_movemask_epi8(any).cast_unsigned())
}

#[target_feature(enable = "sse2")]
#[inline]
pub(super) fn stops(window: &[u8; super::STOPS]) -> usize {
    let mask = |at: usize| {
        // SAFETY: two times 16 bytes are in the window.
        let bytes = unsafe { _mm_loadu_si128(window.as_ptr().add(at).cast()) };
        let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x22));
        let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x5c));
        let any = _mm_or_si128(_mm_or_si128(quote, backslash), control);
        u64::from(_mm_movemask_epi8(any).cast_unsigned())
    };
    zeros(mask(0) | (mask(16) << 16) | (1 << super::STOPS))
}

#[target_feature(enable = "sse2")]
#[inline]
pub(super) fn kinds(window: &[u8; super::STOPS]) -> super::Kinds {
    let half = |at: usize| {
        // SAFETY: two times 16 bytes are in the window.
        unsafe { _mm_loadu_si128(window.as_ptr().add(at).cast()) }
    };
    let (first, second) = (half(0), half(16));
    let both = |kind: fn(__m128i) -> __m128i| {
        let mask = |bytes| _mm_movemask_epi8(kind(bytes)).cast_unsigned();
        mask(first) | (mask(second) << 16)
    };
    super::Kinds {
        letters: both(|bytes| within(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), b'a', b'z')),
        digits: both(|bytes| within(bytes, b'0', b'9')),
        hyphens: both(|bytes| within(bytes, b'-', b'-')),
        dots: both(|bytes| within(bytes, b'.', b'.')),
        marks: both(|bytes| _mm_or_si128(within(bytes, b'_', b'_'), within(bytes, b'+', b'+'))),
    }
}

#[target_feature(enable = "sse2")]
#[inline]
pub(super) fn equal(one: &[u8; super::STOPS], other: &[u8; super::STOPS]) -> u32 {
    let half = |at: usize| {
        // SAFETY: two times 16 bytes are in each window.
        let (one, other) = unsafe {
            let (one, other) = (one.as_ptr().add(at), other.as_ptr().add(at));
            (_mm_loadu_si128(one.cast()), _mm_loadu_si128(other.cast()))
        };
        _mm_movemask_epi8(_mm_cmpeq_epi8(one, other)).cast_unsigned()
    };
    half(0) | (half(16) << 16)
}

#[target_feature(enable = "sse2")]
#[inline]
pub(super) fn url_marks(window: &[u8; super::STOPS]) -> super::UrlMarks {
    let half = |at: usize| {
        // SAFETY: two times 16 bytes are in the window.
        unsafe { _mm_loadu_si128(window.as_ptr().add(at).cast()) }
    };
    let (first, second) = (half(0), half(16));
    let both = |kind: fn(__m128i) -> __m128i| {
        let mask = |bytes| _mm_movemask_epi8(kind(bytes)).cast_unsigned();
        mask(first) | (mask(second) << 16)
    };
    super::UrlMarks {
        unclean: both(|bytes| _mm_or_si128(within(bytes, 0, b' '), are(bytes, 0x7f, b'\\'))),
        parts: both(|bytes| are(bytes, b'?', b'#')),
    }
}

/// Which bytes are one of the two.
#[target_feature(enable = "sse2")]
#[inline]
fn are(bytes: __m128i, one: u8, other: u8) -> __m128i {
    let is = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte.cast_signed()));
    _mm_or_si128(is(one), is(other))
}

/// Which bytes are between two, both included.
#[target_feature(enable = "sse2")]
#[inline]
fn within(bytes: __m128i, first: u8, last: u8) -> __m128i {
    let offset = _mm_sub_epi8(bytes, _mm_set1_epi8(first.cast_signed()));
    let span = _mm_set1_epi8((last - first).cast_signed());
    _mm_cmpeq_epi8(_mm_min_epu8(offset, span), offset)
}
