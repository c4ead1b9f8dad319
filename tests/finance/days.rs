//! `process-files` and `journal`.

use std::collections::BTreeMap;
use std::process::Command;

use gopay_store::{AttemptOutcome, Store as _};

use crate::settle::filled;
use crate::shop::{End, SECOND, Shop, at, ended, files, text};

/// The rows of a CSV file, by title.
fn rows(content: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(content);
    let titles = reader.headers().expect("titles").clone();
    let row = |row: Result<csv::StringRecord, csv::Error>| {
        let row = row.expect("a row");
        titles.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    };
    reader.records().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_has_a_row_for_each_state_that_was_entered() {
    let mut shop = Shop::new();
    let store = shop.open();
    let midnight = at("2026-01-03T00:00:00Z");
    let pay = |called, end| (called, 45_000, end);
    // Called before midnight, and paid after it.
    let over = shop.pay(&store, "SHOP", 0, pay(midnight.before(20 * SECOND), End::Paid)).await;
    let late = shop.pay(&store, "SHOP", 2, pay(midnight.before(60 * SECOND), End::Late(30))).await;
    let failed = shop.pay(&store, "SHOP", 2, pay(at("2026-01-03T05:00:00Z"), End::Failed)).await;
    let open = shop.pay(&store, "SHOP", 1, pay(at("2026-01-03T06:00:00Z"), End::Open)).await;
    // The last second of the day.
    let last = shop.pay(&store, "SHOP", 1, pay(at("2026-01-03T23:59:19.999999Z"), End::Paid)).await;
    let paid = shop.pay(&store, "SHOP", 3, pay(at("2026-01-01T01:00:00Z"), End::Paid)).await;
    let back = at("2026-01-02T12:00:00Z");
    let refund = shop.refund(&store, "SHOP", (paid, back, 1_000), true).await;
    store.close().await.expect("closed");

    let out = shop.path("days");
    let run = |day: &str| shop.run("process-files", &["--day", day, "--out", text(&out)]);
    let told = run("2026-01-03").done();
    assert_eq!(told, format!("{}: 8 rows\n", out.join("20260104Z-testclient").display()));
    let made = files(&out);
    assert_eq!(made.len(), 12);
    let of = |name: &str| {
        rows(&made[&format!("20260104Z-testclient/20260104Z_{name}.consolidated.csv")])
    };
    let ids = |name: &str, title: &str| -> Vec<String> {
        of(name).iter().map(|row| row[title].clone()).collect()
    };
    let texts = |ids: &[gopay_core::ids::TxId]| -> Vec<String> {
        ids.iter().map(ToString::to_string).collect()
    };
    // Shard by shard.
    assert_eq!(ids("transaction_succeeded", "TXID"), texts(&[over, last, late]));
    assert_eq!(ids("transaction_pending", "TXID"), texts(&[open, last, failed]));
    assert_eq!(ids("transaction_failed", "TXID"), texts(&[failed]));
    assert_eq!(ids("refund_fundssent", "REFUNDID"), [refund.to_string()]);
    for name in ["transaction_fundsreceived", "refund_succeeded", "chargeback"] {
        assert_eq!(of(name), [], "{name}");
    }
    let row = &of("transaction_succeeded")[2];
    for (title, value) in [
        ("TXSTATE", "SUCCEEDED"),
        ("FAILTYPE", "TIMEOUT"),
        ("AMOUNT", "4500000"),
        ("CURRENCY", "IDR"),
        ("ACCOUNTHOLDER", "Siti Rahma"),
        ("TAG", "livechannel"),
        ("SELLINGPOINT", "Web"),
        ("INITTS", "2026-01-02T23:59:00Z"),
        ("FAILEDTS", "2026-01-02T23:59:40Z"),
        ("SUCCEEDEDTS", "2026-01-03T00:00:10Z"),
        ("MCONTRACT", "SHOP"),
    ] {
        assert_eq!(row[title], value, "{title}");
    }
    assert_eq!(of("refund_fundssent")[0]["FUNDSSENTTS"], "2026-01-03T12:00:00Z");
    // The same again, and a day on which nothing happened.
    run("2026-01-03").done();
    assert_eq!(files(&out), made);
    assert!(run("2026-01-20").done().ends_with(": 0 rows\n"));
    run("2999-01-01").refused(3, "is not over");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_to_the_files_of_a_day_is_named() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    let out = shop.path("days");
    for day in ["2026-01-02", "2026-01-03"] {
        shop.run("process-files", &["--day", day, "--out", text(&out)]).done();
    }
    let verify = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
        command.args(["--log", "warn", "verify-files", text(&out)]).args(more);
        ended(&command.output().expect("the program runs"))
    };
    let config = shop.path("config.toml");
    let beside = ["--config", text(&config)];
    let told = verify(&beside).done();
    assert!(
        told.starts_with("2 sets with ") && told.ends_with("are as they were made\n"),
        "{told}"
    );
    let made = files(&out);
    let folder = "20260103Z-testclient";
    let paid = format!("{folder}/20260103Z_transaction_succeeded.consolidated.csv");
    let manifest = format!("{folder}/manifest.json");
    let damaged = |name: &str, change: &dyn Fn(String) -> Option<String>| {
        let content = String::from_utf8(made[name].clone()).expect("text");
        match change(content) {
            Some(content) => std::fs::write(out.join(name), content).expect("written"),
            None => std::fs::remove_file(out.join(name)).expect("removed"),
        }
        let told = [verify(&[]), verify(&beside)];
        std::fs::write(out.join(name), &made[name]).expect("written");
        told
    };
    let without_line = |content: String| {
        let lines: Vec<&str> = content.lines().collect();
        Some(lines[..lines.len() - 1].join("\n") + "\n")
    };
    type Change<'a> = &'a dyn Fn(String) -> Option<String>;
    let cases: [(&str, Change<'_>, &str, &str); 6] = [
        (
            &paid,
            &|content| Some(content.replacen(",SUCCEEDED,", ",SUCCEEDET,", 1)),
            "its SHA-256 is",
            "line 2: TXSTATE is \"SUCCEEDET\", must be \"SUCCEEDED\" (the store)",
        ),
        (&paid, &without_line, "the number of rows is", "the line is missing"),
        (
            &paid,
            &|content| Some(content + "1,2\n"),
            "the number of columns is 2",
            "a line too many",
        ),
        (&paid, &|_| None, "the file is missing", "the file is missing"),
        (&manifest, &|_| None, "manifest.json: the file is missing", "manifest.json"),
        (
            &manifest,
            &|content| Some(content.replacen("testclient", "other", 1)),
            "the name of the folder is",
            "the folder is missing: the store has",
        ),
    ];
    for (name, change, alone, with_store) in cases {
        for (ended, word) in damaged(name, change).iter().zip([alone, with_store]) {
            assert_eq!(ended.code, Some(1), "{ended:?}");
            assert!(ended.out.contains(word), "{word:?} in {}", ended.out);
        }
    }
    std::fs::write(out.join(folder).join("more.csv"), "x").expect("written");
    assert!(verify(&[]).out.contains("more.csv: the file is not one of the day"));
    std::fs::remove_file(out.join(folder).join("more.csv")).expect("removed");
    // Forged as a whole, with a manifest that fits: only the store knows.
    let forged =
        String::from_utf8(made[&paid].clone()).expect("text").replace("4500000", "4500001");
    let forged = forged.replacen("3003400", "3003401", 1);
    let sha256 = |content: &[u8]| hex::encode(<sha2::Sha256 as sha2::Digest>::digest(content));
    let (before, after) = (sha256(&made[&paid]), sha256(forged.as_bytes()));
    assert_ne!(before, after);
    let text_of = String::from_utf8(made[&manifest].clone()).expect("text");
    std::fs::write(out.join(&paid), forged).expect("written");
    std::fs::write(out.join(&manifest), text_of.replace(&before, &after)).expect("written");
    verify(&[]).done();
    let told = verify(&beside);
    assert!(told.code == Some(1) && told.out.contains("AMOUNT is \"3003401\""), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_is_a_file_of_money_events() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    let out = shop.path("journal.csv");
    let run = |args: &[&str]| shop.run("journal", &[&["--out", text(&out)], args].concat());
    run(&[]).done();
    let whole = rows(&std::fs::read(&out).expect("a file"));
    let head = std::fs::read_to_string(&out).expect("a file");
    let titles = "at,kind,channel,psp,contract,txid,merchanttxid,refundid,merchantrefundid,\
                  midtrans_id,payment_type,amount_sen,currency,midtrans_at,";
    assert!(head.starts_with(titles), "{head}");
    let count = |kind: &str| whole.iter().filter(|row| row["kind"] == kind).count();
    // Of 36 payments six failed; as many were late.
    assert_eq!(count("opened"), 36);
    assert_eq!(count("succeeded"), 30);
    assert_eq!(count("failed"), 12);
    assert_eq!((count("refund_requested"), count("refund_succeeded")), (5, 5));
    assert_eq!(count("refund_funds_confirmed"), 3);
    assert!(whole.iter().all(|row| row["channel"] == "livechannel" && row["contract"] == "SHOP"));
    run(&["--from", "2026-01-02", "--to", "2026-01-03"]).done();
    let part = rows(&std::fs::read(&out).expect("a file"));
    let wanted: Vec<_> = whole
        .into_iter()
        .filter(|row| ["2026-01-02", "2026-01-03"].contains(&&row["at"][..10]))
        .collect();
    let sorted = |mut rows: Vec<BTreeMap<String, String>>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(part), sorted(wanted));
    run(&["--from", "2026-01-04", "--to", "2026-01-03"]).refused(3, "--from is after --to");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_double_entry_balances_and_a_ledger_program_agrees() {
    let mut shop = Shop::new();
    filled(&mut shop).await;
    for day in 1..=6 {
        shop.settle(&format!("2026-01-0{day}")).done();
    }
    let out = shop.path("postings.csv");
    shop.run("journal", &["--format", "postings", "--out", text(&out)]).done();
    let mut sums: BTreeMap<(String, String, String), i64> = BTreeMap::new();
    let mut accounts: BTreeMap<(String, String), i64> = BTreeMap::new();
    for row in rows(&std::fs::read(&out).expect("a file")) {
        let hundredths: i64 = row["amount"].replace('.', "").parse().expect("an amount");
        let currency = row["currency"].clone();
        let booking = (row["code"].clone(), row["text"].clone(), currency.clone());
        *sums.entry(booking).or_default() += hundredths;
        *accounts.entry((row["account"].clone(), currency)).or_default() += hundredths;
    }
    assert!(sums.values().all(|sum| *sum == 0), "{sums:?}");
    // What the last settlement carries forward and holds back is what is owed.
    let manifest = shop.out().join("1-999-D-2026-006/manifest.json");
    let manifest = std::fs::read_to_string(manifest).expect("a file");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
    let hundredths = |value: &serde_json::Value| -> i64 {
        value.as_str().expect("text").replace('.', "").parse().expect("an amount")
    };
    let owed = |account: &str| accounts[&(account.to_owned(), "USD".to_owned())];
    assert_eq!(-owed("Liabilities:Merchants:SHOP"), hundredths(&manifest["carry_forward"]));
    let reserves = manifest["after"]["reserves"].as_array().expect("a list");
    let held: i64 = reserves.iter().map(|one| hundredths(&one["amount"])).sum();
    assert_eq!(-owed("Liabilities:Reserves"), held);
    assert!(-owed("Assets:Bank") > 0, "{accounts:?}");

    let ledger = shop.path("books.ledger");
    shop.run("journal", &["--format", "ledger", "--out", text(&ledger)]).done();
    let balance = |program: &&str| {
        Command::new(program).args(["-f", text(&ledger), "balance", "Reserves"]).output().ok()
    };
    let Some(balance) = ["ledger", "hledger"].iter().find_map(balance) else {
        return gopay_testkit::not_tested("neither ledger nor hledger is there to read the books");
    };
    assert!(balance.status.success(), "{balance:?}");
    let told = String::from_utf8_lossy(&balance.stdout).into_owned();
    let wanted = format!("-{}.{:02} USD", held / 100, held % 100);
    assert!(told.contains(&wanted), "{wanted} in {told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_a_shopper_leaves_the_books_whole() {
    let mut shop = Shop::new();
    let store = shop.open();
    let called = at("2026-01-03T05:00:00Z");
    let paid = shop.pay(&store, "SHOP", 0, (called, 45_000, End::Paid)).await;
    shop.pay(&store, "SHOP", 1, (called, 30_000, End::Paid)).await;
    let (now, lease) = (called.after(60 * SECOND), called.after(120 * SECOND));
    for owed in store.delivery_claim_due(now, lease, 9, &[]).await.expect("claimed") {
        let told = AttemptOutcome::Delivered;
        store.delivery_record(&owed, &told, serde_json::json!({}), now).await.expect("recorded");
    }
    store.close().await.expect("closed");
    let out = shop.path("days");
    shop.run("process-files", &["--day", "2026-01-03", "--out", text(&out)]).done();
    for day in ["2026-01-01", "2026-01-02", "2026-01-03"] {
        shop.settle(day).done();
    }
    let (made, journal) = (files(&out), shop.path("journal.csv"));
    let write_journal = || {
        shop.run("journal", &["--out", text(&journal)]).done();
        std::fs::read(&journal).expect("written")
    };
    let before = write_journal();
    let erase = ["--by", "Sri", "--reason", "asked", &paid.to_string()];
    assert!(shop.run("erase", &erase).done().contains("personal data erased"));
    shop.run("erase", &erase).refused(1, "erased before");

    assert_eq!(write_journal(), before);
    for folder in [&out, &shop.out()] {
        let ended = shop.run("verify-files", &[text(folder)]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let note =
            "as it was made; personal data in it has been erased in the store, or archived, since";
        assert_eq!(ended.out.contains(note), folder == &out, "{ended:?}");
    }
    shop.run("process-files", &["--day", "2026-01-03", "--out", text(&shop.path("again"))]).done();
    let changed: Vec<_> = files(&shop.path("again"))
        .into_iter()
        .filter(|(name, content)| made[name] != *content && name.ends_with(".csv"))
        .map(|(name, content)| (name, rows(&content)))
        .collect();
    assert!(!changed.is_empty());
    for (name, rows) in changed {
        let holders: Vec<_> = rows.iter().map(|row| row["ACCOUNTHOLDER"].as_str()).collect();
        assert_eq!(holders, ["", "Siti Rahma"], "{name}");
        assert!(rows.iter().all(|row| row["SELLINGPOINT"] == "Web"), "{name}");
    }
}
