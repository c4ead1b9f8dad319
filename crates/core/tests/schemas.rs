//! The JSON Schemas of `schemas/`, held against what we write, what we read, and the samples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::midtrans::{
    ChargeReply, CloseReply, Notification, RefundReply, StatusReply, refund_body,
};
use gopay_core::money::Rupiah;
use gopay_core::ppro::call::record;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::items;
use gopay_core::ppro::reply::encode;
use gopay_core::ppro::transaction::{Terms, check};
use gopay_core::rejection::{All, First, Rejection, Rule, Sink as _, Subject};
use gopay_core::time::Timestamp;
use gopay_core::translate::{ChargeTerms, charge};
use jsonschema::{Registry, Validator};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Every schema, and whether it is closed, because we write what it describes.
const SCHEMAS: [(&str, bool); 10] = [
    ("midtrans-charge-request", true),
    ("midtrans-charge-response", false),
    ("midtrans-status-response", false),
    ("midtrans-refund-request", true),
    ("midtrans-refund-response", false),
    ("midtrans-notification", false),
    ("midtrans-error", false),
    ("order-items", false),
    ("payment-record", true),
    ("translate-line", true),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read_json(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn schema(name: &str) -> Value {
    read_json(&root().join(format!("schemas/{name}.schema.json")))
}

fn fixture(name: &str) -> Value {
    read_json(&root().join(format!("tests/fixtures/midtrans/{name}.json")))
}

fn validator(name: &str) -> Validator {
    static CHARGE: LazyLock<Registry<'static>> = LazyLock::new(|| {
        let charge = schema("midtrans-charge-request");
        let id = charge.get("$id").and_then(Value::as_str).expect("an id").to_owned();
        let registry = Registry::new().add(id, charge).expect("a schema");
        registry.prepare().expect("it refers to nothing else")
    });
    jsonschema::draft202012::options()
        .with_registry(&CHARGE)
        .build(&schema(name))
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[track_caller]
fn assert_valid(validator: &Validator, document: &Value) {
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{document:#}");
}

/// A copy with the value at `pointer` replaced, or added to the object that is there.
fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut copy = document.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer to a member");
    let parent = copy.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}"));
    match parent {
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        Value::Array(list) => {
            let at: usize = name.parse().expect("an index");
            *list.get_mut(at).expect("an element") = value;
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            panic!("{pointer} leads into a scalar")
        }
    }
    copy
}

/// A copy without the member at `pointer`.
fn without(document: &Value, pointer: &str) -> Value {
    let mut copy = document.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer to a member");
    let parent = copy.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object");
    assert!(parent.remove(name).is_some(), "no {pointer}");
    copy
}

/// The document passes, and each mutation of it does not.
#[track_caller]
fn assert_narrow(name: &str, good: &Value, removed: &[&str], changed: &[(&str, Value)]) {
    let validator = validator(name);
    assert_valid(&validator, good);
    for pointer in removed {
        assert!(!validator.is_valid(&without(good, pointer)), "{name} without {pointer}");
    }
    for (pointer, value) in changed {
        let bad = with(good, pointer, value.clone());
        assert!(!validator.is_valid(&bad), "{name} with {value} at {pointer}");
    }
    for other in [Value::Null, json!("x"), json!(1), json!([1]), json!([[]]), json!({"a": 1})] {
        assert!(!validator.is_valid(&other), "{name}: {other}");
    }
}

// The schemas themselves.

#[test]
fn every_schema_is_listed_valid_and_described() {
    let listed: BTreeSet<String> =
        SCHEMAS.iter().map(|(name, _)| format!("{name}.schema.json")).collect();
    let found: BTreeSet<String> = std::fs::read_dir(root().join("schemas"))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        // The admin API, the feed and the trail are the matter of others, who check them.
        .filter(|name| name.ends_with(".schema.json"))
        .filter(|name| !["admin-", "event-", "feed-"].iter().any(|other| name.starts_with(other)))
        .collect();
    assert_eq!(found, listed);
    for (name, closed) in SCHEMAS {
        let schema = schema(name);
        jsonschema::draft202012::meta::validate(&schema)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let text = |member: &str| schema.get(member).and_then(Value::as_str).unwrap_or_default();
        assert_eq!(text("$schema"), "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert!(text("$id").ends_with(&format!("/{name}.schema.json")), "{name}");
        assert!(!text("title").is_empty() && !text("description").is_empty(), "{name}");
        check_objects(name, &schema, closed);
    }
}

/// Every object is closed or open as the schema is, and every member says what it is.
fn check_objects(name: &str, part: &Value, closed: bool) {
    if let Some(members) = part.get("properties").and_then(Value::as_object) {
        // A condition repeats members that are described elsewhere.
        let condition = part.get("type").is_none();
        if !condition {
            let extra = part.get("additionalProperties");
            assert_eq!(extra == Some(&Value::Bool(false)), closed, "{name}: {part}");
        }
        for (member, rule) in members {
            let refers = rule.get("$ref").is_some();
            let described = rule.get("description").is_some();
            assert!(condition || refers || described, "{name}: {member} is not described");
        }
    }
    match part {
        Value::Object(members) => {
            members.values().for_each(|part| check_objects(name, part, closed));
        }
        Value::Array(list) => list.iter().for_each(|part| check_objects(name, part, closed)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

// What we send.

const CHARGE_TERMS: ChargeTerms<'static> = ChargeTerms {
    order_id: match TxId::new(123_887_123) {
        Ok(id) => id,
        Err(_) => unreachable!(),
    },
    order_time: Timestamp::from_micros(1_750_494_860_000_000),
    session: Duration::from_secs(3_600),
    return_url: "https://pay.example/return/gopay/123887123/",
};

type Pairs = Vec<(&'static str, String)>;

fn body(pairs: &Pairs) -> Vec<u8> {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&").into_bytes()
}

/// The charge, or every reason why there is none.
fn translate(body: &[u8], terms: &ChargeTerms<'_>) -> Result<Value, Vec<Rejection>> {
    let mut scratch = Scratch::new();
    let (form, items) = Form::decode(body, &mut scratch);
    let mut all = All::default();
    let order = check(&form, items, Terms::OPEN, &mut all).ok_or(all.0)?;
    let mut out = Vec::new();
    charge(&order, terms, &mut out);
    Ok(serde_json::from_slice(&out).expect("a charge is JSON"))
}

fn example() -> Pairs {
    [
        ("txtype", "TRANSACTION"),
        ("login", "testclient"),
        ("contractid", "TESTCONTRACT"),
        ("channel", "testchannel"),
        ("tag", "gopay"),
        ("countrycode", "ID"),
        ("currency", "IDR"),
        ("amount", "1000000"),
        ("accountholdername", "Siti Rahma"),
        ("specin.email", "siti@example.org"),
        ("specin.phone", "+628123456789"),
        ("specin.billingaddrcity", "Jakarta"),
        ("specin.billingcntrycde", "ID"),
        ("specin.shippingaddrpostalcde", "55281"),
        ("specin.dynamicdescriptor", "Toko Budi"),
        (
            "transientin.orderitems",
            r#"[{"name":"table","price":"2000.00","quantity":2},{"name":"Laptop 2.0","price":"3000.00","quantity":2}]"#,
        ),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .to_vec()
}

fn text(max: usize, min: usize) -> BoxedStrategy<String> {
    let any = proptest::char::any().prop_filter("one line, no U+0000", |char| {
        !matches!(char, '\0' | '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
    });
    let lengths = prop_oneof![4 => min..=min.max(12), 1 => min..=max, 1 => max..=max];
    lengths
        .prop_flat_map(move |length| prop::collection::vec(any.clone(), length))
        .prop_map(readable)
        .boxed()
}

/// The text of these characters, the first of them a letter if no other can be read: names of
/// blanks only are refused.
fn readable(mut chars: Vec<char>) -> String {
    let seen = chars.iter().any(|char| char.is_alphanumeric());
    if let Some(first) = chars.first_mut().filter(|_| !seen) {
        *first = 'a';
    }
    String::from_iter(chars)
}

/// A cart and what it comes to, in rupiah.
fn cart() -> impl Strategy<Value = (String, u64)> {
    let item = (text(80, 1), 0_u64..9_000, 1_u64..=3);
    let few = prop::collection::vec(item.clone(), 0..6);
    let many = prop::collection::vec(item, 300..420);
    (prop_oneof![6 => few, 1 => many], any::<bool>()).prop_map(|(lines, discount)| {
        let mut sum = 5;
        let mut items = vec![r#"{"name":"first","price":"5.00","quantity":1}"#.to_owned()];
        for (name, price, quantity) in lines {
            let name = serde_json::to_string(&name).expect("a string");
            sum += price * quantity;
            items.push(format!(
                r#"{{"name":{name},"price":"{price}.00","quantity":{quantity},"sku":[1]}}"#
            ));
        }
        if discount {
            sum -= 4;
            items.push(r#"{"name":"discount","price":"-2.00","quantity":2}"#.to_owned());
        }
        (format!("[{}]", items.join(",")), sum)
    })
}

/// A good call: what must be there, and any of the rest.
fn call() -> impl Strategy<Value = Pairs> {
    let part = || prop::option::of(prop_oneof![9 => text(255, 0), 1 => Just(String::new())]);
    let of = |values: &'static [&'static str]| {
        prop::option::of(prop::sample::select(values).prop_map(str::to_owned))
    };
    let parts: [(&'static str, BoxedStrategy<Option<String>>); 18] = [
        (
            "specin.deeplinkcallbackurl",
            of(&["shopapp://paid", "https://s.example/caf\u{e9}/\u{1f642}"]).boxed(),
        ),
        (
            "specin.email",
            of(&["siti@example.org", "x@localhost", "budi@b\u{fc}cher.example"]).boxed(),
        ),
        ("specin.phone", of(&["+628123456789", "+62 (21) 555 0100", "+12345"]).boxed()),
        ("specin.billingaddrfirstname", part().boxed()),
        ("specin.billingaddrlastname", part().boxed()),
        ("specin.billingphone", part().boxed()),
        ("specin.billingaddrline1", part().boxed()),
        ("specin.billingaddrcity", part().boxed()),
        ("specin.billingaddrpostalcde", of(&["12190", "12190-1 A", ""]).boxed()),
        ("specin.billingcntrycde", of(&["ID", "SG"]).boxed()),
        ("specin.shippingaddrfirstname", part().boxed()),
        ("specin.shippingaddrlastname", part().boxed()),
        ("specin.shippingphone", part().boxed()),
        ("specin.shippingaddrline1", part().boxed()),
        ("specin.shippingaddrcity", part().boxed()),
        ("specin.shippingaddrpostalcde", of(&["55281", ""]).boxed()),
        ("specin.shippingcntrycde", of(&["ID", "DE", ""]).boxed()),
        ("specin.dynamicdescriptor", part().boxed()),
    ];
    let names = parts.each_ref().map(|(name, _)| *name);
    let values = parts.map(|(_, value)| value).to_vec();
    (text(100, 3), cart(), values).prop_map(move |(holder, (cart, sum), values)| {
        let mut pairs: Pairs = vec![
            ("txtype", "TRANSACTION".to_owned()),
            ("channel", "testchannel".to_owned()),
            ("tag", "gopay".to_owned()),
            ("countrycode", "ID".to_owned()),
            ("currency", "IDR".to_owned()),
            ("amount", (sum * 100).to_string()),
            ("accountholdername", holder),
            ("transientin.orderitems", cart),
            ("own", "1".to_owned()),
            ("specin.own", "2".to_owned()),
        ];
        let sent = names.into_iter().zip(values);
        pairs.extend(sent.filter_map(|(name, value)| Some((name, value?))));
        pairs
    })
}

#[test]
fn generated_calls_become_charges_lines_and_records_that_validate() {
    let charges = validator("midtrans-charge-request");
    let lines = validator("translate-line");
    let records = validator("payment-record");
    let carts = validator("order-items");
    let config = ProptestConfig { cases: 400, ..ProptestConfig::default() };
    let terms = (1..=i64::MAX, 0_i64..4_000_000_000, 20_u64..=3_600);
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&(call(), terms), |(pairs, (id, at, session))| {
        let terms = ChargeTerms {
            order_id: TxId::new(id).expect("a positive number"),
            order_time: Timestamp::from_micros(at * 1_000_000),
            session: Duration::from_secs(session),
            ..CHARGE_TERMS
        };
        let body = body(&pairs);
        let charge = translate(&body, &terms).map_err(|rejections| {
            TestCaseError::fail(format!("a good call is refused: {rejections:?}"))
        })?;
        assert_valid(&charges, &charge);
        assert_valid(&lines, &json!({ "charge": charge }));

        let mut scratch = Scratch::new();
        let (form, _) = Form::decode(&body, &mut scratch);
        let kept: Value = serde_json::from_str(&record(&form)).expect("a record is JSON");
        assert_valid(&records, &kept);
        let cart = form.get(Field::Orderitems).expect("a cart");
        assert_valid(&carts, &serde_json::from_str(cart).expect("a cart is JSON"));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn only_charges_validate_as_charges() {
    let good = translate(&body(&example()), &CHARGE_TERMS).expect("a good call");
    let long = "x".repeat(256);
    let removed = [
        "/payment_type",
        "/transaction_details",
        "/transaction_details/order_id",
        "/transaction_details/gross_amount",
        "/item_details",
        "/item_details/0/price",
        "/item_details/0/quantity",
        "/item_details/0/name",
        "/customer_details",
        "/customer_details/first_name",
        "/gopay",
        "/gopay/enable_callback",
        "/gopay/callback_url",
        "/custom_expiry",
        "/custom_expiry/order_time",
        "/custom_expiry/expiry_duration",
        "/custom_expiry/unit",
    ];
    let changed = [
        ("/payment_type", json!("qris")),
        ("/more", json!(1)),
        ("/metadata", json!({})),
        ("/transaction_details/more", json!(1)),
        ("/transaction_details/order_id", json!(7)),
        ("/transaction_details/order_id", json!("07")),
        ("/transaction_details/order_id", json!("")),
        ("/transaction_details/order_id", json!("12345678901234567890")),
        ("/transaction_details/gross_amount", json!(0)),
        ("/transaction_details/gross_amount", json!(20_000_001)),
        ("/transaction_details/gross_amount", json!(10.5)),
        ("/transaction_details/gross_amount", json!("10000")),
        ("/item_details", json!([])),
        ("/item_details/0/more", json!(1)),
        ("/item_details/0/price", json!("2000")),
        ("/item_details/0/price", json!(0.5)),
        ("/item_details/0/quantity", json!(0)),
        ("/item_details/0/name", json!("")),
        ("/item_details/0/name", json!("\u{1f642}".repeat(51))),
        ("/customer_details/more", json!(1)),
        ("/customer_details/first_name", json!("Li")),
        ("/customer_details/first_name", json!("\u{e9}".repeat(101))),
        ("/customer_details/first_name", json!("a\nbc")),
        ("/customer_details/email", json!("siti")),
        ("/customer_details/email", json!("")),
        ("/customer_details/phone", json!("08123456789")),
        ("/customer_details/billing_address", json!({})),
        ("/customer_details/billing_address/more", json!(1)),
        ("/customer_details/billing_address/city", json!("")),
        ("/customer_details/billing_address/city", json!(long)),
        ("/customer_details/billing_address/country_code", json!("ID")),
        ("/customer_details/shipping_address/postal_code", json!("5/1")),
        ("/gopay/more", json!(1)),
        ("/gopay/enable_callback", json!(false)),
        ("/gopay/callback_url", json!("")),
        ("/gopay/callback_url", json!("javascript:alert(1)")),
        ("/gopay/callback_url", json!(format!("shopapp://{}", "x".repeat(1_991)))),
        ("/custom_expiry/more", json!(1)),
        ("/custom_expiry/order_time", json!("2025-06-21 15:34:20")),
        ("/custom_expiry/expiry_duration", json!(19)),
        ("/custom_expiry/expiry_duration", json!(3_601)),
        ("/custom_expiry/expiry_duration", json!("3600")),
        ("/custom_expiry/unit", json!("minute")),
        ("/custom_field1", json!("")),
        ("/custom_field1", json!(long)),
        ("/custom_field1", json!("a\u{7}")),
    ];
    assert_narrow("midtrans-charge-request", &good, &removed, &changed);
}

proptest! {
    #[test]
    fn refund_requests_validate(
        key in 1..=i64::MAX,
        amount in 1..=Rupiah::MAX,
        reason in prop::option::of(prop_oneof![any::<String>(), "\\PC{250,260}"]),
    ) {
        static SCHEMA: LazyLock<Validator> =
            LazyLock::new(|| validator("midtrans-refund-request"));
        let key = RefundId::new(key).expect("a positive number");
        let amount = Rupiah::new(amount).expect("within the limits");
        let body = refund_body(key, amount, reason.as_deref());
        assert_valid(&SCHEMA, &serde_json::from_slice(&body).expect("a body is JSON"));
    }
}

#[test]
fn only_refund_requests_validate_as_refund_requests() {
    let key = RefundId::new(71).expect("a positive number");
    let amount = Rupiah::new(10_000).expect("within the limits");
    let body = refund_body(key, amount, Some("sorry"));
    let good = serde_json::from_slice(&body).expect("a body is JSON");
    let changed = [
        ("/more", json!(1)),
        ("/refund_key", json!(71)),
        ("/refund_key", json!("0")),
        ("/refund_key", json!("a")),
        ("/amount", json!(0)),
        ("/amount", json!(20_000_001)),
        ("/amount", json!("10000")),
        ("/amount", json!(1.5)),
        ("/reason", json!("")),
        ("/reason", json!("\u{e9}".repeat(256))),
    ];
    assert_narrow("midtrans-refund-request", &good, &["/refund_key", "/amount"], &changed);
}

// What we accept.

/// Samples of each answer, ours beside the documented ones.
fn samples(name: &str) -> Vec<Value> {
    match name {
        "midtrans-charge-response" => vec![
            fixture("charge-created-docs-core-api-e-wallet"),
            fixture("charge-created-mt-alt-doc-core-api-gopay"),
            fixture("charge-created-mt-alt-doc-gopay-qris-pos"),
            json!({
                "status_code": "202", "transaction_id": "A1", "order_id": "7",
                "gross_amount": "125000.00", "transaction_status": "deny",
                "fraud_status": "deny", "channel_response_code": "201",
                "channel_response_message": "insufficient balance"
            }),
        ],
        "midtrans-status-response" => vec![
            fixture("charge-created-docs-core-api-e-wallet"),
            json!({
                "status_code": "200", "transaction_id": "A1", "order_id": "7",
                "gross_amount": "125000.00", "transaction_status": "partial_refund",
                "fraud_status": "accept", "currency": "IDR", "payment_type": "qris",
                "payment_option_type": "GOPAY_WALLET",
                "settlement_time": "2025-02-07 09:41:00", "expiry_time": "2025-02-07 09:56:00",
                "refund_amount": "30000.00",
                "refunds": [
                    {"refund_chargeback_id": 202_502_070_943_231_234_u64,
                     "refund_amount": "10000.00", "created_at": "2025-02-07 09:43:23",
                     "reason": "", "refund_key": "71", "refund_method": "online",
                     "bank_confirmed_at": "2025-02-07 09:43:24"},
                    {"refund_amount": 20_000}
                ]
            }),
            json!({
                "status_code": "407", "transaction_id": "A1", "order_id": "7",
                "gross_amount": "125000.00", "transaction_status": "expire"
            }),
            json!({
                "status_code": "200", "transaction_id": "A1", "order_id": "7",
                "gross_amount": "125000.00", "transaction_status": "cancel"
            }),
        ],
        "midtrans-refund-response" => vec![
            json!({
                "status_code": "200", "status_message": "Success", "transaction_id": "A1",
                "order_id": "7", "gross_amount": "125000.00",
                "transaction_status": "partial_refund",
                "refund_chargeback_id": 202_502_070_943_231_234_u64,
                "refund_chargeback_uuid": "u", "refund_amount": "10000.00", "refund_key": "71"
            }),
            json!({
                "status_code": "202", "transaction_status": "settlement", "refund_amount": "0.00"
            }),
        ],
        "midtrans-notification" => {
            vec![fixture("notification-settlement-mt-alt-doc-gopay-qris-pos")]
        }
        "midtrans-error" => vec![
            json!({
                "status_code": "400", "status_message": "invalid", "id": "0d9b",
                "validation_messages": ["gross_amount is not equal to the sum of item_details"]
            }),
            json!({"status_code": "404", "status_message": "Transaction doesn't exist."}),
            json!({"status_code": "402", "channel_response_code": "303"}),
            json!({"status_code": "202"}),
            json!({"status_code": "500"}),
        ],
        other => panic!("no samples of {other}"),
    }
}

/// Whether the reader of such documents takes one.
fn is_read(name: &str, document: &Value) -> bool {
    let body = document.to_string().into_bytes();
    match name {
        "midtrans-charge-response" => matches!(
            ChargeReply::parse(200, &body),
            Ok(ChargeReply::Created(_)
                | ChargeReply::Denied(_)
                | ChargeReply::Unclear
                | ChargeReply::InProgress
                | ChargeReply::Duplicate)
        ),
        "midtrans-status-response" => {
            CloseReply::parse(200, &body).is_ok()
                && matches!(StatusReply::parse(200, &body), Ok(StatusReply::Found(_)))
        }
        "midtrans-refund-response" => matches!(
            RefundReply::parse(200, &body),
            Ok(RefundReply::Accepted(_)
                | RefundReply::Refused(_)
                | RefundReply::Unclear
                | RefundReply::InProgress)
        ),
        "midtrans-notification" => Notification::parse(&body).is_ok(),
        "midtrans-error" => {
            matches!(
                ChargeReply::parse(200, &body),
                Ok(ChargeReply::Refused(_)
                    | ChargeReply::Duplicate
                    | ChargeReply::InProgress
                    | ChargeReply::Unclear)
            ) && StatusReply::parse(200, &body).is_ok()
                && CloseReply::parse(200, &body).is_ok()
                && RefundReply::parse(200, &body).is_ok()
        }
        other => panic!("no reader of {other}"),
    }
}

const ACCEPTED: [&str; 5] = [
    "midtrans-charge-response",
    "midtrans-status-response",
    "midtrans-refund-response",
    "midtrans-notification",
    "midtrans-error",
];

#[test]
fn every_documented_sample_validates_and_is_read() {
    let mut used = 0;
    for name in ACCEPTED {
        let validator = validator(name);
        for sample in samples(name) {
            assert_valid(&validator, &sample);
            assert!(is_read(name, &sample), "{name}: {sample}");
        }
    }
    for entry in std::fs::read_dir(root().join("tests/fixtures/midtrans")).expect("the folder") {
        let path = entry.expect("an entry").path();
        let file = path.file_stem().expect("a name").to_string_lossy().into_owned();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let name = match file.split_once('-').expect("a kind").0 {
            "charge" => "midtrans-charge-response",
            "notification" => "midtrans-notification",
            "status" | "cancel" | "expire" => "midtrans-status-response",
            "refund" => "midtrans-refund-response",
            "error" => "midtrans-error",
            other => panic!("no schema for samples of {other}"),
        };
        assert_valid(&validator(name), &read_json(&path));
        used += 1;
    }
    assert!(used >= 4, "{used} samples");
}

/// Each member of each sample is left out, emptied, and given each other type. What then still
/// validates, the readers must take: the schema may not promise more than we can read.
#[test]
fn what_the_schemas_allow_our_readers_accept() {
    for name in ACCEPTED {
        let validator = validator(name);
        let (mut allowed, mut refused) = (0, 0);
        let mut check = |document: &Value| {
            if validator.is_valid(document) {
                allowed += 1;
                assert!(is_read(name, document), "{name} allows what nobody reads: {document}");
            } else {
                refused += 1;
            }
        };
        for sample in samples(name) {
            check(&with(&sample, "/never_heard_of", json!({"a": [null]})));
            let members: Vec<String> =
                sample.as_object().expect("an object").keys().cloned().collect();
            for member in members {
                let pointer = format!("/{member}");
                check(&without(&sample, &pointer));
                for value in [
                    json!(null),
                    json!(true),
                    json!(0),
                    json!(202),
                    json!(-1),
                    json!(1.5),
                    json!(1e300),
                    json!(""),
                    json!("x"),
                    json!("200"),
                    json!("0.00"),
                    json!("1_000.00"),
                    json!("20000000.00"),
                    json!("20000001.00"),
                    json!("2025-06-21 15:34:20"),
                    json!([]),
                    json!([{}]),
                    json!({}),
                ] {
                    check(&with(&sample, &pointer, value));
                }
            }
        }
        assert!(allowed >= 20 && refused >= 20, "{name}: {allowed} allowed, {refused} refused");
    }
}

#[test]
fn other_documents_are_no_answers() {
    let sample = |name: &str| samples(name).into_iter().nth(1).expect("a second sample");
    let base = ["/status_code", "/transaction_id", "/order_id", "/gross_amount"];
    let payment = [base.as_slice(), &["/transaction_status"]].concat();
    let bad_payment = [
        ("/status_code", json!("404")),
        ("/status_code", json!("20")),
        ("/status_code", json!(null)),
        ("/transaction_id", json!("")),
        ("/transaction_id", json!("../charge")),
        ("/transaction_id", json!("..")),
        ("/transaction_id", json!("a".repeat(65))),
        ("/order_id", json!("")),
        ("/order_id", json!(null)),
        ("/gross_amount", json!("0.00")),
        ("/gross_amount", json!("125000.50")),
        ("/gross_amount", json!("125,000.00")),
        ("/gross_amount", json!("1_000.00")),
        ("/gross_amount", json!("20000001.00")),
        ("/gross_amount", json!(0)),
        ("/transaction_status", json!(1)),
        ("/actions", json!({})),
        ("/actions", json!([1])),
        ("/actions", json!([{"url": 1}])),
        ("/expiry_time", json!(5)),
    ];
    assert_narrow(
        "midtrans-charge-response",
        &sample("midtrans-charge-response"),
        &payment,
        &bad_payment,
    );
    let bad_refunds = [
        ("/refunds", json!({})),
        ("/refunds", json!([1])),
        ("/refunds", json!([{}])),
        ("/refunds/0/refund_amount", json!("ten")),
        ("/refunds/0/refund_amount", json!("1.005")),
        ("/refunds/0/refund_amount", json!("-1.00")),
        ("/refunds/0/refund_amount", json!(null)),
        ("/refund_amount", json!("1e3")),
        ("/transaction_status", json!("")),
    ];
    assert_narrow(
        "midtrans-status-response",
        &sample("midtrans-status-response"),
        &[payment.as_slice(), &["/refunds/0/refund_amount"]].concat(),
        &[bad_payment.as_slice(), &bad_refunds].concat(),
    );
    let accepted = samples("midtrans-refund-response").remove(0);
    assert_narrow(
        "midtrans-refund-response",
        &accepted,
        &["/status_code", "/transaction_status"],
        &[
            ("/status_code", json!("406")),
            ("/transaction_status", json!("settlement")),
            ("/transaction_status", json!(null)),
            ("/refund_amount", json!("ten")),
            ("/refund_key", json!([])),
        ],
    );
    assert_narrow(
        "midtrans-refund-response",
        &sample("midtrans-refund-response"),
        &["/refund_amount"],
        &[("/refund_amount", json!({}))],
    );
    assert_narrow(
        "midtrans-notification",
        &samples("midtrans-notification").remove(0),
        &["/status_code", "/order_id", "/gross_amount", "/signature_key", "/transaction_status"],
        &[
            ("/signature_key", json!("ab")),
            ("/signature_key", json!("A".repeat(128))),
            ("/signature_key", json!(null)),
            ("/status_code", json!("1")),
            ("/status_code", json!(99)),
            ("/gross_amount", json!("")),
            ("/gross_amount", json!(null)),
            ("/order_id", json!("")),
            ("/transaction_id", json!("a/b")),
            ("/transaction_status", json!({})),
            ("/settlement_time", json!(1)),
        ],
    );
    assert_narrow(
        "midtrans-error",
        &samples("midtrans-error").remove(0),
        &["/status_code"],
        &[
            ("/status_code", json!("200")),
            ("/status_code", json!("201")),
            ("/status_code", json!(201)),
            ("/status_code", json!("4000")),
            ("/status_code", json!("abc")),
            ("/validation_messages", json!("invalid")),
            ("/validation_messages", json!([1])),
            ("/status_message", json!({})),
        ],
    );
}

// What a PSP sends, what we keep, what we say.

#[test]
fn only_carts_validate_as_carts_and_the_reader_agrees() {
    let good = json!([
        {"name": "table", "price": "2000.00", "quantity": 2},
        {"name": "discount", "price": "-5.00", "quantity": 1, "sku": [1]}
    ]);
    let validator = validator("order-items");
    let mut documents = vec![
        good.clone(),
        json!([]),
        json!({}),
        json!(null),
        json!("x"),
        json!([1]),
        json!([[]]),
        json!([{}]),
        Value::Array(vec![json!({"name": "a", "price": "1.00", "quantity": 1}); 1_000]),
        Value::Array(vec![json!({"name": "a", "price": "1.00", "quantity": 1}); 1_001]),
    ];
    for member in ["/0/name", "/0/price", "/0/quantity"] {
        documents.push(without(&good, member));
        for value in [
            json!(null),
            json!(""),
            json!("x"),
            json!("a\u{0}"),
            json!("\u{1f642}".repeat(300)),
            json!("1.00"),
            json!("0.00"),
            json!("-0.00"),
            json!("01.00"),
            json!("1"),
            json!("1.50"),
            json!("1.000"),
            json!("+1.00"),
            // Twice that is within the limit of a line, which no schema can express.
            json!("4999999999999.00"),
            json!("10000000000000.00"),
            json!(1),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(999_999_999),
            json!(1_000_000_000),
            json!([]),
            json!({}),
        ] {
            documents.push(with(&good, member, value));
        }
    }
    let (mut valid, mut invalid) = (0, 0);
    for document in documents {
        let text = document.to_string();
        let read = items::read(&text, &mut Vec::new(), &mut First::default()).is_ok();
        assert_eq!(validator.is_valid(&document), read, "{text}");
        if read { valid += 1 } else { invalid += 1 }
    }
    assert!(valid > 10 && invalid > 40, "{valid} valid, {invalid} invalid");
}

fn kept(body: &[u8]) -> Value {
    let mut scratch = Scratch::new();
    let (form, _) = Form::decode(body, &mut scratch);
    serde_json::from_str(&record(&form)).expect("a record is JSON")
}

#[test]
fn only_records_validate_as_records() {
    let mut pairs = example();
    pairs.push(("password", "test123".to_owned()));
    pairs.push(("specin.own", "x".to_owned()));
    let good = kept(&body(&pairs));
    assert_eq!(good.pointer("/specin.own"), Some(&json!("x")));
    let schema = validator("payment-record");
    assert_valid(&schema, &good);
    for (member, value) in [
        ("/password", json!("test123")),
        ("/returnmode", json!("urlencodeext")),
        ("/transientin.orderitems", json!("[]")),
        ("/transientin.other", json!("x")),
        ("/own", json!("x")),
        ("/specin.own", json!(1)),
        ("/specin.own", json!("a\u{0}")),
        ("/amount", json!(1_000_000)),
        ("/login", json!(null)),
        ("/login", json!("a\u{0}")),
    ] {
        assert!(!schema.is_valid(&with(&good, member, value)), "{member}");
    }
    assert!(!schema.is_valid(&json!([])));
}

/// Of a parameter with a fault nothing is kept, known to us or not.
#[test]
fn the_record_of_a_broken_call_holds_nothing_with_a_fault() {
    let schema = validator("payment-record");
    for tail in [
        "specin.email=%ff",
        "specin.email=a&specin.email=b",
        "specin.email=%00",
        "specin.own=%00",
        "specin.own=%zz",
        "specin.own=%ff",
        "specin.%00=x",
        "specin.own=a&specin.own=b",
    ] {
        let body = format!("login=testclient&{tail}");
        let kept = kept(body.as_bytes());
        assert_valid(&schema, &kept);
        assert_eq!(kept, json!({"login": "testclient"}), "{tail}");
    }
}

/// A line that reports refusals, as the `translate` command writes it.
fn refused(rejections: &[Rejection]) -> Value {
    let rejected: Vec<Value> = rejections
        .iter()
        .map(|rejection| {
            json!({
                "field": rejection.subject.to_string(),
                "rule": rejection.code(),
                "got": "(12 characters)",
                "wanted": rejection.wanted(),
                "source": rejection.source(),
            })
        })
        .collect();
    json!({ "rejected": rejected })
}

#[test]
fn refusals_of_damaged_calls_validate() {
    let lines = validator("translate-line");
    let mut codes = BTreeSet::new();
    for (name, _) in example() {
        for value in ["", "x", "\u{e9}", "%", "a\nb", "-1", "[{}]", "[1]", "{}", "[]", "[", "1"] {
            for times in [0, 1, 300] {
                let mut pairs = example();
                pairs.retain(|(other, _)| *other != name);
                pairs.push((name, value.repeat(times)));
                let mut body = body(&pairs);
                if value == "%" {
                    body.extend_from_slice(b"%&foo=%zz&foo=%zz&specin.x=%ff");
                }
                if let Err(rejections) = translate(&body, &CHARGE_TERMS) {
                    assert_valid(&lines, &refused(&rejections));
                    codes.extend(rejections.iter().map(Rejection::code));
                }
            }
        }
    }
    assert!(codes.len() >= 18, "{codes:?}");
}

/// The list of rules in the schema is the list of rules in the code.
#[test]
fn every_rule_has_its_word_in_the_schema() {
    macro_rules! rules {
        ($($name:ident $({ $($member:ident: $value:expr),+ })? $(($text:expr))?),+ $(,)?) => {{
            // Does not compile until every rule is in the list.
            let _ = |rule: Rule| match rule { $(Rule::$name { .. } => {})+ };
            [$(Rule::$name $({ $($member: $value),+ })? $(($text))?),+]
        }};
    }
    #[rustfmt::skip]
    let rules = rules![
        Returnmode, Txtype, Credentials, ContractDisabled, BodyTooLong { max: 1 },
        TooManyParameters { max: 1 }, Repeated, BadEscape, NotUtf8, HasNul, Missing,
        TooLong { max: 1, got: 2 }, TooShort { min: 2, got: 1 }, MustBe("x"),
        ChannelNotInContract("testchannel"), GenericTestTag, Blank, NotAForm("x"), EscapedAmpersands, InQuery, AmountForm, AmountNotPositive, AmountNotWhole, AmountTooLarge,
        AmountNeedsKyc, ReferenceForm, NotAscii, LineBreak, EmailForm, PhoneForm, WebUrlForm,
        AppUrlForm, SystemScheme, PrivateAddress, BlockedPort, PlainReceiver, HttpOnTestOnly, UrlHasQuery, UrlHasReturnParameter, SchemeNotOfContract, CountryForm, PostalCodeForm, TooManySpecin { got: 30 },
        DiffersFromTransaction, NonceReused, JsonForm { at: 0 }, NotAnArray, NoItems,
        TooManyItems { max: 1 }, ItemNotObject, MemberMissing, MemberRepeated, NameType,
        NameEmpty, PriceType, PriceForm, PriceCents, PriceTooLarge, QuantityType,
        QuantityTooSmall, QuantityTooLarge, LineTooLarge, SumDiffers { sum: 1, amount: 2 },
        MixedUnits { sum: 1, amount: 100 },
    ];
    let mut all = All::default();
    let lines = validator("translate-line");
    for rule in rules {
        let rejection = Rejection { subject: Subject::Field(Field::Amount), rule };
        let _ = all.reject(rejection);
        assert_valid(&lines, &refused(&[rejection]));
    }
    let ours: BTreeSet<&str> = all.0.iter().map(Rejection::code).collect();
    let schema = schema("translate-line");
    let words = schema
        .pointer("/oneOf/1/properties/rejected/items/properties/rule/enum")
        .and_then(Value::as_array)
        .expect("the list of rules");
    let theirs: BTreeSet<&str> = words.iter().filter_map(Value::as_str).collect();
    assert_eq!(ours, theirs);
    assert_eq!(words.len(), theirs.len());
}

#[test]
fn only_lines_validate_as_lines() {
    let charge = translate(&body(&example()), &CHARGE_TERMS).expect("a good call");
    let accepted = json!({ "charge": charge });
    assert_narrow(
        "translate-line",
        &accepted,
        &["/charge", "/charge/gopay"],
        &[
            ("/more", json!(1)),
            ("/rejected", json!([])),
            ("/charge/payment_type", json!("qris")),
            ("/charge/more", json!(1)),
        ],
    );
    let mut pairs = example();
    pairs.retain(|(name, _)| *name != "accountholdername");
    pairs.push(("accountholdername", "Li".to_owned()));
    let rejections = translate(&body(&pairs), &CHARGE_TERMS).expect_err("a short name");
    let line = refused(&rejections);
    let members =
        ["field", "rule", "got", "wanted", "source"].map(|member| format!("/rejected/0/{member}"));
    let mut removed: Vec<&str> = members.iter().map(String::as_str).collect();
    removed.push("/rejected");
    assert_narrow(
        "translate-line",
        &line,
        &removed,
        &[
            ("/more", json!(1)),
            ("/charge", json!({})),
            ("/rejected", json!([])),
            ("/rejected/0/more", json!(1)),
            ("/rejected/0/field", json!("")),
            ("/rejected/0/field", json!("Amount!")),
            ("/rejected/0/field", json!("transientin.orderitems[0].colour")),
            ("/rejected/0/rule", json!("unheard_of")),
            ("/rejected/0/got", json!(null)),
            ("/rejected/0/got", json!("x".repeat(65))),
            ("/rejected/0/wanted", json!("")),
            ("/rejected/0/source", json!("somewhere")),
        ],
    );
}
