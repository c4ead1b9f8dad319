//! The listener of shoppers and of Midtrans: redirect page, return page, notifications.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{HeaderMap, HeaderValue, LOCATION};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gopay_pages::Language;
use gopay_service::{Landing, NotificationAnswer, PageError, meters};

use crate::device::Device;
use crate::pages::{self, language};
use crate::routes::Routes;
use crate::{App, BodyError, respond};

/// Routes of the `public` listener.
pub fn router(app: App) -> Router {
    routes().into_router(app)
}

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/ti/gopay", redirect)
        .post("/ti/gopay", redirect_form)
        .get("/ti/gopay/{tx}/{code}", carried)
        .get("/return/gopay", return_query)
        .get("/return/gopay/{tx}/{code}", return_path)
        .get("/return/gopay/{tx}/{code}/", return_path)
        .get("/ti/gopay.css", pages::style)
        .get("/ti/gopay.svg", pages::icon)
        .post("/midtrans/notification", notification)
}

/// The parameters of our own addresses.
#[derive(Default)]
struct PageQuery {
    tx: String,
    rs: String,
    cs: String,
}

impl PageQuery {
    fn read(text: &[u8]) -> Self {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text) {
            let slot = match name.as_ref() {
                "tx" => &mut query.tx,
                "rs" => &mut query.rs,
                "cs" => &mut query.cs,
                _ => continue,
            };
            *slot = value.into_owned();
        }
        query
    }
}

/// REDIRECTURL: leads to the GoPay app on a phone; elsewhere says to open it there.
#[cfg_attr(test, utoipa::path(get, operation_id = "redirect_page",
    path = "/ti/gopay",
    tag = "public",
    params(
        ("tx" = String, Query, description = "TXID"),
        ("rs" = String, Query, description = "REDIRECTSECRET"),
        ("cs" = String, Query, description = "Code that protects the address")
    ),
    responses(
        (status = 200, description = "Page for computers"),
        (status = 302, description = "To the GoPay app, or back to the merchant"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
))]
pub(crate) async fn redirect(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    to_gopay(&app, &PageQuery::read(query.unwrap_or_default().as_bytes()), &headers).await
}

/// The same for PSPs that send the shopper by a form; parameters in the query or in the body.
#[cfg_attr(test, utoipa::path(post, operation_id = "redirect_page_form",
    path = "/ti/gopay",
    tag = "public",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Page for computers"),
        (status = 302, description = "To the GoPay app, or back to the merchant"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
))]
pub(crate) async fn redirect_form(State(app): State<App>, request: Request<Body>) -> Response {
    const BYTES_MAX: usize = 4_096;
    let headers = request.headers().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let Ok(body) = app.bodies.public.read(request, BYTES_MAX, app.limits.body_timeout).await else {
        return pages::bad_link(language(&headers));
    };
    let both = [query.as_bytes(), &body].join(&b'&');
    to_gopay(&app, &PageQuery::read(&both), &headers).await
}

async fn to_gopay(app: &App, query: &PageQuery, headers: &HeaderMap) -> Response {
    let landing = app.service.redirect_page(&query.tx, &query.rs, &query.cs).await;
    let again = || again("/ti/gopay", &query.tx, &query.cs);
    landed(app, &query.tx, landing, headers, again).await
}

/// The address that the page for computers offers to be opened on the phone.
#[cfg_attr(test, utoipa::path(get, operation_id = "carried_page",
    path = "/ti/gopay/{tx}/{code}",
    tag = "public",
    params(
        ("tx" = String, Path, description = "TXID"),
        ("code" = String, Path, description = "Code that protects the address")
    ),
    responses(
        (status = 200, description = "Page for computers"),
        (status = 302, description = "To the GoPay app, or back to the merchant"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
))]
pub(crate) async fn carried(
    State(app): State<App>,
    Path((tx, code)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let landing = app.service.carried_page(&tx, &code).await;
    landed(&app, &tx, landing, &headers, || again("/ti/gopay", &tx, &code)).await
}

async fn landed(
    app: &App,
    tx: &str,
    landing: Result<Landing, PageError>,
    headers: &HeaderMap,
    again: impl FnOnce() -> Option<String>,
) -> Response {
    match landing {
        Ok(Landing::GoPay(waiting)) => {
            let device = Device::of(headers);
            if device == Device::Phone {
                return found(&waiting.deeplink, language(headers));
            }
            let language = language_of_call(app, tx, headers).await;
            let merchant = waiting.merchant.as_deref().map(ascii);
            if let Device::InApp(in_app) = device {
                return pages::open_from_app(&waiting, merchant.as_deref(), in_app, language);
            }
            let page = pages::open_on_phone(&waiting, merchant.as_deref(), language);
            // The same page, also for a browser that came by a form.
            pages::again_soon(page, again().as_deref())
        }
        Ok(Landing::Merchant { url: Some(url), .. })
            if is_web(&url) || Device::of(headers) == Device::Phone =>
        {
            found(&url, language(headers))
        }
        // An app's own address leads nowhere but on its phone.
        Ok(Landing::Merchant { url, known }) => {
            let url = url.as_deref().map(ascii);
            pages::known(known, url.as_deref(), language_of_call(app, tx, headers).await)
        }
        Err(error) => failed(error, again, language(headers)),
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The language that the call asked for, if it is one of ours, else the one that the browser prefers.
async fn language_of_call(app: &App, tx: &str, headers: &HeaderMap) -> Language {
    let tag = app.service.preferred_language(tx).await;
    tag.and_then(|tag| Language::of_tag(&tag)).unwrap_or_else(|| language(headers))
}

/// The address of the same page, if its parts have the form of ours: a page shows nothing else of
/// what it was called with.
fn again(page: &str, tx: &str, code: &str) -> Option<String> {
    let number = (1..=20).contains(&tx.len()) && tx.bytes().all(|byte| byte.is_ascii_digit());
    let hash = code.len() == 64 && code.bytes().all(|byte| byte.is_ascii_hexdigit());
    (number && hash).then(|| format!("{page}/{tx}/{code}"))
}

/// Where the GoPay app returns to; leads back to the merchant.
#[cfg_attr(test, utoipa::path(get, operation_id = "return_page",
    path = "/return/gopay/{tx}/{code}/",
    tag = "public",
    params(
        ("tx" = String, Path, description = "TXID"),
        ("code" = String, Path, description = "Code that protects the address")
    ),
    responses(
        (status = 200, description = "What is known, for who cannot be led to the merchant's app"),
        (status = 302, description = "Back to the merchant, with txid and cs"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
))]
pub(crate) async fn return_path(
    State(app): State<App>,
    Path((tx, code)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    to_merchant(&app, &tx, &code, &headers).await
}

/// The return page with its parameters in the query.
#[cfg_attr(test, utoipa::path(get, operation_id = "return_page_query",
    path = "/return/gopay",
    tag = "public",
    params(
        ("tx" = String, Query, description = "TXID"),
        ("cs" = String, Query, description = "Code that protects the address")
    ),
    responses(
        (status = 200, description = "What is known, for who cannot be led to the merchant's app"),
        (status = 302, description = "Back to the merchant, with txid and cs"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
))]
pub(crate) async fn return_query(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = PageQuery::read(query.unwrap_or_default().as_bytes());
    to_merchant(&app, &query.tx, &query.cs, &headers).await
}

async fn to_merchant(app: &App, tx: &str, code: &str, headers: &HeaderMap) -> Response {
    let landing = app.service.return_page(tx, code).await;
    landed(app, tx, landing, headers, || again("/return/gopay", tx, code)).await
}

fn failed(
    error: PageError,
    again: impl FnOnce() -> Option<String>,
    language: Language,
) -> Response {
    match error {
        PageError::BadLink => pages::bad_link(language),
        PageError::Unavailable => pages::unavailable(again().as_deref(), language),
    }
}

/// 302, which every browser follows by GET. The address is one that was stored with the payment.
fn found(url: &str, language: Language) -> Response {
    let Ok(location) = HeaderValue::from_str(&ascii(url)) else { return pages::bad_link(language) };
    let mut response = StatusCode::FOUND.into_response();
    response.headers_mut().insert(LOCATION, location);
    pages::harden(response)
}

/// Merchants may register addresses with letters beyond ASCII; a header cannot hold those.
fn ascii(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Midtrans' notifications.
#[cfg_attr(test, utoipa::path(post, operation_id = "midtrans_notification",
    path = "/midtrans/notification",
    tag = "public",
    request_body(content = String, content_type = "application/json"),
    responses(
        (status = 200, description = "Taken, or of no concern; no retry needed"),
        (status = 400, description = "Not a notification"),
        (status = 403, description = "Wrong signature"),
        (status = 503, description = "A fault of our own; send it again")
    )
))]
pub(crate) async fn notification(State(app): State<App>, request: Request<Body>) -> Response {
    let limits = app.limits;
    let read =
        app.bodies.public.read(request, limits.notification_bytes_max, limits.body_timeout).await;
    let answer = match read {
        Ok(body) => app.service.notification(&body).await,
        Err(BodyError::TooLong) => NotificationAnswer::Malformed,
        Err(BodyError::TooSlow | BodyError::Broken | BodyError::Busy) => {
            NotificationAnswer::Unavailable
        }
    };
    let (status, word) = match answer {
        NotificationAnswer::Done => (200, "ok"),
        NotificationAnswer::Malformed => (400, "malformed"),
        NotificationAnswer::Forged => (403, "forged"),
        NotificationAnswer::Unavailable => (503, "trouble"),
    };
    meters::count(meters::NOTIFICATIONS, &[("answer", word)]);
    respond(status, "text/plain", word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_offers_no_address_that_cannot_be_ours() {
        let code = "5f".repeat(32);
        assert_eq!(again("/ti/gopay", "123", &code), Some(format!("/ti/gopay/123/{code}")));
        for (tx, code) in [
            ("", code.as_str()),
            ("12x", &code),
            ("1/..", &code),
            ("123456789012345678901", &code),
            ("123", "5f"),
            ("123", &"\"".repeat(64)),
        ] {
            assert_eq!(again("/ti/gopay", tx, code), None, "{tx} {code}");
        }
    }

    #[test]
    fn locations_are_ascii() {
        assert_eq!(
            ascii("https://toko.example/caf\u{e9}?a=1"),
            "https://toko.example/caf%C3%A9?a=1"
        );
        assert_eq!(ascii("https://x/\r\nSet-Cookie: a"), "https://x/%0D%0ASet-Cookie:%20a");
    }

    #[test]
    fn page_parameters_are_read_from_either_place() {
        let query = PageQuery::read(b"tx=1&rs=a&other=2&&cs=b");
        assert_eq!((query.tx.as_str(), query.rs.as_str(), query.cs.as_str()), ("1", "a", "b"));
    }
}
