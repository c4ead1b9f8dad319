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

mod answers;
mod charges;
mod records;

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

// What we accept.

// What a PSP sends, what we keep, what we say.
