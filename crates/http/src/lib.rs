//! The HTTP face of the adapter: routers for its three listeners. No rules, no SQL: a handler
//! reads the request, calls one function of the service, and renders.
//!
//! Reading order: [`App`], [`listener`], [`psp`], [`public`], [`admin`], [`pages`].

pub mod admin;
#[cfg(test)]
mod description;
pub mod pages;
pub mod psp;
pub mod public;
mod qr;
mod routes;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use axum::middleware::map_response;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use gopay_service::Service;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub service: Service,
    /// Bounds of requests.
    pub limits: Limits,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// True once the process is about to end: calls are still taken, new callers are not wanted.
    pub draining: watch::Receiver<bool>,
}

/// Adds to a listener what holds for all its routes: callers are asked to leave while it drains,
/// so that nobody sends a call on a connection that is just being closed.
pub fn listener(routes: Router, app: &App) -> Router {
    let draining = app.draining.clone();
    routes.layer(map_response(move |mut response: Response| {
        if *draining.borrow() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        std::future::ready(response)
    }))
}

/// Bounds of requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest body of a call, in bytes.
    pub call_bytes_max: usize,
    /// The longest notification, in bytes.
    pub notification_bytes_max: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A cart of 1,000 items, every byte of it percent-encoded, takes about 250 KB.
            call_bytes_max: 256 * 1024,
            // Midtrans sends 1 to 3 KB; metadata of up to 16 KB comes back in it.
            notification_bytes_max: 64 * 1024,
            body_timeout: Duration::from_secs(10),
        }
    }
}

/// Why a body could not be read.
pub(crate) enum BodyError {
    TooLong,
    TooSlow,
    Broken,
}

/// Reads a body within its bounds.
///
/// A body that is too long is read to its end all the same, up to a bound, and thrown away:
/// closing a connection with unread bytes would destroy the answer on its way.
pub(crate) async fn read_body(
    request: Request<Body>,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    const DRAINED_MAX: usize = 64 * 1024 * 1024;
    let mut stream = request.into_body().into_data_stream();
    let mut kept = BytesMut::new();
    let mut seen = 0_usize;
    let reading = async {
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| BodyError::Broken)?;
            seen = seen.saturating_add(chunk.len());
            if seen > DRAINED_MAX {
                break;
            }
            if seen <= bytes_max {
                kept.extend_from_slice(&chunk);
            }
        }
        if seen > bytes_max { Err(BodyError::TooLong) } else { Ok(kept.freeze()) }
    };
    tokio::time::timeout(timeout, reading).await.unwrap_or(Err(BodyError::TooSlow))
}

/// An answer of one body and content type.
pub(crate) fn respond(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
