//! Pages of the demo.

use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use maud::{DOCTYPE, Markup, html};

use crate::Received;

pub(crate) fn shop() -> Response {
    page(
        "Demo shop",
        html! {
            table {
                tr { td { "table" } td { "2 x IDR 2,000.00" } }
                tr { td { "Laptop 2.0" } td { "2 x IDR 3,000.00" } }
                tr { th { "Total" } th { "IDR 10,000.00" } }
            }
            form method="post" action="/shop/buy" { button { "Pay with GoPay" } }
            p { a href="/psp/notifications" { "What the PSP was told" } }
        },
    )
}

pub(crate) fn failed(reason: &str) -> Response {
    page(
        "The payment could not be started",
        html! {
            p { (reason) }
            p { a href="/shop" { "Back to the shop" } }
        },
    )
}

pub(crate) fn returned(txid: &str, genuine: Option<bool>, status: &str) -> Response {
    let hash = match genuine {
        Some(true) => "right",
        Some(false) => "wrong",
        None => "not checked: this shop did not start the transaction",
    };
    page(
        "Back in the shop",
        html! {
            table {
                tr { td { "Transaction" } td { (txid) } }
                tr { td { "Return hash" } td { (hash) } }
                tr { td { "GETTXSTATUS" } td { (status) } }
            }
            p { a href="/shop" { "Back to the shop" } " \u{b7} " a href="/psp/notifications" { "What the PSP was told" } }
        },
    )
}

pub(crate) fn notifications(received: &[Received]) -> Response {
    page(
        "Notifications received by the PSP",
        html! {
            @if received.is_empty() { p { "None yet." } }
            table {
                @for one in received {
                    tr {
                        td { (one.txid) }
                        td { (one.finaltimestamp) }
                        td { @if one.genuine { "genuine" } @else { "forged" } }
                        td { "GETTXSTATUS: " (one.status) }
                    }
                }
            }
            p { a href="/shop" { "Back to the shop" } }
        },
    )
}

fn page(title: &str, content: Markup) -> Response {
    const STYLE: &str = "body{font-family:system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}td,th{padding:.3rem 1rem .3rem 0;text-align:left}button{padding:.7rem 1.2rem}";
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (STYLE) }
            }
            body { h1 { (title) } (content) }
        }
    };
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], body.into_string()).into_response()
}
