//! The reader of carts, against `serde_json`.
#![no_main]

use std::fmt;

use gopay_core::ppro::items::{ITEMS_MAX, read};
use gopay_core::rejection::{All, First, Rule};
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

fuzz_target!(|value: &str| {
    let (mut items, mut items_all) = (Vec::new(), Vec::new());
    let (mut first, mut all) = (First::default(), All::default());
    let ours = read(value, &mut items, &mut first);
    let ours_all = read(value, &mut items_all, &mut all);
    assert_eq!(ours.is_ok(), first.0.is_none());
    assert_eq!(ours.is_ok(), ours_all.is_ok());
    assert_eq!(first.0.as_ref(), all.0.first());

    let theirs = serde_json::from_str::<Value>(value);
    check_syntax(&theirs, &all);

    if let Ok(sum) = ours {
        assert_eq!(ours_all, ours);
        // A number that no float holds is JSON all the same, and may stand where we do not read.
        let cart = serde_json::from_str::<Vec<Members>>(value).ok();
        let Some(cart) = cart else { return };
        let lines: Option<Vec<Line>> = cart.iter().map(Members::line).collect();
        let lines = lines.expect("what we accept has the three members");
        assert_eq!(sum, lines.iter().map(Line::total).sum::<i128>());
        assert_eq!(items.len(), lines.len());
        for (item, line) in items.iter().zip(&lines) {
            assert_eq!(item.name(value, usize::MAX), line.name);
            let short: String = line.name.chars().take(50).collect();
            assert_eq!(item.name(value, 50), short);
            assert!(item.plain_name(value).is_none_or(|name| name == line.name));
            assert_eq!(item.total(), line.total());
        }
    } else if let Ok(cart) = serde_json::from_str::<Vec<Members>>(value) {
        let good = (1..=ITEMS_MAX).contains(&cart.len())
            && cart.iter().all(|members| members.line().is_some())
            && theirs.as_ref().is_ok_and(|json| depth(json) <= DEPTH_MAX);
        assert!(!good, "refused: {:?}", first.0);
    }
});

/// Carts nested deeper than this may be refused, whatever is in them.
const DEPTH_MAX: u32 = 32;

/// The most rupiah in one line of a cart, either way.
const LINE_MAX: i128 = 9_999_999_999_999;

fn check_syntax(theirs: &Result<Value, serde_json::Error>, all: &All) {
    let syntax = all.0.iter().any(|found| matches!(found.rule, Rule::JsonForm { .. }));
    // Both ends of the work come before the end of the text.
    let stopped = all.0.len() >= 100
        || all.0.iter().any(|found| matches!(found.rule, Rule::TooManyItems { .. }));
    match theirs {
        Ok(json) => assert!(!syntax || depth(json) > DEPTH_MAX, "JSON, but {:?}", all.0),
        Err(error) if error.to_string().starts_with("number out of range") => {}
        Err(error) => assert!(syntax || stopped, "not JSON: {error}"),
    }
}

fn depth(value: &Value) -> u32 {
    match value {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

struct Line {
    name: String,
    price: i128,
    quantity: i128,
}

impl Line {
    fn total(&self) -> i128 {
        self.price * self.quantity
    }
}

/// An object with all its members, repeats included.
struct Members(Vec<(String, Value)>);

impl Members {
    fn only(&self, name: &str) -> Option<&Value> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        let one = found.next()?;
        found.next().is_none().then_some(one)
    }

    /// The line, if it keeps every rule.
    fn line(&self) -> Option<Line> {
        let name = self.only("name")?.as_str().filter(|name| !name.is_empty())?;
        let price = self.only("price")?.as_str()?.strip_suffix(".00")?;
        let digits = price.strip_prefix('-').unwrap_or(price);
        let canonical = (1..=13).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        let quantity = self.only("quantity")?.as_u64()?;
        if !canonical || name.contains('\0') || !(1..=999_999_999).contains(&quantity) {
            return None;
        }
        let line = Line {
            name: name.to_owned(),
            price: price.parse().expect("13 digits and a sign"),
            quantity: i128::from(quantity),
        };
        (line.total().abs() <= LINE_MAX).then_some(line)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        input.deserialize_map(Object)
    }
}
