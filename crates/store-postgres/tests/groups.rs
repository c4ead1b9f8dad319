//! Steps that go in groups: what one member meets concerns nobody else.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::time::Duration;

use futures::future::{join, join_all};
use gopay_core::ids::TxId;
use gopay_core::payment::{Effect, Event, Nonce, Payment, PaymentRecord, PaymentState};
use gopay_core::time::Timestamp;
use gopay_store::{
    AttemptOutcome, Created, Delivery, DeliveryState, Note, Search as _, Store as _, StoreError,
};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, Options, PgStore};
use gopay_testkit::{sample, wait};
use serde_json::json;
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

/// Of all tests of this file; it ends with the process.
static CLUSTER: OnceCell<Option<Cluster>> = OnceCell::const_new();

/// A database, and a store with one lane.
struct World {
    cluster: &'static Cluster,
    url: String,
    store: PgStore,
}

async fn world() -> Option<World> {
    let started = CLUSTER.get_or_init(async || {
        let start = || Cluster::start(Durability::Off).unwrap();
        tokio::task::spawn_blocking(start).await.unwrap()
    });
    let cluster = started.await.as_ref()?;
    let url = cluster.migrated().await.unwrap();
    let store = open(&url).await;
    Some(World { cluster, url, store })
}

async fn open(url: &str) -> PgStore {
    // Nobody gives up in these tests because the machine is slow.
    let patient = Duration::from_secs(100);
    let options = Options {
        groups: 1,
        wait: patient,
        lock_timeout: patient,
        step_timeout: patient,
        ..Options::default()
    };
    PgStore::open(&DatabaseUrl::parse(url).unwrap(), options).await.unwrap()
}

impl World {
    async fn ask(&self, sql: &str) -> String {
        self.cluster.ask(&self.url, sql).await.unwrap()
    }

    /// Somebody else locks a payment, until [`Self::let_go`].
    async fn hold(&self, tx_id: TxId) -> JoinHandle<()> {
        let (cluster, url) = (self.cluster, self.url.clone());
        let sql = format!(
            "BEGIN; SELECT FROM payments WHERE tx_id = {tx_id} FOR UPDATE; SELECT pg_sleep(600)"
        );
        let holder = tokio::spawn(async move {
            cluster.run(&url, &sql).await.unwrap_err();
        });
        let count = format!("SELECT count(*) FROM ({HOLDER}) h");
        wait::eventually("it is locked", async || self.ask(&count).await != "0").await;
        holder
    }

    async fn let_go(&self, holder: JoinHandle<()>) {
        self.ask(&format!("SELECT pg_terminate_backend(pid) FROM ({HOLDER}) h")).await;
        holder.await.unwrap();
    }

    /// Waits until so many sessions wait for locks.
    async fn until_waiting(&self, count: usize) {
        let sql = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting = async || self.ask(sql).await == count.to_string();
        wait::eventually(&format!("{count} wait"), waiting).await;
    }

    /// In how many transactions rows were written.
    async fn transactions(&self, rows: &str) -> String {
        self.ask(&format!("SELECT count(DISTINCT xmin::text) FROM {rows}")).await
    }

    async fn kinds(&self, number: i64) -> Vec<String> {
        let trail = self.store.payment_trail(tx(number)).await.unwrap();
        trail.into_iter().map(|line| line.kind).collect()
    }
}

const HOLDER: &str = "SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'PgSleep'";

fn tx(number: i64) -> TxId {
    TxId::new(number).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_767_225_600_000_000)
}

fn payment(number: i64) -> Payment {
    sample::payment(number, now())
}

fn with_nonce(number: i64, nonce: &str) -> Payment {
    let nonce = Nonce { value: nonce.to_owned(), fingerprint: [7; 32] };
    altered(number, |record| record.nonce = Some(nonce))
}

fn altered(number: i64, alter: impl FnOnce(&mut PaymentRecord)) -> Payment {
    sample::payment_with(number, now(), alter)
}

fn opened() -> Event {
    Event::ChargeCreated { midtrans_tx_id: "m".into(), deeplink: "https://gopay.example".into() }
}

fn paid() -> Event {
    Event::Paid {
        midtrans_tx_id: "m".into(),
        paid_at: Some(now()),
        payment_type: Some("gopay".into()),
        payment_option: Some("GOPAY_WALLET".into()),
    }
}

fn note(kind: &'static str) -> [Note; 1] {
    [Note { kind, detail: json!({}) }]
}

fn is_missing<T: std::fmt::Debug>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Missing { .. }))
}

/// Runs `steps` so that they wait together: the only lane is taken by a step that waits for
/// `number`, which somebody else holds.
async fn together<T>(world: &World, number: i64, steps: impl Future<Output = T>) -> T {
    let holder = world.hold(tx(number)).await;
    let (store, first) = (world.store.clone(), note("first"));
    let taking = tokio::spawn(async move {
        store.payment_apply(tx(number), &Event::NoAnswer, None, &first, now()).await
    });
    world.until_waiting(1).await;
    let done = steps.await;
    world.let_go(holder).await;
    taking.await.unwrap().unwrap();
    done
}

async fn create(store: &PgStore, payment: &Payment) {
    assert_eq!(store.payment_create(payment, "{}", &[]).await.unwrap(), Created::New);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_of_one_shard_and_who_is_of_another_goes_with_the_next() {
    let Some(world) = world().await else { return };
    let store = &world.store;
    create(store, &payment(1)).await;
    let of_shard_3 = |number: i64| (3 << 12) | number;
    let numbers = [2, of_shard_3(2), 3, of_shard_3(3), 4, of_shard_3(4)];
    let all = numbers.map(payment);
    let lines = note("line");
    let creations = all.iter().map(|payment| store.payment_create(payment, "{}", &lines));
    for created in together(&world, 1, join_all(creations)).await {
        assert_eq!(created.unwrap(), Created::New);
    }
    let transactions = async |shards: &str| {
        world.transactions(&format!("payments WHERE tx_id > 1 AND shard IN ({shards})")).await
    };
    assert_eq!((&*transactions("0").await, &*transactions("3").await), ("1", "1"));
    assert_eq!(transactions("0, 3").await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_fail_disturb_nobody() {
    let Some(world) = world().await else { return };
    let store = &world.store;
    for number in 1..=5 {
        create(store, &payment(number)).await;
    }
    create(store, &with_nonce(6, "taken")).await;
    create(store, &payment(7)).await;
    let corrupt = "UPDATE payments SET amount_sen = -5 WHERE tx_id = 5";
    world.cluster.run(&world.url, corrupt).await.unwrap();
    store.payment_apply(tx(4), &paid(), None, &[], now()).await.unwrap();
    let later = now().after(Duration::from_secs(9));
    let claimed = store.delivery_claim_due(now(), later, 9, &[]).await.unwrap();
    let [delivery] = claimed.try_into().unwrap();
    let nowhere = Delivery { delivery_id: 999, ..delivery.clone() };
    let (events, lines) = ([opened(), paid()], note("line"));
    let (again, new, nonce) = (payment(1), payment(11), with_nonce(12, "taken"));
    let (one, other) = (with_nonce(13, "new"), with_nonce(14, "new"));
    let (twin, soon) = (payment(15), now().after(Duration::from_secs(3)));
    let [opened, paid] = &events;
    let creations = async {
        let all = [&again, &new, &nonce, &one, &other, &twin, &twin];
        join_all(all.map(|payment| store.payment_create(payment, "{}", &lines))).await
    };
    let applications = async {
        let all = [(2, opened), (2, paid), (404, paid), (5, paid), (2, paid)];
        let apply = |(number, event)| store.payment_apply(tx(number), event, None, &lines, now());
        join_all(all.map(apply)).await
    };
    let others = async {
        let answers = [3, 404].map(|number| store.payment_answer(tx(number), b"answer"));
        let checks = [3, 404].map(|number| store.payment_check_at(tx(number), soon));
        let notes = [3, 404].map(|number| store.payment_note(tx(number), &lines, now()));
        let done = AttemptOutcome::Delivered;
        let tries = [&delivery, &nowhere]
            .map(|delivery| store.delivery_record(delivery, &done, json!({}), now()));
        let units = join(join_all(checks), join(join_all(notes), join_all(tries)));
        join(join_all(answers), units).await
    };
    let all = join(creations, join(applications, others));
    let (created, (applied, (answered, (checked, (noted, tried))))) =
        together(&world, 7, all).await;

    let [again, new, nonce, one, other, twin, late_twin] = created.try_into().unwrap();
    assert!(matches!(again, Err(StoreError::Conflict)), "{again:?}");
    assert_eq!(new.unwrap(), Created::New);
    let first = |created| match created {
        Created::NonceTaken(first) => first.tx_id,
        Created::New => panic!("the nonce is new"),
    };
    assert_eq!(first(nonce.unwrap()), tx(6));
    assert_eq!(one.unwrap(), Created::New);
    assert_eq!(first(other.unwrap()), tx(13));
    assert_eq!(twin.unwrap(), Created::New);
    assert!(matches!(late_twin, Err(StoreError::Conflict)), "{late_twin:?}");

    let [opened, paid, missing, corrupt, same] = applied.try_into().unwrap();
    assert_eq!(opened.unwrap().payment.state, PaymentState::Pending);
    let paid = paid.unwrap();
    assert_eq!((paid.before, paid.effect), (PaymentState::Pending, Effect::Moved));
    assert_eq!(paid.payment, store.payment_get(tx(2)).await.unwrap().unwrap());
    assert!(is_missing(missing));
    assert!(matches!(corrupt, Err(StoreError::Corrupt { .. })), "{corrupt:?}");
    assert_eq!(same.unwrap().effect, Effect::Same);
    assert_eq!(world.kinds(2).await, ["state", "line", "state", "line", "line"]);
    assert_eq!(store.deliveries_of(tx(2)).await.unwrap().len(), 1);

    for results in [checked, noted, tried] {
        let [there, missing] = results.try_into().unwrap();
        there.unwrap();
        assert!(is_missing(missing));
    }
    let [there, missing] = answered.try_into().unwrap();
    assert!(there.is_ok() && is_missing(missing));
    assert_eq!(world.kinds(3).await, ["line"]);
    assert_eq!(store.payment_get(tx(3)).await.unwrap().unwrap().next_check_at, Some(soon));
    let told = store.deliveries_of(tx(4)).await.unwrap();
    assert!(told.iter().all(|told| told.state == DeliveryState::Delivered), "{told:?}");
    // Those that went together have left their lines in one transaction, each once.
    let lines = "events WHERE kind = 'line' AND tx_id IN (2, 11, 13, 15)";
    assert_eq!(world.transactions(lines).await, "1");
    assert_eq!(world.ask(&format!("SELECT count(*) FROM {lines}")).await, "6");
}

/// The database refuses a whole statement because of one of its rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_the_database_refuses_fails_alone() {
    let Some(world) = world().await else { return };
    let store = &world.store;
    create(store, &payment(7)).await;
    let payments: Vec<Payment> = (1..=5)
        .map(|number| match number {
            3 => altered(number, |record| record.redirect_secret = "\0".into()),
            _ => payment(number),
        })
        .collect();
    let lines = note("line");
    let all = payments.iter().map(|payment| store.payment_create(payment, "{}", &lines));
    let created = together(&world, 7, join_all(all)).await;
    for (created, payment) in created.into_iter().zip(&payments) {
        let stored = store.payment_get(payment.tx_id).await.unwrap();
        if payment.tx_id == tx(3) {
            assert!(matches!(created, Err(StoreError::Down(_))), "{created:?}");
            assert_eq!(stored, None);
        } else {
            assert_eq!(created.unwrap(), Created::New);
            assert_eq!(stored.as_ref(), Some(payment));
            assert_eq!(world.kinds(payment.tx_id.get()).await, ["line"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_go_away_leave_whole_steps() {
    let Some(world) = world().await else { return };
    let store = &world.store;
    create(store, &payment(100)).await;
    let lines = note("line");
    let steps = async {
        // Those that leave at once have only just begun to wait.
        let leave = (1..=20).map(|number| {
            let (payment, lines) = (payment(number), &lines);
            async move {
                tokio::select! {
                    biased;
                    created = store.payment_create(&payment, "{}", lines) => drop(created.unwrap()),
                    () = yields(number % 4) => {}
                }
            }
        });
        let stay: Vec<Payment> = (21..=40).map(payment).collect();
        let stay = stay.iter().map(async |payment| create(store, payment).await);
        join(join_all(leave), join_all(stay)).await
    };
    together(&world, 100, steps).await;
    for number in 1..=40 {
        let there = store.payment_get(tx(number)).await.unwrap().is_some();
        let lines = world.kinds(number).await.len();
        assert!(there || number <= 20, "payment {number}");
        assert_eq!(lines, usize::from(there && number <= 20), "payment {number}");
    }
}

async fn yields(times: i64) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// Two instances, every step of a payment from many callers at once: each step counts once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_work_on_the_same_payments_lose_nothing() {
    const PAYMENTS: [i64; 6] = [1, 2, 3, 4, 5, 6];
    const CALLERS: usize = 12;
    const TURNS: usize = 10;
    let Some(world) = world().await else { return };
    let stores = [world.store.clone(), open(&world.url).await];
    for number in PAYMENTS {
        create(&world.store, &with_nonce(number, &number.to_string())).await;
    }
    let work = (0..CALLERS).map(|caller| {
        let store = stores.iter().cycle().nth(caller).unwrap().clone();
        tokio::spawn(async move {
            let mut moved = 0;
            for turn in 0..TURNS {
                // Every caller begins somewhere else, so that groups overlap in every order.
                let numbers = PAYMENTS.into_iter().cycle().skip(caller + turn);
                let steps = numbers.take(PAYMENTS.len()).map(|number| {
                    let store = &store;
                    async move {
                        let line = note("line");
                        let event = if turn == 0 { opened() } else { paid() };
                        let applied = store.payment_apply(tx(number), &event, None, &line, now());
                        let noted = store.payment_note(tx(number), &line, now());
                        let answer = caller.to_string();
                        let answered = store.payment_answer(tx(number), answer.as_bytes());
                        let created = with_nonce(1_000 + number, &number.to_string());
                        let created = store.payment_create(&created, "{}", &[]);
                        let (applied, (noted, (answered, created))) =
                            join(applied, join(noted, join(answered, created))).await;
                        noted.unwrap();
                        answered.unwrap();
                        assert!(matches!(created.unwrap(), Created::NonceTaken(_)));
                        usize::from(applied.unwrap().effect == Effect::Moved)
                    }
                });
                moved += join_all(steps).await.into_iter().sum::<usize>();
            }
            moved
        })
    });
    let moved: usize = join_all(work).await.into_iter().map(Result::unwrap).sum();
    let moves: usize =
        world.ask("SELECT count(*) FROM events WHERE kind = 'state'").await.parse().unwrap();
    assert_eq!(moved, moves);
    for number in PAYMENTS {
        let stored = world.store.payment_get(tx(number)).await.unwrap().unwrap();
        assert_eq!(stored.state, PaymentState::Succeeded);
        assert!(stored.answer.is_some());
        assert_eq!(world.store.deliveries_of(tx(number)).await.unwrap().len(), 1);
        let lines = world.kinds(number).await.iter().filter(|kind| *kind == "line").count();
        assert_eq!(lines, CALLERS * TURNS * 2);
    }
}
