//! What a run leaves behind: for people on screen and on paper, for spreadsheets, for programs.

mod charts;
pub mod csv;
pub mod html;
pub mod json;
pub mod summary;
pub mod xlsx;

/// The columns of a list of breaks, in order; decisions come after what was found.
pub const COLUMNS: [&str; 19] = [
    "break_id",
    "kind",
    "txid",
    "refundid",
    "ours",
    "theirs",
    "difference",
    "currency",
    "cause",
    "age_days",
    "at_risk",
    "decision",
    "reason",
    "by",
    "approved_by",
    "due",
    "place",
    "first_seen",
    "version",
];

/// The cells of a break, by [`COLUMNS`].
#[must_use]
pub fn cells(one: &crate::breaks::Break, today: crate::date::Day) -> [String; 19] {
    let decided = one.decided.as_deref();
    let due = one.due.map(|due| due.to_string()).unwrap_or_default();
    [
        one.break_id.to_string(),
        one.kind.to_string(),
        one.txid.clone().unwrap_or_default(),
        one.refundid.clone().unwrap_or_default(),
        one.ours.clone(),
        one.theirs.clone(),
        one.difference.map(|difference| difference.to_string()).unwrap_or_default(),
        one.currency.clone(),
        one.cause.clone(),
        one.age_days(today).to_string(),
        one.at_risk.to_string(),
        decided.map(|one| one.decision.as_str().to_owned()).unwrap_or_default(),
        decided.map(|one| one.reason.clone()).unwrap_or_default(),
        decided.map(|one| one.by.clone()).unwrap_or_default(),
        decided.map(|one| one.approved_by.clone()).unwrap_or_default(),
        due,
        place(one),
        one.first_seen.map(|day| day.to_string()).unwrap_or_default(),
        one.version(),
    ]
}

/// An amount as people read it: a comma between thousands.
#[must_use]
pub fn grouped(amount: crate::money::Money) -> String {
    for_people(&amount.to_string())
}

/// A number with a comma between thousands; any other text as it is.
#[must_use]
pub fn for_people(text: &str) -> String {
    let (sign, rest) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) =
        rest.split_once('.').map_or((rest, None), |(whole, rest)| (whole, Some(rest)));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !fraction.is_none_or(digits) {
        return text.to_owned();
    }
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && whole.len().saturating_sub(at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Where it was found, and whether this run has looked there.
fn place(one: &crate::breaks::Break) -> String {
    const NOT_COVERED: &str = "found by an earlier run; in no file of this one";
    match (one.not_covered, one.place.is_empty()) {
        (false, _) => one.place.clone(),
        (true, true) => NOT_COVERED.to_owned(),
        (true, false) => format!("{} ({NOT_COVERED})", one.place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_thousands_apart_and_other_texts_as_they_are() {
        for (text, wanted) in [
            ("1404998337.00", "1,404,998,337.00"),
            ("-1000", "-1,000"),
            ("999.00", "999.00"),
            ("settlement", "settlement"),
            ("P1 and P2", "P1 and P2"),
            ("", ""),
            ("-", "-"),
            ("1.", "1."),
        ] {
            assert_eq!(for_people(text), wanted);
        }
    }
}
