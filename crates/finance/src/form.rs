//! The form of a client's settlement files, where it is not PPRO's proposal: the mark between
//! columns, and the mark between whole and cents.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// Between columns: a comma, a semicolon or a tab.
    pub delimiter: char,
    /// Between whole and cents: a point or a comma.
    pub decimal_mark: char,
}

impl Default for Form {
    fn default() -> Self {
        Self { delimiter: ',', decimal_mark: '.' }
    }
}

impl Form {
    /// What may stand between columns.
    pub const DELIMITERS: [char; 3] = [',', ';', '\t'];
    /// What may stand between whole and cents.
    pub const DECIMAL_MARKS: [char; 2] = ['.', ','];

    /// Whether it is that of PPRO's proposal, which manifests do not name.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The delimiter as a byte.
    #[must_use]
    pub fn delimiter_byte(self) -> u8 {
        u8::try_from(self.delimiter).unwrap_or(b',')
    }

    /// An amount as files show it.
    #[must_use]
    pub fn shown(self, amount: Amount) -> String {
        let plain = amount.to_string();
        if self.decimal_mark == '.' {
            plain
        } else {
            plain.replace('.', &self.decimal_mark.to_string())
        }
    }

    /// The amount of a text that is in this form to the sign; none of any other.
    #[must_use]
    pub fn read(self, text: &str) -> Option<Amount> {
        let plain = text.replace(self.decimal_mark, ".");
        let amount: Amount = plain.parse().ok()?;
        (self.shown(amount) == text).then_some(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_mark_of_its_form_and_no_other() {
        let comma = Form { delimiter: ';', decimal_mark: ',' };
        let amount = Amount::new(-123_450);
        for (form, text, read) in [
            (Form::default(), "-1234.50", Some(amount)),
            (comma, "-1234,50", Some(amount)),
            (comma, "-1234.50", None),
            (Form::default(), "-1234,50", None),
            (comma, "-1234,5", None),
        ] {
            assert_eq!(form.read(text), read, "{text}");
        }
        assert_eq!(comma.shown(amount), "-1234,50");
    }
}
