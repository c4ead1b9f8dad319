//! Rules of `gopay`: whether the app leads back, and where.

use url::Url;

use super::request::RawGopay;
use super::{BODY_CHARS_MAX, Callback};
use crate::lenient::{Object, Scalar};
use crate::validation::Violations;

pub(super) fn check(gopay: Option<Object<RawGopay<'_>>>, violations: &mut Violations) -> Callback {
    let Some(gopay) = violations.object(gopay, "gopay") else {
        return Callback::Off;
    };
    let enabled = match &gopay.enable_callback {
        None | Some(Scalar::Flag(false)) => false,
        Some(Scalar::Flag(true)) => true,
        // The official Ruby client sends the text "true".
        Some(Scalar::Text(text)) if text == "true" => true,
        Some(Scalar::Text(text)) if text == "false" => false,
        Some(_) => {
            violations.add("gopay.enable_callback must be a boolean");
            false
        }
    };
    // No length is published; the request size bounds it.
    let url = violations.text(gopay.callback_url, || "gopay.callback_url", BODY_CHARS_MAX);
    match url.filter(|url| !url.is_empty()) {
        Some(url) if !is_callback_url(&url) => {
            violations.add("gopay.callback_url is not a valid URL");
            Callback::Off
        }
        Some(url) if enabled => Callback::Url(url),
        None if enabled => Callback::Dashboard,
        Some(_) | None => Callback::Off,
    }
}

/// A web address or an app scheme; nothing a browser would run or open locally.
fn is_callback_url(text: &str) -> bool {
    let clean = !text.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    clean
        && Url::parse(text).is_ok_and(|url| match url.scheme() {
            "http" | "https" => url.has_host(),
            "javascript" | "data" | "vbscript" | "file" | "blob" | "about" => false,
            _ => true,
        })
}
