//! The catch-up feed of PSPs: `GET /feed`, a line of JSON for each final change.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use gopay_inbound::Peer;
use gopay_service::{FeedCall, FeedError, FeedPage, FeedQuery};
use serde_json::json;

use crate::caller::caller;
use crate::guard::basic;
use crate::{App, respond};

const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// Everything final that happened to payments and refunds of a PSP's contracts, in order.
///
/// The last line has the kind `position` and no change: its `cursor` is where to go on, and `more`
/// whether to ask again at once. Without it the answer has broken off.
#[cfg_attr(test, utoipa::path(get, operation_id = "feed",
    path = "/feed",
    tag = "psp",
    params(
        ("contractid" = Option<String>, Query, description = "One contract; all of the login's if absent"),
        ("after" = Option<String>, Query, description = "A cursor of an earlier line; from the beginning if absent"),
        ("limit" = Option<u32>, Query, description = "Lines at most, 1 to 1000; 500 if absent"),
        ("wait" = Option<u32>, Query, description = "Seconds to wait if there is nothing, 0 to 30; 0 if absent")
    ),
    responses(
        (status = 200, description = "Lines of feed-line.schema.json", content_type = "application/x-ndjson", body = String),
        (status = 400, description = "A parameter is wrong: its name and what would be right"),
        (status = 401, description = "Login, password and contract do not belong together"),
        (status = 403, description = "The contract is disabled"),
        (status = 503, description = "Too many calls at once, or the store does not answer; try again in 10 seconds")
    )
))]
pub(crate) async fn feed(
    State(app): State<App>,
    peer: Option<Extension<Peer>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let caller = match peer {
        Some(Extension(peer)) => caller(&peer),
        None => IpAddr::V4(Ipv4Addr::UNSPECIFIED).into(),
    };
    let Some((login, password)) = headers.get(AUTHORIZATION).and_then(basic) else {
        return refused(&FeedError::Unauthenticated);
    };
    let query = query.unwrap_or_default();
    let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).collect();
    let pairs = pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let call = FeedCall { login, password: password.into(), query: FeedQuery::read(pairs) };
    let mut draining = app.draining.clone();
    // Who cannot know when the end is to come does not wait.
    let stop = async move { drop(draining.wait_for(|draining| *draining).await) };
    match app.service.feed(call, caller, stop).await {
        Ok(page) => with(respond(200, NDJSON, lines(&page)), CACHE_CONTROL, "no-store"),
        Err(error) => refused(&error),
    }
}

fn lines(page: &FeedPage) -> Body {
    let mut text = String::new();
    for line in &page.lines {
        text.push_str(&serde_json::to_string(line).unwrap_or_default());
        text.push('\n');
    }
    let position = json!({"cursor": page.cursor, "kind": "position", "more": page.more});
    text.push_str(&format!("{position}\n"));
    text.into()
}

fn refused(error: &FeedError) -> Response {
    let no = |status, reason: &str| respond(status, JSON, json!({"reason": reason}).to_string());
    match error {
        FeedError::Unauthenticated => {
            let basic = "Basic realm=\"gopay-adapter\", charset=\"UTF-8\"";
            with(no(401, "Authentication failed"), WWW_AUTHENTICATE, basic)
        }
        FeedError::Disabled => {
            let reason = "the contract is disabled; a contract that is enabled";
            let body = json!({"field": "contractid", "reason": reason});
            respond(403, JSON, body.to_string())
        }
        FeedError::Parameter(field, wanted) => {
            respond(400, JSON, json!({"field": field, "reason": wanted}).to_string())
        }
        FeedError::Overloaded => {
            with(no(503, "too many calls at once; try again in 10 seconds"), RETRY_AFTER, "10")
        }
        FeedError::Unavailable => {
            with(no(503, "temporary fault; try again in 10 seconds"), RETRY_AFTER, "10")
        }
    }
}

fn with(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}
