//! The signature under every notification.

use sha2::{Digest as _, Sha512};
use subtle::{Choice, ConstantTimeEq as _};

use crate::text::{hex, text_of_hex};

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
    text_of_hex(&digits(order_id, status_code, gross_amount, server_key))
}

pub(super) fn digits(
    order_id: &str,
    status_code: &str,
    gross_amount: &str,
    server_key: &str,
) -> [[u8; 2]; 64] {
    let mut hash = Sha512::new();
    for part in [order_id, status_code, gross_amount, server_key] {
        hash.update(part.as_bytes());
    }
    hex(hash.finalize().into())
}

/// Whether two signatures are the same, in constant time.
pub(super) fn same(given: &[u8], expected: &[u8]) -> bool {
    if given.len() != expected.len() {
        return false;
    }
    // By words: the guard against early exits costs something for each comparison.
    let ((given, given_rest), (expected, rest)) =
        (given.as_chunks::<8>(), expected.as_chunks::<8>());
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    let words = given.iter().zip(expected);
    let same = words
        .fold(Choice::from(1), |same, (given, expected)| same & word(given).ct_eq(&word(expected)));
    (same & given_rest.ct_eq(rest)).into()
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
            assert!(same(expected.as_bytes(), signature.as_bytes()));
            for at in 0..signature.len() {
                let mut other = signature.clone().into_bytes();
                other[at] ^= 1;
                assert!(!same(expected.as_bytes(), &other));
            }
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
            ("0123456789", "0123456789", true),
            ("0123456789", "0123456788", false),
        ] {
            assert_eq!(same(given.as_bytes(), expected.as_bytes()), equal, "{given} {expected}");
        }
    }
}
