//! 16 bytes at a time: what needs no decoding is found and copied by blocks, each escape by
//! itself.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8,
    _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128, _mm_storeu_si128, _mm_sub_epi8,
};

use super::{Cursor, DIGITS, MARKS, TURN, may_break, zeros};

const BLOCK: usize = 64;
const COPY: usize = 16;
/// How far behind the begin of a block it is read: the last byte may begin an escape, and what
/// stands before one is copied by 16 bytes.
const REACH: usize = BLOCK + COPY + 2;

/// Bytes that may belong to a line break.
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
/// `text` must have room for what is left of the body and for [`super::SLACK`] bytes more, from
/// `cursor.len` on.
#[target_feature(enable = "sse2")]
pub(super) unsafe fn turn(
    cursor: &mut Cursor,
    body: &[u8],
    text: &mut [u8],
    marks: &mut [u32; MARKS],
) -> usize {
    let end = body.len().min(cursor.at.saturating_add(TURN));
    let mut out = Out {
        // SAFETY: within the text, as the caller says.
        to: unsafe { text.as_mut_ptr().add(cursor.len) },
        len: cursor.len,
        marks: marks.as_mut_ptr(),
        count: 0,
        breaks: cursor.breaks,
    };
    let mut at = cursor.at;
    while at < end && body.len() - at >= REACH {
        // SAFETY: there is as much in the body as is read of it.
        at += unsafe { out.block(body.as_ptr().add(at), BLOCK) };
    }
    // The rest of the body, with zeros behind, so that nothing reads over its end.
    while at < end {
        let rest = body.get(at..).unwrap_or_default();
        let mut block = [0_u8; REACH];
        let length = rest.len().min(REACH);
        // SAFETY: not more than either has.
        unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), block.as_mut_ptr(), length) };
        // SAFETY: as much as is read.
        at += unsafe { out.block(block.as_ptr(), rest.len().min(BLOCK)) };
    }
    cursor.at = at.min(body.len());
    cursor.len = out.len;
    cursor.breaks = out.breaks;
    out.count
}

struct Out {
    to: *mut u8,
    len: usize,
    marks: *mut u32,
    count: usize,
    breaks: bool,
}

impl Out {
    /// Decodes the `length` bytes from `from` on; returns how many it has read, which is up to two
    /// more if an escape reaches over the end.
    ///
    /// # Safety
    /// [`REACH`] bytes must be readable; text and marks must have room for a block and [`COPY`]
    /// more.
    #[target_feature(enable = "sse2")]
    #[inline]
    unsafe fn block(&mut self, from: *const u8, length: usize) -> usize {
        // SAFETY: `at` and `begin` stay within the block, but for an escape, which is within
        // reach; at most as much is written as read, rounded up to 16.
        unsafe {
            let valid = if length < BLOCK { (1 << length) - 1 } else { u64::MAX };
            let mut special = specials(from) & valid;
            self.breaks |= breaks(from) & valid != 0;
            let mut begin = 0;
            while special != 0 {
                let at = zeros(special);
                self.copy(from.add(begin), at - begin);
                begin = at + self.special(from.add(at));
                // The digits of an escape are never special.
                special &= special - 1;
            }
            if begin < length {
                self.copy(from.add(begin), length - begin);
                begin = length;
            }
            begin
        }
    }

    /// Copies what stands for itself.
    #[target_feature(enable = "sse2")]
    #[inline]
    unsafe fn copy(&mut self, from: *const u8, length: usize) {
        let mut done = 0;
        loop {
            // SAFETY: see `block`.
            unsafe {
                let bytes = _mm_loadu_si128(from.add(done).cast());
                _mm_storeu_si128(self.to.add(done).cast(), bytes);
            }
            done += COPY;
            if done >= length {
                break;
            }
        }
        // SAFETY: see `block`.
        self.to = unsafe { self.to.add(length) };
        self.len += length;
    }

    /// Writes the byte that stands at `from`, and marks it; returns how many bytes it took.
    #[inline(always)]
    unsafe fn special(&mut self, from: *const u8) -> usize {
        // SAFETY: two bytes more than the block are within reach.
        let (byte, high, low) = unsafe { (*from, digit(*from.add(1)), digit(*from.add(2))) };
        if byte == b'%' && (high | low) < 16 {
            let byte = (high << 4) | low;
            self.breaks |= BREAKS.get(usize::from(byte)).is_some_and(|breaks| *breaks);
            self.push(byte, byte == 0);
            return 3;
        }
        let plus = byte == b'+';
        let marked = matches!(byte, b'%' | b'&' | b'=' | 0);
        self.push(if plus { b' ' } else { byte }, marked);
        1
    }

    #[inline(always)]
    fn push(&mut self, byte: u8, marked: bool) {
        // SAFETY: see `block`; the mark is overwritten unless it counts.
        unsafe {
            *self.to = byte;
            *self.marks.add(self.count) = u32::try_from(self.len).unwrap_or(u32::MAX);
            self.to = self.to.add(1);
        }
        self.count += usize::from(marked);
        self.len += 1;
    }
}

#[inline(always)]
fn digit(char: u8) -> u8 {
    DIGITS.get(usize::from(char)).copied().unwrap_or(super::NO_DIGIT)
}

/// Which of 64 bytes do not simply stand for themselves, or might not.
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

/// Which of 64 bytes may, as they are, belong to a line break. Senders encode them, so that the
/// test is a coarse one: no byte from 0x20 to 0x7f.
///
/// # Safety
/// 64 bytes must be readable.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn breaks(from: *const u8) -> u64 {
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
    let mask = |at: usize| {
        // SAFETY: four times 16 bytes are in the block.
        let bytes = unsafe { _mm_loadu_si128(block.as_ptr().add(at).cast()) };
        u64::from(_mm_movemask_epi8(bytes).cast_unsigned())
    };
    mask(0) | (mask(16) << 16) | (mask(32) << 32) | (mask(48) << 48)
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
