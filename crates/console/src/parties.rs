//! PSPs with their contracts as configured, and the receivers of their notifications.

use std::cmp::Reverse;

use axum::extract::State;
use axum::response::Response;
use gopay_service::StoreError;
use gopay_service::desk::{ClientView, ContractView, ReceiverView};
use maud::{Markup, html};

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, csv, frame, show};

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let service = &console.app.service;
    let content = html! {
        h2 { "Receivers" }
        (receivers(&worst_first(service.receivers())))
        h2 { "As configured" }
        p.note { "Secrets are counted and never shown. Two are there while one is replaced." }
        @for client in service.clients() { (card(&client)) }
    };
    frame::page(&console, &visit, Part::Parties, &html! { "PSPs" }, &content).await
}

/// Those that fail come first, the longest ahead.
fn worst_first(mut receivers: Vec<ReceiverView>) -> Vec<ReceiverView> {
    receivers.sort_by_key(|one| (Reverse(one.failing), Reverse(one.failures)));
    receivers
}

fn receivers(receivers: &[ReceiverView]) -> Markup {
    let titles = [
        ("Receiver", false),
        ("Breaker", false),
        ("Failures in a row", true),
        ("Last try, UTC", false),
        ("Answer", false),
        ("Confirmed last, UTC", false),
    ];
    let rows = html! { @for one in receivers { (receiver(one)) } };
    html! {
        @if receivers.is_empty() {
            p { "This process has sent no notification yet." }
        } @else {
            (show::table("Receivers of notifications", &titles, &rows))
            p { a href="/console/receivers.csv" download { "Download as CSV" } }
            p.note {
                "As this process has seen them. A receiver that fails five times in a row gets one try at a time "
                "until one is confirmed."
            }
        }
    }
}

fn receiver(one: &ReceiverView) -> Markup {
    let last = one.last.as_ref();
    html! {
        tr {
            td data-label="Receiver" { code { (one.receiver) } }
            td data-label="Breaker" {
                @if one.failing { span.pill.fail { "open: one at a time" } } @else { span.pill.good { "closed: all tries" } }
            }
            td.num data-label="Failures in a row" { (one.failures) }
            td.nowrap data-label="Last try, UTC" { @if let Some(last) = last { (show::time(&last.at)) } }
            td data-label="Answer" {
                @if let Some(last) = last {
                    @if let Some(status) = last.status { (status) ", " }
                    @if last.confirmed { "confirmed" } @else { "not confirmed" }
                    @if let Some(error) = &last.error { ": " (error) }
                }
            }
            td.nowrap data-label="Confirmed last, UTC" {
                @if let Some(at) = &one.delivered_at { (show::time(at)) } @else { "none" }
            }
        }
    }
}

const TITLES: [&str; 8] = [
    "receiver",
    "failing",
    "failures",
    "last_try",
    "confirmed",
    "status",
    "error",
    "confirmed_last",
];

fn cells(one: ReceiverView) -> Vec<String> {
    let (at, confirmed, status, error) = one.last.map_or_else(Default::default, |last| {
        let status = last.status.map(|status| status.to_string()).unwrap_or_default();
        (last.at, last.confirmed.to_string(), status, last.error.unwrap_or_default())
    });
    vec![
        one.receiver,
        one.failing.to_string(),
        one.failures.to_string(),
        at,
        confirmed,
        status,
        error,
        one.delivered_at.unwrap_or_default(),
    ]
}

pub(crate) async fn export(State(console): State<Console>, _visit: Visit) -> Response {
    let receivers = worst_first(console.app.service.receivers());
    let rows: Vec<Vec<String>> = receivers.into_iter().map(cells).collect();
    csv::file("receivers.csv", &TITLES, move |_: Option<()>| {
        let rows = rows.clone();
        async move { Ok::<_, StoreError>((rows, None)) }
    })
}

fn card(client: &ClientView) -> Markup {
    let any = "as many as any";
    html! {
        section.card {
            h3 { (client.login) }
            dl.facts {
                div { dt { "Passwords" } dd { (client.passwords) } }
                div { dt { "Shared secrets" } dd { (client.shared_secrets) } }
                div { dt { "Notification secrets" } dd { (client.notification_secrets) } }
                div { dt { "Certificates" } dd {
                    @if client.certificates == 0 { "none needed" } @else { (client.certificates) }
                } }
                div { dt { "A notification is confirmed by" } dd {
                    @if client.require_ok_body { "2xx and a body that begins with OK" } @else { "2xx" }
                } }
                div { dt { "Calls at once" } dd {
                    (client.concurrent_calls.map_or_else(|| any.to_owned(), |calls| calls.to_string()))
                } }
                div { dt { "Calls a second" } dd {
                    (client.calls_per_second.map_or_else(|| any.to_owned(), |calls| calls.to_string()))
                } }
            }
            (contracts(&client.contracts))
            @if client.contract_count > client.contracts.len() {
                p { (client.contract_count) " contracts in all; GET /admin/v1/directory has each." }
            }
        }
    }
}

fn contracts(contracts: &[ContractView]) -> Markup {
    let titles = [
        ("Contract", false),
        ("Calls", false),
        ("Channels", false),
        ("Midtrans accounts", false),
        ("KYC", false),
        ("Refunds", false),
        ("Notifications to", false),
        ("Shoppers return to", false),
    ];
    let address = |url: &Option<String>| {
        html! {
            @if let Some(url) = url { code.long { (url) } } @else { "as the call says" }
        }
    };
    let rows = html! {
        @for contract in contracts {
            tr {
                td data-label="Contract" {
                    a href={ "/console/transactions?contract=" (contract.contractid) } { (contract.contractid) }
                }
                td data-label="Calls" {
                    @if contract.enabled { span.pill.good { "enabled" } } @else { span.pill.fail { "disabled" } }
                }
                td data-label="Channels" { (contract.channels.join(", ")) }
                td data-label="Midtrans accounts" {
                    @if contract.midtrans.is_empty() { "of its channels" } @else { (contract.midtrans.join(", ")) }
                }
                td data-label="KYC" { (contract.kyc) }
                td data-label="Refunds" { @if contract.refunds { "allowed" } @else { "not allowed" } }
                td data-label="Notifications to" { (address(&contract.notification_url)) }
                td data-label="Shoppers return to" { (address(&contract.redirect_url)) }
            }
        }
    };
    show::table("Contracts", &titles, &rows)
}
