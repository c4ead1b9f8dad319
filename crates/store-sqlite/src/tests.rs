//! What is particular to this engine: files, crashes, groups and queues.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use gopay_core::ids::{RefundId, TxId};
use gopay_core::money::Sen;
use gopay_core::payment::{Event, Nonce, Payment, PaymentState};
use gopay_core::refund::{REFUND_WINDOW_MAX, RefundRequest, RefundTerms};
use gopay_core::time::Timestamp;
use gopay_store::{Created, Note, Search as _, Store as _, StoreError};
use gopay_testkit::{sample, wait};
use rusqlite::Connection;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{Options, SqliteStore};

mod astray;

/// So long that a store which is down has tried to open its file again, once at least.
const LOOKED_AGAIN: Duration = Duration::from_millis(400);

/// A folder that lives as long as the test, and the path of a store in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    (folder, path)
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).unwrap()
}

fn open_error(path: &Path) -> StoreError {
    match SqliteStore::open(path, Options::default()) {
        Ok(_) => panic!("{} opened", path.display()),
        Err(error) => error,
    }
}

/// The whole chain of an error, in which people look for the reason.
fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

fn is_down<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Down(_)))
}

fn tx(number: i64) -> TxId {
    TxId::new(number).unwrap()
}

fn start() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000)
}

fn payment(number: i64) -> Payment {
    sample::payment_with(number, start(), |payment| {
        payment.nonce = Some(Nonce { value: format!("nonce-{number}"), fingerprint: [1; 32] });
        payment.next_check_at = Some(start());
    })
}

fn paid() -> Event {
    Event::Paid {
        midtrans_tx_id: "m-1".into(),
        paid_at: None,
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    }
}

async fn create(store: &SqliteStore, number: i64) {
    let notes = [Note { kind: "charge_sent", detail: json!({ "n": number }) }];
    let created = store.payment_create(&payment(number), "{}", &notes).await.unwrap();
    assert_eq!(created, Created::New);
}

async fn pay(store: &SqliteStore, number: i64) {
    store.payment_apply(tx(number), &paid(), None, &[], start()).await.unwrap();
}

/// Holds the writer at its work until the sender is dropped, so that what comes meanwhile is one
/// group.
async fn hold_writer(store: &SqliteStore) -> (Sender<()>, JoinHandle<Result<(), StoreError>>) {
    let (release, gate) = channel::<()>();
    let (begun, begins) = tokio::sync::oneshot::channel();
    // A step may run twice.
    let begun = std::cell::Cell::new(Some(begun));
    let store = store.clone();
    let held = tokio::spawn(async move {
        store
            .write(move |_| {
                if let Some(begun) = begun.take() {
                    begun.send(()).unwrap();
                }
                assert!(gate.recv().is_err());
                Ok(())
            })
            .await
    });
    begins.await.unwrap();
    (release, held)
}

fn create_later(store: &SqliteStore, number: i64) -> JoinHandle<Result<Created, StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { store.payment_create(&payment(number), "{}", &[]).await })
}

/// A step whose commit fails: the row's payment does not exist, which is found out at the end.
async fn fail_commit(
    store: &SqliteStore,
    before: impl Fn() + Send + 'static,
) -> Result<(), StoreError> {
    store
        .write(move |db| {
            before();
            db.execute_batch(
                "PRAGMA defer_foreign_keys = ON;
                INSERT INTO events VALUES (404, 1, 0, 'x', '{}')",
            )
            .map_err(crate::error::failed)
        })
        .await
}

/// Waits until so many steps are in the queue of the held writer.
async fn until_queued(store: &SqliteStore, count: usize) {
    let began = Instant::now();
    while store.queued_writes() != count {
        assert!(began.elapsed() < Duration::from_secs(10), "{} wait", store.queued_writes());
        tokio::task::yield_now().await;
    }
}

async fn until_up(store: &SqliteStore) {
    wait::eventually("the store is up", async || store.ping(start()).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_store_is_one_file_that_opens_again() {
    let (folder, path) = place();
    let path = path.parent().unwrap().join("new/folder/store.db");
    let store = open(&path);
    create(&store, 1).await;
    pay(&store, 1).await;
    let handle = store.clone();
    store.close().await.unwrap();
    assert!(is_down(&handle.payment_get(tx(1)).await));
    assert!(is_down(&handle.ping(start()).await));
    assert!(is_down(&handle.totals().await));
    handle.close().await.unwrap();
    assert!(!path.with_extension("db-wal").exists());

    let store = open(&path);
    let payment = store.payment_get(tx(1)).await.unwrap().unwrap();
    assert_eq!(payment.state, PaymentState::Succeeded);
    assert_eq!(store.payment_trail(tx(1)).await.unwrap().len(), 2);
    assert_eq!(store.deliveries_of(tx(1)).await.unwrap().len(), 1);
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_dropped_finishes_and_unlocks() {
    let (_folder, path) = place();
    let store = open(&path);
    let (release, held) = hold_writer(&store).await;
    let waiting = create_later(&store, 1);
    until_queued(&store, 1).await;
    held.abort();
    drop(release);
    waiting.await.unwrap().unwrap();
    drop(store);
    let opened = async || SqliteStore::open(&path, Options::default()).ok();
    let store = wait::found("the file is free", opened).await;
    assert!(store.payment_get(tx(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_opening_is_refused_and_says_who_holds_the_file() {
    let (_folder, path) = place();
    let store = open(&path);
    let error = chain(&open_error(&path));
    assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
    let link = path.with_file_name("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(chain(&open_error(&link)).contains("in use by process"));
    store.close().await.unwrap();
    open(&path).close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_opened_says_why() {
    let (folder, path) = place();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    let newer = folder.path().join("newer.db");
    open(&newer).close().await.unwrap();
    let db = Connection::open(&newer).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    db.close().unwrap();
    let known = SqliteStore::schema_version_known();
    let error = open_error(&newer);
    assert!(matches!(error, StoreError::Schema { found: 99, known: k } if k == known), "{error}");
    assert_eq!(SqliteStore::schema_version(&newer).unwrap(), 99);

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (id)").unwrap();
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is no database, but it is long enough to be read as one").unwrap();
    for (path, reason) in [
        (folder.path().join("file/store.db"), "cannot create folder"),
        (folder.path().to_path_buf(), "unable to open database file"),
        (other, "database of another program"),
        (text, "file is not a database"),
    ] {
        let error = chain(&open_error(&path));
        assert!(error.contains(reason), "{error}");
        assert!(
            error.contains(path.to_str().unwrap()) || reason == "cannot create folder",
            "{error}"
        );
    }
    assert!(is_down(&SqliteStore::schema_version(&path)));
    assert!(!path.exists());
    open(&path).close().await.unwrap();
    assert_eq!(SqliteStore::schema_version(&path).unwrap(), known);
}

/// Runs in a process of its own, which is killed: stores payments and says so, without end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other half of a_killed_process_keeps_what_it_answered"]
async fn child_that_is_killed() {
    let Ok(path) = std::env::var("GOPAY_STORE_SQLITE_CHILD") else { return };
    // Checkpoints are part of what may be cut short.
    let options = Options { checkpoint_pages: 50, ..Options::default() };
    let store = SqliteStore::open(Path::new(&path), options).unwrap();
    let first: i64 = std::env::var("GOPAY_STORE_SQLITE_FIRST").unwrap().parse().unwrap();
    let mut tasks = Vec::new();
    for task in 0..8 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            for number in (first + task..).step_by(8) {
                create(&store, number).await;
                pay(&store, number).await;
                println!("paid {number}");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_keeps_what_it_answered() {
    let (_folder, path) = place();
    let mut paid = Vec::new();
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::child_that_is_killed", "--ignored", "--nocapture"])
            .env("GOPAY_STORE_SQLITE_CHILD", &path)
            .env("GOPAY_STORE_SQLITE_FIRST", (round * 1_000_000 + 1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = |line: String| {
            // A line may have been cut short by the end of the process.
            if let Some(number) = line.strip_prefix("paid ").and_then(|n| n.parse::<i64>().ok()) {
                paid.push(number);
            }
        };
        lines.by_ref().take(150 + round_lines(round)).map(Result::unwrap).for_each(&mut told);
        child.kill().unwrap();
        // What it said before it was killed counts as well, except for a last half of a number.
        let mut rest: Vec<_> = lines.map(Result::unwrap).collect();
        rest.pop();
        rest.into_iter().for_each(told);
        child.wait().unwrap();
    }
    assert!(paid.len() > 400);
    let store = open(&path);
    for number in paid {
        let payment = store.payment_get(tx(number)).await.unwrap().unwrap();
        assert_eq!(payment.state, PaymentState::Succeeded, "payment {number}");
    }
    let totals = store.totals().await.unwrap();
    assert_eq!(totals.deliveries.get("waiting"), totals.payments.get("succeeded"));
    store.close().await.unwrap();
    let db = Connection::open(&path).unwrap();
    let whole: String = db.query_one("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}

/// Kills come at different distances from a checkpoint.
fn round_lines(round: i64) -> usize {
    usize::try_from(round).unwrap() * 37
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_files_of_a_running_store_opens() {
    let (folder, path) = place();
    let store = open(&path);
    for number in 1..=50 {
        create(&store, number).await;
    }
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 51..=400 {
                create(&store, number).await;
            }
        })
    };
    // The main file first: until the first checkpoint, which is far, only the log grows.
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(path.with_extension("db-wal"), copy.with_extension("db-wal")).unwrap();
    let copied = open(&copy);
    for number in 1..=50 {
        let found = copied.payment_get(tx(number)).await.unwrap().unwrap();
        assert_eq!(found, payment(number));
        assert_eq!(copied.payment_trail(tx(number)).await.unwrap().len(), 1);
    }
    writing.await.unwrap();
    assert_eq!(store.totals().await.unwrap().payments["initialized"], 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_commit_everything_is_down_until_the_file_was_read_again() {
    let (_folder, path) = place();
    let store = open(&path);
    create(&store, 1).await;
    let files = ["db", "db-wal", "db-shm"];
    let place = path.clone();
    let away = move |file: &str| place.with_extension(format!("{file}.away"));
    let (release, held) = hold_writer(&store).await;
    let good = create_later(&store, 2);
    let taken = create_later(&store, 1);
    until_queued(&store, 2).await;
    let bad = {
        let (store, path, away) = (store.clone(), path.clone(), away.clone());
        // As long as the file is away, it cannot be opened again. A step may run twice.
        let take = move || {
            for file in files {
                let _ = std::fs::rename(path.with_extension(file), away(file));
            }
        };
        tokio::spawn(async move { fail_commit(&store, take).await })
    };
    until_queued(&store, 3).await;
    drop(release);
    held.await.unwrap().unwrap();
    // The whole group is lost, also what had succeeded, or failed, by itself.
    assert!(is_down(&good.await.unwrap()));
    assert!(is_down(&taken.await.unwrap()));
    let error = bad.await.unwrap();
    assert!(is_down(&error));
    assert!(chain(&error.unwrap_err()).contains("FOREIGN KEY"));

    let counted = store.counters();
    wait::throughout(LOOKED_AGAIN, "nothing is answered", async || {
        is_down(&store.payment_get(tx(1)).await)
            && is_down(&store.totals().await)
            && is_down(&store.payment_create(&payment(3), "{}", &[]).await)
    })
    .await;
    assert_eq!(store.counters(), counted);
    assert!(!path.exists(), "a store that vanished must not come back empty");
    for file in files {
        std::fs::rename(away(file), path.with_extension(file)).unwrap();
    }
    until_up(&store).await;
    assert_eq!(store.payment_get(tx(1)).await.unwrap(), Some(payment(1)));
    assert_eq!(store.payment_get(tx(2)).await.unwrap(), None);
    create(&store, 2).await;
    store.close().await.unwrap();
    assert!(open(&path).payment_get(tx(2)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_survived() {
    let (_folder, path) = place();
    let store = open(&path);
    create(&store, 1).await;
    let limited = store
        .write(|db| db.execute_batch("PRAGMA max_page_count = 1").map_err(crate::error::failed));
    limited.await.unwrap();
    let large = "x".repeat(1_000_000);
    let error = store.payment_create(&payment(2), &large, &[]).await.unwrap_err();
    assert!(chain(&error).contains("full"), "{}", chain(&error));
    until_up(&store).await;
    assert_eq!(store.payment_get(tx(2)).await.unwrap(), None);
    assert_eq!(store.payment_create(&payment(2), &large, &[]).await.unwrap(), Created::New);
    assert!(store.payment_get(tx(1)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_come_together_share_a_commit() {
    let (_folder, path) = place();
    let store = open(&path);
    let (release, held) = hold_writer(&store).await;
    let waiting: Vec<_> = (1..=64).map(|number| create_later(&store, number)).collect();
    until_queued(&store, 64).await;
    let before = store.counters();
    drop(release);
    held.await.unwrap().unwrap();
    for step in waiting {
        step.await.unwrap().unwrap();
    }
    let after = store.counters();
    assert_eq!(after.jobs - before.jobs, 65);
    assert_eq!(after.commits - before.commits, 2);
    assert_eq!(after.largest_group, 64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_or_panics_takes_no_other_with_it() {
    let (_folder, path) = place();
    let store = open(&path);
    let (release, held) = hold_writer(&store).await;
    let good = create_later(&store, 1);
    until_queued(&store, 1).await;
    let bad = [false, true].map(|panics| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |db| {
                    let mut record = payment(2).into_record();
                    record.nonce = None;
                    let other = Payment::restore(record).unwrap();
                    crate::payments::payment_create(db, &other, "{}", &[], None)?;
                    assert!(!panics, "a bug");
                    Err::<(), _>(StoreError::Conflict)
                })
                .await
        })
    });
    until_queued(&store, 3).await;
    let also_good = create_later(&store, 3);
    until_queued(&store, 4).await;
    drop(release);
    held.await.unwrap().unwrap();
    good.await.unwrap().unwrap();
    also_good.await.unwrap().unwrap();
    let [fails, panics] = bad;
    assert!(matches!(fails.await.unwrap(), Err(StoreError::Conflict)));
    assert!(is_down(&panics.await.unwrap()));
    assert_eq!(store.counters().largest_group, 4);
    for (number, there) in [(1, true), (2, false), (3, true)] {
        let found = store.payment_get(tx(number)).await.unwrap();
        assert_eq!(found.is_some(), there, "payment {number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_busy_at_once() {
    let (_folder, path) = place();
    let store = SqliteStore::open(&path, Options { queue: 2, ..Options::default() }).unwrap();
    let (release, held) = hold_writer(&store).await;
    let waiting = [1, 2].map(|number| create_later(&store, number));
    until_queued(&store, 2).await;
    let asked = Instant::now();
    let refused = store.payment_create(&payment(3), "{}", &[]).await;
    assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
    assert!(asked.elapsed() < Duration::from_secs(1));
    // Reads have a queue of their own.
    assert_eq!(store.payment_get(tx(1)).await.unwrap(), None);
    drop(release);
    held.await.unwrap().unwrap();
    for step in waiting {
        step.await.unwrap().unwrap();
    }
    create(&store, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_caller_has_gone_is_never_begun() {
    let (_folder, path) = place();
    let store = open(&path);
    let (release, held) = hold_writer(&store).await;
    let gone = create_later(&store, 1);
    let stays = create_later(&store, 2);
    until_queued(&store, 2).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    drop(release);
    held.await.unwrap().unwrap();
    stays.await.unwrap().unwrap();
    assert_eq!(store.payment_get(tx(1)).await.unwrap(), None);
    assert!(store.payment_get(tx(2)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_store_equals_it() {
    let (folder, path) = place();
    let store = open(&path);
    for number in 1..=30 {
        create(&store, number).await;
        pay(&store, number).await;
    }
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 31..=200 {
                create(&store, number).await;
            }
        })
    };
    let to = folder.path().join("backup.db");
    store.backup(&to).await.unwrap();
    writing.await.unwrap();
    assert!(!folder.path().join("backup.db.partial").exists());

    let copy = open(&to);
    for number in 1..=30 {
        let id = tx(number);
        let found = copy.payment_get(id).await.unwrap();
        assert!(found.is_some());
        assert_eq!(found, store.payment_get(id).await.unwrap());
        assert_eq!(copy.payment_trail(id).await.unwrap(), store.payment_trail(id).await.unwrap());
        assert_eq!(copy.deliveries_of(id).await.unwrap(), store.deliveries_of(id).await.unwrap());
    }
    create(&copy, 1_000).await;
    copy.close().await.unwrap();

    let before = std::fs::read(&to).unwrap();
    let error = store.backup(&to).await.unwrap_err();
    assert!(chain(&error).contains("cannot create"), "{}", chain(&error));
    assert_eq!(std::fs::read(&to).unwrap(), before);
    let nowhere = folder.path().join("nowhere/backup.db");
    assert!(is_down(&store.backup(&nowhere).await));
    std::fs::write(folder.path().join("second.db.partial"), "x").unwrap();
    let second = folder.path().join("second.db");
    let error = store.backup(&second).await.unwrap_err();
    assert!(chain(&error).contains("another backup"), "{}", chain(&error));
    assert!(!second.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_copied_into_the_main_file() {
    let (_folder, path) = place();
    let options = Options { checkpoint_pages: 20, ..Options::default() };
    let store = SqliteStore::open(&path, options).unwrap();
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let empty = size(&path);
    for number in 1..=300 {
        create(&store, number).await;
    }
    assert!(size(&path) > empty);
    // Each step writes some ten pages; the log is used again from its start, at the latest when it is
    // five times as long as usual.
    assert!(size(&path.with_extension("db-wal")) < (5 * 20 + 40) * 4_200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_parse_is_named() {
    let (_folder, path) = place();
    let refund = RefundId::new(9).unwrap();
    #[rustfmt::skip]
    let rows = [
        ("UPDATE payments SET state = 'paused'", "payments", "state"),
        ("UPDATE payments SET upstream = ''", "payments", "upstream"),
        ("UPDATE payments SET channel = 'x'", "payments", "channel"),
        ("UPDATE payments SET amount_sen = 150", "payments", "amount_sen"),
        ("UPDATE payments SET amount_sen = -100", "payments", "amount_sen"),
        ("UPDATE payments SET fingerprint = x'00'", "payments", "fingerprint"),
        ("UPDATE payments SET fail_reason = 'BAD', fail_message = ''", "payments", "fail_reason"),
        ("UPDATE payments SET fail_reason = 'TIMEOUT'", "payments", "fail_message"),
        ("UPDATE payments SET checks = -1", "payments", "checks"),
        ("UPDATE payments SET client = cast(x'ff' AS TEXT)", "payments", "client"),
        ("UPDATE payments SET refund_reserved_sen = -1", "payments", "refund_reserved_sen"),
        ("UPDATE payment_requests SET request = cast(x'ff' AS TEXT)", "payment_requests", "request"),
        ("UPDATE events SET detail = '{'", "events", "detail"),
        ("UPDATE deliveries SET state = 'lost'", "deliveries", "state"),
        ("UPDATE deliveries SET attempts = 5000000000", "deliveries", "attempts"),
        ("UPDATE refunds SET state = 'failed'", "refunds", "state"),
        ("UPDATE refunds SET amount_sen = 1", "refunds", "amount_sen"),
    ];
    for (number, (sql, table, column)) in (1..).zip(rows) {
        let path = path.with_file_name(format!("{number}.db"));
        let store = open(&path);
        create(&store, 7).await;
        pay(&store, 7).await;
        let order = RefundRequest {
            refund_id: refund,
            tx_id: tx(7),
            psp: "testclient".into(),
            contract: "TESTCONTRACT".into(),
            merchant_refund_id: None,
            currency: "IDR".into(),
            amount: Sen::new(100),
            descriptor: None,
            terms: RefundTerms { allowed: true, window: REFUND_WINDOW_MAX },
        };
        store.refund_reserve(&order, start()).await.unwrap();
        let damage = Connection::open(&path).unwrap();
        damage.execute_batch("PRAGMA ignore_check_constraints = ON").unwrap();
        damage.execute_batch(sql).unwrap();
        let result = match table {
            "payments" => store.payment_get(tx(7)).await.map(drop),
            "payment_requests" => store.payment_request(tx(7)).await.map(drop),
            "events" => store.payment_trail(tx(7)).await.map(drop),
            "deliveries" => store.deliveries_of(tx(7)).await.map(drop),
            _ => store.refund_get(refund).await.map(drop),
        };
        let key = if table == "refunds" {
            "9"
        } else if table == "deliveries" {
            "1"
        } else {
            "7"
        };
        match result {
            Err(StoreError::Corrupt { table: t, column: c, row }) => {
                assert_eq!((t, c, row.as_str()), (table, column, key), "{sql}");
            }
            other => panic!("{sql}: {other:?}"),
        }
        if table == "payments" {
            let applied = store.payment_apply(tx(7), &paid(), None, &[], start()).await;
            assert!(matches!(applied, Err(StoreError::Corrupt { .. })), "{sql}: {applied:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_parse_does_not_stop_a_queue() {
    let (_folder, path) = place();
    let store = open(&path);
    for number in 1..=3 {
        create(&store, number).await;
    }
    let damage = Connection::open(&path).unwrap();
    damage.execute_batch("UPDATE payments SET amount_sen = 1 WHERE tx_id = 1").unwrap();
    let claimed = store.payment_claim_due(start(), 2).await.unwrap();
    assert_eq!(claimed.iter().map(|payment| payment.tx_id).collect::<Vec<_>>(), [tx(2)]);
    let claimed = store.payment_claim_due(start(), 2).await.unwrap();
    assert_eq!(claimed.iter().map(|payment| payment.tx_id).collect::<Vec<_>>(), [tx(3)]);
    assert_eq!(store.payment_claim_due(start(), 2).await.unwrap(), []);

    for number in 4..=6 {
        create(&store, number).await;
        pay(&store, number).await;
    }
    damage.execute_batch("UPDATE deliveries SET attempts = -1 WHERE tx_id = 4").unwrap();
    let claim =
        || store.delivery_claim_due(start(), start().after(Duration::from_secs(60)), 2, &[]);
    let first: Vec<_> = claim().await.unwrap().iter().map(|delivery| delivery.tx_id).collect();
    let second: Vec<_> = claim().await.unwrap().iter().map(|delivery| delivery.tx_id).collect();
    assert_eq!((first, second), (vec![tx(5)], vec![tx(6)]));
}

#[test]
fn every_column_of_the_migrations_is_commented() {
    for sql in crate::schema::migrations() {
        let mut inside = false;
        for line in sql.lines() {
            if line.starts_with("CREATE TABLE") {
                inside = true;
            } else if line.starts_with(')') {
                inside = false;
            } else if line.starts_with("ALTER TABLE") {
                assert!(line.contains("-- "), "{line}");
            } else if inside {
                let constraint = ["CHECK", "PRIMARY KEY", "UNIQUE"]
                    .iter()
                    .any(|w| line.trim_start().starts_with(w));
                assert!(constraint || line.contains("-- "), "{line}");
            }
        }
    }
}

#[test]
fn a_handle_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<SqliteStore>();
    let (_folder, path) = place();
    let store: Arc<dyn gopay_store::Database> = Arc::new(open(&path));
    drop(store);
}
