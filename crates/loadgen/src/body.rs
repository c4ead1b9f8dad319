//! Bodies of calls: the payloads of the benchmarks, with a reference and a nonce of their own.

use anyhow::Context as _;

use gopay_psp_client::{Credentials, Form};
use gopay_testkit::payloads;

/// Which TRANSACTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Size {
    /// About 0.5 KB, one item.
    Minimal,
    /// About 1.8 KB, every field, five items.
    Full,
    /// About 6 KB.
    Fifty,
}

/// A value as it stands in a body.
fn encoded(value: &str) -> String {
    // The name is empty, so only `=` stands before it.
    Form::new().with("", value).encode().split_off(1)
}

/// A number as so many characters that look drawn at random, and never twice the same for numbers of
/// one run: real references and nonces land anywhere in an index, not at its end.
pub(crate) fn scattered(number: u64, width: usize) -> String {
    let bits = u32::try_from(width.clamp(1, 16)).unwrap_or(16) * 4;
    let mask = u64::MAX >> (64 - bits);
    // Each step can be undone, so no two numbers below the mask meet.
    let mut mixed = number & mask;
    for factor in [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9] {
        mixed = mixed.wrapping_mul(factor) & mask;
        mixed ^= mixed >> (bits / 2);
    }
    format!("{mixed:0width$x}")
}

/// A body that is the same for every call but for its reference and nonce.
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where numbers go, and how many digits.
    slots: Vec<(usize, usize)>,
}

impl Template {
    /// A TRANSACTION whose receiver is at `notify`, if given.
    pub(crate) fn transaction(size: Size, notify: Option<&str>) -> anyhow::Result<Self> {
        let (body, reference, nonce) = match size {
            Size::Minimal => (payloads::minimal(), "20250621-0001", None),
            Size::Full => (payloads::full(), "20250621-0002", Some("c2f9d0de5b0e4a7f")),
            Size::Fifty => (payloads::fifty_items(), "20250621-0003", None),
        };
        let mut text = String::from_utf8(body)?;
        if let Some(url) = notify {
            let start = text.find("notificationurl=").context("no notificationurl")? + 16;
            let end = text.get(start..).and_then(|rest| rest.find('&'));
            let end = end.map_or(text.len(), |end| start + end);
            text.replace_range(start..end, &encoded(url));
        }
        let mut slots = Vec::new();
        for placed in [Some(reference), nonce].into_iter().flatten() {
            let at = text.find(placed).with_context(|| format!("no {placed} in the body"))?;
            slots.push((at, placed.len()));
        }
        Ok(Self { bytes: text.into_bytes(), slots })
    }

    /// The body with this number in it.
    pub(crate) fn numbered(&self, number: u64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (at, digits) in &self.slots {
            let text = scattered(number, *digits);
            if let Some(slot) = bytes.get_mut(*at..at + digits) {
                slot.copy_from_slice(text.as_bytes().get(..*digits).unwrap_or_default());
            }
        }
        bytes
    }
}

/// A call that differs from others of its kind in its last value only. All before that is encoded
/// once.
pub(crate) struct Stem(String);

impl Stem {
    /// With the credentials of the benchmarks, these pairs, and a name for the last value.
    pub(crate) fn new(txtype: &str, pairs: &[(&str, &str)], last: &str) -> Self {
        let psp = Credentials::new("testclient", "test123", "TESTCONTRACT");
        let mut form = psp.form(txtype);
        form.extend(pairs.iter().copied());
        form.push(last, "");
        Self(form.encode())
    }

    /// The body with this value, which must need no escapes.
    pub(crate) fn with(&self, value: &str) -> Vec<u8> {
        [self.0.as_str(), value].concat().into_bytes()
    }
}

/// The value of a key in an answer; ids need no decoding.
pub(crate) fn value<'a>(answer: &'a [u8], key: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(answer).ok()?;
    text.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_and_nothing_else() {
        for size in [Size::Minimal, Size::Full, Size::Fifty] {
            let url = "http://127.0.0.1:1/n";
            let template = Template::transaction(size, Some(url)).unwrap();
            let (one, two) = (template.numbered(1), template.numbered(12_345));
            assert_eq!(one.len(), two.len());
            let apart: Vec<usize> = (0..one.len()).filter(|at| one[*at] != two[*at]).collect();
            let in_slot = |at: &usize| {
                template.slots.iter().any(|(from, digits)| (*from..from + digits).contains(at))
            };
            assert!(!apart.is_empty() && apart.iter().all(in_slot), "{size:?}: {apart:?}");
            let text = String::from_utf8(one).unwrap();
            assert_eq!(
                value(text.as_bytes(), "notificationurl"),
                Some("http%3A%2F%2F127.0.0.1%3A1%2Fn")
            );
        }
    }

    #[test]
    fn numbers_are_scattered_and_do_not_meet() {
        for width in [2, 13, 16] {
            let texts: std::collections::BTreeSet<_> =
                (0..250).map(|number| scattered(number, width)).collect();
            assert_eq!(texts.len(), 250, "{width}");
            assert!(texts.iter().all(|text| text.len() == width), "{texts:?}");
        }
        let firsts: std::collections::BTreeSet<_> =
            (0..250).map(|number| scattered(number, 13).remove(0)).collect();
        assert_eq!(firsts.len(), 16, "they begin anywhere");
    }

    #[test]
    fn a_stem_with_its_end_is_a_call() {
        let stem = Stem::new("REFUND", &[("amount", "100")], "txid");
        let head = "returnmode=urlencodeext&txtype=REFUND&login=testclient&password=test123&contractid=TESTCONTRACT";
        assert_eq!(stem.with("71"), format!("{head}&amount=100&txid=71").into_bytes());
    }

    #[test]
    fn values_are_found_by_their_whole_key() {
        let answer = b"REQUESTSTATUS=SUCCEEDED&STATUS=PENDING&TXID=71";
        assert_eq!(value(answer, "STATUS"), Some("PENDING"));
        assert_eq!(value(answer, "TXID"), Some("71"));
        assert_eq!(value(answer, "TX"), None);
    }
}
