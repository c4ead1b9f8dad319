//! Pages of the demo.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use gopay_pages::{Frame, HEADERS_WITH_FORMS, Language, Width, rupiah};
use gopay_psp_client::TxId;
use maud::{Markup, html};

use crate::Received;
use crate::messages::{Kind, Message, Order, explained};
use crate::shop::{COUNT_MAX, GOODS};

/// How often the page of an order that is not over is shown again.
const LIVE_SECONDS: u32 = 3;

const LINKS: [(&str, &str); 3] =
    [("/shop", "Shop"), ("/psp/notifications", "Notifications"), ("/simulator", "Simulator")];

/// The shop, with the newest orders; `problem` says why nothing was bought.
pub(crate) fn shop(newest: &[(TxId, Order)], problem: Option<&str>) -> Response {
    let content = html! {
        @if let Some(problem) = problem { p.alert.fail role="alert" { "The payment could not be started. " (problem) "." } }
        form.card method="post" action="/shop/buy" {
            @for (place, good) in GOODS.iter().enumerate() {
                div.item {
                    span.picture { svg.mark viewBox="0 0 24 24" aria-hidden="true" { path d=(good.picture) {} } }
                    span {
                        label for=(format!("count{place}")) { (good.name) }
                        span.note { (rupiah(u64::from(good.price))) }
                    }
                    span.count { input id=(format!("count{place}")) name=(format!("count{place}")) type="number" inputmode="numeric" min="0" max=(COUNT_MAX) value=(good.at_first); }
                }
            }
            label for="name" { "Your name" }
            input id="name" name="name" value="Siti Rahma" maxlength="100" autocomplete="off";
            button.button { "Pay with GoPay" }
            p.note { "No money moves. The cart becomes " code { "transientin.orderitems" } " of a TRANSACTION call, and its sum the amount." }
        }
        @if !newest.is_empty() {
            h2 { "Last orders" }
            @for (tx_id, order) in newest {
                p {
                    a href=(format!("/shop/orders/{tx_id}")) { (tx_id) } " " (state(order))
                    @if let Some(amount) = order.rupiah { " " (rupiah(amount)) }
                }
            }
        }
    };
    page(StatusCode::OK, "Toko Demo", Width::Phone, &content, None)
}

fn state(order: &Order) -> Markup {
    let word = order.status.as_deref().unwrap_or("unknown");
    let class = match word {
        "SUCCEEDED" => "good",
        "FAILED" => "fail",
        "PENDING" => "wait",
        _ => "off",
    };
    html! { span.pill.(class) { (word) } }
}

/// An order and every message about it; `back` says that the shopper has just come back.
pub(crate) fn order(tx_id: TxId, order: &Order, back: bool, problem: Option<&str>) -> Response {
    let open = order.status.as_deref().is_none_or(|status| status == "PENDING");
    let title = if back { "Back in the shop" } else { "Your order" };
    let content = html! {
        @if let Some(problem) = problem { p.alert.fail role="alert" { (problem) "." } }
        div.right {
            div.card {
                @if let Some(amount) = order.rupiah { p.amount { (rupiah(amount)) } }
                p { (state(order)) @if order.refunded > 0 { " " (rupiah(order.refunded)) " given back" } }
                p.note { (shopper_text(order)) }
                (next(tx_id, order, open))
                p.note { "TXID " code { (tx_id) } }
                p { a href=(format!("/simulator/transactions/{tx_id}")) { "What GoPay's side saw" } }
            }
            p { a href="/shop" { "Back to the shop" } }
        }
        div.left {
            h2 { "What crossed" }
            p.note { "Each message as it went over the wire, and what it means. Open one to read it." }
            @for (place, message) in order.messages.iter().enumerate() { (crossed(place, message)) }
        }
    };
    // A page with a form that somebody may be filling in is left alone.
    page(
        StatusCode::OK,
        title,
        Width::Desk,
        &content,
        open.then_some(LIVE_SECONDS).filter(|_| !back),
    )
}

/// What a shop would say to the shopper.
fn shopper_text(order: &Order) -> &'static str {
    match order.status.as_deref() {
        Some("SUCCEEDED") => "Thank you: GoPay has confirmed the payment.",
        Some("FAILED") => {
            "The payment has ended. If your GoPay history shows a charge, do not pay again: the shop will hear of it."
        }
        _ => "GoPay has not confirmed the payment yet. This page is shown again every 3 seconds.",
    }
}

/// What can be done now.
fn next(tx_id: TxId, order: &Order, open: bool) -> Markup {
    let address = |action: &str| format!("/shop/orders/{tx_id}/{action}");
    let left = order.rupiah.map(|paid| paid.saturating_sub(order.refunded));
    html! {
        @if open && let Some((url, _)) = &order.redirect {
            p { a.button href=(url) { "Pay" } }
        }
        @if order.status.as_deref() == Some("SUCCEEDED") && left != Some(0) {
            form method="post" action=(address("refund")) {
                label for="amount" { "Give back, in rupiah" }
                input id="amount" name="amount" inputmode="numeric" autocomplete="off" value=[left];
                button.button { "Refund" }
            }
        }
        form.inline method="post" action=(address("ask")) { button.button.small.plain { "Ask GETTXSTATUS" } }
        @if open {
            form.inline method="post" action=(address("cancel")) { button.button.small.plain.bad { "CANCELTX" } }
        }
    }
}

fn crossed(place: usize, message: &Message) -> Markup {
    let (title, way, sent, received, why) = words(message.kind);
    html! {
        details open[place == 0] {
            summary {
                (place + 1) ". " (title) " "
                @if message.good { span.pill.good { "good" } } @else { span.pill.fail { "not good" } }
            }
            p.note { (way) }
            p { (why) }
            div.said.out {
                h3 { (sent) }
                pre { (message.sent) }
                (decoded(&message.sent))
            }
            @if !message.received.is_empty() {
                div.said.back {
                    h3 { (received) }
                    pre { (message.received) }
                    (decoded(&message.received))
                }
            }
            p { strong { "So: " } (message.verdict) "." }
            @if let Some(formula) = formula(message.kind) { pre { (formula) } }
        }
    }
}

/// Title, way, what was sent, what came back, and why there is such a message.
const fn words(
    kind: Kind,
) -> (&'static str, &'static str, &'static str, &'static str, &'static str) {
    const CALL: &str = "PSP to adapter: POST / as application/x-www-form-urlencoded";
    match kind {
        Kind::Transaction => (
            "TRANSACTION",
            CALL,
            "Sent",
            "Answer",
            "Opens a payment. The adapter checks everything, charges at Midtrans, and gives an address for the shopper.",
        ),
        Kind::Redirect => (
            "The shopper leaves",
            "PSP to browser: HTTP 303",
            "Location",
            "",
            "The adapter's page leads to the GoPay app on a phone, and elsewhere says to use one.",
        ),
        Kind::Notification => (
            "Notification",
            "Adapter to PSP: POST to notificationurl, again every 15 minutes until HTTP 2xx",
            "Received",
            "Answered",
            "Says that there is a final state, and proves who says so. Check the hash before anything else.",
        ),
        Kind::Return => (
            "The shopper returns",
            "Adapter to browser to PSP: GET of merchantredirecturl",
            "Received",
            "",
            "Tells nothing of the outcome: the shopper may return before it is known, twice, or never.",
        ),
        Kind::Status => (
            "GETTXSTATUS",
            CALL,
            "Sent",
            "Answer",
            "The only word about the outcome that counts. Ask after each notification and each return.",
        ),
        Kind::Refund => (
            "REFUND",
            CALL,
            "Sent",
            "Answer",
            "Gives back a part or the rest, within 30 days. Each call is a refund of its own: never repeat one blindly.",
        ),
        Kind::Cancel => (
            "CANCELTX",
            CALL,
            "Sent",
            "Answer",
            "Ends a payment that nobody has paid. If the shopper was faster, the answer says so.",
        ),
    }
}

/// How the proof in a message is made.
const fn formula(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Notification => Some(
            "sha256hash = sha256( sha256( txid + \".\" + finaltimestamp ) + \".\" + \"examplenotificationsecret\" )",
        ),
        Kind::Return => Some(
            "cs = sha256( sha256( txid + \".\" + REDIRECTSECRET ) + \".\" + \"examplesharedsecret\" )",
        ),
        Kind::Transaction | Kind::Redirect | Kind::Status | Kind::Refund | Kind::Cancel => None,
    }
}

fn decoded(text: &str) -> Markup {
    let pairs = explained(text);
    html! {
        @for (key, value, meaning) in &pairs {
            div.pair {
                strong { (key) } @if !meaning.is_empty() { span.note { " " (meaning) } }
                code { (value) }
            }
        }
    }
}

/// Not an order of this shop.
pub(crate) fn unknown() -> Response {
    let content = html! {
        p { "The shop remembers no such order: it keeps everything in memory, until it is stopped." }
        p { a href="/shop" { "Back to the shop" } }
    };
    page(StatusCode::NOT_FOUND, "There is no such order", Width::Phone, &content, None)
}

pub(crate) fn notifications(received: &[Received]) -> Response {
    let content = html! {
        p { "What the adapter has told the PSP. It checks the hash, then asks GETTXSTATUS, and only then answers." }
        @if received.is_empty() { p { "None yet." } }
        @for one in received {
            div.card {
                p {
                    a href=(format!("/shop/orders/{}", one.txid)) { (one.txid) } " "
                    @if one.genuine { span.pill.good { "genuine" } } @else { span.pill.fail { "forged" } }
                }
                p.note { (one.finaltimestamp) }
                p { "GETTXSTATUS: " strong { (one.status) } }
            }
        }
    };
    page(
        StatusCode::OK,
        "Notifications received by the PSP",
        Width::Phone,
        &content,
        Some(LIVE_SECONDS),
    )
}

fn page(
    status: StatusCode,
    title: &str,
    width: Width,
    content: &Markup,
    refresh_seconds: Option<u32>,
) -> Response {
    let frame = Frame {
        language: Language::English,
        title,
        name: "Demo shop",
        assets: "/shop/pages",
        links: &LINKS,
        width,
    };
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    let mut response = (status, kind, frame.page(content)).into_response();
    let headers = response.headers_mut();
    for (name, value) in HEADERS_WITH_FORMS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Some(seconds) = refresh_seconds {
        headers.insert(header::REFRESH, HeaderValue::from(seconds));
    }
    response
}
