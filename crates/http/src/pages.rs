//! The few pages that shoppers see. No scripts, no third-party content, nothing personal.

use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use crate::{qr, respond};

/// Text and buttons have a contrast of 4.5 to 1 at least, in light and in dark (WCAG 2.2, 1.4.3); the
/// tests compute it.
const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#fff;--ink:#1c1c1c;--soft:#555;--link:#00600b;--button:#00700d;--label:#fff}\
@media(prefers-color-scheme:dark){:root{--paper:#161616;--ink:#ececec;--soft:#b4b4b4;--link:#8fe39a;--button:#8fe39a;--label:#06210a}}\
body{font-family:system-ui,sans-serif;max-width:32rem;margin:2rem auto;padding:0 1rem;line-height:1.5;color:var(--ink);background:var(--paper)}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}a{color:var(--link)}\
a.button{display:block;box-sizing:border-box;padding:.8rem 1.2rem;border-radius:.5rem;background:var(--button);color:var(--label);text-align:center;text-decoration:none;font-weight:600}\
a:focus-visible{outline:3px solid var(--ink);outline-offset:2px}\
.qr{display:block;width:13rem;max-width:100%;height:auto}\
code{overflow-wrap:anywhere;user-select:all}\
.note{color:var(--soft);font-size:.9rem}";

/// The style sheet of the pages.
// A file of its own, so that the policy can forbid inline styles.
#[cfg_attr(test, utoipa::path(get, path = "/ti/gopay.css", tag = "public", responses((status = 200, description = "CSS"))))]
pub(crate) async fn style() -> Response {
    respond(200, "text/css; charset=utf-8", STYLE)
}

/// What the page of [`open_on_phone`] offers.
pub(crate) struct Ways<'a> {
    /// Into the app, or into the simulator.
    pub(crate) deeplink: &'a str,
    /// There is no phone behind the test channel.
    pub(crate) test: bool,
    /// Our own address.
    pub(crate) carried: &'a str,
    /// Back to the merchant.
    pub(crate) merchant: Option<&'a str>,
}

/// For a browser that does not look like a phone's: GoPay opens on the phone only. A tablet, and a phone
/// that asks for desktop pages, look like a computer, so the way into the app is here all the
/// same; so is our own address, as text and as a QR code (of the address, never of a payment), and the
/// way back to the merchant.
pub(crate) fn open_on_phone(ways: &Ways<'_>) -> Response {
    let code = qr::svg(ways.carried, "QR code of the address of this page");
    page(
        StatusCode::OK,
        "Open this page on your phone",
        html! {
            p { "GoPay payments are confirmed in the GoPay app on your phone." }
            p lang="id" { "Pembayaran GoPay dikonfirmasi di aplikasi GoPay di ponsel Anda." }
            p {
                a.button href=(ways.deeplink) {
                    @if ways.test { "Test channel: go on to the simulator" }
                    @else { "Open the GoPay app" br; span lang="id" { "Buka aplikasi GoPay" } }
                }
            }
            @if ways.test { p.note { "On testchannel the simulator stands for the app." } }
            @else {
                p.note { "For a phone or tablet with the app on it. " span lang="id" { "Untuk ponsel atau tablet yang memiliki aplikasi." } }
            }
            h2 { "Is the app on another device?" }
            p { "Scan this code with that device's camera, or open the address there. It leads to this page; it is not a payment code." }
            p lang="id" { "Pindai kode ini dengan kamera perangkat tersebut, atau buka alamatnya di sana. Ini alamat halaman ini, bukan kode pembayaran." }
            @if let Some(code) = &code { (code) }
            p { code { (ways.carried) } }
            @if let Some(url) = ways.merchant {
                p { a href=(url) { "Back to the shop" } " \u{b7} " a lang="id" href=(url) { "Kembali ke toko" } }
            }
        },
    )
}

/// Over, and there is nowhere to go.
pub(crate) fn over() -> Response {
    page(
        StatusCode::OK,
        "You can close this page",
        html! {
            p { "Go back to the shop to see the state of your order." }
            p lang="id" { "Silakan kembali ke toko untuk melihat status pesanan Anda." }
        },
    )
}

/// Not one of our addresses, or one that was changed.
pub(crate) fn bad_link() -> Response {
    page(
        StatusCode::NOT_FOUND,
        "This link is not valid",
        html! {
            p { "Go back to the shop and start the payment again." }
            p lang="id" { "Silakan kembali ke toko dan ulangi pembayaran." }
        },
    )
}

/// A fault of our own. `again` is the address to try again, if it can be one of ours.
pub(crate) fn trouble(again: Option<&str>) -> Response {
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Please try again in a moment",
        html! {
            p { "If you have paid already, you will not be charged again." }
            p lang="id" { "Jika sudah membayar, Anda tidak akan ditagih lagi." }
            @if let Some(url) = again {
                p { a.button href=(url) { "Try again" br; span lang="id" { "Coba lagi" } } }
            } @else {
                p { "Reload this page. " span lang="id" { "Muat ulang halaman ini." } }
            }
        },
    )
}

fn page(status: StatusCode, title: &str, content: Markup) -> Response {
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/ti/gopay.css";
            }
            body { main { h1 { (title) } (content) } }
        }
    };
    let mut response =
        respond(status.as_u16(), "text/html; charset=utf-8", body.into_string()).into_response();
    *response.status_mut() = status;
    harden(response)
}

/// Headers of everything that a shopper's browser gets.
pub(crate) fn harden(mut response: Response) -> Response {
    let headers: [(HeaderName, &str); 5] = [
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
#[expect(clippy::float_arithmetic, reason = "contrast is defined by real numbers")]
mod tests {
    use super::*;

    /// Relative luminance of `#rgb` or `#rrggbb` (WCAG 2.2).
    fn luminance(colour: &str) -> f64 {
        let digits = colour.trim_start_matches('#');
        let wide: String = match digits.len() {
            3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
            _ => digits.to_owned(),
        };
        let part = |at: usize| {
            let part = f64::from(u8::from_str_radix(&wide[at..at + 2], 16).unwrap()) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
    }

    #[test]
    fn all_text_can_be_read_in_light_and_in_dark() {
        for scheme in STYLE.split("@media").take(2) {
            let colour = |name: &str| {
                let rest = scheme.split_once(&format!("--{name}:")).unwrap().1;
                luminance(rest.split([';', '}']).next().unwrap())
            };
            for (text, ground) in
                [("ink", "paper"), ("soft", "paper"), ("link", "paper"), ("label", "button")]
            {
                let (one, other) = (colour(text), colour(ground));
                let contrast = (one.max(other) + 0.05) / (one.min(other) + 0.05);
                assert!(contrast >= 4.5, "{text} on {ground}: {contrast}");
            }
        }
    }
}
