//! The catch-up feed: everything final, once, in order, from any cursor, and nothing of others.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use serde_json::{Value, json};

use crate::schemas::assert_valid;
use crate::support::postgres::{Engine, on_both_engines};
use crate::support::served::{Served, hash_password};
use crate::support::wire::SERVER_KEY;
use crate::support::{Demo, encode};

type Who = (&'static str, &'static str);

/// The demo's PSP.
const PSP: Who = ("testclient", "test123");

/// An answer of the feed: its changes, and its last line.
#[derive(Clone, Debug)]
struct Read {
    changes: Vec<Value>,
    position: Value,
}

impl Read {
    fn cursor(&self) -> &str {
        self.position["cursor"].as_str().expect("a cursor")
    }
}

/// Asks for the feed: status and text.
async fn ask(demo: &Demo, who: Who, pairs: &[(&str, &str)]) -> (u16, String) {
    let query = encode(pairs.iter().copied());
    let request = demo.http.get(format!("{}/feed?{query}", demo.adapter));
    let answer = request.basic_auth(who.0, Some(who.1)).send().await.expect("an answer");
    (answer.status().as_u16(), answer.text().await.expect("text"))
}

async fn read(demo: &Demo, who: Who, pairs: &[(&str, &str)]) -> Read {
    let (status, text) = ask(demo, who, pairs).await;
    assert_eq!(status, 200, "{text}");
    let mut lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    lines.iter().for_each(|line| assert_valid("feed-line", line));
    let position = lines.pop().expect("a last line");
    assert_eq!(position["kind"], "position", "{text}");
    assert!(lines.iter().all(|line| line["kind"] != "position"), "{text}");
    Read { changes: lines, position }
}

/// The feed to its end, in answers of at most so many lines.
async fn all(demo: &Demo, who: Who, limit: &str, after: Option<&str>) -> Vec<Value> {
    let mut after = after.map(str::to_owned);
    let mut changes = Vec::new();
    loop {
        let mut pairs = vec![("limit", limit)];
        pairs.extend(after.as_deref().map(|after| ("after", after)));
        let answer = read(demo, who, &pairs).await;
        after = Some(answer.cursor().to_owned());
        changes.extend(answer.changes);
        if answer.position["more"] == false {
            return changes;
        }
    }
}

/// A line without its cursor, which looks different each time, and without its time.
fn plain(change: &Value) -> Value {
    let mut change = change.clone();
    let keys = change.as_object_mut().expect("an object");
    keys.remove("cursor");
    keys.remove("at");
    change
}

fn kinds(changes: &[Value]) -> Vec<String> {
    let kind = |change: &Value| change["kind"].as_str().expect("a kind").to_owned();
    changes.iter().map(kind).collect()
}

on_both_engines! {
    every_final_change_is_told_once_in_order_and_from_any_cursor,
    readers_miss_nothing_and_repeat_nothing_while_others_write,
    who_waits_is_told_soon,
}

async fn every_final_change_is_told_once_in_order_and_from_any_cursor(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let refused = demo.transaction(&[("amount", "1"), ("merchanttxid", "A-1")]).await;
    let paid = demo.paid().await;
    let made = demo.refund(&paid, 200_000).await;
    let no = demo.refund(&paid, 150).await;
    let late = demo.pending().await;
    demo.call("CANCELTX", &[("txid", &late)]).await;
    demo.until_status(&late, "FAILED").await;
    demo.wallet(&late, "settle-late", json!({})).await;
    demo.until_status(&late, "SUCCEEDED").await;
    demo.wallet(&paid, "refund", json!({"amount": 3_000})).await;
    let told = async || all(&demo, PSP, "1000", None).await.len();
    demo.eventually("the dashboard's refund is told", async || told().await == 7).await;
    let taken = demo.paid().await;
    demo.wallet(&taken, "chargeback", json!({})).await;
    demo.eventually("the chargeback is told", async || told().await == 9).await;

    let changes = all(&demo, PSP, "1000", None).await;
    let expected = [
        ("failed", &refused["TXID"], "FAILED", json!("INPUT_DATA"), Value::Null),
        ("succeeded", &paid, "SUCCEEDED", Value::Null, Value::Null),
        ("refund_succeeded", &paid, "SUCCEEDED", Value::Null, json!(made["REFUNDID"])),
        ("refund_failed", &paid, "FAILED", json!("INPUT_DATA"), json!(no["REFUNDID"])),
        ("failed", &late, "FAILED", json!("CANCELED"), Value::Null),
        ("succeeded_late", &late, "SUCCEEDED", Value::Null, Value::Null),
        ("refunded_elsewhere", &paid, "SUCCEEDED", Value::Null, changes[6]["refundid"].clone()),
        ("succeeded", &taken, "SUCCEEDED", Value::Null, Value::Null),
        ("charged_back", &taken, "SUCCEEDED", Value::Null, changes[8]["refundid"].clone()),
    ];
    for (change, (kind, txid, status, reason, refund)) in changes.iter().zip(expected) {
        let told = (&change["kind"], &change["txid"], &change["status"]);
        assert_eq!(told, (&json!(kind), &json!(txid), &json!(status)), "{change}");
        assert_eq!((&change["failreason"], &change["refundid"]), (&reason, &refund), "{change}");
        assert_eq!(change["contractid"], "TESTCONTRACT");
    }
    let amounts: Vec<&Value> = changes.iter().map(|change| &change["amount"]).collect();
    let sen = [100, 1_000_000, 200_000, 150, 1_000_000, 1_000_000, 300_000, 1_000_000, 1_000_000];
    for (at, (amount, sen)) in amounts.iter().zip(sen).enumerate() {
        // Of what was refused for its amount there may be none.
        assert!(**amount == json!(sen) || (amount.is_null() && [0, 3].contains(&at)), "{amount}");
    }
    assert_eq!(changes[0]["merchanttxid"], "A-1");

    let whole: Vec<Value> = changes.iter().map(plain).collect();
    for limit in ["1", "3", "9", "1000"] {
        for from in 0..=changes.len() {
            let after = from.checked_sub(1).and_then(|last| changes[last]["cursor"].as_str());
            let rest = all(&demo, PSP, limit, after).await;
            let rest: Vec<Value> = rest.iter().map(plain).collect();
            assert_eq!(rest, whole[from..], "{limit} from {from}");
        }
    }
}

async fn readers_miss_nothing_and_repeat_nothing_while_others_write(engine: Engine) {
    const WRITERS: usize = 6;
    const PAYMENTS: usize = 5;
    let demo = Demo::start_on(engine).await;
    let done = std::sync::atomic::AtomicBool::new(false);
    let demo = &demo;
    let write = async {
        let each = (0..WRITERS).map(async |_| {
            let mut made = Vec::new();
            for turn in 0..PAYMENTS {
                let txid = demo.pending().await;
                if turn % 2 == 0 {
                    demo.wallet(&txid, "pay", json!({})).await;
                    demo.until_status(&txid, "SUCCEEDED").await;
                    let refund = demo.refund(&txid, 100_000).await;
                    made.push((txid.clone(), "succeeded".to_owned()));
                    made.push((refund["REFUNDID"].clone(), "refund_succeeded".to_owned()));
                } else {
                    demo.call("CANCELTX", &[("txid", &txid)]).await;
                    made.push((txid, "failed".to_owned()));
                }
            }
            made
        });
        let made: Vec<_> = join_all(each).await.into_iter().flatten().collect();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        made
    };
    let follow = async |limit: &'static str| {
        let (mut changes, mut after) = (Vec::new(), None::<String>);
        loop {
            let last = done.load(std::sync::atomic::Ordering::SeqCst);
            let mut pairs = vec![("limit", limit), ("wait", "1")];
            pairs.extend(after.as_deref().map(|after| ("after", after)));
            let answer = read(demo, PSP, &pairs).await;
            after = Some(answer.cursor().to_owned());
            let ended = answer.changes.is_empty();
            changes.extend(answer.changes);
            if last && ended {
                return changes;
            }
        }
    };
    let (made, one, many) = futures::join!(write, follow("1"), follow("7"));
    let made: BTreeSet<(String, String)> = made.into_iter().collect();
    assert_eq!(made.len(), WRITERS * 8);
    for changes in [&one, &many] {
        let told: Vec<(String, String)> = changes
            .iter()
            .map(|change| {
                let id = change["refundid"].as_str().or(change["txid"].as_str()).expect("an id");
                (id.to_owned(), change["kind"].as_str().expect("a kind").to_owned())
            })
            .collect();
        assert_eq!(told.len(), made.len(), "each once");
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), made);
    }
    let same = |changes: &[Value]| changes.iter().map(plain).collect::<Vec<_>>();
    assert_eq!(same(&one), same(&many), "one order for all");
}

async fn who_waits_is_told_soon(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    let start = read(&demo, PSP, &[]).await;
    assert!(start.changes.is_empty(), "{start:?}");
    let began = Instant::now();
    let idle = read(&demo, PSP, &[("after", start.cursor()), ("wait", "1")]).await;
    assert!(idle.changes.is_empty() && began.elapsed() >= Duration::from_secs(1));
    let began = Instant::now();
    let waiting = [("after", idle.cursor()), ("wait", "30")];
    let (told, ()) = futures::join!(read(&demo, PSP, &waiting), async {
        // Another call is answered meanwhile: by then the reader waits.
        demo.pending().await;
        demo.wallet(&txid, "pay", json!({})).await;
    });
    assert_eq!(kinds(&told.changes), ["succeeded"]);
    assert!(began.elapsed() < Duration::from_secs(20), "it did not wait to the end");
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_named() {
    let demo = Demo::start().await;
    let cursor = read(&demo, PSP, &[]).await.cursor().to_owned();
    let changed = format!("{}A", &cursor[..cursor.len() - 1]);
    let changed = if changed == cursor { cursor.replace('A', "B") } else { changed };
    for (pairs, field) in [
        (&[("after", "0")][..], "after"),
        (&[("after", "")], "after"),
        (&[("after", "j1.0-1")], "after"),
        (&[("after", changed.as_str())], "after"),
        (&[("limit", "0")], "limit"),
        (&[("limit", "1001")], "limit"),
        (&[("wait", "31")], "wait"),
        (&[("contractid", "")], "contractid"),
        (&[("cursor", cursor.as_str())], "cursor"),
        (&[("limit", "1"), ("limit", "2")], "limit"),
    ] {
        let (status, text) = ask(&demo, PSP, pairs).await;
        assert_eq!(status, 400, "{pairs:?}: {text}");
        let said: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(said["field"], field, "{pairs:?}: {text}");
        assert!(said["reason"].as_str().expect("a reason").len() > 10, "{text}");
    }
    let (_, metrics) = demo.get(&format!("{}/metrics", demo.admin)).await;
    assert!(metrics.contains("gopay_feed_calls_total{outcome=\"refused\"} 10"), "{metrics}");
}

/// Two PSPs, one with two contracts and a disabled one.
fn two_psps() -> String {
    let client = |login: &str, password: &str| {
        let hash = hash_password(password);
        format!(
            "[[client]]\nlogin = \"{login}\"\npassword_hash = \"{hash}\"\n\
             shared_secret = \"shared-secret-of-{login}\"\n\
             notification_secrets = [\"notification-secret-of-{login}\"]\nconcurrent_calls = 3\n"
        )
    };
    let contract = |id: &str, login: &str, rest: &str| {
        format!(
            "[[contract]]\nid = \"{id}\"\nclient = \"{login}\"\n{rest}\
             notification_url = \"http://127.0.0.1:9/x\"\nredirect_url = \"https://s.example/r\"\n"
        )
    };
    [
        format!(
            "[midtrans.test]\nbase_url = \"{{simulator}}\"\nserver_key = \"{SERVER_KEY}\"\n\
             [delivery]\nallow_private = [\"127.0.0.0/8\"]\n"
        ),
        client("psp-a", "password-a"),
        client("psp-b", "password-b"),
        contract("A-1", "psp-a", ""),
        contract("A-2", "psp-a", ""),
        contract("A-OFF", "psp-a", "enabled = false\n"),
        contract("B-1", "psp-b", ""),
    ]
    .concat()
}

const A: Who = ("psp-a", "password-a");
const B: Who = ("psp-b", "password-b");

#[tokio::test]
async fn a_psp_reads_its_own_contracts_and_learns_nothing_of_others() {
    let served = Served::start(&two_psps()).await;
    let mut made = Vec::new();
    for (who, contract) in [(A, "A-1"), (B, "B-1"), (A, "A-2"), (A, "A-1")] {
        let answer = served.open_as((who.0, who.1, contract), &[("amount", "1")]).await;
        assert_eq!(answer["STATUS"], "FAILED", "{answer:?}");
        made.push(answer["TXID"].clone());
    }
    // A refund that names a payment of somebody else's is its caller's own mistake.
    let refund = [("txid", made[0].as_str()), ("currency", "IDR"), ("amount", "100")];
    served.call_as((B.0, B.1, "B-1"), "REFUND", &refund).await;
    let of = async |who, pairs: &[(&str, &str)]| -> Vec<String> {
        let changes = read(&served, who, pairs).await.changes;
        changes.iter().map(|line| line["txid"].as_str().expect("an id").to_owned()).collect()
    };
    let ids = |places: &[usize]| -> Vec<String> {
        places.iter().map(|place| made[*place].clone()).collect()
    };
    assert_eq!(of(A, &[]).await, ids(&[0, 2, 3]));
    assert_eq!(of(A, &[("contractid", "A-1")]).await, ids(&[0, 3]));
    assert_eq!(of(A, &[("contractid", "A-2")]).await, ids(&[2]));
    let of_b = read(&served, B, &[("contractid", "B-1")]).await.changes;
    let own: Vec<_> = of_b.iter().filter(|line| line["refundid"].is_null()).collect();
    assert_eq!(own.len(), 1);
    assert!(of_b.iter().all(|line| line["merchanttxid"].is_null()), "{of_b:?}");

    // A cursor is its login's own, and says neither how much there is nor whether anything happened.
    let (one, other) = (read(&served, B, &[]).await, read(&served, B, &[]).await);
    assert_ne!(one.cursor(), other.cursor());
    assert_eq!(one.cursor().len(), other.cursor().len());
    let (status, text) = ask(&served, A, &[("after", one.cursor())]).await;
    assert!(status == 400 && text.contains("\"field\":\"after\""), "{text}");
    assert_eq!(ask(&served, B, &[("after", one.cursor())]).await.0, 200);
}

#[tokio::test]
async fn a_wrong_login_is_told_the_same_whatever_is_wrong() {
    let served = Served::start(&two_psps()).await;
    let mut answers = BTreeSet::new();
    for (who, contract) in [
        (("psp-a", "password-b"), None),
        (("psp-a", "password-b"), Some("A-1")),
        (("psp-a", ""), None),
        (("nobody", "password-a"), None),
        (("", ""), None),
        (A, Some("B-1")),
        (A, Some("NONE")),
        (B, Some("A-OFF")),
    ] {
        let pairs: Vec<_> = contract.map(|contract| ("contractid", contract)).into_iter().collect();
        answers.insert(ask(&served, who, &pairs).await);
    }
    let without = served.http.get(format!("{}/feed", served.adapter)).send().await.expect("one");
    let challenge = without.headers().get("www-authenticate").expect("a challenge").clone();
    answers.insert((without.status().as_u16(), without.text().await.expect("text")));
    assert_eq!(answers.len(), 1, "{answers:?}");
    let expected = (401, "{\"reason\":\"Authentication failed\"}".to_owned());
    assert_eq!(answers.first(), Some(&expected));
    assert_eq!(challenge, "Basic realm=\"gopay-adapter\", charset=\"UTF-8\"");
    let (_, metrics) = served.get(&format!("{}/metrics", served.admin)).await;
    for (why, count) in [("password", 3), ("login", 2), ("contract", 3)] {
        let line = format!("gopay_login_failures_total{{why=\"{why}\"}} {count}");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let (status, text) = ask(&served, A, &[("contractid", "A-OFF")]).await;
    assert!(status == 403 && text.contains("disabled"), "{status} {text}");
    assert_eq!(ask(&served, A, &[("contractid", "A-1")]).await.0, 200);
}

#[tokio::test]
async fn readers_that_wait_are_bounded_for_each_psp_and_keep_no_call_out() {
    let served = Served::start(&two_psps()).await;
    let cursor = read(&served, A, &[]).await.cursor().to_owned();
    let waiting = [("after", cursor.as_str()), ("wait", "2")];
    let mut asked: FuturesUnordered<_> = (0..5).map(|_| ask(&served, A, &waiting)).collect();
    for _ in 0..2 {
        let (refused, _) = asked.next().await.expect("five were asked");
        assert_eq!(refused, 503, "those are answered first that may not wait");
    }
    let others = async {
        assert_eq!(ask(&served, B, &[]).await.0, 200, "another's readers are its own");
        let answer = served.open_as((A.0, A.1, "A-1"), &[]).await;
        assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
    };
    let (waited, ()) = futures::join!(asked.collect::<Vec<_>>(), others);
    let codes: Vec<u16> = waited.iter().map(|(status, _)| *status).collect();
    assert_eq!(codes, [200; 3]);
}
