//! The loops that finish what calls began: checks of payments, checks of refunds, deliveries.
//!
//! Each claims due work from the store in small batches, so that any number of instances can share
//! it, and an instance that dies leaves nothing behind but a time at which the next one looks.

use std::time::Duration;

use tokio::sync::watch;

use crate::Service;

mod attempt;
mod deliveries;
mod polls;

/// Nothing due: look again after this, or when woken.
const IDLE: Duration = Duration::from_secs(1);

/// Runs all loops until `stop` turns true; then finishes what is in flight.
pub async fn run(service: Service, mut stop: watch::Receiver<bool>) {
    // One channel each: those who wait for the same one are woken in an order of chance, and a
    // simulation could not be repeated.
    let (stop_checks, checks_stop) = watch::channel(false);
    let (stop_deliveries, deliveries_stop) = watch::channel(false);
    let checks = tokio::spawn(polls::poll_loop(service.clone(), checks_stop));
    let deliveries = tokio::spawn(deliveries::delivery_loop(service, deliveries_stop));
    // An error means that nobody can stop us any more, which is as good as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
    stop_checks.send_replace(true);
    stop_deliveries.send_replace(true);
    let ended = futures::future::join(checks, deliveries).await;
    if ended.0.is_err() || ended.1.is_err() {
        tracing::error!("a worker ended in a bug");
    }
}
