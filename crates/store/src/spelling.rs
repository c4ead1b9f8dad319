//! The short spelling of what the store keeps most of: calls, and details of trails.
//!
//! Both are JSON whose names and words are the same in nearly every row. Each of the commonest
//! stretches is kept as one control character, which JSON never holds as it is. What has none reads
//! as it is, so texts of before are read as ever. A number once given to a stretch is never given to
//! another.

use std::borrow::Cow;

use serde_json::Value;

/// Stands before a text that holds control characters itself, which is kept as it is.
const AS_IT_IS: char = '\u{1f}';

/// The stretches of a kind of text: that at place `n` is kept as the character `n + 1`. Each begins
/// with a quotation mark, and a longer one comes before those that it begins with.
pub struct Spelling(&'static [&'static str]);

/// Of [`crate::EventRecord::detail`].
pub const DETAIL: Spelling = Spelling(&[
    r#""event":"charge_created","from":"initialized","to":"pending","verdict":"moved"}"#,
    r#""event":"paid","from":"pending","to":"succeeded","verdict":"moved"}"#,
    r#""event":"expired","from":"pending","reason":""#,
    r#""to":"failed","verdict":"moved"}"#,
    r#""verdict":"moved"}"#,
    r#""verdict":"noted"}"#,
    r#""delivered":true,"status":200}"#,
    r#""delivered":false"#,
    r#""answer":"created","attempt":0}"#,
    r#""about":"status","answer":"settlement"}"#,
    r#""about":"status","answer":"pending"}"#,
    r#""about":"status","answer":"expire"}"#,
    r#""about":"status","answer":""#,
    r#""claimed":"settlement","code":200}"#,
    r#""claimed":""#,
    r#""refund_id":""#,
    r#""amount_sen":"#,
    r#""to":"succeeded"}"#,
    r#""to":"unresolved"}"#,
    r#""from":""#,
    r#""event":""#,
    r#""bytes":"#,
    r#""items":"#,
    r#""trace":""#,
    r#""attempt":"#,
    r#""answer":""#,
    r#""reason":""#,
    r#""error":""#,
    r#""status":"#,
    r#""code":"#,
]);

/// Of [`crate::Store::payment_request`].
pub const CALL: Spelling = Spelling(&[
    r#""txtype":"TRANSACTION","#,
    r#""channel":"testchannel","#,
    r#""channel":"livechannel","#,
    r#""tag":"gopay","#,
    r#""countrycode":"ID","#,
    r#""currency":"IDR","#,
    r#""login":""#,
    r#""contractid":""#,
    r#""amount":""#,
    r#""merchanttxid":""#,
    r#""merchantredirecturl":"https://"#,
    r#""notificationurl":"https://"#,
    r#""accountholdername":""#,
    r#""nonce":""#,
    r#""sellingpoint":""#,
    r#""soldservice":""#,
    r#""preferredlanguage":""#,
    r#""specin.deeplinkcallbackurl":""#,
    r#""specin.email":""#,
    r#""specin.phone":""#,
    r#""specin.dynamicdescriptor":""#,
    r#""specin.billingaddr"#,
    r#""specin.billing"#,
    r#""specin.shippingaddr"#,
    r#""specin.shipping"#,
]);

/// A text that is not to be shortened, as it must be stored to be read again.
#[must_use]
pub fn unshortened(text: &str) -> Cow<'_, str> {
    let is_code = |byte: u8| byte < b' ';
    if text.bytes().any(is_code) { format!("{AS_IT_IS}{text}").into() } else { text.into() }
}

impl Spelling {
    /// The short spelling of a value.
    #[must_use]
    pub fn shorten_value(&self, value: &Value) -> String {
        // Into a vector with room; by `Display` it would grow eight times. All its names are texts, so
        // that it cannot fail.
        let text = serde_json::to_string(value).unwrap_or_default();
        if let Cow::Owned(short) = self.shorten(&text) { short } else { text }
    }

    /// The short spelling.
    #[must_use]
    pub fn shorten<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if let Cow::Owned(stored) = unshortened(text) {
            return stored.into();
        }
        let mut short = String::with_capacity(text.len());
        let (mut rest, mut kept) = (text, text);
        while let Some(at) = rest.find('"') {
            let Some(from) = rest.get(at..) else { break };
            let found = ('\u{1}'..).zip(self.0).find(|(_, stretch)| from.starts_with(**stretch));
            let Some((code, stretch)) = found else {
                rest = from.get(1..).unwrap_or_default();
                continue;
            };
            let before = kept.len().saturating_sub(from.len());
            short.push_str(kept.get(..before).unwrap_or_default());
            short.push(code);
            rest = from.get(stretch.len()..).unwrap_or_default();
            kept = rest;
        }
        if short.is_empty() {
            return text.into();
        }
        short.push_str(kept);
        short.into()
    }

    /// The text that was shortened, or was stored as it is.
    #[must_use]
    pub fn lengthen(&self, stored: String) -> String {
        if let Some(text) = stored.strip_prefix(AS_IT_IS) {
            return text.to_owned();
        }
        if !stored.bytes().any(|byte| byte < b' ') {
            return stored;
        }
        let mut text = String::with_capacity(stored.len().saturating_mul(3));
        for char in stored.chars() {
            let place = usize::try_from(u32::from(char)).unwrap_or_default();
            match place.checked_sub(1).and_then(|place| self.0.get(place)) {
                Some(stretch) => text.push_str(stretch),
                None => text.push(char),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_texts_become_short_and_read_as_they_were() {
        for (spelling, text, length) in [
            (
                &DETAIL,
                r#"{"event":"charge_created","from":"initialized","to":"pending","verdict":"moved"}"#,
                2,
            ),
            (&DETAIL, r#"{"delivered":true,"status":200}"#, 2),
            (&DETAIL, r#"{"bytes":714,"items":1}"#, 9),
            (&DETAIL, r#"{"unheard":"of"}"#, 16),
            (&DETAIL, r#""sealed:AAAA""#, 13),
            (&CALL, r#"{"txtype":"TRANSACTION","channel":"testchannel","amount":"1"}"#, 7),
            (&CALL, "", 0),
        ] {
            let short = spelling.shorten(text);
            assert_eq!(short.len(), length, "{short:?}");
            assert_eq!(spelling.lengthen(short.into_owned()), text);
        }
    }

    #[test]
    fn texts_of_before_read_as_ever() {
        for text in [r#"{"event":"paid"}"#, "no JSON", ""] {
            assert_eq!(DETAIL.lengthen(text.to_owned()), text);
        }
    }

    #[test]
    fn stretches_can_be_told_apart() {
        for Spelling(stretches) in [&DETAIL, &CALL] {
            assert!(stretches.len() < 31, "each has a character of its own");
            for (place, stretch) in stretches.iter().enumerate() {
                assert!(stretch.starts_with('"'), "{stretch}");
                let earlier = stretches.get(..place).unwrap();
                assert!(!earlier.iter().any(|one| stretch.starts_with(one)), "{stretch}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_text_reads_as_it_was_written(
            parts in proptest::collection::vec(
                prop_oneof![
                    proptest::sample::select(DETAIL.0.to_vec()).prop_map(str::to_owned),
                    proptest::sample::select(CALL.0.to_vec()).prop_map(str::to_owned),
                    ".{0,9}",
                    "[\u{1}-\u{1f}]{1,2}",
                    "[\"{},:a-c]{0,9}",
                ],
                0..9,
            ),
        ) {
            let text = parts.concat();
            for spelling in [&DETAIL, &CALL] {
                for stored in [spelling.shorten(&text), unshortened(&text)] {
                    prop_assert_eq!(spelling.lengthen(stored.into_owned()), text.clone());
                }
            }
        }
    }
}
