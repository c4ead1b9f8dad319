//! `[store]`

use std::collections::BTreeSet;

use gopay_store::sealing::{KeyRing, SecretKey};
use secrecy::ExposeSecret as _;

use super::Config;
use super::section::Section;
use crate::store::StoreUrl;

pub(super) fn read_store(store: &mut Section<'_>, config: &mut Config) {
    store.number("connections", 2, 500, &mut config.connections);
    let keys = store.list("encryption", "id", &mut BTreeSet::new(), read_key);
    let twice = keys
        .iter()
        .zip(1_usize..)
        .any(|((_, key), next)| keys.iter().skip(next).any(|(_, other)| other == key));
    if twice {
        store.problem("encryption", "two ids have the same key", "a key of its own for each id");
    }
    config.keys = KeyRing::new(keys);
    let Some(url) = store.text("url") else { return };
    let Some(url) = store.resolve("url", &url) else { return };
    match StoreUrl::parse(url.expose_secret()) {
        Ok(place) => config.store = place,
        Err(wrong) => store.problem("url", &wrong, StoreUrl::WANTED),
    }
}

/// A key that personal data is sealed under.
fn read_key(section: &mut Section<'_>) -> Option<(String, SecretKey)> {
    let id = section.required("id").filter(|id| {
        let good = id.len() <= KeyRing::ID_CHARS_MAX
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if !good {
            let wrong = format!("{id:?} is no id of a key");
            section.problem(
                "id",
                &wrong,
                "at most 64 letters, digits, hyphens, underscores, stops",
            );
        }
        good
    });
    let key = section.secret("key")?;
    let read = KeyRing::key_from_text(key.expose_secret());
    if read.is_none() {
        let wanted = "32 random bytes in base64, as of `openssl rand -base64 32`";
        section.problem("key", "no key", wanted);
    }
    Some((id?, read?))
}

/// Without a key, whoever gets at the store's files or copies reads who bought what.
pub(super) fn check_encryption(root: &mut Section<'_>, open: bool) {
    if open && !root.reported_within("store") {
        root.warn(
            "store.encryption",
            "personal data of the live channel is stored as plain text",
            "a key in [[store.encryption]]",
        );
    }
}
