//! `[public]`

use secrecy::SecretString;
use url::Url;

use super::client::check_strength;
use super::host::{self, Reach};
use super::section::Section;

/// Reads the address under which shoppers and Midtrans reach us.
pub(super) fn read_public(
    public: &mut Section<'_>,
    base_url: &mut String,
    page_keys: &mut Vec<SecretString>,
) {
    if let Some(url) = public.url("base_url") {
        check_form(public, &url);
        *base_url = url;
    }
    if public.table.contains_key("page_key") {
        *page_keys = public.secret_or_list("page_key").unwrap_or_default();
        for key in &*page_keys {
            check_strength(public, "page_key", key);
        }
    }
}

/// REDIRECTURL may have 255 characters, of which path and parameters take 137.
fn check_form(public: &mut Section<'_>, url: &str) {
    const BASE_MAX: usize = 255 - 137;
    const KEY: &str = "base_url";
    if url.ends_with('/') {
        public.problem(KEY, "ends with a slash", "without a slash at the end");
    } else if url.contains(['?', '#']) {
        public.problem(KEY, "has a query or fragment", "scheme, host and path only");
    } else if url.len() > BASE_MAX {
        public.problem(KEY, "too long", "at most 118 characters, since REDIRECTURL may have 255");
    }
}

/// Over plain HTTP anybody on the way reads and changes where a shopper is sent to.
pub(super) fn check_reach(root: &mut Section<'_>, base_url: &str, live: bool) {
    const KEY: &str = "public.base_url";
    let Ok(url) = Url::parse(base_url) else { return };
    match (url.scheme(), host::of_url(&url)) {
        ("http", Reach::Public) if live => {
            root.problem(KEY, "http on a public host, with a live account", "an https URL");
        }
        ("http", Reach::Public) => {
            root.warn(KEY, "http on a public host: links can be read and changed", "https");
        }
        (_, Reach::Machine | Reach::Network) if live => root.warn(
            KEY,
            "shoppers and Midtrans cannot reach it",
            "the address under which the world reaches the public listener",
        ),
        _ => {}
    }
}
