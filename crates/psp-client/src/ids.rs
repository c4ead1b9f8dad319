//! Ids that the adapter gives.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The text is not an id of the adapter's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal id of 1 to 19 digits")]
pub struct IdError;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Decimal, 1 to 19 digits, no leading zero; `0` stands for none.
        /// Source: `docs/psp-guide.md`, "Answers".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(NonZeroU64);

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }
    };
}

id!(
    /// A payment: `TXID`.
    ///
    /// ```
    /// use gopay_psp_client::TxId;
    /// assert_eq!("123887123".parse::<TxId>()?.to_string(), "123887123");
    /// assert!("0".parse::<TxId>().is_err());
    /// # Ok::<(), gopay_psp_client::IdError>(())
    /// ```
    TxId
);
id!(
    /// A refund: `REFUNDID`.
    RefundId
);

fn parse(text: &str) -> Result<NonZeroU64, IdError> {
    let canonical = text.len() <= 19
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && !text.starts_with('0');
    if canonical { text.parse().map_err(|_| IdError) } else { Err(IdError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_only_in_their_one_written_form() {
        for (text, good) in [
            ("1", true),
            ("9223372036854775807", true),
            ("9999999999999999999", true),
            ("10000000000000000000", false),
            ("", false),
            ("0", false),
            ("01", false),
            ("+1", false),
            ("1 ", false),
        ] {
            assert_eq!(text.parse::<TxId>().is_ok(), good, "{text:?}");
            assert_eq!(text.parse::<RefundId>().is_ok(), good, "{text:?}");
        }
    }
}
