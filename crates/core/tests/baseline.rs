//! The product, the obvious way of `gopay_testkit::baseline` and the best ready-made crates
//! (`gopay_testkit::ready_made`) accept the same calls and write the same bytes: thousands of bodies, good, bad
//! and broken, from a fixed seed.

use gopay_core::ppro::form::Scratch;
use gopay_core::ppro::transaction::{Kyc, Terms};
use gopay_core::translate::translate_into;
use gopay_testkit::{Dice, baseline, payloads, product, ready_made, respelled};

/// A contract that has nothing to stand in for what a call leaves out.
const CLOSED: Terms<'static> = Terms {
    app_schemes: None,
    test_channel: true,
    live_channel: false,
    kyc: Kyc::Unverified,
    has_redirect_url: false,
    has_notification_url: false,
};

/// What the three say to one body: whether all accept it, and that they say the same.
fn compare(body: &[u8], terms: Terms, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
    let charge_terms = product::charge_terms();
    let ours = translate_into(body, terms, &charge_terms, scratch, out);
    let mut buffers = ready_made::Buffers::default();
    for (name, theirs) in [
        ("baseline", baseline::translate(body, terms, &charge_terms)),
        ("ready-made", buffers.translate(body, terms, &charge_terms).map(<[u8]>::to_vec)),
    ] {
        let shown = || String::from_utf8_lossy(body).into_owned();
        match (&ours, theirs) {
            (Ok(()), Ok(charge)) => assert_eq!(
                String::from_utf8_lossy(out),
                String::from_utf8_lossy(&charge),
                "the {name} way writes another charge for\n{}",
                shown()
            ),
            (Err(_), Err(_)) => {}
            (Ok(()), Err(error)) => panic!("the {name} way refuses: {error}\n{}", shown()),
            (Err(rejection), Ok(_)) => {
                panic!("only the {name} way accepts: {}\n{}", rejection.code(), shown())
            }
        }
    }
    ours.is_ok()
}

fn accepted(body: &[u8]) -> bool {
    compare(body, Terms::OPEN, &mut Scratch::new(), &mut Vec::new())
}

type Pairs = Vec<(String, String)>;

/// Values of texts; the fields differ in which of them they take. As in every list, the first is
/// good for every field that the list serves.
const TEXTS: &[&str] = &[
    "Siti Rahma",
    "",
    " ",
    "x",
    "Caf\u{e9} \u{1f642}",
    "a\nb",
    "a\rb",
    "a\u{2028}b",
    "a\u{85}b",
    "a\u{1}\u{7f}b",
    "say \"no\" \\ yes",
    "12190",
    "12190-1 A",
    "12190/1",
    "a&b=c+d%e",
    "<b>&amp;</b>",
];

const EMAILS: &[&str] = &[
    "siti@example.org",
    "a.b+c@mail.example.co.id",
    "o'neil@example.com",
    "x@localhost",
    "budi@b\u{fc}cher.example",
    "a@[127.0.0.1]",
    "a@xn--bcher-kva.example",
    "a@xn--.example",
    "siti",
    "siti@",
    "@example.org",
    "si ti@example.org",
    "siti@@example.org",
    "siti@-x.org",
    "siti@x-.org",
    "a@1.2.3.4",
    "a@b.c1",
    "a..b@example.org",
    ".a@example.org",
    "",
];

const PHONES: &[&str] = &[
    "+628123456789",
    "+62 812-3456-789",
    "+62 (21) 555 0100",
    "+62....8",
    "+12345",
    "+1234",
    "+123456789012345",
    "+1234567890123456",
    "+1    2345",
    "628123456789",
    "+0812345",
    "+62 812 abc",
    "+\u{0661}2345678",
    "",
];

const LINKS: &[&str] = &[
    "https://shop.example/return",
    "http://127.0.0.1:8080/notify?x=1",
    "http://[::1]/x",
    "https://shop.example",
    "https://shop.example?x=1#y",
    "https://shop.example/r?a=%20b&c=d#top",
    "https://toko.example/caf\u{e9}?q=\u{1f642}",
    "https://b\u{fc}cher.example/",
    "https://xn--a.example/",
    "HTTPS://shop.example/",
    "https://1.2.3/",
    "https://256.256.256.256/",
    "https://a.example:99999/",
    "https://a_b.example/\"quoted\"",
    "shopapp://paid",
    "shopapp://",
    "SHOPAPP://paid?x=1",
    "shopapp://paid?result=1",
    "shopapp://paid?result",
    "https://s.example/?a=1&result=2",
    "https://s.example/?a=1&results=2",
    "https://s.example/?a=1#result=2",
    "https://s.example/?a=1&cs=2",
    "https://s.example/?TXID",
    "https://s.example/#txid=2",
    "ftp://shop.example/",
    "intent://x",
    "ms-word://x",
    "sms:+6281",
    "//shop.example/",
    "shop.example",
    "https://",
    "https:///x",
    "https://user:pw@shop.example/",
    "https://user@shop.example/",
    "https://shop.example/@user",
    "https://shop.example/a b",
    "https://shop.example\\@evil.example/",
    "https://shop .example/",
    "https://sh%6fp.example/",
    "javascript://x/%0aalert(1)",
    "javascript:alert(1)",
    "data://x",
    "FILE://x/y",
    "mailto:a@b.example",
    "1app://x",
    "",
];

const AMOUNTS: &[&str] = &[
    "",
    "0",
    "1",
    "99",
    "100",
    "150",
    "0100",
    "-100",
    " 100",
    "100 ",
    "1e3",
    "100.00",
    "+100",
    "200000000",
    "200000100",
    "2000000000",
    "2000000100",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999",
    "\u{0661}00",
];

const COUNTRIES: &[&str] = &["ID", "SG", "DE", "id", "XX", "IDN", "I", "", " ID", "UK", "ZW"];

/// The form of a field: which values are worth sending.
fn values(name: &str) -> &'static [&'static str] {
    match name {
        "amount" => AMOUNTS,
        "specin.email" => EMAILS,
        "specin.phone" => PHONES,
        "merchantredirecturl" | "notificationurl" | "specin.deeplinkcallbackurl" => LINKS,
        "specin.billingcntrycde" | "specin.shippingcntrycde" => COUNTRIES,
        "returnmode" => &["urlencodeext", "urlencode", ""],
        "txtype" => &["TRANSACTION", "REFUND", "transaction", ""],
        "channel" => &["testchannel", "livechannel", "other", ""],
        "tag" => &["gopay", "GOPAY", ""],
        "countrycode" => &["ID", "SG", ""],
        "currency" => &["IDR", "idr", "USD", ""],
        "merchanttxid" | "nonce" => {
            &["ORDER-1_2.3,4", "a b", "a/b", "a:b", "\u{e9}", "x", "", "~", "\u{7f}"]
        }
        _ => TEXTS,
    }
}

const OPTIONAL: &[&str] = &[
    "merchanttxid",
    "merchantredirecturl",
    "notificationurl",
    "sellingpoint",
    "soldservice",
    "preferredlanguage",
    "nonce",
    "specin.deeplinkcallbackurl",
    "specin.email",
    "specin.phone",
    "specin.billingaddrfirstname",
    "specin.billingaddrlastname",
    "specin.billingphone",
    "specin.billingaddrline1",
    "specin.billingaddrcity",
    "specin.billingaddrpostalcde",
    "specin.billingcntrycde",
    "specin.shippingaddrfirstname",
    "specin.shippingaddrlastname",
    "specin.shippingphone",
    "specin.shippingaddrline1",
    "specin.shippingaddrcity",
    "specin.shippingaddrpostalcde",
    "specin.shippingcntrycde",
    "specin.dynamicdescriptor",
    "specin.own",
    "specin.other",
    "own",
];

const REQUIRED: &[(&str, &str)] = &[
    ("returnmode", "urlencodeext"),
    ("txtype", "TRANSACTION"),
    ("login", "testclient"),
    ("password", "test123"),
    ("contractid", "TESTCONTRACT"),
    ("channel", "testchannel"),
    ("tag", "gopay"),
    ("countrycode", "ID"),
    ("currency", "IDR"),
    ("accountholdername", "Siti Rahma"),
];

/// Item names as they stand between the quotes of the JSON.
const ITEM_NAMES: &[&str] = &[
    "Kopi",
    "Caf\u{e9} \u{1f642}",
    r#"Cangkir \"Bali\""#,
    r"tab\there \/ \\ there",
    r"\u00e9\ud83d\ude42",
    "Sepatu lari pria ukuran 42 warna hitam dengan sol karet yang awet",
    r"\u0001\u001fa",
    " x",
    "x",
];

const ITEM_FAULTS: &[&str] = &[
    r#"{"name":"","price":"1.00","quantity":1}"#,
    r#"{"name":"a\u0000","price":"1.00","quantity":1}"#,
    r#"{"name":" ","price":"1.00","quantity":1}"#,
    r#"{"name":"\u00a0\n","price":"1.00","quantity":1}"#,
    r#"{"name":5,"price":"1.00","quantity":1}"#,
    r#"{"name":"a","price":1,"quantity":1}"#,
    r#"{"name":"a","price":"1","quantity":1}"#,
    r#"{"name":"a","price":"1.50","quantity":1}"#,
    r#"{"name":"a","price":"01.00","quantity":1}"#,
    r#"{"name":"a","price":"+1.00","quantity":1}"#,
    r#"{"name":"a","price":"1_0.00","quantity":1}"#,
    r#"{"name":"a","price":"99999999999999.00","quantity":1}"#,
    r#"{"name":"a","price":"1.00","quantity":0}"#,
    r#"{"name":"a","price":"1.00","quantity":-1}"#,
    r#"{"name":"a","price":"1.00","quantity":1.0}"#,
    r#"{"name":"a","price":"1.00","quantity":"1"}"#,
    r#"{"name":"a","price":"1.00","quantity":1000000000}"#,
    r#"{"name":"a","price":"1.00","quantity":99999999999999999999}"#,
    r#"{"name":"a","price":"1.00"}"#,
    r#"{"name":"a","price":"1.00","quantity":null}"#,
    r#"{"name":"a","name":"b","price":"1.00","quantity":1}"#,
    r#"["a","1.00",1]"#,
    "null",
    "{}",
    r#"{"name":"\ud800","price":"1.00","quantity":1}"#,
    r#"{"name":"a","price":"1.00","quantity":01}"#,
    r#"{"name":"a","price":"1.00","quantity":1,}"#,
    "[",
];

/// A cart and what it comes to, in rupiah.
fn cart(dice: &mut Dice) -> (String, i64) {
    let count = match dice.index(20) {
        0 => 60 + dice.index(400),
        1 => 10 + dice.index(40),
        _ => 1 + dice.index(5),
    };
    let mut sum = 0;
    let mut items = Vec::new();
    for at in 0..count {
        let quantity = 1 + i64::try_from(dice.index(3)).expect("a small number");
        let price = i64::try_from(dice.index(30_000)).expect("a small number");
        let price = if at > 0 && dice.one_in(6) { -price / 10 } else { price };
        sum += price * quantity;
        let name = dice.pick(ITEM_NAMES);
        let more = if dice.one_in(5) { r#","sku":[1,{"x":null}],"n":1e999"# } else { "" };
        let blank = if dice.one_in(5) { " \n\t" } else { "" };
        items.push(if dice.one_in(3) {
            format!(
                r#"{{{blank}"quantity":{quantity},"price":"{price}.00","name":"{name}"{more}}}"#
            )
        } else {
            format!(
                r#"{{"name":"{name}","price":"{price}.00",{blank}"quantity":{quantity}{more}}}"#
            )
        });
    }
    if dice.one_in(8) {
        let at = dice.index(items.len());
        items.insert(at, (*dice.pick(ITEM_FAULTS)).to_owned());
    }
    let cart = format!("[{}]", items.join(","));
    match dice.index(60) {
        0 => ("[]".to_owned(), sum),
        1 => ("{}".to_owned(), sum),
        2 => (cart + "x", sum),
        3 => (String::new(), sum),
        _ => (cart, sum),
    }
}

fn pairs(dice: &mut Dice) -> Pairs {
    let mut pairs: Pairs =
        REQUIRED.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (cart, sum) = cart(dice);
    let amount = if dice.one_in(12) { sum * 100 + 100 } else { sum * 100 };
    pairs.push(("amount".to_owned(), amount.to_string()));
    pairs.push(("transientin.orderitems".to_owned(), cart));
    let wanted = dice.index(OPTIONAL.len());
    let odd_every = 5 + dice.index(100);
    for name in OPTIONAL {
        if dice.index(OPTIONAL.len()) > wanted {
            continue;
        }
        let values = values(name);
        let odd = dice.one_in(odd_every);
        let value = if odd { dice.pick(values) } else { values.first().unwrap_or(&"x") };
        let value = match (odd, dice.index(8)) {
            (true, 0) => value.repeat(1 + 260 / value.len().max(1)),
            (true, 1) => {
                let lengths = [40_usize, 50, 51, 100, 101, 255, 256];
                let length = lengths.get(dice.index(lengths.len())).expect("below the length");
                "\u{1f642}".repeat(*length)
            }
            _ => (*value).to_owned(),
        };
        pairs.push(((*name).to_owned(), value));
    }
    if dice.one_in(10) {
        let at = dice.index(pairs.len());
        let (name, value) = pairs.get_mut(at).expect("below the length");
        if name != "transientin.orderitems" {
            *value = (*dice.pick(values(name))).to_owned();
        }
    }
    match dice.index(40) {
        0 => drop(pairs.remove(dice.index(pairs.len()))),
        1 => {
            let again = pairs.get(dice.index(pairs.len())).cloned().expect("below the length");
            pairs.push(again);
        }
        2 => {
            let many = dice.index(30);
            pairs.extend((0..many).map(|at| (format!("specin.x{at}"), "v".to_owned())));
        }
        3 => {
            let many = 150 + dice.index(60);
            pairs.extend((0..many).map(|at| (format!("x{at}"), String::new())));
        }
        _ => {}
    }
    for at in (1..pairs.len()).rev() {
        pairs.swap(at, dice.index(at + 1));
    }
    pairs
}

/// Encodes a text in one of the ways that mean the same.
fn encode(text: &str, dice: &mut Dice, out: &mut Vec<u8>) {
    let style = dice.index(4);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' if style != 3 => {
                out.push(byte);
            }
            b' ' if style == 1 => out.push(b'+'),
            // Left as they are by lax senders.
            b'[' | b']' | b'{' | b'}' | b'"' | b':' | b'/' | b'@' | 0x80.. if style == 2 => {
                out.push(byte);
            }
            _ if style == 0 => out.extend_from_slice(format!("%{byte:02x}").as_bytes()),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

fn body(pairs: &Pairs, dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        if !out.is_empty() || dice.one_in(20) {
            out.push(b'&');
        }
        if dice.one_in(30) {
            encode(name, dice, &mut out);
        } else {
            out.extend_from_slice(name.as_bytes());
        }
        if !value.is_empty() || dice.one_in(2) {
            out.push(b'=');
        }
        encode(value, dice, &mut out);
    }
    out
}

/// Breaks the encoding somewhere.
fn damage(body: &mut Vec<u8>, dice: &mut Dice) {
    let at = dice.index(body.len());
    let junk: &[u8] = dice.pick(&[
        &b"%"[..],
        b"%4",
        b"%zz",
        b"%00",
        b"\x00",
        b"%ff",
        b"\xff",
        b"%c3",
        b"\xc3",
        b"%ed%a0%80",
        b"&",
        b"&&=",
        b"=",
        b"+",
        b"\xef\xbf\xbd",
    ]);
    body.splice(at..at, junk.iter().copied());
}

#[test]
fn all_agree_on_thousands_of_bodies() {
    let mut dice = Dice::new(20_250_621);
    let (mut scratch, mut out) = (Scratch::new(), Vec::new());
    let (mut good, mut bad, mut folded) = (0_u32, 0_u32, 0_u32);
    for _ in 0..12_000 {
        let pairs = pairs(&mut dice);
        let mut body = body(&pairs, &mut dice);
        if dice.one_in(8) {
            damage(&mut body, &mut dice);
        }
        let terms = if dice.one_in(4) { CLOSED } else { Terms::OPEN };
        if compare(&body, terms, &mut scratch, &mut out) {
            good += 1;
            folded += u32::from(String::from_utf8_lossy(&out).contains("further items"));
        } else {
            bad += 1;
        }
    }
    assert!(good > 3_000, "{good} accepted");
    assert!(bad > 3_000, "{bad} refused");
    assert!(folded > 20, "{folded} folded");
}

#[test]
fn all_agree_on_each_value_of_each_field() {
    let mut good = 0_u32;
    let mut bad = 0_u32;
    for name in OPTIONAL.iter().chain(REQUIRED.iter().map(|(name, _)| name)) {
        for value in values(name) {
            let mut pairs = minimal();
            pairs.retain(|(other, _)| other != name);
            pairs.push((name, value));
            if accepted(&payloads::body(&pairs)) { good += 1 } else { bad += 1 }
        }
    }
    assert!(good > 150 && bad > 150, "{good} accepted, {bad} refused");
}

#[test]
fn all_agree_on_each_form_of_item() {
    for item in ITEM_FAULTS {
        let cart = format!("[{item}]");
        let mut pairs = minimal();
        pairs.retain(|(name, _)| *name != "transientin.orderitems");
        pairs.push(("transientin.orderitems", &cart));
        assert!(!accepted(&payloads::body(&pairs)), "{item}");
    }
}

#[test]
fn all_write_the_same_charge_for_the_measured_bodies() {
    for (name, body) in payloads::all() {
        assert!(accepted(&body), "{name}");
    }
    let lengths = payloads::all().map(|(_, body)| body.len());
    assert!((400..700).contains(&lengths[0]), "{lengths:?}");
    assert!((1_500..2_300).contains(&lengths[1]), "{lengths:?}");
    assert!((5_000..7_500).contains(&lengths[2]), "{lengths:?}");
}

/// Senders spell in many ways; it stays the same payment.
#[test]
fn all_write_the_same_charge_however_a_body_is_spelled() {
    let (mut scratch, mut out, mut first) = (Scratch::new(), Vec::new(), Vec::new());
    for (name, body) in payloads::all() {
        assert!(compare(&body, Terms::OPEN, &mut scratch, &mut first), "{name}");
        let spellings = respelled::spellings(&body, 400);
        for spelling in &spellings {
            assert!(compare(spelling, Terms::OPEN, &mut scratch, &mut out), "{name}");
            assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&first), "{name}");
        }
        let distinct: std::collections::BTreeSet<_> = spellings.iter().collect();
        assert_eq!(distinct.len(), 400, "{name}");
    }
}

/// Carts and texts beyond Midtrans' 16,000 characters are brought down in the same way.
#[test]
fn all_bring_long_bodies_under_the_limit_alike() {
    for (count, part) in [(300, 0), (990, 0), (200, 255), (1, 255)] {
        let items =
            vec![r#"{"name":"Kopi \"Gayo\"","price":"7.00","quantity":2}"#; count].join(",");
        let cart = format!("[{items}]");
        let amount = (count * 1_400).to_string();
        // A name of nothing but these would show nothing.
        let long = format!("{}{}", "a".repeat(part.min(1)), "\u{1}".repeat(part.saturating_sub(1)));
        let mut pairs = minimal();
        pairs.retain(|(name, _)| !matches!(*name, "amount" | "transientin.orderitems"));
        pairs.extend([("amount", amount.as_str()), ("transientin.orderitems", cart.as_str())]);
        pairs.extend(
            OPTIONAL
                .iter()
                .filter(|name| name.contains("addr") && !name.contains("postal"))
                .map(|name| (*name, long.as_str())),
        );
        assert!(accepted(&payloads::body(&pairs)), "{count} items, parts of {part}");
    }
}

#[test]
fn all_bound_the_deeplink_in_characters_and_bytes() {
    for (filler, count, good) in [
        ("a", 1_990, true),
        ("a", 1_991, false),
        ("\u{e9}", 1_990, true),
        ("\u{1f642}", 997, true),
        ("\u{1f642}", 998, false),
    ] {
        let link = format!("shopapp://{}", filler.repeat(count));
        let mut pairs = minimal();
        pairs.push(("specin.deeplinkcallbackurl", &link));
        assert_eq!(accepted(&payloads::body(&pairs)), good, "{filler} {count} times");
    }
}

/// What stands before the first `://` need not be a scheme.
#[test]
fn all_refuse_addresses_that_do_not_begin_with_a_scheme() {
    for (name, value) in [
        ("merchantredirecturl", "https:evil.example/?u=https://shop.example/"),
        ("merchantredirecturl", "https:/evil.example/?u=https://shop.example/"),
        ("notificationurl", "http:psp.example/?u=https://shop.example/"),
        ("specin.deeplinkcallbackurl", "javascript:alert(1)//://x"),
        ("specin.deeplinkcallbackurl", "data:text/html,<script>alert(1)</script>://x"),
        ("specin.deeplinkcallbackurl", "https:evil.example/?u=https://shop.example/"),
        ("specin.deeplinkcallbackurl", "mailto:a@b.example?x=://"),
    ] {
        let mut pairs = minimal();
        pairs.push((name, value));
        assert!(!accepted(&payloads::body(&pairs)), "{name}={value}");
    }
}

/// A question mark in the fragment begins no query.
#[test]
fn all_look_for_what_is_added_to_a_return_address() {
    for (name, value, good) in [
        ("specin.deeplinkcallbackurl", "https://shop.example/#/paid", false),
        ("specin.deeplinkcallbackurl", "shopapp://paid?a=1", false),
        ("specin.deeplinkcallbackurl", "https://shop.example/?", false),
        ("specin.deeplinkcallbackurl", "https://shop.example/%3F", true),
        ("merchantredirecturl", "https://shop.example/#/paid?txid=1", true),
        ("merchantredirecturl", "shopapp://paid?a=1", true),
        ("merchantredirecturl", "https://shop.example/?a=txid&b#cs=1", true),
        ("merchantredirecturl", "https://shop.example/?txid=1#b", false),
        ("merchantredirecturl", "https://shop.example/?a&%43S", false),
        ("merchantredirecturl", "shopapp://paid?cs", false),
        ("merchantredirecturl", "intent://paid", false),
    ] {
        let mut pairs = minimal();
        pairs.push((name, value));
        assert_eq!(accepted(&payloads::body(&pairs)), good, "{name}={value}");
    }
}

/// A parameter of another call is still a parameter, sent once and well encoded.
#[test]
fn all_check_the_encoding_of_parameters_of_other_calls() {
    for (tail, good) in [
        ("&txid=1", true),
        ("&txid=1&txid=2", false),
        ("&refundid=%zz", false),
        ("&merchantrefundid=%ff", false),
        ("&txid=%00", false),
    ] {
        let mut body = payloads::minimal();
        body.extend_from_slice(tail.as_bytes());
        assert_eq!(accepted(&body), good, "{tail}");
    }
}

/// JSON has two ways to write U+0008 and U+000C; either is right.
#[test]
fn all_mean_the_same_where_json_leaves_a_choice() {
    let mut pairs = minimal();
    pairs.push(("specin.billingaddrcity", "a\u{8}b\u{c}c"));
    let body = payloads::body(&pairs);
    let terms = product::charge_terms();
    let mut out = Vec::new();
    let ours = translate_into(&body, Terms::OPEN, &terms, &mut Scratch::new(), &mut out);
    assert_eq!(ours, Ok(()));
    let obvious = baseline::translate(&body, Terms::OPEN, &terms).expect("a good body");
    let read =
        |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("both write JSON");
    assert_eq!(read(&out), read(&obvious));
    assert_eq!(
        read(&out).pointer("/customer_details/billing_address/city"),
        Some(&"a\u{8}b\u{c}c".into())
    );
}

/// The least that passes, without the addresses, which the terms stand in for.
fn minimal() -> Vec<(&'static str, &'static str)> {
    let mut pairs = REQUIRED.to_vec();
    pairs.push(("amount", "4500000"));
    pairs.push(("transientin.orderitems", r#"[{"name":"Kopi","price":"45000.00","quantity":1}]"#));
    pairs
}
