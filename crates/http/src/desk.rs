//! What operators see and do, as JSON: the twin of the console. A handler reads the request, asks the
//! service, and writes what it says.

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::Request;
use axum::response::Response;
use gopay_core::time::Timestamp;
use gopay_service::StoreError;
use gopay_service::desk::{ActError, Deed, RefundOrder};
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::acts::{Act, act, act_about, answer, answered};
use crate::asked::{Asked, AskedError};
use crate::guard::Who;
use crate::json::no;
use crate::routes::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get("/admin/v1/figures", figures)
        .get("/admin/v1/transactions", transactions)
        .get("/admin/v1/transactions/{id}", transaction)
        .post("/admin/v1/transactions/{id}/refund", refund)
        .post("/admin/v1/transactions/{id}/cancel", cancel)
        .post("/admin/v1/transactions/{id}/ask", ask)
        .post("/admin/v1/transactions/{id}/redeliver", redeliver)
        .post("/admin/v1/transactions/{id}/erase", erase)
        .get("/admin/v1/refunds", refunds)
        .get("/admin/v1/deliveries", deliveries)
        .post("/admin/v1/redeliver", redeliver_since)
        .get("/admin/v1/receivers", receivers)
        .get("/admin/v1/clients", clients)
        .get("/admin/v1/audit", audit)
}

/// Rows of a page, unless asked for otherwise.
pub(crate) const ROWS: usize = 100;

pub(crate) fn asked(query: Option<String>) -> Asked {
    Asked::read(query.unwrap_or_default().as_bytes())
}

pub(crate) fn wrong(AskedError(why): AskedError) -> Response {
    no(400, why)
}

/// The figures of the start page: the last hour of this process, what waits, what needs a person.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/figures", tag = "admin", responses((status = 200, description = "The figures; money in sen"), (status = 503, description = "The store does not answer"))))]
pub(crate) async fn figures(State(app): State<App>) -> Response {
    answered(app.service.figures().await)
}

/// Transactions by TXID, newest first. A page may hold fewer than `limit` rows although there are more:
/// `next` says where to go on.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/transactions", tag = "admin",
    params(
        ("state" = Option<String>, Query, description = "`initialized`, `pending`, `succeeded`, `failed`"),
        ("psp" = Option<String>, Query, description = "Login of the PSP"),
        ("contract" = Option<String>, Query, description = "`contractid`"),
        ("channel" = Option<String>, Query, description = "`testchannel`, `livechannel`"),
        ("merchanttxid" = Option<String>, Query, description = "Whatever its case"),
        ("midtransid" = Option<String>, Query, description = "Midtrans' `transaction_id`"),
        ("amount" = Option<String>, Query, description = "Whole rupiah"),
        ("from" = Option<String>, Query, description = "Day or time, UTC"),
        ("until" = Option<String>, Query, description = "Last day, or time before which"),
        ("order" = Option<String>, Query, description = "`newest`, `oldest`"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page; money in sen"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn transactions(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    match asked.payments().and_then(|filter| Ok((filter, asked.page(ROWS)?))) {
        Ok((filter, page)) => answered(app.service.list_payments(&filter, page).await),
        Err(error) => wrong(error),
    }
}

/// The stories of the transactions that an id belongs to: TXID, REFUNDID, `merchanttxid`,
/// `merchantrefundid`, with what can be given back of each. What no index has, such as Midtrans' ids, is
/// looked for in the whole store with `anywhere=true`, which takes a while.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/transactions/{id}", tag = "admin",
    params(
        ("id" = String, Path, description = "Any id"),
        ("anywhere" = Option<bool>, Query, description = "Look through the whole store if need be")
    ),
    responses(
        (status = 200, description = "Each with its story, as `explain --json` tells it"),
        (status = 404, description = "There is none"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn transaction(
    State(app): State<App>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let anywhere = asked(query).get("anywhere") == Some("true");
    let found = async {
        let mut stories = Vec::new();
        let mut tx_ids = app.service.find_at_once(&id).await?;
        if tx_ids.is_empty() && anywhere {
            tx_ids = app.service.find_anywhere(&id).await?;
        }
        for tx_id in tx_ids {
            stories.extend(app.service.on_desk(tx_id).await?);
        }
        Ok::<_, StoreError>(stories)
    };
    match found.await {
        Ok(stories) if stories.is_empty() => no(404, "no transaction has this id"),
        found => answered(found),
    }
}

/// Gives money back, as a PSP's REFUND does. JSON with `amount_sen`, `reason`, `by`; `refundid` of the
/// transaction's `refund` makes it repeatable; `merchantrefundid` is a reference for the PSP.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/transactions/{id}/refund", tag = "admin",
    params(("id" = String, Path, description = "TXID")),
    request_body(content = String, content_type = "application/json", description = "`amount_sen`, `reason`, `by`, `refundid`, `merchantrefundid`"),
    responses(
        (status = 200, description = "The refund; `state` says how it stands"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 404, description = "No such transaction"),
        (status = 409, description = "It cannot be given back, or not so much; nothing was sent"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn refund(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    act_about(&app, &id, who, request, |service, tx_id, order: RefundOrder| async move {
        service.refund_by_operator(tx_id, order).await
    })
    .await
}

/// Ends a pending transaction, as CANCELTX does; the PSP is told. JSON with `reason` and `by`.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/transactions/{id}/cancel", tag = "admin",
    params(("id" = String, Path, description = "TXID")),
    request_body(content = String, content_type = "application/json", description = "`reason`, `by`"),
    responses(
        (status = 200, description = "The transaction afterwards; it may still be pending, and a worker goes on"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 404, description = "No such transaction"),
        (status = 409, description = "It is not pending"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn cancel(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    act_about(&app, &id, who, request, |service, tx_id, deed: Deed| async move {
        service.cancel_by_operator(tx_id, deed).await
    })
    .await
}

/// Erases the personal data of a transaction. Ids, references, amounts, states and times stay. JSON
/// with `reason` and `by`.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/transactions/{id}/erase", tag = "admin",
    params(("id" = String, Path, description = "TXID")),
    request_body(content = String, content_type = "application/json", description = "`reason`, `by`"),
    responses(
        (status = 200, description = "Erased"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 404, description = "No such transaction"),
        (status = 409, description = "Erased before, or the data is still needed; the answer says what for"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn erase(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    act_about(&app, &id, who, request, |service, tx_id, deed: Deed| async move {
        let erased = service.erase(tx_id, deed.by, deed.reason).await;
        erased.map(|()| json!({"txid": tx_id, "status": "erased"}))
    })
    .await
}

/// Asks Midtrans about a transaction now, and goes by what it says. JSON with `reason` and `by`.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/transactions/{id}/ask", tag = "admin",
    params(("id" = String, Path, description = "TXID")),
    request_body(content = String, content_type = "application/json", description = "`reason`, `by`"),
    responses(
        (status = 200, description = "What Midtrans said, and the transaction afterwards"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 404, description = "No such transaction"),
        (status = 409, description = "Its call is under way"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn ask(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    act_about(&app, &id, who, request, |service, tx_id, deed: Deed| async move {
        service.ask_by_operator(tx_id, deed).await
    })
    .await
}

/// Sends the last notification of a transaction again. JSON with `reason` and `by`.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/transactions/{id}/redeliver", tag = "admin",
    params(("id" = String, Path, description = "TXID")),
    request_body(content = String, content_type = "application/json", description = "`reason`, `by`"),
    responses(
        (status = 200, description = "It is due"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 404, description = "No such transaction"),
        (status = 409, description = "It has no notification"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn redeliver(
    State(app): State<App>,
    Path(id): Path<String>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    act_about(&app, &id, who, request, |service, tx_id, deed: Deed| async move {
        let done = service.redeliver_by_operator(tx_id, &deed).await;
        done.map(|()| json!({"due": 1}))
    })
    .await
}

/// Sends all notifications again that were given up since a time. JSON with `failed_since`, `reason`
/// and `by`.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/redeliver", tag = "admin",
    request_body(content = String, content_type = "application/json", description = "`failed_since` (RFC 3339), `reason`, `by`"),
    responses(
        (status = 200, description = "How many are due"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer; some may be due")
    )
))]
pub(crate) async fn redeliver_since(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    act(&app, who, request, |service, wanted: GivenUpSince| async move {
        let GivenUpSince { failed_since, reason, by } = wanted;
        let wrong = "failed_since: must be a time such as 2026-01-31T08:00:00Z";
        let since = Timestamp::from_rfc3339(&failed_since);
        let since = since.map_err(|_| ActError::Field(wrong.to_owned()))?;
        let due = service.redeliver_since(since, &Deed { by, reason }).await?;
        Ok::<_, ActError>(json!({"due": due}))
    })
    .await
}

/// Which notifications to send again, who asks for it, and why.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenUpSince {
    /// Those given up since then, in the form of RFC 3339.
    pub failed_since: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}

impl Act for GivenUpSince {
    fn why(&self) -> &str {
        &self.reason
    }
}

/// Refunds by REFUNDID, newest first, refused ones too.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/refunds", tag = "admin",
    params(
        ("state" = Option<String>, Query, description = "`unresolved`, `succeeded`, `failed`"),
        ("psp" = Option<String>, Query, description = "Login of the PSP"),
        ("contract" = Option<String>, Query, description = "`contractid`"),
        ("from" = Option<String>, Query, description = "Day or time, UTC"),
        ("until" = Option<String>, Query, description = "Last day, or time before which"),
        ("order" = Option<String>, Query, description = "`newest`, `oldest`"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page; money in sen"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn refunds(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    match asked.refunds().and_then(|filter| Ok((filter, asked.page(ROWS)?))) {
        Ok((filter, page)) => answered(app.service.list_refunds(&filter, page).await),
        Err(error) => wrong(error),
    }
}

/// Notifications to PSPs by their number, newest first.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/deliveries", tag = "admin",
    params(
        ("state" = Option<String>, Query, description = "`waiting`, `delivered`, `given_up`"),
        ("psp" = Option<String>, Query, description = "Login of the PSP"),
        ("order" = Option<String>, Query, description = "`newest`, `oldest`"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn deliveries(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    match asked.deliveries().and_then(|filter| Ok((filter, asked.page(ROWS)?))) {
        Ok((filter, page)) => answered(app.service.list_deliveries(&filter, page).await),
        Err(error) => wrong(error),
    }
}

/// The receivers that this process has tried, how often each failed in a row, and its last answer.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/receivers", tag = "admin", responses((status = 200, description = "The receivers"))))]
pub(crate) async fn receivers(State(app): State<App>) -> Response {
    answer(&app.service.receivers())
}

/// The PSPs and their contracts as configured, without secrets.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/clients", tag = "admin", responses((status = 200, description = "The PSPs"))))]
pub(crate) async fn clients(State(app): State<App>) -> Response {
    answer(&app.service.clients())
}

/// What operators did on a day.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/audit", tag = "admin",
    params(
        ("day" = Option<String>, Query, description = "`YYYY-MM-DD`, UTC; today unless said otherwise"),
        ("who" = Option<String>, Query, description = "Of this person"),
        ("what" = Option<String>, Query, description = "With this text in what was asked for"),
        ("order" = Option<String>, Query, description = "`newest` (unless said otherwise) or `oldest`"),
        ("before" = Option<i64>, Query, description = "`next` of the page before, the newest first"),
        ("after" = Option<i64>, Query, description = "`next` of the page before, the oldest first"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn audit(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    match asked.walk().and_then(|walk| Ok((walk, asked.limit(ROWS)?))) {
        Ok((walk, limit)) => {
            let day = asked.get("day").map_or_else(|| app.service.today(), str::to_owned);
            answered(app.service.audit(&day, &asked.acts(), walk, limit).await)
        }
        Err(error) => wrong(error),
    }
}
