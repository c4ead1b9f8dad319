//! What operators see and do, as JSON: the twin of the console. A handler reads the request, asks the
//! service, and writes what it says.

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::Request;
use axum::response::Response;
use gopay_core::ids::TxId;
use gopay_core::text::printable_json;
use gopay_core::time::Timestamp;
use gopay_service::desk::{ActError, BookError, BreakAct, Deed, RefundOrder, Which};
use gopay_service::{EraseError, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::asked::{Asked, AskedError};
use crate::guard::{Who, Why};
use crate::json::{BODY_BYTES_MAX, JSON, no};
use crate::routes::Routes;
use crate::{App, respond};

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
        .get("/admin/v1/settlements", settlement_heads)
        .get("/admin/v1/settlements/{account}", settlements)
        .get("/admin/v1/reconciliations", reconciliations)
        .get("/admin/v1/breaks", breaks)
        .post("/admin/v1/breaks/{id}", decide_break)
        .get("/admin/v1/audit", audit)
}

/// Rows of a page, unless asked for otherwise.
const ROWS: usize = 100;

/// An answer of what there is. What comes from outside may hold characters that a terminal acts on.
fn answer(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => respond(200, JSON, printable_json(&text)),
        Err(error) => no(500, error.to_string()),
    }
}

fn answered<T: Serialize>(found: Result<T, StoreError>) -> Response {
    found.map_or_else(|error| unavailable(&error), |value| answer(&value))
}

fn unavailable(error: &StoreError) -> Response {
    no(503, gopay_service::chain(error))
}

fn asked(query: Option<String>) -> Asked {
    Asked::read(query.unwrap_or_default().as_bytes())
}

fn wrong(AskedError(why): AskedError) -> Response {
    no(400, why)
}

/// What is in a body, with who shows a token in place of whom it names.
async fn body<T: DeserializeOwned>(
    app: &App,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Result<T, Response> {
    let bytes = app.bodies.read(request, BODY_BYTES_MAX, app.limits.body_timeout).await;
    let bytes = bytes.map_err(|_| no(400, "the body cannot be read"))?;
    let mut value: Value =
        serde_json::from_slice(&bytes).map_err(|error| no(400, error.to_string()))?;
    if let (Some(name), Some(members)) =
        (who.and_then(|Extension(Who(name))| name), value.as_object_mut())
    {
        // An approval names who has decided.
        let own = if members.contains_key("approved_by") { "approved_by" } else { "by" };
        members.insert(own.to_owned(), json!(&*name));
    }
    serde_json::from_value(value).map_err(|error| no(400, error.to_string()))
}

/// The answer where a path names no transaction.
fn no_tx_id() -> Response {
    no(404, "no TXID")
}

fn acted<T: Serialize>(done: Result<T, ActError>, why: String) -> Response {
    let mut response = match done {
        Ok(value) => answer(&value),
        Err(error) => no(status_of(&error), gopay_service::chain(&error)),
    };
    response.extensions_mut().insert(Why(why));
    response
}

/// The status that an act ends with.
#[must_use]
pub fn status_of(error: &ActError) -> u16 {
    match error {
        ActError::Text { .. } | ActError::Field(_) => 400,
        ActError::NoPayment(_) => 404,
        ActError::NotNow(_) => 409,
        ActError::Store(_) => 503,
    }
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
    let Ok(tx_id) = id.parse::<TxId>() else { return no_tx_id() };
    match body::<RefundOrder>(&app, who, request).await {
        Ok(order) => {
            let why = order.reason.clone();
            acted(app.service.refund_by_operator(tx_id, order).await, why)
        }
        Err(answer) => answer,
    }
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
    let Ok(tx_id) = id.parse::<TxId>() else { return no_tx_id() };
    match body::<Deed>(&app, who, request).await {
        Ok(deed) => {
            let why = deed.reason.clone();
            acted(app.service.cancel_by_operator(tx_id, deed).await, why)
        }
        Err(answer) => answer,
    }
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
    let Ok(tx_id) = id.parse::<TxId>() else { return no_tx_id() };
    match body::<Deed>(&app, who, request).await {
        Ok(deed) => {
            let why = deed.reason.clone();
            let mut response = match app.service.erase(tx_id, deed.by, deed.reason).await {
                Ok(()) => answer(&json!({"txid": tx_id, "status": "erased"})),
                Err(error) => no(status_of_erasure(&error), gopay_service::chain(&error)),
            };
            response.extensions_mut().insert(Why(why));
            response
        }
        Err(answer) => answer,
    }
}

const fn status_of_erasure(error: &EraseError) -> u16 {
    match error {
        EraseError::Text { .. } => 400,
        EraseError::Unknown(_) => 404,
        EraseError::Already(_) | EraseError::Needed { .. } | EraseError::Archived { .. } => 409,
        EraseError::Store(_) => 503,
    }
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
    let Ok(tx_id) = id.parse::<TxId>() else { return no_tx_id() };
    match body::<Deed>(&app, who, request).await {
        Ok(deed) => {
            let why = deed.reason.clone();
            acted(app.service.ask_by_operator(tx_id, deed).await, why)
        }
        Err(answer) => answer,
    }
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
    let Ok(tx_id) = id.parse::<TxId>() else { return no_tx_id() };
    match body::<Deed>(&app, who, request).await {
        Ok(deed) => {
            let done = app.service.redeliver_by_operator(tx_id, &deed).await;
            acted(done.map(|()| json!({"due": 1})), deed.reason)
        }
        Err(answer) => answer,
    }
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
    #[derive(serde::Deserialize)]
    struct Range {
        failed_since: String,
        #[serde(flatten)]
        deed: Deed,
    }
    match body::<Range>(&app, who, request).await {
        Ok(Range { failed_since, deed }) => match Timestamp::from_rfc3339(&failed_since) {
            Ok(since) => {
                let done = app.service.redeliver_since(since, &deed).await;
                acted(done.map(|due| json!({"due": due})), deed.reason)
            }
            Err(_) => no(400, "failed_since: must be a time such as 2026-01-31T08:00:00Z"),
        },
        Err(answer) => answer,
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

/// The last settlement of every account.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/settlements", tag = "admin", responses((status = 200, description = "The settlements; amounts in hundredths of their currency"), (status = 503, description = "The store does not answer"))))]
pub(crate) async fn settlement_heads(State(app): State<App>) -> Response {
    answered(app.service.settlement_heads().await)
}

/// The settlements of an account, newest first, with their files.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/settlements/{account}", tag = "admin",
    params(
        ("account" = String, Path, description = "Entity and number, such as `1-999`"),
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 404, description = "No such account"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn settlements(
    State(app): State<App>,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = asked(query);
    match asked.before().and_then(|before| Ok((before, asked.limit(ROWS)?))) {
        Ok((before, limit)) => match app.service.settlements(&account, before, limit).await {
            Ok(None) => no(404, "no such account"),
            Ok(Some(page)) => answer(&page),
            Err(error) => unavailable(&error),
        },
        Err(error) => wrong(error),
    }
}

/// The name of a series, unless another is asked for.
pub const SERIES: &str = "default";

/// The runs of reconciliation of a series, newest first.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/reconciliations", tag = "admin",
    params(
        ("series" = Option<String>, Query, description = "`default` unless said otherwise"),
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn reconciliations(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    match asked.before().and_then(|before| Ok((before, asked.limit(ROWS)?))) {
        Ok((before, limit)) => {
            let series = asked.get("series").unwrap_or(SERIES);
            answered(app.service.reconciliation_runs(series, before, limit).await)
        }
        Err(error) => wrong(error),
    }
}

/// The breaks of a series, in the order of their ids, with what was decided about them.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/breaks", tag = "admin",
    params(
        ("series" = Option<String>, Query, description = "`default` unless said otherwise"),
        ("which" = Option<String>, Query, description = "`open` (unless said otherwise), `undecided`, `unapproved`, `all`"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 404, description = "This program is built without reconciliation"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn breaks(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    let Some(review) = &app.breaks else { return no(404, WITHOUT) };
    match which(&asked).and_then(|which| Ok((which, asked.limit(ROWS)?))) {
        Ok((which, limit)) => {
            let (series, after) =
                (asked.get("series").unwrap_or(SERIES), asked.get("after").unwrap_or_default());
            match review.breaks(series, which, after, limit).await {
                Ok(page) => answer(&page),
                Err(error) => no(status_of_book(&error), gopay_service::chain(&error)),
            }
        }
        Err(error) => wrong(error),
    }
}

const WITHOUT: &str = "this program is built without reconciliation";

/// Which breaks are asked for.
///
/// # Errors
/// If the word is none.
pub fn which(asked: &Asked) -> Result<Which, AskedError> {
    let word = asked.get("which").unwrap_or(Which::Open.as_str());
    Which::ALL
        .into_iter()
        .find(|which| which.as_str() == word)
        .ok_or_else(|| AskedError("which: must be open, undecided, unapproved or all".to_owned()))
}

/// The status that an act about a break ends with.
#[must_use]
pub fn status_of_book(error: &BookError) -> u16 {
    match error {
        BookError::Unknown(_) => 404,
        BookError::Refused(_) => 409,
        BookError::Store(_) => 503,
    }
}

/// What somebody decides about a break: JSON with `decision`, `reason`, `by` and the break's
/// `version`. An approval repeats them and has `approved_by`: another person, in an act of its own.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/breaks/{id}", tag = "admin",
    params(
        ("id" = String, Path, description = "break_id"),
        ("series" = Option<String>, Query, description = "`default` unless said otherwise")
    ),
    request_body(content = String, content_type = "application/json", description = "`decision`, `reason`, `by`, `approved_by`, `version`"),
    responses(
        (status = 200, description = "The break afterwards"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 404, description = "No such break"),
        (status = 409, description = "It does not go by the rules, or others were faster; the answer says why"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn decide_break(
    State(app): State<App>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    let Some(review) = app.breaks.clone() else { return no(404, WITHOUT) };
    let asked = asked(query);
    match body::<BreakAct>(&app, who, request).await {
        Ok(act) => {
            let series = asked.get("series").unwrap_or(SERIES);
            let mut response = match review.act(series, &id, &act).await {
                Ok(row) => answer(&row),
                Err(error) => no(status_of_book(&error), gopay_service::chain(&error)),
            };
            response.extensions_mut().insert(Why(act.reason));
            response
        }
        Err(answer) => answer,
    }
}

/// What operators did on a day, newest first.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/audit", tag = "admin",
    params(
        ("day" = Option<String>, Query, description = "`YYYY-MM-DD`, UTC; today unless said otherwise"),
        ("before" = Option<i64>, Query, description = "`next` of the page before"),
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
    match asked.before().and_then(|before| Ok((before, asked.limit(ROWS)?))) {
        Ok((before, limit)) => {
            let day = asked.get("day").map_or_else(|| app.service.today(), str::to_owned);
            answered(app.service.audit(&day, before, limit).await)
        }
        Err(error) => wrong(error),
    }
}
