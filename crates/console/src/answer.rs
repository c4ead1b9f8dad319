//! Answers of the console: pages, redirects, files, and their headers.

use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use gopay_http::respond;
use gopay_pages::{Asset, Language, document, mark};
use maud::{Markup, html};

/// Of the addresses of style sheets and icon, what comes before the suffix.
const ASSETS: &str = "/console";

const HTML: &str = "text/html; charset=utf-8";

/// The console and nothing from elsewhere, in no frame, in no cache; its forms lead to itself. Its own
/// address is told where a form comes from, and nobody else's.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
];

const SCRIPT: &str = include_str!("console.js");

/// Gives an answer the headers of pages.
fn hardened(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(crate) fn answer(status: StatusCode, text: String) -> Response {
    hardened(respond(status.as_u16(), HTML, text))
}

/// A style sheet or the icon: without a session, as there is nothing in it.
pub(crate) fn asset(asset: Asset) -> Response {
    let mut response = hardened(respond(200, asset.content_type(), asset.text()));
    let kept = HeaderValue::from_static(Asset::CACHE_CONTROL);
    response.headers_mut().insert(CACHE_CONTROL, kept);
    response
}

/// The script of the start page.
pub(crate) fn script() -> Response {
    hardened(respond(200, "text/javascript; charset=utf-8", SCRIPT))
}

pub(crate) fn whole(title: &str, head: &Markup, body: &Markup) -> String {
    let sheets = [Asset::Style.versioned(ASSETS), Asset::Console.versioned(ASSETS)];
    let sheets = sheets.each_ref().map(String::as_str);
    document(Language::English, title, &sheets, &Asset::Icon.versioned(ASSETS), head, body)
}

/// To another page of the console.
pub(crate) fn to(place: &str) -> Response {
    let mut response = answer(StatusCode::SEE_OTHER, String::new());
    let place = HeaderValue::from_str(place).unwrap_or(HeaderValue::from_static("/console"));
    response.headers_mut().insert(LOCATION, place);
    response
}

/// The same, with a session or without one from now on.
pub(crate) fn to_with_cookie(place: &str, cookie: &str) -> Response {
    let mut response = to(place);
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// To the login, and back from there.
pub(crate) fn to_login(path: &str) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    to(&format!("/console/login?{}", query.append_pair("to", path).finish()))
}

/// A page without navigation: the login, and where nobody is let in.
pub(crate) fn alone(status: StatusCode, title: &str, content: &Markup) -> Response {
    let body = html! {
        body.desk.console {
            header { div.in { span.name { (mark()) "gopay-adapter" } } }
            main.in { h1 { (title) } (content) }
        }
    };
    answer(status, whole(&format!("{title} - gopay-adapter"), &html! {}, &body))
}

/// Something is wrong with a request.
pub(crate) fn fault(status: StatusCode, why: &str) -> Response {
    let content = html! {
        p.alert.fail role="alert" { (why) }
        p { a href="/console" { "To the overview" } }
    };
    alone(status, "Not possible", &content)
}

/// The store does not answer.
pub(crate) fn unavailable(error: &gopay_service::StoreError) -> Response {
    let why = format!("the store does not answer: {}", gopay_service::chain(error));
    fault(StatusCode::SERVICE_UNAVAILABLE, &why)
}

/// A file to keep.
pub(crate) fn file(name: &str, body: axum::body::Body) -> Response {
    let mut response = hardened(respond(200, "text/csv; charset=utf-8; header=present", body));
    let name = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    let headers: &mut HeaderMap = response.headers_mut();
    if let Ok(name) = name {
        headers.insert(HeaderName::from_static("content-disposition"), name);
    }
    response
}
