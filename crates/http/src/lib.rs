//! The HTTP face of the adapter: routers for its three listeners. No rules, no SQL: a handler
//! reads the request, calls one function of the service, and renders.
//!
//! Reading order: [`App`], [`listener`], [`Bodies`], [`psp`], `feed`, [`public`], `device`, [`pages`], [`guard`], [`acts`],
//! [`admin`], [`desk`] and [`books`] with [`asked`].

pub mod acts;
pub mod admin;
pub mod asked;
mod bodies;
pub mod books;
mod caller;
#[cfg(test)]
mod description;
pub mod desk;
mod device;
mod directory;
mod exposition;
mod feed;
pub mod guard;
mod json;
pub mod pages;
pub mod psp;
pub mod public;
mod routes;

use std::convert::Infallible;
use std::future::ready;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use gopay_service::Service;
use gopay_service::desk::{Adjustments, BreakReview, DirectoryDesk};
use pin_project_lite::pin_project;
use tokio::sync::watch;

pub use crate::bodies::{Bodies, BodyError, Budget};
pub use crate::exposition::Exposition;
use crate::guard::Access;

/// What handlers share. Cheap to clone: each request does.
#[derive(Clone)]
pub struct App(Arc<AppParts>);

/// What an [`App`] is made of.
pub struct AppParts {
    /// The use cases.
    pub service: Service,
    /// Bounds of requests.
    pub limits: Limits,
    /// What is being read.
    pub bodies: Bodies,
    /// Renders the metrics.
    pub metrics: Exposition,
    /// Who may use the admin listener.
    pub access: Access,
    /// Reads the config again; none where there is no file to read.
    pub reload: OnceLock<Reload>,
    /// Breaks of reconciliation; none in a program that is built without it.
    pub breaks: Option<Arc<dyn BreakReview>>,
    /// The directory in the store; none where nothing follows it.
    pub directory: OnceLock<Arc<dyn DirectoryDesk>>,
    /// Corrections of settlements; none in a program that settles nothing.
    pub adjustments: Option<Arc<dyn Adjustments>>,
    /// True once the process is about to end: calls are still taken, new callers are not wanted.
    pub draining: watch::Receiver<bool>,
}

impl From<AppParts> for App {
    fn from(parts: AppParts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for App {
    type Target = AppParts;

    fn deref(&self) -> &AppParts {
        &self.0
    }
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

/// What a listener serves: a browser that has gone astray is told of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serves {
    /// The Simple API.
    pub calls: bool,
    /// The pages of shoppers.
    pub shoppers: bool,
    /// The console.
    pub operators: bool,
}

/// Adds to a listener what holds for all its routes: callers are asked to leave while it drains,
/// so that nobody sends a call on a connection that is just being closed; and a browser that has gone
/// astray is told so by a page.
pub fn listener(routes: Router, app: &App, serves: Serves) -> Listener {
    let no_path = move |request: Request<Body>| {
        ready(
            pages::asset_of_errors(request.uri().path())
                .unwrap_or_else(|| astray(&request, StatusCode::NOT_FOUND, serves)),
        )
    };
    let no_method = move |request: Request<Body>| {
        ready(astray(&request, StatusCode::METHOD_NOT_ALLOWED, serves))
    };
    let routes = routes.fallback(no_path).method_not_allowed_fallback(no_method);
    Listener { routes, app: app.clone() }
}

/// Where the router has nothing but a status: a page for a browser. The bare address of the operators'
/// listener leads to the console.
fn astray(request: &Request<Body>, status: StatusCode, serves: Serves) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if !gopay_pages::wants_page(accept) {
        status.into_response()
    } else if status == StatusCode::NOT_FOUND && request.uri().path() == "/" && serves.operators {
        (StatusCode::SEE_OTHER, [(header::LOCATION, "/console")]).into_response()
    } else {
        pages::astray(status, pages::language(request.headers()), serves)
    }
}

/// The routes of a listener; see [`listener`]. A service of its own and no layer of the router, which
/// would cost each request two allocations and a copy of the router.
#[derive(Clone)]
pub struct Listener {
    routes: Router,
    app: App,
}

impl<B> tower_service::Service<Request<B>> for Listener
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Leaving<<Router as tower_service::Service<Request<B>>>::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Leaving {
            answer: tower_service::Service::call(&mut self.routes, request),
            app: self.app.clone(),
        }
    }
}

pin_project! {
    /// An answer of a [`Listener`].
    pub struct Leaving<F> {
        #[pin]
        answer: F,
        app: App,
    }
}

impl<F: Future<Output = Result<Response, Infallible>>> Future for Leaving<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let mut answer = std::task::ready!(this.answer.poll(context));
        if let Ok(answer) = &mut answer
            && *this.app.draining.borrow()
        {
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Poll::Ready(answer)
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

/// An answer of one body and content type.
#[must_use]
pub fn respond(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    let value = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
