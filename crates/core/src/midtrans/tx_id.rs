//! The number that Midtrans gives a transaction.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Midtrans' `transaction_id`: usually a UUID, but not always (`docs/midtrans.md`, "Charge
/// response"), so any 1 to 64 characters that are safe as one segment of a URL path.
///
/// ```
/// use gopay_core::midtrans::MidtransTxId;
/// assert!("231c79c5-e39e-4993-86da-cadcaee56c1d".parse::<MidtransTxId>().is_ok());
/// assert!("../charge".parse::<MidtransTxId>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MidtransTxId(String);

/// The text cannot be an id in a URL of Midtrans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of 1 to {max} letters, digits and `-_~.`", max = MidtransTxId::CHARS_MAX)]
pub struct MidtransTxIdError;

impl MidtransTxId {
    /// The longest id: above the 36 characters of a UUID and the 50 of an `order_id`, and short enough
    /// for a column and a URL.
    pub const CHARS_MAX: usize = 64;

    /// Checks and takes `text`.
    ///
    /// # Errors
    /// [`MidtransTxIdError`] for another length, other characters, and `.` and `..`, which a URL
    /// path would swallow.
    pub fn new(text: impl Into<String>) -> Result<Self, MidtransTxIdError> {
        let text = text.into();
        if Self::is_safe(&text) { Ok(Self(text)) } else { Err(MidtransTxIdError) }
    }

    /// Whether `text` may stand as the id in a URL of Midtrans; also true of every `order_id` of
    /// ours.
    #[must_use]
    pub fn is_safe(text: &str) -> bool {
        (1..=Self::CHARS_MAX).contains(&text.len())
            // Reads all bytes without a branch, so that it is done by blocks.
            && text.bytes().fold(true, |good, byte| {
                let mark = (byte == b'-') | (byte == b'_') | (byte == b'~') | (byte == b'.');
                good & (byte.is_ascii_alphanumeric() | mark)
            })
            && !matches!(text, "." | "..")
    }

    /// The id as Midtrans wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MidtransTxId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl AsRef<str> for MidtransTxId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for MidtransTxId {
    type Err = MidtransTxIdError;

    fn from_str(text: &str) -> Result<Self, MidtransTxIdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for MidtransTxId {
    type Error = MidtransTxIdError;

    fn try_from(text: String) -> Result<Self, MidtransTxIdError> {
        Self::new(text)
    }
}

impl From<MidtransTxId> for String {
    fn from(id: MidtransTxId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_safe_path_segment_is_an_id() {
        let longest = "a".repeat(64);
        let too_long = "a".repeat(65);
        for (text, good) in [
            ("231c79c5-e39e-4993-86da-cadcaee56c1d", true),
            ("A120250123494119o1P1fiYNhZID", true),
            ("123887123", true),
            ("a~b_c.d-e", true),
            ("...", true),
            (longest.as_str(), true),
            (too_long.as_str(), false),
            ("", false),
            (".", false),
            ("..", false),
            ("a/b", false),
            ("a?b", false),
            ("a#b", false),
            ("a%2fb", false),
            ("a b", false),
            ("a\n", false),
            ("é", false),
        ] {
            assert_eq!(MidtransTxId::new(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn stored_and_read_back_it_is_checked_again() {
        let id = MidtransTxId::new("A1").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), r#""A1""#);
        assert_eq!(serde_json::from_str::<MidtransTxId>(r#""A1""#).unwrap(), id);
        assert!(serde_json::from_str::<MidtransTxId>(r#""a/b""#).is_err());
    }
}
