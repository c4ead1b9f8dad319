//! PPRO's nested hash.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Whether `hash` is `sha256( sha256( first + "." + second ) + "." + secret )` in lower-case hex;
/// the inner digest enters the outer one as that text. Takes the same time wherever they differ.
pub(crate) fn is_nested(hash: &str, first: &str, second: &str, secret: &str) -> bool {
    nested(first, second, secret).as_bytes().ct_eq(hash.as_bytes()).into()
}

fn nested(first: &str, second: &str, secret: &str) -> String {
    let inner = Sha256::new().chain_update(first).chain_update(".").chain_update(second);
    let inner = hex::encode(inner.finalize());
    let outer = Sha256::new().chain_update(inner).chain_update(".").chain_update(secret);
    hex::encode(outer.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_vectors_come_out() {
        for (second, secret, expected) in [
            (
                "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy",
                "examplesharedsecret",
                "f99b7addaf5e0630026cc704bc2c100720769dc6b95953290b68e568ec87b5b2",
            ),
            (
                "2025-06-21T08:34:20Z",
                "examplenotificationsecret",
                "bd06f63211d4f3b15c65c032d65d8301d187f265eb761c0189df0e0ebdb4df04",
            ),
        ] {
            assert_eq!(nested("123887123", second, secret), expected);
            assert!(is_nested(expected, "123887123", second, secret));
            assert!(!is_nested(&expected.to_uppercase(), "123887123", second, secret));
            assert!(!is_nested("", "123887123", second, secret));
        }
    }
}
