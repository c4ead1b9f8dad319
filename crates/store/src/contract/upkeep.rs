//! Archives: what leaves the store for files, what stays, and how it comes back.

use gopay_core::doubt::Verdict;
use gopay_core::time::Timestamp;
use serde_json::json;

use super::UnderTest;
use super::attention::order;
use super::samples::{
    MINUTE, REQUEST, admitted, claim_deliveries, create, create_paid, made, note, payment,
    refund_request, rf, start, trail, tx,
};
use crate::{Archive, AttemptOutcome, Cursor, Filed, Leaving, OrderResolution, StoreError};

/// Payments of the ids that the suite uses.
const ALL: std::ops::Range<i64> = 0..1_000;

/// Long after everything that the cases do.
fn later() -> Timestamp {
    start().after(MINUTE * 1_000)
}

fn archive(number: i64) -> Archive {
    Archive {
        number,
        month: "2026-01".into(),
        name: format!("2026-01.{number}"),
        sha256: "5f".repeat(32),
        payments: 2,
        events: 9,
        succeeded_sen: 2_000_000,
        before: later(),
        written_at: later(),
        taken: 0,
        ended_at: None,
    }
}

fn leaving(filed: &[Filed]) -> Vec<Leaving> {
    let leaves = |one: &Filed| Leaving {
        tx_id: one.tx_id,
        seqs: one.events.iter().map(|event| event.seq).collect(),
        call: r#"{"channel":"testchannel"}"#.into(),
    };
    filed.iter().map(leaves).collect()
}

/// Payments 1 to `count`, paid, with their PSP told.
async fn over(store: &UnderTest, count: i64) {
    for number in 1..=count {
        create_paid(store, &payment(number)).await;
    }
    for delivery in claim_deliveries(store, start().after(MINUTE), MINUTE, 100).await {
        let outcome = AttemptOutcome::Delivered;
        store.delivery_record(&delivery, &outcome, json!({}), start()).await.unwrap();
    }
}

/// Only what is over and owes nothing may go.
pub async fn what_still_owes_something_is_not_archivable(store: UnderTest) {
    over(&store, 8).await;
    // Money of another transaction, which a person decides about only later.
    store.order_record(&order(7, Some(500))).await.unwrap();
    store.order_record(&order(8, Some(500))).await.unwrap();
    let (verdict, reason, by) = (Verdict::Failed, "known".to_owned(), "Ana".to_owned());
    let decided = OrderResolution { verdict, reason, by, at: start() };
    store.order_resolve(tx(8), &decided).await.unwrap();
    // One that is open, one whose PSP was not told yet.
    create(&store, &payment(15)).await;
    create_paid(&store, &payment(16)).await;
    // An open refund; one that was resolved late; one that was resolved.
    let now = start().after(MINUTE);
    for number in 2..=4 {
        admitted(&store, &refund_request(number, tx(number), 100_000), now).await;
    }
    store.refund_resolve(rf(3), made(), &[], later()).await.unwrap();
    store.refund_resolve(rf(4), made(), &[], now).await.unwrap();
    let found = store.archivable(ALL, later(), 100).await.unwrap();
    assert_eq!(found, [tx(1), tx(4), tx(5), tx(6), tx(8)]);
    assert_eq!(store.archivable(ALL, later(), 1).await.unwrap(), [tx(1)]);
    assert_eq!(store.archivable(2..5, later(), 9).await.unwrap(), [tx(4)]);
    assert_eq!(store.archivable(ALL, start(), 9).await.unwrap(), []);
}

/// Calls and trails go, books stay; and all comes back as it was.
pub async fn what_is_over_leaves_its_call_and_trail_to_an_archive(store: UnderTest) {
    over(&store, 3).await;
    let before = (trail(&store, tx(1)).await, store.payment_get(tx(1)).await.unwrap());
    let books = (
        store.totals().await.unwrap(),
        store.journal_read(&Cursor::default(), 100).await.unwrap(),
        store.deliveries_of(tx(1)).await.unwrap(),
    );
    let filed = store.archive_read(&[tx(1), tx(2), tx(999)]).await.unwrap();
    assert_eq!(filed.iter().map(|one| one.tx_id).collect::<Vec<_>>(), [tx(1), tx(2)]);
    assert_eq!(filed[0].events.len(), before.0.len());
    // What is sealed in it can be read.
    let opened = store.archive_open(filed[0].clone()).await.unwrap();
    assert_eq!(opened.call, REQUEST);
    let details = opened.events.iter().map(|event| serde_json::from_str(&event.detail).unwrap());
    let told = before.0.iter().map(|record| record.detail.clone());
    assert_eq!(details.collect::<Vec<serde_json::Value>>(), told.collect::<Vec<_>>());
    store.archive_begin(&archive(1)).await.unwrap();
    // What comes after the archive was written is not in it, and stays.
    store.payment_note(tx(2), &[note("late")], later()).await.unwrap();
    assert_eq!(store.archive_take(1, &leaving(&filed)).await.unwrap(), 2);
    assert_eq!(store.archive_take(1, &leaving(&filed)).await.unwrap(), 0, "taken once");
    store.archive_end(1, later()).await.unwrap();
    let ended = Archive { taken: 2, ended_at: Some(later()), ..archive(1) };
    assert_eq!(store.archives().await.unwrap(), [ended]);
    assert_eq!(trail(&store, tx(1)).await, []);
    assert_eq!(trail(&store, tx(2)).await.len(), 1);
    assert_eq!(trail(&store, tx(3)).await.len(), before.0.len());
    assert_eq!(store.payment_request(tx(1)).await.unwrap(), r#"{"channel":"testchannel"}"#);
    assert_eq!(store.payment_get(tx(1)).await.unwrap(), before.1);
    assert_eq!(store.archive_of(tx(1)).await.unwrap(), Some(1));
    assert_eq!(store.archive_of(tx(3)).await.unwrap(), None);
    assert_eq!(store.archivable(ALL, later(), 9).await.unwrap(), [tx(3)]);
    let after = (
        store.totals().await.unwrap(),
        store.journal_read(&Cursor::default(), 100).await.unwrap(),
        store.deliveries_of(tx(1)).await.unwrap(),
    );
    assert_eq!(after, books);
    assert_eq!(store.totals_counted().await.unwrap(), books.0);
    store.payment_note(tx(1), &[note("a"), note("b")], later()).await.unwrap();
    assert_eq!(store.archive_give_back(2, &filed).await.unwrap(), 0, "of another archive");
    assert_eq!(store.archive_give_back(1, &filed).await.unwrap(), 2);
    assert_eq!(store.archive_give_back(1, &filed).await.unwrap(), 0, "given back once");
    let back = trail(&store, tx(1)).await;
    assert_eq!(back[..before.0.len()], before.0);
    let kinds: Vec<_> = back[before.0.len()..].iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["a", "b"]);
    assert_eq!(trail(&store, tx(2)).await.last().unwrap().kind, "late");
    assert_eq!(store.payment_request(tx(1)).await.unwrap(), REQUEST);
    assert_eq!(store.archive_of(tx(1)).await.unwrap(), None);
}

/// What became something else after it was written stays in the store.
pub async fn what_is_no_longer_over_stays(store: UnderTest) {
    over(&store, 2).await;
    let filed = store.archive_read(&[tx(1), tx(2)]).await.unwrap();
    store.archive_begin(&archive(1)).await.unwrap();
    assert!(store.delivery_again(tx(1), later()).await.unwrap());
    let before = trail(&store, tx(1)).await;
    assert_eq!(store.archive_take(1, &leaving(&filed)).await.unwrap(), 1);
    assert_eq!(trail(&store, tx(1)).await, before);
    assert_eq!(store.archive_of(tx(1)).await.unwrap(), None);
    assert_eq!(store.archive_of(tx(2)).await.unwrap(), Some(1));
}

/// Archives are made one after the other.
pub async fn an_archive_begins_after_the_one_before_has_ended(store: UnderTest) {
    let conflict = |done: Result<(), StoreError>| matches!(done, Err(StoreError::Conflict));
    assert!(conflict(store.archive_begin(&archive(2)).await));
    store.archive_begin(&archive(1)).await.unwrap();
    assert!(conflict(store.archive_begin(&archive(1)).await));
    assert!(conflict(store.archive_begin(&archive(2)).await));
    store.archive_end(1, later()).await.unwrap();
    store.archive_begin(&archive(2)).await.unwrap();
    let missing = |error| matches!(error, StoreError::Missing { table: "archives" });
    assert!(missing(store.archive_take(1, &[]).await.unwrap_err()));
    assert!(missing(store.archive_end(1, later()).await.unwrap_err()));
    assert!(missing(store.archive_end(3, later()).await.unwrap_err()));
}
