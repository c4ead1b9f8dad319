//! What a payment costs beside its translation: answers, hashes, and what Midtrans sends.
//!
//! `cargo bench --bench wire`

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gopay_core::ids::TxId;
use gopay_core::midtrans::signature::sign;
use gopay_core::midtrans::{ChargeReply, UnverifiedNotification};
use gopay_core::ppro::hash::{notification_body, return_cs};
use gopay_core::ppro::reply::{Rand, Reply};
use gopay_core::time::Timestamp;

const SERVER_KEY: &str = "SB-Mid-server-EXAMPLE";

fn bytes(length: usize) -> Throughput {
    Throughput::Bytes(u64::try_from(length).expect("a short text"))
}

fn tx_id() -> TxId {
    TxId::new(123_887_123).expect("a positive number")
}

/// The answer to a TRANSACTION that now waits for the shopper.
fn pending_reply() -> Reply {
    Reply::new()
        .with("STATUS", "PENDING")
        .with("TXID", tx_id().to_string())
        .with("MERCHANTTXID", "ORDER-20250621-0001")
        .with("FUNDSSTATUS", "WAITING")
        .with("ERRMSG", "")
        .with("CHANNEL", "testchannel")
        .with("TAG", "gopay")
        .with(
            "REDIRECTURL",
            "https://pay.example/ti/gopay?tx=123887123&rs=9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy\
             &cs=f99b7addaf5e0630026cc704bc2c100720769dc6b95953290b68e568ec87b5b2",
        )
        .with("REDIRECTSECRET", "9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy")
}

fn reply(criterion: &mut Criterion) {
    let rand = Some(Rand { seed: 0x0123_4567_89ab_cdef, bytes: [0xab; 20] });
    let mut group = criterion.benchmark_group("reply");
    group.throughput(bytes(pending_reply().render(rand).len()));
    group.bench_function("build_and_render", |bencher| {
        bencher.iter(|| black_box(pending_reply()).render(black_box(rand)));
    });
    group.finish();
}

fn hashes(criterion: &mut Criterion) {
    let at = Timestamp::from_rfc3339("2025-06-21T08:34:20Z").expect("a constant time");
    let mut group = criterion.benchmark_group("hash");
    group.bench_function("return_cs", |bencher| {
        bencher.iter(|| {
            return_cs(
                black_box(tx_id()),
                black_box("9SdVQk52tdbjXlFGI8xkpIR4QtpWzEFy"),
                black_box("examplesharedsecret"),
            )
        });
    });
    group.bench_function("notification_body", |bencher| {
        bencher.iter(|| {
            notification_body(
                black_box(tx_id()),
                black_box(at),
                black_box("examplenotificationsecret"),
            )
        });
    });
    group.finish();
}

fn notification(criterion: &mut Criterion) {
    let signature = sign("123887123", "200", "45000.00", SERVER_KEY);
    let body = format!(
        r#"{{"transaction_time":"2025-06-21 15:30:00","transaction_status":"settlement","transaction_id":"8b82e549-2a48-47a9-8cb1-fb36060b88f3","status_message":"midtrans payment notification","status_code":"200","signature_key":"{signature}","settlement_time":"2025-06-21 15:34:20","payment_type":"gopay","order_id":"123887123","merchant_id":"G000000001","gross_amount":"45000.00","fraud_status":"accept","expiry_time":"2025-06-21 15:45:00","currency":"IDR","payment_option_type":"GOPAY_WALLET"}}"#
    );
    let parse = |body: &str| UnverifiedNotification::parse(body.as_bytes()).expect("a good body");
    parse(&body).verify(SERVER_KEY).expect("a good signature");
    let mut group = criterion.benchmark_group("notification");
    group.throughput(bytes(body.len()));
    group.bench_function("parse", |bencher| bencher.iter(|| parse(black_box(&body))));
    group.bench_function("parse_and_verify", |bencher| {
        bencher.iter(|| parse(black_box(&body)).verify(black_box(SERVER_KEY)));
    });
    group.finish();
}

fn charge_reply(criterion: &mut Criterion) {
    let body =
        include_bytes!("../tests/fixtures/midtrans/charge-created-docs-core-api-e-wallet.json");
    let created = ChargeReply::parse(200, body);
    assert!(matches!(created, Ok(ChargeReply::Created(_))), "{created:?}");
    let mut group = criterion.benchmark_group("charge_reply");
    group.throughput(bytes(body.len()));
    group.bench_function("parse", |bencher| {
        bencher.iter(|| ChargeReply::parse(black_box(200), black_box(body)));
    });
    group.finish();
}

criterion_group!(benches, reply, hashes, notification, charge_reply);
criterion_main!(benches);
