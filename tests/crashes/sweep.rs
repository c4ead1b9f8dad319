//! A short run of the program, killed or disturbed at each of its system calls that others can see.
//!
//! `GOPAY_SWEEP=1` takes every call, 47 every 47th, which is the default.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use gopay_store_postgres::cluster::Cluster;

use crate::books::audit;
use crate::databases::database;
use crate::kills::{tell, tick};
use crate::life::{Fate, GiveBack, Life, live};
use crate::setting;
use crate::strace::{Aim, Strike, Tracer, When};
use crate::support::postgres::cluster;
use crate::time::have;
use crate::world::World;
use gopay_testkit::Dice;

/// What changes the store's files.
const FILE_CALLS: &str = "pwrite64,write,fdatasync,fsync,ftruncate,unlink,openat";
/// What tells others something, and hears something from them.
const NET_CALLS: &str = "sendto,sendmsg,writev,recvfrom,connect,accept4";
const WRITER: &str = "store-write";
const WORKER: &str = "tokio-rt-worker";

/// Which part of a run is swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The first start, which makes the store.
    Start,
    /// A start on what a crash left.
    Restart,
    /// A thread, while payments are made.
    Thread(&'static str),
}

/// A sweep over the numbers of a call.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    part: Part,
    calls: &'static str,
    strike: Strike,
    /// Payments one after another, or all at once.
    at_once: bool,
}

const KILLS: [Sweep; 6] = [
    Sweep { part: Part::Start, calls: FILE_CALLS, strike: Strike::Kill, at_once: false },
    Sweep { part: Part::Restart, calls: FILE_CALLS, strike: Strike::Kill, at_once: true },
    Sweep { part: Part::Thread(WRITER), calls: FILE_CALLS, strike: Strike::Kill, at_once: false },
    Sweep { part: Part::Thread(WRITER), calls: FILE_CALLS, strike: Strike::Kill, at_once: true },
    Sweep { part: Part::Thread(WORKER), calls: NET_CALLS, strike: Strike::Kill, at_once: false },
    Sweep { part: Part::Thread(WORKER), calls: NET_CALLS, strike: Strike::Kill, at_once: true },
];

const FAULTS: [Sweep; 3] = [
    Sweep {
        part: Part::Thread(WRITER),
        calls: "fsync,fdatasync",
        strike: Strike::Fail("EIO"),
        at_once: false,
    },
    Sweep {
        part: Part::Thread(WRITER),
        calls: "pwrite64",
        strike: Strike::Fail("ENOSPC"),
        at_once: false,
    },
    Sweep {
        part: Part::Thread(WRITER),
        calls: "pwrite64",
        strike: Strike::Fail("EIO"),
        at_once: true,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_system_call_loses_nothing() {
    sweep_all(&KILLS, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_or_sync_that_fails_anywhere_loses_nothing() {
    sweep_all(&FAULTS, None).await;
}

/// The calls to the database are among those that leave the worker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_system_call_loses_nothing_in_a_database() {
    let Some(cluster) = cluster().await else { return };
    let kills = |at_once| Sweep {
        part: Part::Thread(WORKER),
        calls: NET_CALLS,
        strike: Strike::Kill,
        at_once,
    };
    sweep_all(&[kills(false), kills(true)], Some(cluster)).await;
}

async fn sweep_all(sweeps: &[Sweep], cluster: Option<&Cluster>) {
    if !have("strace") || !have("faketime") {
        return;
    }
    let mut all = 0;
    for sweep in sweeps {
        let points = run_sweep(*sweep, cluster).await;
        println!("{points} points: {sweep:?}");
        assert!(points > 0, "a sweep that never struck: {sweep:?}");
        all += points;
    }
    println!("{all} points in all");
}

/// Runs one sweep, some points at a time; how many were struck.
async fn run_sweep(sweep: Sweep, cluster: Option<&Cluster>) -> u32 {
    let step = u32::try_from(setting("GOPAY_SWEEP", 47)).expect("small");
    let together = setting("GOPAY_SWEEP_TOGETHER", 16);
    let (next, missed, struck) = (Cell::new(1), Cell::new(0), Cell::new(0));
    let runner = async || {
        // Runs differ a little in length: the end is where several points are missed.
        while missed.get() < 3 {
            let number = next.replace(next.get() + step);
            let count = if run(sweep, number, cluster).await { &struck } else { &missed };
            count.set(count.get() + 1);
        }
    };
    join_all((0..together).map(|_| runner())).await;
    struck.get()
}

/// What happens in every run.
fn script() -> Vec<Life> {
    [
        (Fate::Pays, GiveBack::Whole),
        (Fate::Cancelled, GiveBack::Nothing),
        (Fate::PaysAgainstCancel, GiveBack::Parts),
        (Fate::Abandons, GiveBack::Nothing),
        (Fate::Pays, GiveBack::AtOnce),
    ]
    .into_iter()
    .zip(0..)
    .map(|((fate, back), number)| Life::of(number, fate, back, Dice::of(1, number)))
    .collect()
}

/// One run; whether it was struck.
async fn run(sweep: Sweep, number: u32, cluster: Option<&Cluster>) -> bool {
    let world = match cluster {
        None => World::new("").await,
        Some(cluster) => database(cluster, "", 1).await,
    };
    let aim = Aim { calls: sweep.calls, when: When::Nth(number), strike: sweep.strike };
    let (struck, mut lives) = match sweep.part {
        Part::Start => {
            let struck = start_under(&world, &aim).await;
            (struck, play(&world, sweep.at_once).await)
        }
        Part::Restart => {
            world.program.start(&world.time);
            assert!(world.until_up().await, "{}", world.program.log());
            let crash = async {
                world.eventually("under way", async || world.answered() > 8).await;
                world.program.kill();
                world.time.advance(Duration::from_secs(61));
                start_under(&world, &aim).await
            };
            futures::future::join(crash, play(&world, sweep.at_once)).await
        }
        Part::Thread(thread) => play_under(&world, thread, &aim, sweep.at_once).await,
    };
    let problems = audit(&world, &mut lives).await;
    if !problems.is_empty() {
        println!("{sweep:?}, number {number}");
    }
    tell(&world, u64::from(number), &problems);
    struck
}

/// Starts the program under an aim that may kill it, and then for good.
async fn start_under(world: &World, aim: &Aim) -> bool {
    let output = world.folder.path().join("strace");
    world.program.start_by(&world.time, aim.command(&output));
    let lived = world.until_up().await;
    // Struck or not, it ends here, so that no tracer stays.
    world.program.kill();
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    !lived
}

async fn play(world: &Arc<World>, at_once: bool) -> Vec<Life> {
    let mut lives = Vec::new();
    if at_once {
        let all = script().into_iter().map(|life| live(world, life));
        lives.extend(join_all(all).await);
    } else {
        for life in script() {
            lives.push(live(world, life).await);
        }
    }
    lives
}

/// Plays while a thread is under an aim; starts the program again if that kills it.
async fn play_under(
    world: &Arc<World>,
    thread: &str,
    aim: &Aim,
    at_once: bool,
) -> (bool, Vec<Life>) {
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let tracer = Tracer::attach(&world.program, thread, aim, world.folder.path()).await;
    let kills = aim.strike == Strike::Kill;
    let playing = play(world, at_once);
    let watching = async {
        if kills { restart_when_killed(world).await } else { tick(Arc::clone(world)).await }
    };
    tokio::pin!(playing, watching);
    let (killed, lives) = tokio::select! {
        lives = &mut playing => (false, lives),
        () = &mut watching => (true, playing.await),
    };
    let struck = tracer.detach();
    if !killed && !world.until_up().await {
        // Between the end of the script and the end of the watch.
        world.program.start(&world.time);
        return (true, lives);
    }
    (struck || killed, lives)
}

async fn restart_when_killed(world: &World) {
    let status = world.program.until_ended().await;
    assert_eq!(status.code(), None, "it ended by itself: {}", world.program.log());
    world.time.advance(Duration::from_secs(61));
    world.program.start(&world.time);
}
