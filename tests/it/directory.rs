//! PSPs, contracts and accounts in the store: imported, exported, changed while instances run, and
//! what strangers and hostile PSPs try with that.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use gopay_testkit::wait::{throughout, within};
use serde_json::{Value, json};

use crate::console::Browser;
use crate::schemas::assert_desk;
use crate::support::instances::Shared;
use crate::support::served::{Served, hash_password};
use crate::support::{Demo, body_as, decode};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const SERVER_KEY: &str = "SB-Mid-server-demo";
const ALPHA: (&str, &str, &str) = ("alpha", "password-a", "A-1");
const BETA: (&str, &str, &str) = ("beta", "password-b", "B-1");

/// A config whose PSPs stand in the store, with operators: Sri may enter, Budi correct, Ana only act.
fn config(sealed: bool) -> String {
    let token = |name: &str, role: &str| {
        let hash = hash_password(&format!("token-of-{name}"));
        format!("[[admin.token]]\nname = \"{name}\"\nhash = \"{hash}\"\nroles = [\"{role}\"]\n")
    };
    let key = format!("[[store.encryption]]\nid = \"k1\"\nkey = \"{KEY}\"\n");
    let key = if sealed { key } else { String::new() };
    format!(
        "{key}[directory]\nsource = \"store\"\n\
         [midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
         [delivery]\nallow_private = [\"127.0.0.0/8\"]\n{}{}",
        token("sri", "directory"),
        [token("ana", "operate"), token("budi", "finance")].concat()
    )
}

fn client((login, password, _): (&str, &str, &str)) -> String {
    let hash = hash_password(password);
    format!(
        "[[client]]\nlogin = \"{login}\"\npassword_hash = \"{hash}\"\n\
         shared_secret = \"shared-secret-of-{login}\"\n\
         notification_secrets = [\"notification-secret-of-{login}\"]\n"
    )
}

fn contract(id: &str, login: &str, more: &str) -> String {
    format!(
        "[[contract]]\nid = \"{id}\"\nclient = \"{login}\"\n\
         notification_url = \"https://psp.example/notify\"\n\
         redirect_url = \"https://shop.example/return\"\n{more}"
    )
}

fn run(served: &Served, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["--log", "warn", "directory"])
        .args(args)
        .arg("--config")
        .arg(served.folder().join("config.toml"))
        .output()
        .expect("it runs")
}

fn import(served: &Served, text: &str, more: &[&str]) -> (Option<i32>, String) {
    let file = served.folder().join("import.toml");
    std::fs::write(&file, text).expect("written");
    let file = file.to_str().expect("a path");
    let who = ["import", file, "--by", "Sri", "--reason", "a new merchant"];
    let output = run(served, &[&who[..], more].concat());
    (output.status.code(), text_of(&output))
}

fn text_of(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

async fn post(served: &Served, who: &str, body: &Value) -> (u16, Value) {
    post_to(served, "directory", who, body).await
}

async fn post_to(served: &Served, path: &str, who: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/admin/v1/{path}", served.admin);
    let request = served.http.post(url).basic_auth(who, Some(format!("token-of-{who}")));
    let answer = request.json(body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn get(served: &Served, path: &str) -> (u16, String) {
    get_as(served, "ana", path).await
}

async fn get_as(served: &Served, who: &str, path: &str) -> (u16, String) {
    let url = format!("{}{path}", served.admin);
    let request = served.http.get(url).basic_auth(who, Some(format!("token-of-{who}")));
    let answer = request.send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

/// How long it takes until a call with these credentials opens a payment.
async fn until_served(served: &Served, who: (&str, &str, &str)) -> Duration {
    let opens = async || {
        served.open_as(who, &[]).await.get("STATUS").is_some_and(|status| status == "PENDING")
    };
    within(Duration::from_secs(5), &format!("{who:?} is served"), opens).await
}

fn everything_in(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).expect("a folder");
    let kept = files.map(|file| file.expect("a file").path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_file() && !name.ends_with(".toml")
    });
    kept.flat_map(|path| std::fs::read(path).expect("read")).collect()
}

#[tokio::test]
async fn what_is_entered_is_used_within_seconds_without_a_reload_and_shows_no_secret() {
    let served = Served::start(&config(true)).await;
    let nobody = served.open_as(ALPHA, &[]).await;
    assert_ne!(nobody.get("STATUS").map(String::as_str), Some("PENDING"), "{nobody:?}");

    let both =
        [client(ALPHA), client(BETA), contract("A-1", "alpha", ""), contract("B-1", "beta", "")];
    let (code, told) = import(&served, &both.concat(), &["--dry-run"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("valid: 2 clients, 2 contracts to be entered"), "{told}");
    let (code, told) = import(&served, &both.concat(), &[]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("2 clients, 2 contracts entered as change 1"), "{told}");
    until_served(&served, ALPHA).await;
    until_served(&served, BETA).await;
    // The same again is nothing new, and an export says the same without the secrets.
    let (_, told) = import(&served, &both.concat(), &[]);
    assert!(told.contains("nothing is new; 4 as they are"), "{told}");
    let shown = text_of(&run(&served, &["export"]));
    assert!(shown.contains("shared_secret = \"stored:1\""), "{shown}");
    let (_, told) = import(&served, &shown, &[]);
    assert!(told.contains("nothing is new; 4 as they are"), "{told}");
    let whole = served.folder().join("whole.toml");
    let output = run(&served, &["export", whole.to_str().unwrap(), "--with-secrets"]);
    assert!(output.status.success(), "{}", text_of(&output));
    let kept = std::fs::read_to_string(&whole).unwrap();
    assert!(kept.contains("shared-secret-of-alpha"), "{kept}");
    let (_, told) = import(&served, &kept, &[]);
    assert!(told.contains("nothing is new; 4 as they are"), "{told}");
    std::fs::remove_file(whole).unwrap();

    // Over the admin listener: a merchant with an account of its own, then one that is closed.
    let body = json!({
        "reason": "a merchant", "accounts": {"warung": {"channel": "testchannel",
            "base_url": served.simulator, "server_key": "SB-Mid-server-of-warung"}},
        "contracts": [{"id": "A-2", "client": "alpha", "midtrans": "warung",
            "notification_url": "https://psp.example/notify",
            "redirect_url": "https://shop.example/return"}],
    });
    let (status, told) = post(&served, "sri", &body).await;
    assert_eq!((status, &told["entered"]), (200, &json!(2)), "{told}");
    served
        .eventually("the contract is known", async || {
            let answer = served.open_as(("alpha", "password-a", "A-2"), &[]).await;
            answer.get("STATUS").is_some_and(|status| status == "FAILED")
        })
        .await;
    let body = json!({"reason": "closed", "contracts": [{"id": "B-1", "client": "beta",
        "enabled": false, "notification_url": "https://psp.example/notify",
        "redirect_url": "https://shop.example/return"}]});
    assert_eq!(post(&served, "sri", &body).await.0, 200);
    served
        .eventually("the contract is closed", async || {
            served.open_as(BETA, &[]).await.get("STATUS").is_none_or(|word| word != "PENDING")
        })
        .await;

    // The past is there: who entered what, when and why.
    let (status, page) = get(&served, "/admin/v1/directory?kind=contract&name=B-1").await;
    let page: Value = serde_json::from_str(&page).unwrap();
    let rows = page["rows"].as_array().unwrap();
    assert_eq!((status, rows.len()), (200, 2), "{page}");
    assert_eq!(rows[0]["keys"]["enabled"], Value::Null);
    assert_eq!(rows[1]["keys"]["enabled"], false);
    assert_eq!((&rows[0]["by"], &rows[0]["reason"]), (&json!("Sri"), &json!("a new merchant")));
    assert_eq!((&rows[1]["by"], &rows[1]["reason"]), (&json!("sri"), &json!("closed")));
    let (_, audit) = get(&served, "/admin/v1/audit").await;
    assert!(audit.contains("POST /admin/v1/directory") && audit.contains("closed"), "{audit}");

    assert_eq!(rows[1]["changed"], json!(["enabled"]), "{page}");
    let (_, entries) = get(&served, "/admin/v1/directory").await;
    assert!(entries.contains("stored:1"), "{entries}");
    let (_, clients) = get(&served, "/admin/v1/clients").await;
    assert!(clients.contains("\"midtrans\":[\"warung\"]"), "{clients}");
    let files = everything_in(served.folder());
    for secret in [
        "shared-secret-of-alpha",
        "notification-secret-of-beta",
        "SB-Mid-server-of-warung",
        "$argon2id$v=19$m=19456,t=2,p=1$",
    ] {
        for (name, text) in [("entries", &entries), ("clients", &clients), ("audit", &audit)] {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
        let found = files.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found, "{secret} in the store or the log");
    }
}

#[tokio::test]
async fn what_is_wrong_or_not_allowed_leaves_everything_as_it_was() {
    let served = Served::start(&config(true)).await;
    let start = [client(ALPHA), client(BETA), contract("A-1", "alpha", "")].concat();
    assert_eq!(import(&served, &start, &[]).0, Some(0));
    until_served(&served, ALPHA).await;
    let entries = async || {
        let (_, page) = get(&served, "/admin/v1/directory").await;
        serde_json::from_str::<Value>(&page).unwrap()["rows"].as_array().unwrap().len()
    };
    let before = entries().await;

    let good = json!({"id": "A-3", "client": "alpha"});
    let reference = |text: &str| {
        json!({"warung": {"channel": "testchannel",
        "base_url": "https://api.sandbox.midtrans.com", "server_key": text}})
    };
    for (body, named) in [
        (
            json!({"contracts": [good, {"id": "A-4", "client": "nobody"}]}),
            "contract \"A-4\".client",
        ),
        (
            json!({"contracts": [{"id": "A-1", "client": "beta"}]}),
            "contract \"A-1\".client: another",
        ),
        (
            json!({"contracts": [{"id": "A-3", "client": "alpha", "midtrans": "../test"}]}),
            "contract \"A-3\".midtrans: there is no account",
        ),
        (json!({"contracts": [{"id": "A-3", "client": "alpha", "admin": true}]}), "unknown key"),
        (
            json!({"accounts": reference("file:/etc/passwd")}),
            "midtrans.warung.server_key: a reference",
        ),
        (json!({"accounts": reference("env:PATH")}), "midtrans.warung.server_key: a reference"),
        (json!({"accounts": reference("stored:1")}), "stored:1: there is none"),
        (json!({"accounts": {"../up": reference("k")["warung"]}}), "is no name of an account"),
        (
            json!({"accounts": {"test": reference("SB-k")["warung"]}}),
            "in the file and in the store",
        ),
        (json!({"clients": [{"login": "alpha"}]}), "client \"alpha\".password_hash: missing"),
        (
            json!({"contracts": [good], "valid_from": "2020-01-01T00:00:00Z"}),
            "the past is not altered",
        ),
        (json!({"contracts": [good], "valid_from": "soon"}), "valid_from"),
    ] {
        let mut body = body;
        body["reason"] = "try".into();
        let (status, told) = post(&served, "sri", &body).await;
        assert_eq!(status, 400, "{body}: {told}");
        assert!(told["problems"].to_string().replace('\\', "").contains(named), "{named}: {told}");
        assert!(!told.to_string().contains("root:"), "{told}");
    }
    let body = json!({"reason": "try", "contracts": [good]});
    assert_eq!(post(&served, "ana", &body).await.0, 403, "it needs the role");
    assert_eq!(post(&served, "nobody", &body).await.0, 401);
    let unreasoned = json!({"reason": " ", "contracts": [good]});
    assert_eq!(post(&served, "sri", &unreasoned).await.0, 400);
    assert_eq!(entries().await, before);
    // Another PSP's contract is no contract.
    let stolen = served.open_as(("beta", "password-b", "A-1"), &[]).await;
    assert_ne!(stolen.get("STATUS").map(String::as_str), Some("PENDING"), "{stolen:?}");

    let (code, told) = import(&served, "[[contract]]\nid = \"A-5\"\nclient = \"nobody\"\n", &[]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("contract \"A-5\".client: no such client") && told.contains("nothing has")
    );
    // A file of before in which PSPs still stand is refused, not half used.
    served.rewrite(&[config(true), contract("A-9", "alpha", "")].concat());
    let output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["check-config", "--config"])
        .arg(served.folder().join("config.toml"))
        .output()
        .unwrap();
    assert!(text_of(&output).contains("contract: stands in the store"), "{}", text_of(&output));
}

#[tokio::test]
async fn what_is_planned_counts_from_its_time_and_plain_secrets_need_to_be_wanted() {
    let served = Served::start(&config(false)).await;
    let start = [client(ALPHA), contract("A-1", "alpha", "")].concat();
    let (code, told) = import(&served, &start, &[]);
    assert_eq!(code, Some(1));
    assert!(told.contains("client \"alpha\": holds secrets, and the store has no key"), "{told}");
    let (code, told) = import(&served, &start, &["--plain-secrets"]);
    assert_eq!(code, Some(0), "{told}");
    until_served(&served, ALPHA).await;
    let body = json!({"reason": "x", "clients": [{"login": "gamma", "shared_secret": "k"}]});
    let (status, told) = post(&served, "sri", &body).await;
    assert_eq!(status, 400);
    assert!(told.to_string().contains("no key to seal them under"), "{told}");

    let seconds = |from_now: i64| {
        let at = gopay_core::time::Timestamp::from(std::time::SystemTime::now());
        at.after(Duration::from_secs(from_now.unsigned_abs())).to_string()
    };
    let planned = contract("A-2", "alpha", "");
    let at = seconds(4);
    assert_eq!(import(&served, &planned, &["--valid-from", &at]).0, Some(0));
    let second = ("alpha", "password-a", "A-2");
    let early = async || {
        let answer = served.open_as(second, &[]).await;
        answer.get("STATUS").is_none_or(|status| status != "PENDING")
    };
    throughout(Duration::from_secs(2), "it does not count yet", early).await;
    let now = text_of(&run(&served, &["export"]));
    let then = text_of(&run(&served, &["export", "--at", &at]));
    assert!(!now.contains("A-2") && then.contains("A-2"), "{now}\n{then}");
    until_served(&served, second).await;

    // Terms in force stay; further ones may follow.
    let terms = |first: &str, more: &str| {
        let settlement = format!(
            "[contract.settlement]\nclient_number = 7\n[[contract.settlement.terms]]\n\
             valid_from = \"2026-01-01\"\ncurrency = \"USD\"\nfrequency = \"D\"\n\
             discount_basis_points = {first}\n{more}"
        );
        contract("A-1", "alpha", &settlement)
    };
    let later = "[[contract.settlement.terms]]\nvalid_from = \"2099-01-01\"\ncurrency = \"USD\"\n\
                 frequency = \"D\"\ndiscount_basis_points = 30\n";
    for (text, expected) in [
        (terms("10", ""), Some(0)),
        (terms("20", ""), Some(1)),
        (contract("A-1", "alpha", ""), Some(1)),
        (terms("10", later), Some(0)),
    ] {
        let (code, told) = import(&served, &text, &[]);
        assert_eq!(code, expected, "{told}");
        let named = "contract \"A-1\".settlement.terms: others than those in force";
        assert_eq!(told.contains(named), expected == Some(1), "{told}");
    }
}

#[tokio::test]
async fn corrections_and_keys_of_accounts_go_by_what_is_in_force_and_not_by_the_start() {
    let served = Served::start(&config(true)).await;
    let terms = |currency: &str| {
        format!(
            "[contract.settlement]\nclient_number = 7\n[[contract.settlement.terms]]\n\
             valid_from = \"2026-01-01\"\ncurrency = \"{currency}\"\nfrequency = \"D\"\n"
        )
    };
    let correct = async |id: &str, contract: &str| {
        let body = json!({"id": id, "contract": contract, "amount": "-12.50", "reason": "twice"});
        post_to(&served, "adjustments", "budi", &body).await
    };
    let (status, told) = correct("c-1", "A-1").await;
    assert_eq!(status, 404, "{told}");
    // Entered into the store while the service runs.
    let entered = [client(ALPHA), contract("A-1", "alpha", &terms("USD"))].concat();
    let (code, told) = import(&served, &entered, &[]);
    assert_eq!(code, Some(0), "{told}");
    let known = async |id: &str, contract: &str| {
        let (status, told) = correct(id, contract).await;
        assert!(status == 200 || status == 404, "{status}: {told}");
        (status == 200).then_some(told)
    };
    served.eventually("A-1 can be corrected", async || known("c-1", "A-1").await.is_some()).await;
    let (_, page) = get(&served, "/admin/v1/adjustments?contract=A-1").await;
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        (&page["rows"][0]["currency"], &page["rows"][0]["amount"]),
        (&json!("USD"), &json!(-1250))
    );
    let (_, page) = get_as(&served, "budi", "/admin/v1/adjustments").await;
    assert!(page.contains("\"account\":\"1-7\""), "{page}");

    // A key that Midtrans does not take is told before anybody pays by it.
    let account = |key: &str| {
        json!({"reason": "a merchant", "accounts": {"warung": {"channel": "testchannel",
            "base_url": served.simulator, "server_key": key}}})
    };
    assert_eq!(post(&served, "sri", &account("SB-Mid-server-mistyped")).await.0, 200);
    served
        .eventually("the account is told of", async || {
            let log = served.log();
            log.contains("no payment can be made in this account") && log.contains("warung")
        })
        .await;
    let (_, ready) = get(&served, "/health/ready").await;
    assert!(ready.contains("warung"), "{ready}");
}

#[tokio::test]
async fn a_reload_of_the_file_replaces_the_terms_that_corrections_go_by() {
    let file = |contracts: &str| {
        let config = config(true).replace("source = \"store\"", "source = \"file\"");
        [config, client(ALPHA), contracts.to_owned()].concat()
    };
    let settled = |id: &str| {
        let terms = "[contract.settlement]\nclient_number = 7\n[[contract.settlement.terms]]\n\
             valid_from = \"2026-01-01\"\ncurrency = \"USD\"\nfrequency = \"D\"\n";
        contract(id, "alpha", terms)
    };
    let served = Served::start(&file(&settled("A-1"))).await;
    let correct = async |contract: &str| {
        let body = json!({"id": format!("of-{contract}"), "contract": contract, "amount": "1.00",
            "reason": "twice"});
        post_to(&served, "adjustments", "budi", &body).await.0
    };
    assert_eq!((correct("A-1").await, correct("A-2").await), (200, 404));
    served.rewrite(&file(&[settled("A-1"), settled("A-2")].concat()));
    served.signal(rustix::process::Signal::HUP);
    served.eventually("A-2 can be corrected", async || correct("A-2").await == 200).await;
}

/// How an instance answers a TRANSACTION of a password and a contract.
async fn status_at(demo: &Demo, password: &str, contract: &str) -> String {
    let psp = gopay_psp_client::Credentials::new("testclient", password, contract);
    let pairs = crate::support::example(&[]);
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (_, text) = demo.post(body_as(&psp, "TRANSACTION", &pairs)).await;
    decode(&text).get("STATUS").cloned().unwrap_or_default()
}

/// How long it takes from now on until an instance has noticed.
async fn until_noticed(demo: &Demo, password: &str, contract: &str, opens: bool) -> Duration {
    let noticed = async || (status_at(demo, password, contract).await == "PENDING") == opens;
    // Machines that build something beside the test are slow; the figure is told in any case.
    within(Duration::from_secs(20), &format!("{contract}, {opens}"), noticed).await
}

#[tokio::test]
async fn each_of_two_instances_goes_by_a_change_within_seconds_without_a_reload() {
    let Some(shared) = Shared::start().await else { return };
    assert!(shared.run(&["migrate"], 1).status.success());
    let elsewhere = format!(
        "[[store.encryption]]\nid = \"k1\"\nkey = \"{KEY}\"\n[directory]\nsource = \"store\"\n"
    );
    let (one, two) = (shared.serve_by(1, &elsewhere).await, shared.serve_by(2, &elsewhere).await);
    let folder = tempfile::tempdir().unwrap();
    let enter = |text: &str| {
        let file = folder.path().join("import.toml");
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let command = ["directory", "import", file, "--by", "Sri", "--reason", "measured"];
        let output = shared.run_by(&command, 3, &elsewhere);
        assert!(output.status.success(), "{}", text_of(&output));
    };
    let parties = shared.parties();
    let renewed = parties.replace(
        parties.lines().find(|line| line.starts_with("password_hash")).unwrap(),
        &format!("password_hash = \"{}\"", hash_password("renewed")),
    );
    let third = contract("THIRD", "testclient", "");
    let closed = third.replace("[[contract]]", "[[contract]]\nenabled = false");
    let mut slowest = Duration::ZERO;
    for (what, entered, password, contract, opens) in [
        ("a client with its contract", parties.clone(), "test123", "TESTCONTRACT", true),
        ("a contract", third, "test123", "THIRD", true),
        ("a contract that is closed", closed, "test123", "THIRD", false),
        ("a password", renewed.clone(), "renewed", "TESTCONTRACT", true),
        ("a password that is replaced", renewed, "test123", "TESTCONTRACT", false),
    ] {
        enter(&entered);
        let (first, second) = futures::join!(
            until_noticed(&one, password, contract, opens),
            until_noticed(&two, password, contract, opens)
        );
        println!("{what}: known after {first:.2?} and {second:.2?}");
        slowest = slowest.max(first).max(second);
    }
    println!("the slowest of ten: {slowest:.2?}; promised: 5 s");
}

#[tokio::test]
async fn who_reads_finds_each_by_its_name_as_in_force_and_as_to_come_and_nobody_sees_a_secret() {
    let served = Served::start(&config(true)).await;
    let contracts: String = (0..60).map(|n| contract(&format!("B-{n:02}"), "beta", "")).collect();
    let terms = "[contract.settlement]\nclient_number = 7\n[[contract.settlement.terms]]\n\
         valid_from = \"2026-01-01\"\ncurrency = \"USD\"\nfrequency = \"D\"\n";
    let settled = contract("A-1", "alpha", terms);
    let alpha = client(ALPHA);
    let start = [alpha.clone(), client(BETA), settled.clone(), contracts].concat();
    let (code, told) = import(&served, &start, &[]);
    assert_eq!(code, Some(0), "{told}");
    let planned = settled.replace("[[contract]]", "[[contract]]\nrefunds = false");
    // More entries than are read at once, with another name behind them.
    for round in 0..60 {
        let changed = json!({"id": "B-07", "client": "beta", "refunds": round % 2 == 0,
            "notification_url": "https://psp.example/notify",
            "redirect_url": "https://shop.example/return"});
        let body = json!({"reason": "again", "contracts": [changed]});
        assert_eq!(post(&served, "sri", &body).await.0, 200);
    }
    let body = json!({"reason": "<b>closed</b> & done", "contracts": [{"id": "B-59",
        "client": "beta", "enabled": false, "notification_url": "https://psp.example/notify",
        "redirect_url": "https://shop.example/return"}]});
    assert_eq!(post(&served, "sri", &body).await.0, 200);
    let (code, told) = import(&served, &planned, &["--valid-from", "2099-01-01T00:00:00Z"]);
    assert_eq!(code, Some(0), "{told}");
    let moved = alpha.replace("shared-secret-of-alpha", "another-secret-of-alpha");
    assert_eq!(import(&served, &moved, &[]).0, Some(0));

    // A page at a time, by what the name begins with.
    let (mut names, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/admin/v1/directory/subjects?begins=B-&limit=25&after={after}");
        let (status, page) = get(&served, &path).await;
        assert_eq!(status, 200, "{page}");
        let page: Value = serde_json::from_str(&page).unwrap();
        assert_desk("directory_subjects", &page);
        for row in page["rows"].as_array().unwrap() {
            names.push(row["name"].as_str().unwrap().to_owned());
            let entered_here = ["B-07", "B-59"].contains(&row["name"].as_str().unwrap());
            assert_eq!(row["in_force"]["by"], if entered_here { "sri" } else { "Sri" }, "{row}");
        }
        match page["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    let expected: Vec<String> = (0..60).map(|n| format!("B-{n:02}")).collect();
    assert_eq!(names, expected);
    for (query, status) in [("kind=shop", 400), ("limit=0", 400), ("begins=nobody", 200)] {
        assert_eq!(get(&served, &format!("/admin/v1/directory/subjects?{query}")).await.0, status);
    }
    let path = "/admin/v1/directory?kind=client&name=alpha";
    let (_, page) = get(&served, path).await;
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_desk("directory", &page);
    // A secret that was replaced is told as changed, and neither is shown.
    assert_eq!(page["rows"][1]["changed"], json!(["shared_secret"]), "{page}");

    let (mut seen, mut after) = (0, 0);
    loop {
        let path = format!("/admin/v1/directory?kind=contract&name=B-07&limit=25&after={after}");
        let (_, page) = get(&served, &path).await;
        let page: Value = serde_json::from_str(&page).unwrap();
        seen += page["rows"].as_array().unwrap().len();
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, 61);

    let ana = Browser::of(&served, "ana").await;
    let list = ana.get("/console/directory").await;
    assert_eq!(list.status, 200);
    assert!(list.text.contains("2099-01-01 00:00:00"), "{}", list.text);
    assert!(list.text.contains("Next page") && list.text.contains("directory import"));
    let found = ana.get("/console/directory?kind=contract&begins=B-59").await.text;
    assert!(found.contains("B-59") && !found.contains("B-58"), "{found}");
    assert!(found.contains("&lt;b&gt;closed&lt;/b&gt; &amp; done") && found.contains("disabled"));
    let one = ana.get("/console/directory/one?kind=contract&name=A-1").await.text;
    for part in [
        "settlement.terms 1.currency",
        "From 2099-01-01T00:00:00",
        "<b>false</b>",
        "a new merchant",
        "refunds",
    ] {
        assert!(one.contains(part), "{part} in {one}");
    }
    let client = ana.get("/console/directory/one?kind=client&name=alpha").await.text;
    assert!(client.contains("stored:1") && client.contains("shared_secret"), "{client}");
    for page in [&list.text, &one, &client] {
        for secret in
            ["shared-secret-of", "another-secret-of", "notification-secret-of", "$argon2id"]
        {
            assert!(!page.contains(secret), "{secret} in {page}");
        }
    }
    assert_eq!(ana.get("/console/directory/one?kind=client&name=nobody").await.status, 404);
    // Without a session, and without a token, there is nothing to see.
    let (status, _) = served.get(&format!("{}/console/directory", served.admin)).await;
    assert_eq!(status, 303, "to the login");
    let url = format!("{}/admin/v1/directory/subjects", served.admin);
    assert_eq!(served.http.get(url).send().await.unwrap().status().as_u16(), 401);
}
