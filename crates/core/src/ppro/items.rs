//! `transientin.orderitems`: a JSON array of `{"name", "price", "quantity"}`.
//!
//! Source: `docs/psp-guide.md`, "Order items". Read by hand rather than by `serde_json`, because a
//! refusal must name the item and the member, and because a cart of hundreds of items is the
//! largest part of a call; a property test holds the two readers against each other.

use std::ops::Range;

use crate::ppro::field::Field;
use crate::rejection::{Flow, Member, Rejection, Rule, Sink, Subject};

/// The most items in a cart. Midtrans' body limit of 16,000 characters holds about 400 of the
/// shortest; surplus ones are folded into one line, so this only bounds the work.
pub const ITEMS_MAX: usize = 1_000;

/// Prices above this many digits cannot belong to a payment of at most 20,000,000 rupiah, even
/// with discounts.
const PRICE_DIGITS_MAX: usize = 13;
const QUANTITY_DIGITS_MAX: usize = 9;

/// The most rupiah in one line, either way: 13 digits, as for a price. With [`ITEMS_MAX`] every
/// sum of lines fits the 64 bits of a price at Midtrans.
pub(super) const LINE_MAX: u64 = 9_999_999_999_999;

/// One line of the cart, whole rupiah.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// Where in the value the JSON string of the name begins, behind its quote, and its length;
    /// escapes unresolved.
    pub(super) name_at: u32,
    pub(super) name_bytes: u32,
    /// Where the digits of the price are, sign included, if they are written out as they are;
    /// else 0, where no value has digits.
    pub(super) price_at: u32,
    /// The same for the quantity.
    pub(super) quantity_at: u32,
    pub(super) price_bytes: u8,
    pub(super) quantity_bytes: u8,
    /// Whether the name has escapes.
    pub(super) escaped: bool,
    /// Whether the name has an escape that we write in another way.
    pub(super) rewritten: bool,
    /// Rupiah; below zero for a discount.
    pub price: i64,
    /// At least 1.
    pub quantity: i64,
}

impl Item {
    /// Price times quantity, in rupiah.
    #[must_use]
    pub fn total(&self) -> i128 {
        i128::from(self.price) * i128::from(self.quantity)
    }

    /// Price times quantity of an item that passed, in rupiah.
    pub(super) const fn line(&self) -> i64 {
        self.price.saturating_mul(self.quantity)
    }

    /// The name if it has no escapes.
    #[must_use]
    pub fn plain_name<'v>(&self, value: &'v str) -> Option<&'v str> {
        if self.escaped { None } else { self.raw_name(value) }
    }

    /// The price as it was sent, if that is how it is written out: where its digits begin, and how
    /// many bytes they are.
    #[inline]
    pub(crate) fn sent_price(&self) -> Option<(usize, usize)> {
        sent(self.price_at, self.price_bytes)
    }

    /// The same for the quantity.
    #[inline]
    pub(crate) fn sent_quantity(&self) -> Option<(usize, usize)> {
        sent(self.quantity_at, self.quantity_bytes)
    }

    /// Where the name is, if it is written as it was sent unless it is too long, and how many bytes
    /// it has.
    #[inline]
    pub(crate) fn sent_name(&self) -> Option<(usize, usize)> {
        let span = span(self.name_at, self.name_bytes);
        (!self.rewritten).then_some((span.start, span.len()))
    }

    /// The name as it was sent, escapes unresolved.
    pub(crate) fn raw_name<'v>(&self, value: &'v str) -> Option<&'v str> {
        value.get(span(self.name_at, self.name_bytes))
    }

    /// The name with its escapes resolved, cut at `max` characters.
    #[must_use]
    pub fn name(&self, value: &str, max: usize) -> String {
        let raw = self.raw_name(value).unwrap_or_default();
        if self.escaped { unescape(raw, max) } else { crate::text::cut(raw, max).to_owned() }
    }

    /// The characters of the name, escapes resolved.
    pub(crate) fn name_chars<'v>(&self, value: &'v str) -> impl Iterator<Item = char> + 'v {
        unescaped(self.raw_name(value).unwrap_or_default())
    }
}

#[inline]
fn sent(at: u32, bytes: u8) -> Option<(usize, usize)> {
    let at = usize::try_from(at).ok().filter(|at| *at > 0)?;
    Some((at, usize::from(bytes)))
}

fn span(at: u32, bytes: u32) -> Range<usize> {
    let index = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
    index(at)..index(at.saturating_add(bytes))
}

/// Reads the cart into `items`; reports faults in order of the items.
///
/// Returns the sum in rupiah if every item was good.
pub fn read(value: &str, items: &mut Vec<Item>, sink: &mut impl Sink) -> Result<i128, Flow> {
    read_padded(value, value.as_bytes(), items, sink)
}

/// The same for a value behind which more may be read, which means nothing: `padded` begins with
/// the value.
pub(crate) fn read_padded(
    value: &str,
    padded: &[u8],
    items: &mut Vec<Item>,
    sink: &mut impl Sink,
) -> Result<i128, Flow> {
    items.clear();
    let mut reader = Reader { value, padded, at: 0, good: true, sum: 0 };
    match reader.array(items, sink) {
        Ok(()) if reader.good => Ok(i128::from(reader.sum)),
        Ok(()) => Err(Flow::Continue),
        Err(Stop::Sink(flow)) => Err(flow),
        Err(Stop::Syntax) => {
            let at = u32::try_from(reader.at).unwrap_or(u32::MAX);
            Err(sink.reject(Rejection::of(Field::Orderitems, Rule::JsonForm { at })))
        }
    }
}

/// Why reading ended early.
enum Stop {
    /// The text is not JSON.
    Syntax,
    /// The sink wants no more, or what follows makes no sense.
    Sink(Flow),
}

struct Reader<'v> {
    value: &'v str,
    padded: &'v [u8],
    at: usize,
    good: bool,
    /// Of the lines so far, in rupiah; meaningless unless all were good.
    sum: i64,
}

/// A scalar or skipped value of a member.
enum Value<'v> {
    String { raw: Range<usize>, escaped: bool },
    Number(&'v str),
    Else,
}

impl<'v> Reader<'v> {
    fn array(&mut self, items: &mut Vec<Item>, sink: &mut impl Sink) -> Result<(), Stop> {
        self.blank();
        if self.peek() != Some(b'[') {
            // Distinguishes other JSON from no JSON at all.
            self.skip_value(0)?;
            self.end()?;
            return Err(Stop::Sink(
                sink.reject(Rejection::of(Field::Orderitems, Rule::NotAnArray)),
            ));
        }
        self.at += 1;
        self.blank();
        if self.eat(b']') {
            self.end()?;
            return Err(Stop::Sink(sink.reject(Rejection::of(Field::Orderitems, Rule::NoItems))));
        }
        let mut index = 0;
        loop {
            self.blank();
            if items.len() >= ITEMS_MAX {
                let max = u32::try_from(ITEMS_MAX).unwrap_or(u32::MAX);
                let rejection = Rejection::of(Field::Orderitems, Rule::TooManyItems { max });
                return Err(Stop::Sink(sink.reject(rejection)));
            }
            let item = match self.quick_item() {
                Some(item) => item,
                None => self.item(index, sink)?,
            };
            // A thousand lines of 13 digits.
            self.sum = self.sum.saturating_add(item.line());
            items.push(item);
            index += 1;
            self.blank();
            if self.eat(b']') {
                return self.end();
            }
            self.expect(b',')?;
        }
    }

    #[inline]
    fn quick_item(&mut self) -> Option<Item> {
        if self.peek() != Some(b'{') {
            return None;
        }
        let (item, end) = super::quick::item(self.padded, self.at)?;
        if end > self.value.len() {
            // The item ends in what means nothing.
            return None;
        }
        self.at = end;
        Some(item)
    }

    fn item(&mut self, index: u32, sink: &mut impl Sink) -> Result<Item, Stop> {
        let mut item = Item::default();
        if self.peek() != Some(b'{') {
            self.skip_value(0)?;
            self.fault(sink, index, None, Rule::ItemNotObject)?;
            return Ok(item);
        }
        self.at += 1;
        self.blank();
        let mut seen = [false; 3];
        if !self.eat(b'}') {
            loop {
                self.blank();
                self.member(index, &mut item, &mut seen, sink)?;
                self.blank();
                if self.eat(b'}') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        if item.total().unsigned_abs() > u128::from(LINE_MAX) {
            self.fault(sink, index, None, Rule::LineTooLarge)?;
        }
        for (member, seen) in [Member::Name, Member::Price, Member::Quantity].into_iter().zip(seen)
        {
            if !seen {
                self.fault(sink, index, Some(member), Rule::MemberMissing)?;
            }
        }
        Ok(item)
    }

    fn member(
        &mut self,
        index: u32,
        item: &mut Item,
        seen: &mut [bool; 3],
        sink: &mut impl Sink,
    ) -> Result<(), Stop> {
        let (key, escaped) = self.string()?;
        let value = self.value;
        let raw = value.get(key).unwrap_or_default();
        let key = if escaped { known_key(raw) } else { raw };
        self.blank();
        self.expect(b':')?;
        self.blank();
        let got = self.scalar()?;
        let [name_seen, price_seen, quantity_seen] = seen;
        let (member, seen, rule) = match key {
            "name" => (Member::Name, name_seen, read_name(value, &got, item)),
            "price" => (Member::Price, price_seen, read_price(value, &got, item)),
            "quantity" => (Member::Quantity, quantity_seen, read_quantity(&got, item)),
            _ => return Ok(()),
        };
        if std::mem::replace(seen, true) {
            return self.fault(sink, index, Some(member), Rule::MemberRepeated);
        }
        match rule {
            Ok(()) => Ok(()),
            Err(rule) => self.fault(sink, index, Some(member), rule),
        }
    }

    fn fault(
        &mut self,
        sink: &mut impl Sink,
        index: u32,
        member: Option<Member>,
        rule: Rule,
    ) -> Result<(), Stop> {
        self.good = false;
        match sink.reject(Rejection { subject: Subject::Item(index, member), rule }) {
            Flow::Continue => Ok(()),
            Flow::Stop => Err(Stop::Sink(Flow::Stop)),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.value.as_bytes().get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Stop> {
        if self.eat(byte) { Ok(()) } else { Err(Stop::Syntax) }
    }

    fn end(&mut self) -> Result<(), Stop> {
        self.blank();
        if self.peek().is_none() { Ok(()) } else { Err(Stop::Syntax) }
    }

    fn scalar(&mut self) -> Result<Value<'v>, Stop> {
        match self.peek() {
            Some(b'"') => {
                let (raw, escaped) = self.string()?;
                Ok(Value::String { raw, escaped })
            }
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => self.skip_value(0).map(|()| Value::Else),
        }
    }

    /// Reads a string; the range is what stands between the quotes.
    fn string(&mut self) -> Result<(Range<usize>, bool), Stop> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.peek().ok_or(Stop::Syntax)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                0..0x20 => return Err(Stop::Syntax),
                _ => self.at += 1,
            }
        }
        let raw = start..self.at;
        self.at += 1;
        Ok((raw, escaped))
    }

    fn escape(&mut self) -> Result<(), Stop> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                let first = self.hex4()?;
                match first {
                    0xd800..=0xdbff => {
                        self.expect(b'\\')?;
                        self.expect(b'u')?;
                        let second = self.hex4()?;
                        if (0xdc00..=0xdfff).contains(&second) { Ok(()) } else { Err(Stop::Syntax) }
                    }
                    0xdc00..=0xdfff => Err(Stop::Syntax),
                    _ => Ok(()),
                }
            }
            _ => Err(Stop::Syntax),
        }
    }

    fn hex4(&mut self) -> Result<u32, Stop> {
        let digits = self.value.as_bytes().get(self.at..self.at + 4).ok_or(Stop::Syntax)?;
        let mut number = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(16).ok_or(Stop::Syntax)?;
            number = (number << 4) | digit;
        }
        self.at += 4;
        Ok(number)
    }

    fn number(&mut self) -> Result<&'v str, Stop> {
        let start = self.at;
        self.eat(b'-');
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(Stop::Syntax),
        }
        if self.eat(b'.') {
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        self.value.get(start..self.at).ok_or(Stop::Syntax)
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Stop> {
        let start = self.at;
        self.digits();
        if self.at > start { Ok(()) } else { Err(Stop::Syntax) }
    }

    /// Reads past any value; the depth is bounded, since what is skipped means nothing to us.
    fn skip_value(&mut self, depth: u32) -> Result<(), Stop> {
        const DEPTH_MAX: u32 = 32;
        if depth > DEPTH_MAX {
            return Err(Stop::Syntax);
        }
        match self.peek().ok_or(Stop::Syntax)? {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'[' => self.skip_list(b']', depth, false),
            b'{' => self.skip_list(b'}', depth, true),
            _ => Err(Stop::Syntax),
        }
    }

    fn skip_list(&mut self, close: u8, depth: u32, members: bool) -> Result<(), Stop> {
        self.at += 1;
        self.blank();
        if self.eat(close) {
            return Ok(());
        }
        loop {
            self.blank();
            if members {
                self.string()?;
                self.blank();
                self.expect(b':')?;
                self.blank();
            }
            self.skip_value(depth + 1)?;
            self.blank();
            if self.eat(close) {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn word(&mut self, word: &str) -> Result<(), Stop> {
        let found = self.value.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if found { word.len() } else { 0 };
        if found { Ok(()) } else { Err(Stop::Syntax) }
    }
}

fn read_name(value: &str, got: &Value<'_>, item: &mut Item) -> Result<(), Rule> {
    let Value::String { raw, escaped } = got else { return Err(Rule::NameType) };
    if raw.is_empty() {
        return Err(Rule::NameEmpty);
    }
    if *escaped && value.get(raw.clone()).is_some_and(|raw| unescaped(raw).any(|char| char == '\0'))
    {
        return Err(Rule::HasNul);
    }
    item.name_at = u32::try_from(raw.start).unwrap_or(u32::MAX);
    item.name_bytes = u32::try_from(raw.len()).unwrap_or(0);
    item.escaped = *escaped;
    item.rewritten = *escaped;
    Ok(())
}

fn read_price(value: &str, got: &Value<'_>, item: &mut Item) -> Result<(), Rule> {
    let Value::String { raw, escaped } = got else { return Err(Rule::PriceType) };
    let raw = value.get(raw.clone()).unwrap_or_default();
    item.price = if *escaped { price(&unescape(raw, usize::MAX)) } else { price(raw) }?;
    Ok(())
}

fn read_quantity(got: &Value<'_>, item: &mut Item) -> Result<(), Rule> {
    let Value::Number(text) = got else { return Err(Rule::QuantityType) };
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Rule::QuantityType);
    }
    if digits.len() != text.len() || digits == "0" {
        return Err(Rule::QuantityTooSmall);
    }
    if digits.len() > QUANTITY_DIGITS_MAX {
        return Err(Rule::QuantityTooLarge);
    }
    item.quantity = digits.parse().map_err(|_| Rule::QuantityType)?;
    Ok(())
}

/// Reads `2000.00` or `-500.00` as whole rupiah.
fn price(text: &str) -> Result<i64, Rule> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, cents) = digits.split_once('.').ok_or(Rule::PriceForm)?;
    let decimal = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !decimal(whole) || !decimal(cents) || cents.len() != 2 || leading_zero {
        return Err(Rule::PriceForm);
    }
    if cents != "00" {
        return Err(Rule::PriceCents);
    }
    if whole.len() > PRICE_DIGITS_MAX {
        return Err(Rule::PriceTooLarge);
    }
    let rupiah: i64 = whole.parse().map_err(|_| Rule::PriceForm)?;
    Ok(if negative { -rupiah } else { rupiah })
}

/// A key that was written with escapes, if it is one that we know.
fn known_key(raw: &str) -> &'static str {
    let is = |known: &&str| unescaped(raw).eq(known.chars());
    ["name", "price", "quantity"].into_iter().find(is).unwrap_or_default()
}

/// Resolves the escapes of a JSON string that was read before.
fn unescaped(raw: &str) -> impl Iterator<Item = char> {
    let mut rest = raw.chars();
    std::iter::from_fn(move || match rest.next()? {
        '\\' => Some(escaped_char(&mut rest)),
        char => Some(char),
    })
}

/// The same as a text of at most `max` characters.
fn unescape(raw: &str, max: usize) -> String {
    unescaped(raw).take(max).collect()
}

fn escaped_char(rest: &mut std::str::Chars<'_>) -> char {
    match rest.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => {
            let first = code_unit(rest);
            if (0xd800..0xdc00).contains(&first) {
                // The reader has checked that the second half follows.
                rest.next();
                rest.next();
                let second = code_unit(rest);
                let code = 0x1_0000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            } else {
                char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
        }
        Some(char) => char,
        None => char::REPLACEMENT_CHARACTER,
    }
}

fn code_unit(rest: &mut std::str::Chars<'_>) -> u32 {
    (0..4).fold(0, |unit, _| {
        (unit << 4) | rest.next().and_then(|digit| digit.to_digit(16)).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::{All, First};

    fn first_fault(value: &str) -> Option<(String, Rule)> {
        let mut sink = First::default();
        let result = read(value, &mut Vec::new(), &mut sink);
        assert_eq!(result.is_ok(), sink.0.is_none(), "{value}");
        sink.0.map(|rejection| (rejection.subject.to_string(), rejection.rule))
    }

    #[test]
    fn the_published_example_adds_up() {
        let value = r#"[{"name":"table","price":"2000.00","quantity":2},{"name":"Laptop 2.0","price":"3000.00","quantity":2}]"#;
        let mut items = Vec::new();
        assert_eq!(read(value, &mut items, &mut First::default()), Ok(10_000));
        assert_eq!(items[1].name(value, 50), "Laptop 2.0");
    }

    #[test]
    fn faults_name_item_and_member() {
        let item =
            |inner: &str| format!(r#"[{{"name":"ok","price":"1.00","quantity":1}},{{{inner}}}]"#);
        let price = |text: &str| item(&format!(r#""name":"a","price":{text},"quantity":1"#));
        let quantity =
            |text: &str| item(&format!(r#""name":"a","price":"1.00","quantity":{text}"#));
        let p = "transientin.orderitems";
        #[rustfmt::skip]
        let rows = [
            (String::new(), p.into(), Rule::JsonForm { at: 0 }),
            ("nonsense".into(), p.into(), Rule::JsonForm { at: 0 }),
            ("[".into(), p.into(), Rule::JsonForm { at: 1 }),
            ("[{}] x".into(), format!("{p}[0].name"), Rule::MemberMissing),
            (r#"[{"name":"a","price":"1.00","quantity":1}] x"#.into(), p.into(), Rule::JsonForm { at: 43 }),
            (r#"[{"name":"a","price":"1.00","quantity":1},]"#.into(), p.into(), Rule::JsonForm { at: 42 }),
            ("{}".into(), p.into(), Rule::NotAnArray),
            ("null".into(), p.into(), Rule::NotAnArray),
            ("[]".into(), p.into(), Rule::NoItems),
            ("[1]".into(), format!("{p}[0]"), Rule::ItemNotObject),
            (item(r#""price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::MemberMissing),
            (item(r#""name":"a","quantity":1"#), format!("{p}[1].price"), Rule::MemberMissing),
            (item(r#""name":"a","price":"1.00""#), format!("{p}[1].quantity"), Rule::MemberMissing),
            (item(r#""name":"a","name":"b","price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::MemberRepeated),
            (item(r#""name":"a","n\u0061me":"b","price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::MemberRepeated),
            (item(r#""name":5,"price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::NameType),
            (item(r#""name":"","price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::NameEmpty),
            (item(r#""name":"a\u0000","price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::HasNul),
            (price("1"), format!("{p}[1].price"), Rule::PriceType),
            (price("1.00"), format!("{p}[1].price"), Rule::PriceType),
            (price("null"), format!("{p}[1].price"), Rule::PriceType),
            (price(r#""1""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""1.0""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""1,00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""1.000.00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""+1.00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""01.00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#"" 1.00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""1e3.00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#"".00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""--1.00""#), format!("{p}[1].price"), Rule::PriceForm),
            (price(r#""1.50""#), format!("{p}[1].price"), Rule::PriceCents),
            (price(r#""10000000000000.00""#), format!("{p}[1].price"), Rule::PriceTooLarge),
            (price(&format!("\"{}.00\"", "9".repeat(400))), format!("{p}[1].price"), Rule::PriceTooLarge),
            (quantity("0"), format!("{p}[1].quantity"), Rule::QuantityTooSmall),
            (quantity("-1"), format!("{p}[1].quantity"), Rule::QuantityTooSmall),
            (quantity("1.0"), format!("{p}[1].quantity"), Rule::QuantityType),
            (quantity("1e1"), format!("{p}[1].quantity"), Rule::QuantityType),
            (quantity(r#""1""#), format!("{p}[1].quantity"), Rule::QuantityType),
            (
                item(r#""name":"a","price":"5000000000000.00","quantity":2"#),
                format!("{p}[1]"),
                Rule::LineTooLarge,
            ),
            (
                item(r#""name":"a","price":"-9999999999999.00","quantity":999999999"#),
                format!("{p}[1]"),
                Rule::LineTooLarge,
            ),
            (quantity("1000000000"), format!("{p}[1].quantity"), Rule::QuantityTooLarge),
            (quantity("99999999999999999999999"), format!("{p}[1].quantity"), Rule::QuantityTooLarge),
            (r#"[{"name":"\ud800","price":"1.00","quantity":1}]"#.into(), p.into(), Rule::JsonForm { at: 16 }),
        ];
        for (value, subject, rule) in rows {
            assert_eq!(first_fault(&value), Some((subject, rule)), "{value}");
        }
    }

    #[test]
    fn good_carts_of_odd_form_pass() {
        for (value, sum) in [
            (r#" [ { "quantity" : 3 , "price" : "1000.00" , "name" : "a" } ] "#, 3_000),
            (
                r#"[{"name":"a","price":"10.00","quantity":2},{"name":"discount","price":"-5.00","quantity":1}]"#,
                15,
            ),
            (r#"[{"name":"gift","price":"0.00","quantity":1}]"#, 0),
            (
                r#"[{"n\u0061me":"a","price":"\u0031.00","quantity":1,"sku":[1,{"x":null}],"ok":true}]"#,
                1,
            ),
            (
                r#"[{"name":"a","price":"9999999999999.00","quantity":1},{"name":"b","price":"-3333333333332.00","quantity":3}]"#,
                3,
            ),
        ] {
            assert_eq!(read(value, &mut Vec::new(), &mut First::default()), Ok(sum), "{value}");
        }
        let value = r#"[{"name":"caf\u00e9 \ud83d\ude42 \"x\"","price":"1.00","quantity":1}]"#;
        let mut items = Vec::new();
        assert_eq!(read(value, &mut items, &mut First::default()), Ok(1));
        assert_eq!(items[0].name(value, 50), "caf\u{e9} \u{1f642} \"x\"");
        assert_eq!(items[0].name(value, 6), "caf\u{e9} \u{1f642}");
    }

    #[test]
    fn every_fault_is_found_when_all_are_wanted() {
        let mut sink = All::default();
        let value = r#"[{"name":"","price":1,"quantity":0},{"name":"a"}]"#;
        assert!(read(value, &mut Vec::new(), &mut sink).is_err());
        let rules: Vec<Rule> = sink.0.iter().map(|rejection| rejection.rule).collect();
        assert_eq!(
            rules,
            [
                Rule::NameEmpty,
                Rule::PriceType,
                Rule::QuantityTooSmall,
                Rule::MemberMissing,
                Rule::MemberMissing
            ]
        );
    }

    #[test]
    fn too_many_items_and_deep_nesting_are_bounded() {
        let item = r#"{"name":"a","price":"1.00","quantity":1}"#;
        let many = format!("[{}]", vec![item; ITEMS_MAX + 1].join(","));
        assert_eq!(first_fault(&many).unwrap().1, Rule::TooManyItems { max: 1_000 });
        let deep = format!(r#"[{{"x":{}1{}}}]"#, "[".repeat(5_000), "]".repeat(5_000));
        assert!(matches!(first_fault(&deep).unwrap().1, Rule::JsonForm { .. }));
    }

    proptest::proptest! {
        /// What this reader calls JSON, `serde_json` calls JSON too, and the other way round.
        #[test]
        fn agrees_with_serde_json(value in "[\\[\\]{}\",:0-9a-fnu.e\\\\ -]{0,40}|\\[\\{\"name\":\"\\PC{0,9}\",\"price\":\"1.00\",\"quantity\":[0-9.e-]{1,4}\\}\\]") {
            let mut sink = All::default();
            let _ = read(&value, &mut Vec::new(), &mut sink);
            let syntax = sink.0.iter().any(|rejection| matches!(rejection.rule, Rule::JsonForm { .. }));
            // serde_json refuses numbers that no f64 holds; such a number is still JSON.
            let theirs = match serde_json::from_str::<serde_json::Value>(&value) {
                Ok(_) => true,
                Err(error) => error.to_string().starts_with("number out of range"),
            };
            proptest::prop_assert_eq!(!syntax, theirs, "{}", value);
        }
    }
}
