//! `settle` killed at every system call that changes the disk, run twice, run beside others: in the
//! end the set is there as a whole, or not at all.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use gopay_core::payment::{Closure, Event};
use gopay_store::Store as _;

use crate::settle::filled;
use crate::shop::{End, Shop, at, ended, files, text};

/// A shop whose first day is to be closed, with a copy of its store and the files of the day.
struct Prepared {
    shop: Shop,
    /// What the closing must leave.
    wanted: BTreeMap<String, Vec<u8>>,
}

impl Prepared {
    async fn new() -> Self {
        let mut shop = Shop::new();
        filled(&mut shop).await;
        std::fs::copy(shop.path("gopay.db"), shop.path("copy.db")).expect("copied");
        shop.settle("2026-01-01").done();
        let prepared = Self { wanted: files(&shop.out()), shop };
        prepared.reset();
        prepared
    }

    fn reset(&self) {
        let _ = std::fs::remove_dir_all(self.shop.out());
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(self.shop.path(&format!("gopay.db{ending}")));
        }
        std::fs::copy(self.shop.path("copy.db"), self.shop.path("gopay.db")).expect("copied");
    }

    fn args(&self) -> Vec<String> {
        let (config, out) = (self.shop.path("config.toml"), self.shop.out());
        ["--log", "warn", "settle", "--frequency", "D", "--period", "2026-01-01", "--by", "ana"]
            .into_iter()
            .chain(["--config", text(&config), "--out", text(&out)])
            .map(str::to_owned)
            .collect()
    }

    /// The sets of the folder, without what is under way.
    fn sets(&self) -> BTreeMap<String, Vec<u8>> {
        let out = self.shop.out();
        if !out.exists() {
            return BTreeMap::new();
        }
        let mut found = files(&out);
        found.retain(|name, _| !name.starts_with('.'));
        found
    }

    fn verify(&self) {
        let (out, config) = (self.shop.out(), self.shop.path("config.toml"));
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
        command.args(["verify-files", text(&out), "--config", text(&config)]);
        ended(&command.output().expect("it runs")).done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_the_whole_set_or_nothing() {
    let prepared = Prepared::new().await;
    let mut kills = 0;
    // The calls of files and folders, and those of the store.
    for calls in
        ["mkdir", "write", "fsync", "renameat2", "unlinkat", "pwrite64", "fdatasync", "ftruncate"]
    {
        let mut number = 1;
        while killed(&prepared, calls, number) {
            (number, kills) = (number + 1, kills + 1);
        }
        eprintln!("{calls}: {}", number - 1);
    }
    prepared.verify();
    eprintln!("{kills} kills");
    assert!(kills > 50 || !has_strace(), "{kills}");
}

/// Whether the program was killed at the call of this number; in the end all is well.
fn killed(prepared: &Prepared, calls: &str, number: u32) -> bool {
    if !has_strace() {
        return false;
    }
    prepared.reset();
    let inject = format!("inject={calls}:signal=KILL:when={number}");
    let mut command = std::process::Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={calls}"));
    command.args(["-e", &inject, env!("CARGO_BIN_EXE_gopay-adapter")]).args(prepared.args());
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("it runs");
    let sets = prepared.sets();
    let whole = sets.is_empty() || sets == prepared.wanted;
    assert!(whole, "{calls} {number}: {:?}", sets.keys());
    // Run again, it is whole, and nothing is left of what was under way.
    prepared.shop.settle("2026-01-01").done();
    assert_eq!(files(&prepared.shop.out()), prepared.wanted, "{calls} {number}");
    !ended.success()
}

pub(crate) fn has_strace() -> bool {
    let found = std::process::Command::new("strace").arg("-V").output().is_ok();
    if !found {
        gopay_testkit::not_tested("strace is missing: kills at system calls");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn of_those_that_run_at_once_one_closes_and_all_leave_the_same() {
    let prepared = Prepared::new().await;
    for _ in 0..4 {
        prepared.reset();
        let start = || {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
            command.args(prepared.args()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().expect("it starts")
        };
        let running: Vec<_> = (0..4).map(|_| start()).collect();
        let told: Vec<String> = running
            .into_iter()
            .map(|one| ended(&one.wait_with_output().expect("it ends")).done())
            .collect();
        let closed = told.iter().filter(|told| told.contains(": closed: ")).count();
        assert_eq!(closed, 1, "{told:#?}");
        assert_eq!(files(&prepared.shop.out()), prepared.wanted);
    }
    prepared.verify();
}

/// Beside a store that is open and written to, as `serve` has it.
#[tokio::test(flavor = "multi_thread")]
async fn periods_are_closed_beside_a_running_store() {
    let mut prepared = Prepared::new().await;
    let store = prepared.shop.open();
    let called = at("2026-01-08T10:00:00Z");
    let before = prepared.shop.pay(&store, "SHOP", 0, (called, 10_000, End::Open)).await;
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..200_u32 {
                let at = called.after(std::time::Duration::from_millis(number.into()));
                let note = gopay_store::Note { kind: "beside", detail: serde_json::json!(number) };
                store.payment_note(before, &[note], at).await.expect("written");
            }
        })
    };
    let shop = &prepared.shop;
    tokio::task::block_in_place(|| {
        shop.settle("2026-01-01").done();
        shop.settle("2026-01-02").done();
    });
    writing.await.expect("it ends");
    let expired = Event::Closed(Closure::Expired);
    store.payment_apply(before, &expired, None, &[], called).await.expect("applied");
    store.close().await.expect("closed");
    let first = |name: &String| name.starts_with("1-999-D-2026-001/");
    let made = files(&prepared.shop.out()).into_iter().filter(|(name, _)| first(name)).collect();
    assert_eq!(prepared.wanted, made);
    prepared.verify();
}

/// What commits after the closing with a time before its end is in the next set, with its time.
#[tokio::test(flavor = "multi_thread")]
async fn what_commits_late_is_in_the_next_set() {
    let mut shop = Shop::new();
    let store = shop.open();
    let pay = |time| (at(time), 20_000, End::Paid);
    let early = shop.pay(&store, "SHOP", 1, pay("2026-01-01T12:00:00Z")).await;
    tokio::task::block_in_place(|| shop.settle("2026-01-01").done());
    let late = shop.pay(&store, "SHOP", 1, pay("2026-01-01T13:00:00Z")).await;
    let other = shop.pay(&store, "SHOP", 3, pay("2026-01-01T14:00:00Z")).await;
    tokio::task::block_in_place(|| {
        shop.settle("2026-01-02").done();
        shop.settle("2026-01-03").done();
    });
    store.close().await.expect("closed");
    for (day, wanted) in [(1, vec![early]), (2, vec![late, other]), (3, vec![])] {
        let set = format!("1-999-D-2026-00{day}");
        let file = shop.out().join(&set).join(format!("{set}-volume-per-transaction.csv"));
        let found = ids(&file);
        let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
        assert_eq!(found, wanted, "{set}");
    }
}

fn ids(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("a file");
    let rows = text.lines().skip(1).filter(|line| line.matches(',').count() > 2);
    rows.map(|line| line.split(',').nth(1).expect("an id").to_owned()).collect()
}
