//! Amounts and times as people read them.

use std::time::Duration;

use crate::language::Language;

/// `Rp 1.250.000`, as Indonesia writes it; the space does not break.
#[must_use]
pub fn rupiah(amount: u64) -> String {
    let digits = amount.to_string();
    let mut grouped = String::from("Rp\u{a0}");
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    grouped
}

/// What is left of a time, rounded up to its unit: seconds below two minutes, minutes below two
/// hours, then hours and days.
#[must_use]
pub fn span(left: Duration, language: Language) -> String {
    const UNITS: [(u64, u64, &str, &str); 4] = [
        (1, 120, "second", "detik"),
        (60, 7_200, "minute", "menit"),
        (3_600, 172_800, "hour", "jam"),
        (86_400, u64::MAX, "day", "hari"),
    ];
    let seconds = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
    let unit = UNITS.iter().find(|(_, below, _, _)| seconds < *below).unwrap_or(&UNITS[3]);
    let (size, _, english, indonesian) = *unit;
    let count = seconds.div_ceil(size);
    match language {
        Language::English if count == 1 => format!("1 {english}"),
        Language::English => format!("{count} {english}s"),
        Language::Indonesian => format!("{count} {indonesian}"),
    }
}

/// `14:05 WIB` of `2026-01-15 14:05:59`, Jakarta's time; the text as it is if it is no such time.
#[must_use]
pub fn hour_of_jakarta(wib_seconds: &str) -> String {
    let hour = wib_seconds.split_once(' ').and_then(|(_, time)| time.get(..5));
    hour.map_or_else(|| wib_seconds.to_owned(), |hour| format!("{hour} WIB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_grouped_by_thousands() {
        for (amount, text) in [
            (1, "Rp\u{a0}1"),
            (999, "Rp\u{a0}999"),
            (1_000, "Rp\u{a0}1.000"),
            (125_000, "Rp\u{a0}125.000"),
            (20_000_000, "Rp\u{a0}20.000.000"),
            (u64::MAX, "Rp\u{a0}18.446.744.073.709.551.615"),
        ] {
            assert_eq!(rupiah(amount), text);
        }
    }

    #[test]
    fn what_is_left_is_rounded_up_and_never_zero_before_the_end() {
        for (ms, english, indonesian) in [
            (0, "0 seconds", "0 detik"),
            (1, "1 second", "1 detik"),
            (119_000, "119 seconds", "119 detik"),
            (119_001, "2 minutes", "2 menit"),
            (120_000, "2 minutes", "2 menit"),
            (3_600_000, "60 minutes", "60 menit"),
            (7_200_000, "2 hours", "2 jam"),
            (86_400_000, "24 hours", "24 jam"),
            (172_800_000, "2 days", "2 hari"),
        ] {
            let left = Duration::from_millis(ms);
            assert_eq!(span(left, Language::English), english);
            assert_eq!(span(left, Language::Indonesian), indonesian);
        }
        assert!(span(Duration::MAX, Language::English).ends_with(" days"));
    }

    #[test]
    fn the_hour_says_whose_it_is() {
        assert_eq!(hour_of_jakarta("2026-01-15 14:05:59"), "14:05 WIB");
        assert_eq!(hour_of_jakarta("soon"), "soon");
    }
}
