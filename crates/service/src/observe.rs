//! What is seen of a use case: one span, one line in the log, its metrics.
//!
//! Code inside a use case notes what it learns ([`learn`]); [`observed`] writes it at the end, with
//! our own time and the time that others took apart.

use std::cell::RefCell;
use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_midtrans_client::CallError;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::spans::{self, Attribute};
use crate::{meters, trace};

/// What a span and a line of the log are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UseCase {
    /// A call of a PSP.
    Call,
    /// A notification of Midtrans.
    Notification,
    /// A poll of a payment or refund.
    Poll,
    /// One attempt to notify a PSP.
    Delivery,
    /// What an operator does about a payment.
    Operator,
    /// A call of the feed.
    Feed,
}

impl UseCase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Notification => "notification",
            Self::Poll => "poll",
            Self::Delivery => "delivery",
            Self::Operator => "operator",
            Self::Feed => "feed",
        }
    }
}

/// What is known of a use case so far. Words are stable; nothing personal is kept.
#[derive(Debug)]
pub(crate) struct Seen {
    use_case: UseCase,
    began: Instant,
    /// Waiting for Midtrans or a receiver.
    upstream: Duration,
    /// Of a call its `txtype`; of a poll what it is about.
    pub(crate) kind: &'static str,
    pub(crate) outcome: &'static str,
    /// The code of the rule that refused a call.
    pub(crate) code: Option<&'static str>,
    /// The login, once it is verified.
    pub(crate) psp: Option<String>,
    pub(crate) tx_id: Option<TxId>,
    pub(crate) refund_id: Option<RefundId>,
    /// The state of the payment before and after, if it changed.
    pub(crate) moved: Option<(&'static str, &'static str)>,
    /// The event that changed it.
    pub(crate) event: &'static str,
}

tokio::task_local! {
    static SEEN: RefCell<Seen>;
}

/// Runs a use case in a span of its own, then writes its line and its metrics.
///
/// `work` is copied several times on its way into the span: give it boxed if it is large.
pub(crate) async fn observed<T>(use_case: UseCase, work: impl Future<Output = T>) -> T {
    let seen = RefCell::new(Seen {
        use_case,
        began: Instant::now(),
        upstream: Duration::ZERO,
        kind: "",
        outcome: "done",
        code: None,
        psp: None,
        tx_id: None,
        refund_id: None,
        moved: None,
        event: "",
    });
    let span = tracing::info_span!("use_case", kind = use_case.as_str());
    let all = async {
        let done = work.await;
        SEEN.with(|seen| seen.borrow().write());
        done
    };
    let all = SEEN.scope(seen, all.instrument(span));
    // Boxed where it is a span, so that it is no larger where it is none.
    if spans::are_collected() { trace::as_span(Box::pin(all)).await } else { all.await }
}

/// Notes what a use case has learnt; nothing outside of one.
pub(crate) fn learn(note: impl FnOnce(&mut Seen)) {
    let _ = SEEN.try_with(|seen| note(&mut seen.borrow_mut()));
}

/// How long the use case has waited for others so far.
pub(crate) fn waited_upstream() -> Duration {
    SEEN.try_with(|seen| seen.borrow().upstream).unwrap_or_default()
}

/// Waits for an answer of Midtrans, and counts the time as Midtrans'.
pub(crate) async fn upstream<T>(
    call: &'static str,
    request: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let (began, span) = (Instant::now(), spans::request_begins());
    let answer = request.await;
    let took = began.elapsed();
    spans::request_ends(span, name_of(call), took, answer.is_err());
    let result = match &answer {
        Ok(_) => "answered",
        Err(CallError::NotSent(_)) => "not_sent",
        Err(CallError::OutcomeUnknown(_)) => "unknown",
    };
    meters::request_to_midtrans(call, result, took);
    learn(|seen| seen.upstream += took);
    answer
}

/// The name of the span of a request to Midtrans.
fn name_of(call: &str) -> &'static str {
    match call {
        "charge" => "midtrans charge",
        "status" => "midtrans status",
        "expire" => "midtrans expire",
        "cancel" => "midtrans cancel",
        "refund" => "midtrans refund",
        _ => "midtrans",
    }
}

/// Waits for the answer of a receiver, and counts the time as the receiver's.
pub(crate) async fn receiver<T, E>(request: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let (began, span) = (Instant::now(), spans::request_begins());
    let answer = request.await;
    let took = began.elapsed();
    spans::request_ends(span, "receiver", took, answer.is_err());
    learn(|seen| seen.upstream += took);
    answer
}

impl Seen {
    fn write(&self) {
        let total = self.began.elapsed();
        match self.use_case {
            UseCase::Call => {
                let (kind, outcome) = (self.kind, self.outcome);
                let code = self.code.unwrap_or_default();
                let labels = [("txtype", kind), ("outcome", outcome), ("code", code)];
                meters::count(meters::CALL_OUTCOMES, &labels);
                meters::time(meters::CALL_UPSTREAM_SECONDS, &[], self.upstream);
                let own = total.saturating_sub(self.upstream);
                meters::time(meters::CALL_OWN_SECONDS, &[("txtype", kind)], own);
            }
            UseCase::Notification | UseCase::Operator => {}
            UseCase::Poll => {
                let (about, outcome) = (self.kind, self.outcome);
                meters::count(meters::POLLS, &[("about", about), ("outcome", outcome)]);
            }
            UseCase::Delivery => {
                meters::count(meters::DELIVERY_ATTEMPTS, &[("outcome", self.outcome)]);
                meters::time(meters::DELIVERY_SECONDS, &[], total);
            }
            UseCase::Feed => meters::count(meters::FEED_CALLS, &[("outcome", self.outcome)]),
        }
        // A caller that nobody knows must not fill the log: its calls are counted, and refused
        // logins are logged where they are refused.
        let quiet = match self.use_case {
            UseCase::Call => self.psp.is_none(),
            UseCase::Poll => self.moved.is_none(),
            UseCase::Notification => self.tx_id.is_none(),
            UseCase::Delivery | UseCase::Operator => false,
            // Who waits asks twice a minute; that there is nothing is not worth a line.
            UseCase::Feed => self.psp.is_none() || self.outcome == "nothing_new",
        };
        if quiet {
            self.line_at_debug(total);
        } else {
            self.line_at_info(total);
            spans::end(|| self.span(total));
        }
    }

    /// Name and content of its span: what the line says.
    fn span(&self, total: Duration) -> (String, bool, Vec<(&'static str, Attribute)>) {
        let use_case = self.use_case.as_str();
        let (from, to) = self.moved.unzip();
        let word = |word: &'static str| (!word.is_empty()).then_some(Attribute::Word(word));
        let ours = total.saturating_sub(self.upstream);
        let known = [
            ("use_case", word(use_case)),
            ("kind", word(self.kind)),
            ("outcome", word(self.outcome)),
            ("code", self.code.map(Attribute::Word)),
            ("psp", self.psp.clone().map(Attribute::Text)),
            ("payment.tx_id", self.tx_id.map(|id| Attribute::Text(id.to_string()))),
            ("refund.id", self.refund_id.map(|id| Attribute::Text(id.to_string()))),
            ("from", from.map(Attribute::Word)),
            ("to", to.map(Attribute::Word)),
            ("event", word(self.event)),
            ("ours_ms", Some(Attribute::Millis(millis(ours)))),
            ("upstream_ms", Some(Attribute::Millis(millis(self.upstream)))),
        ];
        let name = if self.kind.is_empty() {
            use_case.to_owned()
        } else {
            format!("{use_case} {}", self.kind)
        };
        let called = !matches!(self.use_case, UseCase::Poll | UseCase::Delivery);
        let known = known.into_iter().filter_map(|(name, value)| Some((name, value?)));
        (name, called, known.collect())
    }
}

/// A line has all fields at either level; fields without a value are left out.
macro_rules! line {
    ($method:ident, $level:ident) => {
        impl Seen {
            fn $method(&self, total: Duration) {
                let (from, to) = self.moved.unzip();
                let ours = total.saturating_sub(self.upstream);
                tracing::$level!(
                    use_case = self.use_case.as_str(),
                    kind = (!self.kind.is_empty()).then_some(self.kind),
                    outcome = self.outcome,
                    code = self.code,
                    psp = self.psp.as_deref(),
                    payment.tx_id = self.tx_id.map(tracing::field::display),
                    refund.id = self.refund_id.map(tracing::field::display),
                    from,
                    to,
                    event = (!self.event.is_empty()).then_some(self.event),
                    trace.id = trace::current().as_ref().map(trace::TraceContext::trace_id),
                    ours_ms = millis(ours),
                    upstream_ms = millis(self.upstream),
                    "{}",
                    self.use_case.as_str()
                );
            }
        }
    };
}

line!(line_at_info, info);
line!(line_at_debug, debug);

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
