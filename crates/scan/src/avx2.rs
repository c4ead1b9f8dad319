//! 64 bytes at a time, in two halves: all escapes of a block are decoded at once by arithmetic, and the
//! bytes of their digits are squeezed out eight at a time by a table.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi8, _mm_castpd_si128, _mm_castsi128_pd, _mm_extract_epi64,
    _mm_loadh_pd, _mm_loadl_epi64, _mm_set_epi64x, _mm_shuffle_epi8, _mm_storel_epi64,
    _mm256_add_epi8, _mm256_adds_epu8, _mm256_and_si256, _mm256_andnot_si256, _mm256_blendv_epi8,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_extracti128_si256,
    _mm256_load_si256, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_slli_epi16, _mm256_storeu_si256,
    _mm256_sub_epi8, _mm256_subs_epu8, _pext_u64,
};

use std::hint::black_box;

use super::{Cursor, Fault, MARKS, TURN, ones};

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

/// A byte in every place, as an operand from memory.
#[repr(align(32))]
struct Every([u8; HALF]);

/// The bytes that blocks are compared and computed with.
struct Constants {
    plus: Every,
    plus_to_space: Every,
    ampersand: Every,
    equals: Every,
    percent: Every,
    space: Every,
    above_digits: Every,
    six: Every,
    ten_highest: Every,
    to_upper: Every,
    letter_a: Every,
    ten: Every,
    not_a_digit: Every,
    high_nibbles: Every,
}

static CONSTANTS: Constants = {
    const fn every(byte: u8) -> Every {
        Every([byte; HALF])
    }
    Constants {
        plus: every(b'+'),
        plus_to_space: every(b'+' - b' '),
        ampersand: every(b'&'),
        equals: every(b'='),
        percent: every(b'%'),
        space: every(b' '),
        above_digits: every(u8::MAX - b'9'),
        six: every(6),
        ten_highest: every(0xf0),
        to_upper: every(!0x20),
        letter_a: every(b'A'),
        ten: every(10),
        not_a_digit: every(0x80 - 16),
        high_nibbles: every(0xf0),
    }
};

impl Every {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn get(&self) -> __m256i {
        // SAFETY: 32 bytes, aligned to as many.
        unsafe { _mm256_load_si256(self.0.as_ptr().cast()) }
    }
}

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

/// The values of hex digits; of any other byte, 16 or more.
#[target_feature(enable = "avx2")]
#[inline]
fn digits(chars: __m256i, constants: &Constants) -> __m256i {
    // The ten digits become the ten highest bytes, and are then told from what was above them.
    let number = _mm256_add_epi8(chars, constants.above_digits.get());
    let number = _mm256_subs_epu8(number, constants.six.get());
    let number = _mm256_sub_epi8(number, constants.ten_highest.get());
    let letter = _mm256_and_si256(chars, constants.to_upper.get());
    let letter = _mm256_sub_epi8(letter, constants.letter_a.get());
    let letter = _mm256_adds_epu8(letter, constants.ten.get());
    _mm256_min_epu8(number, letter)
}

/// Replaces each `%` that begins an escape by the escaped byte; gives a bit for each. `next` and
/// `after` are the bytes one and two places further on.
#[target_feature(enable = "avx2")]
#[inline]
fn unescape(
    to: &mut __m256i,
    percent: __m256i,
    [next, after]: [__m256i; 2],
    constants: &Constants,
) -> u32 {
    let (high, low) = (digits(next, constants), digits(after, constants));
    // The high bit marks what has a digit of 16 or more.
    let bad = _mm256_adds_epu8(_mm256_or_si256(high, low), constants.not_a_digit.get());
    let good = _mm256_andnot_si256(bad, percent);
    // The shift moves bits into the next byte.
    let high = _mm256_and_si256(_mm256_slli_epi16::<4>(high), constants.high_nibbles.get());
    let byte = _mm256_or_si256(high, low);
    *to = _mm256_blendv_epi8(*to, byte, good);
    _mm256_movemask_epi8(good).cast_unsigned()
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
    // SAFETY: as much of the text is written, as the caller says.
    let to = unsafe { text.as_mut_ptr().add(cursor.len) };
    let mut out = Out {
        // The compiler cannot see through it; if it could, it would copy each constant into a
        // register before each use, and there are more constants than registers.
        constants: black_box(&CONSTANTS),
        to,
        len: cursor.len,
        marks: marks.as_mut_ptr(),
        carry: cursor.carry,
        breaks: cursor.breaks,
        high: 0,
        worst: cursor.worst,
    };
    let mut last: [u8; REACH];
    let mut at = cursor.at;
    while at < end {
        let rest = body.get(at..).unwrap_or_default();
        let mut valid = u64::MAX;
        let from = if rest.len() >= REACH {
            rest.as_ptr()
        } else {
            // The rest of the body, padded with zeros, so that nothing reads beyond its end.
            last = [0; REACH];
            if rest.len() < BLOCK {
                valid = (1 << rest.len()) - 1;
            }
            // SAFETY: the rest is shorter than the block.
            unsafe { std::ptr::copy_nonoverlapping(rest.as_ptr(), last.as_mut_ptr(), rest.len()) };
            last.as_ptr()
        };
        // SAFETY: as much is read as there is, of the body or of the padded block.
        out = unsafe { out.block(from, valid) };
        at += BLOCK;
    }
    let Out { len, carry, breaks, worst, .. } = out;
    let high = cursor.high || out.high != 0;
    *cursor = Cursor { at: at.min(body.len()), len, carry, breaks, high, worst };
    (out.marks.addr() - marks.as_ptr().addr()) / size_of::<u32>()
}

struct Out {
    constants: &'static Constants,
    /// Where the next byte goes, and how many were written before it.
    to: *mut u8,
    len: usize,
    /// Where the next mark goes.
    marks: *mut u32,
    carry: u64,
    breaks: bool,
    /// Of some block, which bytes are not ASCII.
    high: u64,
    /// The worst fault since the last separator.
    worst: Fault,
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
        let Self {
            constants,
            mut to,
            mut len,
            mut marks,
            mut carry,
            mut breaks,
            mut high,
            mut worst,
        } = self;
        // SAFETY: the caller has the bytes.
        let here = unsafe { Block::load(from) };
        // `+` becomes a space, eleven places before it.
        let mut decoded = Block(here.0.map(|half| {
            let plus = _mm256_cmpeq_epi8(half, constants.plus.get());
            _mm256_sub_epi8(half, _mm256_and_si256(plus, constants.plus_to_space.get()))
        }));
        let separators = Block(here.0.map(|half| {
            let ampersands = _mm256_cmpeq_epi8(half, constants.ampersand.get());
            _mm256_or_si256(ampersands, _mm256_cmpeq_epi8(half, constants.equals.get()))
        }));
        let percent = Block(here.0.map(|half| _mm256_cmpeq_epi8(half, constants.percent.get())));
        let begins = percent.bits();
        let mut keep = valid & !carry;
        carry = 0;
        let mut broken = 0;
        if begins != 0 {
            // SAFETY: within reach.
            let (next, after) = unsafe { (Block::load(from.add(1)), Block::load(from.add(2))) };
            let [[next, other_next], [after, other_after]] = [next.0, after.0];
            let ([first, second], [percent, other]) = (&mut decoded.0, percent.0);
            let first = unescape(first, percent, [next, after], constants);
            let second = unescape(second, other, [other_next, other_after], constants);
            let escapes = u64::from(first) | (u64::from(second) << HALF);
            keep &= !((escapes << 1) | (escapes << 2));
            carry = (escapes >> 63) | (escapes >> 62);
            broken = begins & !escapes & keep;
        }
        let separators = separators.bits() & keep;
        // Control characters and, because the comparison is signed, every byte that is not ASCII.
        let [first, second] = decoded.0.map(|half| _mm256_cmpgt_epi8(constants.space.get(), half));
        let mut nuls = 0;
        if _mm256_movemask_epi8(_mm256_or_si256(first, second)) != 0 {
            nuls = Block(decoded.0.map(|half| _mm256_cmpeq_epi8(half, _mm256_setzero_si256())))
                .bits()
                & keep;
            // Known after the first one.
            if !breaks {
                let may_break = decoded.are(b'\n').bits()
                    | decoded.are(b'\r').bits()
                    | decoded.are(0xc2).bits()
                    | decoded.are(0xe2).bits();
                breaks = may_break & keep != 0;
            }
            high |= decoded.bits() & keep;
        }
        let mut marked = separators;
        if nuls | broken != 0 || worst != Fault::None {
            marked = super::marked(separators, nuls, broken, &mut worst);
        }
        // SAFETY: at most one mark for each byte of a turn, at most one byte of text for each byte
        // of the body, and space for a block more of both.
        unsafe {
            if marked != 0 {
                marks = write_marks(marks, _pext_u64(marked, keep), len);
            }
            if keep & keep.wrapping_add(1) == 0 {
                // All of them, or the first ones.
                store(to, decoded);
            } else {
                squeeze(to, decoded, keep);
            }
            to = to.add(ones(keep));
        }
        len = len.wrapping_add(ones(keep));
        Self { constants, to, len, marks, carry, breaks, high, worst }
    }
}

/// Writes a mark for each bit of `places`: its position plus `base`. Returns where the next one goes.
///
/// # Safety
/// There must be space for as many marks as bits are set, rounded up to four.
#[target_feature(enable = "bmi1,popcnt")]
#[inline]
unsafe fn write_marks(mut to: *mut u32, mut places: u64, base: usize) -> *mut u32 {
    let base = u32::try_from(base).unwrap_or(u32::MAX);
    // SAFETY: within the space that the caller has.
    unsafe {
        let end = to.add(ones(places));
        // Four at once, which is enough for nearly every block, so that nothing is guessed.
        while to < end {
            for at in 0..4 {
                *to.add(at) = base.wrapping_add(places.trailing_zeros());
                places &= places.wrapping_sub(1);
            }
            to = to.add(4);
        }
        end
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

/// Writes the bytes to keep, one after the other.
///
/// # Safety
/// 64 bytes must be writable.
#[target_feature(enable = "avx2,popcnt")]
#[inline]
unsafe fn squeeze(mut to: *mut u8, block: Block, keep: u64) {
    let in_upper = _mm_set_epi64x(0x0808_0808_0808_0808, 0);
    let quarters: [__m128i; 4] = [
        _mm256_castsi256_si128(block.0[0]),
        _mm256_extracti128_si256::<1>(block.0[0]),
        _mm256_castsi256_si128(block.0[1]),
        _mm256_extracti128_si256::<1>(block.0[1]),
    ];
    let choices = keep.to_le_bytes();
    let (choices, _) = choices.as_chunks::<2>();
    for (quarter, [lower, upper]) in quarters.into_iter().zip(choices) {
        let places = |choice: u8| SQUEEZE.get(usize::from(choice)).unwrap_or(&[0; 8]).as_ptr();
        // SAFETY: the table has eight bytes for each choice; eight bytes are written for each eight
        // read, as the caller has space for.
        unsafe {
            let from = _mm_castsi128_pd(_mm_loadl_epi64(places(*lower).cast()));
            let from = _mm_castpd_si128(_mm_loadh_pd(from, places(*upper).cast()));
            let kept = _mm_shuffle_epi8(quarter, _mm_add_epi8(from, in_upper));
            _mm_storel_epi64(to.cast(), kept);
            to = to.add(ones(u64::from(*lower)));
            to.cast::<i64>().write_unaligned(_mm_extract_epi64::<1>(kept));
            to = to.add(ones(u64::from(*upper)));
        }
    }
}
