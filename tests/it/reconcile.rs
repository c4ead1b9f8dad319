//! `reconcile` by the built program: what finance gets, and what it is told.

use std::fs;
use std::path::Path;
use std::process::Command;

use gopay_core::ids::TxId;
use gopay_core::money::Rupiah;
use gopay_core::payment::{Channel, Event};
use gopay_core::time::Timestamp;
use gopay_store::{Reconciliations as _, Store as _};
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

/// A store in the folder with payments on the live channel, paid when they were called.
async fn stored(folder: &Path, payments: &[(i64, &str, u64)]) {
    let place = folder.join("gopay.db");
    let store = SqliteStore::open(&place, Options::default()).expect("a store");
    for (number, at, rupiah) in payments {
        let at = Timestamp::from_rfc3339(at).expect("a time");
        let payment = sample::payment_with(*number, at, |record| {
            record.channel = Some(Channel::Live);
            record.amount = Some(Rupiah::new(*rupiah).expect("an amount"));
        });
        store.payment_create(&payment, "{}", &[]).await.expect("new");
        let paid = Event::Paid {
            midtrans_tx_id: format!("m-{number}"),
            paid_at: None,
            payment_type: Some("gopay".into()),
            payment_option: None,
        };
        let tx = TxId::new(*number).expect("an id");
        store.payment_apply(tx, &paid, None, &[], at).await.expect("paid");
    }
    store.close().await.expect("closed");
    written(folder, "config.toml", "[store]\nurl = \"sqlite:gopay.db\"\n");
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
    let (code, _, err) = decided("accept;told us;Ana;Budi;0");
    assert_eq!(code, 3);
    assert!(err.contains("let Budi approve it in the list"), "{err}");
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

#[tokio::test(flavor = "multi_thread")]
async fn runs_beside_a_store_keep_their_history_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    stored(at, &[(42, "2026-10-05T06:14:15Z", 44_000), (43, "2026-11-01T06:14:15Z", 10_000)]).await;
    let export = |row: &str| format!("{EXPORT}{row}");
    let wrong = exported("42", "44100.00", "settlement", "2026-10-05 13:14:00");
    let right = exported("42", "44000.00", "settlement", "2026-10-05 13:14:00");
    let later = exported("43", "10000.00", "settlement", "2026-11-01 13:14:00");
    for (name, rows) in [("october", &wrong), ("mended", &right), ("november", &later)] {
        written(at, &format!("{name}.csv"), &export(rows));
    }
    // The folder is another one in every run: nothing of the history is there.
    let run = |out: &str, report: &str, more: &[&str]| {
        let args = ["--config", "config.toml", "--to", "2026-11-02", "--by", "dewi"];
        let files = ["--out", out, "--report", report];
        reconcile(at, &[&args[..], &files[..], more].concat())
    };
    let list = |out: &str| fs::read_to_string(at.join(out).join("breaks.csv")).expect("written");
    let edit = |out: &str, cells: &str| {
        let list = list(out);
        let row = list.lines().nth(1).expect("a break");
        let (id, version) =
            (row.split(',').next().expect("an id"), row.rsplit(',').next().expect("a version"));
        let text =
            format!("break_id,decision,reason,by,approved_by,version\n{id},{cells},{version}\n");
        written(at, "edited.csv", &text);
    };
    // 43 is not in the export of October, which ends before it.
    let october = ["--to", "2026-10-31"];
    let october_run = |out: &str, more: &[&str]| {
        let args = ["--config", "config.toml", "--out", out, "--report", "october.csv"];
        reconcile(at, &[&args[..], &october, more].concat())
    };
    let (code, out, err) = october_run("a", &[]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    edit("a", "accept,told us,Ana,");
    let (code, out, _) = october_run("b", &["--decisions", "edited.csv"]);
    assert_eq!(code, 1, "nobody has approved it: {out}");
    // What a run has not looked at is not over.
    let (code, out, _) = run("c", "november.csv", &[]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("1  of them are of earlier runs, in no file of this one"), "{out}");
    assert!(list("c").contains("44000.00,44100.00") && list("c").contains(",accept,told us,Ana,,"));
    // A list from before the decision is overtaken; the present one is approved by another.
    edit("a", "accept,told us,Ana,Budi");
    let (code, _, err) = run("d", "november.csv", &["--decisions", "edited.csv"]);
    assert!(code == 3 && err.contains("since this list was written"), "{err}");
    assert!(!at.join("d").exists());
    edit("c", "accept,told us,Ana,Budi");
    let (code, out, _) = run("d", "november.csv", &["--decisions", "edited.csv"]);
    assert_eq!(code, 0, "{out}");
    let history = fs::read_to_string(at.join("d/history.jsonl")).expect("written");
    assert_eq!(history.lines().count(), 2);
    assert!(history.contains("\"approved_by\":\"Budi\""), "{history}");
    // Mended, it is resolved, and stays so.
    let (code, out, _) = run("e", "mended.csv", &["--report", "november.csv"]);
    assert!(code == 0 && out.contains("1 of the run before are resolved"), "{out}");
    let (code, out, _) = run("f", "november.csv", &[]);
    assert!(code == 0 && !out.contains("resolved"), "{out}");
    // Another history knows nothing of it.
    let (code, out, _) = run("g", "november.csv", &["--series", "euro"]);
    assert!(code == 0 && !out.contains("earlier runs"), "{out}");
    let store = SqliteStore::open_read_only(&at.join("gopay.db")).expect("a store");
    let runs = store.reconciliation_runs("default", 0, 10).await.expect("runs");
    assert_eq!(runs.len(), 6);
    let names: Vec<&str> = runs[4].inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["the store", "mended.csv", "november.csv"]);
    assert_eq!((runs[2].by.as_str(), runs[0].inputs[1].sha256.len()), ("dewi", 64));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_at_once_go_on_from_each_other() {
    const RUNS: usize = 6;
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    stored(at, &[(42, "2026-10-05T06:14:15Z", 44_000)]).await;
    let row = exported("42", "44100.00", "settlement", "2026-10-05 13:14:00");
    written(at, "report.csv", &format!("{EXPORT}{row}"));
    let args = ["--config", "config.toml", "--report", "report.csv", "--out", "out"];
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..RUNS).map(|_| scope.spawn(|| reconcile(at, &args))).collect();
        for run in runs {
            let (code, out, err) = run.join().expect("ended");
            assert_eq!((code, err.as_str()), (1, ""), "{out}");
        }
    });
    let store = SqliteStore::open_read_only(&at.join("gopay.db")).expect("a store");
    let runs = store.reconciliation_runs("default", 0, 10).await.expect("runs");
    assert_eq!(runs.iter().map(|run| run.run).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let breaks = store.reconciliation_breaks("default", "", 10).await.expect("breaks");
    assert!(breaks.len() == 1 && !breaks[0].resolved, "{breaks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_are_those_of_the_config_and_a_mapping_that_contradicts_it_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    stored(at, &[(42, "2026-10-05T06:14:15Z", 100_000)]).await;
    let fee = |points: u32| {
        format!("payment_type = \"gopay\"\nvalid_from = \"2026-01-01\"\nbasis_points = {points}\n")
    };
    let config = fs::read_to_string(at.join("config.toml")).expect("a config");
    let term = format!("[[settlement.midtrans_fee]]\nname = \"GoPay\"\n{}", fee(150));
    written(at, "config.toml", &format!("{config}{term}vat_basis_points = 1100\n"));
    written(at, "mapping.toml", &format!("[[fee]]\n{}", fee(200)));
    let titles = "Order ID,Payment type,Amount,Transaction status,Transaction Time,MDR\n";
    let row = "42,gopay,100000.00,settlement,2026-10-05 13:14:00";
    written(at, "right.csv", &format!("{titles}{row},1665.00\n"));
    written(at, "wrong.csv", &format!("{titles}{row},2000.00\n"));
    let run = |report: &str, more: &[&str]| {
        let args = ["--config", "config.toml", "--out", "out", "--report", report];
        reconcile(at, &[&args[..], more].concat())
    };
    // 1.5 % of 100,000 is 1,500, and 11 % of that 165.
    let (code, out, _) = run("right.csv", &[]);
    assert_eq!(code, 0, "{out}");
    let (code, _, _) = run("wrong.csv", &[]);
    let breaks = fs::read_to_string(at.join("out/breaks.csv")).expect("written");
    assert!(code == 1 && breaks.contains(",fee_differs,42,,1665.00,2000.00,-335.00"), "{breaks}");
    let (code, _, err) = run("right.csv", &["--mapping", "mapping.toml"]);
    assert_eq!(code, 3);
    for word in ["the mapping file has 200", "settlement.midtrans_fee", "150 basis points"] {
        assert!(err.contains(word), "{word} in {err}");
    }
}
