//! Lenient reading of single fields: texts, times, words and lists, whatever form they come in.
//!
//! Midtrans announces that fields may change their JSON type at any time, so a number or boolean
//! is taken where a string is usual. A number keeps its own digits: no amount and no id passes
//! through a float.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::bytes::{PRINTABLE, all};
use crate::money::{AmountError, Sen, sen_from_decimal_text, sen_from_json_number};
use crate::text::is_unprintable;
use crate::time::Timestamp;

/// A string, or a number or boolean in its place. Anything else counts as absent.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Text<'a> {
    /// Not there, `null`, a list or an object.
    #[default]
    Absent,
    /// A string without escapes, as it stands in the body; or `true` or `false`.
    Borrowed(&'a str),
    /// A string whose escapes were resolved; or an integer.
    Owned(String),
    /// A number, digit by digit as it stands in the body.
    Number(&'a str),
}

impl<'a> Text<'a> {
    /// The text; may be empty.
    pub(super) fn get(&self) -> Option<&str> {
        match self {
            Self::Absent => None,
            Self::Borrowed(text) | Self::Number(text) => Some(text),
            Self::Owned(text) => Some(text),
        }
    }

    /// The text of an optional field, in which an empty or blank string counts as absent.
    pub(super) fn filled(&self) -> Option<&str> {
        self.get().filter(|text| !text.trim_ascii().is_empty())
    }

    /// The text as a value of its own; may be empty.
    pub(super) fn take(self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Borrowed(text) | Self::Number(text) => Some(text.to_owned()),
            Self::Owned(text) => Some(text),
        }
    }

    /// The bounded word of an optional field.
    pub(super) fn word(&self) -> Option<String> {
        self.filled().map(word)
    }

    /// The time of an optional field. One that cannot be read counts as absent: nothing is decided
    /// by it.
    pub(super) fn time(&self) -> Option<Timestamp> {
        Timestamp::from_wib_seconds(self.get()?).ok()
    }

    /// The amount of rupiah, exactly: a string such as `"44000.00"`, or any JSON number.
    pub(super) fn sen(&self) -> Option<Result<Sen, AmountError>> {
        match self {
            Self::Absent => None,
            Self::Number(number) => Some(sen_from_json_number(number)),
            Self::Borrowed(text) => Some(sen_from_text(text)),
            Self::Owned(text) => Some(sen_from_text(text)),
        }
    }

    /// An id of Midtrans, `1..=i64::MAX`, which every store can hold.
    pub(super) fn id(&self) -> Option<i64> {
        self.get()?.parse().ok().filter(|id| *id > 0)
    }

    /// Reads a value by its JSON text, which the JSON reader has found to be sound. Fails if a
    /// string has an escape that is half of a character.
    pub(super) fn of_json(json: &'a str) -> Result<Self, serde_json::Error> {
        Ok(match json.as_bytes() {
            [b'"', within @ .., b'"'] if !has_backslash(within) => {
                Self::Borrowed(json.get(1..=within.len()).unwrap_or_default())
            }
            [b'"', ..] => Self::Owned(serde_json::from_str(json)?),
            [b'-' | b'0'..=b'9', ..] => Self::Number(json),
            [b't' | b'f', ..] => Self::Borrowed(json),
            _ => Self::Absent,
        })
    }
}

/// The amount that a string says. How it is written must not decide about money: blanks around it, a
/// plus or an exponent leave no doubt which amount is meant.
fn sen_from_text(text: &str) -> Result<Sen, AmountError> {
    sen_from_decimal_text(text).or_else(|_| {
        let text = text.trim();
        sen_from_json_number(text.strip_prefix('+').unwrap_or(text))
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(input)?;
        Self::of_json(json.get()).map_err(D::Error::custom)
    }
}

/// Fast path for a text that is a string or an integer of 64 bits. Reading fails at any other number,
/// whose digits only [`Text`] keeps.
pub(super) struct PlainText<'a>(pub(super) Text<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for PlainText<'a> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(PlainTextVisitor).map(Self)
    }
}

struct PlainTextVisitor;

impl<'de> Visitor<'de> for PlainTextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("anything but a decimal number")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text::Owned(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Self::Value, E> {
        Ok(Text::Borrowed(if truth { "true" } else { "false" }))
    }

    // JSON writes an integer in one way only.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text::Owned(number.to_string()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Text::Owned(number.to_string()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Text::Absent)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text::Absent)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text::Absent)
    }
}

/// Reads all bytes without a branch, so that it is done by blocks.
#[inline]
fn has_backslash(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, byte| found | (*byte == b'\\'))
}

/// The entries of a list; none if it is absent, `null`, or something else than a list.
pub(super) fn entries(list: Option<&RawValue>) -> Option<Vec<&RawValue>> {
    serde_json::from_str(list?.get()).ok()
}

/// The strings in a list, and in objects and lists within it; or one that stands in the place of the
/// list. An object's names stand before its texts. Other entries are passed over.
pub(super) fn strings(list: Option<&RawValue>) -> impl Iterator<Item = String> {
    let mut all = Vec::new();
    if let Some(list) = list {
        match entries(list.into()) {
            // An entry that cannot be read does not hide the others.
            Some(entries) => entries.into_iter().for_each(|entry| collect(entry, &mut all)),
            None => collect(list, &mut all),
        }
    }
    all.into_iter()
}

fn collect(json: &RawValue, all: &mut Vec<String>) {
    if let Ok(value) = serde_json::from_str(json.get()) {
        texts_of(&value, "", all);
    }
}

fn texts_of(value: &serde_json::Value, name: &str, all: &mut Vec<String>) {
    use serde_json::Value;
    /// More of them help nobody.
    const MAX: usize = 64;
    match value {
        Value::String(text) if all.len() < MAX && name.is_empty() => all.push(text.clone()),
        Value::String(text) if all.len() < MAX => all.push(format!("{name}: {text}")),
        Value::Array(list) => list.iter().for_each(|entry| texts_of(entry, name, all)),
        Value::Object(members) => {
            members.iter().for_each(|(name, entry)| texts_of(entry, name, all));
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The characters kept of a word or code of Midtrans. All known ones are shorter than 40.
const WORD_CHARS_MAX: usize = 64;

/// A word or code of Midtrans: one line of at most 64 characters.
pub(super) fn word(text: &str) -> String {
    bounded(text, WORD_CHARS_MAX)
}

/// `text` on one line, at most `chars_max` characters long.
pub(super) fn bounded(text: &str, chars_max: usize) -> String {
    if text.len() <= chars_max && all(text.as_bytes(), PRINTABLE) {
        return text.to_owned();
    }
    text.chars().map(|char| if is_unprintable(char) { ' ' } else { char }).take(chars_max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_a_string_or_what_stands_in_for_one() {
        for (json, expected) in [
            (r#""pending""#, Text::Borrowed("pending")),
            (r#""""#, Text::Borrowed("")),
            (r#""a\/b""#, Text::Owned("a/b".into())),
            (r#""\"""#, Text::Owned("\"".into())),
            (r#""\u00e9""#, Text::Owned("\u{e9}".into())),
            ("\"\u{e9}\"", Text::Borrowed("\u{e9}")),
            ("201", Text::Number("201")),
            ("-0.50", Text::Number("-0.50")),
            ("1e999", Text::Number("1e999")),
            ("18446744073709551616", Text::Number("18446744073709551616")),
            ("true", Text::Borrowed("true")),
            ("false", Text::Borrowed("false")),
            ("null", Text::Absent),
            ("[1]", Text::Absent),
            (r#"{"a":1e999}"#, Text::Absent),
        ] {
            assert_eq!(serde_json::from_str::<Text<'_>>(json).unwrap(), expected, "{json}");
        }
        for json in [
            r#""a""#,
            r#""""#,
            r#""a\/b""#,
            "201",
            "-7",
            "true",
            "false",
            "null",
            "[1.5]",
            "{\"a\":[]}",
        ] {
            let plain = serde_json::from_str::<PlainText<'_>>(json).unwrap().0;
            assert_eq!(
                plain.get(),
                serde_json::from_str::<Text<'_>>(json).unwrap().get(),
                "{json}"
            );
        }
        for json in ["1.0", "-0", "1e4", "1e999", "18446744073709551616"] {
            assert!(serde_json::from_str::<PlainText<'_>>(json).is_err(), "{json}");
        }
        for json in [r#""\ud800""#, r#""\q""#, "01", "\"\n\"", "tru", ""] {
            assert!(serde_json::from_str::<Text<'_>>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_amount_keeps_its_own_digits() {
        use AmountError as E;
        for (json, expected) in [
            (r#""44000.00""#, Ok(4_400_000)),
            (r#""44000""#, Ok(4_400_000)),
            (r#""1e4""#, Ok(1_000_000)),
            (r#"" 44000.00\n""#, Ok(4_400_000)),
            (r#""+44000.00""#, Ok(4_400_000)),
            (r#""++44000.00""#, Err(E::NotANumber)),
            (r#""44,000.00""#, Err(E::NotANumber)),
            (r#""44.000,00""#, Err(E::NotANumber)),
            (r#""4 4000""#, Err(E::NotANumber)),
            (r#""IDR 44000""#, Err(E::NotANumber)),
            (r#""-44000""#, Err(E::OutOfRange)),
            (r#""44000.\u0030""#, Ok(4_400_000)),
            (r#""""#, Err(E::NotANumber)),
            ("44000.00", Ok(4_400_000)),
            ("44000", Ok(4_400_000)),
            ("44000.5", Ok(4_400_050)),
            ("1e4", Ok(1_000_000)),
            ("44000.005", Err(E::NotWhole)),
            ("44000.0000000000001", Err(E::NotWhole)),
            ("18446744073709551616", Err(E::OutOfRange)),
            ("1e999", Err(E::OutOfRange)),
            ("-1", Err(E::OutOfRange)),
            ("true", Err(E::NotANumber)),
        ] {
            let text: Text<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(text.sen().unwrap().map(Sen::get), expected, "{json}");
        }
        assert_eq!(Text::Absent.sen(), None);
    }

    #[test]
    fn an_id_is_whole_and_keeps_all_its_digits() {
        for (json, expected) in [
            ("202502070943231234", Some(202_502_070_943_231_234)),
            (r#""202502070943231234""#, Some(202_502_070_943_231_234)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("2.02e17", None),
            ("0", None),
            ("-1", None),
            (r#""""#, None),
            (r#""u""#, None),
            ("null", None),
        ] {
            assert_eq!(serde_json::from_str::<Text<'_>>(json).unwrap().id(), expected, "{json}");
        }
    }

    #[test]
    fn an_empty_optional_field_counts_as_absent() {
        for (json, word, time) in [
            (r#""""#, None, false),
            ("null", None, false),
            (r#""accept""#, Some("accept"), false),
            (r#"" ""#, None, false),
            (r#""2025-06-21 15:34:20""#, Some("2025-06-21 15:34:20"), true),
        ] {
            let text: Text<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(text.word().as_deref(), word, "{json}");
            assert_eq!(text.time().is_some(), time, "{json}");
        }
    }

    #[test]
    fn strings_are_found_among_whatever_else_is_there() {
        for (list, expected) in [
            (r#"["a",7,1e999,null,["b"],"c\n","\ud800"]"#, &["a", "b", "c\n"][..]),
            ("[]", &[]),
            ("{}", &[]),
            (r#""a""#, &["a"]),
            (r#"{"email":["bad"]}"#, &["email: bad"]),
            (r#"[{"email":"bad"}]"#, &["email: bad"]),
        ] {
            let list: &RawValue = serde_json::from_str(list).unwrap();
            assert_eq!(strings(Some(list)).collect::<Vec<_>>(), expected, "{list}");
        }
        assert_eq!(strings(None).count(), 0);
    }

    #[test]
    fn text_for_the_log_is_one_short_line() {
        assert_eq!(bounded("a\r\nb\u{7f}c", 10), "a  b c");
        assert_eq!(bounded("éàü", 2), "éà");
        assert_eq!(bounded("a\u{202e}b\u{2066}", 10), "a b ", "marks of direction");
        assert_eq!(bounded("", 2), "");
        assert_eq!(word(&"x".repeat(99)).len(), 64);
    }
}
