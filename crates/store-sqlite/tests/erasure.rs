//! What was erased is in none of the store's files, while the store goes on.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gopay_core::ids::{IdGenerator, TxId};
use gopay_core::payment::{Event, NewPayment, Nonce, Payment};
use gopay_core::time::Timestamp;
use gopay_store::sealing::{KeyRing, SealedStore};
use gopay_store::{Database, Erasure, KeyChange, Note, Personal, PersonalData as _};
use gopay_store_sqlite::{Options, SqliteStore};
use memchr::memmem;
use serde_json::json;

fn start() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_007)
}

/// A text that stands in every personal value of a payment, and nowhere else.
fn marker(number: usize) -> String {
    format!("Kartini-{number:05}-Wulandari")
}

/// Creates, opens and pays, with a kept answer; every value has the marker in it.
async fn live(store: &dyn Database, tx_id: TxId, number: usize) {
    let marker = marker(number);
    let new = NewPayment {
        tx_id,
        psp: "testclient".into(),
        contract: "TESTCONTRACT".into(),
        channel: None,
        account: None,
        merchant_tx_id: None,
        redirect_secret: format!("secret-{marker}"),
        merchant_redirect_url: Some(format!("https://shop.example/{marker}")),
        notification_url: None,
        nonce: Some(Nonce { value: format!("n-{number}"), fingerprint: [7; 32] }),
        created_at: start(),
        session: Duration::from_secs(60),
    };
    let amount = gopay_core::money::Rupiah::new(10_000).unwrap();
    // Of every size, up to what takes several pages.
    let request = json!({ "accountholdername": marker.repeat(1 + number % 300) }).to_string();
    let note = |kind| [Note { kind, detail: json!({ "said": marker }) }];
    let payment = Payment::open(new, amount);
    store.payment_create(&payment, &request, &note("accepted")).await.unwrap();
    let deeplink = format!("gojek://{marker}");
    let created = Event::ChargeCreated { midtrans_tx_id: "m".into(), deeplink };
    let answer = format!("STATUS=PENDING&X={}", marker.repeat(1 + number % 200));
    let answer = Some(answer.as_bytes());
    store.payment_apply(tx_id, &created, answer, &note("charge_sent"), start()).await.unwrap();
    let paid = Event::Paid {
        midtrans_tx_id: "m".into(),
        paid_at: None,
        payment_type: None,
        payment_option: None,
    };
    store.payment_apply(tx_id, &paid, None, &note("notification"), start()).await.unwrap();
}

async fn erase(store: &dyn Database, tx_id: TxId) {
    let from = store.personal_get(tx_id).await.unwrap().unwrap();
    let mut records = from.records.clone();
    records.iter_mut().for_each(|record| record.detail = "{}".into());
    let to = Personal {
        redirect_secret: "another".into(),
        merchant_redirect_url: None,
        deeplink: None,
        answer: None,
        request: "{}".into(),
        records,
        ..from.clone()
    };
    let (by, reason) = ("Sri".to_owned(), "asked".to_owned());
    let erasure = KeyChange::Erase(Erasure { tx_id, at: start(), by, reason });
    assert!(store.personal_replace(tx_id, (&from, &to), &erasure).await.unwrap());
}

/// How often the bytes stand in the file or its log.
fn found(path: &Path, bytes: &[u8]) -> usize {
    ["", "-wal", "-shm"]
        .iter()
        .map(|ending| std::fs::read(format!("{}{ending}", path.display())).unwrap_or_default())
        .map(|file| memmem::find_iter(&file, bytes).count())
        .sum()
}

/// Payments of many sizes, whose rows move about as others come and go; ids come in the order of a busy
/// instance, not in their own.
async fn filled(store: &dyn Database, ids: &mut IdGenerator, count: usize) -> Vec<TxId> {
    let mut drawn: Vec<TxId> = (0..count).map(|_| ids.next_tx(start())).collect();
    for chunk in drawn.chunks_mut(7) {
        chunk.reverse();
    }
    for (number, tx_id) in drawn.iter().enumerate() {
        live(store, *tx_id, number).await;
    }
    drawn
}

const COUNT: usize = 400;

#[tokio::test]
async fn plain_values_are_overwritten_wherever_they_lay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let options = Options { checkpoint_pages: 200, ..Options::default() };
    let store = SqliteStore::open(&path, options).unwrap();
    let ids = filled(&store, &mut IdGenerator::new(1), COUNT).await;
    for (number, tx_id) in ids.iter().enumerate().filter(|(number, _)| number % 3 == 0) {
        assert!(found(&path, marker(number).as_bytes()) > 0);
        erase(&store, *tx_id).await;
    }
    let path = &path;
    let left = |erased: bool| {
        (0..COUNT).filter(move |number| {
            (number % 3 == 0) == erased && found(path, marker(*number).as_bytes()) > 0
        })
    };
    assert_eq!(left(true).collect::<Vec<_>>(), Vec::<usize>::new());
    assert_eq!(left(false).count(), COUNT - COUNT.div_ceil(3));
    live(&store, IdGenerator::new(2).next_tx(start()), COUNT).await;
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_destroyed_key_is_in_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let options = Options { checkpoint_pages: 200, ..Options::default() };
    let engine = SqliteStore::open(&path, options).unwrap();
    let ring = KeyRing::new([("one".to_owned(), [7; 32].into())]);
    let store = SealedStore::new(Arc::new(engine.clone()), ring);
    let ids = filled(&store, &mut IdGenerator::new(1), COUNT).await;
    for number in 0..COUNT {
        assert_eq!(found(&path, marker(number).as_bytes()), 0, "{number}");
    }
    let mut kept = 0;
    for (number, tx_id) in ids.iter().enumerate() {
        let key = engine.data_key(*tx_id).await.unwrap().unwrap().wrapped;
        let needle = key.get(16..48).unwrap();
        assert!(found(&path, needle) > 0);
        if number % 3 == 0 {
            erase(&store, *tx_id).await;
            assert_eq!(found(&path, needle), 0, "{number}");
        } else {
            kept += 1;
        }
    }
    assert!(kept > 0);
}
