//! What goes into the engine and what comes out, free of any HTTP library.

use std::time::Duration;

use bytes::Bytes;

/// The media type of every answer but pages and images.
pub const JSON: &str = "application/json";
/// The media type of the wallet pages.
pub const HTML: &str = "text/html; charset=utf-8";
/// The media type of the QR image.
pub const PNG: &str = "image/png";
/// The media type of the `garbage` fault.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// The request headers the engine reads; a shell needs to pass on no others.
pub const HEADERS_READ: [&str; 5] = [
    "authorization",
    "accept",
    "idempotency-key",
    "x-override-notification",
    "x-append-notification",
];

/// One HTTP request.
#[derive(Clone, Debug, Default)]
pub struct ApiRequest {
    /// Upper-case method.
    pub method: String,
    /// Path, percent-encoded as received, without the query.
    pub path: String,
    /// Query without the question mark.
    pub query: String,
    /// Headers by lower-case name; see [`HEADERS_READ`].
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Bytes,
}

impl ApiRequest {
    /// A request without headers.
    #[must_use]
    pub fn new(method: &str, path_and_query: &str, body: impl Into<Bytes>) -> Self {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same request with one more header; the name in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first header of that lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// How the shell hands an answer over. Except for [`Delivery::Deferred`], every effect of the call
/// has happened by then, whether or not the caller will ever see the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Answer normally.
    Answer,
    /// Close the connection without a single byte of answer.
    Drop,
    /// Announce the whole body, send half of it, close the connection.
    Truncate,
    /// Nothing has happened yet: after [`ApiReply::delay`] call `Engine::resume` with this ticket,
    /// even if the caller has gone, and hand that answer over instead.
    Deferred {
        /// What `Engine::resume` wants.
        ticket: u64,
    },
}

/// One answer.
#[derive(Clone, Debug)]
pub struct ApiReply {
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: &'static str,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// When a browser asks again by itself.
    pub refresh_seconds: Option<u32>,
    /// Body.
    pub body: Bytes,
    /// How long the caller has to wait for it.
    pub delay: Duration,
    /// How it is handed over.
    pub delivery: Delivery,
}

impl ApiReply {
    /// An answer given at once.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type,
            location: None,
            refresh_seconds: None,
            body: body.into(),
            delay: Duration::ZERO,
            delivery: Delivery::Answer,
        }
    }

    /// A 303 to `location`.
    #[must_use]
    pub fn see_other(location: String) -> Self {
        Self { location: Some(location), ..Self::new(303, HTML, Bytes::new()) }
    }

    pub(crate) fn json(status: u16, value: &impl serde::Serialize) -> Self {
        // Our answers are structs with string keys, which always serialize.
        Self::new(status, JSON, serde_json::to_vec(value).unwrap_or_default())
    }
}
