//! The start page: what goes on.

use axum::extract::State;
use axum::response::Response;
use gopay_service::desk::{Figures, LastHour, Latency, Queue};
use maud::{Markup, html};

use crate::frame::Part;
use crate::visit::Visit;
use crate::{Console, answer, chart, frame, show, transactions};

pub(crate) async fn page(State(console): State<Console>, visit: Visit) -> Response {
    let content = match console.app.service.figures().await {
        Ok(figures) => html! {
            (transactions::search(&visit.asked))
            div #live { (shown(&figures)) }
        },
        Err(error) => return answer::unavailable(&error),
    };
    frame::page(&console, &visit, Part::Overview, &html! { "Overview" }, &content).await
}

fn shown(figures: &Figures) -> Markup {
    let hour = &figures.last_hour;
    html! {
        p.note {
            "The last hour of this process, and what waits in the whole store, at " (show::time(&figures.at)) " UTC."
        }
        (tiles(figures))
        div.charts { (chart::volume(&hour.minutes)) (chart::latency(&hour.minutes)) }
        h2 { "Waiting" }
        (queues(&figures.waiting))
        @for barred in &figures.midtrans_refuses {
            p.alert.fail {
                "Midtrans refuses " code { (barred.call) } " in account " code { (barred.account) } " on " code { (barred.channel) } " with " (barred.code)
                ": see OPERATIONS, MidtransRefusesUs."
            }
        }
    }
}

fn per_mille(rate: Option<u64>) -> String {
    rate.map_or_else(|| "none ended".to_owned(), |rate| format!("{}.{} %", rate / 10, rate % 10))
}

fn within(ms: Option<u64>) -> String {
    ms.map_or_else(|| "none".to_owned(), |ms| format!("{ms} ms"))
}

fn latency(title: &str, latency: &Latency) -> Markup {
    html! {
        div.tile { dt { (title) } dd { (within(latency.p50_ms)) }
            dd { "95 % within " (within(latency.p95_ms)) ", " (show::count(latency.count, "call", "calls")) } }
    }
}

fn tiles(figures: &Figures) -> Markup {
    let LastHour { opened, refused, succeeded, succeeded_sen, failed, .. } = &figures.last_hour;
    let attention = &figures.attention;
    let needed = attention.payments.saturating_add(attention.orders);
    html! {
        dl.tiles {
            div.tile { dt { "Paid" } dd { (show::rupiah(*succeeded_sen)) }
                dd { (show::count(*succeeded, "payment", "payments")) "; " (opened) " opened, "
                    (show::count(*refused, "call", "calls")) " refused" } }
            div.tile { dt { "Success rate" } dd { (per_mille(figures.last_hour.success_per_mille)) }
                dd { (succeeded) " paid, " (failed) " unpaid" } }
            (latency("Our time, median", &figures.last_hour.ours))
            (latency("GoPay's time, median", &figures.last_hour.gopay))
            div.tile.warn[needed > 0] { dt { "Money at risk" } dd { (show::rupiah(attention.at_risk_sen)) }
                dd { a href="/console/attention" { (show::count(needed, "needs", "need")) " a person" } } }
            div.tile.warn[figures.receivers_failing > 0] { dt { "Receivers that fail" } dd { (figures.receivers_failing) }
                dd { a href="/console/parties" { "PSPs and receivers" } } }
        }
    }
}

fn queues(queues: &[Queue]) -> Markup {
    let titles = [
        ("What", false),
        ("<\u{a0}1\u{a0}min", true),
        ("<\u{a0}5\u{a0}min", true),
        ("<\u{a0}1\u{a0}h", true),
        ("more", true),
        ("oldest", true),
    ];
    let rows = html! {
        @for queue in queues {
            @let (name, place) = named(queue.kind);
            tr {
                td { a href=(place) { (name) } }
                @for count in queue.by_age { td.num { (count) } }
                td.num { (queue.oldest_seconds.map_or_else(|| "none".to_owned(), show::span)) }
            }
        }
    };
    show::compact("What waits, by age", &titles, &rows)
}

fn named(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "initialized" => ("Charges being opened", "/console/transactions?state=initialized"),
        "pending" => ("Payments that shoppers can pay", "/console/transactions?state=pending"),
        "refund" => ("Refunds whose outcome is open", "/console/refunds?state=unresolved"),
        _ => ("Notifications owed to PSPs", "/console/deliveries?state=waiting"),
    }
}
