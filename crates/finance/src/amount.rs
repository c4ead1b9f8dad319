//! Amounts and exact arithmetic. Nothing here is a float, and nothing rounds but
//! [`Fraction::rounded`], which is called where a row is written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount in hundredths of its currency: sen of IDR, cents of USD or EUR.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(i64);

/// A sum or product is larger than can be counted: 9 * 10^18 hundredths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount is too large to be counted")]
pub struct Overflow;

/// A text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount with at most two decimals, such as 12.50")]
pub struct AmountError;

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From hundredths.
    #[must_use]
    pub const fn new(hundredths: i64) -> Self {
        Self(hundredths)
    }

    /// The hundredths.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// From a wide number of hundredths.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn from_wide(hundredths: i128) -> Result<Self, Overflow> {
        i64::try_from(hundredths).map(Self).map_err(|_| Overflow)
    }

    /// The sum.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn plus(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_add(other.0).map(Self).ok_or(Overflow)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn minus(self, other: Self) -> Result<Self, Overflow> {
        self.0.checked_sub(other.0).map(Self).ok_or(Overflow)
    }

    /// The same with the other sign.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn negative(self) -> Result<Self, Overflow> {
        Self::ZERO.minus(self)
    }

    /// The sum of many.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, Overflow> {
        amounts.into_iter().try_fold(Self::ZERO, Self::plus)
    }
}

/// Two decimals and a point, no mark between thousands: `-12.50`.
impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let hundredths = self.0.unsigned_abs();
        write!(out, "{sign}{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

impl Amount {
    /// For people: with a comma between thousands.
    #[must_use]
    pub fn grouped(self) -> String {
        let plain = self.to_string();
        let (whole, cents) = plain.split_once('.').unwrap_or((&plain, "00"));
        let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
        let mut text = String::from(sign);
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        format!("{text}.{cents}")
    }
}

/// Reads `12`, `12.5`, `12.50` and `-12.50`.
impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
            return Err(AmountError);
        }
        let scale = match decimals.len() {
            1 => 10,
            2 => 1,
            _ => return Err(AmountError),
        };
        let number = |text: &str| text.parse::<i64>().map_err(|_| AmountError);
        let hundredths = number(whole)?.checked_mul(100).and_then(|hundredths| {
            hundredths.checked_add(number(decimals).ok()?.checked_mul(scale)?)
        });
        Ok(Self(hundredths.and_then(|all| all.checked_mul(sign)).ok_or(AmountError)?))
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

/// An exact fraction. The denominator is above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    numerator: i128,
    denominator: i128,
}

impl Fraction {
    /// `numerator / denominator`.
    ///
    /// # Errors
    /// [`Overflow`] if the denominator is not above zero.
    pub fn new(numerator: i128, denominator: i128) -> Result<Self, Overflow> {
        if denominator > 0 { Ok(Self { numerator, denominator }) } else { Err(Overflow) }
    }

    /// The nearest whole number; of two that are equally near, the one farther from zero.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn rounded(self) -> Result<i128, Overflow> {
        div_round_half_away(self.numerator, self.denominator).ok_or(Overflow)
    }

    /// What is lost by [`Self::rounded`], of hundredths as a decimal of the currency, cut after ten
    /// decimals: `0.0031250000`.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn remainder(self) -> Result<String, Overflow> {
        /// Decimals of a hundredth that are shown.
        const SCALE: i128 = 100_000_000;
        let taken = self.rounded()?.checked_mul(self.denominator).ok_or(Overflow)?;
        let left = self.numerator.checked_sub(taken).ok_or(Overflow)?;
        let parts = left
            .checked_mul(SCALE)
            .and_then(|left| left.checked_div(self.denominator))
            .ok_or(Overflow)?;
        let sign = if parts < 0 { "-" } else { "" };
        Ok(format!("{sign}0.{:010}", parts.unsigned_abs()))
    }
}

/// `numerator / denominator` to the nearest whole number, half away from zero; none if it cannot be
/// computed.
fn div_round_half_away(numerator: i128, denominator: i128) -> Option<i128> {
    let quotient = numerator.checked_div(denominator)?;
    let rest = numerator.checked_rem(denominator)?;
    if rest.unsigned_abs().checked_mul(2)? >= denominator.unsigned_abs() {
        quotient.checked_add(numerator.signum())
    } else {
        Some(quotient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_in_hundredths() {
        for (text, hundredths) in [
            ("0", Some(0)),
            ("12", Some(1_200)),
            ("12.5", Some(1_250)),
            ("12.50", Some(1_250)),
            ("-0.05", Some(-5)),
            ("92233720368547758.07", Some(i64::MAX)),
            ("92233720368547758.08", None),
            ("12.505", None),
            ("12.", None),
            (".5", None),
            ("", None),
            ("-", None),
            ("1,000.00", None),
            ("+1", None),
            ("1e3", None),
        ] {
            assert_eq!(text.parse().ok().map(Amount::get), hundredths, "{text:?}");
        }
        for (hundredths, text) in [(0, "0.00"), (-5, "-0.05"), (1_000_050, "10000.50")] {
            assert_eq!(Amount::new(hundredths).to_string(), text);
        }
    }

    #[test]
    fn halves_are_rounded_away_from_zero_and_nothing_else_is() {
        for (numerator, denominator, whole) in [
            (0, 7, 0),
            (1, 2, 1),
            (-1, 2, -1),
            (5, 10, 1),
            (49, 100, 0),
            (-49, 100, 0),
            (15, 10, 2),
            (-15, 10, -2),
            (25, 10, 3),
            (7, 7, 1),
            (8, 7, 1),
        ] {
            assert_eq!(div_round_half_away(numerator, denominator), Some(whole));
        }
        assert_eq!(Fraction::new(1, 0), Err(Overflow));
    }

    #[test]
    fn the_remainder_is_what_rounding_took() {
        for (numerator, denominator, text) in [
            (1, 2, "-0.0050000000"),
            (1, 4, "0.0025000000"),
            (-1, 4, "-0.0025000000"),
            (7, 1, "0.0000000000"),
            (1, 3, "0.0033333333"),
        ] {
            let fraction = Fraction::new(numerator, denominator).unwrap();
            assert_eq!(fraction.remainder().unwrap(), text, "{fraction:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn an_amount_is_read_as_it_was_written(hundredths: i64) {
            // The lowest number has no positive twin to be read through.
            let amount = Amount::new(hundredths.max(-i64::MAX));
            proptest::prop_assert_eq!(amount.to_string().parse(), Ok(amount));
        }

        #[test]
        fn rounding_is_off_by_half_at_most(numerator in -1_000_000_i128..1_000_000, denominator in 1_i128..10_000) {
            let whole = div_round_half_away(numerator, denominator).unwrap();
            proptest::prop_assert!((numerator - whole * denominator).abs() * 2 <= denominator);
        }
    }

    #[test]
    fn people_see_thousands_apart() {
        for (cents, text) in [
            (0, "0.00"),
            (-5, "-0.05"),
            (99_999, "999.99"),
            (100_000, "1,000.00"),
            (-204_500_100, "-2,045,001.00"),
            (i64::MIN, "-92,233,720,368,547,758.08"),
        ] {
            assert_eq!(Amount::new(cents).grouped(), text);
        }
    }
}
