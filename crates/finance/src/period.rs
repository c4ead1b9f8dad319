//! Billing periods: their days in UTC, their numbers, and when they are paid.

use std::fmt;

use gopay_core::time::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, days_after};

/// How often a settlement is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Frequency {
    /// Every calendar day.
    #[serde(rename = "D")]
    Daily,
    /// Saturday to Friday; a week in which a month ends is two periods.
    #[serde(rename = "W")]
    Weekly,
    /// Every calendar month.
    #[serde(rename = "M")]
    Monthly,
}

impl Frequency {
    /// The letter in the names of files.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Daily => "D",
            Self::Weekly => "W",
            Self::Monthly => "M",
        }
    }

    /// The frequency of a letter.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        [Self::Daily, Self::Weekly, Self::Monthly].into_iter().find(|one| one.letter() == letter)
    }
}

impl std::str::FromStr for Frequency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_letter(text).ok_or("not D, W or M")
    }
}

/// A billing period: whole days in UTC, of one month and so of one year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    frequency: Frequency,
    first: Date,
    last: Date,
}

impl Period {
    /// The period of a frequency in which a day is. None in the first and last week of the calendar.
    #[must_use]
    pub fn containing(frequency: Frequency, day: Date) -> Option<Self> {
        let (month_first, month_last) = (day.first_of_month(), day.last_of_month());
        let (first, last) = match frequency {
            Frequency::Daily => (day, day),
            Frequency::Weekly => {
                let saturday = saturday_of(day)?;
                (saturday.max(month_first), days_after(saturday, 6)?.min(month_last))
            }
            Frequency::Monthly => (month_first, month_last),
        };
        Some(Self { frequency, first, last })
    }

    /// How often.
    #[must_use]
    pub const fn frequency(&self) -> Frequency {
        self.frequency
    }

    /// The first day.
    #[must_use]
    pub const fn first(&self) -> Date {
        self.first
    }

    /// The last day.
    #[must_use]
    pub const fn last(&self) -> Date {
        self.last
    }

    /// The year that its number counts in.
    #[must_use]
    pub fn year(&self) -> i16 {
        self.first.year()
    }

    /// Its number within the year, from 1, whether those before it were made or not: the day of the
    /// year, the month, or the place among the parts of weeks.
    #[must_use]
    pub fn number(&self) -> u16 {
        let number = match self.frequency {
            Frequency::Daily => self.first.day_of_year(),
            Frequency::Monthly => self.first.month().into(),
            Frequency::Weekly => {
                let mut part = Self::containing(self.frequency, self.first.first_of_year());
                let mut number = 1;
                while let Some(earlier) = part.filter(|part| part.first < self.first) {
                    number += 1;
                    part = earlier.next();
                }
                number
            }
        };
        u16::try_from(number).unwrap_or_default()
    }

    /// The period after it, of the same frequency.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        Self::containing(self.frequency, self.last.tomorrow().ok()?)
    }

    /// Its first instant.
    #[must_use]
    pub fn from(&self) -> Timestamp {
        midnight(self.first)
    }

    /// The first instant after it.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.last.tomorrow().map_or(Timestamp::from_micros(i64::MAX), midnight)
    }

    /// The day on which its transfer starts: the day after a daily period, the Monday after the
    /// billing week of a weekly one (for both parts of a week that is split), the first Monday
    /// after a monthly one; then so many days of delay; then the next open day.
    ///
    /// Source: `docs/FINANCE.md`, "Periods".
    #[must_use]
    pub fn settlement_date(&self, delay_days: u16, calendar: &Calendar) -> Option<Date> {
        let plain = match self.frequency {
            Frequency::Daily => self.last.tomorrow().ok()?,
            Frequency::Weekly => days_after(saturday_of(self.first)?, 9)?,
            Frequency::Monthly => {
                let next = self.last.tomorrow().ok()?;
                let to_monday = (8 - next.weekday().to_monday_one_offset()).rem_euclid(7);
                days_after(next, to_monday.into())?
            }
        };
        calendar.next_open(days_after(plain, delay_days.into())?)
    }

    /// Whether a month ends with it.
    #[must_use]
    pub fn ends_month(&self) -> bool {
        self.last == self.last.last_of_month()
    }
}

/// Frequency, year and number, as in the names of files: `D-2026-007`, `W-2026-07`.
impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, year, number) = (self.frequency.letter(), self.year(), self.number());
        match self.frequency {
            Frequency::Daily => write!(out, "{letter}-{year:04}-{number:03}"),
            Frequency::Weekly | Frequency::Monthly => {
                write!(out, "{letter}-{year:04}-{number:02}")
            }
        }
    }
}

/// The Saturday with which the billing week of a day begins.
fn saturday_of(day: Date) -> Option<Date> {
    let since = day.weekday().since(Weekday::Saturday);
    days_after(day, -i64::from(since))
}

/// The first instant of a day in UTC.
#[must_use]
pub fn midnight(day: Date) -> Timestamp {
    let zoned = day.to_zoned(TimeZone::UTC);
    let micros = zoned.map_or(i64::MAX, |zoned| zoned.timestamp().as_microsecond());
    Timestamp::from_micros(micros)
}

/// The day in UTC of an instant.
#[must_use]
pub fn day_of(at: Timestamp) -> Date {
    let instant = jiff::Timestamp::from_microsecond(at.as_micros());
    instant.map_or(Date::MAX, |instant| instant.to_zoned(TimeZone::UTC).date())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// Frequency, a day; then the name, the first and last day, and the settlement date.
    type Case = (Frequency, Date, &'static str, (Date, Date), Date);

    #[test]
    fn periods_follow_the_calendar() {
        use Frequency::{Daily, Monthly, Weekly};
        let cases: &[Case] = &[
            (
                Daily,
                date(2026, 1, 1),
                "D-2026-001",
                (date(2026, 1, 1), date(2026, 1, 1)),
                date(2026, 1, 2),
            ),
            (
                Daily,
                date(2024, 2, 29),
                "D-2024-060",
                (date(2024, 2, 29), date(2024, 2, 29)),
                date(2024, 3, 1),
            ),
            (
                Daily,
                date(2024, 12, 31),
                "D-2024-366",
                (date(2024, 12, 31), date(2024, 12, 31)),
                date(2025, 1, 2),
            ),
            // Friday, Saturday and Sunday are paid on one Monday, by three transfers.
            (
                Daily,
                date(2026, 11, 27),
                "D-2026-331",
                (date(2026, 11, 27), date(2026, 11, 27)),
                date(2026, 11, 30),
            ),
            (
                Daily,
                date(2026, 11, 28),
                "D-2026-332",
                (date(2026, 11, 28), date(2026, 11, 28)),
                date(2026, 11, 30),
            ),
            (
                Daily,
                date(2026, 11, 29),
                "D-2026-333",
                (date(2026, 11, 29), date(2026, 11, 29)),
                date(2026, 11, 30),
            ),
            // Maundy Thursday's money waits for Easter Tuesday.
            (
                Daily,
                date(2026, 4, 2),
                "D-2026-092",
                (date(2026, 4, 2), date(2026, 4, 2)),
                date(2026, 4, 7),
            ),
            (
                Daily,
                date(2026, 12, 24),
                "D-2026-358",
                (date(2026, 12, 24), date(2026, 12, 24)),
                date(2026, 12, 28),
            ),
            // A week without a month end.
            (
                Weekly,
                date(2026, 11, 26),
                "W-2026-57",
                (date(2026, 11, 21), date(2026, 11, 27)),
                date(2026, 11, 30),
            ),
            // A month ends on Monday: two parts, one Monday.
            (
                Weekly,
                date(2026, 11, 30),
                "W-2026-58",
                (date(2026, 11, 28), date(2026, 11, 30)),
                date(2026, 12, 7),
            ),
            (
                Weekly,
                date(2026, 12, 1),
                "W-2026-59",
                (date(2026, 12, 1), date(2026, 12, 4)),
                date(2026, 12, 7),
            ),
            // It ends on Friday: no split. On Saturday: a part of one day.
            (
                Weekly,
                date(2026, 7, 31),
                "W-2026-37",
                (date(2026, 7, 25), date(2026, 7, 31)),
                date(2026, 8, 3),
            ),
            (
                Weekly,
                date(2026, 8, 1),
                "W-2026-38",
                (date(2026, 8, 1), date(2026, 8, 7)),
                date(2026, 8, 10),
            ),
            (
                Weekly,
                date(2026, 1, 31),
                "W-2026-06",
                (date(2026, 1, 31), date(2026, 1, 31)),
                date(2026, 2, 9),
            ),
            (
                Weekly,
                date(2026, 2, 6),
                "W-2026-07",
                (date(2026, 2, 1), date(2026, 2, 6)),
                date(2026, 2, 9),
            ),
            // New Year in a week: two numbers, two years.
            (
                Weekly,
                date(2025, 12, 31),
                "W-2025-61",
                (date(2025, 12, 27), date(2025, 12, 31)),
                date(2026, 1, 5),
            ),
            (
                Weekly,
                date(2026, 1, 1),
                "W-2026-01",
                (date(2026, 1, 1), date(2026, 1, 2)),
                date(2026, 1, 5),
            ),
            (
                Weekly,
                date(2026, 1, 3),
                "W-2026-02",
                (date(2026, 1, 3), date(2026, 1, 9)),
                date(2026, 1, 12),
            ),
            // The Monday after is Easter Monday.
            (
                Weekly,
                date(2026, 4, 3),
                "W-2026-17",
                (date(2026, 4, 1), date(2026, 4, 3)),
                date(2026, 4, 7),
            ),
            (
                Monthly,
                date(2024, 2, 29),
                "M-2024-02",
                (date(2024, 2, 1), date(2024, 2, 29)),
                date(2024, 3, 4),
            ),
            (
                Monthly,
                date(2026, 11, 2),
                "M-2026-11",
                (date(2026, 11, 1), date(2026, 11, 30)),
                date(2026, 12, 7),
            ),
            // The first Monday is the first of the month.
            (
                Monthly,
                date(2026, 5, 31),
                "M-2026-05",
                (date(2026, 5, 1), date(2026, 5, 31)),
                date(2026, 6, 1),
            ),
            // The first Monday is closed.
            (
                Monthly,
                date(2026, 3, 5),
                "M-2026-03",
                (date(2026, 3, 1), date(2026, 3, 31)),
                date(2026, 4, 7),
            ),
            (
                Monthly,
                date(2023, 12, 9),
                "M-2023-12",
                (date(2023, 12, 1), date(2023, 12, 31)),
                date(2024, 1, 2),
            ),
        ];
        for (frequency, day, name, days, settled) in cases {
            let period = Period::containing(*frequency, *day).unwrap();
            assert_eq!(period.to_string(), *name, "{day}");
            assert_eq!((period.first, period.last), *days, "{name}");
            let date = period.settlement_date(0, &Calendar::default());
            assert_eq!(date, Some(*settled), "{name}");
        }
    }

    #[test]
    fn a_delay_moves_the_settlement_date_only() {
        let period = Period::containing(Frequency::Daily, date(2026, 11, 26)).unwrap();
        for (delay, settled) in [
            (0, date(2026, 11, 27)),
            (1, date(2026, 11, 30)),
            (3, date(2026, 11, 30)),
            (4, date(2026, 12, 1)),
        ] {
            assert_eq!(period.settlement_date(delay, &Calendar::default()), Some(settled));
        }
    }

    #[test]
    fn every_instant_is_in_one_period_of_each_frequency() {
        for frequency in [Frequency::Daily, Frequency::Weekly, Frequency::Monthly] {
            let mut period = Period::containing(frequency, date(2023, 12, 1)).unwrap();
            while period.first < date(2029, 1, 1) {
                let next = period.next().unwrap();
                assert_eq!(period.until(), next.from());
                assert_eq!(day_of(period.from()), period.first);
                let last = Timestamp::from_micros(period.until().as_micros() - 1);
                assert_eq!(day_of(last), period.last);
                let numbered = if next.year() == period.year() { period.number() + 1 } else { 1 };
                assert_eq!(next.number(), numbered, "{period} {next}");
                period = next;
            }
        }
    }
}
