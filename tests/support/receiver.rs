//! A PSP's receiver of notifications in the test's own process: it keeps what came and answers by
//! a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use tokio::net::TcpListener;

/// What a script may answer.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Status(u16),
    Body(u16, String),
    Redirect(u16, String),
    /// No answer for longer than any test waits.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: String,
    pub(crate) traceparent: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Inner {
    seen: Vec<Seen>,
    script: VecDeque<Reply>,
    always: Option<Reply>,
}

/// A running receiver; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) base: String,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Self::on(listener)
    }

    pub(crate) fn on(listener: TcpListener) -> Self {
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let receiver = Self { base, inner: Arc::default() };
        let router = Router::new().fallback(answer).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/notify", self.base)
    }

    /// Answers the next requests like this, then 200.
    pub(crate) fn then(&self, replies: impl IntoIterator<Item = Reply>) {
        self.with(|inner| inner.script.extend(replies));
    }

    /// Answers like this whenever the script is at its end.
    pub(crate) fn always(&self, reply: Reply) {
        self.with(|inner| inner.always = Some(reply));
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.with(|inner| inner.seen.clone())
    }

    /// What came about one payment.
    pub(crate) fn seen_of(&self, txid: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.field("txid") == txid).collect()
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn answer(State(receiver): State<Receiver>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let text = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        content_type: text("content-type"),
        traceparent: text("traceparent"),
        fields: form_urlencoded::parse(&body).into_owned().collect(),
    };
    let reply = receiver.with(|inner| {
        inner.seen.push(seen);
        inner.script.pop_front().or_else(|| inner.always.clone())
    });
    let (status, location, body) = match reply.unwrap_or(Reply::Status(200)) {
        Reply::Status(status) => (status, None, "OK".to_owned()),
        Reply::Body(status, body) => (status, None, body),
        Reply::Redirect(status, to) => (status, Some(to), String::new()),
        Reply::Hang => {
            std::future::pending::<()>().await;
            (500, None, String::new())
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    if let Some(to) = location {
        response.headers_mut().insert(header::LOCATION, to.parse().expect("a URL"));
    }
    response
}
