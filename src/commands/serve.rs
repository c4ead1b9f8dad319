//! `serve`: the adapter.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use gopay_service::{Service, SystemClock};

use crate::Outcome;
use crate::args::{ConfigArgs, Role};
use crate::commands::prepared_with;
use crate::config::Config;
use crate::directory::{Book, Desk, Follower, Whole};
#[cfg(feature = "otlp")]
use crate::otlp::Export;
use crate::reload::{Reloader, Running, on_hangup};
use crate::start::{Adapter, Face, Listeners, build, run_adapter, runtime};
use crate::store::{Engine, Number};
use crate::telemetry::metrics;
use gopay_inbound::{Ending, Stop};

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// What this instance does.
    #[arg(long, env = "GOPAY_ADAPTER_ROLE", value_enum, default_value_t = Role::All)]
    pub(crate) role: Role,
    /// Creates a missing SQLite store, which is refused otherwise: it may be that it went.
    #[arg(long, env = "GOPAY_ADAPTER_CREATE_STORE", value_parser = FalseyValueParser::new())]
    pub(crate) create_store: bool,
}

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    let book = async |config: &Config| stored(config, args.create_store).await;
    let (mut prepared, whole) = match prepared_with(&args.config, book)? {
        Ok(prepared) => prepared,
        Err(no) => return Ok(no),
    };
    for warning in &prepared.config.warnings {
        tracing::warn!(key = warning.key, risk = warning.risk, better = warning.better, "config");
    }
    runtime()?.block_on(async {
        let tls = std::mem::take(&mut prepared.tls);
        let config = &prepared.config;
        let Ending { draining, stop, hangups } = gopay_inbound::on_signals(config.limits.drain)?;
        let listeners =
            Listeners::bind(&config.listen, tls, args.role, config.limits.connections).await?;
        #[cfg(feature = "otlp")]
        let export = config.otlp.as_deref().map(|url| Export::start(url, config.instance));
        #[cfg(feature = "otlp")]
        let export = export.transpose()?;
        let running = Running::of(config);
        let (place, number) = (config.store.clone(), config.instance);
        let clock = Arc::new(SystemClock);
        let adapter = build(prepared, args.create_store, clock, metrics()?, draining).await?;
        // Workers draw no ids.
        let number = (args.role != Role::Worker).then_some(number);
        let number = Number::take(&place, &adapter.store, number).await?;
        let follower = follow(&adapter, whole, &stop);
        let reloader = Arc::new(Reloader {
            path: args.config.config.clone(),
            running,
            follower,
            layer: adapter.store.layer(),
            access: adapter.app.access.clone(),
            tls: listeners.tls(),
            one_at_a_time: Mutex::default(),
        });
        let _ = adapter.app.reload.set(reloader.hook());
        tokio::spawn(on_hangup(reloader.hook(), hangups));
        look_around(&adapter.service).await;
        let service = adapter.service.clone();
        let named = service.parties().midtrans.named();
        tokio::spawn(async move { service.probe_evenly(named).await });
        tracing::info!(
            psp = listeners.address(Face::Psp).map(display),
            public = listeners.address(Face::Public).map(display),
            admin = listeners.address(Face::Admin).map(display),
            role = ?args.role,
            "ready"
        );
        let ended = tokio::select! {
            ended = run_adapter(adapter, listeners, args.role, stop) => ended,
            lost = number.lost() => Err(lost),
        };
        number.release().await;
        #[cfg(feature = "otlp")]
        if let Some(export) = export {
            export.end().await;
        }
        ended
    })
}

/// Goes by what stands in the store from now on, and takes what operators enter.
fn follow(adapter: &Adapter, whole: Whole, stop: &Stop) -> Arc<Follower> {
    let follower = Arc::new(Follower::new(
        adapter.service.clone(),
        adapter.store.handle(),
        Arc::new(SystemClock),
        Arc::clone(&adapter.terms),
        whole,
    ));
    let sealed = adapter.store.layer().is_some();
    let desk = Desk { follower: Arc::clone(&follower), sealed };
    let _ = adapter.app.directory.set(Arc::new(desk));
    tokio::spawn(Arc::clone(&follower).run(stop.clone()));
    follower
}

/// What stands in the store before it is served. As far as `serve` would, it creates the store or brings
/// it up to date.
async fn stored(config: &Config, create: bool) -> anyhow::Result<Option<Book>> {
    let (place, keys) = (&config.store, &config.keys);
    let store = Engine::open(place, keys, config.connections, create).await?;
    let book = Book::read(store.handle().as_ref()).await;
    store.close().await?;
    Ok(Some(book?))
}

/// Tries the keys and compares the clocks, so that what is wrong is in the log before the first
/// payment. A Midtrans that is slow to answer does not hold up the start.
async fn look_around(service: &Service) {
    const PATIENCE: Duration = Duration::from_secs(2);
    if let Err(error) = service.compare_clock_with_store().await {
        tracing::warn!(error = gopay_service::chain(&error), "the newest payment was not read");
    }
    if tokio::time::timeout(PATIENCE, service.probe_accounts()).await.is_err() {
        tracing::warn!("Midtrans does not answer in time; whether it takes the keys is not known");
    }
}
