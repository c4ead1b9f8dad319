//! What a browser is shown: the wallet, and the simulator's own pages.

mod desk;
mod views;
mod wallet;

use std::collections::HashMap;

use gopay_pages::{Frame, Language, Width};
use maud::{Markup, html};

use crate::api::{ApiReply, HTML};
use crate::transaction::Status;

pub(crate) use desk::{PREFIX, handle};

/// Of the addresses of style sheet and icon, what comes before the suffix.
pub(crate) const ASSETS: &str = "/simulator/pages";

/// The simulator's own pages.
const LINKS: [(&str, &str); 4] = [
    ("/simulator", "Transactions"),
    ("/simulator/notifications", "Notifications"),
    ("/simulator/faults", "Faults"),
    ("/simulator/clock", "Clock"),
];

fn layout(status: u16, title: &str, width: Width, content: &Markup) -> ApiReply {
    // A shopper's wallet stands alone.
    let links: &[(&str, &str)] = if width == Width::Desk { &LINKS } else { &[] };
    let frame = Frame {
        language: Language::English,
        title,
        name: "GoPay simulator",
        assets: ASSETS,
        links,
        width,
    };
    ApiReply::new(status, HTML, frame.page(content))
}

fn message_page(status: u16, title: &str, text: &str) -> ApiReply {
    let content = html! {
        p { (text) }
        p { a href="/simulator" { "All transactions of the simulator" } }
    };
    layout(status, title, Width::Phone, &content)
}

/// A status in its colour.
fn state_pill(status: Status) -> Markup {
    let class = match status {
        Status::Pending => "wait",
        Status::Settlement => "good",
        Status::Expire | Status::Cancel | Status::Deny | Status::Failure => "fail",
        Status::PartialRefund | Status::Refund | Status::PartialChargeback | Status::Chargeback => {
            "off"
        }
    };
    html! { span.pill.(class) { (status.word()) } }
}

fn fields(form: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(form).into_owned().collect()
}
