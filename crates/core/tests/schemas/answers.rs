//! Midtrans' answers and notifications: samples, what the schemas allow, what they refuse.

use super::*;

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
