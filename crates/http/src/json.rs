//! Answers and bodies of the admin listener.

use axum::response::Response;
use serde_json::json;

use crate::respond;

/// The media type.
pub(crate) const JSON: &str = "application/json";

/// A reason of 500 characters and a name, each character escaped.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// An answer that says why not.
pub(crate) fn no(status: u16, reason: impl Into<String>) -> Response {
    respond(status, JSON, json!({"reason": reason.into()}).to_string())
}
