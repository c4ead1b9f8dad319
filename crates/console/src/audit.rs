//! What operators did, day by day.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gopay_http::asked::AskedError;
use gopay_service::StoreError;
use gopay_service::desk::{AuditDay, AuditRow, Walk};
use maud::{Markup, html};

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, answer, csv, frame, show};

const PATH: &str = "/console/audit";

/// Rows of a page.
const ROWS: usize = 100;

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    let today = console.app.service.today();
    let day = asked.get("day").unwrap_or(&today);
    let listed = match asked.walk() {
        Ok(walk) => match console.app.service.audit(day, &asked.acts(), walk, ROWS).await {
            Ok(audit) => html! {
                (list(&audit))
                (show::walking(asked, PATH, (walk, audit.next), Some("/console/audit.csv")))
            },
            Err(error) => return answer::unavailable(&error),
        },
        Err(AskedError(why)) => show::wrong(&why),
    };
    let content = html! {
        form.filters method="get" action=(PATH) {
            div.fields {
                div.field {
                    label for="day" { "Day, UTC" }
                    input #day name="day" type="date" value=(day) max=(today);
                }
                (show::field(asked, "who", "Who", ""))
                (show::field(asked, "what", "What has", "refund"))
                (show::select(asked, "order", "Order", &["newest", "oldest"]))
            }
            div.bar { button.button.small type="submit" { "Show" } a href=(PATH) { "All of today" } }
        }
        (listed)
        p.note { "What went wrong is here too. Logins are in the log; who only looks is in neither." }
    };
    frame::page(&console, &visit, Part::Audit, &html! { "Audit" }, &content).await
}

fn list(audit: &AuditDay) -> Markup {
    let titles = [
        ("At, UTC", false),
        ("Who", false),
        ("What", false),
        ("Why", false),
        ("From", false),
        ("Answer", false),
    ];
    let rows = html! { @for row in &audit.rows { (line(row)) } };
    html! {
        @if audit.rows.is_empty() {
            p { "Nobody did any of this on " (audit.day) "." }
        } @else {
            (show::table("What operators did", &titles, &rows))
        }
    }
}

fn line(row: &AuditRow) -> Markup {
    let (class, says) = match row.status {
        None => ("wait", "unknown".to_owned()),
        Some(status @ 200..=399) => ("good", format!("done, {status}")),
        Some(status) => ("fail", format!("not done, {status}")),
    };
    html! {
        tr {
            td.nowrap data-label="At, UTC" { (show::time(&row.at)) }
            td data-label="Who" { (row.who) }
            td data-label="What" { code.long { (row.what) } }
            td data-label="Why" { (row.why.as_deref().unwrap_or("no reason given")) }
            td data-label="From" { (row.source) }
            td data-label="Answer" { span.pill.(class) { (says) } }
        }
    }
}

const TITLES: [&str; 6] = ["at", "who", "what", "why", "source", "status"];

fn cells(row: AuditRow) -> Vec<String> {
    let status = row.status.map(|status| status.to_string());
    vec![
        row.at,
        row.who,
        row.what,
        row.why.unwrap_or_default(),
        row.source,
        status.unwrap_or_default(),
    ]
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    /// Rows read at once.
    const PAGE: usize = 1_000;
    let day = visit.asked.get("day").map_or_else(|| console.app.service.today(), str::to_owned);
    let (filter, first) = match visit.asked.walk() {
        Ok(first) => (visit.asked.acts(), first),
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    csv::file("audit.csv", &TITLES, move |from: Option<i64>| {
        let (console, day, filter) = (console.clone(), day.clone(), filter.clone());
        let walk = Walk { from, ..first };
        async move {
            let audit = console.app.service.audit(&day, &filter, walk, PAGE).await?;
            Ok::<_, StoreError>((audit.rows.into_iter().map(cells).collect(), audit.next))
        }
    })
}
