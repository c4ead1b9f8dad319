//! One transaction: what is known of it, its timeline, and what can be done about it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use gopay_core::ids::{RefundId, TxId};
use gopay_http::asked;
use gopay_service::desk::{Deed, OnDesk, RefundOrder};
use gopay_service::{Owed, Refunded, Role, Transaction};
use maud::{Markup, html};

use crate::form::{Field, Form};
use crate::frame::Part;
use crate::visit::{Failed, Sent, Visit};
use crate::{Console, answer, frame, show, story, transactions};

pub(crate) async fn page(
    State(console): State<Console>,
    Path(id): Path<String>,
    visit: Visit,
) -> Response {
    let Ok(tx_id) = id.parse::<TxId>() else { return unknown(&id) };
    let desk = match console.app.service.on_desk(tx_id).await {
        Ok(Some(desk)) => desk,
        Ok(None) => return unknown(&id),
        Err(error) => return answer::unavailable(&error),
    };
    let story = &desk.story;
    let title = html! {
        "Transaction " (story.transaction.txid) (show::state(story.transaction.state))
    };
    let content = html! {
        (transactions::search(&visit.asked))
        (doubt(&story.transaction))
        div.card { (facts(&story.transaction)) }
        div.columns {
            div.side { (acts(&desk, &visit)) }
            div.main {
                (refunds(&story.refunds))
                (deliveries(&story.deliveries))
                h2 { "Timeline" }
                div.card { (story::timeline(story)) }
                h2 { "Messages" }
                div.card { (story::messages(story)) }
            }
        }
    };
    frame::page(&console, &visit, Part::Transactions, &title, &content).await
}

fn unknown(id: &str) -> Response {
    answer::fault(StatusCode::NOT_FOUND, &format!("the store has no transaction {id}"))
}

fn doubt(transaction: &Transaction) -> Markup {
    html! {
        @if let Some(doubt) = &transaction.doubt {
            p.alert.(if doubt.is_open() { "fail" } else { "off" }) {
                "Money that does not fit: " (doubt.finding.what.as_str().replace('_', " "))
                "; expected " (doubt.finding.expected) ", Midtrans says " (doubt.finding.found)
                " (" (doubt.finding.status) "). At risk " (show::rupiah(doubt.at_risk.get())) ". "
                @if doubt.is_open() { a href="/console/attention" { "Needs a person" } }
                @else { "It is " (doubt.standing.as_str()) "." }
            }
        }
    }
}

fn facts(transaction: &Transaction) -> Markup {
    let none = || html! { "none" };
    html! {
        dl.facts {
            div { dt { "Amount" } dd { b { (transaction.amount_sen.map_or_else(|| "none".to_owned(), show::rupiah)) } } }
            div { dt { "merchanttxid" } dd { code { (transaction.merchanttxid.as_deref().unwrap_or("none")) } } }
            div { dt { "PSP" } dd { (transaction.psp) } }
            div { dt { "Contract" } dd { (transaction.contract) } }
            div { dt { "Channel" } dd { (transaction.channel.unwrap_or("none")) } }
            @if let Some(account) = &transaction.midtrans_account {
                div { dt { "Midtrans account" } dd { code { (account) } } }
            }
            div { dt { "At Midtrans" } dd { (transaction.charge_state) } }
            div { dt { "Midtrans' id" } dd { code { (transaction.midtrans_id.as_deref().unwrap_or("none")) } } }
            div { dt { "Called, UTC" } dd { (show::time(&transaction.created_at)) } }
            div { dt { "Session until, UTC" } dd { (show::time(&transaction.session_until)) } }
            div { dt { "Next look, UTC" } dd { (transaction.next_check_at.as_deref().map_or_else(none, show::time)) } }
            @if let Some(why) = &transaction.failure {
                div { dt { "Failed" } dd { (why.reason) ": " (why.message) } }
            }
        }
    }
}

fn refunds(refunds: &[Refunded]) -> Markup {
    let titles = [
        ("Called, UTC", false),
        ("REFUNDID", false),
        ("Amount", true),
        ("State", false),
        ("Why", false),
    ];
    let rows = html! {
        @for refund in refunds {
            tr {
                td.nowrap data-label="Called, UTC" { (show::time(&refund.created_at)) }
                td data-label="REFUNDID" { code { (refund.refundid) } }
                td.num data-label="Amount" { (refund.amount_sen.map_or_else(|| "none".to_owned(), show::rupiah)) }
                td data-label="State" { (show::state(refund.state)) }
                td data-label="Why" {
                    @if let Some(how) = refund.made_elsewhere { "made at Midtrans: " (how) }
                    @if let Some(why) = &refund.failure { (why.reason) ": " (why.message) }
                }
            }
        }
    };
    html! { @if !refunds.is_empty() { h2 { "Refunds" } (show::table("Refunds", &titles, &rows)) } }
}

fn deliveries(deliveries: &[Owed]) -> Markup {
    let titles = [
        ("Final state at, UTC", false),
        ("State", false),
        ("Tries", true),
        ("Next try, UTC", false),
        ("Receiver", false),
    ];
    let rows = html! {
        @for owed in deliveries {
            tr {
                td.nowrap data-label="Final state at, UTC" { (show::time(&owed.final_at)) }
                td data-label="State" { (show::state(owed.state)) }
                td.num data-label="Tries" { (owed.attempts) }
                td.nowrap data-label="Next try, UTC" {
                    @if owed.held_back { "once the one before is over" }
                    @else if let Some(at) = &owed.next_attempt_at { (show::time(at)) }
                    @else { "none" }
                }
                td data-label="Receiver" { code.long { (owed.receiver) } }
            }
        }
    };
    html! {
        @if !deliveries.is_empty() {
            h2 { "Notifications to the PSP" }
            (show::table("Notifications to the PSP", &titles, &rows))
        }
    }
}

/// The forms of what can be done now, by who is here.
fn acts(desk: &OnDesk, visit: &Visit) -> Markup {
    let transaction = &desk.story.transaction;
    let (paid, pending) = (transaction.state == "succeeded", transaction.state == "pending");
    let who = &visit.who;
    html! {
        h2 { "What can be done" }
        div.acts {
            @if paid { (refund_form(desk, visit)) }
            @if who.operate {
                @if pending {
                    (act_form(transaction, visit, "cancel", "Cancel", "GoPay is asked to cancel; then the PSP is told FAILED, CANCELED."))
                }
                @if transaction.state != "initialized" {
                    (act_form(transaction, visit, "ask", "Ask GoPay now", "What GoPay says counts, as if a worker had asked."))
                }
                @if !desk.story.deliveries.is_empty() {
                    (act_form(transaction, visit, "redeliver", "Send the notification again", "The last one, whatever became of it."))
                }
                @if !pending && transaction.state != "initialized" && desk.story.erased.is_none() {
                    (act_form(transaction, visit, "erase", "Erase personal data", "Names, phones, mails and addresses are gone for good; ids, amounts, states and times stay. Not before the money can no longer move."))
                }
            }
        }
        @if !who.operate { p.note { "To cancel, ask, send again or erase needs the role operate." } }
    }
}

fn act_form(
    transaction: &Transaction,
    visit: &Visit,
    act: &str,
    title: &str,
    says: &str,
) -> Markup {
    let form = Form::of(visit, act);
    html! {
        details open[form.is_open()] {
            summary { (title) }
            form method="post" action={ "/console/transactions/" (transaction.txid) "/" (act) } {
                p.note { (says) }
                (form.key())
                (form.reason())
                button.button type="submit" { (title) }
            }
        }
    }
}

/// The refund that a form orders: the one that it ordered before, unless that id is why it came back.
fn refund_id(form: Form<'_>, fresh: RefundId) -> String {
    let before = form.typed("refundid").filter(|_| !form.is_wrong("refundid"));
    before.map_or_else(|| fresh.to_string(), str::to_owned)
}

fn refund_form(desk: &OnDesk, visit: &Visit) -> Markup {
    let (room, transaction) = (&desk.refund, &desk.story.transaction);
    let form = Form::of(visit, "refund");
    let amount = Field {
        name: "amount",
        label: "Amount, rupiah",
        keyboard: Some("numeric"),
        usual: Some((room.left_sen / 100).to_string()),
        ..Field::EMPTY
    };
    let reference = Field {
        name: "merchantrefundid",
        label: "merchantrefundid, if the PSP is to find it by one",
        optional: true,
        chars_max: Some(40),
        ..Field::EMPTY
    };
    html! {
        details open[form.is_open()] {
            summary { "Refund: " (show::rupiah(room.left_sen)) " left" }
            @if let Some(why) = &room.closed {
                p { (why) }
            } @else if !visit.who.finance {
                p.note { "To refund needs the role finance." }
            } @else {
                form method="post" action={ "/console/transactions/" (transaction.txid) "/refund" } {
                    @if let Some(until) = &room.until { p.note { "Until " (show::time(until)) " UTC." } }
                    (form.key())
                    input type="hidden" name="refundid" value=(refund_id(form, room.refundid));
                    (form.text(&amount))
                    (form.text(&reference))
                    (form.reason())
                    button.button type="submit" { "Refund" }
                    p.note { "It goes the way of a REFUND of the PSP. Sent twice, this form refunds once." }
                }
            }
        }
    }
}

fn deed(sent: &Sent) -> Deed {
    Deed { by: sent.by(), reason: sent.text("reason") }
}

/// Does something about the transaction that a path names, and goes back to it.
async fn act<T, E: Into<Failed>, Done>(
    console: &Console,
    (id, sent): (&str, &Sent),
    role: Role,
    what: &str,
    work: impl FnOnce(TxId) -> Done,
) -> Response
where
    Done: Future<Output = Result<T, E>>,
{
    let work = async {
        let tx_id = id.parse::<TxId>().map_err(|_| Failed::new(404, "no TXID"))?;
        work(tx_id).await.map_err(Into::into)?;
        Ok(format!("/console/transactions/{tx_id}?done={what}"))
    };
    let again = |visit| page(State(console.clone()), Path(id.to_owned()), visit);
    console.act((sent, what), role, work, again).await
}

/// What the form of a refund orders.
fn order(sent: &Sent) -> Result<RefundOrder, Failed> {
    let wrong = "amount: must be whole rupiah, such as 125000";
    let amount = asked::amount(&sent.text("amount")).ok_or_else(|| Failed::new(400, wrong))?;
    let refundid = sent.text("refundid").parse::<RefundId>();
    let refundid = refundid.map_err(|_| Failed::new(400, "refundid: open the page again"))?;
    Ok(RefundOrder {
        amount_sen: amount.get(),
        refundid: Some(refundid),
        merchantrefundid: sent.form.get("merchantrefundid").map(str::to_owned),
        reason: sent.text("reason"),
        by: sent.by(),
    })
}

pub(crate) async fn refund(
    State(console): State<Console>,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let work = async |tx_id| {
        let done = console.app.service.refund_by_operator(tx_id, order(&sent)?).await;
        done.map_err(Failed::from)
    };
    act(&console, (&id, &sent), Role::Finance, "refund", work).await
}

pub(crate) async fn cancel(
    State(console): State<Console>,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let work = |tx_id| console.app.service.cancel_by_operator(tx_id, deed(&sent));
    act(&console, (&id, &sent), Role::Operate, "cancel", work).await
}

pub(crate) async fn ask(
    State(console): State<Console>,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let work = |tx_id| console.app.service.ask_by_operator(tx_id, deed(&sent));
    act(&console, (&id, &sent), Role::Operate, "ask", work).await
}

pub(crate) async fn redeliver(
    State(console): State<Console>,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let deed = deed(&sent);
    let work = |tx_id| console.app.service.redeliver_by_operator(tx_id, &deed);
    act(&console, (&id, &sent), Role::Operate, "redeliver", work).await
}

pub(crate) async fn erase(
    State(console): State<Console>,
    Path(id): Path<String>,
    sent: Sent,
) -> Response {
    let Deed { by, reason } = deed(&sent);
    let work = |tx_id| console.app.service.erase(tx_id, by, reason);
    act(&console, (&id, &sent), Role::Operate, "erase", work).await
}
