//! The pages that shoppers see, in one of two languages. No scripts, nothing from elsewhere, nothing
//! personal.

use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gopay_core::payment::FailReason;
use gopay_core::time::Timestamp;
use gopay_pages::{Asset, Frame, HEADERS, Language, Width, hour_of_jakarta, qr_code};
use gopay_service::{Known, Waiting};
use maud::{Markup, html};

use crate::device::InApp;
use crate::{Serves, respond};

/// Of the address of the style sheet and the icon, what comes before the suffix.
const ASSETS: &str = "/ti/gopay";

/// How often a page that waits for somebody else looks again.
const LOOK_AGAIN_SECONDS: u32 = 15;

/// The style sheet of the pages.
// A file of its own, so that the policy can forbid inline styles.
#[cfg_attr(test, utoipa::path(get, path = "/ti/gopay.css", tag = "public", responses((status = 200, description = "CSS"))))]
pub(crate) async fn style() -> Response {
    asset(Asset::Style)
}

/// The icon of the pages.
#[cfg_attr(test, utoipa::path(get, path = "/ti/gopay.svg", tag = "public", responses((status = 200, description = "SVG"))))]
pub(crate) async fn icon() -> Response {
    asset(Asset::Icon)
}

/// What the pages of errors name, for listeners without the pages of shoppers.
pub(crate) fn asset_of_errors(path: &str) -> Option<Response> {
    let suffix = path.strip_prefix(ASSETS)?;
    let found = [Asset::Style, Asset::Icon].into_iter().find(|asset| asset.suffix() == suffix)?;
    Some(asset(found))
}

fn asset(asset: Asset) -> Response {
    let mut response = harden(respond(200, asset.content_type(), asset.text()));
    let kept = HeaderValue::from_static(Asset::CACHE_CONTROL);
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}

/// The language that a browser prefers.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    let accepted = headers.get("accept-language").and_then(|value| value.to_str().ok());
    Language::preferred(accepted)
}

/// What is paid, to whom, and how long there is time.
fn purchase(waiting: &Waiting, language: Language) -> Markup {
    html! {
        div.card {
            @if let Some(shop) = &waiting.shop { p.to { (language.pick("To ", "Kepada ")) (shop) } }
            @if let Some(amount) = waiting.amount { p.amount { (gopay_pages::rupiah(amount.get())) } }
            p {
                span.pill.wait { (language.pick("Time left: ", "Sisa waktu: ")) (gopay_pages::span(waiting.left, language)) }
                span.note { (language.pick(" until ", " sampai ")) (hour(waiting.until)) }
            }
        }
    }
}

fn hour(at: Timestamp) -> String {
    hour_of_jakarta(&at.wib_seconds())
}

/// For a browser that does not look like a phone's: GoPay opens on the phone only. A tablet, and a phone
/// that asks for desktop pages, look like a computer, so the way into the app is here all the
/// same; so is our own address, as text and as a QR code (of the address, never of a payment), and the
/// way back to the merchant. It looks again by itself, and goes on once the payment is made.
pub(crate) fn open_on_phone(
    waiting: &Waiting,
    merchant: Option<&str>,
    language: Language,
) -> Response {
    let (title, code_label) = language.pick(
        ("Pay with GoPay on your phone", "QR code of the address of this page"),
        ("Bayar dengan GoPay di ponsel Anda", "Kode QR alamat halaman ini"),
    );
    let content = html! {
        (purchase(waiting, language))
        @if waiting.test { (to_simulator(waiting, language)) }
        div.card {
            ol {
                @for step in language.pick(SCAN_STEPS[0], SCAN_STEPS[1]) { li { (step) } }
            }
            @if let Some(code) = qr_code(&waiting.carried, code_label) { (code) }
            p.note { (language.pick(
                "The code holds the address of this page. It is not a payment code, so the GoPay app cannot scan it.",
                "Kode ini berisi alamat halaman ini. Ini bukan kode pembayaran, jadi tidak bisa dipindai dengan aplikasi GoPay.",
            )) }
            p { (language.pick("Or open this address on the phone:", "Atau buka alamat ini di ponsel:")) br; code { (waiting.carried) } }
        }
        @if !waiting.test {
            p.note { (language.pick(
                "Is the GoPay app on this device, for example a tablet?",
                "Aplikasi GoPay ada di perangkat ini, misalnya tablet?",
            )) }
            p { a.button.plain href=(waiting.deeplink) { (language.pick("Open the GoPay app anyway", "Tetap buka aplikasi GoPay")) } }
        }
        (to_shop(merchant, language))
        p.note { (language.pick(
            "This page looks again every 15 seconds and goes on by itself once you have paid.",
            "Halaman ini memeriksa lagi setiap 15 detik dan berlanjut sendiri setelah Anda membayar.",
        )) }
    };
    page(StatusCode::OK, title, language, &content)
}

/// How to get to the phone.
const SCAN_STEPS: [[&str; 3]; 2] = [
    [
        "Point the camera of your phone at this code.",
        "Open the address that appears. It leads to the GoPay app.",
        "Confirm the payment there with your PIN.",
    ],
    [
        "Arahkan kamera ponsel Anda ke kode ini.",
        "Buka alamat yang muncul. Alamat itu membuka aplikasi GoPay.",
        "Konfirmasi pembayaran di sana dengan PIN Anda.",
    ],
];

fn to_simulator(waiting: &Waiting, language: Language) -> Markup {
    html! {
        p { a.button href=(waiting.deeplink) { (language.pick("Test channel: go on to the simulator", "Kanal uji: lanjut ke simulator")) } }
        p.note { (language.pick(
            "On testchannel the simulator stands for the app. No money moves.",
            "Di testchannel simulator menggantikan aplikasi. Tidak ada uang yang berpindah.",
        )) }
    }
}

fn to_shop(merchant: Option<&str>, language: Language) -> Markup {
    html! {
        @if let Some(url) = merchant {
            p { a href=(url) { (language.pick("Back to the shop", "Kembali ke toko")) } }
        }
    }
}

/// For the browser inside another app, which often leads to no other app by itself, but does so on a
/// tap, or leads to the browser of the phone.
pub(crate) fn open_from_app(
    waiting: &Waiting,
    merchant: Option<&str>,
    app: InApp,
    language: Language,
) -> Response {
    let title = language.pick("Pay with GoPay", "Bayar dengan GoPay");
    let content = html! {
        (purchase(waiting, language))
        p { a.button href=(waiting.deeplink) { (language.pick("Open the GoPay app", "Buka aplikasi GoPay")) } }
        h2 { (language.pick("Nothing happens?", "Tidak terjadi apa-apa?")) }
        p { (language.pick(
            "You are in the browser of another app, which may not let GoPay open.",
            "Anda berada di browser aplikasi lain, yang mungkin tidak mengizinkan GoPay dibuka.",
        )) }
        @if app == InApp::Android && let Some(intent) = browser_intent(&waiting.carried) {
            p { a.button.plain href=(intent) { (language.pick("Open in the phone's browser", "Buka di browser ponsel")) } }
        } @else {
            p { (language.pick(
                "Choose “Open in browser” in its menu (… or the compass), and go on there.",
                "Pilih “Buka di browser” di menunya (… atau kompas), lalu lanjutkan di sana.",
            )) }
        }
        p { (language.pick("Or copy this address into the browser:", "Atau salin alamat ini ke browser:")) br; code { (waiting.carried) } }
        (to_shop(merchant, language))
    };
    page(StatusCode::OK, title, language, &content)
}

/// Our address as Android's `intent:`, which leaves the app for the browser of the phone.
fn browser_intent(carried: &str) -> Option<String> {
    let (scheme, rest) = carried.split_once("://")?;
    let action = "action=android.intent.action.VIEW;category=android.intent.category.BROWSABLE";
    Some(format!("intent://{rest}#Intent;scheme={scheme};{action};end"))
}

/// The browser cannot be led on by itself: what is known of the payment, and the way to the merchant's
/// app, if there is one.
pub(crate) fn known(known: Known, merchant: Option<&str>, language: Language) -> Response {
    let (title, class, text) = match known {
        Known::Paid => language.pick(
            ("GoPay has confirmed the payment", "good", "Thank you. The shop is told as well."),
            ("GoPay telah mengonfirmasi pembayaran", "good", "Terima kasih. Toko juga diberi tahu."),
        ),
        Known::Open { over: false } => language.pick(
            ("GoPay has not confirmed the payment yet", "wait", "If you have confirmed it in the app, there is nothing more to do: the news can take some minutes. Do not pay twice."),
            ("GoPay belum mengonfirmasi pembayaran", "wait", "Jika sudah Anda konfirmasi di aplikasi, tidak ada lagi yang perlu dilakukan: kabarnya bisa perlu beberapa menit. Jangan membayar dua kali."),
        ),
        Known::Open { over: true } => language.pick(
            ("GoPay has not confirmed the payment yet", "wait", "The time to pay is over. If you have confirmed it in the app before, the shop will hear of it. Do not pay twice."),
            ("GoPay belum mengonfirmasi pembayaran", "wait", "Waktu untuk membayar sudah habis. Jika sudah Anda konfirmasi di aplikasi sebelumnya, toko akan diberi tahu. Jangan membayar dua kali."),
        ),
        Known::NotPaid(reason) => {
            let title = language.pick("The payment was not made", "Pembayaran tidak dilakukan");
            (title, "fail", because(reason, language))
        }
        Known::Unclear => language.pick(
            ("It is not clear yet what became of the payment", "wait", "We are asking GoPay. Do not pay again: if money has left your GoPay account, it reaches the shop or comes back to you."),
            ("Belum jelas apa yang terjadi dengan pembayaran", "wait", "Kami sedang menanyakan ke GoPay. Jangan membayar lagi: jika uang sudah keluar dari akun GoPay Anda, uang itu akan sampai ke toko atau kembali kepada Anda."),
        ),
    };
    let content = html! {
        p.alert.(class) { (text) }
        p { (language.pick(
            "Go back to the shop to see the state of your order.",
            "Silakan kembali ke toko untuk melihat status pesanan Anda.",
        )) }
        @if let Some(url) = merchant {
            p { a.button href=(url) { (language.pick("Open the shop's app", "Buka aplikasi toko")) } }
        }
        @if waits(known) { p.note { (language.pick(
            "This page looks again every 15 seconds.",
            "Halaman ini memeriksa lagi setiap 15 detik.",
        )) } }
    };
    let response = page(StatusCode::OK, title, language, &content);
    if waits(known) { again_soon(response, None) } else { response }
}

const fn waits(known: Known) -> bool {
    matches!(known, Known::Open { .. } | Known::Unclear)
}

/// Why nobody paid, in a shopper's words. GoPay has said so when this is shown.
const fn because(reason: FailReason, language: Language) -> &'static str {
    match reason {
        FailReason::UserAbort => language.pick(
            "The payment was ended in the app. Nothing was charged. You can start again in the shop.",
            "Pembayaran dihentikan di aplikasi. Tidak ada yang ditagih. Anda bisa mulai lagi di toko.",
        ),
        FailReason::Timeout => language.pick(
            "The time to pay is over, and GoPay says that nothing was charged. You can start again in the shop.",
            "Waktu untuk membayar sudah habis, dan GoPay menyatakan tidak ada yang ditagih. Anda bisa mulai lagi di toko.",
        ),
        FailReason::Canceled => language.pick(
            "The shop has cancelled the payment. Nothing was charged.",
            "Toko telah membatalkan pembayaran. Tidak ada yang ditagih.",
        ),
        FailReason::RemoteDecline => language.pick(
            "GoPay has declined the payment. Nothing was charged. The GoPay app may say why.",
            "GoPay menolak pembayaran. Tidak ada yang ditagih. Aplikasi GoPay mungkin menjelaskan alasannya.",
        ),
        FailReason::InputData
        | FailReason::LocalError
        | FailReason::RemoteError
        | FailReason::LocalDecline
        | FailReason::Unknown => language.pick(
            "It could not be carried out. GoPay says that nothing was charged. You can start again in the shop.",
            "Pembayaran tidak bisa diproses. GoPay menyatakan tidak ada yang ditagih. Anda bisa mulai lagi di toko.",
        ),
    }
}

/// Not one of our addresses, or one that was changed.
pub(crate) fn bad_link(language: Language) -> Response {
    let title = language.pick("This link is not valid", "Tautan ini tidak berlaku");
    let content = html! {
        p { (language.pick(
            "It was changed on its way, or is not whole. Go back to the shop and start the payment again; if you have paid already, the shop knows.",
            "Tautan berubah di perjalanan atau tidak lengkap. Silakan kembali ke toko dan ulangi pembayaran; jika sudah membayar, toko mengetahuinya.",
        )) }
    };
    page(StatusCode::NOT_FOUND, title, language, &content)
}

/// A fault of our own. `again` is the address to try again, if it can be one of ours.
pub(crate) fn unavailable(again: Option<&str>, language: Language) -> Response {
    let title = language.pick("Please try again in a moment", "Silakan coba lagi sebentar lagi");
    let content = html! {
        p { (language.pick(
            "If you have paid already, you will not be charged again.",
            "Jika sudah membayar, Anda tidak akan ditagih lagi.",
        )) }
        @if let Some(url) = again {
            p { a.button href=(url) { (language.pick("Try again", "Coba lagi")) } }
        } @else {
            p { (language.pick("Reload this page.", "Muat ulang halaman ini.")) }
        }
    };
    page(StatusCode::SERVICE_UNAVAILABLE, title, language, &content)
}

/// A browser came to an address of programs (405), or to none (404), of a listener that serves this.
pub(crate) fn astray(status: StatusCode, language: Language, serves: Serves) -> Response {
    let title = if status == StatusCode::METHOD_NOT_ALLOWED {
        language.pick("There is nothing to see here", "Tidak ada apa-apa di sini")
    } else {
        language.pick("There is no such page", "Halaman ini tidak ada")
    };
    let content = html! {
        @if serves.shoppers {
            p { (language.pick(
                "This is the payment service of a shop. To pay, or to see whether a payment was made, go back to the shop.",
                "Ini layanan pembayaran sebuah toko. Untuk membayar, atau untuk melihat apakah pembayaran sudah dilakukan, silakan kembali ke toko.",
            )) }
        }
        @if serves.calls {
            h2 { (language.pick("For integrators", "Untuk pengembang")) }
            p { (language.pick("Calls of the Simple API come here: ", "Panggilan Simple API dikirim ke sini: ")) code { "POST /" } "." }
        }
        @if serves.operators {
            h2 { (language.pick("For operators", "Untuk operator")) }
            p { a href="/console" { (language.pick("To the console", "Ke konsol")) } "." }
            p.note {
                (language.pick("Programs ask below ", "Program bertanya di bawah "))
                code { "/admin/v1" } "; "
                a href="/openapi.json" { code { "/openapi.json" } } (language.pick(" describes it.", " menjelaskannya."))
            }
        }
    };
    let name = if serves.shoppers { shoppers_name(language) } else { "gopay-adapter" };
    page_of(name, status, title, language, &content)
}

/// Whose pages shoppers see.
const fn shoppers_name(language: Language) -> &'static str {
    language.pick("GoPay payment", "Pembayaran GoPay")
}

fn page(status: StatusCode, title: &str, language: Language, content: &Markup) -> Response {
    page_of(shoppers_name(language), status, title, language, content)
}

fn page_of(
    name: &str,
    status: StatusCode,
    title: &str,
    language: Language,
    content: &Markup,
) -> Response {
    let frame = Frame { language, title, name, assets: ASSETS, links: &[], width: Width::Phone };
    harden(respond(status.as_u16(), "text/html; charset=utf-8", frame.page(content)))
}

/// Asks the browser to look again, at this address if not at its own. By a header: it is no part of
/// the page, and a browser that is told not to follows it not.
pub(crate) fn again_soon(mut response: Response, at: Option<&str>) -> Response {
    let value = match at {
        Some(url) => format!("{LOOK_AGAIN_SECONDS};url={url}"),
        None => LOOK_AGAIN_SECONDS.to_string(),
    };
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().insert("refresh", value);
    }
    response
}

/// Headers of everything that a shopper's browser gets.
pub(crate) fn harden(response: Response) -> Response {
    let mut response = response.into_response();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_leads_to_our_own_address_in_the_browser() {
        assert_eq!(
            browser_intent("https://pay.example/ti/gopay/7/5f").as_deref(),
            Some(
                "intent://pay.example/ti/gopay/7/5f#Intent;scheme=https;action=android.intent.action.VIEW;category=android.intent.category.BROWSABLE;end"
            )
        );
    }

    /// The words about money, in both languages.
    #[tokio::test]
    async fn only_what_gopay_has_denied_is_called_not_paid() {
        for language in [Language::English, Language::Indonesian] {
            for (known, says_no) in [
                (Known::Paid, false),
                (Known::Open { over: false }, false),
                (Known::Open { over: true }, false),
                (Known::Unclear, false),
                (Known::NotPaid(FailReason::Timeout), true),
                (Known::NotPaid(FailReason::UserAbort), true),
                (Known::NotPaid(FailReason::LocalError), true),
            ] {
                let response = super::known(known, None, language);
                let waiting = response.headers().contains_key("refresh");
                assert_eq!(waiting, waits(known), "{known:?}");
                let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
                let page = String::from_utf8(body.to_vec()).unwrap();
                let no =
                    ["was not made", "tidak dilakukan", "othing was charged", "ada yang ditagih"];
                assert_eq!(no.iter().any(|no| page.contains(no)), says_no, "{known:?}: {page}");
                assert!(page.len() < 4_096, "{} bytes", page.len());
            }
        }
    }
}
