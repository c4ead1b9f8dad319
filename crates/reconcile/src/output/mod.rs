//! What a run leaves behind: for people on screen and on paper, for spreadsheets, for programs.

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

/// Where it was found, and whether this run has looked there.
fn place(one: &crate::breaks::Break) -> String {
    const NOT_COVERED: &str = "found by an earlier run; in no file of this one";
    match (one.not_covered, one.place.is_empty()) {
        (false, _) => one.place.clone(),
        (true, true) => NOT_COVERED.to_owned(),
        (true, false) => format!("{} ({NOT_COVERED})", one.place),
    }
}

/// Text that no spreadsheet runs as a formula: an apostrophe before what could begin one. Amounts
/// below zero stay as they are.
#[must_use]
pub fn defused(text: &str) -> String {
    let number =
        crate::money::Money::parse(text.as_bytes(), Some(crate::money::DecimalMark::Point));
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if risky && number.is_err() { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_a_formula_and_amounts_stay_amounts() {
        for (text, wanted) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("-1652.00", "-1652.00"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(defused(text), wanted);
        }
    }
}
