//! The directory in the store, as JSON.

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::Request;
use axum::response::Response;
use gopay_core::text::printable_json;
use gopay_service::desk::{DirectoryChange, DirectoryError, EntriesAsked, check_texts};
use serde_json::json;

use crate::acts::{self, answer, answered};
use crate::asked::{Asked, AskedError};
use crate::desk::{ROWS, asked, wrong};
use crate::guard::{Who, Why};
use crate::json::{JSON, no};
use crate::routes::Routes;
use crate::{App, respond};

pub(crate) fn routes(routes: Routes) -> Routes {
    routes
        .get("/admin/v1/directory", entries)
        .post("/admin/v1/directory", change)
        .get("/admin/v1/directory/subjects", subjects)
}

const WITHOUT: &str = "this program has no directory in a store";

/// What was entered about PSPs, contracts and accounts, in order, without secrets. A page may hold fewer
/// than `limit` rows although there are more: `next` says where to go on.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/directory", tag = "admin",
    params(
        ("kind" = Option<String>, Query, description = "`account`, `client`, `contract`"),
        ("name" = Option<String>, Query, description = "Name of the account, login, `contractid`"),
        ("after" = Option<i64>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 404, description = "There is none"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn entries(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let Some(desk) = app.directory.get().cloned() else { return no(404, WITHOUT) };
    match wanted(&asked(query)) {
        Ok(wanted) => answered(desk.entries(&wanted).await),
        Err(error) => wrong(error),
    }
}

/// Accounts, PSPs or contracts in the order of their names, each with what is in force and what is to
/// come, without secrets.
#[cfg_attr(test, utoipa::path(get, path = "/admin/v1/directory/subjects", tag = "admin",
    params(
        ("kind" = Option<String>, Query, description = "`account`, `client`, `contract`, which is the default"),
        ("begins" = Option<String>, Query, description = "What the name begins with"),
        ("after" = Option<String>, Query, description = "`next` of the page before"),
        ("limit" = Option<usize>, Query, description = "1 to 500")
    ),
    responses(
        (status = 200, description = "A page"),
        (status = 400, description = "A parameter is wrong; the answer names it"),
        (status = 404, description = "There is none"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn subjects(State(app): State<App>, RawQuery(query): RawQuery) -> Response {
    let Some(desk) = app.directory.get().cloned() else { return no(404, WITHOUT) };
    match asked(query).subjects(ROWS) {
        Ok(wanted) => answered(desk.subjects(&wanted).await),
        Err(error) => wrong(error),
    }
}

fn wanted(asked: &Asked) -> Result<EntriesAsked, AskedError> {
    let named = |name: &str| asked.get(name).filter(|text| !text.is_empty());
    let kind = asked.entry_kind()?;
    let after = match named("after") {
        None => 0,
        Some(text) => text
            .parse()
            .map_err(|_| AskedError("after: must be `next` of the page before".to_owned()))?,
    };
    let name = named("name").map(str::to_owned);
    Ok(EntriesAsked { kind, name, after, limit: asked.limit(ROWS)? })
}

/// Enters PSPs, contracts and accounts: new ones, and others in place of those that are there; as a
/// whole or not at all. Every instance goes by it within seconds. `stored:1` keeps a secret.
#[cfg_attr(test, utoipa::path(post, path = "/admin/v1/directory", tag = "admin",
    request_body(content = String, content_type = "application/json", description = "`by`, `reason`, `valid_from`, `dry_run`, `accounts`, `clients`, `contracts`"),
    responses(
        (status = 200, description = "What came of it"),
        (status = 400, description = "It is not valid; the answer has each problem with its key"),
        (status = 404, description = "There is none"),
        (status = 409, description = "It stands in the config file, or others entered something at the same time"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 503, description = "The store does not answer")
    )
))]
pub(crate) async fn change(
    State(app): State<App>,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Response {
    let Some(desk) = app.directory.get().cloned() else { return no(404, WITHOUT) };
    let change = match acts::wanted::<DirectoryChange>(&app, who, request).await {
        Ok(change) => change,
        Err(answer) => return answer,
    };
    if let Err(error) = check_texts(&change.reason, &change.by) {
        return no(400, gopay_service::chain(&error));
    }
    let why = Why(change.reason.clone());
    let mut response = match desk.change(change).await {
        Ok(changed) => answer(&changed),
        Err(error) => refused(&error),
    };
    response.extensions_mut().insert(why);
    response
}

fn refused(error: &DirectoryError) -> Response {
    let (status, problems) = match error {
        DirectoryError::Wrong(problems) => (400, problems.as_slice()),
        DirectoryError::Elsewhere | DirectoryError::Others => (409, &[][..]),
        DirectoryError::Store(_) => (503, &[][..]),
    };
    let body = json!({"reason": gopay_service::chain(error), "problems": problems});
    respond(status, JSON, printable_json(&body.to_string()))
}
