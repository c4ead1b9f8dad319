//! The file of adjustments: corrections that two people answer for. `adjust` reads it twice, once
//! when one asks and once when the other approves; `settle` takes what was approved.

use std::path::Path;

use anyhow::{Context as _, bail};
use gopay_core::person::same_person;
use gopay_finance::amount::Amount;
use gopay_store::StoredAdjustment;

/// The titles of the file.
const TITLES: [&str; 6] = ["id", "contract", "amount", "reason", "by", "approved_by"];

/// The longest text of a field.
const TEXT_MAX: usize = 200;

/// Reads a file; the error names the line and the field.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<StoredAdjustment>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

fn parse(text: &[u8]) -> anyhow::Result<Vec<StoredAdjustment>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut rows = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    if rows.headers()?.iter().ne(TITLES) {
        bail!("line 1: the titles are not {}", TITLES.join(","));
    }
    let mut adjustments: Vec<StoredAdjustment> = Vec::new();
    for row in rows.records() {
        let row = row?;
        let line = row.position().map_or(0, csv::Position::line);
        let one = adjustment(&row).with_context(|| format!("line {line}"))?;
        if adjustments.iter().any(|other| other.id == one.id) {
            bail!("line {line}: id: {:?} is used twice", one.id);
        }
        adjustments.push(one);
    }
    Ok(adjustments)
}

fn adjustment(row: &csv::StringRecord) -> anyhow::Result<StoredAdjustment> {
    let cells = row.iter().collect::<Vec<_>>().try_into();
    checked(cells.ok().context("a field is missing")?)
}

/// A correction of these fields, in the order of the file; the error names the field.
pub(crate) fn checked(cells: [&str; 6]) -> anyhow::Result<StoredAdjustment> {
    let fits = |text: &str| text.len() <= TEXT_MAX && !text.chars().any(char::is_control);
    for (text, title) in cells.iter().zip(TITLES).take(TITLES.len() - 1) {
        if text.is_empty() || !fits(text) {
            bail!("{title}: not 1 to {TEXT_MAX} bytes without line breaks");
        }
    }
    let [id, contract, amount, reason, by, approved_by] = cells;
    let amount: Amount = amount.parse().context("amount")?;
    if amount == Amount::ZERO {
        bail!("amount: it is zero");
    }
    if same_person(by, "") {
        bail!("by: {by:?} names nobody");
    }
    // Empty as long as it is only asked for.
    if !fits(approved_by) {
        bail!("approved_by: not up to {TEXT_MAX} bytes without line breaks");
    }
    if !approved_by.is_empty() && same_person(approved_by, "") {
        bail!("approved_by: {approved_by:?} names nobody");
    }
    if same_person(by, approved_by) {
        bail!("approved_by: {approved_by} cannot approve what they ask for");
    }
    let [id, contract, reason, by, approved_by] =
        [id, contract, reason, by, approved_by].map(str::to_owned);
    Ok(StoredAdjustment { id, contract, amount: amount.get(), reason, by, approved_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjustments_need_an_amount_a_reason_and_people_who_differ() {
        let head = "id,contract,amount,reason,by,approved_by\n";
        for (rows, word) in [
            ("a-1,C,-12.50,charged twice,Ana,Budi\n", None),
            ("a-1,C,-12.50,charged twice,Ana,Budi\na-2,C,1,x,Budi,Ana\n", None),
            ("", None),
            ("a-1,C,-12.50,charged twice,Ana,ana \n", Some("approved_by")),
            ("a-1,C,-12.50,charged twice,Ana,\n", None),
            ("a-1,C,-12.50,charged twice,Ana,-\n", Some("approved_by")),
            ("a-1,C,-12.50,charged twice,.,Budi\n", Some("by: ")),
            ("a-1,C,-12.50,,Ana,Budi\n", Some("reason")),
            ("a-1,C,0,x,Ana,Budi\n", Some("amount")),
            ("a-1,C,1.005,x,Ana,Budi\n", Some("amount")),
            ("a-1,C,1.00,x,Ana,Budi\na-1,C,1.00,x,Ana,Budi\n", Some("used twice")),
            ("a-1,C,1.00,x,Ana\n", Some("line: 2")),
        ] {
            let read = parse(format!("{head}{rows}").as_bytes());
            match word {
                None => assert_eq!(read.unwrap().len(), rows.lines().count()),
                Some(word) => assert!(format!("{:#}", read.unwrap_err()).contains(word), "{rows}"),
            }
        }
        assert!(parse(b"id,amount\n").is_err());
    }
}
