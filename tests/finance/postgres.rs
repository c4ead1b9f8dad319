//! The same store on PostgreSQL gives the same bytes.

use std::process::Command;

use gopay_store_postgres::cluster::{Cluster, Durability};

use crate::settle::filled;
use crate::shop::{Shop, ended, files, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_store_on_the_other_engine_gives_the_same_files() {
    let start = || Cluster::start(Durability::Off).expect("PostgreSQL starts");
    let cluster = tokio::task::spawn_blocking(start).await.expect("no panic");
    // It has said that nothing was tested.
    let Some(cluster) = cluster else { return };
    let mut shop = Shop::new();
    filled(&mut shop).await;
    shop.settle("2026-01-01").done();
    let url = cluster.empty().await.expect("a database");
    let from = format!("sqlite:{}", shop.path("gopay.db").display());
    let mut copy = Command::new(env!("CARGO_BIN_EXE_gopay-adapter"));
    copy.args(["--log", "warn", "copy-store", "--from", &from, "--to", &url]);
    ended(&copy.output().expect("it runs")).done();
    let config = std::fs::read_to_string(shop.path("config.toml")).expect("a file");
    let days = ["2026-01-02", "2026-01-03", "2026-01-04"];
    days.iter().for_each(|day| drop(shop.settle(day).done()));
    let on_sqlite = files(&shop.out());
    let day = |name: &str| {
        let out = shop.path(name);
        shop.run("process-files", &["--day", "2026-01-03", "--out", text(&out)]).done();
        files(&out)
    };
    let processed = day("days-sqlite");

    std::fs::remove_dir_all(shop.out()).expect("removed");
    let moved = config.replace(&from, &url);
    assert_ne!(moved, config);
    std::fs::write(shop.path("config.toml"), moved).expect("written");
    // The first was closed before it was copied; the others are closed here.
    assert!(shop.settle("2026-01-01").done().contains("written again"));
    for day in days {
        assert!(shop.settle(day).done().contains(": closed: "));
    }
    assert_eq!(files(&shop.out()), on_sqlite);
    assert_eq!(day("days-postgres"), processed);
    let out = shop.out();
    shop.run("verify-files", &[text(&out)]).done();
}
