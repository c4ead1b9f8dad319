//! `simulate`: the simulator of GoPay and Midtrans alone.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use gopay_simulator::{OffsetClock, SimulatorConfig, SimulatorState};
use tokio::task::JoinSet;

use crate::Outcome;
use crate::config::Config;
use crate::start::runtime;
use gopay_inbound::{Bounds, Ending, Stop};

#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// Where to listen.
    #[arg(long, env = "GOPAY_ADAPTER_LISTEN", default_value = "127.0.0.1:8090")]
    pub(crate) listen: SocketAddr,
    /// Simulator settings, TOML; see the operations guide.
    #[arg(long, env = "GOPAY_ADAPTER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<Outcome> {
    let text = match &args.config {
        None => String::new(),
        Some(path) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?,
    };
    let mut table: toml::Table = text.parse().context("the simulator's settings are not TOML")?;
    let own_base_url = table.contains_key("base_url");
    runtime()?.block_on(async {
        let Ending { stop, .. } = gopay_inbound::on_signals(Duration::ZERO)?;
        let listener = gopay_inbound::bind(args.listen).await?;
        let address = listener.local_addr()?;
        if !own_base_url {
            table.insert("base_url".to_owned(), format!("http://{address}").into());
        }
        let config: SimulatorConfig =
            table.try_into().context("the simulator's settings are not valid")?;
        let state = SimulatorState::new(config, Arc::new(OffsetClock::new()));
        let mut tasks = JoinSet::new();
        let router = gopay_simulator::router(state.clone());
        start_simulator(&mut tasks, state, listener, router, &stop);
        writeln!(std::io::stdout(), "gopay simulator on http://{address}")?;
        gopay_inbound::finish(tasks, stop, std::future::ready(())).await;
        Ok(Outcome::Done)
    })
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
    gopay_inbound::serve(tasks, listener, router, bounds, stop);
    let stopped = gopay_inbound::stopped(stop.clone());
    tasks.spawn(async move {
        if let Err(error) = gopay_simulator::run_notifications(state, stopped).await {
            tracing::error!(error = %error, "the simulator cannot send notifications");
        }
    });
}
