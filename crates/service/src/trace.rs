//! W3C trace context: what a caller says of the trace that its call belongs to, carried on to Midtrans
//! and to receivers, and told to the log and the trail. A call without it begins a trace where spans
//! are collected, and none elsewhere.
//!
//! Source: W3C Trace Context, section 3.2 (`traceparent`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use gopay_outbound::{Incoming, Outgoing, Refusal, Transport, TransportError};

use crate::spans;

/// The trace that a call belongs to.
///
/// ```
/// use gopay_service::TraceContext;
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context = TraceContext::parse(text).unwrap();
/// assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
/// assert!(TraceContext::parse("00-0-0-01").is_none());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: String,
    /// The span of who sent it.
    parent: Option<u64>,
    /// Whether the caller records it, and what later versions add.
    flags: String,
}

/// Some call had a trace, so that deliveries look whether theirs has one.
static TRACED: AtomicBool = AtomicBool::new(false);

impl TraceContext {
    /// The longest header that is looked at: a later version may add to it.
    const BYTES_MAX: usize = 128;

    /// Reads a `traceparent`; none if it is not one, which a caller may send without harm.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::BYTES_MAX {
            return None;
        }
        let mut parts = text.trim().split('-');
        let (version, trace_id) = (parts.next()?, parts.next()?);
        let (parent, flags) = (parts.next()?, parts.next()?);
        let good = is_hex(version, 2)
            && version != "ff"
            && (version != "00" || parts.next().is_none())
            && is_id(trace_id, 32)
            && is_id(parent, 16)
            && is_hex(flags, 2);
        let parent = u64::from_str_radix(parent, 16).ok();
        good.then(|| Self { trace_id: trace_id.to_owned(), parent, flags: flags.to_owned() })
    }

    /// A trace of our own, which is recorded.
    fn new() -> Self {
        let trace_id = format!("{:032x}", spans::new_trace());
        Self { trace_id, parent: None, flags: RECORDED.to_owned() }
    }

    /// The trace of a payment, as its trail has it.
    pub(crate) fn of_trail(trace_id: &str) -> Option<Self> {
        let trace =
            || Self { trace_id: trace_id.to_owned(), parent: None, flags: RECORDED.to_owned() };
        is_id(trace_id, 32).then(trace)
    }

    /// The trace: 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.trace_id
    }

    /// The header of a request that we make: the same trace, and a span of ours.
    fn header(&self) -> String {
        let span = spans::requesting().unwrap_or_else(spans::new_id);
        format!("00-{}-{span:016x}-{}", self.trace_id, self.flags)
    }

    /// Whether its sender wants it recorded: the lowest bit of the flags.
    fn is_recorded(&self) -> bool {
        u8::from_str_radix(&self.flags, 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

/// The flags of a trace that is recorded.
const RECORDED: &str = "01";

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

fn is_id(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && text.bytes().any(|byte| byte != b'0')
}

tokio::task_local! {
    static CONTEXT: Option<TraceContext>;
}

/// Runs the work of a call whose caller sent this `traceparent`.
pub async fn within<T>(context: Option<TraceContext>, work: impl Future<Output = T>) -> T {
    if context.is_some() {
        TRACED.store(true, Ordering::Relaxed);
    }
    CONTEXT.scope(context, work).await
}

/// Runs a use case as a span of the trace that it belongs to, else of a new one. A trace that its
/// sender does not record has no spans.
pub(crate) async fn as_span<T>(work: impl Future<Output = T>) -> T {
    let context = current().unwrap_or_else(TraceContext::new);
    let recorded = u128::from_str_radix(&context.trace_id, 16).ok();
    let Some(trace) = recorded.filter(|_| context.is_recorded()) else { return work.await };
    let parent = context.parent;
    within(Some(context), spans::within(trace, parent, work)).await
}

/// The trace of the work that runs.
pub(crate) fn current() -> Option<TraceContext> {
    CONTEXT.try_with(Clone::clone).ok().flatten()
}

/// Whether any call of this process had a trace, or each has one.
pub(crate) fn are_used() -> bool {
    TRACED.load(Ordering::Relaxed) || spans::are_collected()
}

/// A transport that tells the peer of the trace.
pub struct Traced(pub Arc<dyn Transport>);

#[async_trait]
impl Transport for Traced {
    async fn send(&self, mut request: Outgoing) -> Result<Incoming, TransportError> {
        if let Some(context) = current() {
            request.headers.push(("traceparent", context.header()));
        }
        self.0.send(request).await
    }

    fn refuses(&self, url: &str) -> Option<Refusal> {
        self.0.refuses(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_traceparent_is_what_the_recommendation_says() {
        let span = "00f067aa0ba902b7";
        for (text, good) in [
            (format!("00-{TRACE}-{span}-01"), true),
            (format!(" 00-{TRACE}-{span}-00 "), true),
            (format!("cc-{TRACE}-{span}-01-later"), true),
            (format!("00-{TRACE}-{span}-01-later"), false),
            (format!("ff-{TRACE}-{span}-01"), false),
            (format!("00-{}-{span}-01", "0".repeat(32)), false),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
            (format!("00-{}-{span}-01", TRACE.to_uppercase()), false),
            (format!("00-{TRACE}-{span}"), false),
            (format!("00-{TRACE}-{span}-1"), false),
            (format!("cc-{TRACE}-{span}-01-{}", "x".repeat(200)), false),
            (String::new(), false),
        ] {
            assert_eq!(TraceContext::parse(&text).is_some(), good, "{text}");
        }
    }

    #[test]
    fn what_is_sent_on_has_the_trace_and_a_span_of_our_own() {
        let context = TraceContext::parse(&format!("00-{TRACE}-00f067aa0ba902b7-01")).unwrap();
        let (one, other) = (context.header(), context.header());
        assert_ne!(one, other);
        for header in [one, other] {
            let parsed = TraceContext::parse(&header).unwrap();
            assert_eq!((parsed.trace_id(), parsed.flags.as_str()), (TRACE, "01"), "{header}");
            assert!(!header.contains("00f067aa0ba902b7"), "{header}");
        }
    }

    /// Keeps the `traceparent` of what is sent.
    #[derive(Default)]
    struct Kept(std::sync::Mutex<Vec<Option<String>>>);

    #[async_trait]
    impl Transport for Kept {
        async fn send(&self, request: Outgoing) -> Result<Incoming, TransportError> {
            let sent = request.headers.into_iter().find(|(name, _)| *name == "traceparent");
            self.0.lock().unwrap().push(sent.map(|(_, value)| value));
            Ok(Incoming { status: 200, body: bytes::Bytes::new(), date: None })
        }
    }

    #[tokio::test]
    async fn peers_are_told_of_the_trace_and_of_none_where_there_is_none() {
        let kept = Arc::new(Kept::default());
        let transport = Traced(kept.clone());
        let request = || Outgoing {
            method: gopay_outbound::Method::Get,
            url: "https://midtrans.example/v2/1/status".to_owned(),
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            timeout: std::time::Duration::from_secs(1),
            reply_bytes_max: 1,
        };
        transport.send(request()).await.unwrap();
        let context = TraceContext::of_trail(TRACE);
        within(context.clone(), transport.send(request())).await.unwrap();
        let kept = kept.0.lock().unwrap();
        assert_eq!(kept[0], None);
        let told = TraceContext::parse(kept[1].as_ref().unwrap()).unwrap();
        assert_eq!(told.trace_id(), TRACE);
    }

    #[tokio::test]
    async fn only_work_within_a_trace_has_one() {
        let context = TraceContext::of_trail(TRACE);
        assert_eq!(current(), None);
        assert_eq!(within(context.clone(), async { current() }).await, context);
        assert_eq!(within(None, async { current() }).await, None);
        assert!(are_used());
    }
}
