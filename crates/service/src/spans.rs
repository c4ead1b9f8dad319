//! Spans of use cases and of the requests made for them, for a collector of traces. Where nobody
//! collects, none is made.
//!
//! They say what the line of the log says, and no more: nothing personal, no text from outside.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::os_random;

/// Takes spans that have ended, without waiting for anything.
pub trait Collector: Send + Sync {
    /// Takes a span. The use case has just ended.
    fn take(&self, span: Span);
}

/// A use case that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of its trace: 16 bytes.
    pub trace_id: u128,
    /// Its own.
    pub id: u64,
    /// That of the caller, if it sent one.
    pub parent: Option<u64>,
    /// Kind of use case, and of what, such as `call TRANSACTION`.
    pub name: String,
    /// Whether somebody called us; else we began it.
    pub called: bool,
    /// From its begin to its end, which is now.
    pub took: Duration,
    /// What became of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Requests to Midtrans and receivers, in their order.
    pub requests: Vec<Request>,
}

/// What is known of a use case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A word.
    Word(&'static str),
    /// An id, or a login of the config.
    Text(String),
    /// Milliseconds.
    Millis(u64),
}

/// A request that was made for a use case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its span, which the peer is told as its parent.
    pub id: u64,
    /// Such as `midtrans charge`.
    pub name: &'static str,
    /// How long after the begin of the use case it was begun.
    pub after: Duration,
    /// Until the answer, or until none could come any more.
    pub took: Duration,
    /// There was no whole answer.
    pub failed: bool,
}

static COLLECTOR: OnceLock<Box<dyn Collector>> = OnceLock::new();

/// Has every further span taken by a collector; once a process, later ones are not used.
pub fn collect_spans(collector: impl Collector + 'static) {
    let _ = COLLECTOR.set(Box::new(collector));
}

/// Whether somebody collects spans.
pub(crate) fn are_collected() -> bool {
    COLLECTOR.get().is_some()
}

/// A use case that runs, as far as spans go.
pub(crate) struct Open {
    trace_id: u128,
    id: u64,
    parent: Option<u64>,
    began: Instant,
    /// The request that is under way.
    requesting: Option<u64>,
    requests: Vec<Request>,
}

tokio::task_local! {
    static OPEN: RefCell<Open>;
}

/// Runs a use case as a span of a trace.
pub(crate) async fn within<T>(
    trace_id: u128,
    parent: Option<u64>,
    work: impl Future<Output = T>,
) -> T {
    let (id, began) = (new_id(), Instant::now());
    let open = Open { trace_id, id, parent, began, requesting: None, requests: Vec::new() };
    OPEN.scope(RefCell::new(open), work).await
}

/// A request is about to be made. Its span is none where nobody collects.
pub(crate) fn request_begins() -> Option<u64> {
    let begin = |open: &RefCell<Open>| {
        let id = new_id();
        open.borrow_mut().requesting = Some(id);
        id
    };
    OPEN.try_with(begin).ok()
}

/// The span of the request that is under way.
pub(crate) fn requesting() -> Option<u64> {
    OPEN.try_with(|open| open.borrow().requesting).ok().flatten()
}

/// The request that began last has come to its end.
pub(crate) fn request_ends(id: Option<u64>, name: &'static str, took: Duration, failed: bool) {
    let Some(id) = id else { return };
    let _ = OPEN.try_with(|open| {
        let mut open = open.borrow_mut();
        let after = open.began.elapsed().saturating_sub(took);
        open.requesting = None;
        open.requests.push(Request { id, name, after, took, failed });
    });
}

/// The use case has ended; outside of [`within`] it has no span.
pub(crate) fn end(told: impl FnOnce() -> (String, bool, Vec<(&'static str, Attribute)>)) {
    let Some(collector) = COLLECTOR.get() else { return };
    let _ = OPEN.try_with(|open| {
        let mut open = open.borrow_mut();
        let (name, called, attributes) = told();
        collector.take(Span {
            trace_id: open.trace_id,
            id: open.id,
            parent: open.parent,
            name,
            called,
            took: open.began.elapsed(),
            attributes,
            requests: std::mem::take(&mut open.requests),
        });
    });
}

/// The id of a new span. All zeros would be none.
pub(crate) fn new_id() -> u64 {
    let mut bytes = [0; 8];
    os_random(&mut bytes);
    u64::from_be_bytes(bytes).max(1)
}

/// The id of a new trace.
pub(crate) fn new_trace() -> u128 {
    let mut bytes = [0; 16];
    os_random(&mut bytes);
    u128::from_be_bytes(bytes).max(1)
}
