//! Amounts. The unit is in the type: [`Sen`] on the PPRO side, [`Rupiah`] on the Midtrans side.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Hundredths of a rupiah, the unit of a PPRO `amount` (1 IDR is sent as `100`).
///
/// Never negative. Rule: `docs/psp-guide.md`, "Amounts".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sen(u64);

impl Sen {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// An amount of `sen` hundredths of a rupiah.
    #[must_use]
    pub const fn new(sen: u64) -> Self {
        Self(sen)
    }

    /// The number of sen.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In rupiah, for people.
    ///
    /// ```
    /// assert_eq!(gopay_core::money::Sen::new(1_007_105).decimal_text(), "10071.05");
    /// ```
    #[must_use]
    pub fn decimal_text(self) -> String {
        format!("{}.{:02}", self.0 / 100, self.0 % 100)
    }

    /// The sum, or `None` if it does not fit.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` if `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }
}

/// Why an amount is not a [`Rupiah`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Sen are left over: the amount is not a multiple of 100.
    #[error("not a whole number of rupiah")]
    NotWhole,
    /// Zero, or above [`Rupiah::MAX`].
    #[error("outside 1 to {} rupiah", Rupiah::MAX)]
    OutOfRange,
    /// The text is not a decimal number such as `44000.00`.
    #[error("not a decimal amount")]
    NotANumber,
}

/// Whole rupiah, the unit of a Midtrans charge and refund.
///
/// Always `1..=`[`Rupiah::MAX`]. Rule: `docs/midtrans.md`, "Amounts".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Rupiah(u64);

impl Rupiah {
    /// The ceiling of a verified GoPay wallet, in rupiah.
    pub const MAX: u64 = 20_000_000;

    /// The ceiling of a wallet without identity check (KYC), in rupiah.
    pub const MAX_UNVERIFIED: u64 = 2_000_000;

    /// Whole rupiah.
    ///
    /// # Errors
    /// [`AmountError::OutOfRange`] outside `1..=`[`Rupiah::MAX`].
    pub const fn new(rupiah: u64) -> Result<Self, AmountError> {
        match rupiah {
            1..=Self::MAX => Ok(Self(rupiah)),
            _ => Err(AmountError::OutOfRange),
        }
    }

    /// Converts from sen.
    ///
    /// # Errors
    /// [`AmountError::NotWhole`] if sen are left over, else [`AmountError::OutOfRange`].
    pub const fn from_sen(sen: Sen) -> Result<Self, AmountError> {
        if !sen.0.is_multiple_of(100) {
            return Err(AmountError::NotWhole);
        }
        Self::new(sen.0 / 100)
    }

    /// Reads an amount as Midtrans writes it in answers: `"44000.00"`.
    ///
    /// ```
    /// use gopay_core::money::{AmountError, Rupiah};
    /// assert_eq!(Rupiah::from_decimal_text("44000.00").unwrap().get(), 44_000);
    /// assert_eq!(Rupiah::from_decimal_text("0.50"), Err(AmountError::NotWhole));
    /// ```
    ///
    /// # Errors
    /// [`AmountError::NotANumber`], [`AmountError::NotWhole`], [`AmountError::OutOfRange`].
    pub fn from_decimal_text(text: &str) -> Result<Self, AmountError> {
        sen_from_decimal_text(text).and_then(Self::from_sen)
    }

    /// The number of rupiah.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The same amount in sen.
    #[must_use]
    pub const fn sen(self) -> Sen {
        Sen(self.0.saturating_mul(100))
    }

    /// As Midtrans writes it: `44000.00`.
    #[must_use]
    pub fn decimal_text(self) -> String {
        format!("{}.00", self.0)
    }
}

impl TryFrom<u64> for Rupiah {
    type Error = AmountError;

    fn try_from(rupiah: u64) -> Result<Self, AmountError> {
        Self::new(rupiah)
    }
}

impl From<Rupiah> for u64 {
    fn from(rupiah: Rupiah) -> Self {
        rupiah.get()
    }
}

/// Reads a decimal amount of rupiah, zero allowed, as sen: `"0.00"`, `"44000.00"`, `"44000"`.
///
/// # Errors
/// [`AmountError::NotANumber`] for other text, [`AmountError::NotWhole`] for parts of a sen,
/// [`AmountError::OutOfRange`] for negative or enormous amounts.
pub fn sen_from_decimal_text(text: &str) -> Result<Sen, AmountError> {
    plain_sen(text).map_or_else(|| any_sen(text, 0), Ok)
}

/// Reads a JSON number of rupiah, zero allowed, as sen: `44000.00`, `44000`, `4.4e4`. Takes the
/// number as it stands in the document and rounds nothing.
///
/// ```
/// use gopay_core::money::{AmountError, Sen, sen_from_json_number};
/// assert_eq!(sen_from_json_number("4.4e4"), Ok(Sen::new(4_400_000)));
/// assert_eq!(sen_from_json_number("44000.005"), Err(AmountError::NotWhole));
/// ```
///
/// # Errors
/// As [`sen_from_decimal_text`].
pub fn sen_from_json_number(number: &str) -> Result<Sen, AmountError> {
    match number.split_once(['e', 'E']) {
        None => sen_from_decimal_text(number),
        Some((base, exponent)) => {
            any_sen(base, exponent.parse().map_err(|_| AmountError::NotANumber)?)
        }
    }
}

/// Fast path: `44000.00`, with too few digits to overflow.
fn plain_sen(text: &str) -> Option<Sen> {
    const DIGITS_MAX: usize = 15;
    let (whole, [b'.', cents @ ..]) = text.as_bytes().split_last_chunk::<3>()? else { return None };
    if whole.is_empty() || whole.len() > DIGITS_MAX {
        return None;
    }
    whole
        .iter()
        .chain(cents)
        .try_fold(0_u64, |sen, byte| byte.is_ascii_digit().then(|| sen * 10 + u64::from(byte & 15)))
        .map(Sen)
}

/// The decimal number `text` times ten to the power of `exponent`, in sen.
fn any_sen(text: &str, exponent: i32) -> Result<Sen, AmountError> {
    // The decimal reader also takes signs, underscores and bare points.
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    if !digits(whole) || !digits(fraction) {
        return Err(AmountError::NotANumber);
    }
    let amount = Decimal::from_str_exact(text).map_err(|_| AmountError::NotANumber)?;
    // A rupiah is ten to the power of two sen.
    let power = i64::from(exponent) + 2 - i64::from(amount.scale());
    let sen = times_power_of_ten(amount.mantissa(), power)?;
    u64::try_from(sen).map(Sen).map_err(|_| AmountError::OutOfRange)
}

fn times_power_of_ten(number: i128, power: i64) -> Result<i128, AmountError> {
    if number == 0 {
        return Ok(0);
    }
    let factor = u32::try_from(power.unsigned_abs()).ok().and_then(|by| 10_i128.checked_pow(by));
    match factor {
        Some(factor) if power >= 0 => number.checked_mul(factor).ok_or(AmountError::OutOfRange),
        None if power >= 0 => Err(AmountError::OutOfRange),
        Some(factor) if number % factor == 0 => Ok(number / factor),
        Some(_) | None => Err(AmountError::NotWhole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sen_become_whole_rupiah_within_the_wallet_ceiling() {
        for (sen, expected) in [
            (0, Err(AmountError::OutOfRange)),
            (1, Err(AmountError::NotWhole)),
            (99, Err(AmountError::NotWhole)),
            (100, Ok(1)),
            (1_000_000, Ok(10_000)),
            (2_000_000_000, Ok(20_000_000)),
            (2_000_000_100, Err(AmountError::OutOfRange)),
            (u64::MAX, Err(AmountError::NotWhole)),
        ] {
            assert_eq!(Rupiah::from_sen(Sen::new(sen)).map(Rupiah::get), expected, "{sen} sen");
        }
    }

    proptest::proptest! {
        #[test]
        fn plain_amounts_are_read_as_any(text in "[0-9]{0,17}[.][0-9]{0,3}|[0-9.+_e -]{0,20}") {
            if let Some(sen) = plain_sen(&text) {
                proptest::prop_assert_eq!(any_sen(&text, 0), Ok(sen), "{}", text);
            }
        }
    }

    #[test]
    fn decimal_text_is_read_exactly_or_refused() {
        for (text, expected) in [
            ("44000.00", Ok(44_000)),
            ("44000", Ok(44_000)),
            ("1.00", Ok(1)),
            ("0.00", Err(AmountError::OutOfRange)),
            ("10.50", Err(AmountError::NotWhole)),
            ("10.005", Err(AmountError::NotWhole)),
            ("-1.00", Err(AmountError::OutOfRange)),
            ("20000000.00", Ok(20_000_000)),
            ("20000001.00", Err(AmountError::OutOfRange)),
            ("", Err(AmountError::NotANumber)),
            ("1e3", Err(AmountError::NotANumber)),
            ("ten", Err(AmountError::NotANumber)),
            ("1_000.00", Err(AmountError::NotANumber)),
            ("+1.00", Err(AmountError::NotANumber)),
            ("1.", Err(AmountError::NotANumber)),
            (".5", Err(AmountError::NotANumber)),
        ] {
            assert_eq!(Rupiah::from_decimal_text(text).map(Rupiah::get), expected, "{text:?}");
        }
    }

    #[test]
    fn a_json_number_is_read_exactly_or_refused() {
        use AmountError as E;
        for (number, expected) in [
            ("44000.00", Ok(4_400_000)),
            ("44000", Ok(4_400_000)),
            ("0", Ok(0)),
            ("-0.0", Ok(0)),
            ("0e999", Ok(0)),
            ("1e4", Ok(1_000_000)),
            ("1E+4", Ok(1_000_000)),
            ("1.5e-1", Ok(15)),
            ("4400000e-2", Ok(4_400_000)),
            ("0.0000000000000000000000000001e30", Ok(10_000)),
            ("44000.005", Err(E::NotWhole)),
            ("1e-3", Err(E::NotWhole)),
            ("1e-999", Err(E::NotWhole)),
            ("-1e4", Err(E::OutOfRange)),
            ("18446744073709551616", Err(E::OutOfRange)),
            ("184467440737095516.15", Ok(u64::MAX)),
            ("184467440737095516.16", Err(E::OutOfRange)),
            ("1e38", Err(E::OutOfRange)),
            ("1e999", Err(E::OutOfRange)),
            ("1e99999999999", Err(E::NotANumber)),
            ("0.00000000000000000000000000001", Err(E::NotANumber)),
            ("e4", Err(E::NotANumber)),
            ("1e", Err(E::NotANumber)),
            ("1e4.0", Err(E::NotANumber)),
        ] {
            assert_eq!(sen_from_json_number(number).map(Sen::get), expected, "{number}");
        }
    }
}
