//! Bodies that cost as much as an unauthenticated caller can make them cost.

use gopay_testkit::payloads;

type Maker = fn(usize) -> String;

/// What each is called, and how one of about so many bytes is made. All are refused.
pub(crate) const KINDS: [(&str, Maker); 13] = [
    ("all escapes", |size| "%41".repeat(size / 3)),
    ("all broken escapes", |size| "%".repeat(size)),
    ("escapes, every other broken", |size| "%41%4g".repeat(size / 6)),
    ("all U+0000", |size| "%00".repeat(size / 3)),
    ("not UTF-8, twice", |size| format!("tag=a&tag={}", "%ff".repeat(size / 3))),
    ("long characters", |size| format!("tag={}", "%f0%9f%99%82".repeat(size / 12))),
    ("separators", |size| "&=".repeat(size / 2)),
    ("equals signs", |size| "=".repeat(size)),
    ("a thousand fields", |size| (0..size / 8).map(|at| format!("a{at}=b&")).collect()),
    ("unknown fields", |size| {
        let long = "x".repeat(size / 200);
        (0..190).map(|at| format!("{at}={long}&")).collect()
    }),
    ("deep JSON", |size| cart(&"[".repeat(size))),
    ("one long string", |size| cart(&format!("[{{\"name\":\"{}", "x".repeat(size)))),
    ("unknown members", |size| cart(&format!("[{{{}", "\"a\":[{}],".repeat(size / 9)))),
];

/// A call whose cart is this text, as it is.
fn cart(text: &str) -> String {
    let mut pairs = payloads::common().to_vec();
    pairs.extend([("amount", "100"), ("accountholdername", "Siti Rahma")]);
    let body = String::from_utf8(payloads::body(&pairs)).expect("ASCII");
    format!("{body}&transientin.orderitems={text}")
}
