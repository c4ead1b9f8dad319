//! The file of an open store is deleted, moved, replaced or written over.

use std::fs::Permissions;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::SystemTime;

use super::*;

const ENDINGS: [&str; 3] = ["db", "db-wal", "db-shm"];

/// A store in a folder of its own, which can be moved, with one payment, and a copy of it beside.
async fn running() -> (TempDir, PathBuf, PathBuf, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/store.db");
    let store = open(&path);
    create(&store, 1).await;
    let copy = folder.path().join("copy.db");
    store.backup(&copy).await.unwrap();
    (folder, path, copy, store)
}

/// Everything is refused from the first step on, soon with this reason, and stays so.
async fn stays_down(store: &SqliteStore, reason: &str) {
    let told = async || {
        let error = store.payment_create(&payment(2), "{}", &[]).await.unwrap_err();
        assert!(matches!(error, StoreError::Down(_)), "{error}");
        let unready = chain(&store.ping(start()).await.unwrap_err());
        chain(&error).contains(reason) && unready.contains(reason)
    };
    wait::eventually(reason, told).await;
    wait::throughout(LOOKED_AGAIN, reason, told).await;
    assert!(is_down(&store.payment_get(tx(1)).await));
}

type Deed = fn(&Path, &Path);

#[tokio::test(flavor = "multi_thread")]
async fn no_step_is_answered_that_the_next_start_would_not_find() {
    let deeds: [(&str, Deed); 13] = [
        ("was removed", |path, _| std::fs::remove_file(path).unwrap()),
        ("was removed", |path, _| {
            ENDINGS
                .iter()
                .for_each(|ending| std::fs::remove_file(path.with_extension(ending)).unwrap());
        }),
        ("was removed", |path, _| {
            let folder = path.parent().unwrap();
            std::fs::rename(folder, folder.with_extension("old")).unwrap();
        }),
        ("is another file", |path, copy| std::fs::rename(copy, path).unwrap()),
        ("is another file", |path, copy| {
            let folder = path.parent().unwrap();
            std::fs::rename(folder, folder.with_extension("old")).unwrap();
            std::fs::create_dir(folder).unwrap();
            std::fs::copy(copy, path).unwrap();
        }),
        ("written over", |path, _| {
            // As a copy onto it does: the same file, emptied first.
            std::fs::OpenOptions::new().write(true).truncate(true).open(path).unwrap();
        }),
        ("written over", |path, copy| {
            std::fs::copy(copy, path).unwrap();
        }),
        ("written over", |path, _| write_over(path, 0, &[0; 4096])),
        ("written over", |path, _| write_over(path, 5 * 4096, &[7; 3 * 4096])),
        ("written over", |path, _| {
            std::fs::File::create(path.with_extension("db-wal")).unwrap();
        }),
        ("written over", |path, _| write_over(&path.with_extension("db-wal"), 0, &[0; 32])),
        ("written over", |path, _| write_over(&path.with_extension("db-wal"), 1000, &[7; 40])),
        ("written over", |path, copy| {
            std::fs::copy(copy, path).unwrap();
            std::fs::File::create(path.with_extension("db-wal")).unwrap();
        }),
    ];
    for (reason, deed) in deeds {
        let (_folder, path, copy, store) = running().await;
        deed(&path, &copy);
        stays_down(&store, reason).await;
        store.close().await.unwrap();
    }
}

/// As another program does it, in the same file.
fn write_over(path: &Path, at: u64, bytes: &[u8]) {
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(bytes, at).unwrap();
}

/// While steps are taken and the log is copied all the time. What falls into a copy of ours, and leaves
/// lengths and headers as they were, cannot be told from it (see `held`); that is rare, and does not
/// come four times in turn.
#[tokio::test(flavor = "multi_thread")]
async fn no_step_that_comes_after_a_file_was_written_over_is_answered() {
    let deeds: [(&str, Deed); 3] = [
        ("a copy onto the main file", |path, copy| {
            std::fs::copy(copy, path).unwrap();
        }),
        ("an empty log", |path, _| {
            std::fs::File::create(path.with_extension("db-wal")).unwrap();
        }),
        ("a foreign log", |path, _| {
            let log = path.with_extension("db-wal");
            let foreign = std::fs::read(&log).unwrap().len();
            write_over(&log, 0, &vec![7; foreign]);
        }),
    ];
    for (name, deed) in deeds {
        let mut answered = true;
        for _ in 0..4 {
            let (_folder, path, copy, store) = busy().await;
            answered = answered_after(&store, || deed(&path, &copy)).await;
            if !answered {
                stays_down(&store, "written over").await;
                store.close().await.unwrap();
                break;
            }
        }
        assert!(!answered, "steps were answered after {name}");
    }
}

/// Whether a step is answered that comes after the deed, while others make payments.
async fn answered_after(store: &SqliteStore, deed: impl FnOnce()) -> bool {
    let (over, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, over, made) = (store.clone(), Arc::clone(&over), Arc::clone(&made));
            tokio::spawn(async move {
                for number in 0..100_000 {
                    let came_after = over.load(Ordering::SeqCst);
                    let next = payment(10 + writer + 4 * number);
                    if store.payment_create(&next, "{}", &[]).await.is_err() {
                        return false;
                    }
                    if came_after {
                        return true;
                    }
                    made.fetch_add(1, Ordering::SeqCst);
                }
                panic!("it was never written over");
            })
        })
        .collect();
    let at_work = async || made.load(Ordering::SeqCst) >= 40;
    wait::eventually("all are at work, and the log was copied", at_work).await;
    deed();
    over.store(true, Ordering::SeqCst);
    let mut answered = false;
    for writer in writers {
        answered |= writer.await.unwrap();
    }
    answered
}

/// A store whose log is copied after every few steps, with a payment, and a copy of it.
async fn busy() -> (TempDir, PathBuf, PathBuf, SqliteStore) {
    let (folder, path) = place();
    let options = Options { checkpoint_pages: 16, ..Options::default() };
    let store = SqliteStore::open(&path, options).unwrap();
    create(&store, 1).await;
    let copy = folder.path().join("copy.db");
    store.backup(&copy).await.unwrap();
    (folder, path, copy, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_happens_to_the_files_of_a_running_store_is_not_taken_for_writing_over() {
    let (folder, path, _, store) = busy().await;
    let beside = SqliteStore::open_read_only(&path).unwrap();
    let log = path.with_extension("db-wal");
    for number in 2..300 {
        create(&store, number).await;
        match number % 30 {
            0 => beside.backup(&folder.path().join(number.to_string())).await.unwrap(),
            // As `touch` does it.
            10 => std::fs::File::open(&log).unwrap().set_modified(SystemTime::now()).unwrap(),
            _ => {}
        }
    }
    store.ping(start()).await.unwrap();
    store.close().await.unwrap();
    let store = open(&path);
    for number in 1..300 {
        assert!(store.payment_get(tx(number)).await.unwrap().is_some(), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_beside_the_writer_are_not_taken_for_writing_over() {
    let (_folder, path, _, store) = busy().await;
    let beside = std::thread::spawn(move || {
        let db = Connection::open(&path).unwrap();
        db.busy_timeout(Duration::from_secs(30)).unwrap();
        db.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        for _ in 0..200 {
            db.execute("UPDATE payments SET checks = checks + 1 WHERE tx_id = 1", []).unwrap();
        }
    });
    let mut number = 2;
    while !beside.is_finished() {
        create(&store, number).await;
        number += 1;
    }
    beside.join().unwrap();
    store.ping(start()).await.unwrap();
    assert_eq!(store.payment_get(tx(1)).await.unwrap().unwrap().checks, 200);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_written_over_is_not_closed_into_what_is_there() {
    let (_folder, path, copy, store) = running().await;
    create(&store, 2).await;
    std::fs::copy(&copy, &path).unwrap();
    let log = std::fs::read(path.with_extension("db-wal")).unwrap();
    store.close().await.unwrap();
    assert!(std::fs::read(&path).unwrap() == std::fs::read(&copy).unwrap(), "it was changed");
    assert!(std::fs::read(path.with_extension("db-wal")).unwrap() == log, "the log was changed");

    // The log of the one is not copied into the other.
    for opened in [SqliteStore::open, SqliteStore::open_existing] {
        let refused = opened(&path, Options::default()).map(|_| ()).unwrap_err();
        assert!(chain(&refused).contains("is the log of another store"), "{}", chain(&refused));
    }
    std::fs::remove_file(path.with_extension("db-wal")).unwrap();
    let store = open(&path);
    assert!(store.payment_get(tx(1)).await.unwrap().is_some());
    assert!(store.payment_get(tx(2)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_others_could_read_is_its_owners_alone_once_it_was_opened() {
    let (_folder, path) = place();
    open(&path).close().await.unwrap();
    let all = ["db", "db-wal", "db-shm", "db.lock"].map(|ending| path.with_extension(ending));
    for mode in [0o644, 0o660, 0o600] {
        for path in all.iter().filter(|path| path.exists()) {
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let store = open(&path);
        create(&store, i64::from(mode)).await;
        for path in &all {
            let found = std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, 0o600, "{path:?} of a store of mode {mode:o}: {found:o}");
        }
        store.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_points_elsewhere_is_another_store() {
    let (folder, path, copy, store) = running().await;
    store.close().await.unwrap();
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let store = open(&link);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&copy, &link).unwrap();
    stays_down(&store, "is another file").await;
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_file_back_in_its_place_is_taken_up_again() {
    let (_folder, path, copy, store) = running().await;
    let folder = path.parent().unwrap();
    let old = folder.with_extension("old");
    let epoch = store.epoch();
    std::fs::rename(folder, &old).unwrap();
    stays_down(&store, "was removed").await;
    std::fs::create_dir(folder).unwrap();
    std::fs::copy(&copy, &path).unwrap();
    stays_down(&store, "is another file").await;
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::rename(&old, folder).unwrap();
    until_up(&store).await;
    assert!(store.epoch() > epoch, "what was answered is asked for");
    create(&store, 9).await;
    assert_eq!(store.payments_missing(&[tx(1), tx(2), tx(9)]).await.unwrap(), [tx(2)]);
    store.close().await.unwrap();
    let store = open(&path);
    for number in [1, 9] {
        assert!(store.payment_get(tx(number)).await.unwrap().is_some(), "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_deleted_is_saved_into_the_main_file() {
    let (_folder, path, _, store) = running().await;
    std::fs::remove_file(path.with_extension("db-wal")).unwrap();
    // The step that finds it out is not answered, though it may have been done.
    assert!(is_down(&store.payment_create(&payment(2), "{}", &[]).await));
    until_up(&store).await;
    create(&store, 3).await;
    assert!(store.payment_get(tx(1)).await.unwrap().is_some());
    store.close().await.unwrap();
    let store = open(&path);
    for number in [1, 3] {
        assert_eq!(store.payment_get(tx(number)).await.unwrap(), Some(payment(number)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_log_in_the_place_of_ours_is_not_taken_in() {
    let (folder, path, _, store) = running().await;
    let other = folder.path().join("other.db");
    let foreign = open(&other);
    create(&foreign, 7).await;
    let log = path.with_extension("db-wal");
    std::fs::copy(other.with_extension("db-wal"), folder.path().join("log")).unwrap();
    std::fs::rename(folder.path().join("log"), &log).unwrap();
    stays_down(&store, "is another file").await;
    // Whoever put it there takes it away, and ours is still held.
    std::fs::remove_file(&log).unwrap();
    until_up(&store).await;
    assert!(store.payment_get(tx(1)).await.unwrap().is_some());
    assert!(store.payment_get(tx(7)).await.unwrap().is_none());
}
