//! A whole TRANSACTION call: what is checked, and the charge that comes of it.
#![no_main]

use std::time::Duration;

use gopay_core::ids::TxId;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::ppro::transaction::{Kyc, Terms, check};
use gopay_core::rejection::{All, First};
use gopay_core::time::Timestamp;
use gopay_core::translate::{BODY_BYTES_MAX, ChargeTerms, charge};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const CLOSED: Terms<'static> = Terms {
    app_schemes: None,
    test_channel: true,
    live_channel: false,
    kyc: Kyc::Unverified,
    has_redirect_url: false,
    has_notification_url: false,
};

fuzz_target!(|body: &[u8]| {
    for terms in [CLOSED, Terms::OPEN] {
        let (mut scratch, mut scratch_all) = (Scratch::new(), Scratch::new());
        let (mut first, mut all) = (First::default(), All::default());
        let (form, items) = Form::decode(body, &mut scratch);
        let order = check(&form, items, terms, &mut first);
        let (form_all, items_all) = Form::decode(body, &mut scratch_all);
        let order_all = check(&form_all, items_all, terms, &mut all);

        assert_eq!(order.is_some(), first.0.is_none());
        assert_eq!(order.is_some(), order_all.is_some());
        assert_eq!(first.0.as_ref(), all.0.first());
        for rejection in &all.0 {
            let message = rejection.failure().message;
            assert!(!message.is_empty() && message.chars().count() <= 128, "{message}");
        }

        let Some(order) = order else { continue };
        let charge_terms = ChargeTerms {
            order_id: TxId::new(123_887_123).expect("a positive number"),
            order_time: Timestamp::from_micros(1_750_494_860_000_000),
            session: Duration::from_secs(3_600),
            return_url: "https://pay.example/return/gopay/123887123/",
        };
        let mut out = b"left over".to_vec();
        charge(&order, &charge_terms, &mut out);
        assert!(out.len() <= BODY_BYTES_MAX, "{} bytes", out.len());
        let json: Value = serde_json::from_slice(&out).expect("a charge is JSON");
        let gross = json.pointer("/transaction_details/gross_amount").and_then(Value::as_u64);
        assert_eq!(gross, Some(order.amount.get()));
        check_items(&out, order.amount.get());
    }
});

#[derive(serde::Deserialize)]
struct Charge {
    item_details: Vec<Line>,
}

#[derive(serde::Deserialize)]
struct Line {
    price: i128,
    quantity: i128,
    name: String,
}

fn check_items(charge: &[u8], gross: u64) {
    let charge: Charge = serde_json::from_slice(charge).expect("items have three members");
    let sum: i128 = charge.item_details.iter().map(|line| line.price * line.quantity).sum();
    assert_eq!(sum, i128::from(gross));
    for line in &charge.item_details {
        assert!((1..=50).contains(&line.name.chars().count()), "{:?}", line.name);
        assert!(line.quantity >= 1);
        // Midtrans reads a 64-bit integer.
        assert!(i64::try_from(line.price).is_ok(), "{}", line.price);
    }
}
