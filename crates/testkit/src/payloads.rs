//! The three bodies that are measured. Their bytes are part of what was measured: what counts and
//! times are compared with holds for these.

use gopay_psp_client::Form;

/// Pairs as a form body.
#[must_use]
pub fn body(pairs: &[(&str, &str)]) -> Vec<u8> {
    pairs.iter().copied().collect::<Form<'_>>().encode().into_bytes()
}

/// What every call brings.
#[must_use]
pub const fn common() -> [(&'static str, &'static str); 9] {
    [
        ("tag", "gopay"),
        ("txtype", "TRANSACTION"),
        ("countrycode", "ID"),
        ("currency", "IDR"),
        ("login", "testclient"),
        ("password", "test123"),
        ("contractid", "TESTCONTRACT"),
        ("channel", "testchannel"),
        ("returnmode", "urlencodeext"),
    ]
}

/// About 0.5 KB: what must be there, and one item.
#[must_use]
pub fn minimal() -> Vec<u8> {
    let mut pairs = common().to_vec();
    pairs.extend([
        ("amount", "4500000"),
        ("merchanttxid", "ORDER-20250621-0001"),
        ("merchantredirecturl", "https://shop.example/checkout/return"),
        ("notificationurl", "https://psp.example/ppro/notify"),
        ("accountholdername", "Siti Rahma"),
        (
            "transientin.orderitems",
            r#"[{"name":"Kopi Gayo 250 g","price":"45000.00","quantity":1}]"#,
        ),
    ]);
    body(&pairs)
}

/// About 1.8 KB: every field, five items, names in UTF-8, quotes and escapes as they occur.
#[must_use]
pub fn full() -> Vec<u8> {
    let mut pairs = common().to_vec();
    pairs.extend([
        ("amount", "38750000"),
        ("merchanttxid", "ORDER-20250621-0002"),
        ("merchantredirecturl", "https://shop.example/r?cart=8f3a&lang=id"),
        ("accountholdername", "Zo\u{eb} van der Meer-Sudjana"),
        ("notificationurl", "https://psp.example/notify/gopay?m=4711"),
        ("sellingpoint", "web"),
        ("soldservice", "kelontong"),
        ("preferredlanguage", "id"),
        ("nonce", "c2f9d0de5b0e4a7f"),
        ("specin.deeplinkcallbackurl", "shopapp://paid/8f3a-cart"),
        ("specin.email", "zoe.sudjana+toko@mail.example.co.id"),
        ("specin.phone", "+62 812-3456-789"),
        ("specin.billingaddrfirstname", "Zo\u{eb}"),
        ("specin.billingaddrlastname", "van der Meer-Sudjana"),
        ("specin.billingphone", "+62 21 555 0100"),
        ("specin.billingaddrline1", "Jl. Jend. Sudirman Kav. 52-53, Lt. 11"),
        ("specin.billingaddrcity", "Jakarta Selatan"),
        ("specin.billingaddrpostalcde", "12190"),
        ("specin.billingcntrycde", "ID"),
        ("specin.shippingaddrfirstname", "Budi"),
        ("specin.shippingaddrlastname", "Santoso"),
        ("specin.shippingphone", "0812 3456 789"),
        ("specin.shippingaddrline1", "Gg. Melati No. 7 RT 03/RW 05"),
        ("specin.shippingaddrcity", "Yogyakarta"),
        ("specin.shippingaddrpostalcde", "55281"),
        ("specin.shippingcntrycde", "ID"),
        ("specin.dynamicdescriptor", "Toko Budi & Anak"),
        (
            "transientin.orderitems",
            concat!(
                r#"[{"name":"Kopi Gayo 250 g","price":"45000.00","quantity":3},"#,
                "{\"name\":\"Caf\u{e9} filter\",\"price\":\"25000.00\",\"quantity\":2},",
                r#"{"name":"Cangkir \"Bali\"","price":"72500.00","quantity":2},"#,
                "{\"name\":\"Teh \u{62b}\u{644}\u{62c} \u{1f9ca}\",\"price\":\"67500.00\",\"quantity\":1},",
                r#"{"name":"Diskon","price":"-10000.00","quantity":1}]"#
            ),
        ),
    ]);
    body(&pairs)
}

/// About 6 KB: fifty items.
#[must_use]
pub fn fifty_items() -> Vec<u8> {
    let items: Vec<String> = (1..=50)
        .map(|number| {
            format!(r#"{{"name":"Barang nomor {number}","price":"{number}000.00","quantity":1}}"#)
        })
        .collect();
    let cart = format!("[{}]", items.join(","));
    let mut pairs = common().to_vec();
    pairs.extend([
        ("amount", "127500000"),
        ("merchanttxid", "ORDER-20250621-0003"),
        ("merchantredirecturl", "https://shop.example/checkout/return"),
        ("notificationurl", "https://psp.example/ppro/notify"),
        ("accountholdername", "Siti Rahma"),
        ("specin.email", "siti@example.org"),
        ("specin.phone", "+628123456789"),
        ("transientin.orderitems", &cart),
    ]);
    body(&pairs)
}

/// All of them, by name.
#[must_use]
pub fn all() -> [(&'static str, Vec<u8>); 3] {
    [("minimal", minimal()), ("full", full()), ("fifty_items", fifty_items())]
}
