//! The operator's listener: health, metrics, sums, and the description of all paths.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Request, header};
use axum::response::Response;
use gopay_core::ids::TxId;
use gopay_service::{Dated, Decision, ResolveError, Totals};
use serde::Serialize;
use serde_json::{Value, json};

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
        .get("/admin/v1/attention", attention)
        .post("/admin/v1/attention/{txid}", resolve)
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
        Ok(()) => respond(200, JSON, ready_and(&app).await.to_string()),
        Err(error) => not_ready(&gopay_service::chain(&error)),
    }
}

/// Ready, and what needs a person all the same.
async fn ready_and(app: &App) -> Value {
    let mut body = json!({"status": "ready"});
    if let (Ok(sums), Some(members)) = (app.service.attention_sums().await, body.as_object_mut())
        && sums.payments.saturating_add(sums.orders) > 0
    {
        members.insert("attention".to_owned(), json!(sums));
    }
    body
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
    app.service.measure().await;
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
        Ok(Dated { value: totals, age }) => {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            let sums = Sums { totals, age_ms };
            respond(200, JSON, serde_json::to_string(&sums).unwrap_or_default())
        }
        Err(error) => respond(503, JSON, json!({"reason": error.to_string()}).to_string()),
    }
}

/// The sums, and how many milliseconds ago they were asked for: they are not found anew for each
/// caller where that takes long.
#[derive(Serialize)]
struct Sums {
    #[serde(flatten)]
    totals: Totals,
    age_ms: u64,
}

/// What needs a person: payments with money at Midtrans that does not fit, and money of orders that
/// the store does not know.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/admin/v1/attention",
    tag = "admin",
    responses(
        (status = 200, description = "The list; money in sen"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn attention(State(app): State<App>) -> Response {
    match app.service.attention().await {
        Ok(list) => respond(200, JSON, json!(list).to_string()),
        Err(error) => respond(503, JSON, json!({"reason": error.to_string()}).to_string()),
    }
}

/// What a person decides about something in the list: JSON with `verdict` (`paid`, `failed` or
/// `refund`), `reason` and `by`.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/admin/v1/attention/{txid}",
    tag = "admin",
    params(("txid" = String, Path, description = "Of the payment or order")),
    request_body(
        content = String,
        content_type = "application/json",
        description = "`verdict`, `reason`, `by`"
    ),
    responses(
        (status = 200, description = "Decided"),
        (status = 400, description = "The body says no decision; the answer names what is wrong"),
        (status = 404, description = "Nobody has to decide about it"),
        (status = 409, description = "It cannot be decided so"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn resolve(
    State(app): State<App>,
    Path(txid): Path<String>,
    request: Request<Body>,
) -> Response {
    let no = |status, reason: String| respond(status, JSON, json!({"reason": reason}).to_string());
    // A page of somebody else's in the operator's browser cannot send this without asking first.
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with(JSON)) {
        return no(415, "the body must be sent as application/json".to_owned());
    }
    let Ok(bytes) = app.bodies.read(request, DECISION_BYTES_MAX, app.limits.body_timeout).await
    else {
        return no(400, "the body cannot be read".to_owned());
    };
    let decision: Decision = match serde_json::from_slice(&bytes) {
        Ok(decision) => decision,
        Err(error) => return no(400, error.to_string()),
    };
    let Ok(tx_id) = txid.parse::<TxId>() else {
        return no(404, "no TXID".to_owned());
    };
    match app.service.decide(tx_id, &decision).await {
        Ok(resolved) => respond(200, JSON, resolved.described().to_string()),
        Err(error) => {
            let status = match &error {
                ResolveError::Text { .. } => 400,
                ResolveError::NotListed(_) => 404,
                ResolveError::Returning(_) | ResolveError::NotReturnable(_) => 409,
                ResolveError::Store(_) => 503,
            };
            no(status, gopay_service::chain(&error))
        }
    }
}

/// A reason of 500 characters and a name, each character escaped.
const DECISION_BYTES_MAX: usize = 16 * 1024;
