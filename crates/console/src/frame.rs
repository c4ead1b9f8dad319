//! What stands around every page: header, navigation, headers of the answer; and what is shown where
//! something went wrong.

use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use gopay_http::respond;
use gopay_pages::{Asset, Language, document, mark};
use maud::{Markup, html};

use crate::Console;
use crate::door::Admitted;
use crate::visit::Visit;

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

/// A part of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Overview,
    Transactions,
    Refunds,
    Deliveries,
    Attention,
    Parties,
    Settlements,
    Reconciliation,
    Audit,
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Overview,
        Self::Transactions,
        Self::Refunds,
        Self::Deliveries,
        Self::Attention,
        Self::Parties,
        Self::Settlements,
        Self::Reconciliation,
        Self::Audit,
    ];

    const fn address(self) -> &'static str {
        match self {
            Self::Overview => "/console",
            Self::Transactions => "/console/transactions",
            Self::Refunds => "/console/refunds",
            Self::Deliveries => "/console/deliveries",
            Self::Attention => "/console/attention",
            Self::Parties => "/console/parties",
            Self::Settlements => "/console/settlements",
            Self::Reconciliation => "/console/reconciliation",
            Self::Audit => "/console/audit",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Transactions => "Transactions",
            Self::Refunds => "Refunds",
            Self::Deliveries => "Notifications",
            Self::Attention => "Needs a person",
            Self::Parties => "PSPs",
            Self::Settlements => "Settlements",
            Self::Reconciliation => "Reconciliation",
            Self::Audit => "Audit",
        }
    }
}

/// Gives an answer the headers of pages.
fn hardened(mut response: Response) -> Response {
    for (name, value) in HEADERS {
        let name = HeaderName::from_static(name);
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn answer(status: StatusCode, text: String) -> Response {
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

/// How much needs a person, beside the navigation.
async fn waiting(console: &Console) -> u64 {
    let sums = console.app.service.attention_sums().await;
    sums.map_or(0, |sums| sums.payments.saturating_add(sums.orders))
}

/// A page with the navigation around it.
pub(crate) async fn page(
    console: &Console,
    visit: &Visit,
    part: Part,
    title: &Markup,
    content: &Markup,
) -> Response {
    let needed = waiting(console).await;
    let heading = title.0.clone();
    let body = html! {
        body.desk.console {
            a.skip href="#main" { "Skip to the content" }
            (header(&visit.who, Some(part), needed))
            main.in #main tabindex="-1" { h1 { (title) } (said(visit)) (content) }
        }
    };
    let script = html! { script src="/console.js" defer {} };
    let head = if part == Part::Overview {
        script
    } else {
        html! {}
    };
    let title = format!("{} - gopay-adapter", plain(&heading));
    answer(StatusCode::OK, whole(&title, &head, &body))
}

/// The text of a heading, without its marks.
fn plain(heading: &str) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for char in heading.chars() {
        match char {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => text.push(char),
            _ => {}
        }
    }
    text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
}

fn whole(title: &str, head: &Markup, body: &Markup) -> String {
    let sheets = [Asset::Style.versioned(ASSETS), Asset::Console.versioned(ASSETS)];
    let sheets = sheets.each_ref().map(String::as_str);
    document(Language::English, title, &sheets, &Asset::Icon.versioned(ASSETS), head, body)
}

fn header(who: &Admitted, part: Option<Part>, needed: u64) -> Markup {
    html! {
        header { div.in {
            span.name { (mark()) "gopay-adapter" }
            nav aria-label="Parts of the console" {
                @for one in Part::ALL {
                    a href=(one.address()) aria-current=[(part == Some(one)).then_some("page")] {
                        (one.name())
                        @if one == Part::Attention && needed > 0 { span.pill.fail.count { (needed) } }
                    }
                }
            }
            @if let Some(name) = &who.name {
                div.who {
                    span { (name) }
                    form method="post" action="/console/logout" {
                        (key(who))
                        button.button.plain.small type="submit" { "Log out" }
                    }
                }
            }
        } }
    }
}

/// What every form repeats.
pub(crate) fn key(who: &Admitted) -> Markup {
    html! { input type="hidden" name="key" value=(who.form_key); }
}

/// Why, and who where nobody has shown a token. `form` tells the fields of several forms apart.
pub(crate) fn reason(who: &Admitted, form: &str) -> Markup {
    let (reason, by) = (format!("{form}-reason"), format!("{form}-by"));
    html! {
        label for=(reason) { "Reason" }
        input #(reason) name="reason" required maxlength="500" autocomplete="off";
        @if who.name.is_none() {
            label for=(by) { "Your name" }
            input #(by) name="by" required maxlength="100" autocomplete="name";
        }
    }
}

/// What was just done: a word in the address chooses one of these.
fn said(visit: &Visit) -> Markup {
    let text = match visit.asked.get("done") {
        Some("refund") => "The refund was taken on; its state is below.",
        Some("cancel") => "GoPay was asked to cancel; the state is below.",
        Some("ask") => "GoPay was asked; what it said is the last in the timeline.",
        Some("redeliver") => "The notification is due; a worker sends it now.",
        Some("redeliver-all") => "They are due; workers send them now.",
        Some("decided") => "Your decision is stored.",
        Some("approved") => "Your approval is stored.",
        _ => return html! {},
    };
    html! { p.alert.good role="status" { (text) } }
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

/// Something was not done.
pub(crate) fn not_done(visit: &Visit, status: StatusCode, why: &str) -> Response {
    let path = visit.path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').collect();
    let back = match parts.as_slice() {
        ["", "console", "transactions", id, _] => format!("/console/transactions/{id}"),
        ["", "console", "attention", _] => "/console/attention".to_owned(),
        ["", "console", "breaks", _] => visit.path.clone(),
        _ => "/console".to_owned(),
    };
    let body = html! {
        body.desk.console {
            (header(&visit.who, None, 0))
            main.in #main {
                h1 { "Not done" }
                p.alert.fail role="alert" { (why) }
                p { a href=(back) { "Back" } }
            }
        }
    };
    answer(status, whole("Not done - gopay-adapter", &html! {}, &body))
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
