//! `demo`: everything in one process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use gopay_core::payment::Channel;
use gopay_core::ppro::transaction::Kyc;
use gopay_core::time::Timestamp;
use gopay_demo::{Demo, credentials};
use gopay_service::{Clock, Contract, Psp, Service};
use gopay_simulator::{MovableClock, OffsetClock, SimulatorConfig, SimulatorState};
use secrecy::SecretString;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::args::Role;
use crate::commands::simulate::start_simulator;
use crate::config::{Account, Config, Listen};
use crate::start::{Face, Listeners, LoadedFaces, build, prepare, run_adapter, runtime};
use crate::store::StoreUrl;
use crate::telemetry::metrics;
use gopay_inbound::Ending;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Address of the adapter: Simple API, shopper pages, Midtrans notifications.
    #[arg(long, env = "GOPAY_ADAPTER_LISTEN", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Address of the console, health, metrics and sums.
    #[arg(long, env = "GOPAY_ADAPTER_ADMIN_LISTEN", default_value = "127.0.0.1:8081")]
    pub(crate) admin_listen: SocketAddr,
    /// Address of the simulator, the shop and the PSP.
    #[arg(long, env = "GOPAY_ADAPTER_SIMULATOR_LISTEN", default_value = "127.0.0.1:8090")]
    pub(crate) simulator_listen: SocketAddr,
    /// Folder of the store. Without it the store is temporary, like the simulator's memory.
    #[arg(long, env = "GOPAY_ADAPTER_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Store of the adapter instead, such as postgres://USER@HOST/DATABASE; it is migrated first.
    #[arg(long, env = "GOPAY_ADAPTER_STORE", conflicts_with = "data", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Seed of the simulator's ids and chances.
    #[arg(long, env = "GOPAY_ADAPTER_SEED", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Open no payment at the start, for who counts them.
    #[arg(long, env = "GOPAY_ADAPTER_NO_PAYMENT")]
    pub(crate) no_payment: bool,
}

/// Adapter and simulator go by one clock, which `/simulator/v1/clock` moves.
#[derive(Debug)]
struct DemoClock(Arc<OffsetClock>);

impl Clock for DemoClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

const SERVER_KEY: &str = "SB-Mid-server-demo";

pub(crate) fn run(args: DemoArgs) -> anyhow::Result<Outcome> {
    // Gone when this ends.
    let temporary = args.data.is_none().then(tempfile::tempdir).transpose();
    let temporary = temporary.context("cannot make a temporary folder")?;
    let folder = temporary.as_ref().map(|folder| folder.path().to_owned()).or(args.data.clone());
    let folder = folder.unwrap_or_default();
    let place = args.store.as_deref().map(|url| StoreUrl::of_option("--store", url));
    let place = place.transpose()?;
    runtime()?.block_on(async {
        // Nobody stands in front who would have to be told.
        let Ending { draining, stop, .. } = gopay_inbound::on_signals(Duration::ZERO)?;
        let (mut config, listeners, simulator) = bind(&args, folder).await.context(
            "stop what listens there, or give other addresses: --listen, --admin-listen, \
             --simulator-listen",
        )?;
        if let Some(place) = place {
            place
                .migrate()
                .await
                .with_context(|| format!("cannot open the store {}", place.name()))?;
            config.store = place;
        }
        let clock = Arc::new(OffsetClock::new());
        let adapter_url = format!("http://{}/", config.listen.psp);
        let simulator_url = format!("http://{}", simulator.local_addr()?);
        let addresses = Addresses {
            adapter: adapter_url.clone(),
            admin: format!("http://{}", config.listen.admin),
            simulator: simulator_url.clone(),
            store: config.store.name(),
            explain: explain_arguments(&config.store),
        };
        let mut tasks = JoinSet::new();
        let settings = SimulatorConfig {
            base_url: simulator_url.clone(),
            seed: args.seed,
            ..SimulatorConfig::default()
        };
        let state = SimulatorState::start(settings, clock.clone(), args.data.as_deref())?;
        let demo = Demo::new(adapter_url, simulator_url)?;
        let router = gopay_simulator::router(state.clone()).merge(gopay_demo::router(demo.clone()));
        let prepared = prepare(config).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{}", problems.join("; "))
        })?;
        let adapter =
            build(prepared, true, Arc::new(DemoClock(clock)), metrics()?, draining).await?;
        let router = router.merge(due_router(adapter.service.clone()));
        start_simulator(&mut tasks, state, simulator, router, &stop);
        addresses.print()?;
        if !args.no_payment {
            tasks.spawn(first_payment(demo, addresses));
        }
        let ended = run_adapter(adapter, listeners, Role::All, stop.clone()).await;
        gopay_inbound::finish(tasks, stop, std::future::ready(())).await;
        ended
    })
}

/// Opens a payment as soon as the adapter listens, and says what can be done with it.
async fn first_payment(demo: Demo, addresses: Addresses) {
    let told = match demo.open().await {
        Ok(opened) => addresses.next_steps(&opened),
        Err(why) => {
            tracing::warn!(why, "no payment was opened at the start");
            return;
        }
    };
    let mut out = std::io::stdout().lock();
    // Whoever closed the output goes without.
    let _ = writeln!(out, "{told}").and_then(|()| out.flush());
}

/// Polls and deliveries that are due, on demand.
fn due_router(service: Service) -> axum::Router {
    gopay_demo::due_router(move || {
        let service = service.clone();
        async move {
            // The loops run too: they say what is wrong with the store.
            let polled = service.check_due().await.unwrap_or(0);
            polled.saturating_add(service.deliver_due().await.unwrap_or(0))
        }
    })
}

async fn bind(
    args: &DemoArgs,
    folder: PathBuf,
) -> anyhow::Result<(Config, Listeners, tokio::net::TcpListener)> {
    let wanted = Listen::plain(args.listen, args.listen, args.admin_listen);
    let connections = Config::default().limits.connections;
    let listeners =
        Listeners::bind(&wanted, LoadedFaces::default(), Role::All, connections).await?;
    let simulator = gopay_inbound::bind(args.simulator_listen).await?;
    // Port 0 asks for any free port: what was bound counts.
    let bound = |face| listeners.address(face).context("a listener without an address");
    let (psp, admin) = (bound(Face::Psp)?, bound(Face::Admin)?);
    let config = config(Listen::plain(psp, psp, admin), simulator.local_addr()?, folder)?;
    Ok((config, listeners, simulator))
}

fn config(listen: Listen, simulator: SocketAddr, folder: PathBuf) -> anyhow::Result<Config> {
    let mut salt = [0; 16];
    gopay_service::os_random(&mut salt);
    let password_hash = gopay_service::hash_password(credentials::PASSWORD, &salt)
        .map_err(|error| anyhow::anyhow!("cannot hash the demo password: {error}"))?;
    let secret = |text: &str| SecretString::from(text.to_owned());
    let default = Config::default();
    let mut delivery = default.delivery.clone();
    // Shop and PSP of the demo are on this machine.
    delivery.allow_private = ["127.0.0.0/8".parse()?, "::1/128".parse()?].to_vec();
    Ok(Config {
        base_url: format!("http://{}", listen.public),
        listen,
        store: StoreUrl::Sqlite(folder.join("gopay.db")),
        accounts: vec![Account {
            channel: Channel::Test,
            name: None,
            base_url: format!("http://{simulator}"),
            server_keys: vec![secret(SERVER_KEY)],
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            refund_path: gopay_midtrans_client::RefundPath::default(),
        }],
        delivery,
        under_way_max: Duration::from_secs(2),
        clients: vec![Psp {
            login: credentials::LOGIN.to_owned(),
            password_hashes: vec![secret(&password_hash)],
            shared_secrets: vec![secret(credentials::SHARED_SECRET)],
            notification_secrets: vec![secret(credentials::NOTIFICATION_SECRET)],
            require_ok_body: false,
            certificates: Vec::new(),
            concurrent_calls: None,
            calls_per_second: None,
        }],
        contracts: vec![Contract {
            id: credentials::CONTRACT.to_owned(),
            psp: credentials::LOGIN.to_owned(),
            enabled: true,
            channels: vec![Channel::Test],
            midtrans: Vec::new(),
            kyc: Kyc::Verified,
            notification_url: Some(format!("http://{simulator}/psp/notify")),
            redirect_url: Some(format!("http://{simulator}/shop/return")),
            return_schemes: None,
            refunds: true,
        }],
        ..default
    })
}

struct Addresses {
    adapter: String,
    admin: String,
    simulator: String,
    store: String,
    explain: String,
}

/// What to say to `explain` for this store. A URL with a password is not shown.
fn explain_arguments(store: &StoreUrl) -> String {
    match store {
        StoreUrl::Sqlite(path) => format!("--store 'sqlite:{}'", path.display()),
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(_) => "--store (as given to demo)".to_owned(),
    }
}

impl Addresses {
    fn print(&self) -> anyhow::Result<()> {
        let Self { adapter, admin, simulator, store, .. } = self;
        writeln!(
            std::io::stdout().lock(),
            "gopay-adapter demo is running; stop it with Ctrl-C.

  Simple API      {adapter}
  shop            {simulator}/shop
  PSP's receiver  {simulator}/psp/notifications
  simulator       {simulator}/simulator
  console         {admin}/console
  health          {admin}/health/ready
  sums            {admin}/admin/v1/totals
  store           {store}

  login {login}, password {password}, contractid {contract}, channel {channel}
  shared secret {shared}, notification secret {notification}

Open a payment of Rp 10.000 as a PSP does, as often as you like, and read the answer decoded:

  {curl}
",
            login = credentials::LOGIN,
            password = credentials::PASSWORD,
            contract = credentials::CONTRACT,
            channel = credentials::CHANNEL,
            shared = credentials::SHARED_SECRET,
            notification = credentials::NOTIFICATION_SECRET,
            curl = self.curl(),
        )?;
        std::io::stdout().flush()?;
        Ok(())
    }

    /// A line for a POSIX shell: a reference of its own each time, the answer one pair a line. The
    /// characters of addresses and messages are decoded, which is all that an answer has.
    fn curl(&self) -> String {
        const DECODED: &str =
            r"sed 's/%20/ /g;s/%2F/\//g;s/%3A/:/g;s/%3F/?/g;s/%3D/=/g;s/%26/\&/g;s/%2C/,/g'";
        let body = gopay_demo::example_body(&self.simulator);
        format!(
            "curl -sS {} -d '{body}' -d \"merchanttxid=ORDER-$(date +%s)-$$\" | tr '&' '\\n' | {DECODED}; echo",
            self.adapter
        )
    }

    /// What can be done with the payment that was opened at the start.
    fn next_steps(&self, opened: &gopay_demo::Opened) -> String {
        let Self { simulator, explain, .. } = self;
        let gopay_demo::Opened { tx_id, redirect_url, reference, answer } = opened;
        let program = std::env::args().next().unwrap_or_else(|| "gopay-adapter".to_owned());
        let width = answer.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        let lines = answer.iter().map(|(key, value)| format!("  {key:width$}  {value}\n"));
        format!(
            "A payment waits. The adapter answered, decoded:

{answer}
Next:

  pay it        open {redirect_url}
                or {program} trigger --simulator {simulator} paid {tx_id}
  read it       {simulator}/shop/orders/{tx_id} shows each message, raw and explained
  give back     a part or all of it, by the form on that page
  explain it    {program} explain {explain} {reference}
  let it expire {program} trigger --simulator {simulator} expired {tx_id}
  move time     curl -d '{{\"advance\":\"1h\"}}' {simulator}/simulator/v1/clock",
            answer = lines.collect::<String>(),
        )
    }
}
