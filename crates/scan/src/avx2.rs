//! 64 bytes at a time, in two halves: all escapes of a block are decoded at once by arithmetic, and the
//! bytes of their digits are squeezed out eight at a time by a table.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi8, _mm_loadl_epi64, _mm_set1_epi8, _mm_shuffle_epi8,
    _mm_storel_epi64, _mm256_add_epi8, _mm256_and_si256, _mm256_blendv_epi8,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_extracti128_si256,
    _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
    _mm256_setzero_si256, _mm256_slli_epi16, _mm256_storeu_si256, _mm256_sub_epi8,
};

use super::{Cursor, MARKS, TURN, ones, zeros};

const BLOCK: usize = 64;
const HALF: usize = 32;
/// Bytes that are read from the start of a block on: the last byte may begin an escape.
const REACH: usize = BLOCK + 2;

/// For each choice among eight bytes, the places of those that stay, in order.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const SQUEEZE: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut choice = 0;
    while choice < 256 {
        let (mut place, mut kept) = (0, 0);
        while place < 8 {
            if choice >> place & 1 == 1 {
                #[expect(clippy::as_conversions, reason = "below 8")]
                {
                    table[choice][kept] = place as u8;
                }
                kept += 1;
            }
            place += 1;
        }
        choice += 1;
    }
    table
};

/// 64 bytes.
#[derive(Clone, Copy)]
struct Block([__m256i; 2]);

impl Block {
    /// # Safety
    /// 64 bytes must be readable.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load(from: *const u8) -> Self {
        // SAFETY: within the 64 bytes.
        unsafe {
            Self([_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(HALF).cast())])
        }
    }

    /// A bit for each byte: its highest.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn bits(self) -> u64 {
        let [first, second] = self.0.map(|half| _mm256_movemask_epi8(half).cast_unsigned());
        u64::from(first) | (u64::from(second) << HALF)
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn are(self, byte: u8) -> Self {
        Self(self.0.map(|half| _mm256_cmpeq_epi8(half, all(byte))))
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn all(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// The values of hex digits, and which bytes are digits; the value of any other byte is 0.
#[target_feature(enable = "avx2")]
#[inline]
fn digits(chars: __m256i) -> (__m256i, __m256i) {
    let number = _mm256_sub_epi8(chars, all(b'0'));
    let letter = _mm256_sub_epi8(_mm256_or_si256(chars, all(0x20)), all(b'a'));
    let is_number = _mm256_cmpeq_epi8(_mm256_min_epu8(number, all(9)), number);
    let is_letter = _mm256_cmpeq_epi8(_mm256_min_epu8(letter, all(5)), letter);
    let number = _mm256_and_si256(is_number, number);
    let letter = _mm256_and_si256(is_letter, _mm256_add_epi8(letter, all(10)));
    (_mm256_or_si256(number, letter), _mm256_or_si256(is_number, is_letter))
}

/// # Safety
/// The processor must have the features below. From `cursor.len` on, `text` must have space for the
/// rest of the body and [`super::SLACK`] bytes more.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(super) unsafe fn turn(
    cursor: &mut Cursor,
    body: &[u8],
    text: &mut [u8],
    marks: &mut [u32; MARKS],
) -> usize {
    let end = body.len().min(cursor.at.saturating_add(TURN));
    let mut out = Out {
        text: text.as_mut_ptr(),
        len: cursor.len,
        marks: marks.as_mut_ptr(),
        count: 0,
        carry: cursor.carry,
        breaks: cursor.breaks,
        high: 0,
    };
    let mut at = cursor.at;
    while at < end && body.len() - at >= REACH {
        // SAFETY: there is as much in the body as is read of it.
        out = unsafe { out.block(body.as_ptr().add(at), u64::MAX) };
        at += BLOCK;
    }
    // The rest of the body, padded with zeros, so that nothing reads beyond its end.
    while at < end {
        let rest = body.get(at..).unwrap_or_default();
        let mut block = [0_u8; REACH];
        let length = rest.len().min(REACH);
        let valid = if length >= BLOCK { u64::MAX } else { (1 << length) - 1 };
        // SAFETY: not more than either has; as much is read as there is.
        out = unsafe {
            std::ptr::copy_nonoverlapping(rest.as_ptr(), block.as_mut_ptr(), length);
            out.block(block.as_ptr(), valid)
        };
        at += BLOCK;
    }
    let high = cursor.high || out.high != 0;
    *cursor =
        Cursor { at: at.min(body.len()), len: out.len, carry: out.carry, breaks: out.breaks, high };
    out.count
}

struct Out {
    text: *mut u8,
    len: usize,
    marks: *mut u32,
    count: usize,
    carry: u64,
    breaks: bool,
    /// Of some block, which bytes are not ASCII.
    high: u64,
}

impl Out {
    /// Decodes the `valid` ones of the 64 bytes from `from` on.
    ///
    /// # Safety
    /// [`REACH`] bytes must be readable; text and marks must have space for a block more.
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    #[inline]
    unsafe fn block(self, from: *const u8, valid: u64) -> Self {
        // By value: behind a reference, the compiler reloads every field after each byte written.
        let Self { text, mut len, marks, mut count, mut carry, mut breaks, mut high } = self;
        // SAFETY: the caller has the bytes.
        let here = unsafe { Block::load(from) };
        let spaces = here.are(b'+');
        let mut decoded = Block([
            _mm256_blendv_epi8(here.0[0], all(b' '), spaces.0[0]),
            _mm256_blendv_epi8(here.0[1], all(b' '), spaces.0[1]),
        ]);
        let separators = here.are(b'&').bits() | here.are(b'=').bits();
        let percent = here.are(b'%');
        let begins = percent.bits();
        let mut keep = valid & !carry;
        carry = 0;
        let mut marked = separators;
        if begins != 0 {
            // SAFETY: within reach.
            let (next, after) = unsafe { (Block::load(from.add(1)), Block::load(from.add(2))) };
            let mut escapes = 0_u64;
            for half in [0, 1] {
                let (Some(next), Some(after), Some(percent), Some(to)) = (
                    next.0.get(half),
                    after.0.get(half),
                    percent.0.get(half),
                    decoded.0.get_mut(half),
                ) else {
                    continue;
                };
                let ((first, first_good), (last, last_good)) = (digits(*next), digits(*after));
                let good = _mm256_and_si256(_mm256_and_si256(first_good, last_good), *percent);
                // A digit is below 16, so the shift moves nothing into the next byte.
                let byte = _mm256_or_si256(_mm256_slli_epi16::<4>(first), last);
                *to = _mm256_blendv_epi8(*to, byte, good);
                escapes |= u64::from(_mm256_movemask_epi8(good).cast_unsigned()) << (half * HALF);
            }
            keep &= !((escapes << 1) | (escapes << 2));
            carry = (escapes >> 63) | (escapes >> 62);
            marked |= begins & !escapes;
        }
        marked &= keep;
        // Control characters and, because the comparison is signed, every byte that is not ASCII.
        let unusual = Block(decoded.0.map(|half| _mm256_cmpgt_epi8(all(b' '), half)));
        if unusual.bits() & keep != 0 {
            let nul = Block(decoded.0.map(|half| _mm256_cmpeq_epi8(half, _mm256_setzero_si256())));
            marked |= nul.bits() & keep;
            let may_break = decoded.are(b'\n').bits()
                | decoded.are(b'\r').bits()
                | decoded.are(0xc2).bits()
                | decoded.are(0xe2).bits();
            breaks |= may_break & keep != 0;
            high |= decoded.bits() & keep;
        }
        let mut rest = marked;
        while rest != 0 {
            let below = (rest & rest.wrapping_neg()) - 1;
            let place = len + ones(keep & below);
            // SAFETY: at most one mark for each byte of a turn, and space for a block more.
            unsafe { *marks.add(count) = u32::try_from(place).unwrap_or(u32::MAX) };
            count += 1;
            rest &= rest - 1;
        }
        // SAFETY: at most one byte of text for each byte of the body, and space for a block more.
        unsafe {
            if keep == u64::MAX || keep.wrapping_add(1).is_power_of_two() {
                // All of them, or the first ones.
                store(text.add(len), decoded);
                len += zeros(!keep);
            } else {
                len = squeeze(text, len, decoded, keep);
            }
        }
        Self { text, len, marks, count, carry, breaks, high }
    }
}

/// # Safety
/// 64 bytes must be writable.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn store(to: *mut u8, block: Block) {
    let [first, second] = block.0;
    // SAFETY: within the 64 bytes.
    unsafe {
        _mm256_storeu_si256(to.cast(), first);
        _mm256_storeu_si256(to.add(HALF).cast(), second);
    }
}

/// Writes the bytes to keep behind `len`; returns the new length.
///
/// # Safety
/// 64 bytes must be writable behind `len`.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
unsafe fn squeeze(text: *mut u8, mut len: usize, block: Block, keep: u64) -> usize {
    let eight = _mm_set1_epi8(8);
    let quarters: [__m128i; 4] = [
        _mm256_castsi256_si128(block.0[0]),
        _mm256_extracti128_si256::<1>(block.0[0]),
        _mm256_castsi256_si128(block.0[1]),
        _mm256_extracti128_si256::<1>(block.0[1]),
    ];
    let choices = keep.to_le_bytes();
    let (choices, _) = choices.as_chunks::<2>();
    for (quarter, [lower, upper]) in quarters.into_iter().zip(choices) {
        let places = |choice: u8| {
            let places = SQUEEZE.get(usize::from(choice)).unwrap_or(&[0; 8]);
            // SAFETY: the table has eight bytes for each choice.
            unsafe { _mm_loadl_epi64(places.as_ptr().cast()) }
        };
        // SAFETY: eight bytes are written for each eight read, as the caller has space for.
        unsafe {
            _mm_storel_epi64(text.add(len).cast(), _mm_shuffle_epi8(quarter, places(*lower)));
            len += ones(u64::from(*lower));
            let places = _mm_add_epi8(places(*upper), eight);
            _mm_storel_epi64(text.add(len).cast(), _mm_shuffle_epi8(quarter, places));
            len += ones(u64::from(*upper));
        }
    }
    len
}
