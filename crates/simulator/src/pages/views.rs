//! The simulator's own pages: how they look.

use gopay_core::time::Timestamp;
use gopay_pages::{Language, Width, hour_of_jakarta, rupiah, span};
use maud::{Markup, html};

use super::{layout, message_page, state_pill};
use crate::api::ApiReply;
use crate::clock::MovableClock;
use crate::engine::{Engine, SentView};
use crate::outbox::NotificationOutcome;
use crate::transaction::{Status, TransactionView};

/// Of the lists.
const PAGE: usize = 30;

/// A button that does something to a transaction: the action, what it is called, whether it takes
/// something away.
type Act = (&'static str, &'static str, bool);

const PENDING: [Act; 3] =
    [("pay", "Pay", false), ("deny", "Decline", true), ("expire", "Expire", true)];
const MORE_PENDING: [Act; 2] = [("cancel", "Cancel", true), ("fail", "Fail", true)];
const ENDED: [Act; 1] = [("settle-late", "Money comes late", false)];

fn form(id: &str, (action, text, takes): Act, list: bool) -> Markup {
    let address = format!("/simulator/transactions/{id}/{action}");
    html! {
        form.inline method="post" action=(address) {
            @if list { input type="hidden" name="list" value="1"; }
            button.button.small.plain.bad[takes] type="submit" { (text) }
        }
    }
}

fn alert(why: Option<&str>) -> Markup {
    html! { @if let Some(why) = why { p.alert.fail role="alert" { "Not done: " (why) "." } } }
}

/// How to stop a page that is shown again and again, and how to go on.
fn live_link(page: &str, live: bool) -> Markup {
    html! {
        p.note {
            @if live { "Shown again every 3 seconds. " a href=(format!("{page}?live=off")) { "Hold still" } }
            @else { "Held still. " a href=(page) { "Go on" } }
        }
    }
}

pub(super) fn transactions(
    engine: &Engine,
    clock: &dyn MovableClock,
    before: Option<u64>,
    live: bool,
) -> ApiReply {
    let found = engine.newest_transactions(before, PAGE);
    let totals = engine.totals();
    let content = html! {
        p {
            (totals.transactions) " in all. Paid " (rupiah(totals.charged))
            ", given back " (rupiah(totals.refunded)) ". "
            span.note { "Simulator's time: " (hour_of_jakarta(&clock.now().wib_seconds())) "." }
        }
        @if found.is_empty() { (first_steps(engine)) }
        @for one in &found {
            div.card.row {
                div { p {
                    strong.total { (rupiah(one.gross_amount)) } " " (state_pill(one.status))
                    @if one.refunded > 0 { span.note { " " (rupiah(one.refunded)) " given back" } }
                }
                p.note { "Order " (one.order_id) ", " (hour_of_jakarta(&one.transaction_time)) }
                }
                div {
                    a.button.small.plain href=(format!("/simulator/transactions/{}", one.transaction_id)) {
                        "Details" span.away { " of order " (one.order_id) }
                    }
                    @if one.status == Status::Pending {
                        a.button.small href=(one.checkout_url) { "Open wallet" span.away { " for order " (one.order_id) } }
                    }
                    @for act in list_acts(one.status) { (form(&one.transaction_id, *act, true)) }
                }
            }
        }
        @if found.len() == PAGE && let Some(last) = found.last() {
            p { a href=(format!("/simulator?before={}", last.number)) { "Older ones" } }
        }
        @if before.is_none() { (live_link("/simulator", live)) }
    };
    layout(200, "Transactions", Width::Desk, &content)
}

const fn list_acts(status: Status) -> &'static [Act] {
    match status {
        Status::Pending => &PENDING,
        Status::Expire | Status::Cancel | Status::Deny | Status::Failure => &ENDED,
        Status::Settlement
        | Status::PartialRefund
        | Status::Refund
        | Status::PartialChargeback
        | Status::Chargeback => &[],
    }
}

/// What to do when there is nothing yet.
fn first_steps(engine: &Engine) -> Markup {
    let (base, key) = (&engine.config().base_url, "SB-Mid-server-demo");
    let known = engine.config().merchants.iter().any(|merchant| merchant.server_key == key);
    let key = if known { key } else { "YOUR-SERVER-KEY" };
    let charge = format!(
        "curl -u {key}: {base}/v2/charge -H 'content-type: application/json' \\\n  -d '{{\"payment_type\":\"gopay\",\"transaction_details\":{{\"order_id\":\"FIRST-1\",\"gross_amount\":10000}}}}'"
    );
    html! {
        div.card {
            h2 { "No transaction yet" }
            p { "This stands for Midtrans and GoPay. Point a client of Midtrans at " code { (base) } ", or charge by hand:" }
            pre { (charge) }
            p.note { "docs/simulator.md has the set-up for each of Midtrans' clients." }
        }
    }
}

pub(super) fn transaction(
    engine: &Engine,
    now: Timestamp,
    id: &str,
    status: u16,
    why: Option<&str>,
) -> ApiReply {
    let Some(found) = engine.transaction(id) else {
        return message_page(
            404,
            "Unknown transaction",
            "The simulator holds no such transaction.",
        );
    };
    let title = format!("Order {}", found.order_id);
    let content = html! {
        (alert(why))
        div.left {
            div.card {
                p.amount { (rupiah(found.gross_amount)) }
                p { (state_pill(found.status)) }
                (facts(engine, now, &found))
            }
            (acts(engine, &found))
            (refunds(&found))
            (told(engine, &found))
        }
        div.right {
            div.card {
                h2 { "As a shopper" }
                p { a.button href=(found.checkout_url) { "Open the wallet" } }
                img.qr src=(format!("/v2/gopay/{}/qr-code", found.transaction_id)) alt="QR code that leads to the wallet" width="224" height="224";
                p.note { "A camera reads this code. It leads to the wallet as a payment by QRIS, which no real app can pay." }
            }
            (commands(engine, &found))
        }
    };
    layout(status, &title, Width::Desk, &content)
}

fn facts(engine: &Engine, now: Timestamp, found: &TransactionView) -> Markup {
    let left = engine.find_any(&found.transaction_id).map(|index| engine.time_left(index, now));
    let pending = found.status == Status::Pending;
    html! {
        dl {
            dt { "Order" } dd { code { (found.order_id) } }
            dt { "Midtrans' transaction_id" } dd { code { (found.transaction_id) } }
            dt { "Charged (GMT+7)" } dd { (found.transaction_time) }
            @if let Some(at) = &found.settlement_time { dt { "Paid (GMT+7)" } dd { (at) } }
            @if pending && let Some(left) = left {
                dt { "Time left" } dd { (span(left, Language::English)) ", until " (found.expiry_time) }
            }
            @if found.charged_back > 0 { dt { "Taken back after disputes" } dd { (rupiah(found.charged_back)) } }
            dt { "Notifications" } dd {
                (found.notifications.delivered) " taken, " (found.notifications.failed) " refused or unanswered, "
                (found.notifications.dropped) " dropped"
            }
        }
    }
}

fn acts(engine: &Engine, found: &TransactionView) -> Markup {
    let id = &found.transaction_id;
    let address = |action: &str| format!("/simulator/transactions/{id}/{action}");
    let left = found.gross_amount.saturating_sub(found.refunded).saturating_sub(found.charged_back);
    html! {
        div.card {
            h2 { "Do something" }
            @if found.status == Status::Pending {
                form method="post" action=(address("pay")) {
                    label for="wallet" { "Pay from" }
                    select id="wallet" name="wallet" {
                        @for wallet in &engine.config().wallets { option value=(wallet.name) { (wallet.label) } }
                    }
                    label for="via" { "By" }
                    select id="via" name="via" {
                        option value="gopay" { "the link into the app" }
                        option value="qris" { "the QR code" }
                    }
                    button.button type="submit" { "Pay" }
                }
                @for act in PENDING.iter().skip(1).chain(&MORE_PENDING) { (form(id, *act, false)) }
            } @else {
                @for act in list_acts(found.status) { (form(id, *act, false)) }
            }
            @if matches!(found.status, Status::Settlement | Status::PartialRefund) {
                form method="post" action=(address("refund")) {
                    label for="amount" { "Refund at Midtrans' dashboard, in rupiah" }
                    input id="amount" name="amount" inputmode="numeric" autocomplete="off" value=(left);
                    button.button.small.plain type="submit" { "Refund" }
                    button.button.small.plain.bad type="submit" formaction=(address("chargeback")) { "Chargeback" }
                }
            }
            form method="post" action=(address("notify")) {
                h3 { "Notification" }
                button.button.small.plain type="submit" { "Send now" }
                button.button.small.plain type="submit" name="repeat" value="1" { "Repeat the last" }
                button.button.small.plain.bad type="submit" name="forge" value="1" { "Send a forged one" }
            }
        }
    }
}

fn refunds(found: &TransactionView) -> Markup {
    html! {
        @if !found.refunds.is_empty() {
            div.card {
                h2 { "Refunds" }
                @for refund in &found.refunds {
                    div.pair {
                        strong { (rupiah(refund.amount)) }
                        span.note {
                            @if refund.source == crate::RefundSource::Api { " by the API at " } @else { " at the dashboard at " }
                            (hour_of_jakarta(&refund.created_at))
                            @if let Some(at) = &refund.bank_confirmed_at { ", confirmed by the bank at " (hour_of_jakarta(at)) }
                            @else { ", the bank has not confirmed it yet" }
                        }
                        code { (refund.refund_key) }
                    }
                }
            }
        }
    }
}

/// The notifications of one transaction.
fn told(engine: &Engine, found: &TransactionView) -> Markup {
    let all = engine.sent_notifications(None, 500);
    let mine: Vec<&SentView> = all
        .iter()
        .filter(|sent| sent.transaction_id.as_ref() == Some(&found.transaction_id))
        .take(PAGE)
        .collect();
    html! {
        @if !mine.is_empty() {
            div.card { h2 { "Notifications sent" } @for sent in mine { (one_sent(sent)) } }
        }
    }
}

fn one_sent(sent: &SentView) -> Markup {
    let said = |name: &str| sent.body.get(name).and_then(|value| value.as_str()).unwrap_or("?");
    let (class, outcome) = match sent.outcome {
        NotificationOutcome::Status(status) => {
            (if sent.outcome.delivered() { "good" } else { "fail" }, format!("HTTP {status}"))
        }
        NotificationOutcome::Failed => ("fail", "no answer".to_owned()),
    };
    html! {
        details {
            summary {
                (said("transaction_status")) ", attempt " (sent.attempt) " " span.pill.(class) { (outcome) }
            }
            p.note { (sent.at) " to " code { (sent.url) } }
            pre { (serde_json::to_string_pretty(&sent.body).unwrap_or_default()) }
        }
    }
}

/// What the buttons do, for a script.
fn commands(engine: &Engine, found: &TransactionView) -> Markup {
    let base = &engine.config().base_url;
    html! {
        div.card {
            h2 { "By one command" }
            pre { "gopay-adapter trigger --simulator " (base) " paid " (quoted(&found.order_id)) }
            p.note { "Or " code { "declined" } ", " code { "expired" } ", " code { "late" } ", " code { "refund" } ", " code { "chargeback" } "; a notification: " code { "notify" } ", " code { "repeat" } " the last one, " code { "forge" } " one." }
            pre { "curl -d '{}' " (base) "/simulator/v1/transactions/" (found.transaction_id) "/pay" }
            p.note { "The same without the program." }
        }
    }
}

/// A word as a POSIX shell takes it.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if !word.is_empty() && !word.starts_with('-') && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

pub(super) fn notifications(engine: &Engine, live: bool) -> ApiReply {
    let queue = engine.notification_queue();
    let sent = engine.sent_notifications(None, PAGE);
    let content = html! {
        p {
            (queue.queued) " wait, " (queue.in_flight) " are on their way, " (queue.totals.delivered) " were taken, "
            (queue.totals.failed) " were refused or not answered."
            @if let Some(at) = &queue.next_at { span.note { " The next is due at " (at) "." } }
        }
        @if sent.is_empty() { p { "None was sent yet." } }
        @for one in &sent {
            div.card {
                @match (&one.order_id, &one.transaction_id) {
                    (Some(order), Some(id)) => p { "Order " a href=(format!("/simulator/transactions/{id}")) { (order) } },
                    _ => p { "Of a transaction that is no longer held" },
                }
                (one_sent(one))
            }
        }
        (live_link("/simulator/notifications", live))
    };
    layout(200, "Notifications", Width::Desk, &content)
}

/// Faults to choose from; anything else is written by hand.
const FAULTS: [(&str, &str); 13] = [
    ("Charge: made, but the answer is lost", r#"{"on":"charge","action":"lost_after"}"#),
    ("Charge: lost on its way", r#"{"on":"charge","action":"lost_before"}"#),
    ("Charge: HTTP 503", r#"{"on":"charge","action":{"http":{"status":503}}}"#),
    (
        "Charge: refused by GoPay",
        r#"{"on":"charge","action":{"provider_error":{"code":900,"shape":"deny"}}}"#,
    ),
    ("Status: HTTP 503", r#"{"on":"status","action":{"http":{"status":503}}}"#),
    ("Status: one rupiah too many", r#"{"on":"status","action":"wrong_amount"}"#),
    ("Refund: made, but the answer is lost", r#"{"on":"refund","action":"lost_after"}"#),
    ("Refund: refused, 412", r#"{"on":"refund","action":{"refund_refused":{"status_code":412}}}"#),
    ("Notification: dropped", r#"{"on":"notification","action":"drop"}"#),
    ("Notification: sent twice", r#"{"on":"notification","action":{"duplicate":{"n":1}}}"#),
    ("Notification: 30 seconds late", r#"{"on":"notification","action":{"delay":{"ms":30000}}}"#),
    ("Notification: after the one that follows", r#"{"on":"notification","action":"reorder"}"#),
    ("Notification: forged", r#"{"on":"notification","action":"forge_signature"}"#),
];

pub(super) fn faults(engine: &Engine, status: u16, why: Option<&str>) -> ApiReply {
    let armed = engine.faults();
    let content = html! {
        (alert(why))
        div.left {
            form.card method="post" action="/simulator/faults" {
                h2 { "Script a fault" }
                label for="fault" { "What goes wrong" }
                select id="fault" name="fault" {
                    @for (text, fault) in &FAULTS { option value=(fault) { (text) } }
                }
                label for="times" { "How often: a number, or always" }
                input id="times" name="times" value="1" autocomplete="off";
                label for="order_id" { "Only for this order (may be empty)" }
                input id="order_id" name="order_id" autocomplete="off";
                details {
                    summary { "Write any other fault" }
                    label for="json" { "As docs/simulator.md describes, instead of the choice above" }
                    textarea id="json" name="json" rows="3" {}
                }
                button.button type="submit" { "Script it" }
            }
        }
        div.right {
            div.card {
                h2 { "Scripted" }
                @if armed.is_empty() { p { "None." } }
                @for one in armed {
                    pre { (serde_json::to_string(one).unwrap_or_default()) }
                }
                @if !armed.is_empty() {
                    form method="post" action="/simulator/faults/clear" {
                        button.button.small.plain.bad type="submit" { "Remove all" }
                    }
                }
            }
            div.card {
                h2 { "By one command" }
                @let [(_, first), ..] = &FAULTS;
                pre { "gopay-adapter trigger --simulator " (engine.config().base_url) " fault charge lost_after" }
                p.note { "docs/simulator.md says what each is called. " code { "no-faults" } " removes all." }
                pre { "curl -d '" (first) "' " (engine.config().base_url) "/simulator/v1/faults" }
                p.note { "The same without the program." }
            }
        }
    };
    layout(status, "Faults", Width::Desk, &content)
}

pub(super) fn clock(
    engine: &Engine,
    clock: &dyn MovableClock,
    status: u16,
    why: Option<&str>,
) -> ApiReply {
    const STEPS: [(&str, &str); 5] = [
        ("1m", "1 minute"),
        ("15m", "15 minutes"),
        ("1h", "1 hour"),
        ("1d", "1 day"),
        ("30d", "30 days"),
    ];
    let content = html! {
        (alert(why))
        div.card {
            p.total { (clock.now().wib_seconds()) " WIB" }
            p.note {
                @if clock.ahead().is_zero() { "The time of this machine." }
                @else { "Ahead of this machine by " (span(clock.ahead(), Language::English)) "." }
                " It moves forward only. Payments expire, refunds are confirmed and notifications go out as it passes them."
            }
            form method="post" action="/simulator/clock" {
                @for (value, text) in STEPS {
                    button.button.small.plain type="submit" name="advance" value=(value) { "Forward by " (text) }
                }
            }
            form method="post" action="/simulator/clock" {
                label for="advance" { "Or by a span such as 2h30m" }
                input id="advance" name="advance" autocomplete="off";
                button.button type="submit" { "Move the clock" }
            }
            pre { "gopay-adapter trigger --simulator " (engine.config().base_url) " clock 1h" }
            pre { "curl -d '{\"advance\":\"1h\"}' " (engine.config().base_url) "/simulator/v1/clock" }
            p.note { "The same without the program." }
        }
    };
    layout(status, "Clock", Width::Desk, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Fault;

    #[test]
    fn every_fault_of_the_list_can_be_scripted() {
        for (text, fault) in FAULTS {
            let fault: Fault = serde_json::from_str(fault).unwrap();
            assert_eq!(fault.check(), Ok(()), "{text}");
        }
    }

    #[test]
    fn orders_go_into_a_shell_as_they_are() {
        for (order, word) in [
            ("ORDER-1.2_3~", "ORDER-1.2_3~"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("$(rm)", "'$(rm)'"),
            ("-x", "'-x'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(order), word);
        }
    }
}
