//! The file of an open store is deleted, moved, replaced or written over.

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

async fn until_up(store: &SqliteStore) {
    let until = Instant::now() + Duration::from_secs(10);
    while let Err(error) = store.ping(start()).await {
        assert!(Instant::now() < until, "{}", chain(&error));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Everything is refused from the first step on, soon with this reason, and stays so.
async fn stays_down(store: &SqliteStore, reason: &str) {
    let (until, mut told) = (Instant::now() + Duration::from_secs(10), 0);
    while told < 3 {
        let error = store.payment_create(&payment(2), "{}", &[]).await.unwrap_err();
        assert!(matches!(error, StoreError::Down(_)), "{error}");
        let unready = chain(&store.ping(start()).await.unwrap_err());
        told += usize::from(chain(&error).contains(reason) && unready.contains(reason));
        assert!(Instant::now() < until, "{reason}: {unready}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(is_down(&store.payment_get(tx(1)).await));
}

type Deed = fn(&Path, &Path);

#[tokio::test(flavor = "multi_thread")]
async fn no_step_is_answered_that_the_next_start_would_not_find() {
    let deeds: [(&str, Deed); 6] = [
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
    ];
    for (reason, deed) in deeds {
        let (_folder, path, copy, store) = running().await;
        deed(&path, &copy);
        stays_down(&store, reason).await;
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
    std::fs::rename(folder, &old).unwrap();
    stays_down(&store, "was removed").await;
    std::fs::create_dir(folder).unwrap();
    std::fs::copy(&copy, &path).unwrap();
    stays_down(&store, "is another file").await;
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::rename(&old, folder).unwrap();
    until_up(&store).await;
    create(&store, 9).await;
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
