//! Exchange rates: read from a file, chosen by day, applied with a margin.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::amount::{Fraction, Overflow};
use crate::calendar::{days_after, days_between};

/// What one unit of `base` costs in `quote`, by day: `2026-11-25,USD,IDR,16250.00,ECB`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    by_pair: BTreeMap<(String, String), BTreeMap<Date, (Decimal, String)>>,
}

/// A line of the file that cannot be used, or a rate that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// The first line is not the titles.
    #[error("line 1: the titles are not date,base,quote,rate,source")]
    Titles,
    /// One line.
    #[error("line {line}: {why}")]
    Line {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// Nothing for the period.
    #[error(
        "no rate of {base} in {quote} from {} to {day}: the latest must be at most {} days \
         old{}", oldest(*day), Rates::DAYS_MAX, latest.map_or(String::new(), |day| format!(", and is of {day}"))
    )]
    None {
        /// The settlement currency.
        base: String,
        /// The currency of payments.
        quote: String,
        /// The last day of the period.
        day: Date,
        /// The latest that there is before the period's end.
        latest: Option<Date>,
    },
}

fn oldest(day: Date) -> Date {
    days_after(day, -i64::from(Rates::DAYS_MAX)).unwrap_or(day)
}

/// A rate as it is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Its day.
    pub date: Date,
    /// The settlement currency, of which it is one unit.
    pub base: String,
    /// The currency in which it is told.
    pub quote: String,
    /// How much.
    pub rate: String,
    /// Who says so.
    pub source: String,
}

/// The titles of the file.
const TITLES: [&str; 5] = ["date", "base", "quote", "rate", "source"];

/// Decimals of a rate; and digits before them, so that no product of an amount is too large.
const SCALE_MAX: u32 = 8;
const RATE_MAX: i64 = 1_000_000_000;

impl Rates {
    /// Days that a rate may be old at the end of a period: Christmas, with weekends around it.
    pub const DAYS_MAX: i32 = 7;

    /// Reads a file.
    ///
    /// # Errors
    /// [`RateError::Titles`], [`RateError::Line`] for the first line that cannot be used: a date, a
    /// currency, or a rate that does not parse or is not above zero, or a second rate of a day.
    pub fn read(text: &[u8]) -> Result<Self, RateError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut lines = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
        let titles = lines.headers().map_err(|error| line_error(&error))?;
        if titles.iter().collect::<Vec<_>>() != TITLES {
            return Err(RateError::Titles);
        }
        let mut rates = Self::default();
        for record in lines.records() {
            let record = record.map_err(|error| line_error(&error))?;
            let line = record.position().map_or(0, csv::Position::line);
            rates.add(&record).map_err(|why| RateError::Line { line, why })?;
        }
        Ok(rates)
    }

    fn add(&mut self, record: &csv::StringRecord) -> Result<(), String> {
        let mut fields = record.iter();
        let mut next = || fields.next().unwrap_or_default();
        let (date, base, quote, rate, source) = (next(), next(), next(), next(), next());
        let day: Date = date.parse().map_err(|_| format!("date: {date:?} is not YYYY-MM-DD"))?;
        for (title, currency) in [("base", base), ("quote", quote)] {
            if !is_currency(currency) {
                return Err(format!("{title}: {currency:?} is not three capital letters"));
            }
        }
        let number = Decimal::from_str_exact(rate)
            .ok()
            .filter(|_| rate.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
            .ok_or_else(|| format!("rate: {rate:?} is not a number such as 16250.00"))?;
        if number <= Decimal::ZERO || number > Decimal::from(RATE_MAX) {
            return Err(format!("rate: {rate} is not above 0 and at most {RATE_MAX}"));
        }
        let number = number.normalize();
        if number.scale() > SCALE_MAX {
            return Err(format!("rate: {rate} has more than {SCALE_MAX} decimals"));
        }
        if source.is_empty() || source.len() > 100 {
            return Err("source: not 1 to 100 bytes that say who published the rate".to_owned());
        }
        let days = self.by_pair.entry((base.to_owned(), quote.to_owned())).or_default();
        match days.insert(day, (number, source.to_owned())) {
            None => Ok(()),
            Some(_) => Err(format!("date: a second rate of {base} in {quote} on {day}")),
        }
    }

    /// The latest rate on or before a day, if it is not too old.
    ///
    /// # Errors
    /// [`RateError::None`].
    pub fn at(&self, base: &str, quote: &str, day: Date) -> Result<Rate, RateError> {
        let days = self.by_pair.get(&(base.to_owned(), quote.to_owned()));
        let latest = days.and_then(|days| days.range(..=day).next_back());
        match latest {
            Some((date, (rate, source))) if days_between(*date, day) <= Self::DAYS_MAX => {
                Ok(Rate {
                    date: *date,
                    base: base.to_owned(),
                    quote: quote.to_owned(),
                    rate: rate.to_string(),
                    source: source.clone(),
                })
            }
            _ => Err(RateError::None {
                base: base.to_owned(),
                quote: quote.to_owned(),
                day,
                latest: latest.map(|(date, _)| *date),
            }),
        }
    }
}

fn line_error(error: &csv::Error) -> RateError {
    let line = error.position().map_or(0, csv::Position::line);
    RateError::Line { line, why: error.to_string() }
}

/// Three capital letters.
#[must_use]
pub fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// A rate with its margin: what amounts are divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// In units of 10^-scale.
    mantissa: i128,
    scale: u32,
}

impl Applied {
    /// `rate * (1 + margin)`.
    ///
    /// # Errors
    /// [`Overflow`] if the rate is not a number above zero.
    pub fn new(rate: &Rate, margin_basis_points: u32) -> Result<Self, Overflow> {
        let number = Decimal::from_str_exact(&rate.rate).map_err(|_| Overflow)?;
        let factor = 10_000_i128.checked_add(margin_basis_points.into()).ok_or(Overflow)?;
        let mantissa = number.mantissa().checked_mul(factor).ok_or(Overflow)?;
        let scale = number.scale().checked_add(4).ok_or(Overflow)?;
        if mantissa > 0 { Ok(Self { mantissa, scale }) } else { Err(Overflow) }
    }

    /// An amount of `quote`, divided by `parts`, in `base`: exact.
    ///
    /// # Errors
    /// [`Overflow`].
    pub fn convert(self, hundredths: i128, parts: i128) -> Result<Fraction, Overflow> {
        let power = 10_i128.checked_pow(self.scale).ok_or(Overflow)?;
        let numerator = hundredths.checked_mul(power).ok_or(Overflow)?;
        let denominator = self.mantissa.checked_mul(parts).ok_or(Overflow)?;
        Fraction::new(numerator, denominator)
    }
}

impl std::fmt::Display for Applied {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match Decimal::try_from_i128_with_scale(self.mantissa, self.scale) {
            Ok(number) => write!(out, "{}", number.normalize()),
            Err(_) => write!(out, "{}e-{}", self.mantissa, self.scale),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn read(lines: &str) -> Result<Rates, RateError> {
        Rates::read(format!("date,base,quote,rate,source\n{lines}").as_bytes())
    }

    #[test]
    fn the_latest_rate_on_or_before_the_last_day_counts_for_a_week() {
        let rates = read(
            "2026-12-23,USD,IDR,16250.5,ECB\n2026-12-31,USD,IDR,16300,ECB\n2026-12-24,EUR,IDR,18000,ECB\n",
        )
        .unwrap();
        for (day, rate) in [
            (date(2026, 12, 22), None),
            (date(2026, 12, 23), Some("16250.5")),
            (date(2026, 12, 30), Some("16250.5")),
            (date(2026, 12, 31), Some("16300")),
            (date(2027, 1, 7), Some("16300")),
            (date(2027, 1, 8), None),
        ] {
            let found = rates.at("USD", "IDR", day);
            assert_eq!(found.as_ref().ok().map(|rate| rate.rate.as_str()), rate, "{day}");
        }
        let error = rates.at("USD", "IDR", date(2027, 1, 8)).unwrap_err().to_string();
        let wanted = "no rate of USD in IDR from 2027-01-01 to 2027-01-08: the latest must be at most 7 days old, and is of 2026-12-31";
        assert_eq!(error, wanted);
        assert!(rates.at("IDR", "USD", date(2026, 12, 31)).is_err());
    }

    #[test]
    fn a_line_that_cannot_be_used_is_named() {
        let good = "2026-12-23,USD,IDR,16250.5,ECB\n";
        for (lines, line, word) in [
            ("2026-12-24,USD,IDR,0,ECB", 3, "not above 0"),
            ("2026-12-24,USD,IDR,-1,ECB", 3, "not a number"),
            ("2026-12-24,USD,IDR,1e4,ECB", 3, "not a number"),
            ("2026-12-24,USD,IDR,\"16,250\",ECB", 3, "not a number"),
            ("2026-12-24,USD,IDR,1.123456789,ECB", 3, "decimals"),
            ("2026-12-24,USD,IDR,10000000000,ECB", 3, "at most"),
            ("2026-12-23,USD,IDR,16250.5,ECB", 3, "second rate"),
            ("24.12.2026,USD,IDR,1,ECB", 3, "YYYY-MM-DD"),
            ("2026-12-24,usd,IDR,1,ECB", 3, "base"),
            ("2026-12-24,USD,IDR,1,", 3, "source"),
            ("2026-12-24,USD,IDR,1", 3, "fields"),
        ] {
            let error = read(&format!("{good}{lines}\n")).unwrap_err();
            let RateError::Line { line: found, why } = error else { panic!("{error}") };
            assert_eq!(found, line, "{lines}");
            assert!(why.contains(word), "{lines}: {why}");
        }
        assert_eq!(Rates::read(b"day,rate\n"), Err(RateError::Titles));
        assert!(Rates::read(b"\xef\xbb\xbfdate,base,quote,rate,source\r\n").is_ok());
    }

    #[test]
    fn a_margin_makes_the_divisor_larger_and_nothing_is_rounded_before_the_row() {
        let rate = |number: &str| Rate {
            date: date(2026, 1, 1),
            base: "USD".into(),
            quote: "IDR".into(),
            rate: number.into(),
            source: "x".into(),
        };
        for (number, margin, applied, sen, cents) in [
            ("16000", 0, "16000", 1_600_000, 100),
            ("16000", 100, "16160", 1_616_000, 100),
            ("16250.125", 150, "16493.876875", 100_000_000, 6_063),
            // Half a cent goes away from zero, either way.
            ("16000", 0, "16000", 8_000, 1),
            ("16000", 0, "16000", -8_000, -1),
            ("16000", 0, "16000", 7_999, 0),
            ("0.00006", 0, "0.00006", 1, 16_667),
        ] {
            let with_margin = Applied::new(&rate(number), margin).unwrap();
            assert_eq!(with_margin.to_string(), applied);
            assert_eq!(with_margin.convert(sen, 1).unwrap().rounded(), Ok(cents), "{sen}");
        }
        assert!(Applied::new(&rate("0"), 0).is_err());
        assert!(Applied::new(&rate("-1"), 0).is_err());
    }
}
