//! The HTTP face of the adapter: routers for its three listeners. No rules, no SQL: a handler
//! reads the request, calls one function of the service, and renders.
//!
//! Reading order: [`App`], [`listener`], [`psp`], `feed`, [`public`], `device`, [`pages`], [`guard`], [`admin`].

pub mod admin;
#[cfg(test)]
mod description;
mod device;
mod feed;
pub mod guard;
pub mod pages;
pub mod psp;
pub mod public;
mod routes;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use gopay_service::Service;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;

use crate::guard::Access;

/// What handlers share. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub service: Service,
    /// Bounds of requests.
    pub limits: Limits,
    /// What is being read.
    pub bodies: Bodies,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Who may use the admin listener.
    pub access: Access,
    /// Reads the config again; none where there is no file to read.
    pub reload: Option<Reload>,
    /// True once the process is about to end: calls are still taken, new callers are not wanted.
    pub draining: watch::Receiver<bool>,
}

/// Reads the config again and goes by it, as a whole or not at all. It reads files.
pub type Reload = Arc<dyn Fn() -> Result<Reloaded, Vec<String>> + Send + Sync>;

/// What came of reading the config again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// Keys whose change waits for a restart.
    pub waiting: Vec<&'static str>,
    /// What is dangerous though it works.
    pub warnings: Vec<String>,
}

/// Adds to a listener what holds for all its routes: callers are asked to leave while it drains,
/// so that nobody sends a call on a connection that is just being closed; and a browser that has gone
/// astray is told so by a page.
pub fn listener(routes: Router, app: &App) -> Router {
    let draining = app.draining.clone();
    routes.layer(from_fn(astray)).layer(map_response(move |mut response: Response| {
        if *draining.borrow() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        std::future::ready(response)
    }))
}

/// Gives a browser a page where the router has nothing but a status: no such path, another method.
async fn astray(request: axum::extract::Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let browser = gopay_pages::wants_page(accept).then(|| pages::language(request.headers()));
    let response = next.run(request).await;
    let status = response.status();
    match browser {
        Some(language)
            if matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
                && !response.headers().contains_key(header::CONTENT_TYPE) =>
        {
            let mut page = pages::astray(status, language);
            if let Some(allow) = response.headers().get(header::ALLOW) {
                page.headers_mut().insert(header::ALLOW, allow.clone());
            }
            page
        }
        Some(_) | None => response,
    }
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
    /// Too much is being read for others.
    Busy,
}

/// The bytes of all bodies that are being read, over all listeners, bounded: nobody has shown a
/// password yet, and each body may be long and slow.
#[derive(Clone, Debug, Default)]
pub struct Bodies(Arc<AtomicUsize>);

/// Bytes of one body, given back when dropped.
struct Share<'a> {
    bodies: &'a Bodies,
    bytes: usize,
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.bytes = self.bytes.saturating_add(bytes);
        let before = self.bodies.0.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > Bodies::BYTES_MAX { Err(BodyError::Busy) } else { Ok(()) }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.bodies.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Bodies {
    /// Bytes of unfinished bodies at once: 256 calls of the largest size, or 32,000 usual ones.
    pub const BYTES_MAX: usize = 64 * 1024 * 1024;

    /// Reads a body within its bounds.
    ///
    /// A body that is too long is read to its end all the same, up to a bound, and thrown away:
    /// closing a connection with unread bytes would destroy the answer on its way.
    pub(crate) async fn read(
        &self,
        request: Request<Body>,
        bytes_max: usize,
        timeout: Duration,
    ) -> Result<Bytes, BodyError> {
        const DRAINED_MAX: usize = 64 * 1024 * 1024;
        let mut stream = request.into_body().into_data_stream();
        let mut kept = BytesMut::new();
        let mut seen = 0_usize;
        let mut share = Share { bodies: self, bytes: 0 };
        let reading = async {
            while let Some(chunk) = stream.next().await {
                let chunk = chunk.map_err(|_| BodyError::Broken)?;
                seen = seen.saturating_add(chunk.len());
                if seen > DRAINED_MAX {
                    break;
                }
                if seen <= bytes_max {
                    share.grow(chunk.len())?;
                    kept.extend_from_slice(&chunk);
                }
            }
            if seen > bytes_max { Err(BodyError::TooLong) } else { Ok(kept.freeze()) }
        };
        tokio::time::timeout(timeout, reading).await.unwrap_or(Err(BodyError::TooSlow))
    }
}

/// An answer of one body and content type.
pub(crate) fn respond(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_share_one_bound_and_give_it_back() {
        const SECOND: Duration = Duration::from_secs(1);
        let bodies = Bodies::default();
        let read = async |text: &'static str| {
            bodies.read(Request::new(Body::from(text)), 1_024, SECOND).await
        };
        let taken = Bodies::BYTES_MAX - 4;
        bodies.0.fetch_add(taken, Ordering::Relaxed);
        assert!(read("four").await.is_ok_and(|body| body == "four"));
        assert!(matches!(read("fives").await, Err(BodyError::Busy)));
        assert_eq!(bodies.0.load(Ordering::Relaxed), taken);
    }
}
