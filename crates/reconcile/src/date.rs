//! Days and moments, and how the many ways to write one are read.

use std::fmt;

/// A calendar day: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// Seconds in a day.
const DAY_SECS: i64 = 86_400;
/// Jakarta's distance from UTC, GMT+7, all year.
pub const JAKARTA_SECS: i32 = 7 * 3_600;

impl Day {
    /// The day of a date, if there is such a date between the years 1900 and 9999.
    #[must_use]
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(1900..=9999).contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        (1..=month_days(year, month)).contains(&day).then(|| Self(days(year, month, day)))
    }

    /// The day after so many.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days from `earlier` to it.
    #[must_use]
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    /// The day after so many business days, Monday to Friday.
    #[must_use]
    pub fn plus_business(self, days: u8) -> Self {
        let mut day = self;
        let mut left = days;
        while left > 0 {
            day = day.plus(1);
            left -= u8::from(!day.is_weekend());
        }
        day
    }

    /// Saturday or Sunday.
    #[must_use]
    pub const fn is_weekend(self) -> bool {
        // 1970-01-01 was a Thursday.
        (self.0 + 3).rem_euclid(7) >= 5
    }

    /// Its first moment in UTC.
    #[must_use]
    pub fn start(self) -> Moment {
        Moment(i64::from(self.0) * DAY_SECS)
    }

    /// Year, month, day.
    #[must_use]
    pub fn ymd(self) -> (i32, u32, u32) {
        // The inverse of `days`, by eras of 400 years from 1 March of the year 0.
        let shifted = self.0 + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i32::from(month <= 2);
        (year, month.unsigned_abs(), day.unsigned_abs())
    }
}

fn month_days(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date that exists.
fn days(year: i32, month: u32, day: u32) -> i32 {
    let (month, day) = (month.cast_signed(), day.cast_signed());
    let year = year - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

impl fmt::Display for Day {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        write!(out, "{year:04}-{month:02}-{day:02}")
    }
}

impl std::str::FromStr for Day {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let format = TimeFormat { order: Some(DateOrder::Ymd), ..TimeFormat::default() };
        match (text.len(), format.parse(text.as_bytes())) {
            (10, Ok(moment)) => Ok(moment.day()),
            (_, Ok(_)) => Err(TimeError::Garbled),
            (_, Err(error)) => Err(error),
        }
    }
}

impl serde::Serialize for Day {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Day {
    fn deserialize<D: serde::Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        let text = String::deserialize(text)?;
        text.parse().map_err(|_| serde::de::Error::custom("not a day"))
    }
}

/// A moment: seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// From seconds since 1970.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs)
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0
    }

    /// As records keep it: seconds since 1970 up to 2106; 0 stands for none.
    #[must_use]
    pub fn compact(self) -> u32 {
        u32::try_from(self.0).unwrap_or(0)
    }

    /// The moment of a record, none for 0.
    #[must_use]
    pub fn from_compact(secs: u32) -> Option<Self> {
        (secs != 0).then_some(Self(i64::from(secs)))
    }

    /// Its day in UTC.
    #[must_use]
    pub fn day(self) -> Day {
        self.day_at(0)
    }

    /// Its day in a zone.
    #[must_use]
    pub fn day_at(self, zone_secs: i32) -> Day {
        let days = (self.0 + i64::from(zone_secs)).div_euclid(DAY_SECS);
        Day(i32::try_from(days).unwrap_or(i32::MAX))
    }

    /// Later by so many seconds.
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_day = self.0.rem_euclid(DAY_SECS);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(out, "{}T{hour:02}:{minute:02}:{second:02}Z", self.day())
    }
}

/// The order of day, month and year in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DateOrder {
    /// `2026-10-05`
    Ymd,
    /// `05/10/2026` in October
    Dmy,
    /// `10/05/2026` in October
    Mdy,
}

/// How the times of a column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeFormat {
    /// None: only what can be read in one way.
    pub order: Option<DateOrder>,
    /// Distance from UTC of times that do not say theirs, in seconds.
    pub zone_secs: i32,
    /// The year of dates without one.
    pub year: Option<i32>,
}

/// Why a text is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Nothing in it.
    #[error("no date")]
    Empty,
    /// Not the form of a date, or no such day.
    #[error("not a date")]
    Garbled,
    /// `05/10/2026`: a day in May or in October.
    #[error("a date that can be read in two ways; say `order = \"dmy\"` or \"mdy\"")]
    Ambiguous,
    /// `05/10` in a file that does not say the year.
    #[error("a date without its year, and the file does not say it")]
    NoYear,
}

impl TimeFormat {
    /// Reads a time, or a date as its first moment.
    ///
    /// # Errors
    /// See [`TimeError`].
    pub fn parse(&self, text: &[u8]) -> Result<Moment, TimeError> {
        if let Some(secs) = iso(text) {
            return Ok(Moment(secs - i64::from(self.zone_secs)));
        }
        let text = match text.trim_ascii() {
            // Spreadsheets put an apostrophe before what is to stay text.
            [b'\'', rest @ ..] => rest.trim_ascii(),
            rest => rest,
        };
        if text.is_empty() {
            return Err(TimeError::Empty);
        }
        if let Some(secs) = serial(text) {
            return Ok(Moment(secs - i64::from(self.zone_secs)));
        }
        let (date, clock) = cut_clock(text);
        let day = self.date(date)?;
        let (secs, zone) = clock_secs(clock).ok_or(TimeError::Garbled)?;
        let zone = zone.unwrap_or(self.zone_secs);
        Ok(Moment(i64::from(day.0) * DAY_SECS + secs - i64::from(zone)))
    }

    fn date(&self, text: &[u8]) -> Result<Day, TimeError> {
        if text.len() == 8
            && let Some(number) = digits(text)
        {
            let year = i32::try_from(number / 10_000).unwrap_or(0);
            return Day::from_ymd(year, number / 100 % 100, number % 100).ok_or(TimeError::Garbled);
        }
        let parts: Vec<&[u8]> = text
            .split(|byte| matches!(byte, b'/' | b'-' | b'.' | b' ' | b','))
            .filter(|part| !part.is_empty())
            .collect();
        match *parts.as_slice() {
            [year, month, day] if year.len() == 4 => dated(year, month, day),
            [first, second, year] => match self.named(first, second, year) {
                Some(day) => day.ok_or(TimeError::Garbled),
                None => self.numbers(first, second, Some(full_year(year)?)),
            },
            [first, second] => self.numbers(first, second, self.year),
            _ => Err(TimeError::Garbled),
        }
    }

    /// `05 Oct 2026` or `Oct 05 2026`.
    #[expect(clippy::unused_self, reason = "beside its twin for numbers")]
    fn named(&self, first: &[u8], second: &[u8], year: &[u8]) -> Option<Option<Day>> {
        let (month, day) = match (month_named(first), month_named(second)) {
            (None, Some(month)) => (month, first),
            (Some(month), None) => (month, second),
            (None, None) | (Some(_), Some(_)) => return None,
        };
        let day = digits(day).zip(full_year(year).ok());
        Some(day.and_then(|(day, year)| Day::from_ymd(year, month, day)))
    }

    fn numbers(&self, first: &[u8], second: &[u8], year: Option<i32>) -> Result<Day, TimeError> {
        let (Some(first), Some(second)) = (digits(first), digits(second)) else {
            return Err(TimeError::Garbled);
        };
        let year = year.ok_or(TimeError::NoYear)?;
        let (day, month) = match (self.order, first > 12, second > 12) {
            (Some(DateOrder::Dmy), _, _) | (Some(DateOrder::Ymd) | None, true, false) => {
                (first, second)
            }
            (Some(DateOrder::Mdy), _, _) | (Some(DateOrder::Ymd) | None, false, true) => {
                (second, first)
            }
            (Some(DateOrder::Ymd) | None, _, _) if first == second => (first, second),
            (Some(DateOrder::Ymd) | None, _, _) => return Err(TimeError::Ambiguous),
        };
        Day::from_ymd(year, month, day).ok_or(TimeError::Garbled)
    }

    /// What a text says about the order of its column, if anything.
    #[must_use]
    pub fn order_of(text: &[u8]) -> Option<DateOrder> {
        let with = |order| {
            let format = Self { order: Some(order), zone_secs: 0, year: Some(2024) };
            format.parse(text).ok()
        };
        match (with(DateOrder::Dmy), with(DateOrder::Mdy)) {
            (Some(_), None) => Some(DateOrder::Dmy),
            (None, Some(_)) => Some(DateOrder::Mdy),
            (Some(one), Some(other)) if one == other => Some(DateOrder::Ymd),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}

/// The quick way: `2026-10-05 13:14:15`, with a `T` and a final `Z` as well; none otherwise. The
/// zone of the text is not looked at, so `Z` counts only by a format in UTC: see the caller.
fn iso(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', i1, i2, b':', s1, s2] =
        text
    else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| {
        (tens.is_ascii_digit() && ones.is_ascii_digit())
            .then(|| u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(i1, i2)?, two(s1, s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let day = Day::from_ymd(year.cast_signed(), month, day)?;
    Some(i64::from(day.0) * DAY_SECS + i64::from(hour * 3_600 + minute * 60 + second))
}

/// RFC 3339 in UTC, as the journal writes it: `2026-10-05T13:14:15.123Z`.
pub(crate) fn rfc3339_utc(text: &[u8]) -> Option<Moment> {
    let (date, rest) = text.split_at_checked(19)?;
    let mut plain = [0_u8; 19];
    plain.copy_from_slice(date);
    match plain.get_mut(10) {
        Some(byte) if *byte == b'T' => *byte = b' ',
        _ => return None,
    }
    let fraction = rest.strip_suffix(b"Z")?;
    let good = match fraction {
        [] => true,
        [b'.', digits @ ..] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if good { iso(&plain).map(Moment) } else { None }
}

/// A spreadsheet's date: days since 1899-12-30 with a fraction, between 1954 and 2119.
fn serial(text: &[u8]) -> Option<i64> {
    let at = text.iter().position(|byte| matches!(byte, b'.' | b','));
    let (whole, fraction) = match at {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?),
        None => (text, &[][..]),
    };
    if whole.len() != 5 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let days = digits(whole).filter(|days| (20_000..80_000).contains(days))?;
    let mut numerator: i64 = 0;
    let mut denominator: i64 = 1;
    for digit in fraction.iter().take(12) {
        numerator = numerator * 10 + i64::from(digit - b'0');
        denominator *= 10;
    }
    let secs = (numerator * DAY_SECS + denominator / 2) / denominator;
    Some((i64::from(days) - 25_569) * DAY_SECS + secs)
}

/// Date and clock apart, at `T` or the blank before something with a colon.
fn cut_clock(text: &[u8]) -> (&[u8], &[u8]) {
    let colon = text.iter().position(|byte| *byte == b':');
    let at = colon.and_then(|colon| {
        let before = text.get(..colon)?;
        before.iter().rposition(|byte| matches!(byte, b'T' | b' '))
    });
    match at {
        Some(at) => {
            let (date, clock) = text.split_at(at);
            (date, clock.get(1..).unwrap_or_default())
        }
        // `2024-03-28+01:00`: a date with a zone, which says nothing about the day.
        None => match text.get(10..) {
            Some([b'+' | b'-' | b'Z', ..]) => (text.get(..10).unwrap_or(text), &[]),
            _ => (text, &[]),
        },
    }
}

/// Seconds of the day and the zone, of `13:14`, `13:14:15.123`, `13:14:15+07:00`, `1:14 PM`.
fn clock_secs(text: &[u8]) -> Option<(i64, Option<i32>)> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Some((0, None));
    }
    let (text, zone) = cut_zone(text)?;
    let (text, half) = match text {
        [rest @ .., b'A' | b'a', b'M' | b'm'] => (rest.trim_ascii(), Some(0)),
        [rest @ .., b'P' | b'p', b'M' | b'm'] => (rest.trim_ascii(), Some(12)),
        _ => (text, None),
    };
    let whole = text.split(|byte| matches!(byte, b'.' | b',')).next()?;
    let parts = whole.split(|byte| *byte == b':').map(digits).collect::<Option<Vec<_>>>()?;
    let (hour, minute, second) = match *parts.as_slice() {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let hour = match half {
        None => hour,
        Some(add) if (1..=12).contains(&hour) => hour % 12 + add,
        Some(_) => return None,
    };
    let good = hour < 24 && minute < 60 && second < 60;
    good.then(|| (i64::from(hour * 3_600 + minute * 60 + second), zone))
}

fn cut_zone(text: &[u8]) -> Option<(&[u8], Option<i32>)> {
    if let Some(rest) = text.strip_suffix(b"Z") {
        return Some((rest, Some(0)));
    }
    if let Some(rest) = text.strip_suffix(b"WIB") {
        return Some((rest.trim_ascii(), Some(JAKARTA_SECS)));
    }
    let Some(at) = text.iter().rposition(|byte| matches!(byte, b'+' | b'-')) else {
        return Some((text, None));
    };
    let (clock, zone) = text.split_at(at);
    Some((clock.trim_ascii(), Some(zone_secs(zone)?)))
}

/// Seconds from UTC of `+07:00`, `+0700` or `+07`.
#[must_use]
pub fn zone_secs(text: &[u8]) -> Option<i32> {
    let (sign, rest) = match text {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        b"Z" | b"UTC" => return Some(0),
        _ => return None,
    };
    let (hours, minutes) = match rest {
        [a, b] => (digits(&[*a, *b])?, 0),
        [a, b, c, d] | [a, b, b':', c, d] => (digits(&[*a, *b])?, digits(&[*c, *d])?),
        _ => return None,
    };
    (hours <= 14 && minutes < 60).then(|| sign * (hours * 3_600 + minutes * 60).cast_signed())
}

fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0')))
}

fn dated(year: &[u8], month: &[u8], day: &[u8]) -> Result<Day, TimeError> {
    let year = digits(year).and_then(|year| i32::try_from(year).ok());
    let month = month_named(month).or_else(|| digits(month));
    let date = year.zip(month).zip(digits(day));
    date.and_then(|((year, month), day)| Day::from_ymd(year, month, day)).ok_or(TimeError::Garbled)
}

/// Of four digits, or of two in this century.
fn full_year(text: &[u8]) -> Result<i32, TimeError> {
    match (text.len(), digits(text)) {
        (4, Some(year)) => Ok(year.cast_signed()),
        (2, Some(year)) => Ok(2_000 + year.cast_signed()),
        _ => Err(TimeError::Garbled),
    }
}

/// The number of a month by its English or Indonesian name, from three letters on.
fn month_named(text: &[u8]) -> Option<u32> {
    const NAMES: [(&str, u32); 18] = [
        ("jan", 1),
        ("feb", 2),
        ("peb", 2),
        ("mar", 3),
        ("apr", 4),
        ("may", 5),
        ("mei", 5),
        ("jun", 6),
        ("jul", 7),
        ("aug", 8),
        ("agu", 8),
        ("agt", 8),
        ("sep", 9),
        ("oct", 10),
        ("okt", 10),
        ("nov", 11),
        ("dec", 12),
        ("des", 12),
    ];
    let start = text.get(..3)?.to_ascii_lowercase();
    NAMES.iter().find(|(name, _)| name.as_bytes() == start).map(|(_, month)| *month)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_in_the_forms_that_reports_and_banks_write() {
        use DateOrder::{Dmy, Mdy};
        use TimeError as E;
        for (text, order, year, wanted) in [
            ("2026-10-05 13:14:15", None, None, Ok("2026-10-05T06:14:15Z")),
            ("2026-10-05T13:14:15", None, None, Ok("2026-10-05T06:14:15Z")),
            ("2026-10-05T13:14:15.999Z", None, None, Ok("2026-10-05T13:14:15Z")),
            ("2026-10-05T13:14:15+01:00", None, None, Ok("2026-10-05T12:14:15Z")),
            ("2026-10-05", None, None, Ok("2026-10-04T17:00:00Z")),
            ("2026-10-05+07:00", None, None, Ok("2026-10-04T17:00:00Z")),
            ("20261005 13:14:15", None, None, Ok("2026-10-05T06:14:15Z")),
            ("05/10/2026", Some(Dmy), None, Ok("2026-10-04T17:00:00Z")),
            ("10/05/2026", Some(Mdy), None, Ok("2026-10-04T17:00:00Z")),
            ("05/28/2018", None, None, Ok("2018-05-27T17:00:00Z")),
            ("28/05/2018 07:00", None, None, Ok("2018-05-28T00:00:00Z")),
            ("05/10/2026", None, None, Err(E::Ambiguous)),
            ("05/05/2026", None, None, Ok("2026-05-04T17:00:00Z")),
            ("05/10/26", Some(Dmy), None, Ok("2026-10-04T17:00:00Z")),
            ("'05/10", Some(Dmy), Some(2026), Ok("2026-10-04T17:00:00Z")),
            ("'05/10", Some(Dmy), None, Err(E::NoYear)),
            ("'PEND", Some(Dmy), Some(2026), Err(E::Garbled)),
            ("05 Okt 2026, 13:14", None, None, Ok("2026-10-05T06:14:00Z")),
            ("Oct 5, 2026 1:14 PM", None, None, Ok("2026-10-05T06:14:00Z")),
            ("46300", None, None, Ok("2026-10-04T17:00:00Z")),
            ("46300.5516203704", None, None, Ok("2026-10-05T06:14:20Z")),
            ("30/02/2026", Some(Dmy), None, Err(E::Garbled)),
            ("2026-13-01", None, None, Err(E::Garbled)),
            ("2026-10-05 25:00:00", None, None, Err(E::Garbled)),
            ("", None, None, Err(E::Empty)),
            ("soon", None, None, Err(E::Garbled)),
        ] {
            let format = TimeFormat { order, zone_secs: JAKARTA_SECS, year };
            let read = format.parse(text.as_bytes()).map(|moment| moment.to_string());
            assert_eq!(read, wanted.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn a_text_tells_the_order_of_its_column_only_if_it_can() {
        for (text, wanted) in [
            ("05/10/2026", None),
            ("05/28/2018", Some(DateOrder::Mdy)),
            ("28/05/2018", Some(DateOrder::Dmy)),
            ("2026-10-05", Some(DateOrder::Ymd)),
        ] {
            assert_eq!(TimeFormat::order_of(text.as_bytes()), wanted, "{text}");
        }
    }

    #[test]
    fn business_days_pass_over_weekends() {
        for (from, days, wanted) in [
            ("2026-10-05", 3, "2026-10-08"),
            ("2026-10-08", 3, "2026-10-13"),
            ("2026-10-10", 1, "2026-10-12"),
            ("2026-10-09", 0, "2026-10-09"),
        ] {
            let from: Day = from.parse().unwrap();
            assert_eq!(from.plus_business(days).to_string(), wanted);
        }
    }

    #[test]
    fn the_journals_times_are_utc_with_any_fraction() {
        for (text, good) in [
            ("2026-10-05T13:14:15Z", true),
            ("2026-10-05T13:14:15.123456Z", true),
            ("2026-10-05T13:14:15+07:00", false),
            ("2026-10-05 13:14:15Z", false),
            ("2026-10-05T13:14:15.Z", false),
            ("2026-10-05T13:14:1", false),
        ] {
            assert_eq!(rfc3339_utc(text.as_bytes()).is_some(), good, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_is_written_and_read_alike(number in -25_000_i32..90_000) {
            let day = Day(number);
            prop_assert_eq!(day.to_string().parse(), Ok(day));
        }

        #[test]
        fn no_text_panics(text in "[-0-9/:. TZ+APMOct']{0,28}") {
            let _ = TimeFormat::default().parse(text.as_bytes());
            let _ = TimeFormat::order_of(text.as_bytes());
        }
    }
}
