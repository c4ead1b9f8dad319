//! Decoding of `application/x-www-form-urlencoded` bodies, in one pass into a reused buffer.
//!
//! Source: `docs/psp-guide.md`, "Encoding": `+` and `%20` are spaces, names are case-sensitive, a
//! repeated name is refused, unknown names are ignored, values are UTF-8 without U+0000.

use std::ops::Range;

use crate::ppro::field::Field;
use crate::rejection::{Flow, Rejection, Rule, Sink, Subject};

/// The most parameters in one call: 40 that we know, 29 `specin.*`, and room for a PSP's own.
const PARAMETERS_MAX: usize = 200;

/// Buffers that calls reuse, so that decoding allocates nothing once they have grown.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Decoded names and values, each ended by a separator.
    text: Vec<u8>,
    /// Parameters that we do not know.
    others: Vec<Other>,
    /// Items of the cart.
    pub(crate) items: Vec<crate::ppro::items::Item>,
}

impl Scratch {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

#[derive(Clone, Debug)]
struct Other {
    name: Range<usize>,
    value: Range<usize>,
    fault: Option<Fault>,
}

/// What is wrong with one parameter's encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Repeated,
    BadEscape,
    NotUtf8,
    HasNul,
}

impl Fault {
    const fn rule(self) -> Rule {
        match self {
            Self::Repeated => Rule::Repeated,
            Self::BadEscape => Rule::BadEscape,
            Self::NotUtf8 => Rule::NotUtf8,
            Self::HasNul => Rule::HasNul,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Where the value is in the text; only if `sent`.
    start: usize,
    end: usize,
    sent: bool,
    fault: Option<Fault>,
}

/// A decoded call.
#[derive(Debug)]
pub struct Form<'s> {
    text: &'s str,
    slots: [Slot; Field::COUNT],
    others: &'s [Other],
    fault: Option<Rejection>,
    specin: u32,
}

/// Ends each value in the text, so that the text as a whole is UTF-8 only if each value is: no
/// character can reach over an ASCII byte.
const SEPARATOR: u8 = b'&';

impl<'s> Form<'s> {
    /// Decodes a body. Faults are kept with their parameters and reported when those are read,
    /// so that a call with a broken e-mail can still be authenticated and recorded.
    pub fn decode(
        body: &[u8],
        scratch: &'s mut Scratch,
    ) -> (Self, &'s mut Vec<crate::ppro::items::Item>) {
        let Scratch { text, others, items } = scratch;
        text.clear();
        others.clear();
        items.clear();
        text.reserve(body.len().saturating_add(1));
        let mut decoder = Decoder {
            text,
            others,
            slots: [Slot::default(); Field::COUNT],
            fault: None,
            specin: 0,
        };
        decoder.run(body);
        let Decoder { text, others, mut slots, mut fault, specin } = decoder;
        if std::str::from_utf8(text).is_err() {
            blame_bytes_that_are_not_utf8(text, others, &mut slots, &mut fault);
        }
        // Valid now: either checked above, or every offending byte was replaced.
        let text = std::str::from_utf8(text).unwrap_or_default();
        (Self { text, slots, others, fault, specin }, items)
    }

    /// The value of a parameter, if it was sent without fault; may be empty.
    #[must_use]
    pub fn get(&self, field: Field) -> Option<&'s str> {
        let slot = self.slot(field);
        if slot.sent && slot.fault.is_none() { self.text.get(slot.start..slot.end) } else { None }
    }

    /// The value of a parameter if it is not empty.
    #[must_use]
    pub fn filled(&self, field: Field) -> Option<&'s str> {
        self.get(field).filter(|value| !value.is_empty())
    }

    /// The encoding fault of a parameter, if it has one.
    #[must_use]
    pub fn fault(&self, field: Field) -> Option<Rejection> {
        self.slot(field).fault.map(|fault| Rejection::of(field, fault.rule()))
    }

    /// A fault of a parameter that we do not know, or of the body as a whole.
    #[must_use]
    pub const fn other_fault(&self) -> Option<Rejection> {
        self.fault
    }

    /// That there were too many parameters to read all.
    #[must_use]
    pub fn body_fault(&self) -> Option<Rejection> {
        self.fault.filter(|fault| fault.subject == Subject::Body)
    }

    /// How many `specin.*` parameters were sent.
    #[must_use]
    pub const fn specin_count(&self) -> u32 {
        self.specin
    }

    /// The first encoding fault of any parameter, in order of [`Field`], unknown ones last.
    #[must_use]
    pub fn any_fault(&self) -> Option<Rejection> {
        Field::ALL.iter().find_map(|field| self.fault(*field)).or(self.fault)
    }

    /// The `specin.*` parameters that we do not know, but for those with a fault; they are stored.
    pub fn other_specin(&self) -> impl Iterator<Item = (&'s str, &'s str)> {
        self.others.iter().filter(|other| other.fault.is_none()).filter_map(|other| {
            let name = self.text.get(other.name.clone())?;
            name.starts_with("specin.").then_some((name, self.text.get(other.value.clone())?))
        })
    }

    /// Reports a parameter's encoding fault, else gives its value.
    pub(crate) fn read(&self, field: Field, sink: &mut impl Sink) -> Result<Option<&'s str>, Flow> {
        match self.fault(field) {
            Some(rejection) => Err(sink.reject(rejection)),
            None => Ok(self.get(field)),
        }
    }

    fn slot(&self, field: Field) -> Slot {
        self.slots.get(field.index()).copied().unwrap_or_default()
    }
}

struct Decoder<'a> {
    text: &'a mut Vec<u8>,
    others: &'a mut Vec<Other>,
    slots: [Slot; Field::COUNT],
    fault: Option<Rejection>,
    specin: u32,
}

impl Decoder<'_> {
    fn run(&mut self, body: &[u8]) {
        let mut parameters = 0_usize;
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            parameters += 1;
            if parameters > PARAMETERS_MAX {
                let max = u32::try_from(PARAMETERS_MAX).unwrap_or(u32::MAX);
                let rule = Rule::TooManyParameters { max };
                self.fault = Some(Rejection { subject: Subject::Body, rule });
                return;
            }
            let split = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match split.and_then(|at| pair.split_at_checked(at)) {
                Some((name, rest)) => (name, rest.get(1..).unwrap_or_default()),
                None => (pair, &[][..]),
            };
            self.pair(name, value);
        }
    }

    fn pair(&mut self, name: &[u8], value: &[u8]) {
        if let Some(field) = Field::from_name(name) {
            return self.known(field, value);
        }
        let start = self.text.len();
        let name_fault = self.decode(name);
        let name = start..self.text.len();
        let known = self.text.get(name.clone()).and_then(Field::from_name);
        match known {
            Some(field) => {
                self.text.truncate(start);
                self.known(field, value);
            }
            None => self.other(name, name_fault, value),
        }
    }

    fn known(&mut self, field: Field, value: &[u8]) {
        let start = self.text.len();
        let fault = self.decode(value);
        let end = self.text.len();
        self.text.push(SEPARATOR);
        let Some(slot) = self.slots.get_mut(field.index()) else { return };
        if slot.sent {
            slot.fault = Some(Fault::Repeated);
            return;
        }
        *slot = Slot { start, end, sent: true, fault };
        self.specin += u32::from(field.is_specin());
    }

    fn other(&mut self, name: Range<usize>, name_fault: Option<Fault>, value: &[u8]) {
        self.text.push(SEPARATOR);
        let start = self.text.len();
        let fault = self.decode(value);
        let value = start..self.text.len();
        self.text.push(SEPARATOR);
        let bytes = self.text.get(name.clone()).unwrap_or_default();
        self.specin += u32::from(bytes.starts_with(b"specin."));
        let same =
            |other: &&mut Other| self.text.get(other.name.clone()).unwrap_or_default() == bytes;
        let repeated = match self.others.iter_mut().find(same) {
            Some(earlier) => {
                earlier.fault.get_or_insert(Fault::Repeated);
                Some(Fault::Repeated)
            }
            None => None,
        };
        let fault = name_fault.or(fault).or(repeated);
        if let Some(fault) = fault {
            let place = u32::try_from(self.others.len()).unwrap_or(u32::MAX);
            let rejection = Rejection { subject: Subject::Other(place), rule: fault.rule() };
            self.fault.get_or_insert(rejection);
        }
        self.others.push(Other { name, value, fault });
    }

    /// Appends the decoded bytes; a broken escape is kept as it is.
    fn decode(&mut self, raw: &[u8]) -> Option<Fault> {
        let start = self.text.len();
        let mut fault = None;
        let mut rest = raw;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'%' | b'+')) {
            let (clean, escape) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            self.text.extend_from_slice(clean);
            let (byte, length) = match escape {
                [b'+', ..] => (b' ', 1),
                [_, high, low, ..] => match (hex(*high), hex(*low)) {
                    (Some(high), Some(low)) => ((high << 4) | low, 3),
                    _ => (b'%', 1),
                },
                _ => (b'%', 1),
            };
            if byte == b'%' && length == 1 {
                fault = Some(Fault::BadEscape);
            }
            self.text.push(byte);
            rest = escape.get(length..).unwrap_or_default();
        }
        self.text.extend_from_slice(rest);
        let decoded = self.text.get(start..).unwrap_or_default();
        fault.or_else(|| decoded.contains(&0).then_some(Fault::HasNul))
    }
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The slow path: finds the parameters that are not UTF-8 and overwrites their bad bytes.
fn blame_bytes_that_are_not_utf8(
    text: &mut [u8],
    others: &mut [Other],
    slots: &mut [Slot],
    fault: &mut Option<Rejection>,
) {
    for slot in slots.iter_mut().filter(|slot| slot.sent) {
        if blank_if_not_utf8(text, slot.start..slot.end) {
            slot.fault.get_or_insert(Fault::NotUtf8);
        }
    }
    for (place, other) in others.iter_mut().enumerate() {
        let name = blank_if_not_utf8(text, other.name.clone());
        let value = blank_if_not_utf8(text, other.value.clone());
        if name || value {
            other.fault.get_or_insert(Fault::NotUtf8);
            let place = u32::try_from(place).unwrap_or(u32::MAX);
            fault.get_or_insert(Rejection { subject: Subject::Other(place), rule: Rule::NotUtf8 });
        }
    }
    // What is still not UTF-8 belongs to the second of two equal names, which nobody reads.
    while let Err(error) = std::str::from_utf8(text) {
        let from = error.valid_up_to();
        let length = error.error_len().unwrap_or(usize::MAX);
        let end = from.saturating_add(length).min(text.len());
        text.get_mut(from..end).unwrap_or_default().fill(b'?');
    }
}

fn blank_if_not_utf8(text: &mut [u8], range: Range<usize>) -> bool {
    let value = text.get_mut(range).unwrap_or_default();
    let bad = std::str::from_utf8(value).is_err();
    if bad {
        value.fill(b'?');
    }
    bad
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule_of(body: &[u8], field: Field) -> Option<Rule> {
        let mut scratch = Scratch::new();
        let (form, _) = Form::decode(body, &mut scratch);
        form.fault(field).map(|rejection| rejection.rule)
    }

    #[test]
    fn legal_encodings_of_the_same_value_read_the_same() {
        for (body, expected) in [
            (&b"tag=gopay"[..], Some("gopay")),
            (b"&&tag=gopay&", Some("gopay")),
            (b"tag=%67opay", Some("gopay")),
            (b"t%61g=gopay", Some("gopay")),
            (b"tag=go+pay", Some("go pay")),
            (b"tag=go%20pay", Some("go pay")),
            (b"tag=go%2Bpay", Some("go+pay")),
            (b"tag=a=b", Some("a=b")),
            (b"tag=%c3%A9", Some("\u{e9}")),
            (b"tag=", Some("")),
            (b"tag", Some("")),
            (b"Tag=gopay", None),
            (b"", None),
        ] {
            let mut scratch = Scratch::new();
            let (form, _) = Form::decode(body, &mut scratch);
            assert_eq!(form.get(Field::Tag), expected, "{}", String::from_utf8_lossy(body));
            assert_eq!(form.fault(Field::Tag), None);
        }
    }

    #[test]
    fn faults_stay_with_their_parameter() {
        for (body, rule) in [
            (&b"tag=gopay&tag=gopay"[..], Rule::Repeated),
            (b"tag=a&t%61g=b", Rule::Repeated),
            (b"tag=%", Rule::BadEscape),
            (b"tag=%4", Rule::BadEscape),
            (b"tag=%zz", Rule::BadEscape),
            (b"tag=%00", Rule::HasNul),
            (b"tag=\x00", Rule::HasNul),
            (b"tag=%ff", Rule::NotUtf8),
            (b"tag=%c3&login=%a9", Rule::NotUtf8),
            (b"tag=\xc3", Rule::NotUtf8),
            (b"tag=%ed%a0%80", Rule::NotUtf8),
        ] {
            assert_eq!(rule_of(body, Field::Tag), Some(rule), "{}", String::from_utf8_lossy(body));
            assert_eq!(rule_of(body, Field::Amount), None);
        }
    }

    #[test]
    fn unknown_parameters_are_ignored_unless_broken() {
        let mut scratch = Scratch::new();
        let body = b"foo=1&specin.new=%C3%A9&specin.email=a&bar";
        let (form, _) = Form::decode(body, &mut scratch);
        assert_eq!(form.other_fault(), None);
        assert_eq!(form.specin_count(), 2);
        assert_eq!(form.other_specin().collect::<Vec<_>>(), [("specin.new", "\u{e9}")]);
        for (body, place, rule) in [
            (&b"foo=1&bar=2&foo=3"[..], 2, Rule::Repeated),
            (b"foo=%ff", 0, Rule::NotUtf8),
            (b"f%00o=1", 0, Rule::HasNul),
            (b"foo=%q", 0, Rule::BadEscape),
        ] {
            let mut scratch = Scratch::new();
            let (form, _) = Form::decode(body, &mut scratch);
            let subject = Subject::Other(place);
            assert_eq!(form.other_fault(), Some(Rejection { subject, rule }));
        }
        let many = "a&".repeat(PARAMETERS_MAX + 1);
        let mut scratch = Scratch::new();
        let (form, _) = Form::decode(many.as_bytes(), &mut scratch);
        assert!(form.other_fault().is_some());
    }

    proptest::proptest! {
        #[test]
        fn no_body_panics(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let mut scratch = Scratch::new();
            let (form, _) = Form::decode(&body, &mut scratch);
            for field in Field::ALL {
                let _ = form.get(*field);
            }
        }

        #[test]
        fn what_is_encoded_decodes(value in "[^\\x00]*", plus in proptest::bool::ANY) {
            let mut body = b"specin.billingaddrcity=".to_vec();
            let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            body.extend(if plus { encoded } else { encoded.replace('+', "%20") }.bytes());
            let mut scratch = Scratch::new();
            let (form, _) = Form::decode(&body, &mut scratch);
            proptest::prop_assert_eq!(form.get(Field::BillingCity), Some(value.as_str()));
        }
    }
}
