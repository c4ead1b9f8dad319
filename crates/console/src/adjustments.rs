//! Corrections of settlements: what was asked for, and what a second person approves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gopay_http::acts::NotDone as _;
use gopay_http::asked::{Asked, AskedError};
use gopay_http::books::UNSETTLED;
use gopay_service::desk::{
    AdjustmentAct, AdjustmentFilter, AdjustmentView, Adjustments, BookError, Numbered,
    SettledContract, Walk,
};
use gopay_service::{Role, StoreError, chain};
use maud::{Markup, html};

use crate::form::{Field, Form};
use crate::frame::Part;
use crate::visit::{Failed, Sent, Visit};
use crate::{Console, answer, csv, frame, show};

const PATH: &str = "/console/adjustments";

/// Corrections of a page.
const ROWS: usize = 50;

fn broken(error: &BookError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    answer::fault(status, &chain(error))
}

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    let Some(adjustments) = &console.app.adjustments else {
        return answer::fault(StatusCode::NOT_FOUND, UNSETTLED);
    };
    let listed = match asked.adjustments().and_then(|filter| Ok((filter, asked.walk()?))) {
        Ok((filter, walk)) => match adjustments.list(&filter, walk, ROWS).await {
            Ok(listed) => html! {
                (list(&listed, &visit))
                (show::walking(asked, PATH, (walk, listed.next), Some("/console/adjustments.csv")))
            },
            Err(error) => return broken(&error),
        },
        Err(AskedError(why)) => show::wrong(&why),
    };
    let contracts = adjustments.contracts();
    let content = html! {
        p {
            "A closed settlement never changes. A correction goes into the next one: one person asks for it, "
            "another approves it, and " code { "gopay-adapter settle --approved" } " takes it."
        }
        (filters(asked))
        (listed)
        @if contracts.is_empty() {
            p.note { "No contract of the config is settled." }
        } @else if visit.who.finance {
            (ask_form(&visit, &contracts))
        } @else {
            p.note { "To ask for a correction or to approve one needs the role finance." }
        }
    };
    let title = html! { "Corrections" };
    frame::page(&console, &visit, Part::Settlements, &title, &content).await
}

fn filters(asked: &Asked) -> Markup {
    let fields = html! {
        (show::select(asked, "state", "State", &["", "asked", "approved"]))
        (show::field(asked, "contract", "Contract", ""))
        (show::select(asked, "order", "Last act", &["newest", "oldest"]))
    };
    show::filters(asked, PATH, &["state", "contract", "order"], &fields)
}

fn money(row: &AdjustmentView) -> String {
    show::hundredths(row.currency.as_deref().unwrap_or_default(), row.amount)
}

fn list(listed: &Numbered<AdjustmentView>, visit: &Visit) -> Markup {
    html! {
        @if listed.rows.is_empty() { p { "There is none." } }
        @for row in &listed.rows { (card(row, visit)) }
    }
}

fn card(row: &AdjustmentView, visit: &Visit) -> Markup {
    html! {
        section.card {
            h2 { code { (row.id) } " " (standing(row)) }
            dl.facts {
                div { dt { "Amount" } dd { b { (money(row)) } } }
                div { dt { "Contract" } dd { (row.contract) } }
                div { dt { "Reason" } dd { (row.reason) } }
                div { dt { "Asked for by" } dd { (row.by) } }
                div { dt { "Approved by" } dd { (row.approved_by.as_deref().unwrap_or("nobody yet")) } }
                div { dt { "Settled in" } dd { (settled_in(row)) } }
                div { dt { "Last act, UTC" } dd { (show::time(&row.at)) } }
                div { dt { "Settlements of" } dd { a href={ "/console/settlements/" (row.account) } { (row.account) } } }
            }
            @if row.approved_by.is_none() && visit.who.finance { (approval(row, visit)) }
        }
    }
}

fn standing(row: &AdjustmentView) -> Markup {
    html! {
        @match (&row.approved_by, &row.settled_in) {
            (_, Some(_)) => span.pill.off { "settled" },
            (Some(_), None) => span.pill.good { "approved" },
            (None, None) => span.pill.wait { "waits for approval" },
        }
    }
}

fn settled_in(row: &AdjustmentView) -> &str {
    let next = if row.approved_by.is_some() { "the next settlement" } else { "none yet" };
    row.settled_in.as_deref().unwrap_or(next)
}

/// What an act repeats of the correction that somebody has seen.
fn repeated(row: &AdjustmentView) -> Markup {
    let sign = if row.amount < 0 { "-" } else { "" };
    let (whole, rest) = (row.amount.unsigned_abs() / 100, row.amount.unsigned_abs() % 100);
    html! {
        input type="hidden" name="act" value="approve";
        input type="hidden" name="place" value=(row.act);
        input type="hidden" name="id" value=(row.id);
        input type="hidden" name="contract" value=(row.contract);
        input type="hidden" name="amount" value={ (sign) (whole) (format!(".{rest:02}")) };
        input type="hidden" name="reason" value=(row.reason);
        input type="hidden" name="asked_by" value=(row.by);
    }
}

/// The name of the form that approves what stands at a place.
fn approval_of(place: &str) -> String {
    format!("approve-{place}")
}

fn approval(row: &AdjustmentView, visit: &Visit) -> Markup {
    let name = approval_of(&row.act.to_string());
    let form = Form::of(visit, &name);
    html! {
        form method="post" action=(PATH) {
            (form.key())
            (repeated(row))
            (form.by())
            button.button.small type="submit" { "Approve " (money(row)) }
            span.note { "By another person than " (row.by) "." }
        }
    }
}

fn ask_form(visit: &Visit, contracts: &[SettledContract]) -> Markup {
    let form = Form::of(visit, "ask");
    let id = Field { name: "id", label: "Id, used once", chars_max: Some(200), ..Field::EMPTY };
    let amount = Field {
        name: "amount",
        label: "Amount in the settlement currency",
        keyboard: Some("text"),
        hint: Some("-12.50"),
        ..Field::EMPTY
    };
    html! {
        details.act #ask open[form.is_open()] {
            summary { "Ask for a correction" }
            form method="post" action=(PATH) {
                p.note { "It counts once another person has approved it." }
                (form.key())
                input type="hidden" name="act" value="ask";
                (form.text(&id))
                label for="of" { "Contract" }
                select #of name="contract" {
                    @for one in contracts {
                        option value=(one.contract) selected[form.typed("contract") == Some(&one.contract)] {
                            (one.contract) ", settled under " (one.account)
                            @if let Some(currency) = &one.currency { " in " (currency) }
                        }
                    }
                }
                (form.text(&amount))
                p.note { "Above zero in the merchant's favour, below zero against them." }
                (form.reason())
                button.button type="submit" { "Ask for it" }
            }
        }
    }
}

pub(crate) async fn act(State(console): State<Console>, sent: Sent) -> Response {
    let approves = sent.text("act") == "approve";
    let work = async {
        let adjustments = console.app.adjustments.as_ref();
        let adjustments = adjustments.ok_or_else(|| Failed::new(404, UNSETTLED))?;
        let (by, approved_by) =
            if approves { (sent.text("asked_by"), Some(sent.by())) } else { (sent.by(), None) };
        let act = AdjustmentAct {
            id: sent.text("id"),
            contract: sent.text("contract"),
            amount: sent.text("amount"),
            reason: sent.text("reason"),
            by,
            approved_by,
        };
        adjustments.act(&act).await?;
        Ok(format!("{PATH}?done={}", if approves { "approved" } else { "asked" }))
    };
    let form = if approves { approval_of(&sent.text("place")) } else { "ask".to_owned() };
    let again = |visit| page(State(console.clone()), visit);
    console.act((&sent, &form), Role::Finance, work, again).await
}

const TITLES: [&str; 10] = [
    "at",
    "account",
    "id",
    "contract",
    "currency",
    "amount_hundredths",
    "reason",
    "by",
    "approved_by",
    "settled_in",
];

fn cells(row: AdjustmentView) -> Vec<String> {
    vec![
        row.at,
        row.account,
        row.id,
        row.contract,
        row.currency.unwrap_or_default(),
        row.amount.to_string(),
        row.reason,
        row.by,
        row.approved_by.unwrap_or_default(),
        row.settled_in.unwrap_or_default(),
    ]
}

async fn rows(
    adjustments: Arc<dyn Adjustments>,
    filter: AdjustmentFilter,
    walk: Walk,
) -> csv::Part<i64> {
    /// Rows read at once.
    const PAGE: usize = 500;
    match adjustments.list(&filter, walk, PAGE).await {
        Ok(page) => Ok((page.rows.into_iter().map(cells).collect(), page.next)),
        Err(BookError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Down(chain(&error).into())),
    }
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    let Some(adjustments) = console.app.adjustments.clone() else {
        return answer::fault(StatusCode::NOT_FOUND, UNSETTLED);
    };
    let asked = &visit.asked;
    let (filter, first) = match asked.adjustments().and_then(|it| Ok((it, asked.walk()?))) {
        Ok(wanted) => wanted,
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    csv::file("adjustments.csv", &TITLES, move |from| {
        rows(adjustments.clone(), filter.clone(), Walk { from, ..first })
    })
}
