//! Stops that are asked for, and copies of a running store.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::books::{Totals, audit};
use crate::kills::{LANES, lane, tell, tick};
use crate::life::{Life, look, repeat};
use crate::program::{Engine, Program, Settings, binary};
use crate::time::have;
use crate::world::World;

pub(crate) const SEED: u64 = 77;

/// From now on calls go where they are wanted.
pub(crate) fn balance(world: &Arc<World>) -> tokio::task::JoinHandle<()> {
    let world = Arc::clone(world);
    tokio::spawn(async move { world.balance().await })
}

/// Payments under way until told otherwise.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    lanes: Vec<tokio::task::JoinHandle<Vec<Life>>>,
    ticking: tokio::task::JoinHandle<()>,
}

impl Load {
    pub(crate) fn start(world: &Arc<World>) -> Self {
        let next = Arc::new(AtomicU64::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let lanes = (0..LANES)
            .map(|_| {
                tokio::spawn(lane(Arc::clone(world), SEED, Arc::clone(&next), Arc::clone(&over)))
            })
            .collect();
        Self { over, lanes, ticking: tokio::spawn(tick(Arc::clone(world))) }
    }

    pub(crate) async fn end(self) -> Vec<Life> {
        self.over.store(true, Ordering::SeqCst);
        let mut lives = Vec::new();
        for lane in self.lanes {
            lives.extend(lane.await.expect("a lane ends well"));
        }
        self.ticking.abort();
        lives
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_finishes_what_is_under_way() {
    if !have("faketime") {
        return;
    }
    let world = World::new("drain = \"1s\"").await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let balancing = balance(&world);
    let load = Load::start(&world);
    for round in 1..=3 {
        let answered = world.answered();
        world.eventually("under load", async || world.answered() > answered + 200).await;
        world.program.signal("TERM");
        // Not ready, and yet calls are answered: others have time to notice.
        world
            .eventually("not ready", async || {
                let (status, text) = world.admin("/health/ready").await;
                status == 503 && text.contains("about to end")
            })
            .await;
        let (late, _) = world.get(&format!("http://127.0.0.1:{}/", world.program.port)).await;
        assert_eq!(late, 405, "a question that only a listener can answer");
        let status = world.program.until_ended().await;
        assert_eq!(status.code(), Some(0), "{}", world.program.log());
        let log = world.program.log();
        assert_eq!(log.matches("finishing what is under way").count(), round, "{log}");
        assert!(!log.contains("stopped with work under way"), "{log}");
        world.program.start(&world.time);
        assert!(world.until_up().await, "{}", world.program.log());
    }
    let mut lives = load.end().await;
    balancing.abort();
    world.call_ports(vec![world.program.port]);
    let counts = world.counts();
    assert_eq!(world.lost(), Vec::<String>::new(), "{counts:?}");
    let problems = audit(&world, &mut lives).await;
    tell(&world, SEED, &problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_running_store_holds_all_that_was_answered_before() {
    if !have("faketime") {
        return;
    }
    let world = World::new("").await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    // Ended before the copy begins: nothing about these may be missing.
    let first = Load::start(&world);
    world.eventually("under load", async || world.answered() > 400).await;
    let mut before = first.end().await;
    let load = Load::start(&world);
    let answered = world.answered();
    world.eventually("under load", async || world.answered() > answered + 100).await;
    let copy = world.folder.path().join("copy/gopay.db");
    std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
    let output = Command::new(binary())
        .args(["backup", "--config"])
        .arg(world.program.config())
        .arg("--out")
        .arg(&copy)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{output:?}");
    load.end().await;
    world.program.kill();

    // Another machine goes on with the copy.
    let settings = Settings { engine: Engine::Sqlite(copy), number: 1, ..world.settings.clone() };
    let second = Program::new(world.folder.path(), &settings);
    second.start(&world.time);
    world.call_ports(vec![second.port]);
    assert!(world.until_ready(&second).await, "{}", second.log());
    for life in &mut before {
        look(&world, life).await;
        repeat(&world, life).await;
        assert_eq!(life.problems, Vec::<String>::new());
    }
    world.time.advance(Duration::from_secs(31 * 60));
    world
        .eventually("nothing is pending", async || {
            let text = world.get(&format!("{}/admin/v1/totals", second.admin())).await.1;
            let totals: Totals = serde_json::from_str(&text).expect("totals");
            totals.payments.get("pending").copied().unwrap_or(0) == 0
        })
        .await;
    for life in &mut before {
        let status = look(&world, life).await["STATUS"].clone();
        let paid = world.simulator.with_engine(|engine| {
            engine.transaction(&life.txid).is_some_and(|held| held.settlement_time.is_some())
        });
        assert_eq!(status == "SUCCEEDED", paid, "{life:?}");
        assert_eq!(life.problems, Vec::<String>::new());
    }
}
