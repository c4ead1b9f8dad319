//! What a call takes from the allocator: nothing, once the caller's buffers have grown.

use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use gopay_core::ppro::form::{Backend, Scratch};
use gopay_core::ppro::transaction::Terms;
use gopay_core::rejection::Rejection;
use gopay_core::time::Timestamp;
use gopay_core::translate::{ChargeTerms, translate, translate_into};
use gopay_testkit::payloads;

fn charge_terms() -> ChargeTerms<'static> {
    ChargeTerms {
        order_id: "123887123".parse().expect("a constant id"),
        order_time: Timestamp::from_rfc3339("2025-06-21T08:34:20Z").expect("a constant time"),
        session: Duration::from_secs(3_600),
        return_url: "https://pay.example/return/gopay/123887123/",
    }
}

/// What the body has, and a name and a cart with every kind of escape.
fn escaped() -> Vec<u8> {
    let cart = r#"[{"n\u0061me":"a\u00e9\ud83d\ude42\/\b\f\"\\\n","quantity":1,"price":"1.00"}]"#;
    let mut pairs = payloads::common().to_vec();
    pairs.extend([
        ("amount", "100"),
        ("accountholdername", "Zo\u{eb} \"van\" Meer\u{1}"),
        ("specin.dynamicdescriptor", " Toko\t\u{e9} "),
        ("specin.own", "x"),
        ("transientin.orderitems", cart),
    ]);
    payloads::body(&pairs)
}

/// Bodies that are refused, each for another reason and as late as can be.
fn refused() -> Vec<Vec<u8>> {
    let full = String::from_utf8(payloads::full()).expect("ASCII");
    [
        ("gopay&txtype", "gopa&txtype"),
        ("amount=38750000", "amount=38750100"),
        ("specin.email=zoe", "specin.email=%zz"),
        ("specin.email=zoe", "specin.email=%ff"),
        ("specin.email=zoe", "specin.email=%00"),
        ("specin.phone", "specin.email"),
        ("quantity%22%3A1%7D%5D", "quantity%22%3A1%7D"),
        ("quantity%22%3A1%7D%5D", "quantity%22%3A0%7D%5D"),
        ("12190", "12_90"),
    ]
    .map(|(good, bad)| {
        assert!(full.contains(good), "{good}");
        full.replacen(good, bad, 1).into_bytes()
    })
    .to_vec()
}

#[test]
fn a_call_with_the_callers_buffers_allocates_nothing() {
    let terms = charge_terms();
    for backend in Backend::available() {
        let (mut scratch, mut out) = (Scratch::with_backend(backend), Vec::new());
        let mut call = |body: &[u8]| -> (AllocationInfo, Result<(), Rejection>) {
            let mut outcome = Ok(());
            let info = measure(|| {
                outcome = translate_into(body, Terms::OPEN, &terms, &mut scratch, &mut out);
            });
            (info, outcome)
        };
        let good = payloads::all().map(|(_, body)| body).into_iter().chain([escaped()]);
        let good = good.map(|body| (body, true));
        for (body, passes) in good.chain(refused().into_iter().map(|body| (body, false))) {
            // The first call lets the buffers grow, and tables fill that are built when needed.
            let (_, first) = call(&body);
            let (info, second) = call(&body);
            assert_eq!(first, second);
            assert_eq!(first.is_ok(), passes, "{first:?} {}", String::from_utf8_lossy(&body));
            assert_eq!(info.count_total, 0, "{backend:?} {}", String::from_utf8_lossy(&body));
        }
    }
}

#[test]
fn the_call_of_one_line_allocates_its_answer() {
    let terms = charge_terms();
    for (name, body) in payloads::all() {
        translate(&body, Terms::OPEN, &terms).unwrap();
        let mut charge = Ok(Vec::new());
        let info = measure(|| charge = translate(&body, Terms::OPEN, &terms));
        assert!(charge.is_ok());
        assert!((1..=2).contains(&info.count_total), "{name}: {}", info.count_total);
    }
}

/// All bytes that one call takes with buffers that have not grown yet, whatever the body.
#[test]
fn memory_is_bounded_by_the_body() {
    let terms = charge_terms();
    let common = String::from_utf8(payloads::body(&payloads::common())).unwrap();
    for size in [1_000, 20_000, 200_000] {
        let many = |piece: &str| piece.repeat(size / piece.len());
        let bodies = [
            many("%25"),
            many("%ff"),
            many("&"),
            many("="),
            many("a&"),
            many("x=%zz&"),
            (0..size / 8).map(|at| format!("x{at}=y&")).collect(),
            format!("{common}&amount=100&transientin.orderitems={}", many("[")),
            format!("{common}&amount=100&accountholdername=abc&transientin.orderitems=[{}]", {
                let item = r#"{"name":"a","price":"1.00","quantity":1}"#;
                vec![item; size / item.len()].join(",")
            }),
        ];
        for body in bodies {
            let info = measure(|| {
                let (mut scratch, mut out) = (Scratch::new(), Vec::new());
                let _ =
                    translate_into(body.as_bytes(), Terms::OPEN, &terms, &mut scratch, &mut out);
            });
            let most = u64::try_from(6 * body.len() + 65_536).unwrap();
            let shown = body.get(..40).unwrap_or_default();
            assert!(info.bytes_max <= most, "{} of {}: {shown}", info.bytes_max, body.len());
        }
    }
}
