//! Hosts that are dead, silent or no primary any more: what one of them does costs the others nothing.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gopay_core::time::Timestamp;
use gopay_store::{Store as _, StoreError};
use gopay_store_postgres::cluster::{Cluster, Durability};
use gopay_store_postgres::{DatabaseUrl, Options, PgStore};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn start(durability: Durability) -> Option<Cluster> {
    Cluster::start(durability).expect("PostgreSQL starts")
}

/// A host whose system drops what would begin a connection, because too many wait already.
struct Dropping {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Dropping {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        let listener = socket.listen(1).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut waiting = Vec::new();
        let soon = Duration::from_millis(300);
        while let Ok(connected) = tokio::time::timeout(soon, TcpStream::connect(address)).await {
            waiting.push(connected.expect("a connection"));
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}

#[tokio::test]
async fn a_store_opens_within_three_seconds_whatever_the_other_hosts_do() {
    let Some(cluster) = start(Durability::Off) else { return };
    let good = cluster.migrated().await.unwrap();
    let (folder, database) =
        (good.split("host=").nth(1).unwrap(), good.split(['/', '?']).nth(3).unwrap());
    let dropping = Dropping::start().await;
    // The system takes the connection, and nobody ever looks at it.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (dropping, mute) = (dropping.address.to_string(), mute.local_addr().unwrap().to_string());
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let hosts = [dropping.as_str(), mute.as_str(), folder];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let named = order.map(|at: usize| hosts[at]).join(",");
        for rest in ["", "?connect_timeout=1", "?target_session_attrs=read-write"] {
            let place = DatabaseUrl::parse(&format!("postgres://gopay@{named}/{database}{rest}"));
            let began = Instant::now();
            let store = PgStore::open(&place.unwrap(), Options::default()).await.unwrap();
            store.ping(NOW).await.unwrap();
            assert!(began.elapsed() < Duration::from_secs(5), "{named}{rest}: {began:?}");
        }
    }
    // Without a good one the error says of each why not.
    for (rest, at_most) in [("", 2_400), ("?connect_timeout=1", 1_400)] {
        let url = format!("postgres://gopay@{dropping},{mute},{gone}/{database}{rest}");
        let began = Instant::now();
        let opened = PgStore::open(&DatabaseUrl::parse(&url).unwrap(), Options::default()).await;
        let Err(StoreError::Away(why)) = opened else { panic!("{:?}", opened.err()) };
        let why = why.to_string();
        let all = why.matches("no answer within").count() == 2 && why.contains("refused");
        assert!(all && why.contains(&gone), "{why}");
        let took = began.elapsed() - Duration::from_millis(500);
        assert!(took < Duration::from_millis(at_most), "{took:?}");
    }
}

/// As when the machine of the primary stands still: connections stay, and nobody answers.
#[tokio::test]
async fn a_frozen_primary_is_left_and_its_promoted_standby_taken() {
    let Some(primary) = start(Durability::On) else { return };
    let good = primary.migrated().await.unwrap();
    let standby = primary.standby().await.unwrap();
    let database = good.split(['/', '?']).nth(3).unwrap();
    let folder = |cluster: &Cluster| cluster.url("x").split("host=").nth(1).unwrap().to_owned();
    let url = format!("postgres://gopay@{},{}/{database}", folder(&primary), folder(&standby));
    let store =
        PgStore::open(&DatabaseUrl::parse(&url).unwrap(), Options::default()).await.unwrap();
    let steps = || futures::future::join_all((0..24).map(|_| store.ping(NOW)));
    assert!(steps().await.iter().all(Result::is_ok));
    primary.freeze().unwrap();
    let began = Instant::now();
    let ended = steps().await;
    assert!(ended.iter().all(Result::is_err), "{ended:?}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(7), "a step that is under way is told: {took:?}");
    let again = Instant::now();
    assert!(matches!(store.ping(NOW).await, Err(StoreError::Away(_))));
    assert!(again.elapsed() < Duration::from_secs(3), "and who comes later is told at once");
    standby.promote().await.unwrap();
    let promoted = Instant::now();
    while store.ping(NOW).await.is_err() {
        assert!(promoted.elapsed() < Duration::from_secs(10), "the new primary is not found");
    }
    // When it goes on, it is still there under the same name, and would take writes.
    primary.thaw().unwrap();
    assert!(steps().await.iter().all(Result::is_ok));
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gopay-adapter'";
    let there = standby.ask(&standby.url(database), sql).await.unwrap();
    assert_ne!(there, "0", "the connections lead to the new one");
}

#[tokio::test]
async fn a_connection_that_somebody_ends_costs_no_step() {
    let Some(cluster) = start(Durability::Off) else { return };
    let url = cluster.migrated().await.unwrap();
    let place = DatabaseUrl::parse(&url).unwrap();
    let store = PgStore::open(&place, Options::default()).await.unwrap();
    let pings = async || {
        let ended = futures::future::join_all((0..8).map(|_| store.ping(NOW))).await;
        assert!(ended.iter().all(Result::is_ok), "{ended:?}");
    };
    pings().await;
    for _ in 0..5 {
        let epoch = store.epoch();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = 'gopay-adapter'";
        cluster.run(&url, end).await.unwrap();
        // The driver sees it at its next look.
        tokio::time::sleep(Duration::from_millis(250)).await;
        pings().await;
        assert!(store.epoch() > epoch, "it may be another copy");
    }
}
