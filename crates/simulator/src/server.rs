//! The shell: an axum router over the engine, and the worker that sends notifications.

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream;
use gopay_pages::{Asset, HEADERS_WITH_FORMS};
use reqwest::redirect::Policy;
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::api::{ApiReply, ApiRequest, Delivery, HEADERS_READ, HTML, JSON};
use crate::clock::SharedClock;
use crate::config::SimulatorConfig;
use crate::control;
use crate::engine::Engine;
use crate::outbox::{NotificationOutcome, OutgoingNotification};
use crate::pages;
use crate::state_file::{Shared, StateError, StateFile};

/// Far above the 16,000 characters of a request, so that the engine can refuse what is too long.
const BODY_BYTES_MAX: usize = 1 << 20;
/// As upstream (`docs/midtrans.md`, "Delivery").
const NOTIFICATION_TIMEOUT: Duration = Duration::from_secs(15);
const REDIRECTS_MAX: usize = 5;
/// Enough to keep a local receiver busy, few enough to leave it sockets.
const NOTIFICATIONS_IN_FLIGHT_MAX: usize = 64;
/// The clock may be moved from outside, so the worker looks at it at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Time for the first half of a truncated answer to leave before the connection closes.
const TRUNCATE_PAUSE: Duration = Duration::from_millis(20);

/// What handlers and worker share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SimulatorState {
    shared: Arc<Mutex<Shared>>,
    /// Where the state survives; none: in memory only.
    file: Option<Arc<StateFile>>,
    clock: SharedClock,
    wake: Arc<Notify>,
    client: Arc<OnceLock<reqwest::Client>>,
}

impl SimulatorState {
    /// A simulator that has seen nothing yet and keeps its state in memory.
    #[must_use]
    pub fn new(config: SimulatorConfig, clock: SharedClock) -> Self {
        Self::with(Shared::in_memory(Engine::new(config)), None, clock)
    }

    /// [`Self::open`] with a folder, else [`Self::new`].
    ///
    /// # Errors
    /// [`StateError`].
    pub fn start(
        config: SimulatorConfig,
        clock: SharedClock,
        folder: Option<&Path>,
    ) -> Result<Self, StateError> {
        match folder {
            Some(folder) => Self::open(config, clock, folder),
            None => Ok(Self::new(config, clock)),
        }
    }

    /// A simulator that goes on where the one before it, in the same folder, ended or was killed;
    /// the first one makes the folder. The clock is moved as far ahead as it was.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(
        config: SimulatorConfig,
        clock: SharedClock,
        folder: &Path,
    ) -> Result<Self, StateError> {
        let (file, shared, ahead) = StateFile::open(folder, config)?;
        clock.advance(ahead.saturating_sub(clock.ahead()));
        Ok(Self::with(shared, Some(Arc::new(file)), clock))
    }

    fn with(shared: Shared, file: Option<Arc<StateFile>>, clock: SharedClock) -> Self {
        Self {
            shared: Arc::new(Mutex::new(shared)),
            file,
            clock,
            wake: Arc::new(Notify::new()),
            client: Arc::new(OnceLock::new()),
        }
    }

    /// The clock it goes by.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Calls `action` with the engine, then wakes the notification worker. The engine is locked
    /// meanwhile: do not block in it. What changed reaches the disk with the next answer, or when
    /// the notification worker looks.
    pub fn with_engine<T>(&self, action: impl FnOnce(&mut Engine) -> T) -> T {
        let result = self.quietly(action);
        self.wake.notify_one();
        result
    }

    /// As [`Self::with_engine`], for the worker, which would wake itself.
    fn quietly<T>(&self, action: impl FnOnce(&mut Engine) -> T) -> T {
        // A panic while the engine was locked is a bug; what it holds is still worth showing.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let result = action(&mut shared.engine);
        if self.file.is_some() {
            shared.collect(self.clock.ahead());
        }
        result
    }

    /// Waits until all that has happened so far is on disk. Does nothing without a folder.
    ///
    /// # Errors
    /// The state cannot be written. It is tried again, as a whole, with the next call.
    pub async fn saved(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let commit = self.shared.lock().unwrap_or_else(PoisonError::into_inner).commit();
        if file.has(commit) {
            return Ok(());
        }
        let (file, shared) = (Arc::clone(file), Arc::clone(&self.shared));
        let ahead = self.clock.ahead();
        let write = move || file.write(commit, &shared, ahead);
        tokio::task::spawn_blocking(write).await.map_err(io::Error::other)?
    }

    /// Sends every notification that is due, waits for the outcomes and counts them.
    ///
    /// # Errors
    /// The HTTP client could not be built.
    pub async fn flush_notifications(&self) -> Result<Flushed, reqwest::Error> {
        let client = self.client()?;
        let due = self.with_engine(|engine| engine.due_notifications(self.clock.now()));
        let mut flushed = Flushed::default();
        let mut sending = JoinSet::new();
        for notification in due {
            if sending.len() >= NOTIFICATIONS_IN_FLIGHT_MAX {
                flushed.count(sending.join_next().await);
            }
            sending.spawn(deliver(self.clone(), client.clone(), notification));
        }
        while let Some(ended) = sending.join_next().await {
            flushed.count(Some(ended));
        }
        Ok(flushed)
    }

    /// Built on first use, because a process without TLS provider can still serve everything else.
    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let built = reqwest::Client::builder()
            .user_agent("Veritrans")
            .redirect(Policy::none())
            .timeout(NOTIFICATION_TIMEOUT)
            // Upstream speaks no TLS 1.3: a receiver that speaks nothing else hears nothing.
            .tls_version_max(reqwest::tls::Version::TLS_1_2)
            .no_proxy()
            .build()?;
        Ok(self.client.get_or_init(|| built).clone())
    }
}

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Flushed {
    /// Tries made.
    pub sent: u64,
    /// Of these, taken by the receiver.
    pub delivered: u64,
    /// Of these, not.
    pub failed: u64,
}

impl Flushed {
    fn count(&mut self, ended: Option<Result<NotificationOutcome, tokio::task::JoinError>>) {
        let Some(ended) = ended else { return };
        let delivered = ended.is_ok_and(NotificationOutcome::delivered);
        self.sent += 1;
        self.delivered += u64::from(delivered);
        self.failed += u64::from(!delivered);
    }
}

/// The whole HTTP surface: Core API, checkout page, the simulator's own pages, control API.
pub fn router(state: SimulatorState) -> Router {
    Router::new()
        .route("/simulator/v1/notifications/flush", post(flush))
        .route("/simulator/pages.css", get(|| std::future::ready(asset(Asset::Style))))
        .route("/simulator/pages.svg", get(|| std::future::ready(asset(Asset::Icon))))
        .fallback(answer)
        .with_state(state)
}

fn asset(asset: Asset) -> Response {
    let mut response = Response::new(Body::from(asset.text()));
    for (name, value) in [
        (header::CONTENT_TYPE, asset.content_type()),
        (header::CACHE_CONTROL, Asset::CACHE_CONTROL),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses what another site's page sends to the control API or the simulator's own pages, which
/// have no login: whoever develops has a browser open beside it. The Core API has keys, and the wallet
/// is for everybody.
fn foreign(state: &SimulatorState, path: &str, headers: &HeaderMap) -> Option<Response> {
    if !path.starts_with(pages::PREFIX) && path != "/" {
        return None;
    }
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let base = state.quietly(|engine| engine.config().base_url.clone());
    let known = reqwest::Url::parse(&base).ok();
    let known = known.as_ref().and_then(reqwest::Url::host_str);
    let (host, origin) = (text(header::HOST), text(header::ORIGIN));
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    // Somebody who follows a link to a page does nothing by it.
    let looks = site == Some("cross-site")
        && origin.is_none()
        && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    let site = if looks { None } else { site };
    if gopay_pages::is_own_page(host, origin, site, known) {
        return None;
    }
    let text = "a page of another site, or a name that is not this simulator's: open it by its address or by the host of base_url";
    Some(respond(control::error(403, "foreign", text)))
}

async fn flush(State(state): State<SimulatorState>, headers: HeaderMap) -> Response {
    if let Some(refused) = foreign(&state, control::PREFIX, &headers) {
        return refused;
    }
    let flushed = state.flush_notifications().await;
    let reply = match flushed {
        Ok(flushed) => {
            let queue = state.with_engine(|engine| engine.notification_queue());
            ApiReply::json(200, &json!({"flushed": flushed, "queue": queue}))
        }
        Err(error) => control::error(500, "client", &error.to_string()),
    };
    respond(durable(&state, reply).await)
}

/// Answers by the simulator's clock: `Date` is its time, as Midtrans' is the bank's.
async fn answer(State(state): State<SimulatorState>, request: Request) -> Response {
    let clock = Arc::clone(&state.clock);
    let mut response = answer_undated(state, request).await;
    let date = httpdate::fmt_http_date(clock.now().into());
    if let Ok(date) = HeaderValue::try_from(date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
}

async fn answer_undated(state: SimulatorState, request: Request) -> Response {
    if let Some(refused) = foreign(&state, request.uri().path(), request.headers()) {
        return refused;
    }
    let Ok(request) = read(request).await else {
        return respond(control::error(413, "body", "the body is too long or broke off"));
    };
    let reply = if request.path.starts_with(control::PREFIX) {
        let clock = Arc::clone(&state.clock);
        state.with_engine(|engine| control::handle(engine, clock.as_ref(), &request))
    } else if let Some(request) = own_page(&request) {
        let clock = Arc::clone(&state.clock);
        state.with_engine(|engine| pages::handle(engine, clock.as_ref(), &request))
    } else {
        state.with_engine(|engine| engine.handle(state.clock.now(), &request))
    };
    hand_over(state, reply).await
}

/// A request for one of the simulator's own pages; a browser that opens `/`, or a path that nothing is
/// at, gets one of them as well.
fn own_page(request: &ApiRequest) -> Option<Cow<'_, ApiRequest>> {
    let below = request.path.strip_prefix(pages::PREFIX);
    if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return Some(Cow::Borrowed(request));
    }
    let browser = request.method == "GET" && gopay_pages::wants_page(request.header("accept"));
    if !browser || Engine::has_path(&request.path) {
        return None;
    }
    let path = format!("{}{}", pages::PREFIX, request.path.trim_end_matches('/'));
    Some(Cow::Owned(ApiRequest { path, ..request.clone() }))
}

/// An answer that will still be true if the process is killed now.
async fn durable(state: &SimulatorState, reply: ApiReply) -> ApiReply {
    match state.saved().await {
        Ok(()) => reply,
        Err(error) => {
            tracing::error!(error = %error, "the simulator's state cannot be written");
            control::error(503, "state", "the simulator's state cannot be written")
        }
    }
}

async fn read(request: Request) -> Result<ApiRequest, axum::Error> {
    let (parts, body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name)?.to_str().ok().map(str::to_owned);
    let headers =
        HEADERS_READ.iter().filter_map(|name| Some(((*name).to_owned(), text(name)?))).collect();
    Ok(ApiRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: to_bytes(body, BODY_BYTES_MAX).await?,
    })
}

/// Waits as long as the reply says, and lets a deferred call have its effect even if the caller
/// has hung up by then.
async fn hand_over(state: SimulatorState, reply: ApiReply) -> Response {
    if let Delivery::Deferred { ticket } = reply.delivery {
        let resumed = tokio::spawn(async move {
            tokio::time::sleep(reply.delay).await;
            let late = state.with_engine(|engine| engine.resume(state.clock.now(), ticket));
            durable(&state, late).await
        });
        return match resumed.await {
            Ok(late) => respond(late),
            Err(_) => respond(ApiReply::new(500, JSON, "")),
        };
    }
    let reply = durable(&state, reply).await;
    if !reply.delay.is_zero() {
        tokio::time::sleep(reply.delay).await;
    }
    respond(reply)
}

fn respond(reply: ApiReply) -> Response {
    let length = reply.body.len();
    let body = match reply.delivery {
        Delivery::Answer | Delivery::Deferred { .. } => Body::from(reply.body),
        // The server buffers the head until the body's first bytes; an error instead of them closes
        // the connection before anything was written.
        Delivery::Drop => Body::from_stream(stream::once(async {
            Err::<Bytes, _>(io::Error::other("dropped by a fault"))
        })),
        Delivery::Truncate => truncated(&reply.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if reply.delivery == Delivery::Truncate {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(seconds) = reply.refresh_seconds {
        headers.insert(header::REFRESH, HeaderValue::from(seconds));
    }
    if let Some(Ok(location)) = reply.location.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::LOCATION, location);
    }
    if reply.content_type == HTML {
        for (name, value) in HEADERS_WITH_FORMS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    response
}

fn truncated(body: &Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    let parts = stream::unfold(Some(half), |left| async move {
        match left {
            Some(half) if !half.is_empty() => Some((Ok(half), Some(Bytes::new()))),
            Some(_) => {
                tokio::time::sleep(TRUNCATE_PAUSE).await;
                Some((Err(io::Error::other("truncated by a fault")), None))
            }
            None => None,
        }
    });
    Body::from_stream(parts)
}

/// Sends notifications as they fall due, until `shutdown` is ready.
///
/// # Errors
/// The HTTP client could not be built.
pub async fn run_notifications(
    state: SimulatorState,
    shutdown: impl Future<Output = ()>,
) -> Result<(), reqwest::Error> {
    let client = state.client()?;
    let mut sending = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let free = NOTIFICATIONS_IN_FLIGHT_MAX.saturating_sub(sending.len());
        for notification in take_due(&state, free) {
            sending.spawn(deliver(state.clone(), client.clone(), notification));
        }
        // What happened by itself, or in a call from within the process.
        if let Err(error) = state.saved().await {
            tracing::error!(error = %error, "the simulator's state cannot be written");
        }
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            Some(_) = sending.join_next() => {}
            () = state.wake.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

fn take_due(state: &SimulatorState, max: usize) -> Vec<OutgoingNotification> {
    let now = state.clock.now();
    state.quietly(|engine| engine.due_notifications_up_to(now, max))
}

async fn deliver(
    state: SimulatorState,
    client: reqwest::Client,
    notification: OutgoingNotification,
) -> NotificationOutcome {
    let outcome = send(&client, &notification).await;
    tracing::debug!(attempt = notification.attempt, ?outcome, "notification sent");
    let now = state.clock.now();
    state.with_engine(|engine| engine.notification_result(notification.id, now, outcome));
    outcome
}

/// Posts the body, following 307 and 308 with the same body.
async fn send(
    client: &reqwest::Client,
    notification: &OutgoingNotification,
) -> NotificationOutcome {
    let Ok(mut url) = reqwest::Url::parse(&notification.url) else {
        return NotificationOutcome::Failed;
    };
    for _ in 0..=REDIRECTS_MAX {
        let answer = client
            .post(url.clone())
            .header(header::CONTENT_TYPE, JSON)
            .header(header::ACCEPT, JSON)
            .body(notification.body.clone())
            .send()
            .await;
        let Ok(answer) = answer else { return NotificationOutcome::Failed };
        let status = answer.status().as_u16();
        let location = answer.headers().get(header::LOCATION).and_then(|text| text.to_str().ok());
        match (status, location.and_then(|text| url.join(text).ok())) {
            (307 | 308, Some(next)) => url = next,
            _ => return NotificationOutcome::Status(status),
        }
    }
    NotificationOutcome::Failed
}
