//! One item of the cart, as it was read.

use std::ops::Range;

/// The most rupiah in one line, either way: 13 digits, as for a price. With [`super::ITEMS_MAX`]
/// every sum of lines fits the 64 bits of a price at Midtrans.
pub(super) const LINE_MAX: u64 = 9_999_999_999_999;

/// One line of the cart, whole rupiah.
#[derive(Clone, Debug, Default)]
pub struct Item {
    /// The name in the value: where it begins, behind its quote, and its length in bytes; escapes
    /// unresolved.
    pub(super) name_at: u32,
    pub(super) name_bytes: u32,
    /// Where the digits of the price begin in the value, sign included, if the charge takes them
    /// verbatim; else 0, where no value has digits.
    pub(super) price_at: u32,
    /// As `price_at`, of the quantity.
    pub(super) quantity_at: u32,
    pub(super) price_bytes: u8,
    pub(super) quantity_bytes: u8,
    /// Whether the name has escapes.
    pub(super) escaped: bool,
    /// Whether the name has an escape that the charge writes in another form.
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

    /// Price times quantity of an item that passed, in rupiah; within [`LINE_MAX`].
    pub(super) const fn line(&self) -> i64 {
        self.price.saturating_mul(self.quantity)
    }

    /// The name if it has no escapes.
    #[must_use]
    pub fn plain_name<'v>(&self, value: &'v str) -> Option<&'v str> {
        if self.escaped { None } else { self.raw_name(value) }
    }

    /// Where the digits of the price begin in the value, and how many bytes they are. `None` if the
    /// charge does not take them verbatim.
    #[inline]
    pub(crate) fn sent_price(&self) -> Option<(usize, usize)> {
        sent(self.price_at, self.price_bytes)
    }

    /// As [`Self::sent_price`], of the quantity.
    #[inline]
    pub(crate) fn sent_quantity(&self) -> Option<(usize, usize)> {
        sent(self.quantity_at, self.quantity_bytes)
    }

    /// Where the name begins in the value, and how many bytes it has. `None` if the charge does not
    /// take it verbatim. It may still be too long.
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

/// Resolves the escapes of a JSON string that was found to be sound.
pub(super) fn unescaped(raw: &str) -> impl Iterator<Item = char> {
    let mut rest = raw.chars();
    std::iter::from_fn(move || match rest.next()? {
        '\\' => Some(escaped_char(&mut rest)),
        char => Some(char),
    })
}

/// Resolves the escapes of a JSON string, cut at `max` characters.
pub(super) fn unescape(raw: &str, max: usize) -> String {
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
                // The reader has checked that the low surrogate follows.
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
