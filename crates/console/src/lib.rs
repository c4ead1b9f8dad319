//! The operator console: pages on the admin listener, below `/console`. It holds no rules: a page asks
//! the service, an act is one of the service's, and what may be done by whom is the admin listener's
//! own guard. Everything works without scripts; the start page has one that looks again.
//!
//! Reading order: [`router`], `door` (sessions), `answer`, `visit` (who is in, what forms send), `frame`
//! (what stands around pages), `act` and `show` (values as people read them), then a file a page.

mod act;
mod adjustments;
mod answer;
mod attention;
mod audit;
mod books;
mod breaks;
mod chart;
mod csv;
mod deliveries;
mod door;
mod form;
mod frame;
mod login;
mod parties;
mod refunds;
mod runs;
mod show;
mod start;
mod story;
mod transaction;
mod transactions;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use gopay_http::App;
use gopay_pages::Asset;

use crate::door::Door;
use crate::visit::to_page;

/// What all pages share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Console(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) app: App,
    pub(crate) door: Door,
    /// The listener speaks TLS: the cookie never goes over anything else.
    pub(crate) tls: bool,
}

impl std::ops::Deref for Console {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// The routes of the console, for the admin listener. `tls`: that listener speaks TLS.
pub fn router(app: App, tls: bool) -> Router {
    let console = Console(Arc::new(Inner { app, door: Door::new(), tls }));
    Router::new()
        .route("/console", get(start::page))
        .route("/console/", get(start::page))
        .route("/console/login", get(login::page).post(login::enter))
        .route("/console/logout", post(login::leave).get(to_page))
        .route("/console/transactions", get(transactions::page))
        .route("/console/transactions.csv", get(transactions::export))
        .route("/console/transactions/{txid}", get(transaction::page))
        .route("/console/transactions/{txid}/refund", post(transaction::refund).get(to_page))
        .route("/console/transactions/{txid}/cancel", post(transaction::cancel).get(to_page))
        .route("/console/transactions/{txid}/ask", post(transaction::ask).get(to_page))
        .route("/console/transactions/{txid}/redeliver", post(transaction::redeliver).get(to_page))
        .route("/console/transactions/{txid}/erase", post(transaction::erase).get(to_page))
        .route("/console/refunds", get(refunds::page))
        .route("/console/refunds.csv", get(refunds::export))
        .route("/console/deliveries", get(deliveries::page))
        .route("/console/deliveries.csv", get(deliveries::export))
        .route("/console/redeliver", post(deliveries::again).get(to_page))
        .route("/console/attention", get(attention::page))
        .route("/console/attention.csv", get(attention::export))
        .route("/console/attention/{txid}", post(attention::decide).get(to_page))
        .route("/console/lost", post(attention::acknowledge).get(to_page))
        .route("/console/parties", get(parties::page))
        .route("/console/receivers.csv", get(parties::export))
        .route("/console/settlements", get(books::settlements))
        .route("/console/settlements/{account}", get(books::account))
        .route("/console/settlements/{account}/settlements.csv", get(books::export))
        .route("/console/adjustments", get(adjustments::page).post(adjustments::act))
        .route("/console/adjustments.csv", get(adjustments::export))
        .route("/console/reconciliation", get(breaks::page))
        .route("/console/breaks.csv", get(breaks::export))
        .route("/console/runs.csv", get(breaks::export_runs))
        .route("/console/breaks/{id}", get(breaks::one).post(breaks::act))
        .route("/console/audit", get(audit::page))
        .route("/console/audit.csv", get(audit::export))
        .route("/console.css", get(async || answer::asset(Asset::Style)))
        .route("/console-lists.css", get(async || answer::asset(Asset::Console)))
        .route("/console.svg", get(async || answer::asset(Asset::Icon)))
        .route("/console.js", get(async || answer::script()))
        .with_state(console)
}
