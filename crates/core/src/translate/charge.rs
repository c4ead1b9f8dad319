//! From a checked TRANSACTION to the body of a Midtrans charge.
//!
//! Source: `docs/midtrans.md`, "Charge request". Absent stays absent; lengths are cut at character
//! boundaries; the items add up to `gross_amount`, even after surplus items were folded into one.

use std::cell::RefCell;
use std::time::Duration;

use gopay_scan::{STOPS, stops};

use crate::bytes::{PRINTABLE, all};
use crate::ids::TxId;
use crate::ppro::call::{self, TxType};
use crate::ppro::field::Field;
use crate::ppro::form::{Form, Scratch};
use crate::ppro::items::Item;
use crate::ppro::transaction::{Address, Terms, TransactionRequest, check};
use crate::rejection::{First, Rejection, Rule};
use crate::text::{
    behind, cut, push_digits, push_json_escaped, push_json_escaped_within, push_json_string,
    push_number,
};
use crate::time::Timestamp;

/// Midtrans takes bodies of at most 16,000 characters; counted in bytes here, which is never less.
pub const BODY_BYTES_MAX: usize = 16_000;

/// The longest item name, in characters.
const ITEM_NAME_MAX: usize = 50;

/// The longest custom field, in characters.
const CUSTOM_FIELD_MAX: usize = 255;

/// What a charge needs beside the order.
#[derive(Clone, Copy, Debug)]
pub struct ChargeTerms<'a> {
    /// Ours; Midtrans' `order_id`.
    pub order_id: TxId,
    /// When the session began.
    pub order_time: Timestamp,
    /// How long the session lasts, in whole seconds.
    pub session: Duration,
    /// Where the GoPay app returns to unless the call says otherwise.
    pub return_url: &'a str,
}

/// Decodes a TRANSACTION call, checks all but its credentials, and gives the body of its charge.
///
/// ```
/// # use gopay_core::{ppro::transaction::Terms, time::Timestamp, translate::{ChargeTerms, translate}};
/// let body = b"returnmode=urlencodeext&txtype=TRANSACTION&login=l&password=p&contractid=c\
///     &channel=testchannel&tag=gopay&countrycode=ID&currency=IDR&amount=100\
///     &accountholdername=Siti&transientin.orderitems=\
///     %5B%7B%22name%22%3A%22Kopi%22%2C%22price%22%3A%221.00%22%2C%22quantity%22%3A1%7D%5D";
/// let charge = ChargeTerms {
///     order_id: "1".parse()?,
///     order_time: Timestamp::from_rfc3339("2025-06-21T08:34:20Z")?,
///     session: std::time::Duration::from_secs(3_600),
///     return_url: "https://pay.example/return/",
/// };
/// let made = translate(body, Terms::OPEN, &charge).map_err(|fault| fault.to_string())?;
/// assert!(made.starts_with(b"{\"payment_type\":\"gopay\""));
/// let refused = translate(b"tag=%zz", Terms::OPEN, &charge);
/// assert_eq!(refused.unwrap_err().code(), "returnmode");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The first fault, in the order of [`call::open`] and [`check`]; `txtype` if the call is another.
pub fn translate(
    body: &[u8],
    terms: Terms,
    charge_terms: &ChargeTerms<'_>,
) -> Result<Vec<u8>, Rejection> {
    thread_local! {
        static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new());
    }
    // A charge is seldom longer than the call, of which a third is encoding.
    let mut out = Vec::with_capacity(body.len().min(BODY_BYTES_MAX).saturating_add(CHARGE_BYTES));
    SCRATCH.with_borrow_mut(|scratch| {
        translate_into(body, terms, charge_terms, scratch, &mut out)?;
        scratch.shrink(SCRATCH_BYTES_KEPT);
        Ok(out)
    })
}

/// What a charge takes beside what was sent, and some room for blocks.
const CHARGE_BYTES: usize = 512;

/// A thread keeps buffers for calls of this length; those of longer ones it gives back.
const SCRATCH_BYTES_KEPT: usize = 65_536;

/// The same as [`translate`] with buffers that are reused: takes no memory once they have grown.
/// What is in `out` means nothing if the call is refused.
///
/// # Errors
/// As [`translate`].
pub fn translate_into(
    body: &[u8],
    terms: Terms,
    charge_terms: &ChargeTerms<'_>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let (form, items) = Form::decode(body, scratch);
    if call::open(&form)?.tx_type != TxType::Transaction {
        return Err(Rejection::of(Field::Txtype, Rule::MustBe("TRANSACTION")));
    }
    let mut first = First::default();
    match (check(&form, items, terms, &mut first), first.0) {
        (Some(order), None) => {
            charge(&order, charge_terms, out);
            Ok(())
        }
        // No order without a fault, see there.
        (_, fault) => Err(fault.unwrap_or(Rejection::of(Field::Orderitems, Rule::Missing))),
    }
}

/// Writes the charge body into `out`, which is emptied first.
///
/// At most [`BODY_BYTES_MAX`] bytes: first surplus items are folded into one line whose price
/// keeps the sum exact, then, only for absurdly long texts, the parts of addresses are cut.
pub fn charge(order: &TransactionRequest<'_>, terms: &ChargeTerms<'_>, out: &mut Vec<u8>) {
    // Address parts pass the check with at most 255 characters, so that the first turn cuts
    // nothing; the last turn always fits: 14 texts of 40 characters, 6 bytes each in the worst
    // escape, take less than 4,000 bytes; name, e-mail, phone and descriptor less than 4,000; and
    // the check bounds the return address at 4,000.
    for part_max in [255, 100, 40] {
        write_charge(order, terms, part_max, order.items.len(), out);
        let surplus = out.len().saturating_sub(BODY_BYTES_MAX);
        if surplus == 0 {
            return;
        }
        let kept = items_that_fit(order, surplus);
        write_charge(order, terms, part_max, kept, out);
        if out.len() <= BODY_BYTES_MAX {
            return;
        }
    }
}

/// How many items may stay if the body is `surplus` bytes too long.
fn items_that_fit(order: &TransactionRequest<'_>, surplus: usize) -> usize {
    /// Room for the line that stands for the others; its name and figures are bounded.
    const FOLDED_BYTES: usize = 120;
    let mut freed = 0;
    let mut line = Vec::new();
    for (at, item) in order.items.iter().enumerate().rev() {
        line.clear();
        write_any_item(item, order.items_text, &mut line);
        freed += line.len() + 1;
        if freed >= surplus + FOLDED_BYTES {
            return at;
        }
    }
    0
}

fn write_charge(
    order: &TransactionRequest<'_>,
    terms: &ChargeTerms<'_>,
    part_max: usize,
    kept: usize,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(b"{\"payment_type\":\"gopay\",\"transaction_details\":{\"order_id\":\"");
    push_digits(out, terms.order_id.get().unsigned_abs());
    out.extend_from_slice(b"\",\"gross_amount\":");
    push_digits(out, order.amount.get());
    out.extend_from_slice(b"},\"item_details\":[");
    write_items(order, kept, out);
    out.extend_from_slice(b"],\"customer_details\":{");
    write_customer(order, part_max, out);
    out.extend_from_slice(b"},\"gopay\":{\"enable_callback\":true,\"callback_url\":\"");
    match order.deeplink_callback_url {
        Some(url) => push_json_escaped_within(out, url, order.padded),
        None => push_json_escaped(out, terms.return_url),
    }
    out.extend_from_slice(b"\"},\"custom_expiry\":{\"order_time\":\"");
    terms.order_time.push_wib_seconds_with_offset(out);
    out.extend_from_slice(b"\",\"expiry_duration\":");
    push_digits(out, terms.session.as_secs());
    out.extend_from_slice(b",\"unit\":\"second\"}");
    if let Some(descriptor) = order.descriptor {
        write_descriptor(out, descriptor, order.padded);
    }
    out.push(b'}');
}

fn write_items(order: &TransactionRequest<'_>, kept: usize, out: &mut Vec<u8>) {
    let (shown, folded) = order.items.split_at_checked(kept).unwrap_or((order.items, &[]));
    let padded = order.padded.get(order.items_start..).unwrap_or_default();
    for item in shown {
        write_item(item, order.items_text, padded, out);
        out.push(b',');
    }
    if folded.is_empty() {
        // The last comma; there is an item at least.
        out.pop();
        return;
    }
    out.extend_from_slice(b"{\"price\":");
    push_number(out, folded.iter().map(Item::total).sum());
    out.extend_from_slice(b",\"quantity\":1,\"name\":\"");
    push_number(out, i128::try_from(folded.len()).unwrap_or(0));
    out.extend_from_slice(b" further items\"}");
}

#[inline]
fn write_item(item: &Item, items_text: &str, padded: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if write_plain_item(item, padded, out).is_none() {
        out.truncate(start);
        write_any_item(item, items_text, out);
    }
}

/// An item as nearly all are: a short name, and everything written as it was sent. Everything is copied in whole blocks, since that takes no calls; what a block
/// brings too much is overwritten by the next. None if the item is another.
#[inline]
fn write_plain_item(item: &Item, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    const NAME_BYTES: usize = 32;
    const DIGITS: usize = 16;
    const LINE: usize = 128;
    let (name, name_bytes) = item.sent_name().filter(|(_, bytes)| *bytes <= NAME_BYTES)?;
    let (price, price_bytes) = item.sent_price()?;
    let (quantity, quantity_bytes) = item.sent_quantity()?;
    let name: &[u8; NAME_BYTES] = text.get(name..)?.first_chunk()?;
    let price: &[u8; DIGITS] = text.get(price..)?.first_chunk()?;
    let quantity: &[u8; DIGITS] = text.get(quantity..)?.first_chunk()?;
    let start = out.len();
    out.resize(start + LINE, 0);
    let line: &mut [u8; LINE] = out.last_chunk_mut()?;
    let mut at = 0;
    at = put(line, at, b"{\"price\":", 9)?;
    at = put(line, at, price, price_bytes)?;
    at = put(line, at, b",\"quantity\":", 12)?;
    at = put(line, at, quantity, quantity_bytes)?;
    at = put(line, at, b",\"name\":\"", 9)?;
    at = put(line, at, name, name_bytes)?;
    at = put(line, at, b"\"}", 2)?;
    out.truncate(start + at);
    Some(())
}

/// Writes a whole block, of which `bytes` count; gives where the next one goes.
#[inline]
fn put<const N: usize>(line: &mut [u8], at: usize, block: &[u8; N], bytes: usize) -> Option<usize> {
    *line.get_mut(at..)?.first_chunk_mut()? = *block;
    Some(at + bytes)
}

fn write_any_item(item: &Item, items_text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"price\":");
    push_number(out, i128::from(item.price));
    out.extend_from_slice(b",\"quantity\":");
    push_number(out, i128::from(item.quantity));
    out.extend_from_slice(b",\"name\":");
    match item.plain_name(items_text) {
        Some(name) => push_json_string(out, cut(name, ITEM_NAME_MAX)),
        None => {
            let mut name = [0; ITEM_NAME_MAX * 4];
            let mut bytes = 0;
            for char in item.name_chars(items_text).take(ITEM_NAME_MAX) {
                let room = name.get_mut(bytes..).unwrap_or_default();
                bytes += char.encode_utf8(room).len();
            }
            let name = name.get(..bytes).and_then(|name| std::str::from_utf8(name).ok());
            push_json_string(out, name.unwrap_or_default());
        }
    }
    out.push(b'}');
}

fn write_customer(order: &TransactionRequest<'_>, part_max: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"\"first_name\":\"");
    let padded = order.padded;
    push_json_escaped_within(out, order.account_holder, padded);
    out.push(b'"');
    write_member(out, b",\"email\":\"", order.email, padded);
    write_member(out, b",\"phone\":\"", order.phone, padded);
    write_address(out, b",\"billing_address\":{", &order.billing, part_max, padded);
    write_address(out, b",\"shipping_address\":{", &order.shipping, part_max, padded);
}

#[inline]
fn write_address<const N: usize>(
    out: &mut Vec<u8>,
    begin: &[u8; N],
    address: &Address<'_>,
    part_max: usize,
    padded: &[u8],
) {
    let before = out.len();
    // Each member brings a comma before it; the first one's becomes the brace.
    let (brace, name) = begin.split_last().unwrap_or((&b'{', &[]));
    out.extend_from_slice(name);
    let start = out.len();
    write_member(out, b",\"first_name\":\"", short(address.first_name, part_max), padded);
    write_member(out, b",\"last_name\":\"", short(address.last_name, part_max), padded);
    write_member(out, b",\"phone\":\"", short(address.phone, part_max), padded);
    write_member(out, b",\"address\":\"", short(address.line, part_max), padded);
    write_member(out, b",\"city\":\"", short(address.city, part_max), padded);
    write_member(out, b",\"postal_code\":\"", short(address.postal_code, part_max), padded);
    write_member(
        out,
        b",\"country_code\":\"",
        address.country.and_then(crate::country::alpha3),
        padded,
    );
    match out.get_mut(start) {
        Some(comma) => {
            *comma = *brace;
            out.push(b'}');
        }
        None => out.truncate(before),
    }
}

fn short(part: Option<&str>, max: usize) -> Option<&str> {
    part.map(|part| cut(part, max))
}

#[inline]
fn write_member<const N: usize>(
    out: &mut Vec<u8>,
    begin: &[u8; N],
    value: Option<&str>,
    padded: &[u8],
) {
    let Some(value) = value else { return };
    let start = out.len();
    if write_short_member(out, begin, value, padded).is_none() {
        out.truncate(start);
        out.extend_from_slice(begin);
        push_json_escaped_within(out, value, padded);
        out.push(b'"');
    }
}

/// A member as nearly all are: one block of a text, and nothing in it to escape. The vector grows
/// once, and what the block brings too much is cut off. None if the member is another.
#[inline]
fn write_short_member<const N: usize>(
    out: &mut Vec<u8>,
    begin: &[u8; N],
    value: &str,
    padded: &[u8],
) -> Option<()> {
    const LINE: usize = 64;
    const { assert!(N + STOPS < LINE) };
    let block: &[u8; STOPS] = behind(value, padded)?.first_chunk()?;
    if value.len() > stops(block) {
        return None;
    }
    let start = out.len();
    out.resize(start + LINE, 0);
    let line: &mut [u8; LINE] = out.last_chunk_mut()?;
    *line.first_chunk_mut()? = *begin;
    *line.get_mut(N..)?.first_chunk_mut()? = *block;
    let end = N + value.len();
    *line.get_mut(end)? = b'"';
    out.truncate(start + end + 1);
    Some(())
}

/// What [`printable_descriptor`] gives, as a member, without a text of its own.
fn write_descriptor(out: &mut Vec<u8>, text: &str, padded: &[u8]) {
    let before = out.len();
    out.extend_from_slice(b",\"custom_field1\":\"");
    let start = out.len();
    if text.len() <= CUSTOM_FIELD_MAX && all(text.as_bytes(), PRINTABLE) {
        push_json_escaped_within(out, text.trim_matches(' '), padded);
    } else {
        push_printable(out, text);
    }
    if out.len() == start {
        out.truncate(before);
    } else {
        out.push(b'"');
    }
}

fn push_printable(out: &mut Vec<u8>, text: &str) {
    let mut end = out.len();
    let clean = text.chars().filter(|char| !char.is_control());
    for char in clean.skip_while(|char| char.is_whitespace()).take(CUSTOM_FIELD_MAX) {
        push_json_escaped(out, char.encode_utf8(&mut [0; 4]));
        if !char.is_whitespace() {
            end = out.len();
        }
    }
    out.truncate(end);
}

/// White space stripped at the ends, control characters removed, cut without an error
/// (`docs/psp-guide.md`, "Dynamic descriptor"); none if nothing is left.
#[must_use]
pub fn printable_descriptor(text: &str) -> Option<String> {
    let clean: String = text.chars().filter(|char| !char.is_control()).collect();
    let short = cut(clean.trim(), CUSTOM_FIELD_MAX).trim_end();
    (!short.is_empty()).then(|| short.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ppro::reply::encode;
    use serde_json::{Value, json};

    fn translate(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut body = String::from("channel=testchannel&tag=gopay&countrycode=ID&currency=IDR");
        for (name, value) in pairs {
            body.push_str(&format!("&{name}={}", encode(value)));
        }
        let mut scratch = Scratch::new();
        let (form, items) = Form::decode(body.as_bytes(), &mut scratch);
        let mut sink = First::default();
        let order = check(&form, items, Terms::OPEN, &mut sink);
        let order = order.unwrap_or_else(|| panic!("refused: {:?}", sink.0));
        let terms = ChargeTerms {
            order_id: "123887123".parse().unwrap(),
            order_time: Timestamp::from_rfc3339("2025-06-21T08:34:20Z").unwrap(),
            session: Duration::from_secs(3600),
            return_url: "https://pay.example/return/gopay/1/",
        };
        let mut out = b"left over".to_vec();
        charge(&order, &terms, &mut out);
        out
    }

    fn parsed(body: &[u8]) -> Value {
        serde_json::from_slice(body).unwrap_or_else(|error| {
            panic!("{error}: {}", String::from_utf8_lossy(body));
        })
    }

    #[test]
    fn the_published_example_becomes_a_charge() {
        let body = translate(&[
            ("amount", "1000000"),
            ("accountholdername", "Siti Rahma"),
            (
                "transientin.orderitems",
                r#"[{"name":"table","price":"2000.00","quantity":2},{"name":"Laptop 2.0","price":"3000.00","quantity":2}]"#,
            ),
        ]);
        assert_eq!(
            parsed(&body),
            json!({
                "payment_type": "gopay",
                "transaction_details": {"order_id": "123887123", "gross_amount": 10000},
                "item_details": [
                    {"price": 2000, "quantity": 2, "name": "table"},
                    {"price": 3000, "quantity": 2, "name": "Laptop 2.0"}
                ],
                "customer_details": {"first_name": "Siti Rahma"},
                "gopay": {"enable_callback": true, "callback_url": "https://pay.example/return/gopay/1/"},
                "custom_expiry": {"order_time": "2025-06-21 15:34:20 +0700", "expiry_duration": 3600, "unit": "second"}
            })
        );
    }

    #[test]
    fn every_field_lands_where_it_belongs() {
        let body = translate(&[
            ("amount", "100"),
            ("accountholdername", "Budi"),
            ("specin.deeplinkcallbackurl", "shopapp://paid"),
            ("specin.email", "budi@example.org"),
            ("specin.phone", "+628111"),
            ("specin.billingaddrfirstname", "B1"),
            ("specin.billingaddrlastname", "B2"),
            ("specin.billingphone", "B3"),
            ("specin.billingaddrline1", "B4"),
            ("specin.billingaddrcity", "B5"),
            ("specin.billingaddrpostalcde", "66"),
            ("specin.billingcntrycde", "ID"),
            ("specin.shippingaddrfirstname", "S1"),
            ("specin.shippingaddrlastname", "S2"),
            ("specin.shippingphone", "S3"),
            ("specin.shippingaddrline1", "S4"),
            ("specin.shippingaddrcity", "S5"),
            ("specin.shippingaddrpostalcde", "S6"),
            ("specin.shippingcntrycde", "SG"),
            ("specin.dynamicdescriptor", "  Toko\u{7} Budi \u{1f600} "),
            ("transientin.orderitems", r#"[{"name":"a\"\u00e9","price":"1.00","quantity":1}]"#),
        ]);
        let charge = parsed(&body);
        assert_eq!(
            charge["customer_details"],
            json!({
                "first_name": "Budi", "email": "budi@example.org", "phone": "+628111",
                "billing_address": {
                    "first_name": "B1", "last_name": "B2", "phone": "B3", "address": "B4",
                    "city": "B5", "postal_code": "66", "country_code": "IDN"
                },
                "shipping_address": {
                    "first_name": "S1", "last_name": "S2", "phone": "S3", "address": "S4",
                    "city": "S5", "postal_code": "S6", "country_code": "SGP"
                }
            })
        );
        assert_eq!(charge["gopay"]["callback_url"], "shopapp://paid");
        assert_eq!(charge["custom_field1"], "Toko Budi \u{1f600}");
        assert_eq!(charge["item_details"][0]["name"], "a\"\u{e9}");
    }

    #[test]
    fn empty_parts_leave_no_trace() {
        let body = translate(&[
            ("amount", "100"),
            ("accountholdername", "Budi"),
            ("specin.billingaddrcity", ""),
            ("specin.shippingcntrycde", ""),
            ("specin.dynamicdescriptor", " \u{7} "),
            ("transientin.orderitems", r#"[{"name":"a","price":"1.00","quantity":1}]"#),
        ]);
        let charge = parsed(&body);
        assert_eq!(charge["customer_details"], json!({"first_name": "Budi"}));
        assert!(charge.get("custom_field1").is_none());
    }

    fn sum(charge: &Value) -> i64 {
        let items = charge["item_details"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["price"].as_i64().unwrap() * item["quantity"].as_i64().unwrap())
            .sum()
    }

    #[test]
    fn long_carts_fold_and_keep_their_sum() {
        for (count, name) in [(80, "kopi"), (400, "kopi"), (1_000, "\u{1f600}\u{1f600}\"\\")] {
            let name = name.repeat(20).replace('\\', "\\\\").replace('"', "\\\"");
            let item = format!(r#"{{"name":"{name}","price":"7.00","quantity":2}}"#);
            let cart = format!("[{}]", vec![item; count].join(","));
            let amount = (count * 1400).to_string();
            let body = translate(&[
                ("amount", &amount),
                ("accountholdername", "Budi"),
                ("transientin.orderitems", &cart),
            ]);
            assert!(body.len() <= BODY_BYTES_MAX, "{} bytes", body.len());
            let charge = parsed(&body);
            assert_eq!(sum(&charge), i64::try_from(count * 14).unwrap());
            let shown = charge["item_details"].as_array().unwrap();
            assert!(shown.iter().all(|item| item["name"].as_str().unwrap().chars().count() <= 50));
            if shown.len() < count {
                let rest = count - (shown.len() - 1);
                assert_eq!(shown.last().unwrap()["name"], format!("{rest} further items"));
                assert!(body.len() > BODY_BYTES_MAX - 600, "folds no more than it must");
            }
        }
    }

    #[test]
    fn absurdly_long_texts_still_fit() {
        for filler in ["\u{1f600}", "\u{1}", "\""] {
            let long = format!("a{}", filler.repeat(254));
            let url = format!("shopapp://{}", "a".repeat(1_990));
            let descriptor = "\u{1f600}".repeat(300);
            let mut pairs = vec![
                ("amount", "140000"),
                ("accountholdername", "Budi"),
                ("specin.deeplinkcallbackurl", url.as_str()),
                ("specin.dynamicdescriptor", descriptor.as_str()),
            ];
            for name in [
                "specin.billingaddrfirstname",
                "specin.billingaddrlastname",
                "specin.billingphone",
                "specin.billingaddrline1",
                "specin.billingaddrcity",
                "specin.shippingaddrfirstname",
                "specin.shippingaddrlastname",
                "specin.shippingphone",
                "specin.shippingaddrline1",
                "specin.shippingaddrcity",
            ] {
                pairs.push((name, long.as_str()));
            }
            let item = r#"{"name":"kopi","price":"7.00","quantity":2}"#;
            let cart = format!("[{}]", vec![item; 100].join(","));
            pairs.push(("transientin.orderitems", &cart));
            let body = translate(&pairs);
            assert!(body.len() <= BODY_BYTES_MAX, "{} bytes", body.len());
            assert_eq!(sum(&parsed(&body)), 1_400);
        }
    }
}
