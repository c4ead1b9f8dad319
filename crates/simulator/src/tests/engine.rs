//! Charge, status, cancel, expire, idempotency, wallets.

use serde_json::{Value, json};

use super::{AUTHORIZATION, Bench, KEY, charge_body, request};
use crate::wire::signature;
use crate::{ApiRequest, EngineConfig, MerchantKey, Payer, QrisKind, Via, WalletError};

#[test]
fn a_charge_answers_with_everything_a_client_needs() {
    let mut bench = Bench::new();
    let charge = bench.charge("A-1", 44_000);
    let id = charge["transaction_id"].as_str().unwrap().to_owned();
    for (field, value) in [
        ("status_code", "201"),
        ("status_message", "GoPay transaction is created"),
        ("order_id", "A-1"),
        ("merchant_id", "G123456789"),
        ("gross_amount", "44000.00"),
        ("currency", "IDR"),
        ("payment_type", "gopay"),
        ("transaction_time", "2026-01-15 10:00:00"),
        ("transaction_status", "pending"),
        ("fraud_status", "accept"),
        ("expiry_time", "2026-01-15 10:15:00"),
    ] {
        assert_eq!(charge[field], value, "{field}");
    }
    for absent in ["settlement_time", "signature_key", "refunds", "metadata", "custom_field1"] {
        assert!(charge.get(absent).is_none(), "{absent}");
    }
    let action = |name: &str| {
        let actions = charge["actions"].as_array().unwrap();
        actions.iter().find(|action| action["name"] == name).unwrap().clone()
    };
    let base = "http://127.0.0.1:8090";
    assert_eq!(action("get-status")["url"], format!("{base}/v2/{id}/status"));
    assert_eq!(action("generate-qr-code")["url"], format!("{base}/v2/gopay/{id}/qr-code"));
    assert_eq!(action("cancel")["method"], "POST");
    assert_eq!(action("cancel")["fields"], json!([]));
    let reference = bench.engine.transaction("A-1").unwrap().reference_id;
    assert_eq!(
        action("deeplink-redirect")["url"],
        format!(
            "{base}/gopay/ui/checkout?referenceid={reference}\
             &callback_url=https%3A%2F%2Fshop.example%2Freturn%2F%3Forder_id%3DA-1"
        )
    );
}

#[test]
fn equal_seeds_and_calls_give_equal_results() {
    let run = |seed: u64| {
        let mut bench = Bench::with(EngineConfig { seed, ..EngineConfig::default() });
        let charge = bench.paid("A-1", 1_000);
        let refund = bench.post("/v2/A-1/refund", &json!({"amount": 5}));
        let unknown = bench.status("none");
        (charge, refund, unknown, bench.notifications())
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).0, run(2).0);
}

#[test]
fn calls_without_a_known_key_are_refused() {
    let path = "/v2/charge";
    let body = charge_body("A-1", 1).to_string();
    for (authorization, http) in [
        (None, 401),
        (Some(""), 401),
        (Some("Basic"), 401),
        (Some("Basic !!!"), 401),
        (Some("Basic Og=="), 401),                         // ":"
        (Some("Basic U0ItTWlkLXNlcnZlci1vdGhlcjo="), 401), // other key
        (Some("Basic U0ItTWlkLXNlcnZlci1kZW1vOnB3"), 401), // with a password
        (Some("Bearer U0ItTWlkLXNlcnZlci1kZW1vOg=="), 401),
        (Some("basic U0ItTWlkLXNlcnZlci1kZW1vOg=="), 200),
        (Some("Basic U0ItTWlkLXNlcnZlci1kZW1v"), 200), // without the colon
        (Some(AUTHORIZATION), 200),
    ] {
        let mut bench = Bench::new();
        let mut call = ApiRequest::new("POST", path, body.clone());
        if let Some(value) = authorization {
            call = call.with_header("authorization", value);
        }
        let (status, answer) = bench.json(&call);
        assert_eq!(status, http, "{authorization:?}");
        if http == 401 {
            assert_eq!(answer["status_code"], "401");
            let message = answer["status_message"].as_str().unwrap();
            for part in [
                "unauthorized",
                "Transaction cannot be authorized with the current client/server key.",
            ] {
                assert!(message.contains(part), "{message}");
            }
            assert!(answer["id"].is_string());
            assert_eq!(bench.engine.totals().transactions, 0);
        }
    }
}

#[test]
fn without_a_known_key_every_path_of_the_api_says_401_and_with_it_what_is_unsupported() {
    for (method, path, known, unknown) in [
        ("POST", "/v2/charge", 500, 401),
        ("GET", "/v2/charge", 405, 401),
        ("GET", "/v2/A-1/status", 200, 401),
        ("DELETE", "/v2/A-1/status", 405, 401),
        ("GET", "/v2/A-1/status/b2b", 404, 401),
        ("POST", "/v2/pay/account", 404, 401),
        ("GET", "/v2/token", 404, 401),
        ("POST", "/v1/subscriptions", 404, 401),
        ("POST", "/snap/v1/transactions", 404, 401),
        ("GET", "/iris/api/v1/balance", 404, 401),
        ("GET", "/v1.0/transaction-history-list", 404, 401),
        ("GET", "/v2", 404, 401),
        // Outside the API nothing needs a key.
        ("GET", "/favicon.ico", 404, 404),
        ("GET", "/video", 404, 404),
    ] {
        let mut bench = Bench::new();
        let body = if method == "POST" { "{}" } else { "" };
        assert_eq!(bench.json(&request(method, path, body)).0, known, "{method} {path}");
        let (http, answer) = bench.json(&ApiRequest::new(method, path, body));
        assert_eq!(http, unknown, "{method} {path} without key");
        if unknown == 401 {
            assert_eq!(answer["status_code"], "401");
        }
        if known == 404 {
            let (_, answer) = bench.json(&request(method, path, body));
            let message = answer["status_message"].as_str().unwrap();
            let start = format!("{method} {path} does not exist here");
            assert!(message.starts_with(&start), "{message}");
            assert!(message.contains("supports one-time GoPay payments only"), "{message}");
        }
    }
}

#[test]
fn merchants_do_not_see_each_other_and_may_have_two_keys() {
    let key = |server_key: &str, merchant_id: &str| MerchantKey {
        server_key: server_key.to_owned(),
        merchant_id: merchant_id.to_owned(),
    };
    let merchants = vec![key(KEY, "G1"), key("other", "G2"), key("rotated", "G1")];
    let mut bench = Bench::with(EngineConfig { merchants, ..EngineConfig::default() });
    bench.charge("A-1", 1_000);
    let as_key = |encoded: &str| {
        ApiRequest::new("GET", "/v2/A-1/status", "").with_header("authorization", encoded)
    };
    let (_, other) = bench.json(&as_key("Basic b3RoZXI6"));
    assert_eq!(other["status_code"], "404");
    let (_, rotated) = bench.json(&as_key("Basic cm90YXRlZDo="));
    assert_eq!(rotated["status_code"], "201");
    assert_eq!(rotated["merchant_id"], "G1");
    assert_eq!(rotated["signature_key"], signature("A-1", "201", "1000.00", "rotated"));
}

#[test]
fn paths_methods_and_media_types() {
    let mut bench = Bench::new();
    bench.charge("A-1", 1_000);
    for (method, path, http, code) in [
        ("GET", "/v2/A-1/status", 200, "201"),
        ("GET", "/v2/A-1/status?unknown=1", 200, "201"),
        ("GET", "/v2/A%2D1/status", 200, "201"),
        ("GET", "/v2/nobody/status", 200, "404"),
        ("GET", "/v2//status", 200, "404"),
        ("POST", "/v2/A-1/status", 405, "405"),
        ("GET", "/v2/charge", 405, "405"),
        ("GET", "/v2/A-1/refund", 405, "405"),
        ("PUT", "/v2/A-1/cancel", 405, "405"),
        ("POST", "/v2/nobody/cancel", 200, "404"),
        ("POST", "/v2/nobody/expire", 200, "404"),
        ("POST", "/v2/nobody/refund", 200, "404"),
        ("POST", "/v2/nobody/refund/online/direct", 200, "404"),
        ("POST", "/v2/nobody/approve", 200, "404"),
        ("POST", "/v2/nobody/deny", 200, "404"),
        ("POST", "/v2/A-1/approve", 200, "412"),
        ("POST", "/v2/A-1/deny", 200, "412"),
        ("GET", "/v2/A-1/statusb2b", 404, "404"),
        ("GET", "/v1/anything", 404, "404"),
        ("GET", "/", 404, "404"),
    ] {
        let (status, body) = bench.json(&request(method, path, ""));
        assert_eq!((status, body["status_code"].as_str()), (http, Some(code)), "{method} {path}");
        if code == "404" {
            assert!(body["status_message"].as_str().unwrap().contains("exist"), "{body}");
            assert!(body["id"].is_string());
        }
    }
    let capture = |body: &str| request("POST", "/v2/capture", body);
    for (body, code) in [
        (r#"{"transaction_id":"DUMMY"}"#, "404"),
        (r#"{"transaction_id":"A-1"}"#, "412"),
        ("", "400"),
    ] {
        assert_eq!(bench.json(&capture(body)).1["status_code"], code, "{body}");
    }
    for (accept, http) in [
        ("application/json", 200),
        ("text/html, */*;q=0.1", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/html", 403),
    ] {
        let call = request("GET", "/v2/A-1/status", "").with_header("accept", accept);
        assert_eq!(bench.json(&call).0, http, "{accept}");
    }
}

#[test]
fn a_refused_charge_leaves_nothing_behind() {
    let mut bench = Bench::new();
    for (body, http, code) in [
        ("", 400, "400"),
        ("{", 200, "413"),
        (r#"{"payment_type":"bank_transfer"}"#, 200, "402"),
        (
            r#"{"payment_type":"gopay","transaction_details":{"order_id":"A","gross_amount":0}}"#,
            400,
            "400",
        ),
    ] {
        let (status, answer) = bench.json(&request("POST", "/v2/charge", body));
        assert_eq!((status, answer["status_code"].as_str()), (http, Some(code)), "{body}");
        assert!(answer["id"].is_string() && answer["status_message"].is_string());
        assert_eq!(answer.get("validation_messages").is_some(), code == "400", "{body}");
    }
    for body in ["null", "{}"] {
        let (http, answer) = bench.json(&request("POST", "/v2/charge", body));
        let expected = json!({"message": "An unexpected error occurred"});
        assert_eq!((http, answer), (500, expected), "{body}");
    }
    assert_eq!(bench.engine.totals().transactions, 0);
    assert!(bench.notifications().is_empty());
}

#[test]
fn an_order_id_is_free_again_only_when_its_payment_ended_unpaid() {
    let end = |bench: &mut Bench, how: &str| match how {
        "cancel" | "expire" => {
            assert_ne!(bench.post(&format!("/v2/A-1/{how}"), &Value::Null)["status_code"], "412")
        }
        "time" => bench.pass(15 * 60),
        "deny" => bench.engine.deny(bench.now, "A-1").unwrap(),
        "fail" => bench.engine.fail(bench.now, "A-1").unwrap(),
        "pay" => bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap(),
        "refund" | "part" => {
            bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
            let amount = if how == "refund" { 1_000 } else { 1 };
            let refund = bench.post("/v2/A-1/refund", &json!({"amount": amount}));
            assert_eq!(refund["status_code"], "200");
        }
        _ => {}
    };
    for (how, free) in [
        ("cancel", true),
        ("expire", true),
        ("time", true),
        ("deny", true),
        ("fail", true),
        ("nothing", false),
        ("pay", false),
        ("refund", false),
        ("part", false),
    ] {
        let mut bench = Bench::new();
        let first = bench.charge("A-1", 1_000);
        end(&mut bench, how);
        let second = bench.charge("A-1", 2_000);
        assert_eq!(second["status_code"], if free { "201" } else { "406" }, "{how}");
        let newest = bench.status("A-1");
        let first_id = first["transaction_id"].as_str().unwrap();
        if free {
            assert_ne!(second["transaction_id"], first["transaction_id"]);
            assert_eq!(newest["transaction_id"], second["transaction_id"], "{how}");
            assert_eq!(bench.status(first_id)["gross_amount"], "1000.00");
            assert_eq!(bench.engine.transaction("A-1").unwrap().charges_of_order, 2);
        } else {
            assert_eq!(newest["transaction_id"], first["transaction_id"], "{how}");
        }
    }
}

#[test]
fn get_status_shows_each_state_with_its_code_and_signature() {
    for (how, status, code, paid) in [
        ("nothing", "pending", "201", false),
        ("pay", "settlement", "200", true),
        ("expire", "expire", "407", false),
        ("cancel", "cancel", "200", false),
        ("deny", "deny", "202", false),
        ("fail", "failure", "202", false),
        ("part", "partial_refund", "200", true),
        ("refund", "refund", "200", true),
    ] {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        bench.pass(5);
        let now = bench.now;
        match how {
            "pay" | "part" | "refund" => bench.engine.pay(now, "A-1", &Payer::default()).unwrap(),
            "expire" => bench.engine.expire(now, "A-1").unwrap(),
            "cancel" => bench.engine.cancel(now, "A-1").unwrap(),
            "deny" => bench.engine.deny(now, "A-1").unwrap(),
            "fail" => bench.engine.fail(now, "A-1").unwrap(),
            _ => {}
        }
        if matches!(how, "part" | "refund") {
            let amount = if how == "part" { 400 } else { 1_000 };
            bench.post("/v2/A-1/refund", &json!({"amount": amount, "refund_key": "R"}));
        }
        let body = bench.status("A-1");
        assert_eq!(body["transaction_status"], status);
        assert_eq!(body["status_code"], code, "{status}");
        assert_eq!(body["signature_key"], signature("A-1", code, "1000.00", KEY), "{status}");
        assert_eq!(body["status_message"], "Success, transaction is found");
        assert_eq!(body.get("settlement_time").is_some(), paid, "{status}");
        assert_eq!(body.get("payment_option_type").is_some(), paid, "{status}");
        if paid {
            assert_eq!(body["settlement_time"], "2026-01-15 10:00:05");
            assert_eq!(body["payment_option_type"], "GOPAY_WALLET");
        }
        assert_eq!(body.get("refunds").is_some(), matches!(how, "part" | "refund"));
        assert_eq!(body.get("channel_response_code").is_some(), matches!(how, "deny" | "fail"));
    }
}

#[test]
fn cancel_and_expire_end_open_payments_only() {
    for (action, code, status) in [("cancel", "200", "cancel"), ("expire", "407", "expire")] {
        for body in ["", "null", "{}"] {
            let mut bench = Bench::new();
            bench.charge("A-1", 1_000);
            let call = request("POST", &format!("/v2/A-1/{action}"), body);
            let (http, ended) = bench.json(&call);
            assert_eq!((http, ended["status_code"].as_str()), (200, Some(code)));
            assert_eq!(ended["transaction_status"], status);
            let (http, again) = bench.json(&call);
            assert_eq!((http, again["status_code"].as_str()), (200, Some("412")));
        }
        let mut bench = Bench::new();
        bench.paid("A-2", 1_000);
        assert_eq!(bench.post(&format!("/v2/A-2/{action}"), &Value::Null)["status_code"], "412");
        bench.charge("A-3", 1_000);
        bench.pass(15 * 60);
        assert_eq!(bench.post(&format!("/v2/A-3/{action}"), &Value::Null)["status_code"], "412");
    }
}

#[test]
fn time_expires_what_is_not_paid() {
    let mut bench = Bench::new();
    bench.charge("A-1", 1_000);
    bench.notifications();
    let due = bench.engine.next_event_at().unwrap();
    assert_eq!(due.wib_seconds(), "2026-01-15 10:15:00");
    bench.pass(15 * 60 - 1);
    bench.engine.tick(bench.now);
    assert_eq!(bench.status("A-1")["transaction_status"], "pending");
    bench.pass(1);
    bench.engine.tick(bench.now);
    assert_eq!(bench.notified_statuses(), [("expire".to_owned(), "202".to_owned())]);
    assert_eq!(bench.status("A-1")["status_code"], "407");
    assert_eq!(bench.engine.next_event_at(), None);
    let refusal = bench.engine.pay(bench.now, "A-1", &Payer::default());
    assert_eq!(refusal, Err(WalletError::WrongStatus(crate::Status::Expire)));
}

#[test]
fn custom_fields_and_metadata_come_back_in_status_and_notifications() {
    let mut bench = Bench::new();
    let mut body = charge_body("A-1", 1_000);
    body["custom_field1"] = json!("one");
    body["custom_field3"] = json!("three");
    body["metadata"] = json!({"you": {"deep": [1, "two"]}});
    bench.post("/v2/charge", &body);
    for seen in [bench.status("A-1"), bench.notifications().remove(0)] {
        assert_eq!(seen["custom_field1"], "one");
        assert!(seen.get("custom_field2").is_none());
        assert_eq!(seen["custom_field3"], "three");
        assert_eq!(seen["metadata"], body["metadata"]);
    }
}

// --- idempotency --------------------------------------------------------------------------------

fn keyed(path: &str, body: &Value, key: &str) -> ApiRequest {
    request("POST", path, &body.to_string()).with_header("idempotency-key", key)
}

#[test]
fn the_same_key_gives_the_stored_answer_whatever_the_body_or_endpoint() {
    let mut bench = Bench::new();
    let first = bench.send(&keyed("/v2/charge", &charge_body("A-1", 1_000), "k"));
    bench.engine.pay(bench.now, "A-1", &Payer::default()).unwrap();
    for (path, body) in [
        ("/v2/charge", charge_body("A-1", 1_000)),
        ("/v2/charge", charge_body("B-2", 5)),
        ("/v2/A-1/refund", json!({})),
        ("/v2/charge", json!("broken")),
    ] {
        let again = bench.send(&keyed(path, &body, "k"));
        assert_eq!((again.status, &again.body), (200, &first.body), "{path}");
    }
    let view = bench.engine.transaction("A-1").unwrap();
    assert_eq!((view.charge_repeats, view.refunded), (4, 0));
    assert_eq!(bench.engine.totals().transactions, 1);
}

#[test]
fn a_key_lives_five_minutes() {
    let mut bench = Bench::new();
    let call = keyed("/v2/charge", &charge_body("A-1", 1_000), "k");
    bench.send(&call);
    bench.pass(299);
    assert_eq!(bench.json(&call).1["status_code"], "201");
    bench.pass(1);
    assert_eq!(bench.json(&call).1["status_code"], "406");
}

#[test]
fn keys_that_do_not_count() {
    for (key, counts) in [("k".repeat(46), true), ("k".repeat(47), false), (String::new(), false)] {
        let mut bench = Bench::new();
        let call = keyed("/v2/charge", &charge_body("A-1", 1_000), &key);
        bench.send(&call);
        let code = if counts { "201" } else { "406" };
        assert_eq!(bench.json(&call).1["status_code"], code, "{} characters", key.len());
    }
}

#[test]
fn refusals_are_not_stored_and_denials_are() {
    let mut bench = Bench::new();
    let refused = bench.json(&keyed("/v2/charge", &charge_body("A-1", 0), "k")).1;
    assert_eq!(refused["status_code"], "400");
    let charged = bench.json(&keyed("/v2/charge", &charge_body("A-1", 1), "k")).1;
    assert_eq!(charged["status_code"], "201");

    bench.fault(json!({"on": "charge", "action": {"provider_error": {"code": 201}}}));
    let denied = bench.json(&keyed("/v2/charge", &charge_body("A-2", 1), "d")).1;
    assert_eq!(denied["status_code"], "202");
    let again = bench.json(&keyed("/v2/charge", &charge_body("A-2", 1), "d")).1;
    assert_eq!(again, denied);
    let fresh = bench.json(&keyed("/v2/charge", &charge_body("A-2", 1), "e")).1;
    assert_eq!(fresh["status_code"], "201");
}

#[test]
fn expire_is_a_success_to_the_store_and_merchants_have_their_own_keys() {
    let merchants = [(KEY, "G1"), ("other", "G2")]
        .map(|(server_key, merchant_id)| MerchantKey {
            server_key: server_key.to_owned(),
            merchant_id: merchant_id.to_owned(),
        })
        .to_vec();
    let mut bench = Bench::with(EngineConfig { merchants, ..EngineConfig::default() });
    bench.charge("A-1", 1_000);
    let call = keyed("/v2/A-1/expire", &Value::Null, "k");
    assert_eq!(bench.json(&call).1["status_code"], "407");
    assert_eq!(bench.json(&call).1["status_code"], "407");
    let other = ApiRequest::new("POST", "/v2/charge", charge_body("A-1", 1).to_string())
        .with_header("authorization", "Basic b3RoZXI6")
        .with_header("idempotency-key", "k");
    assert_eq!(bench.json(&other).1["status_code"], "201");
}

#[test]
fn a_repeat_meets_http_202_until_the_first_is_answered() {
    for when in ["before", "after"] {
        let mut bench = Bench::new();
        bench.fault(json!({"on": "charge", "action": {"delay": {"ms": 5_000, "when": when}}}));
        let call = keyed("/v2/charge", &charge_body("A-1", 1_000), "k");
        let first = bench.send(&call);
        assert_eq!(first.delay.as_secs(), 5);
        let (http, running) = bench.json(&call);
        assert_eq!((http, running["status_code"].as_str()), (202, Some("202")), "{when}");
        bench.pass(5);
        if let crate::Delivery::Deferred { ticket } = first.delivery {
            assert_eq!(when, "before");
            assert_eq!(bench.engine.totals().transactions, 0);
            assert_eq!(bench.json(&call).0, 202);
            assert_eq!(bench.engine.resume(bench.now, ticket).status, 200);
            assert_eq!(bench.engine.resume(bench.now, ticket).status, 500);
        }
        assert_eq!(bench.json(&call).1["status_code"], "201", "{when}");
        assert_eq!(bench.engine.totals().transactions, 1);
    }
}

// --- wallets ------------------------------------------------------------------------------------

#[test]
fn wallets_keep_their_limits_and_a_refusal_leaves_the_payment_open() {
    let payer = |wallet: &str| Payer { wallet: wallet.to_owned(), ..Payer::default() };
    let qris = |wallet: &str| Payer { via: Via::Qris, ..payer(wallet) };
    for (amount, payer, expected) in [
        (2_000_000, payer("unverified"), Ok(())),
        (2_000_001, payer("unverified"), Err(WalletError::AboveLimit(2_000_000))),
        (20_000_000, payer("verified"), Ok(())),
        (3_000_000, payer("paylater"), Ok(())),
        (3_000_001, payer("paylater"), Err(WalletError::AboveLimit(3_000_000))),
        (10_000_000, qris("verified"), Ok(())),
        (10_000_001, qris("verified"), Err(WalletError::AboveLimit(10_000_000))),
        (2_000_001, qris("unverified"), Err(WalletError::AboveLimit(2_000_000))),
        (1, payer("empty"), Err(WalletError::BalanceTooLow)),
        (1, payer("golden"), Err(WalletError::UnknownWallet)),
        (10, Payer { balance: Some(9), ..Payer::default() }, Err(WalletError::BalanceTooLow)),
        (10, Payer { balance: Some(10), ..payer("empty") }, Ok(())),
        (
            10,
            Payer { pin: Some("000000".to_owned()), ..Payer::default() },
            Err(WalletError::WrongPin),
        ),
        (10, Payer { pin: Some("123456".to_owned()), ..Payer::default() }, Ok(())),
    ] {
        let mut bench = Bench::new();
        bench.charge("A-1", amount);
        let outcome = bench.engine.pay(bench.now, "A-1", &payer);
        assert_eq!(outcome, expected, "{amount} {payer:?}");
        let status = bench.status("A-1")["transaction_status"].clone();
        assert_eq!(status, if expected.is_ok() { "settlement" } else { "pending" });
        if expected.is_err() {
            // The shopper may try again.
            assert_eq!(bench.engine.pay(bench.now, "A-1", &Payer::default()), Ok(()));
        }
    }
}

#[test]
fn unverified_wallets_can_be_turned_away_and_balances_go_down_and_up() {
    let mut config = EngineConfig { allow_unverified: false, ..EngineConfig::default() };
    config.wallets[0].balance = Some(1_500);
    let mut bench = Bench::with(config);
    bench.charge("A-1", 1_000);
    bench.charge("A-2", 1_000);
    let unverified = Payer { wallet: "unverified".to_owned(), ..Payer::default() };
    let now = bench.now;
    assert_eq!(bench.engine.pay(now, "A-1", &unverified), Err(WalletError::NotVerified));
    assert_eq!(bench.engine.pay(now, "A-1", &Payer::default()), Ok(()));
    assert_eq!(bench.engine.pay(now, "A-2", &Payer::default()), Err(WalletError::BalanceTooLow));
    bench.post("/v2/A-1/refund", &json!({"amount": 500}));
    assert_eq!(bench.engine.pay(now, "A-2", &Payer::default()), Ok(()));
}

#[test]
fn a_scanned_payment_shows_as_qris() {
    for (kind, word) in [(QrisKind::OnUs, "on-us"), (QrisKind::OffUs, "off-us")] {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        bench.notifications();
        let payer = Payer { via: Via::Qris, transaction_type: kind, ..Payer::default() };
        bench.engine.pay(bench.now, "A-1", &payer).unwrap();
        for seen in [bench.status("A-1"), bench.notifications().remove(0)] {
            assert_eq!(seen["payment_type"], "qris");
            assert_eq!(seen["transaction_type"], word);
            assert!(seen["issuer"].is_string() && seen["acquirer"].is_string());
            assert!(seen["merchant_cross_reference_id"].is_string());
            assert_eq!(seen["order_id"], "A-1");
        }
    }
}

#[test]
fn money_can_arrive_after_the_end_but_not_twice() {
    for how in ["expire", "cancel", "deny", "fail"] {
        let mut bench = Bench::new();
        bench.charge("A-1", 1_000);
        let now = bench.now;
        assert!(bench.engine.settle_late(now, "A-1").is_err(), "still pending");
        match how {
            "expire" => bench.engine.expire(now, "A-1").unwrap(),
            "cancel" => bench.engine.cancel(now, "A-1").unwrap(),
            "deny" => bench.engine.deny(now, "A-1").unwrap(),
            _ => bench.engine.fail(now, "A-1").unwrap(),
        }
        bench.notifications();
        bench.pass(3_600);
        bench.engine.settle_late(bench.now, "A-1").unwrap();
        assert_eq!(
            bench.notified_statuses(),
            [("settlement".to_owned(), "200".to_owned())],
            "{how}"
        );
        assert_eq!(bench.status("A-1")["settlement_time"], "2026-01-15 11:00:00");
        assert!(bench.engine.settle_late(bench.now, "A-1").is_err());
        assert_eq!(bench.engine.totals().charged, 1_000);
    }
}

#[test]
fn totals_add_up() {
    let mut bench = Bench::new();
    bench.paid("A-1", 1_000);
    bench.paid("A-2", 500);
    bench.charge("A-3", 7);
    bench.charge("A-4", 8);
    bench.engine.decline(bench.now, "A-4").unwrap();
    bench.engine.cancel(bench.now, "A-3").unwrap();
    bench.post("/v2/A-1/refund", &json!({"amount": 300}));
    bench.post("/v2/A-2/refund", &Value::Null);
    let totals = bench.engine.totals();
    assert_eq!((totals.transactions, totals.charged), (4, 1_500));
    assert_eq!((totals.refunds, totals.refunded), (2, 800));
    for (status, count) in [
        ("pending", 1),
        ("cancel", 1),
        ("partial_refund", 1),
        ("refund", 1),
        ("settlement", 0),
        ("expire", 0),
        ("deny", 0),
        ("failure", 0),
    ] {
        assert_eq!(totals.statuses[status], count, "{status}");
    }
    let orders = |offset, limit| -> Vec<String> {
        let page = bench.engine.transactions(offset, limit);
        page.into_iter().map(|found| found.order_id).collect()
    };
    assert_eq!(orders(0, 2), ["A-1", "A-2"]);
    assert_eq!(orders(3, 9), ["A-4"]);
}

#[test]
fn the_qr_code_needs_no_key_and_leads_to_a_payment_by_qris_that_never_leads_back() {
    let mut bench = Bench::new();
    let charge = bench.charge("A-1", 1_000);
    let id = charge["transaction_id"].as_str().unwrap();
    let reply = bench.send(&ApiRequest::new("GET", &format!("/v2/gopay/{id}/qr-code"), ""));
    assert_eq!((reply.status, reply.content_type), (200, "image/png"));
    let scanned = crate::qr::tests::scan(&reply.body);
    assert_eq!(scanned, bench.engine.transaction("A-1").unwrap().qr_string);
    let path = scanned.strip_prefix("http://127.0.0.1:8090").unwrap();
    let form = "wallet=verified&pin=123456&action=pay";
    let paid = bench.send(&ApiRequest::new("POST", path, form));
    assert_eq!((paid.status, paid.location), (200, None));
    let status = bench.status("A-1");
    assert_eq!(
        (&status["payment_type"], &status["transaction_type"]),
        (&json!("qris"), &json!("on-us"))
    );
    let (_, unknown) = bench.json(&ApiRequest::new("GET", "/v2/gopay/none/qr-code", ""));
    assert_eq!(unknown["status_code"], "404");
}
