//! The list of transactions: searched, filtered, page by page, and as a file.

use axum::extract::State;
use axum::response::Response;
use gopay_core::ids::TxId;
use gopay_http::asked::{Asked, AskedError};
use gopay_service::StoreError;
use gopay_service::Transaction;
use gopay_service::desk::{Listing, Page};
use maud::{Markup, html};

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, answer, csv, frame, show};

const PATH: &str = "/console/transactions";
const FILE: &str = "/console/transactions.csv";

/// Rows of a page.
const ROWS: usize = 50;

/// The field that takes any id.
pub(crate) fn search(asked: &Asked) -> Markup {
    html! {
        form.search method="get" action=(PATH) role="search" {
            label for="id" { "Any id of a transaction" }
            input #id name="id" value=[asked.get("id")] type="search" autocomplete="off" spellcheck="false"
                placeholder="TXID, REFUNDID, merchanttxid, merchantrefundid or Midtrans' id";
            button.button.small type="submit" { "Find" }
        }
    }
}

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    if let Some(id) = asked.get("id") {
        return found(&console, &visit, id).await;
    }
    let listed = match asked.payments().and_then(|filter| Ok((filter, asked.page(ROWS)?))) {
        Ok((filter, page)) => match console.app.service.list_payments(&filter, page).await {
            Ok(listing) => rows_and_paging(asked, &listing),
            Err(error) => return answer::unavailable(&error),
        },
        Err(AskedError(why)) => show::wrong(&why),
    };
    let content = html! { (search(asked)) (filters(asked)) (listed) };
    frame::page(&console, &visit, Part::Transactions, &html! { "Transactions" }, &content).await
}

/// What an id finds: one is shown at once.
async fn found(console: &Console, visit: &Visit, id: &str) -> Response {
    let ids: Vec<TxId> = match console.app.service.find_at_once(id).await {
        Ok(ids) => ids,
        Err(error) => return answer::unavailable(&error),
    };
    if let [tx_id] = ids.as_slice() {
        return answer::to(&format!("{PATH}/{tx_id}"));
    }
    let content = html! {
        (search(&visit.asked))
        @if ids.is_empty() {
            p { "No TXID, REFUNDID, merchanttxid or merchantrefundid of a configured contract is "
                code { (id) } "." }
            p { "Without an index, from the newest back: "
                a href={ (PATH) "?" (Asked::default().with(&[("midtransid", id)])) } { "look for it as Midtrans' id" }
                ", or "
                a href={ (PATH) "?" (Asked::default().with(&[("merchanttxid", id)])) } { "as the merchanttxid of any contract" }
                "." }
        } @else {
            p { (ids.len()) " transactions have the reference " code { (id) } ":" }
            ul { @for tx_id in &ids { li { (show::transaction(&tx_id.to_string())) } } }
        }
    };
    frame::page(console, visit, Part::Transactions, &html! { "Transactions" }, &content).await
}

/// What the list is filtered and ordered by.
const NAMES: [&str; 10] = [
    "state",
    "amount",
    "merchanttxid",
    "midtransid",
    "contract",
    "psp",
    "channel",
    "from",
    "until",
    "order",
];

fn filters(asked: &Asked) -> Markup {
    let states = ["", "initialized", "pending", "succeeded", "failed"];
    let fields = html! {
        (show::select(asked, "state", "State", &states))
        (show::field(asked, "amount", "Amount, rupiah", "125.000"))
        (show::field(asked, "merchanttxid", "merchanttxid", ""))
        (show::field(asked, "midtransid", "Midtrans' id", ""))
        (show::field(asked, "contract", "Contract", ""))
        (show::field(asked, "psp", "PSP", ""))
        (show::select(asked, "channel", "Channel", &["", "testchannel", "livechannel"]))
        (show::day(asked, "from", "From, UTC"))
        (show::day(asked, "until", "To, UTC"))
        (show::select(asked, "order", "Order", &["newest", "oldest"]))
    };
    show::filters(asked, PATH, &NAMES, &fields)
}

fn rows_and_paging(asked: &Asked, listing: &Listing<Transaction>) -> Markup {
    let titles = [
        ("Called, UTC", false),
        ("TXID", false),
        ("merchanttxid", false),
        ("Contract", false),
        ("Amount", true),
        ("State", false),
        ("At Midtrans", false),
    ];
    show::listing(asked, PATH, "Transactions", &titles, listing, FILE, line)
}

fn line(row: &Transaction) -> Markup {
    html! {
        tr {
            td.nowrap data-label="Called, UTC" { (show::time(&row.created_at)) }
            td data-label="TXID" { (show::transaction(&row.txid.to_string())) }
            td data-label="merchanttxid" { @if let Some(id) = &row.merchanttxid { code.long { (id) } } @else { "none" } }
            td data-label="Contract" { (row.contract) }
            td.num data-label="Amount" { (row.amount_sen.map_or_else(|| "none".to_owned(), show::rupiah)) }
            td data-label="State" {
                (show::state(row.state))
                @if row.doubt.as_ref().is_some_and(|doubt| doubt.is_open()) { " " span.pill.fail { "doubt" } }
            }
            td data-label="At Midtrans" { (row.charge_state) }
        }
    }
}

const TITLES: [&str; 13] = [
    "called_at",
    "txid",
    "merchanttxid",
    "psp",
    "contract",
    "channel",
    "amount_sen",
    "state",
    "at_midtrans",
    "failreason",
    "errmsg",
    "midtrans_id",
    "session_until",
];

fn cells(row: Transaction) -> Vec<String> {
    let (reason, message) =
        row.failure.map_or_else(Default::default, |why| (why.reason.to_owned(), why.message));
    vec![
        row.created_at,
        row.txid.to_string(),
        row.merchanttxid.unwrap_or_default(),
        row.psp,
        row.contract,
        row.channel.unwrap_or_default().to_owned(),
        row.amount_sen.map(|sen| sen.to_string()).unwrap_or_default(),
        row.state.to_owned(),
        row.charge_state.to_owned(),
        reason,
        message,
        row.midtrans_id.unwrap_or_default(),
        row.session_until,
    ]
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    let asked = &visit.asked;
    let wanted = asked.payments().and_then(|filter| Ok((filter, asked.page(Page::LIMIT_MAX)?)));
    let (filter, first) = match wanted {
        Ok(wanted) => wanted,
        Err(AskedError(why)) => return answer::fault(axum::http::StatusCode::BAD_REQUEST, &why),
    };
    csv::file("transactions.csv", &TITLES, move |after: Option<String>| {
        let (console, filter) = (console.clone(), filter.clone());
        let after = after.and_then(|key| key.parse().ok());
        let page = Page { after, ..first };
        async move {
            let listing = console.app.service.list_payments(&filter, page).await?;
            Ok::<_, StoreError>((listing.rows.into_iter().map(cells).collect(), listing.next))
        }
    })
}
