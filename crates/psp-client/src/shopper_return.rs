//! The shopper's return to the merchant, whatever the outcome.
//!
//! Read the query, find the order and its `REDIRECTSECRET`, verify; then ask GETTXSTATUS, for a
//! return holds no result. Source: `docs/psp-guide.md`, "Return of the shopper".
//!
//! ```
//! use gopay_psp_client::shopper_return::{Forged, UnverifiedReturn};
//! let query = "cart=8&txid=123887123&\
//!     cs=f99b7addaf5e0630026cc704bc2c100720769dc6b95953290b68e568ec87b5b2";
//! let read = UnverifiedReturn::read(query)?;
//! // Look up what the answer to TRANSACTION brought for this payment.
//! assert_eq!(read.claimed_tx_id().to_string(), "123887123");
//! let secret = "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy";
//! assert!(read.clone().verify(secret, "examplesharedsecret").is_ok());
//! assert_eq!(read.verify(secret, "othersecret"), Err(Forged));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use percent_encoding::percent_decode_str;

use crate::hash::is_nested;
use crate::ids::TxId;

/// The query is not that of a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a return: no {0}")]
pub struct Malformed(&'static str);

/// `cs` does not fit: whoever made this address does not have the secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cs of the return is wrong")]
pub struct Forged;

/// A return that anybody may have made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnverifiedReturn {
    tx_id: TxId,
    cs: String,
}

impl UnverifiedReturn {
    /// Reads the query of the address, without `?`. The merchant's own parameters may stand in it;
    /// the adapter's come last.
    ///
    /// # Errors
    /// [`Malformed`] if `txid` is no id, or one of the two is missing.
    pub fn read(query: &str) -> Result<Self, Malformed> {
        let last = |name: &str| {
            let mut pairs = query.rsplit('&').filter_map(|pair| pair.split_once('='));
            let (_, value) = pairs.find(|(key, _)| *key == name)?;
            percent_decode_str(value).decode_utf8().ok()
        };
        let tx_id = last("txid").and_then(|text| text.parse().ok());
        Ok(Self {
            tx_id: tx_id.ok_or(Malformed("txid"))?,
            cs: last("cs").ok_or(Malformed("cs"))?.into_owned(),
        })
    }

    /// Which payment it claims to be about.
    #[must_use]
    pub const fn claimed_tx_id(&self) -> TxId {
        self.tx_id
    }

    /// The payment, if `cs` was made with both secrets. Takes the same time wherever it differs.
    ///
    /// # Errors
    /// [`Forged`].
    pub fn verify(self, redirect_secret: &str, shared_secret: &str) -> Result<TxId, Forged> {
        let genuine = is_nested(&self.cs, &self.tx_id.to_string(), redirect_secret, shared_secret);
        if genuine { Ok(self.tx_id) } else { Err(Forged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_merchants_own_parameters_do_no_harm() {
        let read =
            |query| UnverifiedReturn::read(query).map(|read| (read.tx_id.to_string(), read.cs));
        for (query, expected) in [
            ("txid=7&cs=a", Ok(("7".to_owned(), "a".to_owned()))),
            ("txid=mine&a&b=%FF&&txid=7&cs=a", Ok(("7".to_owned(), "a".to_owned()))),
            ("txid=7", Err(Malformed("cs"))),
            ("cs=a", Err(Malformed("txid"))),
            ("txid=0&cs=a", Err(Malformed("txid"))),
            ("", Err(Malformed("txid"))),
        ] {
            assert_eq!(read(query), expected, "{query}");
        }
    }
}
