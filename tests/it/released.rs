//! A migration that was released is never edited: stores that ran it would differ from new ones.

use std::collections::BTreeMap;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// `sha256sum`'s lines: digest, two blanks, path.
const RELEASED: &str = include_str!("../fixtures/migrations.sha256");

/// Digests by path of the migrations that are in the tree.
fn present() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut present = BTreeMap::new();
    for engine in ["store-postgres", "store-sqlite"] {
        let folder = format!("crates/{engine}/migrations");
        for entry in std::fs::read_dir(root.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let text = std::fs::read(entry.path()).expect("a file");
            let name = entry.file_name().into_string().expect("text");
            present.insert(format!("{folder}/{name}"), hex::encode(Sha256::digest(text)));
        }
    }
    present
}

#[test]
fn no_released_migration_was_edited() {
    let released: BTreeMap<String, String> = RELEASED
        .lines()
        .map(|line| line.split_once("  ").expect("a digest and a path"))
        .map(|(digest, path)| (path.to_owned(), digest.to_owned()))
        .collect();
    assert_eq!(
        present(),
        released,
        "a change of the schema is a new file; add its line of `sha256sum` to migrations.sha256"
    );
}
