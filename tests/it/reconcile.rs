//! `reconcile` by the built program: what finance gets, and what it is told.

use std::fs;
use std::path::Path;
use std::process::Command;

use gopay_core::ids::TxId;
use gopay_core::payment::Event;
use gopay_core::time::Timestamp;
use gopay_store::Store as _;
use gopay_store_sqlite::{Options, SqliteStore};
use gopay_testkit::sample;

const TITLES: &str = "at,kind,channel,psp,contract,txid,merchanttxid,refundid,merchantrefundid,midtrans_id,payment_type,amount_sen,currency,midtrans_at\n";
const EXPORT: &str =
    "Order ID,Payment type,Currency,Amount,Transaction status,Transaction Time,Customer email\n";

/// A payment of the journal that succeeded.
fn paid(txid: u64, at: &str, sen: u64) -> String {
    format!("{at},succeeded,livechannel,psp,C1,{txid},m-{txid},,,,gopay,{sen},IDR,{at}\n")
}

/// A row of an export with the default columns.
fn exported(order: &str, amount: &str, status: &str, time: &str) -> String {
    format!("{order},gopay,IDR,{amount},{status},{time},siti@example.com\n")
}

/// Exit code, standard output, standard error.
fn reconcile(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GOPAY_ADAPTER_") {
            command.env_remove(name);
        }
    }
    let command = command.current_dir(folder).args(["reconcile", "--today", "2026-11-03"]);
    let output = command.args(args).output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("not killed"), text(output.stdout), text(output.stderr))
}

fn written(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("written");
}

#[test]
fn what_agrees_is_clean_and_what_differs_is_a_break_with_both_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let journal = [
        paid(7_300_000_000_000_000_001, "2026-10-05T06:14:15Z", 4_400_000),
        paid(7_300_000_000_000_000_002, "2026-10-05T06:15:15Z", 1_000_000),
    ];
    written(at, "journal.csv", &format!("{TITLES}{}", journal.concat()));
    let first = exported("7300000000000000001", "44000.00", "settlement", "2026-10-05 13:14:00");
    let good = exported("7300000000000000002", "10000.00", "settlement", "2026-10-05 13:15:00");
    let bad = exported("7300000000000000002", "9800.00", "settlement", "2026-10-05 13:15:00");
    written(at, "good.csv", &format!("{EXPORT}{first}{good}"));
    written(at, "bad.csv", &format!("{EXPORT}{first}{bad}"));

    let args = ["--journal", "journal.csv", "--out", "out", "--report"];
    let (code, out, err) = reconcile(at, &[&args[..], &["good.csv"]].concat());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let (code, out, _) = reconcile(at, &[&args[..], &["bad.csv"]].concat());
    assert_eq!(code, 1, "{out}");
    let breaks = fs::read_to_string(at.join("out/breaks.csv")).expect("written");
    let rows: Vec<&str> = breaks.lines().collect();
    assert!(rows[0].starts_with("break_id,kind,txid,refundid,ours,theirs,difference,currency,cause,age_days,at_risk,decision,reason,by,approved_by"));
    assert_eq!(rows.len(), 2);
    assert!(rows[1].contains(",amount_differs,7300000000000000002,,10000.00,9800.00,200.00,IDR,Midtrans' amount is net of its fee"), "{}", rows[1]);
    for name in ["breaks.csv", "breaks.json"] {
        let text = fs::read_to_string(at.join("out").join(name)).expect("written");
        assert!(!text.contains("siti"), "{name} tells who the customers are");
    }
}

#[test]
fn bad_input_is_refused_with_what_to_do_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    written(at, "journal.csv", &format!("{TITLES}{}", paid(42, "2026-10-05T06:14:15Z", 100)));
    let cases: [(&str, &[u8], &str); 7] = [
        ("a.7z", b"7z\xBC\xAF\x27\x1C____", "password of Midtrans' second e-mail"),
        ("a.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "as CSV or XLSX"),
        ("untitled.csv", b"1,2,3\n4,5,6\n", "propose-mapping"),
        ("lacks.csv", b"Order ID,Amount,Transaction Time\n42,1,2026-10-05 13:14:00\n", "lacks status"),
        ("ruined.csv", b"Order ID,Amount,Status,Transaction Time\n7.30268E+18,1,settlement,2026-10-05 13:14:00\n", "do not open it in a spreadsheet"),
        ("rounded.csv", b"Order ID,Amount,Status,Transaction Time\n7302680123456780000,1,settlement,2026-10-05 13:14:00\n7302680123456790000,1,settlement,2026-10-05 13:14:00\n7302680123456800000,1,settlement,2026-10-05 13:14:00\n", "do not open it in a spreadsheet"),
        ("payouts.csv", b"REQUEST DATE,ID,PAID DATE,AMOUNT (NET),STATUS\n05/25/2018,P1,,Rp. 1.00,Paid\n", "--payouts"),
    ];
    for (name, content, wanted) in cases {
        fs::write(at.join(name), content).expect("written");
        let args = ["--journal", "journal.csv", "--out", "out", "--report", name];
        let (code, _, err) = reconcile(at, &args);
        assert_eq!(code, 3, "{name}: {err}");
        assert!(err.contains(name) && err.contains(wanted), "{err}");
        assert!(!at.join("out").exists());
    }
    let (code, _, _) = reconcile(at, &["--out", "out"]);
    assert_eq!(code, 2);
}

#[test]
fn decisions_of_two_people_close_a_break_and_stay_in_later_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    written(at, "journal.csv", &format!("{TITLES}{}", paid(42, "2026-10-05T06:14:15Z", 4_400_000)));
    let row = exported("42", "44100.00", "settlement", "2026-10-05 13:14:00");
    written(at, "report.csv", &format!("{EXPORT}{row}"));
    let args = ["--journal", "journal.csv", "--report", "report.csv", "--out", "out"];
    let decided = |cells: &str| {
        let list = fs::read_to_string(at.join("out/breaks.csv")).expect("written");
        let row = list.lines().nth(1).expect("a break");
        let id = row.split(',').next().expect("an id");
        // As a spreadsheet in German saves it.
        let text = format!("break_id;decision;reason;by;approved_by;version\r\n{id};{cells}\r\n");
        written(at, "edited.csv", &text);
        reconcile(at, &[&args[..], &["--decisions", "edited.csv"]].concat())
    };
    let (code, _, _) = reconcile(at, &args);
    assert_eq!(code, 1);
    let (code, _, err) = decided("accept;told us;Ana;ana;0");
    assert_eq!(code, 3);
    assert!(err.contains("another person"), "{err}");
    assert!(!at.join("out/decisions.jsonl").exists());
    let (code, _, _) = decided("accept;told us;Ana;;0");
    assert_eq!(code, 1, "nobody has approved it");
    let (code, out, _) = decided("accept;told us;Ana;Budi;1");
    assert_eq!(code, 0, "{out}");
    let (code, _, _) = reconcile(at, &args);
    assert_eq!(code, 0);
    let list = fs::read_to_string(at.join("out/breaks.csv")).expect("written");
    assert!(list.contains(",accept,told us,Ana,Budi,"), "{list}");
    // What is gone is resolved, and the history tells all of it.
    let row = exported("42", "44000.00", "settlement", "2026-10-05 13:14:00");
    written(at, "report.csv", &format!("{EXPORT}{row}"));
    let (code, out, _) = reconcile(at, &args);
    assert!(code == 0 && out.contains("1 of the run before are resolved"), "{out}");
    let lines = |name: &str| {
        fs::read_to_string(at.join("out").join(name)).expect("written").lines().count()
    };
    assert_eq!((lines("decisions.jsonl"), lines("runs.jsonl")), (2, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_read_from_the_store_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let store = SqliteStore::open(&at.join("gopay.db"), Options::default()).expect("a store");
    let day = Timestamp::from_rfc3339("2026-10-05T06:14:15Z").expect("a time");
    // More than a page of the journal.
    for number in 1..=1_200 {
        store.payment_create(&sample::payment(number, day), "{}", &[]).await.expect("new");
        let paid = Event::Paid {
            midtrans_tx_id: "m".into(),
            paid_at: None,
            payment_type: None,
            payment_option: None,
        };
        let tx = TxId::new(number).expect("an id");
        store.payment_apply(tx, &paid, None, &[], day).await.expect("paid");
    }
    store.close().await.expect("closed");
    written(at, "config.toml", "[store]\nurl = \"sqlite:gopay.db\"\n");
    // The samples are on the test channel, which Midtrans must not have with real money.
    let row = exported("1200", "10000.00", "settlement", "2026-10-05 13:14:00");
    written(at, "report.csv", &format!("{EXPORT}{row}"));
    let args = ["--config", "config.toml", "--report", "report.csv", "--out", "out"];
    let (code, out, err) = reconcile(at, &args);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    assert!(out.contains("1199  on the test channel"), "{out}");
    let breaks = fs::read_to_string(at.join("out/breaks.csv")).expect("written");
    assert!(breaks.contains(",status_differs,1200,,test channel,settlement,"), "{breaks}");
}
