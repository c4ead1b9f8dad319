//! 64 bytes at a time: all escapes of a block are decoded at once, and the bytes of their digits are
//! compressed away.

use std::arch::x86_64::{
    __m128i, __m512i, _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask,
    _mm512_cmplt_epi8_mask, _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32, _mm512_loadu_si512,
    _mm512_mask_blend_epi8, _mm512_maskz_compress_epi8, _mm512_maskz_loadu_epi8,
    _mm512_movepi8_mask, _mm512_or_si512, _mm512_permutex2var_epi8, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_slli_epi16, _mm512_storeu_si512, _mm512_ternarylogic_epi32,
    _mm512_testn_epi8_mask, _pext_u64,
};

use super::{Cursor, DIGITS, Fault, MARKS, TURN, marked, ones};

const BLOCK: usize = 64;

/// `0, 1, 2, ...`
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const PLACES: [u8; BLOCK] = {
    let mut places = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        #[expect(clippy::as_conversions, reason = "below 64")]
        {
            places[at] = at as u8;
        }
        at += 1;
    }
    places
};

/// A block of the body, and the same one and two bytes further on.
struct Block {
    here: __m512i,
    next: __m512i,
    after: __m512i,
    /// The bytes of `here` that are in the body.
    valid: u64,
}

/// # Safety
/// The processor must have the features below. From `cursor.len` on, `text` must have space for the
/// rest of the body and [`super::SLACK`] bytes more.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vbmi2,bmi1,bmi2,popcnt")]
pub(super) unsafe fn turn(
    cursor: &mut Cursor,
    body: &[u8],
    text: &mut [u8],
    marks: &mut [u32; MARKS],
) -> usize {
    let end = body.len().min(cursor.at.saturating_add(TURN));
    // SAFETY: the tables are as long as what is read of them.
    let (low_digits, high_digits, places) = unsafe {
        let digits = DIGITS.as_ptr();
        (
            _mm512_loadu_si512(digits.cast()),
            _mm512_loadu_si512(digits.add(BLOCK).cast()),
            _mm512_loadu_si512(PLACES.as_ptr().cast()),
        )
    };
    let is = |char: u8| _mm512_set1_epi8(char.cast_signed());
    let (percent, plus, space, ampersand, equals) =
        (is(b'%'), is(b'+'), is(b' '), is(b'&'), is(b'='));
    let high_nibbles = is(0xf0);
    let (mut breaks, mut high_bits) = (cursor.breaks, 0);
    let (mut at, mut len, mut carry, mut count) = (cursor.at, cursor.len, cursor.carry, 0_usize);
    let mut worst = cursor.worst;
    while at < end {
        // SAFETY: `at` is within the body.
        let block = unsafe { load(body, at) };
        let digit = |chars| _mm512_permutex2var_epi8(low_digits, chars, high_digits);
        let (high, low) = (digit(block.next), digit(block.after));
        // The high bit marks what is not a hex digit. Of a byte that is not ASCII the table looks
        // up the low seven bits, so the bytes themselves are or-ed in.
        let nearly = _mm512_ternarylogic_epi32::<0xfe>(high, low, block.next);
        let no_escape = _mm512_movepi8_mask(_mm512_or_si512(nearly, block.after));
        let begins = _mm512_cmpeq_epi8_mask(block.here, percent);
        let escapes = begins & !no_escape;
        let broken = begins & no_escape;
        // low | (high << 4 & 0xf0): the shift moves bits into the next byte.
        let byte =
            _mm512_ternarylogic_epi32::<0xf8>(low, _mm512_slli_epi16::<4>(high), high_nibbles);
        let spaces = _mm512_cmpeq_epi8_mask(block.here, plus);
        let decoded = _mm512_mask_blend_epi8(escapes, block.here, byte);
        let decoded = _mm512_mask_blend_epi8(spaces, decoded, space);
        let keep = !((escapes << 1) | (escapes << 2) | carry) & block.valid;
        carry = (escapes >> 63) | (escapes >> 62);
        let separators = _mm512_cmpeq_epi8_mask(block.here, ampersand)
            | _mm512_cmpeq_epi8_mask(block.here, equals);
        let (separators, broken) = (separators & keep, broken & keep);
        let mut nuls = 0;
        // Control characters and, because the comparison is signed, every byte that is not ASCII.
        let unusual = _mm512_cmplt_epi8_mask(decoded, space) & keep;
        if unusual != 0 {
            nuls = _mm512_testn_epi8_mask(decoded, decoded) & keep;
            breaks |= may_break(decoded) & keep != 0;
            high_bits |= _mm512_movepi8_mask(decoded) & keep;
        }
        let marked = if nuls | broken != 0 {
            marked(separators, nuls, broken, &mut worst)
        } else {
            worst = if separators != 0 { Fault::None } else { worst };
            separators
        };
        // SAFETY: at most one byte of text for each byte of the body, and space for a block more;
        // at most one mark for each byte of a turn, and space for a block more.
        unsafe {
            let squeezed = _mm512_maskz_compress_epi8(keep, decoded);
            _mm512_storeu_si512(text.as_mut_ptr().add(len).cast(), squeezed);
            let place = _pext_u64(marked, keep);
            write_marks(marks.as_mut_ptr().add(count), places, place, len);
        }
        count += ones(marked);
        len += ones(keep);
        at += BLOCK;
    }
    let high = cursor.high || high_bits != 0;
    *cursor = Cursor { at: at.min(body.len()), len, carry, breaks, high, worst };
    count
}

/// Which bytes may belong to a line break.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn may_break(bytes: __m512i) -> u64 {
    let are = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte.cast_signed()));
    are(b'\n') | are(b'\r') | are(0xc2) | are(0xe2)
}

/// # Safety
/// `at` must be within the body.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
unsafe fn load(body: &[u8], at: usize) -> Block {
    let left = body.len() - at;
    // SAFETY: the unmasked loads read 66 bytes, and at least as many are left. The masked loads
    // read no byte beyond the end of the body, even where they begin up to two bytes behind it.
    unsafe {
        let from = body.as_ptr().add(at).cast::<i8>();
        if left >= BLOCK + 2 {
            return Block {
                here: _mm512_loadu_si512(from.cast()),
                next: _mm512_loadu_si512(from.add(1).cast()),
                after: _mm512_loadu_si512(from.add(2).cast()),
                valid: u64::MAX,
            };
        }
        let first = |count: usize| if count >= BLOCK { u64::MAX } else { (1 << count) - 1 };
        let valid = first(left);
        Block {
            here: _mm512_maskz_loadu_epi8(valid, from),
            next: _mm512_maskz_loadu_epi8(first(left - 1), from.wrapping_add(1)),
            after: _mm512_maskz_loadu_epi8(first(left.saturating_sub(2)), from.wrapping_add(2)),
            valid,
        }
    }
}

/// Writes a mark for each bit of `place`: its position plus `base`.
///
/// # Safety
/// There must be space for as many marks as bits are set, rounded up to 16.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
#[inline]
unsafe fn write_marks(to: *mut u32, places: __m512i, place: u64, base: usize) {
    let base = _mm512_set1_epi32(u32::try_from(base).unwrap_or(u32::MAX).cast_signed());
    let found = _mm512_maskz_compress_epi8(place, places);
    let write = |lane: __m128i, at: usize| {
        let places = _mm512_add_epi32(_mm512_cvtepu8_epi32(lane), base);
        // SAFETY: the caller has the space.
        unsafe { _mm512_storeu_si512(to.add(at).cast(), places) };
    };
    write(_mm512_castsi512_si128(found), 0);
    if ones(place) > 16 {
        write(_mm512_extracti32x4_epi32::<1>(found), 16);
        write(_mm512_extracti32x4_epi32::<2>(found), 32);
        write(_mm512_extracti32x4_epi32::<3>(found), 48);
    }
}
