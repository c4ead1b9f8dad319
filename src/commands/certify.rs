//! `certify`: what a PSP's endpoint for notifications does wrong.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_core::ids::{IdGenerator, TxId};
use gopay_outbound::{AddressPolicy, HttpTransport};
use gopay_service::{Clock as _, SystemClock};
use url::Url;

use crate::Outcome;
use crate::certify::{Endpoint, Report, SCENES, Seen, StandIn};
use crate::start::runtime;
use crate::terminal::Paint;

#[derive(Args)]
pub(crate) struct CertifyArgs {
    /// Where the endpoint takes notifications.
    #[arg(long, env = "GOPAY_ADAPTER_URL")]
    pub(crate) url: Url,
    /// The secret that signs notifications, as agreed with the operator.
    #[arg(long, env = "GOPAY_ADAPTER_NOTIFICATION_SECRET", hide_env_values = true)]
    pub(crate) notification_secret: String,
    /// Stand in for the adapter here: let the endpoint's Simple API address be this one, so that its
    /// questions (GETTXSTATUS) are seen and answered. Without it, answers and times alone are judged.
    #[arg(long, env = "GOPAY_ADAPTER_CERTIFY_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Transactions that the endpoint knows, one for each of the eight scenes; made up if absent.
    #[arg(long = "txid", env = "GOPAY_ADAPTER_TXID", value_delimiter = ',')]
    pub(crate) txids: Vec<TxId>,
    /// Where the endpoint tells what it holds of a transaction: `txid` is added to the query, the answer
    /// has one of the words PENDING, SUCCEEDED, FAILED.
    #[arg(long, env = "GOPAY_ADAPTER_STATUS_URL")]
    pub(crate) status_url: Option<Url>,
    /// The operator has agreed that the body must begin with OK (`require_ok_body`).
    #[arg(long, env = "GOPAY_ADAPTER_REQUIRE_OK", value_parser = FalseyValueParser::new())]
    pub(crate) require_ok: bool,
    /// Seconds within which an answer counts, as the operator set it.
    #[arg(long, env = "GOPAY_ADAPTER_TIMEOUT", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=300))]
    pub(crate) timeout: u64,
    /// Seconds that the endpoint may take to ask GETTXSTATUS after it has answered.
    #[arg(long, env = "GOPAY_ADAPTER_PATIENCE", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(0..=300))]
    pub(crate) patience: u64,
    /// The report as one JSON object.
    #[arg(long, env = "GOPAY_ADAPTER_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &CertifyArgs) -> anyhow::Result<Outcome> {
    let txids = txids(args)?;
    let report = runtime()?.block_on(certified(args, &txids))?;
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        let paint = Paint::of(&out);
        report.write(&mut out, paint)?;
    }
    Ok(if report.passed { Outcome::Done } else { Outcome::No })
}

/// One for each scene.
fn txids(args: &CertifyArgs) -> anyhow::Result<Vec<TxId>> {
    /// An instance number that is seldom used; what is made up stays with the endpoint under test.
    const INSTANCE: u16 = IdGenerator::INSTANCE_MAX;
    if args.txids.is_empty() {
        let (mut ids, now) = (IdGenerator::new(INSTANCE), SystemClock.now());
        return Ok(SCENES.iter().map(|_| ids.next_tx(now)).collect());
    }
    let different: std::collections::BTreeSet<&TxId> = args.txids.iter().collect();
    anyhow::ensure!(
        different.len() == SCENES.len() && args.txids.len() == SCENES.len(),
        "--txid: {} different ones are needed, one for each scene; {} were given",
        SCENES.len(),
        different.len()
    );
    Ok(args.txids.clone())
}

async fn certified(args: &CertifyArgs, txids: &[TxId]) -> anyhow::Result<Report> {
    let timeout = Duration::from_secs(args.timeout);
    let stand_in = match args.listen {
        Some(address) => Some(stand_in(address).await?),
        None => None,
    };
    let endpoint = Endpoint {
        // The person at the command line may name any address.
        http: HttpTransport::builder(AddressPolicy::any())
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            .build()?,
        url: args.url.to_string(),
        secret: args.notification_secret.clone(),
        timeout,
        stand_in,
        patience: Duration::from_secs(args.patience),
        status_url: args.status_url.as_ref().map(Url::to_string),
    };
    let now = SystemClock.now();
    let mut played = Vec::new();
    for (scene, tx_id) in SCENES.into_iter().zip(txids) {
        let one = endpoint.play(scene, *tx_id, now).await;
        let first = one.sent.first().and_then(|sent| sent.seen.first());
        if let (true, Some(Seen::NotReached(why))) = (played.is_empty(), first) {
            anyhow::bail!("{}: {why}; start the endpoint, and look at --url", args.url);
        }
        played.push(one);
    }
    Ok(Report::of(args.url.as_str(), played, args.require_ok))
}

/// Answers GETTXSTATUS at this address until the program ends.
async fn stand_in(address: SocketAddr) -> anyhow::Result<StandIn> {
    let listener = gopay_inbound::bind(address).await.context("--listen")?;
    let stand_in = StandIn::default();
    let router = stand_in.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(stand_in)
}
