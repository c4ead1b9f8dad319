//! Adapters that die at any step or are stopped, and start again from what is durable.

use std::sync::Arc;
use std::time::Duration;

use crate::process::Life;
use crate::world::World;

impl World {
    /// A point at which the process may die.
    pub(crate) async fn step(
        self: &Arc<Self>,
        life: &Life,
        name: &'static str,
        when: &'static str,
    ) {
        let rate = self.rates().crash;
        if !life.is_dead() && self.chance(|chance| chance.of_10_000(rate)) {
            self.count("crashes");
            self.trace(format_args!("{life} dies {when} {name}"));
            self.bury(life);
        }
        self.stand_still(life).await;
        life.or_hang().await;
    }

    /// Takes a process that has died out of use, and has it started again after a while.
    pub(crate) fn bury(self: &Arc<Self>, life: &Life) {
        life.end();
        self.seat(life.slot, None);
        let (world, slot) = (Arc::clone(self), life.slot);
        let rest = self.chance(|chance| match chance.between(0, 3) {
            0 => chance.millis(60_000, 600_000),
            _ => chance.millis(200, 20_000),
        });
        tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            (world.launch)(&world, slot);
        });
    }

    /// Stops a process in good order: no new calls, then the workers end, then it is gone.
    pub(crate) fn stop(self: &Arc<Self>, slot: usize) {
        let Some(process) = self.process(slot) else { return };
        self.count("stops");
        self.trace(format_args!("{} is asked to stop", process.life));
        self.seat(slot, None);
        process.stop.send_replace(true);
        let world = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(35)).await;
            if !process.life.is_dead() {
                process.life.end();
                world.trace(format_args!("{} has stopped", process.life));
                (world.launch)(&world, slot);
            }
        });
    }
}
