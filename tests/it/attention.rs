//! Money that came is never hidden and never told as unpaid: what cannot be decided waits for a person.
use std::process::{Command, Output};

use crate::support::Demo;
use crate::support::postgres::{Engine, on_both_engines};
use crate::support::wire::SERVER_KEY;
use serde_json::{Value, json};

on_both_engines! {
    money_that_does_not_fit_waits_for_a_person_and_is_never_told_as_unpaid,
    a_person_decides_what_money_is_that_does_not_fit,
    money_that_does_not_fit_goes_back_when_a_person_wants_it,
    what_is_decided_must_be_in_the_list,
    what_only_people_read_does_not_hide_money,
    money_that_is_claimed_and_not_confirmed_waits_for_a_person,
    money_of_another_transaction_of_the_order_waits_for_a_person,
    money_of_another_transaction_of_a_paid_order_waits_for_a_person,
    a_dashboard_refund_without_a_list_or_a_notification_is_seen_before_a_refund,
    money_of_an_order_that_the_store_does_not_know_is_kept_and_listed,
    a_notification_without_a_transaction_id_is_taken,
    what_goes_back_at_midtrans_itself_is_seen_and_never_given_back_again,
    a_chargeback_is_seen_and_never_given_back_again,
    what_went_back_before_it_was_known_to_be_paid_is_seen,
}

/// GET status shows a fee on top of what was charged.
async fn with_fee(demo: &Demo, txid: &str) {
    let fee = json!({"customer_fee": {"rupiah": 71}});
    demo.fault(json!({"on": "status", "action": fee, "order_id": txid, "times": null})).await;
}

/// Waits until the admin listener shows it: on a busy machine sums are kept for a while.
async fn until_admin(demo: &Demo, path: &str, text: &str) {
    demo.eventually(text, async || {
        let (status, page) = demo.get(&format!("{}/{path}", demo.admin)).await;
        status == 200 && page.contains(text)
    })
    .await;
}

async fn list(demo: &Demo) -> Value {
    let (status, text) = demo.get(&format!("{}/admin/v1/attention", demo.admin)).await;
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

async fn decide(demo: &Demo, txid: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/admin/v1/attention/{txid}", demo.admin);
    let answer = demo.http.post(url).json(&body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("JSON"))
}

fn decision(verdict: &str) -> Value {
    json!({"verdict": verdict, "reason": "asked the shop", "by": "Sri"})
}

/// A payment that was paid, and of which GET status says something else; its TXID.
async fn in_doubt(demo: &Demo) -> String {
    let txid = demo.pending().await;
    with_fee(demo, &txid).await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.eventually("it is listed", async || {
        list(demo).await["items"].as_array().expect("a list").iter().any(|one| one["txid"] == txid)
    })
    .await;
    txid
}

async fn money_that_does_not_fit_waits_for_a_person_and_is_never_told_as_unpaid(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = in_doubt(&demo).await;
    // Midtrans need not send its notification again.
    demo.eventually("it was taken", async || {
        let notification = &demo.upstream(&txid).await["notifications"];
        notification["delivered"] == notification["queued"]
    })
    .await;
    let all = list(&demo).await;
    assert_eq!((&all["payments"], &all["orders"]), (&json!(1), &json!(0)));
    assert_eq!(all["at_risk_sen"], 1_007_100);
    let item = &all["items"][0];
    for (field, value) in [
        ("kind", "payment"),
        ("what", "amount"),
        ("expected", "10000.00"),
        ("found", "10071.00"),
        ("midtrans_status", "settlement"),
        ("standing", "open"),
        ("state", "pending"),
    ] {
        assert_eq!(item[field], value, "{item}");
    }
    let sums = json!({"payments": 1, "orders": 0, "at_risk_sen": 1_007_100});
    assert_eq!(demo.totals().await["attention"], sums);
    until_admin(&demo, "health/ready", &format!("\"attention\":{sums}")).await;
    for line in [
        "gopay_attention_items{kind=\"payment\"} 1",
        "gopay_attention_at_risk_sen 1007100",
        "gopay_doubts_total{what=\"amount\"} 1",
    ] {
        until_admin(&demo, "metrics", line).await;
    }

    // Days go by: neither the end of the session nor silence makes it unpaid.
    for span in ["2h", "2h", "30h", "100h"] {
        demo.move_clock(span).await;
        demo.run_due().await;
        assert_eq!(demo.status(&txid).await["STATUS"], "PENDING");
    }
    assert_eq!(demo.received(&txid).await.len(), 0);
    // Midtrans mends its word.
    demo.clear_faults().await;
    demo.move_clock("2h").await;
    demo.run_due().await;
    demo.until_status(&txid, "SUCCEEDED").await;
    demo.until_notified(&txid, 1).await;
    assert_eq!(list(&demo).await["items"], json!([]));
    assert_eq!(demo.totals().await["attention"]["at_risk_sen"], 0);
}

async fn a_person_decides_what_money_is_that_does_not_fit(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    for (verdict, status, told) in
        [("paid", "SUCCEEDED", "SUCCEEDED"), ("failed", "FAILED", "FAILED")]
    {
        let txid = in_doubt(&demo).await;
        let (code, answer) = decide(&demo, &txid, decision(verdict)).await;
        assert_eq!(code, 200, "{answer}");
        assert_eq!(answer["standing"], "resolved");
        assert_eq!(demo.status(&txid).await["STATUS"], status);
        demo.until_notified(&txid, 1).await;
        assert_eq!(demo.received(&txid).await[0]["status"], told);
        // Decided is decided, whatever GET status goes on saying.
        demo.move_clock("2h").await;
        demo.run_due().await;
        assert_eq!(demo.status(&txid).await["STATUS"], status);
        assert_eq!(list(&demo).await["items"], json!([]));
        assert_eq!(decide(&demo, &txid, decision("paid")).await.0, 404);
    }
    assert_eq!(demo.totals().await["succeeded_sen"], 1_000_000);
}

async fn money_that_does_not_fit_goes_back_when_a_person_wants_it(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = in_doubt(&demo).await;
    // The simulator has no 10071 rupiah of it.
    let (code, answer) = decide(&demo, &txid, decision("refund")).await;
    assert_eq!((code, &answer["standing"]), (200, &json!("returning")), "{answer}");
    demo.eventually("refused", async || {
        demo.run_due().await;
        demo.move_clock("1m").await;
        list(&demo).await["items"][0]["standing"] == "open"
    })
    .await;
    assert_eq!(demo.status(&txid).await["STATUS"], "PENDING");
    demo.clear_faults().await;
    let (code, answer) = decide(&demo, &txid, decision("refund")).await;
    assert_eq!(code, 200, "{answer}");
    let ended = demo.until_status(&txid, "FAILED").await;
    assert_eq!(ended["FAILREASON"], "LOCAL_DECLINE", "{ended:?}");
    let upstream = demo.upstream(&txid).await;
    assert_eq!((&upstream["status"], &upstream["refunded"]), (&json!("refund"), &json!(10_000)));
    demo.until_notified(&txid, 1).await;
    assert_eq!(list(&demo).await["items"], json!([]));
}

async fn what_is_decided_must_be_in_the_list(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let paid = demo.paid().await;
    let doubtful = in_doubt(&demo).await;
    for (txid, body, expected) in [
        (paid.as_str(), decision("failed"), 404),
        ("1", decision("failed"), 404),
        ("x", decision("failed"), 404),
        (&doubtful, json!({"verdict": "maybe", "reason": "r", "by": "b"}), 400),
        (&doubtful, json!({"verdict": "paid", "by": "b"}), 400),
        (&doubtful, json!({"verdict": "paid", "reason": " ", "by": "b"}), 400),
        (&doubtful, json!({"verdict": "paid", "reason": "r", "by": "b", "amount": 1}), 400),
    ] {
        let (code, answer) = decide(&demo, txid, body.clone()).await;
        assert_eq!(code, expected, "{txid} {body}: {answer}");
        assert!(answer["reason"].is_string(), "{answer}");
    }
    let url = format!("{}/admin/v1/attention/{doubtful}", demo.admin);
    let plain = demo.http.post(url).body(decision("paid").to_string()).send().await;
    assert_eq!(plain.expect("an answer").status().as_u16(), 415);
    assert_eq!(demo.status(&doubtful).await["STATUS"], "PENDING");
    assert_eq!(demo.status(&paid).await["STATUS"], "SUCCEEDED");
}

/// Charges an order past the adapter, with its notifications to the adapter, and pays it.
async fn charged_past_us(demo: &Demo, order: &str) {
    let charge = json!({
        "payment_type": "gopay",
        "transaction_details": {"order_id": order, "gross_amount": 25_000},
    });
    let answer = demo
        .http
        .post(format!("{}/v2/charge", demo.simulator))
        .basic_auth(SERVER_KEY, Some(""))
        .header("X-Override-Notification", format!("{}/midtrans/notification", demo.adapter))
        .json(&charge)
        .send()
        .await
        .expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    assert_eq!(answer["status_code"], "201", "{answer}");
    demo.wallet(order, "pay", json!({})).await;
}

async fn money_of_an_order_that_the_store_does_not_know_is_kept_and_listed(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let lost = "384441201849270272";
    charged_past_us(&demo, lost).await;
    let item = async || {
        let all = list(&demo).await;
        let found = all["items"].as_array().expect("a list").iter().find(|one| one["txid"] == lost);
        found.cloned().unwrap_or_default()
    };
    demo.eventually("it is listed", async || !item().await.is_null()).await;
    let listed = item().await;
    for (field, value) in [
        ("kind", "order"),
        ("what", "unknown_order"),
        ("channel", "testchannel"),
        ("midtrans_status", "settlement"),
        ("standing", "open"),
    ] {
        assert_eq!(listed[field], value, "{listed}");
    }
    assert_eq!(listed["at_risk_sen"], 2_500_000);
    let sums = json!({"payments": 0, "orders": 1, "at_risk_sen": 2_500_000});
    assert_eq!(demo.totals().await["attention"], sums);
    until_admin(&demo, "health/ready", "\"orders\":1").await;
    let (_, metrics) = demo.get(&format!("{}/metrics", demo.admin)).await;
    assert!(metrics.contains("gopay_unknown_orders_total{form=\"ours\"}"), "{metrics}");

    // Another shop under the same account is not ours to look at; nor is what nobody signed.
    charged_past_us(&demo, "shop-7").await;
    let notification = demo.notification(lost, "200", "settlement").await;
    let forged = json!({"signature_key": "ab"});
    let mut other = notification.clone();
    other["order_id"] = json!("384441201849270273");
    other["signature_key"] = forged["signature_key"].clone();
    assert_eq!(demo.notify(other.to_string()).await, 403);
    demo.eventually("another shop's is counted", async || {
        let (_, metrics) = demo.get(&format!("{}/metrics", demo.admin)).await;
        metrics.contains("gopay_unknown_orders_total{form=\"other\"} 1")
    })
    .await;
    assert_eq!(demo.notify(notification.to_string()).await, 200, "told again");
    assert_eq!(list(&demo).await["orders"], 1);

    // GET status confirms it, or it is told again.
    demo.fault(json!({"on": "status", "action": {"http": {"status": 503}}, "times": 1})).await;
    assert_eq!(demo.notify(notification.to_string()).await, 503);

    assert_eq!(decide(&demo, lost, decision("refund")).await.0, 409);
    let (code, answer) = decide(&demo, lost, decision("failed")).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(decide(&demo, lost, decision("failed")).await.0, 404);
    assert_eq!(demo.notify(notification.to_string()).await, 200);
    assert_eq!(list(&demo).await["orders"], 0, "what is decided stays so");
}

async fn a_notification_without_a_transaction_id_is_taken(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    for field in ["transaction_id", "fraud_status", "currency", "payment_type"] {
        let txid = demo.pending().await;
        demo.fault(json!({"on": "notification", "action": "drop", "order_id": txid})).await;
        demo.wallet(&txid, "pay", json!({})).await;
        let mut notification = demo.notification(&txid, "200", "settlement").await;
        notification.as_object_mut().expect("an object").remove(field);
        assert_eq!(demo.notify(notification.to_string()).await, 200, "without {field}");
        assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED", "without {field}");
    }
}

/// GET status answers this about a payment that was paid: `fields` are added to what is usual.
async fn with_status(demo: &Demo, txid: &str, http: u16, code: &str, fields: &str) {
    let id = demo.upstream(txid).await["transaction_id"].clone();
    let body = format!(
        r#"{{"status_code":"{code}","transaction_id":{id},"order_id":"{txid}","gross_amount":"10000.00","currency":"IDR","payment_type":"gopay"{fields}}}"#
    );
    let answer = json!({"http": {"status": http, "body": body}});
    demo.fault(json!({"on": "status", "action": answer, "order_id": txid, "times": null})).await;
}

async fn what_only_people_read_does_not_hide_money(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    for fields in [
        r#","transaction_status":"settlement","channel_response_message":"\ud800""#,
        r#","transaction_status":"settlement","status_message":"a","status_message":"b""#,
        r#","transaction_status":"settlement","transaction_status":"settlement""#,
        r#","transaction_status":"settlement","fraud_status":" ""#,
        r#","transaction_status":"settlement","fraud_status":"accept","fraud_status":"accept""#,
        r#","transaction_status":"settlement","settlement_time":{"a":[1]}"#,
    ] {
        let txid = demo.pending().await;
        with_status(&demo, &txid, 200, "200", fields).await;
        demo.wallet(&txid, "pay", json!({})).await;
        demo.until_status(&txid, "SUCCEEDED").await;
    }
    assert_eq!(list(&demo).await["items"], json!([]));
}

async fn money_that_is_claimed_and_not_confirmed_waits_for_a_person(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let settled = r#","transaction_status":"settlement""#;
    let mut all = Vec::new();
    for (http, code, fields) in [
        (200, "200", ""),
        (200, "200", r#","transaction_status":null"#),
        (200, "200", r#","transaction_status":"""#),
        (200, "402", settled),
        (200, "412", settled),
        (404, "404", settled),
        (500, "500", settled),
        (400, "200", settled),
        // Nothing that anybody could read: only the notification tells of money.
        (503, "503", ""),
        (404, "404", ""),
    ] {
        let txid = demo.pending().await;
        with_status(&demo, &txid, http, code, fields).await;
        demo.wallet(&txid, "pay", json!({})).await;
        demo.eventually("it is notified", async || {
            demo.upstream(&txid).await["notifications"]["attempts"] != 0
        })
        .await;
        all.push(txid);
    }
    // The session ends, and what Midtrans is given to help.
    for span in ["61m", "16m", "1m", "1m", "10m", "1h"] {
        demo.move_clock(span).await;
        demo.run_due().await;
    }
    demo.eventually("all are listed", async || {
        list(&demo).await["items"].as_array().expect("a list").len() == all.len()
    })
    .await;
    for txid in &all {
        assert_eq!(demo.status(txid).await["STATUS"], "PENDING");
        assert_eq!(demo.received(txid).await.len(), 0);
    }
    for item in list(&demo).await["items"].as_array().expect("a list") {
        assert_eq!(item["what"], "unconfirmed", "{item}");
        assert_eq!(item["at_risk_sen"], 1_000_000, "{item}");
        assert!(
            item["found"]
                .as_str()
                .expect("text")
                .starts_with("a notification of settlement; GET status: "),
            "{item}"
        );
    }
    // Midtrans finds its words again.
    demo.clear_faults().await;
    demo.move_clock("2h").await;
    demo.run_due().await;
    for txid in &all {
        demo.until_status(txid, "SUCCEEDED").await;
    }
    assert_eq!(list(&demo).await["items"], json!([]));
}

async fn money_of_another_transaction_of_the_order_waits_for_a_person(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.pending().await;
    let mut notification = demo.notification(&txid, "200", "settlement").await;
    let other = "8b82e549-2a48-47a9-8cb1-fb36060b88f3";
    notification["transaction_id"] = json!(other);
    let body = format!(
        r#"{{"status_code":"200","transaction_id":"{other}","order_id":"{txid}","gross_amount":"10000.00","transaction_status":"settlement"}}"#
    );
    // Asked by its own number it is pending; asked by ours, Midtrans names the other one.
    let own = demo.upstream(&txid).await["transaction_id"].clone();
    let pending = format!(
        r#"{{"status_code":"201","transaction_id":{own},"order_id":"{txid}","gross_amount":"10000.00","transaction_status":"pending"}}"#
    );
    for body in [pending, body] {
        let answer = json!({"http": {"status": 200, "body": body}});
        demo.fault(json!({"on": "status", "action": answer, "order_id": txid})).await;
    }
    assert_eq!(demo.notify(notification.to_string()).await, 200);
    let item = &list(&demo).await["items"][0];
    assert_eq!((&item["txid"], &item["what"]), (&json!(txid), &json!("transaction_id")), "{item}");
    assert_eq!(demo.status(&txid).await["STATUS"], "PENDING");
}

async fn money_of_another_transaction_of_a_paid_order_waits_for_a_person(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    let own = demo.upstream(&txid).await["transaction_id"].clone();
    let other = "8b82e549-2a48-47a9-8cb1-fb36060b88f3";
    let mut notification = demo.notification(&txid, "200", "settlement").await;
    assert_eq!(demo.notify(notification.to_string()).await, 200, "its own, told again");
    notification["transaction_id"] = json!(other);
    // Nothing signs the number: of one that Midtrans does not know, the order is asked.
    assert_eq!(demo.notify(notification.to_string()).await, 200);
    assert_eq!(list(&demo).await["items"], json!([]));
    let body = format!(
        r#"{{"status_code":"200","transaction_id":"{other}","order_id":"{txid}","gross_amount":"10000.00","transaction_status":"settlement"}}"#
    );
    let answer = json!({"http": {"status": 200, "body": body}});
    demo.fault(json!({"on": "status", "action": answer, "times": null})).await;
    assert_eq!(demo.notify(notification.to_string()).await, 200);
    let item = &list(&demo).await["items"][0];
    for (field, value) in [
        ("kind", json!("order")),
        ("txid", json!(txid)),
        ("what", json!("transaction_id")),
        ("expected", json!(format!("transaction {} alone", own.as_str().expect("an id")))),
        ("found", json!(format!("another with money, {other}"))),
        ("contract", json!("TESTCONTRACT")),
        ("state", json!("succeeded")),
        ("at_risk_sen", json!(1_000_000)),
    ] {
        assert_eq!(item[field], value, "{item}");
    }
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    assert_eq!(decide(&demo, &txid, decision("refund")).await.0, 409);
    let (code, answer) = decide(&demo, &txid, decision("failed")).await;
    assert_eq!(code, 200, "{answer}");
    assert_eq!(demo.notify(notification.to_string()).await, 200);
    assert_eq!(list(&demo).await["items"], json!([]), "it stays decided");
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
}

async fn a_dashboard_refund_without_a_list_or_a_notification_is_seen_before_a_refund(
    engine: Engine,
) {
    let demo = Demo::start_on(engine).await;
    for (fields, left) in [
        (r#","transaction_status":"refund""#, 0),
        (r#","transaction_status":"partial_refund","refund_amount":"4000.00""#, 600_000),
        (
            r#","transaction_status":"partial_refund","refund_amount":"4000.00","refunds":null"#,
            600_000,
        ),
        (
            r#","transaction_status":"partial_refund","refund_amount":"4000.00","refunds":[{"refund_key":"a"}]"#,
            600_000,
        ),
        (
            r#","transaction_status":"partial_refund","refund_amount":"9000.00","refunds":[{"refund_key":"a","refund_amount":"4000.00"}]"#,
            100_000,
        ),
        (r#","transaction_status":"partial_chargeback","refund_amount":"4000.00""#, 600_000),
        (r#","transaction_status":"partial_chargeback""#, 0),
    ] {
        let txid = demo.paid().await;
        with_status(&demo, &txid, 200, "200", fields).await;
        let refused = demo.refund(&txid, 1_000_000).await;
        let message = format!("amount: more than is left to refund; at most {left} would pass");
        assert_eq!(refused["ERRMSG"], message, "{fields}");
        assert_eq!(demo.upstream(&txid).await["refunded"], 0, "{fields}");
        demo.clear_faults().await;
    }
}

async fn what_goes_back_at_midtrans_itself_is_seen_and_never_given_back_again(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    assert_eq!(demo.refund(&txid, 200_000).await["STATUS"], "SUCCEEDED");
    // Its notification is lost: the refusal of what is too much brings it out.
    demo.fault(json!({"on": "notification", "action": "drop", "order_id": txid})).await;
    demo.wallet(&txid, "refund", json!({"amount": 3_000})).await;
    let too_much = demo.refund(&txid, 800_000).await;
    assert_eq!(too_much["STATUS"], "FAILED", "{too_much:?}");
    assert_eq!(demo.totals().await["refunded_sen"], 500_000);
    // The next ones are told.
    demo.clear_faults().await;
    demo.wallet(&txid, "refund", json!({"amount": 1_000, "refund_key": "by-hand"})).await;
    demo.eventually("it is counted", async || demo.totals().await["refunded_sen"] == 600_000).await;
    let refused = demo.refund(&txid, 400_100).await;
    assert_eq!(refused["ERRMSG"], "amount: more than is left to refund; at most 400000 would pass");
    assert_eq!(demo.refund(&txid, 400_000).await["STATUS"], "SUCCEEDED");
    demo.eventually("all is told", async || {
        let notification = &demo.upstream(&txid).await["notifications"];
        notification["delivered"] == notification["queued"]
    })
    .await;
    assert_eq!(demo.totals().await["refunded_sen"], 1_000_000);
    assert_eq!(demo.upstream(&txid).await["refunded"], 10_000);
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
}

async fn a_chargeback_is_seen_and_never_given_back_again(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    let txid = demo.paid().await;
    demo.fault(json!({"on": "status", "action": {"http": {"status": 503}}, "times": 1})).await;
    demo.wallet(&txid, "chargeback", json!({})).await;
    // The first look fails, so Midtrans has to tell it again.
    demo.eventually("it is counted", async || {
        demo.move_clock("10m").await;
        demo.totals().await["refunded_sen"] == 1_000_000
    })
    .await;
    let refused = demo.refund(&txid, 100).await;
    assert_eq!(refused["ERRMSG"], "amount: more than is left to refund; at most 0 would pass");
    assert_eq!(demo.status(&txid).await["STATUS"], "SUCCEEDED");
    assert_eq!(demo.upstream(&txid).await["refunded"], 0);
}

async fn what_went_back_before_it_was_known_to_be_paid_is_seen(engine: Engine) {
    let demo = Demo::start_on(engine).await;
    demo.silence().await;
    let txid = demo.pending().await;
    demo.wallet(&txid, "pay", json!({})).await;
    demo.wallet(&txid, "refund", json!({"amount": 4_000})).await;
    demo.move_clock("10m").await;
    demo.run_due().await;
    demo.until_status(&txid, "SUCCEEDED").await;
    demo.eventually("it is counted", async || demo.totals().await["refunded_sen"] == 400_000).await;
    let refused = demo.refund(&txid, 600_100).await;
    assert_eq!(refused["ERRMSG"], "amount: more than is left to refund; at most 600000 would pass");
}

/// A config for commands on the store of a demo.
fn config(folder: &std::path::Path) -> std::path::PathBuf {
    let path = folder.join("config.toml");
    let store = folder.join("gopay.db");
    let text = format!("[store]\nurl = \"sqlite:{}\"\n", store.display());
    std::fs::write(&path, text).expect("written");
    path
}

fn command(name: &str, config: &std::path::Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    command.args(["--log", "warn", name, "--config"]).arg(config).args(args);
    command.output().expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_list_and_decide() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("text").to_owned();
    let demo = Demo::start_with(&["--data", &data]).await;
    let txid = in_doubt(&demo).await;
    let config = config(folder.path());

    let shown = text(&command("attention", &config, &[]));
    for part in [
        "1 payments and 0 unknown orders need a person; IDR 10071.00 (1007100 sen) are at risk",
        "amount: expected \"10000.00\", found \"10071.00\"",
        &txid,
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let object = command("attention", &config, &["--json"]);
    let object: Value = serde_json::from_slice(&object.stdout).expect("one object");
    assert_eq!(object["items"][0]["txid"], txid);
    let story = text(&command("explain", &config, &[&txid]));
    assert!(story.contains("money that does not fit: amount"), "{story}");
    assert!(story.contains("a person must decide"), "{story}");

    let decide = ["paid", "--reason", "the shop has it", "--by", "Sri"];
    let busy = command("resolve", &config, &[&[txid.as_str()], decide.as_slice()].concat());
    assert_eq!(busy.status.code(), Some(3), "{}", text(&busy));
    drop(demo);
    let nobody = command("resolve", &config, &["404", "paid", "--reason", "r", "--by", "b"]);
    assert_eq!(nobody.status.code(), Some(1), "{}", text(&nobody));
    let done = command("resolve", &config, &[&[txid.as_str()], decide.as_slice()].concat());
    assert_eq!(done.status.code(), Some(0), "{}", text(&done));
    let story = text(&command("explain", &config, &[&txid]));
    for part in ["state succeeded", "\"by\":\"Sri\"", "\"reason\":\"the shop has it\""] {
        assert!(story.contains(part), "{part}: {story}");
    }
    let shown = text(&command("attention", &config, &[]));
    assert!(shown.starts_with("0 payments and 0 unknown orders"), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_that_a_restored_store_has_lost_are_found_again() {
    let demo = Demo::start_with(&[]).await;
    let (paid, open) = (demo.paid().await, demo.pending().await);
    // A store from before both of them.
    let folder = tempfile::tempdir().expect("a folder");
    let path = config(folder.path());
    let midtrans = format!(
        "[midtrans.test]\nbase_url = \"{}\"\nserver_key = \"{SERVER_KEY}\"\n",
        demo.simulator
    );
    let whole = std::fs::read_to_string(&path).expect("a config")
        + "[public]\nbase_url = \"http://127.0.0.1:8080\"\n"
        + &midtrans;
    std::fs::write(&path, whole).expect("written");
    assert_eq!(command("migrate", &path, &[]).status.code(), Some(0));
    let export = folder.path().join("export.csv");
    let lines = format!("Order ID,Amount\n{paid},10000\n{open},10000\n384441201849270272,1\n");
    std::fs::write(&export, lines).expect("written");
    let export = export.to_str().expect("text");
    let done = command("recover", &path, &["--orders", export, "--per-second", "100"]);
    let said = text(&done);
    assert_eq!(done.status.code(), Some(0), "{said}");
    for part in [
        format!("{paid}: \"settlement\", 1000000 sen"),
        "1 have money that the store does not know".to_owned(),
        "1 without money; 0 known to the store; 1 unknown to Midtrans; 0 could not".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    let shown = text(&command("attention", &path, &[]));
    assert!(shown.contains(&format!("order {paid} on testchannel: IDR 10000.00")), "{shown}");

    // The stretch of time in which it was issued.
    let id: gopay_core::ids::TxId = paid.parse().expect("a TXID");
    let ms = 1_704_067_200_000 + (id.get() >> 22);
    let at = |ms: i64| gopay_core::time::Timestamp::from_micros(ms * 1_000).to_string();
    let span = ["--from", &at(ms - 5), "--to", &at(ms + 5), "--per-second", "1000"];
    let again = text(&command("recover", &path, &span));
    assert!(again.contains("10 orders to ask for"), "{again}");
    assert!(again.contains("1 have money") || again.contains("2 have money"), "{again}");
    let long = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"];
    let no = command("recover", &path, &long);
    assert_eq!(no.status.code(), Some(1), "{}", text(&no));

    let order = ["failed", "--reason", "given back by hand", "--by", "Sri"];
    let decided = command("resolve", &path, &[&[paid.as_str()], order.as_slice()].concat());
    assert_eq!(decided.status.code(), Some(0), "{}", text(&decided));
    let shown = text(&command("attention", &path, &[]));
    assert!(shown.starts_with("0 payments and 0 unknown orders"), "{shown}");
}

#[tokio::test]
async fn the_file_of_what_needs_a_person_is_narrowed_and_sorted_as_the_list_is() {
    let demo = Demo::start().await;
    let (first, second) = (in_doubt(&demo).await, in_doubt(&demo).await);
    let (first, second) = (first.as_str(), second.as_str());
    for (query, wanted) in [
        ("", vec![first, second]),
        ("kind=payment&order=newest", vec![second, first]),
        ("kind=order", vec![]),
    ] {
        let url = format!("{}/console/attention.csv?{query}", demo.admin);
        let (status, file) = demo.get(&url).await;
        assert_eq!(status, 200, "{file}");
        let txids = file.lines().skip(1).filter_map(|line| line.split(',').nth(2));
        assert_eq!(txids.collect::<Vec<_>>(), wanted, "{query}");
    }
}
