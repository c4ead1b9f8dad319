//! Classes of bytes in one table; checks of whole texts are loops over it.

/// ASCII letters.
pub(crate) const LETTER: u8 = 1;
/// ASCII digits.
pub(crate) const DIGIT: u8 = 2;
/// Letters, digits and the hyphen: a label of a host.
pub(crate) const LABEL: u8 = 4;
/// Letters, digits and `.-_+`: a plain local part of an e-mail address.
pub(crate) const LOCAL: u8 = 8;
/// Letters, digits and `.,-_`.
pub(crate) const REFERENCE: u8 = 16;
/// Letters, digits, `-` and space.
pub(crate) const POSTAL: u8 = 32;
/// Space to tilde.
pub(crate) const PRINTABLE: u8 = 64;
/// What every URL reader takes alike: no space, no control character, no backslash.
pub(crate) const CLEAN: u8 = 128;

#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    loop {
        let mut class = 0;
        if byte.is_ascii_alphabetic() {
            class |= LETTER | LABEL | LOCAL | REFERENCE | POSTAL;
        }
        if byte.is_ascii_digit() {
            class |= DIGIT | LABEL | LOCAL | REFERENCE | POSTAL;
        }
        if byte == b'-' {
            class |= LABEL | LOCAL | REFERENCE | POSTAL;
        }
        if matches!(byte, b'.' | b'_') {
            class |= LOCAL | REFERENCE;
        }
        if byte == b'+' {
            class |= LOCAL;
        }
        if byte == b',' {
            class |= REFERENCE;
        }
        if byte == b' ' {
            class |= POSTAL;
        }
        if matches!(byte, b' '..=b'~') {
            class |= PRINTABLE;
        }
        if byte > b' ' && byte != 0x7f && byte != b'\\' {
            class |= CLEAN;
        }
        #[expect(clippy::as_conversions, reason = "a byte as the place of its class")]
        {
            classes[byte as usize] = class;
        }
        if byte == u8::MAX {
            break classes;
        }
        byte += 1;
    }
};

#[inline]
pub(crate) fn class(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}

/// Whether every byte is of the class. Reads all of them, since texts are short and nearly always
/// good.
#[inline]
pub(crate) fn all(bytes: &[u8], wanted: u8) -> bool {
    bytes.iter().fold(wanted, |classes, byte| classes & class(*byte)) == wanted
}

/// As `all(bytes, CLEAN)`, for longer texts: eight bytes at a time while they are ASCII.
#[inline]
pub(crate) fn all_clean(bytes: &[u8]) -> bool {
    const EVERY: u64 = u64::MAX / 255;
    let (words, rest) = bytes.as_chunks::<8>();
    let zero = |word: u64| word.wrapping_sub(EVERY) & !word;
    let found = words.iter().fold(0, |found, word| {
        let word = u64::from_le_bytes(*word);
        let blank = word.wrapping_sub(EVERY * 0x21) & !word;
        found | word | blank | zero(word ^ (EVERY * 0x7f)) | zero(word ^ (EVERY * 0x5c))
    });
    if found & (EVERY * 0x80) == 0 { all(rest, CLEAN) } else { all(bytes, CLEAN) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex::Regex;

    #[test]
    fn bytes_have_the_classes_of_their_patterns() {
        for (class, pattern) in [
            (LETTER, "[A-Za-z]"),
            (DIGIT, "[0-9]"),
            (LABEL, "[A-Za-z0-9-]"),
            (LOCAL, "[A-Za-z0-9._+-]"),
            (REFERENCE, "[A-Za-z0-9.,_-]"),
            (POSTAL, "[A-Za-z0-9 -]"),
            (PRINTABLE, "[ -~]"),
            (CLEAN, r"[^\x00-\x20\x7f\\]"),
        ] {
            let form = Regex::new(&format!("^{pattern}$")).unwrap();
            for byte in 0..=0x7f_u8 {
                let text = char::from(byte).to_string();
                assert_eq!(all(&[byte], class), form.is_match(&text), "{pattern} {byte}");
            }
            let beyond = form.is_match("\u{e9}");
            assert!((0x80..=0xff).all(|byte| all(&[byte], class) == beyond));
        }
    }

    proptest::proptest! {
        #[test]
        fn clean_is_clean_in_words_too(text in "[ -~\u{7f}\u{e9}\n]{0,24}|[!-\\[\\]-~]{0,40}[ -\u{80}]?[!-\\[]{0,9}") {
            proptest::prop_assert_eq!(all_clean(text.as_bytes()), all(text.as_bytes(), CLEAN));
        }
    }
}
