//! Few words that many rows repeat, as small numbers.

/// Words by number; 0 is no word.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words(Vec<String>);

impl Words {
    /// The number of a word in any letter case. After 254 words, which no column of types has, the
    /// others are one.
    pub(crate) fn code(&mut self, text: &[u8]) -> u8 {
        let text = text.trim_ascii();
        if text.is_empty() {
            return 0;
        }
        let same = |word: &String| word.as_bytes().eq_ignore_ascii_case(text);
        let place = match self.0.iter().position(same) {
            Some(place) => place,
            None if self.0.len() >= 254 => 254,
            None => {
                self.0.push(String::from_utf8_lossy(text).chars().take(32).collect());
                self.0.len() - 1
            }
        };
        u8::try_from(place + 1).unwrap_or(u8::MAX)
    }

    /// The word of a number as it was first written, empty for 0.
    pub(crate) fn word(&self, code: u8) -> &str {
        let place = usize::from(code).checked_sub(1);
        place.and_then(|place| self.0.get(place)).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_one_number_in_any_letter_case() {
        let mut words = Words::default();
        assert_eq!(
            ["gopay", "QRIS", "GoPay", " ", "qris"].map(|w| words.code(w.as_bytes())),
            [1, 2, 1, 0, 2]
        );
        assert_eq!([words.word(0), words.word(1), words.word(2)], ["", "gopay", "QRIS"]);
        let many: Vec<u8> = (0..300).map(|n| words.code(format!("w{n}").as_bytes())).collect();
        assert_eq!(many.last(), Some(&255));
    }
}
