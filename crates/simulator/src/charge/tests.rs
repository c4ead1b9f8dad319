use serde_json::json;

use super::*;

fn now() -> Timestamp {
    Timestamp::from_rfc3339("2026-01-15T03:00:00Z").unwrap()
}

fn minimal() -> Value {
    json!({
        "payment_type": "gopay",
        "transaction_details": {"order_id": "A-1", "gross_amount": 44_000},
    })
}

/// The minimal charge with the value at a JSON pointer replaced; `None` removes it.
fn with(pointer: &str, value: Option<Value>) -> Value {
    let mut body = minimal();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(key.to_owned(), value),
        None => parent.remove(key),
    };
    body
}

fn outcome(body: &Value) -> Result<Charge, Refusal> {
    parse(body.to_string().as_bytes(), now(), true)
}

/// `None` for an accepted charge, else the code and the first validation message.
fn violation(body: &Value) -> Option<(u16, String)> {
    let refusal = outcome(body).err()?;
    Some((refusal.code, refusal.validation.into_iter().next().unwrap_or_default()))
}

#[test]
fn bodies_that_are_no_charge_get_their_code_and_http_status() {
    let long = format!("{{\"payment_type\":\"{}\"}}", "a".repeat(16_000));
    for (body, code, http) in [
        ("", 400, 400),
        ("  \n", 400, 400),
        ("null", 500, 500),
        ("{}", 500, 500),
        (" { \n} ", 500, 500),
        (r#"{"payment_type":null}"#, 400, 400),
        (r#"{"unknown":1}"#, 400, 400),
        ("{", 413, 200),
        ("[]", 413, 200),
        ("\"gopay\"", 413, 200),
        ("7", 413, 200),
        (r#"{"payment_type":"gopay"} x"#, 413, 200),
        (r#"{"payment_type":"gopay","payment_type":"gopay"}"#, 413, 200),
        (long.as_str(), 413, 200),
    ] {
        let refusal = parse(body.as_bytes(), now(), true).unwrap_err();
        assert_eq!((refusal.code, refusal.http), (code, http), "{body:.40}");
    }
    assert_eq!(parse(b"\"\xff\"", now(), true).unwrap_err().code, 413);
}

#[test]
fn the_size_limit_is_in_characters() {
    let fill = |letter: &str, count: usize| {
        let mut body = with("/custom_field1", Some(json!("")));
        body["metadata"] = json!({"fill": letter.repeat(count)});
        body.to_string()
    };
    let room = BODY_CHARS_MAX - fill("a", 0).len();
    for (letter, count, accepted) in
        [("a", room, true), ("a", room + 1, false), ("é", room, true), ("é", room + 1, false)]
    {
        let charge = parse(fill(letter, count).as_bytes(), now(), true);
        assert_eq!(charge.is_ok(), accepted, "{letter} {count}");
    }
}

#[test]
fn top_level_and_transaction_rules() {
    let order = "/transaction_details/order_id";
    let amount = "/transaction_details/gross_amount";
    let text = |letter: &str, count: usize| Some(json!(letter.repeat(count)));
    for (pointer, value, code) in [
        ("/payment_type", None, Some(400)),
        ("/payment_type", Some(json!(null)), Some(400)),
        ("/payment_type", Some(json!("")), Some(400)),
        ("/payment_type", Some(json!("cash")), Some(400)),
        ("/payment_type", Some(json!(["gopay"])), Some(400)),
        ("/payment_type", Some(json!("bank_transfer")), Some(402)),
        ("/payment_type", Some(json!("qris")), Some(402)),
        ("/transaction_details", None, Some(400)),
        ("/transaction_details", Some(json!("x")), Some(400)),
        ("/transaction_details", Some(json!([])), Some(400)),
        (order, None, Some(400)),
        (order, Some(json!("")), Some(400)),
        (order, text("a", 50), None),
        (order, text("a", 51), Some(400)),
        (order, Some(json!("AZaz09-_~.")), None),
        (order, Some(json!("a b")), Some(400)),
        (order, Some(json!("a/b")), Some(400)),
        (order, Some(json!("é")), Some(400)),
        (order, Some(json!(123)), None),
        (order, Some(json!(true)), Some(400)),
        (amount, None, Some(400)),
        (amount, Some(json!(0)), Some(400)),
        (amount, Some(json!(-1)), Some(400)),
        (amount, Some(json!(1)), None),
        (amount, Some(json!(20_000_000)), None),
        (amount, Some(json!(20_000_001)), Some(400)),
        (amount, Some(json!(u64::MAX)), Some(400)),
        (amount, Some(json!(10.5)), Some(400)),
        (amount, Some(json!(10.0)), Some(400)),
        (amount, Some(json!("10000")), None),
        (amount, Some(json!("10000.00")), Some(400)),
        (amount, Some(json!("ten")), Some(400)),
        (amount, Some(json!({})), Some(400)),
        ("/custom_field1", text("a", 255), None),
        ("/custom_field1", text("é", 255), None),
        ("/custom_field2", text("a", 256), Some(400)),
        ("/custom_field3", Some(json!({})), Some(400)),
        ("/metadata", Some(json!({"a": {"b": [1]}})), None),
        ("/metadata", Some(json!("x")), Some(400)),
        ("/unknown", Some(json!("x")), None),
    ] {
        let body = with(pointer, value);
        assert_eq!(violation(&body).map(|(code, _)| code), code, "{body}");
    }
}

#[test]
fn item_rules() {
    let item = |price: Value, quantity: Value| json!({"id": "1", "price": price, "quantity": quantity, "name": "Tea"});
    let named = |name: Value| json!([{"price": 44_000, "quantity": 1, "name": name}]);
    for (items, expected) in [
        (json!([]), None),
        (json!(null), None),
        (json!({}), Some("item_details must be an array")),
        (json!(["x"]), Some("item_details[0] must be an object")),
        (json!([item(json!(44_000), json!(1))]), None),
        (json!([item(json!("44000"), json!("1"))]), None),
        (json!([item(json!(22_000), json!(2))]), None),
        (json!([item(json!(50_000), json!(1)), item(json!(-6_000), json!(1))]), None),
        (
            json!([item(json!(43_999), json!(1))]),
            Some("transaction_details.gross_amount is not equal to the sum of item_details"),
        ),
        (
            json!([item(json!(i64::MAX), json!(i64::MAX))]),
            Some("transaction_details.gross_amount is not equal to the sum of item_details"),
        ),
        (
            json!([item(json!(44_000.5), json!(1))]),
            Some("item_details[0].price must be an integer without decimals"),
        ),
        (
            json!([item(json!(44_000), json!(0))]),
            Some("item_details[0].quantity must be greater than or equal to 1"),
        ),
        (json!([item(json!(null), json!(1))]), Some("item_details[0].price is required")),
        (json!([item(json!(44_000), json!(null))]), Some("item_details[0].quantity is required")),
        (named(json!(null)), Some("item_details[0].name is required")),
        (named(json!("")), Some("item_details[0].name is required")),
        (named(json!("n".repeat(50))), None),
        (
            named(json!("n".repeat(51))),
            Some("item_details[0].name is too long, maximum length is 50"),
        ),
    ] {
        let body = with("/item_details", Some(items));
        assert_eq!(
            violation(&body).map(|(_, message)| message),
            expected.map(str::to_owned),
            "{body}"
        );
    }
    let body = with("/item_details", Some(named(json!("n".repeat(51)))));
    assert!(parse(body.to_string().as_bytes(), now(), false).is_ok());
}

#[test]
fn customer_rules() {
    let long = "x".repeat(256);
    for (customer, good) in [
        (json!({}), true),
        (json!("x"), false),
        (
            json!({"first_name": "Budi", "last_name": "U", "email": "b@example.com", "phone": "+62 81-1"}),
            true,
        ),
        (json!({"first_name": "x".repeat(255)}), true),
        (json!({"first_name": long}), false),
        (json!({"email": long}), false),
        (json!({"billing_address": {"country_code": "IDN", "postal_code": "12190-A b"}}), true),
        (json!({"billing_address": {"country_code": "SGP"}}), true),
        (json!({"billing_address": {"country_code": "ID"}}), false),
        (json!({"billing_address": {"country_code": "idn"}}), false),
        (json!({"billing_address": {"country_code": "INDO"}}), false),
        (json!({"shipping_address": {"postal_code": "12/190"}}), false),
        (json!({"shipping_address": {"address": long}}), false),
        (json!({"shipping_address": {"city": "x".repeat(255)}}), true),
        (json!({"shipping_address": 5}), false),
    ] {
        let body = with("/customer_details", Some(customer));
        let code = violation(&body).map(|(code, _)| code);
        assert_eq!(code, (!good).then_some(400), "{body}");
    }
}

#[test]
fn callback_rules() {
    let url = |text: &str| Ok(Callback::Url(text.to_owned()));
    for (gopay, expected) in [
        (json!(null), Ok(Callback::Off)),
        (json!({}), Ok(Callback::Off)),
        (json!({"enable_callback": true}), Ok(Callback::Dashboard)),
        (json!({"callback_url": "https://a.example/"}), Ok(Callback::Off)),
        (
            json!({"enable_callback": "true", "callback_url": "someapps://callback"}),
            url("someapps://callback"),
        ),
        (
            json!({"enable_callback": true, "callback_url": "https://a.example/r/"}),
            url("https://a.example/r/"),
        ),
        (json!({"enable_callback": true, "callback_url": "gojek"}), Err(400)),
        (json!({"enable_callback": true, "callback_url": "javascript:alert(1)"}), Err(400)),
        (json!({"enable_callback": true, "callback_url": "https://a.example/\r\nx"}), Err(400)),
        (json!({"enable_callback": 1}), Err(400)),
        (json!([]), Err(400)),
    ] {
        let body = with("/gopay", Some(gopay));
        let callback = outcome(&body).map(|charge| charge.callback);
        assert_eq!(callback.map_err(|refusal| refusal.code), expected, "{body}");
    }
}

#[test]
fn expiry_rules() {
    // Now is 10:00:00 in Jakarta.
    for (expiry, seconds) in [
        (json!(null), Some(900)),
        (json!({"expiry_duration": 20, "unit": "second"}), Some(20)),
        (json!({"expiry_duration": 19, "unit": "second"}), None),
        (json!({"expiry_duration": "60", "unit": "minute"}), Some(3_600)),
        (json!({"expiry_duration": 60}), Some(3_600)),
        (json!({"expiry_duration": 2, "unit": "hour"}), Some(7_200)),
        (json!({"expiry_duration": 7, "unit": "day"}), Some(604_800)),
        (json!({"expiry_duration": 604_801, "unit": "second"}), None),
        (json!({"expiry_duration": 8, "unit": "day"}), None),
        (json!({"expiry_duration": i64::MAX, "unit": "day"}), None),
        (json!({"expiry_duration": 1, "unit": "week"}), None),
        (json!({"expiry_duration": 0}), None),
        (json!({"expiry_duration": -5}), None),
        (json!({"expiry_duration": 1.5}), None),
        (json!({"unit": "hour"}), None),
        (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:55:00 +0700"}), Some(300)),
        (json!({"expiry_duration": 10, "order_time": "2026-01-15 03:00:00 +0000"}), Some(600)),
        (json!({"expiry_duration": 10, "order_time": "2026-01-14 22:00:00 -0500"}), Some(600)),
        (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:50:20 +0700"}), Some(20)),
        (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:50:19 +0700"}), None),
        (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:00:00 +0700"}), None),
        (json!({"expiry_duration": 10, "order_time": "2026-01-15T09:55:00 +0700"}), None),
        (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:55:00"}), None),
    ] {
        let body = with("/custom_expiry", Some(expiry));
        let left = outcome(&body).map(|charge| charge.expires_at.since(now()).as_secs());
        assert_eq!(left.map_err(|refusal| refusal.code), seconds.ok_or(400), "{body}");
    }
}

#[test]
fn all_violations_are_listed_at_once() {
    let body = json!({"transaction_details": {"order_id": "a b", "gross_amount": 0}});
    assert_eq!(
        outcome(&body).unwrap_err().validation,
        [
            "payment_type is required",
            "transaction_details.order_id contains characters that are not allowed",
            "transaction_details.gross_amount must be greater than or equal to 1",
        ]
    );
}

#[test]
fn a_field_that_was_sent_is_never_called_missing() {
    let long = |count: usize| Some(json!("x".repeat(count)));
    for (pointer, value, message) in [
        (
            "/transaction_details/order_id",
            long(51),
            "transaction_details.order_id is too long, maximum length is 50",
        ),
        (
            "/transaction_details/order_id",
            Some(json!(true)),
            "transaction_details.order_id must be a string",
        ),
        ("/transaction_details/order_id", None, "transaction_details.order_id is required"),
        (
            "/transaction_details/gross_amount",
            Some(json!("ten")),
            "transaction_details.gross_amount is not a number",
        ),
        ("/transaction_details", Some(json!([])), "transaction_details must be an object"),
        ("/payment_type", Some(json!(7)), "payment_type is not supported"),
        (
            "/item_details",
            Some(json!([{"price": 1, "quantity": 1, "name": true}])),
            "item_details[0].name must be a string",
        ),
        (
            "/item_details",
            Some(json!([{"price": {}, "quantity": 1, "name": "n"}])),
            "item_details[0].price is not a number",
        ),
        (
            "/custom_expiry",
            Some(json!({"expiry_duration": 1, "unit": "x".repeat(51)})),
            "custom_expiry.unit is too long, maximum length is 50",
        ),
        (
            "/custom_expiry",
            Some(json!({"expiry_duration": 1, "unit": "second", "order_time": "x".repeat(51)})),
            "custom_expiry.order_time is too long, maximum length is 50",
        ),
        (
            "/custom_expiry",
            Some(json!({"expiry_duration": [], "unit": "second"})),
            "custom_expiry.expiry_duration is not a number",
        ),
    ] {
        let body = with(pointer, value);
        assert_eq!(outcome(&body).unwrap_err().validation, [message], "{body}");
    }
}
