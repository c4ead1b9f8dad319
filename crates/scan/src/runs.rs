//! Bytes that stand for themselves are found and copied by blocks of 16, escapes are decoded one by
//! one. What the instructions of a processor do for it is in `sse2` and `neon`.

use super::{Cursor, DIGITS, Fault, MARKS, TURN, lanes, may_break, zeros};

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
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "sse2"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
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
    #[cfg_attr(target_arch = "x86_64", target_feature(enable = "sse2"))]
    #[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
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
            let mut special = lanes::specials(from) & valid;
            if lanes::unusual_as_sent(from) & valid != 0 {
                breaks = true;
                high |= u8::from(lanes::high_bits(&*from.cast()) & valid != 0) << 7;
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
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "sse2"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    let mut done = 0;
    loop {
        // SAFETY: the caller has the space.
        unsafe { lanes::copy(from.add(done), to.add(done)) };
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
