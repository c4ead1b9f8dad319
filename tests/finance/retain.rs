//! `retain`: what is long over leaves the store for archives, whole or not at all, and is told as before.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gopay_core::ids::TxId;
use gopay_store::{AttemptOutcome, Search as _, Store as _, Upkeep as _};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_sqlite::SqliteStore;
use serde_json::{Value, json};

use crate::kills::has_strace;
use crate::shop::{End, SECOND, Shop, at, ended, files, text};

/// Two months of payments of which some still owe something.
struct Old {
    shop: Shop,
    /// Those that may go: of January and of February.
    over: Vec<TxId>,
    /// Those that may not.
    open: Vec<TxId>,
}

impl Old {
    async fn new() -> Self {
        let mut shop = Shop::new();
        let store = shop.open();
        let (mut over, mut open) = (Vec::new(), Vec::new());
        for month in ["01", "02"] {
            for number in 0..40_u32 {
                let called = at(&format!("2026-{month}-02T03:00:00Z")).after(SECOND * 60 * number);
                let end = if number == 7 { End::Open } else { End::Paid };
                let paid =
                    shop.pay(&store, "SHOP", 1, (called, 30_000 + u64::from(number), end)).await;
                if number == 9 {
                    shop.refund(&store, "SHOP", (paid, called.after(SECOND * 3_600), 5_000), true)
                        .await;
                }
                if number == 7 { open.push(paid) } else { over.push(paid) }
            }
        }
        let last = open.iter().chain(&over).max().copied().expect("payments");
        deliver_all(&store, last).await;
        over.retain(|tx_id| *tx_id != last);
        open.push(last);
        store.close().await.expect("closed");
        let old = Self { shop, over, open };
        let config = old.shop.path("config.toml");
        let mut file = std::fs::OpenOptions::new().append(true).open(config).expect("a file");
        let folder = old.archives();
        write!(file, "\n[retention]\nkeep = \"40d\"\nfolder = \"{}\"\n", folder.display())
            .expect("written");
        old
    }

    fn archives(&self) -> PathBuf {
        self.shop.path("archive")
    }

    fn explained(&self, tx_id: TxId) -> Value {
        let told = self.shop.run("explain", &["--json", &tx_id.to_string()]).done();
        serde_json::from_str::<Value>(&told).expect("JSON")[0].clone()
    }

    /// The stories of some of the payments, without where they were read.
    fn stories(&self) -> Vec<Value> {
        let some = [0, 9, 38, 39, 76].iter().filter_map(|place| self.over.get(*place));
        let mut stories: Vec<_> =
            some.chain(&self.open).map(|tx_id| self.explained(*tx_id)).collect();
        for story in &mut stories {
            story.as_object_mut().expect("an object").remove("archived");
        }
        stories
    }

    fn retain(&self, args: &[&str]) -> String {
        self.shop.run("retain", args).done()
    }
}

/// All but those of this payment.
async fn deliver_all(store: &SqliteStore, but: TxId) {
    let now = at("2026-03-01T00:00:00Z");
    loop {
        let lease = now.after(SECOND * 3_600);
        let claimed = store.delivery_claim_due(now, lease, 50, &[]).await.expect("claimed");
        if claimed.is_empty() {
            return;
        }
        for delivery in claimed.iter().filter(|delivery| delivery.tx_id != but) {
            let detail = json!({ "status": 200 });
            let told = AttemptOutcome::Delivered;
            store.delivery_record(delivery, &told, detail, now).await.expect("recorded");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn months_that_are_over_go_into_archives_and_are_told_as_before() {
    let old = Old::new().await;
    let (stories, totals) = (old.stories(), old.shop.run("totals", &["--recount"]).done());
    ["2026-01-01", "2026-01-02"].iter().for_each(|day| drop(old.shop.settle(day).done()));
    let (sets, days) = (old.shop.out(), old.shop.path("days"));
    old.shop.run("process-files", &["--day", "2026-01-02", "--out", text(&days)]).done();
    let told = old.retain(&[]);
    assert!(told.contains("2026-01: 39 payments and "), "{told}");
    assert!(told.contains("are in 2026-01.1; 39 payments have left"), "{told}");
    assert!(told.contains("2026-02: 38 payments and "), "{told}");
    assert!(old.retain(&[]).contains("nothing to archive"), "a second time");
    assert_eq!(old.retain(&["--verify"]), "2026-01.1: as it was made\n2026-02.2: as it was made\n");
    assert_eq!(old.stories(), stories);
    assert_eq!(old.explained(old.over[0])["archived"]["told"], json!(true));
    assert_eq!(old.explained(old.open[0])["archived"], Value::Null);
    assert_eq!(old.shop.run("totals", &["--recount"]).done(), totals);
    // Books are made of what stays.
    let verify = |folder| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
        let config = old.shop.path("config.toml");
        command.args(["verify-files", text(folder), "--config", text(&config)]);
        ended(&command.output().expect("it runs")).done()
    };
    verify(&sets);
    let noted = verify(&days);
    assert!(noted.contains("erased in the store, or archived, since"), "{noted}");
    let before = files(&sets);
    old.shop.settle("2026-01-02").done();
    assert_eq!(files(&sets), before);
    let store = old.shop.open();
    assert_eq!(store.payment_trail(old.over[0]).await.expect("read"), []);
    assert!(!store.payment_trail(old.open[0]).await.expect("read").is_empty());
    store.close().await.expect("closed");
    let erased =
        old.shop.run("erase", &["--reason", "asked", "--by", "ana", &old.over[0].to_string()]);
    erased.refused(1, "in archive 1 in plain text");
    for number in ["1", "2"] {
        old.retain(&["--give-back", number]);
    }
    assert_eq!(old.stories(), stories);
    assert_eq!(old.explained(old.over[0])["archived"], Value::Null);
    old.shop.run("erase", &["--reason", "asked", "--by", "ana", &old.over[0].to_string()]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_missing_archive_is_told_and_leaves_the_rest_of_the_story() {
    let old = Old::new().await;
    old.retain(&[]);
    let file = old.archives().join("2026-01.1/payments.jsonl.gz");
    let mut bytes = std::fs::read(&file).expect("a file");
    bytes[40] ^= 1;
    std::fs::write(&file, bytes).expect("written");
    let verified = old.shop.run("retain", &["--verify"]);
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert!(verified.out.contains("2026-02.2: as it was made"), "{verified:?}");
    old.shop.run("retain", &["--give-back", "1"]).refused(3, "2026-01.1");
    std::fs::remove_dir_all(old.archives().join("2026-01.1")).expect("removed");
    let told = old.shop.run("explain", &[&old.over[0].to_string()]);
    assert!(told.err.contains("cannot be read"), "{told:?}");
    assert!(told.done().contains("in archive 2026-01.1: see there"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_and_doubles_nothing() {
    if !has_strace() {
        return;
    }
    let old = Old::new().await;
    std::fs::copy(old.shop.path("gopay.db"), old.shop.path("copy.db")).expect("copied");
    let stories = old.stories();
    let mut kills = 0;
    for (calls, step) in [
        ("mkdir", 1),
        ("write", 3),
        ("fsync", 1),
        ("renameat2", 1),
        ("fdatasync", 3),
        ("pwrite64", 29),
    ] {
        let mut number = 1;
        while killed(&old, calls, number).await {
            (number, kills) = (number + step, kills + 1);
        }
        assert_eq!(old.stories(), stories, "{calls}");
    }
    assert!(kills > 20, "{kills}");
}

/// Whether the program was killed at the call of this number; in the end all is in archives once.
async fn killed(old: &Old, calls: &str, number: u32) -> bool {
    let _ = std::fs::remove_dir_all(old.archives());
    for ending in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(old.shop.path(&format!("gopay.db{ending}")));
    }
    std::fs::copy(old.shop.path("copy.db"), old.shop.path("gopay.db")).expect("copied");
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
    command.args(["-e", &inject, env!("CARGO_BIN_EXE_gopay-adapter"), "retain", "--config"]);
    command.arg(old.shop.path("config.toml"));
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
    old.retain(&[]);
    let case = format!("{calls} {number}");
    let store = old.shop.open();
    let archives = store.archives().await.expect("read");
    assert!(
        archives.iter().all(|one| one.ended_at.is_some() && one.taken == one.payments),
        "{case}"
    );
    assert_eq!(archives.iter().map(|one| one.taken).sum::<u64>(), 77, "{case}");
    for tx_id in &old.over {
        assert!(store.archive_of(*tx_id).await.expect("read").is_some(), "{case}: {tx_id}");
        assert_eq!(store.payment_trail(*tx_id).await.expect("read"), [], "{case}: {tx_id}");
    }
    store.close().await.expect("closed");
    let lines = lines_of(&old.archives());
    assert_eq!(lines.len(), 77, "{case}: nothing is in two archives");
    assert!(old.over.iter().all(|tx_id| lines.contains(&tx_id.to_string())), "{case}");
    !ended.success()
}

/// The TXIDs of all archives, as `zcat` gives them out.
fn lines_of(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path().join("payments.jsonl.gz");
        let zcat = Command::new("zcat").arg(path).output().expect("zcat runs");
        for line in String::from_utf8(zcat.stdout).expect("text").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            found.push(line["tx_id"].as_str().expect("a TXID").to_owned());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_on_the_other_engine() {
    let start = || Cluster::start(Durability::Off).expect("PostgreSQL starts");
    let cluster = tokio::task::spawn_blocking(start).await.expect("no panic");
    // It has said that nothing was tested.
    let Some(cluster) = cluster else { return };
    let old = Old::new().await;
    let url = cluster.empty().await.expect("a database");
    let from = format!("sqlite:{}", old.shop.path("gopay.db").display());
    let mut copy = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    copy.args(["--log", "warn", "copy-store", "--from", &from, "--to", &url]);
    ended(&copy.output().expect("it runs")).done();
    let config = std::fs::read_to_string(old.shop.path("config.toml")).expect("a file");
    std::fs::write(old.shop.path("config.toml"), config.replace(&from, &url)).expect("written");
    let (stories, totals) = (old.stories(), old.shop.run("totals", &["--recount"]).done());
    assert!(old.retain(&[]).contains("38 payments have left"));
    old.retain(&["--verify"]);
    assert_eq!(old.stories(), stories);
    assert_eq!(old.shop.run("totals", &["--recount"]).done(), totals);
    old.retain(&["--give-back", "2"]);
    assert_eq!(old.stories(), stories);
}
