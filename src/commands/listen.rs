//! `listen`: a running adapter's notifications, also to a port of a developer's.

use std::io::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_core::journal::Kind;
use gopay_core::ppro::hash::notification_body;
use gopay_core::translate::outcome::delivery_confirmed;
use gopay_inbound::Ending;
use gopay_outbound::{AddressPolicy, HttpTransport, Method, Outgoing, Transport as _};
use gopay_service::Psp;
use gopay_store::{Cursor, Database, Delivery, JournalRecord};
use secrecy::ExposeSecret as _;
use serde_json::json;
use url::Url;

use crate::Outcome;
use crate::args::ConfigArgs;
use crate::commands::whole_config;
use crate::start::runtime;
use crate::store::Engine;

#[derive(Args)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Where each notification is sent, beside its own receiver.
    #[arg(long, env = "GOPAY_ADAPTER_FORWARD")]
    pub(crate) forward: Url,
    /// Only notifications of this contract.
    #[arg(long, env = "GOPAY_ADAPTER_CONTRACT")]
    pub(crate) contract: Option<String>,
    /// One JSON object a line for each notification.
    #[arg(long, env = "GOPAY_ADAPTER_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// How often the journal is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

/// Entries that are read at once.
const PAGE: usize = 200;

/// As in a delivery.
const TIMEOUT: Duration = Duration::from_secs(30);
const REPLY_BYTES_MAX: usize = 256 * 1024;

pub(crate) fn run(args: &ListenArgs) -> anyhow::Result<Outcome> {
    let config = match whole_config(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    if let Some(contract) = &args.contract {
        anyhow::ensure!(
            config.contracts.iter().any(|known| known.id == *contract),
            "--contract: {contract} is none of the config"
        );
    }
    runtime()?.block_on(async {
        let Ending { stop, .. } = gopay_inbound::on_signals(Duration::ZERO)?;
        let store = Engine::open_read_only(&config.store, &config.keys).await?;
        let listener = Forwarder {
            store: store.handle(),
            // The person at the command line may name any address.
            http: HttpTransport::builder(AddressPolicy::any()).build()?,
            psps: config.clients,
            args,
        };
        let ended = tokio::select! {
            () = gopay_inbound::stopped(stop) => Ok(Outcome::Done),
            failed = listener.follow() => failed,
        };
        drop(listener);
        store.close().await?;
        ended
    })
}

struct Forwarder<'a> {
    store: std::sync::Arc<dyn Database>,
    http: HttpTransport,
    psps: Vec<Psp>,
    args: &'a ListenArgs,
}

impl Forwarder<'_> {
    /// Forwards what ends from now on; ends with an error only.
    async fn follow(&self) -> anyhow::Result<Outcome> {
        let mut at: Cursor = self.store.journal_end().await?;
        if !self.args.json {
            let to = &self.args.forward;
            writeln!(
                std::io::stdout(),
                "what ends from now on is told to {to}, too; Ctrl-C ends it"
            )?;
        }
        loop {
            let page = self.store.journal_read(&at, PAGE).await?;
            if page.records.is_empty() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            for record in &page.records {
                if let Some(delivery) = self.owed(record).await? {
                    self.forward(&delivery).await?;
                }
            }
            at = page.next;
        }
    }

    /// The notification that an entry has brought about, if it has.
    async fn owed(&self, record: &JournalRecord) -> anyhow::Result<Option<Delivery>> {
        let final_state =
            matches!(record.entry.kind, Kind::Succeeded | Kind::SucceededLate | Kind::Failed);
        let wanted = self.args.contract.is_none() || self.args.contract == record.about.contract;
        if !final_state || !wanted {
            return Ok(None);
        }
        let all = self.store.deliveries_of(record.entry.tx_id).await?;
        // A step has one time: that of its entry and of the final state that it tells.
        Ok(all.into_iter().find(|delivery| delivery.final_at == record.entry.at))
    }

    async fn forward(&self, delivery: &Delivery) -> anyhow::Result<()> {
        let psp = self.psps.iter().find(|psp| psp.login == delivery.psp);
        let secret = psp.and_then(|psp| psp.notification_secrets.first());
        let Some(secret) = secret else {
            let (tx_id, login) = (delivery.tx_id, &delivery.psp);
            writeln!(std::io::stderr(), "{tx_id}: the config has no secret of client {login:?}")?;
            return Ok(());
        };
        let body = notification_body(delivery.tx_id, delivery.final_at, secret.expose_secret());
        let began = Instant::now();
        let request = Outgoing {
            method: Method::Post,
            url: self.args.forward.to_string(),
            headers: vec![("content-type", "application/x-www-form-urlencoded".to_owned())],
            body: Bytes::from(body),
            timeout: TIMEOUT,
            reply_bytes_max: REPLY_BYTES_MAX,
        };
        let answer = self.http.send(request).await;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let require_ok = psp.is_some_and(|psp| psp.require_ok_body);
        let (status, confirmed, error) = match answer {
            Ok(answer) => {
                let good = delivery_confirmed(answer.status, &answer.body, require_ok);
                (Some(answer.status), good, None)
            }
            Err(error) => (None, false, Some(gopay_service::chain(&error))),
        };
        let finaltimestamp = delivery.final_at.utc_seconds();
        let txid = delivery.tx_id.to_string();
        let mut out = std::io::stdout();
        if self.args.json {
            let line = json!({
                "txid": txid,
                "finaltimestamp": finaltimestamp,
                "status": status,
                "confirmed": confirmed,
                "error": error,
                "took_ms": took_ms,
            });
            writeln!(out, "{line}")?;
            return Ok(());
        }
        let outcome = match (status, error) {
            (Some(status), _) if confirmed => format!("{status}, confirmed"),
            (Some(status), _) => format!("{status}, which does not confirm"),
            (None, Some(error)) => format!("{error}; is something listening there?"),
            (None, None) => String::new(),
        };
        writeln!(out, "{finaltimestamp}  {txid}  {outcome}, in {took_ms} ms")?;
        Ok(())
    }
}
