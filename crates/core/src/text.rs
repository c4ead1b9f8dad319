//! Text: lengths in characters, cuts at character boundaries, JSON strings.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use gopay_scan::{STOPS, stops};

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
#[inline]
pub fn cut(text: &str, max: usize) -> &str {
    if text.len() <= max { text } else { cut_longer(text, max) }
}

fn cut_longer(text: &str, max: usize) -> &str {
    text.char_indices().nth(max).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// Whether a text shows nothing: blanks, control characters and characters without a shape only.
#[must_use]
#[inline]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(is_blank_char)
}

/// Whether a character shows nothing.
#[must_use]
pub fn is_blank_char(char: char) -> bool {
    char.is_whitespace()
        || char.is_control()
        || matches!(
            char,
            '\u{ad}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
        )
}

/// Whether a character acts on a terminal or an editor, or hides, instead of showing: control
/// characters, those that turn the direction of what follows, and those that show nothing and are no
/// blank, so that two texts look alike and are not.
#[must_use]
pub fn is_unprintable(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_control();
    }
    char.is_control()
        || is_blank_char(char) && !char.is_whitespace()
        || matches!(
            char,
            '\u{34f}'
                | '\u{61c}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{2028}'
                | '\u{2029}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

/// A text from outside, as it is shown to people: one line, each character that acts instead of
/// showing as `\u001b`. Within a JSON document that is JSON's own way of writing it.
///
/// ```
/// assert_eq!(gopay_core::text::Escaped("a\u{1b}[2J\n\u{202e}b").to_string(), "a\\u001b[2J\\u000a\\u202eb");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            if is_unprintable(char) {
                // As JSON writes it: above U+FFFF in two halves.
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            } else {
                out.write_char(char)?;
            }
        }
        Ok(())
    }
}

/// JSON with the characters escaped that JSON allows and a terminal acts on. They can stand within
/// strings only, except the line ends between members.
#[must_use]
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char != '\n' && is_unprintable(char) {
            out.push_str(&Escaped(char.encode_utf8(&mut [0; 4])).to_string());
        } else {
            out.push(char);
        }
    }
    out
}

/// Text for a table that no spreadsheet runs as a formula: an apostrophe before what could begin one.
/// Numbers below zero stay as they are.
///
/// ```
/// assert_eq!(gopay_core::text::defused("=1+1"), "'=1+1");
/// assert_eq!(gopay_core::text::defused("-1652.00"), "-1652.00");
/// ```
#[must_use]
pub fn defused(text: &str) -> Cow<'_, str> {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if risky && !text.strip_prefix('-').is_some_and(is_decimal) {
        Cow::Owned(format!("'{text}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Digits, and more behind a point.
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole) && digits(fraction)
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

/// Whether a scheme (lower case) belongs to the system, to the browser or to a network protocol: it
/// opens no shop's app, but dials, sends, installs, or opens a program of the device.
///
/// Source: the schemes of the IANA registry that systems and browsers handle themselves, and
/// those of Android, iOS, Windows and the common browsers, which mostly share a beginning.
#[must_use]
pub fn is_system_scheme(scheme: &str) -> bool {
    is_harmful_scheme(scheme)
        || SYSTEM_SCHEMES.binary_search(&scheme).is_ok()
        || SYSTEM_BEGINNINGS.iter().any(|beginning| scheme.starts_with(beginning))
}

const SYSTEM_BEGINNINGS: [&str; 19] = [
    "android",
    "app-prefs",
    "app-settings",
    "apple-",
    "chrome",
    "edge",
    "ext+",
    "facetime",
    "googlechrome",
    "itms",
    "microsoft",
    "moz-",
    "ms-",
    "opera",
    "prefs",
    "safari",
    "web+",
    "windows",
    "x-apple",
];

/// Sorted, so that it can be searched.
const SYSTEM_SCHEMES: [&str; 128] = [
    "addressbook",
    "admin",
    "afp",
    "apt",
    "bitcoin",
    "brave",
    "cal",
    "callto",
    "calshow",
    "cid",
    "cifs",
    "computer",
    "contact",
    "contacts",
    "content",
    "dav",
    "davs",
    "devtools",
    "dict",
    "dns",
    "ed2k",
    "feed",
    "feeds",
    "finger",
    "firefox",
    "fish",
    "fs",
    "ftp",
    "ftps",
    "geo",
    "ghelp",
    "git",
    "gopher",
    "gsiftp",
    "hcp",
    "help",
    "imap",
    "imessage",
    "info",
    "intent",
    "ipp",
    "ipps",
    "irc",
    "irc6",
    "ircs",
    "iris",
    "its",
    "jar",
    "jdbc",
    "ldap",
    "ldaps",
    "livescript",
    "magnet",
    "mail",
    "mailto",
    "man",
    "map",
    "maps",
    "market",
    "message",
    "mhtml",
    "mid",
    "mk",
    "mms",
    "mmst",
    "mmsto",
    "mocha",
    "music",
    "news",
    "nfs",
    "nntp",
    "package",
    "photos",
    "pkcs11",
    "podcast",
    "pop",
    "rdp",
    "res",
    "resource",
    "rlogin",
    "rsync",
    "rtmp",
    "rtmps",
    "rtsp",
    "rtsps",
    "search",
    "search-ms",
    "settings",
    "sftp",
    "shell",
    "shortcuts",
    "sip",
    "sips",
    "smb",
    "sms",
    "smsto",
    "snap",
    "snews",
    "socks",
    "ssh",
    "stun",
    "stuns",
    "svn",
    "svn+ssh",
    "tel",
    "telephone",
    "telnet",
    "telprompt",
    "tftp",
    "tn3270",
    "trash",
    "turn",
    "turns",
    "urn",
    "vivaldi",
    "vnc",
    "voicemail",
    "wais",
    "webcal",
    "webcals",
    "workflow",
    "ws",
    "wss",
    "wyciwyg",
    "x-safari-http",
    "x-safari-https",
    "x-web-search",
    "xmpp",
];

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
    push_json_escaped_within(out, text, text.as_bytes());
}

/// As [`push_json_escaped`], for a text that is part of `larger`: whole blocks are copied, also
/// beyond the end of the text, and the surplus is cut off.
#[inline]
pub(crate) fn push_json_escaped_within(out: &mut Vec<u8>, text: &str, larger: &[u8]) {
    let start = out.len();
    let mut left = text.len();
    let mut rest = behind(text, larger);
    while let Some(block) = rest.and_then(|rest| rest.first_chunk::<STOPS>()) {
        let clean = stops(block);
        out.extend_from_slice(block);
        if left <= clean {
            out.truncate(out.len() - (STOPS - left));
            return;
        }
        if clean < STOPS {
            out.truncate(out.len() - (STOPS - clean));
            left -= clean;
            break;
        }
        left -= STOPS;
        rest = rest.and_then(|rest| rest.get(STOPS..));
    }
    let done = text.len() - left;
    debug_assert_eq!(out.len(), start + done);
    let rest = text.as_bytes().get(done..).unwrap_or_default();
    match text.as_bytes().last_chunk::<STOPS>() {
        // Nothing is behind the text, so its last block is checked; it may overlap the one before.
        Some(block) if left < STOPS && stops(block) == STOPS => out.extend_from_slice(rest),
        _ => push_rest(out, rest),
    }
}

/// `larger` from where `text` begins in it; `None` if `text` is not a part of it.
#[inline]
pub(crate) fn behind<'l>(text: &str, larger: &'l [u8]) -> Option<&'l [u8]> {
    larger.get(text.as_ptr().addr().wrapping_sub(larger.as_ptr().addr())..)
}

fn push_rest(out: &mut Vec<u8>, bytes: &[u8]) {
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

/// Lower-case hexadecimal digits, two for each byte. Computed for all bytes at once: the `hex` crate
/// goes byte by byte and takes as long as the hash itself.
pub(crate) fn hex<const N: usize>(bytes: [u8; N]) -> [[u8; 2]; N] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    bytes.map(|byte| [digit(byte >> 4), digit(byte & 15)])
}

/// The digits as a text.
pub(crate) fn text_of_hex(digits: &[[u8; 2]]) -> String {
    // ASCII.
    String::from_utf8(digits.as_flattened().to_vec()).unwrap_or_default()
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
pub(crate) fn push_digits(out: &mut Vec<u8>, number: u64) {
    const EIGHT_DIGITS: u64 = 100_000_000;
    let (high, low) = (number / EIGHT_DIGITS, number % EIGHT_DIGITS);
    if high > 0 {
        push_digits(out, high);
        out.extend_from_slice(&eight_digits(low).to_le_bytes());
        return;
    }
    let digits = eight_digits(low);
    // The first digit is the lowest byte; a zero has one digit too.
    let zeros = ((digits ^ ZEROS).trailing_zeros() / 8).min(7);
    let start = out.len();
    out.extend_from_slice(&(digits >> (8 * zeros)).to_le_bytes());
    out.truncate(start.saturating_add(8).saturating_sub(usize::try_from(zeros).unwrap_or(0)));
}

const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The eight digits of a number below 100,000,000, the first digit in the lowest byte. Halves become
/// quarters, then digits, all parts at once, by multiplications instead of divisions.
const fn eight_digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | ((halves - hundreds * 100) << 16);
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    (tens | ((quarters - tens * 10) << 8)) + ZEROS
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

    #[test]
    fn what_acts_or_hides_is_written_out_and_json_stays_the_same_text() {
        for (text, shown) in [
            ("table 2.0 \u{a0}é 漢字 🙂", "table 2.0 \u{a0}é 漢字 🙂"),
            ("a\u{1b}[2J\n", "a\\u001b[2J\\u000a"),
            ("\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}", "\\u202e\\u2066\\u200f\\u061c\\u2028"),
            ("\u{200b}\u{feff}\u{ad}\u{115f}", "\\u200b\\ufeff\\u00ad\\u115f"),
            ("\u{e0001}", "\\udb40\\udc01"),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
            let json = serde_json::to_string(text).unwrap();
            let printable = printable_json(&json);
            assert!(!printable.chars().any(is_unprintable), "{printable}");
            assert_eq!(serde_json::from_str::<String>(&printable).unwrap(), text);
        }
    }

    #[test]
    fn no_text_becomes_a_formula_and_numbers_stay_numbers() {
        for (text, wanted) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("-", "'-"),
            ("-.5", "'-.5"),
            ("-1.", "'-1."),
            ("--1", "'--1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("-1652.00", "-1652.00"),
            ("-7", "-7"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(defused(text), wanted);
        }
    }

    #[test]
    fn schemes_of_the_system_are_told_from_those_of_apps() {
        assert!(SYSTEM_SCHEMES.is_sorted_by(|left, right| left < right));
        for scheme in [
            "javascript",
            "data",
            "file",
            "blob",
            "about",
            "view-source",
            "intent",
            "tel",
            "sms",
            "mailto",
            "chrome",
            "chrome-extension",
            "content",
            "market",
            "ws",
            "wss",
            "ftp",
            "android-app",
            "itms-apps",
            "itms-services",
            "ms-settings",
            "ms-word",
            "moz-extension",
            "x-apple-health",
            "app-prefs",
            "facetime-audio",
            "googlechromes",
            "web+shop",
            "jar",
            "safari-extension",
            "microsoft-edge",
            "smb",
            "ldap",
            "ssh",
            "shell",
            "res",
            "edge",
        ] {
            assert!(is_system_scheme(scheme), "{scheme}");
        }
        for scheme in [
            "someapps",
            "shopapp",
            "gojek",
            "tokopedia",
            "com.shop.app",
            "telkomsel",
            "smsshop",
            "marketplace",
            "mapshop",
            "a",
        ] {
            assert!(!is_system_scheme(scheme), "{scheme}");
        }
    }

    proptest::proptest! {
        #[test]
        fn json_strings_read_back(text in "\\PC*|[\\x00-\\x7f]*|[ -~]{0,70}") {
            let mut out = Vec::new();
            push_json_string(&mut out, &text);
            proptest::prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text.as_str());
            let larger = format!("a{text}b\"{text}");
            let mut within = Vec::new();
            let part = &larger[1..=text.len()];
            push_json_escaped_within(&mut within, part, larger.as_bytes());
            proptest::prop_assert_eq!(&within, &out[1..out.len() - 1]);
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
            for other in [text.as_bytes(), b"", b"somewhere else"] {
                out.truncate(6);
                push_json_escaped_within(&mut out, part, other);
                assert_eq!(out, format!("before{part}").into_bytes());
            }
        }
    }

    #[test]
    fn every_byte_has_its_hexadecimal_digits() {
        for byte in 0..=u8::MAX {
            let bytes = [byte, !byte, 0x0f];
            assert_eq!(text_of_hex(&hex(bytes)), ::hex::encode(bytes));
        }
    }

    #[test]
    fn numbers_of_every_length_are_whole() {
        for number in 0..10_000 {
            for number in [number, number * 10_000, number * 10_001] {
                let mut out = Vec::new();
                push_digits(&mut out, number);
                assert_eq!(out, number.to_string().into_bytes());
            }
        }
        let powers = (0..19).map(|zeros| 10_i128.pow(zeros));
        for number in powers.flat_map(|power| [power, power - 1, -power, i128::from(u64::MAX)]) {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
