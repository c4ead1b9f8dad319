//! What an operator sees: metrics that say what they are, one line for each use case.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use gopay_psp_client::Credentials;
use serde_json::Value;

use crate::support::logged::Logged;
use crate::support::receiver::Receiver;
use crate::support::{Demo, body, body_as, decode, eventually, example};

/// A life of a payment, a refused call, a wrong password, a refund, a forged notification.
async fn some_of_everything(demo: &Demo) {
    let txid = demo.paid().await;
    demo.until_outbox_empty().await;
    assert_eq!(demo.refund(&txid, 100_000).await["STATUS"], "SUCCEEDED");
    assert_eq!(demo.transaction(&[("currency", "USD")]).await["STATUS"], "FAILED");
    let (_, refused) = demo.post(wrong_password()).await;
    assert!(refused.contains("AUTH_ERROR"), "{refused}");
    let url = format!("{}/midtrans/notification", demo.adapter);
    let answer = demo.http.post(url).body("{}").send().await.expect("an answer");
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn every_metric_has_help_and_a_type_and_promtool_finds_no_fault() {
    let demo = Demo::start().await;
    some_of_everything(&demo).await;
    let (status, text) = demo.get(&format!("{}/metrics", demo.admin)).await;
    assert_eq!(status, 200);
    let named = |word: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(word));
        lines.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    };
    let (helped, typed) = (named("# HELP "), named("# TYPE "));
    assert_eq!(helped, typed, "{text}");
    for name in [
        "gopay_calls_total",
        "gopay_call_outcomes_total",
        "gopay_call_duration_seconds",
        "gopay_call_upstream_seconds",
        "gopay_login_failures_total",
        "gopay_midtrans_notifications_total",
        "gopay_midtrans_requests_total",
        "gopay_midtrans_request_duration_seconds",
        "gopay_payment_transitions_total",
        "gopay_refunds_total",
        "gopay_delivery_attempts_total",
        "gopay_delivery_attempt_duration_seconds",
    ] {
        assert!(typed.contains(name), "{name} is missing in {typed:?}");
    }
    assert!(text.contains(r#"gopay_call_duration_seconds_bucket{le="0.1"}"#), "{text}");
    let refused = r#"gopay_call_outcomes_total{txtype="TRANSACTION",outcome="refused",code="#;
    assert!(text.contains(refused), "{text}");
    promtool(&text);
}

fn promtool(text: &str) {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        return gopay_testkit::not_tested(
            "promtool is missing: whether Prometheus likes the metrics",
        );
    };
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let checked = child.wait_with_output().expect("it ends");
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(said.is_empty(), "{}", String::from_utf8_lossy(&said));
}

#[tokio::test]
async fn each_call_is_one_line_that_says_how_it_ended_and_whose_time_it_took() {
    let logged = Logged::start_with("info", &["--log-format", "json"]);
    let opened = decode(&logged.post(call("TRANSACTION", &example(&[]))).await);
    let refused = decode(&logged.post(call("TRANSACTION", &example(&[("currency", "USD")]))).await);
    assert_eq!((opened["STATUS"].as_str(), refused["STATUS"].as_str()), ("PENDING", "FAILED"));
    let wrong = logged.post(wrong_password()).await;
    assert!(wrong.contains("AUTH_ERROR"), "{wrong}");
    eventually("the line about the login", async || logged.read().contains(WRONG_LOGIN)).await;
    let log = logged.end();
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let calls: Vec<&Value> = lines
        .iter()
        .map(|line| &line["fields"])
        .filter(|fields| fields["use_case"] == "call")
        .collect();
    assert_eq!(calls.len(), 2, "{log}");
    assert_eq!(calls[0]["outcome"], "pending");
    assert_eq!(calls[0]["payment.tx_id"], opened["TXID"]);
    assert_eq!((&calls[0]["from"], &calls[0]["to"]), (&"initialized".into(), &"pending".into()));
    assert_eq!(calls[0]["psp"], "testclient");
    assert!(calls[0]["ours_ms"].is_u64() && calls[0]["upstream_ms"].is_u64(), "{}", calls[0]);
    assert_eq!(calls[1]["outcome"], "refused");
    assert!(calls[1]["code"].is_string(), "{}", calls[1]);
    assert_eq!(log.matches(WRONG_LOGIN).count(), 1, "{log}");
}

#[tokio::test]
async fn the_trace_of_a_call_is_in_its_trail_and_told_to_the_receiver() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let demo = Demo::start().await;
    let receiver = Receiver::start().await;
    let url = format!("{}/notify", receiver.base);
    let opened = async |traceparent: &str| {
        let pairs = example(&[("notificationurl", url.as_str())]);
        let request =
            demo.http.post(format!("{}/", demo.adapter)).body(call("TRANSACTION", &pairs));
        let answer = request.header("traceparent", traceparent).send().await.expect("an answer");
        decode(&answer.text().await.expect("text"))["TXID"].clone()
    };
    let given = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let (traced, untraced) = (opened(&given).await, opened("not a traceparent").await);
    for txid in [&traced, &untraced] {
        demo.wallet(txid, "pay", serde_json::json!({})).await;
        demo.until_status(txid, "SUCCEEDED").await;
    }
    demo.until_outbox_empty().await;
    let told = |txid: &str| {
        let seen = receiver.seen();
        let about = seen.iter().find(|seen| seen.field("txid") == txid).expect("told");
        about.traceparent.clone()
    };
    assert_eq!(told(&untraced), "");
    let parts = told(&traced);
    let parts: Vec<&str> = parts.split('-').collect();
    assert_eq!((parts[0], parts[1], parts[3]), ("00", TRACE, "01"));
    assert_ne!(parts[2], "00f067aa0ba902b7", "a span of our own");
}

const WRONG_LOGIN: &str = "a wrong login or password";

fn wrong_password() -> String {
    body_as(&Credentials::new("testclient", "wrong", "TESTCONTRACT"), "GETTXSTATUS", &[])
}

fn call(txtype: &str, pairs: &[(String, String)]) -> String {
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    body(txtype, &pairs)
}
