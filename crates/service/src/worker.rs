//! The loops that finish what calls began: checks of payments, checks of refunds, deliveries.
//!
//! Each claims due work from the store in small lots, so that any number of instances can share
//! it, and an instance that dies leaves nothing behind but a time at which the next one looks.

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use gopay_store::{AttemptOutcome, Delivery, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::Service;

/// Nothing due: look again after this, or when woken.
const IDLE: Duration = Duration::from_secs(1);

/// Runs all loops until `stop` turns true; then finishes what is in flight.
pub async fn run(service: Service, stop: watch::Receiver<bool>) {
    let checks = tokio::spawn(check_loop(service.clone(), stop.clone()));
    let deliveries = tokio::spawn(delivery_loop(service, stop));
    let ended = futures::future::join(checks, deliveries).await;
    if ended.0.is_err() || ended.1.is_err() {
        tracing::error!("a worker ended in a bug");
    }
}

async fn check_loop(service: Service, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let began = tokio::time::Instant::now();
        let done = match service.check_due().await {
            Ok(done) => done,
            Err(error) => {
                crate::call::log_trouble(&error);
                0
            }
        };
        // A full lot means that there is more: go on with the next second.
        let rest = if done > 0 { IDLE.saturating_sub(began.elapsed()) } else { IDLE };
        wait(&mut stop, rest).await;
    }
}

async fn wait(stop: &mut watch::Receiver<bool>, rest: Duration) {
    tokio::select! {
        () = tokio::time::sleep(rest) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

impl Service {
    /// Takes the payments and refunds that are due, at most as many as may be checked in a
    /// second, and looks after them. Returns how many there were.
    ///
    /// # Errors
    /// If the store cannot say what is due.
    pub async fn check_due(&self) -> Result<usize, StoreError> {
        let limit = self.settings().checks_per_second;
        let store = &self.0.store;
        let refunds = store.refund_claim_due(self.now(), limit).await?;
        let payments =
            store.payment_claim_due(self.now(), limit.saturating_sub(refunds.len())).await?;
        let count = refunds.len() + payments.len();
        let refunds = refunds.into_iter().map(|refund| {
            let service = self.clone();
            tokio::spawn(async move { service.check_refund(refund).await })
        });
        let payments = payments.into_iter().map(|payment| {
            let service = self.clone();
            tokio::spawn(async move { service.check(payment).await })
        });
        let mut running: FuturesUnordered<_> = refunds.chain(payments).collect();
        while let Some(ended) = running.next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => crate::call::log_trouble(&error),
                Err(error) => tracing::error!(error = %error, "a check ended in a bug"),
            }
        }
        Ok(count)
    }

    /// Sends the deliveries that are due now, once each. For tests and the command line.
    ///
    /// # Errors
    /// If the store cannot say what is due.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let mut round = Deliveries::new(self.clone());
        let count = round.begin().await?;
        round.finish().await;
        Ok(count)
    }
}

async fn delivery_loop(service: Service, mut stop: watch::Receiver<bool>) {
    let mut round = Deliveries::new(service.clone());
    while !*stop.borrow() {
        // Registered before the look, so that no wake-up falls between.
        let woken = service.0.wake.notified();
        let begun = round.begin().await.unwrap_or_else(|error| {
            crate::call::log_trouble(&error);
            0
        });
        if begun > 0 && round.has_room() {
            round.reap();
            continue;
        }
        tokio::select! {
            () = woken, if round.has_room() => {}
            () = round.next(), if !round.running.is_empty() => {}
            () = tokio::time::sleep(IDLE) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
    round.finish().await;
}

/// Deliveries under way, bounded in all and per receiver, so that a slow receiver costs the
/// others nothing.
struct Deliveries {
    service: Service,
    running: JoinSet<String>,
    per_receiver: HashMap<String, usize>,
}

impl Deliveries {
    fn new(service: Service) -> Self {
        Self { service, running: JoinSet::new(), per_receiver: HashMap::new() }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.service.settings().delivery_concurrency
    }

    /// Claims what is due and begins it. Returns how many were begun.
    async fn begin(&mut self) -> Result<usize, StoreError> {
        const LOT: usize = 64;
        let settings = self.service.settings();
        let room = settings.delivery_concurrency.saturating_sub(self.running.len()).min(LOT);
        if room == 0 {
            return Ok(0);
        }
        let now = self.service.now();
        // Longer than a try can take, so that nobody takes it while it runs.
        let lease = now.after(settings.delivery_timeout + Duration::from_secs(30));
        let claimed = self.service.0.store.delivery_claim_due(now, lease, room).await?;
        let mut begun = 0;
        for delivery in claimed {
            begun += usize::from(self.take(delivery).await?);
        }
        Ok(begun)
    }

    async fn take(&mut self, delivery: Delivery) -> Result<bool, StoreError> {
        let receiver = receiver_of(&delivery.url);
        let open = self.per_receiver.entry(receiver.clone()).or_insert(0);
        if *open >= self.service.settings().delivery_concurrency_per_receiver {
            let again = AttemptOutcome::Postpone(self.service.now().after(IDLE));
            let store = &self.service.0.store;
            let now = self.service.now();
            store.delivery_record(&delivery, &again, serde_json::Value::Null, now).await?;
            return Ok(false);
        }
        *open += 1;
        let service = self.service.clone();
        self.running.spawn(async move {
            if let Err(error) = service.deliver(delivery).await {
                // The lease runs out, and it is tried again.
                crate::call::log_trouble(&error);
            }
            receiver
        });
        Ok(true)
    }

    /// Waits for one to end.
    async fn next(&mut self) {
        if let Some(ended) = self.running.join_next().await {
            self.release(ended);
        }
    }

    /// Takes note of those that have ended.
    fn reap(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            self.release(ended);
        }
    }

    fn release(&mut self, ended: Result<String, tokio::task::JoinError>) {
        match ended {
            Ok(receiver) => {
                if let Some(open) = self.per_receiver.get_mut(&receiver) {
                    *open = open.saturating_sub(1);
                    if *open == 0 {
                        self.per_receiver.remove(&receiver);
                    }
                }
            }
            Err(error) => tracing::error!(error = %error, "a delivery ended in a bug"),
        }
    }

    async fn finish(&mut self) {
        while !self.running.is_empty() {
            self.next().await;
        }
    }
}

/// Scheme, host and port: what shares a fate.
fn receiver_of(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(after_scheme..).unwrap_or_default();
    let end = rest.find(['/', '?', '#']).map_or(url.len(), |at| after_scheme + at);
    url.get(..end).unwrap_or(url).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_scheme_host_and_port() {
        for (url, expected) in [
            ("https://psp.example/notify?x=1", "https://psp.example"),
            ("https://PSP.example:8443", "https://psp.example:8443"),
            ("http://127.0.0.1:9?x", "http://127.0.0.1:9"),
        ] {
            assert_eq!(receiver_of(url), expected);
        }
    }
}
