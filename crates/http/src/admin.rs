//! The operator's listener: health, metrics, sums, and the description of all paths.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use utoipa::OpenApi;

use crate::{App, respond};

const JSON: &str = "application/json";

/// Routes of the `admin` listener.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/admin/v1/totals", get(totals))
        .with_state(app)
}

/// The description of every path of the adapter.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "gopay-adapter",
        description = "PPRO Simple API in, GoPay at Midtrans out. Listeners: psp, public, admin; they may share an address."
    ),
    paths(
        simple_api,
        redirect_page,
        redirect_page_form,
        return_page,
        return_page_query,
        style,
        midtrans_notification,
        live,
        ready,
        metrics,
        openapi,
        totals
    )
)]
struct Description;

/// `openapi.json` as text, for the file in `schemas/`.
#[must_use]
pub fn openapi_text() -> String {
    let mut text = Description::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// The Simple API: all calls, chosen by `txtype`; see the PSP guide.
#[utoipa::path(
    post,
    path = "/",
    tag = "psp",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The outcome, in urlencodeext form", content_type = "application/x-www-form-urlencoded", body = String),
        (status = 400, description = "The body broke off"),
        (status = 405, description = "Another method than POST"),
        (status = 408, description = "The body took too long"),
        (status = 413, description = "The body is too long; the answer says how long it may be"),
        (status = 503, description = "Too many calls at once; nothing was done")
    )
)]
#[expect(dead_code, reason = "describes the handler in `psp`")]
fn simple_api() {}

/// REDIRECTURL: leads to the GoPay app on a phone; elsewhere says to open it there.
#[utoipa::path(
    get,
    path = "/ti/gopay",
    tag = "public",
    params(
        ("tx" = String, Query, description = "TXID"),
        ("rs" = String, Query, description = "REDIRECTSECRET"),
        ("cs" = String, Query, description = "Code that protects the address")
    ),
    responses(
        (status = 200, description = "Page for computers"),
        (status = 302, description = "To the GoPay app, or back to the merchant"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
)]
#[expect(dead_code, reason = "describes the handler in `public`")]
fn redirect_page() {}

/// The same for PSPs that send the shopper by a form; parameters in the query or in the body.
#[utoipa::path(
    post,
    path = "/ti/gopay",
    tag = "public",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Page for computers"),
        (status = 302, description = "To the GoPay app, or back to the merchant"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
)]
#[expect(dead_code, reason = "describes the handler in `public`")]
fn redirect_page_form() {}

/// The style sheet of the pages.
#[utoipa::path(get, path = "/ti/gopay.css", tag = "public", responses((status = 200, description = "CSS")))]
#[expect(dead_code, reason = "describes the handler in `pages`")]
fn style() {}

/// The return page with its parameters in the query.
#[utoipa::path(
    get,
    path = "/return/gopay",
    tag = "public",
    params(
        ("tx" = String, Query, description = "TXID"),
        ("cs" = String, Query, description = "Code that protects the address")
    ),
    responses(
        (status = 200, description = "The merchant has no address to return to"),
        (status = 302, description = "Back to the merchant, with txid and cs"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
)]
#[expect(dead_code, reason = "describes the handler in `public`")]
fn return_page_query() {}

/// Where the GoPay app returns to; leads back to the merchant.
#[utoipa::path(
    get,
    path = "/return/gopay/{tx}/{code}/",
    tag = "public",
    params(
        ("tx" = String, Path, description = "TXID"),
        ("code" = String, Path, description = "Code that protects the address")
    ),
    responses(
        (status = 200, description = "The merchant has no address to return to"),
        (status = 302, description = "Back to the merchant, with txid and cs"),
        (status = 404, description = "Not an address of ours, or changed"),
        (status = 503, description = "Try again")
    )
)]
#[expect(dead_code, reason = "describes the handler in `public`")]
fn return_page() {}

/// Midtrans' notifications.
#[utoipa::path(
    post,
    path = "/midtrans/notification",
    tag = "public",
    request_body(content = String, content_type = "application/json"),
    responses(
        (status = 200, description = "Taken, or of no concern; no retry needed"),
        (status = 400, description = "Not a notification"),
        (status = 403, description = "Wrong signature"),
        (status = 503, description = "Our own trouble; send it again")
    )
)]
#[expect(dead_code, reason = "describes the handler in `public`")]
fn midtrans_notification() {}

/// The process runs.
#[utoipa::path(get, path = "/health/live", tag = "admin", responses((status = 200, description = "Alive")))]
async fn live() -> Response {
    respond(200, JSON, json!({"status": "live"}).to_string())
}

/// The store takes writes, and the process is not about to end.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "admin",
    responses(
        (status = 200, description = "Ready for calls"),
        (status = 503, description = "Not ready; the body says why")
    )
)]
async fn ready(State(app): State<App>) -> Response {
    if *app.draining.borrow() {
        return not_ready("the process is about to end; calls go to another instance");
    }
    match app.service.ready().await {
        Ok(()) => respond(200, JSON, json!({"status": "ready"}).to_string()),
        Err(error) => not_ready(&gopay_service::chain(&error)),
    }
}

fn not_ready(reason: &str) -> Response {
    respond(503, JSON, json!({"status": "not ready", "reason": reason}).to_string())
}

/// Metrics in Prometheus' text form.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "admin",
    responses((status = 200, description = "Metrics", content_type = "text/plain", body = String))
)]
async fn metrics(State(app): State<App>) -> Response {
    respond(200, "text/plain; version=0.0.4", app.metrics.render())
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "admin", responses((status = 200, description = "OpenAPI")))]
async fn openapi() -> Response {
    respond(200, JSON, openapi_text())
}

/// Sums over the whole store: payments, refunds and deliveries by state, money in sen.
#[utoipa::path(
    get,
    path = "/admin/v1/totals",
    tag = "admin",
    responses(
        (status = 200, description = "Sums"),
        (status = 503, description = "The store does not answer")
    )
)]
async fn totals(State(app): State<App>) -> Response {
    match app.service.totals().await {
        Ok(totals) => respond(200, JSON, serde_json::to_string(&totals).unwrap_or_default()),
        Err(error) => respond(503, JSON, json!({"reason": error.to_string()}).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_in_schemas_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/openapi.json");
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            std::fs::write(path, openapi_text()).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert_eq!(
            kept,
            openapi_text(),
            "run the tests with UPDATE_SCHEMAS=1 and look at the change"
        );
    }
}
