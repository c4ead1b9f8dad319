//! Settlements: the accounts, and the chain of each with its files.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use gopay_http::asked::AskedError;
use gopay_service::desk::SettlementRow;
use maud::{Markup, html};
use serde_json::Value;

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, answer, frame, show};

/// Settlements of a page.
const ROWS: usize = 12;

pub(crate) async fn settlements(State(console): State<Console>, visit: Visit) -> Response {
    let heads = match console.app.service.settlement_heads().await {
        Ok(heads) => heads,
        Err(error) => return answer::unavailable(&error),
    };
    let titles = [
        ("Account", false),
        ("Last period", false),
        ("Settlement date", false),
        ("Transfer", true),
        ("Carried forward", true),
        ("Closed, UTC", false),
    ];
    let rows = html! { @for head in &heads { (head_line(head)) } };
    let content = html! {
        @if heads.is_empty() {
            p { "No settlement was closed yet. " code { "gopay-adapter settle" } " closes them." }
        } @else {
            (show::table("Accounts", &titles, &rows))
        }
    };
    frame::page(&console, &visit, Part::Settlements, &html! { "Settlements" }, &content).await
}

fn period(row: &SettlementRow) -> String {
    format!("{} {}-{:02}", row.frequency, row.year, row.number)
}

fn head_line(head: &SettlementRow) -> Markup {
    html! {
        tr {
            td data-label="Account" { a href={ "/console/settlements/" (head.account) } { (head.account) } }
            td data-label="Last period" { (period(head)) }
            td data-label="Settlement date" { (head.settlement_date) }
            td.num data-label="Transfer" { (show::hundredths(&head.currency, head.transfer)) }
            td.num data-label="Carried forward" { (show::hundredths(&head.currency, head.carry_forward)) }
            td.nowrap data-label="Closed, UTC" { (show::time(&head.closed_at)) }
        }
    }
}

pub(crate) async fn account(
    State(console): State<Console>,
    Path(account): Path<String>,
    visit: Visit,
) -> Response {
    let before = match visit.asked.before() {
        Ok(before) => before,
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    let page = match console.app.service.settlements(&account, before, ROWS).await {
        Ok(Some(page)) => page,
        Ok(None) => return answer::fault(StatusCode::NOT_FOUND, "no settlement of this account"),
        Err(error) => return answer::unavailable(&error),
    };
    let next = page.next.map(|next| next.to_string());
    let path = format!("/console/settlements/{account}");
    let content = html! {
        @for row in &page.rows { (card(row)) }
        (show::paging(&visit.asked, &path, "before", next.as_deref(), None))
    };
    let title = html! { "Settlements of " (account) };
    frame::page(&console, &visit, Part::Settlements, &title, &content).await
}

fn card(row: &SettlementRow) -> Markup {
    let money = |amount| show::hundredths(&row.currency, amount);
    html! {
        section.card {
            h2 { (period(row)) }
            dl.facts {
                div { dt { "Period, UTC" } dd { (show::time(&row.from)) " until " (show::time(&row.until)) } }
                div { dt { "Settlement date" } dd { (row.settlement_date) } }
                div { dt { "Opening" } dd { (money(row.opening)) } }
                div { dt { "Reserve" } dd { (money(row.reserve)) } }
                div { dt { "Transfer" } dd { b { (money(row.transfer)) } } }
                div { dt { "Carried forward" } dd { (money(row.carry_forward)) } }
                div { dt { "Closed, UTC" } dd { (show::time(&row.closed_at)) " by " (row.closed_by) } }
                div { dt { "Manifest, SHA-256" } dd { code.long { (row.manifest_sha256) } } }
            }
            (files(&row.files))
            @for one in &row.adjustments {
                p {
                    "Correction " code { (one.id) } " of " (one.contract) ": " (money(one.amount)) ", " (one.reason)
                    "; asked for by " (one.by) ", approved by " (one.approved_by) "."
                }
            }
        }
    }
}

fn text(file: &Value, name: &str) -> String {
    match file.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

fn files(files: &Value) -> Markup {
    let files = files.as_array().map(Vec::as_slice).unwrap_or_default();
    let titles = [("File", false), ("Rows", true), ("Bytes", true), ("SHA-256", false)];
    let rows = html! {
        @for file in files {
            tr {
                td data-label="File" { code.long { (text(file, "name")) } }
                td.num data-label="Rows" { (text(file, "rows")) }
                td.num data-label="Bytes" { (text(file, "bytes")) }
                td data-label="SHA-256" { code.long { (text(file, "sha256")) } }
            }
        }
    };
    html! {
        details {
            summary { (files.len()) " files" }
            p.note { "They are in the folder that settle was told; verify-files compares them with this." }
            (show::table("Files", &titles, &rows))
        }
    }
}
