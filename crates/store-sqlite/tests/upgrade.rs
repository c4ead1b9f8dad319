//! Stores of earlier versions are opened and hold the same as one that lived the same since.
//!
//! `fixtures/store-v1.db` was made by version 1 of the schema: [`make_a_fixture`] ran when this was
//! the newest. It is never made again; a later version makes a file of its own.

use std::path::Path;

use gopay_store::upgrade;
use gopay_store_sqlite::{Options, SqliteStore};

/// Writes a fixture of the newest version, for the day before the next.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a file that is then committed"]
async fn make_a_fixture() {
    let version = SqliteStore::schema_version_known();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("s.db"), Options::default()).unwrap();
    upgrade::fill(&store).await;
    store.backup(&fixtures.join(format!("store-v{version}.db"))).await.unwrap();
    store.close().await.unwrap();
}
