//! What needs a person, and what a person decides.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use gopay_core::doubt::Verdict;
use gopay_core::ids::TxId;
use gopay_http::asked::Asked;
use gopay_service::desk::{ActError, check_texts};
use gopay_service::{AttentionList, Decision, Item, LIST_MAX, Role, StoreError};
use maud::{Markup, html};

use crate::form::Form;
use crate::frame::Part;
use crate::visit::{Failed, Sent, Visit};
use crate::{Console, answer, csv, frame, show};

const PATH: &str = "/console/attention";

/// Cards of a page.
const ROWS: usize = 20;

/// The items that are asked for, in the order that is asked for.
fn wanted<'a>(list: &'a AttentionList, asked: &Asked) -> Vec<&'a Item> {
    let kind = asked.get("kind");
    let fits = |item: &&Item| kind.is_none_or(|kind| item.kind == kind);
    let mut items: Vec<&Item> = list.items.iter().filter(fits).collect();
    match asked.get("order") {
        Some("newest") => items.reverse(),
        Some("risk") => items.sort_by_key(|item| std::cmp::Reverse(item.at_risk_sen)),
        _ => {}
    }
    items
}

/// The items after a place, and the place after those that fit.
fn part<'a>(
    list: &'a AttentionList,
    visit: &Visit,
) -> (impl Iterator<Item = &'a Item>, Option<String>) {
    let mut items = wanted(list, &visit.asked);
    // The key of an item is its TXID: it stays, whatever is decided meanwhile.
    let after = visit.asked.get("after").unwrap_or_default();
    let from = items.iter().position(|item| item.txid.to_string() == after);
    let items = items.split_off(from.map_or(0, |place| place.saturating_add(1)));
    let next = items.get(ROWS).and_then(|_| items.get(ROWS.saturating_sub(1)));
    let next = next.map(|item| item.txid.to_string());
    (items.into_iter().take(ROWS), next)
}

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let list = match console.app.service.attention().await {
        Ok(list) => list,
        Err(error) => return answer::unavailable(&error),
    };
    let (items, next) = part(&list, &visit);
    let sums = list.sums;
    let all = sums.payments.saturating_add(sums.orders);
    let lost = console.app.service.lost();
    let content = html! {
        @if !lost.is_empty() { (missing(&lost, &visit)) }
        p {
            (show::count(sums.payments, "payment", "payments")) " with money that does not fit, "
            (show::count(sums.orders, "order", "orders")) " that the store does not know; " b { (show::rupiah(sums.at_risk_sen)) } " at risk."
            @if all > u64::try_from(LIST_MAX).unwrap_or(u64::MAX) { " The first " (LIST_MAX) " of each are listed." }
        }
        (show::filters(&visit.asked, PATH, &["kind", "order"], &html! {
            (show::select(&visit.asked, "kind", "What", &["", "payment", "order"]))
            (show::select(&visit.asked, "order", "Order", &["oldest", "newest", "risk"]))
        }))
        @for item in items { (card(item, &visit)) }
        @if all == 0 { p.alert.good { "Nothing needs a person." } }
        (show::paging(&visit.asked, PATH, "after", next.as_deref(), Some("/console/attention.csv")))
        p.note {
            "Worth a look too: "
            a href="/console/refunds?state=unresolved" { "refunds whose outcome is open" } ", "
            a href="/console/deliveries?state=given_up" { "notifications that were given up" } ", "
            a href="/console/reconciliation?which=undecided" { "breaks that nobody has decided about" } ", "
            a href="/console/adjustments?state=asked" { "corrections that wait for approval" } "."
        }
    };
    frame::page(&console, &visit, Part::Attention, &html! { "Needs a person" }, &content).await
}

/// The form that acknowledges what is missing.
const LOST: &str = "lost";

/// Payments that were answered and are missing from the store.
fn missing(lost: &[TxId], visit: &Visit) -> Markup {
    /// So many are named.
    const NAMED: usize = 20;
    let form = Form::of(visit, LOST);
    html! {
        section.card #lost {
            h2 { "Missing from the store " span.pill.fail { (lost.len()) } }
            p {
                "This process has answered them, and the store does not know them: it went back, such as after a restore. "
                "Put the right store in place, or ask Midtrans for them with " code { "gopay-adapter recover" }
                "; see OPERATIONS, \"After a restore\". Then acknowledge it: no call is taken until then."
            }
            p { @for tx_id in lost.iter().take(NAMED) { code { (tx_id) } " " } @if lost.len() > NAMED { "..." } }
            @if visit.who.operate {
                details open[form.is_open()] {
                    summary { "Go on with the store as it is" }
                    form method="post" action="/console/lost" {
                        (form.key())
                        (form.reason())
                        button.button type="submit" { "Acknowledge" }
                    }
                }
            } @else {
                p.note { "To acknowledge needs the role operate." }
            }
        }
    }
}

pub(crate) async fn acknowledge(State(console): State<Console>, sent: Sent) -> Response {
    let work = async {
        check_texts(&sent.text("reason"), &sent.by())?;
        match console.app.service.acknowledge_lost() {
            0 => Err(ActError::NothingLost.into()),
            _ => Ok(format!("{PATH}?done=lost")),
        }
    };
    let again = |visit| page(State(console.clone()), visit);
    console.act((&sent, LOST), Role::Operate, work, again).await
}

fn card(item: &Item, visit: &Visit) -> Markup {
    let id = item.txid.to_string();
    html! {
        section.card {
            h2 {
                @if item.kind == "payment" { (show::transaction(&id)) } @else { code { (id) } }
                " " span.pill.fail { (item.what.replace('_', " ")) }
                @if item.standing != "open" { " " (show::state(item.standing)) }
            }
            dl.facts {
                div { dt { "At risk" } dd { b { (show::rupiah(item.at_risk_sen)) } } }
                div { dt { "Expected" } dd { (item.expected) } }
                div { dt { "Midtrans says" } dd { (item.found) " (" (item.midtrans_status) ")" } }
                div { dt { "For" } dd { (show::span(item.age_seconds)) ", since " (show::time(&item.since)) } }
                div { dt { "State" } dd { (item.state.unwrap_or("not in this store")) } }
                div { dt { "Channel" } dd { (item.channel.unwrap_or("none")) } }
                @if let Some(account) = &item.midtrans_account {
                    div { dt { "Midtrans account" } dd { code { (account) } } }
                }
                div { dt { "Contract" } dd { (item.contract.as_deref().unwrap_or("unknown")) } }
                div { dt { "merchanttxid" } dd { (item.merchanttxid.as_deref().unwrap_or("none")) } }
                div { dt { "Midtrans' id" } dd { code { (item.midtrans_transaction_id.as_deref().unwrap_or("unknown")) } } }
            }
            @if item.standing == "returning" {
                p { "The money goes back to the shopper; Midtrans has not confirmed that yet." }
            } @else if visit.who.finance {
                (decision(item, visit))
            } @else {
                p.note { "To decide needs the role finance." }
            }
        }
    }
}

fn decision(item: &Item, visit: &Visit) -> Markup {
    let id = item.txid.to_string();
    let form = Form::of(visit, &id);
    let choices = [
        ("paid", "Paid", "it is this payment's money: the PSP is told SUCCEEDED"),
        ("failed", "Failed", "it is not: the PSP is told FAILED, and the money stays where it is"),
        ("refund", "Refund", "all of it goes back to the shopper, then the PSP is told FAILED"),
    ];
    html! {
        details open[form.is_open()] {
            summary { "Decide" }
            form method="post" action={ (PATH) "/" (id) } {
                (form.key())
                fieldset {
                    legend { "What is decided" }
                    @for (word, name, means) in choices {
                        @if item.kind == "payment" || word != "refund" {
                            (form.choice("verdict", word, name, means))
                        }
                    }
                }
                (form.reason())
                button.button type="submit" { "Store the decision" }
            }
        }
    }
}

pub(crate) async fn decide(
    State(console): State<Console>,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let work = async {
        let tx_id = id.parse::<TxId>().map_err(|_| Failed::new(404, "no TXID"))?;
        let verdict = match sent.text("verdict").as_str() {
            "paid" => Verdict::Paid,
            "failed" => Verdict::Failed,
            "refund" => Verdict::Refund,
            _ => return Err(Failed::new(400, "verdict: must be paid, failed or refund")),
        };
        let decision = Decision { verdict, reason: sent.text("reason"), by: sent.by() };
        console.app.service.decide(tx_id, &decision).await?;
        Ok(format!("{PATH}?done=decided"))
    };
    let again = |visit| page(State(console.clone()), visit);
    console.act((&sent, &id), Role::Finance, work, again).await
}

const TITLES: [&str; 13] = [
    "since",
    "kind",
    "txid",
    "channel",
    "contract",
    "merchanttxid",
    "state",
    "what",
    "expected",
    "found",
    "midtrans_status",
    "at_risk_sen",
    "standing",
];

fn cells(item: &Item) -> Vec<String> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    vec![
        item.since.clone(),
        item.kind.to_owned(),
        item.txid.to_string(),
        text(item.channel),
        text(item.contract.as_deref()),
        text(item.merchanttxid.as_deref()),
        text(item.state),
        item.what.to_owned(),
        item.expected.clone(),
        item.found.clone(),
        item.midtrans_status.clone(),
        item.at_risk_sen.to_string(),
        item.standing.to_owned(),
    ]
}

pub(crate) async fn export(State(console): State<Console>, visit: Visit) -> Response {
    match console.app.service.attention().await {
        Ok(list) => {
            let rows: Vec<Vec<String>> =
                wanted(&list, &visit.asked).into_iter().map(cells).collect();
            csv::file("needs-a-person.csv", &TITLES, move |_: Option<()>| {
                let rows = rows.clone();
                async move { Ok::<_, StoreError>((rows, None)) }
            })
        }
        Err(error) => answer::fault(StatusCode::SERVICE_UNAVAILABLE, &gopay_service::chain(&error)),
    }
}
