//! On which days money can be sent: the TARGET2 days, less those that the config closes.

use std::collections::BTreeSet;

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

/// Days on which a transfer can start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    closed: BTreeSet<Date>,
}

impl Calendar {
    /// TARGET2 with more closed days.
    #[must_use]
    pub fn new(closed: impl IntoIterator<Item = Date>) -> Self {
        Self { closed: closed.into_iter().collect() }
    }

    /// Whether a transfer can start. TARGET2 closes on Saturdays, Sundays, 1 January, Good Friday,
    /// Easter Monday, 1 May, 25 and 26 December.
    #[must_use]
    pub fn is_open(&self, day: Date) -> bool {
        let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
        let fixed = matches!((day.month(), day.day()), (1, 1) | (5, 1) | (12, 25 | 26));
        let from_easter = days_between(easter(day.year()), day);
        let easter = matches!(from_easter, -2 | 1);
        !(weekend || fixed || easter || self.closed.contains(&day))
    }

    /// The day itself if it is open, else the next that is. None at the end of the calendar, or if
    /// a year of days is closed.
    #[must_use]
    pub fn next_open(&self, day: Date) -> Option<Date> {
        let mut day = day;
        for _ in 0..366 {
            if self.is_open(day) {
                return Some(day);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }
}

/// How many days `to` is after `from`; below zero if before.
#[must_use]
pub fn days_between(from: Date, to: Date) -> i32 {
    (to - from).get_days()
}

/// So many days later, or earlier; none outside of the calendar.
#[must_use]
pub fn days_after(day: Date, days: i64) -> Option<Date> {
    day.checked_add(days.days()).ok()
}

/// Easter Sunday of the Gregorian calendar (the anonymous computus of Meeus, Jones and Butcher).
/// Only years of this calendar, 1583 and later, have one; others give a day that no one asks for.
fn easter(year: i16) -> Date {
    let year_wide = i32::from(year);
    let golden = year_wide.rem_euclid(19);
    let (century, of_century) = (year_wide.div_euclid(100), year_wide.rem_euclid(100));
    let leap_centuries = century.div_euclid(4);
    let correction = (century - (century + 8).div_euclid(25) + 1).div_euclid(3);
    let epact = (19 * golden + century - leap_centuries - correction + 15).rem_euclid(30);
    let weekday = (32 + 2 * century.rem_euclid(4) + 2 * of_century.div_euclid(4)
        - epact
        - of_century.rem_euclid(4))
    .rem_euclid(7);
    let late = (golden + 11 * epact + 22 * weekday).div_euclid(451);
    let from_march = epact + weekday - 7 * late + 114;
    let month = i8::try_from(from_march.div_euclid(31)).unwrap_or(4);
    let day = i8::try_from(from_march.rem_euclid(31) + 1).unwrap_or(1);
    Date::new(year, month, day).unwrap_or(Date::ZERO)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn easter_is_where_the_almanacs_have_it() {
        for (year, month, day) in [
            (1961, 4, 2),
            (2000, 4, 23),
            (2008, 3, 23),
            (2011, 4, 24),
            (2019, 4, 21),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2038, 4, 25),
            (2285, 3, 22),
        ] {
            assert_eq!(easter(year), date(year, month, day));
        }
    }

    #[test]
    fn transfers_wait_for_the_next_open_day() {
        let plain = Calendar::default();
        let busy = Calendar::new([date(2026, 8, 17), date(2026, 8, 18)]);
        for (calendar, day, open) in [
            (&plain, date(2026, 11, 26), date(2026, 11, 26)),
            (&plain, date(2026, 11, 28), date(2026, 11, 30)),
            (&plain, date(2026, 11, 29), date(2026, 11, 30)),
            // Good Friday to Easter Tuesday.
            (&plain, date(2026, 4, 2), date(2026, 4, 2)),
            (&plain, date(2026, 4, 3), date(2026, 4, 7)),
            (&plain, date(2026, 4, 6), date(2026, 4, 7)),
            // Christmas on a Friday and a Saturday.
            (&plain, date(2026, 12, 25), date(2026, 12, 28)),
            (&plain, date(2027, 1, 1), date(2027, 1, 4)),
            (&plain, date(2026, 5, 1), date(2026, 5, 4)),
            (&busy, date(2026, 8, 17), date(2026, 8, 19)),
        ] {
            assert_eq!(calendar.next_open(day), Some(open), "{day}");
        }
        assert_eq!(plain.next_open(Date::MAX), Some(Date::MAX).filter(|day| plain.is_open(*day)));
    }
}
