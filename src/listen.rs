//! Listeners: bound first, so that an address that is taken is an error before anything begins.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Tells everything to stop when it turns true.
pub(crate) type Stop = watch::Receiver<bool>;

pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// How long the head of a request may take; also how long a connection may be idle.
const HEAD_MAX: Duration = Duration::from_secs(75);

/// Serves a router on at most so many connections at once, until told to stop; then finishes the
/// requests that are under way.
pub(crate) fn serve(
    tasks: &mut JoinSet<()>,
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    stop: &Stop,
) {
    tasks.spawn(accept(listener, router, connections_max, stop.clone()));
}

async fn accept(listener: TcpListener, router: Router, connections_max: usize, stop: Stop) {
    let room = Arc::new(Semaphore::new(connections_max));
    let open = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    let mut stopped = std::pin::pin!(stopped(stop));
    loop {
        let (stream, place) = tokio::select! {
            biased;
            () = &mut stopped => break,
            next = next(&listener, &room) => next,
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "a connection ended badly");
            }
            drop(place);
        });
    }
    // New connections are refused from here on, so that a client goes elsewhere at once.
    drop(listener);
    open.shutdown().await;
}

/// The next connection, once there is room for it; until then it waits with the system.
async fn next(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        let Ok(place) = Arc::clone(room).acquire_owned().await else {
            // The room is never closed.
            std::future::pending().await
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole: there is nothing to wait for.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(error = %error, "a connection without TCP_NODELAY");
                }
                return (stream, place);
            }
            Err(error) => {
                // Gone before it was taken, or out of file descriptors, which pass.
                tracing::warn!(error = %error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
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
