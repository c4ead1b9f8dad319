//! The parameters of every call, the other calls, and what is kept of a call.
#![no_main]

use std::collections::BTreeMap;
use std::fmt;

use gopay_core::ppro::call::{fingerprint, open, record, refund, refund_id, same_specin, tx_id};
use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

fuzz_target!(|body: &[u8]| {
    let mut scratch = Scratch::new();
    let (form, _) = Form::decode(body, &mut scratch);

    if let Ok(envelope) = open(&form) {
        assert_eq!(form.get(Field::Returnmode), Some("urlencodeext"));
        for value in [envelope.login, envelope.password, envelope.contract] {
            assert!(!value.is_empty());
        }
    }
    if let Ok(Some(id)) = tx_id(&form) {
        assert_eq!(Some(id.to_string().as_str()), form.get(Field::Txid));
    }
    if let Ok(Some(id)) = refund_id(&form) {
        assert_eq!(Some(id.to_string().as_str()), form.get(Field::Refundid));
    }
    if let Ok(call) = refund(&form) {
        assert_eq!(Some(call.amount.get().to_string().as_str()), form.get(Field::Amount));
        assert_eq!(Some(call.currency), form.filled(Field::Currency));
        assert!(call.merchant_refund_id.is_none_or(|id| (1..=40).contains(&id.len())));
    }

    let kept = record(&form);
    check_record(&form, &kept);
    let known_fault =
        Field::ALL.iter().any(|field| field.is_specin() && form.fault(*field).is_some());
    if known_fault {
        assert!(same_specin(&form, &kept).is_err());
    } else if form.other_fault().is_none() {
        assert_eq!(same_specin(&form, &kept), Ok(()), "{kept}");
    }

    let mut again = Scratch::new();
    let (form_again, _) = Form::decode(body, &mut again);
    assert_eq!(fingerprint(&form), fingerprint(&form_again));
    assert_eq!(kept, record(&form_again));
});

/// The record is a JSON object of strings: each parameter once, without those that must not be
/// kept, and without what has a fault.
fn check_record(form: &Form<'_>, kept: &str) {
    let pairs: Pairs = serde_json::from_str(kept).expect("the record is a JSON object of strings");
    let by_name: BTreeMap<&str, &str> =
        pairs.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(by_name.len(), pairs.0.len(), "a name occurs twice: {kept}");
    for (name, value) in &by_name {
        assert!(!name.starts_with("transientin."), "{name}");
        assert!(!matches!(*name, "password" | "returnmode"), "{name}");
        assert!(!name.contains('\0') && !value.contains('\0'), "U+0000 is kept: {kept}");
        match Field::from_name(name.as_bytes()) {
            Some(field) => assert_eq!(form.get(field), Some(*value)),
            None => assert!(name.starts_with("specin."), "{name}"),
        }
    }
    for field in Field::ALL {
        let keeps = !field.is_transient() && !matches!(field, Field::Password | Field::Returnmode);
        let value = form.get(*field).filter(|_| keeps);
        assert_eq!(by_name.get(field.name()).copied(), value, "{}", field.name());
    }
}

/// An object with all its members, repeats included.
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Pairs;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }

        input.deserialize_map(Object)
    }
}
