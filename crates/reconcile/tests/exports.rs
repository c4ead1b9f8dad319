//! Single rows of exports, and what becomes of them: a table of cases.
#![expect(clippy::unwrap_used, reason = "a failure is a failed test")]

use std::sync::atomic::AtomicU64;

use gopay_reconcile::input::mapping::Mapping;
use gopay_reconcile::options::Options;
use gopay_reconcile::run::{Inputs, JournalSource, Report, RunError, reconcile};

const JOURNAL: &str = "\
at,kind,channel,psp,contract,txid,merchanttxid,refundid,merchantrefundid,midtrans_id,payment_type,amount_sen,currency,midtrans_at
2026-10-05T03:00:00Z,succeeded,livechannel,p,C,7000000000000000001,m,,,0a1b2c3d-4e5f-4a6b-8c9d-000000000001,gopay,4400000,IDR,
2026-10-05T04:00:00Z,succeeded,livechannel,p,C,7000000000000000002,m,,,0a1b2c3d-4e5f-4a6b-8c9d-000000000002,gopay,1000000,IDR,
2026-10-06T04:00:00Z,refund_succeeded,livechannel,p,C,7000000000000000002,m,8000000000000000001,r,,,250000,IDR,
2026-10-05T05:00:00Z,failed,livechannel,p,C,7000000000000000003,m,,,,,1000000,IDR,
2026-10-05T06:00:00Z,succeeded,testchannel,p,C,7000000000000000004,m,,,,,1000000,IDR,
";

const TITLES: &str = "Order ID,Transaction ID,Amount,Status,Transaction time,Refund amount,Type\n";
const ONE: &str = "7000000000000000001,0a1b2c3d-4e5f-4a6b-8c9d-000000000001,44000.00,settlement,2026-10-05 10:00:00,0,\n";
const TWO: &str = "7000000000000000002,0a1b2c3d-4e5f-4a6b-8c9d-000000000002,10000.00,partial_refund,2026-10-05 11:00:00,2500.00,\n";
/// So that the fifth is not the last day.
const LATER: &str = "SHOP-9,x,1.00,settlement,2026-10-09 10:00:00,0,\n";

fn run(files: &[String]) -> Result<Report, RunError> {
    run_with(JOURNAL, files)
}

fn run_with(journal: &str, files: &[String]) -> Result<Report, RunError> {
    let folder = tempfile::tempdir().unwrap();
    let written = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let journal = written("journal.csv", journal);
    let reports = files.iter().enumerate().map(|(at, text)| written(&format!("r{at}.csv"), text));
    let inputs = Inputs { reports: reports.collect(), ..Inputs::default() };
    let options =
        Options { today: "2026-10-20".parse().unwrap(), from: None, to: None, threads: 1 };
    let mapping = Mapping::read(None).unwrap();
    reconcile(JournalSource::File(journal), &inputs, &mapping, &options, &AtomicU64::new(0))
}

#[test]
fn each_row_is_matched_counted_apart_or_one_break() {
    let export = |rows: &[&str]| format!("{TITLES}{}{LATER}", rows.concat());
    let cases: Vec<(&str, Vec<String>, Vec<&str>)> = vec![
        ("all well", vec![export(&[ONE, TWO])], vec![]),
        ("the same row in two exports", vec![export(&[ONE, TWO]), export(&[TWO])], vec![]),
        ("the same file twice", vec![export(&[ONE, TWO]), export(&[ONE, TWO])], vec![]),
        (
            "an export without Midtrans' ids, fees and refunds overlaps one that has them",
            vec![
                export(&[ONE, TWO]),
                "Order ID,Amount,Status,Transaction Time\n7000000000000000001,44000.00,settlement,2026-10-05 13:14:00\n".to_owned(),
            ],
            vec![],
        ),
        (
            "an older export says pending",
            vec![export(&[&ONE.replace("settlement", "pending")]), export(&[ONE, TWO])],
            vec![],
        ),
        ("twice in one export", vec![export(&[ONE, ONE, TWO])], vec!["duplicate"]),
        (
            "paid twice under two ids",
            vec![export(&[ONE, &ONE.replace("000000000001,4", "000000000009,4"), TWO])],
            vec!["duplicate"],
        ),
        (
            "tried twice, paid once",
            vec![export(&[
                &ONE.replace("000000000001,4", "000000000009,4").replace("settlement", "deny"),
                ONE,
                TWO,
            ])],
            vec![],
        ),
        (
            "a refund in a row of its own",
            vec![export(&[
                ONE,
                &TWO.replace("2500.00", ""),
                "7000000000000000002,,-2500.00,refund,2026-10-06 11:00:00,,Normal Refund\n",
            ])],
            vec![],
        ),
        (
            "no refund there",
            vec![export(&[
                ONE,
                &TWO.replace("2500.00", "0").replace("partial_refund", "settlement"),
            ])],
            vec!["refund_differs"],
        ),
        (
            "an id that a spreadsheet ruined",
            vec![export(&[&ONE.replace("7000000000000000001", "7E+18"), TWO])],
            vec![],
        ),
        (
            "no order id, but Midtrans' id",
            vec![export(&[&ONE.replace("7000000000000000001", ""), TWO])],
            vec![],
        ),
        (
            "another order's id",
            vec![export(&[&ONE.replace("7000000000000000001", "7000000000000000077"), TWO])],
            vec!["id_differs"],
        ),
        (
            "failed here, paid there",
            vec![export(&[
                ONE,
                TWO,
                "7000000000000000003,,10000.00,capture,2026-10-05 12:00:00,0,\n",
            ])],
            vec!["late_success"],
        ),
        (
            "failed on both sides",
            vec![export(&[
                ONE,
                TWO,
                "7000000000000000003,,10000.00,expire,2026-10-05 12:00:00,0,\n",
            ])],
            vec![],
        ),
        (
            "a test payment with real money",
            vec![export(&[
                ONE,
                TWO,
                "7000000000000000004,,10000.00,settlement,2026-10-05 13:00:00,0,\n",
            ])],
            vec!["status_differs"],
        ),
        (
            "unknown here",
            vec![export(&[
                ONE,
                TWO,
                "7000000000000000055,,10000.00,settlement,2026-10-05 13:00:00,0,\n",
            ])],
            vec!["missing_here"],
        ),
        (
            "unknown here, without money",
            vec![export(&[
                ONE,
                TWO,
                "7000000000000000055,,10000.00,expire,2026-10-05 13:00:00,0,\n",
            ])],
            vec![],
        ),
        (
            "a number of another length",
            vec![export(&[ONE, TWO, "55,,10000.00,settlement,2026-10-05 13:00:00,0,\n"])],
            vec![],
        ),
        ("not there", vec![export(&[TWO])], vec!["missing_at_midtrans"]),
        ("made on the last day", vec![format!("{TITLES}{TWO}")], vec!["timing"]),
        (
            "a status that nobody knows",
            vec![export(&[&ONE.replace("settlement", "lunas"), TWO])],
            vec!["missing_at_midtrans", "unreadable"],
        ),
        (
            "a cell too many",
            vec![export(&[&ONE.replace("settlement", "settlement,x"), TWO])],
            vec!["missing_at_midtrans", "unreadable"],
        ),
        (
            "a quote that never ends",
            vec![format!("{TITLES}{TWO}\"{ONE}{LATER}")],
            vec!["timing", "unreadable"],
        ),
        ("a total under the rows", vec![export(&[ONE, TWO, "Total,,54000.00,,,,\n"])], vec![]),
        (
            "sen for rupiah",
            vec![export(&[&ONE.replace("44000.00", "4400000.00"), TWO])],
            vec!["amount_differs"],
        ),
    ];
    for (name, files, wanted) in cases {
        let report = run(&files).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut kinds: Vec<&str> = report.breaks.iter().map(|one| one.kind.as_str()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, wanted, "{name}: {:#?}", report.breaks);
        for tie in &report.tie_outs {
            assert!(tie.residual.is_zero(), "{name}: {tie:?}");
        }
    }
}

#[test]
fn an_export_without_rows_of_ours_is_no_clean_result() {
    for rows in ["", LATER, "x,y\n"] {
        let report = run(&[format!("{TITLES}{rows}")]).unwrap();
        let missing = report.breaks.iter().filter(|one| one.kind.as_str() == "missing_at_midtrans");
        // The one on the ninth covers that day only, and the payments are of the fifth.
        let wanted = if rows == LATER { 0 } else { 2 };
        assert_eq!(missing.count(), wanted, "{rows:?} {report:?}");
        assert!(report.remarks.len() > usize::from(rows == LATER));
    }
}

#[test]
fn a_journal_without_entries_is_no_clean_result() {
    let titles = JOURNAL.lines().next().unwrap();
    let report = run_with(titles, &[format!("{TITLES}{ONE}{TWO}")]).unwrap();
    assert!(report.breaks.iter().all(|one| one.kind.as_str() == "missing_here"));
    assert_eq!(report.breaks.len(), 2);
}

#[test]
fn rows_of_others_are_counted_with_their_money() {
    let report = run(&[format!("{TITLES}{ONE}{TWO}{LATER}")]).unwrap();
    assert_eq!((report.others.rows, report.others.paid.to_string()), (1, "1.00".to_owned()));
    assert_eq!(report.payments.matched, 2);
}
