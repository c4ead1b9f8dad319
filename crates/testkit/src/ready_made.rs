//! The best that ready-made crates give, to measure the product against beside the obvious way:
//! `form-net` decodes strictly into one buffer, names are matched by hand, characters are classed by
//! plain loops, `sonic-rs` reads the cart and writes the charge; `validator`, `url` and `regex` judge
//! only what they alone can: e-mails, addresses, phones.
//!
//! It accepts the same calls as the product and writes the same bytes, as
//! `crates/core/tests/baseline.rs` proves. Of the product it borrows what [`crate::baseline`] does: the arguments and the
//! tables of countries, schemes and blanks.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use form_net::{Limits, PercentPolicy, RawPair, decode_into, raw_pairs};
use gopay_core::country::alpha3;
use gopay_core::ppro::transaction::{Kyc, Terms};
use gopay_core::text::{is_blank, is_system_scheme};
use gopay_core::translate::ChargeTerms;
use regex::Regex;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use validator::{ValidateEmail as _, ValidateUrl as _};

use crate::baseline::Outcome;
use crate::charge_body::{
    Address, BODY_BYTES_MAX, Charge, CustomExpiry, CustomerDetails, FOLDED_BYTES, GoPay,
    ItemDetails, TransactionDetails, descriptor, first_chars,
};

/// Buffers that calls reuse.
#[derive(Default)]
pub struct Buffers {
    text: Vec<u8>,
    out: Vec<u8>,
}

impl Buffers {
    /// Reads, checks and translates one body; gives the charge as JSON.
    ///
    /// # Errors
    /// The first thing that is wrong with the body, in no set order.
    pub fn translate(
        &mut self,
        body: &[u8],
        terms: Terms<'_>,
        charge_terms: &ChargeTerms<'_>,
    ) -> Outcome<&[u8]> {
        if self.text.len() < body.len() {
            self.text.resize(body.len(), 0);
        }
        let call = Call::read(body, &mut self.text)?;
        call.check_constants(terms)?;
        call.check_texts()?;
        call.check_addresses(terms)?;
        let amount = call.amount(terms)?;
        let cart = needed(call.order_items)?;
        let items = read_items(cart)?;
        let sum: i128 = items.iter().map(Item::total).sum();
        must(sum == i128::from(amount), "the items do not add up to the amount")?;
        write_charge(&call, amount, &items, charge_terms, &mut self.out)?;
        Ok(&self.out)
    }
}

fn must(good: bool, otherwise: &'static str) -> Outcome<()> {
    if good { Ok(()) } else { Err(otherwise.into()) }
}

fn needed(value: Option<&str>) -> Outcome<&str> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| "a parameter is missing".into())
}

// What comes in.

#[derive(Default)]
struct Call<'t> {
    returnmode: Option<&'t str>,
    txtype: Option<&'t str>,
    login: Option<&'t str>,
    password: Option<&'t str>,
    contractid: Option<&'t str>,
    channel: Option<&'t str>,
    tag: Option<&'t str>,
    countrycode: Option<&'t str>,
    currency: Option<&'t str>,
    amount: Option<&'t str>,
    merchanttxid: Option<&'t str>,
    merchantredirecturl: Option<&'t str>,
    accountholdername: Option<&'t str>,
    notificationurl: Option<&'t str>,
    sellingpoint: Option<&'t str>,
    soldservice: Option<&'t str>,
    _preferredlanguage: Option<&'t str>,
    nonce: Option<&'t str>,
    deeplink_callback_url: Option<&'t str>,
    email: Option<&'t str>,
    phone: Option<&'t str>,
    billing: Parts<'t>,
    shipping: Parts<'t>,
    dynamic_descriptor: Option<&'t str>,
    order_items: Option<&'t str>,
    specin: usize,
}

#[derive(Default)]
struct Parts<'t> {
    first_name: Option<&'t str>,
    last_name: Option<&'t str>,
    phone: Option<&'t str>,
    line: Option<&'t str>,
    city: Option<&'t str>,
    postal_code: Option<&'t str>,
    country: Option<&'t str>,
}

impl<'t> Call<'t> {
    fn read(body: &'t [u8], text: &'t mut [u8]) -> Outcome<Self> {
        const PARAMETERS_MAX: u32 = 200;
        let limits = Limits::DEFAULT
            .with_max_body_bytes(u64::MAX)
            .with_max_fields(PARAMETERS_MAX)
            .with_max_name_bytes(u32::MAX)
            .with_max_value_bytes(u32::MAX)
            .with_max_text_bytes(u64::MAX);
        let mut call = Self::default();
        let mut others: Vec<&str> = Vec::new();
        let mut room = text;
        for pair in raw_pairs(body, &limits) {
            let pair = pair?;
            let name = decoded(pair.name_raw(), !pair.name_needs_decoding(), &mut room)?;
            let value = decoded(pair.value_raw(), plain_value(&pair), &mut room)?;
            call.specin += usize::from(name.starts_with("specin."));
            match call.place(name) {
                Some(place) => must(place.replace(value).is_none(), "a parameter occurs twice")?,
                None => others.push(name),
            }
        }
        others.sort_unstable();
        must(others.is_sorted_by(|left, right| left < right), "a parameter occurs twice")?;
        Ok(call)
    }

    fn place(&mut self, name: &str) -> Option<&mut Option<&'t str>> {
        Some(match name {
            "returnmode" => &mut self.returnmode,
            "txtype" => &mut self.txtype,
            "login" => &mut self.login,
            "password" => &mut self.password,
            "contractid" => &mut self.contractid,
            "channel" => &mut self.channel,
            "tag" => &mut self.tag,
            "countrycode" => &mut self.countrycode,
            "currency" => &mut self.currency,
            "amount" => &mut self.amount,
            "merchanttxid" => &mut self.merchanttxid,
            "merchantredirecturl" => &mut self.merchantredirecturl,
            "accountholdername" => &mut self.accountholdername,
            "notificationurl" => &mut self.notificationurl,
            "sellingpoint" => &mut self.sellingpoint,
            "soldservice" => &mut self.soldservice,
            "preferredlanguage" => &mut self._preferredlanguage,
            "nonce" => &mut self.nonce,
            "specin.deeplinkcallbackurl" => &mut self.deeplink_callback_url,
            "specin.email" => &mut self.email,
            "specin.phone" => &mut self.phone,
            "specin.billingaddrfirstname" => &mut self.billing.first_name,
            "specin.billingaddrlastname" => &mut self.billing.last_name,
            "specin.billingphone" => &mut self.billing.phone,
            "specin.billingaddrline1" => &mut self.billing.line,
            "specin.billingaddrcity" => &mut self.billing.city,
            "specin.billingaddrpostalcde" => &mut self.billing.postal_code,
            "specin.billingcntrycde" => &mut self.billing.country,
            "specin.shippingaddrfirstname" => &mut self.shipping.first_name,
            "specin.shippingaddrlastname" => &mut self.shipping.last_name,
            "specin.shippingphone" => &mut self.shipping.phone,
            "specin.shippingaddrline1" => &mut self.shipping.line,
            "specin.shippingaddrcity" => &mut self.shipping.city,
            "specin.shippingaddrpostalcde" => &mut self.shipping.postal_code,
            "specin.shippingcntrycde" => &mut self.shipping.country,
            "specin.dynamicdescriptor" => &mut self.dynamic_descriptor,
            "transientin.orderitems" => &mut self.order_items,
            _ => return None,
        })
    }

    fn check_constants(&self, terms: Terms<'_>) -> Outcome<()> {
        for (value, wanted) in [
            (self.returnmode, "urlencodeext"),
            (self.txtype, "TRANSACTION"),
            (self.tag, "gopay"),
            (self.countrycode, "ID"),
            (self.currency, "IDR"),
        ] {
            must(value == Some(wanted), wanted)?;
        }
        for value in [self.login, self.password, self.contractid] {
            needed(value)?;
        }
        let allowed = match self.channel {
            Some("testchannel") => terms.test_channel,
            Some("livechannel") => terms.live_channel,
            _ => false,
        };
        must(allowed, "not a channel of the contract")?;
        must(self.specin <= 29, "too many specin parameters")
    }

    fn check_texts(&self) -> Outcome<()> {
        if let Some(value) = self.merchanttxid {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || b".,-_".contains(&byte);
            must((1..=40).contains(&value.len()) && value.bytes().all(good), "reference")?;
        }
        if let Some(value) = self.nonce {
            let good = |byte: u8| matches!(byte, b' '..=b'~');
            must((1..=255).contains(&value.len()) && value.bytes().all(good), "nonce")?;
        }
        let holder = self.accountholdername.ok_or("no name")?;
        must(chars(holder) >= 3 && line(holder, 100) && shows(holder), "name")?;
        for value in [self.sellingpoint, self.soldservice].into_iter().flatten() {
            must(line(value, 50), "mark")?;
        }
        if let Some(value) = self.phone {
            static PHONE: LazyLock<Regex> = LazyLock::new(|| {
                Regex::new(r"^\+[1-9](?:[ ().-]{0,3}[0-9]){4,14}$").expect("a constant pattern")
            });
            must(value.len() <= 64 && PHONE.is_match(value), "phone")?;
        }
        if let Some(value) = self.email {
            must((1..=255).contains(&chars(value)) && value.validate_email(), "e-mail")?;
        }
        for (parts, empty_country) in [(&self.billing, false), (&self.shipping, true)] {
            for name in [parts.first_name, parts.last_name].into_iter().flatten() {
                must(line(name, 255) && shows(name), "name")?;
            }
            for part in [parts.phone, parts.line, parts.city].into_iter().flatten() {
                must(line(part, 255), "address")?;
            }
            if let Some(value) = parts.postal_code {
                let good = |byte: u8| byte.is_ascii_alphanumeric() || b" -".contains(&byte);
                must(value.len() <= 255 && value.bytes().all(good), "postal code")?;
            }
            if let Some(value) = parts.country {
                let empty = empty_country && value.is_empty();
                must(empty || alpha3(value).is_some(), "country")?;
            }
        }
        Ok(())
    }

    fn check_addresses(&self, terms: Terms<'_>) -> Outcome<()> {
        let live = self.channel == Some("livechannel");
        let to_shopper = |value: &str| {
            let (scheme, good) = return_url(value);
            must(good && value.validate_url(), "return address")?;
            must(!(live && scheme.eq_ignore_ascii_case("http")), "http on the live channel")
        };
        match self.merchantredirecturl {
            Some(value) => {
                must((1..=255).contains(&chars(value)) && !has_ours(value), "return address")?;
                to_shopper(value)?;
            }
            None => must(terms.has_redirect_url, "no return address")?,
        }
        match self.notificationurl {
            Some(value) => {
                let good = web_url(value) && value.validate_url();
                must((1..=255).contains(&chars(value)) && good, "notification address")?;
            }
            None => must(terms.has_notification_url, "no notification address")?,
        }
        if let Some(value) = self.deeplink_callback_url {
            let short = (1..=2_000).contains(&chars(value)) && value.len() <= 4_000;
            must(short && !value.contains(['?', '#']), "address of the app")?;
            to_shopper(value)?;
        }
        Ok(())
    }

    /// The amount in whole rupiah.
    fn amount(&self, terms: Terms<'_>) -> Outcome<u64> {
        let value = needed(self.amount)?;
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        must(digits && (value == "0" || !value.starts_with('0')), "no amount")?;
        let sen: u64 = value.parse()?;
        let limit = if terms.kyc == Kyc::Verified { 20_000_000 } else { 2_000_000 };
        match (sen / 100, sen % 100) {
            (rupiah, 0) if (1..=limit).contains(&rupiah) => Ok(rupiah),
            _ => Err("not whole rupiah within the limits".into()),
        }
    }
}

fn plain_value(pair: &RawPair<'_>) -> bool {
    !pair.value_needs_decoding()
}

/// A name or a value: borrowed from the body where nothing is encoded, else decoded into the room.
fn decoded<'t>(raw: &'t [u8], plain: bool, room: &mut &'t mut [u8]) -> Outcome<&'t str> {
    let text = if plain {
        std::str::from_utf8(raw)?
    } else {
        let (here, rest) =
            std::mem::take(room).split_at_mut_checked(raw.len()).ok_or("no room for the text")?;
        *room = rest;
        decode_into(raw, here, PercentPolicy::Refuse)?
    };
    must(!text.as_bytes().contains(&0), "U+0000")?;
    Ok(text)
}

fn chars(value: &str) -> usize {
    if value.is_ascii() { value.len() } else { value.chars().count() }
}

fn line(value: &str, max: usize) -> bool {
    let broken = if value.is_ascii() {
        value.bytes().any(|byte| matches!(byte, b'\n' | b'\r'))
    } else {
        value.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
    };
    chars(value) <= max && !broken
}

fn shows(value: &str) -> bool {
    value.is_empty() || !is_blank(value)
}

/// What is behind the scheme and its two slashes, and the scheme.
fn after_scheme(value: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = value.split_once(':')?;
    let rest = rest.strip_prefix("//")?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte);
    let formed = scheme.starts_with(|char: char| char.is_ascii_alphabetic());
    let clean = |byte: u8| !matches!(byte, 0..=b' ' | 0x7f | b'\\');
    (formed && scheme.bytes().all(good) && rest.bytes().all(clean)).then_some((scheme, rest))
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http")
}

/// A host, and no credentials.
fn has_host(rest: &str) -> bool {
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty() && !host.contains('@')
}

fn web_url(value: &str) -> bool {
    after_scheme(value).is_some_and(|(scheme, rest)| is_web(scheme) && has_host(rest))
}

/// The scheme, and whether it may stand in a return address.
fn return_url(value: &str) -> (&str, bool) {
    let Some((scheme, rest)) = after_scheme(value) else { return ("", false) };
    let good = if is_web(scheme) {
        has_host(rest)
    } else if scheme.bytes().any(|byte| byte.is_ascii_uppercase()) {
        !is_system_scheme(&scheme.to_ascii_lowercase())
    } else {
        !is_system_scheme(scheme)
    };
    (scheme, good)
}

/// Whether the query has a parameter that the return adds.
fn has_ours(value: &str) -> bool {
    let whole = value.split('#').next().unwrap_or_default();
    let Some((_, query)) = whole.split_once('?') else { return false };
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, _)| name.eq_ignore_ascii_case("txid") || name.eq_ignore_ascii_case("cs"))
}

// The cart.

struct Item<'a> {
    name: Cow<'a, str>,
    price: i64,
    quantity: i64,
}

impl Item<'_> {
    fn total(&self) -> i128 {
        i128::from(self.price) * i128::from(self.quantity)
    }
}

/// An object with the three members; others are passed over.
struct ItemObject<'a>(Item<'a>);

/// A text, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for ItemObject<'a> {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = ItemObject<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let wrong = |what: &'static str| serde::de::Error::custom(what);
                let (mut name, mut price, mut quantity) = (None, None, None);
                while let Some(Text(member)) = map.next_key()? {
                    let again = match member.as_ref() {
                        "name" => name.replace(map.next_value::<Text<'de>>()?.0).is_some(),
                        "price" => {
                            let Text(value) = map.next_value()?;
                            let value = whole_rupiah(&value).ok_or_else(|| wrong("a price"))?;
                            price.replace(value).is_some()
                        }
                        "quantity" => quantity.replace(map.next_value::<i64>()?).is_some(),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            false
                        }
                    };
                    if again {
                        return Err(wrong("a member twice"));
                    }
                }
                let (Some(name), Some(price), Some(quantity)) = (name, price, quantity) else {
                    return Err(wrong("a member missing"));
                };
                Ok(ItemObject(Item { name, price, quantity }))
            }
        }

        input.deserialize_map(Object)
    }
}

/// `-?(0|[1-9][0-9]{0,12})\.00`.
fn whole_rupiah(text: &str) -> Option<i64> {
    let digits = text.strip_suffix(".00")?;
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    let formed = (1..=13).contains(&digits.len())
        && (digits == "0" || !digits.starts_with('0'))
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = digits.parse().ok().filter(|_| formed)?;
    Some(if negative { -number } else { number })
}

fn read_items(text: &str) -> Outcome<Vec<Item<'_>>> {
    const LINE_MAX: u128 = 9_999_999_999_999;
    let objects: Vec<ItemObject<'_>> = sonic_rs::from_str(text)?;
    must((1..=1_000).contains(&objects.len()), "no items, or too many")?;
    let items: Vec<Item<'_>> = objects.into_iter().map(|ItemObject(item)| item).collect();
    for item in &items {
        let named = !item.name.contains('\0') && !is_blank(&item.name);
        must(named, "no name")?;
        must((1..=999_999_999).contains(&item.quantity), "quantity")?;
        must(item.total().unsigned_abs() <= LINE_MAX, "a line too large")?;
    }
    Ok(items)
}

// What goes out.

impl<'a> Address<'a> {
    fn of(parts: &Parts<'a>, part_max: usize) -> Self {
        let part = |value: Option<&'a str>| {
            value.filter(|value| !value.is_empty()).map(|value| first_chars(value, part_max))
        };
        Self {
            first_name: part(parts.first_name),
            last_name: part(parts.last_name),
            phone: part(parts.phone),
            address: part(parts.line),
            city: part(parts.city),
            postal_code: part(parts.postal_code),
            country_code: parts.country.and_then(alpha3),
        }
    }
}

/// Brings a long body under Midtrans' limit as the product does.
fn write_charge(
    call: &Call<'_>,
    amount: u64,
    items: &[Item<'_>],
    terms: &ChargeTerms<'_>,
    out: &mut Vec<u8>,
) -> Outcome<()> {
    let write = |kept, part_max, out: &mut Vec<u8>| -> Outcome<()> {
        out.clear();
        Ok(sonic_rs::to_writer(out, &charge(call, amount, items, kept, part_max, terms)?)?)
    };
    for part_max in [255, 100, 40] {
        write(items.len(), part_max, out)?;
        let surplus = out.len().saturating_sub(BODY_BYTES_MAX);
        if surplus == 0 {
            break;
        }
        write(items_that_fit(items, surplus)?, part_max, out)?;
        if out.len() <= BODY_BYTES_MAX {
            break;
        }
    }
    Ok(())
}

fn items_that_fit(items: &[Item<'_>], surplus: usize) -> Outcome<usize> {
    let mut freed = 0;
    for (at, item) in items.iter().enumerate().rev() {
        freed += sonic_rs::to_vec(&item_details(item))?.len() + 1;
        if freed >= surplus + FOLDED_BYTES {
            return Ok(at);
        }
    }
    Ok(0)
}

fn charge<'a>(
    call: &Call<'a>,
    amount: u64,
    items: &'a [Item<'a>],
    kept: usize,
    part_max: usize,
    terms: &ChargeTerms<'a>,
) -> Outcome<Charge<'a, i64>> {
    let (shown, folded) = items.split_at_checked(kept).ok_or("fewer items than that")?;
    let mut item_details: Vec<_> = shown.iter().map(item_details).collect();
    if !folded.is_empty() {
        item_details.push(ItemDetails {
            price: i64::try_from(folded.iter().map(Item::total).sum::<i128>())?,
            quantity: 1,
            name: format!("{} further items", folded.len()).into(),
        });
    }
    Ok(Charge {
        payment_type: "gopay",
        transaction_details: TransactionDetails::of(terms, amount),
        item_details,
        customer_details: CustomerDetails {
            first_name: needed(call.accountholdername)?,
            email: call.email,
            phone: call.phone,
            billing_address: Address::of(&call.billing, part_max),
            shipping_address: Address::of(&call.shipping, part_max),
        },
        gopay: GoPay::of(terms, call.deeplink_callback_url),
        custom_expiry: CustomExpiry::of(terms),
        custom_field1: call.dynamic_descriptor.and_then(descriptor),
    })
}

fn item_details<'a>(item: &'a Item<'a>) -> ItemDetails<'a, i64> {
    ItemDetails {
        price: item.price,
        quantity: item.quantity,
        name: first_chars(&item.name, 50).into(),
    }
}
