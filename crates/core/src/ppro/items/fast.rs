//! Fast path for one item of the cart: three known members, a name of usual escapes, a price
//! of at most seven digits with `.00`, a quantity of at most seven digits. `None`, whatever else
//! stands there: [`super::reader`] decides, which knows every rule and message. The fuzz target
//! `items` holds the two against `serde_json`.

use gopay_scan::{STOPS, stops};

use super::item::{Item, LINE_MAX};

/// An item as nearly all PSPs write it: name, price and quantity without blanks, a name of 1 to 31
/// bytes without escapes. What is between the values is compared in whole words.
/// Returns the item, its line, and the position behind it.
#[inline(always)]
pub(super) fn compact(bytes: &[u8], at: usize) -> Option<(Item, i64, usize)> {
    const NAME: usize = 9;
    /// From the end of the name on.
    const PRICE: usize = 11;
    /// From the end of the price's rupiah on.
    const QUANTITY: usize = 16;
    /// More than what follows a name can take.
    const VALUES: usize = 64;
    let object: &[u8; NAME + STOPS + VALUES] = bytes.get(at..)?.first_chunk()?;
    let (begin, rest) = object.split_first_chunk::<NAME>()?;
    let name_bytes = stops(rest.first_chunk()?);
    let values: &[u8; VALUES] = rest.get(name_bytes..)?.first_chunk()?;
    let named = begin == b"{\"name\":\"" && is_at(values, 0, b"\",\"price\":\"")?;
    if !named || name_bytes == 0 || may_be_blank(*rest.first()?) {
        return None;
    }
    let negative = *values.get(PRICE)? == b'-';
    let price_at = PRICE + usize::from(negative);
    let (price, price_digits) = digits(word(values, price_at)?)?;
    let price_end = price_at + index(price_digits);
    let (quantity, quantity_digits) = digits(word(values, price_end + QUANTITY)?)?;
    let end = price_end + QUANTITY + index(quantity_digits);
    let whole = is_at(values, price_end, b".00\",\"quantity\":")? && *values.get(end)? == b'}';
    // Seven digits each.
    let line = u64::from(price).wrapping_mul(u64::from(quantity));
    if !whole || quantity == 0 || line > LINE_MAX {
        return None;
    }
    // Offsets within the object are small.
    let name_at = u32::try_from(at + NAME).ok()?;
    let length = u32::try_from(name_bytes).ok()?;
    let values_at = name_at + length;
    let place = |from: usize| Some(values_at + u32::try_from(from).ok()?);
    let item = Item {
        name_at,
        name_bytes: length,
        // The charge takes the digits verbatim, but for `-0`.
        price_at: if price == 0 { 0 } else { place(PRICE)? },
        price_bytes: price_digits + u8::from(negative),
        quantity_at: place(price_end + QUANTITY)?,
        quantity_bytes: quantity_digits,
        escaped: false,
        rewritten: false,
        price: if negative { -i64::from(price) } else { i64::from(price) },
        quantity: i64::from(quantity),
    };
    let line = i64::try_from(line).ok()?;
    Some((item, if negative { -line } else { line }, at + NAME + name_bytes + end + 1))
}

/// Whether these bytes are at the place.
#[inline]
fn is_at<const N: usize>(bytes: &[u8], at: usize, wanted: &[u8; N]) -> Option<bool> {
    Some(bytes.get(at..)?.first_chunk::<N>()? == wanted)
}

#[inline]
fn index(digits: u8) -> usize {
    usize::from(digits)
}

/// Reads the object whose opening brace is at `at`. Returns the item and the position behind it.
/// Out of line, so that [`compact`] has the registers to itself.
#[inline(never)]
pub(super) fn in_any_order(bytes: &[u8], at: usize) -> Option<(Item, usize)> {
    let mut item = Item::default();
    let mut at = at + 1;
    let mut seen = 0_u8;
    loop {
        at = blank(bytes, at);
        let key = word(bytes, at)?;
        // Without blanks first, as nearly all PSPs write it.
        let member = if key == NAME_BEGUN {
            at = name(bytes, at + 7, &mut item)?;
            1
        } else if key == PRICE_BEGUN {
            at = price(bytes, blank(bytes, at + 8), &mut item)?;
            2
        } else if key == QUANTITY && word(bytes, at + 3)? == QUANTITY_BEGUN {
            at = quantity(bytes, blank(bytes, at + 11), &mut item)?;
            4
        } else if key & SIX_BYTES == NAME {
            at = value(bytes, at + 6)?;
            at = name(bytes, at, &mut item)?;
            1
        } else if key & SEVEN_BYTES == PRICE {
            at = value(bytes, at + 7)?;
            at = price(bytes, at, &mut item)?;
            2
        } else if key == QUANTITY && *bytes.get(at + 8)? == b'y' && *bytes.get(at + 9)? == b'"' {
            at = value(bytes, at + 10)?;
            at = quantity(bytes, at, &mut item)?;
            4
        } else {
            return None;
        };
        if seen & member != 0 {
            return None;
        }
        seen |= member;
        at = blank(bytes, at);
        match bytes.get(at)? {
            b',' => at += 1,
            b'}' => break,
            _ => return None,
        }
    }
    let good = seen == 7 && item.line().unsigned_abs() <= LINE_MAX;
    good.then_some((item, at + 1))
}

const SIX_BYTES: u64 = u64::MAX >> 16;
const SEVEN_BYTES: u64 = u64::MAX >> 8;
const NAME: u64 = u64::from_le_bytes(*b"\"name\"\0\0");
const PRICE: u64 = u64::from_le_bytes(*b"\"price\"\0");
const NAME_BEGUN: u64 = u64::from_le_bytes(*b"\"name\":\"");
const PRICE_BEGUN: u64 = u64::from_le_bytes(*b"\"price\":");
const QUANTITY_BEGUN: u64 = u64::from_le_bytes(*b"antity\":");
const QUANTITY: u64 = u64::from_le_bytes(*b"\"quantit");

#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

#[inline]
fn blank(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Skips the colon; returns where the value begins.
#[inline]
fn value(bytes: &[u8], at: usize) -> Option<usize> {
    let at = blank(bytes, at);
    (*bytes.get(at)? == b':').then(|| blank(bytes, at + 1))
}

#[inline]
fn name(bytes: &[u8], at: usize, item: &mut Item) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    let start = at + 1;
    if may_be_blank(*bytes.get(start)?) {
        return None;
    }
    let mut at = start;
    loop {
        let window = bytes.get(at..)?.first_chunk::<STOPS>()?;
        let found = stops(window);
        if found == STOPS {
            at += STOPS;
            continue;
        }
        at += found;
        match bytes.get(at)? {
            b'"' if at > start => break,
            b'\\' if is_own_escape(*bytes.get(at + 1)?) => {
                item.escaped = true;
                at += 2;
            }
            b'\\' if *bytes.get(at + 1)? == b'u' => {
                is_character(bytes.get(at + 2..)?.first_chunk()?).then_some(())?;
                item.escaped = true;
                item.rewritten = true;
                at += 6;
            }
            _ => return None,
        }
    }
    item.name_at = u32::try_from(start).ok()?;
    item.name_bytes = u32::try_from(at - start).ok()?;
    Some(at + 1)
}

/// Whether a name that begins with this byte may show nothing: an ASCII blank or control character,
/// an escape, or the first byte of such a character in UTF-8 ([`crate::text::is_blank_char`]).
const fn may_be_blank(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'\\' | 0x7f | 0xc2 | 0xe1..=0xe3 | 0xef)
}

/// Whether these are the hex digits of a whole character that is not U+0000.
fn is_character(digits: &[u8; 4]) -> bool {
    let mut unit = 0;
    for digit in digits {
        let Some(digit) = char::from(*digit).to_digit(16) else { return false };
        unit = (unit << 4) | digit;
    }
    !matches!(unit, 0 | 0xd800..=0xdfff)
}

/// Whether the charge writes this escape in the same form.
const fn is_own_escape(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | b'n' | b'r' | b't')
}

/// Reads up to seven digits and `.00`, in quotes.
#[inline]
fn price(bytes: &[u8], at: usize, item: &mut Item) -> Option<usize> {
    let negative = match (bytes.get(at)?, bytes.get(at + 1)?) {
        (b'"', b'-') => true,
        (b'"', _) => false,
        _ => return None,
    };
    let start = at + 1 + usize::from(negative);
    let (number, count) = digits(word(bytes, start)?)?;
    let end = start + index(count);
    if bytes.get(end..)?.first_chunk::<4>()? != b".00\"" {
        return None;
    }
    item.price = if negative { -i64::from(number) } else { i64::from(number) };
    // The charge takes the digits verbatim, but for `-0`.
    item.price_at = if item.price == 0 { 0 } else { u32::try_from(at + 1).ok()? };
    item.price_bytes = u8::try_from(end - at - 1).ok()?;
    Some(end + 4)
}

#[inline]
fn quantity(bytes: &[u8], at: usize, item: &mut Item) -> Option<usize> {
    let (number, count) = digits(word(bytes, at)?)?;
    if number == 0 {
        return None;
    }
    item.quantity = i64::from(number);
    item.quantity_at = u32::try_from(at).ok()?;
    item.quantity_bytes = count;
    Some(at + index(count))
}

/// The number at the start of a word of eight bytes, of one to seven digits without a leading zero,
/// and how many digits it has.
#[inline(always)]
fn digits(word: u64) -> Option<(u32, u8)> {
    const EVERY: u64 = u64::MAX / 255;
    let values = word ^ (EVERY * 0x30);
    // The high bit marks each byte that is no digit. A carry out of one reaches only later bytes,
    // which are not looked at.
    let others = (values.wrapping_add(EVERY * 0x76) | values) & (EVERY * 0x80);
    let bits = others.trailing_zeros() & !7;
    if !(8..64).contains(&bits) || (bits > 8 && values & 0xff == 0) {
        return None;
    }
    // Digits to pairs, pairs to fours, fours to eight; the most significant digit is lowest.
    let pairs = (values << (64 - bits)).wrapping_mul(10 << 8 | 1) >> 8;
    let fours = (pairs & 0x00ff_00ff_00ff_00ff).wrapping_mul(100 << 16 | 1) >> 16;
    let all = (fours & 0x0000_ffff_0000_ffff).wrapping_mul(10_000 << 32 | 1) >> 32;
    Some((u32::try_from(all).ok()?, u8::try_from(bits / 8).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_seven_digits_are_a_number() {
        for (text, expected) in [
            ("0.00....", Some((0, 1))),
            ("7,......", Some((7, 1))),
            ("45000.00", Some((45_000, 5))),
            ("1234567.", Some((1_234_567, 7))),
            ("9999999\u{7f}", Some((9_999_999, 7))),
            ("12/4567.", Some((12, 2))),
            ("12:4567.", Some((12, 2))),
            ("12345678", None),
            ("01.00...", None),
            (".1234567", None),
            ("-1.00...", None),
        ] {
            let word = u64::from_le_bytes(text.as_bytes().try_into().unwrap());
            assert_eq!(digits(word), expected, "{text}");
        }
    }
}
