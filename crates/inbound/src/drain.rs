//! The end of a process in two steps, and what else signals ask for.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Tells everything to stop when it turns true.
pub type Stop = watch::Receiver<bool>;

/// Ready when told to stop.
pub async fn stopped(mut stop: Stop) {
    // An error means that the sender is gone, which is as good as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The two steps of an end: first others are told to go elsewhere, then the listeners close.
#[derive(Debug)]
pub struct Ending {
    /// Turns true at the signal: readiness is refused, calls are still taken.
    pub draining: watch::Receiver<bool>,
    /// Turns true when the drain time is over, or at a second signal.
    pub stop: Stop,
    /// One for each SIGHUP, or for several that come together.
    pub hangups: mpsc::Receiver<()>,
}

/// Turns SIGINT or SIGTERM into an end. SIGHUP, which ends a process by default and comes when a
/// terminal closes, ends nothing: who waits for it may read the config again.
///
/// # Errors
/// If the system does not take the handlers.
pub fn on_signals(drain: Duration) -> io::Result<Ending> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    let (hangup_sender, hangups) = mpsc::channel(1);
    tokio::spawn(pass_on(hangup, hangup_sender));
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
    Ok(Ending { draining, stop, hangups })
}

async fn pass_on(mut hangup: Signal, to: mpsc::Sender<()>) {
    while hangup.recv().await.is_some() {
        if let Err(TrySendError::Closed(())) = to.try_send(()) {
            tracing::info!("SIGHUP is ignored: there is no config to read again");
        }
    }
}

/// Waits for the stop, then for the tasks, then for the rest. It is bounded: what is not finished
/// by then is finished after the next start.
pub async fn finish(mut tasks: JoinSet<()>, stop: Stop, rest: impl Future<Output = ()>) {
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
