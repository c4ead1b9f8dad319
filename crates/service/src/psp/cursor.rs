//! Positions in the journal as PSPs are given them: sealed, since a position counts the entries of
//! every PSP.
//!
//! The seal has the shape of RFC 5297 (SIV), with HMAC-SHA-256: the code of the content begins the key
//! stream that hides it, so no two contents share one. Random bytes in the content make two cursors of
//! one position look different, and filling up makes their length say nothing of how far they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gopay_store::Cursor;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Of the code, half of SHA-256: nobody finds one that fits by trying.
const CODE_BYTES: usize = 16;

/// Random bytes at the start of the content.
pub(crate) const NONCE_BYTES: usize = 8;

/// The content is filled up to a multiple of this.
const FILL: usize = 32;

/// What a login's cursors are sealed with, of one of our keys.
struct Keys {
    code: [u8; 32],
    stream: [u8; 32],
}

impl Keys {
    fn of(key: &SecretString, login: &str) -> Self {
        let derived = |label: &str| {
            let text = format!("gopay-adapter feed {label} {login}");
            mac(key.expose_secret().as_bytes(), &[text.as_bytes()])
        };
        Self { code: derived("code"), stream: derived("stream") }
    }

    fn code(&self, content: &[u8]) -> Vec<u8> {
        mac(&self.code, &[content]).into_iter().take(CODE_BYTES).collect()
    }

    /// Hides a content, or shows a hidden one.
    fn hide(&self, code: &[u8], content: &[u8]) -> Vec<u8> {
        let blocks = content.chunks(32).zip(0_u32..);
        let hidden = blocks.flat_map(|(block, number)| {
            let stream = mac(&self.stream, &[code, &number.to_be_bytes()]);
            block.iter().zip(stream).map(|(byte, key)| byte ^ key).collect::<Vec<_>>()
        });
        hidden.collect()
    }
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// A position for a login, sealed with the first of our keys; none if there is no key.
pub(crate) fn sealed(
    position: &Cursor,
    login: &str,
    keys: &[SecretString],
    nonce: [u8; NONCE_BYTES],
) -> Option<String> {
    let keys = Keys::of(keys.first()?, login);
    let mut content = nonce.to_vec();
    content.extend_from_slice(position.to_string().as_bytes());
    content.resize(content.len().next_multiple_of(FILL), b' ');
    let code = keys.code(&content);
    let hidden = keys.hide(&code, &content);
    Some(URL_SAFE_NO_PAD.encode([code, hidden].concat()))
}

/// The position of a cursor that was sealed for this login with one of our keys.
pub(crate) fn opened(text: &str, login: &str, keys: &[SecretString]) -> Option<Cursor> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (code, hidden) = bytes.split_at_checked(CODE_BYTES)?;
    keys.iter().find_map(|key| {
        let keys = Keys::of(key, login);
        let content = keys.hide(code, hidden);
        if !bool::from(keys.code(&content).ct_eq(code)) {
            return None;
        }
        let position = std::str::from_utf8(content.get(NONCE_BYTES..)?).ok()?;
        position.trim_end_matches(' ').parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(list: &[&str]) -> Vec<SecretString> {
        list.iter().map(|key| SecretString::from(*key)).collect()
    }

    fn position() -> Cursor {
        Cursor::default().advanced(0, 17).advanced(1_023, i64::MAX)
    }

    #[test]
    fn a_cursor_is_opened_by_its_login_with_any_of_our_keys_and_by_nobody_else() {
        let text = sealed(&position(), "one", &keys(&["old"]), [7; 8]).unwrap();
        for (login, list, good) in [
            ("one", &["old"][..], true),
            ("one", &["new", "old"], true),
            ("one", &["new"], false),
            ("one", &[], false),
            ("two", &["old"], false),
        ] {
            let read = opened(&text, login, &keys(list));
            assert_eq!(read, good.then(position), "{login} {list:?}");
        }
        assert_eq!(sealed(&position(), "one", &[], [7; 8]), None);
    }

    #[test]
    fn what_was_changed_is_no_cursor() {
        let list = keys(&["key"]);
        let text = sealed(&position(), "one", &list, [7; 8]).unwrap();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(opened(&changed, "one", &list), None, "{place}");
        }
        for length in 0..text.len() {
            assert_eq!(opened(&text[..length], "one", &list), None, "{length}");
        }
        for bad in ["j1", "j1.0-1", "", "=", "%", &format!("{text}AAAA"), &format!("{text}=")] {
            assert_eq!(opened(bad, "one", &list), None, "{bad}");
        }
    }

    #[test]
    fn a_cursor_tells_neither_how_far_it_is_nor_that_nothing_happened() {
        let list = keys(&["key"]);
        let near = sealed(&Cursor::default().advanced(0, 1), "one", &list, [1; 8]).unwrap();
        let far = sealed(&Cursor::default().advanced(0, 1 << 40), "one", &list, [2; 8]).unwrap();
        assert_eq!(near.len(), far.len());
        let again = sealed(&Cursor::default().advanced(0, 1), "one", &list, [3; 8]).unwrap();
        let common = near.bytes().zip(again.bytes()).filter(|(one, other)| one == other).count();
        assert!(common < near.len() / 4, "{near} {again}");
    }

    proptest::proptest! {
        #[test]
        fn every_position_is_read_back(
            shards in proptest::collection::btree_map(0_u16..=1_023, 1_i64.., 0..40),
            nonce: [u8; 8],
        ) {
            let position =
                shards.into_iter().fold(Cursor::default(), |at, (shard, seq)| at.advanced(shard, seq));
            let list = keys(&["key"]);
            let text = sealed(&position, "one", &list, nonce).unwrap();
            proptest::prop_assert_eq!(opened(&text, "one", &list), Some(position));
        }

        #[test]
        fn no_text_of_others_is_a_cursor(text in "[A-Za-z0-9_-]{0,200}") {
            proptest::prop_assert_eq!(opened(&text, "one", &keys(&["key"])), None);
        }
    }
}
