//! `certify` against a right endpoint and against endpoints with one fault each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures::StreamExt as _;
use gopay_psp_client::http::Client;
use gopay_psp_client::notification::UnverifiedNotification;
use gopay_psp_client::{Credentials, GetTxStatus, PaymentState, StatusAnswer};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::Demo;
use crate::support::served::free_port;

const SECRET: &str = "examplenotificationsecret";

/// What an endpoint does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    BelievesEveryHash,
    RefusesDuplicates,
    DropsKnownTxids,
    DecidesWithoutAsking,
    Redirects,
    NeverAnswers,
    AnswersAWholePage,
    SaysNothing,
    HasNoPatience,
    FailsWhenTwoComeAtOnce,
    KeepsWhatFailed,
}

/// A PSP's endpoint with a fault.
#[derive(Clone)]
struct Endpoint {
    fault: Fault,
    adapter: Arc<Client>,
    seen: Arc<Mutex<BTreeSet<(String, String)>>>,
    under_way: Arc<Mutex<BTreeSet<String>>>,
    holds: Arc<Mutex<BTreeMap<String, &'static str>>>,
}

impl Endpoint {
    async fn start(fault: Fault, adapter: SocketAddr) -> String {
        let psp = Credentials::new("testclient", "test123", "TESTCONTRACT");
        let client = Client::new(reqwest::Client::new(), format!("http://{adapter}"), psp);
        let endpoint = Self {
            fault,
            adapter: Arc::new(client),
            seen: Arc::default(),
            under_way: Arc::default(),
            holds: Arc::default(),
        };
        let router = Router::new()
            .route("/notify", post(notify))
            .route("/holds", get(holds))
            .with_state(endpoint);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        base
    }

    async fn ask(&self, txid: &str) -> &'static str {
        let call = GetTxStatus { tx_id: txid.parse().expect("an id") };
        match self.adapter.send(&call).await {
            Ok(StatusAnswer::Found(payment)) => match payment.state {
                PaymentState::Pending(_) => "PENDING",
                PaymentState::Succeeded => "SUCCEEDED",
                PaymentState::Failed(_) => "FAILED",
            },
            Ok(StatusAnswer::Failed(_)) | Err(_) => "unknown",
        }
    }

    async fn book(&self, txid: &str) {
        let said = self.ask(txid).await;
        let mut holds = self.holds.lock().expect("whole");
        let held = holds.entry(txid.to_owned()).or_insert("PENDING");
        if self.fault != Fault::KeepsWhatFailed || *held != "FAILED" {
            *held = said;
        }
    }
}

async fn holds(
    State(endpoint): State<Endpoint>,
    Query(query): Query<BTreeMap<String, String>>,
) -> &'static str {
    endpoint.holds.lock().expect("whole").get(&query["txid"]).copied().unwrap_or("PENDING")
}

async fn notify(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let fault = endpoint.fault;
    let reading = to_bytes(request.into_body(), 4_096);
    let patience = if fault == Fault::HasNoPatience { 500 } else { 60_000 };
    let Ok(Ok(body)) = tokio::time::timeout(Duration::from_millis(patience), reading).await else {
        return StatusCode::REQUEST_TIMEOUT.into_response();
    };
    let Ok(read) = UnverifiedNotification::read(&body) else {
        let code = if fault == Fault::BelievesEveryHash {
            StatusCode::OK
        } else {
            StatusCode::BAD_REQUEST
        };
        return code.into_response();
    };
    let (txid, time) = (read.claimed_tx_id().to_string(), read.claimed_final_at().to_owned());
    if fault != Fault::BelievesEveryHash && read.verify(&[SECRET]).is_err() {
        return StatusCode::FORBIDDEN.into_response();
    }
    if fault == Fault::NeverAnswers {
        std::future::pending::<()>().await;
    }
    if fault == Fault::Redirects {
        return (StatusCode::FOUND, [(header::LOCATION, "/login")]).into_response();
    }
    if fault == Fault::DecidesWithoutAsking {
        return StatusCode::OK.into_response();
    }
    let known = {
        let mut seen = endpoint.seen.lock().expect("whole");
        let known = seen.iter().any(|(other, _)| *other == txid);
        (known, !seen.insert((txid.clone(), time)))
    };
    match (fault, known) {
        (Fault::RefusesDuplicates, (_, true)) => return StatusCode::CONFLICT.into_response(),
        (Fault::DropsKnownTxids, (true, _)) => return StatusCode::OK.into_response(),
        _ => {}
    }
    if fault == Fault::FailsWhenTwoComeAtOnce {
        if !endpoint.under_way.lock().expect("whole").insert(txid.clone()) {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        endpoint.under_way.lock().expect("whole").remove(&txid);
    }
    endpoint.book(&txid).await;
    if fault == Fault::AnswersAWholePage {
        return Body::from("OK".repeat(150_000)).into_response();
    }
    let said = if fault == Fault::SaysNothing { "" } else { "OK" };
    said.into_response()
}

/// Runs the program beside the endpoint, which is in this process.
async fn certify(args: Vec<String>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    command.args(["--log", "warn", "certify"]).args(args).stdin(Stdio::null());
    let running = tokio::task::spawn_blocking(move || command.output());
    running.await.expect("no panic").expect("it runs")
}

fn stand_in() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

fn arguments(base: &str, listen: SocketAddr, more: &[&str]) -> Vec<String> {
    let mut args = vec![
        format!("--url={base}/notify"),
        format!("--notification-secret={SECRET}"),
        format!("--listen={listen}"),
        "--patience=1".to_owned(),
    ];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    args
}

/// What was found: the scene and the code of each fault.
fn found(report: &Value) -> BTreeSet<(&str, &str)> {
    let scenes = report["scenes"].as_array().expect("scenes").iter();
    let faults = scenes.flat_map(|scene| {
        let faults = scene["faults"].as_array().expect("faults").iter();
        let name = scene["scene"].as_str().expect("a name");
        faults.map(move |fault| (name, fault["code"].as_str().expect("a code")))
    });
    faults.collect()
}

const GENUINE: [&str; 7] =
    ["good", "duplicate", "twice_at_once", "slow", "late_success", "same_second", "reordered"];

/// All scenes of genuine notifications with one code.
fn everywhere(code: &'static str) -> Vec<(&'static str, &'static str)> {
    GENUINE.iter().map(|scene| (*scene, code)).collect()
}

#[tokio::test]
async fn each_fault_of_an_endpoint_is_found_and_a_right_one_has_none() {
    gopay_outbound::install_crypto();
    let cases = [
        (Fault::None, &[][..], vec![]),
        (Fault::BelievesEveryHash, &[], vec![("forged", "forged_confirmed")]),
        (
            Fault::RefusesDuplicates,
            &[],
            vec![
                ("duplicate", "not_confirmed"),
                ("twice_at_once", "not_confirmed"),
                ("same_second", "not_confirmed"),
                ("same_second", "dropped"),
            ],
        ),
        (
            Fault::DropsKnownTxids,
            &[],
            vec![("late_success", "dropped"), ("same_second", "dropped")],
        ),
        (
            Fault::DecidesWithoutAsking,
            &[],
            [
                everywhere("did_not_ask"),
                vec![("late_success", "dropped"), ("same_second", "dropped")],
            ]
            .concat(),
        ),
        (
            Fault::Redirects,
            &[],
            [
                everywhere("redirected"),
                everywhere("did_not_ask"),
                vec![("late_success", "dropped"), ("same_second", "dropped")],
            ]
            .concat(),
        ),
        (Fault::AnswersAWholePage, &[], everywhere("too_long")),
        (Fault::SaysNothing, &["--require-ok"], everywhere("no_ok")),
        (Fault::HasNoPatience, &[], vec![("slow", "not_confirmed"), ("slow", "did_not_ask")]),
        (Fault::FailsWhenTwoComeAtOnce, &[], vec![("twice_at_once", "not_confirmed")]),
        (
            Fault::KeepsWhatFailed,
            &["--status-url"],
            vec![("late_success", "wrong_state"), ("same_second", "wrong_state")],
        ),
    ];
    // Most of the time an endpoint is waited for.
    let cases = futures::stream::iter(cases);
    cases
        .for_each_concurrent(4, async |(fault, more, expected)| {
            let listen = stand_in();
            let base = Endpoint::start(fault, listen).await;
            let mut args = arguments(&base, listen, more);
            if more.contains(&"--status-url") {
                args.push(format!("{base}/holds"));
            }
            args.push("--json".to_owned());
            let output = certify(args.clone()).await;
            let said = String::from_utf8_lossy(&output.stdout);
            let report: Value =
                serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
            assert_eq!(found(&report), expected.iter().copied().collect(), "{fault:?}: {said}");
            assert_eq!(report["passed"], expected.is_empty(), "{fault:?}");
            assert_eq!(output.status.code(), Some(i32::from(!expected.is_empty())), "{fault:?}");
        })
        .await;
}

#[tokio::test]
async fn who_never_answers_is_named_in_words() {
    gopay_outbound::install_crypto();
    let listen = stand_in();
    let base = Endpoint::start(Fault::NeverAnswers, listen).await;
    let mut args = arguments(&base, listen, &["--timeout=1"]);
    args.retain(|arg| arg != "--patience=1");
    args.push("--patience=0".to_owned());
    let output = certify(args).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("WRONG  good"), "{said}");
    assert!(said.contains("no_answer: the notification: no answer within"), "{said}");
    assert!(said.contains("store the notification and answer at once"), "{said}");
    assert!(said.contains("1 of 8 scenes are right"), "only what is forged is refused: {said}");
    assert!(!said.contains('\x1b'), "no colours without a terminal: {said}");
}

#[tokio::test]
async fn the_receiver_of_the_demo_does_nothing_wrong() {
    let demo = Demo::start().await;
    let args = vec![
        format!("--url={}/psp/notify", demo.simulator),
        format!("--notification-secret={SECRET}"),
    ];
    let output = certify(args).await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("8 of 8 scenes are right"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_with_the_question_is_said() {
    for (args, code, words) in [
        (vec!["--url=http://127.0.0.1:1/x"], 3, "start the endpoint"),
        (vec!["--url=http://127.0.0.1:1/x", "--txid=5"], 3, "8 different ones are needed"),
        (vec!["--url=nowhere"], 2, "--url"),
        (vec!["--url=http://127.0.0.1:1/x", "--timeout=0"], 2, "--timeout"),
    ] {
        let mut all: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        all.push(format!("--notification-secret={SECRET}"));
        let output = certify(all).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}
