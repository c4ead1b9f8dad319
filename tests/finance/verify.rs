//! `verify-files`: any damage is named, with its place and both values.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::settle::filled;
use crate::shop::{Shop, text};

/// Changes one text of a file into another, once.
fn edit(path: &Path, from: &str, to: &str) {
    let content = fs::read_to_string(path).expect("a file");
    assert!(content.contains(from), "{from:?} in {content}");
    fs::write(path, content.replacen(from, to, 1)).expect("written");
}

fn without_line(path: &Path, number: usize) {
    let content = fs::read_to_string(path).expect("a file");
    let kept = content.split_inclusive('\n').enumerate().filter(|(place, _)| *place != number);
    fs::write(path, kept.map(|(_, line)| line).collect::<String>()).expect("written");
}

fn gz(path: &Path, content: &[u8]) {
    let file = fs::File::create(path).expect("a file");
    let mut file = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    file.write_all(content).and_then(|()| file.finish()).expect("written");
}

const SET: &str = "1-999-D-2026-003";

fn file(out: &Path, suffix: &str) -> std::path::PathBuf {
    out.join(SET).join(format!("{SET}-{suffix}"))
}

type Damage = fn(&Path);

/// What is done to the sets; what the verdict must say of it by the files alone, and beside the
/// store.
const DAMAGES: &[(&str, Damage, &[&str], &[&str])] = &[
    (
        "an amount",
        |out| edit(&file(out, "volume-per-transaction.csv"), ",30017.00,", ",30018.00,"),
        &[
            "-volume-per-transaction.csv: its SHA-256 is ",
            "CHECKSUM_AGGREGATE_AMOUNT is",
            "TRANSACTION of SHOP is",
        ],
        &[
            "-volume-per-transaction.csv line 3: AMOUNT is \"30018.00\", must be \"30017.00\" (the store)",
        ],
    ),
    (
        "an amount with its footer and the manifest's total",
        |out| {
            let path = file(out, "volume-per-transaction.csv");
            edit(&path, ",30017.00,", ",30018.00,");
            edit(&path, "AMOUNT,150204.00", "AMOUNT,150205.00");
            edit(
                &out.join(SET).join("manifest.json"),
                "\"total\": \"150204.00\"",
                "\"total\": \"150205.00\"",
            );
        },
        &["its SHA-256 is ", "TRANSACTION of SHOP is 150204.00 of 5, must be 150205.00 of 5"],
        &["manifest.json line", "must be \"      \\\"total\\\": \\\"150204.00\\\",\""],
    ),
    (
        "an id",
        |out| edit(&file(out, "volume-per-refund.csv"), "SHOP", "SHOQ"),
        &["line 2: contract \"SHOQ\" is not of this client number"],
        &["line 2: MERCHANT_ID is \"SHOQ\", must be \"SHOP\" (the store)"],
    ),
    (
        "a row that is gone",
        |out| without_line(&file(out, "volume-per-transaction.csv"), 2),
        &[
            "the number of rows is 4, must be 5 (the manifest)",
            "line 7: RECORD_COUNT is 5, must be 4",
        ],
        &["line 3: MERCHANT_TX_ID is"],
    ),
    (
        "a row twice",
        |out| {
            let path = file(out, "volume-per-transaction.csv");
            let content = fs::read_to_string(&path).expect("a file");
            let line = content.lines().nth(1).expect("a row");
            edit(&path, line, &format!("{line}\n{line}"));
        },
        &[
            "line 3: the row is not in the order of time, or there twice",
            "is in 1-999-D-2026-003 too",
        ],
        &["the number of rows is 6, must be 5"],
    ),
    (
        "two rows in each other's place",
        |out| {
            let path = file(out, "volume-per-transaction.csv");
            let content = fs::read_to_string(&path).expect("a file");
            let mut lines: Vec<&str> = content.split_inclusive('\n').collect();
            lines.swap(1, 2);
            fs::write(&path, lines.concat()).expect("written");
        },
        &["line 3: the row is not in the order of time"],
        &["line 2: MERCHANT_TX_ID is"],
    ),
    (
        "a fee",
        |out| {
            edit(&file(out, "fee-per-transaction.csv"), "ACQUIRING_FEE,0.05", "ACQUIRING_FEE,0.06")
        },
        &[
            "ACQUIRING_FEE of SHOP is -0.35 of 6, must be -0.36 of 6 (the rows of the files of fees)",
        ],
        &["AMOUNT is \"0.06\", must be \"0.05\" (the store)"],
    ),
    (
        "an indicative discount",
        |out| {
            edit(
                &file(out, "fee-per-transaction.csv"),
                "DISCOUNT_FEE,450.00",
                "DISCOUNT_FEE,451.00",
            )
        },
        &["is 451.00, no agreed share of 30000.00"],
        &["AMOUNT is \"451.00\", must be \"450.00\" (the store)"],
    ),
    (
        "a sum",
        |out| edit(&file(out, "aggregate.csv"), "CLEARED_TO_MERCHANT,6,", "CLEARED_TO_MERCHANT,7,"),
        &["CLEARED_TO_MERCHANT of SHOP is 8.93 of 7, must be 8.93 of 6"],
        &["EVENT_COUNT is \"7\", must be \"6\" (the store)"],
    ),
    (
        "the settlement date of a footer",
        |out| {
            edit(
                &file(out, "fee-per-refund.csv"),
                "SETTLEMENT_DATE,2026-01-05",
                "SETTLEMENT_DATE,2026-01-06",
            )
        },
        &["SETTLEMENT_DATE is 2026-01-06, must be 2026-01-05 (the manifest)"],
        &["SETTLEMENT_DATE is \"2026-01-06\", must be \"2026-01-05\" (the store)"],
    ),
    (
        "a title",
        |out| edit(&file(out, "aggregate.csv"), "EVENT_COUNT", "EVENTS"),
        &["line 1: the row of titles is MERCHANT_ID,PAYMENT_METHOD,EVENT_TYPE,EVENTS,"],
        &["line 1: EVENT_COUNT is \"EVENTS\", must be \"EVENT_COUNT\" (the store)"],
    ),
    (
        "line ends of another system",
        |out| {
            let path = file(out, "volume-per-chargeback.csv");
            let content = fs::read_to_string(&path).expect("a file");
            fs::write(&path, content.replace('\n', "\r\n")).expect("written");
        },
        &["volume-per-chargeback.csv: its length is"],
        &["volume-per-chargeback.csv line 1: is"],
    ),
    (
        "a footer that is cut off",
        |out| {
            let path = file(out, "volume-per-refund.csv");
            let lines = fs::read_to_string(&path).expect("a file").lines().count();
            without_line(&path, lines - 1);
        },
        &["the footer is cut: CHECKSUM_AGGREGATE_AMOUNT is missing"],
        &["the line is missing; must be \"CHECKSUM_AGGREGATE_AMOUNT,"],
    ),
    (
        "a byte of the invoice",
        |out| edit(&file(out, "invoice.html"), "Settlement invoice", "Settlement Invoice"),
        &["-invoice.html: its SHA-256 is"],
        &["-invoice.html line 1: is"],
    ),
    (
        "a byte of the PDF",
        |out| {
            let path = file(out, "invoice.pdf");
            let mut content = fs::read(&path).expect("a file");
            let place = content.len() / 2;
            content[place] ^= 1;
            fs::write(&path, content).expect("written");
        },
        &["-invoice.pdf: its SHA-256 is"],
        &["other bytes than the store makes"],
    ),
    (
        "a file that is missing",
        |out| fs::remove_file(file(out, "fee-per-chargeback.csv")).expect("removed"),
        &["-fee-per-chargeback.csv: the file is missing"],
        &["-fee-per-chargeback.csv: the file is missing"],
    ),
    (
        "a file too many",
        |out| fs::write(file(out, "aggregate (1).csv"), "x").expect("written"),
        &["-aggregate (1).csv: the file is not one of the set"],
        &["-aggregate (1).csv: the file is not one of the set"],
    ),
    (
        "a file by another name",
        |out| {
            fs::rename(file(out, "aggregate.csv"), file(out, "aggregates.csv")).expect("renamed");
        },
        &["-aggregate.csv: the file is missing", "-aggregates.csv: the file is not one of the set"],
        &["-aggregate.csv: the file is missing"],
    ),
    (
        "a set by another name",
        |out| fs::rename(out.join(SET), out.join("1-999-D-2026-033")).expect("renamed"),
        &["the name of the folder is 1-999-D-2026-033, must be 1-999-D-2026-003 (the manifest)"],
        &["the name of the folder is 1-999-D-2026-033"],
    ),
    (
        "a set that is missing",
        |out| fs::remove_dir_all(out.join(SET)).expect("removed"),
        &["1-999-D-2026-004/manifest.json: it follows 1-999-D-2026-003, which is missing"],
        &["1-999-D-2026-003: the set is missing: the store has closed it"],
    ),
    (
        "a manifest that is missing",
        |out| fs::remove_file(out.join(SET).join("manifest.json")).expect("removed"),
        &["1-999-D-2026-003/manifest.json: the file is missing"],
        &["1-999-D-2026-003: the set is missing"],
    ),
    (
        "a rate in the manifest",
        |out| {
            edit(
                &out.join(SET).join("manifest.json"),
                "\"rate\": \"16100.5\"",
                "\"rate\": \"16000.5\"",
            )
        },
        &["CLEARED_TO_MERCHANT of SHOP is", "1-999-D-2026-004/manifest.json: previous.sha256 is "],
        &["manifest.json line 22: is \"      \\\"rate\\\": \\\"16000.5\\\",\", must be"],
    ),
    (
        "a transfer in the manifest",
        |out| {
            edit(
                &out.join(SET).join("manifest.json"),
                "\"carry_forward\": \"0.00\",\n  \"after\"",
                "\"carry_forward\": \"0.01\",\n  \"after\"",
            )
        },
        &[
            "transfer + carry_forward is",
            "carry_forward is 0.01, must be 0.00 (what is left to the next)",
        ],
        &["\\\"carry_forward\\\": \\\"0.01\\\""],
    ),
    (
        "a compressed file of something else",
        |out| gz(&file(out, "aggregate.csv.gz"), b"something else"),
        &["-aggregate.csv.gz: SHA-256 of its content is"],
        &["-aggregate.csv.gz: SHA-256 of its content is"],
    ),
    (
        "a compressed file that is cut",
        |out| {
            let path = file(out, "aggregate.csv.gz");
            let content = fs::read(&path).expect("a file");
            fs::write(&path, &content[..content.len() / 2]).expect("written");
        },
        &["-aggregate.csv.gz: it does not unpack"],
        &["-aggregate.csv.gz: it does not unpack"],
    ),
    (
        "something else in the folder",
        |out| fs::write(out.join("notes.txt"), "x").expect("written"),
        &["notes.txt: the file belongs to no set"],
        &["notes.txt: the file belongs to no set"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_damage_is_named() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    for day in 1..=5 {
        shop.settle(&format!("2026-01-0{day}")).done();
    }
    let verify = |config: bool| {
        let out = shop.out();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
        command.args(["--log", "warn", "verify-files", text(&out)]);
        if config {
            command.args(["--config", text(&shop.path("config.toml"))]);
        }
        crate::shop::ended(&command.output().expect("the program runs"))
    };
    for config in [false, true] {
        let told = verify(config).done();
        assert!(
            told.starts_with("5 sets with ") && told.ends_with("as they were made\n"),
            "{told}"
        );
    }
    assert!(DAMAGES.len() >= 20);
    let whole = shop.path("whole");
    fs::rename(shop.out(), &whole).expect("renamed");
    let mut unnamed = Vec::new();
    for (name, damage, alone, beside) in DAMAGES {
        let _ = fs::remove_dir_all(shop.out());
        copy(&whole, &shop.out());
        damage(&shop.out());
        for (config, wanted) in [(false, alone), (true, beside)] {
            let ended = verify(config);
            assert_eq!(ended.code, Some(1), "{name}: {ended:?}");
            for word in wanted.iter().filter(|word| !ended.out.contains(**word)) {
                unnamed.push(format!("{name}: no {word:?} in\n{}", ended.out));
            }
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
    // Written again from the store, they are whole.
    fs::remove_dir_all(shop.out()).expect("removed");
    for day in 1..=5 {
        shop.settle(&format!("2026-01-0{day}")).done();
    }
    verify(true).done();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_set_can_be_verified_by_itself() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    for day in 1..=3 {
        shop.settle(&format!("2026-01-0{day}")).done();
    }
    let set = shop.out().join(SET);
    let told = shop.run("verify-files", &[text(&set)]).done();
    assert!(told.starts_with("1 sets with "), "{told}");
    shop.run("verify-files", &["/nowhere"]).refused(3, "cannot read /nowhere");
}

/// Changes the store behind the program's back; none if there is no Python here.
fn change_store(shop: &Shop, sql: &str) -> Option<()> {
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); \
                  db.executescript(sys.argv[2]); db.close()";
    let store = shop.path("gopay.db");
    match std::process::Command::new("python3").args(["-c", script, text(&store), sql]).status() {
        Ok(done) => {
            assert!(done.success(), "{sql}");
            Some(())
        }
        Err(error) => {
            gopay_testkit::not_tested(&format!("python3: {error}"));
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_in_the_store_is_told_from_damage() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    for day in 1..=3 {
        shop.settle(&format!("2026-01-0{day}")).done();
    }
    std::fs::copy(shop.path("gopay.db"), shop.path("copy.db")).expect("copied");
    let out = shop.out();
    for (sql, code, wanted) in [
        (
            "UPDATE payments SET merchant_tx_id = NULL, merchant_tx_key = NULL",
            0,
            "-volume-per-transaction.csv: as it was made; personal data in it has been erased",
        ),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM payments",
            0,
            "the files cannot be made again, since payment",
        ),
        (
            "UPDATE journal SET amount_sen = amount_sen + 100 WHERE kind = 'succeeded'",
            1,
            "the file is as it was made, but the store has changed: AMOUNT is \"30000.00\", must be \"30001.00\"",
        ),
        (
            "UPDATE settlements SET transfer = transfer + 1, manifest = replace(manifest, '16100.5', '16200.5')",
            1,
            "its manifest is not the one that was closed",
        ),
        (
            "DELETE FROM settlements WHERE ordinal = 3",
            1,
            "1-999-D-2026-003: the store has closed no such settlement",
        ),
    ] {
        std::fs::copy(shop.path("copy.db"), shop.path("gopay.db")).expect("copied");
        if change_store(&shop, sql).is_none() {
            return;
        }
        let ended = shop.run("verify-files", &[text(&out)]);
        assert_eq!(ended.code, Some(code), "{sql}: {ended:?}");
        assert!(ended.out.contains(wanted), "{sql}: {wanted:?} in\n{}", ended.out);
    }
}
