//! Names of accounts at Midtrans.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The name of an account at Midtrans, beside the one that each channel has.
///
/// 1 to 40 lower-case letters, digits, `-` and `_`, the first of them a letter or digit: it stands in
/// logs, URLs and the names of sections.
///
/// ```
/// use gopay_core::account::AccountName;
/// assert!("warung-71".parse::<AccountName>().is_ok());
/// assert!("../etc".parse::<AccountName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(Arc<str>);

/// A text that is no [`AccountName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not 1 to 40 lower-case letters, digits, hyphens and underscores")]
pub struct AccountNameError;

impl AccountName {
    /// The longest name, in characters.
    pub const CHARS_MAX: usize = 40;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = (1..=Self::CHARS_MAX).contains(&text.len())
            && text.bytes().all(|byte| plain(byte) || b"-_".contains(&byte))
            && text.bytes().next().is_some_and(plain);
        if good { Ok(Self(text.into())) } else { Err(AccountNameError) }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        let longest = "a".repeat(AccountName::CHARS_MAX);
        for (text, good) in [
            ("a", true),
            ("7-eleven_2", true),
            (longest.as_str(), true),
            ("", false),
            (&format!("{longest}a"), false),
            ("-a", false),
            ("_a", false),
            ("A", false),
            ("a.b", false),
            ("a b", false),
            ("a\n", false),
            ("a/../b", false),
            ("\u{e4}", false),
            ("a'; --", false),
        ] {
            let parsed = text.parse::<AccountName>();
            assert_eq!(parsed.is_ok(), good, "{text:?}");
            assert!(parsed.is_err() || parsed.unwrap().as_str() == text);
        }
    }
}
