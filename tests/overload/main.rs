//! More calls than there is room for: those that are let in are served, the others are told so at
//! once in a way that PPRO clients understand, a PSP's flood costs the other PSPs nothing, and
//! afterwards everything is as before.
#![allow(clippy::indexing_slicing, reason = "a missing key fails the test, as it should")]

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use gopay_psp_client::Credentials;
use serde_json::{Value, json};
use support::served::{Served, hash_password};
use support::wire::SERVER_KEY;
use support::{body_as, decode, example};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Who = (&'static str, &'static str, &'static str);

const FLOOD: Who = ("psp-flood", "password-flood", "FLOOD");
const CALM: Who = ("psp-calm", "password-calm", "CALM");

/// Room for eight calls, of which one PSP gets four; each charge takes long.
async fn start(limits: &str) -> Arc<Served> {
    let mut config = format!(
        "[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
         [limits]\nconcurrent_calls = 8\nconcurrent_calls_per_client = 4\n{limits}\n"
    );
    for (login, password, contract) in [FLOOD, CALM] {
        let hash = hash_password(password);
        config.push_str(&format!(
            "[[client]]\nlogin = \"{login}\"\npassword_hash = \"{hash}\"\n\
             shared_secret = \"shared\"\nnotification_secrets = [\"notify\"]\n\
             [[contract]]\nid = \"{contract}\"\nclient = \"{login}\"\n\
             redirect_url = \"https://shop.example/\"\nnotification_url = \"https://psp.example/\"\n"
        ));
    }
    let served = Arc::new(Served::start(&config).await);
    for who in [FLOOD, CALM] {
        assert_eq!(served.open_as(who, &[]).await["STATUS"], "PENDING");
    }
    served
}

fn transaction(who: Who) -> String {
    let order = example(&[]);
    let order: Vec<(&str, &str)> =
        order.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    body_as(&Credentials::new(who.0, who.1, who.2), "TRANSACTION", &order)
}

/// Sends so many calls of one PSP at once; how many were opened and how many turned away.
async fn flood(served: &Arc<Served>, count: usize) -> (usize, usize) {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let served = Arc::clone(served);
        calls.spawn(async move { served.post(transaction(FLOOD)).await });
    }
    let (mut opened, mut refused) = (0, 0);
    for (status, text) in calls.join_all().await {
        let answer = decode(&text);
        match status {
            200 => {
                assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
                opened += 1;
            }
            503 => {
                assert_eq!(answer["STATUS"], "FAILED", "{answer:?}");
                assert_eq!(answer["FAILREASON"], "LOCAL_ERROR", "{answer:?}");
                assert_eq!(answer["TXID"], "0", "{answer:?}");
                assert!(answer["ERRMSG"].contains("nothing was done"), "{answer:?}");
                refused += 1;
            }
            other => panic!("{other}: {text}"),
        }
    }
    (opened, refused)
}

async fn slow_charges(served: &Served, ms: u64) {
    let delay = json!({"delay": {"ms": ms, "when": "before"}});
    served.fault(json!({"on": "charge", "action": delay, "times": null})).await;
}

#[tokio::test]
async fn a_flood_of_one_psp_leaves_room_for_the_others() {
    let served = start("").await;
    slow_charges(&served, 400).await;
    let flooding = tokio::spawn({
        let served = Arc::clone(&served);
        async move {
            let mut sum = (0, 0);
            for _ in 0..3 {
                let (opened, refused) = flood(&served, 60).await;
                assert!(opened >= 4, "only {opened} were let in");
                sum = (sum.0 + opened, sum.1 + refused);
            }
            sum
        }
    });
    let mut calm = 0;
    while !flooding.is_finished() {
        assert_eq!(served.open_as(CALM, &[]).await["STATUS"], "PENDING");
        calm += 1;
    }
    let (opened, refused) = flooding.await.expect("no panic");
    assert!(refused > 0, "nothing was refused: {opened} opened");
    assert!(calm > 0);
    // Not one charge too many: what was refused was not done.
    let booked: Value = served.totals().await;
    assert_eq!(booked["payments"]["pending"], json!(opened + calm + 2), "{booked}");
    let held = served.simulate("GET", "transactions?limit=1000", Value::Null).await;
    assert_eq!(held["transactions"].as_array().map(Vec::len), Some(opened + calm + 2));
    // It recovers at once.
    served.simulate("DELETE", "faults", Value::Null).await;
    assert_eq!(served.open_as(FLOOD, &[]).await["STATUS"], "PENDING");
}

#[tokio::test]
async fn calls_that_ask_get_through_while_those_that_pay_wait() {
    let served = start("").await;
    let txid = served.open_as(FLOOD, &[]).await["TXID"].clone();
    slow_charges(&served, 700).await;
    let flooding = tokio::spawn({
        let served = Arc::clone(&served);
        async move { flood(&served, 40).await }
    });
    let mut asked = 0;
    while !flooding.is_finished() {
        let answer = served.call_as(FLOOD, "GETTXSTATUS", &[("txid", &txid)]).await;
        assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
        asked += 1;
    }
    flooding.await.expect("no panic");
    assert!(asked > 0);
}

#[tokio::test]
async fn a_flood_of_wrong_passwords_is_turned_away() {
    let served = start("").await;
    let mut calls = JoinSet::new();
    for number in 0..200 {
        let served = Arc::clone(&served);
        let body = transaction((FLOOD.0, "wrong", FLOOD.2));
        let body = body.replace("password=wrong", &format!("password=wrong{number}"));
        calls.spawn(async move { served.post(body).await });
    }
    // Who is known needs no verification and does not wait for it.
    for _ in 0..5 {
        assert_eq!(served.open_as(CALM, &[]).await["STATUS"], "PENDING");
        assert_eq!(served.open_as(FLOOD, &[]).await["STATUS"], "PENDING");
    }
    let answers = calls.join_all().await;
    for (status, text) in &answers {
        assert_eq!(decode(text)["STATUS"], "FAILED", "{text}");
        assert!([200, 503].contains(status), "{status}: {text}");
    }
    assert!(answers.iter().any(|(status, _)| *status == 503), "nobody was turned away");
}

/// Connections beyond the bound cost those their place that never ask; who asks is answered.
#[tokio::test]
async fn connections_are_bounded() {
    const MAX: usize = 6;
    let served = start("connections = 6").await;
    let address = served.adapter.strip_prefix("http://").expect("a plain address").to_owned();
    let mut silent = Vec::new();
    for _ in 0..4 * MAX {
        silent.push(TcpStream::connect(&address).await.expect("the system accepts"));
    }
    for _ in 0..3 {
        assert_eq!(served.open_as(CALM, &[]).await["STATUS"], "PENDING");
    }
    let mut open = 0;
    for mut stream in silent {
        let mut byte = [0; 1];
        let read = stream.read(&mut byte);
        let quiet = tokio::time::timeout(Duration::from_millis(200), read).await;
        open += usize::from(quiet.is_err());
    }
    assert!(open <= MAX, "{open} are open beside those that ask");
}

/// Sends all of a body but its last byte; the connection.
async fn unfinished(address: &str, path: &str, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("the system accepts");
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("it takes a head");
    // It may be closed before all is sent.
    let _ = stream.write_all(&vec![b'a'; bytes - 1]).await;
    stream
}

/// More unfinished bodies than there is memory for cost those their place that wait; who sends a whole
/// call is answered, and at once.
#[tokio::test]
async fn unfinished_bodies_keep_nobody_out() {
    let served = start("").await;
    let address = served.adapter.strip_prefix("http://").expect("a plain address").to_owned();
    let before = resident(&served);
    let mut flood = JoinSet::new();
    for (path, bytes, count) in [("/", 262_144, 400), ("/midtrans/notification", 65_536, 700)] {
        for _ in 0..count {
            let address = address.clone();
            flood.spawn(async move { unfinished(&address, path, bytes).await });
        }
    }
    let mut slowest = Duration::ZERO;
    while let Some(sent) = flood.join_next().await {
        sent.expect("no panic");
        let began = Instant::now();
        assert_eq!(served.open_as(CALM, &[]).await["STATUS"], "PENDING");
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let grown = resident(&served).saturating_sub(before);
    assert!(grown < 400 << 20, "{} MiB for the bodies", grown >> 20);
}

/// The resident memory of the adapter, in bytes.
fn resident(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}
