//! Spans of use cases, as a collector of OpenTelemetry gets them.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::Signal;
use serde_json::json;

use crate::support::collector::{Collector, Manner, attribute};
use crate::support::receiver::Receiver;
use crate::support::served::{Served, free_port, with_operators};
use crate::support::{body, decode, eventually, example};

const PSP: (&str, &str, &str) = ("testclient", "test123", "TESTCONTRACT");

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Opens a payment; its TXID.
async fn open(served: &Served, traceparent: &str) -> String {
    let pairs = example(&[]);
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let request = served.http.post(format!("{}/", served.adapter));
    let request = request.body(body("TRANSACTION", &pairs));
    let answer = request.header("traceparent", traceparent).send().await.expect("an answer");
    decode(&answer.text().await.expect("text"))["TXID"].clone()
}

async fn counted(served: &Served, outcome: &str) -> u64 {
    let (_, metrics) = served.get(&format!("{}/metrics", served.admin)).await;
    let series = format!("gopay_spans_total{{outcome=\"{outcome}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("{series}")).parse().expect("a number")
}

/// The spans about a payment, by name, and those below them.
struct About(Vec<Span>);

impl About {
    async fn until(collector: &Collector, txid: &str, name: &str) -> Self {
        let about = || {
            let spans = collector.spans();
            let own = spans.iter().filter(|span| attribute(span, "payment.tx_id") == txid);
            let own: Vec<Span> = own.cloned().collect();
            let below = spans
                .iter()
                .filter(|span| own.iter().any(|above| above.span_id == span.parent_span_id));
            own.iter().cloned().chain(below.cloned()).collect::<Vec<_>>()
        };
        eventually(name, async || about().iter().any(|span| span.name == name)).await;
        Self(about())
    }

    fn one(&self, name: &str) -> &Span {
        let mut named = self.0.iter().filter(|span| span.name == name);
        let names: Vec<&str> = self.0.iter().map(|span| span.name.as_str()).collect();
        let found = named.next().unwrap_or_else(|| panic!("{name} in {names:?}"));
        assert!(named.next().is_none(), "{name} twice in {names:?}");
        found
    }
}

fn took(span: &Span) -> Duration {
    Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano)
}

fn lies_within(inner: &Span, outer: &Span) -> bool {
    inner.start_time_unix_nano >= outer.start_time_unix_nano
        && inner.end_time_unix_nano <= outer.end_time_unix_nano
}

#[tokio::test]
async fn a_use_case_is_a_span_of_its_callers_trace_with_ids_outcome_and_the_time_of_midtrans() {
    let (collector, receiver) = (Collector::start(Manner::Takes).await, Receiver::start().await);
    let config = with_operators(&receiver.url(), &[]) + &collector.section();
    let served = Served::start(&config).await;
    served.fault(json!({"on": "charge", "action": {"delay": {"ms": 120}}, "times": 1})).await;
    let txid = open(&served, &format!("00-{TRACE}-00f067aa0ba902b7-01")).await;
    served.wallet(&txid, "pay", json!({})).await;

    let about = About::until(&collector, &txid, "delivery").await;
    let (call, charge) = (about.one("call TRANSACTION"), about.one("midtrans charge"));
    assert_eq!(hex::encode(&call.trace_id), TRACE);
    assert_eq!(hex::encode(&call.parent_span_id), "00f067aa0ba902b7");
    for (name, value) in [("use_case", "call"), ("outcome", "pending"), ("psp", PSP.0)] {
        assert_eq!(attribute(call, name), value, "{call:?}");
    }
    assert_eq!((&charge.trace_id, &charge.parent_span_id), (&call.trace_id, &call.span_id));
    assert!(lies_within(charge, call), "{charge:?} {call:?}");
    assert!(took(charge) >= Duration::from_millis(120), "{charge:?}");
    let upstream: u64 = attribute(call, "upstream_ms").parse().expect("a number");
    assert_eq!(u128::from(upstream), took(charge).as_millis());

    // The receiver hears of the trace, and of the span that its answer ends.
    let (delivery, told) = (about.one("delivery"), about.one("receiver"));
    assert_eq!(hex::encode(&delivery.trace_id), TRACE);
    assert_eq!(attribute(delivery, "outcome"), "delivered");
    assert_eq!(told.parent_span_id, delivery.span_id);
    let heard = format!("00-{TRACE}-{}-01", hex::encode(&told.span_id));
    assert_eq!(receiver.seen_of(&txid)[0].traceparent, heard);
    let resource = collector.resource();
    assert!(resource.contains(&("service.name".to_owned(), "gopay-adapter".to_owned())));
    assert!(counted(&served, "exported").await > 0);
    assert_eq!(counted(&served, "dropped").await, 0);
}

#[tokio::test]
async fn a_call_without_a_trace_begins_one_and_strangers_and_unrecorded_traces_have_none() {
    let (collector, receiver) = (Collector::start(Manner::Takes).await, Receiver::start().await);
    let config = with_operators(&receiver.url(), &[]) + &collector.section();
    let served = Served::start(&config).await;
    let stranger = ("nobody", "wrong", PSP.2);
    served.call_as(stranger, "GETTXSTATUS", &[("txid", "1")]).await;
    let unrecorded = open(&served, &format!("00-{TRACE}-00f067aa0ba902b7-00")).await;
    let first = open(&served, "").await;
    let second = open(&served, "no traceparent").await;
    for txid in [&unrecorded, &first, &second] {
        served.wallet(txid, "pay", json!({})).await;
    }
    let mut traces = Vec::new();
    for txid in [&first, &second] {
        let about = About::until(&collector, txid, "delivery").await;
        let call = about.one("call TRANSACTION");
        assert!(call.parent_span_id.is_empty(), "{call:?}");
        assert_eq!(about.one("delivery").trace_id, call.trace_id, "the life of a payment");
        let heard = &receiver.seen_of(txid)[0].traceparent;
        assert!(heard.contains(&hex::encode(&call.trace_id)), "{heard}");
        traces.push(call.trace_id.clone());
    }
    assert_ne!(traces[0], traces[1]);
    let calls = collector.spans().into_iter().filter(|span| span.name.starts_with("call"));
    let of: Vec<String> = calls.map(|span| attribute(&span, "payment.tx_id")).collect();
    assert_eq!(of, [first, second], "{of:?}");
}

#[tokio::test]
async fn a_collector_that_is_silent_slow_or_away_costs_spans_and_nothing_else() {
    let away = format!("[telemetry]\notlp = \"http://127.0.0.1:{}\"\n", free_port());
    let cases = [
        ("away", away, true),
        ("refusing", Collector::start(Manner::Refuses).await.section(), true),
        ("slow", Collector::start(Manner::Slow).await.section(), false),
        ("silent", Collector::start(Manner::Silent).await.section(), false),
    ];
    let cases = futures::stream::iter(cases);
    cases
        .for_each_concurrent(2, async |(what, section, drops)| {
            let receiver = Receiver::start().await;
            let served = Served::start(&(with_operators(&receiver.url(), &[]) + &section)).await;
            // The first call waits for its password.
            open(&served, "").await;
            for _ in 0..20 {
                let began = Instant::now();
                let txid = open(&served, "").await;
                assert_ne!(txid, "0", "{what}");
                assert!(began.elapsed() < Duration::from_secs(2), "{what}: {:?}", began.elapsed());
            }
            if drops {
                served.eventually(what, async || counted(&served, "dropped").await >= 21).await;
                let told =
                    || served.log().matches("the collector of traces takes no spans").count();
                served.eventually(what, async || told() > 0).await;
                assert_eq!(told(), 1, "{}", served.log());
            }
            let (began, pid) = (Instant::now(), served.pid());
            served.signal(Signal::TERM);
            served.signal(Signal::TERM);
            served.eventually("ended", async || has_ended(pid)).await;
            assert!(began.elapsed() < Duration::from_secs(8), "{what}: {:?}", began.elapsed());
        })
        .await;
}

#[tokio::test]
async fn the_last_spans_are_sent_at_the_end() {
    let (collector, receiver) = (Collector::start(Manner::Takes).await, Receiver::start().await);
    let config = with_operators(&receiver.url(), &[]) + &collector.section();
    let served = Served::start(&config).await;
    let txid = open(&served, "").await;
    served.signal(Signal::TERM);
    served.signal(Signal::TERM);
    About::until(&collector, &txid, "call TRANSACTION").await;
}

/// Its parent, this process, has not asked how it ended.
fn has_ended(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
