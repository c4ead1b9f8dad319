//! Bank statements that this project did not write: see `samples/README.md`.
#![expect(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use gopay_reconcile::input::camt;
use gopay_reconcile::input::mapping::Mapping;
use gopay_reconcile::statements::Statements;
use serde_json::Value;

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples")
}

/// A number of `facts.json` with the decimals that we write.
fn shown(value: &Value) -> Option<String> {
    let money = gopay_reconcile::money::Money::parse(value.as_str()?.as_bytes(), None);
    let point = Some(gopay_reconcile::money::DecimalMark::Point);
    let money = money.or_else(|_| {
        gopay_reconcile::money::Money::parse(value.as_str().unwrap().as_bytes(), point)
    });
    money.ok().map(|money| money.to_string())
}

#[test]
fn every_camt_sample_gives_the_numbers_that_a_separate_program_found() {
    let facts: Value = serde_json::from_str(
        &std::fs::read_to_string(samples().join("camt053/facts.json")).unwrap(),
    )
    .unwrap();
    let facts = facts.as_object().unwrap();
    assert!(facts.len() > 20);
    for (name, fact) in facts {
        let read = camt::read(&samples().join("camt053").join(name));
        let Some(wanted) = fact["statements"].as_array() else {
            let error = read.expect_err(name).to_string();
            assert!(error.contains("12..34") && error.contains("entry 1"), "{error}");
            continue;
        };
        let read = read.unwrap();
        assert_eq!(read.version.as_deref(), fact["version"].as_str(), "{name}");
        assert_eq!(read.statements.len(), wanted.len(), "{name}");
        for (statement, wanted) in read.statements.iter().zip(wanted) {
            assert_eq!(Some(u64::from(statement.entries)), wanted["entries"].as_u64(), "{name}");
            assert_eq!(
                statement.opening.map(|m| m.to_string()),
                shown(&wanted["opening"]),
                "{name} opening"
            );
            assert_eq!(
                statement.closing.map(|m| m.to_string()),
                shown(&wanted["closing"]),
                "{name} closing"
            );
            let arithmetic = match statement.residual() {
                None => "-".to_owned(),
                Some(residual) if residual.is_zero() => "ties".to_owned(),
                Some(residual) => format!("OFF by {residual}"),
            };
            let said = wanted["arithmetic"].as_str().unwrap();
            let said = match said.strip_prefix("OFF by ") {
                Some(number) => format!("OFF by {}", shown(&Value::from(number)).unwrap()),
                None => said.to_owned(),
            };
            assert_eq!(arithmetic, said, "{name}");
            for finding in wanted["findings"].as_array().unwrap() {
                let finding = finding.as_str().unwrap();
                let same = |ours: &String| {
                    ours.replace(".00", "").starts_with(&finding.replace(".00", ""))
                };
                assert!(
                    statement.findings.iter().any(same),
                    "{name}: {finding:?} not in {:?}",
                    statement.findings
                );
            }
        }
    }
}

fn read(names: &[&str]) -> Result<Statements, gopay_reconcile::input::InputError> {
    let paths: Vec<PathBuf> = names.iter().map(|name| samples().join(name)).collect();
    Statements::read(&paths, &Mapping::read(None).unwrap(), &AtomicU64::new(0))
}

#[test]
fn days_without_a_statement_are_no_gap_and_a_lost_one_is() {
    let series = [
        "camt053/series/08-2024-03-28.xml",
        "camt053/series/08-2024-04-02.xml",
        "camt053/series/08-2024-04-03.xml",
    ];
    let all = read(&series).unwrap();
    assert_eq!((all.statements.len(), all.gaps.len()), (6, 0));
    let lost = read(&[series[0], series[2]]).unwrap();
    let [gap] = lost.gaps.as_slice() else { panic!("{:?}", lost.gaps) };
    assert!(gap.what.contains("18080772.11") && gap.what.contains("18083042.49"), "{}", gap.what);
}

#[test]
fn two_equal_entries_are_two_and_a_file_given_twice_counts_once() {
    let twice =
        read(&["camt053/02-same-entry-twice.xml", "camt053/02-same-entry-twice.xml"]).unwrap();
    assert_eq!((twice.entries.len(), twice.files[1].remarks.len()), (2, 1));
}

#[test]
fn bank_csvs_are_read_by_their_layouts_to_the_last_sen() {
    for (name, wanted, balances) in [
        ("csv/de-semicolon-comma-decimals.csv", vec!["-1234.56", "3500.00", "-4.50"], None),
        ("csv/fr-debit-credit-columns.csv", vec!["-1234.56", "3500.00", "-4.50"], None),
        (
            "csv/id-bca-constructed.csv",
            vec!["1002157.77", "-2500.00", "39465.00", "286762.00"],
            Some(("100000000.00", "101039122.77", "0000012345")),
        ),
        ("csv/id-mandiri-constructed.csv", vec!["1002157.77", "-2500.00", "39465.00"], None),
    ] {
        let all = read(&[name]).unwrap();
        let amounts: Vec<String> =
            all.entries.iter().map(|entry| entry.amount.to_string()).collect();
        assert_eq!(amounts, wanted, "{name}");
        assert!(all.statements.iter().all(|one| one.findings.is_empty()), "{:?}", all.statements);
        if let Some((opening, closing, account)) = balances {
            let [statement] = all.statements.as_slice() else { panic!("{name}") };
            assert_eq!(statement.opening.unwrap().to_string(), opening);
            assert_eq!(statement.closing.unwrap().to_string(), closing);
            assert_eq!((statement.account.as_str(), statement.entries), (account, 3));
            assert!(statement.residual().unwrap().is_zero());
            assert!(!all.entries[3].booked, "PEND is not booked");
            assert_eq!(all.entries[0].day.unwrap().to_string(), "2026-10-05");
        }
    }
}

#[test]
fn a_bad_amount_is_kept_by_its_line_and_the_other_rows_count() {
    // The break is made by the run; here the good row and nothing invented.
    let all = read(&["csv/bad-garbled-amount.csv"]).unwrap();
    assert_eq!(all.entries.len(), 1);
    assert_eq!(all.files[0].rows, 2);
}

#[test]
fn statements_of_another_account_are_refused_and_of_one_among_several_kept() {
    let two = samples().join("camt053/02-two-accounts-two-currencies.xml");
    let accounts: Vec<String> =
        camt::read(&two).unwrap().statements.iter().map(|one| one.account.clone()).collect();
    let with = |account: &str| {
        let mapping = Mapping::read(Some(&format!("[bank]\naccounts = [{account:?}]"))).unwrap();
        Statements::read(std::slice::from_ref(&two), &mapping, &AtomicU64::new(0))
    };
    let one = with(&accounts[1]).unwrap();
    assert_eq!((one.statements.len(), one.entries.len()), (1, 1));
    assert!(one.files[0].remarks[0].contains(&accounts[0]));
    let error = with("DE00").unwrap_err().to_string();
    assert!(error.contains("right statement"), "{error}");
}

#[test]
fn hostile_and_broken_xml_is_refused_without_reading_on() {
    let folder = tempfile::tempdir().unwrap();
    let body = |inside: &str| {
        format!(
            "<Document xmlns='urn:iso:std:iso:20022:tech:xsd:camt.053.001.08'><BkToCstmrStmt><Stmt><Id>1</Id>{inside}</Stmt></BkToCstmrStmt></Document>"
        )
    };
    let entry = |inside: &str| body(&format!("<Ntry>{inside}</Ntry>"));
    for (text, wanted) in [
        (format!("<!DOCTYPE a [<!ENTITY b 'c'>]>{}", body("")), "document type"),
        (body("<Acct><Id><IBAN>&b;</IBAN></Id></Acct>"), "entity"),
        (entry("<CdtDbtInd>CRDT</CdtDbtInd>"), "without an amount"),
        (entry("<Amt Ccy='EUR'>1</Amt>"), "neither credit nor debit"),
        (entry("<Amt Ccy='EUR'>1e3</Amt><CdtDbtInd>CRDT</CdtDbtInd>"), "no amount"),
        (
            entry(
                "<Amt Ccy='EUR'>1</Amt><CdtDbtInd>CRDT</CdtDbtInd><BookgDt><Dt>2024-02-30</Dt></BookgDt>",
            ),
            "no date",
        ),
        (body("").replace("</Stmt></BkToCstmrStmt></Document>", ""), "cut off"),
        (body("").replace("camt.053.001.08", "camt.054.001.08"), "wanted is camt.053"),
        ("<html></html>".to_owned(), "no statement"),
        (body(&"<a>".repeat(100)), "nested deeper"),
    ] {
        let path = folder.path().join("x.xml");
        std::fs::write(&path, &text).unwrap();
        let error = camt::read(&path).expect_err(&text).to_string();
        assert!(error.contains(wanted), "{wanted}: {error}");
    }
}

#[test]
fn a_prefix_or_another_encoding_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = samples().join("camt053/02-two-accounts-two-currencies.xml");
    let text = std::fs::read_to_string(&path).unwrap();
    let plain = camt::read(&path).unwrap();
    let prefixed = regex_free_prefix(&text);
    let wide: Vec<u8> = std::iter::once(0xFEFF)
        .chain(text.replace("UTF-8", "UTF-16").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    for bytes in [prefixed.into_bytes(), wide] {
        let other = folder.path().join("x.xml");
        std::fs::write(&other, bytes).unwrap();
        let read = camt::read(&other).unwrap();
        assert_eq!(read.entries.len(), plain.entries.len());
        for (one, same) in plain.statements.iter().zip(&read.statements) {
            assert_eq!(
                (one.opening, one.closing, one.booked),
                (same.opening, same.closing, same.booked)
            );
        }
    }
}

/// The same document with the prefix `n` on every element.
fn regex_free_prefix(text: &str) -> String {
    text.replace("<?", "\u{1}")
        .replace("</", "\u{2}")
        .replace('<', "<n:")
        .replace('\u{2}', "</n:")
        .replace('\u{1}', "<?")
        .replace("xmlns=", "xmlns:n=")
}
