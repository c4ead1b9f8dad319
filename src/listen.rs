//! Listeners: bound first, so that an address that is taken is an error before anything begins.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tells everything to stop when it turns true.
pub(crate) type Stop = watch::Receiver<bool>;

pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Serves a router until told to stop, then finishes the requests that are under way.
pub(crate) fn serve(tasks: &mut JoinSet<()>, listener: TcpListener, router: Router, stop: &Stop) {
    let stop = stop.clone();
    tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stopped(stop)).await;
        if let Err(error) = served {
            tracing::error!(error = %error, "a listener ended");
        }
    });
}

/// Ready when told to stop.
pub(crate) async fn stopped(mut stop: Stop) {
    // An error means that the sender is gone, which is as good as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The two steps of an end: first others are told to go elsewhere, then the listeners close.
pub(crate) struct Ending {
    /// Turns true at the signal: readiness is refused, calls are still taken.
    pub(crate) draining: watch::Receiver<bool>,
    /// Turns true when the drain time is over, or at a second signal.
    pub(crate) stop: Stop,
}

/// Turns SIGINT or SIGTERM into an end.
pub(crate) fn on_signals(drain: Duration) -> anyhow::Result<Ending> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (drain_sender, draining) = watch::channel(false);
    let (stop_sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        let mut signalled = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        signalled().await;
        tracing::info!(drain_ms = drain.as_millis(), "stopping: no longer ready, still serving");
        drain_sender.send_replace(true);
        // An impatient second signal skips the rest of the wait.
        let _ = tokio::time::timeout(drain, signalled()).await;
        tracing::info!("stopping: finishing what is under way");
        stop_sender.send_replace(true);
        // Kept open, so that late receivers see the stop too.
        std::future::pending::<()>().await;
    });
    Ok(Ending { draining, stop })
}

/// Waits for the stop, then for the tasks, then for the rest. It is bounded: what is not finished
/// by then is finished after the next start.
pub(crate) async fn finish(mut tasks: JoinSet<()>, stop: Stop, rest: impl Future<Output = ()>) {
    const PATIENCE: Duration = Duration::from_secs(30);
    stopped(stop).await;
    let all = async {
        while tasks.join_next().await.is_some() {}
        rest.await;
    };
    if tokio::time::timeout(PATIENCE, all).await.is_err() {
        tracing::warn!("stopped with work under way; the next start finishes it");
    }
}
