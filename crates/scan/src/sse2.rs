//! 16 bytes at a time, on every x86-64: what [`super::runs`] and the windows ask for.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
    _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_storeu_si128, _mm_sub_epi8,
};

/// Which of 64 bytes do not stand for themselves, or might not: a coarse test.
///
/// # Safety
/// 64 bytes must be readable.
#[target_feature(enable = "sse2")]
#[inline]
pub(super) unsafe fn specials(from: *const u8) -> u64 {
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
pub(super) unsafe fn unusual_as_sent(from: *const u8) -> u64 {
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
pub(super) fn high_bits(block: &[u8; 64]) -> u64 {
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

/// # Safety
/// 16 bytes must be readable, and 16 writable.
#[target_feature(enable = "sse2")]
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8) {
    // SAFETY: the caller has the space.
    unsafe { _mm_storeu_si128(to.cast(), _mm_loadu_si128(from.cast())) };
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
    super::zeros(mask(0) | (mask(16) << 16) | (1 << super::STOPS))
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
