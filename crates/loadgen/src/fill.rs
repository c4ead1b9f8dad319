//! Fills a store with payments that are over, through the store's own methods, so that it is what a
//! year of business leaves behind: with references and nonces that land anywhere in an index.

use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gopay_core::ids::TxId;
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{Channel, Event, NewPayment, Nonce, Payment};
use gopay_core::ppro::call;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::time::Timestamp;
use gopay_store::{AttemptOutcome, Database, Note};
use gopay_store_postgres::{DatabaseUrl, PgStore};
use gopay_store_sqlite::{Options, SqliteStore};
use serde_json::json;
use tokio::task::JoinSet;

use crate::body::{Size, Template, scattered};
use crate::source::Made;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The store: a file that does not exist, or postgres://... without payments.
    #[arg(long)]
    store: PathBuf,
    /// How many payments.
    #[arg(long, default_value_t = 1_000_000)]
    payments: u64,
}

/// One in so many is written down beside the store, for look-ups.
const SAMPLE: u64 = 97;

/// Callers of the store at once: as many as one commit takes.
const CALLERS: u64 = 2_048;

/// Where the written-down ones of a store are.
fn sample_path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".sample");
    path.into()
}

/// Payments of a filled store to look up.
pub(crate) fn sample(store: &Path) -> anyhow::Result<Vec<Made>> {
    let path = sample_path(store);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: not made by `fill`", path.display()))?;
    let one = |line: &str| {
        let (tx_id, number) = line.split_once(' ')?;
        Some(Made { tx_id: tx_id.parse().ok()?, number: number.parse().ok()? })
    };
    Ok(text.lines().filter_map(one).collect())
}

/// The store to be filled: a file that does not exist, or a database without payments.
async fn open(args: &Args) -> anyhow::Result<(Arc<dyn Database>, Option<SqliteStore>)> {
    let url = args.store.to_string_lossy();
    if url.starts_with("postgres") {
        let place = DatabaseUrl::parse(&url)?;
        PgStore::migrate(&place).await?;
        let wait = Duration::from_secs(60);
        let options = gopay_store_postgres::Options { queue: 1 << 16, wait, ..Default::default() };
        return Ok((Arc::new(PgStore::open(&place, options).await?), None));
    }
    anyhow::ensure!(!args.store.exists(), "{}: exists already", args.store.display());
    let store = open_sqlite(&args.store)?;
    Ok((Arc::new(store.clone()), Some(store)))
}

fn open_sqlite(path: &Path) -> anyhow::Result<SqliteStore> {
    let options = Options {
        queue: 1 << 16,
        group_max: 4_096,
        checkpoint_pages: 65_536,
        ..Options::default()
    };
    Ok(SqliteStore::open(path, options)?)
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (store, file) = open(args).await?;
    add(&store, 0..args.payments).await?;
    if let Some(store) = file {
        store.close().await?;
        let mut file = std::io::BufWriter::new(std::fs::File::create(sample_path(&args.store))?);
        for Made { tx_id, number } in some(args.payments)? {
            writeln!(file, "{tx_id} {number}")?;
        }
        file.flush()?;
    }
    println!("{} payments in {:.0} s", args.payments, begun.elapsed().as_secs_f64());
    Ok(())
}

/// Adds the payments of these numbers to a SQLite store, which is made if it is missing.
pub(crate) async fn grow(path: &Path, numbers: Range<u64>) -> anyhow::Result<()> {
    let file = open_sqlite(path)?;
    let store: Arc<dyn Database> = Arc::new(file.clone());
    add(&store, numbers).await?;
    Ok(file.close().await?)
}

/// Some of the first `payments` of a filled store, to look up.
pub(crate) fn some(payments: u64) -> anyhow::Result<Vec<Made>> {
    let numbers = (0..payments).step_by(usize::try_from(SAMPLE)?);
    numbers.map(|number| Ok(Made { tx_id: u64::try_from(tx_id(number)?.get())?, number })).collect()
}

async fn add(store: &Arc<dyn Database>, numbers: Range<u64>) -> anyhow::Result<()> {
    let template = Arc::new(Template::transaction(Size::Minimal, None)?);
    let next = Arc::new(AtomicU64::new(numbers.start));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, template) = (Arc::clone(store), Arc::clone(&template));
        let (next, end) = (Arc::clone(&next), numbers.end);
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return anyhow::Ok(());
                }
                let call = recorded(&template.numbered(number));
                live(store.as_ref(), number, &call).await?;
            }
        });
    }
    let mut last = Instant::now();
    while !callers.is_empty() {
        tokio::select! {
            Some(ended) = callers.join_next() => ended??,
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        deliver(store.as_ref()).await?;
        if last.elapsed() > Duration::from_secs(10) {
            last = Instant::now();
            let done = next.load(Ordering::Relaxed).min(numbers.end);
            let added = done.saturating_sub(numbers.start) as f64;
            println!("{done} payments, {:.0}/s", added / begun.elapsed().as_secs_f64());
        }
    }
    while deliver(store.as_ref()).await? > 0 {}
    Ok(())
}

fn recorded(body: &[u8]) -> String {
    let mut scratch = Scratch::new();
    let (form, _) = Form::decode(body, &mut scratch);
    call::record(&form)
}

/// The life of a payment that goes well, until its PSP is to be notified: the steps and the records that
/// the service makes.
async fn live(store: &dyn Database, number: u64, call: &str) -> anyhow::Result<()> {
    let payment = payment(number)?;
    let (tx_id, created) = (payment.tx_id, payment.created_at);
    let note = |kind, detail| Note { kind, detail };
    store
        .payment_create(&payment, call, &[note("accepted", json!({"items": 1, "bytes": 700}))])
        .await?;
    let midtrans_tx_id = uuid(number);
    let deeplink =
        format!("https://simulator.example/gopay/ui/checkout?referenceid={midtrans_tx_id}");
    let opened = Event::ChargeCreated { midtrans_tx_id: midtrans_tx_id.clone(), deeplink };
    let sent = [note("charge_sent", json!({"attempt": 0, "answer": "created"}))];
    let answer = b"STATUS=PENDING&REQUESTSTATUS=SUCCEEDED".as_slice();
    store.payment_apply(tx_id, &opened, Some(answer), &sent, created).await?;
    let paid = created.after(Duration::from_secs(40));
    let success = Event::Paid {
        midtrans_tx_id,
        paid_at: Some(paid),
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    };
    let notes = [
        note("notification", json!({"claimed": "settlement", "code": 200})),
        note("asked", json!({"about": "status", "answer": "settlement"})),
    ];
    store.payment_apply(tx_id, &success, None, &notes, paid).await?;
    Ok(())
}

/// Delivers to PSPs what they are owed; how many were notified.
async fn deliver(store: &dyn Database) -> anyhow::Result<usize> {
    let now = Timestamp::from_micros(i64::try_from(FIRST_MS)? * 1_000).after(YEARS);
    let owed = store.delivery_claim_due(now, now.after(YEARS), 4_096, &[]).await?;
    let told = owed.iter().map(|delivery| {
        let detail = json!({"status": 200, "delivered": true});
        store.delivery_record(delivery, &AttemptOutcome::Delivered, detail, now)
    });
    futures::future::try_join_all(told).await?;
    Ok(owed.len())
}

/// After all that is filled in.
const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// As Midtrans' ids of transactions look.
fn uuid(number: u64) -> String {
    let (one, other) = (scattered(number, 16), scattered(!number, 16));
    let digits = format!("{one}{other}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let parts = [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)];
    parts.join("-")
}

/// One a millisecond since this moment.
const FIRST_MS: u64 = 1_740_000_000_000;

fn created(number: u64) -> anyhow::Result<Timestamp> {
    Ok(Timestamp::from_micros(i64::try_from((FIRST_MS + number) * 1_000)?))
}

/// As the one instance of a service issues them.
fn tx_id(number: u64) -> anyhow::Result<TxId> {
    Ok(TxId::new(TxId::floor_of(created(number)?))?)
}

/// Before it was charged. One in four has a nonce.
fn payment(number: u64) -> anyhow::Result<Payment> {
    let created = created(number)?;
    let nonce = number.is_multiple_of(4);
    let new = NewPayment {
        tx_id: tx_id(number)?,
        psp: "testclient".to_owned(),
        contract: "TESTCONTRACT".to_owned(),
        channel: Some(Channel::Test),
        account: None,
        merchant_tx_id: Some(format!("ORDER-{}", scattered(number, 13))),
        redirect_secret: format!("{}{}", scattered(number, 16), scattered(!number, 16)),
        merchant_redirect_url: Some("https://shop.example/checkout/return".to_owned()),
        notification_url: Some("https://psp.example/ppro/notify".to_owned()),
        nonce: nonce.then(|| Nonce { value: scattered(number, 16), fingerprint: [7; 32] }),
        created_at: created,
        session: Duration::from_secs(3_600),
    };
    Ok(Payment::open(new, Rupiah::from_sen(Sen::new(4_500_000))?))
}
