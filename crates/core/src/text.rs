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
pub fn push_json_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_json_escaped(out, text);
    out.push(b'"');
}

fn push_json_escaped(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
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
    // Writing to a vector cannot fail.
    let _ = write!(out, "{number}");
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
        fn json_strings_read_back(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            push_json_string(&mut out, &text);
            proptest::prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
