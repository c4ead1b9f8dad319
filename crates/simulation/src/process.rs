//! One running adapter: it starts, dies at any step, and starts again from what is durable.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gopay_core::time::Timestamp;
use gopay_midtrans_client::{Endpoint, MidtransClient, RefundPath};
use gopay_service::{Clock, Parts, Service, Settings, Upstream, Upstreams, loops};
use tokio::sync::{Notify, watch};

use crate::fragile::FragileStore;
use crate::parties;
use crate::wire::{ToMidtrans, ToReceivers};
use crate::world::World;

/// Whether a process still runs. Tasks of a dead one hang at their next step to the outside, which
/// nobody can tell from their being gone.
pub(crate) struct Life {
    slot: usize,
    generation: u64,
    dead: AtomicBool,
    /// Wakes in the order of waiting, as a `watch` would not.
    died: Notify,
}

impl fmt::Display for Life {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "adapter {}.{}", self.slot, self.generation)
    }
}

impl Life {
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.dead.store(true, Ordering::Relaxed);
        self.died.notify_waiters();
    }

    /// Returns when the process is dead.
    pub(crate) async fn until_dead(&self) {
        // Registered before the look, so that no death falls between.
        let died = self.died.notified();
        if !self.is_dead() {
            died.await;
        }
    }

    /// Goes on if the process lives, else never.
    pub(crate) async fn or_hang(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    /// A point at which the process may die.
    pub(crate) async fn step(&self, world: &Arc<World>, name: &'static str, when: &'static str) {
        let rate = world.rates().crash;
        if !self.is_dead() && world.chance(|chance| chance.of_10_000(rate)) {
            world.count("crashes");
            world.trace(format_args!("{self} dies {when} {name}"));
            world.bury(self);
        }
        self.or_hang().await;
    }
}

/// A process and its way in.
pub(crate) struct Process {
    pub(crate) life: Arc<Life>,
    pub(crate) service: Service,
    stop: watch::Sender<bool>,
}

/// The time as the machine of one slot has it.
struct SlotClock {
    world: Arc<World>,
    slot: usize,
}

impl Clock for SlotClock {
    fn now(&self) -> Timestamp {
        self.world.clock_of(self.slot)
    }
}

impl World {
    /// Starts the process of a slot, in the place of one that has ended.
    pub(crate) fn launch(self: &Arc<Self>, slot: usize) {
        let generation = self.next_generation();
        let life =
            Arc::new(Life { slot, generation, dead: AtomicBool::new(false), died: Notify::new() });
        let service = self.service(&life);
        let (stop, stopped) = watch::channel(false);
        self.count("starts");
        self.trace(format_args!("{life} starts"));
        tokio::spawn(loops::run(service.clone(), stopped));
        self.seat(slot, Some(Arc::new(Process { life, service, stop })));
    }

    /// Takes a process that has died out of use, and has it started again after a while.
    fn bury(self: &Arc<Self>, life: &Life) {
        life.end();
        self.seat(life.slot, None);
        let (world, slot) = (Arc::clone(self), life.slot);
        let rest = self.chance(|chance| match chance.between(0, 3) {
            0 => chance.millis(60_000, 600_000),
            _ => chance.millis(200, 20_000),
        });
        tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            world.launch(slot);
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
                world.launch(slot);
            }
        });
    }

    fn service(self: &Arc<Self>, life: &Arc<Life>) -> Service {
        let plan = &self.plan;
        let settings = Settings {
            public_base_url: parties::ADAPTER.into(),
            session: plan.session,
            refund_window: Duration::from_secs(30 * 24 * 3600),
            delivery_schedule: vec![plan.retry; 192],
            delivery_timeout: Duration::from_secs(10),
            delivery_concurrency: 64,
            delivery_concurrency_per_receiver: 4,
            checks_per_second: 200,
            concurrent_calls: plan.concurrent_calls,
            concurrent_calls_per_client: plan.concurrent_calls.div_ceil(2),
            under_way_max: Settings::UNDER_WAY_MAX,
            instance: u16::try_from(life.slot).unwrap_or(0),
            rand_pair: true,
        };
        let upstream = |key: &str| {
            let transport = ToMidtrans { world: Arc::clone(self), life: Arc::clone(life) };
            let mut endpoint = Endpoint::new(parties::MIDTRANS, key.to_owned().into());
            endpoint.notification_url = Some(format!("{}/midtrans/notification", parties::ADAPTER));
            endpoint.refund_path = RefundPath::Refund;
            let client = MidtransClient::new(Arc::new(transport), endpoint);
            let client = client.expect("the endpoint is well-formed");
            Some(Upstream { client, server_key: key.to_owned().into() })
        };
        let world = Arc::clone(self);
        Service::new(Parts {
            settings,
            directory: parties::directory(),
            store: Arc::new(FragileStore { world: Arc::clone(self), life: Arc::clone(life) }),
            upstreams: Upstreams {
                test: upstream(parties::TEST_KEY),
                live: upstream(parties::LIVE_KEY),
            },
            receivers: Arc::new(ToReceivers { world: Arc::clone(self), life: Arc::clone(life) }),
            clock: Arc::new(SlotClock { world: Arc::clone(self), slot: life.slot }),
            random: Box::new(move |bytes| world.chance(|chance| chance.fill(bytes))),
        })
    }
}
