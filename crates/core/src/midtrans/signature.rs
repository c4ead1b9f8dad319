//! The signature under every notification.

use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

/// Signs as Midtrans does: SHA-512 over the four texts one after the other, as 128 lower-case
/// hexadecimal digits. Source: `docs/midtrans.md`, "Signature".
///
/// It covers neither the status of the payment nor Midtrans' number of it.
///
/// ```
/// let signature = gopay_core::midtrans::signature::sign("1", "200", "100.00", "key");
/// assert_eq!(signature.len(), 128);
/// ```
#[must_use]
pub fn sign(order_id: &str, status_code: &str, gross_amount: &str, server_key: &str) -> String {
    let mut hash = Sha512::new();
    for part in [order_id, status_code, gross_amount, server_key] {
        hash.update(part.as_bytes());
    }
    hex::encode(hash.finalize())
}

/// Whether two signatures are the same, in a time that does not depend on where they differ.
pub(super) fn same(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_vectors_hold() {
        for (status_code, expected) in [
            (
                "200",
                "5d0727f455e0929f6a68a578ebad1ff65897cf3872e4daa50cdb70d1c17da6abab66f1c286ecbbf56\
                 da1f755d9457da8c940cf50421c453e4cef73ebadd9d212",
            ),
            (
                "202",
                "14c90d943791ef730ffd895899812de7f322db8add67e3b4cd7e17c53ebbd9bb5c4a28afc710bb9b3\
                 62c831615dc8df1ecbc678d7b2b251b466b8e33ac80baf4",
            ),
        ] {
            let signature = sign("PPGO-000001", status_code, "125000.00", "SB-Mid-server-EXAMPLE");
            assert_eq!(signature, expected);
            assert!(same(expected, &signature));
        }
    }

    #[test]
    fn another_text_or_length_is_another_signature() {
        for (given, expected, equal) in [
            ("ab", "ab", true),
            ("ab", "ac", false),
            ("ab", "AB", false),
            ("ab", "abc", false),
            ("", "ab", false),
        ] {
            assert_eq!(same(given, expected), equal, "{given} {expected}");
        }
    }
}
