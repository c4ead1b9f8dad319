//! The few pages that shoppers see. No scripts, no third-party content, nothing personal.

use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use crate::respond;

const STYLE: &str = "body{font-family:system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem;line-height:1.5;color:#1c1c1c}h1{font-size:1.4rem}a.button{display:inline-block;padding:.7rem 1.2rem;border-radius:.5rem;background:#00aa13;color:#fff;text-decoration:none}p.note{color:#555;font-size:.9rem}";

/// The style sheet of the pages.
// A file of its own, so that the policy can forbid inline styles.
#[cfg_attr(test, utoipa::path(get, path = "/ti/gopay.css", tag = "public", responses((status = 200, description = "CSS"))))]
pub(crate) async fn style() -> Response {
    respond(200, "text/css; charset=utf-8", STYLE)
}

/// On a computer: GoPay opens on the phone only. On the test channel, where there is no phone,
/// the page also leads on to the simulator.
pub(crate) fn open_on_phone(simulator: Option<&String>) -> Response {
    page(
        StatusCode::OK,
        "Open this page on your phone",
        html! {
            p { "GoPay payments are confirmed in the GoPay app. Open the shop on your phone, choose GoPay there, and the app will open by itself." }
            p lang="id" { "Pembayaran GoPay dikonfirmasi di aplikasi GoPay. Buka toko ini di ponsel Anda, pilih GoPay, dan aplikasi akan terbuka." }
            @if let Some(link) = simulator {
                p { a.button href=(link) { "Test channel: go on to the simulator" } }
                p.note { "This link is shown on testchannel only." }
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

/// Our own trouble.
pub(crate) fn trouble() -> Response {
    page(
        StatusCode::SERVICE_UNAVAILABLE,
        "Please try again in a moment",
        html! {
            p { "Reload this page. If you have paid already, you will not be charged again." }
            p lang="id" { "Muat ulang halaman ini. Jika sudah membayar, Anda tidak akan ditagih lagi." }
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
