//! What operators do over JSON: one way for all acts to read who does what and why, to do it, and to
//! answer.

use std::error::Error;

use axum::body::Body;
use axum::extract::Extension;
use axum::http::Request;
use axum::response::Response;
use bytes::Bytes;
use gopay_core::ids::TxId;
use gopay_core::text::printable_json;
use gopay_service::desk::{ActError, AdjustmentAct, BookError, BreakAct, Deed, RefundOrder};
use gopay_service::{EraseError, ResolveError, Service, StoreError, chain};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::guard::{Who, Why};
use crate::json::{BODY_BYTES_MAX, JSON, no};
use crate::{App, respond};

/// Why an act was not done.
pub trait NotDone: Error {
    /// The status of the answer.
    fn status(&self) -> u16;
}

impl NotDone for ActError {
    fn status(&self) -> u16 {
        match self {
            Self::Text { .. } | Self::Field(_) => 400,
            Self::NoPayment(_) | Self::NothingLost => 404,
            Self::NotNow(_) => 409,
            Self::Store(_) => 503,
        }
    }
}

impl NotDone for EraseError {
    fn status(&self) -> u16 {
        match self {
            Self::Text { .. } => 400,
            Self::Unknown(_) => 404,
            Self::Already(_) | Self::Needed { .. } | Self::Archived { .. } => 409,
            Self::Store(_) => 503,
        }
    }
}

impl NotDone for ResolveError {
    fn status(&self) -> u16 {
        match self {
            Self::Text { .. } => 400,
            Self::NotListed(_) => 404,
            Self::Returning(_) | Self::NotReturnable(_) => 409,
            Self::Store(_) => 503,
        }
    }
}

impl NotDone for BookError {
    fn status(&self) -> u16 {
        match self {
            Self::Field(_) => 400,
            Self::Unknown(_) => 404,
            Self::Refused(_) => 409,
            Self::Store(_) => 503,
        }
    }
}

impl NotDone for StoreError {
    fn status(&self) -> u16 {
        503
    }
}

/// What a body asks for, and why.
pub(crate) trait Act: DeserializeOwned {
    fn why(&self) -> &str;
}

impl Act for Deed {
    fn why(&self) -> &str {
        &self.reason
    }
}

impl Act for RefundOrder {
    fn why(&self) -> &str {
        &self.reason
    }
}

impl Act for BreakAct {
    fn why(&self) -> &str {
        &self.reason
    }
}

impl Act for AdjustmentAct {
    fn why(&self) -> &str {
        &self.reason
    }
}

/// An answer of what there is. What comes from outside may hold characters that a terminal acts on.
pub(crate) fn answer(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => respond(200, JSON, printable_json(&text)),
        Err(error) => no(500, error.to_string()),
    }
}

/// An answer that says why something was not done, or cannot be told.
pub(crate) fn not_done(error: &impl NotDone) -> Response {
    no(error.status(), chain(error))
}

pub(crate) fn answered<T: Serialize>(found: Result<T, impl NotDone>) -> Response {
    found.map_or_else(|error| not_done(&error), |value| answer(&value))
}

/// The bytes of a body.
pub(crate) async fn sent(app: &App, request: Request<Body>) -> Result<Bytes, Response> {
    let bytes = app.bodies.admin.read(request, BODY_BYTES_MAX, app.limits.body_timeout).await;
    bytes.map_err(|_| no(400, "the body cannot be read"))
}

/// What a body tells. An operator with a token acts in their own name, whomever the body names.
///
/// # Errors
/// Not JSON, or not with these members.
pub fn told<T: DeserializeOwned>(
    body: &[u8],
    operator: Option<&str>,
) -> Result<T, serde_json::Error> {
    let mut value: Value = serde_json::from_slice(body)?;
    if let (Some(name), Some(members)) = (operator, value.as_object_mut()) {
        // An approval names who has decided.
        let own = if members.contains_key("approved_by") { "approved_by" } else { "by" };
        members.insert(own.to_owned(), json!(name));
    }
    serde_json::from_value(value)
}

/// What a body asks for, in the name of who shows a token; else the answer that says what is wrong.
pub(crate) async fn wanted<B: DeserializeOwned>(
    app: &App,
    who: Option<Extension<Who>>,
    request: Request<Body>,
) -> Result<B, Response> {
    let body = sent(app, request).await?;
    let operator = who.and_then(|Extension(Who(name))| name);
    told(&body, operator.as_deref()).map_err(|error| no(400, error.to_string()))
}

/// Does what a body asks for, and answers what came of it.
pub(crate) async fn act<B, T, E, Done>(
    app: &App,
    who: Option<Extension<Who>>,
    request: Request<Body>,
    work: impl FnOnce(Service, B) -> Done,
) -> Response
where
    B: Act,
    T: Serialize,
    E: NotDone,
    Done: Future<Output = Result<T, E>>,
{
    match wanted::<B>(app, who, request).await {
        Ok(wanted) => {
            let why = Why(wanted.why().to_owned());
            let mut response = answered(work(app.service.clone(), wanted).await);
            response.extensions_mut().insert(why);
            response
        }
        Err(answer) => answer,
    }
}

/// The same about the transaction that a path names.
pub(crate) async fn act_about<B, T, E, Done>(
    app: &App,
    id: &str,
    who: Option<Extension<Who>>,
    request: Request<Body>,
    work: impl FnOnce(Service, TxId, B) -> Done,
) -> Response
where
    B: Act,
    T: Serialize,
    E: NotDone,
    Done: Future<Output = Result<T, E>>,
{
    let Ok(tx_id) = id.parse::<TxId>() else { return no(404, "no TXID") };
    act(app, who, request, |service, wanted| work(service, tx_id, wanted)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::GivenUpSince;

    #[test]
    fn a_body_does_not_name_another_than_who_shows_a_token() {
        let deed = |body: &str, operator| told::<Deed>(body.as_bytes(), operator);
        let named = r#"{"by":"Budi","reason":"a test"}"#;
        assert_eq!(deed(named, None).unwrap().by, "Budi");
        assert_eq!(deed(named, Some("sri")).unwrap().by, "sri");
        assert_eq!(deed(r#"{"reason":"a test"}"#, Some("sri")).unwrap().by, "sri");
        // As if the token were the approver's: there is nothing to approve.
        let hidden = r#"{"by":"Budi","approved_by":"Budi","reason":"a test"}"#;
        assert!(deed(hidden, Some("sri")).is_err());
        let since =
            r#"{"failed_since":"2026-01-31T08:00:00Z","by":"Budi","approved_by":"x","reason":"a"}"#;
        assert!(told::<GivenUpSince>(since.as_bytes(), Some("sri")).is_err());
        let act =
            r#"{"decision":"accept","by":"Budi","approved_by":"x","reason":"a","version":"1"}"#;
        let act = told::<BreakAct>(act.as_bytes(), Some("sri")).unwrap();
        assert_eq!((act.by.as_str(), act.approved_by.as_deref()), ("Budi", Some("sri")));
    }
}
