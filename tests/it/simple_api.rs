//! PPRO's Simple API on the wire, through the built program: each call, the form of each answer,
//! what is refused and how it is told, and bodies that no sane client would send.
use std::collections::BTreeSet;

use crate::support::leaks::{PERSONAL, assert_without, pieces};
use crate::support::logged::Logged;
use crate::support::wire::expect;
use crate::support::{Answer, Demo, body, decode, encode, example};
use serde_json::{Value, json};

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
async fn a_line_break_behind_the_body_changes_nothing() {
    let demo = Demo::start().await;
    for end in ["\n", "\r\n"] {
        let (status, text) = demo.post(format!("{PUBLISHED}{end}")).await;
        assert_eq!((status, decode(&text)["STATUS"].as_str()), (200, "PENDING"), "{text}");
    }
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

/// The parameter, its value (`-`: not sent), and the parameter that the refusal must name if that
/// is another one.
const REFUSED: [(&str, &str, &str); 110] = [
    ("channel", "-", ""),
    ("channel", "", ""),
    ("channel", "Testchannel", ""),
    ("channel", "livechannel", ""),
    ("channel", "testchannel\0", ""),
    ("tag", "-", ""),
    ("tag", "GOPAY", ""),
    ("tag", "dumbdummy", ""),
    ("countrycode", "-", ""),
    ("countrycode", "id", ""),
    ("countrycode", "SG", ""),
    ("countrycode", "IDN", ""),
    ("currency", "-", ""),
    ("currency", "idr", ""),
    ("currency", "USD", ""),
    ("amount", "-", ""),
    ("amount", "", ""),
    ("amount", "0", ""),
    ("amount", "1", ""),
    ("amount", "99", ""),
    ("amount", "1000050", ""),
    ("amount", "01000000", ""),
    ("amount", "+1000000", ""),
    ("amount", "-1000000", ""),
    ("amount", "1e6", ""),
    ("amount", "1000000.00", ""),
    ("amount", " 1000000", ""),
    ("amount", "1000000\n", ""),
    ("amount", "\u{ff11}00", ""),
    ("amount", "2147483648", ""),
    ("amount", "18446744073709551616", ""),
    ("amount", "10000", ""),
    ("amount", "1000100", "transientin.orderitems"),
    ("amount", "100000000", "transientin.orderitems"),
    ("merchanttxid", "", ""),
    ("merchanttxid", "a b", ""),
    ("merchanttxid", "a/b", ""),
    ("merchanttxid", "a:b", ""),
    ("merchanttxid", "\u{e9}", ""),
    ("merchanttxid", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""),
    ("merchantredirecturl", "", ""),
    ("merchantredirecturl", "shop.example", ""),
    ("merchantredirecturl", "//shop.example/", ""),
    ("merchantredirecturl", "javascript:alert(1)", ""),
    ("merchantredirecturl", "ftp://shop.example/", ""),
    ("merchantredirecturl", "https://u:p@shop.example/", ""),
    ("merchantredirecturl", "https://shop.example/a b", ""),
    ("merchantredirecturl", "https://shop.example:65536/", ""),
    ("merchantredirecturl", "https://shop.example/\r\nx: y", ""),
    ("accountholdername", "-", ""),
    ("accountholdername", "Li", ""),
    ("accountholdername", "Siti\nRahma", ""),
    ("accountholdername", "   ", ""),
    ("accountholdername", "\u{a0}\u{200b}\u{3000}", ""),
    ("specin.billingaddrfirstname", " ", ""),
    ("tag", "dumbdummy", ""),
    ("notificationurl", "psp", ""),
    ("notificationurl", "file:///etc/passwd", ""),
    ("notificationurl", "http://10.0.0.1/notify", ""),
    ("notificationurl", "http://[fd00::1]/notify", ""),
    ("notificationurl", "http://169.254.169.254/latest/meta-data", ""),
    ("sellingpoint", "123456789012345678901234567890123456789012345678901", ""),
    ("soldservice", "a\nb", ""),
    ("nonce", "", ""),
    ("nonce", "\u{e9}", ""),
    ("specin.deeplinkcallbackurl", "", ""),
    ("specin.deeplinkcallbackurl", "paid", ""),
    ("specin.deeplinkcallbackurl", "javascript://x/%0aalert(1)", ""),
    ("specin.deeplinkcallbackurl", "vbscript://x", ""),
    ("specin.deeplinkcallbackurl", "about://blank", ""),
    ("specin.deeplinkcallbackurl", "shopapp://paid?result=x", ""),
    ("specin.deeplinkcallbackurl", "https://shop.example/?a=1", ""),
    ("specin.deeplinkcallbackurl", "intent://scan/#Intent;end", ""),
    ("specin.deeplinkcallbackurl", "tel:+628123", ""),
    ("merchantredirecturl", "market://details", ""),
    ("merchantredirecturl", "https://shop.example/?txid=1", ""),
    ("merchantredirecturl", "https://shop.example/?a=1&cs=2", ""),
    ("specin.email", "", ""),
    ("specin.email", "siti", ""),
    ("specin.email", "siti@", ""),
    ("specin.email", "si ti@example.org", ""),
    ("specin.email", "Siti <siti@example.org>", ""),
    ("specin.email", "siti@example.org\r\nBcc: x@example.org", ""),
    ("specin.phone", "", ""),
    ("specin.phone", "08123456789", ""),
    ("specin.phone", "628123456789", ""),
    ("specin.phone", " 628123456789", ""),
    ("specin.phone", "+62", ""),
    ("specin.phone", "+62 812 ext", ""),
    ("specin.billingaddrline1", "Jl. Sudirman\n1", ""),
    ("specin.billingaddrpostalcde", "12190/1", ""),
    ("specin.billingcntrycde", "", ""),
    ("specin.billingcntrycde", "id", ""),
    ("specin.billingcntrycde", "XX", ""),
    ("specin.shippingcntrycde", "Indonesia", ""),
    ("specin.shippingaddrpostalcde", "a_b", ""),
    ("transientin.orderitems", "-", ""),
    ("transientin.orderitems", "", ""),
    ("transientin.orderitems", "x", ""),
    ("transientin.orderitems", "{}", ""),
    ("transientin.orderitems", "[]", ""),
    ("transientin.orderitems", "[1]", "transientin.orderitems[0]"),
    ("transientin.orderitems", "[{}]", "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"name":""}]"#, "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"name":" "}]"#, "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"name":1}]"#, "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"price":2000}]"#, "transientin.orderitems[0].price"),
    ("transientin.orderitems", r#"[{"price":"2000"}]"#, "transientin.orderitems[0].price"),
    ("transientin.orderitems", r#"[{"price":"1.50"}]"#, "transientin.orderitems[0].price"),
    ("transientin.orderitems", r#"[{"quantity":"2"}]"#, "transientin.orderitems[0].quantity"),
];

#[tokio::test]
async fn a_body_that_is_no_form_is_told_what_it_is() {
    let demo = Demo::start().await;
    for (query, body, message) in [
        ("", PUBLISHED.replace('&', "&amp;"), "body: pairs are joined by &amp;"),
        ("", r#"{"txtype":"TRANSACTION"}"#.to_owned(), "body: JSON instead of a form"),
        (
            "",
            "--x\r\nContent-Disposition: form-data; name=\"txtype\"\r\n\r\nTRANSACTION\r\n--x--"
                .to_owned(),
            "body: multipart instead of a form",
        ),
        (PUBLISHED, String::new(), "body: parameters are in the query of the address"),
        (
            "login=testclient",
            PUBLISHED.replace("login=testclient&", ""),
            "body: parameters are in the query of the address",
        ),
        ("", String::new(), "Invalid returnmode, must be urlencodeext"),
    ] {
        let url = format!("{}/?{query}", demo.adapter);
        let reply = demo.http.post(url).body(body.clone()).send().await.expect("an answer");
        assert_eq!(reply.status(), 200);
        let text = reply.text().await.expect("text");
        let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
        let answer: std::collections::BTreeMap<String, String> = pairs.collect();
        assert!(answer["ERRMSG"].starts_with(message), "{body}: {answer:?}");
        assert_eq!((answer["STATUS"].as_str(), answer["TXID"].as_str()), ("FAILED", "0"));
    }
    let url = format!("{}/?source=cron", demo.adapter);
    let reply = demo.http.post(url).body(PUBLISHED).send().await.expect("an answer");
    assert!(
        reply.text().await.expect("text").contains("STATUS=PENDING"),
        "any other query is fine"
    );
}

#[tokio::test]
async fn refusals_name_the_parameter_and_are_recorded() {
    let demo = Demo::start().await;
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, value, named) in REFUSED {
        let (_, answer) = send(&demo, transaction(&[(name, value)])).await;
        let subject = if named.is_empty() { name } else { named };
        let shown = (&answer["STATUS"], answer.get("FAILREASON"), &answer["ERRMSG"]);
        let good = answer["STATUS"] == "FAILED"
            && answer["FAILREASON"] == "INPUT_DATA"
            && answer["FUNDSSTATUS"] == "NOT_EXPECTED"
            && answer["ERRMSG"].strip_prefix(subject).is_some_and(|rest| rest.starts_with(": "));
        if !good {
            wrong.push(format!("{name}={value:?}: {shown:?}"));
            continue;
        }
        // Long or telling values do not come back.
        let echoed = value.len() > 12 && answer["ERRMSG"].contains(value);
        assert!(!echoed, "{name}={value:?}: {shown:?}");
        assert!(ids.insert(answer["TXID"].clone()) && answer["TXID"] != "0", "{answer:?}");
        let mut kept = demo.status(&answer["TXID"]).await;
        assert_eq!(kept.remove("REQUESTSTATUS").as_deref(), Some("SUCCEEDED"), "{name}={value:?}");
        kept.retain(|key, _| !key.starts_with("RAND"));
        assert_eq!(kept, answer, "{name}={value:?}");
    }
    assert!(wrong.is_empty(), "not refused as they should be:\n{}", wrong.join("\n"));
    assert_eq!(demo.all_upstream().await.len(), 0, "none of them reached GoPay");
}

#[tokio::test]
async fn values_at_the_edge_pass() {
    let demo = Demo::start().await;
    let long_name = "\u{1f600}".repeat(100);
    let long_url = format!("https://h.example/{}", "a".repeat(237));
    let line = "x".repeat(255);
    for (name, value) in [
        ("merchanttxid", "a.,-_0123456789012345678901234567890123Z"),
        ("accountholdername", "Ani"),
        ("accountholdername", long_name.as_str()),
        ("merchantredirecturl", long_url.as_str()),
        ("sellingpoint", ""),
        ("preferredlanguage", "klingon"),
        ("nonce", "~ !"),
        ("specin.deeplinkcallbackurl", "shopapp://paid"),
        ("specin.email", "o'neil+x@example.co.id"),
        ("specin.phone", "+62 (21) 555-0100"),
        ("specin.billingaddrline1", line.as_str()),
        ("specin.billingaddrcity", ""),
        ("specin.billingaddrpostalcde", "12190-1 A"),
        ("specin.billingcntrycde", "TL"),
        ("specin.shippingcntrycde", ""),
        ("specin.dynamicdescriptor", "\u{7}"),
        ("specin.unheard.of", "x"),
        ("specin.", "x"),
        ("transientin.other", "x"),
        ("Amount", "not ours"),
        ("", "no name"),
    ] {
        let (_, answer) = send(&demo, transaction(&[(name, value)])).await;
        assert_eq!(answer["STATUS"], "PENDING", "{name}={value:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_wallet_limits_are_exact() {
    let demo = Demo::start().await;
    for (rupiah, status, message) in [
        (1_u64, "PENDING", ""),
        (20_000_000, "PENDING", ""),
        (20_000_001, "FAILED", "amount: above the limit; at most 2000000000 (IDR 20,000,000)"),
        (99_999_999, "FAILED", "amount: above the limit; at most 2000000000 (IDR 20,000,000)"),
    ] {
        let cart = one_item(&format!("\"{rupiah}.00\""), "1");
        let amount = (rupiah * 100).to_string();
        let changes = [("amount", amount.as_str()), ("transientin.orderitems", &cart)];
        let (_, answer) = send(&demo, transaction(&changes)).await;
        expect(&answer, &[("STATUS", status), ("ERRMSG", message)]);
    }
}

/// The guide promises 2,000 characters. What GoPay's deeplink makes of them is not the PSP's
/// business: the charge exists, so the answer must not be that it does not.
#[tokio::test]
async fn a_callback_address_of_the_promised_length_works() {
    let demo = Demo::start().await;
    for filler in ["a", "/", "\u{e9}"] {
        let url = format!("shopapp://paid/{}", filler.repeat(1_900));
        let (_, answer) = send(&demo, transaction(&[("specin.deeplinkcallbackurl", &url)])).await;
        assert_eq!(answer["STATUS"], "PENDING", "1,900 of {filler:?}: {answer:?}");
    }
}

#[tokio::test]
async fn carts_at_the_edge() {
    let demo = Demo::start().await;
    let item = r#"{"name":"kopi susu","price":"1.00","quantity":1}"#;
    let thousand = format!("[{}]", vec![item; 1_000].join(","));
    let more = format!("[{}]", vec![item; 1_001].join(","));
    let discount = |quantity: &str| {
        format!(
            r#"[{{"name":"a","price":"9999999999999.00","quantity":{quantity}}},{{"name":"b","price":"-9999999999998.00","quantity":1}}]"#
        )
    };
    let extra =
        |value: &str| format!(r#"[{{"name":"a","price":"1.00","quantity":1,"more":{value}}}]"#);
    let nested = |depth: usize| extra(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let huge = "9".repeat(50_000);
    let item_price = "transientin.orderitems[0].price";
    let item_quantity = "transientin.orderitems[0].quantity";
    let cart = "transientin.orderitems";
    for (value, amount, subject) in [
        (thousand.clone(), "100000", ""),
        (more, "100100", cart),
        (discount("1"), "100", ""),
        (discount("999999999"), "100", "transientin.orderitems[0]"),
        (extra("1e999999"), "100", ""),
        (extra(&huge), "100", ""),
        (nested(30), "100", ""),
        (nested(1_000), "100", cart),
        ("[".repeat(30_000), "100", cart),
        (r#"{"a":"#.repeat(10_000), "100", cart),
        (one_item(&format!("\"{huge}.00\""), "1"), "100", item_price),
        (one_item("\"1.00\"", &huge), "100", item_quantity),
        (one_item("\"1.00\"", "1000000000"), "100", item_quantity),
        (one_item("\"1.00\"", "1e0"), "100", item_quantity),
        (one_item("\"1.00\"", "1.0"), "100", item_quantity),
        (one_item("\"1.00\"", "0"), "100", item_quantity),
        (one_item("\"1.00\"", "-1"), "100", item_quantity),
        (one_item("\"1.00\"", "999999999"), "100", cart),
        (one_item("\"-1.00\"", "1"), "100", cart),
        (one_item("1", "1"), "100", item_price),
        (one_item("\"01.00\"", "1"), "100", item_price),
        (one_item("\"1,00\"", "1"), "100", item_price),
        (one_item("\"1.000,00\"", "1"), "100", item_price),
        (format!("{} ", one_item("\"1.00\"", "1")), "100", ""),
        (format!("{}x", one_item("\"1.00\"", "1")), "100", cart),
        (format!("\u{feff}{}", one_item("\"1.00\"", "1")), "100", cart),
        (r#"[{"n\u0061me":"a","price":"1.00","quantity":1}]"#.to_owned(), "100", ""),
        (r#"[{"name":"\ud83d\ude00","price":"1.00","quantity":1}]"#.to_owned(), "100", ""),
        (r#"[{"name":"\ud83d","price":"1.00","quantity":1}]"#.to_owned(), "100", cart),
        (r#"[{"name":"a","price":"1.00","quantity":1},]"#.to_owned(), "100", cart),
    ] {
        let changes = [("amount", amount), ("transientin.orderitems", &value)];
        let (_, answer) = send(&demo, transaction(&changes)).await;
        let value: String = value.chars().take(80).collect();
        if subject.is_empty() {
            assert_eq!(answer["STATUS"], "PENDING", "{value}: {answer:?}");
        } else {
            let named = answer["ERRMSG"].starts_with(&format!("{subject}: "));
            assert!(named && answer["TXID"] != "0", "{value}: {answer:?}");
        }
    }
    // A cart that Midtrans would not take is folded, to the same sum.
    let changes = [("amount", "100000"), ("transientin.orderitems", thousand.as_str())];
    let (_, answer) = send(&demo, transaction(&changes)).await;
    assert_eq!(demo.upstream(&answer["TXID"]).await["gross_amount"], 1_000);
}

#[tokio::test]
async fn look_ups_by_reference_ignore_case_and_refuse_to_guess() {
    let demo = Demo::start().await;
    let by_reference = async |reference: &str| {
        call(&demo, "GETTXSTATUSBYMERCHANTTXID", &[("merchanttxid", reference)]).await
    };
    let first = demo.transaction(&[("merchanttxid", "Order.1,a-_Z")]).await;
    for reference in ["Order.1,a-_Z", "ORDER.1,A-_Z", "order.1,a-_z"] {
        let found = by_reference(reference).await;
        expect(
            &found,
            &[
                ("REQUESTSTATUS", "SUCCEEDED"),
                ("TXID", &first["TXID"]),
                ("MERCHANTTXID", "Order.1,a-_Z"),
            ],
        );
    }
    // Nothing in a reference is a wildcard, and letters that only look or fold alike are others.
    for reference in [
        "%",
        "_____________",
        "Order.1,a-_",
        "Order.1,a-_Z ",
        "Order_1,a-_Z",
        "*",
        "\u{212a}",
        "Order.1,\u{430}-_Z",
        "x'--",
        &"x".repeat(41),
        &"x".repeat(100_000),
    ] {
        let none = by_reference(reference).await;
        expect(
            &none,
            &[
                ("REQUESTSTATUS", "FAILED"),
                ("REQUESTFAILREASON", "TX_NOT_FOUND"),
                ("STATUS", "FAILED"),
                ("TXID", "0"),
            ],
        );
    }
    // A refused call counts, too: it has a TXID of its own.
    let second = demo.transaction(&[("merchanttxid", "ORDER.1,A-_Z"), ("amount", "1")]).await;
    assert_eq!(second["STATUS"], "FAILED");
    let many = by_reference("order.1,a-_z").await;
    expect(
        &many,
        &[
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "TX_NOT_UNIQUE"),
            ("STATUS", "FAILED"),
            ("TXID", "0"),
            ("ERRMSG", "Ambiguous MerchantTxId"),
        ],
    );
}

#[tokio::test]
async fn refunds_are_found_by_both_names_of_the_look_up() {
    let demo = Demo::start().await;
    let txid = demo.paid().await;
    let refund = async |reference: &str, sen: &str| {
        let pairs = [
            ("txid", txid.as_str()),
            ("currency", "IDR"),
            ("amount", sen),
            ("merchantrefundid", reference),
        ];
        call(&demo, "REFUND", &pairs).await
    };
    let names = ["GETREFUNDBYMERCHANTREFUNDID", "GETREFUNDSTATUSBYMERCHANTREFUNDID"];
    let one = refund("Ms123R", "100000").await;
    expect(&one, &[("STATUS", "SUCCEEDED"), ("MERCHANTREFUNDID", "Ms123R"), ("ERRMSG", "")]);
    for txtype in names {
        let found = call(&demo, txtype, &[("merchantrefundid", "mS123r")]).await;
        expect(
            &found,
            &[
                ("REQUESTSTATUS", "SUCCEEDED"),
                ("STATUS", "SUCCEEDED"),
                ("REFUNDID", &one["REFUNDID"]),
                ("MERCHANTREFUNDID", "Ms123R"),
            ],
        );
        let none = call(&demo, txtype, &[("merchantrefundid", "other")]).await;
        expect(&none, &[("REQUESTFAILREASON", "REFUND_NOT_FOUND"), ("REFUNDID", "0")]);
    }
    // Neither id is unique by force: the same reference makes a second refund.
    let two = refund("MS123R", "100000").await;
    assert_eq!(two["STATUS"], "SUCCEEDED");
    assert_ne!(two["REFUNDID"], one["REFUNDID"]);
    for txtype in names {
        let many = call(&demo, txtype, &[("merchantrefundid", "MS123R")]).await;
        expect(&many, &[("REQUESTFAILREASON", "REFUND_NOT_UNIQUE"), ("REFUNDID", "0")]);
    }
    // A transaction's id is not a refund's, nor the other way round.
    let crossed = call(&demo, "GETREFUNDSTATUS", &[("refundid", &txid)]).await;
    assert_eq!(crossed["REQUESTFAILREASON"], "REFUND_NOT_FOUND");
    let crossed = call(&demo, "GETTXSTATUS", &[("txid", &one["REFUNDID"])]).await;
    assert_eq!(crossed["REQUESTFAILREASON"], "TX_NOT_FOUND");
}

#[tokio::test]
async fn refund_refusals_name_the_parameter_and_are_recorded() {
    let demo = Demo::start().await;
    let txid = demo.paid().await;
    let good = [("currency", "IDR"), ("amount", "100000"), ("merchantrefundid", "R-1")];
    for (name, value) in [
        ("currency", "-"),
        ("currency", "idr"),
        ("currency", "USD"),
        ("amount", "-"),
        ("amount", ""),
        ("amount", "0"),
        ("amount", "50"),
        ("amount", "-100"),
        ("amount", "1e2"),
        ("amount", "1000100"),
        ("amount", "18446744073709551616"),
        ("merchantrefundid", ""),
        ("merchantrefundid", "a b"),
        ("merchantrefundid", "\u{e9}"),
    ] {
        let mut pairs = vec![("txid", txid.as_str())];
        pairs.extend(good.iter().filter(|(other, _)| *other != name));
        if value != "-" {
            pairs.push((name, value));
        }
        let answer = call(&demo, "REFUND", &pairs).await;
        expect(&answer, &[("STATUS", "FAILED"), ("FAILREASON", "INPUT_DATA")]);
        let named = answer["ERRMSG"].starts_with(&format!("{name}: "));
        assert!(named && answer["REFUNDID"] != "0", "{name}={value:?}: {answer:?}");
        let kept = call(&demo, "GETREFUNDSTATUS", &[("refundid", &answer["REFUNDID"])]).await;
        for key in ["STATUS", "REFUNDID", "ERRMSG", "FAILREASON"] {
            assert_eq!(kept[key], answer[key], "{name}={value:?}");
        }
    }
    assert_eq!(demo.upstream(&txid).await["refunded"], 0, "none of them reached GoPay");
    let all = demo.refund(&txid, 1_000_000).await;
    assert_eq!(all["STATUS"], "SUCCEEDED", "none of them reserved anything: {all:?}");
}

#[tokio::test]
async fn cancelling_takes_only_the_parameters_of_the_transaction() {
    let demo = Demo::start().await;
    let pairs = [("specin.email", "siti@example.org"), ("specin.own", "1")];
    let txid = demo.transaction(&pairs).await["TXID"].clone();
    for (name, value) in [
        ("specin.email", "other@example.org"),
        ("specin.email", ""),
        ("specin.own", "2"),
        ("specin.phone", "+628123456789"),
        ("specin.new", "1"),
    ] {
        let answer = call(&demo, "CANCELTX", &[("txid", &txid), (name, value)]).await;
        assert_eq!(answer["REQUESTSTATUS"], "FAILED", "{name}={value}: {answer:?}");
        assert!(!answer["ERRMSG"].contains("example.org"), "{answer:?}");
        assert_eq!(demo.status(&txid).await["STATUS"], "PENDING", "{name}={value}");
    }
    let same = [&[("txid", txid.as_str())][..], &pairs[..]].concat();
    let answer = call(&demo, "CANCELTX", &same).await;
    expect(&answer, &[("REQUESTSTATUS", "SUCCEEDED"), ("FAILREASON", "CANCELED")]);
    demo.until_upstream(&txid, "cancel").await;
    let again = call(&demo, "CANCELTX", &same).await;
    expect(
        &again,
        &[
            ("REQUESTSTATUS", "FAILED"),
            ("REQUESTFAILREASON", "UNKNOWN"),
            ("STATUS", "FAILED"),
            ("FAILREASON", "CANCELED"),
            ("TXID", &txid),
            ("ERRMSG", "Transaction is not pending"),
        ],
    );
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

#[tokio::test]
async fn transport() {
    let demo = Demo::start().await;
    let root = format!("{}/", demo.adapter);
    for method in ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"] {
        let method: reqwest::Method = method.parse().expect("a method");
        let answer = demo.http.request(method.clone(), &root).send().await.expect("an answer");
        assert_eq!(answer.status(), 405, "{method}");
        assert_eq!(answer.headers()["allow"], "POST", "{method}");
    }
    let answer = demo.http.post(&root).body(PUBLISHED).send().await.expect("an answer");
    assert_eq!(
        answer.headers()["content-type"],
        "application/x-www-form-urlencoded; charset=UTF-8"
    );
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x"] {
        let request = demo.http.post(&root).header("content-type", kind).body(PUBLISHED);
        let text = request.send().await.expect("an answer").text().await.expect("text");
        assert_eq!(strict(&text).1["STATUS"], "PENDING", "{kind}");
    }
    let body = format!("{PUBLISHED}&filler=");
    let exact = format!("{body}{}", "x".repeat(262_144 - body.len()));
    let (status, text) = demo.post(exact.clone()).await;
    assert_eq!((status, strict(&text).1["STATUS"].as_str()), (200, "PENDING"));
    let (status, text) = demo.post(format!("{exact}x")).await;
    assert_eq!(status, 413);
    let (_, answer) = strict(&text);
    expect(&answer, &[("STATUS", "FAILED"), ("TXID", "0"), ("FAILREASON", "INPUT_DATA")]);
    assert!(answer["ERRMSG"].starts_with("body: "), "{answer:?}");
    let again = demo.transaction(&[]).await;
    assert_eq!(again["STATUS"], "PENDING", "the next call is not affected");
}

/// Most clients read an answer only after they have sent all; a connection that is closed before
/// loses it.
#[tokio::test]
async fn a_body_that_is_far_too_long_is_answered_all_the_same() {
    let demo = Demo::start().await;
    let far = "x".repeat(2_000_000);
    for _ in 0..50 {
        let sent = demo.http.post(format!("{}/", demo.adapter)).body(far.clone()).send().await;
        let answer = sent.expect("an answer, not a dropped connection");
        assert_eq!(answer.status(), 413);
        strict(&answer.text().await.expect("text"));
    }
}

#[tokio::test]
async fn odd_encodings_are_read_as_the_guide_says() {
    let demo = Demo::start().await;
    let base = transaction(&[]);
    let name = "accountholdername=Siti%20Rahma";
    assert!(base.contains(name));
    // Other ways to write the same.
    for body in [
        base.replace(name, "accountholdername=Siti+Rahma"),
        base.replace(name, "%61ccountholdername=Siti%20Rahm%61"),
        base.replace(name, "accountholdername=Siti Rahma"),
        base.replace(name, "accountholdername=Sit\u{ed}+Rahma"),
        base.replace(name, "accountholdername=a=b=c"),
        base.replace('&', "&&&"),
        format!("{}{base}", "&".repeat(10_000)),
        format!("{base}&"),
        format!("{base}&unknown"),
        format!("{base}&{}=1", "k".repeat(100_000)),
        format!("{base}&specin.{}=1", "k".repeat(100_000)),
        format!("{base}&unknown={}", "v".repeat(200_000)),
    ] {
        let shown: String = body.chars().take(200).collect();
        assert_eq!(send(&demo, body).await.1["STATUS"], "PENDING", "{shown}");
    }
    // Faults of one parameter: named, recorded.
    let amount = "amount=1000000";
    for (from, to, subject) in [
        (amount, "amount=%", "amount"),
        (amount, "amount=%1", "amount"),
        (amount, "amount=%zz", "amount"),
        (amount, "amount=1000000%00", "amount"),
        (amount, "amount=1000000&amount=1000000", "amount"),
        (amount, "amount=1000000&%61mount=1000000", "amount"),
        (name, "accountholdername=%ff%fe%fd", "accountholdername"),
        (name, "accountholdername=%c0%80abc", "accountholdername"),
        (name, "accountholdername=%ed%a0%80abc", "accountholdername"),
        (name, "accountholdername=abc%00", "accountholdername"),
        (amount, "amount=1000000&foo=1&foo=1", "unknown parameter 2"),
        (amount, "amount=1000000&foo=%", "unknown parameter 1"),
        (amount, "amount=1000000&f%ffo=1", "unknown parameter 1"),
    ] {
        let (_, answer) = send(&demo, base.replace(from, to)).await;
        assert_eq!(answer["FAILREASON"], "INPUT_DATA", "{to}: {answer:?}");
        assert!(answer["ERRMSG"].starts_with(&format!("{subject}: ")), "{to}: {answer:?}");
        let kept = demo.status(&answer["TXID"]).await;
        assert_eq!(kept["ERRMSG"], answer["ERRMSG"], "{to}");
    }
    let latin = base.replace(name, "accountholdername=Sit?+Rahma").into_bytes();
    let latin: Vec<u8> =
        latin.into_iter().map(|byte| if byte == b'?' { 0xed } else { byte }).collect();
    let (_, answer) = send(&demo, latin).await;
    assert!(answer["ERRMSG"].starts_with("accountholdername: not UTF-8"), "{answer:?}");
    // Faults of the envelope: named, and no transaction is made.
    for (from, to, subject) in [
        ("password=test123", "password=test123&password=test123", "password: "),
        ("contractid=TESTCONTRACT", "contractid=%ff", "contractid: "),
        ("login=testclient", "login=testclient%00", "login: "),
        ("returnmode=urlencodeext", "returnmode=%", "returnmode: "),
        ("txtype=TRANSACTION", "txtype=TRANSACTION&txtype=REFUND", "txtype: "),
    ] {
        let (_, answer) = send(&demo, base.replace(from, to)).await;
        assert_eq!(answer["TXID"], "0", "{to}: {answer:?}");
        assert!(answer["ERRMSG"].starts_with(subject), "{to}: {answer:?}");
    }
    // No form at all.
    let bytes: Vec<u8> = (0..=255).collect();
    let utf16: Vec<u8> = base.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let none = ["", "&", "=", "%", "\0", "{\"txtype\":\"TRANSACTION\"}", "&=&=&%&", ";"];
    let none = none.into_iter().map(|text| text.as_bytes().to_vec());
    let equals = "=".repeat(200_000).into_bytes();
    for body in none.chain([bytes, utf16, equals, base.replace('&', ";").into_bytes()]) {
        let (_, answer) = send(&demo, body).await;
        expect(&answer, &[("STATUS", "FAILED"), ("TXID", "0"), ("FAILREASON", "INPUT_DATA")]);
    }
}

#[tokio::test]
async fn the_number_of_parameters_is_bounded() {
    let demo = Demo::start().await;
    let numbered = |start: &str, count: usize| -> String {
        (0..count).map(|number| format!("&{start}{number}=1")).collect()
    };
    let base = transaction(&[]);
    let sent = base.split('&').count();
    for (body, subject) in [
        (format!("{base}{}", numbered("specin.x", 29)), ""),
        (format!("{base}{}", numbered("specin.x", 30)), "body: "),
        (format!("{base}{}", numbered("x", 200 - sent)), ""),
        (format!("{base}{}", numbered("x", 201 - sent)), "body: "),
        (format!("{base}{}", numbered("x", 5_000)), "body: "),
    ] {
        let (_, answer) = send(&demo, body).await;
        if subject.is_empty() {
            assert_eq!(answer["STATUS"], "PENDING", "{answer:?}");
            continue;
        }
        assert!(answer["ERRMSG"].starts_with(subject), "{answer:?}");
        // PPRO: only severe errors, such as failed authentication, have no transaction. Here the
        // credentials stand in front and are right.
        assert_ne!(answer["TXID"], "0", "{answer:?}");
    }
}

#[tokio::test]
async fn what_shoppers_are_called_is_neither_answered_nor_logged() {
    let demo = Logged::start("trace,hyper=info,h2=info");
    let personal = PERSONAL;
    let secrets = ["test123", "examplesharedsecret", "examplenotificationsecret"];
    let mut answers = String::new();
    let opened = demo.post(transaction(&personal)).await;
    assert!(opened.starts_with("STATUS=PENDING"), "{opened}");
    // Each once more with a fault in it: line breaks, no UTF-8, too long, wrong form.
    for (name, value) in personal {
        for bad in [format!("{value}\n"), value.repeat(30), format!("{value}/\0")] {
            answers.push_str(&demo.post(transaction(&[(name, &bad)])).await);
            answers.push('\n');
        }
        let twice = format!("{}&{}", transaction(&personal), encode([(name, value)]));
        answers.push_str(&demo.post(twice).await);
        answers.push('\n');
    }
    let txid = decode(&opened)["TXID"].clone();
    let cancel = [("txid", txid.as_str()), ("specin.email", "else@shopper.example")];
    answers.push_str(&demo.post(body("CANCELTX", &cancel)).await);
    let answered = answers.clone() + &opened;
    let log = demo.end();
    assert!(log.contains(&txid), "the log is that of this run");
    assert!(!log.contains("panicked") && !log.contains("a bug"), "{log}");
    let pieces = || pieces().chain(["else@shopper".to_owned()]);
    assert_without("the log", log.as_bytes(), pieces());
    assert_without("an answer", answered.as_bytes(), pieces());
    assert_without("the log", log.as_bytes(), secrets.map(str::to_owned));
}

#[tokio::test]
async fn a_flood_of_odd_calls_leaves_no_trace_but_its_records() {
    let demo = Demo::start().await;
    let before: Value = demo.totals().await;
    let base = transaction(&[]);
    // Cut a good call at every place: each piece is answered, and none of them is a payment.
    for end in 0..base.len() {
        let piece = base.get(..end).expect("ASCII").to_owned();
        let (_, answer) = send(&demo, piece.clone()).await;
        assert_eq!(answer["STATUS"], "FAILED", "{piece}");
    }
    let after = demo.totals().await;
    assert_eq!(after["succeeded_sen"], before["succeeded_sen"]);
    assert_eq!(demo.all_upstream().await.len(), 0);
}
