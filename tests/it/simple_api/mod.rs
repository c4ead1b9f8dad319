//! PPRO's Simple API on the wire, through the built program: each call, the form of each answer,
//! what is refused and how it is told, and bodies that no sane client would send.
use std::collections::BTreeSet;

use crate::support::leaks::{PERSONAL, assert_without, pieces};
use crate::support::logged::Logged;
use crate::support::wire::expect;
use crate::support::{Answer, Demo, body, decode, encode, example};
use serde_json::{Value, json};

mod bodies;
mod look_ups;
mod refusals;

/// The request that the wire reference prints for PPRO's example, line breaks removed.
const PUBLISHED: &str = "tag=gopay&txtype=TRANSACTION&countrycode=ID&currency=IDR&amount=1000000&merchanttxid=ORDER-20250621-0001&login=testclient&password=test123&contractid=TESTCONTRACT&channel=testchannel&merchantredirecturl=https%3A%2F%2Fshop.example%2Freturn&notificationurl=https%3A%2F%2Fpsp.example%2Fnotify&accountholdername=Siti%20Rahma&specin.email=siti%40example.org&specin.phone=%2B628123456789&transientin.orderitems=%5B%7B%22name%22%3A%22table%22%2C%22price%22%3A%222000.00%22%2C%22quantity%22%3A2%7D%2C%7B%22name%22%3A%22Laptop%202.0%22%2C%22price%22%3A%223000.00%22%2C%22quantity%22%3A2%7D%5D&returnmode=urlencodeext";

/// Keys of the answer to TRANSACTION by outcome, without `RAND`.
const PENDING: &str = "STATUS TXID FUNDSSTATUS ERRMSG CHANNEL TAG REDIRECTURL REDIRECTSECRET";
const SUCCEEDED: &str = "STATUS TXID FUNDSSTATUS ERRMSG CHANNEL TAG";
const FAILED: &str = "STATUS TXID FUNDSSTATUS ERRMSG FAILREASON CHANNEL TAG";
const SEVERE: &str = "STATUS TXID ERRMSG FAILREASON";
const STATUS_FAILED: &str = "REQUESTSTATUS REQUESTFAILREASON STATUS TXID ERRMSG";
const REFUND_SUCCEEDED: &str = "STATUS REFUNDID ERRMSG";
const REFUND_FAILED: &str = "STATUS REFUNDID ERRMSG FAILREASON";
const REFUND_STATUS_FAILED: &str = "REQUESTSTATUS REQUESTFAILREASON STATUS REFUNDID ERRMSG";

/// Reads an answer as strictly as the reference is written; gives its keys in order, without
/// `RAND`, and its pairs.
#[track_caller]
fn strict(text: &str) -> (Vec<String>, Answer) {
    let clean = |char: char| {
        char.is_ascii_alphanumeric() || matches!(char, '%' | '-' | '.' | '_' | '~' | '=' | '&')
    };
    assert!(text.chars().all(clean), "one line of encoded pairs: {text}");
    let mut keys = Vec::new();
    let mut rand = 0;
    for pair in text.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or_else(|| panic!("{pair:?} in {text}"));
        assert!(!value.contains('='), "{pair:?} in {text}");
        if let Some(digits) = key.strip_prefix("RAND") {
            let good = (8..=10).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
                && value.len() == 40
                && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            assert!(good, "{pair:?} in {text}");
            rand += 1;
        } else {
            let upper = |byte: u8| byte.is_ascii_uppercase() || byte == b'.';
            assert!(key.bytes().all(upper), "{key:?} in {text}");
            keys.push(key.to_owned());
        }
    }
    assert_eq!(rand, 1, "one RAND pair in {text}");
    let mut answer = decode(text);
    answer.retain(|key, _| !key.starts_with("RAND"));
    let has = |key: &str| answer.contains_key(key);
    let request_failed = answer.get("REQUESTSTATUS").is_some_and(|status| status == "FAILED");
    assert_eq!(has("REQUESTFAILREASON"), request_failed, "{text}");
    assert!(!has("FAILREASON") || answer["STATUS"] == "FAILED", "{text}");
    assert!(answer["ERRMSG"].chars().count() <= 128, "{text}");
    let first = if has("REQUESTSTATUS") { "REQUESTSTATUS" } else { "STATUS" };
    assert!(text.starts_with(&format!("{first}=")), "{text}");
    if let Some(url) = answer.get("REDIRECTURL") {
        assert!(url.len() <= 255 && answer["REDIRECTSECRET"].len() <= 64, "{text}");
    }
    for id in ["TXID", "REFUNDID"].iter().filter_map(|key| answer.get(*key)) {
        let decimal = id.len() <= 19 && id.bytes().all(|byte| byte.is_ascii_digit());
        assert!(decimal && (id == "0" || !id.starts_with('0')), "{text}");
    }
    (keys, answer)
}

/// Sends a body that must be read; strict.
async fn send(demo: &Demo, body: impl Into<reqwest::Body>) -> (Vec<String>, Answer) {
    let (status, text) = demo.post(body).await;
    assert_eq!(status, 200, "{text}");
    strict(&text)
}

/// Makes a call; strict.
async fn call(demo: &Demo, txtype: &str, pairs: &[(&str, &str)]) -> Answer {
    send(demo, body(txtype, pairs)).await.1
}

/// Makes a call; its answer must have these keys, in any order but for the first.
async fn keys(demo: &Demo, txtype: &str, pairs: &[(&str, &str)], wanted: &str) -> Answer {
    let (keys, answer) = send(demo, body(txtype, pairs)).await;
    let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    assert_eq!(keys, wanted.split(' ').collect(), "{txtype}: {answer:?}");
    answer
}

/// The body of a TRANSACTION with changes to the example.
fn transaction(changes: &[(&str, &str)]) -> String {
    let pairs = example(changes);
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    body("TRANSACTION", &pairs)
}

/// A cart of one line, and its amount.
fn one_item(price: &str, quantity: &str) -> String {
    format!(r#"[{{"name":"a","price":{price},"quantity":{quantity}}}]"#)
}

#[tokio::test]
async fn the_published_example_is_pending() {
    let demo = Demo::start().await;
    let (keys, answer) = send(&demo, PUBLISHED).await;
    let wanted = format!("{PENDING} MERCHANTTXID");
    assert_eq!(
        keys.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        wanted.split(' ').collect::<BTreeSet<_>>()
    );
    expect(
        &answer,
        &[
            ("STATUS", "PENDING"),
            ("MERCHANTTXID", "ORDER-20250621-0001"),
            ("FUNDSSTATUS", "WAITING"),
            ("ERRMSG", ""),
            ("CHANNEL", "testchannel"),
            ("TAG", "gopay"),
        ],
    );
    assert!(answer["REDIRECTURL"].starts_with(&format!("{}/ti/gopay?tx=", demo.adapter)));
    let upstream = demo.upstream(&answer["TXID"]).await;
    assert_eq!(upstream["gross_amount"], 10_000);
}

#[tokio::test]
async fn each_outcome_has_its_keys_and_no_others() {
    let demo = Demo::start().await;
    let pairs = example(&[]);
    let pairs: Vec<(&str, &str)> =
        pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let opened = keys(&demo, "TRANSACTION", &pairs, PENDING).await;
    let txid = opened["TXID"].as_str();
    let with_request = |keys: &str| format!("REQUESTSTATUS {keys}");

    let seen = keys(&demo, "GETTXSTATUS", &[("txid", txid)], &with_request(PENDING)).await;
    expect(&seen, &[("REQUESTSTATUS", "SUCCEEDED"), ("STATUS", "PENDING"), ("TXID", txid)]);
    assert_eq!(seen["REDIRECTURL"], opened["REDIRECTURL"]);
    assert_eq!(seen["REDIRECTSECRET"], opened["REDIRECTSECRET"]);

    let early = [("txid", txid), ("currency", "IDR"), ("amount", "100")];
    let early = keys(&demo, "REFUND", &early, REFUND_FAILED).await;
    expect(&early, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
    assert_ne!(early["REFUNDID"], "0", "the payment was found, so the refusal is recorded");

    demo.wallet(txid, "pay", json!({})).await;
    demo.until_status(txid, "SUCCEEDED").await;
    let paid = keys(&demo, "GETTXSTATUS", &[("txid", txid)], &with_request(SUCCEEDED)).await;
    expect(&paid, &[("STATUS", "SUCCEEDED"), ("ERRMSG", "")]);

    let refund = [("txid", txid), ("currency", "IDR"), ("amount", "100000")];
    let refund = keys(&demo, "REFUND", &refund, REFUND_SUCCEEDED).await;
    expect(&refund, &[("STATUS", "SUCCEEDED"), ("ERRMSG", "")]);
    let wanted = with_request(REFUND_SUCCEEDED);
    let id = [("refundid", refund["REFUNDID"].as_str())];
    keys(&demo, "GETREFUNDSTATUS", &id, &wanted).await;
    let wanted = with_request(REFUND_FAILED);
    let id = [("refundid", early["REFUNDID"].as_str())];
    keys(&demo, "GETREFUNDSTATUS", &id, &wanted).await;

    let late = keys(
        &demo,
        "CANCELTX",
        &[("txid", txid)],
        &format!("REQUESTSTATUS REQUESTFAILREASON {SUCCEEDED}"),
    )
    .await;
    expect(
        &late,
        &[
            ("REQUESTFAILREASON", "UNKNOWN"),
            ("STATUS", "SUCCEEDED"),
            ("TXID", txid),
            ("ERRMSG", "Transaction is not pending"),
        ],
    );

    let other = demo.pending().await;
    let cancelled = keys(&demo, "CANCELTX", &[("txid", &other)], &with_request(FAILED)).await;
    expect(
        &cancelled,
        &[("REQUESTSTATUS", "SUCCEEDED"), ("STATUS", "FAILED"), ("FAILREASON", "CANCELED")],
    );
    assert_eq!(cancelled["FUNDSSTATUS"], "NOT_EXPECTED");

    let data = keys(&demo, "REQUESTDATA", &[], "REQUESTSTATUS REQUESTFAILREASON ERRMSG").await;
    expect(&data, &[("REQUESTFAILREASON", "UNKNOWN"), ("ERRMSG", "No data available")]);
}

#[tokio::test]
async fn calls_about_nothing_fail_as_calls() {
    let demo = Demo::start().await;
    let txid = demo.pending().await;
    let plus = format!("+{txid}");
    let long = "9".repeat(100_000);
    let unknown = ["1", "0", "abc", "-1", "99999999999999999999", &plus, &long, "\u{ff11}"];
    for id in unknown {
        for txtype in ["GETTXSTATUS", "CANCELTX"] {
            let answer = keys(&demo, txtype, &[("txid", id)], STATUS_FAILED).await;
            expect(
                &answer,
                &[
                    ("REQUESTFAILREASON", "TX_NOT_FOUND"),
                    ("STATUS", "FAILED"),
                    ("TXID", "0"),
                    ("ERRMSG", "Transaction not found"),
                ],
            );
        }
        let answer =
            keys(&demo, "GETREFUNDSTATUS", &[("refundid", id)], REFUND_STATUS_FAILED).await;
        expect(
            &answer,
            &[
                ("REQUESTFAILREASON", "REFUND_NOT_FOUND"),
                ("REFUNDID", "0"),
                ("ERRMSG", "Refund not found"),
            ],
        );
        let refund = [("txid", id), ("currency", "IDR"), ("amount", "100")];
        let refund = [&refund[..], &[("merchantrefundid", "MS123R")]].concat();
        let wanted = format!("{REFUND_FAILED} MERCHANTREFUNDID");
        let answer = keys(&demo, "REFUND", &refund, &wanted).await;
        expect(
            &answer,
            &[
                ("STATUS", "FAILED"),
                ("REFUNDID", "0"),
                ("MERCHANTREFUNDID", "MS123R"),
                ("ERRMSG", "Transaction not found"),
                ("FAILREASON", "INPUT_DATA"),
            ],
        );
    }
    for (txtype, parameter) in [
        ("GETTXSTATUS", "txid"),
        ("CANCELTX", "txid"),
        ("GETTXSTATUSBYMERCHANTTXID", "merchanttxid"),
        ("GETREFUNDSTATUS", "refundid"),
        ("GETREFUNDBYMERCHANTREFUNDID", "merchantrefundid"),
        ("GETREFUNDSTATUSBYMERCHANTREFUNDID", "merchantrefundid"),
    ] {
        let refund = parameter.contains("refund");
        let wanted = if refund { REFUND_STATUS_FAILED } else { STATUS_FAILED };
        for pairs in [&[][..], &[(parameter, "")], &[(parameter, "1"), (parameter, "2")]] {
            let answer = keys(&demo, txtype, pairs, wanted).await;
            assert_eq!(answer["REQUESTFAILREASON"], "UNKNOWN", "{answer:?}");
            assert!(answer["ERRMSG"].starts_with(&format!("{parameter}: ")), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_envelope_is_checked_before_anything_else() {
    let demo = Demo::start().await;
    let shapes = [
        ("TRANSACTION", SEVERE, "INPUT_DATA", "INPUT_DATA"),
        ("REFUND", REFUND_FAILED, "INPUT_DATA", "INPUT_DATA"),
        ("GETTXSTATUS", STATUS_FAILED, "UNKNOWN", "AUTH_ERROR"),
        ("GETTXSTATUSBYMERCHANTTXID", STATUS_FAILED, "UNKNOWN", "AUTH_ERROR"),
        ("CANCELTX", STATUS_FAILED, "UNKNOWN", "AUTH_ERROR"),
        ("GETREFUNDSTATUS", REFUND_STATUS_FAILED, "UNKNOWN", "AUTH_ERROR"),
        ("GETREFUNDBYMERCHANTREFUNDID", REFUND_STATUS_FAILED, "UNKNOWN", "AUTH_ERROR"),
        ("REQUESTDATA", "REQUESTSTATUS REQUESTFAILREASON ERRMSG", "UNKNOWN", "AUTH_ERROR"),
    ];
    for (txtype, wanted, request, credentials) in shapes {
        let good = body(txtype, &[("txid", "1"), ("refundid", "1")]);
        for (from, to, reason, message) in [
            ("urlencodeext", "urlencode", request, "Invalid returnmode, must be urlencodeext"),
            ("urlencodeext", "URLENCODEEXT", request, "Invalid returnmode, must be urlencodeext"),
            ("urlencodeext", "", request, "Invalid returnmode, must be urlencodeext"),
            ("returnmode=", "mode=", request, "Invalid returnmode, must be urlencodeext"),
            ("test123", "Test123", credentials, "Authentication failed"),
            ("testclient", "TESTCLIENT", credentials, "Authentication failed"),
            ("TESTCONTRACT", "testcontract", credentials, "Authentication failed"),
            ("login=testclient", "login=", credentials, "login: missing; send it with a value"),
            ("password=test123", "x=y", credentials, "password: missing; send it with a value"),
            ("contractid=", "contract=", credentials, "contractid: missing; send it with a value"),
        ] {
            let (keys, answer) = send(&demo, good.replacen(from, to, 1)).await;
            let keys: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
            assert_eq!(keys, wanted.split(' ').collect(), "{txtype}, {to}: {answer:?}");
            assert_eq!(answer["ERRMSG"], message, "{txtype}, {to}");
            let key =
                if keys.contains("REQUESTSTATUS") { "REQUESTFAILREASON" } else { "FAILREASON" };
            assert_eq!(answer[key], reason, "{txtype}, {to}");
            for id in ["TXID", "REFUNDID"].iter().filter_map(|key| answer.get(*key)) {
                assert_eq!(id, "0", "{txtype}, {to}");
            }
        }
    }
    let wrong = ["FOO", "", "transaction", "GETXSTATUS", "TRANSACTION ", "REFUND\n"];
    for txtype in wrong {
        let answer = keys(&demo, txtype, &[("txid", "1")], SEVERE).await;
        expect(
            &answer,
            &[("TXID", "0"), ("FAILREASON", "INPUT_DATA"), ("ERRMSG", "Invalid txtype")],
        );
    }
    // Several faults: the first of the order counts, whatever comes first in the body.
    for (body, message) in [
        ("txtype=FOO&password=x", "Invalid returnmode, must be urlencodeext"),
        ("txtype=FOO&password=x&returnmode=urlencodeext", "Invalid txtype"),
        (
            "password=x&txtype=REFUND&returnmode=urlencodeext",
            "login: missing; send it with a value",
        ),
        ("amount=x", "Invalid returnmode, must be urlencodeext"),
        ("", "Invalid returnmode, must be urlencodeext"),
    ] {
        assert_eq!(send(&demo, body).await.1["ERRMSG"], message, "{body}");
    }
}

#[tokio::test]
async fn a_nonce_makes_a_call_repeatable() {
    let demo = Demo::start().await;
    let first = demo.post(transaction(&[("nonce", "n-1")])).await;
    assert_eq!(demo.post(transaction(&[("nonce", "n-1")])).await, first, "byte for byte");
    let other = demo.transaction(&[("nonce", "n-1"), ("accountholdername", "Budi")]).await;
    expect(&other, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
    assert!(other["ERRMSG"].starts_with("nonce: "), "{other:?}");
    let fresh = demo.transaction(&[("nonce", "N-1")]).await;
    assert_eq!(fresh["STATUS"], "PENDING");
    assert_ne!(fresh["TXID"], decode(&first.1)["TXID"]);
    assert_eq!(demo.all_upstream().await.len(), 2);
}
