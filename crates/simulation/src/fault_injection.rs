//! Faults that last for a while: the store or Midtrans is away, receivers behave badly, clocks
//! jump, processes are stopped in good order.

use std::sync::Arc;
use std::time::Duration;

use crate::parties::PSPS;
use crate::receiver::ReceiverBehaviour;
use crate::world::World;

/// Injects faults every minute until they are stopped.
pub(crate) async fn run(world: Arc<World>) {
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        if world.faults_stopped() {
            return;
        }
        outages(&world);
        for psp in PSPS {
            change_receiver(&world, psp.number);
        }
        for slot in 0..world.plan.instances {
            jump_clock(&world, slot);
            if happens(&world, world.plan.rates.freeze) {
                let span = world.chance(|chance| chance.millis(1_000, 45_000));
                world.freeze(slot, span);
            }
            if happens(&world, world.plan.rates.restart / 4) {
                world.stop(slot);
            }
        }
    }
}

fn happens(world: &World, rate: u32) -> bool {
    world.chance(|chance| chance.of_10_000(rate))
}

fn outages(world: &World) {
    if happens(world, world.plan.rates.store_outage) {
        let span = world.chance(|chance| chance.millis(100, 90_000));
        world.count("store outages");
        world.send_store_away(span);
    }
    if happens(world, world.plan.rates.midtrans_outage) {
        let span = world.chance(|chance| chance.millis(1_000, 400_000));
        world.count("midtrans outages");
        world.send_midtrans_away(span);
    }
}

fn change_receiver(world: &World, psp: usize) {
    let behaviour = if happens(world, world.plan.rates.bad_receiver) {
        world.chance(|chance| {
            chance.pick(&[
                ReceiverBehaviour::ServerError,
                ReceiverBehaviour::Redirects,
                ReceiverBehaviour::NoOkBody,
                ReceiverBehaviour::Hangs,
            ])
        })
    } else {
        ReceiverBehaviour::Good
    };
    world.set_receiver_behaviour(psp, behaviour);
}

pub(crate) fn jump_clock(world: &World, slot: usize) {
    if !happens(world, world.plan.rates.clock_jump) {
        return;
    }
    /// Seconds by which a clock is wrong from now on.
    const SKEWS: [i64; 9] = [0, 0, 1, -1, 30, -30, 600, -600, 7_200];
    let skew = world.chance(|chance| chance.pick(&SKEWS));
    world.count("clock jumps");
    world.trace(format_args!("the clock of slot {slot} is {skew} s ahead"));
    world.set_skew(slot, skew.saturating_mul(1_000_000));
}
