//! Several accounts at Midtrans: a contract has its own, a payment keeps its own, and the faults of
//! one are not the others'.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::receiver::{Receiver, Reply};
use crate::support::served::{Served, hash_password};
use crate::support::wire::signature;

const MAIN: &str = "SB-Mid-server-main";
const WARUNG: &str = "SB-Mid-server-warung";
const TOKO: &str = "SB-Mid-server-toko";
const PSP: (&str, &str) = ("alpha", "password-a");

const MERCHANTS: &str = "\
    [[merchants]]\nserver_key = \"SB-Mid-server-main\"\nmerchant_id = \"G1\"\n\
    [[merchants]]\nserver_key = \"SB-Mid-server-warung\"\nmerchant_id = \"G2\"\n\
    [[merchants]]\nserver_key = \"SB-Mid-server-warung-new\"\nmerchant_id = \"G2\"\n\
    [[merchants]]\nserver_key = \"SB-Mid-server-toko\"\nmerchant_id = \"G3\"\n";

fn account(name: &str, keys: &str) -> String {
    format!(
        "[midtrans.{name}]\nchannel = \"testchannel\"\nbase_url = \"{{simulator}}\"\n\
         server_key = {keys}\ntimeout = \"2s\"\nconnect_timeout = \"1s\"\n"
    )
}

fn contract(id: &str, account: Option<&str>) -> String {
    let account = account.map(|name| format!("midtrans = \"{name}\"\n")).unwrap_or_default();
    format!(
        "[[contract]]\nid = \"{id}\"\nclient = \"alpha\"\n{account}\
         notification_url = \"https://psp.example/notify\"\n\
         redirect_url = \"https://shop.example/return\"\n"
    )
}

fn client() -> String {
    let hash = hash_password(PSP.1);
    format!(
        "[[client]]\nlogin = \"alpha\"\npassword_hash = \"{hash}\"\n\
         shared_secret = \"shared-secret-alpha\"\n\
         notification_secrets = [\"notification-secret-alpha\"]\n"
    )
}

fn who(contract: &str) -> (&'static str, &'static str, &str) {
    (PSP.0, PSP.1, contract)
}

async fn status(served: &Served, contract: &str, txid: &str) -> String {
    let answer = served.call_as(who(contract), "GETTXSTATUS", &[("txid", txid)]).await;
    answer["STATUS"].clone()
}

async fn paid(served: &Served, contract: &str, txid: &str) {
    served.wallet(txid, "pay", json!({})).await;
    served.eventually("paid", async || status(served, contract, txid).await == "SUCCEEDED").await;
}

fn reload(served: &Served) {
    let config = served.folder().join("config.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["reload", "--reason", "accounts", "--config"])
        .arg(config)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_payment_keeps_the_account_that_it_was_opened_in() {
    let key = |key: &str| format!("\"{key}\"");
    let parties =
        |own: Option<&str>| [client(), contract("MAIN", None), contract("SHOP", own)].concat();
    let accounts = [account("test", &key(MAIN)), account("warung", &key(WARUNG))].concat();
    let config = [accounts, account("toko", &key(TOKO)), parties(Some("warung"))].concat();
    let served = Served::start_beside(MERCHANTS, &config).await;
    let open = async |contract: &str| served.open_as(who(contract), &[]).await["TXID"].clone();
    let merchant = async |txid: &str| served.upstream(txid).await["merchant_id"].clone();

    let (main, shop) = (open("MAIN").await, open("SHOP").await);
    assert_eq!(merchant(&main).await, "G1");
    assert_eq!(merchant(&shop).await, "G2");

    // A notification is good under the key of its payment's account alone.
    let mut notification = served.notification(&shop, "201", "pending").await;
    let gross = notification["gross_amount"].as_str().unwrap().to_owned();
    for (key, expected) in [(MAIN, 403), (TOKO, 403), (WARUNG, 200)] {
        notification["signature_key"] = signature(&shop, "201", &gross, key).into();
        assert_eq!(served.notify(notification.to_string()).await, expected, "{key}");
    }

    // Its contract goes to another account, its key is replaced: what was opened before stays where
    // it is.
    let two = format!("[\"{WARUNG}-new\", \"{WARUNG}\"]");
    let accounts = [account("test", &key(MAIN)), account("warung", &two)].concat();
    served.rewrite(&[accounts, account("toko", &key(TOKO)), parties(Some("toko"))].concat());
    reload(&served);
    let later = open("SHOP").await;
    assert_eq!(merchant(&later).await, "G3");
    for (contract, txid) in [("MAIN", &main), ("SHOP", &shop), ("SHOP", &later)] {
        paid(&served, contract, txid).await;
        let pairs = [("txid", txid.as_str()), ("amount", "100000"), ("currency", "IDR")];
        let refund = served.call_as(who(contract), "REFUND", &pairs).await;
        assert_eq!(refund["STATUS"], "SUCCEEDED", "{refund:?}");
        assert_eq!(served.upstream(txid).await["status"], "partial_refund");
    }
    // And so do those that are cancelled, or that nobody tells of.
    served.silence().await;
    let open_one = open("SHOP").await;
    served.rewrite(
        &[account("test", &key(MAIN)), account("toko", &key(TOKO)), parties(None)].concat(),
    );
    reload(&served);
    served.call_as(who("SHOP"), "CANCELTX", &[("txid", open_one.as_str())]).await;
    served
        .eventually("cancelled", async || status(&served, "SHOP", &open_one).await == "FAILED")
        .await;
    assert_eq!(served.upstream(&open_one).await["status"], "cancel");
    let (_, page) = served.get(&format!("{}/admin/v1/transactions/{shop}", served.admin)).await;
    let story: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(story[0]["transaction"]["midtrans_account"], "warung", "{page}");
}

#[tokio::test]
async fn the_faults_of_one_account_are_named_and_stay_its_own() {
    let key = |key: &str| format!("\"{key}\"");
    let config = [
        account("test", &key(MAIN)),
        account("warung", "\"SB-Mid-server-mistyped\""),
        account("toko", &key(TOKO)).replace("{simulator}", "http://127.0.0.1:9"),
        client(),
        contract("MAIN", None),
        contract("SHOP", Some("warung")),
        contract("DEAD", Some("toko")),
    ]
    .concat();
    let served = Served::start_beside(MERCHANTS, &config).await;
    let output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["check-config", "--online", "--config"])
        .arg(served.folder().join("config.toml"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    for said in [
        "midtrans.warung.server_key: Midtrans does not take it",
        "midtrans.toko.base_url: no answer that says whether the key is taken",
    ] {
        assert!(told.contains(said), "{told}");
    }
    assert!(!told.contains("midtrans.test"), "{told}");
    assert!(!told.contains("mistyped"), "{told}");

    let began = Instant::now();
    for contract in ["SHOP", "DEAD", "SHOP", "DEAD"] {
        let refused = served.open_as(who(contract), &[]).await;
        assert_eq!(refused["STATUS"], "FAILED", "{contract}: {refused:?}");
        let answer = served.open_as(who("MAIN"), &[]).await;
        assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
        paid(&served, "MAIN", &answer["TXID"]).await;
    }
    assert!(began.elapsed() < Duration::from_secs(60));
    let (code, ready) = served.get(&format!("{}/health/ready", served.admin)).await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    let refused = ready["midtrans_refuses"].as_array().unwrap();
    assert_eq!(code, 200);
    assert!(refused.iter().any(|one| one["call"] == "charge" && one["code"] == 401), "{ready}");
    assert!(refused.iter().all(|one| one["account"] == "warung"), "{ready}");
    let (_, page) = served.get(&format!("{}/console", served.admin)).await;
    assert!(page.contains("in account <code>warung</code>"), "{page}");
    let log = served.log();
    assert!(log.contains("warung") && log.contains("did not let us in"), "{log}");
    assert!(!log.contains("mistyped") && !ready.to_string().contains("mistyped"));
}

/// What a Midtrans that refuses answers to every call about an account.
#[tokio::test]
async fn an_account_without_its_merchant_or_over_its_quota_takes_nothing_from_the_others() {
    let failing = Receiver::start().await;
    let key = |key: &str| format!("\"{key}\"");
    let config = [
        account("test", &key(MAIN)),
        account("warung", &key(WARUNG)).replace("{simulator}", &failing.base),
        account("toko", &key(TOKO)),
        client(),
        contract("MAIN", None),
        contract("SHOP", Some("warung")),
        contract("TOKO", Some("toko")),
    ]
    .concat();
    let served = Served::start_beside(MERCHANTS, &config).await;
    let refused = async || -> Vec<Value> {
        let (code, ready) = served.get(&format!("{}/health/ready", served.admin)).await;
        let ready: Value = serde_json::from_str(&ready).unwrap();
        assert_eq!(code, 200, "{ready}");
        ready["midtrans_refuses"].as_array().cloned().unwrap_or_default()
    };
    // HTTP status, code in the body, whether only the operator can mend it.
    for (status, code, barred) in [(402, "402", true), (200, "402", true), (429, "429", false)] {
        let said = json!({"status_code": code, "status_message": "not now", "id": "x"});
        failing.always(Reply::Body(status, said.to_string()));
        let before = failing.seen().len();
        for _ in 0..8 {
            let answer = served.open_as(who("SHOP"), &[]).await;
            assert_eq!(answer["STATUS"], "FAILED", "{status} {code}: {answer:?}");
            for own in ["MAIN", "TOKO"] {
                let began = Instant::now();
                let answer = served.open_as(who(own), &[]).await;
                assert_eq!(answer["STATUS"], "PENDING", "{status} {code}, {own}: {answer:?}");
                assert!(began.elapsed() < Duration::from_secs(2), "{own} waited");
            }
        }
        assert!(failing.seen().len() >= before + 8, "{status} {code}: each was asked for");
        let refused = refused().await;
        assert!(refused.iter().all(|one| one["account"] == "warung"), "{refused:?}");
        let charge = refused.iter().any(|one| one["call"] == "charge" && one["code"] == 402);
        assert_eq!(charge, barred, "{status} {code}: {refused:?}");
    }
    for own in ["MAIN", "TOKO"] {
        let answer = served.open_as(who(own), &[]).await;
        paid(&served, own, &answer["TXID"]).await;
    }
}

#[tokio::test]
async fn an_account_that_hangs_is_given_few_calls_and_the_others_all_of_theirs() {
    let failing = Receiver::start().await;
    failing.always(Reply::Hang);
    let key = |key: &str| format!("\"{key}\"");
    let config = [
        account("test", &key(MAIN)),
        account("warung", &key(WARUNG)).replace("{simulator}", &failing.base),
        client(),
        contract("MAIN", None),
        contract("SHOP", Some("warung")),
    ]
    .concat();
    let served = Served::start_beside(MERCHANTS, &config).await;
    let slow = |count: usize| {
        futures::future::join_all((0..count).map(|_| served.open_as(who("SHOP"), &[])))
    };
    // After five without an answer it counts as silent.
    for answer in slow(6).await {
        assert_eq!(answer["STATUS"], "FAILED", "{answer:?}");
    }
    let asked = failing.seen().len();
    let began = Instant::now();
    let own = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let began = Instant::now();
            let answer = served.open_as(who("MAIN"), &[]).await;
            assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
            slowest = slowest.max(began.elapsed());
        }
        slowest
    };
    let (answers, slowest) = futures::join!(slow(60), own);
    assert!(answers.iter().all(|answer| answer["STATUS"] == "FAILED"), "{answers:?}");
    println!("beside 60 calls to an account that hangs, the slowest of 20: {slowest:.2?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "they do not wait for one another");
    // 8 of 128 are under way at once; the others are refused without being sent.
    let sent = failing.seen().iter().skip(asked).filter(|one| one.path == "/v2/charge").count();
    assert!((1..60).contains(&sent), "{sent} of 60 were sent");
    // As soon as it answers, it has its calls again.
    failing.always(Reply::Body(429, json!({"status_code": "429"}).to_string()));
    served
        .eventually("its calls are sent again", async || {
            let before = failing.seen().len();
            slow(20).await;
            failing.seen().len() >= before + 20
        })
        .await;
}
