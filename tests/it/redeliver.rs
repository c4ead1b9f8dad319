//! `redeliver`, on a store that a test filled.

use std::path::Path;
use std::process::{Command, Output};

use gopay_core::ids::TxId;
use gopay_core::payment::Event;
use gopay_core::time::Timestamp;
use gopay_store::{AttemptOutcome, DeliveryState, Search as _, Store as _};
use gopay_store_sqlite::{Options, SqliteStore};
use gopay_testkit::sample;

fn at(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).expect("a time")
}

fn tx(number: i64) -> TxId {
    TxId::new(number).expect("an id")
}

/// Payments 1 to 3: given up on two days, delivered. Payment 4 is not paid.
async fn filled(path: &Path) {
    let store = SqliteStore::open(path, Options::default()).expect("a store");
    let days = [
        (1, at("2026-03-01T00:00:00Z"), AttemptOutcome::GiveUp),
        (2, at("2026-03-02T00:00:00Z"), AttemptOutcome::GiveUp),
        (3, at("2026-03-02T00:00:00Z"), AttemptOutcome::Delivered),
    ];
    for (number, day, outcome) in days {
        let payment = sample::payment(number, day);
        store.payment_create(&payment, "{}", &[]).await.expect("new");
        let paid = Event::Paid {
            midtrans_tx_id: "m".into(),
            paid_at: None,
            payment_type: None,
            payment_option: None,
        };
        store.payment_apply(tx(number), &paid, None, &[], day).await.expect("paid");
        let claimed = store.delivery_claim_due(day, day, 1, &[]).await.expect("due");
        let detail = serde_json::Value::Null;
        store.delivery_record(&claimed[0], &outcome, detail, day).await.expect("recorded");
    }
    let payment = sample::payment(4, at("2026-03-02T00:00:00Z"));
    store.payment_create(&payment, "{}", &[]).await.expect("new");
    store.close().await.expect("closed");
}

async fn waiting(path: &Path) -> Vec<i64> {
    let store = SqliteStore::open_read_only(path).expect("a store");
    let mut waiting = Vec::new();
    for number in 1..=4 {
        let all = store.deliveries_of(tx(number)).await.expect("rows");
        waiting.extend(all.iter().any(|one| one.state == DeliveryState::Waiting).then_some(number));
    }
    waiting
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_are_sent_again_by_txid_or_by_the_time_they_were_given_up() {
    let since = |time| vec!["--failed-since", time];
    for (args, code, now_waiting) in [
        (vec!["3", "1"], 0, vec![1, 3]),
        (vec!["4", "2"], 1, vec![2]),
        (vec!["99"], 1, vec![]),
        (since("2026-03-01T00:00:00Z"), 0, vec![1, 2]),
        (since("2026-03-01T12:00:00Z"), 0, vec![2]),
        (since("2026-03-03T00:00:00Z"), 0, vec![]),
        (vec![], 2, vec![]),
        (vec!["1", "--failed-since", "2026-03-01T00:00:00Z"], 2, vec![]),
        (since("yesterday"), 2, vec![]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (store, config) = (folder.path().join("gopay.db"), folder.path().join("config.toml"));
        filled(&store).await;
        let text = format!("[store]\nurl = \"sqlite:{}\"\n", store.display());
        std::fs::write(&config, text).expect("written");
        let ended: Output = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"))
            .args(["redeliver", "--config"])
            .arg(&config)
            .args(&args)
            .output()
            .expect("it runs");
        assert_eq!(ended.status.code(), Some(code), "{args:?}: {ended:?}");
        assert_eq!(waiting(&store).await, now_waiting, "{args:?}: {ended:?}");
    }
}
