//! What programs read of the Simple API, made of `ppro::manual`: a description for OpenAPI, requests
//! for editors (`.http`), and a collection for Bruno. The files are kept, and compared here.
#![allow(clippy::indexing_slicing, reason = "keys of JSON objects that are made here")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use gopay_core::ppro::call::TxType;
use gopay_core::ppro::field::Field;
use gopay_core::ppro::manual::{CALLS, Described, Need, Shape, described, does, need};
use gopay_core::ppro::reply::encode;
use serde_json::{Map, Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A kept file is what would be made now; with UPDATE_SCHEMAS it is made.
fn assert_current(path: &str, text: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, text).expect("written");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, text, "{}: run the tests with UPDATE_SCHEMAS=1", path.display());
}

fn taken(call: TxType) -> impl Iterator<Item = (Field, Need)> {
    Field::ALL.iter().filter_map(move |field| Some((*field, need(call, *field)?)))
}

/// The value of a parameter in an example of a call.
fn example(call: TxType, field: Field) -> &'static str {
    if field == Field::Txtype {
        return call.name();
    }
    if field == Field::Amount && call == TxType::Refund {
        // Of the ten thousand that were paid.
        return "200000";
    }
    described(field).example
}

/// The JSON Schema of a parameter.
fn schema(call: TxType, field: Field) -> Value {
    let Described { shape, text, .. } = described(field);
    let mut schema = match shape {
        Shape::Words(words) => json!({"enum": words}),
        Shape::Text { min, max, pattern } => {
            let mut schema = json!({"minLength": min});
            if let Some(max) = max {
                schema["maxLength"] = json!(max);
            }
            if let Some(pattern) = pattern {
                schema["pattern"] = json!(pattern);
            }
            schema
        }
        Shape::Address { max } => json!({"format": "uri", "minLength": 1, "maxLength": max}),
        Shape::Amount => json!({"pattern": "^[1-9][0-9]*00$"}),
        Shape::Cart => json!({
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "order-items.schema.json"},
        }),
    };
    if field == Field::Txtype {
        schema = json!({"const": call.name()});
    }
    if field == Field::Password {
        schema["format"] = json!("password");
    }
    schema["type"] = json!("string");
    schema["description"] = json!(text);
    schema["examples"] = json!([example(call, field)]);
    schema
}

fn call_schema(call: TxType) -> Value {
    let properties: Map<String, Value> =
        taken(call).map(|(field, _)| (field.name().to_owned(), schema(call, field))).collect();
    let mandatory = taken(call).filter(|(_, need)| *need == Need::Mandatory);
    let required: Vec<&str> = mandatory.map(|(field, _)| field.name()).collect();
    json!({
        "type": "object",
        "description": does(call),
        "required": required,
        "properties": properties,
        "additionalProperties": {"type": "string"},
    })
}

fn openapi() -> Value {
    let schemas: Map<String, Value> =
        CALLS.iter().map(|call| (call.name().to_owned(), call_schema(*call))).collect();
    let reference = |call: &TxType| format!("#/components/schemas/{}", call.name());
    let one_of: Vec<Value> = CALLS.iter().map(|call| json!({"$ref": reference(call)})).collect();
    let mapping: Map<String, Value> =
        CALLS.iter().map(|call| (call.name().to_owned(), json!(reference(call)))).collect();
    let form = "application/x-www-form-urlencoded";
    let answer = |description: &str| {
        let pairs = json!({"type": "object", "additionalProperties": {"type": "string"}});
        json!({"description": description, "content": {form: {"schema": pairs}}})
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Simple API",
            "description": "One path for all calls; txtype chooses the call. The order of parameters has no meaning, unknown ones are ignored. docs/psp-guide.md has every rule, answer and hash.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "version": "1",
        },
        "servers": [{"url": "http://127.0.0.1:8080", "description": "gopay-adapter demo"}],
        "paths": {"/": {"post": {
            "operationId": "call",
            "summary": "A call of the Simple API",
            "requestBody": {"required": true, "content": {form: {"schema": {
                "oneOf": one_of,
                "discriminator": {"propertyName": "txtype", "mapping": mapping},
            }}}},
            "responses": {
                "200": answer("The outcome, good or bad: STATUS or REQUESTSTATUS first"),
                "413": answer("The body is too long"),
                "503": answer("Too many calls at once; nothing was done"),
            },
        }}},
        "components": {"schemas": schemas},
    })
}

#[test]
fn the_description_of_the_form_is_current() {
    let text = serde_json::to_string_pretty(&openapi()).expect("JSON") + "\n";
    assert_current("schemas/simple-api.openapi.json", &text);
}

/// What an example sends: all that is mandatory, and what a shop has at hand.
fn shown(field: Field, need: Need) -> bool {
    const AT_HAND: [Field; 4] =
        [Field::Merchanttxid, Field::Email, Field::Phone, Field::Merchantrefundid];
    need != Need::Optional || AT_HAND.contains(&field)
}

#[test]
fn the_requests_for_editors_are_current() {
    let mut text = String::from(
        "# Calls of the Simple API, against `gopay-adapter demo`. Made of crates/core/src/ppro/manual.rs.\n\
         # Put the TXID and REFUNDID of your own answers in.\n\n\
         @adapter = http://127.0.0.1:8080\n@txid = 123887123\n@refundid = 223887123\n",
    );
    for call in CALLS {
        let pairs = taken(call).filter(|(field, need)| shown(*field, *need));
        let pairs = pairs.map(|(field, _)| {
            let name = field.name();
            if [Field::Txid, Field::Refundid].contains(&field) {
                return format!("{name}={{{{{name}}}}}");
            }
            format!("{name}={}", encode(example(call, field)))
        });
        let pairs = pairs.collect::<Vec<_>>().join("\n&");
        let name = call.name();
        write!(
            text,
            "\n### {name}: {}\nPOST {{{{adapter}}}}/\nContent-Type: application/x-www-form-urlencoded\n\n{pairs}\n",
            does(call)
        )
        .expect("a text");
    }
    text.push_str(
        "\n### Feed: every final change, from a cursor on\nGET {{adapter}}/feed?limit=10\n\
         Authorization: Basic testclient test123\n",
    );
    assert_current("docs/requests/simple-api.http", &text);
}

/// What an environment of the collection says.
const FROM_ENVIRONMENT: [Field; 5] =
    [Field::Login, Field::Password, Field::Contractid, Field::Txid, Field::Refundid];

/// Later requests ask about what an answer has named.
fn remembered(call: TxType) -> String {
    let name = match call {
        TxType::Transaction => "txid",
        TxType::Refund => "refundid",
        TxType::GetTxStatus
        | TxType::GetTxStatusByMerchantTxId
        | TxType::GetRefundStatus
        | TxType::GetRefundStatusByMerchantRefundId
        | TxType::CancelTx
        | TxType::RequestData => return String::new(),
    };
    let key = name.to_uppercase();
    format!(
        "script:post-response {{\n  const found = String(res.getBody()).match(/(?:^|&){key}=([0-9]+)/);\n  \
         if (found) bru.setVar(\"{name}\", found[1]);\n}}\n\n"
    )
}

#[test]
fn the_collection_is_current() {
    let about = json!({
        "version": "1",
        "name": "gopay-adapter: Simple API",
        "type": "collection",
    });
    let about = serde_json::to_string_pretty(&about).expect("JSON") + "\n";
    assert_current("docs/requests/bruno/bruno.json", &about);
    let demo = "vars {\n  adapter: http://127.0.0.1:8080\n  login: testclient\n  password: test123\n  \
                contractid: TESTCONTRACT\n  txid: 123887123\n  refundid: 223887123\n}\n";
    assert_current("docs/requests/bruno/environments/demo.bru", demo);
    for (call, place) in CALLS.into_iter().zip(1..) {
        let (name, mut lines) = (call.name(), String::new());
        for (field, need) in taken(call) {
            let off = if shown(field, need) { "" } else { "~" };
            let key = field.name();
            let value = if FROM_ENVIRONMENT.contains(&field) {
                format!("{{{{{key}}}}}")
            } else {
                example(call, field).to_owned()
            };
            writeln!(lines, "  {off}{key}: {value}").expect("a text");
        }
        let text = format!(
            "meta {{\n  name: {name}\n  type: http\n  seq: {place}\n}}\n\n\
             post {{\n  url: {{{{adapter}}}}/\n  body: formUrlEncoded\n  auth: none\n}}\n\n\
             body:form-urlencoded {{\n{lines}}}\n\n{}\
             docs {{\n  {}. What begins with ~ is optional.\n}}\n",
            remembered(call),
            does(call)
        );
        assert_current(&format!("docs/requests/bruno/{name}.bru"), &text);
    }
}

/// Every rule has its row, in the order of precedence, with the text that it has on the wire, why it
/// comes, and what to do.
#[test]
fn the_catalogue_of_errors_has_every_rule() {
    let page = std::fs::read_to_string(root().join("docs/errors.md")).expect("the page");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .filter(|row: &Vec<&str>| row.len() == 4)
        .collect();
    let rules = include_str!("../src/rejection/rules.txt");
    let wanted: Vec<(&str, &str)> = rules
        .lines()
        .map(|line| {
            let columns: Vec<&str> = line.split(" | ").collect();
            let text = columns.last().copied().unwrap_or_default();
            (columns.first().copied().unwrap_or_default(), text.trim_start_matches("tag: "))
        })
        .collect();
    let shown: Vec<(&str, &str)> =
        rows.iter().map(|row| (row[0].trim_matches('`'), row[1].trim_matches('`'))).collect();
    assert_eq!(shown, wanted);
    for row in rows {
        assert!(row[2].len() > 3 && row[3].len() > 3, "{row:?}");
    }
}
