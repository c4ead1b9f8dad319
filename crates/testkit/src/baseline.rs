//! The obvious way to translate a TRANSACTION call, to measure the product against and to hold it
//! to: `serde_urlencoded` into one struct, `validator` with compiled regexes, `serde_json` for the
//! cart and for the charge, `rust_decimal` for the sum.
//!
//! Written as a careful team would write it in a week: each pattern is compiled once, nothing is
//! parsed twice, the charge borrows from the call. It checks the same rules and writes the same
//! bytes; `crates/core/tests/baseline.rs` proves it. Of the product it borrows the arguments, the tables of
//! countries, schemes and blanks, and no rule.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::LazyLock;

use gopay_core::country::alpha3;
use gopay_core::ppro::transaction::{Kyc, Terms};
use gopay_core::text::{is_blank, is_system_scheme};
use gopay_core::translate::ChargeTerms;
use regex::Regex;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use validator::{Validate, ValidationError};

use crate::charge_body::{
    Address, BODY_BYTES_MAX, Charge, CustomExpiry, CustomerDetails, FOLDED_BYTES, GoPay,
    ItemDetails, TransactionDetails, descriptor, first_chars,
};

/// What is wrong is text only.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Reads, checks and translates one body; gives the charge as JSON.
///
/// # Errors
/// The first thing that is wrong with the body, in no set order.
pub fn translate(body: &[u8], terms: Terms, charge: &ChargeTerms<'_>) -> Outcome<Vec<u8>> {
    check_encoding(body)?;
    let call: Call = serde_urlencoded::from_bytes(body)?;
    call.validate()?;
    call.check_constants(terms)?;
    call.others.check()?;
    let amount = call.check_amount(terms)?;
    let items = read_items(&call.order_items)?;
    if items.iter().map(Item::total).sum::<Decimal>() != Decimal::from(amount) {
        return Err("the items do not add up to the amount".into());
    }
    write_charge(&call, amount, &items, charge)
}

// What comes in.

#[derive(Deserialize, Validate)]
struct Call {
    returnmode: String,
    txtype: String,
    #[validate(length(min = 1))]
    login: String,
    #[validate(length(min = 1))]
    password: String,
    #[validate(length(min = 1))]
    contractid: String,
    channel: String,
    tag: String,
    countrycode: String,
    currency: String,
    #[validate(regex(path = *AMOUNT))]
    amount: String,
    #[validate(regex(path = *REFERENCE))]
    merchanttxid: Option<String>,
    #[validate(length(min = 1, max = 255), url, custom(function = redirect_url))]
    merchantredirecturl: Option<String>,
    #[validate(length(min = 3, max = 100), custom(function = one_line), custom(function = name))]
    accountholdername: String,
    #[validate(length(min = 1, max = 255), url, regex(path = *WEB_URL))]
    notificationurl: Option<String>,
    #[validate(length(max = 50), custom(function = one_line))]
    sellingpoint: Option<String>,
    #[validate(length(max = 50), custom(function = one_line))]
    soldservice: Option<String>,
    #[serde(rename = "preferredlanguage")]
    _preferredlanguage: Option<String>,
    #[validate(regex(path = *NONCE))]
    nonce: Option<String>,
    #[serde(rename = "specin.deeplinkcallbackurl")]
    #[validate(length(min = 1, max = 2000), url, custom(function = app_url))]
    deeplink_callback_url: Option<String>,
    #[serde(rename = "specin.email")]
    #[validate(length(min = 1, max = 255), email)]
    email: Option<String>,
    #[serde(rename = "specin.phone")]
    #[validate(length(max = 64), regex(path = *PHONE))]
    phone: Option<String>,
    #[serde(rename = "specin.billingaddrfirstname")]
    #[validate(length(max = 255), custom(function = one_line), custom(function = name))]
    billing_first_name: Option<String>,
    #[serde(rename = "specin.billingaddrlastname")]
    #[validate(length(max = 255), custom(function = one_line), custom(function = name))]
    billing_last_name: Option<String>,
    #[serde(rename = "specin.billingphone")]
    #[validate(length(max = 255), custom(function = one_line))]
    billing_phone: Option<String>,
    #[serde(rename = "specin.billingaddrline1")]
    #[validate(length(max = 255), custom(function = one_line))]
    billing_line: Option<String>,
    #[serde(rename = "specin.billingaddrcity")]
    #[validate(length(max = 255), custom(function = one_line))]
    billing_city: Option<String>,
    #[serde(rename = "specin.billingaddrpostalcde")]
    #[validate(length(max = 255), regex(path = *POSTAL_CODE))]
    billing_postal_code: Option<String>,
    #[serde(rename = "specin.billingcntrycde")]
    #[validate(custom(function = country))]
    billing_country: Option<String>,
    #[serde(rename = "specin.shippingaddrfirstname")]
    #[validate(length(max = 255), custom(function = one_line), custom(function = name))]
    shipping_first_name: Option<String>,
    #[serde(rename = "specin.shippingaddrlastname")]
    #[validate(length(max = 255), custom(function = one_line), custom(function = name))]
    shipping_last_name: Option<String>,
    #[serde(rename = "specin.shippingphone")]
    #[validate(length(max = 255), custom(function = one_line))]
    shipping_phone: Option<String>,
    #[serde(rename = "specin.shippingaddrline1")]
    #[validate(length(max = 255), custom(function = one_line))]
    shipping_line: Option<String>,
    #[serde(rename = "specin.shippingaddrcity")]
    #[validate(length(max = 255), custom(function = one_line))]
    shipping_city: Option<String>,
    #[serde(rename = "specin.shippingaddrpostalcde")]
    #[validate(length(max = 255), regex(path = *POSTAL_CODE))]
    shipping_postal_code: Option<String>,
    #[serde(rename = "specin.shippingcntrycde")]
    #[validate(custom(function = country_or_empty))]
    shipping_country: Option<String>,
    #[serde(rename = "specin.dynamicdescriptor")]
    dynamic_descriptor: Option<String>,
    #[serde(rename = "transientin.orderitems")]
    order_items: String,
    #[serde(flatten)]
    others: Others,
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static AMOUNT: LazyLock<Regex> = LazyLock::new(|| pattern("^(?:0|[1-9][0-9]*)$"));
static REFERENCE: LazyLock<Regex> = LazyLock::new(|| pattern("^[A-Za-z0-9.,_-]{1,40}$"));
static NONCE: LazyLock<Regex> = LazyLock::new(|| pattern("^[ -~]{1,255}$"));
static PHONE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\+[1-9](?:[ ().-]{0,3}[0-9]){4,14}$"));
static POSTAL_CODE: LazyLock<Regex> = LazyLock::new(|| pattern("^[A-Za-z0-9 -]*$"));
static PRICE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^-?(?:0|[1-9][0-9]{0,12})\.00$"));

/// `http` or `https`, the two slashes, no credentials, a host, nothing that clients read in
/// different ways.
static WEB_URL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"^(?i:https?)://[^\x00-\x20\x7f\\/?#@]+(?:[/?#][^\x00-\x20\x7f\\]*)?$")
});
static APP_URL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[A-Za-z][A-Za-z0-9+.-]*://[^\x00-\x20\x7f\\]*$"));
static WEB: LazyLock<Regex> = LazyLock::new(|| pattern("^(?i:https?)://"));
static HTTP: LazyLock<Regex> = LazyLock::new(|| pattern("^(?i:http)://"));
static HAS_TXID_OR_CS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "^[^?#]*\\?(?:[^#]*&)?(?i:(?:t|%[57]4)(?:x|%[57]8)(?:i|%[46]9)(?:d|%[46]4)|(?:c|%[46]3)(?:s|%[57]3))(?:[=&#].*)?$",
    )
});

fn must(good: bool, code: &'static str) -> Result<(), ValidationError> {
    if good { Ok(()) } else { Err(ValidationError::new(code)) }
}

fn one_line(value: &str) -> Result<(), ValidationError> {
    must(!value.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']), "line_break")
}

/// A scheme that opens the shop or its app, of which the product has the list.
fn return_url(value: &str) -> bool {
    let scheme = value.split(':').next().unwrap_or_default().to_ascii_lowercase();
    APP_URL.is_match(value)
        && !is_system_scheme(&scheme)
        && (!WEB.is_match(value) || WEB_URL.is_match(value))
}

fn redirect_url(value: &str) -> Result<(), ValidationError> {
    must(return_url(value) && !HAS_TXID_OR_CS.is_match(value), "redirect_url")
}

fn name(value: &str) -> Result<(), ValidationError> {
    must(value.is_empty() || !is_blank(value), "name")
}

fn app_url(value: &str) -> Result<(), ValidationError> {
    /// Leaves room in the charge for all the rest.
    const BYTES_MAX: usize = 4_000;
    let good = value.len() <= BYTES_MAX && return_url(value) && !value.contains(['?', '#']);
    must(good, "app_url")
}

fn country(value: &str) -> Result<(), ValidationError> {
    must(alpha3(value).is_some(), "country")
}

fn country_or_empty(value: &str) -> Result<(), ValidationError> {
    if value.is_empty() { Ok(()) } else { country(value) }
}

/// The form reader forgives broken escapes and replaces what is not UTF-8; the rules do not.
fn check_encoding(body: &[u8]) -> Outcome<()> {
    const PARAMETERS_MAX: usize = 200;
    let pairs = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    if pairs.count() > PARAMETERS_MAX {
        return Err("too many parameters".into());
    }
    let mut decoded = Vec::with_capacity(body.len());
    let mut bytes = body.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let (high, low) = digit().zip(digit()).ok_or("a broken escape")?;
        decoded.push(u8::try_from(high * 16 + low)?);
    }
    if decoded.contains(&0) {
        return Err("U+0000".into());
    }
    std::str::from_utf8(&decoded)?;
    Ok(())
}

impl Call {
    fn check_constants(&self, terms: Terms) -> Outcome<()> {
        for (value, wanted) in [
            (&self.returnmode, "urlencodeext"),
            (&self.txtype, "TRANSACTION"),
            (&self.tag, "gopay"),
            (&self.countrycode, "ID"),
            (&self.currency, "IDR"),
        ] {
            if value != wanted {
                return Err(format!("must be {wanted}").into());
            }
        }
        match self.channel.as_str() {
            "testchannel" if terms.test_channel => {}
            "livechannel" if terms.live_channel => {}
            _ => return Err("not a channel of the contract".into()),
        }
        let returns = [&self.merchantredirecturl, &self.deeplink_callback_url];
        let http = returns.into_iter().flatten().any(|url| HTTP.is_match(url));
        if self.channel == "livechannel" && http {
            return Err("http on the live channel".into());
        }
        if !terms.has_redirect_url && self.merchantredirecturl.is_none() {
            return Err("no return address".into());
        }
        if !terms.has_notification_url && self.notificationurl.is_none() {
            return Err("no notification address".into());
        }
        let known = [
            &self.deeplink_callback_url,
            &self.email,
            &self.phone,
            &self.billing_first_name,
            &self.billing_last_name,
            &self.billing_phone,
            &self.billing_line,
            &self.billing_city,
            &self.billing_postal_code,
            &self.billing_country,
            &self.shipping_first_name,
            &self.shipping_last_name,
            &self.shipping_phone,
            &self.shipping_line,
            &self.shipping_city,
            &self.shipping_postal_code,
            &self.shipping_country,
            &self.dynamic_descriptor,
        ];
        let sent = known.iter().filter(|value| value.is_some()).count();
        if sent + self.others.specin() > 29 {
            return Err("too many specin parameters".into());
        }
        Ok(())
    }

    /// The amount in whole rupiah.
    fn check_amount(&self, terms: Terms) -> Outcome<u64> {
        let sen: u64 = self.amount.parse()?;
        let limit = if terms.kyc == Kyc::Verified { 20_000_000 } else { 2_000_000 };
        match (sen / 100, sen % 100) {
            (rupiah, 0) if (1..=limit).contains(&rupiah) => Ok(rupiah),
            _ => Err("not whole rupiah within the limits".into()),
        }
    }
}

/// Parameters without a member of their own, repeats included.
struct Others(Vec<(String, String)>);

impl Others {
    fn specin(&self) -> usize {
        self.0.iter().filter(|(name, _)| name.starts_with("specin.")).count()
    }

    fn check(&self) -> Outcome<()> {
        let mut names: Vec<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.is_sorted_by(|left, right| left < right) {
            Ok(())
        } else {
            Err("a parameter occurs twice".into())
        }
    }
}

impl<'de> Deserialize<'de> for Others {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Others;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("parameters")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Others, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Others(pairs))
            }
        }

        input.deserialize_map(Pairs)
    }
}

// The cart.

#[derive(Deserialize, Validate)]
struct ItemFields<'a> {
    #[serde(borrow)]
    #[validate(length(min = 1), custom(function = without_nul), custom(function = name))]
    name: Cow<'a, str>,
    #[serde(borrow)]
    #[validate(regex(path = *PRICE))]
    price: Cow<'a, str>,
    #[validate(range(min = 1, max = 999_999_999))]
    quantity: i64,
}

/// An object, where a derived struct would also be read from an array.
struct ItemObject<'a>(ItemFields<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for ItemObject<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = ItemObject<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                ItemFields::deserialize(MapAccessDeserializer::new(map)).map(ItemObject)
            }
        }

        input.deserialize_map(Object)
    }
}

fn without_nul(value: &str) -> Result<(), ValidationError> {
    must(!value.contains('\0'), "nul")
}

struct Item<'a> {
    name: Cow<'a, str>,
    price: Decimal,
    quantity: i64,
}

impl Item<'_> {
    fn total(&self) -> Decimal {
        self.price * Decimal::from(self.quantity)
    }
}

fn read_items(text: &str) -> Outcome<Vec<Item<'_>>> {
    const ITEMS_MAX: usize = 1_000;
    const LINE_MAX: i64 = 9_999_999_999_999;
    let objects: Vec<ItemObject<'_>> = serde_json::from_str(text)?;
    if !(1..=ITEMS_MAX).contains(&objects.len()) {
        return Err("no items, or too many".into());
    }
    let mut items = Vec::with_capacity(objects.len());
    for ItemObject(fields) in objects {
        fields.validate()?;
        let price = fields.price.parse()?;
        let item = Item { name: fields.name, price, quantity: fields.quantity };
        if item.total().abs() > Decimal::from(LINE_MAX) {
            return Err("a line too large".into());
        }
        items.push(item);
    }
    Ok(items)
}

// What goes out.

/// Midtrans' limit, and how a body is brought under it: whole items from the end of the cart into
/// one line, then shorter addresses.
fn write_charge(
    call: &Call,
    amount: u64,
    items: &[Item<'_>],
    terms: &ChargeTerms<'_>,
) -> Outcome<Vec<u8>> {
    let mut body = Vec::new();
    for part_max in [255, 100, 40] {
        body = serde_json::to_vec(&charge(call, amount, items, items.len(), part_max, terms)?)?;
        let surplus = body.len().saturating_sub(BODY_BYTES_MAX);
        if surplus == 0 {
            break;
        }
        let kept = items_that_fit(items, surplus)?;
        body = serde_json::to_vec(&charge(call, amount, items, kept, part_max, terms)?)?;
        if body.len() <= BODY_BYTES_MAX {
            break;
        }
    }
    Ok(body)
}

fn items_that_fit(items: &[Item<'_>], surplus: usize) -> Outcome<usize> {
    let mut freed = 0;
    for (at, item) in items.iter().enumerate().rev() {
        freed += serde_json::to_vec(&item_details(item)?)?.len() + 1;
        if freed >= surplus + FOLDED_BYTES {
            return Ok(at);
        }
    }
    Ok(0)
}

fn charge<'a>(
    call: &'a Call,
    amount: u64,
    items: &'a [Item<'a>],
    kept: usize,
    part_max: usize,
    terms: &ChargeTerms<'a>,
) -> Outcome<Charge<'a, i128>> {
    let (shown, folded) = items.split_at_checked(kept).ok_or("fewer items than that")?;
    let mut item_details = shown.iter().map(item_details).collect::<Outcome<Vec<_>>>()?;
    if !folded.is_empty() {
        let sum: Decimal = folded.iter().map(Item::total).sum();
        item_details.push(ItemDetails {
            price: sum.to_i128().ok_or("a sum beyond all bounds")?,
            quantity: 1,
            name: format!("{} further items", folded.len()).into(),
        });
    }
    let part = |value: &'a Option<String>| {
        value.as_deref().filter(|value| !value.is_empty()).map(|value| first_chars(value, part_max))
    };
    let country = |value: &Option<String>| value.as_deref().and_then(alpha3);
    Ok(Charge {
        payment_type: "gopay",
        transaction_details: TransactionDetails::of(terms, amount),
        item_details,
        customer_details: CustomerDetails {
            first_name: &call.accountholdername,
            email: call.email.as_deref(),
            phone: call.phone.as_deref(),
            billing_address: Address {
                first_name: part(&call.billing_first_name),
                last_name: part(&call.billing_last_name),
                phone: part(&call.billing_phone),
                address: part(&call.billing_line),
                city: part(&call.billing_city),
                postal_code: part(&call.billing_postal_code),
                country_code: country(&call.billing_country),
            },
            shipping_address: Address {
                first_name: part(&call.shipping_first_name),
                last_name: part(&call.shipping_last_name),
                phone: part(&call.shipping_phone),
                address: part(&call.shipping_line),
                city: part(&call.shipping_city),
                postal_code: part(&call.shipping_postal_code),
                country_code: country(&call.shipping_country),
            },
        },
        gopay: GoPay::of(terms, call.deeplink_callback_url.as_deref()),
        custom_expiry: CustomExpiry::of(terms),
        custom_field1: call.dynamic_descriptor.as_deref().and_then(descriptor),
    })
}

fn item_details<'a>(item: &'a Item<'a>) -> Outcome<ItemDetails<'a, i128>> {
    Ok(ItemDetails {
        price: item.price.to_i128().ok_or("a price beyond all bounds")?,
        quantity: item.quantity,
        name: first_chars(&item.name, 50).into(),
    })
}
