//! How many steps a second a PostgreSQL takes, and what a payment costs there.
//!
//! `load [SECONDS] [CALLERS] [CONNECTIONS] [GROUPS] [URL]`: a life of a payment is five steps as the
//! service takes them: created, opened, found paid, and its notification claimed and recorded.
//! Without a URL it makes a cluster of its own. The database of a URL must be empty.
#![expect(clippy::print_stdout, clippy::float_arithmetic, reason = "a tool that shows figures")]
#![expect(clippy::as_conversions, clippy::unwrap_used, reason = "a tool")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gopay_core::ids::TxId;
use gopay_core::payment::{Event, Payment};
use gopay_core::time::Timestamp;
use gopay_store::{AttemptOutcome, Note, Store as _};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, Options, PgStore};
use gopay_testkit::sample;
use serde_json::json;

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let mut number = |default: u64| args.next().map_or(default, |text| text.parse().unwrap());
    let (seconds, callers, connections) = (number(10), number(256), number(16));
    let groups = usize::try_from(number(2)).unwrap();
    let cluster = Cluster::start(Durability::On).unwrap();
    let url = match (args.next(), &cluster) {
        (Some(url), _) => url,
        (None, Some(cluster)) => cluster.empty().await.unwrap(),
        (None, None) => return,
    };
    let place = DatabaseUrl::parse(&url).unwrap();
    PgStore::migrate(&place).await.unwrap();
    let connections = usize::try_from(connections).unwrap();
    let options = Options { connections, groups, ..Options::default() };
    let store = PgStore::open(&place, options).await.unwrap();
    // As an instance has it: every step that writes keeps its number.
    let _lease = store.hold(&place, Some(0), Duration::ZERO).await.unwrap();
    let cluster = cluster.unwrap();
    let before = wal(&cluster, &url).await;

    // First the part that a PSP waits for: created and opened.
    let opened = run(seconds, callers, &store, open).await;
    println!("created and opened: {:.0} payments/s, {:.0} commits/s", opened, opened * 2.0);
    // Then the rest of their lives.
    let began = Instant::now();
    let (mut told, last) = (0_u64, NEXT.load(Ordering::Relaxed));
    let paid = AtomicI64::new(1);
    let work = (0..callers).map(|_| async {
        loop {
            let number = paid.fetch_add(1, Ordering::Relaxed);
            if number >= last {
                return;
            }
            pay(&store, number).await;
        }
    });
    futures::future::join_all(work).await;
    let per_second = (last - 1) as f64 / began.elapsed().as_secs_f64();
    println!("paid: {per_second:.0} commits/s");
    let began = Instant::now();
    loop {
        let batch = told_batch(&store).await;
        if batch == 0 {
            break;
        }
        told += batch;
    }
    println!("told: {:.0} notifications/s", told as f64 / began.elapsed().as_secs_f64());

    let payments = last - 1;
    println!("{payments} payments");
    for table in ["payments", "payment_requests", "events", "deliveries"] {
        let size = |what: &str| format!("SELECT {what}('{table}')");
        let heap: i64 = ask(&cluster, &url, &size("pg_table_size")).await;
        let index: i64 = ask(&cluster, &url, &size("pg_indexes_size")).await;
        println!(
            "{table}: {} + {} bytes/payment (rows + indexes)",
            heap / payments,
            index / payments
        );
    }
    let written = wal(&cluster, &url).await - before;
    println!("write-ahead log: {} bytes/payment", written / payments);
}

async fn ask(cluster: &Cluster, url: &str, sql: &str) -> i64 {
    cluster.ask(url, sql).await.unwrap().parse().unwrap()
}

async fn wal(cluster: &Cluster, url: &str) -> i64 {
    ask(cluster, url, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").await
}

static NEXT: AtomicI64 = AtomicI64::new(1);

/// Payments a second.
async fn run<F, Fut>(seconds: u64, callers: u64, store: &PgStore, step: F) -> f64
where
    F: Fn(PgStore, i64) -> Fut + Copy + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds);
    let done = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let (store, done) = (store.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while Instant::now() < until {
                    step(store.clone(), NEXT.fetch_add(1, Ordering::Relaxed)).await;
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

fn note(kind: &'static str, bytes: usize) -> Note {
    Note { kind, detail: json!({ "body": "x".repeat(bytes) }) }
}

/// Ids and texts as long as real ones.
fn payment(number: i64) -> Payment {
    sample::payment_with(tx_id(number).get(), now(), |payment| {
        payment.merchant_tx_id = Some(format!("order-2026-{number:012}"));
        payment.merchant_redirect_url =
            Some("https://shop.example/checkout/return?order=2026".into());
        payment.notification_url = Some("https://psp.example/gopay/notify".into());
    })
}

fn tx_id(number: i64) -> TxId {
    TxId::new(382_000_000_000_000_000 + number).unwrap()
}

async fn open(store: PgStore, number: i64) {
    let payment = payment(number);
    let request = json!({ "txtype": "TRANSACTION", "rest": "x".repeat(1_000) }).to_string();
    store.payment_create(&payment, &request, &[note("charge_sent", 700)]).await.unwrap();
    let event = Event::ChargeCreated {
        midtrans_tx_id: "231c79c5-e39e-4993-86da-cadcaee56c1d".into(),
        deeplink: "https://simulator.sandbox.midtrans.com/gopay/partner/app/payment-pin?id=231c79c5-e39e-4993-86da-cadcaee56c1d".into(),
    };
    let notes = [note("charge_answered", 500)];
    store.payment_apply(payment.tx_id, &event, None, &notes, now()).await.unwrap();
}

async fn pay(store: &PgStore, number: i64) {
    let event = Event::Paid {
        midtrans_tx_id: "231c79c5-e39e-4993-86da-cadcaee56c1d".into(),
        paid_at: Some(now()),
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    };
    let notes = [note("notification", 400), note("status", 400)];
    store.payment_apply(tx_id(number), &event, None, &notes, now()).await.unwrap();
}

/// What one worker does in one go.
async fn told_batch(store: &PgStore) -> u64 {
    let at = now();
    let lease = at.after(Duration::from_secs(90));
    let claimed = store.delivery_claim_due(at, lease, 64, &[]).await.unwrap();
    let recorded = claimed.iter().map(|delivery| {
        let detail = json!({ "status": 200, "delivered": true });
        store.delivery_record(delivery, &AttemptOutcome::Delivered, detail, at)
    });
    for result in futures::future::join_all(recorded).await {
        result.unwrap();
    }
    claimed.len().try_into().unwrap()
}
