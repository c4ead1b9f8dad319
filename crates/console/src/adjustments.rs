//! Corrections of settlements: what was asked for, and what a second person approves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use gopay_http::acts::NotDone as _;
use gopay_http::asked::{Asked, AskedError};
use gopay_http::books::UNSETTLED;
use gopay_service::desk::{
    AdjustmentAct, AdjustmentFilter, AdjustmentView, Adjustments, BookError, Newest,
    SettledContract,
};
use gopay_service::{Role, StoreError, chain};
use maud::{Markup, html};

use crate::door::Admitted;
use crate::frame::Part;
use crate::visit::{Failed, Sent, Visit};
use crate::{Console, answer, csv, frame, show};

const PATH: &str = "/console/adjustments";

/// Contracts that somebody can choose from; of more, one is typed.
const CHOICE_MAX: usize = 200;

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
    let wanted = asked.adjustments().and_then(|filter| Ok((filter, asked.before()?)));
    let (filter, before) = match wanted {
        Ok(wanted) => wanted,
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    let listed = match adjustments.list(&filter, before, ROWS).await {
        Ok(listed) => listed,
        Err(error) => return broken(&error),
    };
    let contracts = adjustments.contracts();
    let next = listed.next.map(|next| next.to_string());
    let content = html! {
        p {
            "A closed settlement never changes. A correction goes into the next one: one person asks for it, "
            "another approves it, and " code { "gopay-adapter settle --approved" } " takes it."
        }
        (filters(asked))
        (list(&listed, &visit.who))
        (show::paging(asked, PATH, "before", next.as_deref(), Some("/console/adjustments.csv")))
        @if contracts.is_empty() {
            p.note { "No contract of the config is settled." }
        } @else if visit.who.finance {
            (ask_form(&visit.who, &contracts))
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
    };
    show::filters(asked, PATH, &["state", "contract"], &fields)
}

fn money(row: &AdjustmentView) -> String {
    show::hundredths(row.currency.as_deref().unwrap_or_default(), row.amount)
}

fn list(listed: &Newest<AdjustmentView>, who: &Admitted) -> Markup {
    html! {
        @if listed.rows.is_empty() { p { "There is none." } }
        @for row in &listed.rows { (card(row, who)) }
    }
}

fn card(row: &AdjustmentView, who: &Admitted) -> Markup {
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
            @if row.approved_by.is_none() && who.finance { (approval(row, who)) }
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
        input type="hidden" name="id" value=(row.id);
        input type="hidden" name="contract" value=(row.contract);
        input type="hidden" name="amount" value={ (sign) (whole) (format!(".{rest:02}")) };
        input type="hidden" name="reason" value=(row.reason);
        input type="hidden" name="asked_by" value=(row.by);
    }
}

fn approval(row: &AdjustmentView, who: &Admitted) -> Markup {
    let by = format!("by-{}", row.act);
    html! {
        form method="post" action=(PATH) {
            (frame::key(who))
            (repeated(row))
            @if who.name.is_none() {
                label for=(by) { "Your name" }
                input #(by) name="by" required maxlength="100" autocomplete="name";
            }
            button.button.small type="submit" { "Approve " (money(row)) }
            span.note { "By another person than " (row.by) "." }
        }
    }
}

fn ask_form(who: &Admitted, contracts: &[SettledContract]) -> Markup {
    html! {
        details.act #ask {
            summary { "Ask for a correction" }
            form method="post" action=(PATH) {
                p.note { "It counts once another person has approved it." }
                (frame::key(who))
                input type="hidden" name="act" value="ask";
                label for="id" { "Id, used once" }
                input #id name="id" required maxlength="200" autocomplete="off";
                label for="of" { "Contract" }
                @if contracts.len() > CHOICE_MAX {
                    input #of name="contract" required autocomplete="off";
                } @else {
                    select #of name="contract" {
                        @for one in contracts {
                            option value=(one.contract) {
                                (one.contract) ", settled under " (one.account)
                                @if let Some(currency) = &one.currency { " in " (currency) }
                            }
                        }
                    }
                }
                label for="amount" { "Amount in the settlement currency" }
                input #amount name="amount" required inputmode="text" autocomplete="off" placeholder="-12.50";
                p.note { "Above zero in the merchant's favour, below zero against them." }
                (frame::reason(who, "ask"))
                button.button type="submit" { "Ask for it" }
            }
        }
    }
}

pub(crate) async fn act(State(console): State<Console>, sent: Sent) -> Response {
    let work = async {
        let adjustments = console.app.adjustments.as_ref();
        let adjustments = adjustments.ok_or_else(|| Failed::new(404, UNSETTLED))?;
        let approves = sent.text("act") == "approve";
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
    console.act(&sent, Role::Finance, work).await
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
    before: Option<i64>,
) -> csv::Part<i64> {
    /// Rows read at once.
    const PAGE: usize = 500;
    match adjustments.list(&filter, before, PAGE).await {
        Ok(page) => Ok((page.rows.into_iter().map(cells).collect(), page.next)),
        Err(BookError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Down(chain(&error).into())),
    }
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    let Some(adjustments) = console.app.adjustments.clone() else {
        return answer::fault(StatusCode::NOT_FOUND, UNSETTLED);
    };
    let filter = match visit.asked.adjustments() {
        Ok(filter) => filter,
        Err(AskedError(why)) => return answer::fault(StatusCode::BAD_REQUEST, &why),
    };
    csv::file("adjustments.csv", &TITLES, move |before| {
        rows(adjustments.clone(), filter.clone(), before)
    })
}
