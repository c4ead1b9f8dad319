//! Settlements: the accounts, and the chain of each: how its transfer comes about, and its files.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use gopay_core::time::Timestamp;
use gopay_http::asked::AskedError;
use gopay_service::StoreError;
use gopay_service::desk::{SettlementRow, Walk};
use maud::{Markup, html};
use serde_json::Value;

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, answer, csv, frame, show};

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
        ("Days, UTC", false),
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
        p { a href="/console/adjustments" { "Corrections" } ": asked for by one person, approved by another, taken by the next settlement." }
    };
    frame::page(&console, &visit, Part::Settlements, &html! { "Settlements" }, &content).await
}

fn period(row: &SettlementRow) -> String {
    format!("{} {}-{:02}", row.frequency, row.year, row.number)
}

/// The days of a period: one, or the first and the last.
fn days(row: &SettlementRow) -> String {
    let day = |text: &str| text.get(..10).unwrap_or(text).to_owned();
    let until = Timestamp::from_rfc3339(&row.until).map(Timestamp::as_micros);
    let last = until.map(|micros| Timestamp::from_micros(micros.saturating_sub(1)).to_string());
    let (first, last) = (day(&row.from), day(last.as_deref().unwrap_or(&row.until)));
    if first == last { first } else { format!("{first} to {last}") }
}

fn head_line(head: &SettlementRow) -> Markup {
    html! {
        tr {
            td data-label="Account" { a href={ "/console/settlements/" (head.account) } { (head.account) } }
            td data-label="Last period" { (period(head)) }
            td.nowrap data-label="Days, UTC" { (days(head)) }
            td.nowrap data-label="Settlement date" { (head.settlement_date) }
            td.num data-label="Transfer" { b { (show::hundredths(&head.currency, head.transfer)) } }
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
    let walk = match visit.asked.walk() {
        Ok(walk) => walk,
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    let page = match console.app.service.settlements(&account, walk, ROWS).await {
        Ok(Some(page)) => page,
        Ok(None) => return answer::fault(StatusCode::NOT_FOUND, "no settlement of this account"),
        Err(error) => return answer::unavailable(&error),
    };
    let path = format!("/console/settlements/{account}");
    let file = format!("{path}/settlements.csv");
    let content = html! {
        p {
            a href="/console/settlements" { "All accounts" } ", " a href="/console/adjustments" { "corrections" } "."
        }
        (show::filters(&visit.asked, &path, &["order"], &html! {
            (show::select(&visit.asked, "order", "Order", &["newest", "oldest"]))
        }))
        @for row in &page.rows { (card(row)) }
        (show::walking(&visit.asked, &path, (walk, page.next), Some(&file)))
    };
    let title = html! { "Settlements of " (account) };
    frame::page(&console, &visit, Part::Settlements, &title, &content).await
}

const TITLES: [&str; 15] = [
    "account",
    "period",
    "from",
    "until",
    "settlement_date",
    "currency",
    "opening_hundredths",
    "reserve_hundredths",
    "transfer_hundredths",
    "carry_forward_hundredths",
    "rate",
    "closed_at",
    "closed_by",
    "adjustments",
    "manifest_sha256",
];

fn cells(row: SettlementRow) -> Vec<String> {
    let (period, rate) = (period(&row), text(&row.rate, "rate"));
    let adjustments: Vec<String> = row.adjustments.into_iter().map(|one| one.id).collect();
    vec![
        row.account,
        period,
        row.from,
        row.until,
        row.settlement_date,
        row.currency,
        row.opening.to_string(),
        row.reserve.to_string(),
        row.transfer.to_string(),
        row.carry_forward.to_string(),
        rate,
        row.closed_at,
        row.closed_by,
        adjustments.join(" "),
        row.manifest_sha256,
    ]
}

pub(crate) async fn export(
    State(console): State<Console>,
    Path(account): Path<String>,
    visit: Visit,
) -> Response {
    /// Settlements read at once: each has its manifest with it.
    const PAGE: usize = 32;
    let name =
        format!("settlements-{}.csv", account.replace(|char: char| !char.is_ascii_digit(), "-"));
    let first = match visit.asked.walk() {
        Ok(first) => first,
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    csv::file(&name, &TITLES, move |from: Option<i64>| {
        let (console, account) = (console.clone(), account.clone());
        let walk = Walk { from, ..first };
        async move {
            let page = console.app.service.settlements(&account, walk, PAGE).await?;
            let (rows, next) = page.map_or_else(Default::default, |page| (page.rows, page.next));
            Ok::<_, StoreError>((rows.into_iter().map(cells).collect(), next))
        }
    })
}

fn card(row: &SettlementRow) -> Markup {
    let money = |amount| show::hundredths(&row.currency, amount);
    html! {
        section.card {
            h2 {
                (period(row)) " "
                @if row.transfer > 0 { span.pill.good { (money(row.transfer)) " on " (row.settlement_date) } }
                @else { span.pill.off { "no transfer" } }
            }
            dl.facts {
                div { dt { "Days, UTC" } dd { (days(row)) } }
                div { dt { "Closed, UTC" } dd { (show::time(&row.closed_at)) " by " (row.closed_by) } }
                @if let Some((rate, source)) = rate(row) { div { dt { "Rate" } dd { (rate) " " span.note.nowrap { (source) } } } }
            }
            (statement(row))
            @for one in &row.adjustments {
                p {
                    "Correction " code { (one.id) } " of " (one.contract) ": " b { (money(one.amount)) } ", " (one.reason)
                    "; asked for by " (one.by) ", approved by " (one.approved_by) "."
                }
            }
            (files(row))
        }
    }
}

/// `1 USD is 16190 IDR`, and `ECB, 2026-11-27`.
fn rate(row: &SettlementRow) -> Option<(String, String)> {
    let of = |name| row.rate.get(name).and_then(Value::as_str);
    let (base, rate, quote) = (of("base")?, of("rate")?, of("quote")?);
    let source = format!("{}, {}", of("source")?, of("date")?);
    Some((format!("1 {base} is {rate} {quote}"), source))
}

/// How the transfer comes about: the rows of the aggregate, and what is carried.
fn statement(row: &SettlementRow) -> Markup {
    let rows = row.rows.as_array().map(Vec::as_slice).unwrap_or_default();
    let titles = [("Row", false), ("Events", true), ("Amount", true)];
    let carried = [
        ("Opening", row.opening),
        ("Reserve", row.reserve),
        ("Transfer", row.transfer),
        ("Carried forward", row.carry_forward),
    ];
    let lines = html! {
        @for one in rows {
            tr {
                td { (named(&text(one, "kind"))) " " span.note { (text(one, "contract")) } }
                td.num { (text(one, "count")) }
                td.num { (show::money(&text(one, "currency"), &text(one, "amount"))) }
            }
        }
        @for (name, amount) in carried {
            @if amount != 0 || name == "Transfer" {
                tr.total[name == "Transfer"] {
                    td { (name) }
                    td {}
                    td.num { (show::hundredths(&row.currency, amount)) }
                }
            }
        }
    };
    html! {
        @if rows.is_empty() && row.opening == 0 && row.reserve == 0 {
            p.note { "No money moved." }
        } @else {
            (show::statement(&format!("Statement of {}", period(row)), &titles, &lines))
        }
    }
}

/// `CLEARED_TO_MERCHANT` in words.
fn named(kind: &str) -> String {
    let words = kind.replace('_', " ").to_lowercase();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn text(entry: &Value, name: &str) -> String {
    match entry.get(name) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn files(row: &SettlementRow) -> Markup {
    let files = row.files.as_array().map(Vec::as_slice).unwrap_or_default();
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
            summary { (show::count(u64::try_from(files.len()).unwrap_or(u64::MAX), "file", "files")) ", and the manifest's SHA-256" }
            p.note { "They are in the folder that settle was told; verify-files compares them with this." }
            p { "Manifest: " code.long { (row.manifest_sha256) } }
            (show::table("Files", &titles, &rows))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(from: &str, until: &str) -> SettlementRow {
        SettlementRow {
            account: "1-999".to_owned(),
            ordinal: 1,
            frequency: "D".to_owned(),
            year: 2026,
            number: 31,
            from: from.to_owned(),
            until: until.to_owned(),
            settlement_date: "2026-02-02".to_owned(),
            currency: "USD".to_owned(),
            opening: 0,
            reserve: -628,
            transfer: 8_864,
            carry_forward: 0,
            manifest_sha256: String::new(),
            closed_at: "2026-02-01T01:00:00Z".to_owned(),
            closed_by: "ana".to_owned(),
            rows: serde_json::json!([{"contract": "<b>SHOP", "kind": "DISCOUNT_FEE", "count": 3, "amount": "-1.89", "currency": "USD"}]),
            rate: serde_json::json!({"date": "2026-01-30", "base": "USD", "quote": "IDR", "rate": "16190", "source": "ECB"}),
            files: Value::Null,
            adjustments: Vec::new(),
        }
    }

    #[test]
    fn a_period_is_told_by_its_days() {
        for (from, until, told) in [
            ("2026-01-31T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z", "2026-01-31"),
            (
                "2026-01-01T00:00:00.000000Z",
                "2026-02-01T00:00:00.000000Z",
                "2026-01-01 to 2026-01-31",
            ),
        ] {
            assert_eq!(days(&closed(from, until)), told);
        }
    }

    #[test]
    fn the_statement_leads_from_the_rows_to_the_transfer() {
        let row = closed("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z");
        let shown = statement(&row).into_string();
        for part in
            ["Discount fee", "&lt;b&gt;SHOP", "USD\u{a0}-1.89", "USD\u{a0}-6.28", "USD\u{a0}88.64"]
        {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!shown.contains("Opening"), "nothing was carried: {shown}");
        let (told, source) = rate(&row).unwrap();
        assert_eq!((told.as_str(), source.as_str()), ("1 USD is 16190 IDR", "ECB, 2026-01-30"));
    }
}
