//! The contract suite on SQLite.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use gopay_store::contract::UnderTest;
use gopay_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

async fn open() -> (UnderTest, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    (Arc::new(SqliteStore::open(&path, Options::default()).unwrap()), folder)
}

gopay_store::contract_tests!(open);
gopay_store::sealing_tests!(open);
