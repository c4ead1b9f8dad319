//! Putting an adapter together: the product's service with a store, wires and a clock that fail.

use std::sync::Arc;
use std::time::Duration;

use gopay_core::payment::Channel;
use gopay_core::time::Timestamp;
use gopay_midtrans_client::{Endpoint, MidtransClient, RefundPath};
use gopay_service::{
    Clock, MidtransAccount, MidtransAccounts, Parties, Parts, Service, Settings, loops,
};
use tokio::sync::watch;

use crate::faulty_store::FaultyStore;
use crate::parties;
use crate::process::{Life, Process};
use crate::wire::{ToMidtrans, ToReceivers};
use crate::world::World;

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

/// Starts the process of a slot, in the place of one that has ended.
pub(crate) fn launch(world: &Arc<World>, slot: usize) {
    let generation = world.next_generation();
    let life = Arc::new(Life::new(slot, generation, world.take_number(slot)));
    tokio::spawn(Arc::clone(world).keep_number(Arc::clone(&life)));
    let service = service(world, &life);
    let (stop, stopped) = watch::channel(false);
    world.count("starts");
    world.trace(format_args!("{life} starts"));
    let seated = {
        let process = Process { life, service: service.clone(), stop };
        let world = Arc::clone(world);
        move || world.seat(slot, Some(Arc::new(process)))
    };
    // The first of all have nobody before them.
    if usize::try_from(generation).is_ok_and(|number| number <= world.plan.instances) {
        seated();
        tokio::spawn(loops::run(service, stopped));
        return;
    }
    tokio::spawn(async move {
        service.reclaim().await;
        seated();
        loops::run(service, stopped).await;
    });
}

fn service(world: &Arc<World>, life: &Arc<Life>) -> Service {
    let plan = &world.plan;
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
        calls_per_second_per_client: None,
        test_quotas: false,
        allow_http_receivers: false,
        under_way_max: Settings::UNDER_WAY_MAX,
        instance: u16::try_from(life.slot).unwrap_or(0),
        rand_pair: true,
    };
    let upstream = |channel, key: &str| {
        let transport = ToMidtrans { world: Arc::clone(world), life: Arc::clone(life) };
        let mut endpoint = Endpoint::new(parties::MIDTRANS, key.to_owned().into());
        endpoint.notification_url = Some(format!("{}/midtrans/notification", parties::ADAPTER));
        endpoint.refund_path = RefundPath::Refund;
        let client = MidtransClient::new(Arc::new(transport), endpoint);
        let client = client.expect("the endpoint is well-formed");
        MidtransAccount::new(channel, client, vec![key.to_owned().into()])
    };
    let chances = Arc::clone(world);
    Service::new(Parts {
        settings,
        parties: Parties {
            directory: parties::directory(),
            midtrans: MidtransAccounts::new([
                upstream(Channel::Test, parties::TEST_KEY),
                upstream(Channel::Live, parties::LIVE_KEY),
            ]),
            page_keys: Vec::new(),
        },
        store: Arc::new(FaultyStore { world: Arc::clone(world), life: Arc::clone(life) }),
        receivers: Arc::new(ToReceivers { world: Arc::clone(world), life: Arc::clone(life) }),
        clock: Arc::new(SlotClock { world: Arc::clone(world), slot: life.slot }),
        random: Box::new(move |bytes| chances.chance(|chance| chance.fill(bytes))),
    })
}
