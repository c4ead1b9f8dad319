//! What several targets ask of an answer of Midtrans.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use gopay_core::midtrans::{OrderId, Refusal, StatusView};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The HTTP statuses under which each body is read: every kind that the readers tell apart.
pub const HTTP: [u16; 14] = [100, 200, 201, 202, 302, 400, 401, 402, 404, 406, 412, 429, 500, 503];

/// The members that the readers read; of all others only the form matters.
const MEMBERS: [&str; 21] = [
    "actions",
    "status_code",
    "status_message",
    "transaction_id",
    "order_id",
    "gross_amount",
    "currency",
    "payment_type",
    "payment_option_type",
    "transaction_status",
    "fraud_status",
    "settlement_time",
    "expiry_time",
    "channel_response_code",
    "channel_response_message",
    "signature_key",
    "refund_amount",
    "refund_key",
    "refund_chargeback_id",
    "validation_messages",
    "refunds",
];

/// The members of an object by name, each as it stands in the body.
#[derive(Clone, Debug, serde::Serialize)]
#[serde(transparent)]
pub struct Members(BTreeMap<String, Box<RawValue>>);

impl Members {
    /// A member, if it is there and what is in it can be read.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// A string, or a number or boolean as it stands in the body.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        let sent = self.0.get(name)?.get();
        match sent.as_bytes().first()? {
            b'"' => serde_json::from_str(sent).ok(),
            b'n' | b'[' | b'{' => None,
            _ => Some(sent.to_owned()),
        }
    }

    /// How many entries a list has; none if it is something else.
    #[must_use]
    pub fn entries(&self, name: &str) -> usize {
        let sent = self.0.get(name).map_or("null", |sent| sent.get());
        serde_json::from_str::<Vec<IgnoredAny>>(sent).map_or(0, |entries| entries.len())
    }

    /// Puts a string in the place of a member.
    ///
    /// # Panics
    /// Never: a string has a JSON form.
    pub fn set(&mut self, name: &str, text: &str) {
        let text = serde_json::value::to_raw_value(text).expect("a string has a JSON form");
        self.0.insert(name.to_owned(), text);
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_map(Object).map(Self)
    }
}

/// What only people read: left out if it cannot be read or stands there twice with a difference.
const SIDE: [&str; 7] = [
    "status_message",
    "payment_type",
    "payment_option_type",
    "settlement_time",
    "expiry_time",
    "channel_response_code",
    "channel_response_message",
];

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).expect("JSON")
}

/// Keeps the first of equal members. Of different ones nothing is kept that could be believed.
fn put(members: &mut BTreeMap<String, Box<RawValue>>, name: String, sent: Box<RawValue>) {
    let lists = ["actions", "validation_messages"];
    let half = sent.get().starts_with('"') && serde_json::from_str::<String>(sent.get()).is_err();
    let spoilt = || raw(if SIDE.contains(&name.as_str()) { "null" } else { "\"\u{fffd}\"" });
    let sent =
        if half && !lists.contains(&name.as_str()) && name != "refunds" { spoilt() } else { sent };
    let Some(known) = members.get(&name) else {
        members.insert(name, sent);
        return;
    };
    let of = |value: &RawValue| Members(BTreeMap::from([(name.clone(), value.to_owned())]));
    if lists.contains(&name.as_str()) {
        return;
    }
    if name == "refunds" {
        let null = |value: &RawValue| value.get() == "null";
        let same = known.get() == sent.get() && !null(known);
        if !same {
            members.insert(name, raw("0"));
        }
    } else if of(known).text(&name) != of(&sent).text(&name) {
        let spoilt = spoilt();
        members.insert(name, spoilt);
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = BTreeMap<String, Box<RawValue>>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if MEMBERS.contains(&name.as_str()) {
                let sent = map.next_value()?;
                put(&mut members, name, sent);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(members)
    }
}

/// What the body says in [`MEMBERS`], if it is an object that can be read.
#[must_use]
pub fn object(body: &[u8]) -> Option<Members> {
    serde_json::from_slice(body).ok()
}

/// The code that the body carries, in either of the forms that count.
#[must_use]
pub fn body_code(body: &[u8]) -> Option<u16> {
    let text = object(body)?.text("status_code")?;
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|code| digits && *code >= 100)
}

/// A refusal is fit for a log: bounded, each text on one line.
pub fn check_refusal(refusal: &Refusal) {
    assert!(refusal.validation.len() <= Refusal::VALIDATION_LINES_MAX);
    let texts = [Some(&refusal.message), refusal.provider_message.as_ref()];
    for text in texts.into_iter().flatten().chain(&refusal.validation) {
        check_line(text, Refusal::TEXT_CHARS_MAX);
    }
    if let Some(code) = &refusal.provider_code {
        check_line(code, 64);
    }
}

/// One line of at most `max` characters.
pub fn check_line(text: &str, max: usize) {
    assert!(text.chars().count() <= max && !text.chars().any(char::is_control), "{text:?}");
}

/// A link is safe in a header and in a page.
pub fn check_link(link: &str) {
    assert!(link.len() <= 16_384 && link.bytes().all(|byte| byte.is_ascii_graphic()), "{link:?}");
    let scheme = link.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let harmful = ["javascript", "data", "vbscript", "file", "blob", "about", "view-source"];
    assert!(link.contains(':') && !harmful.contains(&scheme.as_str()), "{link:?}");
}

/// What holds for every payment that Midtrans describes.
pub fn check_view(view: &StatusView, body: &[u8]) {
    // Money that is not clear is shown to a person.
    check_line(&view.gross.text, 64);
    let words =
        [&view.currency, &view.payment_type, &view.payment_option_type, &view.provider_code];
    for word in words.into_iter().flatten() {
        check_line(word, 64);
    }
    if let Some(link) = &view.deeplink {
        check_link(link);
    }
    let object = object(body).expect("what is described was an object");
    if let Some(order_id) = &view.order_id {
        let text = object.text("order_id").expect("an order id is sent");
        assert_eq!(*order_id, OrderId::from_wire(&text));
    }
    if let Some(refunds) = &view.refunds {
        assert_eq!(refunds.len(), object.entries("refunds"));
        assert!(refunds.iter().all(|refund| refund.chargeback_id.is_none_or(|id| id > 0)));
    }
    if view.is_paid() {
        // Words count in any case.
        let lower = |name| object.text(name).map(|word| word.trim().to_ascii_lowercase());
        let word = lower("transaction_status");
        let paid = ["settlement", "refund", "partial_refund", "chargeback", "partial_chargeback"];
        assert!(word.as_deref().is_some_and(|word| paid.contains(&word)), "{word:?}");
        let fraud = lower("fraud_status");
        // Neither text nor number counts as absent, and so does an empty text.
        assert!(matches!(fraud.as_deref(), None | Some("" | "accept")), "{fraud:?}");
    }
}

/// Runs `read` on a file with this content, in memory where the system has a place for that. One process of
/// a target runs at a time in one folder of its own.
pub fn in_a_file(name: &str, content: &[u8], read: impl FnOnce(&Path)) {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let path = folder.join(format!("gopay-fuzz-{name}-{}", std::process::id()));
    std::fs::write(&path, content).expect("a file can be written");
    read(&path);
}
