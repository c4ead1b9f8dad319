//! The JSON that the built program writes is what `schemas/` says.
#![allow(clippy::unwrap_used, reason = "a surprise fails the test")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::Demo;
use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

fn schema(name: &str) -> Value {
    let path = format!("{}/schemas/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

fn validator(name: &str) -> Validator {
    let charge = schema("midtrans-charge-request");
    let id = charge["$id"].as_str().unwrap().to_owned();
    let totals = schema("admin-totals");
    let totals_id = totals["$id"].as_str().unwrap().to_owned();
    let registry = Registry::new().add(id, charge).unwrap();
    let registry = registry.add(totals_id, totals).unwrap().prepare().unwrap();
    jsonschema::draft202012::options().with_registry(&registry).build(&schema(name)).unwrap()
}

pub(crate) fn assert_valid(schema: &str, document: &Value) {
    let errors: Vec<String> =
        validator(schema).iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}\n{document}");
}

#[tokio::test]
async fn the_admin_listener_answers_what_the_schemas_say() {
    let demo = Demo::start().await;
    let txid = demo.paid().await;
    demo.refund(&txid, 100).await;
    demo.refund(&txid, 150).await;
    demo.transaction(&[("amount", "1")]).await;
    demo.pending().await;
    demo.until_outbox_empty().await;
    let totals = demo.totals().await;
    assert_eq!(totals["payments"], json!({"failed": 1, "pending": 1, "succeeded": 1}));
    assert_valid("admin-totals", &totals);
    let (_, text) = demo.get(&format!("{}/admin/v1/totals", demo.admin)).await;
    assert_valid("admin-totals", &serde_json::from_str(&text).unwrap());
    let txid = demo.pending().await;
    let fault = json!({"on": "status", "action": "wrong_amount", "order_id": txid, "times": null});
    demo.fault(fault).await;
    demo.wallet(&txid, "pay", json!({})).await;
    let list = async || demo.get(&format!("{}/admin/v1/attention", demo.admin)).await.1;
    demo.eventually("listed", async || list().await.contains(&txid)).await;
    assert_valid("admin-attention", &serde_json::from_str(&list().await).unwrap());
    assert_desk_answers(&demo).await;
    let (_, text) = demo.get(&format!("{}/admin/v1/capabilities", demo.admin)).await;
    let capabilities: Value = serde_json::from_str(&text).unwrap();
    assert_valid("admin-capabilities", &capabilities);
    let configured = [
        json!({"channel": "testchannel", "configured": true}),
        json!({"channel": "livechannel", "configured": false}),
    ];
    assert_eq!(capabilities["channels"], json!(configured));
    assert_eq!(capabilities["limits"]["session_s"], 3_600);
    for path in ["live", "ready"] {
        let (_, text) = demo.get(&format!("{}/health/{path}", demo.admin)).await;
        assert_valid("admin-health", &serde_json::from_str(&text).unwrap());
    }
}

/// Fails if an answer of the desk is not of a definition of its schema.
pub(crate) fn assert_desk(def: &str, document: &Value) {
    let mut schema = schema("admin-desk");
    schema["$ref"] = json!(format!("#/$defs/{def}"));
    let validator = jsonschema::draft202012::options().build(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{def}: {errors:#?}\n{document}");
}

/// Each list and each act, of what the demo has.
async fn assert_desk_answers(demo: &Demo) {
    let held = assert_desk;
    let get = async |path: &str| -> Value {
        let (status, text) = demo.get(&format!("{}/admin/v1/{path}", demo.admin)).await;
        assert_eq!(status, 200, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    };
    let post = async |path: &str, body: Value| -> Value {
        let url = format!("{}/admin/v1/{path}", demo.admin);
        let answer = demo.http.post(url).json(&body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{path}");
        answer.json().await.unwrap()
    };
    let deed = json!({"reason": "a test", "by": "Sri"});
    let paid = demo.paid().await;
    let order = json!({"amount_sen": 100, "reason": "a test", "by": "Sri"});
    held("refund", &post(&format!("transactions/{paid}/refund"), order).await);
    held("asked", &post(&format!("transactions/{paid}/ask"), deed.clone()).await);
    held("due", &post(&format!("transactions/{paid}/redeliver"), deed.clone()).await);
    let since = json!({"failed_since": "2026-01-01T00:00:00Z", "reason": "a test", "by": "Sri"});
    held("due", &post("redeliver", since).await);
    let open = demo.pending().await;
    held("transaction", &post(&format!("transactions/{open}/cancel"), deed).await);
    for (path, def, least) in [
        ("figures", "figures", 0),
        ("transactions?limit=3", "transactions", 3),
        (&format!("transactions/{paid}"), "stories", 0),
        ("refunds", "refunds", 1),
        ("deliveries", "deliveries", 1),
        ("receivers", "receivers", 0),
        ("clients", "clients", 0),
        ("settlements", "settlement_heads", 0),
        ("adjustments", "adjustments", 0),
        ("reconciliations", "reconciliations", 0),
        ("breaks", "breaks", 0),
        ("audit", "audit", 5),
    ] {
        let answer = get(path).await;
        held(def, &answer);
        assert!(answer["rows"].as_array().map_or(0, Vec::len) >= least, "{path}: {answer}");
    }
    let (status, _) = demo.get(&format!("{}/admin/v1/transactions/NONE", demo.admin)).await;
    assert_eq!(status, 404);
}

#[test]
fn schemas_of_the_admin_listener_refuse_what_is_wrong() {
    let attention = json!({"payments": 0, "orders": 1, "at_risk_sen": 100});
    let good = json!({"payments": {"pending": 1}, "succeeded_sen": 0, "refunded_sen": 0, "refunds": {}, "deliveries": {}, "attention": attention});
    assert_valid("admin-health", &json!({"status": "ready", "attention": attention}));
    assert_valid("admin-totals", &good);
    for (key, value) in [
        ("payments", json!({"lost": 1})),
        ("payments", json!({"pending": -1})),
        ("succeeded_sen", json!(50)),
        ("refunded_sen", json!("0")),
        ("attention", json!({"payments": 1})),
        ("extra", json!(1)),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        assert!(!validator("admin-totals").is_valid(&bad), "{bad}");
    }
    for bad in [
        json!({"status": "fine"}),
        json!({"status": "not ready"}),
        json!({"status": "ready", "reason": "x"}),
        json!({"status": "ready", "attention": {"payments": 1}}),
    ] {
        assert!(!validator("admin-health").is_valid(&bad), "{bad}");
    }
}

#[test]
fn translate_writes_lines_of_its_schema() {
    let pairs = crate::support::example(&[]);
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let good = crate::support::body("TRANSACTION", &pairs);
    let input =
        format!("{good}\n\nchannel=x&tag=%ff&a=%00\ntxtype=REFUND\n{good}&specin.email=x\n");
    let mut child = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
        .args(["translate", "--explain"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines[0].get("charge").is_some() && lines[4].get("rejected").is_some());
    for line in &lines {
        assert_valid("translate-line", line);
    }
}

/// The description is written beside the handlers; this holds it against the program that runs.
#[tokio::test]
async fn every_described_path_is_there_with_its_methods_and_no_other() {
    let demo = Demo::start().await;
    let (_, text) = demo.get(&format!("{}/openapi.json", demo.admin)).await;
    let openapi: Value = serde_json::from_str(&text).unwrap();
    let paths = openapi["paths"].as_object().unwrap();
    assert!(paths.len() >= 11, "{} paths", paths.len());
    for (path, methods) in paths {
        let methods = methods.as_object().unwrap();
        let of_admin = methods.values().any(|method| method["tags"][0] == "admin");
        let base = if of_admin { &demo.admin } else { &demo.adapter };
        let url = format!("{base}{}", path.replace("{tx}", "1").replace("{code}", "0"));
        for method in ["get", "post", "put", "delete"] {
            let request = demo.http.request(method.to_uppercase().parse().unwrap(), &url);
            let answer = request.send().await.unwrap();
            let allowed = answer.status() != 405;
            assert_eq!(allowed, methods.contains_key(method), "{method} {path}");
        }
    }
    for path in ["/nothing", "/admin/v1", "/simulator/v1/clock"] {
        assert_eq!(demo.get(&format!("{}{path}", demo.admin)).await.0, 404, "{path}");
    }
}

/// The stored trail, as `explain` prints it: time, kind, detail.
fn trail(story: &str) -> Vec<Value> {
    let lines = story.lines().skip_while(|line| *line != "What happened").skip(1);
    lines
        .take_while(|line| line.starts_with("  "))
        .map(|line| {
            let mut parts = line.trim().splitn(3, "  ");
            let (_time, kind, detail) =
                (parts.next(), parts.next().unwrap(), parts.next().unwrap());
            json!({"kind": kind, "detail": serde_json::from_str::<Value>(detail).unwrap()})
        })
        .collect()
}

#[tokio::test]
async fn every_stored_event_is_of_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let demo = Demo::start_with(&["--data", folder]).await;
    let refused = demo.transaction(&[("amount", "1")]).await["TXID"].clone();
    demo.fault(json!({"on": "charge", "action": "lost_after"})).await;
    let paid = demo.paid().await;
    demo.fault(json!({"on": "refund", "action": "lost_after"})).await;
    demo.refund(&paid, 100).await;
    demo.refund(&paid, 150).await;
    let url = format!("{}/admin/v1/transactions/{paid}/refund", demo.admin);
    let order = json!({"amount_sen": 100, "reason": "a broken cup", "by": "Sri"});
    assert_eq!(demo.http.post(&url).json(&order).send().await.unwrap().status().as_u16(), 200);
    let cancelled = demo.pending().await;
    demo.call("CANCELTX", &[("txid", &cancelled)]).await;
    let abandoned = demo.pending().await;
    demo.advance("1h1s").await;
    demo.until_status(&abandoned, "FAILED").await;
    let returned = demo.pending().await;
    let fault = json!({"on": "status", "action": "wrong_amount", "order_id": returned});
    demo.fault(fault).await;
    demo.wallet(&returned, "pay", json!({})).await;
    let url = format!("{}/admin/v1/attention/{returned}", demo.admin);
    let decision = json!({"verdict": "refund", "reason": "wrong shop", "by": "Sri"});
    demo.eventually("decided", async || {
        let answer = demo.http.post(&url).json(&decision).send().await.unwrap();
        answer.status().is_success()
    })
    .await;
    demo.until_status(&returned, "FAILED").await;
    demo.until_outbox_empty().await;

    let config = format!("{folder}/explain.toml");
    std::fs::write(&config, format!("[store]\nurl = \"sqlite:{folder}/gopay.db\"\n")).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for txid in [&refused, &paid, &cancelled, &abandoned, &returned] {
        let output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
            .args(["explain", "--config", &config, txid])
            .output()
            .unwrap();
        for record in trail(&String::from_utf8(output.stdout).unwrap()) {
            assert_valid("event-record", &record);
            kinds.insert(record["kind"].as_str().unwrap().to_owned());
        }
    }
    let described = schema("event-record")["oneOf"].as_array().unwrap().clone();
    for branch in described {
        let Some(kind) = branch["properties"]["kind"]["const"].as_str() else {
            assert_valid("event-record", &json!({"kind": "asked", "detail": {"erased": true}}));
            continue;
        };
        assert!(kinds.contains(kind), "{kind} did not occur in {kinds:?}");
    }
    for bad in [
        json!({"kind": "unheard", "detail": {}}),
        json!({"kind": "state", "detail": {"from": "pending", "to": "paid", "event": "x", "verdict": "moved"}}),
        json!({"kind": "accepted", "detail": {"items": 0, "bytes": 1}}),
        json!({"kind": "refund", "detail": {"refund_id": "0", "to": "failed"}}),
    ] {
        assert!(!validator("event-record").is_valid(&bad), "{bad}");
    }
}

/// A call at the simulator as Midtrans is called.
async fn upstream(demo: &Demo, method: &str, path: &str, body: Option<Value>) -> Value {
    let url = format!("{}/v2/{path}", demo.simulator);
    let mut request = demo.http.request(method.parse().unwrap(), url);
    request = request.basic_auth("SB-Mid-server-demo", Some(""));
    if let Some(body) = body {
        request = request.json(&body);
    }
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn the_simulator_answers_what_the_schemas_of_midtrans_say() {
    let demo = Demo::start().await;
    let charge = |order: &str| {
        json!({
            "payment_type": "gopay",
            "transaction_details": {"order_id": order, "gross_amount": 10_000},
        })
    };
    for order in ["o-1", "o-2", "o-3"] {
        let created = upstream(&demo, "POST", "charge", Some(charge(order))).await;
        assert_eq!(created["status_code"], "201");
        assert_valid("midtrans-charge-response", &created);
        assert_valid(
            "midtrans-status-response",
            &upstream(&demo, "GET", &format!("{order}/status"), None).await,
        );
    }
    let cancelled = upstream(&demo, "POST", "o-2/cancel", Some(json!({}))).await;
    assert_eq!(cancelled["transaction_status"], "cancel");
    assert_valid("midtrans-status-response", &cancelled);
    let expired = upstream(&demo, "POST", "o-3/expire", Some(json!({}))).await;
    assert_eq!(expired["status_code"], "407");
    assert_valid("midtrans-status-response", &expired);
    demo.wallet("o-1", "pay", json!({})).await;
    let refund = json!({"refund_key": "r-1", "amount": 4_000, "reason": "half"});
    let refunded = upstream(&demo, "POST", "o-1/refund", Some(refund)).await;
    assert_eq!(refunded["transaction_status"], "partial_refund");
    assert_valid("midtrans-refund-response", &refunded);
    assert_valid("midtrans-status-response", &upstream(&demo, "GET", "o-1/status", None).await);
    for (path, body) in [
        ("charge", charge("o-1")),
        ("charge", json!({"payment_type": "gopay"})),
        ("nobody/cancel", json!({})),
        ("o-2/refund", json!({"amount": 1})),
    ] {
        let error = upstream(&demo, "POST", path, Some(body)).await;
        assert_valid("midtrans-error", &error);
        assert!(!error["status_code"].as_str().unwrap().starts_with('2'), "{path}: {error}");
    }
}
