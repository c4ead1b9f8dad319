//! The operator's listener: health, metrics, sums, and the description of all paths.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::routes::Routes;
use crate::{App, respond};

const JSON: &str = "application/json";

/// Routes of the `admin` listener.
pub fn router(app: App) -> Router {
    routes().into_router(app)
}

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/health/live", live)
        .get("/health/ready", ready)
        .get("/metrics", metrics)
        .get("/openapi.json", openapi)
        .get("/admin/v1/totals", totals)
}

/// The description of every path, as it stands in `schemas/`: a test writes it from the handlers.
const DESCRIPTION: &str = include_str!("../../../schemas/openapi.json");

/// The process runs.
#[cfg_attr(test, utoipa::path(get, path = "/health/live", tag = "admin", responses((status = 200, description = "Alive"))))]
pub(crate) async fn live() -> Response {
    respond(200, JSON, json!({"status": "live"}).to_string())
}

/// The store takes writes, and the process is not about to end.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/health/ready",
    tag = "admin",
    responses(
        (status = 200, description = "Ready for calls"),
        (status = 503, description = "Not ready; the body says why")
    )
))]
pub(crate) async fn ready(State(app): State<App>) -> Response {
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
#[cfg_attr(test, utoipa::path(
    get,
    path = "/metrics",
    tag = "admin",
    responses((status = 200, description = "Metrics", content_type = "text/plain", body = String))
))]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    respond(200, "text/plain; version=0.0.4", app.metrics.render())
}

/// This description.
#[cfg_attr(test, utoipa::path(get, path = "/openapi.json", tag = "admin", responses((status = 200, description = "OpenAPI"))))]
pub(crate) async fn openapi() -> Response {
    respond(200, JSON, DESCRIPTION)
}

/// Sums over the whole store: payments, refunds and deliveries by state, money in sen.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/admin/v1/totals",
    tag = "admin",
    responses(
        (status = 200, description = "Sums"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn totals(State(app): State<App>) -> Response {
    match app.service.totals().await {
        Ok(totals) => respond(200, JSON, serde_json::to_string(&totals).unwrap_or_default()),
        Err(error) => respond(503, JSON, json!({"reason": error.to_string()}).to_string()),
    }
}
