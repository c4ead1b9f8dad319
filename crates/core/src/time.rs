//! Points in time. The core never asks for the time: it is always an argument.

use std::fmt;
use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The text is not a time of the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a time of the form {expected}")]
pub struct TimeError {
    expected: &'static str,
}

/// Western Indonesian Time, the zone of every Midtrans timestamp (`docs/midtrans.md`, "Times").
const WIB: Offset = Offset::constant(7);

impl From<SystemTime> for Timestamp {
    /// Whole microseconds; a time before 1970 is its beginning.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

impl From<Timestamp> for SystemTime {
    /// A time before 1970 is its beginning.
    fn from(time: Timestamp) -> Self {
        Self::UNIX_EPOCH + Duration::from_micros(u64::try_from(time.0).unwrap_or_default())
    }
}

impl Timestamp {
    /// The point in time at these microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since 1970-01-01 UTC, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// The beginning of this second.
    #[must_use]
    pub const fn whole_seconds(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1_000_000)))
    }

    /// This much later; saturates at the end of time.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This much earlier; saturates at the beginning of time.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time since `earlier`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2025-06-21T08:34:20Z`, the form of PPRO's `finaltimestamp`.
    #[must_use]
    pub fn utc_seconds(self) -> String {
        match self.digits(Offset::UTC, b'T') {
            Some(digits) => text(&digits) + "Z",
            None => self.jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    /// `2025-06-21 15:34:20`, GMT+7 without suffix, the form of Midtrans' answers.
    #[must_use]
    pub fn wib_seconds(self) -> String {
        match self.digits(WIB, b' ') {
            Some(digits) => text(&digits),
            None => {
                let zoned = self.jiff().to_zoned(TimeZone::fixed(WIB));
                zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
            }
        }
    }

    /// Appends [`Self::wib_seconds_with_offset`].
    pub(crate) fn push_wib_seconds_with_offset(self, out: &mut Vec<u8>) {
        match self.digits(WIB, b' ') {
            Some(digits) => out.extend_from_slice(&digits),
            None => out.extend_from_slice(self.wib_seconds().as_bytes()),
        }
        out.extend_from_slice(b" +0700");
    }

    /// `2025-06-21 15:34:20` with the given character between date and time; `None` outside the
    /// years 0 to 9999. The calendar is jiff's; only the digits are written here, since jiff's
    /// general formatter is slow.
    fn digits(self, offset: Offset, between: u8) -> Option<[u8; 19]> {
        let civil = offset.to_datetime(self.jiff());
        let century = civil.year().div_euclid(100);
        let [c1, c2] = two_digits(i8::try_from(century).ok()?)?;
        let [y1, y2] = two_digits(i8::try_from(civil.year().rem_euclid(100)).ok()?)?;
        let [m1, m2] = two_digits(civil.month())?;
        let [d1, d2] = two_digits(civil.day())?;
        let [h1, h2] = two_digits(civil.hour())?;
        let [n1, n2] = two_digits(civil.minute())?;
        let [s1, s2] = two_digits(civil.second())?;
        Some([
            c1, c2, y1, y2, b'-', m1, m2, b'-', d1, d2, between, h1, h2, b':', n1, n2, b':', s1, s2,
        ])
    }

    /// `2025-06-21 15:34:20 +0700`, the form of `custom_expiry.order_time`.
    #[must_use]
    pub fn wib_seconds_with_offset(self) -> String {
        format!("{} +0700", self.wib_seconds())
    }

    /// Reads `2025-06-21 15:34:20`, GMT+7, as Midtrans writes it.
    ///
    /// # Errors
    /// [`TimeError`] for any other form.
    pub fn from_wib_seconds(text: &str) -> Result<Self, TimeError> {
        plain_seconds(text)
            .or_else(|| DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok())
            .and_then(|civil| WIB.to_timestamp(civil).ok())
            .map(|at| Self(at.as_microsecond()))
            .ok_or(TimeError { expected: "YYYY-MM-DD HH:MM:SS" })
    }

    /// Reads an RFC 3339 time such as `2025-06-21T08:34:20Z`.
    ///
    /// # Errors
    /// [`TimeError`] for any other form.
    pub fn from_rfc3339(text: &str) -> Result<Self, TimeError> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_microsecond()))
            .map_err(|_| TimeError { expected: "YYYY-MM-DDTHH:MM:SSZ" })
    }

    fn jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

/// Fast path: `2025-06-21 15:34:20` with every digit. jiff decides whether there is such a time, and
/// reads every other form.
fn plain_seconds(text: &str) -> Option<DateTime> {
    let text: &[u8; 19] = text.as_bytes().try_into().ok()?;
    let [c1, c2, y1, y2, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', n1, n2, b':', s1, s2] =
        *text
    else {
        return None;
    };
    let number = |tens: u8, ones: u8| {
        let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
        digits.then(|| (tens & 15) * 10 + (ones & 15)).and_then(|number| i8::try_from(number).ok())
    };
    let year = i16::from(number(c1, c2)?) * 100 + i16::from(number(y1, y2)?);
    let (month, day) = (number(m1, m2)?, number(d1, d2)?);
    DateTime::new(year, month, day, number(h1, h2)?, number(n1, n2)?, number(s1, s2)?, 0).ok()
}

fn two_digits(number: i8) -> Option<[u8; 2]> {
    let number = u8::try_from(number).ok().filter(|number| *number < 100)?;
    Some([b'0' + number / 10, b'0' + number % 10])
}

fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.6}", self.jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_forms_agree_on_the_same_instant() {
        let at = Timestamp::from_rfc3339("2025-06-21T08:34:20Z").unwrap();
        assert_eq!(at.utc_seconds(), "2025-06-21T08:34:20Z");
        assert_eq!(at.wib_seconds(), "2025-06-21 15:34:20");
        assert_eq!(at.wib_seconds_with_offset(), "2025-06-21 15:34:20 +0700");
        assert_eq!(Timestamp::from_wib_seconds("2025-06-21 15:34:20"), Ok(at));
        assert!(Timestamp::from_wib_seconds("2025-06-21T15:34:20Z").is_err());
        assert!(Timestamp::from_rfc3339("yesterday").is_err());
    }

    proptest::proptest! {
        /// The fast path agrees with jiff, good times or bad.
        #[test]
        fn times_are_read_as_jiff_reads_them(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]|[0-9:. -]{17,20}",
        ) {
            let jiffs = DateTime::strptime("%Y-%m-%d %H:%M:%S", &text).ok();
            let jiffs = jiffs.and_then(|civil| civil.to_zoned(TimeZone::fixed(WIB)).ok());
            let jiffs = jiffs.map(|zoned| Timestamp(zoned.timestamp().as_microsecond()));
            proptest::prop_assert_eq!(Timestamp::from_wib_seconds(&text).ok(), jiffs);
        }

        /// Our formatter agrees with jiff's, in every year that jiff knows.
        #[test]
        fn digits_are_those_of_jiff(micros in proptest::prelude::any::<i64>()) {
            for micros in [micros, micros % 4_000_000_000_000_000, micros % 400_000_000_000_000_000] {
                let at = Timestamp::from_micros(micros);
                let utc = at.jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                proptest::prop_assert_eq!(at.utc_seconds(), utc);
                let zoned = at.jiff().to_zoned(TimeZone::fixed(WIB));
                let wib = zoned.strftime("%Y-%m-%d %H:%M:%S").to_string();
                proptest::prop_assert_eq!(at.wib_seconds(), wib.clone());
                let mut out = Vec::new();
                at.push_wib_seconds_with_offset(&mut out);
                proptest::prop_assert_eq!(out, format!("{wib} +0700").into_bytes());
            }
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let at = Timestamp::from_micros(5_000_000);
        assert_eq!(at.after(Duration::from_secs(1)).as_micros(), 6_000_000);
        assert_eq!(at.before(Duration::from_secs(1)).as_micros(), 4_000_000);
        assert_eq!(at.since(at.after(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(Timestamp::from_micros(i64::MAX).after(Duration::MAX).as_micros(), i64::MAX);
    }
}
