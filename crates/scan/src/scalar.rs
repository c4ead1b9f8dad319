//! Byte by byte, without `unsafe`: the reference for the other backends.

use super::{Cursor, DIGITS, Fault, MARKS, TURN, may_break};

pub(super) fn turn(
    cursor: &mut Cursor,
    body: &[u8],
    text: &mut [u8],
    marks: &mut [u32; MARKS],
) -> usize {
    // A copy, which the compiler keeps in registers.
    let mut now = *cursor;
    let end = body.len().min(now.at.saturating_add(TURN));
    let mut count = 0;
    while let Some(rest) = body.get(now.at..end).filter(|rest| !rest.is_empty()) {
        let run = rest.iter().take_while(|byte| is_plain(**byte)).count();
        if run > 0
            && let (Some(to), Some(from)) = (text.get_mut(now.len..now.len + run), rest.get(..run))
        {
            to.copy_from_slice(from);
        }
        now.at += run;
        now.len += run;
        if run == rest.len() {
            break;
        }
        let (byte, length, marked) = now.other(body.get(now.at..).unwrap_or_default());
        now.breaks |= may_break(byte);
        now.high |= !byte.is_ascii();
        if let Some(place) = text.get_mut(now.len) {
            *place = byte;
        }
        if marked && let Some(mark) = marks.get_mut(count) {
            *mark = u32::try_from(now.len).unwrap_or(u32::MAX);
            count += 1;
        }
        now.len += 1;
        now.at += length;
    }
    *cursor = now;
    count
}

/// Whether a byte stands for itself, and nobody wants to know of it.
fn is_plain(byte: u8) -> bool {
    PLAIN.get(usize::from(byte)).is_some_and(|plain| *plain)
}

#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b' ';
    while byte < 0x7f {
        #[expect(clippy::as_conversions, reason = "a byte as its place")]
        {
            table[byte as usize] = !matches!(byte, b'%' | b'+' | b'&' | b'=');
        }
        byte += 1;
    }
    table
};

impl Cursor {
    /// The byte that the first bytes of `rest` stand for, how many they are, and whether it is marked.
    #[inline]
    fn other(&mut self, rest: &[u8]) -> (u8, usize, bool) {
        match rest {
            [b'%', high, low, ..] if digit(*high) < 16 && digit(*low) < 16 => {
                let byte = (digit(*high) << 4) | digit(*low);
                (byte, 3, byte == 0 && self.is_worse(Fault::Nul))
            }
            [b'+', ..] => (b' ', 1, false),
            [byte @ (b'&' | b'='), ..] => {
                self.worst = Fault::None;
                (*byte, 1, true)
            }
            [b'%', ..] => (b'%', 1, self.is_worse(Fault::Broken)),
            [0, ..] => (0, 1, self.is_worse(Fault::Nul)),
            [byte, ..] => (*byte, 1, false),
            [] => (0, 1, false),
        }
    }

    /// Takes a fault; returns whether it is worse than those since the last separator.
    fn is_worse(&mut self, fault: Fault) -> bool {
        let worse = fault > self.worst;
        self.worst = self.worst.max(fault);
        worse
    }
}

fn digit(char: u8) -> u8 {
    DIGITS.get(usize::from(char)).copied().unwrap_or(super::NO_DIGIT)
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn stops(window: &[u8; super::STOPS]) -> usize {
    let stop = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    window.iter().position(stop).unwrap_or(super::STOPS)
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn high_bits(block: &[u8; 64]) -> u64 {
    block.iter().rev().fold(0, |bits, byte| (bits << 1) | u64::from(byte >> 7))
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn bits(window: &[u8; super::STOPS], kind: fn(&u8) -> bool) -> u32 {
    window.iter().rev().fold(0, |bits, byte| (bits << 1) | u32::from(kind(byte)))
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn kinds(window: &[u8; super::STOPS]) -> super::Kinds {
    super::Kinds {
        letters: bits(window, u8::is_ascii_alphabetic),
        digits: bits(window, u8::is_ascii_digit),
        hyphens: bits(window, |byte| *byte == b'-'),
        dots: bits(window, |byte| *byte == b'.'),
        marks: bits(window, |byte| matches!(byte, b'_' | b'+')),
    }
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn url_marks(window: &[u8; super::STOPS]) -> super::UrlMarks {
    super::UrlMarks {
        unclean: bits(window, |byte| matches!(byte, 0..=b' ' | 0x7f | b'\\')),
        parts: bits(window, |byte| matches!(byte, b'?' | b'#')),
    }
}

#[cfg(any(test, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(super) fn equal(one: &[u8; super::STOPS], other: &[u8; super::STOPS]) -> u32 {
    one.iter().zip(other).rev().fold(0, |bits, (one, other)| (bits << 1) | u32::from(one == other))
}
