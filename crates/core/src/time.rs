//! Points in time. The core never asks for the time: it is always an argument.

use std::fmt;
use std::time::Duration;

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

impl Timestamp {
    /// From microseconds since 1970-01-01 UTC.
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

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// `2025-06-21T08:34:20Z`, the form of PPRO's `finaltimestamp`.
    #[must_use]
    pub fn utc_seconds(self) -> String {
        self.jiff().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// `2025-06-21 15:34:20`, GMT+7 without suffix, the form of Midtrans' answers.
    #[must_use]
    pub fn wib_seconds(self) -> String {
        self.jiff().to_zoned(TimeZone::fixed(WIB)).strftime("%Y-%m-%d %H:%M:%S").to_string()
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
        jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text)
            .ok()
            .and_then(|civil| civil.to_zoned(TimeZone::fixed(WIB)).ok())
            .map(|zoned| Self(zoned.timestamp().as_microsecond()))
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

    #[test]
    fn arithmetic_saturates() {
        let at = Timestamp::from_micros(5_000_000);
        assert_eq!(at.after(Duration::from_secs(1)).as_micros(), 6_000_000);
        assert_eq!(at.before(Duration::from_secs(1)).as_micros(), 4_000_000);
        assert_eq!(at.since(at.after(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(Timestamp::from_micros(i64::MAX).after(Duration::MAX).as_micros(), i64::MAX);
    }
}
