//! Reconciliation: its runs, its breaks, and what two people decide about each.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use gopay_http::acts::NotDone as _;
use gopay_http::asked::{Asked, AskedError};
use gopay_http::books::SERIES;
use gopay_service::desk::{
    BookError, BreakAct, BreakFilter, BreakOrder, BreakReview, BreakRow, DecidedRow, Listing,
    Order, Walk, Which,
};
use gopay_service::{Role, StoreError, chain};
use maud::{Markup, html};

use crate::form::Form;
use crate::frame::Part;
use crate::visit::{Failed, Sent, Visit};
use crate::{Console, answer, csv, frame, runs, show};

const PATH: &str = "/console/reconciliation";
const FILE: &str = "/console/breaks.csv";

/// Breaks of a page.
const ROWS: usize = 50;

/// Runs of a page.
const RUNS: usize = 10;

const WITHOUT: &str = "this program is built without reconciliation";

fn series(asked: &Asked) -> &str {
    asked.get("series").unwrap_or(SERIES)
}

fn broken(error: &BookError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    answer::fault(status, &chain(error))
}

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let title = html! { "Reconciliation" };
    let Some(review) = &console.app.breaks else {
        let content = html! { p { "There is none here: " (WITHOUT) "." } };
        return frame::page(&console, &visit, Part::Reconciliation, &title, &content).await;
    };
    let asked = &visit.asked;
    let after = asked.get("after").unwrap_or_default();
    let breaks = match asked.breaks(&review.kinds()) {
        Ok(filter) => match review.breaks(series(asked), &filter, after, ROWS).await {
            Ok(breaks) => list(asked, &breaks),
            Err(error) => return broken(&error),
        },
        Err(AskedError(why)) => show::wrong(&why),
    };
    // The order that is asked for is that of the breaks.
    let from = asked.get("before").and_then(|text| text.parse().ok());
    let last = Walk { order: Order::NewestFirst, from };
    let runs = match console.app.service.reconciliation_runs(series(asked), last, RUNS).await {
        Ok(runs) => runs,
        Err(error) => return answer::unavailable(&error),
    };
    let content = html! {
        (filters(asked, &review.kinds()))
        h2 { "Breaks" }
        (breaks)
        h2 { "Runs" }
        (runs::history(asked, PATH, &runs))
    };
    frame::page(&console, &visit, Part::Reconciliation, &title, &content).await
}

fn filters(asked: &Asked, kinds: &[&str]) -> Markup {
    let words = Which::ALL.map(Which::as_str);
    let kinds = [&[""], kinds].concat();
    let orders = BreakOrder::ALL.map(BreakOrder::as_str);
    let fields = html! {
        (show::field(asked, "series", "Series", SERIES))
        (show::select(asked, "which", "Breaks", &words))
        (show::select(asked, "kind", "Kind", &kinds))
        (show::select(asked, "order", "Order", &orders))
    };
    show::filters(asked, PATH, &["series", "which", "kind", "order"], &fields)
}

fn list(asked: &Asked, breaks: &Listing<BreakRow>) -> Markup {
    let titles = [
        ("Break", false),
        ("Kind", false),
        ("TXID", false),
        ("Ours", true),
        ("Theirs", true),
        ("At risk", true),
        ("First seen", false),
        ("Decision", false),
    ];
    let line = |row: &BreakRow| line(asked, row);
    show::listing(asked, PATH, "Breaks", &titles, breaks, FILE, line)
}

fn address(asked: &Asked, id: &str) -> String {
    let query = Asked::default().with(&[("series", asked.get("series").unwrap_or_default())]);
    format!("/console/breaks/{id}?{query}")
}

fn line(asked: &Asked, row: &BreakRow) -> Markup {
    html! {
        tr {
            td data-label="Break" { a href=(address(asked, &row.break_id)) { code { (row.break_id) } } }
            td data-label="Kind" { (row.kind.replace('_', " ")) }
            td data-label="TXID" { (transaction(row)) }
            td.num data-label="Ours" { (or_none(row, &row.ours)) }
            td.num data-label="Theirs" { (or_none(row, &row.theirs)) }
            td.num data-label="At risk" { (show::money(&row.currency, &row.at_risk)) }
            td.nowrap data-label="First seen" { (row.first_seen) }
            td data-label="Decision" { (standing(row)) }
        }
    }
}

/// The transaction, with its story if there is one: of a break that is missing here there is none.
fn transaction(row: &BreakRow) -> Markup {
    html! {
        @match &row.txid {
            Some(id) if row.ours.is_empty() => code { (id) },
            Some(id) => (show::transaction(id)),
            None => "none",
        }
    }
}

/// A value of one side, an amount or a state; that side may have nothing.
fn or_none(row: &BreakRow, value: &str) -> String {
    if value.is_empty() { "none".to_owned() } else { show::money(&row.currency, value) }
}

fn standing(row: &BreakRow) -> Markup {
    html! {
        @if row.resolved { span.pill.good { "resolved" } " " }
        @match &row.decided {
            None => { @if !row.resolved { span.pill.fail { "undecided" } } },
            Some(decided) => (decision(decided)),
        }
    }
}

fn decision(decided: &DecidedRow) -> Markup {
    let (class, says) = match (decided.holds, decided.outdated, &decided.approved_by) {
        (true, _, _) => ("good", "approved"),
        (_, true, _) => ("fail", "about other values"),
        (_, _, None) => ("wait", "waits for approval"),
        (_, _, Some(_)) => ("off", "withdrawn"),
    };
    html! { (decided.decision.replace('_', " ")) " " span.pill.(class) { (says) } }
}

pub(crate) async fn one(
    State(console): State<Console>,
    Path(id): Path<String>,
    visit: Visit,
) -> Response {
    let Some(review) = &console.app.breaks else {
        return answer::fault(StatusCode::NOT_FOUND, WITHOUT);
    };
    let row = match review.one(series(&visit.asked), &id).await {
        Ok(Some(row)) => row,
        Ok(None) => return answer::fault(StatusCode::NOT_FOUND, "no such break in this series"),
        Err(error) => return broken(&error),
    };
    let title = html! { "Break " (row.break_id) " " (standing(&row)) };
    let content = html! {
        (facts(&row))
        @if let Some(decided) = &row.decided {
            p {
                (decided.by) " has decided: " b { (decided.decision.replace('_', " ")) } ", because " (decided.reason) "."
                @if let Some(by) = &decided.approved_by { " Approved by " (by) "." }
            }
        }
        (forms(&visit, &row))
    };
    frame::page(&console, &visit, Part::Reconciliation, &title, &content).await
}

fn facts(row: &BreakRow) -> Markup {
    html! {
        div.card {
            p { (row.cause) }
            dl.facts {
                div { dt { "Kind" } dd { (row.kind.replace('_', " ")) } }
                div { dt { "TXID" } dd { (transaction(row)) } }
                div { dt { "REFUNDID" } dd { (row.refundid.as_deref().unwrap_or("none")) } }
                div { dt { "Ours" } dd { b { (or_none(row, &row.ours)) } } }
                div { dt { "Theirs" } dd { b { (or_none(row, &row.theirs)) } } }
                div { dt { "Difference" } dd { (or_none(row, row.difference.as_deref().unwrap_or_default())) } }
                div { dt { "At risk" } dd { b { (show::money(&row.currency, &row.at_risk)) } } }
                div { dt { "About" } dd { (row.day.as_deref().unwrap_or("no day")) } }
                div { dt { "First seen" } dd { (row.first_seen) } }
                div { dt { "Where" } dd { code.long { (row.place) } } }
            }
        }
    }
}

fn forms(visit: &Visit, row: &BreakRow) -> Markup {
    let to = address(&visit.asked, &row.break_id);
    let waits = row.decided.as_ref().filter(|decided| !decided.holds && decided.decision != "open");
    html! {
        @if !visit.who.finance {
            p.note { "To decide or approve needs the role finance." }
        } @else {
            div.acts {
                @if let Some(decided) = waits { (approval(visit, &to, row, decided)) }
                (decide_form(visit, &to, row))
            }
        }
    }
}

fn approval(visit: &Visit, to: &str, row: &BreakRow, decided: &DecidedRow) -> Markup {
    let form = Form::of(visit, "approve");
    html! {
        div.act {
            h2 { "Approve" }
            p.note { "By another person than who has decided." }
            form method="post" action=(to) {
                (form.key())
                input type="hidden" name="act" value="approve";
                input type="hidden" name="version" value=(row.version);
                input type="hidden" name="decision" value=(decided.decision);
                input type="hidden" name="reason" value=(decided.reason);
                input type="hidden" name="decided_by" value=(decided.by);
                (form.by())
                button.button type="submit" { "Approve: " (decided.decision.replace('_', " ")) }
            }
        }
    }
}

fn decide_form(visit: &Visit, to: &str, row: &BreakRow) -> Markup {
    let form = Form::of(visit, "decide");
    let choices = [
        ("accept", "it is explained; nothing is to be done"),
        ("write_off", "it is lost"),
        ("claim", "Midtrans or the bank was asked for it"),
        ("correct", "our books are corrected by an adjustment"),
        ("open", "an earlier decision is withdrawn"),
    ];
    html! {
        details open[row.decided.is_none() || form.is_open()] {
            summary { @if row.decided.is_none() { "Decide" } @else { "Decide anew" } }
            form method="post" action=(to) {
                p.note { "It counts once another person has approved it." }
                (form.key())
                input type="hidden" name="act" value="decide";
                input type="hidden" name="version" value=(row.version);
                fieldset {
                    legend { "What is done about it" }
                    @for (word, means) in choices {
                        @if word != "open" || row.decided.is_some() {
                            (form.choice("decision", word, &word.replace('_', " "), means))
                        }
                    }
                }
                (form.reason())
                button.button type="submit" { "Store the decision" }
            }
        }
    }
}

pub(crate) async fn act(
    State(console): State<Console>,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let approves = sent.text("act") == "approve";
    let work = async {
        let review = console.app.breaks.as_ref().ok_or_else(|| Failed::new(404, WITHOUT))?;
        let (by, approved_by) =
            if approves { (sent.text("decided_by"), Some(sent.by())) } else { (sent.by(), None) };
        let act = BreakAct {
            decision: sent.text("decision"),
            reason: sent.text("reason"),
            by,
            approved_by,
            version: sent.text("version"),
        };
        review.act(series(&sent.visit.asked), &id, &act).await?;
        let done = if approves { "approved" } else { "decided" };
        Ok(format!("{}&done={done}", address(&sent.visit.asked, &id)))
    };
    let form = if approves { "approve" } else { "decide" };
    let again = |visit| one(State(console.clone()), Path(id.clone()), visit);
    console.act((&sent, form), Role::Finance, work, again).await
}

/// The runs of a series, the newest first, as a file.
pub(crate) async fn export_runs(State(console): State<Console>, visit: Visit) -> Response {
    /// Runs read at once.
    const PAGE: usize = 100;
    let series = series(&visit.asked).to_owned();
    csv::file("reconciliations.csv", &runs::TITLES, move |from: Option<i64>| {
        let (console, series) = (console.clone(), series.clone());
        let walk = Walk { order: Order::NewestFirst, from };
        async move {
            let page = console.app.service.reconciliation_runs(&series, walk, PAGE).await?;
            Ok::<_, StoreError>((page.rows.iter().map(runs::cells).collect(), page.next))
        }
    })
}

const TITLES: [&str; 16] = [
    "break_id",
    "kind",
    "txid",
    "refundid",
    "ours",
    "theirs",
    "difference",
    "currency",
    "cause",
    "at_risk",
    "first_seen",
    "resolved",
    "decision",
    "reason",
    "by",
    "approved_by",
];

fn cells(row: BreakRow) -> Vec<String> {
    let decided =
        row.decided.map(|it| [it.decision, it.reason, it.by, it.approved_by.unwrap_or_default()]);
    let mut cells = vec![
        row.break_id,
        row.kind,
        row.txid.unwrap_or_default(),
        row.refundid.unwrap_or_default(),
        row.ours,
        row.theirs,
        row.difference.unwrap_or_default(),
        row.currency,
        row.cause,
        row.at_risk,
        row.first_seen,
        row.resolved.to_string(),
    ];
    cells.extend(decided.unwrap_or_default());
    cells
}

async fn rows(
    review: Arc<dyn BreakReview>,
    series: String,
    filter: BreakFilter,
    after: Option<String>,
) -> csv::Part<String> {
    /// Rows read at once.
    const PAGE: usize = 500;
    match review.breaks(&series, &filter, &after.unwrap_or_default(), PAGE).await {
        Ok(page) => Ok((page.rows.into_iter().map(cells).collect(), page.next)),
        Err(BookError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Down(chain(&error).into())),
    }
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    let Some(review) = console.app.breaks.clone() else {
        return answer::fault(StatusCode::NOT_FOUND, WITHOUT);
    };
    let filter = match visit.asked.breaks(&review.kinds()) {
        Ok(filter) => filter,
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    let series = series(&visit.asked).to_owned();
    csv::file("breaks.csv", &TITLES, move |after| {
        rows(review.clone(), series.clone(), filter.clone(), after)
    })
}
