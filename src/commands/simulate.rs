//! `simulate`: the simulator of GoPay and Midtrans alone.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use gopay_simulator::{OffsetClock, SimulatorConfig, SimulatorState};
use tokio::task::JoinSet;
use toml::Table;

use crate::Outcome;
use crate::config::Config;
use crate::start::runtime;
use gopay_inbound::{Bounds, Ending, Listener, Stop};

#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// Where to listen; 127.0.0.1:8090 if absent.
    #[arg(long, env = "GOPAY_ADAPTER_SIMULATOR_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// Simulator settings, TOML; see docs/simulator.md.
    #[arg(long, env = "GOPAY_ADAPTER_SIMULATOR_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Folder in which the state survives; without it, it is in memory only.
    #[arg(long, env = "GOPAY_ADAPTER_SIMULATOR_DATA")]
    pub(crate) data: Option<PathBuf>,
}

/// The names that these variables had before. In `serve` and `demo` they mean the adapter's.
const OLD_LISTEN: &str = "GOPAY_ADAPTER_LISTEN";
const OLD_CONFIG: &str = "GOPAY_ADAPTER_CONFIG";

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<Outcome> {
    let listen = listen(args)?;
    let mut table = settings(args)?;
    let own_base_url = table.contains_key("base_url");
    runtime()?.block_on(async {
        let Ending { stop, .. } = gopay_inbound::on_signals(Duration::ZERO)?;
        let listener = gopay_inbound::bind(listen).await?;
        let address = listener.local_addr()?;
        if !own_base_url {
            table.insert("base_url".to_owned(), format!("http://{address}").into());
        }
        let config: SimulatorConfig =
            table.try_into().context("the simulator's settings are not valid")?;
        let clock = Arc::new(OffsetClock::new());
        let state = SimulatorState::start(config, clock, args.data.as_deref())?;
        let mut tasks = JoinSet::new();
        let router = gopay_simulator::router(state.clone());
        start_simulator(&mut tasks, state, listener, router, &stop);
        writeln!(std::io::stdout(), "gopay simulator on http://{address}")?;
        gopay_inbound::finish(tasks, stop, std::future::ready(())).await;
        Ok(Outcome::Done)
    })
}

fn listen(args: &SimulateArgs) -> anyhow::Result<SocketAddr> {
    if let Some(listen) = args.listen {
        return Ok(listen);
    }
    let Ok(text) = std::env::var(OLD_LISTEN) else {
        return Ok(SocketAddr::from(([127, 0, 0, 1], 8090)));
    };
    tracing::warn!("{OLD_LISTEN} is the adapter's; use GOPAY_ADAPTER_SIMULATOR_LISTEN");
    text.parse().with_context(|| format!("{OLD_LISTEN}: {text:?} is not an address"))
}

fn settings(args: &SimulateArgs) -> anyhow::Result<Table> {
    let read = |path: &Path| -> anyhow::Result<Table> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        text.parse().context("the simulator's settings are not TOML")
    };
    if let Some(path) = &args.config {
        return read(path);
    }
    let Some(path) = std::env::var_os(OLD_CONFIG) else { return Ok(Table::new()) };
    let table = read(Path::new(&path))?;
    if table.clone().try_into::<SimulatorConfig>().is_ok() {
        tracing::warn!("{OLD_CONFIG} is the adapter's; use GOPAY_ADAPTER_SIMULATOR_CONFIG");
        return Ok(table);
    }
    tracing::warn!("{OLD_CONFIG} names no settings of the simulator: they are the default");
    Ok(Table::new())
}

/// Serves a simulator and sends its notifications, until the stop.
pub(crate) fn start_simulator(
    tasks: &mut JoinSet<()>,
    state: SimulatorState,
    listener: tokio::net::TcpListener,
    router: axum::Router,
    stop: &Stop,
) {
    let bounds = Bounds::connections(Config::default().limits.connections);
    gopay_inbound::serve(tasks, Listener::new(listener, bounds), router, stop);
    let stopped = gopay_inbound::stopped(stop.clone());
    tasks.spawn(async move {
        if let Err(error) = gopay_simulator::run_notifications(state, stopped).await {
            tracing::error!(error = %error, "the simulator cannot send notifications");
        }
    });
}
