//! The same on PostgreSQL: kills of one and of two instances, a database that goes away, and
//! restarts one after another that no caller notices.

use std::sync::Arc;
use std::time::Duration;

use gopay_store_postgres::cluster::{Cluster, Durability, Manner};

use crate::books::audit;
use crate::kills::{survive, tell};
use crate::life::{Fate, GiveBack, live};
use crate::program::Engine;
use crate::stops::{Load, SEED, balance};
use crate::support::postgres::cluster;
use crate::time::have;
use crate::unavailable::{finishes, life, refuses_everything};
use crate::world::World;

/// Instances on a new database.
pub(crate) async fn database(cluster: &Cluster, limits: &str, instances: u16) -> Arc<World> {
    let url = cluster.migrated().await.expect("a database");
    let folder = tempfile::tempdir().expect("a folder");
    World::with(folder, Engine::Postgres(url), limits, instances).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_survives_kills_of_its_instance_at_random_moments() {
    let Some(cluster) = cluster().await.filter(|_| have("faketime")) else { return };
    survive(database(cluster, "", 1).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_survive_kills_of_either_at_random_moments() {
    let Some(cluster) = cluster().await.filter(|_| have("faketime")) else { return };
    survive(database(cluster, "", 2).await).await;
}

async fn start_all(world: &World) {
    for program in world.programs() {
        program.start(&world.time);
        assert!(world.until_ready(program).await, "{}", program.log());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_lose_nothing() {
    let Some(cluster) = cluster().await.filter(|_| have("faketime")) else { return };
    let world = database(cluster, "", 2).await;
    start_all(&world).await;
    let load = Load::start(&world);
    let url = world.settings.engine.url();
    for _ in 0..20 {
        let answered = world.answered();
        world.eventually("under load", async || world.answered() > answered + 20).await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        cluster.run(&url, cut).await.expect("they are cut");
    }
    let mut lives = load.end().await;
    let problems = audit(&world, &mut lives).await;
    tell(&world, SEED, &problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_stops_and_starts_loses_nothing() {
    if !have("faketime") {
        return;
    }
    // One of its own, which nobody else misses.
    let start = || Cluster::start(Durability::On).expect("PostgreSQL starts");
    let started = tokio::task::spawn_blocking(start).await.expect("no panic");
    let Some(cluster) = started else { return };
    for manner in [Manner::Orderly, Manner::Crash] {
        let world = database(&cluster, "", 1).await;
        start_all(&world).await;
        let mut lives = vec![
            live(&world, life(0, Fate::Pays, GiveBack::Nothing)).await,
            live(&world, life(1, Fate::Abandons, GiveBack::Nothing)).await,
        ];
        cluster.stop(manner).expect("it stops");
        refuses_everything(&world, &mut lives).await;
        cluster.start_again().expect("it starts");
        assert!(world.until_up().await, "{}", world.program.log());
        finishes(&world, lives).await;
    }
    // Under load, in the middle of everything.
    let world = database(&cluster, "", 2).await;
    start_all(&world).await;
    let load = Load::start(&world);
    for manner in [Manner::Crash, Manner::Orderly, Manner::Crash] {
        let answered = world.answered();
        world.eventually("under load", async || world.answered() > answered + 100).await;
        cluster.stop(manner).expect("it stops");
        world.time.advance(Duration::from_secs(61));
        cluster.start_again().expect("it starts");
    }
    let mut lives = load.end().await;
    let problems = audit(&world, &mut lives).await;
    tell(&world, SEED, &problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_one_after_another_are_not_noticed_by_callers() {
    let Some(cluster) = cluster().await.filter(|_| have("faketime")) else { return };
    let world = database(cluster, "drain = \"3s\"", 2).await;
    start_all(&world).await;
    let balancing = balance(&world);
    let load = Load::start(&world);
    for _ in 0..2 {
        for program in world.programs() {
            let answered = world.answered();
            world.eventually("under load", async || world.answered() > answered + 100).await;
            program.signal("TERM");
            let status = program.until_ended().await;
            assert_eq!(status.code(), Some(0), "{}", program.log());
            program.start(&world.time);
            assert!(world.until_ready(program).await, "{}", program.log());
        }
    }
    let mut lives = load.end().await;
    balancing.abort();
    let counts = world.counts();
    assert_eq!(world.lost(), Vec::<String>::new(), "{counts:?}");
    assert_eq!(counts.get("answers to try again"), None, "{counts:?}");
    let problems = audit(&world, &mut lives).await;
    tell(&world, SEED, &problems);
}
