//! Byte by byte, without `unsafe`: the reference for the other backends.

use super::{Cursor, DIGITS, MARKS, TURN, may_break};

pub(super) fn turn(
    cursor: &mut Cursor,
    body: &[u8],
    text: &mut [u8],
    marks: &mut [u32; MARKS],
) -> usize {
    let end = body.len().min(cursor.at.saturating_add(TURN));
    let mut count = 0;
    while cursor.at < end {
        let (byte, length, marked) = match body.get(cursor.at..).unwrap_or_default() {
            [b'%', high, low, ..] if digit(*high) < 16 && digit(*low) < 16 => {
                let byte = (digit(*high) << 4) | digit(*low);
                (byte, 3, byte == 0)
            }
            [b'+', ..] => (b' ', 1, false),
            [byte @ (b'%' | b'&' | b'=' | 0), ..] => (*byte, 1, true),
            [byte, ..] => (*byte, 1, false),
            [] => break,
        };
        cursor.breaks |= may_break(byte);
        cursor.high |= !byte.is_ascii();
        if let Some(place) = text.get_mut(cursor.len) {
            *place = byte;
        }
        if marked && let Some(mark) = marks.get_mut(count) {
            *mark = u32::try_from(cursor.len).unwrap_or(u32::MAX);
            count += 1;
        }
        cursor.len += 1;
        cursor.at += length;
    }
    count
}

fn digit(char: u8) -> u8 {
    DIGITS.get(usize::from(char)).copied().unwrap_or(super::NO_DIGIT)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) fn stops(window: &[u8; super::STOPS]) -> usize {
    let stop = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
    window.iter().position(stop).unwrap_or(super::STOPS)
}

#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) fn high_bits(block: &[u8; 64]) -> u64 {
    block.iter().rev().fold(0, |bits, byte| (bits << 1) | u64::from(byte >> 7))
}

#[cfg(any(test, not(target_arch = "x86_64")))]
pub(super) fn kinds(window: &[u8; super::STOPS]) -> super::Kinds {
    let bits = |kind: fn(&u8) -> bool| {
        window.iter().rev().fold(0, |bits, byte| (bits << 1) | u32::from(kind(byte)))
    };
    super::Kinds {
        letters: bits(u8::is_ascii_alphabetic),
        digits: bits(u8::is_ascii_digit),
        hyphens: bits(|byte| *byte == b'-'),
        dots: bits(|byte| *byte == b'.'),
        marks: bits(|byte| matches!(byte, b'_' | b'+')),
    }
}
