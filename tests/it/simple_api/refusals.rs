//! What is refused, with which words, and what passes at the edge of each rule.

use super::*;

/// The parameter, its value (`-`: not sent), and the parameter that the refusal must name if that
/// is another one.
const REFUSED: [(&str, &str, &str); 110] = [
    ("channel", "-", ""),
    ("channel", "", ""),
    ("channel", "Testchannel", ""),
    ("channel", "livechannel", ""),
    ("channel", "testchannel\0", ""),
    ("tag", "-", ""),
    ("tag", "GOPAY", ""),
    ("tag", "dumbdummy", ""),
    ("countrycode", "-", ""),
    ("countrycode", "id", ""),
    ("countrycode", "SG", ""),
    ("countrycode", "IDN", ""),
    ("currency", "-", ""),
    ("currency", "idr", ""),
    ("currency", "USD", ""),
    ("amount", "-", ""),
    ("amount", "", ""),
    ("amount", "0", ""),
    ("amount", "1", ""),
    ("amount", "99", ""),
    ("amount", "1000050", ""),
    ("amount", "01000000", ""),
    ("amount", "+1000000", ""),
    ("amount", "-1000000", ""),
    ("amount", "1e6", ""),
    ("amount", "1000000.00", ""),
    ("amount", " 1000000", ""),
    ("amount", "1000000\n", ""),
    ("amount", "\u{ff11}00", ""),
    ("amount", "2147483648", ""),
    ("amount", "18446744073709551616", ""),
    ("amount", "10000", ""),
    ("amount", "1000100", "transientin.orderitems"),
    ("amount", "100000000", "transientin.orderitems"),
    ("merchanttxid", "", ""),
    ("merchanttxid", "a b", ""),
    ("merchanttxid", "a/b", ""),
    ("merchanttxid", "a:b", ""),
    ("merchanttxid", "\u{e9}", ""),
    ("merchanttxid", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ""),
    ("merchantredirecturl", "", ""),
    ("merchantredirecturl", "shop.example", ""),
    ("merchantredirecturl", "//shop.example/", ""),
    ("merchantredirecturl", "javascript:alert(1)", ""),
    ("merchantredirecturl", "ftp://shop.example/", ""),
    ("merchantredirecturl", "https://u:p@shop.example/", ""),
    ("merchantredirecturl", "https://shop.example/a b", ""),
    ("merchantredirecturl", "https://shop.example:65536/", ""),
    ("merchantredirecturl", "https://shop.example/\r\nx: y", ""),
    ("accountholdername", "-", ""),
    ("accountholdername", "Li", ""),
    ("accountholdername", "Siti\nRahma", ""),
    ("accountholdername", "   ", ""),
    ("accountholdername", "\u{a0}\u{200b}\u{3000}", ""),
    ("specin.billingaddrfirstname", " ", ""),
    ("tag", "dumbdummy", ""),
    ("notificationurl", "psp", ""),
    ("notificationurl", "file:///etc/passwd", ""),
    ("notificationurl", "http://10.0.0.1/notify", ""),
    ("notificationurl", "http://[fd00::1]/notify", ""),
    ("notificationurl", "http://169.254.169.254/latest/meta-data", ""),
    ("sellingpoint", "123456789012345678901234567890123456789012345678901", ""),
    ("soldservice", "a\nb", ""),
    ("nonce", "", ""),
    ("nonce", "\u{e9}", ""),
    ("specin.deeplinkcallbackurl", "", ""),
    ("specin.deeplinkcallbackurl", "paid", ""),
    ("specin.deeplinkcallbackurl", "javascript://x/%0aalert(1)", ""),
    ("specin.deeplinkcallbackurl", "vbscript://x", ""),
    ("specin.deeplinkcallbackurl", "about://blank", ""),
    ("specin.deeplinkcallbackurl", "shopapp://paid?result=x", ""),
    ("specin.deeplinkcallbackurl", "https://shop.example/?a=1", ""),
    ("specin.deeplinkcallbackurl", "intent://scan/#Intent;end", ""),
    ("specin.deeplinkcallbackurl", "tel:+628123", ""),
    ("merchantredirecturl", "market://details", ""),
    ("merchantredirecturl", "https://shop.example/?txid=1", ""),
    ("merchantredirecturl", "https://shop.example/?a=1&cs=2", ""),
    ("specin.email", "", ""),
    ("specin.email", "siti", ""),
    ("specin.email", "siti@", ""),
    ("specin.email", "si ti@example.org", ""),
    ("specin.email", "Siti <siti@example.org>", ""),
    ("specin.email", "siti@example.org\r\nBcc: x@example.org", ""),
    ("specin.phone", "", ""),
    ("specin.phone", "08123456789", ""),
    ("specin.phone", "628123456789", ""),
    ("specin.phone", " 628123456789", ""),
    ("specin.phone", "+62", ""),
    ("specin.phone", "+62 812 ext", ""),
    ("specin.billingaddrline1", "Jl. Sudirman\n1", ""),
    ("specin.billingaddrpostalcde", "12190/1", ""),
    ("specin.billingcntrycde", "", ""),
    ("specin.billingcntrycde", "id", ""),
    ("specin.billingcntrycde", "XX", ""),
    ("specin.shippingcntrycde", "Indonesia", ""),
    ("specin.shippingaddrpostalcde", "a_b", ""),
    ("transientin.orderitems", "-", ""),
    ("transientin.orderitems", "", ""),
    ("transientin.orderitems", "x", ""),
    ("transientin.orderitems", "{}", ""),
    ("transientin.orderitems", "[]", ""),
    ("transientin.orderitems", "[1]", "transientin.orderitems[0]"),
    ("transientin.orderitems", "[{}]", "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"name":""}]"#, "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"name":" "}]"#, "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"name":1}]"#, "transientin.orderitems[0].name"),
    ("transientin.orderitems", r#"[{"price":2000}]"#, "transientin.orderitems[0].price"),
    ("transientin.orderitems", r#"[{"price":"2000"}]"#, "transientin.orderitems[0].price"),
    ("transientin.orderitems", r#"[{"price":"1.50"}]"#, "transientin.orderitems[0].price"),
    ("transientin.orderitems", r#"[{"quantity":"2"}]"#, "transientin.orderitems[0].quantity"),
];

#[tokio::test]
async fn refusals_name_the_parameter_and_are_recorded() {
    let demo = Demo::start().await;
    let mut ids = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, value, named) in REFUSED {
        let (_, answer) = send(&demo, transaction(&[(name, value)])).await;
        let subject = if named.is_empty() { name } else { named };
        let shown = (&answer["STATUS"], answer.get("FAILREASON"), &answer["ERRMSG"]);
        let good = answer["STATUS"] == "FAILED"
            && answer["FAILREASON"] == "INPUT_DATA"
            && answer["FUNDSSTATUS"] == "NOT_EXPECTED"
            && answer["ERRMSG"].strip_prefix(subject).is_some_and(|rest| rest.starts_with(": "));
        if !good {
            wrong.push(format!("{name}={value:?}: {shown:?}"));
            continue;
        }
        // Long or telling values do not come back.
        let echoed = value.len() > 12 && answer["ERRMSG"].contains(value);
        assert!(!echoed, "{name}={value:?}: {shown:?}");
        assert!(ids.insert(answer["TXID"].clone()) && answer["TXID"] != "0", "{answer:?}");
        let mut kept = demo.status(&answer["TXID"]).await;
        assert_eq!(kept.remove("REQUESTSTATUS").as_deref(), Some("SUCCEEDED"), "{name}={value:?}");
        kept.retain(|key, _| !key.starts_with("RAND"));
        assert_eq!(kept, answer, "{name}={value:?}");
    }
    assert!(wrong.is_empty(), "not refused as they should be:\n{}", wrong.join("\n"));
    assert_eq!(demo.all_upstream().await.len(), 0, "none of them reached GoPay");
}

#[tokio::test]
async fn values_at_the_edge_pass() {
    let demo = Demo::start().await;
    let long_name = "\u{1f600}".repeat(100);
    let long_url = format!("https://h.example/{}", "a".repeat(237));
    let line = "x".repeat(255);
    for (name, value) in [
        ("merchanttxid", "a.,-_0123456789012345678901234567890123Z"),
        ("accountholdername", "Ani"),
        ("accountholdername", long_name.as_str()),
        ("merchantredirecturl", long_url.as_str()),
        ("sellingpoint", ""),
        ("preferredlanguage", "klingon"),
        ("nonce", "~ !"),
        ("specin.deeplinkcallbackurl", "shopapp://paid"),
        ("specin.email", "o'neil+x@example.co.id"),
        ("specin.phone", "+62 (21) 555-0100"),
        ("specin.billingaddrline1", line.as_str()),
        ("specin.billingaddrcity", ""),
        ("specin.billingaddrpostalcde", "12190-1 A"),
        ("specin.billingcntrycde", "TL"),
        ("specin.shippingcntrycde", ""),
        ("specin.dynamicdescriptor", "\u{7}"),
        ("specin.unheard.of", "x"),
        ("specin.", "x"),
        ("transientin.other", "x"),
        ("Amount", "not ours"),
        ("", "no name"),
    ] {
        let (_, answer) = send(&demo, transaction(&[(name, value)])).await;
        assert_eq!(answer["STATUS"], "PENDING", "{name}={value:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_wallet_limits_are_exact() {
    let demo = Demo::start().await;
    for (rupiah, status, message) in [
        (1_u64, "PENDING", ""),
        (20_000_000, "PENDING", ""),
        (20_000_001, "FAILED", "amount: above the limit; at most 2000000000 (IDR 20,000,000)"),
        (99_999_999, "FAILED", "amount: above the limit; at most 2000000000 (IDR 20,000,000)"),
    ] {
        let cart = one_item(&format!("\"{rupiah}.00\""), "1");
        let amount = (rupiah * 100).to_string();
        let changes = [("amount", amount.as_str()), ("transientin.orderitems", &cart)];
        let (_, answer) = send(&demo, transaction(&changes)).await;
        expect(&answer, &[("STATUS", status), ("ERRMSG", message)]);
    }
}

/// The guide promises 2,000 characters. What GoPay's deeplink makes of them is not the PSP's
/// business: the charge exists, so the answer must not be that it does not.
#[tokio::test]
async fn a_callback_address_of_the_promised_length_works() {
    let demo = Demo::start().await;
    for filler in ["a", "/", "\u{e9}"] {
        let url = format!("shopapp://paid/{}", filler.repeat(1_900));
        let (_, answer) = send(&demo, transaction(&[("specin.deeplinkcallbackurl", &url)])).await;
        assert_eq!(answer["STATUS"], "PENDING", "1,900 of {filler:?}: {answer:?}");
    }
}

#[tokio::test]
async fn carts_at_the_edge() {
    let demo = Demo::start().await;
    let item = r#"{"name":"kopi susu","price":"1.00","quantity":1}"#;
    let thousand = format!("[{}]", vec![item; 1_000].join(","));
    let more = format!("[{}]", vec![item; 1_001].join(","));
    let discount = |quantity: &str| {
        format!(
            r#"[{{"name":"a","price":"9999999999999.00","quantity":{quantity}}},{{"name":"b","price":"-9999999999998.00","quantity":1}}]"#
        )
    };
    let extra =
        |value: &str| format!(r#"[{{"name":"a","price":"1.00","quantity":1,"more":{value}}}]"#);
    let nested = |depth: usize| extra(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    let huge = "9".repeat(50_000);
    let item_price = "transientin.orderitems[0].price";
    let item_quantity = "transientin.orderitems[0].quantity";
    let cart = "transientin.orderitems";
    for (value, amount, subject) in [
        (thousand.clone(), "100000", ""),
        (more, "100100", cart),
        (discount("1"), "100", ""),
        (discount("999999999"), "100", "transientin.orderitems[0]"),
        (extra("1e999999"), "100", ""),
        (extra(&huge), "100", ""),
        (nested(30), "100", ""),
        (nested(1_000), "100", cart),
        ("[".repeat(30_000), "100", cart),
        (r#"{"a":"#.repeat(10_000), "100", cart),
        (one_item(&format!("\"{huge}.00\""), "1"), "100", item_price),
        (one_item("\"1.00\"", &huge), "100", item_quantity),
        (one_item("\"1.00\"", "1000000000"), "100", item_quantity),
        (one_item("\"1.00\"", "1e0"), "100", item_quantity),
        (one_item("\"1.00\"", "1.0"), "100", item_quantity),
        (one_item("\"1.00\"", "0"), "100", item_quantity),
        (one_item("\"1.00\"", "-1"), "100", item_quantity),
        (one_item("\"1.00\"", "999999999"), "100", cart),
        (one_item("\"-1.00\"", "1"), "100", cart),
        (one_item("1", "1"), "100", item_price),
        (one_item("\"01.00\"", "1"), "100", item_price),
        (one_item("\"1,00\"", "1"), "100", item_price),
        (one_item("\"1.000,00\"", "1"), "100", item_price),
        (format!("{} ", one_item("\"1.00\"", "1")), "100", ""),
        (format!("{}x", one_item("\"1.00\"", "1")), "100", cart),
        (format!("\u{feff}{}", one_item("\"1.00\"", "1")), "100", cart),
        (r#"[{"n\u0061me":"a","price":"1.00","quantity":1}]"#.to_owned(), "100", ""),
        (r#"[{"name":"\ud83d\ude00","price":"1.00","quantity":1}]"#.to_owned(), "100", ""),
        (r#"[{"name":"\ud83d","price":"1.00","quantity":1}]"#.to_owned(), "100", cart),
        (r#"[{"name":"a","price":"1.00","quantity":1},]"#.to_owned(), "100", cart),
    ] {
        let changes = [("amount", amount), ("transientin.orderitems", &value)];
        let (_, answer) = send(&demo, transaction(&changes)).await;
        let value: String = value.chars().take(80).collect();
        if subject.is_empty() {
            assert_eq!(answer["STATUS"], "PENDING", "{value}: {answer:?}");
        } else {
            let named = answer["ERRMSG"].starts_with(&format!("{subject}: "));
            assert!(named && answer["TXID"] != "0", "{value}: {answer:?}");
        }
    }
    // A cart that Midtrans would not take is folded, to the same sum.
    let changes = [("amount", "100000"), ("transientin.orderitems", thousand.as_str())];
    let (_, answer) = send(&demo, transaction(&changes)).await;
    assert_eq!(demo.upstream(&answer["TXID"]).await["gross_amount"], 1_000);
}
