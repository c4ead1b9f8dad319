//! Spans to a collector by OTLP: protobuf over HTTP, in batches, behind a bounded queue. A collector
//! that is silent, slow or away costs spans, which are counted, and nothing else.
//!
//! Source: OpenTelemetry Protocol 1.7, "OTLP/HTTP".

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gopay_outbound::{
    AddressPolicy, BuildError, HttpTransport, Method, Outgoing, Transport, TransportError,
};
use gopay_service::{Attribute, Collector, Request, Span, meters};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{self as wire, ResourceSpans, ScopeSpans};
use prost::Message as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Use cases that wait for the collector: a few seconds of a full load, some megabytes.
const WAITING_MAX: usize = 8_192;

/// Use cases that are sent together.
const BATCH_MAX: usize = 512;

/// How long the first of a batch waits for others.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a collector may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How long the end of the process waits for the last batches to be taken.
const END_PATIENCE: Duration = Duration::from_secs(2);

/// Answers say how many spans were refused, and why.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// A collector that stays away is logged once in this time.
const WARN_PAUSE: Duration = Duration::from_secs(60);

/// A span that has ended, and when.
struct Ended {
    at: SystemTime,
    span: Span,
}

/// The way into the queue.
struct Queue(mpsc::Sender<Ended>);

impl Collector for Queue {
    fn take(&self, span: Span) {
        if self.0.try_send(Ended { at: SystemTime::now(), span }).is_err() {
            count("dropped", 1);
        }
    }
}

/// Counts use cases.
fn count(outcome: &'static str, use_cases: usize) {
    let by = u64::try_from(use_cases).unwrap_or(u64::MAX);
    metrics::counter!(meters::SPANS, "outcome" => outcome).increment(by);
}

/// An export that runs.
pub(crate) struct Export {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Export {
    /// Begins to export the spans of this process to a collector at this address.
    ///
    /// # Errors
    /// [`BuildError`].
    pub(crate) fn start(url: &str, instance: u16) -> Result<Self, BuildError> {
        let transport =
            HttpTransport::builder(AddressPolicy::any()).connect_timeout(TIMEOUT / 2).build()?;
        let (queue, spans) = mpsc::channel(WAITING_MAX);
        let (end, ended) = oneshot::channel();
        let exporter = Exporter {
            transport: Arc::new(transport),
            url: format!("{}/v1/traces", url.trim_end_matches('/')),
            resource: resource(instance),
            warned: None,
        };
        let task = tokio::spawn(exporter.run(spans, ended));
        gopay_service::collect_spans(Queue(queue));
        Ok(Self { end, task })
    }

    /// Sends what is left, unless the collector takes too long.
    pub(crate) async fn end(self) {
        let _ = self.end.send(());
        let _ = tokio::time::timeout(END_PATIENCE, self.task).await;
    }
}

struct Exporter {
    transport: Arc<dyn Transport>,
    url: String,
    resource: Resource,
    warned: Option<Instant>,
}

impl Exporter {
    async fn run(mut self, mut spans: mpsc::Receiver<Ended>, ended: oneshot::Receiver<()>) {
        let mut ended = std::pin::pin!(ended);
        let (mut batch, mut going_on) = (Vec::new(), true);
        while going_on {
            tokio::select! {
                _ = spans.recv_many(&mut batch, BATCH_MAX) => {
                    // Others come soon. Meanwhile the queue takes them.
                    if batch.len() < BATCH_MAX {
                        tokio::select! {
                            () = tokio::time::sleep(PAUSE) => {}
                            _ = &mut ended => going_on = false,
                        }
                    }
                }
                _ = &mut ended => going_on = false,
            }
            fill(&mut batch, &mut spans);
            while !batch.is_empty() {
                self.send(std::mem::take(&mut batch)).await;
                if !going_on {
                    fill(&mut batch, &mut spans);
                }
            }
        }
    }

    async fn send(&mut self, batch: Vec<Ended>) {
        let sent = batch.len();
        let body = request(&self.resource, batch);
        let answer = self.transport.send(Outgoing {
            method: Method::Post,
            url: self.url.clone(),
            headers: vec![("content-type", "application/x-protobuf".to_owned())],
            body,
            timeout: TIMEOUT,
            reply_bytes_max: REPLY_BYTES_MAX,
        });
        match refused(answer.await.map(|answer| (answer.status, answer.body))) {
            None => count("exported", sent),
            Some(why) => {
                count("dropped", sent);
                self.warn(&why);
            }
        }
    }

    fn warn(&mut self, why: &str) {
        let now = Instant::now();
        let lately = |at: Instant| now.saturating_duration_since(at) < WARN_PAUSE;
        if !self.warned.is_some_and(lately) {
            self.warned = Some(now);
            tracing::warn!(why, "the collector of traces takes no spans; they are dropped");
        }
    }
}

/// Adds what waits to a batch, as far as it has room.
fn fill(batch: &mut Vec<Ended>, spans: &mut mpsc::Receiver<Ended>) {
    while batch.len() < BATCH_MAX
        && let Ok(span) = spans.try_recv()
    {
        batch.push(span);
    }
}

/// Why a batch was not taken, if it was not. What was refused is not sent again: the next batch is
/// worth more.
fn refused(answer: Result<(u16, Bytes), TransportError>) -> Option<String> {
    match answer {
        Ok((200..=299, body)) => {
            let partial = ExportTraceServiceResponse::decode(body).ok()?.partial_success?;
            (partial.rejected_spans > 0).then(|| {
                let spans = partial.rejected_spans;
                format!("of a batch {spans} spans were refused")
            })
        }
        Ok((status, _)) => Some(format!("status {status}")),
        Err(error) => Some(gopay_service::chain(&error)),
    }
}

/// The process, as every span of it says.
fn resource(instance: u16) -> Resource {
    let attributes = [
        ("service.name", Value::StringValue("gopay-adapter".to_owned())),
        ("service.version", Value::StringValue(env!("CARGO_PKG_VERSION").to_owned())),
        ("service.instance.id", Value::StringValue(instance.to_string())),
    ];
    let attributes = attributes.into_iter().map(|(key, value)| attribute(key, value)).collect();
    Resource { attributes, ..Resource::default() }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// The body of an export.
fn request(resource: &Resource, batch: Vec<Ended>) -> Bytes {
    let scope = InstrumentationScope { name: "gopay_service".to_owned(), ..Default::default() };
    let spans = batch.into_iter().flat_map(wire_spans).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
    let resource = Some(resource.clone());
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

/// A use case and its requests, as spans of the protocol.
fn wire_spans(ended: Ended) -> Vec<wire::Span> {
    let Ended { at, span } = ended;
    let began = at.checked_sub(span.took).unwrap_or(UNIX_EPOCH);
    let trace_id = span.trace_id.to_be_bytes().to_vec();
    let id = |id: u64| id.to_be_bytes().to_vec();
    let requests = span.requests.iter().map(|request| {
        let Request { after, took, .. } = *request;
        let begin = began + after;
        wire::Span {
            trace_id: trace_id.clone(),
            span_id: id(request.id),
            parent_span_id: id(span.id),
            name: request.name.to_owned(),
            kind: SpanKind::Client.into(),
            start_time_unix_nano: nanos(begin),
            end_time_unix_nano: nanos(begin + took),
            status: request.failed.then(|| wire::Status {
                code: StatusCode::Error.into(),
                message: "no answer".to_owned(),
            }),
            ..Default::default()
        }
    });
    let attributes = span.attributes.iter().map(|(key, value)| {
        let value = match value {
            Attribute::Word(word) => Value::StringValue((*word).to_owned()),
            Attribute::Text(text) => Value::StringValue(text.clone()),
            Attribute::Millis(time) => Value::IntValue(i64::try_from(*time).unwrap_or(i64::MAX)),
        };
        attribute(key, value)
    });
    let kind = if span.called { SpanKind::Server } else { SpanKind::Internal };
    let own = wire::Span {
        trace_id: trace_id.clone(),
        span_id: id(span.id),
        parent_span_id: span.parent.map(id).unwrap_or_default(),
        name: span.name.clone(),
        kind: kind.into(),
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(at),
        attributes: attributes.collect(),
        ..Default::default()
    };
    std::iter::once(own).chain(requests).collect()
}

/// Nanoseconds since 1970.
fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(called: bool) -> Span {
        let request = |id, after, failed| Request {
            id,
            name: "midtrans charge",
            after: Duration::from_millis(after),
            took: Duration::from_millis(3),
            failed,
        };
        Span {
            trace_id: 1,
            id: 2,
            parent: called.then_some(3),
            name: "call TRANSACTION".to_owned(),
            called,
            took: Duration::from_millis(20),
            attributes: vec![
                ("outcome", Attribute::Word("pending")),
                ("ours_ms", Attribute::Millis(14)),
            ],
            requests: vec![request(4, 5, true), request(6, 10, false)],
        }
    }

    #[test]
    fn a_use_case_is_a_span_with_its_requests_below_it() {
        let at = UNIX_EPOCH + Duration::from_secs(1_000);
        let spans = wire_spans(Ended { at, span: span(true) });
        let told: Vec<_> = spans
            .iter()
            .map(|span| {
                let millis = |nanos: u64| nanos / 1_000_000;
                let (from, to) = (span.start_time_unix_nano, span.end_time_unix_nano);
                let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
                (
                    span.span_id[7],
                    span.parent_span_id.last().copied(),
                    millis(from),
                    millis(to),
                    failed,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (2, Some(3), 999_980, 1_000_000, false),
                (4, Some(2), 999_985, 999_988, true),
                (6, Some(2), 999_990, 999_993, false),
            ]
        );
        assert!(spans.iter().all(|span| span.trace_id.len() == 16 && span.trace_id[15] == 1));
        let begun = wire_spans(Ended { at, span: span(false) });
        assert!(begun[0].parent_span_id.is_empty());
        assert_eq!((begun[0].kind, spans[0].kind), (1, 2), "internal, server");
    }

    #[test]
    fn what_a_collector_refuses_is_told() {
        let partial = |rejected_spans| {
            let partial =
                opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess {
                    rejected_spans,
                    error_message: "no".to_owned(),
                };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) };
            Bytes::from(answer.encode_to_vec())
        };
        for (status, body, why) in [
            (200, Bytes::new(), None),
            (200, partial(0), None),
            (200, partial(7), Some("of a batch 7 spans were refused")),
            (202, Bytes::from_static(b"fine"), None),
            (429, Bytes::new(), Some("status 429")),
            (503, Bytes::new(), Some("status 503")),
        ] {
            assert_eq!(refused(Ok((status, body))).as_deref(), why, "{status}");
        }
        let away = TransportError::not_sent("refused");
        assert_eq!(refused(Err(away)).as_deref(), Some("the request was not sent: refused"));
    }

    #[test]
    fn a_queue_that_nobody_empties_holds_up_nobody() {
        let (sender, mut waiting) = mpsc::channel(2);
        let queue = Queue(sender);
        for _ in 0..5 {
            queue.take(span(true));
        }
        assert!(waiting.try_recv().is_ok() && waiting.try_recv().is_ok());
        assert!(waiting.try_recv().is_err());
    }
}
