//! A collector of traces in the test's own process: it keeps what it is sent, as it came and decoded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;

/// How a collector behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Takes,
    /// Answers each batch after two seconds.
    Slow,
    /// Takes the request and never answers.
    Silent,
    /// Answers 503.
    Refuses,
}

#[derive(Default)]
struct Kept {
    raw: Vec<u8>,
    spans: Vec<Span>,
    resource: Vec<(String, String)>,
}

/// A running collector; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) base: String,
    manner: Manner,
    kept: Arc<Mutex<Kept>>,
}

impl Collector {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        let collector = Self { base, manner, kept: Arc::default() };
        let routes = Router::new().route("/v1/traces", post(take)).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        collector
    }

    /// The section of the config that leads here.
    pub(crate) fn section(&self) -> String {
        format!("[telemetry]\notlp = \"{}\"\n", self.base)
    }

    /// Everything that came, as it was sent.
    pub(crate) fn raw(&self) -> Vec<u8> {
        self.with(|kept| kept.raw.clone())
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.with(|kept| kept.spans.clone())
    }

    /// What the last batch says of the process.
    pub(crate) fn resource(&self) -> Vec<(String, String)> {
        self.with(|kept| kept.resource.clone())
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// An attribute of a span as text; empty if it has none of that name.
pub(crate) fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == name);
    text(found.and_then(|attribute| attribute.value.clone()?.value))
}

fn text(value: Option<Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok());
    assert_eq!(kind, Some("application/x-protobuf"));
    let batch = ExportTraceServiceRequest::decode(body.clone()).expect("an export");
    collector.with(|kept| {
        kept.raw.extend_from_slice(&body);
        for of_process in batch.resource_spans {
            let resource = of_process.resource.unwrap_or_default().attributes;
            let pair = |it: opentelemetry_proto::tonic::common::v1::KeyValue| {
                (it.key, text(it.value.and_then(|value| value.value)))
            };
            kept.resource = resource.into_iter().map(pair).collect();
            kept.spans.extend(of_process.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    });
    match collector.manner {
        Manner::Takes => {}
        Manner::Slow => tokio::time::sleep(Duration::from_secs(2)).await,
        Manner::Silent => std::future::pending().await,
        Manner::Refuses => return StatusCode::SERVICE_UNAVAILABLE,
    }
    StatusCode::OK
}
