//! What a payment costs beside its translation: answers, hashes, and what Midtrans is sent and
//! sends; each beside the obvious way to do it.
#![allow(dead_code, reason = "each user takes a part")]

use std::hint::black_box;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::midtrans::signature::sign;
use gopay_core::midtrans::{ChargeReply, StatusReply, UnverifiedNotification, refund_body};
use gopay_core::money::Rupiah;
use gopay_core::ppro::hash::{notification_body, return_cs};
use gopay_core::ppro::reply::{Rand, Reply};
use gopay_core::time::Timestamp;
use rust_decimal::Decimal;
use serde::Deserialize;
use sha2::{Digest as _, Sha256, Sha512};

/// The product's way and the obvious one.
pub(crate) struct Pair {
    pub(crate) product: Box<dyn FnMut()>,
    pub(crate) obvious: Box<dyn FnMut()>,
}

fn pair<P, O>(
    mut product: impl FnMut() -> P + 'static,
    mut obvious: impl FnMut() -> O + 'static,
) -> Pair {
    Pair {
        product: Box::new(move || drop(black_box(product()))),
        obvious: Box::new(move || drop(black_box(obvious()))),
    }
}

/// All of them, by name.
pub(crate) fn all() -> Vec<(&'static str, Pair)> {
    vec![
        ("reply", reply()),
        ("return_hash", return_hash()),
        ("notification_out", notification_out()),
        ("notification_in", notification_in()),
        ("charge_reply", charge_reply()),
        ("status_reply", status_reply()),
        ("refund_body", refund()),
    ]
}

const SERVER_KEY: &str = "SB-Mid-server-EXAMPLE";
const SECRET: &str = "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy";
const REDIRECT_URL: &str = "https://pay.example/ti/gopay?tx=123887123&rs=9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy\
     &cs=f99b7addaf5e0630026cc704bc2c100720769dc6b95953290b68e568ec87b5b2";

fn tx_id() -> TxId {
    TxId::new(123_887_123).expect("a positive number")
}

/// The answer to a TRANSACTION that now waits for the shopper.
fn reply() -> Pair {
    const RAND: Rand = Rand { seed: 0x0123_4567_89ab_cdef, bytes: [0xab; 20] };
    pair(
        || {
            Reply::new()
                .with("STATUS", "PENDING")
                .with("TXID", black_box(tx_id()).to_string())
                .with("MERCHANTTXID", black_box("ORDER-20250621-0001").to_owned())
                .with("FUNDSSTATUS", "WAITING")
                .with("ERRMSG", "")
                .with("CHANNEL", "testchannel")
                .with("TAG", "gopay")
                .with("REDIRECTURL", black_box(REDIRECT_URL).to_owned())
                .with("REDIRECTSECRET", black_box(SECRET).to_owned())
                .render(Some(black_box(RAND)))
        },
        || {
            let tx_id = black_box(tx_id()).to_string();
            let name = format!("RAND{}", 1_000_000_000 + black_box(RAND).seed % 9_000_000_000);
            let rand = hex::encode(RAND.bytes);
            let pairs = [
                ("STATUS", "PENDING"),
                ("TXID", &tx_id),
                ("MERCHANTTXID", "ORDER-20250621-0001"),
                (&name, &rand),
                ("FUNDSSTATUS", "WAITING"),
                ("ERRMSG", ""),
                ("CHANNEL", "testchannel"),
                ("TAG", "gopay"),
                ("REDIRECTURL", black_box(REDIRECT_URL)),
                ("REDIRECTSECRET", black_box(SECRET)),
            ];
            serde_urlencoded::to_string(pairs).expect("pairs of texts").replace('+', "%20")
        },
    )
}

fn obvious_hash(first: &str, second: &str, secret: &str) -> String {
    let inner = hex::encode(Sha256::digest(format!("{first}.{second}")));
    hex::encode(Sha256::digest(format!("{inner}.{secret}")))
}

fn return_hash() -> Pair {
    pair(
        || return_cs(black_box(tx_id()), black_box(SECRET), black_box("examplesharedsecret")),
        || {
            let tx_id = black_box(tx_id()).to_string();
            obvious_hash(&tx_id, black_box(SECRET), black_box("examplesharedsecret"))
        },
    )
}

fn notification_out() -> Pair {
    let at = Timestamp::from_rfc3339("2025-06-21T08:34:20Z").expect("a constant time");
    let secret = "examplenotificationsecret";
    pair(
        move || notification_body(black_box(tx_id()), black_box(at), black_box(secret)),
        move || {
            let (tx_id, at) = (black_box(tx_id()).to_string(), black_box(at).utc_seconds());
            let hash = obvious_hash(&tx_id, &at, black_box(secret));
            let pairs = [("txid", &tx_id), ("finaltimestamp", &at), ("sha256hash", &hash)];
            serde_urlencoded::to_string(pairs).expect("pairs of texts")
        },
    )
}

#[derive(Deserialize)]
struct Notification {
    transaction_status: String,
    transaction_id: String,
    status_code: String,
    signature_key: String,
    order_id: String,
    gross_amount: String,
    fraud_status: Option<String>,
    payment_type: Option<String>,
    payment_option_type: Option<String>,
    settlement_time: Option<String>,
    expiry_time: Option<String>,
    currency: Option<String>,
}

fn notification_in() -> Pair {
    let signature = sign("123887123", "200", "45000.00", SERVER_KEY);
    let body = format!(
        r#"{{"transaction_time":"2025-06-21 15:30:00","transaction_status":"settlement","transaction_id":"8b82e549-2a48-47a9-8cb1-fb36060b88f3","status_message":"midtrans payment notification","status_code":"200","signature_key":"{signature}","settlement_time":"2025-06-21 15:34:20","payment_type":"gopay","order_id":"123887123","merchant_id":"G000000001","gross_amount":"45000.00","fraud_status":"accept","expiry_time":"2025-06-21 15:45:00","currency":"IDR","payment_option_type":"GOPAY_WALLET"}}"#
    );
    let same = body.clone();
    pair(
        move || {
            let notification =
                UnverifiedNotification::parse(black_box(body.as_bytes())).expect("good");
            notification.verify(black_box(SERVER_KEY)).expect("signed")
        },
        move || {
            let notification: Notification =
                serde_json::from_slice(black_box(same.as_bytes())).expect("good");
            let signed = format!(
                "{}{}{}{}",
                notification.order_id,
                notification.status_code,
                notification.gross_amount,
                black_box(SERVER_KEY)
            );
            assert!(hex::encode(Sha512::digest(signed)) == notification.signature_key);
            let amount: Decimal = notification.gross_amount.parse().expect("a number");
            (notification, amount)
        },
    )
}

#[derive(Deserialize)]
struct Answer {
    status_code: String,
    status_message: Option<String>,
    transaction_id: String,
    order_id: String,
    gross_amount: String,
    currency: Option<String>,
    payment_type: Option<String>,
    transaction_status: String,
    fraud_status: Option<String>,
    expiry_time: Option<String>,
    settlement_time: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct Action {
    name: String,
    url: String,
}

fn obvious_answer(body: &[u8]) -> (Answer, Decimal, Option<String>) {
    let answer: Answer = serde_json::from_slice(body).expect("good");
    let amount = answer.gross_amount.parse().expect("a number");
    let link = answer.actions.iter().find(|action| action.name == "deeplink-redirect");
    let link = link.map(|action| action.url.clone());
    (answer, amount, link)
}

fn charge_reply() -> Pair {
    let body =
        include_bytes!("../tests/fixtures/midtrans/charge-created-docs-core-api-e-wallet.json");
    let created = ChargeReply::parse(200, body);
    assert!(matches!(created, Ok(ChargeReply::Created(_))), "{created:?}");
    pair(
        move || ChargeReply::parse(black_box(200), black_box(body)),
        move || obvious_answer(black_box(body)),
    )
}

fn status_reply() -> Pair {
    let body = br#"{"status_code":"200","status_message":"Success, transaction is found","transaction_id":"8b82e549-2a48-47a9-8cb1-fb36060b88f3","order_id":"123887123","gross_amount":"45000.00","currency":"IDR","payment_type":"gopay","payment_option_type":"GOPAY_WALLET","transaction_time":"2025-06-21 15:30:00","transaction_status":"settlement","fraud_status":"accept","settlement_time":"2025-06-21 15:34:20","expiry_time":"2025-06-21 15:45:00","merchant_id":"G000000001","signature_key":"0000"}"#;
    let known = StatusReply::parse(200, body);
    assert!(matches!(known, Ok(StatusReply::Found(_))), "{known:?}");
    pair(
        move || StatusReply::parse(black_box(200), black_box(body)),
        move || obvious_answer(black_box(body)),
    )
}

fn refund() -> Pair {
    let refund_id = RefundId::new(123_887_999).expect("a positive number");
    let amount = Rupiah::new(45_000).expect("within the limits");
    pair(
        move || {
            refund_body(black_box(refund_id), black_box(amount), black_box(Some("Barang rusak")))
        },
        move || {
            serde_json::json!({
                "refund_key": black_box(refund_id).to_string(),
                "amount": black_box(amount).get(),
                "reason": black_box("Barang rusak"),
            })
            .to_string()
        },
    )
}
