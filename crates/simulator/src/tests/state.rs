//! A state that survives: what is there again after a restart, or after a kill at any moment.

use std::fs;
use std::future::IntoFuture as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{RECEIVER, charge_body, request};
use crate::{
    ApiReply, EngineConfig, Limits, MerchantKey, OffsetClock, Payer, SimulatorState, StateError,
    router,
};

fn config() -> EngineConfig {
    let notification_url = Some(RECEIVER.to_owned());
    EngineConfig { notification_url, merchant_balance: Some(0), ..EngineConfig::default() }
}

fn open(folder: &Path) -> SimulatorState {
    SimulatorState::open(config(), Arc::new(OffsetClock::new()), folder).unwrap()
}

fn handle(state: &SimulatorState, method: &str, path: &str, body: &str, key: &str) -> ApiReply {
    let call = request(method, path, body).with_header("idempotency-key", key);
    let now = state.clock().now();
    state.with_engine(|engine| engine.handle(now, &call))
}

fn charge(state: &SimulatorState, order: &str, key: &str) -> ApiReply {
    handle(state, "POST", "/v2/charge", &charge_body(order, 1_000).to_string(), key)
}

fn json_of(reply: &ApiReply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

/// All that can be seen of a simulator.
fn seen(state: &SimulatorState) -> Value {
    state.with_engine(|engine| {
        json!({
            "transactions": engine.transactions(0, usize::MAX),
            "totals": engine.totals(),
            "faults": engine.faults(),
            "queue": engine.notification_queue().totals,
            "sent": engine.sent_notifications(None, usize::MAX),
        })
    })
}

/// Pays, refunds, cancels, sends, and leaves something open of each.
fn live_a_little(state: &SimulatorState) {
    let fault = json!({"on": "status", "action": "empty", "times": 5, "skip": 3});
    state.with_engine(|engine| engine.add_fault(serde_json::from_value(fault).unwrap())).unwrap();
    let mut body = charge_body("A-1", 1_000);
    body["metadata"] = json!({"deep": [1, {"er": "\u{e9}\n"}]});
    body["custom_field2"] = json!("two");
    handle(state, "POST", "/v2/charge", &body.to_string(), "k-1");
    for order in ["A-2", "A-3", "A-4"] {
        charge(state, order, order);
    }
    let now = state.clock().now();
    state.with_engine(|engine| {
        for order in ["A-1", "A-2"] {
            engine.pay(now, order, &Payer::default()).unwrap();
        }
        engine.cancel(now, "A-3").unwrap();
        engine.charge_back(now, "A-2", crate::Chargeback { amount: Some(5) }).unwrap();
        let due = engine.due_notifications_up_to(now, 3);
        let outcomes = [200, 503].map(crate::NotificationOutcome::Status);
        for (notification, outcome) in due.iter().zip(outcomes) {
            engine.notification_result(notification.id, now, outcome);
        }
    });
    let refund = json!({"refund_key": "R", "amount": 100}).to_string();
    assert_eq!(
        json_of(&handle(state, "POST", "/v2/A-1/refund", &refund, "r"))["status_code"],
        "200"
    );
    state.clock().advance(Duration::from_secs(3_600));
    charge(state, "A-5", "k-5");
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    live_a_little(&state);
    let (before, answer) = (seen(&state), charge(&state, "A-5", "k-5"));
    let repeats = seen(&state);
    assert_ne!(before, repeats, "a repeat is counted");
    state.saved().await.unwrap();
    drop(state);
    // Twice, since opening writes the state anew.
    for _ in 0..2 {
        drop(open(folder.path()));
    }
    let state = open(folder.path());
    assert_eq!(seen(&state), repeats);
    assert!(state.clock().ahead() >= Duration::from_secs(3_600), "{:?}", state.clock().ahead());
    assert_eq!(charge(&state, "A-5", "k-5").body, answer.body, "the key is known");
    assert_eq!(json_of(&charge(&state, "A-5", "new"))["status_code"], "406");
    assert_ne!(
        json_of(&charge(&state, "A-6", "k-6"))["transaction_id"],
        json_of(&answer)["transaction_id"]
    );
    // What was being sent, or waited, is still owed; the open payment still expires.
    let queue = state.with_engine(|engine| engine.notification_queue());
    assert_eq!(queue.in_flight, 0);
    assert!(queue.queued >= 6, "{queue:?}");
    state.clock().advance(Duration::from_secs(3_600));
    let status = json_of(&handle(&state, "GET", "/v2/A-5/status", "", ""));
    assert_eq!(status["transaction_status"], "expire");
    let refunded = state.with_engine(|engine| engine.transaction("A-1").unwrap());
    assert!(refunded.refunds[0].bank_confirmed_at.is_some(), "the bank confirms it still");
}

#[tokio::test]
async fn cut_off_anywhere_the_file_is_read_up_to_the_last_whole_line() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    live_a_little(&state);
    state.saved().await.unwrap();
    drop(state);
    let path = folder.path().join("simulator.jsonl");
    let whole = fs::read(&path).unwrap();
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut transactions = Vec::new();
    for cut in (header..=whole.len()).step_by(397).chain([whole.len()]) {
        fs::write(&path, &whole[..cut]).unwrap();
        let state = open(folder.path());
        transactions.push(state.with_engine(|engine| engine.totals().transactions));
    }
    assert!(transactions.is_sorted(), "{transactions:?}");
    assert_eq!((transactions.first(), transactions.last()), (Some(&0), Some(&5)));
}

/// A copy of the file is what a kill at that moment would leave.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_is_in_the_file_at_any_moment() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let state = open(folder.path());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v2/charge", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, router(state)).into_future());
    let answered = Arc::new(Mutex::new(Vec::new()));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut callers = JoinSet::new();
    for caller in 0..4 {
        let (url, client, answered) = (url.clone(), client.clone(), Arc::clone(&answered));
        callers.spawn(async move {
            for number in 0..50 {
                let order = format!("A-{caller}-{number}");
                let call = client.post(&url).basic_auth(super::KEY, Some(""));
                let answer = call.json(&charge_body(&order, 1_000)).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                answered.lock().unwrap().push(order);
            }
        });
    }
    let mut kills = 0;
    while !callers.is_empty() {
        let _ = tokio::time::timeout(Duration::from_millis(5), callers.join_next()).await;
        let known = answered.lock().unwrap().clone();
        let name = "simulator.jsonl";
        fs::copy(folder.path().join(name), other.path().join(name)).unwrap();
        let again = open(other.path());
        for order in &known {
            assert!(again.with_engine(|engine| engine.transaction(order)).is_some(), "{order}");
        }
        kills += usize::from(!known.is_empty() && known.len() < 200);
    }
    assert!(kills > 0);
    assert_eq!(answered.lock().unwrap().len(), 200);
}

#[test]
fn a_state_that_cannot_be_read_is_refused_and_left_alone() {
    for (content, line) in [
        ("", None),
        ("{\"format\":\"gopay-simulator\",\"version\":2}\n", None),
        ("{\"format\":\"other\",\"version\":1}\n", None),
        ("not json\n", None),
        ("{\"format\":\"gopay-simulator\",\"version\":1}\n{}\nnot json\n{}\n", Some(3)),
        ("{\"format\":\"gopay-simulator\",\"version\":1}\n{\"unknown\":1}\n", Some(2)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("simulator.jsonl");
        fs::write(&path, content).unwrap();
        let clock = Arc::new(OffsetClock::new());
        let error = SimulatorState::open(config(), clock, folder.path()).unwrap_err();
        match (&error, line) {
            (StateError::OtherFormat(_), None) => {}
            (StateError::Corrupt { line: found, .. }, Some(line)) => assert_eq!(*found, line),
            _ => panic!("{content:?}: {error}"),
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn one_simulator_at_a_time_uses_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let again = || SimulatorState::open(config(), Arc::new(OffsetClock::new()), folder.path());
    assert!(matches!(again(), Err(StateError::InUse(_))));
    drop(first);
    assert!(again().is_ok());
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_the_state() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let mode = fs::metadata(folder.path().join("simulator.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn the_file_stays_within_a_multiple_of_what_is_held() {
    let folder = tempfile::tempdir().unwrap();
    let limits =
        Limits { transactions: 50, sent_notifications: 5, notifications: 5, ..Limits::default() };
    let small = EngineConfig { limits, ..config() };
    let clock = Arc::new(OffsetClock::new());
    let state = SimulatorState::open(small, clock, folder.path()).unwrap();
    let path = folder.path().join("simulator.jsonl");
    let mut largest = 0;
    for number in 0..2_000 {
        let order = format!("A-{number}");
        charge(&state, &order, "");
        let now = state.clock().now();
        state.with_engine(|engine| engine.cancel(now, &order)).unwrap();
        if number % 50 == 0 {
            state.saved().await.unwrap();
            largest = largest.max(fs::metadata(&path).unwrap().len());
        }
    }
    assert!(largest > 1 << 20, "{largest}");
    assert!(largest < 5 << 20, "{largest}");
    state.saved().await.unwrap();
    drop(state);
    assert_eq!(open(folder.path()).with_engine(|engine| engine.totals().transactions), 2_000);
}

#[tokio::test]
async fn merchants_and_wallets_belong_to_their_names_when_the_setup_changes() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(folder.path());
    charge(&state, "A-1", "k");
    let now = state.clock().now();
    state.with_engine(|engine| engine.pay(now, "A-1", &Payer::default())).unwrap();
    state.saved().await.unwrap();
    drop(state);
    let key = |server_key: &str, merchant_id: &str| MerchantKey {
        server_key: server_key.to_owned(),
        merchant_id: merchant_id.to_owned(),
    };
    let merchants = vec![key("another", "G2"), key("SB-Mid-server-demo", "G123456789")];
    let changed = EngineConfig { merchants, ..config() };
    let clock = Arc::new(OffsetClock::new());
    let state = SimulatorState::open(changed, clock, folder.path()).unwrap();
    let status = json_of(&handle(&state, "GET", "/v2/A-1/status", "", ""));
    assert_eq!(status["merchant_id"], "G123456789");
    let balances = state.with_engine(|engine| {
        engine.merchants.iter().map(|merchant| merchant.balance).collect::<Vec<_>>()
    });
    assert_eq!(balances, [Some(0), Some(1_000)]);
    // Its key signs what is sent from now on.
    let call = json!({"refund_key": "R", "amount": 10}).to_string();
    assert_eq!(json_of(&handle(&state, "POST", "/v2/A-1/refund", &call, ""))["status_code"], "200");
    drop(state);

    // A merchant that is gone keeps its transactions.
    let merchants = vec![key("another", "G2")];
    let gone = EngineConfig { merchants, ..config() };
    let state = SimulatorState::open(gone, Arc::new(OffsetClock::new()), folder.path()).unwrap();
    let view = state.with_engine(|engine| engine.transaction("A-1").unwrap());
    assert_eq!((view.merchant_id.as_str(), view.gross_amount), ("G123456789", 1_000));
}
