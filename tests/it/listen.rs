//! `listen`: a developer hears what the real receiver hears, and takes nothing away from it.

use std::io::BufReader;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use gopay_testkit::wait::holds_within;
use serde_json::{Value, json};

use crate::support::Running;
use crate::support::receiver::{Receiver, Reply};
use crate::support::served::{Served, hash_password};
use crate::support::wire::{NOTIFICATION_SECRET, SERVER_KEY, nested};

fn config(receiver: &Receiver) -> String {
    let hash = hash_password("test123");
    let contract = |id: &str| {
        format!(
            "[[contract]]\nid = \"{id}\"\nclient = \"testclient\"\nnotification_url = \"{}\"\n\
             redirect_url = \"https://shop.example/return\"\n",
            receiver.url()
        )
    };
    format!(
        "[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
         [delivery]\nallow_private = [\"127.0.0.0/8\"]\n\
         [[client]]\nlogin = \"testclient\"\npassword_hash = \"{hash}\"\n\
         shared_secret = \"examplesharedsecret\"\n\
         notification_secrets = [\"{NOTIFICATION_SECRET}\", \"an older secret of the client\"]\n{}{}",
        contract("TESTCONTRACT"),
        contract("OTHER"),
    )
}

/// Starts `listen` and waits until it hears.
fn listen(served: &Served, to: &str, more: &[&str]) -> (Running, BufReader<ChildStdout>) {
    let mut child: Child = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["--log", "warn", "listen", "--config"])
        .arg(served.folder().join("config.toml"))
        .args(["--forward", to])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    (Running(child), out)
}

fn line(out: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    out.read_line(&mut line).expect("text");
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn a_developer_hears_what_the_receiver_hears_signed_alike() {
    let (receiver, developer) = (Receiver::start().await, Receiver::start().await);
    let served = Served::start(&config(&receiver)).await;
    let (_running, mut out) = listen(&served, &developer.url(), &[]);
    assert!(line(&mut out).contains("is told to"), "it says that it hears");
    developer.then([Reply::Status(500)]);
    let paid = served.paid().await;
    let cancelled = served.pending().await;
    served.call("CANCELTX", &[("txid", &cancelled)]).await;
    // An answer says it: nobody is notified of it.
    served.transaction(&[("amount", "1")]).await;
    let late = served.pending().await;
    served.call("CANCELTX", &[("txid", &late)]).await;
    served.wallet(&late, "settle-late", json!({})).await;
    served.until_status(&late, "SUCCEEDED").await;
    for (txid, times) in [(&paid, 1), (&cancelled, 1), (&late, 2)] {
        for hears in [&receiver, &developer] {
            served.eventually("heard", async || hears.seen_of(txid).len() == times).await;
        }
        let (real, here) = (receiver.seen_of(txid), developer.seen_of(txid));
        for (real, here) in real.iter().zip(&here) {
            assert_eq!(real.fields, here.fields);
            assert_eq!(real.content_type, here.content_type);
            let hash = nested(txid, here.field("finaltimestamp"), NOTIFICATION_SECRET);
            assert_eq!(here.field("sha256hash"), hash);
        }
    }
    assert!(line(&mut out).contains(&format!("{paid}  500, which does not confirm")));
    assert!(line(&mut out).contains(&format!("{cancelled}  200, confirmed")));
    served.until_outbox_empty().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_wanted_contract_is_heard_and_each_is_an_object() {
    let (receiver, developer) = (Receiver::start().await, Receiver::start().await);
    let served = Served::start(&config(&receiver)).await;
    let more = ["--json", "--contract", "OTHER"];
    let (_running, mut out) = listen(&served, &developer.url(), &more);
    // It says nothing before the first: wait until something of its contract is heard.
    let mut ended = Vec::new();
    for _ in 0..20 {
        for contract in ["TESTCONTRACT", "OTHER"] {
            let who = ("testclient", "test123", contract);
            let txid = served.open_as(who, &[]).await["TXID"].clone();
            served.call_as(who, "CANCELTX", &[("txid", &txid)]).await;
            ended.push((contract, txid));
        }
        // Its reader begins with what comes after it: what was opened before is not heard.
        if holds_within(Duration::from_millis(700), async || !developer.seen().is_empty()).await {
            break;
        }
    }
    let heard: Value = serde_json::from_str(&line(&mut out)).expect("JSON");
    assert_eq!((&heard["confirmed"], &heard["status"]), (&json!(true), &json!(200)));
    for (contract, txid) in ended {
        assert!(contract == "OTHER" || developer.seen_of(&txid).is_empty(), "{txid}");
    }
}
