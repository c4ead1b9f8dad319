//! The leases on numbers: one holder at a time, whatever clocks say; who has lost a number writes nothing
//! more; who is dead is found, and nobody else.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::error::Error as _;
use std::time::Duration;

use gopay_core::ids::{RefundId, TxId};
use gopay_core::money::Sen;
use gopay_core::payment::Event;
use gopay_core::refund::{REFUND_WINDOW_MAX, RefundRequest, RefundTerms};
use gopay_core::time::Timestamp;
use gopay_store::lease::WORKERS;
use gopay_store::{
    AttemptOutcome, Created, Delivery, Note, Search as _, Store as _, StoreError, UnknownOrder,
};
use gopay_store_postgres::cluster::{Cluster, Durability, Manner};
use gopay_store_postgres::{DatabaseUrl, NumberLease, Options, PgStore};
use gopay_testkit::{sample, wait};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Of all tests but the one that stops it; it ends with the process.
static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

async fn own() -> Option<Cluster> {
    let start = || Cluster::start(Durability::Off).unwrap();
    tokio::task::spawn_blocking(start).await.unwrap()
}

/// A database that instances share.
struct World {
    cluster: &'static Cluster,
    url: String,
    place: DatabaseUrl,
}

async fn world() -> Option<World> {
    let cluster = CLUSTER.get_or_init(own).await.as_ref()?;
    let url = cluster.migrated().await.unwrap();
    let place = DatabaseUrl::parse(&url).unwrap();
    Some(World { cluster, url, place })
}

impl World {
    async fn open(&self, groups: usize) -> PgStore {
        PgStore::open(&self.place, Options { groups, ..Options::default() }).await.unwrap()
    }

    /// An instance with a number.
    async fn instance(&self, number: u16) -> (PgStore, NumberLease) {
        let store = self.open(2).await;
        let lease = self.hold(&store, number).await.unwrap();
        (store, lease)
    }

    async fn hold(&self, store: &PgStore, number: u16) -> Result<NumberLease, StoreError> {
        store.hold(&self.place, Some(number), Duration::ZERO).await
    }

    async fn ask(&self, sql: &str) -> String {
        self.cluster.ask(&self.url, sql).await.unwrap()
    }

    async fn run(&self, sql: &str) {
        self.cluster.run(&self.url, sql).await.unwrap();
    }
}

fn source(error: &StoreError) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000)
}

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

fn tx(number: i64) -> TxId {
    TxId::new(number).unwrap()
}

fn paid() -> Event {
    Event::Paid {
        midtrans_tx_id: "m".into(),
        paid_at: None,
        payment_type: None,
        payment_option: None,
    }
}

/// A payment whose PSP is to be told.
async fn owed(store: &PgStore, number: i64) {
    let payment = sample::payment(number, now());
    assert_eq!(store.payment_create(&payment, "{}", &[]).await.unwrap(), Created::New);
    store.payment_apply(tx(number), &paid(), None, &[], now()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_belongs_to_one_process_at_a_time() {
    let Some(world) = world().await else { return };
    let (one, lease) = world.instance(7).await;
    let two = world.open(2).await;
    let refused = world.hold(&two, 7).await.unwrap_err();
    let process = format!("process {}", std::process::id());
    assert!(source(&refused).contains("another instance with number 7"), "{refused:?}");
    assert!(source(&refused).contains(&process), "{refused:?}");
    assert_eq!(lease.number(), 7);
    one.ping(now()).await.unwrap();
    lease.release().await;
    let lease = world.hold(&two, 7).await.unwrap();
    let refused = one.ping(now()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Away(_)), "{refused:?}");
    two.ping(now()).await.unwrap();
    assert!(two.may_begin() && lease.number() == 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_draws_no_ids_has_a_number_of_its_own() {
    let Some(world) = world().await else { return };
    let stores = [world.open(2).await, world.open(2).await, world.open(2).await];
    let all = stores.iter().map(|store| store.hold(&world.place, None, Duration::ZERO));
    let leases = futures::future::try_join_all(all).await.unwrap();
    let mut numbers: Vec<_> = leases.iter().map(NumberLease::number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [WORKERS, WORKERS + 1, WORKERS + 2]);
    for lease in leases {
        lease.release().await;
    }
    let again = world.open(2).await.hold(&world.place, None, Duration::ZERO).await.unwrap();
    assert_eq!(again.number(), WORKERS, "numbers are used again");
}

/// Every step of the money path that writes, by an instance; how each ended.
async fn steps(store: &PgStore, number: i64) -> Vec<(&'static str, Result<(), StoreError>)> {
    let (id, new, at) = (tx(number), number + 1, now());
    let payment = sample::payment(new, at);
    let notes = [Note { kind: "line", detail: json!({}) }];
    let deliveries = store.deliveries_of(id).await.unwrap();
    let claimed = deliveries.first().unwrap();
    let refund = RefundRequest {
        refund_id: RefundId::new(new).unwrap(),
        tx_id: id,
        psp: "testclient".into(),
        contract: payment.contract.clone(),
        merchant_refund_id: None,
        currency: "IDR".into(),
        amount: Sen::new(100),
        descriptor: None,
        terms: RefundTerms { allowed: true, window: REFUND_WINDOW_MAX },
    };
    let order = UnknownOrder {
        tx_id: tx(new),
        channel: payment.channel.unwrap(),
        account: None,
        status: "settlement".into(),
        midtrans_tx_id: None,
        amount: None,
        first_seen_at: at,
        last_seen_at: at,
        seen: 1,
        resolution: None,
    };
    let delivered = AttemptOutcome::Delivered;
    vec![
        ("create", store.payment_create(&payment, "{}", &notes).await.map(drop)),
        ("apply", store.payment_apply(id, &Event::NoAnswer, None, &notes, at).await.map(drop)),
        ("answer", store.payment_answer(id, b"answer").await.map(drop)),
        ("check at", store.payment_check_at(id, at).await),
        ("note", store.payment_note(id, &notes, at).await),
        ("claim checks", store.payment_claim_due(at.after(HOUR), 9).await.map(drop)),
        ("reserve", store.refund_reserve(&refund, at).await.map(drop)),
        ("claim refunds", store.refund_claim_due(at.after(HOUR), 9).await.map(drop)),
        ("claim", store.delivery_claim_due(at, at.after(MINUTE), 9, &[]).await.map(drop)),
        ("record", store.delivery_record(claimed, &delivered, Value::Null, at).await),
        ("again", store.delivery_again(id, at).await.map(drop)),
        ("order", store.order_record(&order).await.map(drop)),
        ("reclaim", store.reclaim(at, at.after(MINUTE)).await.map(drop)),
        ("ping", store.ping(at).await),
    ]
}

/// Everything that is stored of payments, in one text.
const STORED: &str = "SELECT md5(
    (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM payments t)
    || (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM events t)
    || (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM refunds t)
    || (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM deliveries t)
    || (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM journal t)
    || (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM day_sums t)
    || (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM unknown_orders t)
    || (SELECT coalesce(string_agg(t::text, ';' ORDER BY t::text), '') FROM pings t))";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_lost_a_number_writes_nothing_more() {
    for groups in [2, 0] {
        let Some(world) = world().await else { return };
        let store = world.open(groups).await;
        let lease = world.hold(&store, 0).await.unwrap();
        owed(&store, 1).await;
        for (step, ended) in steps(&store, 1).await {
            assert!(ended.is_ok(), "{step}, while it has the number: {ended:?}");
        }
        assert!(store.may_begin());
        let before = world.ask(STORED).await;
        world.run("UPDATE shards SET epoch = epoch + 1 WHERE shard = 0").await;
        for (step, ended) in steps(&store, 1).await {
            let refused = matches!(&ended, Err(error @ StoreError::Away(_))
                if source(error).contains("lost its number"));
            assert!(refused, "{step}: {ended:?}");
        }
        assert_eq!(world.ask(STORED).await, before, "groups: {groups}");
        assert!(store.payment_get(tx(1)).await.unwrap().is_some(), "it may still read");
        tokio::time::timeout(MINUTE, lease.lost()).await.unwrap();
        assert!(!store.may_begin());
    }
}

/// A transaction of the holder is under way when its number is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_is_taken_when_all_that_its_holder_has_begun_is_over() {
    let Some(world) = world().await else { return };
    let (one, lease) = world.instance(3).await;
    owed(&one, 1).await;
    lease.release().await;
    let under_way = "BEGIN; SELECT FROM shards WHERE shard = 3 FOR KEY SHARE;
        UPDATE payments SET checks = 77 WHERE tx_id = 1; SELECT pg_sleep(1); COMMIT";
    let sleeps = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    let takes = async {
        wait::eventually("it is under way", async || world.ask(sleeps).await == "1").await;
        let two = world.open(2).await;
        let lease = world.hold(&two, 3).await.unwrap();
        (two.payment_get(tx(1)).await.unwrap().unwrap().checks, lease)
    };
    let ((), (checks, _lease)) = futures::join!(world.run(under_way), takes);
    assert_eq!(checks, 77, "what was begun is over, and seen");
}

/// Renewals do not wait for what is under way, nor it for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_renewed_while_a_step_is_under_way() {
    let Some(world) = world().await else { return };
    let (_one, lease) = world.instance(3).await;
    let until = "SELECT until FROM shards WHERE shard = 3";
    let first = world.ask(until).await;
    let under_way = "BEGIN; SELECT FROM shards WHERE shard = 3 FOR KEY SHARE;
        SELECT pg_sleep(600); COMMIT";
    let renewed = wait::eventually("renewed", async || world.ask(until).await != first);
    tokio::select! {
        () = renewed => {}
        () = world.run(under_way) => panic!("it sleeps longer"),
        () = lease.lost() => panic!("nobody else wants it"),
    }
}

async fn claim(store: &PgStore, at: Timestamp) -> Vec<Delivery> {
    store.delivery_claim_due(at, at.after(MINUTE), 9, &[]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_whose_clocks_differ_never_claim_one_delivery_at_once() {
    let Some(world) = world().await else { return };
    let ((one, _lease), (two, _other)) = (world.instance(1).await, world.instance(2).await);
    owed(&one, 1).await;
    let [first] = claim(&one, now()).await.try_into().unwrap();
    for ahead in [Duration::from_secs(30), MINUTE, HOUR, 24 * HOUR] {
        assert_eq!(claim(&two, now().after(ahead)).await, [], "{ahead:?} ahead");
    }
    // By its own clock its lease is over: the try is lost, and it begins another.
    let later = now().after(MINUTE);
    let [again] = claim(&one, later).await.try_into().unwrap();
    assert_eq!(claim(&two, later.after(HOUR)).await, []);
    let retry = AttemptOutcome::Retry(later.after(MINUTE));
    one.delivery_record(&first, &retry, Value::Null, later).await.unwrap();
    assert_eq!(claim(&two, later.after(HOUR)).await, [], "that was the first try");
    let soon = later.after(Duration::from_secs(1));
    one.delivery_record(&again, &AttemptOutcome::Retry(soon), Value::Null, later).await.unwrap();
    assert_eq!(claim(&two, soon).await.len(), 1, "now anybody may");
    assert_eq!(claim(&one, soon.after(HOUR)).await, []);
}

/// Its process is gone, and it has given nothing back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_instance_had_claimed_goes_on_elsewhere_within_twenty_seconds() {
    let Some(world) = world().await else { return };
    let ((one, lease), (two, _other)) = (world.instance(1).await, world.instance(2).await);
    owed(&one, 1).await;
    assert_eq!(claim(&one, now()).await.len(), 1);
    drop(lease);
    // By its own clock it is long due; the database decides.
    let taken = async || !claim(&two, now().after(HOUR)).await.is_empty();
    let took = wait::within(Duration::from_secs(20), "somebody takes it", taken).await;
    assert!(took > Duration::from_secs(9), "only after the lease: {took:?}");
    let refused = one.ping(now()).await.unwrap_err();
    assert!(source(&refused).contains("lost its number"), "{refused:?}");
    assert_eq!(claim(&two, now()).await, [], "once");
    let (again, _lease) = world.instance(1).await;
    again.ping(now()).await.unwrap();
}

/// As [`what_a_dead_instance_had_claimed_goes_on_elsewhere_within_twenty_seconds`], in good order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_leaves_that_ends_in_good_order_goes_on_at_the_next_look() {
    let Some(world) = world().await else { return };
    let ((one, lease), (two, _other)) = (world.instance(1).await, world.instance(2).await);
    owed(&one, 1).await;
    assert_eq!(claim(&one, now()).await.len(), 1);
    lease.release().await;
    let taken = async || !claim(&two, now().after(HOUR)).await.is_empty();
    wait::within(Duration::from_secs(6), "somebody takes it", taken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_this_machine_that_was_killed_is_not_waited_for() {
    let Some(world) = world().await else { return };
    let (one, lease) = world.instance(5).await;
    owed(&one, 1).await;
    assert_eq!(claim(&one, now()).await.len(), 1);
    drop(lease);
    // Its number of process is somebody else's now.
    world
        .run("UPDATE shards SET holder = regexp_replace(holder, '\\d+$', '1') WHERE shard = 5")
        .await;
    let (again, _lease) = world.instance(5).await;
    assert!(again.reclaim(now(), now().after(MINUTE)).await.unwrap() > 0);
    assert_eq!(claim(&again, now()).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_same_number_had_claimed_is_void_at_a_start() {
    let Some(world) = world().await else { return };
    let ((one, first), (two, second)) = (world.instance(1).await, world.instance(2).await);
    owed(&one, 1).await;
    owed(&one, 2).await;
    let until = now().after(MINUTE);
    for store in [&one, &two] {
        assert_eq!(store.delivery_claim_due(now(), until, 1, &[]).await.unwrap().len(), 1);
    }
    let nobody = world.open(2).await;
    assert_eq!(nobody.reclaim(now(), until).await.unwrap(), 0, "it holds no number");
    let (three, _third) = world.instance(3).await;
    assert_eq!(three.reclaim(now(), until).await.unwrap(), 0, "another's");
    assert_eq!(one.reclaim(now(), until).await.unwrap(), 1);
    assert_eq!(claim(&two, now()).await.len(), 1);
    drop((first, second));
}

/// All leases have run out when the database is back, and nobody has died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_away_for_longer_than_leases_last_costs_nobody_its_number() {
    let Some(cluster) = own().await else { return };
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let url = cluster.migrated().await.unwrap();
    let place = DatabaseUrl::parse(&url).unwrap();
    let world = World { cluster, url, place };
    let ((one, first), (two, second)) = (world.instance(1).await, world.instance(2).await);
    cluster.stop(Manner::Crash).unwrap();
    tokio::time::sleep(Duration::from_secs(11)).await;
    cluster.start_again().unwrap();
    let lives = async {
        let held = "SELECT count(*) FROM shards WHERE shard IN (1, 2)
            AND until > extract(epoch FROM clock_timestamp()) * 1000000";
        let renewed = async || world.cluster.ask(&world.url, held).await.is_ok_and(|n| n == "2");
        wait::eventually("both have renewed their leases", renewed).await;
        one.ping(now()).await.unwrap();
        two.ping(now()).await.unwrap();
        assert!(one.may_begin() && two.may_begin());
    };
    tokio::select! {
        () = lives => {}
        () = first.lost() => panic!("1 is lost"),
        () = second.lost() => panic!("2 is lost"),
    }
    cluster.stop(Manner::Orderly).unwrap();
}

/// Programs of schema 8 hold a lock of their session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_an_older_program_holds_is_not_used() {
    let Some(world) = world().await else { return };
    let older = "SET application_name = 'gopay-adapter instance 8 x';
        SELECT pg_advisory_lock(1735356513, 8); SELECT pg_sleep(600)";
    let holds = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let (_seven, lease) = world.instance(7).await;
    let store = world.open(2).await;
    let refused = async {
        wait::eventually("the older one holds it", async || world.ask(holds).await == "1").await;
        world.hold(&store, 8).await.unwrap_err()
    };
    tokio::select! {
        refused = refused => {
            assert!(source(&refused).contains("gopay-adapter instance 8 x"), "{refused:?}");
        }
        () = world.run(older) => panic!("it sleeps longer"),
    }
    // One that comes back after its number was taken: who has the lease stops.
    let older = older.replace("8);", "7);");
    tokio::select! {
        () = lease.lost() => {}
        () = world.run(&older) => panic!("it sleeps longer"),
    }
}

#[tokio::test]
async fn statistics_of_a_database_that_grows_from_nothing_are_made_anew_at_once() {
    let Some(world) = world().await else { return };
    // As the migration leaves it: the planner takes the table for empty.
    let (store, lease) = world.instance(0).await;
    for table in ["payments", "events"] {
        world.run(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
    }
    for number in 1..=150 {
        store.payment_create(&sample::payment(number, now()), "{}", &[]).await.unwrap();
    }
    let known = "SELECT min(reltuples) >= 100 FROM pg_class WHERE oid = 'payments'::regclass";
    let analyzed = async || world.ask(known).await == "t";
    wait::eventually("the planner knows of the payments", analyzed).await;
    lease.release().await;
}
