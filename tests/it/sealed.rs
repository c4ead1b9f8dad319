//! Personal data sealed at rest: where it lies, under which keys, and how it is erased.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use opentelemetry_proto::tonic::trace::v1::Span;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::collector::{Collector, Manner, attribute};
use crate::support::leaks::{PERSONAL, assert_without, pieces};
use crate::support::postgres::Engine;
use crate::support::served::{Served, hash_password};
use crate::support::wire::SERVER_KEY;
use crate::support::{Answer, Demo, Running, eventually};

const PSP: (&str, &str, &str) = ("alpha", "a-password-that-stands-nowhere", "A-1");
const SHARED: &str = "a-shared-secret-that-stands-nowhere";
const NOTIFICATION: &str = "a-notification-secret-that-stands-nowhere";
/// 32 bytes each.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW_KEY: &str = "ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Why somebody decided something. Operators see it; log and audit keep it.
const REASON: &str = "a-reason-that-stands-nowhere";

const PHONE: &str = "Mozilla/5.0 (Linux; Android 14; Pixel 8) Mobile";

/// Keys by id, then accounts and the PSP.
fn config(keys: &[(&str, &str)]) -> String {
    let keys: String = keys
        .iter()
        .map(|(id, key)| format!("[[store.encryption]]\nid = \"{id}\"\nkey = \"{key}\"\n"))
        .collect();
    let (login, password, contract) = PSP;
    let hash = hash_password(password);
    format!(
        "{keys}[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
         [[client]]\nlogin = \"{login}\"\npassword_hash = \"{hash}\"\n\
         shared_secret = \"{SHARED}\"\nnotification_secrets = [\"{NOTIFICATION}\"]\n\
         [[contract]]\nid = \"{contract}\"\nclient = \"{login}\"\n\
         notification_url = \"https://psp.example/notify\"\n\
         redirect_url = \"https://shop.example/return\"\n"
    )
}

/// Opens a payment of somebody with a name; `also` are further pairs.
async fn open(served: &Served, also: &[(&str, &str)]) -> Answer {
    let pairs = [PERSONAL.as_slice(), also].concat();
    served.open_as(PSP, &pairs).await
}

async fn paid(served: &Served, txid: &str) {
    served.wallet(txid, "pay", json!({})).await;
    until(served, txid, "SUCCEEDED").await;
}

async fn until(served: &Served, txid: &str, status: &str) {
    eventually(&format!("{txid} is {status}"), async || {
        served.call_as(PSP, "GETTXSTATUS", &[("txid", txid)]).await["STATUS"] == status
    })
    .await;
}

fn run(arguments: &[&str], config: &Path) -> Output {
    let program = env!("CARGO_BIN_EXE_gopay-adapter");
    let (command, rest) = arguments.split_first().expect("a command");
    let mut command = Command::new(program)
        .args(["--log", "warn", command, "--config"])
        .arg(config)
        .args(rest)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts")
        .wait_with_output()
        .expect("it ends");
    // The log stands on the second.
    command.stdout.extend_from_slice(&command.stderr);
    command
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A story without the tries of its notification, which go on.
fn settled(story: &str) -> String {
    let tried = |line: &&str| line.contains("psp.example/notify") || line.contains("delivery");
    story.lines().filter(|line| !tried(line)).map(|line| format!("{line}\n")).collect()
}

/// The store's files: what whoever gets at the disk or a copy of it reads.
fn store(folder: &Path) -> Vec<u8> {
    ["gopay.db", "gopay.db-wal", "gopay.db-shm"]
        .iter()
        .flat_map(|name| std::fs::read(folder.join(name)).unwrap_or_default())
        .collect()
}

/// Everything that calls, wallets, notifications, operators and mistakes can bring about.
struct Played {
    /// The texts that operators see.
    shown: String,
    /// What is nobody's but the shopper's and the PSP's: secrets of links, deeplinks, answers.
    private: Vec<String>,
    txids: Vec<String>,
}

async fn play(served: &Served) -> Played {
    let nonce = [
        ("nonce", "n-1"),
        ("merchantredirecturl", "https://shop.example/back?session=wulansession"),
        ("notificationurl", "https://psp.example/notify"),
    ];
    let first = open(served, &nonce).await;
    assert_eq!(first["STATUS"], "PENDING", "{first:?}");
    assert_eq!(open(served, &nonce).await, first, "repeated");
    let (status, deeplink, _) = served.browse(&first["REDIRECTURL"], PHONE).await;
    assert_eq!(status, 302, "{deeplink}");
    // Whoever has the link sees what is paid, and not by whom.
    let (status, _, page) = served.browse(&first["REDIRECTURL"], "Mozilla/5.0 (X11)").await;
    assert_eq!(status, 200, "{page}");
    assert_without("the shopper's page", page.as_bytes(), pieces());
    let txid = first["TXID"].clone();
    paid(served, &txid).await;
    let descriptor = ("specin.dynamicdescriptor", "Kartini maaf");
    let pairs = [("txid", txid.as_str()), ("currency", "IDR"), ("amount", "100000"), descriptor];
    let refund = served.call_as(PSP, "REFUND", &pairs).await;
    assert_eq!(refund["STATUS"], "SUCCEEDED", "{refund:?}");

    let declined = open(served, &[]).await["TXID"].clone();
    served.wallet(&declined, "deny", json!({})).await;
    until(served, &declined, "FAILED").await;
    let cancelled = open(served, &[]).await["TXID"].clone();
    served.call_as(PSP, "CANCELTX", &[("txid", &cancelled)]).await;
    let refused = open(served, &[("amount", "7")]).await;
    assert_eq!(refused["STATUS"], "FAILED");
    served.fault(json!({"on": "charge", "action": {"http": {"status": 500}}, "times": 1})).await;
    let failed = open(served, &[]).await;
    let wrong = (PSP.0, "a-wrong-password-that-stands-nowhere", PSP.2);
    assert_eq!(served.open_as(wrong, &PERSONAL).await["TXID"], "0");
    let mut forged = served.notification(&txid, "200", "settlement").await;
    forged["signature_key"] = "0".repeat(128).into();
    forged["customer_details"] = json!({"first_name": "Kartini"});
    served.notify(forged.to_string()).await;
    served.notify(format!("{{\"order_id\":\"{txid}\",\"name\":\"Kartini\"")).await;
    let doubtful = resolved(served).await;
    served.signal(Signal::HUP);

    let txids = vec![txid, declined, cancelled, refused["TXID"].clone(), doubtful];
    let shown = shown(served, &txids).await;
    let secrets = [&first, &refused, &failed]
        .into_iter()
        .filter_map(|answer| answer.get("REDIRECTSECRET").cloned());
    let private = secrets.chain([deeplink, "wulansession".to_owned()]).collect();
    Played { shown, private, txids }
}

/// A payment with money that does not fit, about which a person decides.
async fn resolved(served: &Served) -> String {
    let txid = open(served, &[]).await["TXID"].clone();
    let fee = json!({"customer_fee": {"rupiah": 71}});
    served.fault(json!({"on": "status", "action": fee, "order_id": txid, "times": null})).await;
    served.wallet(&txid, "pay", json!({})).await;
    let decision = json!({"verdict": "paid", "reason": REASON, "by": "Sri"});
    let url = format!("{}/admin/v1/attention/{txid}", served.admin);
    eventually("it is decided", async || {
        served.http.post(&url).json(&decision).send().await.expect("an answer").status() == 200
    })
    .await;
    txid
}

/// What operators and Prometheus read.
async fn shown(served: &Served, txids: &[String]) -> String {
    let mut shown = String::new();
    const LISTS: [&str; 5] = ["transactions", "refunds", "deliveries", "attention", "audit"];
    let mut paths: Vec<String> = ["metrics", "health/ready", "admin/v1/totals", "console"]
        .map(str::to_owned)
        .into_iter()
        .chain(LISTS.iter().map(|list| format!("admin/v1/{list}")))
        .chain(
            LISTS
                .iter()
                .flat_map(|list| [format!("console/{list}"), format!("console/{list}.csv")]),
        )
        .collect();
    paths.extend(["admin/v1/adjustments", "console/adjustments"].map(str::to_owned));
    for txid in txids {
        paths.push(format!("admin/v1/transactions/{txid}"));
        paths.push(format!("console/transactions/{txid}"));
    }
    for path in paths {
        let (status, page) = served.get(&format!("{}/{path}", served.admin)).await;
        assert_eq!(status, 200, "{path}: {page}");
        shown += &page;
    }
    let config = served.folder().join("config.toml");
    for txid in txids {
        for form in [["explain", txid].as_slice(), &["explain", "--json", txid]] {
            let output = run(form, &config);
            assert!(output.status.success(), "{}", text(&output));
            shown += &text(&output);
        }
    }
    shown
}

#[tokio::test]
async fn nothing_of_shoppers_and_no_secret_stands_in_store_log_metrics_spans_or_what_is_explained()
{
    let keys = [("2026-11", KEY)];
    let collector = Collector::start(Manner::Takes).await;
    let config = config(&keys) + &collector.section();
    let served = Served::start_logging("trace,hyper=info,h2=info", &config).await;
    let Played { shown, private, txids } = play(&served).await;
    assert!(shown.contains("(17 characters)") && shown.contains("resolved"), "{shown}");
    let log = served.log();
    let is_last = |span: &Span| attribute(span, "payment.tx_id") == txids[4];
    eventually("the last payment's span", async || collector.spans().iter().any(is_last)).await;
    let spans = collector.raw();
    let stopped = served.stop();
    let files = store(stopped.folder.path());
    assert!(log.contains(&txids[0]), "the log is that of this run");
    assert!(!log.contains("panicked") && !log.contains("a bug"), "{log}");
    assert!(files.windows(8).any(|window| window == b"sealed1:"), "the store is that of this run");
    let secrets =
        [PSP.1, "a-wrong-password-that-stands-nowhere", SHARED, NOTIFICATION, SERVER_KEY, KEY];
    let secrets = || secrets.map(str::to_owned).into_iter().chain(private.clone());
    for (what, bytes) in [("the log", log.as_bytes()), ("the store", &files), ("spans", &spans)] {
        assert_without(what, bytes, pieces().chain(secrets()));
    }
    let reads = |secret: &String| !secret.contains("wulansession");
    assert!(shown.contains(REASON), "{shown}");
    assert_without("what is shown", shown.as_bytes(), pieces().chain(secrets().filter(reads)));
}

/// Starts `serve` on the folder of a test that went before.
async fn serve(folder: &Path, admin: &str) -> Running {
    let log = std::fs::File::create(folder.join("log")).expect("a file");
    let program = env!("CARGO_BIN_EXE_gopay-adapter");
    let child = Command::new(program)
        .args(["--log", "info", "serve", "--config"])
        .arg(folder.join("config.toml"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("the adapter starts");
    let running = Running(child);
    let http = reqwest::Client::new();
    eventually("ready", async || {
        let ready = http.get(format!("{admin}/health/ready")).send().await;
        ready.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    running
}

#[tokio::test]
async fn keys_come_are_replaced_and_go_without_losing_anything() {
    let served = Served::start_logging("info", &config(&[])).await;
    let plain = open(&served, &[("nonce", "n-1")]).await;
    paid(&served, &plain["TXID"]).await;
    served.rewrite(&config(&[("old", KEY)]));
    served.signal(Signal::HUP);
    let waits = "waiting_for_a_restart=\"store.encryption\"";
    eventually("it waits for a restart", async || served.log().contains(waits)).await;
    let (config_file, admin) = (served.folder().join("config.toml"), served.admin.clone());
    let write = |keys: &[(&str, &str)]| {
        let text = std::fs::read_to_string(&config_file).unwrap();
        let (head, rest) = text.split_once("[midtrans.test]").unwrap();
        let head = head.split("[[store.encryption]]").next().unwrap();
        let config = config(keys);
        let keys = config.split("[midtrans.test]").next().unwrap();
        std::fs::write(&config_file, format!("{head}{keys}[midtrans.test]{rest}")).unwrap();
    };
    let explained = || settled(&text(&run(&["explain", &plain["TXID"]], &config_file)));
    let story = explained();
    let refused = run(&["rekey"], &config_file);
    assert!(text(&refused).contains("is in use by process"), "{}", text(&refused));
    let stopped = served.stop();
    let folder = stopped.folder.path();

    // What was plain is sealed, and stays nowhere in the file.
    assert!(String::from_utf8_lossy(&store(folder)).contains("Kartini"));
    let done = run(&["rekey"], &config_file);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    assert!(text(&done).contains("1 payments: 1 sealed, 0 keys wrapped anew"), "{}", text(&done));
    assert_without("the store", &store(folder), pieces());
    assert_eq!(explained(), story);

    // Another key, in two steps; the old one stays until nothing needs it.
    write(&[("new", NEW_KEY), ("old", KEY)]);
    assert_eq!(explained(), story);
    let done = text(&run(&["rekey"], &config_file));
    assert!(done.contains("0 sealed, 1 keys wrapped anew"), "{done}");
    assert!(done.contains("nothing is sealed under \"old\" any more"), "{done}");
    write(&[("new", NEW_KEY)]);
    assert_eq!(explained(), story);
    let running = serve(folder, &admin).await;
    drop(running);

    // Who lost it, or mixes it up, is told which it is, and nothing is written.
    for (keys, why) in [
        (
            [("old", KEY)].as_slice(),
            "sealed under the key \"new\", which [[store.encryption]] does not have",
        ),
        (&[], "sealed under the key \"new\", which [[store.encryption]] does not have"),
        (&[("new", KEY)], "the key \"new\" of [[store.encryption]] is not the key of that id"),
    ] {
        write(keys);
        for command in [["serve"].as_slice(), &["explain", &plain["TXID"]], &["rekey"]] {
            let output = run(command, &config_file);
            let told = text(&output);
            assert_eq!(output.status.code(), Some(3), "{command:?}: {told}");
            let none = command == ["rekey"] && keys.is_empty();
            assert!(told.contains(why) || none && told.contains("there is no key"), "{told}");
        }
    }
    write(&[("new", NEW_KEY)]);
    assert_eq!(explained(), story);
}

#[tokio::test]
async fn on_postgresql_keys_are_replaced_and_data_is_erased_beside_running_instances() {
    let old = config(&[("old", KEY)]);
    let served = Served::start_on(Engine::Postgres, &old).await;
    let config_file = served.folder().join("config.toml");
    let text_of = |arguments: &[&str]| {
        let output = run(arguments, &config_file);
        (output.status.code(), settled(&text(&output)))
    };
    if !std::fs::read_to_string(&config_file).unwrap().contains("url = \"postgres") {
        return;
    }
    let opened = open(&served, &[("nonce", "n-1")]).await;
    paid(&served, &opened["TXID"]).await;
    let refused = open(&served, &[("amount", "7")]).await["TXID"].clone();
    let story = text_of(&["explain", &opened["TXID"]]);
    assert_eq!(story.0, Some(0), "{story:?}");

    served.rewrite(&config(&[("new", NEW_KEY), ("old", KEY)]));
    served.signal(Signal::HUP);
    eventually("it is used", async || served.log().contains("was read again and is used")).await;
    let done = text_of(&["rekey"]);
    assert!(done.1.contains("2 payments: 0 sealed, 2 keys wrapped anew"), "{done:?}");
    assert!(done.1.contains("nothing is sealed under \"old\" any more"), "{done:?}");
    assert_eq!(text_of(&["explain", &opened["TXID"]]), story);
    assert_eq!(open(&served, &[("nonce", "n-1")]).await, opened, "the kept answer");

    let erase = ["erase", "--by", "Sri", "--reason", "asked"];
    let needed = text_of(&[erase.as_slice(), &[&opened["TXID"]]].concat());
    assert!(needed.0 == Some(1) && needed.1.contains("it can be refunded until"), "{needed:?}");
    let erased = text_of(&[erase.as_slice(), &[&refused]].concat());
    assert!(erased.0 == Some(0) && erased.1.contains("personal data erased"), "{erased:?}");
    let told = text_of(&["explain", &refused]);
    assert!(told.1.contains("by Sri, because asked"), "{told:?}");
    // A key that the store needs cannot go, and nothing changes.
    served.rewrite(&old);
    served.signal(Signal::HUP);
    let missing = "sealed under the key \\\"new\\\"";
    eventually("it is refused", async || served.log().contains(missing)).await;
    assert_eq!(open(&served, &[("nonce", "n-1")]).await, opened);
}

/// Erases by the admin listener; status and answer.
async fn erase(demo: &Demo, txid: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/admin/v1/transactions/{txid}/erase", demo.admin);
    let answer = demo.http.post(url).json(&body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

fn wish() -> Value {
    json!({"reason": "asked by the shopper", "by": "Sri"})
}

#[tokio::test]
async fn personal_data_is_erased_when_nothing_needs_it_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start_with(&["--data", folder.path().to_str().unwrap()]).await;
    let call = [PERSONAL.as_slice(), &[("nonce", "n-1")]].concat();
    let opened = demo.transaction(&call).await;
    let pending = opened["TXID"].clone();
    let needed = async |why: &str, txid: &str| {
        let (status, answer) = erase(&demo, txid, wish()).await;
        assert_eq!(status, 409, "{answer}");
        let reason = answer["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{reason}");
    };
    needed("it is pending; its session ends at", &pending).await;
    demo.wallet(&pending, "pay", json!({})).await;
    demo.until_status(&pending, "SUCCEEDED").await;
    needed("it can be refunded until", &pending).await;
    let declined = demo.transaction(&PERSONAL).await["TXID"].clone();
    demo.wallet(&declined, "deny", json!({})).await;
    demo.until_status(&declined, "FAILED").await;
    needed("Midtrans is still asked whether money came late", &declined).await;
    for (body, status) in
        [(json!({"reason": "", "by": "Sri"}), 400), (json!({"reason": "asked"}), 400)]
    {
        assert_eq!(erase(&demo, &pending, body).await.0, status);
    }
    assert_eq!(erase(&demo, "384435242867359744", wish()).await.0, 404);

    let totals = demo.totals().await;
    demo.until_outbox_empty().await;
    demo.move_clock("31d").await;
    let files = || store(folder.path());
    assert!(String::from_utf8_lossy(&files()).contains("Kartini"));
    let (status, answer) = erase(&demo, &pending, wish()).await;
    assert_eq!((status, &answer["status"]), (200, &json!("erased")), "{answer}");
    needed("erased before", &pending).await;
    assert_eq!(demo.status(&pending).await["STATUS"], "SUCCEEDED");
    assert_eq!(demo.totals().await["succeeded_sen"], totals["succeeded_sen"]);
    let explained = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["--log", "warn", "explain", "--store"])
        .arg(format!("sqlite:{}/gopay.db", folder.path().display()))
        .arg(&pending)
        .output()
        .unwrap();
    let explained = String::from_utf8(explained.stdout).unwrap();
    assert!(explained.contains("by Sri, because asked by the shopper"), "{explained}");
    assert!(explained.contains("Personal data erased on"), "{explained}");
    assert!(explained.contains("pending") && explained.contains("succeeded"), "{explained}");

    // The other payment's data is the last that holds a name.
    demo.run_due().await;
    eventually("nothing is asked any more", async || {
        demo.run_due().await;
        erase(&demo, &declined, wish()).await.0 == 200
    })
    .await;
    assert_without("the store", &files(), pieces());
    assert_eq!(demo.browse(&opened["REDIRECTURL"], PHONE).await.0, 404, "a link of before");
    assert!(demo.transaction(&call).await["ERRMSG"].starts_with("nonce: "));
}
