//! Charges and refunds as they are sent to Midtrans.

use super::*;

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
