//! The leases on the numbers of instances: each process renews its own and looks at the others', by the
//! database's clock, which is right; a process that stands still for a while loses its number to who
//! looks, and ends when it finds that out.

use std::sync::Arc;
use std::time::Duration;

use gopay_core::time::Timestamp;
use gopay_store::lease::{LOOK, StoredLease, TERM, Watch};

use crate::process::Life;
use crate::world::World;

impl Life {
    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        u16::try_from(self.slot).unwrap_or(0)
    }
}

impl World {
    /// Until when a lease lasts that is renewed now.
    fn lease_until(&self) -> Timestamp {
        self.now().after(TERM)
    }

    /// Takes the number of a slot for a process, when the one before it is gone.
    pub(crate) fn take_number(&self, slot: usize) -> i64 {
        let number = u16::try_from(slot).unwrap_or(0);
        self.durable.lease_take(number, self.lease_until())
    }

    /// Whether what a process writes is still taken.
    pub(crate) fn holds_number(&self, life: &Life) -> bool {
        self.durable.lease_holds(life.number(), life.epoch)
    }

    /// Renews the lease of a process and looks at those of others until it ends.
    pub(crate) async fn keep_number(self: Arc<Self>, life: Arc<Life>) {
        let mut watch = Watch::default();
        loop {
            tokio::time::sleep(LOOK).await;
            self.stand_still(&life).await;
            if life.is_dead() {
                return;
            }
            if self.store_is_away() {
                continue;
            }
            if !self.durable.lease_renew(life.number(), life.epoch, self.lease_until()) {
                self.count("numbers lost");
                self.trace(format_args!("{life} has lost its number"));
                return self.bury(&life);
            }
            let others: Vec<StoredLease> = self.durable.leases();
            let others: Vec<_> =
                others.into_iter().filter(|lease| lease.number != life.number()).collect();
            for dead in watch.look(self.now().as_micros(), &others) {
                if let Some(due) = self.durable.lease_bury(dead, self.now()) {
                    self.count("numbers taken from the dead");
                    self.trace(format_args!("{life} ends the lease on {}: {due} due", dead.number));
                }
            }
        }
    }

    /// Lets a machine stand still from now on.
    pub(crate) fn freeze(&self, slot: usize, span: Duration) {
        self.count("machines that stood still");
        self.trace(format_args!("slot {slot} stands still for {} ms", span.as_millis()));
        self.set_frozen(slot, self.moment_of(span));
    }

    /// Waits as long as the machine of a process stands still.
    pub(crate) async fn stand_still(&self, life: &Life) {
        while let Some(until) = self.frozen_until(life.slot)
            && !self.faults_stopped()
            && until > tokio::time::Instant::now()
        {
            tokio::time::sleep_until(until).await;
        }
    }

    fn moment_of(&self, span: Duration) -> tokio::time::Instant {
        tokio::time::Instant::now() + span
    }
}
