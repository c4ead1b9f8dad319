//! The notifications owed to PSPs, and those that were given up sent again.

use axum::extract::State;
use axum::response::Response;
use gopay_core::time::Timestamp;
use gopay_http::asked::{Asked, AskedError};
use gopay_service::desk::{Deed, DeliveryRow, Listing, Page};
use gopay_service::{Role, StoreError};
use maud::{Markup, html};

use crate::form::{Field, Form};
use crate::frame::Part;
use crate::visit::{Failed, Sent, Visit};
use crate::{Console, answer, csv, frame, show};

const PATH: &str = "/console/deliveries";
const FILE: &str = "/console/deliveries.csv";

/// Rows of a page.
const ROWS: usize = 50;

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    let listed = match asked.deliveries().and_then(|filter| Ok((filter, asked.page(ROWS)?))) {
        Ok((filter, page)) => match console.app.service.list_deliveries(&filter, page).await {
            Ok(listing) => rows_and_paging(asked, &listing),
            Err(error) => return answer::unavailable(&error),
        },
        Err(AskedError(why)) => show::wrong(&why),
    };
    let content = html! { (filters(asked)) (listed) (range(&visit)) };
    let title = html! { "Notifications to PSPs" };
    frame::page(&console, &visit, Part::Deliveries, &title, &content).await
}

fn filters(asked: &Asked) -> Markup {
    let fields = html! {
        (show::select(asked, "state", "State", &["", "waiting", "delivered", "given_up"]))
        (show::field(asked, "psp", "PSP", ""))
        (show::select(asked, "order", "Order", &["newest", "oldest"]))
    };
    show::filters(asked, PATH, &["state", "psp", "order"], &fields)
}

fn rows_and_paging(asked: &Asked, listing: &Listing<DeliveryRow>) -> Markup {
    let titles = [
        ("Final state at, UTC", false),
        ("TXID", false),
        ("PSP", false),
        ("State", false),
        ("Tries", true),
        ("Next try, UTC", false),
        ("Receiver", false),
    ];
    show::listing(asked, PATH, "Notifications to PSPs", &titles, listing, FILE, line)
}

fn line(row: &DeliveryRow) -> Markup {
    let owed = &row.owed;
    html! {
        tr {
            td.nowrap data-label="Final state at, UTC" { (show::time(&owed.final_at)) }
            td data-label="TXID" { (show::transaction(&row.txid.to_string())) }
            td data-label="PSP" { (row.psp) }
            td data-label="State" { (show::state(owed.state)) }
            td.num data-label="Tries" { (owed.attempts) }
            td.nowrap data-label="Next try, UTC" {
                @if let Some(at) = &owed.next_attempt_at { (show::time(at)) } @else { "none" }
            }
            td data-label="Receiver" { code.long { (owed.receiver) } }
        }
    }
}

/// The form that sends a range again.
const RANGE: &str = "range";

/// Sends a range again.
fn range(visit: &Visit) -> Markup {
    let form = Form::of(visit, RANGE);
    let since = Field {
        name: "since",
        label: "Given up since, UTC",
        hint: Some("2026-01-31T08:00:00Z"),
        ..Field::EMPTY
    };
    html! {
        @if visit.who.operate {
            details.act open[form.is_open()] {
                summary { "Send those again that were given up" }
                form method="post" action="/console/redeliver" {
                    (form.key())
                    (form.text(&since))
                    (form.reason())
                    button.button type="submit" { "Send again" }
                }
            }
        }
    }
}

pub(crate) async fn again(State(console): State<Console>, sent: Sent) -> Response {
    let work = async {
        let wrong = "since: must be a time such as 2026-01-31T08:00:00Z";
        let since = Timestamp::from_rfc3339(&sent.text("since"));
        let since = since.map_err(|_| Failed::new(400, wrong))?;
        let deed = Deed { by: sent.by(), reason: sent.text("reason") };
        console.app.service.redeliver_since(since, &deed).await?;
        Ok(format!("{PATH}?done=redeliver-all"))
    };
    let again = |visit| page(State(console.clone()), visit);
    console.act((&sent, RANGE), Role::Operate, work, again).await
}

const TITLES: [&str; 8] =
    ["final_at", "delivery", "txid", "psp", "state", "tries", "next_attempt_at", "receiver"];

fn cells(row: DeliveryRow) -> Vec<String> {
    let owed = row.owed;
    vec![
        owed.final_at,
        row.delivery.to_string(),
        row.txid.to_string(),
        row.psp,
        owed.state.to_owned(),
        owed.attempts.to_string(),
        owed.next_attempt_at.unwrap_or_default(),
        owed.receiver,
    ]
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    let wanted = asked.deliveries().and_then(|filter| Ok((filter, asked.page(Page::LIMIT_MAX)?)));
    let (filter, first) = match wanted {
        Ok(wanted) => wanted,
        Err(AskedError(why)) => return answer::fault(axum::http::StatusCode::BAD_REQUEST, &why),
    };
    csv::file("notifications.csv", &TITLES, move |after: Option<String>| {
        let (console, filter) = (console.clone(), filter.clone());
        let after = after.and_then(|key| key.parse().ok());
        let page = Page { after, ..first };
        async move {
            let listing = console.app.service.list_deliveries(&filter, page).await?;
            Ok::<_, StoreError>((listing.rows.into_iter().map(cells).collect(), listing.next))
        }
    })
}
