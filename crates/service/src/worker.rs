//! The loops that finish what calls began: checks of payments, checks of refunds, deliveries.
//!
//! Each claims due work from the store in small lots, so that any number of instances can share
//! it, and an instance that dies leaves nothing behind but a time at which the next one looks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gopay_store::{AttemptOutcome, Delivery, StoreError, receiver_of};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use crate::Service;

/// Nothing due: look again after this, or when woken.
const IDLE: Duration = Duration::from_secs(1);

/// Runs all loops until `stop` turns true; then finishes what is in flight.
pub async fn run(service: Service, mut stop: watch::Receiver<bool>) {
    // One channel each: those who wait for the same one are woken in an order of chance, and a
    // simulation could not be repeated.
    let (stop_checks, checks_stop) = watch::channel(false);
    let (stop_deliveries, deliveries_stop) = watch::channel(false);
    let checks = tokio::spawn(check_loop(service.clone(), checks_stop));
    let deliveries = tokio::spawn(delivery_loop(service, deliveries_stop));
    // An error means that nobody can stop us any more, which is as good as a stop.
    let _ = stop.wait_for(|stop| *stop).await;
    stop_checks.send_replace(true);
    stop_deliveries.send_replace(true);
    let ended = futures::future::join(checks, deliveries).await;
    if ended.0.is_err() || ended.1.is_err() {
        tracing::error!("a worker ended in a bug");
    }
}

async fn check_loop(service: Service, mut stop: watch::Receiver<bool>) {
    let mut running = JoinSet::new();
    let (lot, pause) = lots(service.settings().checks_per_second);
    while !*stop.borrow() {
        let began = Instant::now();
        let begun = service.begin_checks(lot, &mut running).await.unwrap_or_else(|error| {
            crate::call::log_trouble(&error);
            Begun::default()
        });
        while let Some(ended) = running.try_join_next() {
            report(ended);
        }
        let rest = if begun.more { pause } else { IDLE };
        wait(&mut stop, rest.saturating_sub(began.elapsed())).await;
    }
    while let Some(ended) = running.join_next().await {
        report(ended);
    }
}

/// How many checks to begin at once, and how long to rest after so many, so that they are as many
/// a second as may be: that is the bound on calls to Midtrans.
///
/// Those of a whole second at once would hold up the calls of PSPs: the claim writes a page for
/// each, and all their answers come together.
fn lots(a_second: usize) -> (usize, Duration) {
    /// One for refunds, one for payments.
    const LOT_MIN: usize = 2;
    const LOTS_A_SECOND: usize = 10;
    let a_second = a_second.max(1);
    let lot = a_second.div_ceil(LOTS_A_SECOND).max(LOT_MIN);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (lot, Duration::from_secs(1).saturating_mul(count(lot)) / count(a_second))
}

/// What [`Service::begin_checks`] found.
#[derive(Debug, Default)]
struct Begun {
    count: usize,
    /// More may be due.
    more: bool,
}

fn report(ended: Result<Result<(), StoreError>, JoinError>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => crate::call::log_trouble(&error),
        Err(error) => tracing::error!(error = %error, "a check ended in a bug"),
    }
}

async fn wait(stop: &mut watch::Receiver<bool>, rest: Duration) {
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => {}
        () = tokio::time::sleep(rest) => {}
    }
}

impl Service {
    /// Takes payments and refunds that are due, at most a lot of them, and begins to look after
    /// them. Those of before may still be running: a Midtrans that is slow about one must not hold
    /// up the others.
    async fn begin_checks(
        &self,
        lot: usize,
        running: &mut JoinSet<Result<(), StoreError>>,
    ) -> Result<Begun, StoreError> {
        /// Each holds a connection to Midtrans.
        const RUNNING_MAX: usize = 256;
        let lot = lot.min(RUNNING_MAX.saturating_sub(running.len()));
        if lot == 0 {
            return Ok(Begun { count: 0, more: true });
        }
        let store = &self.0.store;
        let half = lot.div_ceil(2);
        let refunds = store.refund_claim_due(self.now(), half).await?;
        let left = lot.saturating_sub(refunds.len());
        let payments = store.payment_claim_due(self.now(), left).await?;
        let begun = Begun {
            count: refunds.len() + payments.len(),
            more: refunds.len() == half || payments.len() == left,
        };
        for refund in refunds {
            let service = self.clone();
            running.spawn(async move { service.check_refund(refund).await });
        }
        for payment in payments {
            let service = self.clone();
            running.spawn(async move { service.check(payment).await });
        }
        Ok(begun)
    }

    /// Looks after what is due, at most as many as may be checked in a second, once, and waits for
    /// it. For tests and simulations.
    ///
    /// # Errors
    /// If the store cannot say what is due.
    pub async fn check_due(&self) -> Result<usize, StoreError> {
        let mut running = JoinSet::new();
        let begun = self.begin_checks(self.settings().checks_per_second, &mut running).await?;
        while let Some(ended) = running.join_next().await {
            report(ended);
        }
        Ok(begun.count)
    }

    /// Sends the deliveries that are due now, once each. For tests and simulations.
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
        let rest = round.rest().unwrap_or(IDLE);
        // In one order, not by chance, so that a simulation can be repeated.
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => {}
            () = woken, if round.has_room() => {}
            () = round.next(), if !round.running.is_empty() => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
    round.put_back().await;
    round.finish().await;
}

/// Deliveries under way, bounded in all and per receiver, so that a slow or dead receiver costs
/// the others nothing: while some wait for it here, no more are claimed for it.
struct Deliveries {
    service: Service,
    running: JoinSet<(String, bool)>,
    receivers: BTreeMap<String, Receiver>,
    /// While receivers are busy, the store reads past all that waits for them to find others':
    /// before this it is not asked again.
    claim_from: Instant,
}

/// While receivers are busy, claims take at most one part in so many of the time.
const CLAIM_SHARE: u32 = 5;

/// One receiver, while it has deliveries here.
#[derive(Default)]
struct Receiver {
    running: usize,
    /// Claimed, waiting for their turn.
    waiting: VecDeque<Delivery>,
    /// Failures in a row.
    failures: u32,
}

/// After so many failures in a row a receiver gets one try at a time, until one succeeds.
const FAILURES_MAX: u32 = 5;

impl Receiver {
    fn may_run(&self, most: usize) -> bool {
        let most = if self.failures >= FAILURES_MAX { 1 } else { most };
        self.running < most
    }

    fn is_idle(&self) -> bool {
        self.running == 0 && self.waiting.is_empty() && self.failures == 0
    }
}

impl Deliveries {
    fn new(service: Service) -> Self {
        let claim_from = Instant::now();
        Self { service, running: JoinSet::new(), receivers: BTreeMap::new(), claim_from }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.service.settings().delivery_concurrency
    }

    /// How long claims have to wait, if they have to.
    fn rest(&self) -> Option<Duration> {
        let rest = self.claim_from.saturating_duration_since(Instant::now());
        (!rest.is_zero()).then_some(rest)
    }

    /// Claims what is due and begins what may begin. Returns how many were claimed.
    async fn begin(&mut self) -> Result<usize, StoreError> {
        const LOT: usize = 64;
        let settings = self.service.settings();
        let room = settings.delivery_concurrency.saturating_sub(self.running.len()).min(LOT);
        if room == 0 {
            return Ok(0);
        }
        let queued = self.receivers.iter().filter(|(_, receiver)| !receiver.waiting.is_empty());
        let busy: Vec<String> = queued.map(|(name, _)| name.clone()).collect();
        if !busy.is_empty() && self.rest().is_some() {
            return Ok(0);
        }
        let began = Instant::now();
        let now = self.service.now();
        let lease = now.after(lease_of(settings));
        let claimed = self.service.0.store.delivery_claim_due(now, lease, room, &busy).await?;
        if !busy.is_empty() {
            self.claim_from = Instant::now() + began.elapsed() * (CLAIM_SHARE - 1);
        }
        let count = claimed.len();
        for delivery in claimed {
            let receiver = self.receivers.entry(receiver_of(&delivery.url)).or_default();
            receiver.waiting.push_back(delivery);
        }
        self.start();
        Ok(count)
    }

    /// Begins those whose turn it is.
    fn start(&mut self) {
        let settings = self.service.settings();
        let now = self.service.now();
        for (name, receiver) in &mut self.receivers {
            while receiver.may_run(settings.delivery_concurrency_per_receiver)
                && self.running.len() < settings.delivery_concurrency
            {
                let Some(delivery) = receiver.waiting.pop_front() else { break };
                if delivery.next_attempt_at < now.after(settings.delivery_timeout) {
                    // The lease would run out during the try; it is due again by itself then.
                    continue;
                }
                receiver.running += 1;
                let (service, name) = (self.service.clone(), name.clone());
                self.running.spawn(async move {
                    let good = service.deliver(delivery).await.unwrap_or_else(|error| {
                        // The lease runs out, and it is tried again.
                        crate::call::log_trouble(&error);
                        false
                    });
                    (name, good)
                });
            }
        }
    }

    /// Waits for one to end, and begins the next.
    async fn next(&mut self) {
        if let Some(ended) = self.running.join_next().await {
            self.release(ended);
        }
        self.start();
    }

    /// Takes note of those that have ended, and begins the next.
    fn reap(&mut self) {
        while let Some(ended) = self.running.try_join_next() {
            self.release(ended);
        }
        self.start();
    }

    fn release(&mut self, ended: Result<(String, bool), JoinError>) {
        let (name, good) = match ended {
            Ok(ended) => ended,
            Err(error) => return tracing::error!(error = %error, "a delivery ended in a bug"),
        };
        let Some(receiver) = self.receivers.get_mut(&name) else { return };
        receiver.running = receiver.running.saturating_sub(1);
        receiver.failures = if good { 0 } else { receiver.failures.saturating_add(1) };
        if receiver.is_idle() {
            self.receivers.remove(&name);
        }
    }

    /// Gives up the leases of those that wait, for another instance or the next start.
    async fn put_back(&mut self) {
        let now = self.service.now();
        let waiting: Vec<Delivery> =
            self.receivers.values_mut().flat_map(|receiver| receiver.waiting.drain(..)).collect();
        for delivery in waiting {
            let store = &self.service.0.store;
            let again = AttemptOutcome::Postpone(now);
            let nothing = serde_json::Value::Null;
            if let Err(error) = store.delivery_record(&delivery, &again, nothing, now).await {
                crate::call::log_trouble(&error);
            }
        }
    }

    async fn finish(&mut self) {
        while !self.running.is_empty() {
            self.next().await;
        }
    }
}

/// Twice as long as a try can take: one may wait for another here.
fn lease_of(settings: &crate::Settings) -> Duration {
    settings.delivery_timeout * 2 + Duration::from_secs(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lots_and_rests_add_up_to_the_bound() {
        let millis = Duration::from_millis;
        for (a_second, lot, rest) in [
            (0, 2, millis(2_000)),
            (1, 2, millis(2_000)),
            (20, 2, millis(100)),
            (25, 3, millis(120)),
            (200, 20, millis(100)),
            (10_000, 1_000, millis(100)),
        ] {
            assert_eq!(lots(a_second), (lot, rest), "{a_second} a second");
        }
    }
}
