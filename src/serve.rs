//! `serve` and the commands that read its config.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::Router;
use gopay_http::App;
use gopay_midtrans_client::{Endpoint, MidtransClient};
use gopay_outbound::{AddressPolicy, HttpTransport, Transport};
use gopay_service::{Clock, Directory, Parts, Service, Settings, SystemClock, Upstream, Upstreams};
use gopay_store::Database;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::cli::{BackupArgs, ConfigArgs, ExplainArgs, Role, ServeArgs};
use crate::config::{Account, Config, Problem};
use crate::listen::{self, Ending, Stop};
use crate::silence::Noticed;
use crate::store::{self, Engine, Place};

/// The service and what it stands on.
pub(crate) struct Adapter {
    pub(crate) service: Service,
    pub(crate) store: Engine,
    pub(crate) app: App,
}

/// The listeners of an adapter, bound; equal addresses share one.
pub(crate) struct Listeners {
    pub(crate) psp: TcpListener,
    /// None if the psp listener serves it too.
    pub(crate) public: Option<TcpListener>,
    /// None if another serves it too.
    pub(crate) admin: Option<TcpListener>,
    admin_with_public: bool,
    /// At each.
    connections: usize,
}

impl Listeners {
    pub(crate) async fn bind(
        listen: &crate::config::Listen,
        connections: usize,
    ) -> anyhow::Result<Self> {
        let psp = listen::bind(listen.psp).await?;
        let own = |address, others: &[std::net::SocketAddr]| !others.contains(&address);
        let public = if own(listen.public, &[listen.psp]) {
            Some(listen::bind(listen.public).await?)
        } else {
            None
        };
        let admin = if own(listen.admin, &[listen.psp, listen.public]) {
            Some(listen::bind(listen.admin).await?)
        } else {
            None
        };
        let admin_with_public = listen.admin == listen.public;
        Ok(Self { psp, public, admin, admin_with_public, connections })
    }

    /// Starts serving. A worker instance serves the admin routes only.
    pub(crate) fn serve(self, app: &App, role: Role, tasks: &mut JoinSet<()>, stop: &Stop) {
        let api = role != Role::Worker;
        let mut psp = Router::new();
        let mut public = Router::new();
        let admin = gopay_http::admin::router(app.clone());
        if api {
            psp = psp.merge(gopay_http::psp::router(app.clone()));
            public = public.merge(gopay_http::public::router(app.clone()));
        }
        let mut serve = |listener, routes| {
            let routes = gopay_http::listener(routes, app);
            listen::serve(tasks, listener, routes, self.connections, stop);
        };
        match self.admin {
            Some(listener) => serve(listener, admin),
            None if self.admin_with_public => public = public.merge(admin),
            None => psp = psp.merge(admin),
        }
        match self.public {
            Some(listener) => serve(listener, public),
            None => psp = psp.merge(public),
        }
        serve(self.psp, psp);
    }
}

/// Puts an adapter together.
pub(crate) async fn build(
    config: Config,
    clock: Arc<dyn Clock>,
    metrics: PrometheusHandle,
    draining: watch::Receiver<bool>,
) -> anyhow::Result<Adapter> {
    let store = Engine::open(&config.store, config.connections).await?;
    let limits = gopay_http::Limits {
        call_bytes_max: config.limits.call_bytes,
        notification_bytes_max: config.limits.notification_bytes,
        body_timeout: config.limits.body_timeout,
    };
    let service = service(config, store.handle(), clock)?;
    let app = App { service: service.clone(), limits, metrics, draining };
    Ok(Adapter { service, store, app })
}

fn service(
    config: Config,
    store: Arc<dyn Database>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Service> {
    let notify = format!("{}/midtrans/notification", config.base_url);
    let receivers =
        HttpTransport::builder(AddressPolicy::public(config.delivery.allow_private.clone()))
            .connect_timeout(Duration::from_secs(5).min(config.delivery.timeout / 2))
            .build()
            .context("cannot set up the connections to receivers")?;
    let upstreams = Upstreams {
        test: config.test.map(|account| upstream(account, &notify, "test")).transpose()?,
        live: config.live.map(|account| upstream(account, &notify, "live")).transpose()?,
    };
    let mut salt = [0; 32];
    gopay_service::os_random(&mut salt);
    Ok(Service::new(Parts {
        settings: Settings {
            public_base_url: config.base_url,
            session: config.limits.session,
            refund_window: config.limits.refund_window,
            delivery_schedule: config.delivery.schedule,
            delivery_timeout: config.delivery.timeout,
            delivery_concurrency: config.delivery.concurrency,
            delivery_concurrency_per_receiver: config.delivery.concurrency_per_receiver,
            checks_per_second: config.limits.checks_per_second,
            concurrent_calls: config.limits.concurrent_calls,
            concurrent_calls_per_client: config.limits.concurrent_calls_per_client,
            under_way_max: config.under_way_max,
            instance: config.instance,
            rand_pair: true,
        },
        directory: Arc::new(Directory::new(config.clients, config.contracts, salt)),
        store,
        upstreams,
        receivers: Arc::new(receivers),
        clock,
        random: Box::new(gopay_service::os_random),
    }))
}

fn upstream(account: Account, notify: &str, name: &'static str) -> anyhow::Result<Upstream> {
    let transport: Arc<dyn Transport> = Arc::new(
        HttpTransport::builder(AddressPolicy::any())
            .connect_timeout(account.connect_timeout)
            .build()
            .context("cannot set up the connections to Midtrans")?,
    );
    let mut endpoint = Endpoint::new(account.base_url, account.server_key.clone());
    endpoint.timeout = account.timeout;
    endpoint.refund_path = account.refund_path;
    endpoint.notification_url = Some(notify.to_owned());
    let transport = Arc::new(Noticed::new(transport, name));
    let client = MidtransClient::new(transport, endpoint)
        .with_context(|| format!("the section midtrans.{name} does not work"))?;
    Ok(Upstream { client, server_key: account.server_key })
}

/// Installs the recorder of metrics; once a process.
pub(crate) fn metrics() -> anyhow::Result<PrometheusHandle> {
    Ok(PrometheusBuilder::new().install_recorder()?)
}

pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

pub(crate) fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    let config = match read(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    runtime()?.block_on(async {
        let Ending { draining, stop } = listen::on_signals(config.limits.drain)?;
        let listeners = Listeners::bind(&config.listen, config.limits.connections).await?;
        let listen = config.listen.clone();
        let (place, number) = (config.store.clone(), config.instance);
        let adapter = build(config, Arc::new(SystemClock), metrics()?, draining).await?;
        // Workers draw no ids.
        let lock = match args.role {
            Role::All | Role::Api => store::take_number(&place, number).await?,
            Role::Worker => None,
        };
        tracing::info!(
            psp = %listen.psp,
            public = %listen.public,
            admin = %listen.admin,
            role = ?args.role,
            "ready"
        );
        tokio::select! {
            ended = run_adapter(adapter, listeners, args.role, stop) => ended,
            lost = store::number_lost(lock.as_ref()) => Err(lost),
        }
    })
}

/// Runs an adapter to its stop, then closes the store.
pub(crate) async fn run_adapter(
    adapter: Adapter,
    listeners: Listeners,
    role: Role,
    stop: Stop,
) -> anyhow::Result<Outcome> {
    let Adapter { service, store, app } = adapter;
    let mut tasks = JoinSet::new();
    listeners.serve(&app, role, &mut tasks, &stop);
    tasks.spawn(keep_up(app.metrics.clone(), stop.clone()));
    if role != Role::Api {
        tasks.spawn(gopay_service::loops::run(service.clone(), stop.clone()));
    }
    // Calls whose callers have hung up run on without a connection.
    listen::finish(tasks, stop, service.until_idle()).await;
    drop((service, app));
    store.close().await?;
    Ok(Outcome::Done)
}

/// Sums up what was recorded until the stop. The recorder keeps each single value until it is
/// asked for the metrics or told to do this; where nobody asks, it would grow for ever.
async fn keep_up(metrics: PrometheusHandle, stop: Stop) {
    const PAUSE: Duration = Duration::from_secs(2);
    let mut stopped = std::pin::pin!(listen::stopped(stop));
    while tokio::time::timeout(PAUSE, &mut stopped).await.is_err() {
        metrics.run_upkeep();
    }
}

/// Reads a config; prints its problems and answers "no" if it has any.
fn read(args: &ConfigArgs) -> anyhow::Result<Result<Config, Outcome>> {
    match crate::config::read(&args.config) {
        Ok(config) => Ok(Ok(config)),
        Err(problems) => {
            report(&args.config, &problems)?;
            Ok(Err(Outcome::No))
        }
    }
}

pub(crate) fn report(path: &Path, problems: &[Problem]) -> anyhow::Result<()> {
    let mut out = std::io::stderr().lock();
    for problem in problems {
        writeln!(out, "{}: {problem}", path.display())?;
    }
    Ok(())
}

pub(crate) fn check_config(args: &ConfigArgs) -> anyhow::Result<Outcome> {
    match read(args)? {
        Ok(_) => {
            writeln!(std::io::stdout(), "{}: valid", args.config.display())?;
            Ok(Outcome::Done)
        }
        Err(no) => Ok(no),
    }
}

pub(crate) fn migrate(args: &ConfigArgs) -> anyhow::Result<Outcome> {
    let config = match read(args)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let name = config.store.name();
    let version = runtime()?
        .block_on(config.store.migrate())
        .with_context(|| format!("cannot open the store {name}"))?;
    writeln!(std::io::stdout(), "{name}: schema version {version}")?;
    Ok(Outcome::Done)
}

pub(crate) fn hash_password() -> anyhow::Result<Outcome> {
    const PASSWORD_BYTES_MAX: u64 = 1_024;
    let mut password = String::new();
    std::io::stdin().lock().take(PASSWORD_BYTES_MAX + 1).read_to_string(&mut password)?;
    let password = password.trim_end_matches(['\n', '\r']);
    if password.is_empty() || password.len() > 1_024 {
        return Err(anyhow!("standard input: a password of 1 to 1024 bytes is wanted"));
    }
    let mut salt = [0; 16];
    gopay_service::os_random(&mut salt);
    let hash = gopay_service::hash_password(password, &salt)
        .map_err(|error| anyhow!("cannot hash the password: {error}"))?;
    writeln!(std::io::stdout(), "{hash}")?;
    Ok(Outcome::Done)
}

pub(crate) fn backup(args: &BackupArgs) -> anyhow::Result<Outcome> {
    let config = match read(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    if let Place::Postgres(_) = config.store {
        return Err(anyhow!(
            "{}: use pg_dump for a copy, or pg_basebackup with the write-ahead log for recovery \
             to any moment; backup is for SQLite",
            config.store.name()
        ));
    }
    let runtime = runtime()?;
    let Engine::Sqlite(store) = runtime.block_on(Engine::open_read_only(&config.store))? else {
        return Err(anyhow!("backup is for SQLite"));
    };
    runtime
        .block_on(store.backup(&args.output))
        .with_context(|| format!("cannot write the copy {}", args.output.display()))?;
    writeln!(std::io::stdout(), "{}: written", args.output.display())?;
    Ok(Outcome::Done)
}

pub(crate) fn explain(args: &ExplainArgs) -> anyhow::Result<Outcome> {
    let config = match read(&args.config)? {
        Ok(config) => config,
        Err(no) => return Ok(no),
    };
    let story = runtime()?.block_on(async {
        let store = Engine::open_read_only(&config.store).await?;
        let story = gopay_service::story(store.handle().as_ref(), args.txid).await?;
        store.close().await?;
        anyhow::Ok(story)
    })?;
    match story {
        Some(story) => {
            std::io::stdout().write_all(story.as_bytes())?;
            Ok(Outcome::Done)
        }
        None => {
            writeln!(std::io::stderr(), "the store has no transaction {}", args.txid)?;
            Ok(Outcome::No)
        }
    }
}
