//! Stores of earlier versions are opened and hold the same as one that lived the same since.
//!
//! `fixtures/store-v1.db` was made by version 1 of the schema: [`make_a_fixture`] ran when this was
//! the newest. It is never made again; a later version makes a file of its own.

use std::path::{Path, PathBuf};

use gopay_store::{Journal as _, Store as _, upgrade};
use gopay_store_sqlite::{Options, SqliteStore};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_version_1_holds_the_same_after_its_upgrade() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    std::fs::copy(fixtures().join("store-v1.db"), &old).unwrap();
    assert_eq!(SqliteStore::schema_version(&old).unwrap(), 1);
    let [old, new] = [old, new].map(|path| SqliteStore::open(&path, Options::default()).unwrap());
    upgrade::fill(&new).await;
    assert_eq!(upgrade::told(&old).await, upgrade::told(&new).await);
    let (ours, theirs) = (upgrade::told_by_the_journal(&old), upgrade::told_by_the_journal(&new));
    assert_eq!(ours.await, theirs.await);
    assert_eq!(old.journal_end().await.unwrap(), new.journal_end().await.unwrap());
    // It goes on: the next entries come after the old ones.
    let id = *upgrade::payments().get(2).unwrap();
    let end = old.journal_end().await.unwrap();
    let expired = gopay_core::payment::Closure::Expired;
    let event = gopay_core::payment::Event::Closed(expired);
    let now = gopay_core::time::Timestamp::from_micros(1_767_225_700_000_000);
    old.payment_apply(id, &event, None, &[], now).await.unwrap();
    let page = old.journal_read(&end, 10).await.unwrap();
    let [record] = page.records.try_into().unwrap();
    assert_eq!((record.shard, record.seq), (id.shard(), end.position(id.shard()) + 1));
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Writes a fixture of the newest version, for the day before the next.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a file that is then committed"]
async fn make_a_fixture() {
    let version = SqliteStore::schema_version_known();
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.db"), Options::default()).unwrap();
    upgrade::fill(&store).await;
    store.backup(&fixtures().join(format!("store-v{version}.db"))).await.unwrap();
    store.close().await.unwrap();
}
