//! The listener of shoppers and of Midtrans: redirect page, return page, notifications.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use gopay_service::{Landing, NotificationAnswer, PageError};

use crate::pages;
use crate::{App, BodyError, read_body, respond};

/// Routes of the `public` listener.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/ti/gopay", get(redirect).post(redirect_form))
        .route("/return/gopay", get(return_query))
        .route("/return/gopay/{tx}/{code}", get(return_path))
        .route("/return/gopay/{tx}/{code}/", get(return_path))
        .route("/ti/gopay.css", get(pages::style))
        .route("/midtrans/notification", post(notification))
        .with_state(app)
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

async fn redirect(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    to_gopay(&app, &PageQuery::read(query.unwrap_or_default().as_bytes()), &headers).await
}

/// PSPs may also send the shopper by a form that posts, with the parameters in either place.
async fn redirect_form(State(app): State<App>, request: Request<Body>) -> Response {
    const BYTES_MAX: usize = 4_096;
    let headers = request.headers().clone();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let Ok(body) = read_body(request, BYTES_MAX, app.limits.body_timeout).await else {
        return pages::bad_link();
    };
    let both = [query.as_bytes(), &body].join(&b'&');
    to_gopay(&app, &PageQuery::read(&both), &headers).await
}

async fn to_gopay(app: &App, query: &PageQuery, headers: &HeaderMap) -> Response {
    let landing = app.service.redirect_page(&query.tx, &query.rs, &query.cs).await;
    let phone = headers.get(USER_AGENT).is_some_and(is_phone);
    match landing {
        Ok(Landing::GoPay { deeplink, .. }) if phone => found(&deeplink),
        Ok(Landing::GoPay { deeplink, test }) => pages::open_on_phone(test.then_some(&deeplink)),
        Ok(Landing::Merchant(url)) => found(&url),
        Ok(Landing::Nowhere) => pages::over(),
        Err(error) => failed(error),
    }
}

/// Browsers of phones and tablets name their system.
fn is_phone(agent: &HeaderValue) -> bool {
    let agent = agent.to_str().unwrap_or_default();
    ["Android", "iPhone", "iPad", "iPod", "Mobile"].iter().any(|word| agent.contains(word))
}

async fn return_path(State(app): State<App>, Path((tx, code)): Path<(String, String)>) -> Response {
    to_merchant(&app, &tx, &code).await
}

async fn return_query(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let query = PageQuery::read(query.unwrap_or_default().as_bytes());
    to_merchant(&app, &query.tx, &query.cs).await
}

async fn to_merchant(app: &App, tx: &str, code: &str) -> Response {
    match app.service.return_page(tx, code).await {
        Ok(Landing::Merchant(url)) => found(&url),
        Ok(Landing::Nowhere | Landing::GoPay { .. }) => pages::over(),
        Err(error) => failed(error),
    }
}

fn failed(error: PageError) -> Response {
    match error {
        PageError::BadLink => pages::bad_link(),
        PageError::Unavailable => pages::trouble(),
    }
}

/// 302, which every browser follows by GET. The address is one that was stored with the payment.
fn found(url: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(&ascii(url)) else { return pages::over() };
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

async fn notification(State(app): State<App>, request: Request<Body>) -> Response {
    let limits = app.limits;
    let read = read_body(request, limits.notification_bytes_max, limits.body_timeout).await;
    let answer = match read {
        Ok(body) => app.service.notification(&body).await,
        Err(BodyError::TooLong) => NotificationAnswer::Malformed,
        Err(BodyError::TooSlow | BodyError::Broken) => NotificationAnswer::Unavailable,
    };
    let (status, word) = match answer {
        NotificationAnswer::Done => (200, "ok"),
        NotificationAnswer::Malformed => (400, "malformed"),
        NotificationAnswer::Forged => (403, "forged"),
        NotificationAnswer::Unavailable => (503, "trouble"),
    };
    metrics::counter!("gopay_midtrans_notifications_total", "answer" => word).increment(1);
    respond(status, "text/plain", word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_told_from_desktops() {
        for (agent, phone) in [
            (
                "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Mobile Safari/537.36",
                true,
            ),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15", true),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
                false,
            ),
            ("curl/8.5.0", false),
        ] {
            assert_eq!(is_phone(&HeaderValue::from_static(agent)), phone, "{agent}");
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
