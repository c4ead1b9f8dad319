//! The delivery loop: sends the notifications that PSPs are owed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use gopay_store::{AttemptOutcome, Delivery, StoreError, receiver_of};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::IDLE;
use crate::Service;
use crate::describe::log_store_error;
use crate::meters;

impl Service {
    /// Takes over what the process before had claimed, if the store is this one's alone; to be
    /// called before it begins or claims anything itself.
    ///
    /// If it cannot, the leases run out by themselves.
    pub async fn reclaim(&self) {
        let now = self.now();
        let lease_until = now.after(lease_of(self.settings()));
        match self.0.store.reclaim(now, lease_until).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "what was under way at the last end is due at once"),
            Err(error) => log_store_error(&error),
        }
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

pub(super) async fn delivery_loop(service: Service, mut stop: watch::Receiver<bool>) {
    let mut round = Deliveries::new(service.clone());
    while !*stop.borrow() {
        // Registered before the look, so that no wake-up falls between.
        let woken = service.0.wake.notified();
        let begun = round.begin().await.unwrap_or_else(|error| {
            log_store_error(&error);
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

/// Deliveries under way, bounded in all, per receiver and per PSP, so that a slow or dead receiver
/// costs the others nothing: while some wait for it here, no more are claimed for it.
struct Deliveries {
    service: Service,
    running: JoinSet<Ended>,
    receivers: BTreeMap<String, Receiver>,
    /// How many are under way for each PSP.
    shares: BTreeMap<String, usize>,
    /// While receivers are busy, the store reads past all that waits for them to find others':
    /// before this it is not asked again.
    claim_from: Instant,
}

/// A delivery attempt that has ended.
struct Ended {
    receiver: String,
    psp: String,
    good: bool,
}

/// While receivers are busy, claims take at most one part in so many of the time.
const CLAIM_SHARE: u32 = 5;

/// One receiver, while it has deliveries here, and for a while after it failed.
struct Receiver {
    running: usize,
    /// Claimed, waiting for their turn.
    waiting: VecDeque<Delivery>,
    /// Failures in a row.
    failures: u32,
    /// When something was last tried.
    tried: Instant,
}

/// After so many failures in a row a receiver gets one try at a time, until one succeeds.
const FAILURES_MAX: u32 = 5;

/// A receiver that failed is remembered so long after its last try.
const REMEMBERED: Duration = Duration::from_secs(600);

/// The shortest time that a receiver gets after failures.
const TIMEOUT_MIN: Duration = Duration::from_secs(3);

impl Receiver {
    fn new() -> Self {
        Self { running: 0, waiting: VecDeque::new(), failures: 0, tried: Instant::now() }
    }

    /// Half as long after each failure: who hangs must not hold a place for the whole time.
    fn timeout(&self, whole: Duration) -> Duration {
        (whole / (1 << self.failures.min(FAILURES_MAX))).max(TIMEOUT_MIN.min(whole))
    }

    fn may_run(&self, most: usize) -> bool {
        let most = if self.failures >= FAILURES_MAX { 1 } else { most };
        self.running < most
    }

    fn is_idle(&self) -> bool {
        self.running == 0
            && self.waiting.is_empty()
            && (self.failures == 0 || self.tried.elapsed() >= REMEMBERED)
    }
}

impl Deliveries {
    fn new(service: Service) -> Self {
        let claim_from = Instant::now();
        Self {
            service,
            running: JoinSet::new(),
            receivers: BTreeMap::new(),
            shares: BTreeMap::new(),
            claim_from,
        }
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
        const BATCH: usize = 64;
        self.forget();
        let settings = self.service.settings();
        let room = settings.delivery_concurrency.saturating_sub(self.running.len()).min(BATCH);
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
            let name = receiver_of(&delivery.url);
            let receiver = self.receivers.entry(name).or_insert_with(Receiver::new);
            receiver.waiting.push_back(delivery);
        }
        self.start();
        Ok(count)
    }

    /// Forgets receivers that failed and have had nothing to try since; when there are very many,
    /// all that have nothing here.
    fn forget(&mut self) {
        const KEPT_MAX: usize = 1_024;
        if self.receivers.len() > KEPT_MAX {
            self.receivers.retain(|_, receiver| !receiver.is_idle());
        }
        if self.receivers.len() > KEPT_MAX {
            let here = |receiver: &Receiver| receiver.running > 0 || !receiver.waiting.is_empty();
            self.receivers.retain(|_, receiver| here(receiver));
        }
    }

    /// What one PSP may have under way: as much as each other one that has something here, and as
    /// one more that may come at any time.
    fn share(&self, most: usize) -> usize {
        let waiting = self.receivers.values().flat_map(|receiver| receiver.waiting.front());
        let waiting = waiting.map(|delivery| delivery.psp.as_str());
        let psps: BTreeSet<&str> = self.shares.keys().map(String::as_str).chain(waiting).collect();
        (most / (psps.len() + 1)).max(1)
    }

    /// Begins those whose turn it is.
    fn start(&mut self) {
        if !self.service.0.store.may_begin() {
            return;
        }
        let settings = self.service.settings();
        let now = self.service.now();
        let share = self.share(settings.delivery_concurrency);
        for (name, receiver) in &mut self.receivers {
            while receiver.may_run(settings.delivery_concurrency_per_receiver)
                && self.running.len() < settings.delivery_concurrency
            {
                let Some(next) = receiver.waiting.front() else { break };
                if self.shares.get(&next.psp).is_some_and(|running| *running >= share) {
                    break;
                }
                let Some(delivery) = receiver.waiting.pop_front() else { break };
                if delivery.next_attempt_at < now.after(settings.delivery_timeout) {
                    // The lease would run out during the try; it is due again by itself then.
                    continue;
                }
                receiver.running += 1;
                receiver.tried = Instant::now();
                *self.shares.entry(delivery.psp.clone()).or_default() += 1;
                let timeout = receiver.timeout(settings.delivery_timeout);
                let (service, receiver) = (self.service.clone(), name.clone());
                self.running.spawn(async move {
                    let psp = delivery.psp.clone();
                    let good = service.deliver(delivery, timeout).await.unwrap_or_else(|error| {
                        // The lease runs out, and it is tried again.
                        log_store_error(&error);
                        false
                    });
                    Ended { receiver, psp, good }
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

    fn release(&mut self, ended: Result<Ended, JoinError>) {
        let Ended { receiver: name, psp, good } = match ended {
            Ok(ended) => ended,
            Err(error) => return tracing::error!(error = %error, "a delivery ended in a bug"),
        };
        if let Some(running) = self.shares.get_mut(&psp) {
            *running = running.saturating_sub(1);
            if *running == 0 {
                self.shares.remove(&psp);
            }
        }
        let Some(receiver) = self.receivers.get_mut(&name) else { return };
        receiver.running = receiver.running.saturating_sub(1);
        let failed = receiver.failures >= FAILURES_MAX;
        receiver.failures = if good { 0 } else { receiver.failures.saturating_add(1) };
        let changed = failed != (receiver.failures >= FAILURES_MAX);
        if receiver.is_idle() {
            self.receivers.remove(&name);
        }
        if changed {
            self.service.0.board.fails(&name, !failed);
            let failing = self.receivers.values().filter(|known| known.failures >= FAILURES_MAX);
            meters::receivers_failing(failing.count());
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
                log_store_error(&error);
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
    fn a_receiver_that_fails_gets_less_time_each_time() {
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        for (failures, whole, timeout) in [
            (0, seconds(30), seconds(30)),
            (1, seconds(30), seconds(15)),
            (2, seconds(30), millis(7_500)),
            (3, seconds(30), millis(3_750)),
            (4, seconds(30), seconds(3)),
            (1_000, seconds(30), seconds(3)),
            (3, seconds(2), seconds(2)),
        ] {
            let receiver = Receiver { failures, ..Receiver::new() };
            assert_eq!(receiver.timeout(whole), timeout, "{failures} failures of {whole:?}");
        }
    }
}
