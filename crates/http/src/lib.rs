//! The HTTP face of the adapter: routers for its three listeners. No rules, no SQL: a handler
//! reads the request, calls one function of the service, and renders.
//!
//! Reading order: [`App`], [`psp`], [`public`], [`admin`], [`pages`].

pub mod admin;
pub mod pages;
pub mod psp;
pub mod public;

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use bytes::Bytes;
use gopay_service::Service;
use metrics_exporter_prometheus::PrometheusHandle;

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub service: Service,
    /// Bounds of requests.
    pub limits: Limits,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
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
pub(crate) async fn read_body(
    request: Request<Body>,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, BodyError> {
    let announced = request
        .headers()
        .get(axum::http::header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > bytes_max) {
        return Err(BodyError::TooLong);
    }
    let reading = axum::body::to_bytes(request.into_body(), bytes_max);
    match tokio::time::timeout(timeout, reading).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => {
            let mut source = std::error::Error::source(&error);
            let mut too_long = false;
            while let Some(inner) = source {
                too_long |= inner.to_string().contains("length limit exceeded");
                source = inner.source();
            }
            Err(if too_long { BodyError::TooLong } else { BodyError::Broken })
        }
        Err(_) => Err(BodyError::TooSlow),
    }
}

/// An answer of one body and content type.
pub(crate) fn respond(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    let value = axum::http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, value);
    response
}
