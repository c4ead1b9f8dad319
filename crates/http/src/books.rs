//! Settlements with their corrections, and reconciliation, as JSON.

use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::Request;
use axum::response::Response;
use gopay_service::desk::{AdjustmentAct, BreakAct};

use crate::App;
use crate::acts::{act, answer, answered, not_done};
use crate::desk::{ROWS, asked, wrong};
use crate::guard::Who;
use crate::json::no;
use crate::routes::Routes;

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get("/admin/v1/settlements", settlement_heads)
        .get("/admin/v1/settlements/{account}", settlements)
        .get("/admin/v1/adjustments", adjustments)
        .post("/admin/v1/adjustments", adjust)
        .get("/admin/v1/reconciliations", reconciliations)
        .get("/admin/v1/breaks", breaks)
        .get("/admin/v1/breaks/{id}", one_break)
        .post("/admin/v1/breaks/{id}", decide_break)
}

/// The last settlement of every account.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/settlements", tag = "admin", responses((status = 200, description = "The settlements; amounts in hundredths of their currency"), (status = 503, description = "The store does not answer"))))]
pub(crate) async fn settlement_heads(State(app): State<App>) -> Response {
    answered(app.service.settlement_heads().await)
}

/// The settlements of an account, with their files.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/settlements/{account}", tag = "admin",
    params(
        ("account" = String, Path, description = "Entity and number, such as `1-999`"),
        ("order" = Option<String>, Query, description = "`newest` (unless said otherwise) or `oldest`"),
        ("before" = Option<i64>, Query, description = "`next` of the page before, the newest first"),
        ("after" = Option<i64>, Query, description = "`next` of the page before, the oldest first"),
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
    match asked.walk().and_then(|walk| Ok((walk, asked.limit(ROWS)?))) {
        Ok((walk, limit)) => match app.service.settlements(&account, walk, limit).await {
            Ok(None) => no(404, "no such account"),
            Ok(Some(page)) => answer(&page),
            Err(error) => not_done(&error),
        },
        Err(error) => wrong(error),
    }
}

/// What is said where there are no corrections.
pub const UNSETTLED: &str = "this program settles nothing";

/// Corrections of settlements by their last act.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/adjustments", tag = "admin",
    params(
        ("state" = Option<String>, Query, description = "`asked`: waits for the approval of a second person; `approved`"),
        ("contract" = Option<String>, Query, description = "`contractid`"),
        ("order" = Option<String>, Query, description = "`newest` (unless said otherwise) or `oldest`"),
        ("before" = Option<i64>, Query, description = "`next` of the page before, the newest first"),
        ("after" = Option<i64>, Query, description = "`next` of the page before, the oldest first"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page; amounts in hundredths of the settlement currency"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn adjustments(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    let Some(adjustments) = &app.adjustments else { return no(404, UNSETTLED) };
    match asked.adjustments().and_then(|filter| Ok((filter, asked.walk()?, asked.limit(ROWS)?))) {
        Ok((filter, walk, limit)) => answered(adjustments.list(&filter, walk, limit).await),
        Err(error) => wrong(error),
    }
}

/// Asks for a correction of the next settlement, or approves one: JSON with `id`, `contract`, `amount`
/// (text, such as `-12.50`, in the settlement currency), `reason`, `by`. An approval repeats what was
/// asked for and has `approved_by`: another person, in an act of its own.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/adjustments", tag = "admin",
    request_body(content = String, content_type = "application/json", description = "`id`, `contract`, `amount`, `reason`, `by`, `approved_by`"),
    responses(
        (status = 200, description = "The correction afterwards"),
        (status = 400, description = "The body is wrong; the answer names the field"),
        (status = 404, description = "The contract is not settled"),
        (status = 409, description = "It does not go by the rules, or others were faster; the answer says why"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn adjust(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    let Some(adjustments) = app.adjustments.clone() else { return no(404, UNSETTLED) };
    act(
        &app,
        who,
        request,
        |_, wanted: AdjustmentAct| async move { adjustments.act(&wanted).await },
    )
    .await
}

/// The name of a series, unless another is asked for.
pub const SERIES: &str = "default";

/// The runs of reconciliation of a series.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/reconciliations", tag = "admin",
    params(
        ("series" = Option<String>, Query, description = "`default` unless said otherwise"),
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
pub(crate) async fn reconciliations(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    match asked.walk().and_then(|walk| Ok((walk, asked.limit(ROWS)?))) {
        Ok((walk, limit)) => {
            let series = asked.get("series").unwrap_or(SERIES);
            answered(app.service.reconciliation_runs(series, walk, limit).await)
        }
        Err(error) => wrong(error),
    }
}

/// The breaks of a series with what was decided about them. By `risk` or `age` a series of at most
/// 20,000 that fit is sorted.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/breaks", tag = "admin",
    params(
        ("series" = Option<String>, Query, description = "`default` unless said otherwise"),
        ("which" = Option<String>, Query, description = "`open` (unless said otherwise), `undecided`, `unapproved`, `all`"),
        ("kind" = Option<String>, Query, description = "Of this kind"),
        ("order" = Option<String>, Query, description = "`id` (unless said otherwise), `risk`: most at risk first, `age`: first seen first"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 404, description = "This program is built without reconciliation"),
        (status = 409, description = "Too many to be sorted"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn breaks(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    let Some(review) = &app.breaks else { return no(404, WITHOUT) };
    let wanted = asked.breaks(&review.kinds()).and_then(|filter| Ok((filter, asked.limit(ROWS)?)));
    match wanted {
        Ok((filter, limit)) => {
            let (series, after) =
                (asked.get("series").unwrap_or(SERIES), asked.get("after").unwrap_or_default());
            answered(review.breaks(series, &filter, after, limit).await)
        }
        Err(error) => wrong(error),
    }
}

const WITHOUT: &str = "this program is built without reconciliation";

/// One break, with what was decided about it.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/breaks/{id}", tag = "admin",
    params(
        ("id" = String, Path, description = "break_id"),
        ("series" = Option<String>, Query, description = "`default` unless said otherwise")
    ),
    responses(
        (status = 200, description = "The break"),
        (status = 404, description = "No such break in this series"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn one_break(
    State(app): State<App>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(review) = &app.breaks else { return no(404, WITHOUT) };
    match review.one(asked(query).get("series").unwrap_or(SERIES), &id).await {
        Ok(None) => no(404, "no such break in this series"),
        found => answered(found),
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
    act(&app, who, request, |_, act: BreakAct| async move {
        review.act(asked.get("series").unwrap_or(SERIES), &id, &act).await
    })
    .await
}
