//! Decoding of `application/x-www-form-urlencoded` bodies into reused buffers.
//!
//! [`gopay_scan`] decodes the whole body in blocks and marks separators and faults; then each
//! parameter is looked up by its name.
//!
//! ```text
//! body    tag=go%20pay&login=a&x=%zz
//! text    tag=go pay&login=a&x=%zz.......   decoded; behind it SLACK filler bytes or more
//! marks      ^      ^     ^ ^ ^^            3 10 16 18 20 21: each `&` and `=` that was sent
//!                                           unescaped, each `%` of no escape, each U+0000
//! slots   Tag 4..10, Login 17..18           where in the text the value of each known field is
//! sent    a bit each for Tag and Login      slots of other fields mean nothing
//! faulty  no bit                            fields with an encoding fault
//! others  name 19..20, value 21..24, BadEscape
//! ```
//!
//! Source: `docs/psp-guide.md`, "Encoding": `+` and `%20` are spaces, names are case-sensitive, a
//! repeated name is refused, unknown names are ignored, values are UTF-8 without U+0000.

use std::ops::Range;

pub use gopay_scan::Backend;
use gopay_scan::{Cursor, MARKS, SLACK, utf8};

use crate::ppro::field::{Field, NAME_MAX};
use crate::ppro::items::Item;
use crate::rejection::{Rejection, Rule, Subject};
use crate::text::behind;
use crate::wipe::wipe;

/// The most parameters in one call: 40 that we know, 29 `specin.*`, and space for a PSP's own.
pub const PARAMETERS_MAX: usize = 200;

/// Positions are kept in 32 bits; every listener refuses far shorter bodies.
const BODY_BYTES_MAX: u32 = 1 << 30;

/// Buffers that calls reuse, so that decoding allocates nothing once they have grown. They hold the
/// last call until the next one overwrites it, or [`Scratch::wipe`] does.
#[derive(Debug)]
pub struct Scratch {
    backend: Backend,
    /// The decoded body, separators included, and [`SLACK`] filler bytes or more.
    text: Vec<u8>,
    marks: Box<[u32; MARKS]>,
    /// Where in the text the value of each known parameter is, if it was sent.
    slots: [Slot; Field::COUNT],
    /// Parameters that we do not know.
    others: Others,
    /// Items of the cart.
    items: Vec<Item>,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::with_backend(Backend::best())
    }
}

impl Scratch {
    /// Empty buffers; bodies are decoded by the fastest backend of this processor.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Empty buffers; bodies are decoded by the given backend, to compare backends.
    #[must_use]
    pub fn with_backend(backend: Backend) -> Self {
        Self {
            backend,
            text: Vec::new(),
            marks: Box::new([0; MARKS]),
            slots: [Slot::default(); Field::COUNT],
            others: Others::default(),
            items: Vec::new(),
        }
    }
}

impl Scratch {
    /// Overwrites what was decoded: a call has a password and names.
    pub fn wipe(&mut self) {
        wipe(&mut self.text);
    }

    /// Frees the buffers if a body longer than `bytes` made them grow.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        if self.text.len() > bytes.saturating_add(SLACK) {
            *self = Self::with_backend(self.backend);
        }
    }
}

/// What is wrong with one parameter's encoding. Of several, the one declared first is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum EncodingFault {
    Repeated,
    BadEscape,
    HasNul,
    #[default]
    NotUtf8,
}

impl EncodingFault {
    const fn rule(self) -> Rule {
        match self {
            Self::Repeated => Rule::Repeated,
            Self::BadEscape => Rule::BadEscape,
            Self::NotUtf8 => Rule::NotUtf8,
            Self::HasNul => Rule::HasNul,
        }
    }
}

/// A range of the text.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        index(self.start)..index(self.end)
    }
}

/// A position as an index; nothing is lost on 32-bit machines and larger ones.
fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    value: Span,
    /// Meaningless unless the parameter's bit in `faulty` is set.
    fault: EncodingFault,
}

#[derive(Clone, Copy, Debug)]
struct Other {
    name: Span,
    value: Span,
    fault: Option<EncodingFault>,
}

/// Parameters that we do not know, in order, and a hash table that finds them by name.
#[derive(Debug, Default)]
struct Others {
    list: Vec<Other>,
    /// By hash, a parameter's position in the list, counted from 1; 0 is free. At most half full.
    places: Vec<u8>,
}

impl Others {
    const PLACES: usize = 512;

    fn clear(&mut self) {
        if !self.list.is_empty() {
            self.list.clear();
            self.places.fill(0);
        }
    }

    /// Adds one; returns an earlier one of the same name.
    fn add(&mut self, other: Other, text: &[u8]) -> Option<&mut Other> {
        self.places.resize(Self::PLACES, 0);
        let name = text.get(other.name.range()).unwrap_or_default();
        let mut at = hash(name) % Self::PLACES;
        self.list.push(other);
        loop {
            let place = self.places.get_mut(at)?;
            let Some(earlier) = usize::from(*place).checked_sub(1) else {
                *place = u8::try_from(self.list.len()).unwrap_or(0);
                return None;
            };
            let same = |earlier: &Other| text.get(earlier.name.range()) == Some(name);
            if self.list.get(earlier).is_some_and(same) {
                return self.list.get_mut(earlier);
            }
            at = (at + 1) % Self::PLACES;
        }
    }
}

/// FNV-1a, by words of eight bytes. Whoever makes names collide gains nothing: there are
/// [`PARAMETERS_MAX`] at most.
fn hash(name: &[u8]) -> usize {
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0100_0000_01b3);
    let (words, rest) = name.as_chunks::<8>();
    let start = 0xcbf2_9ce4_8422_2325;
    let hash = words.iter().fold(start, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)));
    // High bits and low ones each know of some bytes only.
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 48).unwrap_or(0)
}

/// A decoded call.
#[derive(Clone, Copy, Debug)]
pub struct Form<'s> {
    text: &'s str,
    /// The text, followed by readable filler bytes.
    padded: &'s [u8],
    slots: &'s [Slot; Field::COUNT],
    /// A bit for each field that was sent, and for each that has a fault.
    sent: u64,
    faulty: u64,
    others: &'s [Other],
    fault: Option<Rejection>,
    may_break: bool,
}

impl<'s> Form<'s> {
    /// Decodes a body. Faults are kept with their parameters and reported when those are read,
    /// so that a call with a broken e-mail can still be authenticated and recorded.
    pub fn decode(body: &[u8], scratch: &'s mut Scratch) -> (Self, &'s mut Vec<Item>) {
        let Scratch { backend, text, marks, slots, others, items } = scratch;
        items.clear();
        others.clear();
        let mut splitter = Splitter {
            slots,
            others,
            start: 0,
            equals: None,
            sent: 0,
            faulty: 0,
            found: [None; 2],
            parameters: 0,
            fault: None,
        };
        let body = if u32::try_from(body.len()).is_ok_and(|length| length <= BODY_BYTES_MAX) {
            body
        } else {
            let rule = Rule::BodyTooLong { max: BODY_BYTES_MAX };
            splitter.fault = Some(Rejection { subject: Subject::Body, rule });
            &[]
        };
        let room = body.len().saturating_add(SLACK);
        if text.len() < room {
            text.resize(room, 0);
        }
        let mut cursor = Cursor::default();
        let mut more = true;
        while more && !cursor.is_done(body) {
            let count = cursor.turn(*backend, body, text, marks);
            more = splitter.turn(text, marks.get(..count).unwrap_or_default());
        }
        if more {
            splitter.pair(text, place(cursor.text_bytes()));
        }
        let Splitter { slots, others, sent, mut faulty, mut fault, .. } = splitter;
        let (text, padded) = utf8(&cursor, text, |text| {
            faulty |= blame_slots(text, slots, sent, faulty);
            blame_others(text, &mut others.list, &mut fault);
            blank_rest(text);
        });
        let may_break = cursor.may_break();
        (Self { text, padded, slots, sent, faulty, others: &others.list, fault, may_break }, items)
    }

    /// The value of a parameter, if it was sent without fault; may be empty.
    #[must_use]
    #[inline]
    pub fn get(&self, field: Field) -> Option<&'s str> {
        if self.sent & !self.faulty & bit(field) == 0 {
            return None;
        }
        self.text.get(self.slots.get(field.index())?.value.range())
    }

    /// The parameters that we know and that were sent without fault, in order of [`Field`].
    pub(crate) fn sent(&self) -> impl Iterator<Item = (Field, &'s str)> {
        let mut left = self.sent & !self.faulty;
        let fields = std::iter::from_fn(move || {
            let place = usize::try_from(left.trailing_zeros()).ok()?;
            let field = *Field::ALL.get(place)?;
            left &= left - 1;
            Some(field)
        });
        fields.filter_map(|field| Some((field, self.get(field)?)))
    }

    /// The length of the decoded body.
    pub(crate) const fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// The value of a parameter if it is not empty.
    #[must_use]
    #[inline]
    pub fn filled(&self, field: Field) -> Option<&'s str> {
        self.get(field).filter(|value| !value.is_empty())
    }

    /// The encoding fault of a parameter, if it has one.
    #[must_use]
    #[inline]
    pub fn fault(&self, field: Field) -> Option<Rejection> {
        if self.faulty & bit(field) == 0 { None } else { self.fault_of(field) }
    }

    #[cold]
    fn fault_of(&self, field: Field) -> Option<Rejection> {
        let slot = self.slots.get(field.index())?;
        Some(Rejection::of(field, slot.fault.rule()))
    }

    /// A fault of a parameter that we do not know, or of the body as a whole.
    #[must_use]
    pub const fn other_fault(&self) -> Option<Rejection> {
        self.fault
    }

    /// The fault of the body as a whole: too long, or too many parameters to read all.
    #[must_use]
    pub fn body_fault(&self) -> Option<Rejection> {
        self.fault.filter(|fault| fault.subject == Subject::Body)
    }

    /// What the body is instead of a form, as far as the names of its parameters tell.
    ///
    /// Asked only when a parameter is missing: what a good call holds is nobody's mistake.
    #[must_use]
    #[cold]
    pub(crate) fn shape_fault(&self) -> Option<Rejection> {
        let mut names = self.others.iter().filter_map(|other| self.text.get(other.name.range()));
        let first = names.clone().next()?.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        let rule = if first.starts_with("--") && first.contains("Content-Disposition") {
            Rule::NotAForm("multipart instead of a form")
        } else if first.starts_with(['{', '[']) {
            Rule::NotAForm("JSON instead of a form")
        } else if first.starts_with('<') {
            Rule::NotAForm("XML instead of a form")
        } else if first.contains("txtype=") || first.contains("returnmode=") {
            Rule::NotAForm("percent-encoded as a whole instead of value by value")
        } else if names.any(|name| unescaped(name).is_some()) {
            Rule::EscapedAmpersands
        } else {
            return None;
        };
        Some(Rejection { subject: Subject::Body, rule })
    }

    /// A parameter of ours, needed or not, whose name the separator before it has spoilt. Unknown
    /// parameters pass, so this one would be lost without a word.
    #[must_use]
    #[inline]
    pub(crate) fn spoilt_parameter(&self) -> Option<Rejection> {
        if self.others.is_empty() { None } else { self.spoilt() }
    }

    #[cold]
    fn spoilt(&self) -> Option<Rejection> {
        let names = self.others.iter().filter_map(|other| self.text.get(other.name.range()));
        let ours = |name: &str| {
            Field::from_name(name.as_bytes()).is_some()
                || ["specin.", "transientin."].iter().any(|prefix| name.starts_with(prefix))
        };
        let spoilt = names.filter_map(unescaped).any(ours);
        spoilt.then_some(Rejection { subject: Subject::Body, rule: Rule::EscapedAmpersands })
    }

    /// How many `specin.*` parameters were sent.
    #[must_use]
    pub fn specin_count(&self) -> u32 {
        let others = self.others.iter().filter(|other| self.is_specin(other)).count();
        (self.sent & SPECIN).count_ones() + u32::try_from(others).unwrap_or(u32::MAX)
    }

    /// The first encoding fault of any parameter, in order of [`Field`], unknown ones last.
    #[must_use]
    pub fn any_fault(&self) -> Option<Rejection> {
        if self.faulty == 0 {
            return self.fault;
        }
        Field::ALL.iter().find_map(|field| self.fault(*field)).or(self.fault)
    }

    /// The `specin.*` parameters that we do not know and that have no fault; they are stored.
    pub fn other_specin(&self) -> impl Iterator<Item = (&'s str, &'s str)> {
        self.others.iter().filter(|other| other.fault.is_none()).filter_map(|other| {
            let name = self.text.get(other.name.range())?;
            name.starts_with("specin.").then_some((name, self.text.get(other.value.range())?))
        })
    }

    /// Whether any of the parameters was sent, with or without a fault.
    #[inline]
    pub(crate) fn has_any(&self, fields: &[Field]) -> bool {
        self.sent & fields.iter().fold(0, |bits, field| bits | bit(*field)) != 0
    }

    /// Whether a parameter has an encoding fault.
    #[inline]
    pub(crate) const fn is_faulty(&self, field: Field) -> bool {
        self.faulty & bit(field) != 0
    }

    /// The whole text, followed by [`SLACK`] readable filler bytes or more.
    pub(crate) const fn padded(&self) -> &'s [u8] {
        self.padded
    }

    /// [`Self::padded`] from where a value begins.
    #[inline]
    pub(crate) fn behind(&self, value: &'s str) -> &'s [u8] {
        behind(value, self.padded).unwrap_or(value.as_bytes())
    }

    /// Where in [`Self::padded`] the value of a parameter begins.
    pub(crate) fn start(&self, field: Field) -> usize {
        self.slots.get(field.index()).map_or(usize::MAX, |slot| index(slot.value.start))
    }

    /// Whether any value may hold a line break; false only if none does.
    pub(crate) const fn may_break(&self) -> bool {
        self.may_break
    }

    fn is_specin(&self, other: &Other) -> bool {
        self.text.get(other.name.range()).is_some_and(|name| name.starts_with("specin."))
    }
}

/// The fields whose names start with `specin.`.
#[expect(clippy::indexing_slicing, reason = "the compiler computes it, and finds a wrong place")]
const SPECIN: u64 = {
    let mut bits = 0;
    let mut at = 0;
    while at < Field::COUNT {
        if Field::ALL[at].is_specin() {
            bits |= 1 << at;
        }
        at += 1;
    }
    bits
};

#[expect(clippy::as_conversions, reason = "a fieldless repr(u8) enum has no other conversion")]
#[inline]
const fn bit(field: Field) -> u64 {
    const { assert!(Field::COUNT <= 64) };
    1 << (field as u8)
}

/// A position in 32 bits; bodies are bounded, so it fits.
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Splits the decoded text into parameters, by its marks.
struct Splitter<'s> {
    slots: &'s mut [Slot; Field::COUNT],
    others: &'s mut Others,
    /// Where the parameter begins.
    start: u32,
    /// Where its name ends, once that was seen.
    equals: Option<u32>,
    /// The encoding faults of its name and of its value.
    found: [Option<EncodingFault>; 2],
    parameters: usize,
    sent: u64,
    faulty: u64,
    fault: Option<Rejection>,
}

impl Splitter<'_> {
    /// Takes the marks of one turn; returns whether to go on.
    #[inline]
    fn turn(&mut self, text: &[u8], marks: &[u32]) -> bool {
        let mut marks = marks;
        while let [mark, rest @ ..] = marks {
            if let Some(later) = self.plain_pairs(text, marks) {
                marks = later;
                continue;
            }
            marks = rest;
            match text.get(index(*mark)) {
                Some(b'&') => {
                    self.pair(text, *mark);
                    if self.parameters > PARAMETERS_MAX {
                        return false;
                    }
                    self.start = mark + 1;
                    self.equals = None;
                }
                Some(b'=') => {
                    self.equals.get_or_insert(*mark);
                    // Further ones belong to the value.
                    while let [mark, rest @ ..] = marks
                        && text.get(index(*mark)) == Some(&b'=')
                    {
                        marks = rest;
                    }
                }
                Some(0) => self.found(EncodingFault::HasNul),
                _ => self.found(EncodingFault::BadEscape),
            }
        }
        true
    }

    /// Fast path for parameters as nearly all are sent: known, once, without fault, one `=` and then
    /// `&`. Returns the marks of the rest, `None` if there was no such parameter. Counters are
    /// locals, so that they stay in registers.
    #[inline]
    fn plain_pairs<'m>(&mut self, text: &[u8], marks: &'m [u32]) -> Option<&'m [u32]> {
        if self.equals.is_some() || self.found != [None; 2] {
            return None;
        }
        let (mut start, mut sent) = (self.start, self.sent);
        let room = PARAMETERS_MAX.saturating_sub(self.parameters) * 2;
        let mut left = marks.get(..room).unwrap_or(marks);
        let all = left.len();
        while let [equals, end, rest @ ..] = left {
            if text.get(index(*equals)) != Some(&b'=') || text.get(index(*end)) != Some(&b'&') {
                break;
            }
            let window = text.get(index(start)..).and_then(|rest| rest.first_chunk::<NAME_MAX>());
            let Some(window) = window else { break };
            // Marks ascend, so that nothing wraps.
            let length = index(equals.wrapping_sub(start));
            let Some(field) = Field::from_window(window, length) else { break };
            let Some(slot) = self.slots.get_mut(field.index()) else { break };
            if sent & bit(field) != 0 {
                break;
            }
            sent |= bit(field);
            slot.value = Span { start: equals.wrapping_add(1), end: *end };
            start = end.wrapping_add(1);
            left = rest;
        }
        let taken = all - left.len();
        (self.start, self.sent, self.parameters) = (start, sent, self.parameters + taken / 2);
        marks.get(taken..).filter(|_| taken > 0)
    }

    #[cold]
    fn found(&mut self, fault: EncodingFault) {
        let [name, value] = &mut self.found;
        let found = if self.equals.is_none() { name } else { value };
        // Of two faults, the one declared first counts.
        *found = Some(found.map_or(fault, |earlier| earlier.min(fault)));
    }

    /// Takes one parameter that ends at `end`.
    #[inline]
    fn pair(&mut self, text: &[u8], end: u32) {
        if end == self.start {
            return;
        }
        self.parameters += 1;
        if self.parameters > PARAMETERS_MAX {
            let max = u32::try_from(PARAMETERS_MAX).unwrap_or(u32::MAX);
            let rule = Rule::TooManyParameters { max };
            self.fault = Some(Rejection { subject: Subject::Body, rule });
            return;
        }
        let name = Span { start: self.start, end: self.equals.unwrap_or(end) };
        let value = Span { start: self.equals.map_or(end, |equals| equals + 1), end };
        let from = index(name.start);
        let window = text.get(from..).and_then(|rest| rest.first_chunk::<NAME_MAX>());
        let length = index(name.end - name.start);
        match window.and_then(|window| Field::from_window(window, length)) {
            Some(field) => self.known(field, value),
            None => self.other(text, name, value),
        }
    }

    #[inline]
    fn known(&mut self, field: Field, value: Span) {
        let [_, fault] = std::mem::take(&mut self.found);
        let Some(slot) = self.slots.get_mut(field.index()) else { return };
        if self.sent & bit(field) != 0 {
            slot.fault = EncodingFault::Repeated;
            self.faulty |= bit(field);
            return;
        }
        self.sent |= bit(field);
        slot.value = value;
        if let Some(fault) = fault {
            slot.fault = fault;
            self.faulty |= bit(field);
        }
    }

    #[cold]
    fn other(&mut self, text: &[u8], name: Span, value: Span) {
        let [name_fault, value_fault] = std::mem::take(&mut self.found);
        let place = u32::try_from(self.others.list.len()).unwrap_or(u32::MAX);
        let own = name_fault.or(value_fault);
        let repeated = match self.others.add(Other { name, value, fault: own }, text) {
            Some(earlier) => {
                earlier.fault.get_or_insert(EncodingFault::Repeated);
                Some(EncodingFault::Repeated)
            }
            None => None,
        };
        if let Some(fault) = own.or(repeated) {
            if let Some(other) = self.others.list.last_mut() {
                other.fault = Some(fault);
            }
            let rejection = Rejection { subject: Subject::Other(place), rule: fault.rule() };
            self.fault.get_or_insert(rejection);
        }
    }
}

/// Slow path: overwrites the values of parameters that are not UTF-8; returns the bits of these.
#[cold]
fn blame_slots(text: &mut [u8], slots: &mut [Slot; Field::COUNT], sent: u64, faulty: u64) -> u64 {
    let mut blamed = 0;
    for (field, slot) in Field::ALL.iter().zip(slots).filter(|(field, _)| sent & bit(**field) != 0)
    {
        if blank_if_not_utf8(text, slot.value) {
            blamed |= bit(*field);
            if faulty & bit(*field) == 0 {
                slot.fault = EncodingFault::NotUtf8;
            }
        }
    }
    blamed
}

#[cold]
fn blame_others(text: &mut [u8], others: &mut [Other], fault: &mut Option<Rejection>) {
    for (place, other) in (0..).zip(others) {
        let name = blank_if_not_utf8(text, other.name);
        let value = blank_if_not_utf8(text, other.value);
        if name || value {
            other.fault.get_or_insert(EncodingFault::NotUtf8);
            fault.get_or_insert(Rejection { subject: Subject::Other(place), rule: Rule::NotUtf8 });
        }
    }
}

/// Overwrites what is still not UTF-8. It belongs to the second of two equal names, or stands after
/// too many parameters; nobody reads it. So the rest of that parameter is overwritten with it, and
/// no text makes the search begin again for each of its bytes.
#[cold]
fn blank_rest(text: &mut [u8]) {
    let mut rest = text;
    while let Err(error) = std::str::from_utf8(rest) {
        let bad = rest.get_mut(error.valid_up_to()..).unwrap_or_default();
        let end = bad.iter().position(|byte| *byte == b'&').unwrap_or(bad.len());
        let (bad, behind) = bad.split_at_mut(end);
        bad.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        rest = behind;
    }
}

fn blank_if_not_utf8(text: &mut [u8], span: Span) -> bool {
    let value = text.get_mut(span.range()).unwrap_or_default();
    let bad = std::str::from_utf8(value).is_err();
    if bad {
        value.fill(b'?');
    }
    bad
}

/// The name behind an ampersand that was escaped as in a page, if it begins with one.
fn unescaped(name: &str) -> Option<&str> {
    ["amp;", "#38;", "#x26;"].iter().find_map(|entity| {
        let (begin, rest) = name.split_at_checked(entity.len())?;
        begin.eq_ignore_ascii_case(entity).then_some(rest)
    })
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
