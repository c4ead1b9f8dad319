//! Text: lengths in characters, cuts at character boundaries, JSON strings.

/// The number of characters (Unicode scalar values).
#[must_use]
pub fn chars(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

/// The first `max` characters.
///
/// ```
/// assert_eq!(gopay_core::text::cut("Kōpi Süß", 4), "Kōpi");
/// ```
#[must_use]
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    text.char_indices().nth(max).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Whether a link of this scheme (lower case) makes a browser run or read something locally,
/// instead of opening a page or an app.
#[must_use]
pub fn is_harmful_scheme(scheme: &str) -> bool {
    matches!(
        scheme,
        "javascript"
            | "data"
            | "vbscript"
            | "file"
            | "filesystem"
            | "blob"
            | "about"
            | "view-source"
    )
}

/// Appends a JSON string, quotes included. Only what JSON demands is escaped.
#[inline]
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_json_escaped(out, text);
    out.push(b'"');
}

/// Appends what stands between the quotes of a JSON string.
#[inline]
pub(crate) fn push_json_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let start = out.len();
    if bytes.len() <= 16 {
        let word = short(bytes);
        if needs_no_escape(word, bytes.len()) {
            out.extend_from_slice(&word.to_le_bytes());
            out.truncate(start + bytes.len());
            return;
        }
    } else if push_clean_chunks(out, bytes) {
        return;
    }
    out.truncate(start);
    push_with_escapes(out, bytes);
}

/// Up to 16 bytes as one number, zero behind the end.
#[inline]
fn short(bytes: &[u8]) -> u128 {
    // Two reads that overlap, so that there is no loop.
    if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        return u128::from(first) | (u128::from(last) << (8 * (bytes.len() - 8)));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return u128::from(first) | (u128::from(last) << (8 * (bytes.len() - 4)));
    }
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u128::from(*byte))
}

#[inline]
fn needs_no_escape(word: u128, length: usize) -> bool {
    // The bytes behind the end become blanks.
    let blanks = if length < 16 { BLANKS << (8 * length) } else { 0 };
    is_clean(&(word | blanks).to_le_bytes())
}

const BLANKS: u128 = u128::from_ne_bytes([b' '; 16]);

/// Without branches, so that the compiler can look at all bytes at once.
#[inline]
fn is_clean(bytes: &[u8; 16]) -> bool {
    let escaped = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    !bytes.iter().fold(false, |any, byte| any | escaped(byte))
}

/// Appends more than 16 bytes; false, with some of them appended, if one must be escaped.
#[inline]
fn push_clean_chunks(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        out.extend_from_slice(chunk);
        if !is_clean(chunk) {
            return false;
        }
    }
    if rest.is_empty() {
        return true;
    }
    let Some(last) = bytes.last_chunk::<16>() else { return false };
    // The last chunk overlaps what was written.
    out.truncate(out.len() - (16 - rest.len()));
    out.extend_from_slice(last);
    is_clean(last)
}

#[cold]
fn push_with_escapes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut clean_from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(bytes.get(clean_from..at).unwrap_or_default());
        clean_from = at + 1;
        push_escape(out, *byte);
    }
    out.extend_from_slice(bytes.get(clean_from..).unwrap_or_default());
}

fn push_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        _ => {
            let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends a decimal number.
pub fn push_number(out: &mut Vec<u8>, number: i128) {
    use std::io::Write as _;
    match u64::try_from(number) {
        Ok(number) => push_digits(out, number),
        // Writing to a vector cannot fail.
        Err(_) => drop(write!(out, "{number}")),
    }
}

/// Appends a decimal number.
#[inline]
pub(crate) fn push_digits(out: &mut Vec<u8>, number: u64) {
    const DIGITS_MAX: usize = 20;
    let mut digits = [b'0'; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    let mut rest = number;
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = ascii_digit(rest % 10);
        start = at;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// The digit of a number below 10.
pub(crate) const fn ascii_digit(number: u64) -> u8 {
    let [digit, ..] = number.to_le_bytes();
    b'0' + digit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_count_characters_not_bytes() {
        for (text, max, expected) in [
            ("", 0, ""),
            ("abc", 3, "abc"),
            ("abc", 2, "ab"),
            ("äöü", 3, "äöü"),
            ("äöü", 2, "äö"),
            ("🙂🙂", 1, "🙂"),
            ("a", 0, ""),
        ] {
            assert_eq!(cut(text, max), expected, "{text:?} to {max}");
        }
    }

    proptest::proptest! {
        #[test]
        fn json_strings_read_back(text in "\\PC*|[\\x00-\\x7f]*|[ -~]{0,70}") {
            let mut out = Vec::new();
            push_json_string(&mut out, &text);
            proptest::prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn strings_of_every_length_are_whole() {
        let text: String = ('!'..='~').filter(|char| !matches!(char, '"' | '\\')).collect();
        for length in 0..=text.len() {
            let part = &text[text.len() - length..];
            let mut out = b"before".to_vec();
            push_json_string(&mut out, part);
            assert_eq!(out, format!("before\"{part}\"").into_bytes());
        }
    }

    #[test]
    fn numbers_of_every_length_are_whole() {
        let powers = (0..19).map(|zeros| 10_i128.pow(zeros));
        for number in powers.flat_map(|power| [power, power - 1, -power, i128::from(u64::MAX)]) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
