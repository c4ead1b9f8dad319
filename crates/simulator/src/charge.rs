//! The charge request: lenient about JSON types, strict about rules, every fault reported at once.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use gopay_core::money::Rupiah;
use gopay_core::time::Timestamp;
use serde::Deserialize;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use url::Url;

use crate::wire::Refusal;

/// The documented ceiling of a request, in characters.
pub(crate) const BODY_CHARS_MAX: usize = 16_000;
/// GoPay's own time limit, and the bounds of `custom_expiry`.
const EXPIRY_DEFAULT: Duration = Duration::from_secs(15 * 60);
const EXPIRY_MIN: Duration = Duration::from_secs(20);
const EXPIRY_MAX: Duration = Duration::from_secs(7 * 86_400);
const ORDER_ID_CHARS_MAX: usize = 50;
const ITEM_CHARS_MAX: usize = 50;
const TEXT_CHARS_MAX: usize = 255;
const TIME_CHARS_MAX: usize = 50;
/// Payment types that exist but that these merchants have not activated.
const OTHER_PAYMENT_TYPES: [&str; 19] = [
    "credit_card",
    "bank_transfer",
    "echannel",
    "permata",
    "bca_klikbca",
    "bca_klikpay",
    "bri_epay",
    "cimb_clicks",
    "danamon_online",
    "uob_ezpay",
    "shopeepay",
    "qris",
    "cstore",
    "akulaku",
    "kredivo",
    "dana",
    "ovo",
    "googlepay",
    "gci",
];

/// A charge that passed validation.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(crate) order_id: String,
    pub(crate) gross_amount: u64,
    pub(crate) expires_at: Timestamp,
    pub(crate) callback: Callback,
    pub(crate) echo: Option<Box<Echo>>,
}

/// Whether the app leads back, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    Off,
    Dashboard,
    Url(String),
}

/// What is repeated in GET status and in notifications.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    pub(crate) custom_fields: [Option<String>; 3],
    pub(crate) metadata: Option<Map<String, Value>>,
}

/// Reads and checks a charge body.
pub(crate) fn parse(body: &[u8], now: Timestamp, item_limit: bool) -> Result<Charge, Refusal> {
    if too_long(body) {
        return Err(Refusal::malformed());
    }
    if body.trim_ascii().is_empty() {
        return Err(Refusal::invalid(vec!["payment_type is required".to_owned()]));
    }
    if body.trim_ascii() == b"null" {
        // An unhandled case upstream, not a GoPay error, hence also the HTTP status.
        return Err(Refusal::internal().under(500));
    }
    let Object::Good(raw) =
        serde_json::from_slice::<Object<RawCharge<'_>>>(body).map_err(|_| Refusal::malformed())?
    else {
        return Err(Refusal::malformed());
    };
    raw.check(now, item_limit)
}

/// The size limit is in characters; counting them is only needed near the limit.
pub(crate) fn too_long(body: &[u8]) -> bool {
    body.len() > BODY_CHARS_MAX && String::from_utf8_lossy(body).chars().count() > BODY_CHARS_MAX
}

/// The order id of a charge body, for faults that wait for a certain one.
pub(crate) fn order_id_of(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Peek {
        transaction_details: PeekDetails,
    }
    #[derive(Deserialize)]
    struct PeekDetails {
        order_id: String,
    }
    serde_json::from_slice::<Peek>(body).ok().map(|peek| peek.transaction_details.order_id)
}

#[derive(Deserialize)]
struct RawCharge<'a> {
    #[serde(borrow, default)]
    payment_type: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    transaction_details: Option<Object<RawDetails<'a>>>,
    #[serde(borrow, default)]
    item_details: Option<List<Object<RawItem<'a>>>>,
    #[serde(borrow, default)]
    customer_details: Option<Object<RawCustomer<'a>>>,
    #[serde(borrow, default)]
    gopay: Option<Object<RawGopay<'a>>>,
    #[serde(borrow, default)]
    custom_expiry: Option<Object<RawExpiry<'a>>>,
    #[serde(borrow, default)]
    custom_field1: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    custom_field2: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    custom_field3: Option<Scalar<'a>>,
    #[serde(default)]
    metadata: Option<Object<Map<String, Value>>>,
}

#[derive(Deserialize)]
struct RawDetails<'a> {
    #[serde(borrow, default)]
    order_id: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    gross_amount: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
struct RawItem<'a> {
    #[serde(borrow, default)]
    id: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    price: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    quantity: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    brand: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    category: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    merchant_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    url: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
struct RawCustomer<'a> {
    #[serde(borrow, default)]
    first_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    last_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    email: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    phone: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    billing_address: Option<Object<RawAddress<'a>>>,
    #[serde(borrow, default)]
    shipping_address: Option<Object<RawAddress<'a>>>,
}

#[derive(Deserialize)]
struct RawAddress<'a> {
    #[serde(borrow, default)]
    first_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    last_name: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    email: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    phone: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    address: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    city: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    postal_code: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    country_code: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
struct RawGopay<'a> {
    #[serde(borrow, default)]
    enable_callback: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    callback_url: Option<Scalar<'a>>,
}

#[derive(Deserialize)]
struct RawExpiry<'a> {
    #[serde(borrow, default)]
    order_time: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    expiry_duration: Option<Scalar<'a>>,
    #[serde(borrow, default)]
    unit: Option<Scalar<'a>>,
}

impl RawCharge<'_> {
    fn check(self, now: Timestamp, item_limit: bool) -> Result<Charge, Refusal> {
        let mut faults = Faults::default();
        self.check_payment_type(&mut faults)?;
        let (order_id, gross_amount) = check_details(self.transaction_details, &mut faults);
        check_items(self.item_details, gross_amount, item_limit, &mut faults);
        check_customer(self.customer_details, &mut faults);
        let callback = check_gopay(self.gopay, &mut faults);
        let expires_at = check_expiry(self.custom_expiry, now, &mut faults);
        let custom_fields = [
            faults.text(self.custom_field1, || "custom_field1", TEXT_CHARS_MAX),
            faults.text(self.custom_field2, || "custom_field2", TEXT_CHARS_MAX),
            faults.text(self.custom_field3, || "custom_field3", TEXT_CHARS_MAX),
        ];
        let metadata = faults.object(self.metadata, "metadata");
        if !faults.0.is_empty() {
            return Err(Refusal::invalid(faults.0));
        }
        let echo = (metadata.is_some() || custom_fields.iter().any(Option::is_some))
            .then(|| Box::new(Echo { custom_fields, metadata }));
        Ok(Charge { order_id, gross_amount: gross_amount.unwrap_or(0), expires_at, callback, echo })
    }

    fn check_payment_type(&self, faults: &mut Faults) -> Result<(), Refusal> {
        match &self.payment_type {
            Some(Scalar::Text(kind)) if kind == "gopay" => {}
            Some(Scalar::Text(kind)) if OTHER_PAYMENT_TYPES.contains(&kind.as_ref()) => {
                return Err(Refusal::new(402, "Payment channel is not activated."));
            }
            None => faults.add("payment_type is required"),
            Some(Scalar::Text(kind)) if kind.is_empty() => faults.add("payment_type is required"),
            Some(_) => faults.add("payment_type is not supported"),
        }
        Ok(())
    }
}

fn check_details(
    details: Option<Object<RawDetails<'_>>>,
    faults: &mut Faults,
) -> (String, Option<u64>) {
    let Some(details) = details else {
        faults.add("transaction_details is required");
        return (String::new(), None);
    };
    let Some(details) = faults.object(Some(details), "transaction_details") else {
        return (String::new(), None);
    };
    let order_id = faults
        .text(details.order_id, || "transaction_details.order_id", ORDER_ID_CHARS_MAX)
        .unwrap_or_default();
    if order_id.is_empty() {
        faults.add("transaction_details.order_id is required");
    } else if !order_id.bytes().all(is_order_id_byte) {
        faults.add("transaction_details.order_id contains characters that are not allowed");
    }
    let gross_amount = match faults.whole(
        details.gross_amount.as_ref(),
        || "transaction_details.gross_amount",
        Need::Required,
    ) {
        None => None,
        Some(amount) if amount < 1 => {
            faults.add("transaction_details.gross_amount must be greater than or equal to 1");
            None
        }
        Some(amount) => match u64::try_from(amount).ok().filter(|amount| *amount <= Rupiah::MAX) {
            None => {
                faults.add("transaction_details.gross_amount is above the limit of 20000000");
                None
            }
            fitting => fitting,
        },
    };
    (order_id, gross_amount)
}

const fn is_order_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~' | b'.')
}

fn check_items(
    items: Option<List<Object<RawItem<'_>>>>,
    gross_amount: Option<u64>,
    limit: bool,
    faults: &mut Faults,
) {
    let items = match items {
        None => return,
        Some(List::Wrong) => return faults.add("item_details must be an array"),
        Some(List::Good(items)) => items,
    };
    if items.is_empty() {
        return;
    }
    let faults_before = faults.0.len();
    let mut sum = 0_i128;
    for (index, item) in items.into_iter().enumerate() {
        let Object::Good(item) = item else {
            faults.add(&format!("item_details[{index}] must be an object"));
            continue;
        };
        sum = sum.saturating_add(check_item(item, index, limit, faults));
    }
    // With a broken item the sum says nothing.
    let comparable = faults.0.len() == faults_before;
    if comparable && gross_amount.is_some_and(|amount| i128::from(amount) != sum) {
        faults.add("transaction_details.gross_amount is not equal to the sum of item_details");
    }
}

fn check_item(item: RawItem<'_>, index: usize, limit: bool, faults: &mut Faults) -> i128 {
    let path = |field: &'static str| move || format!("item_details[{index}].{field}");
    let length = if limit { ITEM_CHARS_MAX } else { TEXT_CHARS_MAX };
    let price = faults.whole(item.price.as_ref(), path("price"), Need::Required).unwrap_or(0);
    let quantity =
        faults.whole(item.quantity.as_ref(), path("quantity"), Need::Required).unwrap_or(1);
    if quantity < 1 {
        faults.add(&format!("item_details[{index}].quantity must be greater than or equal to 1"));
    }
    let named = matches!(&item.name, Some(Scalar::Text(name)) if name.is_empty());
    if item.name.is_none() || named {
        faults.add(&format!("item_details[{index}].name is required"));
    }
    for (value, field) in [
        (item.name, "name"),
        (item.id, "id"),
        (item.brand, "brand"),
        (item.category, "category"),
        (item.merchant_name, "merchant_name"),
        (item.url, "url"),
    ] {
        faults.text(value, path(field), length);
    }
    i128::from(price).saturating_mul(i128::from(quantity))
}

fn check_customer(customer: Option<Object<RawCustomer<'_>>>, faults: &mut Faults) {
    let Some(customer) = faults.object(customer, "customer_details") else {
        return;
    };
    for (value, field) in [
        (customer.first_name, "customer_details.first_name"),
        (customer.last_name, "customer_details.last_name"),
        (customer.email, "customer_details.email"),
        (customer.phone, "customer_details.phone"),
    ] {
        faults.text(value, || field, TEXT_CHARS_MAX);
    }
    check_address(customer.billing_address, "customer_details.billing_address", faults);
    check_address(customer.shipping_address, "customer_details.shipping_address", faults);
}

fn check_address(
    address: Option<Object<RawAddress<'_>>>,
    parent: &'static str,
    faults: &mut Faults,
) {
    let Some(address) = faults.object(address, parent) else {
        return;
    };
    let path = |field: &'static str| move || format!("{parent}.{field}");
    let postal_code = faults.text(address.postal_code, path("postal_code"), TEXT_CHARS_MAX);
    let is_postal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b' ');
    if postal_code.is_some_and(|code| !code.bytes().all(is_postal)) {
        faults.add(&format!("{parent}.postal_code contains characters that are not allowed"));
    }
    let country_code = faults.text(address.country_code, path("country_code"), TEXT_CHARS_MAX);
    // Only IDN is documented as supported, but what happens to other countries is unverified: any
    // alpha-3 code passes, anything else cannot be one.
    let is_alpha3 =
        |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    if country_code.is_some_and(|code| !is_alpha3(&code)) {
        faults.add(&format!("{parent}.country_code must be an ISO 3166-1 alpha-3 code"));
    }
    for (value, field) in [
        (address.first_name, "first_name"),
        (address.last_name, "last_name"),
        (address.email, "email"),
        (address.phone, "phone"),
        (address.address, "address"),
        (address.city, "city"),
    ] {
        faults.text(value, path(field), TEXT_CHARS_MAX);
    }
}

fn check_gopay(gopay: Option<Object<RawGopay<'_>>>, faults: &mut Faults) -> Callback {
    let Some(gopay) = faults.object(gopay, "gopay") else {
        return Callback::Off;
    };
    let enabled = match &gopay.enable_callback {
        None | Some(Scalar::Flag(false)) => false,
        Some(Scalar::Flag(true)) => true,
        // The official Ruby client sends the text "true".
        Some(Scalar::Text(text)) if text == "true" => true,
        Some(Scalar::Text(text)) if text == "false" => false,
        Some(_) => {
            faults.add("gopay.enable_callback must be a boolean");
            false
        }
    };
    // No length is published; the request size bounds it.
    let url = faults.text(gopay.callback_url, || "gopay.callback_url", BODY_CHARS_MAX);
    match url.filter(|url| !url.is_empty()) {
        Some(url) if !is_callback_url(&url) => {
            faults.add("gopay.callback_url is not a valid URL");
            Callback::Off
        }
        Some(url) if enabled => Callback::Url(url),
        None if enabled => Callback::Dashboard,
        Some(_) | None => Callback::Off,
    }
}

/// A web address or an app scheme; nothing a browser would run or open locally.
fn is_callback_url(text: &str) -> bool {
    let clean = !text.chars().any(|letter| letter.is_control() || letter.is_whitespace());
    clean
        && Url::parse(text).is_ok_and(|url| match url.scheme() {
            "http" | "https" => url.has_host(),
            "javascript" | "data" | "vbscript" | "file" | "blob" | "about" => false,
            _ => true,
        })
}

fn check_expiry(
    expiry: Option<Object<RawExpiry<'_>>>,
    now: Timestamp,
    faults: &mut Faults,
) -> Timestamp {
    let Some(expiry) = faults.object(expiry, "custom_expiry") else {
        return now.after(EXPIRY_DEFAULT);
    };
    let start = match faults.text(expiry.order_time, || "custom_expiry.order_time", TIME_CHARS_MAX)
    {
        None => Some(now),
        Some(text) => {
            let start = time_with_offset(&text);
            if start.is_none() {
                faults.add("custom_expiry.order_time must be of the form yyyy-MM-dd HH:mm:ss Z");
            }
            start
        }
    };
    let unit = faults.text(expiry.unit, || "custom_expiry.unit", TIME_CHARS_MAX);
    let unit_seconds = match unit.as_deref() {
        Some("second") => Some(1),
        Some("minute") | None => Some(60),
        Some("hour") => Some(3_600),
        Some("day") => Some(86_400),
        Some(_) => {
            faults.add("custom_expiry.unit must be second, minute, hour or day");
            None
        }
    };
    let duration = faults.whole(
        expiry.expiry_duration.as_ref(),
        || "custom_expiry.expiry_duration",
        Need::Required,
    );
    let (Some(start), Some(unit_seconds), Some(duration)) = (start, unit_seconds, duration) else {
        return now;
    };
    let seconds = u64::try_from(duration).unwrap_or(0).saturating_mul(unit_seconds);
    let expires_at = start.after(Duration::from_secs(seconds));
    if expires_at.since(now) < EXPIRY_MIN {
        faults.add("custom_expiry is below the minimum threshold of 20 seconds");
    } else if expires_at.since(now) > EXPIRY_MAX {
        faults.add("custom_expiry is above the maximum of 7 days");
    }
    expires_at
}

/// Reads `2025-06-21 15:34:20 +0700`; the offset may be any.
fn time_with_offset(text: &str) -> Option<Timestamp> {
    const WIB_MINUTES: i64 = 7 * 60;
    let (civil, offset) = text.rsplit_once(' ')?;
    let (ahead, digits) = match offset.split_at_checked(1)? {
        ("+", digits) => (true, digits),
        ("-", digits) => (false, digits),
        _ => return None,
    };
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = digits.parse().ok()?;
    let minutes = number / 100 * 60 + number % 100;
    let shift = WIB_MINUTES - if ahead { minutes } else { -minutes };
    let as_wib = Timestamp::from_wib_seconds(civil).ok()?;
    Some(Timestamp::from_micros(as_wib.as_micros().checked_add(shift * 60_000_000)?))
}

/// Whether a missing number is a fault.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
}

/// The validation messages so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<String>);

impl Faults {
    pub(crate) fn add(&mut self, message: &str) {
        self.0.push(message.to_owned());
    }

    fn object<T>(&mut self, value: Option<Object<T>>, path: &str) -> Option<T> {
        match value {
            None => None,
            Some(Object::Good(value)) => Some(value),
            Some(Object::Wrong) => {
                self.add(&format!("{path} must be an object"));
                None
            }
        }
    }

    /// A text of at most `max` characters; the path is only built for a fault.
    pub(crate) fn text<P: fmt::Display>(
        &mut self,
        value: Option<Scalar<'_>>,
        path: impl FnOnce() -> P,
        max: usize,
    ) -> Option<String> {
        let text = match value? {
            Scalar::Text(text) => text.into_owned(),
            // Numbers in text fields are taken as text, as JSON mappers commonly do.
            Scalar::Integer(number) => number.to_string(),
            Scalar::Decimal | Scalar::Flag(_) | Scalar::Other => {
                self.0.push(format!("{} must be a string", path()));
                return None;
            }
        };
        if text.len() > max && text.chars().count() > max {
            self.0.push(format!("{} is too long, maximum length is {max}", path()));
            return None;
        }
        Some(text)
    }

    /// An integer, as a JSON number or as a text of digits. Decimals are refused even when the
    /// fraction is zero.
    pub(crate) fn whole<P: fmt::Display>(
        &mut self,
        value: Option<&Scalar<'_>>,
        path: impl FnOnce() -> P,
        need: Need,
    ) -> Option<i64> {
        match value {
            None => {
                if need == Need::Required {
                    self.0.push(format!("{} is required", path()));
                }
                None
            }
            Some(Scalar::Integer(number)) => Some(*number),
            Some(Scalar::Text(text)) if is_integer_text(text) => match text.parse() {
                Ok(number) => Some(number),
                Err(_) => {
                    self.0.push(format!("{} is not a number", path()));
                    None
                }
            },
            Some(Scalar::Decimal) => {
                self.0.push(format!("{} must be an integer without decimals", path()));
                None
            }
            Some(Scalar::Text(_) | Scalar::Flag(_) | Scalar::Other) => {
                self.0.push(format!("{} is not a number", path()));
                None
            }
        }
    }
}

fn is_integer_text(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A JSON value where a text, number or boolean belongs. Never fails on the wrong type, so that
/// one pass collects every fault.
#[derive(Debug)]
pub(crate) enum Scalar<'a> {
    Text(Cow<'a, str>),
    Integer(i64),
    /// A number with decimals or beyond 64 bits.
    Decimal,
    Flag(bool),
    Other,
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or(Scalar::Decimal, Scalar::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Decimal)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

/// A JSON object, or something else where one belongs.
#[derive(Debug)]
pub(crate) enum Object<T> {
    Good(T),
    Wrong,
}

/// A JSON array, or something else where one belongs.
#[derive(Debug)]
pub(crate) enum List<T> {
    Good(Vec<T>),
    Wrong,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shape = deserializer.deserialize_any(ShapeVisitor::<T, IgnoredAny>(PhantomData))?;
        Ok(match shape {
            Shape::Map(value) => Self::Good(value),
            Shape::Seq(_) | Shape::Neither => Self::Wrong,
        })
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shape = deserializer.deserialize_any(ShapeVisitor::<Skipped, T>(PhantomData))?;
        Ok(match shape {
            Shape::Seq(values) => Self::Good(values),
            Shape::Map(Skipped) | Shape::Neither => Self::Wrong,
        })
    }
}

/// An object nobody wants to look into.
struct Skipped;

impl<'de> Deserialize<'de> for Skipped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

enum Shape<M, S> {
    Map(M),
    Seq(Vec<S>),
    Neither,
}

struct ShapeVisitor<M, S>(PhantomData<(M, S)>);

impl<'de, M: Deserialize<'de>, S: Deserialize<'de>> Visitor<'de> for ShapeVisitor<M, S> {
    type Value = Shape<M, S>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(Shape::Map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::<S>::deserialize(SeqAccessDeserializer::new(list)).map(Shape::Seq)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Shape::Neither)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Shape::Neither)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Shape::Neither)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Shape::Neither)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Shape::Neither)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shape::Neither)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_rfc3339("2026-01-15T03:00:00Z").unwrap()
    }

    fn minimal() -> Value {
        json!({
            "payment_type": "gopay",
            "transaction_details": {"order_id": "A-1", "gross_amount": 44_000},
        })
    }

    /// The minimal charge with the value at a JSON pointer replaced; `None` removes it.
    fn with(pointer: &str, value: Option<Value>) -> Value {
        let mut body = minimal();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => parent.insert(key.to_owned(), value),
            None => parent.remove(key),
        };
        body
    }

    fn outcome(body: &Value) -> Result<Charge, Refusal> {
        parse(body.to_string().as_bytes(), now(), true)
    }

    /// `None` for an accepted charge, else the code and the first validation message.
    fn fault(body: &Value) -> Option<(u16, String)> {
        let refusal = outcome(body).err()?;
        Some((refusal.code, refusal.validation.into_iter().next().unwrap_or_default()))
    }

    #[test]
    fn bodies_that_are_no_charge_get_their_code_and_http_status() {
        let long = format!("{{\"payment_type\":\"{}\"}}", "a".repeat(16_000));
        for (body, code, http) in [
            ("", 400, 400),
            ("  \n", 400, 400),
            ("null", 500, 500),
            ("{}", 400, 400),
            ("{", 413, 200),
            ("[]", 413, 200),
            ("\"gopay\"", 413, 200),
            ("7", 413, 200),
            (r#"{"payment_type":"gopay"} x"#, 413, 200),
            (r#"{"payment_type":"gopay","payment_type":"gopay"}"#, 413, 200),
            (long.as_str(), 413, 200),
        ] {
            let refusal = parse(body.as_bytes(), now(), true).unwrap_err();
            assert_eq!((refusal.code, refusal.http), (code, http), "{body:.40}");
        }
        assert_eq!(parse(b"\"\xff\"", now(), true).unwrap_err().code, 413);
    }

    #[test]
    fn the_size_limit_is_in_characters() {
        let fill = |letter: &str, count: usize| {
            let mut body = with("/custom_field1", Some(json!("")));
            body["metadata"] = json!({"fill": letter.repeat(count)});
            body.to_string()
        };
        let room = BODY_CHARS_MAX - fill("a", 0).len();
        for (letter, count, accepted) in
            [("a", room, true), ("a", room + 1, false), ("é", room, true), ("é", room + 1, false)]
        {
            let charge = parse(fill(letter, count).as_bytes(), now(), true);
            assert_eq!(charge.is_ok(), accepted, "{letter} {count}");
        }
    }

    #[test]
    fn top_level_and_transaction_rules() {
        let order = "/transaction_details/order_id";
        let amount = "/transaction_details/gross_amount";
        let text = |letter: &str, count: usize| Some(json!(letter.repeat(count)));
        for (pointer, value, code) in [
            ("/payment_type", None, Some(400)),
            ("/payment_type", Some(json!(null)), Some(400)),
            ("/payment_type", Some(json!("")), Some(400)),
            ("/payment_type", Some(json!("cash")), Some(400)),
            ("/payment_type", Some(json!(["gopay"])), Some(400)),
            ("/payment_type", Some(json!("bank_transfer")), Some(402)),
            ("/payment_type", Some(json!("qris")), Some(402)),
            ("/transaction_details", None, Some(400)),
            ("/transaction_details", Some(json!("x")), Some(400)),
            ("/transaction_details", Some(json!([])), Some(400)),
            (order, None, Some(400)),
            (order, Some(json!("")), Some(400)),
            (order, text("a", 50), None),
            (order, text("a", 51), Some(400)),
            (order, Some(json!("AZaz09-_~.")), None),
            (order, Some(json!("a b")), Some(400)),
            (order, Some(json!("a/b")), Some(400)),
            (order, Some(json!("é")), Some(400)),
            (order, Some(json!(123)), None),
            (order, Some(json!(true)), Some(400)),
            (amount, None, Some(400)),
            (amount, Some(json!(0)), Some(400)),
            (amount, Some(json!(-1)), Some(400)),
            (amount, Some(json!(1)), None),
            (amount, Some(json!(20_000_000)), None),
            (amount, Some(json!(20_000_001)), Some(400)),
            (amount, Some(json!(u64::MAX)), Some(400)),
            (amount, Some(json!(10.5)), Some(400)),
            (amount, Some(json!(10.0)), Some(400)),
            (amount, Some(json!("10000")), None),
            (amount, Some(json!("10000.00")), Some(400)),
            (amount, Some(json!("ten")), Some(400)),
            (amount, Some(json!({})), Some(400)),
            ("/custom_field1", text("a", 255), None),
            ("/custom_field1", text("é", 255), None),
            ("/custom_field2", text("a", 256), Some(400)),
            ("/custom_field3", Some(json!({})), Some(400)),
            ("/metadata", Some(json!({"a": {"b": [1]}})), None),
            ("/metadata", Some(json!("x")), Some(400)),
            ("/unknown", Some(json!("x")), None),
        ] {
            let body = with(pointer, value);
            assert_eq!(fault(&body).map(|(code, _)| code), code, "{body}");
        }
    }

    #[test]
    fn item_rules() {
        let item = |price: Value, quantity: Value| json!({"id": "1", "price": price, "quantity": quantity, "name": "Tea"});
        let named = |name: Value| json!([{"price": 44_000, "quantity": 1, "name": name}]);
        for (items, expected) in [
            (json!([]), None),
            (json!(null), None),
            (json!({}), Some("item_details must be an array")),
            (json!(["x"]), Some("item_details[0] must be an object")),
            (json!([item(json!(44_000), json!(1))]), None),
            (json!([item(json!("44000"), json!("1"))]), None),
            (json!([item(json!(22_000), json!(2))]), None),
            (json!([item(json!(50_000), json!(1)), item(json!(-6_000), json!(1))]), None),
            (
                json!([item(json!(43_999), json!(1))]),
                Some("transaction_details.gross_amount is not equal to the sum of item_details"),
            ),
            (
                json!([item(json!(i64::MAX), json!(i64::MAX))]),
                Some("transaction_details.gross_amount is not equal to the sum of item_details"),
            ),
            (
                json!([item(json!(44_000.5), json!(1))]),
                Some("item_details[0].price must be an integer without decimals"),
            ),
            (
                json!([item(json!(44_000), json!(0))]),
                Some("item_details[0].quantity must be greater than or equal to 1"),
            ),
            (json!([item(json!(null), json!(1))]), Some("item_details[0].price is required")),
            (
                json!([item(json!(44_000), json!(null))]),
                Some("item_details[0].quantity is required"),
            ),
            (named(json!(null)), Some("item_details[0].name is required")),
            (named(json!("")), Some("item_details[0].name is required")),
            (named(json!("n".repeat(50))), None),
            (
                named(json!("n".repeat(51))),
                Some("item_details[0].name is too long, maximum length is 50"),
            ),
        ] {
            let body = with("/item_details", Some(items));
            assert_eq!(
                fault(&body).map(|(_, message)| message),
                expected.map(str::to_owned),
                "{body}"
            );
        }
        let body = with("/item_details", Some(named(json!("n".repeat(51)))));
        assert!(parse(body.to_string().as_bytes(), now(), false).is_ok());
    }

    #[test]
    fn customer_rules() {
        let long = "x".repeat(256);
        for (customer, good) in [
            (json!({}), true),
            (json!("x"), false),
            (
                json!({"first_name": "Budi", "last_name": "U", "email": "b@example.com", "phone": "+62 81-1"}),
                true,
            ),
            (json!({"first_name": "x".repeat(255)}), true),
            (json!({"first_name": long}), false),
            (json!({"email": long}), false),
            (json!({"billing_address": {"country_code": "IDN", "postal_code": "12190-A b"}}), true),
            (json!({"billing_address": {"country_code": "SGP"}}), true),
            (json!({"billing_address": {"country_code": "ID"}}), false),
            (json!({"billing_address": {"country_code": "idn"}}), false),
            (json!({"billing_address": {"country_code": "INDO"}}), false),
            (json!({"shipping_address": {"postal_code": "12/190"}}), false),
            (json!({"shipping_address": {"address": long}}), false),
            (json!({"shipping_address": {"city": "x".repeat(255)}}), true),
            (json!({"shipping_address": 5}), false),
        ] {
            let body = with("/customer_details", Some(customer));
            let code = fault(&body).map(|(code, _)| code);
            assert_eq!(code, (!good).then_some(400), "{body}");
        }
    }

    #[test]
    fn callback_rules() {
        let url = |text: &str| Ok(Callback::Url(text.to_owned()));
        for (gopay, expected) in [
            (json!(null), Ok(Callback::Off)),
            (json!({}), Ok(Callback::Off)),
            (json!({"enable_callback": true}), Ok(Callback::Dashboard)),
            (json!({"callback_url": "https://a.example/"}), Ok(Callback::Off)),
            (
                json!({"enable_callback": "true", "callback_url": "someapps://callback"}),
                url("someapps://callback"),
            ),
            (
                json!({"enable_callback": true, "callback_url": "https://a.example/r/"}),
                url("https://a.example/r/"),
            ),
            (json!({"enable_callback": true, "callback_url": "gojek"}), Err(400)),
            (json!({"enable_callback": true, "callback_url": "javascript:alert(1)"}), Err(400)),
            (json!({"enable_callback": true, "callback_url": "https://a.example/\r\nx"}), Err(400)),
            (json!({"enable_callback": 1}), Err(400)),
            (json!([]), Err(400)),
        ] {
            let body = with("/gopay", Some(gopay));
            let callback = outcome(&body).map(|charge| charge.callback);
            assert_eq!(callback.map_err(|refusal| refusal.code), expected, "{body}");
        }
    }

    #[test]
    fn expiry_rules() {
        // Now is 10:00:00 in Jakarta.
        for (expiry, seconds) in [
            (json!(null), Some(900)),
            (json!({"expiry_duration": 20, "unit": "second"}), Some(20)),
            (json!({"expiry_duration": 19, "unit": "second"}), None),
            (json!({"expiry_duration": "60", "unit": "minute"}), Some(3_600)),
            (json!({"expiry_duration": 60}), Some(3_600)),
            (json!({"expiry_duration": 2, "unit": "hour"}), Some(7_200)),
            (json!({"expiry_duration": 7, "unit": "day"}), Some(604_800)),
            (json!({"expiry_duration": 604_801, "unit": "second"}), None),
            (json!({"expiry_duration": 8, "unit": "day"}), None),
            (json!({"expiry_duration": i64::MAX, "unit": "day"}), None),
            (json!({"expiry_duration": 1, "unit": "week"}), None),
            (json!({"expiry_duration": 0}), None),
            (json!({"expiry_duration": -5}), None),
            (json!({"expiry_duration": 1.5}), None),
            (json!({"unit": "hour"}), None),
            (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:55:00 +0700"}), Some(300)),
            (json!({"expiry_duration": 10, "order_time": "2026-01-15 03:00:00 +0000"}), Some(600)),
            (json!({"expiry_duration": 10, "order_time": "2026-01-14 22:00:00 -0500"}), Some(600)),
            (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:50:20 +0700"}), Some(20)),
            (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:50:19 +0700"}), None),
            (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:00:00 +0700"}), None),
            (json!({"expiry_duration": 10, "order_time": "2026-01-15T09:55:00 +0700"}), None),
            (json!({"expiry_duration": 10, "order_time": "2026-01-15 09:55:00"}), None),
        ] {
            let body = with("/custom_expiry", Some(expiry));
            let left = outcome(&body).map(|charge| charge.expires_at.since(now()).as_secs());
            assert_eq!(left.map_err(|refusal| refusal.code), seconds.ok_or(400), "{body}");
        }
    }

    #[test]
    fn all_faults_are_listed_at_once() {
        let body = json!({"transaction_details": {"order_id": "a b", "gross_amount": 0}});
        assert_eq!(
            outcome(&body).unwrap_err().validation,
            [
                "payment_type is required",
                "transaction_details.order_id contains characters that are not allowed",
                "transaction_details.gross_amount must be greater than or equal to 1",
            ]
        );
    }
}
