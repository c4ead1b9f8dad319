//! Decoding of form bodies, against a plain reading of the rules.
#![no_main]

use std::collections::BTreeSet;

use gopay_core::ppro::field::Field;
use gopay_core::ppro::form::{Form, Scratch};
use libfuzzer_sys::fuzz_target;

/// A call has at most this many parameters; what follows is not read.
const PARAMETERS_MAX: usize = 200;

fuzz_target!(|body: &[u8]| {
    let pairs: Vec<(Decoded, Decoded)> = body
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .take(PARAMETERS_MAX)
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decoded(halves.next().unwrap_or_default());
            (half(), half())
        })
        .collect();

    // A scratch that was used before must not show through.
    let mut scratch = Scratch::new();
    Form::decode(b"tag=before&foo=before&specin.email=before", &mut scratch);
    let (form, _) = Form::decode(body, &mut scratch);

    for field in Field::ALL {
        let sent: Vec<&Decoded> = pairs
            .iter()
            .filter(|(name, _)| name.bytes == field.name().as_bytes())
            .map(|(_, value)| value)
            .collect();
        let expected = match sent.as_slice() {
            [one] => one.text(),
            _ => None,
        };
        assert_eq!(form.get(*field), expected, "{}", field.name());
        assert_eq!(form.fault(*field).is_some(), !sent.is_empty() && expected.is_none());
        assert_eq!(form.filled(*field), expected.filter(|value| !value.is_empty()));
    }

    let known = |name: &[u8]| Field::from_name(name).is_some();
    let others: Vec<&(Decoded, Decoded)> =
        pairs.iter().filter(|(name, _)| !known(&name.bytes)).collect();
    let broken = others.iter().any(|(name, value)| name.text().is_none() || value.text().is_none());
    let names: BTreeSet<&[u8]> = others.iter().map(|(name, _)| name.bytes.as_slice()).collect();
    let repeated = names.len() < others.len();
    let sent = body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).count();
    let too_many = sent > PARAMETERS_MAX;
    assert_eq!(form.other_fault().is_some(), broken || repeated || too_many);

    for (name, _) in form.other_specin() {
        assert!(name.starts_with("specin.") && !known(name.as_bytes()));
    }
});

struct Decoded {
    bytes: Vec<u8>,
    broken: bool,
}

impl Decoded {
    /// The text, if it was encoded as it should be.
    fn text(&self) -> Option<&str> {
        let sound = !self.broken && !self.bytes.contains(&0);
        std::str::from_utf8(&self.bytes).ok().filter(|_| sound)
    }
}

fn decoded(raw: &[u8]) -> Decoded {
    let mut bytes = Vec::new();
    let mut broken = false;
    let mut rest = raw;
    loop {
        rest = match rest {
            [] => return Decoded { bytes, broken },
            [b'+', rest @ ..] => {
                bytes.push(b' ');
                rest
            }
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).expect("hex digits are ASCII");
                bytes.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
                rest
            }
            [byte, rest @ ..] => {
                broken |= *byte == b'%';
                bytes.push(*byte);
                rest
            }
        };
    }
}
