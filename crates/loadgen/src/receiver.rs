//! A PSP's receiver: counts notifications, answers OK, and tells whoever waits for one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::body;

/// One that came: the payment and the moment.
pub(crate) type Arrival = (u64, Instant);

#[derive(Clone)]
struct Shared {
    count: Arc<AtomicU64>,
    arrivals: Option<UnboundedSender<Arrival>>,
}

/// Serves until the process ends; `GET /count` tells how many came.
pub(crate) async fn run(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    crate::serve::announce(listener.local_addr()?);
    let shared = Shared { count: Arc::default(), arrivals: None };
    Ok(axum::serve(listener, routes(shared)).await?)
}

/// Serves in this process, for measurements that need the moment of each arrival.
pub(crate) async fn start() -> anyhow::Result<(SocketAddr, UnboundedReceiver<Arrival>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (sender, arrivals) = unbounded_channel();
    let shared = Shared { count: Arc::default(), arrivals: Some(sender) };
    tokio::spawn(async move { axum::serve(listener, routes(shared)).await });
    Ok((address, arrivals))
}

fn routes(shared: Shared) -> Router {
    Router::new().route("/n", post(take)).route("/count", get(count)).with_state(shared)
}

async fn take(State(shared): State<Shared>, text: Bytes) -> &'static str {
    let now = Instant::now();
    shared.count.fetch_add(1, Ordering::Relaxed);
    let tx_id = body::value(&text, "txid").and_then(|id| id.parse().ok());
    if let (Some(arrivals), Some(tx_id)) = (&shared.arrivals, tx_id) {
        // Nobody may be waiting any more.
        let _ = arrivals.send((tx_id, now));
    }
    "OK"
}

async fn count(State(shared): State<Shared>) -> String {
    format!("{}\n", shared.count.load(Ordering::Relaxed))
}
