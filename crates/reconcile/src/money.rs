//! Exact amounts, and how the many ways to write one are read.
//!
//! An amount is a whole number of hundred-thousandths of its currency: statements carry up to five
//! decimals (ISO 20022, `ActiveOrHistoricCurrencyAndAmount`). No floats anywhere.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

/// An exact amount of some currency.
///
/// Read values stay below 10^18 units of the currency, so that no sum of rows can overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i128);

/// Five decimals are kept.
const ONE: i128 = 100_000;
/// Digits of a whole number that is read at most: 10^18 units.
const DIGITS_MAX: usize = 18;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From a number of sen, hundredths.
    #[must_use]
    pub fn from_sen(sen: i64) -> Self {
        Self(i128::from(sen) * 1_000)
    }

    /// From a number of hundred-thousandths, as records keep it.
    #[must_use]
    pub fn from_units(units: i64) -> Self {
        Self(i128::from(units))
    }

    /// The number of hundred-thousandths, if it fits a record (9.2 x 10^13 of the currency).
    #[must_use]
    pub fn units(self) -> Option<i64> {
        i64::try_from(self.0).ok()
    }

    /// Without its sign.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is below nothing.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// A share of it in basis points, rounded half away from zero to a multiple of `step`.
    #[must_use]
    pub fn share(self, basis_points: u32, step: Self) -> Self {
        let step = step.0.max(1);
        let whole = self.0.saturating_mul(i128::from(basis_points));
        let divisor = step.saturating_mul(10_000);
        let half = divisor / 2;
        let steps = if whole < 0 { (whole - half) / divisor } else { (whole + half) / divisor };
        Self(steps.saturating_mul(step))
    }

    /// A hundredfold of it: what sen taken for rupiah look like.
    #[must_use]
    pub const fn hundredfold(self) -> Self {
        Self(self.0.saturating_mul(100))
    }

    /// Whole units of its currency, cut towards zero, for charts.
    #[must_use]
    pub fn whole(self) -> i64 {
        i64::try_from(self.0 / ONE).unwrap_or(i64::MAX)
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}
impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}
impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}
impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}
impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

/// Two decimals at least, no grouping: `-1652.00`, `0.00004`.
impl fmt::Display for Money {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut rest) = (self.0.unsigned_abs() / 100_000, self.0.unsigned_abs() % 100_000);
        let mut width = 5;
        while width > 2 && rest.is_multiple_of(10) {
            rest /= 10;
            width -= 1;
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(out, "{sign}{whole}.{rest:0width$}")
    }
}

impl serde::Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let text = String::deserialize(text)?;
        Self::parse(text.as_bytes(), Some(DecimalMark::Point))
            .map_err(|_| serde::de::Error::custom("not an amount"))
    }
}

/// The mark between whole and fraction in a column of amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecimalMark {
    /// `1,002,157.77`
    Point,
    /// `1.002.157,77`
    Comma,
}

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Nothing in it.
    #[error("no amount")]
    Empty,
    /// Not the form of an amount.
    #[error("not an amount")]
    Garbled,
    /// `44.000`: forty-four, or forty-four thousand.
    #[error("an amount that can be read in two ways; say `decimal = \"point\"` or \"comma\"")]
    Ambiguous,
    /// More than 15 digits out of a spreadsheet's number, or above 10^18.
    #[error("more digits than an exact amount can have here")]
    TooLong,
    /// More than five decimals.
    #[error("more than five decimals")]
    TooPrecise,
}

impl Money {
    /// Reads an amount with its currency sign, its grouping, its sign in front, behind or as
    /// brackets. Without a `mark`, only what can be read in one way.
    ///
    /// ```
    /// use gopay_reconcile::money::{AmountError, DecimalMark, Money};
    /// let read = |text: &str| Money::parse(text.as_bytes(), None).map(|one| one.to_string());
    /// assert_eq!(read("Rp. -1,002,157.77"), Ok("-1002157.77".to_owned()));
    /// assert_eq!(read("44.000,00"), Ok("44000.00".to_owned()));
    /// assert_eq!(read("44.000"), Err(AmountError::Ambiguous));
    /// assert_eq!(read("12..34"), Err(AmountError::Garbled));
    /// ```
    ///
    /// # Errors
    /// See [`AmountError`].
    pub fn parse(text: &[u8], mark: Option<DecimalMark>) -> Result<Self, AmountError> {
        if mark != Some(DecimalMark::Comma)
            && let Some(units) = plain(text)
        {
            return Ok(Self(units));
        }
        let (negative, core) = strip(text)?;
        let units = number(core, mark)?;
        Ok(Self(if negative { -units } else { units }))
    }

    /// What a text says about the decimal mark of its column, if anything.
    #[must_use]
    pub fn mark_of(text: &[u8]) -> Option<DecimalMark> {
        let (_, core) = strip(text).ok()?;
        let both = [DecimalMark::Point, DecimalMark::Comma].map(|mark| number(core, Some(mark)));
        match both {
            [Ok(_), Err(_)] => Some(DecimalMark::Point),
            [Err(_), Ok(_)] => Some(DecimalMark::Comma),
            _ => None,
        }
    }
}

/// The quick way: `-`, digits, a point and exactly two digits.
fn plain(text: &[u8]) -> Option<i128> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let [whole @ .., b'.', tens, ones] = digits else { return None };
    if whole.is_empty() || whole.len() > 15 || !tens.is_ascii_digit() || !ones.is_ascii_digit() {
        return None;
    }
    let mut value: i64 = 0;
    for digit in whole.iter().chain([tens, ones]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(digit - b'0');
    }
    let units = i128::from(value) * 1_000;
    Some(if negative { -units } else { units })
}

/// Takes off what stands around the number; whether it is below zero.
fn strip(text: &[u8]) -> Result<(bool, &[u8]), AmountError> {
    let mut rest = text;
    let (mut negative, mut bracketed) = (false, false);
    // Each round takes one thing off; a text of 64 bytes is longer than any amount.
    for _ in 0..64 {
        rest = trim(rest);
        rest = match rest {
            [b'-', after @ ..] | [0xE2, 0x88, 0x92, after @ ..] if !negative => {
                negative = true;
                after
            }
            [before @ .., b'-'] if !negative => {
                negative = true;
                before
            }
            [b'+', after @ ..] => after,
            [b'(', inner @ .., b')'] if !negative && !bracketed => {
                (negative, bracketed) = (true, true);
                inner
            }
            _ => match currency(rest) {
                Some(after) => after,
                None => break,
            },
        };
    }
    if rest.is_empty() { Err(AmountError::Empty) } else { Ok((negative, rest)) }
}

fn trim(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text.trim_ascii() {
            // A no-break space.
            [0xC2, 0xA0, rest @ ..] | [rest @ .., 0xC2, 0xA0] => rest,
            rest => return rest,
        };
    }
}

/// What is left after a currency's sign or code in front or behind.
fn currency(text: &[u8]) -> Option<&[u8]> {
    const SIGNS: [&[u8]; 8] =
        [b"Rp.", b"rp.", b"RP.", b"Rp", b"$", "\u{20ac}".as_bytes(), "\u{a3}".as_bytes(), b"RP"];
    if let Some(after) = SIGNS.iter().find_map(|sign| text.strip_prefix(*sign)) {
        return Some(after);
    }
    match text {
        [a, b, c, after @ ..] if [a, b, c].iter().all(|one| one.is_ascii_uppercase()) => {
            Some(after)
        }
        [before @ .., a, b, c] if [a, b, c].iter().all(|one| one.is_ascii_uppercase()) => {
            Some(before)
        }
        [before @ .., 0xE2, 0x82, 0xAC] => Some(before),
        _ => None,
    }
}

/// Digits with grouping and fraction, in hundred-thousandths.
fn number(text: &[u8], mark: Option<DecimalMark>) -> Result<i128, AmountError> {
    if text.iter().any(|byte| matches!(byte, b'E' | b'e')) {
        let only = text.iter().all(|b| b.is_ascii_digit() || b"Ee+-.,".contains(b));
        return Err(if only { AmountError::TooLong } else { AmountError::Garbled });
    }
    let (whole, fraction) = split(text, mark)?;
    let mut value: i128 = 0;
    let mut digits = 0;
    for digit in whole.iter().filter(|byte| byte.is_ascii_digit()) {
        value = value * 10 + i128::from(digit - b'0');
        digits += usize::from(value > 0);
        if digits > DIGITS_MAX {
            return Err(AmountError::TooLong);
        }
    }
    let fraction = match fraction.iter().rposition(|byte| *byte != b'0') {
        Some(last) => fraction.get(..=last).unwrap_or_default(),
        None => &[],
    };
    if fraction.len() > 5 {
        return Err(AmountError::TooPrecise);
    }
    let mut units = value * ONE;
    let mut weight = ONE / 10;
    for digit in fraction {
        units += i128::from(digit - b'0') * weight;
        weight /= 10;
    }
    Ok(units)
}

/// Whole part (with its grouping) and fraction.
fn split(text: &[u8], mark: Option<DecimalMark>) -> Result<(&[u8], &[u8]), AmountError> {
    let mark_at = match mark {
        Some(DecimalMark::Point) => text.iter().rposition(|byte| *byte == b'.'),
        Some(DecimalMark::Comma) => text.iter().rposition(|byte| *byte == b','),
        None => guess(text)?,
    };
    let (whole, fraction) = match mark_at {
        Some(at) => {
            let (whole, fraction) = text.split_at(at);
            (whole, fraction.get(1..).unwrap_or_default())
        }
        None => (text, &[][..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) || (whole.is_empty() && fraction.is_empty()) {
        return Err(AmountError::Garbled);
    }
    let used = mark_at.and_then(|at| text.get(at)).copied();
    let other = match (mark, used) {
        (Some(DecimalMark::Comma), _) | (None, Some(b',')) => b'.',
        (Some(DecimalMark::Point), _) | (None, Some(_)) => b',',
        (None, None) => {
            if whole.contains(&b'.') {
                b'.'
            } else {
                b','
            }
        }
    };
    if grouped(whole, other) { Ok((whole, fraction)) } else { Err(AmountError::Garbled) }
}

/// Where the decimal mark is, if the text can be read in one way only.
fn guess(text: &[u8]) -> Result<Option<usize>, AmountError> {
    let points = text.iter().filter(|byte| **byte == b'.').count();
    let commas = text.iter().filter(|byte| **byte == b',').count();
    let last = text.iter().rposition(|byte| matches!(byte, b'.' | b','));
    let Some(at) = last else { return Ok(None) };
    let single = text.get(at).copied();
    let same = if single == Some(b'.') { points } else { commas };
    if same > 1 {
        // `1.002.157`: repeated, so it groups.
        return if points == 0 || commas == 0 { Ok(None) } else { Err(AmountError::Garbled) };
    }
    let behind = text.len() - at - 1;
    let alone = points + commas == 1;
    // A group of three behind one to three digits may be thousands.
    let leading_zero = text.first() == Some(&b'0') || at == 0;
    if alone && behind == 3 && at <= 3 && !leading_zero {
        return Err(AmountError::Ambiguous);
    }
    Ok(Some(at))
}

/// Digits, or groups of three behind the first.
fn grouped(whole: &[u8], by: u8) -> bool {
    if whole.iter().all(u8::is_ascii_digit) {
        return true;
    }
    let space = |byte: &u8| matches!(byte, b' ' | b'\'');
    let by_mark = |byte: &u8| *byte == by;
    let groups_well = |is: &dyn Fn(&u8) -> bool| {
        let mut groups = whole.split(|byte| is(byte));
        let first = groups.next().unwrap_or_default();
        (1..=3).contains(&first.len())
            && first.iter().all(u8::is_ascii_digit)
            && groups.all(|group| group.len() == 3 && group.iter().all(u8::is_ascii_digit))
    };
    groups_well(&by_mark) || groups_well(&space)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, mark: Option<DecimalMark>) -> Result<String, AmountError> {
        Money::parse(text.as_bytes(), mark).map(|one| one.to_string())
    }

    #[test]
    fn amounts_are_read_in_the_forms_that_reports_and_banks_write() {
        use AmountError as E;
        use DecimalMark::{Comma, Point};
        for (text, mark, wanted) in [
            ("44000.00", None, Ok("44000.00")),
            ("44000", None, Ok("44000.00")),
            ("-4,50", None, Ok("-4.50")),
            ("44.000,00", None, Ok("44000.00")),
            ("-1.234,56", None, Ok("-1234.56")),
            ("1.002.157", None, Ok("1002157.00")),
            ("Rp. 1,002,157.77", None, Ok("1002157.77")),
            ("Rp. -1,652", Some(Point), Ok("-1652.00")),
            ("Rp. -1,652", None, Err(E::Ambiguous)),
            ("Rp 44.000", Some(Comma), Ok("44000.00")),
            ("IDR 25,555.83", None, Ok("25555.83")),
            ("1 234,56", None, Ok("1234.56")),
            ("1'234.50", None, Ok("1234.50")),
            ("(1,234.56)", None, Ok("-1234.56")),
            ("1234.56-", None, Ok("-1234.56")),
            ("\u{2212}5.00", None, Ok("-5.00")),
            (".00", None, Ok("0.00")),
            ("0.051", None, Ok("0.051")),
            ("12345.678", None, Ok("12345.678")),
            ("18.150", Some(Point), Ok("18.15")),
            ("5442.09000", None, Ok("5442.09")),
            ("8.85001", None, Ok("8.85001")),
            ("8.850010", None, Ok("8.85001")),
            ("8.850011", None, Err(E::TooPrecise)),
            ("44.000", None, Err(E::Ambiguous)),
            ("44.000", Some(Point), Ok("44.00")),
            ("44.00", Some(Comma), Err(E::Garbled)),
            ("12..34", None, Err(E::Garbled)),
            ("12,34.56", None, Err(E::Garbled)),
            ("1,2,3", None, Err(E::Garbled)),
            ("--5", None, Err(E::Garbled)),
            ("5 apples", None, Err(E::Garbled)),
            ("", None, Err(E::Empty)),
            ("Rp.", None, Err(E::Empty)),
            ("1.5E+18", None, Err(E::TooLong)),
            ("1234567890123456789", None, Err(E::TooLong)),
            ("123456789012345678", None, Ok("123456789012345678.00")),
        ] {
            assert_eq!(read(text, mark), wanted.map(str::to_owned), "{text:?} {mark:?}");
        }
    }

    #[test]
    fn a_text_tells_the_mark_of_its_column_only_if_it_has_one() {
        use DecimalMark::{Comma, Point};
        for (text, wanted) in [
            ("44.000", None),
            ("44000", None),
            ("1,002,157.77", Some(Point)),
            ("44000.00", Some(Point)),
            ("3.500,00", Some(Comma)),
            ("4,50", Some(Comma)),
            ("12..34", None),
        ] {
            assert_eq!(Money::mark_of(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn a_share_is_rounded_half_away_from_zero() {
        let (sen, rupiah) = (Money::from_sen(1), Money::from_sen(100));
        for (sen_in, basis_points, step, wanted) in [
            (1_214_500, 200, sen, "242.90"),
            (1_214_500, 200, rupiah, "243.00"),
            (12_500, 200, rupiah, "3.00"),
            (-12_500, 200, rupiah, "-3.00"),
            (100, 70, sen, "0.01"),
        ] {
            let share = Money::from_sen(sen_in).share(basis_points, step);
            assert_eq!(share.to_string(), wanted);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(units in any::<i64>()) {
            let money = Money::from_units(units);
            let text = money.to_string();
            prop_assert_eq!(Money::parse(text.as_bytes(), Some(DecimalMark::Point)), Ok(money));
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.,E()Rp IDR]{0,24}") {
            let _ = Money::parse(text.as_bytes(), None);
            let _ = Money::mark_of(text.as_bytes());
        }
    }
}
