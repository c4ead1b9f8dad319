//! Fills a SQLite store with payments that are over, through the store's own methods, so that it
//! is what a year of business leaves behind.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gopay_core::ids::TxId;
use gopay_core::money::{Rupiah, Sen};
use gopay_core::payment::{Channel, Event, NewPayment, Payment};
use gopay_core::ppro::call;
use gopay_core::ppro::form::{Form, Scratch};
use gopay_core::time::Timestamp;
use gopay_store::{Note, Store as _};
use gopay_store_sqlite::{Options, SqliteStore};
use serde_json::json;
use tokio::task::JoinSet;

use crate::body::{Size, Template};
use crate::source::Made;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The store; must not exist.
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
fn sample_path(store: &std::path::Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push(".sample");
    path.into()
}

/// Payments of a filled store to look up.
pub(crate) fn sample(store: &std::path::Path) -> anyhow::Result<Vec<Made>> {
    let path = sample_path(store);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{}: not made by `fill`", path.display()))?;
    let one = |line: &str| {
        let (tx_id, number) = line.split_once(' ')?;
        Some(Made { tx_id: tx_id.parse().ok()?, number: number.parse().ok()? })
    };
    Ok(text.lines().filter_map(one).collect())
}

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    anyhow::ensure!(!args.store.exists(), "{}: exists already", args.store.display());
    let options = Options {
        queue: 1 << 16,
        group_max: 4_096,
        checkpoint_pages: 65_536,
        ..Options::default()
    };
    let store = SqliteStore::open(&args.store, options)?;
    let template = Arc::new(Template::transaction(Size::Minimal, None)?);
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (store, template) = (store.clone(), Arc::clone(&template));
        let (next, payments) = (Arc::clone(&next), args.payments);
        callers.spawn(async move {
            let mut scratch = Scratch::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= payments {
                    return anyhow::Ok(());
                }
                let body = template.numbered(number);
                let (form, _) = Form::decode(&body, &mut scratch);
                store.payment_create(&payment(number)?, &call::record(&form), &notes()).await?;
            }
        });
    }
    let mut last = Instant::now();
    while !callers.is_empty() {
        tokio::select! {
            Some(ended) = callers.join_next() => ended??,
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
        if last.elapsed() > Duration::from_secs(10) {
            last = Instant::now();
            let done = next.load(Ordering::Relaxed).min(args.payments);
            println!("{done} payments, {:.0}/s", done as f64 / begun.elapsed().as_secs_f64());
        }
    }
    store.close().await?;
    let mut file = std::io::BufWriter::new(std::fs::File::create(sample_path(&args.store))?);
    for number in (0..args.payments).step_by(usize::try_from(SAMPLE)?) {
        writeln!(file, "{} {number}", tx_id(number)?)?;
    }
    file.flush()?;
    println!("{} payments in {:.0} s", args.payments, begun.elapsed().as_secs_f64());
    Ok(())
}

/// One a millisecond since this moment, as ids that grow with time would have it.
const FIRST_MS: u64 = 1_740_000_000_000;

fn tx_id(number: u64) -> anyhow::Result<TxId> {
    Ok(TxId::new(i64::try_from((FIRST_MS + number) << 20)?)?)
}

fn payment(number: u64) -> anyhow::Result<Payment> {
    let tx_id = tx_id(number)?;
    let created = Timestamp::from_micros(i64::try_from((FIRST_MS + number) * 1_000)?);
    let paid = created.after(Duration::from_secs(40));
    let new = NewPayment {
        tx_id,
        psp: "testclient".to_owned(),
        contract: "TESTCONTRACT".to_owned(),
        channel: Some(Channel::Test),
        account: None,
        merchant_tx_id: Some(format!("ORDER-{number:013}")),
        redirect_secret: format!("{number:032}"),
        merchant_redirect_url: Some("https://shop.example/checkout/return".to_owned()),
        notification_url: Some("https://psp.example/ppro/notify".to_owned()),
        nonce: None,
        created_at: created,
        session: Duration::from_secs(3_600),
    };
    let midtrans_tx_id = format!("mt-{tx_id}");
    let deeplink =
        format!("https://simulator.example/gopay/ui/checkout?referenceid={midtrans_tx_id}");
    let opened = Event::ChargeCreated { midtrans_tx_id: midtrans_tx_id.clone(), deeplink };
    let settled = Event::Paid {
        midtrans_tx_id,
        paid_at: Some(paid),
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    };
    let payment = Payment::open(new, Rupiah::from_sen(Sen::new(4_500_000))?);
    Ok(payment.on(&opened, created).payment.on(&settled, paid).payment)
}

/// The trail of a payment that went well.
fn notes() -> [Note; 5] {
    let note = |kind, detail| Note { kind, detail };
    let state = |from: &str, to: &str, event: &str| {
        note("state", json!({"from": from, "to": to, "event": event, "verdict": "moved"}))
    };
    [
        note("accepted", json!({"items": 1, "bytes": 700})),
        note("charge_sent", json!({"attempt": 0, "answer": "created"})),
        state("initialized", "pending", "charge_created"),
        note("asked", json!({"about": "status", "answer": "settlement"})),
        state("pending", "succeeded", "paid"),
    ]
}
