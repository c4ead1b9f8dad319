//! The operator's listener: health, metrics, sums, and the description of all paths.

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::Request;
use axum::response::Response;
use gopay_core::ids::TxId;
use gopay_core::text::printable_json;
use gopay_service::desk::{ActError, Deed, check_texts};
use gopay_service::{Dated, Decision, Totals};
use serde::Serialize;
use serde_json::{Value, json};

use crate::acts::{act, answered, sent};
use crate::guard::{Who, Why, guarded};
use crate::json::{BODY_BYTES_MAX, JSON, no};
use crate::routes::Routes;
use crate::{App, Reloaded, respond};

/// Routes of the `admin` listener.
pub fn router(app: App) -> Router {
    guarded(routes().into_router(app.clone()), app)
}

pub(crate) fn routes() -> Routes {
    crate::directory::routes(crate::books::routes(crate::desk::routes(Routes::default())))
        .get("/health/live", live)
        .get("/health/ready", ready)
        .get("/metrics", metrics)
        .get("/openapi.json", openapi)
        .get("/admin/v1/capabilities", capabilities)
        .get("/admin/v1/totals", totals)
        .get("/admin/v1/attention", attention)
        .post("/admin/v1/attention/{txid}", resolve)
        .get("/admin/v1/lost", lost)
        .post("/admin/v1/lost", acknowledge_lost)
        .post("/admin/v1/reload", reload)
}

/// The description of every path, as it stands in `schemas/`: a test writes it from the handlers.
const DESCRIPTION: &str = include_str!("../../../schemas/openapi.json");

/// The process runs.
#[cfg_attr(test, utoipa::path(get, path = "/health/live", tag = "admin", responses((status = 200, description = "Alive"))))]
pub(crate) async fn live() -> Response {
    respond(200, JSON, json!({"status": "live"}).to_string())
}

/// The store takes writes and knows what was answered, and the process is not about to end.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/health/ready",
    tag = "admin",
    responses(
        (status = 200, description = "Ready for calls"),
        (status = 503, description = "Not ready; the body says why")
    )
))]
pub(crate) async fn ready(State(app): State<App>, who: Option<Extension<Who>>) -> Response {
    if *app.draining.borrow() {
        return not_ready("the process is about to end; calls go to another instance");
    }
    match app.service.ready().await {
        // What the money is about is for operators.
        Ok(()) if who.is_none() => respond(200, JSON, json!({"status": "ready"}).to_string()),
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
    let barred: Vec<_> = app
        .service
        .barred()
        .into_iter()
        .map(|barred| {
            let (channel, account) = (barred.channel.as_str(), barred.account);
            json!({"channel": channel, "account": account, "call": barred.call, "code": barred.code})
        })
        .collect();
    if !barred.is_empty()
        && let Some(members) = body.as_object_mut()
    {
        members.insert("midtrans_refuses".to_owned(), json!(barred));
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

/// What calls of PSPs may hold and what is promised: calls, parameters, limits, refunds, channels.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/admin/v1/capabilities",
    tag = "admin",
    responses((status = 200, description = "Capabilities; money in sen"))
))]
pub(crate) async fn capabilities(State(app): State<App>) -> Response {
    respond(200, JSON, app.service.capabilities(app.limits.call_bytes_max).to_string())
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
        // What comes from outside may hold characters that a terminal acts on.
        Ok(list) => respond(200, JSON, printable_json(&json!(list).to_string())),
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
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    let body = match sent(&app, request).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let decision = match decision(&body, who.and_then(|Extension(Who(name))| name).as_deref()) {
        Ok(decision) => decision,
        Err(error) => return no(400, error.to_string()),
    };
    let Ok(tx_id) = txid.parse::<TxId>() else { return no(404, "no TXID") };
    let decided = app.service.decide(tx_id, &decision).await;
    let mut answer = answered(decided.map(|resolved| resolved.described()));
    answer.extensions_mut().insert(Why(decision.reason));
    answer
}

/// Payments that this process has answered and that are missing from the store: it went back. Nothing
/// is taken until that is acknowledged.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/admin/v1/lost",
    tag = "admin",
    responses((status = 200, description = "Their TXIDs, at most 10,000"))
))]
pub(crate) async fn lost(State(app): State<App>) -> Response {
    let txids: Vec<_> = app.service.lost().iter().map(ToString::to_string).collect();
    respond(200, JSON, json!({"lost": txids.len(), "txids": txids}).to_string())
}

/// Goes on with the store as it is: JSON with `reason` and `by`.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/admin/v1/lost",
    tag = "admin",
    request_body(
        content = String,
        content_type = "application/json",
        description = "`reason`, `by`"
    ),
    responses(
        (status = 200, description = "Acknowledged; calls are taken from now on"),
        (status = 400, description = "The body lacks `reason` or `by`"),
        (status = 404, description = "Nothing is lost"),
        (status = 415, description = "The body is not said to be JSON")
    )
))]
pub(crate) async fn acknowledge_lost(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    act(&app, who, request, |service, Deed { by, reason }| async move {
        check_texts(&reason, &by)?;
        match service.acknowledge_lost() {
            0 => Err(ActError::NothingLost),
            count => {
                tracing::warn!(
                    count,
                    by,
                    reason,
                    "lost payments are acknowledged; calls are taken"
                );
                Ok(json!({"acknowledged": count}))
            }
        }
    })
    .await
}

/// A decision is of whom the token says; whom the body names besides is kept with it.
///
/// # Errors
/// Not JSON, or not a decision.
pub fn decision(body: &[u8], operator: Option<&str>) -> Result<Decision, serde_json::Error> {
    let mut body: Value = serde_json::from_slice(body)?;
    if let (Some(operator), Some(members)) = (operator, body.as_object_mut()) {
        let by = match members.get("by").and_then(Value::as_str) {
            Some(by) if by != operator => format!("{by} ({operator})"),
            _ => operator.to_owned(),
        };
        members.insert("by".to_owned(), by.into());
    }
    serde_json::from_value(body)
}

/// Reads the config again: clients, contracts, secrets, keys, tokens, limits of calls, certificates.
/// It is used as a whole or not at all. An optional JSON body has the `reason`.
#[cfg_attr(test, utoipa::path(
    post,
    path = "/admin/v1/reload",
    tag = "admin",
    responses(
        (status = 200, description = "Used from now on; `waiting` has the keys whose change waits for a restart"),
        (status = 404, description = "This process has no config file"),
        (status = 409, description = "Not valid: `problems` has all of them, and nothing has changed")
    )
))]
pub(crate) async fn reload(State(app): State<App>, request: Request<Body>) -> Response {
    let Some(reload) = app.reload.get().cloned() else {
        return no(404, "this process has no config file");
    };
    let bytes = app.bodies.admin.read(request, BODY_BYTES_MAX, app.limits.body_timeout).await;
    let Ok(bytes) = bytes else { return no(400, "the body cannot be read") };
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let mut answer = match tokio::task::spawn_blocking(move || reload()).await {
        Ok(Ok(Reloaded { waiting, warnings })) => {
            let done = json!({"status": "reloaded", "waiting": waiting, "warnings": warnings});
            respond(200, JSON, done.to_string())
        }
        Ok(Err(problems)) => {
            respond(409, JSON, json!({"reason": "not valid", "problems": problems}).to_string())
        }
        Err(error) => no(500, error.to_string()),
    };
    if let Some(reason) = body.get("reason").and_then(Value::as_str) {
        answer.extensions_mut().insert(Why(reason.chars().take(500).collect()));
    }
    answer
}
