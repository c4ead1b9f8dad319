//! The directory: whole changes in one order, sealed by the layer before the engine.

use std::sync::Arc;

use gopay_core::time::Timestamp;
use tokio::task::JoinSet;

use super::UnderTest;
use super::personal::keys;
use super::samples::{DAY, is_conflict, start};
use crate::sealing::{SealedStore, is_sealed, rekey};
use crate::{DirectoryEntry, EntryKind, StoreError};

const SECRET: &str = "{\"login\":\"b\u{fc}ro\",\"shared_secret\":\"of-the-directory\"}";

fn entry(entry: i64, change: i64, kind: EntryKind, name: &str) -> DirectoryEntry {
    DirectoryEntry {
        entry,
        change,
        kind,
        name: name.into(),
        valid_from: start().after(DAY),
        at: start(),
        by: "\u{c5}. Operator".into(),
        reason: "a new merchant: \u{df}".into(),
        content: SECRET.into(),
        key: None,
    }
}

fn change(first: i64) -> Vec<DirectoryEntry> {
    let kinds = EntryKind::ALL.iter().zip(first..);
    kinds.map(|(kind, number)| entry(number, first, *kind, &format!("n-{number}"))).collect()
}

/// What was added is read as it was, in pages; what does not follow leaves nothing.
pub async fn entries_of_the_directory_are_added_whole_and_in_order(store: UnderTest) {
    assert_eq!(store.directory_last().await.unwrap(), 0);
    assert!(store.directory_after(0, 10).await.unwrap().is_empty());
    store.directory_add(&[]).await.unwrap();
    store.directory_add(&change(1)).await.unwrap();
    store.directory_add(&change(4)).await.unwrap();
    let all = [change(1), change(4)].concat();

    let one = || entry(7, 7, EntryKind::Contract, "c");
    let gap = [one(), DirectoryEntry { entry: 9, ..one() }];
    let other = [one(), DirectoryEntry { entry: 8, change: 8, ..one() }];
    let moment = start().after(DAY * 2);
    let moments = [one(), DirectoryEntry { entry: 8, valid_from: moment, ..one() }];
    let past = [DirectoryEntry { valid_from: Timestamp::from_micros(1), ..one() }];
    for (wrong, column) in
        [(&gap[..], "entry"), (&other, "change"), (&moments, "change"), (&past, "valid_from")]
    {
        let refused = store.directory_add(wrong).await;
        assert!(
            matches!(&refused, Err(StoreError::Invalid { column: named, .. }) if *named == column),
            "{column}: {refused:?}"
        );
    }
    assert!(is_conflict(&store.directory_add(&change(4)).await));
    assert!(is_conflict(&store.directory_add(&change(8)).await));

    assert_eq!(store.directory_after(0, 100).await.unwrap(), all);
    assert_eq!(store.directory_after(2, 3).await.unwrap(), all[2..5]);
    assert_eq!(store.directory_last().await.unwrap(), 6);
}

/// Entries are found by kind and name, names in the order of their bytes.
pub async fn entries_of_the_directory_are_found_by_name(store: UnderTest) {
    use EntryKind::{Client, Contract};
    let named = [
        (Contract, "b"),
        (Contract, "a"),
        (Client, "a"),
        (Contract, "B-1"),
        (Contract, "a"),
        (Contract, "a-1"),
        (Contract, "é"),
        (Contract, "a%"),
    ];
    for ((kind, name), number) in named.into_iter().zip(1..) {
        store.directory_add(&[entry(number, number, kind, name)]).await.unwrap();
    }
    for (kind, name, after, limit, expected) in [
        (Contract, "", 0, 100, &["B-1 4", "a 2", "a 5", "a% 8", "a-1 6", "b 1", "é 7"][..]),
        (Contract, "", 0, 2, &["B-1 4", "a 2"]),
        (Contract, "a", 2, 2, &["a 5", "a% 8"]),
        (Contract, "a", i64::MAX, 1, &["a% 8"]),
        (Contract, "aa", 0, 100, &["b 1", "é 7"]),
        (Client, "", 0, 100, &["a 3"]),
        (EntryKind::Account, "", 0, 100, &[]),
    ] {
        let found = store.directory_named(kind, name, after, limit).await.unwrap();
        assert!(found.iter().all(|one| one.kind == kind), "{found:?}");
        let found: Vec<_> = found.iter().map(|one| format!("{} {}", one.name, one.entry)).collect();
        assert_eq!(found, expected, "{kind:?} behind {name:?} {after}");
    }
}

/// Of changes that were made of one state, one is there.
pub async fn changes_of_the_directory_that_race_leave_one(store: UnderTest) {
    let mut racing = JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        racing.spawn(async move { store.directory_add(&change(1)).await });
    }
    let mut added = 0;
    while let Some(ended) = racing.join_next().await {
        match ended.unwrap() {
            Ok(()) => added += 1,
            Err(StoreError::Conflict | StoreError::Busy) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(added, 1);
    assert_eq!(store.directory_after(0, 100).await.unwrap(), change(1));
}

/// Contents are sealed by the layer, those from before the first key by `rekey`, which also wraps
/// keys anew; what stands in another entry does not open.
pub async fn the_directory_is_sealed_wrapped_anew_and_never_opens_elsewhere(engine: UnderTest) {
    let behind =
        |ids: &[&str]| -> UnderTest { Arc::new(SealedStore::new(Arc::clone(&engine), keys(ids))) };
    engine.directory_add(&change(1)).await.unwrap();
    let store = behind(&["alpha"]);
    store.directory_add(&change(4)).await.unwrap();
    let all = [change(1), change(4)].concat();
    assert_eq!(store.directory_after(0, 100).await.unwrap(), all);
    for one in &all {
        let named = store.directory_named(one.kind, &one.name, 0, 1).await.unwrap();
        assert_eq!(named, std::slice::from_ref(one), "it is opened");
    }
    let plain = async || {
        let stored = engine.directory_stored(0, 100).await.unwrap();
        stored.iter().filter(|one| !is_sealed(one.content.as_bytes())).count()
    };
    assert_eq!(plain().await, 3);

    store.key_proof_add(&keys(&["alpha"]).prove().unwrap().unwrap(), start()).await.unwrap();
    assert!(!engine.key_proof_remove("alpha").await.unwrap(), "it is in use");
    let both = keys(&["beta", "alpha"]);
    let done = rekey(engine.as_ref(), &both, &mut |_| ()).await.unwrap();
    assert_eq!((done.changes_sealed, done.changes_rewrapped), (1, 1));
    assert_eq!(done.unused, ["alpha"]);
    assert_eq!(plain().await, 0);
    assert_eq!(behind(&["beta"]).directory_after(0, 100).await.unwrap(), all);
    let without = behind(&["alpha"]).directory_after(0, 100).await;
    assert!(matches!(without, Err(StoreError::Down(_))), "{without:?}");
    let again = rekey(engine.as_ref(), &both, &mut |_| ()).await.unwrap();
    assert_eq!((again.changes_sealed, again.changes_rewrapped), (0, 0));

    let stored = engine.directory_stored(0, 100).await.unwrap();
    let swapped = [(4, stored[4].content.clone()), (5, stored[3].content.clone())];
    let key = stored[3].key.clone().unwrap();
    assert!(engine.directory_seal(4, Some(&key), &key, &swapped).await.unwrap());
    assert!(!engine.directory_seal(4, None, &key, &[]).await.unwrap(), "another key is there");
    let moved = behind(&["beta"]).directory_after(3, 1).await;
    assert!(matches!(moved, Err(StoreError::Corrupt { .. })), "{moved:?}");
}
