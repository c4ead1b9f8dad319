//! The list of refunds.

use axum::extract::State;
use axum::response::Response;
use gopay_http::asked::{Asked, AskedError};
use gopay_service::StoreError;
use gopay_service::desk::{Listing, Page, RefundRow};
use maud::{Markup, html};

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, answer, csv, frame, show};

const PATH: &str = "/console/refunds";
const FILE: &str = "/console/refunds.csv";

/// Rows of a page.
const ROWS: usize = 50;

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    let listed = match asked.refunds().and_then(|filter| Ok((filter, asked.page(ROWS)?))) {
        Ok((filter, page)) => match console.app.service.list_refunds(&filter, page).await {
            Ok(listing) => rows_and_paging(asked, &listing),
            Err(error) => return answer::unavailable(&error),
        },
        Err(AskedError(why)) => show::wrong(&why),
    };
    let content = html! { (filters(asked)) (listed) };
    frame::page(&console, &visit, Part::Refunds, &html! { "Refunds" }, &content).await
}

fn filters(asked: &Asked) -> Markup {
    let fields = html! {
        (show::select(asked, "state", "State", &["", "unresolved", "succeeded", "failed"]))
        (show::field(asked, "contract", "Contract", ""))
        (show::field(asked, "psp", "PSP", ""))
        (show::day(asked, "from", "From, UTC"))
        (show::day(asked, "until", "To, UTC"))
        (show::select(asked, "order", "Order", &["newest", "oldest"]))
    };
    let names = ["state", "contract", "psp", "from", "until", "order"];
    show::filters(asked, PATH, &names, &fields)
}

fn rows_and_paging(asked: &Asked, listing: &Listing<RefundRow>) -> Markup {
    let titles = [
        ("Called, UTC", false),
        ("REFUNDID", false),
        ("TXID", false),
        ("merchantrefundid", false),
        ("Contract", false),
        ("Amount", true),
        ("State", false),
        ("Why", false),
    ];
    show::listing(asked, PATH, "Refunds", &titles, listing, FILE, line)
}

fn line(row: &RefundRow) -> Markup {
    let refund = &row.refund;
    html! {
        tr {
            td.nowrap data-label="Called, UTC" { (show::time(&refund.created_at)) }
            td data-label="REFUNDID" { code { (refund.refundid) } }
            td data-label="TXID" { (show::transaction(&row.txid.to_string())) }
            td data-label="merchantrefundid" { @if let Some(id) = &refund.merchantrefundid { code.long { (id) } } @else { "none" } }
            td data-label="Contract" { (row.contract) }
            td.num data-label="Amount" { (refund.amount_sen.map_or_else(|| "none".to_owned(), show::rupiah)) }
            td data-label="State" { (show::state(refund.state)) }
            td data-label="Why" {
                @if let Some(how) = refund.made_elsewhere { "made at Midtrans: " (how) }
                @if let Some(why) = &refund.failure { (why.reason) ": " (why.message) }
            }
        }
    }
}

const TITLES: [&str; 11] = [
    "called_at",
    "refundid",
    "txid",
    "merchantrefundid",
    "psp",
    "contract",
    "amount_sen",
    "state",
    "made_elsewhere",
    "failreason",
    "errmsg",
];

fn cells(row: RefundRow) -> Vec<String> {
    let refund = row.refund;
    let (reason, message) =
        refund.failure.map_or_else(Default::default, |why| (why.reason.to_owned(), why.message));
    vec![
        refund.created_at,
        refund.refundid.to_string(),
        row.txid.to_string(),
        refund.merchantrefundid.unwrap_or_default(),
        row.psp,
        row.contract,
        refund.amount_sen.map(|sen| sen.to_string()).unwrap_or_default(),
        refund.state.to_owned(),
        refund.made_elsewhere.unwrap_or_default().to_owned(),
        reason,
        message,
    ]
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    let wanted = asked.refunds().and_then(|filter| Ok((filter, asked.page(Page::LIMIT_MAX)?)));
    let (filter, first) = match wanted {
        Ok(wanted) => wanted,
        Err(AskedError(why)) => return answer::fault(axum::http::StatusCode::BAD_REQUEST, &why),
    };
    csv::file("refunds.csv", &TITLES, move |after: Option<String>| {
        let (console, filter) = (console.clone(), filter.clone());
        let after = after.and_then(|key| key.parse().ok());
        let page = Page { after, ..first };
        async move {
            let listing = console.app.service.list_refunds(&filter, page).await?;
            Ok::<_, StoreError>((listing.rows.into_iter().map(cells).collect(), listing.next))
        }
    })
}
