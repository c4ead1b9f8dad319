//! Ids as reports carry them: ours as numbers, Midtrans' as 128 bits, ruined ones recognised.

use std::collections::BTreeMap;

/// Our order id as a report carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderId {
    /// A TXID could look like this: 1 to 19 digits, no leading zero.
    Ours(i64),
    /// A spreadsheet made a number of it and cut its digits off: `7.30268E+18`.
    Ruined,
    /// Something else: somebody else's order.
    Foreign,
    /// Nothing.
    None,
}

impl OrderId {
    /// Reads a cell.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let text = text.trim_ascii();
        // What some spreadsheets put before text.
        let text = text.strip_prefix(b"'").unwrap_or(text);
        if text.is_empty() {
            return Self::None;
        }
        if let Some(number) = number(text) {
            return Self::Ours(number);
        }
        if ruined(text) { Self::Ruined } else { Self::Foreign }
    }
}

/// A number of 1 to 19 digits without leading zero that fits 63 bits.
pub(crate) fn number(text: &[u8]) -> Option<i64> {
    if text.len() > 19 || text.first().is_none_or(|first| *first == b'0') {
        return None;
    }
    // 19 digits fit 64 bits; whether they fit 63 is seen at the end.
    let mut value: u64 = 0;
    for digit in text {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    i64::try_from(value).ok()
}

/// The mantissa and exponent of a spreadsheet: digits, a mark, digits, `E+`, digits.
fn ruined(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| matches!(byte, b'E' | b'e')) else { return false };
    let (mantissa, exponent) = text.split_at(at);
    let exponent = match exponent {
        [_, b'+', rest @ ..] | [_, rest @ ..] => rest,
        [] => &[],
    };
    let digit_or_mark = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',');
    !mantissa.is_empty()
        && mantissa.iter().all(digit_or_mark)
        && (1..=3).contains(&exponent.len())
        && exponent.iter().all(u8::is_ascii_digit)
}

/// Whether an unknown id looks like one that a spreadsheet rounded to 15 digits:
/// `7302680123456780000`.
#[must_use]
pub(crate) const fn rounded(id: i64) -> bool {
    // 16 digits and more; the last of them zero.
    id >= 1_000_000_000_000_000 && id % power_of_ten_beyond_15(id) == 0
}

const fn power_of_ten_beyond_15(id: i64) -> i64 {
    let mut power = 10;
    let mut rest = id / 10;
    while rest >= 1_000_000_000_000_000 {
        rest /= 10;
        power *= 10;
    }
    power
}

/// Midtrans' `transaction_id`, small enough for millions: a UUID in lower case as itself, any
/// other text by its place in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum MidtransId {
    #[default]
    None,
    Uuid([u64; 2]),
    Text(u32),
}

/// The texts of ids that are no UUIDs in lower case, each once.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: Vec<String>,
    places: BTreeMap<String, u32>,
}

/// An id of Midtrans without regard to letter case, of whichever table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum AnyCase {
    Uuid([u64; 2]),
    Text(String),
}

/// Characters of an odd id that are kept.
const TEXT_MAX: usize = 64;

impl Texts {
    pub(crate) fn id(&mut self, text: &[u8]) -> MidtransId {
        let text = text.trim_ascii();
        if text.is_empty() {
            return MidtransId::None;
        }
        if let Some(uuid) = uuid(text) {
            return MidtransId::Uuid(uuid);
        }
        let text: String = String::from_utf8_lossy(text).chars().take(TEXT_MAX).collect();
        if let Some(place) = self.places.get(&text) {
            return MidtransId::Text(*place);
        }
        let Ok(place) = u32::try_from(self.texts.len()) else { return MidtransId::None };
        self.texts.push(text.clone());
        self.places.insert(text, place);
        MidtransId::Text(place)
    }

    /// The id as others may have written it.
    pub(crate) fn any_case(&self, id: MidtransId) -> Option<AnyCase> {
        match id {
            MidtransId::None => None,
            MidtransId::Uuid(uuid) => Some(AnyCase::Uuid(uuid)),
            MidtransId::Text(_) => {
                let text = self.text(id).to_lowercase();
                Some(uuid(text.as_bytes()).map_or(AnyCase::Text(text), AnyCase::Uuid))
            }
        }
    }

    pub(crate) fn text(&self, id: MidtransId) -> String {
        match id {
            MidtransId::None => String::new(),
            MidtransId::Uuid([high, low]) => {
                let hex = format!("{high:016x}{low:016x}");
                let part = |range| hex.get(range).unwrap_or_default();
                let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
                parts.join("-")
            }
            MidtransId::Text(place) => {
                let place = usize::try_from(place).unwrap_or(usize::MAX);
                self.texts.get(place).cloned().unwrap_or_default()
            }
        }
    }
}

fn uuid(text: &[u8]) -> Option<[u64; 2]> {
    if text.len() != 36 {
        return None;
    }
    let mut halves = [0_u64; 2];
    let mut count = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        if matches!(at, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        let half = halves.get_mut(count / 16)?;
        *half = (*half << 4) | u64::from(digit);
        count += 1;
    }
    Some(halves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_is_ours_ruined_foreign_or_none() {
        for (text, wanted) in [
            ("7302680123456789012", OrderId::Ours(7_302_680_123_456_789_012)),
            (" '42 ", OrderId::Ours(42)),
            ("7.30268E+18", OrderId::Ruined),
            ("7,30268E+18", OrderId::Ruined),
            ("7E18", OrderId::Ruined),
            ("042", OrderId::Foreign),
            ("9223372036854775807", OrderId::Ours(i64::MAX)),
            ("9223372036854775808", OrderId::Foreign),
            ("9999999999999999999", OrderId::Foreign),
            ("99999999999999999999", OrderId::Foreign),
            ("ORDER-1", OrderId::Foreign),
            ("E+18", OrderId::Foreign),
            ("", OrderId::None),
        ] {
            assert_eq!(OrderId::parse(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn an_id_cut_to_15_digits_is_recognised() {
        for (id, wanted) in [
            (7_302_680_123_456_780_000, true),
            (7_302_680_123_456_780_001, false),
            (7_302_680_123_456_700_000, true),
            (123_456_789_012_340, false),
            (1_234_567_890_123_450, true),
        ] {
            assert_eq!(rounded(id), wanted, "{id}");
        }
    }

    #[test]
    fn midtrans_ids_are_kept_as_they_were_written() {
        let mut texts = Texts::default();
        for text in ["0a1b2c3d-4e5f-4a6b-8c9d-0123456789ab", "0A1B2C3D-4E5F", "x"] {
            let id = texts.id(text.as_bytes());
            assert_eq!(texts.text(id), text);
        }
        assert_eq!(texts.id(b" "), MidtransId::None);
        assert_eq!(texts.id(b"x"), texts.id(b" x "));
    }
}
