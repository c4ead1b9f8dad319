//! Stores and peers that are unavailable: the program says so, takes no new work that it cannot keep,
//! and finishes everything by itself afterwards.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;

use crate::books::audit;
use crate::gate::Way;
use crate::kills::{tell, tick};
use crate::life::{Fate, GiveBack, Life, RefundTry, live};
use crate::program::Engine;
use crate::strace::{Aim, Strike, Tracer, When};
use crate::support::{body, decode};
use crate::time::have;
use crate::world::World;
use gopay_testkit::Dice;
use gopay_testkit::wait::throughout;

pub(crate) fn life(number: u64, fate: Fate, back: GiveBack) -> Life {
    Life::of(number, fate, back, Dice::of(7, number))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_cannot_sync_nothing_succeeds() {
    while_writes_fail("fsync,fdatasync", "EIO").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_takes_no_writes_nothing_succeeds() {
    while_writes_fail("pwrite64,ftruncate,fallocate", "ENOSPC").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_disk_is_read_only_nothing_succeeds() {
    while_writes_fail("pwrite64,ftruncate,fallocate", "EROFS").await;
}

async fn while_writes_fail(calls: &'static str, error: &'static str) {
    if !have("strace") || !have("faketime") {
        return;
    }
    let world = World::new("").await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let mut lives = vec![
        live(&world, life(0, Fate::Pays, GiveBack::Nothing)).await,
        live(&world, life(1, Fate::Abandons, GiveBack::Nothing)).await,
    ];
    let aim = Aim { calls, when: When::From(1), strike: Strike::Fail(error) };
    let tracer = Tracer::attach(&world.program, "store-write", &aim, world.folder.path()).await;
    refuses_everything(&world, &mut lives).await;
    assert!(tracer.detach(), "nothing was made to fail");
    assert!(world.until_up().await, "{}", world.program.log());
    finishes(&world, lives).await;
}

/// What must be true of a program whose store takes no writes.
pub(crate) async fn refuses_everything(world: &Arc<World>, lives: &mut [Life]) {
    world
        .eventually("not ready", async || {
            let (status, text) = world.admin("/health/ready").await;
            // The reason is said, not only that there is one.
            status == 503 && text.contains("\"reason\":\"")
        })
        .await;
    let charges = world.simulator.with_engine(|engine| engine.totals().transactions);
    let mut clear = 0;
    for number in 0..5 {
        let call = life(10 + number, Fate::Pays, GiveBack::Whole).call;
        let answer = decode(&world.send(&call).await.expect("an answer"));
        assert_eq!(answer["STATUS"], "FAILED", "{answer:?}");
        assert_eq!(answer["FAILREASON"], "LOCAL_ERROR", "{answer:?}");

        let reference = format!("T-{number}");
        let (txid, sen) = (lives[0].txid.clone(), 1_000);
        let amount = sen.to_string();
        let pairs = [
            ("txid", txid.as_str()),
            ("currency", "IDR"),
            ("amount", &amount),
            ("merchantrefundid", &reference),
        ];
        let answer = decode(&world.send(&body("REFUND", &pairs)).await.expect("an answer"));
        assert_eq!(answer["STATUS"], "FAILED", "{answer:?}");
        // A store that is known to be away has begun nothing.
        if answer["REFUNDID"] == "0" {
            assert_eq!(answer["FAILREASON"], "LOCAL_ERROR", "{answer:?}");
            clear += 1;
        }
        lives[0].refunds.push(RefundTry { reference, sen, answer: Some(answer) });

        let cancel = body("CANCELTX", &[("txid", &lives[1].txid)]);
        let answer = decode(&world.send(&cancel).await.expect("an answer"));
        assert_eq!(answer["REQUESTSTATUS"], "FAILED", "{answer:?}");
    }
    assert!(clear > 0, "every REFUND was left open");
    let now = world.simulator.with_engine(|engine| engine.totals());
    assert_eq!((now.transactions, now.refunds), (charges, 0), "new work was half done");
    let log = world.program.log();
    assert!(log.contains("the store did not take a step"), "{log}");
}

/// The refused calls are made again, and everything that was begun ends without help.
pub(crate) async fn finishes(world: &Arc<World>, mut lives: Vec<Life>) {
    let ticking = tokio::spawn(tick(Arc::clone(world)));
    let again = (10..15).map(|number| live(world, life(number, Fate::Pays, GiveBack::Whole)));
    lives.extend(join_all(again).await);
    ticking.abort();
    let problems = audit(world, &mut lives).await;
    tell(world, 0, &problems);
}

/// A small file system of its own; none where that is not allowed.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(at)
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            gopay_testkit::not_tested(
                "no small file system can be mounted; run as root, with CAP_SYS_ADMIN",
            );
        }
        mounted.then_some(Self(at))
    }

    fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        let status = Command::new("mount").args(["-o", &options]).arg(self.0).status();
        assert!(status.expect("mount runs").success(), "remount {how}");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_nothing_succeeds_until_there_is_room() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("disk");
    let Some(_disk) = have("faketime").then(|| Disk::mount(&place)).flatten() else { return };
    let world = World::with(folder, Engine::Sqlite(place.join("gopay.db")), "", 1).await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let mut lives = vec![live(&world, life(0, Fate::Pays, GiveBack::Nothing)).await];
    let ballast = place.join("ballast");
    let filling = Filling::start(&ballast);
    // The store frees some room by itself when it is read again, so some calls still succeed.
    let mut refused = 0;
    let mut calls = 10..400;
    while refused < 10 {
        let life = life(calls.next().expect("calls are refused"), Fate::Pays, GiveBack::Whole);
        let answer = decode(&world.send(&life.call).await.expect("an answer"));
        refused += u32::from(answer.get("FAILREASON").is_some_and(|word| word == "LOCAL_ERROR"));
    }
    world
        .eventually("not ready", async || {
            let (status, text) = world.admin("/health/ready").await;
            status == 503 && text.contains("full")
        })
        .await;
    let log = world.program.log();
    assert!(log.contains("the store is down") && log.contains("full"), "{log}");
    drop(filling);
    std::fs::remove_file(&ballast).expect("there is room again");
    assert!(world.until_up().await, "{}", world.program.log());
    let ticking = tokio::spawn(tick(Arc::clone(&world)));
    let again =
        (10..calls.start).map(|number| live(&world, life(number, Fate::Pays, GiveBack::Whole)));
    lives.extend(join_all(again).await);
    ticking.abort();
    let problems = audit(&world, &mut lives).await;
    tell(&world, 0, &problems);
    world.program.kill();
}

/// Takes all room that there is, also what becomes free, until dropped.
struct Filling(Arc<AtomicBool>, Option<std::thread::JoinHandle<()>>);

impl Filling {
    fn start(ballast: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut file = std::fs::File::create(ballast).expect("a file");
        let ended = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                // As much as goes: it ends with an error.
                let _ = std::io::copy(&mut std::io::repeat(0), &mut file);
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self(over, Some(thread))
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        let ended = self.1.take().map(std::thread::JoinHandle::join);
        assert!(ended.is_none_or(|ended| ended.is_ok()), "it fills to the end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_store_is_refused_with_the_reason_and_works_when_it_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("disk");
    let Some(disk) = have("faketime").then(|| Disk::mount(&place)).flatten() else { return };
    let world = World::with(folder, Engine::Sqlite(place.join("gopay.db")), "", 1).await;
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    let lives = vec![live(&world, life(0, Fate::Pays, GiveBack::Whole)).await];
    world.program.kill();
    disk.remount("ro");
    world.program.start(&world.time);
    assert!(!world.until_up().await, "it is ready on a store that it cannot write");
    let log = world.program.log();
    assert!(log.contains("gopay.db") && log.contains("Read-only file system"), "{log}");
    disk.remount("rw");
    world.program.start(&world.time);
    assert!(world.until_up().await, "{}", world.program.log());
    finishes(&world, lives).await;
    world.program.kill();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gopay_gone_for_minutes_costs_no_payment() {
    if !have("faketime") {
        return;
    }
    for way in [Way::Cut, Way::Hanging] {
        let world = World::new("").await;
        world.program.start(&world.time);
        assert!(world.until_up().await, "{}", world.program.log());
        let lives: Vec<_> = (0..8)
            .map(|number| {
                let world = Arc::clone(&world);
                let life = life(number, Fate::Pays, GiveBack::AtOnce);
                tokio::spawn(async move { live(&world, life).await })
            })
            .collect();
        // In the middle of their calls.
        world.eventually("under way", async || world.answered() > 10).await;
        world.gate.turn(way);
        let refused = live(&world, life(100, Fate::Pays, GiveBack::Whole)).await;
        let answer = decode(&refused.answer);
        assert_eq!(answer["STATUS"], "FAILED", "{answer:?}");
        assert_eq!(answer["FAILREASON"], "REMOTE_ERROR", "{answer:?}");
        for _ in 0..5 {
            world.time.advance(Duration::from_secs(60));
            let ready = async || world.admin("/health/ready").await.0 == 200;
            throughout(Duration::from_millis(200), "calls can be answered", ready).await;
        }
        assert!(world.program.log().contains("Midtrans"), "{}", world.program.log());
        world.gate.turn(Way::Open);
        let mut all = vec![refused];
        let ticking = tokio::spawn(tick(Arc::clone(&world)));
        for life in lives {
            all.push(life.await.expect("a life ends well"));
        }
        ticking.abort();
        let problems = audit(&world, &mut all).await;
        tell(&world, 0, &problems);
    }
}
