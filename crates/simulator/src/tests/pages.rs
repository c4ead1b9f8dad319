//! The checkout page.

use serde_json::json;

use super::{Bench, charge_body};
use crate::{ApiReply, ApiRequest, EngineConfig};

const BACK: &str = "https://shop.example/return/?order_id=A-1";

/// The path of the page, as the deeplink has it.
fn deeplink(bench: &mut Bench, amount: u64) -> String {
    bench.charge("A-1", amount);
    let url = bench.engine.transaction("A-1").unwrap().checkout_url;
    url.strip_prefix("http://127.0.0.1:8090").unwrap().to_owned()
}

fn get(bench: &mut Bench, path: &str) -> ApiReply {
    bench.send(&ApiRequest::new("GET", path, ""))
}

fn submit(bench: &mut Bench, path: &str, form: &'static str) -> ApiReply {
    bench.send(&ApiRequest::new("POST", path, form))
}

fn text(reply: &ApiReply) -> &str {
    std::str::from_utf8(&reply.body).unwrap()
}

#[test]
fn the_page_offers_the_wallet_and_the_sandbox_form() {
    let mut bench = Bench::new();
    let path = deeplink(&mut bench, 125_000);
    let page = get(&mut bench, &path);
    assert_eq!(page.status, 200);
    for part in [
        "Demo Merchant",
        "Rp\u{a0}125.000",
        "Order A-1",
        r#"name="wallet" value="unverified""#,
        r#"name="wallet" value="paylater""#,
        "The PIN is 123456.",
        "up to Rp\u{a0}2.000.000 at once",
        "balance Rp\u{a0}0",
        r#"name="pin""#,
        r#"value="pay""#,
        r#"value="decline""#,
        r#"name="result""#,
        r#"<option value="succeeded">"#,
        r#"<option value="failed_user_abort">"#,
        r#"<option value="failed_timeout">"#,
        r#"<option value="failed_unknown">"#,
        r#"<option value="failed_remote_decline">"#,
        r#"<option value="failed_remote_error">"#,
        r#"<option value="pending">"#,
        r#"id="submitbutton""#,
    ] {
        assert!(text(&page).contains(part), "{part}");
    }
}

#[test]
fn what_others_wrote_is_escaped() {
    let merchant_name = "<script>alert(1)</script>".to_owned();
    let mut bench = Bench::with(EngineConfig { merchant_name, ..EngineConfig::default() });
    let path = deeplink(&mut bench, 1);
    let page = get(&mut bench, &path);
    assert!(!text(&page).contains("<script>"));
    assert!(text(&page).contains("&lt;script&gt;"));
}

#[test]
fn paying_and_declining_lead_back_to_the_merchant() {
    for (form, status, result) in [
        ("wallet=verified&pin=123456&action=pay", "settlement", "success"),
        ("wallet=verified&pin=123456&action=decline", "pending", "failure"),
        ("action=decline", "pending", "failure"),
    ] {
        let mut bench = Bench::new();
        let path = deeplink(&mut bench, 1_000);
        let reply = submit(&mut bench, &path, form);
        assert_eq!(reply.status, 303, "{form}");
        assert_eq!(reply.location, Some(format!("{BACK}&result={result}")));
        assert_eq!(bench.status("A-1")["transaction_status"], status, "{form}");
    }
}

#[test]
fn a_refused_payment_shows_why_and_stays_open() {
    for (form, amount, why) in [
        ("wallet=verified&pin=1&action=pay", 1_000, "PIN is wrong"),
        ("wallet=verified&action=pay", 1_000, "PIN is wrong"),
        ("wallet=empty&pin=123456&action=pay", 1_000, "balance is too low"),
        ("wallet=unverified&pin=123456&action=pay", 2_000_001, "limit of 2000000 rupiah"),
        ("wallet=paylater&pin=123456&action=pay", 3_000_001, "limit of 3000000 rupiah"),
        ("wallet=nobody&pin=123456&action=pay", 1_000, "no such wallet"),
    ] {
        let mut bench = Bench::new();
        let path = deeplink(&mut bench, amount);
        let reply = submit(&mut bench, &path, form);
        assert_eq!((reply.status, reply.location.as_deref()), (200, None), "{form}");
        assert!(text(&reply).contains(why), "{form}");
        assert!(text(&reply).contains("submitbutton"), "it can be tried again");
        assert_eq!(bench.status("A-1")["transaction_status"], "pending", "{form}");
        let retry = submit(&mut bench, &path, "wallet=verified&pin=123456&action=pay");
        assert_eq!(retry.status, 303);
    }
}

#[test]
fn sandbox_results_end_the_payment() {
    for (form, status, result) in [
        ("result=succeeded", "settlement", "success"),
        ("result=failed_user_abort", "cancel", "failure"),
        ("result=failed_timeout", "expire", "failure"),
        ("result=failed_unknown", "failure", "failure"),
        ("result=failed_remote_decline", "deny", "failure"),
        ("result=failed_remote_error", "failure", "failure"),
        ("result=pending", "pending", "failure"),
    ] {
        let mut bench = Bench::new();
        let path = deeplink(&mut bench, 20_000_000);
        let reply = submit(&mut bench, &path, form);
        assert_eq!(reply.status, 303, "{form}");
        assert_eq!(reply.location, Some(format!("{BACK}&result={result}")), "{form}");
        assert_eq!(bench.status("A-1")["transaction_status"], status, "{form}");
        if status != "pending" {
            // Sent twice, by a nervous finger: nothing changes.
            let again = submit(&mut bench, &path, "result=failed_timeout");
            assert_eq!(again.location, reply.location);
            assert_eq!(bench.status("A-1")["transaction_status"], status);
        }
    }
}

#[test]
fn only_the_registered_address_is_ever_redirected_to() {
    let mut bench = Bench::new();
    let path = deeplink(&mut bench, 1_000);
    let plain = path.split('&').next().unwrap().to_owned();
    let evil = format!("{plain}&callback_url=https%3A%2F%2Fevil.example%2F");
    for reply in [get(&mut bench, &evil), submit(&mut bench, &evil, "result=succeeded")] {
        assert_eq!((reply.status, reply.location), (400, None));
    }
    assert_eq!(bench.status("A-1")["transaction_status"], "pending");
    // Without the parameter the charge still says where to go.
    let reply = submit(&mut bench, &plain, "result=succeeded");
    assert_eq!(reply.location, Some(format!("{BACK}&result=success")));
}

#[test]
fn without_a_return_address_the_page_says_how_it_ended() {
    let mut bench = Bench::new();
    let mut body = charge_body("A-1", 1_000);
    body["gopay"] = json!({"enable_callback": false, "callback_url": "https://shop.example/"});
    bench.post("/v2/charge", &body);
    let url = bench.engine.transaction("A-1").unwrap().checkout_url;
    assert!(!url.contains("callback_url"), "{url}");
    let path = url.strip_prefix("http://127.0.0.1:8090").unwrap().to_owned();
    let reply = submit(&mut bench, &path, "result=succeeded");
    assert_eq!((reply.status, reply.location.as_deref()), (200, None));
    assert!(text(&reply).contains("Paid. Thank you."));
    let invented = format!("{path}&callback_url=https%3A%2F%2Fshop.example%2F");
    assert_eq!(get(&mut bench, &invented).status, 400);
}

#[test]
fn the_dashboard_address_is_used_when_the_charge_names_none() {
    let callback_url = Some("https://dash.example/".to_owned());
    let mut bench = Bench::with(EngineConfig { callback_url, ..EngineConfig::default() });
    let mut body = charge_body("A-1", 1_000);
    body["gopay"] = json!({"enable_callback": true});
    bench.post("/v2/charge", &body);
    let url = bench.engine.transaction("A-1").unwrap().checkout_url;
    assert!(url.ends_with("&callback_url=https%3A%2F%2Fdash.example%2F%3Forder_id%3DA-1"), "{url}");
}

#[test]
fn what_is_no_payment_or_no_choice_is_refused() {
    let mut bench = Bench::new();
    let path = deeplink(&mut bench, 1_000);
    for (method, path, form, status) in [
        ("GET", "/gopay/ui/checkout", "", 404),
        ("GET", "/gopay/ui/checkout?referenceid=none", "", 404),
        ("DELETE", path.as_str(), "", 405),
        ("POST", path.as_str(), "", 400),
        ("POST", path.as_str(), "result=maybe", 400),
        ("POST", path.as_str(), "action=steal", 400),
    ] {
        let reply = bench.send(&ApiRequest::new(method, path, form));
        assert_eq!(reply.status, status, "{method} {path} {form}");
        assert_eq!(reply.content_type, crate::api::HTML);
    }
    assert_eq!(bench.status("A-1")["transaction_status"], "pending");
}
