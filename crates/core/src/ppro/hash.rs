//! PPRO's nested hash, of the return redirect and of notifications.
//!
//! Source: `docs/psp-guide.md`, "Return of the shopper" and "Notifications".

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::ids::TxId;
use crate::text::{hex, push_digits, text_of_hex};
use crate::time::Timestamp;

/// `sha256( sha256( first + "." + second ) + "." + secret )`, lower-case hex; the inner digest
/// enters as lower-case hex text.
#[must_use]
pub fn nested(first: &str, second: &str, secret: &str) -> String {
    let inner = Sha256::new().chain_update(first).chain_update(".").chain_update(second).finalize();
    let outer = Sha256::new()
        .chain_update(hex(inner.into()).as_flattened())
        .chain_update(".")
        .chain_update(secret)
        .finalize();
    text_of_hex(&hex(outer.into()))
}

/// `cs` of the shopper's return to `merchantredirecturl`.
#[must_use]
pub fn return_cs(tx_id: TxId, redirect_secret: &str, shared_secret: &str) -> String {
    nested(&number(tx_id), redirect_secret, shared_secret)
}

fn number(tx_id: TxId) -> String {
    let mut digits = Vec::with_capacity(32);
    push_digits(&mut digits, tx_id.get().unsigned_abs());
    // ASCII.
    String::from_utf8(digits).unwrap_or_default()
}

/// `sha256hash` of a notification.
#[must_use]
pub fn notification_hash(tx_id: TxId, final_at: Timestamp, notification_secret: &str) -> String {
    nested(&number(tx_id), &final_at.utc_seconds(), notification_secret)
}

/// The body of a notification: `txid`, `finaltimestamp`, `sha256hash`; no status.
#[must_use]
pub fn notification_body(tx_id: TxId, final_at: Timestamp, notification_secret: &str) -> String {
    let (tx_id, time) = (number(tx_id), final_at.utc_seconds());
    let hash = nested(&tx_id, &time, notification_secret);
    let time = super::reply::encode(&time);
    ["txid=", &tx_id, "&finaltimestamp=", &time, "&sha256hash=", &hash].concat()
}

/// Which of our own addresses a code belongs to, so that one never opens another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `REDIRECTURL`.
    Redirect,
    /// Where the GoPay app returns to.
    Return,
}

/// The code that protects one of our own addresses: HMAC-SHA-256, 64 lower-case hex digits.
///
/// `key` is none of the PSP's: a short secret of its own could be guessed offline from the code.
#[must_use]
pub fn page_code(page: Page, tx_id: TxId, redirect_secret: &str, key: &str) -> String {
    let label = match page {
        Page::Redirect => "redirect",
        Page::Return => "return",
    };
    keyed(key, &["gopay-adapter ", label, " ", &number(tx_id), " ", redirect_secret].concat())
}

/// The key of page codes that a server key stands for. It tells nothing of the server key.
#[must_use]
pub fn page_key(server_key: &str) -> String {
    keyed(server_key, "gopay-adapter page key")
}

/// HMAC-SHA-256, 64 lower-case hex digits.
fn keyed(key: &str, text: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else {
        return String::new();
    };
    text_of_hex(&hex(mac.chain_update(text).finalize().into_bytes().into()))
}

/// Compares codes in constant time.
#[must_use]
pub fn same_code(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

/// Adds `txid` and `cs` to a merchant's address; an existing query is kept, a fragment stays last.
///
/// ```
/// use gopay_core::ppro::hash::merchant_return;
/// let tx_id = "123887123".parse().unwrap();
/// assert_eq!(
///     merchant_return("https://shop.example/r?a=1#top", tx_id, "ab"),
///     "https://shop.example/r?a=1&txid=123887123&cs=ab#top"
/// );
/// ```
#[must_use]
pub fn merchant_return(url: &str, tx_id: TxId, cs: &str) -> String {
    let (base, fragment) = match url.split_once('#') {
        Some((base, fragment)) => (base, Some(fragment)),
        None => (url, None),
    };
    let joint = match base.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    let mut out = format!("{base}{joint}txid={tx_id}&cs={cs}");
    if let Some(fragment) = fragment {
        out.push('#');
        out.push_str(fragment);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tx() -> TxId {
        "123887123".parse().unwrap()
    }

    #[test]
    fn the_published_vectors_come_out() {
        assert_eq!(
            return_cs(tx(), "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy", "examplesharedsecret"),
            "f99b7addaf5e0630026cc704bc2c100720769dc6b95953290b68e568ec87b5b2"
        );
        let at = Timestamp::from_rfc3339("2025-06-21T08:34:20Z").unwrap();
        assert_eq!(
            notification_hash(tx(), at, "examplenotificationsecret"),
            "bd06f63211d4f3b15c65c032d65d8301d187f265eb761c0189df0e0ebdb4df04"
        );
        assert_eq!(
            notification_body(tx(), at, "examplenotificationsecret"),
            "txid=123887123&finaltimestamp=2025-06-21T08%3A34%3A20Z&sha256hash=bd06f63211d4f3b15c65c032d65d8301d187f265eb761c0189df0e0ebdb4df04"
        );
    }

    #[test]
    fn the_merchant_keeps_query_and_fragment() {
        for (url, expected) in [
            ("https://s.example/r", "https://s.example/r?txid=123887123&cs=c"),
            ("https://s.example/r?", "https://s.example/r?txid=123887123&cs=c"),
            ("https://s.example/r?a=1", "https://s.example/r?a=1&txid=123887123&cs=c"),
            ("https://s.example/r?a=1&", "https://s.example/r?a=1&txid=123887123&cs=c"),
            ("https://s.example/r#f", "https://s.example/r?txid=123887123&cs=c#f"),
            ("https://s.example/r#f?x", "https://s.example/r?txid=123887123&cs=c#f?x"),
        ] {
            assert_eq!(merchant_return(url, tx(), "c"), expected);
        }
    }

    #[test]
    fn page_codes_differ_by_page_payment_and_secret() {
        let code = page_code(Page::Redirect, tx(), "s", "k");
        assert_eq!(code.len(), 64);
        for other in [
            page_code(Page::Return, tx(), "s", "k"),
            page_code(Page::Redirect, "123887124".parse().unwrap(), "s", "k"),
            page_code(Page::Redirect, tx(), "t", "k"),
            page_code(Page::Redirect, tx(), "s", "l"),
            return_cs(tx(), "s", "k"),
        ] {
            assert!(!same_code(&code, &other));
        }
        assert!(same_code(&code, &page_code(Page::Redirect, tx(), "s", "k")));
    }
}
