//! `[store]`

use secrecy::ExposeSecret as _;

use super::Config;
use super::section::Section;
use crate::store::StoreUrl;

pub(super) fn read_store(store: &mut Section<'_>, config: &mut Config) {
    store.number("connections", 2, 500, &mut config.connections);
    let Some(url) = store.text("url") else { return };
    let Some(url) = store.resolve("url", &url) else { return };
    match StoreUrl::parse(url.expose_secret()) {
        Ok(place) => config.store = place,
        Err(wrong) => store.problem("url", &wrong, StoreUrl::WANTED),
    }
}
