//! What stands around every page: header, navigation, and what was just done.

use axum::http::StatusCode;
use axum::response::Response;
use gopay_pages::mark;
use maud::{Markup, html};

use crate::Console;
use crate::answer::{answer, whole};
use crate::door::Admitted;
use crate::visit::Visit;

/// A part of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Overview,
    Transactions,
    Refunds,
    Deliveries,
    Attention,
    Parties,
    Settlements,
    Reconciliation,
    Audit,
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Overview,
        Self::Transactions,
        Self::Refunds,
        Self::Deliveries,
        Self::Attention,
        Self::Parties,
        Self::Settlements,
        Self::Reconciliation,
        Self::Audit,
    ];

    const fn address(self) -> &'static str {
        match self {
            Self::Overview => "/console",
            Self::Transactions => "/console/transactions",
            Self::Refunds => "/console/refunds",
            Self::Deliveries => "/console/deliveries",
            Self::Attention => "/console/attention",
            Self::Parties => "/console/parties",
            Self::Settlements => "/console/settlements",
            Self::Reconciliation => "/console/reconciliation",
            Self::Audit => "/console/audit",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Transactions => "Transactions",
            Self::Refunds => "Refunds",
            Self::Deliveries => "Notifications",
            Self::Attention => "Needs a person",
            Self::Parties => "PSPs",
            Self::Settlements => "Settlements",
            Self::Reconciliation => "Reconciliation",
            Self::Audit => "Audit",
        }
    }
}

/// How much needs a person, beside the navigation.
async fn waiting(console: &Console) -> u64 {
    let sums = console.app.service.attention_sums().await;
    sums.map_or(0, |sums| sums.payments.saturating_add(sums.orders))
}

/// A page with the navigation around it.
pub(crate) async fn page(
    console: &Console,
    visit: &Visit,
    part: Part,
    title: &Markup,
    content: &Markup,
) -> Response {
    let needed = waiting(console).await;
    let heading = title.0.clone();
    let body = html! {
        body.desk.console {
            a.skip href="#main" { "Skip to the content" }
            (header(&visit.who, Some(part), needed))
            main.in #main tabindex="-1" { h1 { (title) } (lost(console)) (said(visit)) (content) }
        }
    };
    let script = html! { script src="/console.js" defer {} };
    let head = if part == Part::Overview {
        script
    } else {
        html! {}
    };
    let title = format!("{} - gopay-adapter", plain(&heading));
    let status = visit.returned.as_ref().map_or(StatusCode::OK, |returned| returned.status);
    answer(status, whole(&title, &head, &body))
}

/// The store went back: that is said on every page, as no call is taken until somebody has looked.
fn lost(console: &Console) -> Markup {
    let count = console.app.service.lost().len();
    html! {
        @if count > 0 {
            p.alert.fail role="alert" {
                (count) " payments that were answered are missing from the store, and no call is taken. "
                a href="/console/attention#lost" { "What to do" }
            }
        }
    }
}

/// The text of a heading, without its marks.
fn plain(heading: &str) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for char in heading.chars() {
        match char {
            '<' => inside = true,
            '>' => inside = false,
            _ if !inside => text.push(char),
            _ => {}
        }
    }
    text.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"")
}

fn header(who: &Admitted, part: Option<Part>, needed: u64) -> Markup {
    html! {
        header { div.in {
            span.name { (mark()) "gopay-adapter" }
            nav aria-label="Parts of the console" {
                @for one in Part::ALL {
                    a href=(one.address()) aria-current=[(part == Some(one)).then_some("page")] {
                        (one.name())
                        @if one == Part::Attention && needed > 0 { span.pill.fail.count { (needed) } }
                    }
                }
            }
            @if let Some(name) = &who.name {
                div.who {
                    span { (name) }
                    form method="post" action="/console/logout" {
                        input type="hidden" name="key" value=(who.form_key);
                        button.button.plain.small type="submit" { "Log out" }
                    }
                }
            }
        } }
    }
}

/// What was just done, as a word in the address says, or why a form was not.
fn said(visit: &Visit) -> Markup {
    if let Some(returned) = &visit.returned {
        return html! { p.alert.fail #not-done role="alert" { b { "Not done. " } (returned.why) } };
    }
    let text = match visit.asked.get("done") {
        Some("refund") => "The refund was taken on; its state is below.",
        Some("cancel") => "GoPay was asked to cancel; the state is below.",
        Some("ask") => "GoPay was asked; what it said is the last in the timeline.",
        Some("redeliver") => "The notification is due; a worker sends it now.",
        Some("redeliver-all") => "They are due; workers send them now.",
        Some("erase") => "The personal data is erased.",
        Some("asked") => "It is recorded; another person has to approve it.",
        Some("decided") => "Your decision is stored.",
        Some("lost") => "Acknowledged: calls are taken again.",
        Some("approved") => "Your approval is stored.",
        _ => return html! {},
    };
    html! { p.alert.good role="status" { (text) } }
}
