//! Reads a cart by every rule, and names item and member of each fault. A property test holds it
//! against `serde_json`.

use std::ops::Range;

use super::fast;
use super::item::{Item, LINE_MAX, unescape, unescaped};
use crate::ppro::field::Field;
use crate::rejection::{Flow, Member, Rejection, Rule, Sink, Subject};
use crate::text::{is_blank, is_blank_char};

/// The most items in a cart. Midtrans' body limit of 16,000 characters holds about 400 of the
/// shortest; surplus items are folded into one line, so this bounds only the work.
pub const ITEMS_MAX: usize = 1_000;

/// The most digits of a price before its point. More cannot belong to a payment of at most
/// 20,000,000 rupiah, even with discounts.
const PRICE_DIGITS_MAX: usize = 13;
const QUANTITY_DIGITS_MAX: usize = 9;

/// Reads the cart into `items`, reports faults in order of the items, and returns the sum in rupiah.
///
/// # Errors
/// What the sink answered to the last fault, if there was one.
pub fn read(value: &str, items: &mut Vec<Item>, sink: &mut impl Sink) -> Result<i128, Flow> {
    read_padded(value, value.as_bytes(), items, sink)
}

/// As [`read`]. `padded` is the value followed by readable filler bytes, so that whole blocks can be
/// loaded.
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
    /// The sink wants no more faults, or what follows cannot be items.
    Sink(Flow),
}

struct Reader<'v> {
    value: &'v str,
    padded: &'v [u8],
    at: usize,
    good: bool,
    /// The sum of the lines so far, in rupiah; meaningless unless all were good.
    sum: i64,
}

/// A value of a member; a list, an object or a word is only skipped.
enum Value<'v> {
    String { raw: Range<usize>, escaped: bool },
    Number(&'v str),
    Else,
}

impl<'v> Reader<'v> {
    fn array(&mut self, items: &mut Vec<Item>, sink: &mut impl Sink) -> Result<(), Stop> {
        self.blank();
        if self.peek() != Some(b'[') {
            // Other JSON and no JSON at all are different faults.
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
        loop {
            self.blank();
            if self.compact_items(items) {
                return self.end();
            }
            self.blank();
            if items.len() >= ITEMS_MAX {
                let max = u32::try_from(ITEMS_MAX).unwrap_or(u32::MAX);
                let rejection = Rejection::of(Field::Orderitems, Rule::TooManyItems { max });
                return Err(Stop::Sink(sink.reject(rejection)));
            }
            let index = u32::try_from(items.len()).unwrap_or(u32::MAX);
            let item = match self.fast_item() {
                Some(item) => item,
                None => self.item(index, sink)?,
            };
            // Saturates only after an item that was refused: 1,000 lines of 13 digits fit.
            self.sum = self.sum.saturating_add(item.line());
            items.push(item);
            self.blank();
            if self.eat(b']') {
                return self.end();
            }
            self.expect(b',')?;
        }
    }

    /// Takes items as nearly all are, up to the first one that is not; returns whether the list was
    /// closed behind them.
    #[inline]
    fn compact_items(&mut self, items: &mut Vec<Item>) -> bool {
        while items.len() < ITEMS_MAX
            && let Some((item, line, end)) = fast::compact(self.padded, self.at)
            // Neither the item nor what follows it is in the filler bytes.
            && end < self.value.len()
            && let Some(next @ (b',' | b']')) = self.padded.get(end)
        {
            self.at = end + 1;
            self.sum = self.sum.saturating_add(line);
            items.push(item);
            if *next == b']' {
                return true;
            }
        }
        false
    }

    /// Fast path; `None`: use [`Self::item`].
    #[inline]
    fn fast_item(&mut self) -> Option<Item> {
        if self.peek() != Some(b'{') {
            return None;
        }
        let (item, end) = fast::in_any_order(self.padded, self.at)?;
        if end > self.value.len() {
            // The item ends in the filler bytes.
            return None;
        }
        self.at = end;
        Some(item)
    }

    /// Out of line, so that [`Self::compact_items`] has the registers to itself.
    #[inline(never)]
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

    /// Reads a string. Returns what is between its quotes, and whether it has escapes.
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

    /// Skips any value. The depth is bounded, because the calls nest.
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
    let shows_nothing = |raw: &str| {
        if *escaped { unescaped(raw).all(is_blank_char) } else { is_blank(raw) }
    };
    if value.get(raw.clone()).is_some_and(shows_nothing) {
        return Err(Rule::Blank);
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

/// The key that these escapes stand for, if it is one that we know; else empty.
fn known_key(raw: &str) -> &'static str {
    let is = |known: &&str| unescaped(raw).eq(known.chars());
    ["name", "price", "quantity"].into_iter().find(is).unwrap_or_default()
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
            (item(r#""name":" ","price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::Blank),
            (item(r#""name":"\n\t","price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::Blank),
            (item(r#""name":"\u00a0\u200b","price":"1.00","quantity":1"#), format!("{p}[1].name"), Rule::Blank),
            (item("\"name\":\"\u{3000}\u{3164}\",\"price\":\"1.00\",\"quantity\":1"), format!("{p}[1].name"), Rule::Blank),
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
